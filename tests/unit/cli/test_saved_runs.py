"""A backtest keeps its run, and its answer is never lost with it."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from algo_trader.cli.main import run
from algo_trader.ledger import backtests
from algo_trader.ledger.backtests import runs
from algo_trader.ledger.errors import LedgerCorrupt, LedgerLocked, StorageError
from algo_trader.ledger.shape import BACKTESTS_ID, VERSION

SAMPLE = Path(__file__).parents[3] / "data" / "sample"
LINE = ["backtest", "SYNA", "SYNB", "--bars", str(SAMPLE), "--json"]


def test_a_run_is_kept_as_it_was_answered(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Goal: what is stored is what was printed. Method: two runs, read back."""
    assert run(["--data-dir", str(tmp_path), *LINE]) == 0
    document = json.loads(capsys.readouterr().out)
    assert run(["--data-dir", str(tmp_path), *LINE]) == 0
    kept = runs(tmp_path / "backtests.db")
    assert len(kept) == 2
    for saved in kept:
        assert saved.symbols == ["SYNA", "SYNB"]
        assert saved.total_trades == document["metrics"]["total_trades"]
        assert str(saved.total_return) == document["metrics"]["total_return"]
        assert saved.params == document["run"]["params"]


def test_a_data_directory_that_cannot_be(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Goal: one clear error before any work."""
    (tmp_path / "data").write_text("in the way")
    assert run(["--data-dir", str(tmp_path / "data" / "sub"), *LINE]) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert "--no-save" in told.err


def halved(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def zeroed(path: Path) -> None:
    whole = path.read_bytes()
    path.write_bytes(whole[:4096] + bytes(4096) + whole[8192:])


def without_table(path: Path) -> None:
    driver = sqlite3.connect(path)
    driver.execute("DROP TABLE backtest_trade")
    driver.close()


def newer(path: Path) -> None:
    driver = sqlite3.connect(path)
    driver.execute("PRAGMA user_version = 99")
    driver.close()


@pytest.mark.parametrize(
    ("spoil", "checked_bytes", "code", "message"),
    [
        (halved, 10**9, 75, "is damaged"),
        (halved, 0, 75, "is damaged"),
        (zeroed, 10**9, 75, "is damaged"),
        (without_table, 0, 75, "no such table: backtest_trade"),
        (newer, 0, 2, "has version 99"),
    ],
)
def test_a_file_that_takes_no_run_is_refused_first(
    spoil: Callable[[Path], None],
    checked_bytes: int,
    code: int,
    message: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Goal: no answer and then an error. Method: a good file spoilt; --no-save goes on."""
    line = ["--data-dir", str(tmp_path), *LINE]
    assert run(line) == 0
    path = tmp_path / "backtests.db"
    spoil(path)
    before = path.read_bytes()
    monkeypatch.setattr(backtests, "CHECKED_WHOLE_BYTES", checked_bytes)
    capsys.readouterr()
    assert run(line) == code
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.startswith("Error: cannot keep the run: ")
    assert len(told.err.splitlines()) == 1
    assert message in told.err
    assert "--no-save" in told.err
    assert path.read_bytes() == before
    assert run([*line, "--no-save"]) == 0


def test_an_older_file_is_upgraded_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Goal: the upgrade stands before the run. Method: a version behind, the upgrade watched."""
    path = tmp_path / "backtests.db"
    assert run(["--data-dir", str(tmp_path), *LINE]) == 0
    driver = sqlite3.connect(path)
    driver.execute("PRAGMA user_version = 0")
    driver.close()
    asked: list[tuple[Path, int]] = []

    def upgrade(found: Path, application_id: int) -> None:
        asked.append((found, application_id))
        driver = sqlite3.connect(found)
        driver.execute(f"PRAGMA user_version = {VERSION}")
        driver.close()

    monkeypatch.setattr(backtests, "upgrade", upgrade)
    backtests.prepare(path)
    assert asked == [(path, BACKTESTS_ID)]


def test_bad_input_makes_no_file(tmp_path: Path) -> None:
    """Goal: the check of the file that is not there leaves none, nor fills an empty one."""
    line = ["--data-dir", str(tmp_path), *LINE, "--set", "sma_fast=0"]
    assert run(line) == 2
    assert not (tmp_path / "backtests.db").exists()
    (tmp_path / "backtests.db").touch()
    assert run(line) == 2
    assert (tmp_path / "backtests.db").stat().st_size == 0
    assert run(line[:-2]) == 0
    assert len(runs(tmp_path / "backtests.db")) == 1


@pytest.mark.parametrize(
    "error",
    [
        StorageError("x.db: SQLITE_FULL: disk is full"),
        LedgerCorrupt("x.db is damaged"),
        LedgerLocked("x.db is in use"),
        OSError(28, "No space left on device", "x.db"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_an_answer_outlives_a_save_that_fails(
    error: Exception,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Goal: the answer and its files are there, one message says that the run was not kept."""

    def fail(*_: object) -> int:
        raise error

    monkeypatch.setattr(backtests, "save", fail)
    lines = tmp_path / "lines.jsonl"
    assert run(["--data-dir", str(tmp_path), *LINE, "--decisions", str(lines)]) == 75
    told = capsys.readouterr()
    assert json.loads(told.out)["run"]["symbols"] == ["SYNA", "SYNB"]
    (message,) = [line for line in told.err.splitlines() if not line.startswith("Warning")]
    assert message.startswith("Error: the run was not kept: ")
    assert "x.db" in message
    assert lines.stat().st_size > 0


def test_a_foreign_file_in_its_place(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Goal: a file that is not ours is named and left alone."""
    path = tmp_path / "backtests.db"
    path.write_bytes(b"not a database, and somebody needs it" * 40)
    before = path.read_bytes()
    assert run(["--data-dir", str(tmp_path), *LINE]) in (2, 75)
    assert "backtests.db" in capsys.readouterr().err
    assert path.read_bytes() == before


@pytest.mark.parametrize("name", ["backtests.db", "cache/sessions-XNYS.json"])
def test_an_answer_never_takes_the_place_of_a_file_of_ours(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Goal: stored runs and the calendar survive a slip of the hand."""
    line = ["--data-dir", str(tmp_path), *LINE]
    assert run(line) == 0
    before = (tmp_path / name).read_bytes()
    assert run([*line, "--report", str(tmp_path / name)]) == 2
    assert "elsewhere" in capsys.readouterr().err
    assert (tmp_path / name).read_bytes() == before


def test_a_strategy_may_print_and_the_answer_stays_one_document(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Goal: stdout carries the answer alone."""
    (tmp_path / "loud.py").write_text(
        "from algo_trader.strategies import Velez\nprint('import')\n"
        "class Loud(Velez):\n"
        "    def signal(self, candle, indicators):\n"
        "        print('asked')\n"
        "        return super().signal(candle, indicators)\n"
    )
    line = ["--data-dir", str(tmp_path), *LINE, "--strategy", f"{tmp_path}/loud.py:Loud"]
    assert run(line) == 0
    told = capsys.readouterr()
    assert json.loads(told.out)["run"]["symbols"] == ["SYNA", "SYNB"]
    assert "asked" in told.err
