"""Copies that can be trusted, and putting one back.

Owns the files beside a ledger. A backup is written by SQLite itself (its online backup: page by
page, one file without a WAL), flushed, opened again, proved, and only then given its name; a crash
on the way leaves the last good backup and a `.partial` file that the next backup removes. As the
pages are those of the ledger, the proof finds damage to the ledger's own, indexes included. Nothing
here opens a live ledger by any other way than SQLite's.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Protocol

from algo_trader.core.errors import ConfigError
from algo_trader.core.events import AccountPinned
from algo_trader.ledger import LEDGER_NAME, shape
from algo_trader.ledger.codec import decode
from algo_trader.ledger.database import ARRIVING, read_only, require_free, told
from algo_trader.ledger.errors import LedgerCorrupt, StorageError
from algo_trader.ledger.verify import damage, verify

BESIDE = ("", "-wal", "-shm", "-journal")
"""Endings of the files that belong to one database."""


_SELECT_ACCOUNT = (
    "SELECT kind, payload FROM order_event WHERE kind = 'AccountPinned' ORDER BY seq LIMIT 1"
)


class Source(Protocol):
    """What can be backed up: a Ledger or a Database."""

    def snapshot(self, target: Path) -> None:
        """Write a copy; `target` must not exist."""
        ...


def backup(source: Source, target: Path) -> Path:
    """Write a verified copy to `target`, replacing what was there.

    LedgerCorrupt if the copy does not prove right: `target` is then left as it was.
    """
    with partial_of(target) as partial:
        source.snapshot(partial)
        return publish(partial, target)


@contextmanager
def partial_of(target: Path) -> Iterator[Path]:
    """Where the snapshot for `target` goes first. What is left there, now or afterwards, is
    removed: cut short, it would only take room. StorageError if an old one cannot be.
    """
    partial = target.with_name(target.name + ".partial")
    try:
        _remove(partial)
    except OSError as error:
        raise StorageError(f"{target}: what an earlier backup left stays: {error}") from error
    try:
        yield partial
    finally:
        with suppress(OSError):
            _remove(partial)


def _remove(path: Path) -> None:
    for ending in BESIDE:
        path.with_name(path.name + ending).unlink(missing_ok=True)


def publish(partial: Path, target: Path) -> Path:
    """Flush and prove a snapshot, then give it its name.

    The half of `backup` that needs no connection: while the daemon's writer goes on, another thread
    or process may do it. LedgerCorrupt if the copy does not prove right.
    """
    try:
        _flush(partial)
        prove(partial)
        os.replace(partial, target)
        _flush(target.parent)
    except OSError as error:
        raise StorageError(f"{target}: the backup was not written: {error}") from error
    return target


def require_replaceable(file: Path) -> None:
    """ConfigError unless a backup may be written there: nothing is there, or another backup."""
    if not file.parent.is_dir():
        raise ConfigError(f"cannot write {file}: {file.parent} is no folder")
    if not file.exists():
        return
    if file.resolve().name.startswith(LEDGER_NAME):
        raise ConfigError(f"{file} is a ledger itself, or was one: name another file")
    if any(file.with_name(file.name + ending).exists() for ending in BESIDE[1:]):
        raise ConfigError(f"{file} is in use: name another file")
    if not is_ledger(file):
        raise ConfigError(f"{file} is there and is no backup: name another file")


def prove(path: Path) -> None:
    """Raise LedgerCorrupt unless the copy is sound.

    Of an older version only what SQLite can tell is proved: its rows are another program's.
    """
    driver = read_only(path)
    try:
        with told(path):
            is_older = driver.execute("PRAGMA user_version").fetchone()[0] < shape.VERSION
            found = damage(driver) if is_older else verify(driver)
    finally:
        driver.close()
    if found:
        raise LedgerCorrupt(f"{path} does not prove right: {'; '.join(found[:3])}")


def restore(source: Path, path: Path) -> Path | None:
    """Put the backup `source` in the place of the ledger `path`.

    What was there is moved aside together with its WAL, never deleted; its new name is returned,
    None if there was nothing. LedgerLocked while a process holds the ledger, LedgerCorrupt or
    LedgerRefused if the backup is no good: nothing is moved then. If it is cut short while files
    are moved, the ledger cannot be opened until the restore is done again.
    """
    prove(source)
    if path.exists():
        require_free(path)
    partial = path.with_name(path.name + ".copying")
    arriving = path.with_name(path.name + ARRIVING)
    try:
        shutil.copyfile(source, partial)
        _flush(partial)
        prove(partial)
        os.replace(partial, arriving)
        _flush(path.parent)
        aside = _move_aside(path)
        _flush(path.parent)  # No power cut may leave the old WAL beside the new file.
        os.replace(arriving, path)
        _flush(path.parent)
    except OSError as error:
        raise StorageError(f"{path}: the restore did not finish: {error}") from error
    finally:
        with suppress(OSError):
            partial.unlink(missing_ok=True)
    return aside


def is_ledger(path: Path) -> bool:
    """Whether the file says of itself that it is a ledger. Not for one that is open here."""
    with path.open("rb") as file:
        head = file.read(72)
    return head[:16] == b"SQLite format 3\0" and head[68:] == shape.LEDGER_ID.to_bytes(4, "big")


def account_in(path: Path) -> str | None:
    """The account that a ledger or backup belongs to; None if it holds no fact.

    Raises as read_only does if it cannot be opened.
    """
    driver = read_only(path)
    try:
        with told(path):
            row = driver.execute(_SELECT_ACCOUNT).fetchone()
    finally:
        driver.close()
    if row is None:
        return None
    fact = decode(*row)
    return fact.account if isinstance(fact, AccountPinned) else None


def backup_name(stem: str, at: datetime) -> str:
    """A name that sorts by time, such as trading-20240102T143000Z.db."""
    return f"{stem}-{at.strftime('%Y%m%dT%H%M%SZ')}.db"


def keep_last(folder: Path, stem: str, count: int) -> list[Path]:
    """Delete all but the latest `count` backups named by `backup_name`; those deleted."""
    if count < 1:
        raise ValueError("at least one backup is kept")
    gone = _named(folder, stem)[:-count]
    for path in gone:
        path.unlink()
    return gone


def newest(folder: Path, stem: str) -> str:
    """The name of the latest backup named by `backup_name`, "" if there is none."""
    return max((path.name for path in _named(folder, stem)), default="")


def _named(folder: Path, stem: str) -> list[Path]:
    digits = "[0-9]"
    return sorted(folder.glob(f"{stem}-{digits * 8}T{digits * 6}Z.db"))


def _move_aside(path: Path) -> Path | None:
    if not any(path.with_name(path.name + ending).exists() for ending in BESIDE):
        return None
    number = 1
    while (aside := path.with_name(f"{path.name}.replaced-{number}")).exists():
        number += 1
    for ending in reversed(BESIDE):  # The main file last: without it no one starts on half.
        part = path.with_name(path.name + ending)
        if part.exists():
            os.replace(part, aside.with_name(aside.name + ending))
    return aside


def _flush(path: Path) -> None:
    """Flush a file or a folder of names to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
