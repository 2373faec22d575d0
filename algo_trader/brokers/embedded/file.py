"""Opening the exchange's file: who may, in what state, with which settings, and its tables.

WAL with synchronous=FULL, so that no commit which was answered is lost to a power cut, and locked
EXCLUSIVE: one connection, no second process. Every setting is read back, because SQLite answers an
impossible one with silence. The locking mode is set before anything is read, which keeps the index
of the WAL out of shared memory.

Nothing else in this process may open the file while it is open here: closing any other descriptor
of it drops SQLite's locks.
"""

from __future__ import annotations

import os
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

from algo_trader.brokers.embedded.errors import ExchangeLocked, ExchangeRefused
from algo_trader.core.errors import ConfigError, StorageFailure

APPLICATION_ID = 0x414C4745
"""application_id of an exchange's file: the letters ALGE."""
VERSION = 2
"""user_version of the files this program writes."""
BUSY_TIMEOUT_MS = 1000
STRICT_SINCE = (3, 37, 0)


def _number(name: str, rest: str = "NOT NULL") -> str:
    """A column of canonical decimal text: no exponent, no trailing zeros after a point."""
    return (
        f"{name} TEXT {rest} CHECK ({name} IS NULL OR {name} GLOB '[0-9-]*'"
        f" AND {name} NOT GLOB '*[^0-9.-]*' AND {name} NOT GLOB '*.*0' AND {name} NOT GLOB '*.')"
    )


# Instants are whole seconds since the epoch. No SQL of ours compares, sorts or sums a number.
TABLES = (
    f"""CREATE TABLE state (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    account TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    {_number("initial_cash")},
    {_number("cash")},
    now INTEGER NOT NULL,
    stage TEXT NOT NULL CHECK (stage IN ('ready', 'matched', 'settled', 'closed')),
    symbol TEXT,
    {_number("price_in_bar")},
    CHECK ((stage IN ('matched', 'settled')) = (symbol IS NOT NULL))
) STRICT""",
    f"""CREATE TABLE position (
    symbol TEXT PRIMARY KEY,
    {_number("qty")},
    {_number("avg_entry_price")},
    {_number("short_proceeds", "")}
) STRICT, WITHOUT ROWID""",
    f"""CREATE TABLE broker_order (
    number INTEGER PRIMARY KEY,
    client_order_id TEXT NOT NULL UNIQUE,
    broker_id TEXT NOT NULL UNIQUE,
    symbol TEXT NOT NULL,
    action TEXT NOT NULL CHECK (action IN ('buy', 'sell')),
    type TEXT NOT NULL CHECK (type IN ('market', 'limit', 'stop', 'stop_limit')),
    time_in_force TEXT NOT NULL CHECK (time_in_force IN ('day', 'gtc')),
    {_number("qty")},
    {_number("limit_price", "")},
    {_number("stop_price", "")},
    created_at INTEGER NOT NULL,
    is_born_in_bar INTEGER NOT NULL CHECK (is_born_in_bar IN (0, 1)),
    status TEXT NOT NULL DEFAULT 'open'
        CHECK (status IN ('open', 'filled', 'canceled', 'expired', 'replaced')),
    {_number("qty_filled", "NOT NULL DEFAULT '0'")},
    replaced_by TEXT,
    is_triggered INTEGER NOT NULL DEFAULT 0 CHECK (is_triggered IN (0, 1)),
    oco TEXT,
    CHECK ((status = 'replaced') = (replaced_by IS NOT NULL))
) STRICT""",
    "CREATE INDEX ix_broker_order_open ON broker_order (number) WHERE status = 'open'",
    f"""CREATE TABLE execution (
    execution_id TEXT PRIMARY KEY,
    client_order_id TEXT NOT NULL REFERENCES broker_order (client_order_id),
    {_number("cum_qty")},
    {_number("qty")},
    {_number("price")},
    {_number("commission")},
    at INTEGER NOT NULL,
    UNIQUE (client_order_id, cum_qty)
) STRICT""",
)


def connect(path: Path, *, anew: bool = False) -> sqlite3.Connection:
    """Open the exchange's file, made if it is missing; with `anew` everything in it is deleted.

    ExchangeLocked if another process has it; ExchangeRefused if it is not an exchange's, is newer
    or damaged; StorageFailure if the disk will not.
    """
    if sqlite3.sqlite_version_info < STRICT_SINCE:
        raise ConfigError(f"SQLite {sqlite3.sqlite_version} is too old: 3.37 or later is needed")
    _make(path)
    with told(path):
        driver = sqlite3.connect(
            f"file:{quote(str(path.absolute()))}?mode=rw",
            uri=True,
            isolation_level=None,
            timeout=BUSY_TIMEOUT_MS / 1000,
        )
    try:
        with told(path):
            _set(driver, "locking_mode", "EXCLUSIVE", "exclusive")
            is_empty = _gate(driver, path, anew=anew)
            _set_up(driver)
            if anew or is_empty:
                _make_tables(driver)
            else:
                _check_integrity(driver, path)
                _upgrade(driver)
        return driver
    except BaseException:
        driver.close()
        raise


@contextmanager
def told(path: Path) -> Iterator[None]:
    """Turn the driver's errors into ours, with the file's name and a remedy."""
    try:
        yield
    except sqlite3.Error as error:
        name = getattr(error, "sqlite_errorname", "") or type(error).__name__
        if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
            raise ExchangeLocked(
                f"{path} is in use by another process: stop it (`fuser {path}` names it) and try "
                "again"
            ) from error
        if name.startswith("SQLITE_NOTADB"):
            raise ExchangeRefused(_foreign(path)) from error
        if name.startswith("SQLITE_CORRUPT"):
            raise ExchangeRefused(_damaged(path, str(error))) from error
        raise StorageFailure(f"{path}: {name}: {error}") from error


def _make(path: Path) -> None:
    """An empty file only its owner may read, unless there is one; before SQLite has it open."""
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)  # Else a power cut may take the whole file with all its commits.
        finally:
            os.close(folder)
    except FileExistsError:
        return
    except OSError as error:
        raise StorageFailure(f"{path}: cannot be made ({error.strerror})") from error


def _gate(driver: sqlite3.Connection, path: Path, *, anew: bool) -> bool:
    """Refuse a foreign or newer file; whether it is still empty."""
    found_id, version = int(_ask(driver, "application_id")), int(_ask(driver, "user_version"))
    tables = int(driver.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0])
    if not tables and found_id == 0 and version == 0:
        return True
    if found_id != APPLICATION_ID:
        raise ExchangeRefused(_foreign(path))
    if version not in (1, VERSION) and not anew:
        raise ExchangeRefused(
            f"{path} has version {version}, this program knows {VERSION}: use the program that "
            "wrote it, or begin anew with --reset-exchange"
        )
    return False


def _set_up(driver: sqlite3.Connection) -> None:
    _set(driver, "journal_mode", "WAL", "wal")
    _set(driver, "synchronous", "FULL", 2)
    _set(driver, "foreign_keys", "ON", 1)
    _set(driver, "trusted_schema", "OFF", 0)
    _set(driver, "cell_size_check", "ON", 1)
    driver.execute("PRAGMA mmap_size = 0").fetchall()
    _set(driver, "temp_store", "MEMORY", 2)
    if sys.platform == "darwin":
        _set(driver, "fullfsync", "ON", 1)
        _set(driver, "checkpoint_fullfsync", "ON", 1)


def _make_tables(driver: sqlite3.Connection) -> None:
    """The tables and stamps of this version in place of whatever there is, in one transaction."""
    driver.execute("BEGIN IMMEDIATE")
    driver.execute("PRAGMA defer_foreign_keys = ON")
    names = driver.execute(
        "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%'"
        " ESCAPE '\\'"
    ).fetchall()
    for (name,) in names:
        driver.execute(f'DROP TABLE "{name}"')
    for statement in TABLES:
        driver.execute(statement)
    driver.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    driver.execute(f"PRAGMA user_version = {VERSION}")
    driver.execute("COMMIT")


def _upgrade(driver: sqlite3.Connection) -> None:
    """Bring a file of version 1, which knew fewer types of orders, to this version."""
    if int(_ask(driver, "user_version")) == VERSION:
        return
    orders = next(each for each in TABLES if each.startswith("CREATE TABLE broker_order"))
    index = next(each for each in TABLES if each.startswith("CREATE INDEX"))
    columns = ", ".join(row[1] for row in driver.execute("PRAGMA table_info(broker_order)"))
    driver.execute("PRAGMA foreign_keys = OFF")
    for statement in (
        "BEGIN IMMEDIATE",
        "CREATE TEMP TABLE kept AS SELECT * FROM main.broker_order",
        "DROP TABLE main.broker_order",
        orders,
        f"INSERT INTO broker_order ({columns}) SELECT {columns} FROM temp.kept ORDER BY number",
        "DROP TABLE temp.kept",
        index,
        f"PRAGMA user_version = {VERSION}",
        "COMMIT",
    ):
        driver.execute(statement)
    _set(driver, "foreign_keys", "ON", 1)


def _check_integrity(driver: sqlite3.Connection, path: Path) -> None:
    found = [str(row[0]) for row in driver.execute("PRAGMA integrity_check")]
    if found != ["ok"]:
        raise ExchangeRefused(_damaged(path, found[0]))


def _ask(driver: sqlite3.Connection, pragma: str) -> Any:
    row = driver.execute(f"PRAGMA {pragma}").fetchone()
    return None if row is None else row[0]


def _set(driver: sqlite3.Connection, pragma: str, value: str, answer: str | int) -> None:
    driver.execute(f"PRAGMA {pragma} = {value}").fetchall()
    found = _ask(driver, pragma)
    if found != answer:
        raise StorageFailure(f"SQLite refused {pragma} = {value}: it is {found}")


def _foreign(path: Path) -> str:
    return f"{path} is not a file of the embedded exchange: name another data directory"


def _damaged(path: Path, detail: str) -> str:
    return f"{path} is damaged ({detail}): remove it; the exchange then begins anew"
