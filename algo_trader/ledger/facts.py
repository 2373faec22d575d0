"""The facts of a ledger, read back and folded, from the last snapshot on where there is one.

Owns where a fold begins and when the next snapshot is due. The ledger folds the facts into a book
of its own (see projection). A snapshot that is of no use is told of and ignored.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Protocol

from algo_trader.core.book import Book
from algo_trader.core.events import Fact
from algo_trader.core.types import Instant
from algo_trader.ledger.codec import decode
from algo_trader.ledger.database import Database
from algo_trader.ledger.errors import LedgerCorrupt
from algo_trader.ledger.fold_snapshot import Mark, SnapshotIgnored, find, make, write
from algo_trader.ledger.fold_state import dump, load
from algo_trader.ledger.projection import Projector
from algo_trader.ledger.records import instant
from algo_trader.ledger.store import Store

CHUNK = 5_000
"""Facts read at a time."""

_SELECT_LAST_AT = "SELECT at FROM order_event ORDER BY seq DESC LIMIT 1"
_SELECT_FACTS = "SELECT seq, kind, payload FROM order_event WHERE seq > ? ORDER BY seq LIMIT ?"


def utc_now() -> datetime:
    """The wall clock."""
    return datetime.now(UTC)


class Tell(Protocol):
    """Where an event goes: its name and what belongs to it."""

    def __call__(self, event: str, /, **fields: object) -> None:
        """Take one event; must not raise and must not wait."""
        ...


def unheard(event: str, /, **fields: object) -> None:
    """Nobody listens."""


class Facts(Store):
    """A file of facts, open."""

    def __init__(
        self, database: Database, clock: Callable[[], datetime] = utc_now, tell: Tell = unheard
    ) -> None:
        super().__init__(database)
        self._clock = clock
        self.tell = tell
        self._projector: Projector | None = None
        self._mark = Mark()

    def facts(self, after: int = 0) -> Iterator[Fact]:
        """The facts in order, from the one that follows number `after`."""
        for _, fact, _ in self._numbered(after):
            yield fact

    def count(self) -> int:
        """How many facts there are."""
        with self._guarded():
            row = self._driver.execute("SELECT coalesce(max(seq), 0) FROM order_event").fetchone()
        return int(row[0])

    def last_at(self) -> Instant | None:
        """Market time of the last fact, None if there is none."""
        with self._guarded():
            row = self._driver.execute(_SELECT_LAST_AT).fetchone()
        return None if row is None else instant(row[0])

    def own_book(self) -> Book:
        """The ledger's own fold of all facts, which append keeps up. Read it, on the ledger's
        thread, and change nothing.
        """
        return self._folded().book

    def fold(self) -> Book:
        """A new book of all facts, the caller's to keep."""
        return load(dump(self._folded())).book

    @property
    def unkept(self) -> int:
        """Facts folded since the last snapshot: what a start would fold again."""
        return 0 if self._projector is None else self._projector.seq - self._mark.seq

    def keep_fold(self) -> None:
        """Write a snapshot of the fold if there is anything new; raises as append does.

        It reads the facts since the last one, some 2 us each. Nothing but time hangs on it.
        """
        projector = self._folded()
        if not self.unkept:
            return
        with self._guarded():
            snapshot = make(self._driver, projector, self._mark)
        if snapshot is None:
            return
        with self._writing() as driver:
            write(driver, snapshot, self._stamp())
        self._mark = Mark(snapshot.seq, snapshot.chain)

    # -- inside --

    def _numbered(self, after: int) -> Iterator[tuple[int, Fact, str]]:
        while True:
            with self._guarded():
                rows = self._driver.execute(_SELECT_FACTS, (after, CHUNK)).fetchall()
            for seq, kind, payload in rows:
                after += 1
                if seq != after:
                    raise LedgerCorrupt(f"{self.path}: fact {after} is missing")
                yield seq, decode(kind, payload), payload
            if len(rows) < CHUNK:
                return

    def _stamp(self) -> str:
        return self._clock().astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")

    def _folded(self) -> Projector:
        self._check()
        self._projector = self._projector or self._refold()
        return self._projector

    def _refold(self) -> Projector:
        projector = self._begin()
        since = projector.seq
        for seq, fact, payload in self._numbered(since):
            projector.fold(fact, "", payload)
            if seq % CHUNK == 0:
                projector.take()
        projector.take()
        self.tell("ledger_folded", level="debug", facts=projector.seq, after_snapshot=since)
        return projector

    def _begin(self) -> Projector:
        """What the last snapshot stands for, or nothing folded yet."""
        try:
            with self._guarded():
                found = find(self._driver)
        except SnapshotIgnored as error:
            self.tell("snapshot_ignored", level="warning", reason=str(error))
            found = None
        self._mark, projector = found or (Mark(), Projector())
        return projector
