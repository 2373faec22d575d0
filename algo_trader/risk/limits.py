"""The risk limits an operator may set; bounds are checked where settings are read."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class RiskLimits:
    """Limits on new risk. `*_pct` are fractions of equity (0.01 is one per cent)."""

    max_risk_per_trade_pct: Decimal = Decimal("0.01")
    max_risk_per_trade_abs: Decimal = Decimal("500")
    max_position_pct: Decimal = Decimal("0.05")
    max_daily_loss_pct: Decimal = Decimal("0.03")
    max_open_positions: int = 5
    consecutive_loss_pause: int = 3
