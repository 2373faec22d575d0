"""The circuit breakers of one account: they open here, and stay open until the next session.

When they open is risk.breaker's rule. That one is open is a fact (LimitTripped); what follows for
resting entries is derived in core.work.
"""

from __future__ import annotations

from decimal import Decimal

from algo_trader.core import work
from algo_trader.core.book import Book
from algo_trader.core.events import LimitTripped
from algo_trader.core.types import Instant
from algo_trader.engine import figures
from algo_trader.engine.hands import Hands
from algo_trader.risk.breaker import (
    daily_loss_floor,
    daily_loss_reached,
    losses_in_a_row_reached,
)
from algo_trader.risk.limits import RiskLimits
from algo_trader.risk.rules import ConsecutiveLossesRule


class Breakers:
    """Daily loss and losses in a row. `floor` is the day's P&L at which the first opens."""

    __slots__ = ("_book", "_hands", "_marks", "floor", "limits")

    def __init__(
        self, book: Book, marks: figures.Marks, limits: RiskLimits, hands: Hands
    ) -> None:
        self._book = book
        self._marks = marks
        self.limits = limits
        self._hands = hands
        self.floor: Decimal | None = None

    def open_session(self, equity: Decimal | None) -> None:
        """A new session measures its loss against this equity."""
        self.floor = daily_loss_floor(self.limits, equity)

    def check_daily_loss(self, now: Instant) -> None:
        """Open the daily-loss breaker, once, and cancel every resting entry."""
        if work.DAILY_LOSS in self._book.day.tripped:
            return
        if not daily_loss_reached(self.floor, figures.day_pnl(self._book, self._marks)):
            return
        self._hands.record(LimitTripped(at=now, rule=work.DAILY_LOSS))
        for holding in self._book.in_order():
            self._hands.settle(holding, now)

    def check_streak(self, at: Instant) -> None:
        """Open the pause after losses in a row; judged when a trade closes."""
        rule = ConsecutiveLossesRule.name
        if rule not in self._book.day.tripped and losses_in_a_row_reached(
            self.limits, loss_streak=self._book.day.loss_streak
        ):
            self._hands.record(LimitTripped(at=at, rule=rule))
