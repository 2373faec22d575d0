"""Calendar arithmetic over sessions that are given to it.

Owns the question "which session, if any, is this instant in?". It does not know where the sessions
come from: feeds.calendar takes them from the exchange calendar.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from datetime import date

from algo_trader.core.types import MINUTE, Instant, Session


class SessionTable:
    """All sessions of an exchange in a range of dates, ascending."""

    def __init__(self, sessions: Sequence[Session]) -> None:
        self._sessions = tuple(sessions)
        self._opens = [session.opens_at for session in self._sessions]
        self._dates = [session.date for session in self._sessions]

    def __len__(self) -> int:
        return len(self._sessions)

    def __iter__(self) -> Iterator[Session]:
        return iter(self._sessions)

    @property
    def first(self) -> Session:
        """The earliest session known."""
        return self._sessions[0]

    @property
    def last(self) -> Session:
        """The latest session known."""
        return self._sessions[-1]

    def at(self, instant: Instant) -> Session | None:
        """The session with open <= instant < close, or None outside regular hours."""
        index = bisect_right(self._opens, instant) - 1
        if index < 0:
            return None
        session = self._sessions[index]
        return session if instant < session.closes_at else None

    def on(self, day: date) -> Session | None:
        """The session of that exchange date, or None on a holiday or weekend."""
        index = bisect_left(self._dates, day)
        if index < len(self._dates) and self._dates[index] == day:
            return self._sessions[index]
        return None

    def next_after(self, instant: Instant) -> Session | None:
        """The first session that opens after the instant, or None past the table's end."""
        index = bisect_right(self._opens, instant)
        return self._sessions[index] if index < len(self._sessions) else None


def window_end(session: Session, instant: Instant, interval_minutes: int) -> Instant:
    """End of the window of `interval_minutes`, aligned to the open, that holds the instant."""
    span = interval_minutes * MINUTE
    return session.opens_at + ((instant - session.opens_at) // span + 1) * span
