"""The ledger's life on a simulated disk, and what it was told on the way.

Owns the expectation. What a process does is a list of steps, each from one number of disk
operations to another: what was in the ledger before it, what is in it after it, and whether the
process was told that it is done. After a power cut at any operation the ledger must hold what the
last finished step left, or what the one under way would have left; nothing else.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from recorded import WHEN
from storage_disk import Disk

from algo_trader.core.errors import AlgoTraderError
from algo_trader.core.events import Fact
from algo_trader.ledger import backup as backups
from algo_trader.ledger import shape
from algo_trader.ledger.codec import encode
from algo_trader.ledger.database import read_only, told
from algo_trader.ledger.errors import LedgerRefused
from algo_trader.ledger.ledger import Ledger
from algo_trader.ledger.migrate import upgrade

NAME, COPY = "trading.db", "copy.db"
BEFORE = f"{NAME}.before-version-{shape.VERSION}"
_LEFT = (".partial", ".partial-journal", ".copying", ".arriving")
"""Endings of what a backup or a restore that was cut short may leave; the next one clears it up."""


@dataclass(frozen=True, slots=True)
class Kind:
    """How the ledger is opened and copied: as the program does it, or as a mutant."""

    name: str = "the real thing"
    ledger: type[Ledger] = Ledger
    settings: tuple[str, ...] = ()
    back_up: Callable[[Ledger, Path], object] = backups.backup
    upgrade: Callable[[Path], object] = upgrade


REAL = Kind()


class State(NamedTuple):
    """What a ledger holds: its facts as text, and its notes."""

    facts: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{len(self.facts)} facts and {len(self.notes)} notes"


@dataclass
class Step:
    """A piece of work: the numbers of disk operations before and (once told) after it."""

    begin: int
    after: State
    copies: str = ""
    end: int | None = None

    def is_done(self, at: int) -> bool:
        """Whether it was told to be done when `at` operations were."""
        return self.end is not None and self.end <= at


@dataclass
class Story:
    """What happened on a disk, and what may be there after a cut."""

    before: State
    copies: dict[str, State] = field(default_factory=dict)
    is_older: bool = False
    steps: list[Step] = field(default_factory=list)

    @property
    def now(self) -> State:
        """What is there if nothing goes wrong."""
        return self.steps[-1].after if self.steps else self.before

    def may_be(self, at: int) -> list[State]:
        """What the ledger may hold after a cut when `at` operations were done."""
        found = [self.before]
        for step in self.steps:
            if step.is_done(at):
                found = [step.after]
            elif step.begin <= at:
                found.append(step.after)
        return found

    def is_older_at(self, at: int) -> bool:
        """Whether the file may be of an older version after a cut."""
        return any(step.copies == BEFORE and not step.is_done(at) for step in self.steps)

    def copies_may_be(self, at: int) -> dict[str, list[State | None]]:
        """The same of each copy that may be there; None: no such file."""
        found: dict[str, list[State | None]] = {
            name: [state] for name, state in self.copies.items()
        }
        for step in self.steps:
            if not step.copies or step.begin > at:
                continue
            held = found.setdefault(step.copies, [None])
            if step.is_done(at):
                held.clear()
            held.append(step.after)
        return found


class Life:
    """A process with a ledger, on a disk that may fail; its story as it goes."""

    def __init__(self, disk: Disk, story: Story, kind: Kind = REAL) -> None:
        self.disk, self.story, self.kind = disk, story, kind
        self.path = disk.folder / NAME
        self.ledger: Ledger | None = None

    @property
    def opened(self) -> Ledger:
        """The ledger."""
        assert self.ledger is not None
        return self.ledger

    def start(self) -> None:
        """Bring the file to this version and open it, as a daemon does."""
        with self._step(self.story.now, BEFORE if self.story.is_older else ""):
            self.kind.upgrade(self.path)
        self.story.is_older = False
        self.ledger = self.kind.ledger.open(self.path, lambda: WHEN)
        for setting in self.kind.settings:
            self.execute(setting)

    def append(self, *groups: Sequence[Fact]) -> None:
        """Append each group in a transaction of its own."""
        for group in groups:
            now = self.story.now
            with self._step(now._replace(facts=(*now.facts, *map(encode, group)))):
                self.opened.append(group)

    def note(self, text: str) -> None:
        """Note something on the first trade."""
        now = self.story.now
        (trade,) = self.opened.trades()[:1]
        with self._step(now._replace(notes=(*now.notes, text))):
            self.opened.note(trade.trade_id, text)

    def back_up(self) -> None:
        """Back up to the same disk."""
        with self._step(self.story.now, COPY):
            self.kind.back_up(self.opened, self.disk.folder / COPY)

    def restore(self) -> None:
        """Put the copy in the ledger's place; what was there moves aside."""
        with self._step(self.story.copies[COPY]):
            backups.restore(self.disk.folder / COPY, self.path)

    def close(self) -> None:
        """End in good order."""
        self.opened.close()
        self.ledger = None

    def die(self) -> None:
        """End as by SIGKILL: the connection is closed, but nothing of it gets to the disk."""
        if self.ledger is not None:
            with self.disk.cut_off(), suppress(AlgoTraderError, sqlite3.Error):
                self.ledger.close()
        self.ledger = None

    def execute(self, statement: str) -> None:
        """A statement of SQLite's own, its errors in our words."""
        with told(self.path):
            self.opened._driver.execute(statement).fetchall()

    @contextmanager
    def _step(self, after: State, copies: str = "") -> Iterator[None]:
        step = Step(len(self.disk.ops), after, copies)
        self.story.steps.append(step)
        yield
        step.end = len(self.disk.ops)


def state_of(ledger: Ledger) -> State:
    """What an open ledger holds."""
    notes = tuple(note.note for note in ledger.notes())
    return State(tuple(map(encode, ledger.facts())), notes)


def copied(path: Path) -> State | None:
    """What a copy holds, proved as a backup is; None if there is none."""
    if not path.exists():
        return None
    backups.prove(path)
    driver = read_only(path)
    try:
        facts = driver.execute("SELECT payload FROM order_event ORDER BY seq").fetchall()
        notes = driver.execute("SELECT note FROM trade_note ORDER BY id").fetchall()
    finally:
        driver.close()
    return State(tuple(fact for (fact,) in facts), tuple(note for (note,) in notes))


def complaints_about(life: Life, earlier: Story, at: int) -> Iterator[str]:
    """Start on what is left of an earlier story that was cut after `at` operations; every way in
    which it is not as it may be. Leaves the ledger open, and the life with a story that begins at
    what was found.
    """
    folder, may_be = life.disk.folder, earlier.may_be(at)
    try:
        try:
            life.start()
        except LedgerRefused as refusal:
            if "restore the backup again" not in str(refusal):
                raise
            backups.restore(folder / COPY, life.path)
            life.start()
        yield from life.opened.verify()
        found = state_of(life.opened)
        life.story = Story(found)
        if found not in may_be:
            yield f"it holds {found} where it may hold {' or '.join(map(str, may_be))}"
        copies = earlier.copies_may_be(at)
        for name, states in copies.items():
            there = copied(folder / name)
            if there is not None:
                life.story.copies[name] = there
            # An upgrade that was cut short is done by now, and not without a copy.
            if there not in states or (there is None and name == BEFORE):
                yield f"{name} holds {there} where it may hold {' or '.join(map(str, states))}"
        known = {NAME, f"{NAME}-wal", *copies}
        for name in {path.name for path in folder.iterdir()} - known:
            if not name.endswith(_LEFT) and not name.startswith(f"{NAME}.replaced-"):
                yield f"{name} is left behind"
    except (AlgoTraderError, sqlite3.Error, OSError) as error:
        yield f"{type(error).__name__}: {error}"
