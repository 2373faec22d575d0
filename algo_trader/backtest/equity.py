"""The equity of a run over time: drawdown by the minute, returns by the session, exposure."""

from __future__ import annotations

from decimal import Decimal
from typing import NamedTuple

from algo_trader.core.types import HUNDRED, ZERO, Instant, Session


class SessionClose(NamedTuple):
    """Equity at the end of a session."""

    at: Instant
    equity: Decimal
    session: Session


class EquityCurve:
    """Follows equity after step 2 of every minute; keeps only what the metrics need."""

    def __init__(self, capital: Decimal) -> None:
        self.capital = capital
        self.closes: list[SessionClose] = []
        self.minutes = 0
        self.minutes_held = 0
        self.max_drawdown: Decimal = ZERO
        self.max_drawdown_pct: Decimal = ZERO
        self._peak = capital

    def mark_held(self, equity: Decimal) -> None:
        """Take the equity of a minute in which any share was held."""
        self.minutes_held += 1
        self._follow(equity)

    def mark_flat(self, cash: Decimal) -> None:
        """Take the equity of a flat minute; only the first after a fill can say anything new."""
        self._follow(cash)

    def _follow(self, equity: Decimal) -> None:
        if equity >= self._peak:
            self._peak = equity
            return
        fall = self._peak - equity
        if fall > self.max_drawdown:
            # The peak never sinks, so only a deeper fall can also be deeper in per cent.
            self.max_drawdown = fall
            self.max_drawdown_pct = max(self.max_drawdown_pct, fall / self._peak * HUNDRED)

    def close_session(self, session: Session, equity: Decimal) -> None:
        """Take the equity at a session's end."""
        self.minutes += session.minutes
        self.closes.append(SessionClose(session.closes_at, equity, session))

    @property
    def final_equity(self) -> Decimal:
        """Equity at the end of the run."""
        return self.closes[-1].equity if self.closes else self.capital

    def returns(self) -> list[Decimal]:
        """Return of each session, the first against the initial capital."""
        before = [self.capital, *(close.equity for close in self.closes)]
        return [
            after.equity / start - 1
            for start, after in zip(before, self.closes, strict=False)
            if start
        ]
