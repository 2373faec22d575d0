"""The way into the inbox: sessions begin, the clock goes on, bars follow in their order.

Owns what was put into the inbox of the present session. It asks nobody for anything.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from algo_trader.core.inputs import Clock, Input, PastDay, SessionOpens, TradingHalt
from algo_trader.core.ports import Inbox
from algo_trader.core.session import SessionTable
from algo_trader.core.types import MINUTE, Bar, Instant, Session, Symbol
from algo_trader.feeds.alpaca.gaps import Gap, Gaps
from algo_trader.feeds.alpaca.sequence import BarSequence

CLOCK_AFTER_CLOSE_S = 180
"""The clock goes on so long after a close: windows that lack bars end by it."""
AHEAD_S, AHEAD_REAL_S = 120, 0.5
"""How far ahead of our clock a bar may end, in market time and in real time."""


class Feeder:
    """Puts into the inbox; until there is one, what is to be put is passed over.

    `speed` is market seconds in a real one.
    """

    def __init__(self, sessions: SessionTable, interval_minutes: int, speed: float) -> None:
        self.inbox: Inbox | None = None
        self.session: Session | None = None
        """The present session, or the last one."""
        self.sequence = BarSequence()
        self.halted: dict[Symbol, Instant] = {}
        """Symbols whose trading is stopped, since when."""
        self.dropped = 0
        """Bars outside the session's regular hours, or ahead of the clock."""
        self._sessions = sessions
        self._gaps = Gaps(interval_minutes)
        self._ahead_s = max(AHEAD_S, int(AHEAD_REAL_S * speed)) - MINUTE
        self._clock_put: Instant = 0

    def begin(self, now: Instant, days: Sequence[PastDay]) -> None:
        """What the engine is told of the past: its present session is open, its bars are fed."""
        present = self._sessions.at(now)
        self.session = present
        self.sequence = BarSequence()
        self._clock_put = 0
        if present is not None:
            self.sequence.open(present, days[-1].minutes)
            self._gaps.open(present, now)

    # -- time --

    def tick(self, now: Instant) -> Session | None:
        """Market time has come to now. A session that begins by it after bars of it may have gone
        by: the clock was behind, or the process stood still.
        """
        session = self._sessions.at(now)
        begins = session if session is not None and self._is_new(session) else None
        if begins is not None:
            self._open(begins, now)
        self._put_clock(now)
        is_late = begins is not None and now - begins.opens_at > self._ahead_s + MINUTE
        return begins if is_late else None

    def gap(self, now: float, symbols: Sequence[Symbol]) -> Gap | None:
        """What the 90-second rule asks for now."""
        if not self._gaps.is_due(now):
            return None
        trading = [symbol for symbol in symbols if symbol not in self.halted]
        return self._gaps.due(now, trading, self.sequence.has_bar_in)

    def _is_new(self, session: Session) -> bool:
        return self.session is None or session.opens_at > self.session.opens_at

    def _open(self, session: Session, now: Instant) -> None:
        """A session begins, or we have come into the middle of one."""
        if self.session is not None:
            self._put_clock(self.session.closes_at + CLOCK_AFTER_CLOSE_S)  # If time has jumped.
        self.session = session
        self.sequence.open(session)
        self._gaps.open(session, now)
        self._put(SessionOpens(session))

    def _put_clock(self, now: Instant) -> None:
        session = self.session
        if session is None or now <= self._clock_put:
            return
        if session.opens_at <= now <= session.closes_at + CLOCK_AFTER_CLOSE_S:
            self._clock_put = now
            self._put(Clock(now))

    # -- bars --

    def feed(self, bars: Sequence[Bar], now: Instant) -> list[Bar]:
        """Put what is of the session into the inbox in its order; what was of it."""
        first, last = self.sequence.opens_at, self._last_start(now)
        fed = [bar for bar in bars if first <= bar.start <= last]
        if len(fed) < len(bars):
            fed = [bar for bar in bars if self._fits(bar, now)]
            self.dropped += len(bars) - len(fed)
        if self.halted:
            self._resume_by_proof(fed)
        minutes, corrections = self.sequence.sort(fed)
        for minute in minutes:
            self._put(minute)
        for correction in corrections:
            self._put(correction)
        return fed

    def feed_found(
        self, session: Session, found: Mapping[Symbol, Sequence[Bar]], now: Instant
    ) -> list[Bar]:
        """Feed those bars of REST that were not fed yet; none if their session is over."""
        if session is not self.session:
            return []
        return self.feed(self.sequence.unknown(found), now)

    def correct(self, bars: Sequence[Bar], now: Instant) -> None:
        """Minutes with the values they have now. One whose first word was lost counts as told now.
        """
        for bar in bars:
            if bar.start > self.sequence.last.get(bar.symbol, -1):
                self.feed([bar], now)
            elif self._fits(bar, now):
                for correction in self.sequence.correct(bar):
                    self._put(correction)

    def halt(self, halt: TradingHalt, now: Instant) -> None:
        """Trading in a symbol stops or resumes; told if that is new."""
        if halt.is_halted is (halt.symbol in self.halted):
            return
        if halt.is_halted:
            self.halted[halt.symbol] = now
        else:
            del self.halted[halt.symbol]
        self._put(halt)

    def _last_start(self, now: Instant) -> Instant:
        """The last start a bar of the present session may have now."""
        return min(self.sequence.closes_at - MINUTE, now + self._ahead_s)

    def _fits(self, bar: Bar, now: Instant) -> bool:
        """Whether the bar is of the present session; one of the next opens it, as our clock may
        be behind.
        """
        if self.sequence.opens_at <= bar.start <= self._last_start(now):
            return True
        session = self._sessions.at(bar.start)
        if session is None or not self._is_new(session) or now >= session.closes_at:
            return False
        if bar.start - now > self._ahead_s:
            return False
        self._open(session, max(now, session.opens_at))
        return True

    def _resume_by_proof(self, bars: Sequence[Bar]) -> None:
        """A minute that began after the halt has traded: the message that said so was lost."""
        for bar in bars:
            since = self.halted.get(bar.symbol)
            if since is not None and bar.start > since:
                self.halt(TradingHalt(bar.symbol, False), bar.start)

    def _put(self, item: Input) -> None:
        if self.inbox is not None:
            self.inbox.put(item)
