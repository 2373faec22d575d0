"""Tells a mute stream from a quiet market.

Owns when silence is long enough to ask REST, what its answer means, and when to look again. A
stream whose pings are answered may still have stopped to send; only bars that REST has and the
stream did not bring prove it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from algo_trader.core.types import MINUTE, Bar, Instant, Session, Symbol

SILENT_AFTER_S = 150
"""Market time without a bar of any symbol after which REST is asked."""
SILENT_REAL_S = 5.0
"""And no less than so much real time."""
ON_ITS_WAY_S = 30
"""Market time after its end in which a bar may still be on its way."""
LOOK_AGAIN_S, LOOK_AGAIN_MOST_S = 60, 300
"""Market time to the next look at a market that is quiet; it doubles."""


class MuteWatch:
    """Watches one connection. `is_mute` from the proof until a bar is heard, or none is newer."""

    def __init__(self) -> None:
        self.is_mute = False
        self.brought: dict[Symbol, Instant] = {}
        """Start of the last bar that the stream has brought, by symbol."""
        self._connected_at = 0.0
        self._heard_at = 0.0
        self._heard_real = 0.0
        self._next_look = 0.0
        self._again_s = LOOK_AGAIN_S

    def connected(self, now: float, real: float) -> None:
        """A connection begins: give it time to bring something."""
        self._connected_at = now
        self._be_patient(now, real)

    def heard(self, bars: Iterable[Bar], now: float, real: float) -> None:
        """The stream has brought bars."""
        brought = self.brought
        for bar in bars:
            brought[bar.symbol] = bar.start
        self._be_patient(now, real)
        self.is_mute = False

    def is_due(self, now: float, real: float, session: Session) -> bool:
        """Whether REST is to be asked now; the first bar is expected a minute after the open."""
        if not session.opens_at + MINUTE <= now < session.closes_at or now < self._next_look:
            return False
        silent_s = now - max(self._heard_at, session.opens_at + MINUTE)
        return silent_s >= SILENT_AFTER_S and real - self._heard_real >= SILENT_REAL_S

    def judge(self, now: float, session: Session, latest: Mapping[Symbol, Bar]) -> list[Symbol]:
        """Symbols whose latest bar by REST the stream should have brought: one makes it mute."""
        newer = {
            symbol: bar.start + MINUTE + ON_ITS_WAY_S
            for symbol, bar in latest.items()
            if session.opens_at <= bar.start < session.closes_at
            and bar.start > self.brought.get(symbol, 0)
            and self._connected_at < bar.start + MINUTE
        }
        missed = [symbol for symbol, due_at in newer.items() if due_at <= now]
        self.is_mute = bool(missed)
        if newer and not missed:
            self._next_look = min(newer.values())  # Perhaps it is just coming.
        else:
            self.look_later(now)
        return missed

    def look_later(self, now: float) -> None:
        """Leave REST alone for a while, longer each time."""
        self._next_look = now + self._again_s
        self._again_s = min(2 * self._again_s, LOOK_AGAIN_MOST_S)

    def _be_patient(self, now: float, real: float) -> None:
        self._heard_at, self._heard_real = now, real
        self._next_look = 0.0
        self._again_s = LOOK_AGAIN_S
