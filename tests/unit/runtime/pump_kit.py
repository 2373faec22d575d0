"""What surrounds a pump in its tests: an engine that trades when told, a broker that answers when
told, a ledger that commits when told; and one log of what happened in which order.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import date
from decimal import Decimal

from algo_trader.core import commands as cmd
from algo_trader.core import events as ev
from algo_trader.core.book import Book
from algo_trader.core.broker import AccountState, BrokerOrder, BrokerPosition
from algo_trader.core.inputs import Input, Minute, Reports
from algo_trader.core.types import (
    Action,
    Bar,
    BrokerOrderId,
    Candle,
    ClientOrderId,
    Session,
    Side,
    Symbol,
)
from algo_trader.engine.engine import Engine
from algo_trader.engine.intake import Intake
from algo_trader.engine.lane import Lane
from algo_trader.indicators import IndicatorSet
from algo_trader.risk.limits import RiskLimits
from algo_trader.runtime.pump import Pump, PumpTerms
from algo_trader.strategies import Strategy
from algo_trader.strategies.base import HOLD, Management, MoveStop, Position, Signal

SESSION = Session(date(2024, 1, 3), 1_704_292_200, 1_704_292_200 + 60 * 60)
CASH = Decimal(25_000)
PATIENT = PumpTerms(is_lockstep=True, command_timeout_s=1_000.0, settle_s=0.0, grace_s=0.0)
LIVE = PumpTerms(is_lockstep=False, command_timeout_s=1_000.0, settle_s=0.0, grace_s=0.0)
HASTY = PumpTerms(is_lockstep=True, command_timeout_s=0.0, settle_s=0.0, grace_s=0.0)
"""Silence is noticed at once."""


def key_of(role: str, number: int = 1, symbol: str = "X") -> ClientOrderId:
    """The id of an order that the first candle led to."""
    return ClientOrderId(f"a-s-{symbol}-20240103T1430-{role}-{number}")


ENTRY, STOP = key_of("entry"), key_of("stop")


class Eager(Strategy):
    """Buys above every candle, until told to stop."""

    candle_interval_minutes = 1
    entry_expiry_candles = 3
    sma_fast, sma_slow = 1, 2

    def __init__(self, symbol: Symbol) -> None:
        super().__init__(symbol)
        self.seen = 0
        self.is_eager = True
        self.wish: Management = HOLD

    def signal(self, candle: Candle, indicators: IndicatorSet) -> Signal | str:
        """A stop order at 11, protected at 9."""
        self.seen += 1
        return Signal(Side.LONG, Decimal(11), Decimal(9)) if self.is_eager else "NOTHING"

    def manage(self, candle: Candle, position: Position, indicators: IndicatorSet) -> Management:
        """What a test wishes."""
        return self.wish

    def should_long(self, bar: Candle, indicators: IndicatorSet) -> bool:
        """Not asked."""
        raise AssertionError("signal is overridden")

    def entry_price(self, bar: Candle) -> Decimal:
        """Not asked."""
        raise AssertionError("signal is overridden")

    stop_loss_price = entry_price


class Phone:
    """core's Broker: a call waits for the answer that a test gives."""

    def __init__(self, log: list[str]) -> None:
        self.log = log
        self._calls: list[tuple[str, asyncio.Future[object]]] = []
        self.account_id = "a"
        self.known: dict[ClientOrderId, BrokerOrder] = {}
        self.held: dict[Symbol, BrokerPosition] = {}

    async def _call(self, word: str) -> object:
        self.log.append(word)
        call: asyncio.Future[object] = asyncio.Future()
        self._calls.append((word, call))
        return await call

    def answer(self, word: str, result: object) -> None:
        """Answer the oldest call of that word, by a result or an error."""
        found = next(call for call in self._calls if call[0] == word and not call[1].done())
        if isinstance(result, BaseException):
            found[1].set_exception(result)
        else:
            found[1].set_result(result)

    async def execute(self, command: cmd.Command) -> Sequence[ev.Report]:
        """Waits for its answer."""
        found = await self._call(word_of(command))
        assert isinstance(found, tuple)
        return found

    async def order(self, order_id: ClientOrderId) -> BrokerOrder | None:
        """Waits for its answer."""
        found = await self._call(f"look up {short(order_id)}")
        assert found is None or isinstance(found, BrokerOrder)
        return found

    async def orders(self, known: Collection[ClientOrderId]) -> Sequence[BrokerOrder]:
        """What it has."""
        return list(self.known.values())

    async def positions(self) -> Mapping[Symbol, BrokerPosition]:
        """What it holds."""
        return dict(self.held)

    async def account(self) -> AccountState:
        """The account: what it began with, less what was bought, plus what was sold."""
        cash = CASH
        for order in self.known.values():
            value = sum((done.qty * done.price for done in order.executions), start=Decimal(0))
            cash -= value if order.action is Action.BUY else -value
        return AccountState(self.account_id, cash, cash)


class Bench:
    """A pump and all around it. `log` says what happened, `now_s` is its clock."""

    def __init__(
        self,
        *symbols: Symbol,
        terms: PumpTerms = PATIENT,
        phone: Phone | None = None,
        make: type[Eager] = Eager,
    ) -> None:
        self.phone = Phone([]) if phone is None else phone
        self.log = self.phone.log
        self.facts: list[ev.Fact] = []
        self.book = Book()
        self.strategies = [make(symbol) for symbol in symbols or ("X",)]
        lanes = [Lane("s", own, self.book.holding("s", own.symbol)) for own in self.strategies]
        self.engine = Engine(self.book, lanes, RiskLimits())
        self.engine.open_account("a", CASH, SESSION.opens_at)
        self.engine.open_session(SESSION)
        self.now_s = 0.0
        self.gate: asyncio.Future[None] | None = None
        self.minute = 0
        self.pump = Pump(
            self.engine,
            Intake(self.engine),
            self.phone,
            self.append,
            terms,
            self.facts.extend,
            lambda: self.now_s,
        )

    async def append(self, facts: Sequence[ev.Fact]) -> None:
        """Record, once the gate is open."""
        if self.gate is not None:
            await self.gate
        words = dict.fromkeys(type(fact).__name__.removeprefix("Order") for fact in facts)
        self.log.append(f"record {' '.join(words)}")

    def still_minute(self) -> Minute:
        """The next minute, in which nothing moves."""
        start = SESSION.opens_at + 60 * self.minute
        self.minute += 1
        ten = Decimal(10)
        bars = [Bar(own.symbol, start, ten, ten, ten, ten, 1) for own in self.strategies]
        return Minute(start, bars)

    async def pass_minute(self) -> None:
        """A minute, and all that comes of it without an answer."""
        self.pump.put(self.still_minute())
        await turns()

    async def hear(self, item: Input) -> None:
        """An input, and all that comes of it without an answer."""
        self.pump.put(item)
        await turns()

    async def answer(self, word: str, result: object) -> None:
        """An answer, and all that comes of it."""
        self.phone.answer(word, result)
        await turns()

    async def hold(self) -> None:
        """A position of 113 shares whose stop works; the log begins anew."""
        await self.pass_minute()
        self.strategies[0].is_eager = False
        await self.answer("Submit entry-1", (accepted(ENTRY),))
        await self.hear(Reports([filled(ENTRY, 113)]))
        await self.answer("Submit stop-1", (accepted(STOP),))
        self.log.clear()


@asynccontextmanager
async def running(bench: Bench) -> AsyncIterator[asyncio.Task[None]]:
    """The pump's task, while it is looked at."""
    task = asyncio.create_task(bench.pump.run())
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def reach(bench: Bench, word: str) -> None:
    """Come to where that command is in flight; the log begins anew."""
    if word.startswith("Replace"):
        await bench.hold()
        bench.strategies[0].wish = MoveStop(Decimal("9.50"))
        await bench.pass_minute()
    else:
        await bench.pass_minute()
        bench.strategies[0].is_eager = False
        if word != "Submit entry-1":
            await bench.answer("Submit entry-1", (accepted(ENTRY),))
            # The rest of a partly filled entry is canceled.
            await bench.hear(Reports([filled(ENTRY, 113 if word == "Submit stop-1" else 60)]))
    assert bench.log[-1] == word
    bench.log.clear()


async def turns() -> None:
    """Let everything happen that can."""
    for _ in range(40):
        await asyncio.sleep(0)


def short(order_id: ClientOrderId) -> str:
    """Role and number; the symbol where it is another than X."""
    _, _, symbol, _, role, number = order_id.split("-")
    return f"{role}-{number}" if symbol == "X" else f"{symbol} {role}-{number}"


def word_of(command: cmd.Command) -> str:
    """A command in short."""
    if isinstance(command, cmd.Submit):
        return f"Submit {short(command.request.order_id)}"
    if isinstance(command, cmd.SubmitPair):
        return f"SubmitPair {short(command.target.order_id)} {short(command.stop.order_id)}"
    return f"{type(command).__name__} {short(command.order_id)}"


def accepted(order_id: ClientOrderId) -> ev.Report:
    """The broker has it."""
    return ev.OrderAccepted(
        at=SESSION.opens_at, order_id=order_id, broker_id=BrokerOrderId(f"b-{order_id}")
    )


def filled(order_id: ClientOrderId, qty: int, cum: int | None = None) -> ev.Report:
    """So many shares at 11."""
    shares = Decimal(qty)
    return ev.OrderFilled(
        at=SESSION.opens_at,
        order_id=order_id,
        qty=shares,
        price=Decimal(11),
        cum_qty=Decimal(cum or qty),
    )


def canceled(order_id: ClientOrderId) -> ev.Report:
    """The rest of it is gone."""
    return ev.OrderCanceled(at=SESSION.opens_at, order_id=order_id)
