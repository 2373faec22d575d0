"""`backup` and `restore`: a verified copy out, a verified copy back, and nothing lost between."""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from recorded import OPENS_AT, record

from algo_trader.cli.main import run
from algo_trader.core import events as ev
from algo_trader.ledger.ledger import Ledger
from algo_trader.ledger.verify import verify_file
from algo_trader.runtime.control import ControlServer
from algo_trader.runtime.lock import DaemonLock
from algo_trader.runtime.paths import control_socket, lock_file

STEPS = record().steps


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A data directory with a ledger of account ACCT."""
    path = tmp_path / "data" / "embedded-ACCT" / "trading.db"
    path.parent.mkdir(parents=True)
    with Ledger.open(path) as ledger:
        for step in STEPS[:50]:
            ledger.append(step)
    return tmp_path / "data"


def told(capsys: pytest.CaptureFixture[str], data: Path, *words: str | Path) -> tuple[int, str]:
    """Exit code, and what was said on either stream."""
    capsys.readouterr()
    code = run(["--data-dir", str(data), *map(str, words)])
    said = capsys.readouterr()
    return code, said.out + said.err


def facts(path: Path) -> list[ev.Fact]:
    """The facts of a closed file."""
    with Ledger.open(path) as ledger:
        return list(ledger.facts())


def test_there_and_back(data: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """Goal: the ledger of the backup's time comes back, what came after is set aside."""
    path, copy = data / "embedded-ACCT" / "trading.db", tmp_path / "copy.db"
    early = facts(path)
    assert told(capsys, data, "backup", copy) == (0, f"wrote {copy}\n")
    assert verify_file(copy) == []
    with Ledger.open(path) as ledger:
        ledger.append(STEPS[50])
    late = facts(path)
    code, said = told(capsys, data, "restore", copy)
    aside = path.with_name("trading.db.replaced-1")
    assert code == 0
    assert f"is now {aside}" in said
    assert (facts(path), facts(aside)) == (early, late)
    assert copy.exists()


def test_the_default_place(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Goal: beside the ledger, named by the time in UTC."""
    code, said = told(capsys, data, "backup")
    folder = data / "embedded-ACCT" / "backups"
    assert code == 0
    (copy,) = folder.iterdir()
    assert said == f"wrote {copy}\n"
    assert re.fullmatch(r"trading-\d{8}T\d{6}Z\.db", copy.name)
    assert folder.stat().st_mode & 0o777 == 0o700


def test_what_a_backup_replaces(
    data: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """Goal: an older backup gives way; no other file, the ledger least of all."""
    path, copy, letter = data / "embedded-ACCT" / "trading.db", tmp_path / "b.db", tmp_path / "l"
    letter.write_text("dear")
    assert told(capsys, data, "backup", copy)[0] == 0
    assert told(capsys, data, "backup", copy)[0] == 0
    before = path.read_bytes()
    alias, used = tmp_path / "alias.db", tmp_path / "used.db"
    aside = tmp_path / "trading.db.replaced-1"
    alias.symlink_to(path)
    for old in (aside, used):
        old.write_bytes(copy.read_bytes())
    used.with_name("used.db-wal").touch()
    for file, why in (
        (letter, "is no backup"),
        (path, "is a ledger itself"),
        (alias, "is a ledger itself"),
        (aside, "is a ledger itself, or was one"),
        (used, "is in use"),
    ):
        code, said = told(capsys, data, "backup", file)
        assert code == 2
        assert why in said
    assert told(capsys, data, "backup", tmp_path / "no" / "b.db")[0] == 2
    assert letter.read_text() == "dear"
    assert path.read_bytes() == before


def test_with_a_daemon(
    data: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Goal: the daemon, standing elsewhere, is handed a whole path, or none; a restore is refused
    under it, exit 4, whatever its control socket says.
    """
    asked: list[Any] = []
    monkeypatch.chdir(data)

    async def backup(body: Mapping[str, Any]) -> Mapping[str, Any]:
        asked.append(body["path"])
        return {"path": "/somewhere.db"}

    async def live() -> None:
        handlers = {("POST", "/backup"): backup}
        async with ControlServer(control_socket(data), handlers, lambda *_, **__: None):
            for words in (["backup", "b.db"], ["backup"]):
                found = await asyncio.to_thread(told, capsys, data, *words)
                assert found == (0, "wrote /somewhere.db\n")

    asyncio.run(live())
    assert asked == [str(data / "b.db"), None]
    assert told(capsys, data, "backup", data / "b.db")[0] == 0
    before = facts(data / "embedded-ACCT" / "trading.db")
    with DaemonLock(lock_file(data)):
        code, said = told(capsys, data, "restore", data / "b.db")
    assert code == 4
    assert "`algo-trader stop` first" in said
    assert facts(data / "embedded-ACCT" / "trading.db") == before
    assert told(capsys, data, "restore", data / "b.db")[0] == 0


def test_a_restore_finds_its_account(
    data: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """Goal: never over another account's ledger; a broken or missing ledger is found by the name
    of its folder.
    """
    path, copy = data / "embedded-ACCT" / "trading.db", tmp_path / "copy.db"
    wanted = facts(path)
    assert told(capsys, data, "backup", copy)[0] == 0
    other = data / "alpaca-PA1" / "trading.db"
    other.parent.mkdir()
    with Ledger.open(other) as ledger:
        ledger.append(
            [
                ev.AccountPinned(at=OPENS_AT, account="PA1", cash=Decimal(1)),
                ev.SessionOpened(at=OPENS_AT, session=date(2024, 1, 2), equity=Decimal(1)),
            ]
        )
    others = facts(other)
    path.write_bytes(b"broken " * 1000)
    assert told(capsys, data, "restore", copy)[0] == 0
    assert facts(path) == wanted
    path.unlink()
    assert told(capsys, data, "restore", copy)[0] == 0
    assert facts(path) == wanted
    assert facts(other) == others
    path.parent.rename(data / "embedded-OTHER")
    path.parent.with_name("embedded-OTHER").joinpath("trading.db").unlink()
    code, said = told(capsys, data, "restore", copy)
    assert code == 2
    assert "account ACCT, which has no folder" in said
    assert facts(other) == others


@pytest.mark.parametrize("content", [None, b"", b"not a database " * 100])
def test_what_is_no_backup(
    data: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path, content: bytes | None
) -> None:
    """Goal: exit 2 with a remedy, the ledger untouched."""
    path, file = data / "embedded-ACCT" / "trading.db", tmp_path / "file"
    if content is not None:
        file.write_bytes(content)
    before = path.read_bytes()
    code, said = told(capsys, data, "restore", file)
    assert code == 2
    assert "`algo-trader backup` wrote" in said
    assert path.read_bytes() == before


def test_other_refusals(data: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """Goal: the ledger onto itself, an empty ledger, two folders of one account, no directory, a
    pipe, no name.
    """
    path, empty, copy = data / "embedded-ACCT" / "trading.db", tmp_path / "e.db", tmp_path / "c.db"
    Ledger.open(empty).close()
    os.mkfifo(tmp_path / "pipe")
    assert told(capsys, data, "backup", copy)[0] == 0
    lines = {
        "is the ledger itself": told(capsys, data, "restore", path),
        "belongs to no account": told(capsys, data, "restore", empty),
        "pipe is no file": told(capsys, data, "restore", tmp_path / "pipe"),
        ". is no file": told(capsys, data, "restore", ""),
        "FILE is empty": told(capsys, data, "backup", ""),
        "has no folder in": told(capsys, tmp_path / "none", "restore", copy),
    }
    (data / "alpaca-ACCT").mkdir()
    lines["and so are alpaca-ACCT, embedded-ACCT"] = told(capsys, data, "restore", copy)
    for why, (code, said) in lines.items():
        assert code == 2
        assert why in said
