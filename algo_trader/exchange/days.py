"""Each symbol's day so far, for the channel of daily bars."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from algo_trader.core.types import Bar, Instant, Session, Symbol
from algo_trader.exchange.wire import NEW_YORK


class DaysSoFar:
    """Grows with every minute; a day's bar begins at New York's midnight."""

    def __init__(self) -> None:
        self._midnight: Instant = 0
        self._days: dict[Symbol, Bar] = {}

    def begin(self, session: Session) -> None:
        """A new day."""
        midnight = datetime(
            session.date.year, session.date.month, session.date.day, tzinfo=NEW_YORK
        )
        self._midnight = int(midnight.timestamp())
        self._days.clear()

    def add(self, bars: Sequence[Bar]) -> list[Bar]:
        """The days of these symbols with this minute in them."""
        return [self._grown(bar) for bar in bars]

    def _grown(self, bar: Bar) -> Bar:
        day = self._days.get(bar.symbol)
        grown = Bar(
            bar.symbol,
            self._midnight,
            bar.open if day is None else day.open,
            bar.high if day is None else max(day.high, bar.high),
            bar.low if day is None else min(day.low, bar.low),
            bar.close,
            bar.volume if day is None else day.volume + bar.volume,
        )
        self._days[bar.symbol] = grown
        return grown
