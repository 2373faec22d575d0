"""Kills of real daemons at an exchange that lives on: the short, fixed part of the campaign.

The long one is `uv run python -m tests.chaos.campaign`; what is found here or there is told in one
line each, and none may be found.
"""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from kill_points import POINTS
from kill_series import Series
from kill_world import World, may_trace
from living import NOBODY, is_root

FIXED = (
    "entry_accepted", "stop_asked", "pair_half_answered", "replace_accepted", "entry_fill_told",
    "reconcile_orders_asked",
)  # fmt: skip
AT_THE_DOOR_S = 0.2
"""A request of a daemon that was killed is read so late at most; the next one is not up by then."""
TRACED = may_trace()
traceable = pytest.mark.skipif(not TRACED, reason="strace is missing, or may not trace")


@pytest.fixture
def series(place: Path) -> Iterator[Callable[[int], Series]]:
    """Makes the series of a seed, on an exchange of its own."""
    worlds = []

    def make(seed: int) -> Series:
        world = World(place, seed)
        worlds.append(world)
        return Series(world, seed, in_parts=False, may_trace=TRACED, storm=3)

    yield make
    for world in worlds:
        world.__exit__()


def test_killed_at_points_of_the_protocol(series: Callable[[int], Series]) -> None:
    """Goal: after a kill at each of these points a restart loses, doubles and bares nothing.

    Method: the exchange holds the request where the point is; then kill -9, start again. At the end
    the market stands and both books are equal, order by order.
    """
    lives = series(1)
    for name in FIXED:
        point = POINTS[name]
        lives.cycle("start_point" if point.at_start else "point", point)
        assert lives.tally.findings == []
    lives.cycle("stopped")
    tally = lives.tally
    assert tally.findings == []
    assert tally.kills == len(FIXED)
    assert len(tally.points) >= len(FIXED) - 2
    assert lives.world.comparisons["quiet"] == 1
    assert lives.world.comparisons["executions"] > 10


@pytest.mark.slow
def test_stood_stormed_and_beside_a_second_one(series: Callable[[int], Series]) -> None:
    """Goal: SIGSTOP and SIGCONT, three starts killed one after the other, a second daemon (exit 4)
    and a clock that jumps are survived as any other death.
    """
    lives = series(2)
    for kind in ("stood", "second", "clock", "storm", "quiet"):
        lives.cycle(kind)
        assert lives.tally.findings == []
    assert lives.tally.kills >= 6


@traceable
@pytest.mark.slow
def test_killed_at_system_calls_and_on_a_bad_disk(series: Callable[[int], Series]) -> None:
    """Goal: killed within a write, a flush or a send, and with a ledger that cannot be written
    (exit 75), what was sent is on record and goes on from there.
    """
    lives = series(3)
    for kind in ("syscall", "storage", "syscall", "quiet"):
        lives.cycle(kind)
        assert lives.tally.findings == []


@pytest.mark.slow
@pytest.mark.skipif(not is_root(), reason="only root may mount")
def test_a_small_disk_that_is_full(place: Path, series: Callable[[int], Series]) -> None:
    """Goal: a disk that fills up in the middle of trading ends the daemon with 75, nothing was sent
    that is not on record, and with room again it goes on.

    Method: the data directory is a tmpfs, made as large as what is on it and a little more.
    """
    lives = series(4)
    world = lives.world
    sessions = (world.data / "cache" / "sessions-XNYS.json").read_bytes()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", world.data], capture_output=True
    )
    if mounted.returncode != 0:
        pytest.skip("mounting is not allowed")
    try:
        (world.data / "cache").mkdir()
        (world.data / "cache" / "sessions-XNYS.json").write_bytes(sessions)
        life = world.start()
        world.wait_ready(life)
        world.until("an execution", lambda: world.look() and world.market.executions)
        used = sum(file.stat().st_blocks * 512 for file in world.data.rglob("*"))
        _resize(world.data, used + 65_536)
        world.until("its end", lambda: not life.is_alive)
        assert world.hit(life) == 75, life.said()
        assert world.judged() == []
        _resize(world.data, 64 * 1024 * 1024)
        lives.cycle("stopped")
        assert lives.tally.findings == []
    finally:
        world.__exit__()
        subprocess.run(["umount", "-l", world.data], check=True)


def _resize(folder: Path, size: int) -> None:
    subprocess.run(["mount", "-o", f"remount,size={size}", folder], check=True)


@pytest.mark.skipif(not is_root(), reason="another user is needed, whom the file system refuses")
def test_a_directory_that_may_not_be_written(
    place: Path, series: Callable[[int], Series]
) -> None:
    """Goal: a ledger that may be read and not written is refused before anything is sent, in one
    line; the account goes on when it may be written again.
    """
    lives = series(5)
    world = lives.world
    life = world.start()
    world.wait_ready(life)
    world.until("an execution", lambda: world.look() and world.market.executions)
    assert world.hit(life) == -signal.SIGKILL
    for path in (place, *place.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)
    os.chmod(place / "exchange.env", 0o604)
    refused = world.start(by=NOBODY)
    world.until("its end", lambda: not refused.is_alive)
    assert world.hit(refused) in (2, 75), refused.said()
    assert "Traceback" not in refused.said()
    began_at = refused.span.began_at + AT_THE_DOOR_S
    assert [each for each in world.market.asked if each.at > began_at] == []
    world.lives.remove(refused)
    lives.cycle("stopped")
    assert lives.tally.findings == []
