"""Backtests are kept: a run and its trades go in together and are listed."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from recorded import WHEN, record

from algo_trader.backtest.equity import EquityCurve
from algo_trader.backtest.metrics import Metrics, measure
from algo_trader.backtest.result import BacktestResult
from algo_trader.core.pnl import Trade
from algo_trader.core.types import Session
from algo_trader.ledger.backtests import FinishedRun, runs, save
from algo_trader.ledger.errors import StorageError
from algo_trader.ledger.ledger import Ledger


@dataclass(frozen=True, kw_only=True)
class Run:
    """A finished run as far as it is stored; BacktestResult has more."""

    strategy: str
    symbols: list[str]
    first: date
    last: date
    capital: Decimal
    params: dict[str, Any]
    metrics: Metrics
    trades: list[Trade]
    curve: EquityCurve


def result_is_a_run(result: BacktestResult) -> FinishedRun:
    """For the type checker: what a backtest makes can be saved."""
    return result


def finished() -> Run:
    """A run with real trades."""
    trades = record().trades
    curve = EquityCurve(Decimal(100_000))
    for day in (2, 3):
        session = Session(date(2024, 1, day), day * 86_400, day * 86_400 + 23_400)
        curve.close_session(session, Decimal(100_000) + day)
    return Run(
        strategy="eager",
        symbols=["AA", "B.B"],
        first=date(2024, 1, 2),
        last=date(2024, 1, 3),
        capital=Decimal(100_000),
        params={"risk": {"max_open_positions": 5}, "eager": {"sma_fast": 1}},
        metrics=measure(trades, curve),
        trades=trades,
        curve=curve,
    )


def test_run_is_kept_and_listed(tmp_path: Path) -> None:
    """Goal: what was saved is listed, newest first, figures to the last digit."""
    path, result = tmp_path / "backtests.db", finished()
    assert save(path, result, lambda: WHEN) == 1
    assert save(path, replace(result, strategy="later", trades=[]), lambda: WHEN) == 2
    later, first = runs(path)
    assert later.strategy == "later"
    assert runs(path, limit=1) == [later]
    metrics = result.metrics
    assert (first.id, first.created_at) == (1, "2024-01-02T14:30:00Z")
    assert (first.symbols, first.first, first.last) == (result.symbols, result.first, result.last)
    assert (first.capital, first.params) == (result.capital, result.params)
    assert first.total_return == metrics.total_return
    assert first.win_rate == metrics.win_rate
    assert first.profit_factor == metrics.profit_factor
    assert first.sharpe_ratio == metrics.sharpe_ratio
    assert first.max_drawdown == metrics.max_drawdown
    assert first.total_trades == len(result.trades)
    assert first.equity_curve == [
        {"timestamp": "1970-01-03T06:30:00Z", "equity": "100002"},
        {"timestamp": "1970-01-04T06:30:00Z", "equity": "100003"},
    ]


def test_trades_are_kept_in_order(tmp_path: Path) -> None:
    """Goal: every trade has its row, with the run's id."""
    path, result = tmp_path / "backtests.db", finished()
    save(path, result)
    driver = sqlite3.connect(path)
    rows = driver.execute("SELECT symbol, pnl FROM backtest_trade WHERE run_id = 1 ORDER BY id")
    assert [(symbol, Decimal(pnl)) for symbol, pnl in rows] == [
        (trade.symbol, trade.pnl) for trade in result.trades
    ]
    driver.close()


def test_no_file_is_no_runs(tmp_path: Path) -> None:
    """Goal: listing makes no file."""
    assert runs(tmp_path / "backtests.db") == []
    assert list(tmp_path.iterdir()) == []


def test_run_that_cannot_be_stored_leaves_nothing(tmp_path: Path) -> None:
    """Goal: run and trades are one transaction. Method: a trade the table refuses."""
    path, result = tmp_path / "backtests.db", finished()
    bad = result.trades[-1]._replace(qty=Decimal("NaN"))
    with pytest.raises(StorageError, match="ck_qty_number"):
        save(path, replace(result, trades=[*result.trades, bad]))
    assert runs(path) == []


def test_several_may_read_while_one_is_open(tmp_path: Path) -> None:
    """Goal: two commands at once do not shut each other out, and a ledger beside is untouched."""
    path = tmp_path / "backtests.db"
    save(path, finished())
    other = sqlite3.connect(path)
    other.execute("SELECT * FROM backtest_run").fetchone()
    with Ledger.open(tmp_path / "trading.db"):
        assert save(path, finished()) == 2
    assert len(runs(path)) == 2
    other.close()
