"""The snapshot of a fold: what the facts up to one of them make, kept so that a start need not fold
them all again.

Owns the row of `fold_snapshot`, of which there is one at most: written, read back, judged. The
facts stay the truth. A snapshot may be dropped at any time; one that does not prove right is
ignored and the facts are folded from the first. What is proved when:

* `find`, at a start, in a time that does not grow with the facts: the row's digest over its state
  and over the last fact it stands for, that this fact is in the file, and that the snapshot was
  made by this program's own rules of folding (OURS: a digest over their source, so that no
  change of them can be forgotten);
* `differences`, in `verify` and so in every backup: the same, and that all facts up to it make this
  very state, by a second fold, and this very chain of digests.
"""

from __future__ import annotations

import sqlite3
import sys
from collections.abc import Iterator
from hashlib import sha256
from typing import NamedTuple

from algo_trader.core.errors import CoreError
from algo_trader.ledger.fold_state import dump, load
from algo_trader.ledger.projection import Projector

RULES = tuple(
    f"algo_trader.{name}"
    for name in (
        "core.types", "core.events", "core.orders", "core.pnl", "core.holding", "core.book",
        "ledger.codec", "ledger.projection", "ledger.fold_state", "ledger.fold_snapshot",
    )
)  # fmt: skip
"""The modules that decide what facts fold to, and how that is written."""
NO_FACTS = ""
"""The chain of no facts at all."""

_SELECT = "SELECT seq, rules, chain, state, digest FROM fold_snapshot ORDER BY seq DESC LIMIT 1"
_SELECT_FACT = "SELECT kind, payload FROM order_event WHERE seq = ?"
_SELECT_FACTS = "SELECT kind, payload FROM order_event WHERE seq > ? AND seq <= ? ORDER BY seq"
_DELETE = "DELETE FROM fold_snapshot"
_INSERT = (
    "INSERT INTO fold_snapshot (seq, rules, chain, state, digest, written_at)"
    " VALUES (?, ?, ?, ?, ?, ?)"
)


class Snapshot(NamedTuple):
    """One row: `chain` is a digest over all facts up to number `seq`, `state` what they fold to,
    `digest` is over the others and the last of those facts.
    """

    seq: int
    rules: str
    chain: str
    state: str
    digest: str


class Mark(NamedTuple):
    """Which fact the last snapshot is of, and the chain up to it."""

    seq: int = 0
    chain: str = NO_FACTS


class SnapshotIgnored(CoreError):
    """The snapshot is of no use; the facts are folded from the first."""


def _digest_of_rules() -> str:
    digest = sha256()
    for name in RULES:
        spec = sys.modules[name].__spec__
        source = getattr(spec and spec.loader, "get_source", lambda _: None)(name)
        if not source:
            return ""
        digest.update(source.encode())
    return digest.hexdigest()


OURS = _digest_of_rules()
"""The rules of this program, "" if it came without their source. Taken at once: the source may be
another one by the time of the first snapshot.
"""


def link(chain: str, kind: str, payload: str) -> str:
    """The chain with one more fact."""
    return sha256(f"{chain}\n{kind}\n{payload}".encode()).hexdigest()


def find(driver: sqlite3.Connection) -> tuple[Mark, Projector] | None:
    """The snapshot and what it stands for, None if there is none; SnapshotIgnored says what is
    wrong with it.
    """
    row = driver.execute(_SELECT).fetchone()
    if row is None:
        return None
    snapshot = Snapshot(*row)
    if snapshot.rules != OURS:
        raise SnapshotIgnored("it was made by another version of the program")
    return Mark(snapshot.seq, snapshot.chain), _read(driver, snapshot)


def make(driver: sqlite3.Connection, projector: Projector, mark: Mark) -> Snapshot | None:
    """The snapshot of `projector`; `mark` is of the last one, the chain goes on from there.

    None if our rules are not known: it could not be told from another version's.
    """
    if not OURS:
        return None
    seq, chain = projector.seq, mark.chain
    for kind, payload in driver.execute(_SELECT_FACTS, (mark.seq, seq)):
        chain = link(chain, kind, payload)
    state = dump(projector)
    digest = _digest(seq, chain, state, *driver.execute(_SELECT_FACT, (seq,)).fetchone())
    return Snapshot(seq, OURS, chain, state, digest)


def write(driver: sqlite3.Connection, snapshot: Snapshot, written_at: str) -> None:
    """Put it in the place of the one there, inside a transaction."""
    driver.execute(_DELETE)
    driver.execute(_INSERT, (*snapshot, written_at))


class Audit:
    """Holds a file's snapshot against the facts, which are folded by whoever asks."""

    def __init__(self, driver: sqlite3.Connection) -> None:
        row = driver.execute(_SELECT).fetchone()
        self._snapshot = None if row is None or row[1] != OURS else Snapshot(*row)
        self._driver = driver
        self._chain = NO_FACTS

    def take(self, projector: Projector, kind: str, payload: str) -> Iterator[str]:
        """The next fact was folded: what is wrong with a snapshot that was taken here."""
        snapshot = self._snapshot
        if snapshot is None or projector.seq > snapshot.seq:
            return
        self._chain = link(self._chain, kind, payload)
        if projector.seq == snapshot.seq:
            self._snapshot = None
            yield from self._differences(snapshot, projector)

    def _differences(self, snapshot: Snapshot, projector: Projector) -> Iterator[str]:
        if snapshot.chain != self._chain:
            yield f"fold_snapshot {snapshot.seq}: it is not of these facts"
        try:
            _read(self._driver, snapshot)
        except SnapshotIgnored as error:
            yield f"fold_snapshot {snapshot.seq}: {error}"
        else:
            if snapshot.state != dump(projector):
                yield f"fold_snapshot {snapshot.seq}: its state is not what the facts make it"


def _read(driver: sqlite3.Connection, snapshot: Snapshot) -> Projector:
    fact = driver.execute(_SELECT_FACT, (snapshot.seq,)).fetchone()
    if fact is None:
        raise SnapshotIgnored(f"it is of fact {snapshot.seq}, which is not there")
    if snapshot.digest != _digest(snapshot.seq, snapshot.chain, snapshot.state, *fact):
        raise SnapshotIgnored("its digest is not that of its state and last fact")
    try:
        projector = load(snapshot.state)
    except (ValueError, TypeError, KeyError, AttributeError, ArithmeticError) as error:
        raise SnapshotIgnored(f"its state is not readable: {error!r}") from error
    if projector.seq != snapshot.seq:
        raise SnapshotIgnored(f"its state is that of fact {projector.seq}")
    return projector


def _digest(seq: int, chain: str, state: str, kind: str, payload: str) -> str:
    return link(f"{seq}\n{OURS}\n{chain}\n{state}", kind, payload)
