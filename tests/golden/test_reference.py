"""Every decision, trade and figure agrees with another program's, to the last digit.

`reference_backtest.py` was written from the rules alone, shares no code with the program and has
neither orders nor a broker: one loop over minutes and a few dictionaries. Both are run as a user
would run them, on the bundled sample always and on real bars where ALGO_REAL_DATA names them.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import date
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from click.testing import CliRunner

from algo_trader.cli.main import cli
from algo_trader.feeds.calendar import load_sessions

HERE = Path(__file__).parent
SAMPLE = HERE.parents[1] / "data" / "sample"
REAL = os.environ.get("ALGO_REAL_DATA")
RELATIVE_ERROR = Decimal("1e-24")  # Quotients of sums taken in another order, 28 digits each.
NOT_COMPARED = {"side"}  # On a line, the reference also names the side of a refused signal.


class Run(NamedTuple):
    """One backtest: which bars, which symbols, which settings."""

    name: str
    file: str
    symbols: str
    settings: str = ""
    period: str = ""


AAPL = "AAPL_2024-01_02_alpaca.csv.gz"
CPAY = "CPAY_2024_sparse.csv.gz"
MSFT = "MSFT_2022-05_06.csv.gz"
SPY = "SPY_2011-01.csv.gz"
SW = "SW_2024-07_09.csv.gz"
TPL = "TPL_2024_sparse.csv.gz"
US23 = "US23_2019-02-11_15.csv.gz"
SYMBOLS_23 = (
    "AAPL AMT AMZN BAC BK DFS GLD JPM MSFT MU PPLT QQQ SBUX SLV SPY TRV TSLA TZA UGA V VOO VXXB XLP"
)
WILD = "max_position_pct=0.25 max_risk_per_trade_pct=0.05 max_open_positions=20"

ON_THE_SAMPLE = [
    Run("sample", "", "SYNA SYNB SYNC"),
    Run("sample-short", "", "SYNA SYNB SYNC", "allow_short=true"),
    Run("sample-one-minute", "", "SYNC SYNA", "candle_interval_minutes=1 allow_short=true"),
    Run("sample-costs", "", "SYNA SYNB", "commission_per_share=0.005 slippage_per_share=0.03"),
]
ON_REAL_BARS = [
    Run("aapl", AAPL, "AAPL"),
    Run("aapl-tight", AAPL, "AAPL", "tightness_threshold_pct=0.5"),
    Run("aapl-short", AAPL, "AAPL", "allow_short=true"),
    Run("aapl-period", AAPL, "AAPL", "", "--from 2024-01-16 --to 2024-01-31"),
    Run("msft", MSFT, "MSFT", "commission_per_order=0.35"),
    Run("spy", SPY, "SPY", "candle_interval_minutes=1"),
    Run("tpl-sparse", TPL, "TPL", "allow_short=true buy_stop_expiry_candles=5"),
    Run("cpay-sparse", CPAY, "CPAY", "allow_short=true candle_interval_minutes=5"),
    Run("us23", US23, SYMBOLS_23),
    Run(
        "us23-daily-loss",
        US23,
        SYMBOLS_23,
        "allow_short=true max_daily_loss_pct=0.01 commission_per_order=10 "
        "consecutive_loss_pause=10 max_position_pct=0.25",
    ),
]
MORE_ON_REAL_BARS = [
    Run("aapl-five", AAPL, "AAPL", "candle_interval_minutes=5"),
    Run("aapl-ten", AAPL, "AAPL", "candle_interval_minutes=10 allow_short=true"),
    Run("aapl-one", AAPL, "AAPL", "candle_interval_minutes=1 max_run_candles=2"),
    Run("aapl-wild", AAPL, "AAPL", WILD),
    Run("sw", SW, "SW"),
    Run("cpay", CPAY, "CPAY", "flatten_minutes_before_close=7"),
    Run("cpay-ten", CPAY, "CPAY", "candle_interval_minutes=10 allow_short=true"),
    Run("tpl", TPL, "TPL", WILD),
    Run("sparse-together", f"{CPAY} {TPL} {SW}", "CPAY SW TPL", WILD),
    Run("us23-one", US23, SYMBOLS_23, "candle_interval_minutes=1 allow_short=true"),
    Run("us23-five", US23, SYMBOLS_23, f"candle_interval_minutes=5 allow_short=true {WILD}"),
]


def run_both(run: Run, tmp_path: Path) -> tuple[tuple[Any, Any], tuple[Any, Any]]:
    """Both programs' documents and decision lines: (ours, the reference's)."""
    paths = [str(SAMPLE)]
    if run.file:
        paths = [str(Path(REAL or "") / "bars_1min" / name) for name in run.file.split()]
    settings = [word for pair in run.settings.split() for word in ("--set", pair)]
    arguments = [*run.symbols.split(), *run.period.split(), *settings, "--json"]
    mine, other = tmp_path / "ours.jsonl", tmp_path / "reference.jsonl"
    bars = [word for path in paths for word in ("--bars", path)]
    ours = ["--data-dir", str(tmp_path), "-q", "backtest", *arguments, *bars]
    result = CliRunner().invoke(cli, [*ours, "--decisions", str(mine)], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    sessions = tmp_path / "sessions.json"
    table = load_sessions(tmp_path / "cache", today=date(2026, 1, 1))
    sessions.write_text(json.dumps([[str(s.date), s.opens_at, s.closes_at] for s in table]))
    command = [sys.executable, str(HERE / "reference_backtest.py"), *arguments]
    command += ["--bars", *paths, "--decisions", str(other), "--sessions", str(sessions)]
    reference = subprocess.run(command, capture_output=True, text=True, check=True)
    return (
        (json.loads(result.stdout), read_lines(mine)),
        (json.loads(reference.stdout), read_lines(other)),
    )


def read_lines(path: Path) -> list[Any]:
    """The JSON lines of a file."""
    return [json.loads(line) for line in path.read_text().splitlines()]


def same(ours: Any, theirs: Any) -> bool:
    """Whether two JSON values say the same; numbers by value, not by text."""
    if isinstance(theirs, dict):
        return all(same(ours.get(k), v) for k, v in theirs.items() if k not in NOT_COMPARED)
    if isinstance(theirs, list):
        return len(ours) == len(theirs) and all(map(same, ours, theirs))
    if isinstance(ours, str) and isinstance(theirs, str) and ours != theirs:
        try:
            one, other = Decimal(ours), Decimal(theirs)
        except InvalidOperation:
            return False
        return abs(one - other) <= RELATIVE_ERROR * abs(other)
    return bool(ours == theirs)


def compare(run: Run, tmp_path: Path) -> None:
    """Assert that both programs agree on every line, trade and metric, and that there are some."""
    (document, lines), (expected, expected_lines) = run_both(run, tmp_path)
    assert len(lines) == len(expected_lines) > 0
    for line, wanted in zip(lines, expected_lines, strict=True):
        assert same(line, wanted), f"{run.name}\nours      {line}\nreference {wanted}"
    assert len(document["trades"]) == len(expected["trades"])
    for trade, wanted in zip(document["trades"], expected["trades"], strict=True):
        assert same(trade, wanted), f"{run.name}\nours      {trade}\nreference {wanted}"
    for name, value in expected["metrics"].items():
        assert same(document["metrics"][name], value), f"{run.name}: {name}"
    assert any(line["events"] for line in lines), "a comparison without events proves little"


@pytest.mark.parametrize("run", ON_THE_SAMPLE, ids=lambda run: run.name)
def test_sample_agrees_with_the_reference(run: Run, tmp_path: Path) -> None:
    """Goal: no decision differs. Method: both programs on the bundled sample."""
    compare(run, tmp_path)


@pytest.mark.skipif(REAL is None, reason="ALGO_REAL_DATA is not set")
@pytest.mark.parametrize("run", ON_REAL_BARS, ids=lambda run: run.name)
def test_real_bars_agree_with_the_reference(run: Run, tmp_path: Path) -> None:
    """Goal: no decision differs on real bars, sparse ones and many symbols included."""
    compare(run, tmp_path)


@pytest.mark.slow
@pytest.mark.skipif(REAL is None, reason="ALGO_REAL_DATA is not set")
@pytest.mark.parametrize("run", MORE_ON_REAL_BARS, ids=lambda run: run.name)
def test_more_real_bars_agree_with_the_reference(run: Run, tmp_path: Path) -> None:
    """Goal: the same over every file, interval and wide limits; a longer sweep."""
    compare(run, tmp_path)
