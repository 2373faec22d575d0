"""The daemon: one life of the trading process, from the first fold to the last commit.

Owns the order of a life: fold the ledger, reconcile with the broker, rebuild what bars can tell,
trade, and end in the seven steps of a graceful shutdown. It holds the parts together and says where
it stands; it knows no rule of trading and no mode.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeAlias

from algo_trader.core import work
from algo_trader.core.book import Book
from algo_trader.core.broker import AccountState
from algo_trader.core.errors import BrokerError, StrategyError
from algo_trader.core.events import Fact
from algo_trader.core.inputs import CancelEntries, History, Input, Minute, Readiness
from algo_trader.core.ports import Broker, Market
from algo_trader.core.types import ZERO, Instant, iso, text
from algo_trader.engine.engine import Engine
from algo_trader.engine.intake import Intake
from algo_trader.ledger.errors import StorageError
from algo_trader.ledger.ledger import Ledger
from algo_trader.ledger.writer import Writer
from algo_trader.runtime import Log, status
from algo_trader.runtime.pump import Pump, PumpTerms
from algo_trader.runtime.reconcile import reconcile
from algo_trader.runtime.status import State

HEARTBEAT_S = 1.0
UNCOVERED_MOST_S = 5.0
"""Shares that are without a working stop for so long are told of."""
IN_FLIGHT_WAIT_S = 5.0
CANCEL_TRIES = 3
CANCEL_WAIT_S = 1.0
SHUTDOWN = "SHUTDOWN"


Narrate: TypeAlias = Callable[[Book, Sequence[Fact]], None]
"""Puts recorded facts into words for the log; they are durable by then."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What a daemon is made of. `make_engine` takes the book that the ledger's facts fold to."""

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


class Daemon:
    """One life. `state` says where it stands; `stopping` is set when its end was asked for."""

    def __init__(self, parts: Parts) -> None:
        self.parts = parts
        self.state = State.STARTING
        self.stopping = asyncio.Event()
        self.started_at = datetime.now(UTC)
        self.account: AccountState | None = None
        self.engine: Engine
        self.pump: Pump
        self._facts_before = 0
        self._last_fact_at: datetime | None = None
        self._last_bar_at: Instant | None = None
        self._last_minute_s: float | None = None
        self._reason = ""
        self._takes_entries = True
        self._is_prepared = False
        self._uncovered_s = 0.0
        self._uncovered_longest_s = 0.0
        self._uncovered_share_s = ZERO

    # -- a life --

    async def prepare(self) -> None:
        """Fold the ledger and build what trades; nothing is sent yet."""
        parts = self.parts
        await parts.writer.start()
        book, self._facts_before = await parts.writer.run(_folded)
        self.engine = parts.make_engine(book)
        self.engine.now = parts.market.now
        self.engine.is_ready = False
        for day in parts.market.past():  # What reconciliation may need a price for.
            for bars in day.minutes:
                for bar in bars:
                    self.engine.marks[bar.symbol] = bar.close
        self.pump = Pump(
            self.engine,
            parts.make_intake(self.engine),
            parts.broker,
            parts.writer.append,
            parts.terms,
            self._tell,
            tell_mistake=self._stop_for_mistake,
        )

    async def trade(self) -> None:
        """Reconcile, rebuild, and follow the market until it has no more to say."""
        parts, pump = self.parts, self.pump
        self._become(State.RECONCILING)
        self._tell_what_was_left()
        await reconcile(pump, parts.broker)
        self.account = await parts.broker.account()
        self._become(State.WARMING_UP)
        pump.put(History(parts.market.past(), parts.market.now))
        await pump.settled()
        self._is_prepared = True
        pump.put(Readiness(self._takes_entries))
        await pump.settled()
        self._become(State.TRADING)
        await parts.market.run(self)
        self.account = await parts.broker.account()
        self._become(State.IDLE)
        parts.log(
            "market_ended",
            at=iso(parts.market.now),
            equity=status.figure(self.engine.equity()),
            realized_today=text(self.engine.book.realized_today),
            trades_today=len(self.engine.book.trades_today),
        )
        if parts.ends_with_market:
            self.stop("the bars have ended")

    def permit(self, *, takes_entries: bool) -> None:
        """Whether new positions are wanted at all; those held are looked after either way."""
        if takes_entries != self._takes_entries:
            self._takes_entries = takes_entries
            self.parts.log("entries_permitted", is_permitted=takes_entries)
            if self._is_prepared and not self.stopping.is_set():
                self.pump.put(Readiness(takes_entries))

    async def heartbeat(self) -> None:
        """Every second: ask about what has no answer, look at the cover and the account."""
        while True:
            await asyncio.sleep(HEARTBEAT_S)
            self.pump.look_up()
            self._watch_cover()
            with suppress(BrokerError):
                self.account = await self.parts.broker.account()

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
        pump.put(Readiness(False))
        if not await self._settles(IN_FLIGHT_WAIT_S):
            log("unanswered_at_shutdown", level="warning", orders=pump.in_flight)
        for _ in range(CANCEL_TRIES):
            if not self.engine.book.resting:
                break
            pump.put(CancelEntries(SHUTDOWN))
            await self._settles(CANCEL_WAIT_S)
        if self.engine.book.resting:
            log("entries_rest_at_shutdown", level="warning", count=self.engine.book.resting)
        for held in status.positions(self.engine):
            log("position_left", **held)
        if status.uncovered_shares(self.engine) != "0":
            shares = status.uncovered_shares(self.engine)
            log("uncovered_at_shutdown", level="critical", shares=shares)

    # -- the market's way in: the pump's inbox, with an eye on the feed --

    def put(self, item: Input) -> None:
        """Hand an input to the pump."""
        if isinstance(item, Minute):
            self._last_minute_s = asyncio.get_running_loop().time()
            if item.bars:
                self._last_bar_at = item.start
        self.pump.put(item)

    async def settled(self) -> None:
        """Return when the pump has worked off everything."""
        await self.pump.settled()

    # -- what it says of itself --

    def status(self) -> dict[str, Any]:
        """The document of `status --json`."""
        engine, parts = self.engine, self.parts
        is_halted = engine.book.halted is not None and self.state in (State.TRADING, State.IDLE)
        commits = sorted(self.pump.commit_s)
        p99_s = commits[int(len(commits) * 0.99)] if commits else None
        lag_s = None
        if self._last_minute_s is not None:
            lag_s = round(asyncio.get_running_loop().time() - self._last_minute_s, 1)
        return {
            "state": State.HALTED if is_halted else self.state,
            "started_at": self.started_at.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "broker": parts.broker_name,
            "account": status.account(self.account),
            "market": {
                "now": iso(parts.market.now),
                **status.market(engine.session, parts.market.now),
            },
            "feed": {
                "connected": self.state is State.TRADING,
                "last_bar_at": status.moment(self._last_bar_at),
                "lag_s": lag_s,
            },
            "trade_stream": {"connected": self.state is State.TRADING},
            "strategies": status.strategies(engine.lanes),
            "positions": status.positions(engine),
            "open_orders": status.open_orders(engine),
            "unknown_orders": status.unknown_orders(engine, self.pump.in_flight),
            "uncovered_shares": status.uncovered_shares(engine),
            "uncovered_share_seconds": text(self._uncovered_share_s),
            "uncovered_longest_s": self._uncovered_longest_s,
            "pnl": status.pnl(engine),
            "risk": status.risk(engine),
            "ledger": {
                "facts": self._facts_before + self.pump.facts_recorded,
                "last_fact_at": None
                if self._last_fact_at is None
                else self._last_fact_at.strftime("%Y-%m-%dT%H:%M:%SZ"),
                "commit_p99_ms": None if p99_s is None else round(p99_s * 1000, 2),
            },
        }

    # -- inside --

    def _watch_cover(self) -> None:
        """Count seconds in which shares were without a stop; tell when there are too many."""
        held = self.engine.book.active.values()
        shares = sum((work.uncovered(holding) for holding in held), start=ZERO)
        if not shares:
            self._uncovered_s = 0.0
            return
        self._uncovered_s += HEARTBEAT_S
        self._uncovered_share_s += shares * int(HEARTBEAT_S)
        self._uncovered_longest_s = max(self._uncovered_longest_s, self._uncovered_s)
        if self._uncovered_s == UNCOVERED_MOST_S:
            self.parts.log("uncovered", shares=shares, seconds=self._uncovered_s)

    def _tell_what_was_left(self) -> None:
        """What the life before has left and this one cannot settle by itself."""
        book, log = self.engine.book, self.parts.log
        if book.halted is not None:
            remedy = "put it right, then POST /resume to the control socket"
            log("still_halted", level="critical", reason=book.halted, remedy=remedy)
        traded = {(lane.name, lane.symbol) for lane in self.engine.lanes}
        for held in book.in_order():
            if held.qty and (held.strategy, held.symbol) not in traded:
                log(
                    "position_not_traded",
                    level="warning",
                    symbol=held.symbol,
                    strategy=held.strategy,
                    qty=held.qty,
                    note="this run does not manage it: its stop stays, the session's end ends it",
                )

    def _stop_for_mistake(self, error: StrategyError) -> None:
        """Positions keep their stops; without its strategy there is nothing else to do for them."""
        self.parts.log("strategy_failed", level="critical", error=error)
        self.stop("the strategy made a mistake")

    def _become(self, state: State) -> None:
        self.state = state
        self.parts.log("state", state=str(state))

    def _tell(self, facts: Sequence[Fact]) -> None:
        self._last_fact_at = datetime.now(UTC)
        self.parts.narrate(self.engine.book, facts)

    async def _settles(self, timeout_s: float) -> bool:
        try:
            async with asyncio.timeout(timeout_s):
                await self.pump.settled()
        except TimeoutError:
            return False
        return True


def _folded(ledger: Ledger) -> tuple[Book, int]:
    return ledger.fold(), ledger.count()
