"""A run: lives one after the other on the same account, from the first open to the last oracle.

First everything may go wrong. Then nothing does any more, and what was left over must be put right
within a bound. At last the daemon is stopped and started once more, which must change nothing, and
the ledger is compared with the exchange.
"""

from __future__ import annotations

import asyncio
import gc
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

from algo_trader.config import Settings
from algo_trader.core import work
from algo_trader.core.errors import StrategyError
from algo_trader.core.types import MINUTE
from algo_trader.exchange.orders import UNROUTED
from algo_trader.ledger.errors import StorageError
from algo_trader.runtime.cautions import UNCOVERED
from algo_trader.runtime.status import State
from algo_trader.simulation.deeds import People
from algo_trader.simulation.exchange import SimulatedExchange
from algo_trader.simulation.fuse import Crash, Fuse
from algo_trader.simulation.life import Life, Stage
from algo_trader.simulation.loop import Stuck, VirtualLoop
from algo_trader.simulation.market import Market
from algo_trader.simulation.oracle import compare
from algo_trader.simulation.plan import Plan
from algo_trader.simulation.store import MemoryFile
from algo_trader.simulation.witness import Witness
from algo_trader.simulation.world import World
from algo_trader.wiring.contact import Unreachable
from algo_trader.wiring.trading import Trading

CONVERGE_S = 150.0
"""Seconds without faults within which everything must have come to rest."""
COMPARED_S = 65.0
LONGEST_S = 50_000.0
"""Of the loop's time: a run that takes longer is stuck."""
LIVES_MOST = 60


@dataclass(slots=True, kw_only=True)
class Outcome:
    """What a run has led to. `boundaries` of each life; `bare_s` as the witness has it."""

    plan: Plan
    complaints: list[str]
    boundaries: list[list[str]]
    tally: Counter[str]
    bare_s: list[float]
    fingerprint: str
    tail: list[str] = field(repr=False)
    file: MemoryFile = field(repr=False)
    exchange: SimulatedExchange = field(repr=False)


def run(plan: Plan, settings: Settings, trading: Trading) -> Outcome:
    """Run a plan to its end. StrategyError at a mistake of the strategy's: it proves nothing."""
    loop = VirtualLoop()
    simulation: _Run | None = None
    is_collecting = gc.isenabled()
    gc.disable()  # What is dead must not come to its end by chance.
    try:
        asyncio.set_event_loop(loop)
        simulation = loop.run_until_complete(_begin(plan, settings, trading))
        loop.set_exception_handler(simulation.hear_stray)
        try:
            loop.run_until_complete(simulation.go())
        except Stuck:
            simulation.world.complaints.append("everything waits for something that never comes")
        return simulation.outcome()
    finally:
        _end_all(loop)
        asyncio.set_event_loop(None)
        loop.close()
        if is_collecting:
            gc.enable()


async def _begin(plan: Plan, settings: Settings, trading: Trading) -> _Run:
    return _Run(plan, settings, trading)


def _end_all(loop: VirtualLoop) -> None:
    """Let every task that is left come to its end unheard."""
    loop.set_exception_handler(lambda loop, context: None)
    left = asyncio.all_tasks(loop)
    for task in left:
        task.cancel()
    if left:
        loop.run_until_complete(asyncio.wait(left, timeout=1.0))


class _Run:
    def __init__(self, plan: Plan, settings: Settings, trading: Trading) -> None:
        self.plan = plan
        self.world = World(plan)
        self.witness = Witness(self.world)
        market = Market(
            plan.seed, plan.symbols, plan.paths, plan.minutes, plan.history_days, plan.tapes
        )
        self.exchange = self.witness.exchange = SimulatedExchange(plan, market)
        self.exchange.on_step = self.witness.look
        self.stage = Stage(
            world=self.world,
            witness=self.witness,
            exchange=self.exchange,
            file=MemoryFile(),
            settings=settings,
            trading=trading,
        )
        self._fuses: list[Fuse] = []
        self._life: Life | None = None
        self._is_over = asyncio.Event()
        self._deaths = self._plan_deaths()
        self._mine: set[asyncio.Task[Any]] = set()
        self._disk_faults_before = 0

    def outcome(self) -> Outcome:
        """What it has led to."""
        self.world.tally.update({f"check: {k}": n for k, n in self.witness.checks.items()})
        return Outcome(
            plan=self.plan,
            complaints=self.world.complaints,
            boundaries=[fuse.passed for fuse in self._fuses],
            tally=self.world.tally,
            bare_s=self.witness.bare_s,
            fingerprint=self.world.fingerprint,
            tail=self.world.tail,
            file=self.stage.file,
            exchange=self.exchange,
        )

    def hear_stray(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """What nobody has caught: a death is expected."""
        error = context.get("exception")
        if not isinstance(error, Crash | asyncio.CancelledError):
            self.world.complain(f"nobody has caught {error!r}: {context.get('message')}")

    async def go(self) -> None:
        """The whole run."""
        self._mine.add(_this_task())
        try:
            async with asyncio.timeout(LONGEST_S):
                await self._go()
        except TimeoutError:
            self.world.complain(f"after {LONGEST_S:g} s there is no end in sight")

    async def _go(self) -> None:
        people = People(self.exchange, self.world, lambda: self._life)
        market = self._keep(self.exchange.play())
        for appointment in self.plan.deeds:
            self._keep(people.keep(appointment))
        self._keep(self._calm_down())
        lives = self._keep(self._live_on())
        await asyncio.wait({market, lives}, return_when=asyncio.FIRST_COMPLETED)
        if lives.done():
            lives.result()
        market.result()
        try:
            async with asyncio.timeout(CONVERGE_S):
                await people.resume_at_last()
                if self.plan.has_hands:  # What they did last is found by the next comparison.
                    await asyncio.sleep(COMPARED_S)
                    await people.resume_at_last()
                await self._comes_to_rest()
        except TimeoutError:
            self.world.complain(f"{CONVERGE_S:g} s without faults, and not at rest: {self._why()}")
        self._is_over.set()
        if self._life is not None:
            self._life.stop("the simulation ends")
        await lives
        await self._once_more()
        for problem in compare(self.stage.file.driver, self.exchange, self.plan):
            self.world.complain(problem)

    def _keep(self, work: Any) -> asyncio.Task[Any]:
        """A task of the world's, which no death of the process ends."""
        task = asyncio.get_running_loop().create_task(work)
        self._mine.add(task)
        return task

    async def _calm_down(self) -> None:
        last = self.exchange.market.period[-1].session
        await self.exchange.until(last.closes_at - self.plan.calm_minutes * MINUTE)
        self.world.is_calm = True
        self.world.note("calm")

    # -- lives --

    def _plan_deaths(self) -> Iterator[int | None]:
        """How many boundaries each life passes; None where it is not to die."""
        yield from self.plan.crash_at
        dice = self.plan.dice("deaths")
        while self.plan.crash_every:
            mean = self.plan.crash_every
            # Often soon after the start, when there is most to be put right.
            yield dice.randrange(30) if dice.random() < 0.3 else int(dice.expovariate(1 / mean))
        while True:
            yield None

    async def _live_on(self) -> None:
        """One life after the other until the run is over."""
        dice = self.world.dice("down")
        downs = chain(self.plan.downs_s, iter(lambda: dice.random() * self.plan.down_s, None))
        while not self._is_over.is_set():
            burns_at = None if self.world.is_calm else next(self._deaths)
            await self._one_life(burns_at)
            if not self._is_over.is_set():
                await asyncio.sleep(next(downs))
            if len(self._fuses) > LIVES_MOST:
                self._deaths = iter(lambda: None, 0)

    async def _one_life(self, burns_at: int | None) -> None:
        world = self.world
        world.life += 1
        fuse = Fuse(burns_at, world.note)
        self._fuses.append(fuse)
        life = self._life = Life(self.stage, fuse)
        self.witness.born()
        self._disk_faults_before = self._disk_faults()
        living = asyncio.create_task(life.live())
        burnt = asyncio.create_task(fuse.burnt.wait())
        await asyncio.wait({living, burnt}, return_when=asyncio.FIRST_COMPLETED)
        if fuse.is_burnt:
            world.tally["death"] += 1
        elif error := living.exception():
            self._hear_end(error)
        trades = life.daemon is not None and life.daemon.state is State.TRADING
        self.witness.died(is_crash=fuse.is_burnt, was_trading=trades)
        self._life = None
        fuse.burn("its end")
        await self._bury()

    def _hear_end(self, error: BaseException) -> None:
        """The daemon has ended by itself: after a failure of the disk, or of a broker that does not
        answer, that is right. A mistake of the strategy's is raised.
        """
        if isinstance(error, StrategyError):
            raise error
        self.world.note(f"ended: {error!r}")
        self.world.tally[f"end: {type(error).__name__}"] += 1
        has_failed: dict[type[BaseException], bool] = {
            StorageError: self._disk_faults() > self._disk_faults_before,
            Unreachable: not self.plan.has_sound_lines,
        }
        if not has_failed.get(type(error), False):
            self.world.complain(f"the daemon ended: {error!r}")

    def _disk_faults(self) -> int:
        return sum(n for what, n in self.world.tally.items() if what.startswith("fault: disk"))

    async def _bury(self) -> None:
        """Nothing of a life is left."""
        left = asyncio.all_tasks() - self._mine - {_this_task()}
        # By number, not by text: where a process has come to in counting must not matter.
        for task in sorted(left, key=lambda task: (len(task.get_name()), task.get_name())):
            task.cancel()
        if left:
            await asyncio.wait(left)

    # -- at the end --

    async def _comes_to_rest(self) -> None:
        while self._why():
            await asyncio.sleep(1.0)

    def _why(self) -> str:
        """What is not at rest; empty if everything is."""
        daemon = None if self._life is None else self._life.daemon
        if daemon is None:
            return "there is no daemon"
        if daemon.state is not State.TRADING:
            return f"the daemon is {daemon.state}"
        if daemon.pump.in_flight:
            return f"requests are under way: {daemon.pump.in_flight}"
        unknown = [
            order.order_id
            for order in work.unanswered(daemon.engine.book)
            if order.broker_id is None or order.cancel_reason is not None
        ]
        if unknown:
            return f"what became of {unknown} is not known"
        late = [order.order_id for each in daemon.engine.book.in_order() for order in each.late]
        if late:
            return f"{late} appeared late and work on"
        reasons = {
            name: why
            for name, why in daemon.parts.gate.reasons.items()
            if name != UNCOVERED or not self._waits_for_an_open()
        }
        return f"entries are closed: {reasons}" if reasons else ""

    def _waits_for_an_open(self) -> bool:
        """Shares whose closing order waits for the next session have no stop beside it."""
        orders = self.exchange.desk.blotter.open_orders()
        return any(order.status in UNROUTED and order.type == "market" for order in orders)

    async def _once_more(self) -> None:
        """Start, reconcile, stop: nothing is recorded, for nothing has happened."""
        before = _facts(self.stage.file)
        fuse = Fuse(None, self.world.note)
        self._fuses.append(fuse)
        self.world.life += 1
        life = Life(self.stage, fuse)
        living = asyncio.create_task(life.live())
        await asyncio.sleep(self.plan.once_more_s)
        life.stop("the simulation ends")
        await asyncio.wait({living})
        if error := living.exception():
            self.world.complain(f"one more start: {error!r}")
        more = _facts(self.stage.file)[len(before) :]
        if more:
            self.world.complain(f"one more start has recorded {more}")
        await self._bury()


def _this_task() -> asyncio.Task[Any]:
    task = asyncio.current_task()
    assert task is not None
    return task


def _facts(file: MemoryFile) -> list[str]:
    return [kind for (kind,) in file.driver.execute("SELECT kind FROM order_event ORDER BY seq")]
