"""How fast a replay's market time runs against real time.

Rule (details page, "Settings and names"): nothing is paced until every strategy is warm; then one
minute of market time takes 60 / speed seconds. Without a speed nothing is waited for.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

from algo_trader.core.types import MINUTE


class Pace:
    """Awaited once a minute. `speed` is minutes of market time a real minute, None for the most."""

    def __init__(
        self,
        speed: float | None,
        is_warm: Callable[[], bool],
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._minute_s = 0.0 if speed is None else MINUTE / speed
        self._is_warm = is_warm
        self._clock = clock
        self._sleep = sleep
        self._next_at: float | None = None

    async def minute(self) -> None:
        """Wait until the next minute's time has come."""
        if not self._minute_s or not self._is_warm():
            return
        now = self._clock()
        # A minute that was late does not make the ones after it hurry.
        due = now + self._minute_s if self._next_at is None else self._next_at
        if due > now:
            await self._sleep(due - now)
        self._next_at = max(due, now) + self._minute_s
