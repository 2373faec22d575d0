"""The tape: bars laid out over the sessions, minute by minute, as a clock walks them.

Owns which bars belong to regular hours and where in its session each one stands. It does not know
where bars or sessions come from, and what is done with a minute is the walker's business.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from operator import attrgetter
from typing import TypeAlias

from algo_trader.core.errors import DataError
from algo_trader.core.session import SessionTable
from algo_trader.core.types import MINUTE, Bar, Instant, Session, Symbol, iso, utc
from algo_trader.feeds.collector import collector_paused

MinuteBars: TypeAlias = tuple[Bar, ...]
"""The bars of one minute by symbol in code-point order; empty where no symbol has one."""

_NO_BARS: MinuteBars = ()
# Half the shortest time between two sessions, rounded: extended hours of the first and last
# sessions known are within it, bars of the sessions before and after are not.
_BEYOND = 12 * 60 * MINUTE

_start_of = attrgetter("start")


@dataclass(frozen=True, slots=True)
class TapeDay:
    """One session with its bars: `minutes[i]` holds those that start i minutes after the open."""

    session: Session
    minutes: list[MinuteBars]

    @property
    def last_minute(self) -> Instant:
        """Start of the last minute that has a bar."""
        last = len(self.minutes) - 1
        while not self.minutes[last]:
            last -= 1
        return self.session.opens_at + last * MINUTE


@dataclass(frozen=True, slots=True, kw_only=True)
class Tape:
    """Every session that has a bar in regular hours, ascending, at its full length."""

    symbols: tuple[Symbol, ...]
    """All symbols given, in code-point order, also one whose bars were all dropped."""
    days: list[TapeDay]
    bar_count: int
    """Bars on the tape."""
    dropped: int
    """Bars left out because they start outside regular hours."""

    @property
    def last_minute(self) -> Instant:
        """Start of the last minute that has a bar: a backtest's clock stops after it."""
        return self.days[-1].last_minute

    def between(self, first: date | None, last: date | None) -> tuple[list[TapeDay], list[TapeDay]]:
        """The days before `first`, to warm up on, and those from `first` to `last` inclusive.

        None stands for the tape's own end on that side. Either list may be empty.
        """
        dates = [day.session.date for day in self.days]
        begin = 0 if first is None else bisect_left(dates, first)
        end = len(dates) if last is None else bisect_right(dates, last)
        return self.days[:begin], self.days[begin:end]


@collector_paused()
def build_tape(bars: Mapping[Symbol, Sequence[Bar]], sessions: SessionTable) -> Tape:
    """Lay out each symbol's bars, ascending by start without doubles, over the sessions.

    Raises DataError for a bar outside the range of dates the sessions cover, and if no bar at all
    starts in regular hours.
    """
    symbols = tuple(sorted(bars))
    rows = [bars[symbol] for symbol in symbols if bars[symbol]]
    starts = [list(map(_start_of, row)) for row in rows]
    for row in rows:
        _require_known(row[0], sessions)
        _require_known(row[-1], sessions)
    days: list[TapeDay] = []
    bar_count = 0
    for session in _sessions_of(rows, sessions):
        pieces: list[Sequence[Bar]] = []
        for row, row_starts in zip(rows, starts, strict=True):
            begin = bisect_left(row_starts, session.opens_at)
            end = bisect_left(row_starts, session.closes_at)
            if begin < end:
                pieces.append(row[begin:end])
                bar_count += end - begin
        if pieces:
            days.append(TapeDay(session, _minutes(session, pieces)))
    if not days:
        raise _nothing_regular(rows)
    dropped = sum(map(len, rows)) - bar_count
    return Tape(symbols=symbols, days=days, bar_count=bar_count, dropped=dropped)


def _sessions_of(rows: Sequence[Sequence[Bar]], sessions: SessionTable) -> list[Session]:
    """The sessions that may have a bar."""
    if not rows:
        return []
    first, last = min(row[0].start for row in rows), max(row[-1].start for row in rows)
    return [
        session for session in sessions if session.closes_at > first and session.opens_at <= last
    ]


def _minutes(session: Session, pieces: Sequence[Sequence[Bar]]) -> list[MinuteBars]:
    """The minutes of a session from each symbol's bars in it, symbols in order."""
    length = session.minutes
    if all(len(piece) == length for piece in pieces):  # no minute is missing anywhere
        return list(zip(*pieces, strict=True))
    minutes = [_NO_BARS] * length
    opens_at = session.opens_at
    for piece in pieces:
        for bar in piece:
            minutes[(bar.start - opens_at) // MINUTE] += (bar,)
    return minutes


def _require_known(bar: Bar, sessions: SessionTable) -> None:
    """DataError if the sessions around the bar are not known, so that it is never just dropped."""
    first, last = sessions.first, sessions.last
    if first.opens_at - _BEYOND <= bar.start < last.closes_at + _BEYOND:
        return
    raise DataError(
        f"a bar of {bar.symbol} on {utc(bar.start).date()} is outside the exchange calendar, "
        f"which is known from {first.date} to {last.date}: correct its timestamp or leave it out"
    )


def _nothing_regular(rows: Sequence[Sequence[Bar]]) -> DataError:
    if not rows:
        return DataError("there are no bars: name files that have rows")
    bar = rows[0][0]
    return DataError(
        f"none of {sum(map(len, rows))} bars starts in regular trading hours, the first is "
        f"{bar.symbol} at {iso(bar.start)}: timestamps must be the start of the bar in UTC"
    )
