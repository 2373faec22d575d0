"""How many requests a key may send: a number in each virtual minute, told in headers."""

from __future__ import annotations

import time
from collections.abc import Callable

from algo_trader.core.types import MINUTE


class RequestBudget:
    """`per_minute` requests in each minute of virtual time; 0 for no limit.

    While virtual time stands a real minute counts as one.
    """

    def __init__(self, per_minute: int, real: Callable[[], float] = time.monotonic) -> None:
        self.per_minute = per_minute
        self._real = real
        self._began = 0.0
        self._minute = -1
        self._used = 0

    def take(self, now: float) -> bool:
        """Count one request; whether it is still within the limit."""
        minute = int(now) // MINUTE
        if minute != self._minute or self._real() - self._began >= MINUTE:
            self._minute, self._began, self._used = minute, self._real(), 0
        self._used += 1
        return not self.per_minute or self._used <= self.per_minute

    def headers(self) -> dict[str, str]:
        """What every answer says about it; nothing where there is no limit."""
        if not self.per_minute:
            return {}
        return {
            "X-RateLimit-Limit": str(self.per_minute),
            "X-RateLimit-Remaining": str(max(self.per_minute - self._used, 0)),
            "X-RateLimit-Reset": str((self._minute + 1) * MINUTE),
        }
