"""One-minute bars into candles of N minutes, aligned to the session's open.

Rules (strategy page, section 1; details page, "Candles"): a window [S, W) is complete when the bar
of its last minute has arrived. Otherwise it is closed by the symbol's next bar, two minutes after
its end by the clock, or at the session's close, and is then *late*: only a missing last minute
makes a candle late. A window without a bar gives no candle; nothing is made up. With an interval
of one minute a candle is a bar and never late.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from algo_trader.core.types import (
    MINUTE,
    ZERO,
    Bar,
    Candle,
    Instant,
    Session,
    Symbol,
    Volume,
)

OVERDUE_AFTER_S = 2 * MINUTE
"""A window that lacks its last minute is closed this long after its end, in virtual time."""

PATIENCE_S = 90
"""The same on the system's clock (the plan's 90-second rule): so long is waited for late bars."""

_new = tuple.__new__  # Half the price of the named tuple's own constructor.

INTERVALS_MINUTES = (1, 2, 5, 10)
"""Candle lengths that divide both a full session and a half-day."""


class CandleBuilder:
    """Builds the candles of one symbol; feed it bars in ascending order.

    `ready` holds the completed candles, oldest first, until their user takes them out.
    `window_end` is the end of the open window, or 0 when none is open; `closed_until` that of the
    last one that was closed; `opens_at` when the session began.
    """

    __slots__ = (
        "_close",
        "_first",
        "_high",
        "_last_minute",
        "_low",
        "_span",
        "_volume",
        "closed_until",
        "opens_at",
        "ready",
        "symbol",
        "window_end",
    )

    def __init__(self, symbol: Symbol, interval_minutes: int) -> None:
        if interval_minutes not in INTERVALS_MINUTES:
            raise ValueError(f"candle interval must be one of {INTERVALS_MINUTES} minutes")
        self.symbol = symbol
        self.ready: list[Candle] = []
        self.window_end: Instant = 0
        self._span = interval_minutes * MINUTE
        self.opens_at: Instant = 0
        self.closed_until: Instant = 0
        self._last_minute: Instant = 0
        self._first: Decimal = ZERO
        self._high: Decimal = ZERO
        self._low: Decimal = ZERO
        self._close: Decimal = ZERO
        self._volume: Volume = 0

    def open_session(self, session: Session) -> None:
        """Align windows to this session; the one before must have been closed."""
        self.opens_at = session.opens_at
        self.window_end = 0

    def add(self, bar: Bar) -> bool:
        """Take one bar of the present session; True when a candle is ready."""
        start = bar.start
        end = self.window_end
        if start < end:
            if bar.high > self._high:
                self._high = bar.high
            if bar.low < self._low:
                self._low = bar.low
            self._close = bar.close
            self._volume += bar.volume
        else:
            if start < self.closed_until:
                return bool(self.ready)  # A bar of a window that is closed already: too late.
            if end:
                self._finish(True)
            span = self._span
            self.window_end = end = start + span - (start - self.opens_at) % span
            self._last_minute = end - MINUTE
            self._first = bar.open
            self._high = bar.high
            self._low = bar.low
            self._close = bar.close
            self._volume = bar.volume
        if start == self._last_minute:
            self._finish(False)
            return True
        return bool(self.ready)

    def close_window(self) -> bool:
        """Close an open window that still lacks its last minute; True when there was one."""
        if not self.window_end:
            return False
        self._finish(True)
        return True

    def restate(self, bars: Sequence[Bar]) -> None:
        """The open window holds these bars and no others, ascending."""
        candle = candle_of(bars, self.window_end - self._span, self.window_end)
        _, _, _, self._first, self._high, self._low, self._close, self._volume, _ = candle

    def _finish(self, late: bool) -> None:
        """Make the open window a candle."""
        end = self.window_end
        candle = (
            self.symbol,
            end - self._span,
            end,
            self._first,
            self._high,
            self._low,
            self._close,
            self._volume,
            late,
        )
        self.ready.append(_new(Candle, candle))
        self.closed_until = end
        self.window_end = 0


def candle_of(bars: Sequence[Bar], start: Instant, end: Instant) -> Candle:
    """The candle that these bars of one window make, ascending; at least one."""
    return Candle(
        bars[0].symbol,
        start,
        end,
        bars[0].open,
        max(bar.high for bar in bars),
        min(bar.low for bar in bars),
        bars[-1].close,
        sum(bar.volume for bar in bars),
        bars[-1].start < end - MINUTE,
    )
