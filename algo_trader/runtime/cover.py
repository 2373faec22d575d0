"""How long shares have been without a working stop: measured each second, told when it is too long.

Shares whose stop somebody has taken away again and again count like all others, and are told of
less often: he knows.
"""

from __future__ import annotations

from decimal import Decimal

from algo_trader.core import work
from algo_trader.core.book import Book
from algo_trader.core.types import ZERO
from algo_trader.runtime import Log

UNCOVERED_MOST_S = 3.0
"""Shares that are without a working stop for so long are told of."""
TELL_AGAIN_S = 60.0
DECLINED_TELL_AGAIN_S = 300.0
DECLINED = (
    "their stop was canceled again and again at the broker: `algo-trader resume` has it placed"
)


class Cover:
    """`share_seconds` adds up shares times seconds; `longest_s` is the longest time in a row."""

    def __init__(self, log: Log) -> None:
        self.share_seconds = ZERO
        self.longest_s = 0.0
        self.since_s = 0.0
        self._log = log

    def look(self, book: Book, seconds: float) -> None:
        """Count the `seconds` since the last look."""
        shares = uncovered(book)
        if not shares:
            self.since_s = 0.0
            return
        before = self.since_s
        self.since_s += seconds
        self.share_seconds += shares * Decimal(round(seconds))
        self.longest_s = max(self.longest_s, self.since_s)
        is_long = before < UNCOVERED_MOST_S <= self.since_s
        is_declined = self.is_declined(book)
        again_s = DECLINED_TELL_AGAIN_S if is_declined else TELL_AGAIN_S
        is_longer = before // again_s < self.since_s // again_s
        if is_long or is_longer:
            reason = {"reason": DECLINED} if is_declined else {}
            self._log("uncovered", level="critical", shares=shares, seconds=self.since_s, **reason)

    @staticmethod
    def is_declined(book: Book) -> bool:
        """Whether all shares that are bare are so by somebody's will."""
        bare = [holding for holding in book.active.values() if work.uncovered(holding)]
        return bool(bare) and all(holding.is_left_bare for holding in bare)


def uncovered(book: Book) -> Decimal:
    """Shares of all positions that no working stop covers."""
    return sum((work.uncovered(holding) for holding in book.active.values()), start=ZERO)
