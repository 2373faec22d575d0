"""When the circuit breakers open. Once open they stay so until the next session.

Rules 4 and 5 of the risk page; an open breaker is the fact LimitTripped.
"""

from __future__ import annotations

from decimal import Decimal

from algo_trader.risk.limits import RiskLimits


def daily_loss_floor(limits: RiskLimits, session_equity: Decimal | None) -> Decimal | None:
    """The day's P&L at or below which the breaker opens; None while equity is unknown."""
    if session_equity is None or not session_equity.is_finite():
        return None
    return -(limits.max_daily_loss_pct * session_equity)


def daily_loss_reached(floor: Decimal | None, day_pnl: Decimal) -> bool:
    """Whether realized plus unrealized loss has reached its limit.

    Unknown figures are no proof of a loss; NOT_READY refuses on them.
    """
    return floor is not None and day_pnl.is_finite() and day_pnl <= floor


def losses_in_a_row_reached(limits: RiskLimits, *, loss_streak: int) -> bool:
    """Whether that many trades closed with a loss since the last winner of the session."""
    return loss_streak >= limits.consecutive_loss_pause
