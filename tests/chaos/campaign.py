"""The long campaign of kills on real processes, in one command, in a fresh clone too:

    uv run python -m tests.chaos.campaign --cycles 2000 --json result.json

Several exchanges are traded side by side, each by one daemon at a time, until so many lives have
ended. It stops giving out new work at the first finding unless told to go on, prints where the
files of a failure lie, and how to see it again. Exit 1 if there was a finding.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from contextlib import contextmanager
from multiprocessing import get_context
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))  # Run as a module, its neighbours are no package.

from kill_points import POINTS
from kill_series import Series, Tally
from kill_world import SPEED, World, may_trace

MEMORY = Path("/dev/shm")
PER_WORLD = 50
"""Cycles on one account; then another exchange and another ledger, so that both stay quick."""
SESSIONS = 16
MANNERS = ("plain", "refuses", "plain", "parts")
"""What the exchanges do at random, world after world."""


def one_world(root: Path, seed: int, cycles: int, speed: int) -> dict[str, Any]:
    """The series of one seed; its files are kept if anything was found."""
    signal.signal(signal.SIGTERM, _end)  # What was started here is ended too.
    place = root / f"seed-{seed}"
    place.mkdir(parents=True)
    manner = MANNERS[seed % len(MANNERS)]
    with World(place, seed, sessions=SESSIONS, manner=manner, speed=speed) as world:
        series = Series(world, seed, in_parts=manner == "parts", may_trace=may_trace())
        tally = series.run(cycles)
    if not tally.findings:
        shutil.rmtree(place)
    return vars(tally)


def _end(number: int, _: object) -> None:
    sys.exit(128 + number)


class Campaign:
    """What all worlds have come to."""

    def __init__(self, cycles: int) -> None:
        self.wanted = cycles
        self.total = Tally()
        self.worlds = 0
        self._began = time.monotonic()

    def add(self, found: dict[str, Any]) -> None:
        """The result of one world."""
        total = self.total
        self.worlds += 1
        for name in ("cycles", "kills", "alerts"):
            setattr(total, name, getattr(total, name) + found[name])
        for name in ("kinds", "seconds", "points", "missed", "compared"):
            getattr(total, name).update(found[name])
        total.bare_s += found["bare_s"]
        total.findings += found["findings"]

    @property
    def seconds(self) -> float:
        """Since the beginning."""
        return time.monotonic() - self._began

    def line(self) -> str:
        """How far it is."""
        total = self.total
        rate = total.cycles / self.seconds * 60
        return (
            f"{total.cycles}/{self.wanted} cycles, {total.kills} kills, {self.worlds} worlds, "
            f"{total.compared['executions']} executions compared, {rate:.0f} cycles/min, "
            f"{len(total.findings)} findings"
        )

    def summary(self, seed: int) -> dict[str, Any]:
        """The result as it is saved."""
        total = self.total
        bare = sorted(total.bare_s)
        kinds = Counter(line.partition(":")[0] for each in total.findings for line in each["lines"])
        return {
            "cycles": total.cycles,
            "sigkills": total.kills,
            "worlds": self.worlds,
            "first_seed": seed,
            "seconds": round(self.seconds, 1),
            "cycles_per_minute": round(total.cycles / self.seconds * 60, 1),
            "machine": f"{platform.machine()}, {os.cpu_count()} cores, {platform.system()}",
            "cycles_by_kind": dict(sorted(total.kinds.items())),
            "seconds_by_kind": dict(sorted(total.seconds.items())),
            "points_hit": dict(sorted(total.points.items())),
            "points_missed": dict(sorted(total.missed.items())),
            "points_never_hit": sorted(name for name in POINTS if not total.points[name]),
            "compared": dict(sorted(total.compared.items())),
            "uncovered": {
                "intervals": len(bare),
                "max_s": round(bare[-1], 3) if bare else 0,
                "p99_s": round(bare[math.ceil(len(bare) * 0.99) - 1], 3) if bare else 0,
                "alerts": total.alerts,
            },
            "findings_by_kind": dict(sorted(kinds.items())),
            "findings": total.findings,
        }


@contextmanager
def _root(given: Path | None) -> Iterator[Path]:
    if given is not None:
        given.mkdir(parents=True, exist_ok=True)
        yield given
        return
    parent = MEMORY if MEMORY.is_dir() else None
    root = Path(tempfile.mkdtemp(prefix="algo-kills-", dir=parent))
    try:
        yield root
    finally:
        if not any(root.iterdir()):
            root.rmdir()


def run(options: argparse.Namespace, root: Path) -> Campaign:
    """Worlds side by side until the cycles are done, or something was found."""
    campaign = Campaign(options.cycles)
    given_out, seed = 0, options.seed
    running: dict[Future[dict[str, Any]], int] = {}
    with ProcessPoolExecutor(options.side_by_side, mp_context=get_context("spawn")) as pool:
        while True:
            may_go_on = options.go_on or not campaign.total.findings
            while given_out < options.cycles and may_go_on and len(running) < options.side_by_side:
                share = min(PER_WORLD, options.cycles - given_out)
                future = pool.submit(one_world, root, seed, share, options.speed)
                running[future] = share
                given_out, seed = given_out + share, seed + 1
            if not running:
                return campaign
            done, _ = wait(running, return_when=FIRST_COMPLETED)
            for future in done:
                share = running.pop(future)
                found = future.result()
                given_out -= max(0, share - found["cycles"])  # The bars ended first.
                campaign.add(found)
                _save(campaign, options)
                sys.stderr.write(campaign.line() + "\n")
                for each in found["findings"]:
                    _show(each, options)


def _save(campaign: Campaign, options: argparse.Namespace) -> None:
    """The result so far: a run that is cut short has not been in vain."""
    if options.json is not None:
        summary = campaign.summary(options.seed)
        options.json.write_text(json.dumps(summary, indent=1) + "\n")


def _show(found: dict[str, Any], options: argparse.Namespace) -> None:
    seed = found["seed"]
    sys.stderr.write(
        f"FOUND seed {seed}, cycle {found['cycle']}, {found['what']}; files in {found['files']}, "
        f"last log {found['log']}\n"
        + "".join(f"  {line}\n" for line in found["lines"])
        + f"  again: uv run python -m tests.chaos.campaign --seed {seed} --cycles {PER_WORLD} "
        f"--side-by-side 1 --speed {options.speed}\n"
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Run it; the exit code."""
    parser = argparse.ArgumentParser(prog="tests.chaos.campaign", description=__doc__)
    parser.add_argument("--cycles", type=int, default=2000, help="lives that end")
    parser.add_argument("--seed", type=int, default=1, help="of the first world")
    parser.add_argument("--side-by-side", type=int, default=6, help="worlds at a time")
    parser.add_argument("--speed", type=int, default=SPEED, help="of the exchanges' time")
    parser.add_argument("--go-on", action="store_true", help="after a finding too")
    parser.add_argument("--json", type=Path, help="where the result is written")
    parser.add_argument("--keep", type=Path, help="where the files of failures stay")
    options = parser.parse_args(arguments)
    with _root(options.keep) as root:
        campaign = run(options, root)
    summary = campaign.summary(options.seed)
    sys.stderr.write(json.dumps({k: v for k, v in summary.items() if k != "findings"}) + "\n")
    return 1 if campaign.total.findings else 0


if __name__ == "__main__":
    sys.exit(main())
