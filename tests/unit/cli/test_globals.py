"""The options before the verb: where files lie, and how much is told."""

from __future__ import annotations

from pathlib import Path

import pytest

from algo_trader.cli.main import run
from algo_trader.config import SETTINGS

SAMPLE = Path(__file__).parents[3] / "data" / "sample"
LINE = ["backtest", "SYNA", "SYNB", "--bars", str(SAMPLE), "--to", "2024-11-27"]
"""A session that is too short to warm up on: there are warnings."""


@pytest.mark.parametrize(
    ("option", "environment", "file", "expected"),
    [
        (None, None, None, "data"),
        (None, None, "ALGO_DATA_DIR=by-file", "by-file"),
        (None, None, "ALGO_DATA_DIR=", "data"),
        (None, "by-environment", "ALGO_DATA_DIR=by-file", "by-environment"),
        (None, "", "ALGO_DATA_DIR=by-file", "by-file"),
        ("by-option", "by-environment", "ALGO_DATA_DIR=by-file", "by-option"),
    ],
)
@pytest.mark.parametrize("name", [".env", "other.env"])
def test_the_data_directory(
    option: str | None,
    environment: str | None,
    file: str | None,
    expected: str,
    name: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Goal: option, else environment, else settings file, else ./data."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("ALGO_DATA_DIR", raising=False)
    if environment is not None:
        monkeypatch.setenv("ALGO_DATA_DIR", environment)
    if file is not None:
        Path(name).write_text(file)
    options = ["--env-file", name] if file is not None and name != ".env" else []
    options += ["--data-dir", option] if option is not None else []
    assert run([*options, *LINE]) == 0
    assert {path.name for path in tmp_path.iterdir() if path.is_dir()} == {expected}
    assert (tmp_path / expected / "backtests.db").is_file()


def test_quiet_says_errors_only(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Goal: -q drops warnings and leaves errors and the answer."""
    assert run(["--data-dir", str(tmp_path), *LINE]) == 0
    answer = capsys.readouterr()
    assert "Warning: SYNA" in answer.err
    assert run(["-q", "--data-dir", str(tmp_path), *LINE]) == 0
    told = capsys.readouterr()
    assert told.err == ""
    assert told.out.splitlines()[0] == answer.out.splitlines()[0]
    assert run(["-q", "-v", "--data-dir", str(tmp_path), *LINE]) == 0
    assert capsys.readouterr().err == ""
    assert run(["-q", "--data-dir", str(tmp_path), *LINE, "--set", "sma_fast=0"]) == 2
    assert capsys.readouterr().err.startswith("Error: velez.sma_fast")


def test_verbose_says_what_was_read_and_done(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Goal: -v names files, rows, sessions, the cache, settings and times, all on stderr."""
    settings = tmp_path / "my.env"
    settings.write_text("ALGO_VELEZ__SMA_FAST=7")
    line = ["-v", "--env-file", str(settings), "--data-dir", str(tmp_path / "data"), *LINE]
    line += ["--set", "sma_slow=100", "--decisions", str(tmp_path / "lines.jsonl")]
    assert run(line) == 0
    first = capsys.readouterr()
    assert "sessions of XNYS built and kept in" in first.err
    assert run(line) == 0
    told = capsys.readouterr()
    assert told.out.splitlines()[0] == first.out.splitlines()[0]
    for expected in (
        f"settings: {len(SETTINGS) - 2} default, 1 .env, 1 --set, read from {settings}\n",
        f"sessions of XNYS from {tmp_path / 'data'}",
        f"reading {SAMPLE / 'SYNA.csv'}, {SAMPLE / 'SYNB.csv'}",
        " rows read: 0.",
        " bars of SYNA, SYNB on 3 sessions, 0 outside regular hours: 0.",
        "1 sessions run after 0 to warm up: 0.",
        f"wrote {tmp_path / 'lines.jsonl'}\n",
        f"kept as run 2 in {tmp_path / 'data' / 'backtests.db'}\n",
    ):
        assert expected in told.err, expected
