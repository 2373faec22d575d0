"""Pieces of work on several processes."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import TypeVar

from algo_trader.core.errors import AlgoTraderError

Piece = TypeVar("Piece")
Result = TypeVar("Result")

AHEAD = 2
"""Pieces handed out for each process: one being worked on, and one that waits."""
LOOKS_EVERY_S = 1.0


class WorkerLost(AlgoTraderError):
    """A process has ended in the middle of its work."""


def spread(
    work: Callable[[Piece], Result],
    pieces: Sequence[Piece],
    jobs: int,
    goes_on: Callable[[], bool],
) -> Iterator[tuple[Piece, Result]]:
    """Each piece and what the work makes of it, in order. Once it does not go on, what is being
    worked on is brought to its end, and no more is begun. WorkerLost if a process has died.
    """
    if jobs == 1 or len(pieces) == 1:
        for piece in pieces:
            if not goes_on():
                return
            yield piece, work(piece)
        return
    left = iter(pieces)
    waiting: deque[tuple[Piece, Future[Result]]] = deque()
    with ProcessPoolExecutor(jobs, initializer=_begin, initargs=(os.getpid(),)) as pool:
        try:
            while True:
                while len(waiting) < jobs * AHEAD and goes_on():
                    following = next(left, None)
                    if following is None:
                        break
                    waiting.append((following, pool.submit(work, following)))
                if not waiting:
                    return
                piece, future = waiting.popleft()
                while not _is_over(future):
                    if not goes_on():
                        waiting = deque(each for each in waiting if not each[1].cancel())
                yield piece, future.result()
        except BrokenProcessPool:
            raise WorkerLost(
                "a process of the campaign was killed, or ended by the strategy's own code: see "
                "whether there is memory for so many --jobs, or run with --jobs 1"
            ) from None


def _is_over(future: Future[Result]) -> bool:
    try:
        future.exception(LOOKS_EVERY_S)
    except TimeoutError:
        return False
    return True


def _begin(parent: int) -> None:
    """Ctrl-C reaches every process of a terminal; only the first of them knows what to do. When
    that one is gone, whatever it was that ended it, the work is for nobody.
    """
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        number = getattr(signal, name, None)
        if number is not None:
            signal.signal(number, signal.SIG_IGN)
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()


def _end_with(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(LOOKS_EVERY_S)
    os._exit(1)
