"""A data directory that is none, may not be written, or lies on a disk that is full.

Method: a small file system in memory is mounted where this user may; elsewhere those cases are
skipped. Another user is `setpriv` in front of the command.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from books_oracle import agree
from living import NOBODY, REPLAY, Home, is_root

NOT_ROOT = pytest.mark.skipif(not is_root(), reason="it takes root to mount, or to be another user")
VERBS = (("start",), ("stop",), ("status",), ("orders",), ("verify",), ("config",))


@contextmanager
def mounted(point: Path, *options: str) -> Iterator[Path]:
    """Something mounted there, until the end of the block."""
    command = ["mount", *options, str(point)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"may not mount: {done.stderr.strip()}")
    try:
        yield point
    finally:
        subprocess.run(["umount", "--lazy", str(point)], check=True)


def fill(folder: Path, *, leave: int = 0) -> Path:
    """Write until nothing is free, then give some bytes back; the file that has the rest."""
    filler = folder / "filler"
    with filler.open("wb", buffering=0) as file, suppress(OSError):
        while file.write(bytes(65_536)):
            pass
    if leave:
        os.truncate(filler, filler.stat().st_size - leave)
    return filler


def test_a_file_in_its_place(home: Home) -> None:
    """Goal: bad usage for every verb, and the file is left alone."""
    file = home.data.parent / "file"
    file.write_text("mine")
    for data in (file, file / "below"):
        ended = home.ask("start", data=data)
        assert ended.code == 2
        assert ended.said[-1].startswith("Error: ")
        assert str(file) in ended.said[-1]
    assert file.read_text() == "mine"


@NOT_ROOT
def test_a_directory_of_somebody_else(place: Path) -> None:
    """Goal: one message that names directory and reason, for every verb, and no file is made."""
    place.chmod(0o755)
    home = Home(place / "data")
    home.data.mkdir(mode=0o755)
    home.ask("start", by=NOBODY).refused(2, str(home.data), "cannot be written (Permission denied)")
    home.data.chmod(0o700)
    for verb in VERBS:
        home.ask(*verb, by=NOBODY).refused(2, str(home.data))
    assert list(home.data.iterdir()) == []


@NOT_ROOT
def test_a_file_system_that_is_read_only(held: Home, short: str) -> None:
    """Goal: refused by name, and the account goes on once it may be written again."""
    with mounted(held.data, "--bind", str(held.data)):
        subprocess.run(["mount", "-o", "remount,ro,bind", str(held.data)], check=True)
        held.ask("start").refused(2, str(held.data), "Read-only file system")
        held.ask("status").refused(3, str(held.data))
    held.verified()
    held.replay("--bars", short)


@NOT_ROOT
def test_a_full_disk_at_the_start(place: Path, short: str) -> None:
    """Goal: exit 75, whether nothing is free or too little; afterwards a start goes on."""
    with mounted(place, "-t", "tmpfs", "-o", "size=8m", "none"):
        home = Home(place / "data")
        fill(place)
        home.ask("start").refused(75, str(home.data), "is full")
        fill(place, leave=200_000)
        home.ask("start").refused(75, str(home.data), "make room")
        fill(place).unlink()
        home.replay("--bars", short)
        home.verified()


@NOT_ROOT
def test_a_disk_that_fills_up_while_trading(home: Home, place: Path) -> None:
    """Goal: exit 75 and one message; once there is room a start goes on where it was, and the
    exchange's books and the ledger agree to the last share. Twice on one account.
    """
    disk = place / "disk"
    disk.mkdir()
    with mounted(disk, "-t", "tmpfs", "-o", "size=12m", "none"):
        home = home.copied_to(disk)
        for _ in range(2):
            with home.start("start", "--speed", "6000", "--exit-at-end") as daemon:
                daemon.wait_for("filled", role="entry")
                filler = fill(disk)
                ended = daemon.ended()
            ended.refused(75, "embedded-local1", "SQLITE_FULL")
            filler.unlink()
        ended = home.ask(*REPLAY)
        assert ended.code == 0
        home.verified()
        agree(home.folder)
