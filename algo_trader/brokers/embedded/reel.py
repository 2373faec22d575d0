"""The days an exchange replays, and where in them a place lies.

Owns the arithmetic between instants and minutes of days. It plays nothing.
"""

from __future__ import annotations

from collections.abc import Sequence

from algo_trader.brokers.embedded.books import Place, Stage
from algo_trader.brokers.embedded.errors import ExchangeRefused
from algo_trader.core.ports import PastDay
from algo_trader.core.types import MINUTE, Bar, Instant, Symbol, iso


class Reel:
    """Days before the traded period, and the period: ascending, each day with all its minutes."""

    def __init__(self, history: Sequence[PastDay], period: Sequence[PastDay]) -> None:
        self.history = history
        self.period = period

    def index_of(self, place: Place) -> int:
        """The day of the period that is played next or goes on; its length if none is left.

        ExchangeRefused if the period has another beginning than the place allows: a session would
        be left out, or be cut off in its middle.
        """
        now = place.now
        is_behind = bool(self.history) and self.history[-1].session.opens_at > now
        for index, day in enumerate(self.period):
            session = day.session
            if session.opens_at >= now and place.stage is Stage.CLOSED and not is_behind:
                return index
            if session.opens_at <= now <= session.closes_at and place.stage is not Stage.CLOSED:
                return index
        if place.stage is not Stage.CLOSED or is_behind:
            raise ExchangeRefused(
                f"--from, --to: the exchange stands at {iso(now)}, and these dates leave it out or "
                "begin behind it: name those it began with, or begin anew with --reset-exchange"
            )
        return len(self.period)

    def past(self, place: Place) -> list[PastDay]:
        """Every day before the place, and of its own day the minutes that have been played."""
        index = self.index_of(place)
        days = [*self.history, *self.period[:index]]
        if index < len(self.period) and place.stage is not Stage.CLOSED:
            session, minutes = self.period[index]
            played = (place.now - session.opens_at) // MINUTE
            if played:
                days.append(PastDay(session, minutes[:played]))
        return days

    def last_bars(self, place: Place) -> dict[Symbol, Bar]:
        """Each symbol's last bar that has been matched."""
        last = {
            bar.symbol: bar
            for day in self.past(place)
            for bars in day.minutes
            for bar in bars
        }
        if place.symbol is not None:  # Some bars of the present minute have been matched too.
            bars = self.minute_at(self.index_of(place), place.now)
            last |= {bar.symbol: bar for bar in bars if bar.symbol <= place.symbol}
        return last

    def minute_at(self, index: int, start: Instant) -> Sequence[Bar]:
        """The bars of the minute that begins at `start`, in the session of that day."""
        session, minutes = self.period[index]
        return minutes[(start - session.opens_at) // MINUTE]

    def ends_at(self, index: int) -> Instant:
        """Where the clock of a day stops: at its close, on the last day after its last bar.

        As in a backtest, which has nothing to look at beyond the last bar.
        """
        session, minutes = self.period[index]
        if index < len(self.period) - 1:
            return session.closes_at
        count = len(minutes)
        while count and not minutes[count - 1]:
            count -= 1
        return session.opens_at + count * MINUTE
