"""A backtest keeps its run, and its answer is never lost with it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from algo_trader.cli.main import run
from algo_trader.ledger.backtests import runs

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
