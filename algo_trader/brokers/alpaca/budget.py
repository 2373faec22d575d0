"""The one budget of requests, and the pauses all of them make when the broker says so.

Real time. A request leaves only if, with it, no minute holds more than `per_minute` of them: that
is true of any minute, so it does not matter where the broker's own begin. What is urgent may use
all of it, the rest a share, so that protective orders and look-ups find some left.

While the keys are refused one request leaves from time to time to learn whether they still are, the
most urgent of those that wait.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable

from algo_trader.brokers.alpaca.errors import Throttled
from algo_trader.core.errors import KeysRefused
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

PROBE_S = {
    Urgency.PROTECTIVE: 3.0,
    Urgency.LOOKUP: 4.0,
    Urgency.ENTRY: 5.0,
    Urgency.BACKGROUND: 6.0,
}
"""How long after the last request one of this urgency leaves while the keys are refused."""


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
        self._refused = ""
        self._probed_at = 0.0

    async def take(self, urgency: Urgency, most_s: float = 60.0) -> None:
        """Wait for leave to send one request; if it takes more than `most_s` seconds Throttled, or
        KeysRefused.
        """
        latest = self._clock() + most_s
        while True:
            wait_s = self._wait_s(urgency)
            if wait_s <= 0:
                self._probed_at = self._clock()
                self._sent.append(self._probed_at)
                return
            if self._clock() + wait_s > latest:
                if self._refused:
                    raise KeysRefused(self._refused)
                raise Throttled(
                    f"the limit of {self._per_minute} requests a minute is used up: "
                    f"not sent, free again in {wait_s:.1f} s"
                )
            await self._sleep(wait_s)

    def pause(self, seconds: float) -> None:
        """Nothing leaves for so long: the broker has refused a request for their number."""
        self._paused_until = max(self._paused_until, self._clock() + seconds)

    def refuse(self, words: str) -> None:
        """The broker does not accept the keys, in these words."""
        self._refused, self._probed_at = words, self._clock()

    def accept(self) -> None:
        """The broker has accepted the keys."""
        self._refused = ""

    def _wait_s(self, urgency: Urgency) -> float:
        self._forget()
        now = self._clock()
        paused_s = self._paused_until - now
        if self._refused:
            paused_s = max(paused_s, self._probed_at + PROBE_S[urgency] - now)
        most = max(1, self._per_minute * PER_CENT[urgency] // 100)
        over = len(self._sent) - most
        if over < 0:
            return paused_s
        return max(paused_s, self._sent[over] + self._window_s - now)

    def _forget(self) -> None:
        oldest = self._clock() - self._window_s
        while self._sent and self._sent[0] <= oldest:
            self._sent.popleft()
