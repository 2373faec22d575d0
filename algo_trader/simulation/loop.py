"""An event loop in virtual time: where nothing can run, the clock jumps to the next timer.

Time-outs, pauses and heartbeats of the real code are thus gone through in no time, in the same
order at every run. Threads and sockets have no place here.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

Result = TypeVar("Result")


class Stuck(Exception):
    """Every task waits for something that will not come."""


class _Jumping(selectors.SelectSelector):
    """Never waits: what would have been waited is added to `now`."""

    now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            raise Stuck
        if timeout > 0:
            self.now += timeout
        return []


class VirtualLoop(asyncio.SelectorEventLoop):
    """The loop; its time begins at zero and is that of the sleeps gone through."""

    def __init__(self) -> None:
        self._jumping = _Jumping()
        super().__init__(self._jumping)

    def time(self) -> float:
        """Seconds of virtual time."""
        return self._jumping.now


def run_virtually(work: Coroutine[Any, Any, Result]) -> Result:
    """What the coroutine returns, on a loop of its own. Stuck if it cannot come to its end."""
    loop = VirtualLoop()
    try:
        return loop.run_until_complete(work)
    finally:
        loop.close()


def now() -> float:
    """Virtual time of the running loop: the monotonic clock of what is simulated."""
    return asyncio.get_running_loop().time()
