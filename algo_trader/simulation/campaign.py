"""Many seeds on all cores, and what they have come to.

A failure is told with all that is needed to see it again: the seed, the boundaries its lives ended
at, the last lines of its trace and the command that replays it.
"""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from algo_trader.config import Settings
from algo_trader.core.errors import StrategyError
from algo_trader.core.holding import Holding
from algo_trader.core.types import MINUTE
from algo_trader.engine.lane import Lane
from algo_trader.simulation.coverage import cells_of
from algo_trader.simulation.plan import SYMBOLS, Level, Plan, draw
from algo_trader.simulation.run import Outcome, run
from algo_trader.simulation.strategy import Restless, Scripted
from algo_trader.simulation.workers import spread
from algo_trader.strategies import Strategy
from algo_trader.strategy_files import find_strategy, make_strategy
from algo_trader.wiring.trading import Trading, strategy_parameters

BUILT_IN = "restless"
SCRIPTED = "scripted"
TAIL_TOLD = 50
PIECES = 4
"""Seeds that a process is handed at a time."""


def strategy_named(reference: str) -> type[Strategy]:
    """The class that trades; ConfigError if there is none of that name."""
    own = {BUILT_IN: Restless, SCRIPTED: Scripted}
    return own.get(reference) or find_strategy(reference)[1]


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """What every run of a campaign has in common. `own` are parameters of the strategy that were
    set; `before` and `words` are the options before and after the command's name that lead to the
    same setup.
    """

    settings: Settings
    reference: str = BUILT_IN
    own: Mapping[str, Any] = field(default_factory=dict)
    level: Level = Level.HEAVY
    minutes: int = 40
    days: int = 2
    before: str = ""
    words: str = ""

    def play(self, seed: int, crash_at: tuple[int, ...] = ()) -> Outcome:
        """Run a seed; with `crash_at` its lives end at these boundaries and nowhere else."""
        plan = draw(seed, self.level, self.minutes, self.days)
        if crash_at:
            plan = replace(plan, crash_at=crash_at, crash_every=0)
        return self.play_plan(plan)

    def play_plan(self, plan: Plan) -> Outcome:
        """Run a plan. StrategyError, which names the seed, at a mistake of the strategy's."""
        try:
            # A strategy may print; the answer stays one document.
            with redirect_stdout(sys.stderr):
                return self._played(plan)
        except StrategyError as error:
            raise StrategyError(f"seed {plan.seed}: {error}", error.strategy_traceback) from error

    def _played(self, plan: Plan) -> Outcome:
        cls = strategy_named(self.reference)
        parameters = strategy_parameters(cls, self.settings, dict(self.own))
        if cls is Restless:
            parameters = {"has_targets": plan.has_targets, **parameters}
        if cls is Scripted:
            parameters = {"script": plan.script, **parameters}
        name = BUILT_IN if cls is Restless else cls.__name__.lower()
        trading = Trading(name=name, cls=cls, parameters=parameters, symbols=plan.symbols)
        lane = Lane(name, make_strategy(cls, SYMBOLS[0], parameters), Holding(name, SYMBOLS[0]))
        history = -(-lane.needed_candles * lane.interval_s // (plan.minutes * MINUTE))
        return run(replace(plan, history_days=max(1, history)), self.settings, trading)


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """A run in short, to be handed from process to process."""

    seed: int
    complaints: list[str]
    tail: list[str]
    crash_at: tuple[int, ...]
    tally: Counter[str]
    cells: Counter[str]
    bare_s: list[float]
    lives: int
    boundaries: int
    fingerprint: str


def summary(outcome: Outcome) -> Summary:
    """The run in short; its trace only if something is wrong."""
    has_failed = bool(outcome.complaints)
    return Summary(
        seed=outcome.plan.seed,
        complaints=outcome.complaints,
        tail=outcome.tail[-TAIL_TOLD:] if has_failed else [],
        crash_at=tuple(map(len, outcome.boundaries)) if has_failed else (),
        tally=outcome.tally,
        cells=cells_of(outcome.file.driver),
        bare_s=outcome.bare_s,
        lives=len(outcome.boundaries),
        boundaries=sum(map(len, outcome.boundaries)),
        fingerprint=outcome.fingerprint,
    )


def play_seeds(setup: Setup, seeds: Sequence[int]) -> list[Summary]:
    """Run seeds one after the other."""
    return [summary(setup.play(seed)) for seed in seeds]


@dataclass(slots=True, kw_only=True)
class Sum:
    """What many runs have come to so far: `runs` of those `wanted`."""

    wanted: int = 1
    runs: int = 0
    lives: int = 0
    boundaries: int = 0
    seconds: float = 0.0
    tally: Counter[str] = field(default_factory=Counter)
    bare_s: list[float] = field(default_factory=list)

    def count(self, one: Summary) -> None:
        """Count a run."""
        self.runs += 1
        self.lives += one.lives
        self.boundaries += one.boundaries
        self.tally += one.tally
        self.bare_s += one.bare_s


@dataclass(slots=True, kw_only=True)
class Report(Sum):
    """What a campaign has come to so far, of seeds from `first_seed` on."""

    setup: Setup
    first_seed: int = 1
    cells: Counter[str] = field(default_factory=Counter)
    failures: list[Summary] = field(default_factory=list)

    def add(self, one: Summary) -> None:
        """Count a run."""
        self.count(one)
        self.cells += one.cells
        if one.complaints:
            self.failures.append(one)

    @property
    def broken(self) -> list[tuple[str, str]]:
        """What failed, and the first thing that did not hold."""
        return [(f"seed {one.seed}", one.complaints[0]) for one in self.failures]

    @property
    def faults(self) -> dict[str, int]:
        """Faults, deaths and deeds by kind."""
        return {
            name: count
            for name, count in sorted(self.tally.items())
            if name.startswith(("fault: ", "deed: ", "death"))
        }


def campaign(
    report: Report,
    seeds: Sequence[int],
    jobs: int,
    tell: Callable[[Report], None],
    goes_on: Callable[[], bool] = lambda: True,
) -> None:
    """Run the seeds on so many processes and add them to the report; `tell` is called whenever some
    have ended. Once it does not go on, no more are begun. WorkerLost if a process has died: the
    report holds what was run until then.
    """
    report.first_seed, report.wanted = seeds[0], len(seeds)
    began = time.perf_counter()
    pieces = [seeds[at : at + PIECES] for at in range(0, len(seeds), PIECES)]
    try:
        for _, found in spread(partial(play_seeds, report.setup), pieces, jobs, goes_on):
            for one in found:
                report.add(one)
            report.seconds = time.perf_counter() - began
            tell(report)
    finally:
        report.failures.sort(key=lambda one: one.seed)
