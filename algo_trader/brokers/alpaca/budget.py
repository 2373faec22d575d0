"""The one budget of requests, and the pause all of them make when the broker says so.

Real time. A request leaves only if, with it, no minute holds more than `per_minute` of them: that
is true of any minute, so it does not matter where the broker's own begin. What is urgent may use
all of it, the rest a share, so that protective orders and look-ups find some left.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable

from algo_trader.brokers.alpaca.errors import Throttled
from algo_trader.core.types import Word


class Urgency(Word):
    """What a request is for."""

    PROTECTIVE = "protective"
    LOOKUP = "lookup"
    ENTRY = "entry"
    BACKGROUND = "background"


PER_CENT = {
    Urgency.PROTECTIVE: 100,
    Urgency.LOOKUP: 95,
    Urgency.ENTRY: 75,
    Urgency.BACKGROUND: 60,
}
"""How much of a minute's requests may be gone for one more of this urgency to leave."""


class RateBudget:
    """At most `per_minute` requests in any minute; `speed` times as many for a faster exchange.

    `clock` is monotonic, in seconds.
    """

    def __init__(
        self,
        per_minute: int = 200,
        speed: int = 1,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._per_minute = per_minute
        self._window_s = 60 / speed
        self._clock = clock
        self._sleep = sleep
        self._sent: deque[float] = deque()
        self._paused_until = 0.0

    @property
    def used(self) -> int:
        """Requests that left within the last minute."""
        self._forget()
        return len(self._sent)

    async def take(self, urgency: Urgency, most_s: float = 60.0) -> None:
        """Wait for leave to send one request; Throttled if it takes more than `most_s` seconds."""
        latest = self._clock() + most_s
        while True:
            wait_s = self._wait_s(urgency)
            if wait_s <= 0:
                self._sent.append(self._clock())
                return
            if self._clock() + wait_s > latest:
                raise Throttled(
                    f"the limit of {self._per_minute} requests a minute is used up: "
                    f"not sent, free again in {wait_s:.1f} s"
                )
            await self._sleep(wait_s)

    def pause(self, seconds: float) -> None:
        """Nothing leaves for so long: the broker has refused a request for their number."""
        self._paused_until = max(self._paused_until, self._clock() + seconds)

    def _wait_s(self, urgency: Urgency) -> float:
        self._forget()
        now = self._clock()
        paused_s = self._paused_until - now
        most = max(1, self._per_minute * PER_CENT[urgency] // 100)
        over = len(self._sent) - most
        if over < 0:
            return paused_s
        return max(paused_s, self._sent[over] + self._window_s - now)

    def _forget(self) -> None:
        oldest = self._clock() - self._window_s
        while self._sent and self._sent[0] <= oldest:
            self._sent.popleft()
