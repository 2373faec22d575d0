"""Small honest stand-ins for what surrounds an embedded exchange: bars, an inbox, dying books."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any, TypeVar

from algo_trader.brokers.embedded.books import Books, Place
from algo_trader.brokers.embedded.exchange import EmbeddedExchange, ExchangeSetup
from algo_trader.brokers.embedded.file import connect
from algo_trader.core.commands import Command, Submit
from algo_trader.core.events import OrderAccepted, OrderFilled, OrderReplaced, OrderRequest, Report
from algo_trader.core.inputs import Clock, CloseAll, Input, Minute, Reports, SessionOpens
from algo_trader.core.ports import PastDay
from algo_trader.core.types import (
    MINUTE,
    Action,
    Bar,
    ClientOrderId,
    OrderType,
    Session,
    TimeInForce,
    text,
    utc,
)
from algo_trader.venue.costs import Costs
from algo_trader.venue.venue import Venue

BUY, SELL = Action.BUY, Action.SELL
MARKET, LIMIT, STOP = OrderType.MARKET, OrderType.LIMIT, OrderType.STOP
STOP_LIMIT = OrderType.STOP_LIMIT
DAY, GTC = TimeInForce.DAY, TimeInForce.GTC
OPENS_AT = 1_704_205_800
"""2024-01-02 14:30 UTC, the open of the first day."""
OVERNIGHT = 86_400
FREE = Costs(slippage_per_share=Decimal(0))
CASH = Decimal(10_000)
CENT = Decimal("0.01")

Result = TypeVar("Result")


def done(work: Coroutine[Any, Any, Result]) -> Result:
    """What the coroutine returns, on an event loop of its own."""
    return asyncio.run(work)


# -- bars and orders --


def day(number: int, *minutes: str) -> PastDay:
    """The `number`th day, as long as its minutes: "AA 10 11 9 10; BB 5 5 5 5", "" for none."""
    opens_at = OPENS_AT + number * OVERNIGHT
    session = Session(utc(opens_at).date(), opens_at, opens_at + len(minutes) * MINUTE)
    rows = []
    for index, line in enumerate(minutes):
        bars = []
        for words in filter(None, (part.split() for part in line.split(";"))):
            opened, high, low, close = map(Decimal, words[1:])
            start = opens_at + index * MINUTE
            bars.append(Bar(words[0], start, opened, high, low, close, 100))
        rows.append(tuple(bars))
    return PastDay(session, rows)


def random_days(
    chance: Random, symbols: Sequence[str], days: int, minutes: int, *, gaps: bool = True
) -> list[PastDay]:
    """A random walk from 100 with big moves; some minutes lack bars, the last day ends early."""
    last = dict.fromkeys(sorted(symbols), 10_000)
    made = []
    for number in range(days):
        opens_at = OPENS_AT + number * OVERNIGHT
        session = Session(utc(opens_at).date(), opens_at, opens_at + minutes * MINUTE)
        rows: list[tuple[Bar, ...]] = []
        for index in range(minutes):
            bars = []
            for symbol, start in last.items():
                if gaps and chance.random() < 0.15:
                    continue
                path = [start]
                for _ in range(3):
                    path.append(max(5_000, path[-1] + chance.randint(-60, 60)))
                last[symbol] = path[-1]
                prices = (path[0], max(path), min(path), path[-1])
                opened, high, low, close = (CENT * price for price in prices)
                bars.append(Bar(symbol, opens_at + index * MINUTE, opened, high, low, close, 100))
            rows.append(tuple(bars))
        if number == days - 1:
            rows[-2:] = [(), ()]
        made.append(PastDay(session, rows))
    return made


def order(
    key: str,
    action: Action,
    kind: OrderType,
    price: str | Decimal | None = None,
    qty: str | Decimal = "10",
    *,
    lasts: TimeInForce = DAY,
    symbol: str = "AA",
) -> OrderRequest:
    """An order request in one line."""
    worth = None if price is None else Decimal(price)
    limit, stop = (worth, None) if kind is LIMIT else (None, worth)
    return OrderRequest(ClientOrderId(key), symbol, action, kind, lasts, Decimal(qty), limit, stop)


def submit(key: str, action: Action, kind: OrderType, *terms: str, **more: Any) -> Submit:
    """The command that sends such an order."""
    return Submit(order(key, action, kind, *terms, **more))


# -- words for what was seen --


def told(reports: Sequence[Report]) -> str:
    """Reports in short: what happened to which order, and at what price and size."""
    words = []
    for report in reports:
        name = type(report).__name__.removeprefix("Order").lower()
        if isinstance(report, OrderFilled):
            words.append(f"{report.order_id} {name} {report.qty}@{text(report.price)}")
        elif isinstance(report, OrderReplaced):
            words.append(f"{report.order_id} {name} by {report.replaced_by}")
        elif isinstance(report, OrderAccepted):
            words.append(f"{report.order_id} {name} as {report.broker_id}")
        else:
            words.append(f"{report.order_id} {name}")
    return ", ".join(words)


def word(item: Input) -> str:
    """An input in short; times are minutes since the first open, days apart by a day."""
    match item:
        case SessionOpens():
            return f"opens {clock(item.session.opens_at)}"
        case Clock():
            return f"clock {clock(item.now)}"
        case Minute():
            return f"minute {clock(item.start)} {len(item.bars)}"
        case Reports():
            return told(item.reports)
        case CloseAll():
            return f"close all {item.reason}"
    return repr(item)


def clock(instant: int) -> str:
    """Day and minute of an instant, such as 0:03."""
    number, seconds = divmod(instant - OPENS_AT, OVERNIGHT)
    return f"{number}:{seconds // MINUTE:02}"


# -- around an exchange --


class Tray:
    """An inbox that hands each item to `handle` when it is asked to settle."""

    def __init__(self, handle: Callable[[Input], Awaitable[None]] | None = None) -> None:
        self.seen: list[Input] = []
        self.words: list[str] = []
        self._handle = handle
        self._waiting: list[Input] = []

    def put(self, item: Input) -> None:
        """Keep an item until `settled`."""
        self.seen.append(item)
        self.words.append(word(item))
        self._waiting.append(item)

    async def settled(self) -> None:
        """Handle what waits, and what comes of it."""
        while self._waiting:
            item = self._waiting.pop(0)
            if self._handle is not None:
                await self._handle(item)


class Crash(Exception):
    """The process dies."""


class DyingBooks(Books):
    """Books whose process dies right after the commit number `last`."""

    last: int | None = None
    commits = 0

    def move(self, place: Place) -> None:
        """Commit, and die if it is time."""
        super().move(place)
        self._count()

    def book(
        self,
        place: Place,
        venue: Venue,
        reports: Sequence[Report],
        requests: Sequence[OrderRequest] = (),
    ) -> None:
        """Commit, and die if it is time."""
        super().book(place, venue, reports, requests)
        self._count()

    def _count(self) -> None:
        self.commits += 1
        if self.commits == self.last:
            raise Crash


def dying_books(path: Path, last: int | None = None) -> DyingBooks:
    """Books at `path` that live for `last` commits, None for ever.

    They do not wait for the disk: a process that dies takes nothing with it that was written.
    """
    driver = connect(path)
    driver.execute("PRAGMA synchronous = OFF")
    books = DyingBooks(path, driver)
    books.last = last
    return books


def setup(*period: PastDay, **more: Any) -> ExchangeSetup:
    """A setup without costs, on an account of 10,000."""
    usual: dict[str, Any] = {"account_id": "A-1", "cash": CASH, "fingerprint": "f", "costs": FREE}
    return ExchangeSetup(**usual | {"period": period} | more)


async def play(
    exchange: EmbeddedExchange, script: Mapping[str, Sequence[Command]] | None = None
) -> Tray:
    """Run to the end; each command of the script is sent when the input of that word comes."""
    waiting = dict(script or {})

    async def handle(item: Input) -> None:
        for command in waiting.pop(word(item), []):
            await exchange.execute(command)

    tray = Tray(handle)
    await exchange.run(tray)
    assert not waiting, f"{sorted(waiting)} did not come: {tray.words}"
    return tray
