"""`algo-trader simulate --scenario NAME`: scripted runs that die at every point."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import click

from algo_trader.cli.interruption import Interruption
from algo_trader.cli.one_run import looked_at
from algo_trader.core.errors import ConfigError
from algo_trader.simulation import sweep as points
from algo_trader.simulation import sweep_report as words
from algo_trader.simulation.scenarios import SCENARIOS
from algo_trader.simulation.workers import WorkerLost

ALL = "all"


class Wanted(NamedTuple):
    """Which scenarios, and of their crash points one, or each n-th."""

    names: tuple[str, ...]
    crash_at: tuple[int, ...]
    every: int
    keep: Path | None
    has_trace: bool

    @property
    def is_one_run(self) -> bool:
        """Whether a single run is looked at."""
        return bool(self.crash_at or self.keep or self.has_trace)


def tell_list() -> None:
    """Print every scenario."""
    click.echo(words.listing())


def run_points(
    wanted: Wanted, jobs: int, tell: Callable[[points.Sweep], None], as_document: bool
) -> bool:
    """Run them and print what came of it; False if anything does not hold."""
    names = list(SCENARIOS) if ALL in wanted.names else list(wanted.names)
    for name in names:
        if name not in SCENARIOS:
            raise ConfigError(f"--scenario {name}: there is none of that name; --list names them")
    if wanted.is_one_run:
        if len(names) != 1:
            raise ConfigError(
                "--crash-at, --keep and --trace look at one run: name one --scenario"
            )
        found = _one(points.Point(names[0], wanted.crash_at), wanted)
    else:
        found = points.Sweep()
        with Interruption() as interruption:

            def goes_on() -> bool:
                return not interruption.is_asked

            try:
                points.sweep(found, _thinned(names, wanted.every, goes_on), jobs, tell, goes_on)
            except WorkerLost:
                _print(found, as_document)
                raise
            _print(found, as_document)
            interruption.heed()
        return not found.failures
    _print(found, as_document)
    return not found.failures


def _thinned(names: Sequence[str], every: int, goes_on: Callable[[], bool]) -> list[points.Point]:
    """Each scenario in peace, and of all crash points each n-th."""
    in_peace = [points.Point(name) for name in names]
    deaths = [point for name in names if goes_on() for point in points.points_of(name)]
    return in_peace + deaths[::every]


def _print(found: points.Sweep, as_document: bool) -> None:
    click.echo(json.dumps(words.document(found), indent=2) if as_document else words.table(found))


def _one(point: points.Point, wanted: Wanted) -> points.Sweep:
    found = points.Sweep()
    one = looked_at(
        lambda: points.play(point),
        point.name,
        crash_at=wanted.crash_at,
        keep=wanted.keep,
        has_trace=wanted.has_trace,
    )
    found.add(point, one)
    return found
