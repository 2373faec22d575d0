"""The figures of a run, each with its definition. Undefined is None, never 0, NaN or Infinity.

Definitions: docs/metrics.md says the same for users. Ratios are computed in Decimal; `*_pct` are
per cent, `win_rate` and `total_return` fractions, money in dollars.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import NamedTuple

from algo_trader.backtest.equity import EquityCurve
from algo_trader.core.pnl import Trade
from algo_trader.core.types import HUNDRED, ZERO

SESSIONS_PER_YEAR = Decimal(252)
MIN_RETURNS = 2


class Metrics(NamedTuple):
    """What a run amounted to."""

    total_return: Decimal
    total_pnl: Decimal
    final_equity: Decimal
    total_trades: int
    winning_trades: int
    losing_trades: int
    win_rate: Decimal | None
    profit_factor: Decimal | None
    sharpe_ratio: Decimal | None
    sortino_ratio: Decimal | None
    max_drawdown: Decimal
    max_drawdown_pct: Decimal
    avg_win: Decimal | None
    avg_loss: Decimal | None
    best_trade: Decimal | None
    worst_trade: Decimal | None
    exposure_pct: Decimal | None
    avg_duration_s: int | float | None


def measure(trades: Sequence[Trade], curve: EquityCurve) -> Metrics:
    """All figures of a run from its trades and its equity."""
    pnls = [trade.pnl for trade in trades]
    wins = [pnl for pnl in pnls if pnl > 0]
    losses = [pnl for pnl in pnls if pnl < 0]
    returns = curve.returns()
    total_pnl = curve.final_equity - curve.capital
    return Metrics(
        total_return=total_pnl / curve.capital,
        total_pnl=total_pnl,
        final_equity=curve.final_equity,
        total_trades=len(trades),
        winning_trades=len(wins),
        losing_trades=len(losses),
        win_rate=_ratio(Decimal(len(wins)), Decimal(len(trades))),
        profit_factor=_ratio(sum(wins, ZERO), -sum(losses, ZERO)),
        sharpe_ratio=sharpe(returns),
        sortino_ratio=sortino(returns),
        max_drawdown=curve.max_drawdown,
        max_drawdown_pct=curve.max_drawdown_pct,
        avg_win=_mean(wins),
        avg_loss=_mean(losses),
        best_trade=max(pnls, default=None),
        worst_trade=min(pnls, default=None),
        exposure_pct=_ratio(HUNDRED * curve.minutes_held, Decimal(curve.minutes)),
        avg_duration_s=_mean_seconds([trade.duration_s for trade in trades]),
    )


def sharpe(returns: Sequence[Decimal]) -> Decimal | None:
    """Mean over sample standard deviation of session returns, times sqrt(252); risk-free 0."""
    if len(returns) < MIN_RETURNS:
        return None
    mean = sum(returns, ZERO) / len(returns)
    squares = sum(((value - mean) ** 2 for value in returns), ZERO)
    return _annual(mean, (squares / (len(returns) - 1)).sqrt())


def sortino(returns: Sequence[Decimal]) -> Decimal | None:
    """Mean over downside deviation against 0 (root of the mean squared loss), times sqrt(252)."""
    if len(returns) < MIN_RETURNS:
        return None
    mean = sum(returns, ZERO) / len(returns)
    squares = sum((value**2 for value in returns if value < 0), ZERO)
    return _annual(mean, (squares / len(returns)).sqrt())


def _annual(mean: Decimal, deviation: Decimal) -> Decimal | None:
    return mean / deviation * SESSIONS_PER_YEAR.sqrt() if deviation else None


def _ratio(part: Decimal, whole: Decimal) -> Decimal | None:
    return part / whole if whole else None


def _mean(values: Sequence[Decimal]) -> Decimal | None:
    return sum(values, ZERO) / len(values) if values else None


def _mean_seconds(values: Sequence[int]) -> int | float | None:
    if not values:
        return None
    mean = sum(values) / len(values)
    return int(mean) if mean.is_integer() else mean
