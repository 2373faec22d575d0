"""`algo-trader simulate --scenario NAME`: scripted runs that die at every point."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import click

from algo_trader.cli.main import Stopped, say
from algo_trader.core.errors import ConfigError
from algo_trader.simulation import sweep as points
from algo_trader.simulation import sweep_report as words
from algo_trader.simulation.campaign import summary
from algo_trader.simulation.scenarios import SCENARIOS

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
        in_peace = [points.Point(name) for name in names]
        deaths = [point for name in names for point in points.points_of(name)]
        found = points.Sweep()
        try:
            points.sweep(found, in_peace + deaths[:: wanted.every], jobs, tell)
        except (KeyboardInterrupt, Stopped):
            _print(found, as_document)
            raise
    _print(found, as_document)
    return not found.failures


def _print(found: points.Sweep, as_document: bool) -> None:
    click.echo(json.dumps(words.document(found), indent=2) if as_document else words.table(found))


def _one(point: points.Point, wanted: Wanted) -> points.Sweep:
    outcome = points.play(point)
    if wanted.keep is not None:
        wanted.keep.mkdir(parents=True, exist_ok=True)
        say(f"wrote {outcome.save(wanted.keep)}")
    if wanted.has_trace:
        say("\n".join(outcome.tail))
    found = points.Sweep()
    found.add(point, summary(outcome))
    return found
