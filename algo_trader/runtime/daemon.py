"""The daemon: one life of the trading process, from the first fold to the last commit.

Owns the order of a life: fold the ledger, reconcile with the broker, rebuild what bars can tell,
trade, and end in the seven steps of a graceful shutdown. It holds the parts together and says where
it stands; it knows no rule of trading and no mode.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeAlias

from algo_trader.core import events as ev
from algo_trader.core.book import Book
from algo_trader.core.broker import AccountState, Execution
from algo_trader.core.errors import BrokerError, StrategyError
from algo_trader.core.inputs import (
    CancelEntries,
    Clock,
    History,
    Input,
    Minute,
    PastDay,
    Readiness,
    Reports,
    SessionOpens,
)
from algo_trader.core.ports import Broker, LineState, Market
from algo_trader.core.types import ClientOrderId, Instant, iso, text
from algo_trader.engine.engine import Engine
from algo_trader.engine.intake import Intake
from algo_trader.ledger.errors import StorageError
from algo_trader.ledger.ledger import Ledger
from algo_trader.ledger.writer import Writer
from algo_trader.runtime import Log, cautions, handover, status
from algo_trader.runtime.cover import Cover, uncovered
from algo_trader.runtime.gate import Gate
from algo_trader.runtime.lines import Lines
from algo_trader.runtime.pump import Pump, PumpTerms
from algo_trader.runtime.reconcile import reconcile
from algo_trader.runtime.remote import STOOD_STILL_S, Remote, RemoteTerms, standing_clock
from algo_trader.runtime.standing import document
from algo_trader.runtime.status import State

HEARTBEAT_S = 1.0
IN_FLIGHT_WAIT_S = 5.0
CANCEL_TRIES = 3
CANCEL_WAIT_S = 1.0
COVER_TRIES = 5
SHUTDOWN = "SHUTDOWN"
START = "start"
SWITCHED_OFF = "switched_off"
WARM_UP_PAUSE_S = 5.0


Narrate: TypeAlias = Callable[[Book, Sequence[ev.Fact]], None]
"""Puts recorded facts into words for the log; they are durable by then."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What a daemon is made of. `make_engine` takes the book that the ledger's facts fold to;
    `remote` is None for a broker inside the process. The clocks count seconds: `standing` ones also
    pass while the machine sleeps.
    """

    broker_name: str
    broker: Broker
    market: Market
    writer: Writer
    make_engine: Callable[[Book], Engine]
    make_intake: Callable[[Engine], Intake]
    terms: PumpTerms
    ends_with_market: bool
    log: Log
    narrate: Narrate
    gate: Gate
    lines: Lines
    remote: RemoteTerms | None = None
    monotonic: Callable[[], float] = time.monotonic
    standing: Callable[[], float] = standing_clock


class Daemon:
    """One life. `state` says where it stands; `stopping` is set when its end was asked for."""

    def __init__(self, parts: Parts) -> None:
        self.parts = parts
        self.state = State.STARTING
        self.stopping = asyncio.Event()
        self.started_at = datetime.now(UTC)
        self.account: AccountState | None = None
        self.engine: Engine
        self.intake: Intake
        self.pump: Pump
        self._facts_before = 0
        self.last_fact_at: datetime | None = None
        self.last_bar_at: Instant | None = None
        self.last_minute_s: float | None = None
        self._reason = ""
        self.cover = Cover(parts.log)
        self.remote: Remote | None = None
        parts.gate.reasons[START] = "reconciling and warming up"

    # -- a life --

    async def prepare(self) -> None:
        """Fold the ledger and build what trades; nothing is sent yet."""
        parts = self.parts
        await parts.writer.start()
        book, self._facts_before = await parts.writer.run(_folded)
        self.engine = parts.make_engine(book)
        self.engine.now = parts.market.now
        self.engine.is_ready = False
        self.intake = parts.make_intake(self.engine)
        self.pump = Pump(
            self.engine,
            self.intake,
            parts.broker,
            parts.writer.append,
            parts.terms,
            self._tell,
            parts.monotonic,
            self._stop_for_mistake,
        )
        if parts.remote is not None:
            self.remote = Remote(
                parts.remote, parts.broker, self.pump, parts.gate, parts.log, parts.monotonic
            )
        parts.gate.listen(lambda is_open: self.pump.put(Readiness(is_open)))

    async def trade(self) -> None:
        """Reconcile, rebuild, and follow the market until it has no more to say."""
        parts, pump = self.parts, self.pump
        self._become(State.RECONCILING)
        handover.tell_found(self.engine, parts.log)
        if self.remote is None:
            await self._take_marks()
            await reconcile(pump, parts.broker)
            self.account = await parts.broker.account()
        else:  # Which waits for no bars: positions want their stops first.
            await self.remote.begin()
            session = self.remote.terms.session()
            if session is not None:  # What is to end by the clock does so without bars, too.
                pump.put(SessionOpens(session))
        self._become(State.WARMING_UP)
        pump.put(History(await self._past(), parts.market.now))
        await pump.settled()
        parts.gate.open(START, level="debug")
        await pump.settled()
        self._become(State.TRADING)
        await parts.market.run(self)
        if self.remote is None:
            self.account = await parts.broker.account()
        self._become(State.IDLE)
        parts.log(
            "market_ended",
            at=iso(parts.market.now),
            equity=status.figure(self.engine.equity()),
            realized_today=text(self.engine.book.day.realized),
            trades_today=len(self.engine.book.day.trades),
        )
        if parts.ends_with_market:
            self.stop("the bars have ended")

    def permit(self, *, takes_entries: bool) -> None:
        """Whether new positions are wanted at all; those held are looked after either way."""
        if takes_entries:
            self.parts.gate.open(SWITCHED_OFF)
        else:
            self.parts.gate.close(SWITCHED_OFF, "the strategy is not enabled")

    def wake(self, order_id: ClientOrderId) -> None:
        """The trade stream has told something of an order."""
        self.pump.wake((order_id,))

    def hear_arrival(self, order_id: ClientOrderId) -> None:
        """The trade stream has told that the broker has an order: news if its request had no
        answer, or if it was given up and comes late.
        """
        order = self.engine.book.orders.get(order_id)
        if order is None or order.broker_id is not None:
            return
        if order.is_unknown or not order.is_live:
            self.wake(order_id)

    def hear_fill(self, order_id: ClientOrderId, done: Execution) -> None:
        """The trade stream has told an execution: it counts at once, and once only."""
        if self.engine.book.orders.get(order_id) is None:
            self.compare_again(f"an execution of {order_id}, which this ledger does not know")
            return
        fill = ev.OrderFilled(
            at=done.at,
            order_id=order_id,
            qty=done.qty,
            price=done.price,
            cum_qty=done.cum_qty,
            commission=done.commission,
            execution_id=done.execution_id,
        )
        self.pump.put(Reports((fill,)))

    def compare_again(self, why: str) -> None:
        """The broker's books may have changed in a way that no order tells."""
        if self.remote is not None:
            self.remote.want_comparison(why)

    def hear_trade_stream(self, state: LineState) -> None:
        """The trade stream has come, gone or been refused."""
        if self.remote is not None:
            self.remote.hear_stream(state)

    async def heartbeat(self) -> None:
        """Every second: ask about what has no answer, look at the cover and the account."""
        last = self.parts.standing()
        while True:
            await asyncio.sleep(HEARTBEAT_S)
            now = self.parts.standing()
            self.pump.look_up()
            self.cover.look(self.engine.book, now - last)
            wants_prices = self.remote is not None and self.remote.has_begun
            cautions.look(self.parts.gate, self.engine, self.cover, wants_prices=wants_prices)
            if self.remote is None:
                with suppress(BrokerError):
                    self.account = await self.parts.broker.account()
            else:
                if now - last > STOOD_STILL_S:
                    self.remote.want_comparison(f"the process stood still for {now - last:.0f} s")
                time_now = self.parts.market.now
                if self.remote.has_begun and time_now > self.engine.now:
                    # The market tells it in sessions; what was refused is tried again at any time.
                    self.pump.put(Clock(time_now))
            last = now

    async def watch_ledger(self) -> None:
        """Ends, by an error, when the ledger's writer has ended."""
        while not self.parts.writer.ended.is_set():
            await asyncio.sleep(HEARTBEAT_S)
        raise StorageError("the ledger's writer has ended")

    def stop(self, reason: str) -> None:
        """Ask for a graceful end."""
        if not self.stopping.is_set():
            self._reason = reason
            self.parts.log("stopping", reason=reason)
            self.stopping.set()

    async def shut_down(self) -> None:
        """Steps 1 to 4 of the end; trading was stopped before, the pump still runs.

        No new signals; wait for what is in flight; cancel what rests; leave positions with their
        stops at the broker.
        """
        self._become(State.SHUTTING_DOWN)
        pump, log = self.pump, self.parts.log
        self.parts.gate.close(SHUTDOWN, "the daemon is shutting down", level="debug")
        if not await self._settles(IN_FLIGHT_WAIT_S):
            log("unanswered_at_shutdown", level="warning", orders=pump.in_flight)
        for _ in range(CANCEL_TRIES):
            if not self.engine.book.resting:
                break
            pump.put(CancelEntries(SHUTDOWN))
            await self._settles(CANCEL_WAIT_S)
        for _ in range(COVER_TRIES):
            if not uncovered(self.engine.book) or self.cover.is_declined(self.engine.book):
                break
            # A stop may be on its way, or be placed anew by the clock.
            await asyncio.sleep(CANCEL_WAIT_S)
            await self._settles(CANCEL_WAIT_S)
        handover.tell_left(self.engine, log)

    # -- the market's way in: the pump's inbox, with an eye on the feed --

    def put(self, item: Input) -> None:
        """Hand an input to the pump."""
        if isinstance(item, Minute):
            self.last_minute_s = asyncio.get_running_loop().time()
            if item.bars:
                self.last_bar_at = item.start
        self.pump.put(item)

    async def settled(self) -> None:
        """Return when the pump has worked off everything."""
        await self.pump.settled()

    # -- what it says of itself --

    def status(self) -> dict[str, Any]:
        """The document of `status --json`."""
        return document(self)

    @property
    def facts(self) -> int:
        """Facts on record."""
        return self._facts_before + self.pump.facts_recorded

    # -- inside --

    async def _take_marks(self) -> None:
        """Last closes, which reconciliation may need; it does not wait for them."""
        with suppress(BrokerError):
            for day in await self.parts.market.past():
                for bars in day.minutes:
                    for bar in bars:
                        self.engine.marks[bar.symbol] = bar.close

    async def _past(self) -> Sequence[PastDay]:
        """The bars to warm up on; asked for until a market across a network has told them."""
        while True:
            try:
                return await self.parts.market.past()
            except BrokerError as error:
                if self.remote is None:
                    raise
                self.parts.log("warm_up_failed", level="error", error=error)
            await asyncio.sleep(WARM_UP_PAUSE_S)

    def _stop_for_mistake(self, error: StrategyError) -> None:
        """Positions keep their stops; without its strategy there is nothing else to do for them."""
        self.parts.log("strategy_failed", level="critical", error=error)
        self.stop("the strategy made a mistake")

    def _become(self, state: State) -> None:
        self.state = state
        self.parts.log("state", state=str(state))

    def _tell(self, facts: Sequence[ev.Fact]) -> None:
        self.last_fact_at = datetime.now(UTC)
        self.parts.narrate(self.engine.book, facts)
        if self.remote is not None:
            self.remote.heed(facts)

    async def _settles(self, timeout_s: float) -> bool:
        try:
            async with asyncio.timeout(timeout_s):
                await self.pump.settled()
        except TimeoutError:
            return False
        return True


def _folded(ledger: Ledger) -> tuple[Book, int]:
    return ledger.fold(), ledger.count()
