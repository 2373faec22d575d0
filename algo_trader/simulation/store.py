"""The ledger of a run: the real one, on SQLite in memory, which a death of the process leaves as it
is. Between a commit's two boundaries it is whole or not there, as it is on a disk.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing, suppress
from pathlib import Path
from typing import TypeVar

from algo_trader.core import events as ev
from algo_trader.ledger import shape
from algo_trader.ledger.database import Database, told
from algo_trader.ledger.errors import StorageError
from algo_trader.ledger.ledger import Ledger
from algo_trader.ledger.writer import Writer
from algo_trader.simulation.fuse import Fuse
from algo_trader.simulation.plan import DiskFault
from algo_trader.simulation.witness import Witness
from algo_trader.simulation.world import World

Result = TypeVar("Result")


class MemoryFile:
    """A ledger file that is in memory; `open` gives it to an incarnation."""

    def __init__(self) -> None:
        self.driver = sqlite3.connect(":memory:", isolation_level=None)
        self.driver.execute("PRAGMA foreign_keys = ON")
        self.driver.execute("PRAGMA recursive_triggers = ON")
        shape.create(self.driver, shape.LEDGER_ID)

    def open(self) -> Ledger:
        """The ledger, with nothing remembered of earlier ones."""
        return Ledger(Database(Path("simulated"), self.driver))

    def save(self, path: Path) -> None:
        """A copy on the disk, to look at. StorageError, and none, if it cannot be written."""
        try:
            with told(path), closing(sqlite3.connect(path)) as target:
                self.driver.backup(target)
        except StorageError:
            with suppress(OSError):
                path.unlink(missing_ok=True)
            raise


class DirectWriter(Writer):
    """The ledger without a thread of its own; an append takes a few turns of the loop."""

    def __init__(self, ledger: Ledger, fuse: Fuse, world: World, witness: Witness) -> None:
        super().__init__(lambda: ledger)
        self._ledger = ledger
        self._fuse = fuse
        self._world = world
        self._witness = witness

    async def start(self) -> None:
        """It is open."""

    async def append(self, facts: Sequence[ev.Fact]) -> None:
        """Commit, between two boundaries; or fail, and then it may be on the disk or not."""
        await asyncio.sleep(0)
        kinds = ", ".join(dict.fromkeys(type(fact).__name__ for fact in facts))
        self._fuse.touch(f"before the commit of {kinds}")
        self._refuse_if_ended()
        dice, plan = self._world.dice("disk"), self._world.plan
        fails = not self._world.is_calm and dice.random() < plan.disk_pct
        is_kept = dice.random() < 0.5
        for kind in kinds.split(", "):
            if (fault := self._world.scripted(f"commit {kind}")) is not None:
                fails, is_kept = True, fault is DiskFault.KEPT
        if not fails or is_kept:
            self._ledger.append(facts)
            self._witness.note_durable(facts)
        if fails:
            self._world.tally[f"fault: disk {'kept' if is_kept else 'lost'}"] += 1
            self._world.note(f"the disk fails at {kinds}, kept: {is_kept}")
            self.ended.set()
            raise StorageError("simulated: disk I/O error")
        self._fuse.touch(f"after the commit of {kinds}")
        await asyncio.sleep(0)

    async def run(self, closure: Callable[[Ledger], Result]) -> Result:
        """The closure's result."""
        self._refuse_if_ended()
        return closure(self._ledger)

    async def close(self) -> None:
        """The file stays."""
        self.ended.set()

    def _refuse_if_ended(self) -> None:
        if self.ended.is_set():
            raise StorageError("the ledger's writer has ended")
