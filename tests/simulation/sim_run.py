"""One run: a daemon that lives, dies at chosen boundaries, comes back and goes on to the end.

A crash takes everything in memory; the files are taken as they lie at that moment, copied aside
before anything is closed, and opened by new objects.
"""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from oracle import compare
from sim_life import EXCHANGE, LEDGER, REAL, Kind, Life, Scenario
from sim_world import FaultPlan, World

from algo_trader.ledger import migrate
from algo_trader.simulation.fuse import Fuse
from algo_trader.simulation.loop import run_virtually

LONGEST_S = 100_000.0
"""Of virtual time: a run that takes longer is stuck."""
PATIENCE_MINUTES = 8
"""How long a position may lack cover where the broker refuses or the line is faulty."""


@dataclass
class Outcome:
    """What a run led to. `lives` are the boundaries each incarnation passed."""

    complaints: list[str]
    lives: list[list[str]]
    world: World
    files: Path


@dataclass
class Simulator:
    """Runs in a folder of its own."""

    folder: Path
    _count: int = 0

    def __post_init__(self) -> None:
        migrate.upgrade(self.folder / LEDGER)

    def run(
        self,
        scenario: Scenario,
        crashes: Sequence[int] = (),
        plan: FaultPlan | None = None,
        kind: Kind = REAL,
        *,
        keep: bool = False,
    ) -> Outcome:
        """Run to the end; incarnation n dies at boundary `crashes[n]`, if it gets there.

        The files are kept if something was found, or when asked to `keep` them.
        """
        self._count += 1
        run = self.folder / f"run-{self._count}"
        is_calm = plan is None and not scenario.refuse_pct
        world = World(plan, patience=0 if is_calm else PATIENCE_MINUTES)
        fuses = [Fuse(burns_at) for burns_at in crashes]
        fuses.append(Fuse(None))
        lives: list[Life] = []

        async def go() -> Path:
            folder = run / "life-0"
            for number, fuse in enumerate(fuses, 1):
                folder, before = run / f"life-{number}", folder
                shutil.copytree(before, folder)
                lives.append(Life(folder, scenario, kind, world, fuse))
                async with asyncio.timeout(LONGEST_S):
                    await lives[-1].live()
                if not fuse.is_burnt:
                    lives[-1].bury()
                    world.complaints += compare(folder / LEDGER, folder / EXCHANGE)
                if world.complaints:
                    break
            return folder

        (run / "life-0").mkdir(parents=True)
        shutil.copyfile(self.folder / LEDGER, run / "life-0" / LEDGER)
        files = run_virtually(go())
        for life in lives:
            life.bury()
        if not (world.complaints or keep):
            shutil.rmtree(run)
        return Outcome(world.complaints, [fuse.passed for fuse in fuses], world, files)
