"""How a replay's minutes are paced: not at all while it warms up, then evenly, never in a hurry.

Method: a clock that only the pace's own sleeps, and the work said in the table, move on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from algo_trader.runtime.pace import Pace


class Day:
    """A clock and the sleeps that were asked for."""

    def __init__(self) -> None:
        self.now = 100.0
        self.slept: list[float] = []

    async def sleep(self, seconds: float) -> None:
        """Note it, and let the time pass."""
        self.slept.append(seconds)
        self.now += seconds


def play(speed: float | None, work_s: Sequence[float], warm_from: int = 0) -> list[float]:
    """The sleeps of minutes, each of which takes so many seconds of work."""
    day = Day()
    minute = 0
    pace = Pace(speed, lambda: minute >= warm_from, clock=lambda: day.now, sleep=day.sleep)

    async def run() -> None:
        nonlocal minute
        for seconds in work_s:
            day.now += seconds
            await pace.minute()
            minute += 1

    asyncio.run(run())
    return day.slept


@pytest.mark.parametrize(
    ("speed", "work_s", "warm_from", "wanted"),
    [
        (None, [0, 0, 0], 0, []),
        (60, [0, 0, 0], 0, [1, 1, 1]),
        (1, [0, 0], 0, [60, 60]),
        (0.5, [0], 0, [120]),
        (60, [0, 0, 0, 0], 2, [1, 1]),
        (60, [0, 0.25, 0.25], 0, [1, 0.75, 0.75]),
        (60, [0, 5, 0, 0], 0, [1, 1, 1]),
        (60, [0, 1, 0], 0, [1, 1]),
        (60, [0] * 3, 9, []),
    ],
    ids=[
        "no speed, no pause",
        "a minute a second",
        "as the clock goes",
        "slower than that",
        "warming up",
        "work is part of the minute",
        "a late minute does not make the next ones hurry",
        "just in time",
        "never warm",
    ],
)
def test_pauses(
    speed: float | None, work_s: Sequence[float], warm_from: int, wanted: list[float]
) -> None:
    """Goal: 60 / speed seconds a minute, counted from when everything was warm."""
    assert play(speed, work_s, warm_from) == wanted
