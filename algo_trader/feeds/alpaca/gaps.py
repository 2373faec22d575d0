"""The 90-second rule: a symbol without any bar of a candle's window is asked for over REST.

Owns which windows of the present session are due to be looked at, and how often REST may be asked.
A window that has some of its bars is not its business: the engine closes that by itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

from algo_trader.core.candles import PATIENCE_S
from algo_trader.core.types import MINUTE, Instant, Session, Symbol

BETWEEN_S = 60.0
"""Market time between two questions."""

HasBarIn = Callable[[Symbol, Instant, Instant], bool]


class Gap(NamedTuple):
    """Bars that are missed: those of `symbols` that start from `first` to `last` inclusive."""

    symbols: frozenset[Symbol]
    first: Instant
    last: Instant


class Gaps:
    """Finds what is missed in one session after the other."""

    def __init__(self, interval_minutes: int) -> None:
        self._span = interval_minutes * MINUTE
        self._next_end: Instant = 0
        self._closes_at: Instant = 0
        self._missed: Gap | None = None
        self._not_before = 0.0

    def open(self, session: Session, now: Instant) -> None:
        """Begin with the first window of the session that ends after now."""
        done = max(0, now - session.opens_at) // self._span
        self._next_end = session.opens_at + (done + 1) * self._span
        self._closes_at = session.closes_at
        self._missed = None

    def is_due(self, now: float) -> bool:
        """Whether `due` has anything to do."""
        return self._missed is not None or self._is_over(now)

    def due(self, now: float, symbols: Iterable[Symbol], has_bar_in: HasBarIn) -> Gap | None:
        """What to ask for now; what is handed out once is not missed again."""
        while self._is_over(now):
            begin, end = self._next_end - self._span, self._next_end
            absent = frozenset(symbol for symbol in symbols if not has_bar_in(symbol, begin, end))
            if absent:
                self._miss(Gap(absent, begin, end - MINUTE))
            self._next_end += self._span
        if self._missed is None or now < self._not_before:
            return None
        gap, self._missed = self._missed, None
        self._not_before = now + BETWEEN_S
        return gap

    def _is_over(self, now: float) -> bool:
        """Whether another window is to be looked at."""
        return self._next_end <= self._closes_at and self._next_end + PATIENCE_S <= now

    def _miss(self, gap: Gap) -> None:
        missed = self._missed
        if missed is not None:
            gap = Gap(missed.symbols | gap.symbols, missed.first, gap.last)
        self._missed = gap
