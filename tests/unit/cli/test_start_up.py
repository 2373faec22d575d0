"""What a command imports: nothing heavy that it does not need. Time itself is bench's business."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

SAMPLE = Path(__file__).parents[3] / "data" / "sample"
PROBE = """
import json, sys
from algo_trader.cli.main import run
code = run(sys.argv[1:])
print(json.dumps([code, sorted(name.partition(".")[0] for name in sys.modules)]), file=sys.stderr)
"""
HEAVY = {
    "alembic",
    "asyncio",
    "exchange_calendars",
    "numpy",
    "pandas",
    "pyarrow",
    "pydantic",
    "sqlalchemy",
    "structlog",
}


def imported(*arguments: str) -> set[str]:
    """The heavy packages a command line has imported by its end, in a process of its own."""
    command = [sys.executable, "-c", PROBE, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    code, modules = json.loads(done.stderr.splitlines()[-1])
    assert code == 0, done.stderr
    return HEAVY & set(modules)


VERBS = ("orders", "trades", "positions", "verify", "backup", "restore", "status", "stop")


@pytest.mark.parametrize(
    "arguments",
    [["--help"], ["--version"], *([verb, "--help"] for verb in VERBS)],
    ids=" ".join,
)
def test_help_imports_nothing_heavy(arguments: list[str]) -> None:
    """Goal: help answers at once."""
    assert imported(*arguments) == set()


def test_a_backtest_on_csv_builds_no_calendar_twice(tmp_path: Path) -> None:
    """Goal: with the session table cached, no calendar, data frame or Parquet library is loaded."""
    line = ["--data-dir", str(tmp_path), "backtest", "SYNA", "--bars", str(SAMPLE)]
    imported(*line)
    assert imported(*line) & {"pandas", "exchange_calendars", "pyarrow", "numpy"} == set()


def test_a_backtest_without_saving_loads_no_database(tmp_path: Path) -> None:
    """Goal: --no-save keeps the process small and writes nothing but the cached calendar."""
    line = ["--data-dir", str(tmp_path), "backtest", "SYNA", "--bars", str(SAMPLE), "--no-save"]
    assert "sqlalchemy" not in imported(*line)
    assert [path.name for path in tmp_path.iterdir()] == ["cache"]
