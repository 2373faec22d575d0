"""Virtual time and the moments at which a process dies."""

from __future__ import annotations

import asyncio

import pytest

from algo_trader.simulation.fuse import Crash, Fuse
from algo_trader.simulation.loop import Stuck, now, run_virtually


def test_pauses_take_no_time_and_keep_their_order() -> None:
    """Goal: hours pass at once, timers end as on a clock. Method: sleeps and a time-out, mixed."""

    async def work() -> list[tuple[str, float]]:
        ended: list[tuple[str, float]] = []

        async def pause(name: str, pause_s: float) -> None:
            await asyncio.sleep(pause_s)
            ended.append((name, now()))

        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1.5):
                await asyncio.Event().wait()
        await asyncio.gather(pause("late", 7200), pause("soon", 0.25), pause("same", 0.25))
        return ended

    assert run_virtually(work()) == [("soon", 1.75), ("same", 1.75), ("late", 7201.5)]


def test_what_waits_for_nothing_is_stuck() -> None:
    """Goal: a run that can never end says so. Method: wait for an event that nobody sets."""

    async def work() -> None:
        await asyncio.sleep(5)
        await asyncio.Event().wait()

    waiting = work()
    with pytest.raises(Stuck):
        run_virtually(waiting)


def test_a_fuse_burns_at_its_boundary_and_stays_burnt() -> None:
    """Goal: a life passes as many boundaries as it was given, and none after its death.

    Method: touch one that burns at the third boundary.
    """
    told: list[str] = []
    fuse = Fuse(2, told.append)
    fuse.touch("a")
    fuse.touch("b")
    assert not fuse.burnt.is_set()
    for name in ("c", "d"):
        with pytest.raises(Crash):
            fuse.touch(name)
    assert fuse.burnt.is_set()
    assert fuse.passed == ["a", "b"]
    assert told == ["a", "b", "*** dies: c"]


def test_a_fuse_without_a_number_burns_from_outside_only() -> None:
    """Goal: a life that is not to die lives on until it is ended. Method: many boundaries, then
    burn it, twice.
    """
    told: list[str] = []
    fuse = Fuse(None, told.append)
    for number in range(1000):
        fuse.touch(str(number))
    fuse.burn("its end")
    fuse.burn("again")
    with pytest.raises(Crash):
        fuse.touch("more")
    assert len(fuse.passed) == 1000
    assert told[-2:] == ["999", "*** dies: its end"]


def test_a_death_at_the_very_first_boundary() -> None:
    """Goal: nothing at all was done. Method: a fuse of length 0."""
    fuse = Fuse(0)
    with pytest.raises(Crash):
        fuse.touch("first")
    assert fuse.passed == []
