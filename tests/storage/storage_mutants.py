"""Ledgers that each make one mistake about the disk: the storage tier has to find them out."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from storage_disk import Call
from storage_faults import FaultLab
from storage_histories import HISTORIES
from storage_lab import Complaint
from storage_life import Kind

from algo_trader.core.events import Fact
from algo_trader.ledger import shape
from algo_trader.ledger.backup import partial_of
from algo_trader.ledger.ledger import Ledger
from algo_trader.ledger.migrate import upgrade


class _AnswersFirst(Ledger):
    """Says that an append is done and commits it with the next."""

    _held: Sequence[Fact] = ()

    def append(self, facts: Sequence[Fact]) -> None:
        """Commit what was held, hold what is new."""
        held, self._held = self._held, facts
        super().append(held)

    def close(self) -> None:
        """Commit what is held."""
        self.append(())
        super().close()


class _CommitsEachFact(Ledger):
    """Makes a transaction of each fact of an append."""

    def append(self, facts: Sequence[Fact]) -> None:
        """One by one."""
        for fact in facts:
            super().append([fact])


class _GoesOn(Ledger):
    """Tries again after a storage error."""

    def _check(self) -> None:
        if self._driver.in_transaction:
            self._driver.execute("ROLLBACK")


def _unflushed(ledger: Ledger, target: Path) -> None:
    """A copy is named, and the folder is not flushed."""
    with partial_of(target) as partial:
        ledger.snapshot(partial)
        os.replace(partial, target)


def _in_place(ledger: Ledger, target: Path) -> None:
    """A copy is written under its last name, over the one before."""
    target.unlink(missing_ok=True)
    ledger.snapshot(target)


def _by_statement(path: Path) -> None:
    """A new file is made without a transaction."""
    if path.exists():
        upgrade(path)
        return
    driver = sqlite3.connect(path, isolation_level=None)
    driver.execute("PRAGMA synchronous = FULL")
    for statement in shape.statements():
        driver.execute(statement)
    driver.execute(f"PRAGMA application_id = {shape.LEDGER_ID}")
    driver.execute(f"PRAGMA user_version = {shape.VERSION}")
    driver.close()


class Mutant(NamedTuple):
    """A ledger with a mistake, and the history that brings it out."""

    kind: Kind
    history: str
    is_about_faults: bool = False


MUTANTS = (
    Mutant(Kind("synchronous = NORMAL", settings=("PRAGMA synchronous = NORMAL",)), "append"),
    Mutant(Kind("synchronous = OFF", settings=("PRAGMA synchronous = OFF",)), "append"),
    Mutant(Kind("answers before the commit", ledger=_AnswersFirst), "append"),
    Mutant(Kind("commits each fact of an append", ledger=_CommitsEachFact), "append"),
    Mutant(Kind("goes on after a storage error", ledger=_GoesOn), "append", is_about_faults=True),
    Mutant(Kind("does not flush the name of a copy", back_up=_unflushed), "backup"),
    Mutant(Kind("writes a copy over the last one", back_up=_in_place), "backup"),
    Mutant(Kind("makes a new file without a transaction", upgrade=_by_statement), "create"),
)


def found_out(mutant: Mutant) -> Iterator[Complaint]:
    """What the tier says of a mutant; it is enough to ask for the first."""
    (history,) = (history for history in HISTORIES if history.name == mutant.history)
    lab = FaultLab(mutant.kind, seeds=1)
    if mutant.is_about_faults:
        yield from lab.faults(history, only=[Call.WRITE])
    else:
        yield from lab.cuts(history)
