"""Pieces of work on several processes."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from typing import TypeVar

Piece = TypeVar("Piece")
Result = TypeVar("Result")


def spread(
    work: Callable[[Piece], Result], pieces: Sequence[Piece], jobs: int
) -> Iterator[Result]:
    """What the work makes of each piece, in order. Whoever stops asking waits for the pieces that
    are being worked on, and no others.
    """
    if jobs == 1 or len(pieces) == 1:
        yield from map(work, pieces)
        return
    with ProcessPoolExecutor(jobs, initializer=_leave_signals_to_parent) as pool:
        yield from pool.map(work, pieces)


def _leave_signals_to_parent() -> None:
    """Ctrl-C reaches every process of a terminal; only the first of them knows what to do."""
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        number = getattr(signal, name, None)
        if number is not None:
            signal.signal(number, signal.SIG_IGN)
