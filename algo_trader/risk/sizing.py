"""How many shares: whole shares, the least that any limit allows.

Rule (risk page, "Sizing"). Floor divisions are exact, so no rounding can exceed a limit.
"""

from __future__ import annotations

from decimal import Decimal

from algo_trader.core.events import Sizing
from algo_trader.core.types import ZERO
from algo_trader.risk.limits import RiskLimits

BY_RISK = "by_risk"
BY_POSITION = "by_position"
BY_CASH = "by_cash"


def whole_shares(dollars: Decimal, dollars_per_share: Decimal) -> Decimal:
    """Whole shares that `dollars` pay for; none when there is nothing to spend."""
    return dollars // dollars_per_share if dollars > 0 else ZERO


def size(
    limits: RiskLimits,
    *,
    equity: Decimal,
    buying_power: Decimal,
    price: Decimal,
    risk_per_share: Decimal,
) -> Sizing:
    """Shares for an entry at `price`; the limit named is the first of the smallest."""
    at_risk = min(limits.max_risk_per_trade_pct * equity, limits.max_risk_per_trade_abs)
    by_risk = whole_shares(at_risk, risk_per_share)
    by_position = whole_shares(limits.max_position_pct * equity, price)
    by_cash = whole_shares(buying_power, price)
    qty = min(by_risk, by_position, by_cash)
    limit = BY_RISK if qty == by_risk else BY_POSITION if qty == by_position else BY_CASH
    return Sizing(by_risk, by_position, by_cash, qty, limit)
