"""Market time: this machine's, or the broker's clock read from time to time and let run between.

With a source "broker" time may run `speed` times as fast as ours, as at an exchange that replays a
past session. Time never goes back within a process: it stands still until it is caught up with.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from algo_trader.core.errors import Unavailable
from algo_trader.core.types import Instant, Word

SLOWEST_READING_S = 2.0
"""A reading that took longer tells the time too roughly to be used."""


class ClockSource(Word):
    """Whose time it is."""

    SYSTEM = "system"
    BROKER = "broker"


class SteeredClock:
    """Seconds since the epoch. `skew_s` is how far the broker's clock is ahead of this one, None
    until it was measured: below zero also while time stands still.
    """

    def __init__(
        self,
        source: ClockSource = ClockSource.SYSTEM,
        speed: int = 1,
        *,
        system: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.source = source
        self.speed = speed
        self.skew_s: float | None = None
        self._system = system
        self._monotonic = monotonic
        self._read: tuple[float, float] | None = None
        self._latest = 0.0

    def now(self) -> Instant:
        """The whole second it is; Unavailable if the broker's clock was never read."""
        return int(self.precise())

    def precise(self) -> float:
        """The time with its fraction; Unavailable if the broker's clock was never read."""
        if self.source is ClockSource.SYSTEM:
            time_now = self._system()
        elif self._read is None:
            raise Unavailable("the broker's clock has not been read yet")
        else:
            server, at = self._read
            time_now = server + (self._monotonic() - at) * self.speed
        self._latest = max(self._latest, time_now)
        return self._latest

    def steer(
        self, server_epoch: float, sent_at_monotonic: float, got_at_monotonic: float
    ) -> None:
        """The broker's clock said `server_epoch` in an answer that was asked for and had then."""
        if got_at_monotonic - sent_at_monotonic > SLOWEST_READING_S and self._read is not None:
            return
        middle = (sent_at_monotonic + got_at_monotonic) / 2
        self._read = server_epoch, middle
        ago_s = self._monotonic() - middle
        rate = self.speed if self.source is ClockSource.BROKER else 1
        self.skew_s = server_epoch + ago_s * rate - self.precise()
