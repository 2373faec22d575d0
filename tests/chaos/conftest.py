"""Data directories for real processes, with the table of sessions in place.

On a file system in memory where there is one: a process that is killed loses nothing that it wrote
there or elsewhere, and the flushes of a slow disk would be most of a test's time.
"""

from __future__ import annotations

import shutil
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from living import BUSY, EXPOSED, Daemon, Home, cut_sample

MEMORY = Path("/dev/shm")


def _folder() -> Iterator[Path]:
    root = MEMORY if MEMORY.is_dir() else None
    with tempfile.TemporaryDirectory(prefix="algo-chaos-", dir=root) as name:
        yield Path(name)


@pytest.fixture(scope="session")
def shared() -> Iterator[Path]:
    """A folder for what is made once."""
    yield from _folder()


@pytest.fixture
def place() -> Iterator[Path]:
    """An empty folder."""
    yield from _folder()


@pytest.fixture(scope="session")
def short(shared: Path) -> str:
    """A folder of bars that end while, under BUSY, two positions are held and an entry rests."""
    return str(cut_sample(shared / "short", EXPOSED))


@pytest.fixture(scope="session")
def exposed(shared: Path, short: str) -> Home:
    """An account with two positions, stopped in good order at the end of the short bars. Copy it.
    """
    home = Home(shared / "exposed" / "data", BUSY)
    home.data.parent.mkdir()
    with home.start("start", "--speed", "max", "--bars", short) as daemon:
        daemon.wait_for("state", state="idle")
        daemon.signal(signal.SIGTERM)
        assert daemon.ended().code == 0
    return home


@pytest.fixture
def home(place: Path, exposed: Home) -> Home:
    """A data directory in which nothing was traded yet, under settings that trade much."""
    shutil.copytree(exposed.data / "cache", place / "data" / "cache")
    return Home(place / "data", BUSY)


@pytest.fixture
def held(place: Path, exposed: Home) -> Home:
    """A copy of the account with two positions."""
    return exposed.copied_to(place)


@pytest.fixture(scope="session")
def idle(shared: Path, exposed: Home, short: str) -> Iterator[tuple[Home, Daemon]]:
    """A running daemon that has come to the end of the short bars. Leave it as it is."""
    folder = shared / "idle"
    shutil.copytree(exposed.data / "cache", folder / "data" / "cache")
    home = Home(folder / "data", BUSY)
    with home.start("start", "--speed", "max", "--bars", short) as daemon:
        daemon.wait_for("state", state="idle")
        yield home, daemon
        assert daemon.is_alive
