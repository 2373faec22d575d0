"""One incarnation of the simulated process: the real daemon between the ports, and a witness.

Daemon, pump, engine, ledger and exchange are the real ones, on the files of one folder.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import cache, partial
from pathlib import Path

from oracle import look_at_cover
from sim_market import CASH, COSTS, LIMITS, NAME, SYMBOLS, make_days
from sim_ports import DirectWriter, FusedBooks, Line
from sim_world import World

from algo_trader.brokers.embedded.exchange import EmbeddedExchange, ExchangeSetup
from algo_trader.core.book import Book
from algo_trader.core.errors import BrokerError
from algo_trader.core.inputs import Input, Minute, Reports
from algo_trader.core.ports import Inbox, PastDay
from algo_trader.core.types import Instant
from algo_trader.engine.engine import Engine
from algo_trader.engine.intake import Intake
from algo_trader.engine.lane import Lane
from algo_trader.ledger.ledger import Ledger
from algo_trader.runtime.daemon import Daemon, Parts
from algo_trader.runtime.gate import Gate
from algo_trader.runtime.lines import Lines
from algo_trader.runtime.pump import Pump, PumpTerms
from algo_trader.simulation.fuse import Fuse
from algo_trader.simulation.loop import now
from algo_trader.simulation.strategy import Restless
from algo_trader.venue.rules import VenueRules

LEDGER, EXCHANGE = "trading.db", "exchange.db"
CONVERGE_S = 120.0
"""Time without faults in which everything must come to rest."""


@dataclass(frozen=True, slots=True)
class Kind:
    """What is simulated: the real parts, or a mutant's."""

    name: str = "the real thing"
    pump: type[Pump] = Pump
    intake: type[Intake] = Intake
    settle_s: float | None = None


REAL = Kind()


@dataclass(frozen=True, slots=True)
class Scenario:
    """The market of a run: two days of so many minutes. `refuse_pct` and `partial_pct` are the
    exchange's own moods; without `is_lockstep` candles do not wait for answers, as in live time.
    With `has_targets` profits are taken too.
    """

    seed: int = 1
    minutes: int = 40
    partial_pct: int = 40
    refuse_pct: int = 0
    cash: Decimal = CASH
    exit_at_end: bool = True
    is_lockstep: bool = True
    has_targets: bool = False


class Life:
    """One incarnation of the process, on the files of a folder."""

    def __init__(
        self, folder: Path, scenario: Scenario, kind: Kind, world: World, fuse: Fuse
    ) -> None:
        self.fuse = fuse
        self.world = world
        days = days_of(scenario.seed, scenario.minutes)
        plan = world.plan
        self._ledger = Ledger.open(folder / LEDGER)
        self._books = FusedBooks(folder / EXCHANGE, fuse, world)
        self.exchange = EmbeddedExchange(
            self._books,
            ExchangeSetup(
                account_id="sim1",
                cash=scenario.cash,
                fingerprint="f" * 64,
                period=days,
                costs=COSTS,
                rules=VenueRules(
                    partial_fill_pct=scenario.partial_pct,
                    refuse_pct=scenario.refuse_pct,
                    seed=scenario.seed,
                ),
                pace=None if plan is None else partial(asyncio.sleep, plan.minute_s),
                exit_at_end=scenario.exit_at_end,
            ),
        )
        self._kind = kind
        self._has_targets = scenario.has_targets
        self._terms = PumpTerms(is_lockstep=scenario.is_lockstep, settle_s=0)
        if plan is not None:
            settle_s = plan.settle_s if kind.settle_s is None else kind.settle_s
            self._terms = PumpTerms(
                is_lockstep=scenario.is_lockstep,
                command_timeout_s=plan.timeout_s,
                settle_s=settle_s,
            )
        self._daemon: Daemon

    async def live(self) -> None:
        """From the first fold to a graceful end; returns early when the fuse has burnt."""
        self._daemon = await self._make_daemon()
        tasks = [
            asyncio.create_task(self._trade()),
            asyncio.create_task(self._daemon.pump.run()),
            asyncio.create_task(self._daemon.heartbeat()),
            asyncio.create_task(self.fuse.burnt.wait()),
        ]
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        await asyncio.sleep(0)
        if not self.fuse.is_burnt:
            for task in done:
                error = task.exception()
                if error is not None or task is not tasks[0]:
                    self.world.complain(f"the daemon died: {error!r}")
        everything = {*tasks, *asyncio.all_tasks()} - {asyncio.current_task()}
        for task in everything:
            task.cancel()
        await asyncio.gather(*everything, return_exceptions=True)

    def bury(self) -> None:
        """Let go of the files, long after the death."""
        self._ledger.close()
        self.exchange.close()

    async def _make_daemon(self) -> Daemon:
        intakes: list[Intake] = []

        def make_intake(engine: Engine) -> Intake:
            intakes.append(self._kind.intake(engine))
            return intakes[0]

        line = Line(self.exchange, self.fuse, self.world)
        daemon = Daemon(
            Parts(
                broker_name="simulated",
                broker=line,
                market=Watched(self),
                writer=DirectWriter(self._ledger, self.fuse, self.world),
                make_engine=partial(make_engine, self._has_targets),
                make_intake=make_intake,
                terms=self._terms,
                ends_with_market=False,
                log=silent,
                narrate=lambda book, facts: None,
                gate=(gate := Gate(silent)),
                lines=Lines(gate, silent),
            )
        )
        await daemon.prepare()
        append = daemon.parts.writer.append
        daemon.pump = self._kind.pump(
            daemon.engine, intakes[0], line, append, self._terms, lambda facts: None, now
        )
        return daemon

    async def _trade(self) -> None:
        while True:
            try:
                await self._daemon.trade()
            except BrokerError:
                await asyncio.sleep(1)  # As the supervisor would: again, after a pause.
            else:
                break
        await asyncio.sleep(CONVERGE_S)
        await self._daemon.shut_down()

    @property
    def engine(self) -> Engine:
        """The engine of this life."""
        return self._daemon.engine


class Watched:
    """core's Market: the exchange's, with a witness who looks when a minute is settled."""

    def __init__(self, life: Life) -> None:
        self._life = life
        self._exchange = life.exchange

    @property
    def now(self) -> Instant:
        """Market time."""
        return self._exchange.now

    async def past(self) -> Sequence[PastDay]:
        """Bars before now."""
        return await self._exchange.past()

    async def run(self, inbox: Inbox) -> None:
        """Replay to the end."""
        await look_at_cover(self._exchange, self._life.world, "when trading begins")
        await self._exchange.run(_Witness(self._life, inbox))


class _Witness:
    """core's Inbox: passes on, some reports twice, and looks after every settled minute."""

    def __init__(self, life: Life, inbox: Inbox) -> None:
        self._life = life
        self._inbox = inbox
        self._has_minute = False
        self._echoes: list[Reports] = []

    def put(self, item: Input) -> None:
        """Pass an input on."""
        plan = self._life.world.plan
        self._inbox.put(item)
        if isinstance(item, Minute):
            self._has_minute = True
            for echo in self._echoes:
                self._inbox.put(echo)
            self._echoes.clear()
        elif isinstance(item, Reports) and plan is not None and plan.echo_pct:
            chance = plan.chance("echo", item.reports)
            if chance.random() * 100 < plan.echo_pct:
                self._life.world.faults["report came again"] += 1
                self._inbox.put(item)
                self._echoes.append(item)

    async def settled(self) -> None:
        """Wait, then look."""
        await self._inbox.settled()
        if self._has_minute and not self._life.fuse.is_burnt:
            self._has_minute = False
            self._life.world.minutes += 1
            await look_at_cover(self._life.exchange, self._life.world, "after a minute")
            _look_for_halt(self._life)


def silent(event: str, /, **fields: object) -> None:
    """A log that nobody reads."""


def _look_for_halt(life: Life) -> None:
    halted = life.engine.book.halted
    if halted is not None:
        life.world.complain(f"halted without a reason: {halted}")


def make_engine(has_targets: bool, book: Book) -> Engine:
    """The engine that trades."""
    lanes = [
        Lane(NAME, Restless(symbol, has_targets=has_targets), book.holding(NAME, symbol))
        for symbol in SYMBOLS
    ]
    return Engine(book, lanes, LIMITS)


@cache
def days_of(seed: int, minutes: int) -> list[PastDay]:
    """The days of a seed, made once."""
    return make_days(seed, minutes=minutes)
