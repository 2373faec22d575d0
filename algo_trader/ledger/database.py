"""Opening a file of ours: who may, in what state, with which settings.

Owns the connection's pragmas and the rule that transactions are explicit. A ledger is opened
EXCLUSIVE in WAL with synchronous=FULL: one connection, no shared memory, no second daemon, no
acknowledged commit lost to a power cut. Every setting is read back, because SQLite answers an
unknown or impossible one with silence.

The locking mode is set before anything is read. It touches nothing on the disk, and a WAL file
that is read in normal mode first keeps its index in shared memory for good. The gate (application
id, version) is then the first thing read from the file.

Nothing in this process may open a ledger file but SQLite: closing any other descriptor of it drops
SQLite's locks.
"""

from __future__ import annotations

import sqlite3
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import StaticPool

from algo_trader.core.errors import ConfigError
from algo_trader.ledger import shape
from algo_trader.ledger.errors import LedgerCorrupt, LedgerLocked, LedgerRefused, StorageError

BUSY_TIMEOUT_MS = 5000
STRICT_SINCE = (3, 37, 0)
CHECKED_BYTES = 64 * 2**20
"""A file up to this size is checked whole whenever it is opened (about 4 ms a megabyte). Of a
larger one only what is read is: a start must not last longer with every year of history. The whole
of it is looked at by `verify` and with every backup.
"""
STEP = 256
"""Pages of a copy between which other work gets its turn: some 2 ms."""
ARRIVING = ".arriving"
"""Ending of the copy that is about to take the file's place: while it is there, the file may lack
its WAL or be missing altogether.
"""
_NAMES = {shape.LEDGER_ID: "a ledger", shape.BACKTESTS_ID: "a file of backtests"}


class Database:
    """One open file: the driver's connection, and SQLAlchemy Core over the same one.

    Use `transaction()`; what is done inside is committed whole or not at all.
    """

    def __init__(
        self, path: Path, driver: sqlite3.Connection, *, is_read_only: bool = False
    ) -> None:
        self.path = path
        self.driver = driver
        self._engine = _engine(driver, "BEGIN" if is_read_only else "BEGIN IMMEDIATE")
        self._connection = self._engine.connect()

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """BEGIN ... COMMIT, for writing from its beginning; rolled back if the block raises."""
        with self._connection.begin():
            yield self._connection

    def snapshot(self, target: Path, between: Callable[[], None] | None = None) -> None:
        """Write a copy of the file, page by page, so that it proves the pages of this one as well;
        `target` must not exist. `between` is called after every STEP pages.
        """
        if target.exists():
            raise StorageError(f"{target} is there already: a copy takes nothing's place")
        progress = None if between is None else lambda *_: between()
        copy = _raw(target, "rwc", BUSY_TIMEOUT_MS)
        try:
            with told(target):
                copy.execute("PRAGMA locking_mode = EXCLUSIVE").fetchall()  # No shared memory.
                copy.execute("PRAGMA synchronous = OFF")  # Whoever publishes it flushes it.
                self.driver.backup(copy, pages=STEP, progress=progress)
                copy.execute("PRAGMA journal_mode = DELETE").fetchall()  # One file, without a WAL.
        finally:
            copy.close()

    def close(self) -> None:
        """Close the file; the WAL is folded into it."""
        try:
            self._connection.close()
        finally:
            self._engine.dispose()
            self.driver.close()


def connect(
    path: Path,
    *,
    application_id: int = shape.LEDGER_ID,
    is_exclusive: bool = True,
    may_create: bool = False,
    may_be_older: bool = False,
    check: bool = True,
    busy_timeout_ms: int = BUSY_TIMEOUT_MS,
) -> Database:
    """Open a file, checked (see CHECKED_BYTES) and set up.

    LedgerLocked if another process has it, LedgerRefused if it is not ours or of another version,
    LedgerCorrupt if SQLite finds damage, StorageError if the disk will not. With `is_exclusive`
    the file stays locked until closed; without, it has a rollback journal and short locks.
    """
    if sqlite3.sqlite_version_info < STRICT_SINCE:
        raise ConfigError(f"SQLite {sqlite3.sqlite_version} is too old: 3.37 or later is needed")
    _require_arrived(path)
    driver = _raw(path, "rwc" if may_create else "rw", busy_timeout_ms)
    try:
        with told(path):
            if is_exclusive:
                _set(driver, "locking_mode", "EXCLUSIVE", "exclusive")
            is_new = _gate(driver, path, application_id, may_be_older=may_be_older)
            _set_up(driver, "WAL" if is_exclusive else "DELETE", busy_timeout_ms)
            if is_new:
                if not may_create:
                    raise LedgerRefused(f"{path} is empty: it holds no tables of this program")
                shape.create(driver, application_id)
            elif check:
                _check_integrity(driver, path)
        return Database(path, driver)
    except BaseException:
        driver.close()
        raise


def read_only(
    path: Path, application_id: int = shape.LEDGER_ID, *, may_be_older: bool = True
) -> sqlite3.Connection:
    """A snapshot or backup, or a ledger that nobody holds, opened for reading; the same gate.

    Not SQLite's own read-only mode: that cannot clear up the WAL it needs and leaves it behind.
    """
    _require_arrived(path)
    driver = _raw(path, "rw", BUSY_TIMEOUT_MS)
    try:
        with told(path):
            _set(driver, "locking_mode", "EXCLUSIVE", "exclusive")
            _set(driver, "query_only", "ON", 1)
            if _gate(driver, path, application_id, may_be_older=may_be_older):
                raise LedgerRefused(f"{path} is empty: it holds no tables of this program")
        return driver
    except BaseException:
        driver.close()
        raise


def require_free(path: Path) -> None:
    """Raise LedgerLocked if a process holds the file; anything else about it may be wrong.

    The file and its WAL stay as they are, byte for byte, whatever state they are in.
    """
    driver: sqlite3.Connection | None = None
    try:
        with told(path):
            driver = _raw(path, "ro", busy_timeout_ms=100)
            driver.execute("PRAGMA locking_mode = EXCLUSIVE").fetchall()
            driver.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    except (LedgerRefused, LedgerCorrupt, StorageError):
        pass  # Beyond reading, but not locked.
    finally:
        if driver is not None:
            driver.close()


@contextmanager
def told(path: Path) -> Iterator[None]:
    """Turn the driver's errors into ours, with the file's name and a remedy."""
    try:
        yield
    except sqlite3.Error as error:
        raise translate(error, path) from error
    except DBAPIError as error:  # SQLAlchemy's wrapping of the same.
        if not isinstance(error.orig, sqlite3.Error):
            raise
        raise translate(error.orig, path) from error
    except UnicodeDecodeError as error:  # Of a name in the schema.
        raise LedgerCorrupt(f"{path} is damaged ({error.reason}): restore a backup") from error


def translate(error: sqlite3.Error, path: Path) -> Exception:
    """Our error for a driver's error on `path`."""
    name = getattr(error, "sqlite_errorname", "") or type(error).__name__
    if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
        return LedgerLocked(
            f"{path} is in use by another process: stop it (`fuser {path}` names it) and try again"
        )
    if name.startswith("SQLITE_NOTADB"):
        return LedgerRefused(f"{path} is not a file of this program: name another data directory")
    if "could not decode to utf-8" in str(error).lower():
        return LedgerCorrupt(f"{path} is damaged (a text is no text): restore a backup")
    if name.startswith("SQLITE_CORRUPT"):
        return LedgerCorrupt(f"{path} is damaged ({error}): restore a backup")
    return StorageError(f"{path}: {name}: {error}")


def _require_arrived(path: Path) -> None:
    if path.with_name(path.name + ARRIVING).exists():
        raise LedgerRefused(f"{path}: a restore was cut short: restore the backup again")


def application_version(driver: sqlite3.Connection) -> int:
    """user_version of an open file."""
    return int(_ask(driver, "user_version"))


def _raw(path: Path, mode: str, busy_timeout_ms: int) -> sqlite3.Connection:
    name = f"file:{quote(str(path.absolute()))}?mode={mode}"
    with told(path):
        return sqlite3.connect(
            name, uri=True, isolation_level=None, timeout=busy_timeout_ms / 1000
        )


def _ask(driver: sqlite3.Connection, pragma: str) -> Any:
    row = driver.execute(f"PRAGMA {pragma}").fetchone()
    return None if row is None else row[0]


def _set(driver: sqlite3.Connection, pragma: str, value: str | int, answer: str | int) -> None:
    driver.execute(f"PRAGMA {pragma} = {value}").fetchall()
    found = _ask(driver, pragma)
    if found != answer:
        raise StorageError(f"SQLite refused {pragma} = {value}: it is {found}")


def _gate(
    driver: sqlite3.Connection, path: Path, application_id: int, *, may_be_older: bool
) -> bool:
    """Refuse a foreign or newer file; whether the file is still empty."""
    found_id, version = int(_ask(driver, "application_id")), application_version(driver)
    tables = int(driver.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0])
    if not tables and found_id == 0 and version == 0:
        return True
    if found_id != application_id:
        wanted, found = _NAMES[application_id], _NAMES.get(found_id, "another program's file")
        raise LedgerRefused(f"{path} is {found}, not {wanted}: name another data directory")
    if version > shape.VERSION:
        raise LedgerRefused(
            f"{path} has version {version}, this program knows {shape.VERSION}:"
            " install the newer program, or restore the backup made before its upgrade"
        )
    if version < shape.VERSION and not may_be_older:
        raise LedgerRefused(f"{path} has version {version}: upgrade it first")
    return False


def _set_up(driver: sqlite3.Connection, journal: str, busy_timeout_ms: int) -> None:
    _set(driver, "journal_mode", journal, journal.lower())
    _set(driver, "synchronous", "FULL", 2)
    _set(driver, "foreign_keys", "ON", 1)
    _set(driver, "recursive_triggers", "ON", 1)
    _set(driver, "trusted_schema", "OFF", 0)
    _set(driver, "cell_size_check", "ON", 1)
    driver.execute("PRAGMA mmap_size = 0").fetchall()
    if _ask(driver, "mmap_size") not in (None, 0):  # None: built without memory mapping.
        raise StorageError("SQLite refused mmap_size = 0")
    _set(driver, "temp_store", "MEMORY", 2)
    _set(driver, "busy_timeout", busy_timeout_ms, busy_timeout_ms)
    _set(driver, "wal_autocheckpoint", 1000, 1000)
    _set(driver, "journal_size_limit", 67108864, 67108864)
    if sys.platform == "darwin":
        _set(driver, "fullfsync", "ON", 1)
        _set(driver, "checkpoint_fullfsync", "ON", 1)


def _check_integrity(driver: sqlite3.Connection, path: Path) -> None:
    if int(_ask(driver, "page_count")) * int(_ask(driver, "page_size")) > CHECKED_BYTES:
        return
    found = [str(row[0]) for row in driver.execute("PRAGMA integrity_check")]
    if found != ["ok"]:
        raise LedgerCorrupt(f"{path} is damaged ({found[0]}): restore a backup")


def _engine(driver: sqlite3.Connection, begin: str) -> Engine:
    """SQLAlchemy over the one connection; it begins when told, and as told.

    The driver's own transaction mode would leave DDL outside of transactions.
    """
    engine = create_engine("sqlite://", creator=lambda: driver, poolclass=StaticPool)

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        connection.exec_driver_sql(begin)

    return engine
