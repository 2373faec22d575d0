"""Profit and loss: a trade is a round trip from flat to flat, per strategy and symbol.

Rule (risk page, "P&L"): (exit - entry) x qty - commissions, prices weighted by fills, pnl_pct on
the entry value. Computed from values, not from rounded averages, so that cash agrees to the last
digit.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any, NamedTuple

from algo_trader.core.types import (
    HUNDRED,
    DecisionId,
    ExitReason,
    Instant,
    Side,
    Symbol,
    iso,
    text,
)


class Trade(NamedTuple):
    """One completed round trip. Prices are averages weighted by fills, in dollars."""

    decision: DecisionId
    strategy: str
    symbol: Symbol
    side: Side
    qty: Decimal
    entry_at: Instant
    entry_price: Decimal
    exit_at: Instant
    exit_price: Decimal
    exit_reason: ExitReason
    pnl: Decimal
    pnl_pct: Decimal
    commission: Decimal

    @property
    def duration_s(self) -> int:
        """Seconds between the bars of the entry and of the exit."""
        return self.exit_at - self.entry_at


def round_trip(
    *,
    decision: DecisionId,
    strategy: str,
    symbol: Symbol,
    side: Side,
    qty: Decimal,
    entry_value: Decimal,
    exit_value: Decimal,
    commission: Decimal,
    entry_at: Instant,
    exit_at: Instant,
    reason: ExitReason,
) -> Trade:
    """The trade of `qty` shares bought and sold for the given total values."""
    gross = exit_value - entry_value if side is Side.LONG else entry_value - exit_value
    pnl = gross - commission
    return Trade(
        decision,
        strategy,
        symbol,
        side,
        qty,
        entry_at,
        entry_value / qty,
        exit_at,
        exit_value / qty,
        reason,
        pnl,
        pnl / entry_value * HUNDRED,
        commission,
    )


def trade_json(trade: Trade) -> dict[str, Any]:
    """One trade as the JSON object that `trades` and `backtest` print."""
    return {
        "symbol": trade.symbol,
        "side": trade.side,
        "qty": text(trade.qty),
        "entry_at": iso(trade.entry_at),
        "entry_price": text(trade.entry_price),
        "exit_at": iso(trade.exit_at),
        "exit_price": text(trade.exit_price),
        "exit_reason": trade.exit_reason,
        "pnl": text(trade.pnl),
        "pnl_pct": text(trade.pnl_pct),
        "commission": text(trade.commission),
        "duration_s": trade.duration_s,
    }
