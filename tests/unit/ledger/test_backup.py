"""Backups prove right before they get their name, and can be put back."""

from __future__ import annotations

import sqlite3
from datetime import UTC, datetime
from pathlib import Path

import pytest
from recorded import record

from algo_trader.ledger.backup import backup, backup_name, keep_last, restore
from algo_trader.ledger.errors import LedgerCorrupt, LedgerLocked, LedgerRefused, StorageError
from algo_trader.ledger.ledger import Ledger
from algo_trader.ledger.verify import verify_file

STEPS = record().steps


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A closed ledger with the first half of a run."""
    path = tmp_path / "live" / "trading.db"
    path.parent.mkdir()
    with Ledger.open(path) as ledger:
        for step in STEPS[:100]:
            ledger.append(step)
    return path


def facts(path: Path) -> list[object]:
    """The facts of a closed file."""
    with Ledger.open(path) as ledger:
        assert ledger.verify() == []
        return list(ledger.facts())


def names(folder: Path) -> list[str]:
    """What lies in a folder."""
    return sorted(path.name for path in folder.iterdir())


def test_round_trip(path: Path, tmp_path: Path) -> None:
    """Goal: what was backed up comes back, what came after is set aside, not lost."""
    copy = tmp_path / "copy.db"
    early = facts(path)
    with Ledger.open(path) as ledger:
        assert backup(ledger, copy) == copy
        for step in STEPS[100:200]:
            ledger.append(step)
    late = facts(path)
    assert len(late) > len(early)
    assert verify_file(copy) == []
    aside = restore(copy, path)
    assert facts(path) == early
    assert aside is not None
    assert facts(aside) == late
    with Ledger.open(path) as ledger:
        for step in STEPS[100:]:
            ledger.append(step)
        assert ledger.verify() == []
    assert restore(copy, path) == path.with_name("trading.db.replaced-2")
    assert names(path.parent) == ["trading.db", "trading.db.replaced-1", "trading.db.replaced-2"]


def test_backup_replaces_the_last_one_and_leaves_nothing_else(path: Path, tmp_path: Path) -> None:
    """Goal: a leftover of a crashed backup is no obstacle, and none stays."""
    folder = tmp_path / "backups"
    folder.mkdir()
    (folder / "b.db.partial").write_text("half a backup")
    (folder / "b.db.partial-journal").write_text("and its journal")
    with Ledger.open(path) as ledger:
        backup(ledger, folder / "b.db")
        ledger.append(STEPS[100])
        backup(ledger, folder / "b.db")
        assert ledger.count() == sum(map(len, STEPS[:101]))
    assert names(folder) == ["b.db"]
    assert len(facts(folder / "b.db")) == sum(map(len, STEPS[:101]))


def test_bad_copy_does_not_replace_a_good_one(path: Path, tmp_path: Path) -> None:
    """Goal: a ledger whose projection lies is not backed up over the last good backup."""
    copy = tmp_path / "copy.db"
    with Ledger.open(path) as ledger:
        backup(ledger, copy)
        good = copy.read_bytes()
        ledger._driver.execute("UPDATE order_state SET qty_filled = '7777'")
        with pytest.raises(LedgerCorrupt, match=r"qty_filled is '7777'"):
            backup(ledger, copy)
    assert copy.read_bytes() == good
    assert names(tmp_path) == ["copy.db", "live"]


def test_backup_into_nowhere(path: Path, tmp_path: Path) -> None:
    """Goal: a missing folder is a storage error that names the target."""
    with Ledger.open(path) as ledger:
        with pytest.raises(StorageError, match="nowhere"):
            backup(ledger, tmp_path / "nowhere" / "copy.db")
        ledger.append(STEPS[100])  # The ledger itself is none the worse.


def test_leftover_that_stays(path: Path, tmp_path: Path) -> None:
    """Goal: what cannot be removed is a storage error that names the target. Method: a folder."""
    (tmp_path / "copy.db.partial").mkdir()
    with Ledger.open(path) as ledger:
        with pytest.raises(StorageError, match=r"copy\.db: what an earlier backup left stays"):
            backup(ledger, tmp_path / "copy.db")
        ledger.append(STEPS[100])


def test_restore_refuses_a_ledger_in_use(path: Path, tmp_path: Path) -> None:
    """Goal: nothing is moved under a running daemon."""
    copy = tmp_path / "copy.db"
    with Ledger.open(path) as ledger:
        backup(ledger, copy)
        with pytest.raises(LedgerLocked, match=r"trading\.db is in use"):
            restore(copy, path)
        ledger.append(STEPS[100])
    assert len(facts(path)) == sum(map(len, STEPS[:101]))
    assert names(path.parent) == ["trading.db"]


def test_restore_refuses_what_does_not_prove_right(path: Path, tmp_path: Path) -> None:
    """Goal: a tampered, a foreign and a missing backup leave the ledger alone."""
    before = path.read_bytes()
    tampered, foreign = tmp_path / "tampered.db", tmp_path / "foreign.db"
    with Ledger.open(path) as ledger:
        backup(ledger, tampered)
    driver = sqlite3.connect(tampered, isolation_level=None)
    driver.execute("UPDATE order_state SET version = 1000")
    driver.close()
    foreign.write_text("no database, " * 100)
    for source, error in (
        (tampered, LedgerCorrupt),
        (foreign, LedgerRefused),
        (tmp_path / "missing.db", StorageError),
    ):
        with pytest.raises(error):
            restore(source, path)
    assert path.read_bytes() == before
    assert names(path.parent) == ["trading.db"]


def test_broken_ledger_is_replaced_with_its_wal(path: Path, tmp_path: Path) -> None:
    """Goal: a file beyond reading, with a stale WAL, gives way, and the WAL does not stay to be
    played into the restored file.
    """
    copy = tmp_path / "copy.db"
    with Ledger.open(path) as ledger:
        backup(ledger, copy)
    wanted = facts(copy)
    path.write_bytes(b"broken " * 1000)
    path.with_name("trading.db-wal").write_bytes(b"stale " * 1000)
    aside = restore(copy, path)
    assert facts(path) == wanted
    assert aside is not None
    assert names(path.parent) == [
        "trading.db",
        "trading.db.replaced-1",
        "trading.db.replaced-1-wal",
    ]


def test_restore_cut_short_is_done_again(path: Path, tmp_path: Path) -> None:
    """Goal: a crash between moving the old away and the new in cannot start an empty ledger.
    Method: make the state of that moment; only a second restore leads out of it.
    """
    copy = tmp_path / "copy.db"
    with Ledger.open(path) as ledger:
        backup(ledger, copy)
    path.rename(path.with_name("trading.db.replaced-1"))
    path.with_name("trading.db.arriving").write_bytes(copy.read_bytes())
    with pytest.raises(LedgerRefused, match="restore the backup again"):
        Ledger.open(path)
    assert restore(copy, path) is None
    assert facts(path) == facts(copy)


def test_restore_where_nothing_is(path: Path, tmp_path: Path) -> None:
    """Goal: a new machine needs no old file."""
    copy, new = tmp_path / "copy.db", tmp_path / "new" / "trading.db"
    new.parent.mkdir()
    with Ledger.open(path) as ledger:
        backup(ledger, copy)
    assert restore(copy, new) is None
    assert facts(new) == facts(path)


def test_only_the_latest_are_kept(tmp_path: Path) -> None:
    """Goal: the oldest of this stem go, by the time in their names; nothing else is touched."""
    moments = [datetime(2024, 1, day, 21, tzinfo=UTC) for day in range(1, 6)]
    for stem in ("trading", "other"):
        for moment in moments:
            (tmp_path / backup_name(stem, moment)).touch()
    (tmp_path / "trading-by-hand.db").touch()
    gone = keep_last(tmp_path, "trading", 2)
    assert [path.name for path in gone] == [backup_name("trading", at) for at in moments[:3]]
    assert len(names(tmp_path)) == 5 + 2 + 1
    assert keep_last(tmp_path, "trading", 2) == []
    with pytest.raises(ValueError, match="at least one"):
        keep_last(tmp_path, "trading", 0)
