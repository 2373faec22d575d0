"""A file is created, left alone, upgraded whole, or refused.

Version 1 is a file that it wrote (version_1.sql). The version after the present one is played by a
revision that the test writes; its predecessor holds real data.
"""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from recorded import OPENS_AT, record

from algo_trader.core.events import SettingChanged
from algo_trader.ledger import shape
from algo_trader.ledger.backup import restore
from algo_trader.ledger.database import connect
from algo_trader.ledger.errors import LedgerCorrupt, LedgerLocked, LedgerRefused
from algo_trader.ledger.ledger import Ledger
from algo_trader.ledger.migrate import Target, scripts, upgrade
from algo_trader.ledger.verify import verify_file

REVISION = '''
"""A later version."""

from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.execute("ALTER TABLE settings_override ADD COLUMN who TEXT")
    op.execute("CREATE TABLE extra (x INTEGER) STRICT")
    {more}
    op.execute("PRAGMA user_version = 4")
'''


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A closed ledger of this version with data in every part."""
    path = tmp_path / "trading.db"
    with Ledger.open(path) as ledger:
        ledger.append(record().facts)
        ledger.append([SettingChanged(at=OPENS_AT, key="risk.x", value="1")])
        ledger.note(ledger.trades()[0].trade_id, "n")
    return path


def later(folder: Path, more: str = "") -> Target:
    """The next version: a folder of revisions and the shape they lead to."""
    target = folder / "revisions"
    shutil.copytree(scripts(), target, ignore=shutil.ignore_patterns("__pycache__"))
    (target / "versions" / "0004_later.py").write_text(REVISION.format(more=more))
    wanted = shape.expected()
    wanted["table extra"] = "CREATE TABLE extra (x INTEGER) STRICT"
    driver = sqlite3.connect(":memory:", isolation_level=None)
    shape.create(driver)
    driver.execute("ALTER TABLE settings_override ADD COLUMN who TEXT")
    table = "table settings_override"
    wanted[table] = shape.fingerprint(driver)[table]
    driver.close()
    return Target(4, target, wanted)


def rows(path: Path) -> dict[str, list[tuple[object, ...]]]:
    """Every row of a ledger's tables."""
    driver = sqlite3.connect(path)
    columns = "key, value, updated_at, previous_value"
    found = {
        name: driver.execute(f"SELECT * FROM {name}").fetchall()
        for name in ("order_event", "order_state", "trade", "trade_note")
    }
    found["overrides"] = driver.execute(f"SELECT {columns} FROM settings_override").fetchall()
    driver.close()
    return found


def test_migrations_make_what_the_schema_says(tmp_path: Path) -> None:
    """Goal: two ways to a file of this version, one shape, stamp, id and version. Method: run the
    real revisions from nothing, compare the text of every object.
    """
    path = tmp_path / "migrated.db"
    empty = sqlite3.connect(path, isolation_level=None)
    empty.execute(f"PRAGMA application_id = {shape.LEDGER_ID}")  # Nothing else: version 0.
    empty.close()
    upgrade(path)
    with Ledger.open(path) as ledger:
        driver = ledger._driver
        assert shape.fingerprint(driver) == shape.expected()
        stamp = driver.execute("SELECT version_num FROM alembic_version").fetchall()
        assert stamp == [(shape.REVISION,)]
        ledger.append(record().facts)
        assert ledger.verify() == []


@pytest.fixture
def version_1(tmp_path: Path) -> Path:
    """A ledger that version 1 of this program wrote, with data in every table."""
    path = tmp_path / "old.db"
    driver = sqlite3.connect(path)
    driver.executescript(Path(__file__).with_name("version_1.sql").read_text())
    driver.close()
    return path


def test_version_1_is_upgraded(version_1: Path) -> None:
    """Goal: a ledger of version 1 becomes one of this version and loses nothing. Method: compare
    its rows before and after and with the backup; verify it against its own facts; then write into
    it what version 1 had no words for.
    """
    before = rows(version_1)
    copy = upgrade(version_1)
    assert copy is not None
    assert rows(version_1) == before == rows(copy)
    assert all(before.values())
    assert verify_file(version_1) == []
    with Ledger.open(version_1) as ledger:
        driver = ledger._driver
        assert shape.fingerprint(driver) == shape.expected()
        numbers = dict(driver.execute("SELECT name, seq FROM sqlite_sequence").fetchall())
        assert numbers["backtest_trade"] == 1
        for statement in (
            "UPDATE order_state SET order_type = 'stop_limit', role = 'target'",
            "UPDATE backtest_trade SET exit_reason = 'target'",
        ):
            assert driver.execute(statement).rowcount
        with pytest.raises(sqlite3.IntegrityError, match="immutable"):
            driver.execute("DELETE FROM trade")


def test_the_backup_of_an_upgrade_can_be_put_back(version_1: Path) -> None:
    """Goal: the backup made before an upgrade is one that restore takes, and a start upgrades."""
    before = rows(version_1)
    copy = upgrade(version_1)
    assert copy is not None
    aside = restore(copy, version_1)
    assert aside is not None
    assert rows(version_1) == before == rows(aside)
    assert upgrade(version_1) == copy
    assert verify_file(version_1) == []


def test_another_version_1_is_left_alone(version_1: Path) -> None:
    """Goal: a table that is not version 1's is not guessed at. Method: another word in a CHECK."""
    driver = sqlite3.connect(version_1, isolation_level=None)
    driver.execute("PRAGMA writable_schema = ON")
    before, after = "order_type = 'stop')", "order_type = 'stop' OR order_type = 'x')"
    driver.execute("UPDATE sqlite_schema SET sql = replace(sql, ?, ?)", (before, after))
    driver.close()
    found = rows(version_1)
    with pytest.raises(ValueError, match="not the table of version 1"):
        upgrade(version_1)
    assert rows(version_1) == found


def test_new_file_is_created(tmp_path: Path) -> None:
    """Goal: no file and an empty file become ledgers, without a backup of nothing."""
    for name in ("absent.db", "empty.db"):
        path = tmp_path / name
        if name.startswith("empty"):
            path.touch()
        assert upgrade(path) is None
        assert verify_file(path) == []
    assert len(list(tmp_path.iterdir())) == 2


def test_current_file_is_left_alone(path: Path) -> None:
    """Goal: nothing happens to a file of this version, and Alembic is not even imported."""
    before = rows(path)
    code = (
        "import sys; from pathlib import Path; from algo_trader.ledger.migrate import upgrade;"
        "assert upgrade(Path(sys.argv[1])) is None; assert 'alembic' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code, str(path)], check=True)
    assert rows(path) == before


def test_older_file_is_backed_up_and_upgraded(path: Path, tmp_path: Path) -> None:
    """Goal: data, triggers and references survive; the backup is the old file, proved."""
    before = rows(path)
    target = later(tmp_path)
    copy = upgrade(path, target=target)
    assert copy == tmp_path / "trading.db.before-version-4"
    assert rows(path) == before == rows(copy)
    assert verify_file(copy) == []
    driver = sqlite3.connect(path)
    assert shape.fingerprint(driver) == target.shape
    assert driver.execute("PRAGMA user_version").fetchone() == (4,)
    with pytest.raises(sqlite3.IntegrityError, match="immutable"):
        driver.execute("DELETE FROM order_event")
    driver.close()


@pytest.mark.parametrize(
    "more",
    [
        'op.execute("CREATE TABLE odd (x INTEGER) STRICT")',
        'op.execute("DROP TRIGGER no_delete_trade")',
        'raise RuntimeError("half way")',
        'op.execute("NONSENSE")',
        'op.execute("DROP TRIGGER no_delete_trade"); op.execute("DELETE FROM trade")',
    ],
)
def test_failed_upgrade_is_taken_back(path: Path, tmp_path: Path, more: str) -> None:
    """Goal: DDL and all, a revision that raises or leaves another shape leaves no trace."""
    before = rows(path)
    with pytest.raises(Exception, match=r"taken back|half way|NONSENSE"):
        upgrade(path, target=later(tmp_path, more))
    assert rows(path) == before
    assert verify_file(path) == []


def test_killed_upgrade_leaves_the_old_version(path: Path, tmp_path: Path) -> None:
    """Goal: death in the middle of the transaction is as if it had not begun."""
    before = rows(path)
    later(tmp_path, "import os; os.kill(os.getpid(), 9)")
    code = (
        "import sys; from pathlib import Path; from algo_trader.ledger.migrate import *;"
        "upgrade(Path(sys.argv[1]), target=Target(4, Path(sys.argv[2]), {}))"
    )
    command = [sys.executable, "-c", code, str(path), str(tmp_path / "revisions")]
    assert subprocess.run(command, check=False).returncode == -9
    with Ledger.open(path) as ledger:
        assert ledger.verify() == []
    assert rows(path) == before


def test_bad_ledger_is_not_upgraded(path: Path, tmp_path: Path) -> None:
    """Goal: the backup must prove right first."""
    driver = sqlite3.connect(path, isolation_level=None)
    driver.execute("UPDATE order_state SET version = 1000")
    driver.close()
    before = rows(path)
    with pytest.raises(LedgerCorrupt, match="version is 1000"):
        upgrade(path, target=later(tmp_path))
    assert rows(path) == before


def test_newer_and_locked_files_are_refused(path: Path) -> None:
    """Goal: no downgrade, and none under a running daemon."""
    with Ledger.open(path), pytest.raises(LedgerLocked):
        upgrade(path, busy_timeout_ms=10)
    driver = sqlite3.connect(path, isolation_level=None)
    driver.execute("PRAGMA user_version = 9")
    driver.close()
    with pytest.raises(LedgerRefused, match="version 9"):
        upgrade(path)


def test_backtests_have_a_door_of_their_own(tmp_path: Path) -> None:
    """Goal: upgrade makes a file of the kind it was asked for."""
    path = tmp_path / "backtests.db"
    upgrade(path, shape.BACKTESTS_ID)
    connect(path, application_id=shape.BACKTESTS_ID).close()
