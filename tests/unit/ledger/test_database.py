"""Who may open a file, and in what state it is then."""

from __future__ import annotations

import contextlib
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from recorded import record

from algo_trader.core.errors import ConfigError
from algo_trader.ledger import database, shape
from algo_trader.ledger.backup import backup
from algo_trader.ledger.database import connect, read_only, told
from algo_trader.ledger.errors import LedgerCorrupt, LedgerLocked, LedgerRefused, StorageError
from algo_trader.ledger.ledger import Ledger
from algo_trader.ledger.verify import examine

WANTED = {
    "application_id": shape.LEDGER_ID,
    "user_version": shape.VERSION,
    "locking_mode": "exclusive",
    "journal_mode": "wal",
    "synchronous": 2,
    "foreign_keys": 1,
    "recursive_triggers": 1,
    "trusted_schema": 0,
    "cell_size_check": 1,
    "mmap_size": 0,
    "temp_store": 2,
    "busy_timeout": 50,
    "wal_autocheckpoint": 1000,
    "journal_size_limit": 67108864,
}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where an empty ledger lies."""
    path = tmp_path / "a folder?#%41" / "trading.db"
    path.parent.mkdir()
    Ledger.open(path).close()
    return path


def change(path: Path, *statements: str) -> None:
    """What another program does to the file."""
    other = sqlite3.connect(path, isolation_level=None)
    for statement in statements:
        other.execute(statement)
    other.close()


@pytest.mark.parametrize("is_new", [True, False])
def test_settings_are_as_wanted(path: Path, is_new: bool) -> None:
    """Goal: every pragma holds on a new file and on a reopened one."""
    if is_new:
        path.unlink()
    database = connect(path, may_create=True, busy_timeout_ms=50)
    found = {name: database.driver.execute(f"PRAGMA {name}").fetchone()[0] for name in WANTED}
    database.close()
    assert found == WANTED


def test_wal_index_is_not_shared(path: Path) -> None:
    """Goal: the file is locked before anything is read, so no -shm appears."""
    with Ledger.open(path) as ledger:
        assert ledger.count() == 0
        assert sorted(p.name for p in path.parent.iterdir()) == ["trading.db", "trading.db-wal"]
    assert [p.name for p in path.parent.iterdir()] == ["trading.db"]


def test_ddl_is_inside_the_transaction(path: Path) -> None:
    """Goal: SQLAlchemy's transaction takes a CREATE back, which the driver's own would not."""
    database = connect(path)
    with contextlib.suppress(RuntimeError), database.transaction() as connection:
        connection.exec_driver_sql("CREATE TABLE x (y INTEGER) STRICT")
        assert database.driver.in_transaction
        raise RuntimeError
    assert shape.fingerprint(database.driver) == shape.expected()
    database.close()


def test_foreign_file_is_refused(tmp_path: Path) -> None:
    """Goal: another program's database is named and left as it was."""
    path = tmp_path / "places.db"
    change(path, "CREATE TABLE places (url TEXT)", "PRAGMA application_id = 7")
    before = path.read_bytes()
    with pytest.raises(LedgerRefused, match=r"places\.db is another program's file.*directory"):
        Ledger.open(path)
    assert path.read_bytes() == before


def test_tables_without_our_id_are_refused(tmp_path: Path) -> None:
    """Goal: a file with id 0 but with tables is not taken for an empty one."""
    path = tmp_path / "other.db"
    change(path, "CREATE TABLE places (url TEXT)")
    with pytest.raises(LedgerRefused, match=r"other\.db"):
        Ledger.open(path)


def test_file_of_backtests_is_no_ledger(tmp_path: Path) -> None:
    """Goal: the two files of one data directory cannot be mixed up."""
    path = tmp_path / "x.db"
    connect(path, application_id=shape.BACKTESTS_ID, may_create=True).close()
    with pytest.raises(LedgerRefused, match="a file of backtests, not a ledger"):
        Ledger.open(path)


def test_newer_file_is_refused(path: Path) -> None:
    """Goal: a file of a later version is refused with the way out, by every door."""
    change(path, f"PRAGMA user_version = {shape.VERSION + 1}")
    for door in (Ledger.open, read_only):
        with pytest.raises(LedgerRefused, match=r"trading\.db has version \d.*newer program"):
            door(path)


def test_older_file_must_be_upgraded_first(path: Path) -> None:
    """Goal: no writing into an old shape."""
    change(path, "PRAGMA user_version = 0")
    with pytest.raises(LedgerRefused, match="upgrade it first"):
        Ledger.open(path)


def test_text_is_no_ledger(tmp_path: Path) -> None:
    """Goal: a file that is no database at all gets a clear word."""
    path = tmp_path / "notes.db"
    path.write_text("dear diary, " * 100)
    with pytest.raises(LedgerRefused, match=r"notes\.db is not a file of this program"):
        Ledger.open(path)


def test_missing_file_and_folder(tmp_path: Path) -> None:
    """Goal: only the door that may create does."""
    with pytest.raises(StorageError, match=r"trading\.db: SQLITE_CANTOPEN"):
        connect(tmp_path / "trading.db")
    with pytest.raises(StorageError, match="CANTOPEN"):
        Ledger.open(tmp_path / "nowhere" / "trading.db")
    assert list(tmp_path.iterdir()) == []


def test_damage_is_found_at_open(path: Path) -> None:
    """Goal: a file with a broken page is refused. Method: overwrite the last pages' heads."""
    content = bytearray(path.read_bytes())
    for page in range(4096, len(content), 4096):
        content[page : page + 8] = b"\xff" * 8
    path.write_bytes(bytes(content))
    with pytest.raises(LedgerCorrupt, match="restore a backup"):
        Ledger.open(path)


def test_a_large_file_is_checked_by_proofs_only(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Goal: a start does not read all of a long history; what it leaves out, verify and a backup
    do not. Method: an index of the ledger is broken, which a copy row by row would have mended.
    """
    with Ledger.open(path) as ledger:
        ledger.append(record().facts)
        pages = ledger._driver.execute(
            "SELECT rootpage FROM sqlite_schema WHERE name = 'ix_order_event_recorded'"
        ).fetchone()
    content = bytearray(path.read_bytes())
    begin = (pages[0] - 1) * 4096
    content[begin + 8 : begin + 4096] = bytes(4088)
    path.write_bytes(bytes(content))
    with pytest.raises(LedgerCorrupt, match="restore a backup"):
        Ledger.open(path)
    monkeypatch.setattr(database, "CHECKED_BYTES", len(content) - 1)
    copy = tmp_path / "copy.db"
    with Ledger.open(path) as ledger:
        assert ledger.fold().day.date is not None
        with pytest.raises(LedgerCorrupt, match=r"damaged|does not prove right"):
            backup(ledger, copy)
    assert not copy.exists()
    assert examine(path).differences


def test_second_opening_is_told_who_blocks(path: Path) -> None:
    """Goal: a second ledger in this process, or a reader, is refused with the file's name."""
    with Ledger.open(path):
        with pytest.raises(LedgerLocked, match=r"trading\.db is in use by another process"):
            Ledger.open(path, busy_timeout_ms=10)
        with pytest.raises(LedgerLocked):
            connect(path, is_exclusive=False, busy_timeout_ms=10)
    Ledger.open(path).close()


OPEN = """
import sys
from pathlib import Path
from algo_trader.ledger.errors import LedgerLocked
from algo_trader.ledger.ledger import Ledger
from algo_trader.ledger.verify import examine
try:
    Ledger.open(Path(sys.argv[1]), busy_timeout_ms=50)
except LedgerLocked as error:
    print(error)
    sys.exit(4)
"""


def test_second_process_is_told_who_blocks(path: Path) -> None:
    """Goal: the lock holds between processes, and goes with the process that held it."""

    def other() -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", OPEN, str(path)]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    with Ledger.open(path):
        refused = other()
    assert (refused.returncode, str(path) in refused.stdout) == (4, True), refused
    assert other().returncode == 0


def test_refusals_are_the_operators_business() -> None:
    """Goal: the command line shows them as one message. Method: their base class."""
    assert issubclass(LedgerLocked, ConfigError)
    assert issubclass(LedgerRefused, ConfigError)


def test_errors_are_told_in_our_words(path: Path) -> None:
    """Goal: the driver's errors come as ours, also those that SQLAlchemy has wrapped."""
    path.parent.mkdir(exist_ok=True)
    database = connect(path, may_create=True)
    try:
        wrapped = pytest.raises(StorageError, match=r"trading\.db: SQLITE_ERROR: .*nonsense")
        with wrapped, told(path), database.transaction() as connection:
            connection.exec_driver_sql("nonsense")
        with pytest.raises(StorageError, match=r"trading\.db: SQLITE_ERROR"), told(path):
            database.driver.execute("nonsense")
    finally:
        database.close()
