"""A fault at one chosen call to the system: death, a full disk, a disk that fails.

Goal: whichever write or flush it is, from the making of the files to the last minute, the process
ends with the code for it and one line, and the next start goes on with nothing lost or doubled.
Method: strace lets the n-th call of a kind fail, or kills the process there.
"""

from __future__ import annotations

import shutil
import signal
from pathlib import Path
from random import Random

import pytest
from books_oracle import agree
from living import REPLAY, Home

FIRST = 8
"""Calls from the beginning that are all tried: the files are made by then. The first is the lock's.
"""
LAST = 450
CHOSEN = 12
STORAGE = 75


KILL = "signal=KILL"


def faulty(call: str, fault: str, number: int, path: Path | None = None) -> tuple[str, ...]:
    """In front of a command: that call, on that file or any, and no other, has the fault."""
    inject = ("-e", f"trace={call}", "-e", f"inject={call}:{fault}:when={number}")
    only = () if path is None else ("-P", str(path))
    return ("strace", "-f", "-qq", "-o", "/dev/null", *only, *inject)


pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("strace") is None, reason="there is no strace here"),
]


@pytest.mark.parametrize(
    ("call", "fault", "code"),
    [
        ("pwrite64", KILL, -signal.SIGKILL),
        ("pwrite64", "error=ENOSPC", STORAGE),
        ("pwrite64", "error=EIO", STORAGE),
        ("fdatasync", "error=EIO", STORAGE),
    ],
)
def test_a_fault_at_one_call(
    home: Home, place: Path, short: str, call: str, fault: str, code: int
) -> None:
    """Goal: see above; at least half of the calls tried must be there at all."""
    numbers = [*range(2, FIRST), *Random(call + fault).sample(range(FIRST, LAST), CHOSEN)]
    met = 0
    for number in numbers:
        copy = home.copied_to(place / str(number))
        ended = copy.ask(*REPLAY, "--bars", short, by=faulty(call, fault, number))
        assert ended.code in (code, 0), (number, ended)
        met += ended.code == code
        if ended.code == STORAGE:
            ended.refused(STORAGE, "embedded-local1")
        copy.replay("--bars", short)
        copy.verified()
        assert agree(copy.folder).positions == {}
        shutil.rmtree(copy.data.parent)
    assert met > len(numbers) // 2


@pytest.mark.parametrize(
    ("file", "numbers"),
    [("trading.db-wal", range(1, 61)), ("exchange.db-wal", range(101, 190, 2))],
    ids=["ledger", "exchange"],
)
def test_dying_at_the_flush_of_a_commit(
    home: Home, place: Path, short: str, file: str, numbers: range
) -> None:
    """Goal: no commit of either file is one after which the other could not follow.

    Method: every commit of the ledger; of the exchange every second one since the first order.
    """
    met = 0
    for number in numbers:
        copy = home.copied_to(place / str(number))
        by = faulty("fdatasync", KILL, number, copy.folder / file)
        met += copy.ask(*REPLAY, "--bars", short, by=by).code == -signal.SIGKILL
        copy.replay("--bars", short)
        copy.verified()
        assert agree(copy.folder).positions == {}, number
        shutil.rmtree(copy.data.parent)
    assert met > len(numbers) - 10
