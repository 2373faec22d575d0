"""Every scenario, dying at every point: once at each boundary, and once more soon after.

All that the process can do between two boundaries is to know something, which dies with it; so a
sweep is over every moment at which it can die.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from typing import NamedTuple

from algo_trader.config import load_settings
from algo_trader.simulation.campaign import SCRIPTED, Setup, Sum, Summary, summary
from algo_trader.simulation.run import Outcome
from algo_trader.simulation.scenarios import SCENARIOS
from algo_trader.simulation.workers import spread

AGAIN = (3, 10, 25)
"""After so many boundaries of the next life it dies once more."""
DOWNS_S = (0.3, 4.0)
"""How long nobody is there after a death, by turns: some seconds of the market, some minutes."""
PIECE = 20
"""Points that a process is handed at a time."""
ROOM = (
    "watchlist=AA,BB",
    "risk.max_position_pct=0.0125",
    "risk.max_daily_loss_pct=0.1",
    "risk.max_risk_per_trade_pct=0.02",
    "risk.consecutive_loss_pause=10",
)
"""Limits under which a scenario's entries are of a dozen shares."""


class Point(NamedTuple):
    """A scenario, and the boundary at which each of its lives dies; none for a run in peace."""

    name: str
    crash_at: tuple[int, ...] = ()


def play(point: Point) -> Outcome:
    """Run it."""
    plan = SCENARIOS[point.name].plan
    if point.crash_at:
        turns = [(sum(point.crash_at) + life) % 2 for life in range(len(point.crash_at))]
        downs_s = plan.downs_s or tuple(DOWNS_S[turn] for turn in turns)
        plan = replace(plan, crash_at=point.crash_at, downs_s=downs_s)
    return _setup().play_plan(plan)


def points_of(name: str, again: Sequence[int] = AGAIN) -> Iterator[Point]:
    """Every point of a scenario: those of each of its lives, in order, and each once more."""
    *lives, _once_more = play(Point(name)).boundaries
    before: tuple[int, ...] = ()
    for life in lives:
        for number in range(len(life)):
            yield Point(name, (*before, number))
            yield from (Point(name, (*before, number, soon)) for soon in again)
        before += (len(life),)


@cache
def _setup() -> Setup:
    settings = load_settings(env_file=None, environ={}, overrides=list(ROOM)).settings
    return Setup(settings=settings, reference=SCRIPTED)


@dataclass(slots=True, kw_only=True)
class Sweep(Sum):
    """What a sweep has come to so far. `points` by scenario."""

    points: Counter[str] = field(default_factory=Counter)
    crash_points: int = 0
    failures: list[tuple[Point, Summary]] = field(default_factory=list)

    @property
    def broken(self) -> list[tuple[str, str]]:
        """What failed, and the first thing that did not hold."""
        return [
            (f"{point.name}, died at {list(point.crash_at)}", one.complaints[0])
            for point, one in self.failures
        ]

    def add(self, point: Point, one: Summary) -> None:
        """Count a run."""
        self.count(one)
        self.points[point.name] += 1
        self.crash_points += bool(point.crash_at)
        if one.complaints:
            self.failures.append((point, one))


def sweep(
    found: Sweep,
    points: Sequence[Point],
    jobs: int,
    tell: Callable[[Sweep], None],
    goes_on: Callable[[], bool] = lambda: True,
) -> None:
    """Run the points on so many processes and add them to `found`; `tell` is called whenever some
    have ended. Once it does not go on, no more are begun. WorkerLost if a process has died.
    """
    found.wanted = len(points)
    began = time.perf_counter()
    pieces = [points[at : at + PIECE] for at in range(0, len(points), PIECE)]
    for piece, summaries in spread(_play_all, pieces, jobs, goes_on):
        for point, one in zip(piece, summaries, strict=True):
            found.add(point, one)
        found.seconds = time.perf_counter() - began
        tell(found)


def _play_all(points: Sequence[Point]) -> list[Summary]:
    return [summary(play(point)) for point in points]
