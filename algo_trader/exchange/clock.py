"""Virtual time: float seconds since the epoch that run `speed` times as fast as real ones."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable


class VirtualClock:
    """Stands at `start` until it is set going; it can be set while it runs and while it stands."""

    def __init__(
        self,
        start: float,
        speed: float,
        *,
        real: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        if not speed > 0:
            raise ValueError(f"speed must be > 0, not {speed}")
        self.speed = speed
        self._value = start
        self._since: float | None = None
        self._real = real
        self._sleep = sleep

    @property
    def is_running(self) -> bool:
        """Whether it goes by itself."""
        return self._since is not None

    def now(self) -> float:
        """Virtual time."""
        if self._since is None:
            return self._value
        return self._value + (self._real() - self._since) * self.speed

    def begin(self) -> None:
        """Set it going, from where it stands."""
        if self._since is None:
            self._since = self._real()

    def set(self, value: float) -> None:
        """Put it to `value`; it goes on from there if it runs."""
        self._value = value
        if self._since is not None:
            self._since = self._real()

    async def sleep_until(self, value: float) -> None:
        """Wait until virtual time is `value`; other tasks get a turn even if it is past."""
        while (left := value - self.now()) > 0:
            await self._sleep(left / self.speed)
        await self._sleep(0)
