"""A signal that asks a long piece of work to end: kept until what is under way is done."""

from __future__ import annotations

import multiprocessing
import os
import signal
from types import FrameType
from typing import Any, Self

from algo_trader.cli.main import Stopped, say

SIGNALS = ("SIGINT", "SIGTERM", "SIGHUP")
EXIT_SIGNAL = 128


class Interruption:
    """While it is entered the first signal is only remembered, a second one ends all at once."""

    def __init__(self) -> None:
        self._number: int | None = None
        self._before: dict[int, Any] = {}

    @property
    def is_asked(self) -> bool:
        """Whether a signal has come."""
        return self._number is not None

    def heed(self) -> None:
        """Raise Stopped if a signal has come."""
        if self._number is not None:
            raise Stopped(self._number)

    def __enter__(self) -> Self:
        for name in SIGNALS:
            number = getattr(signal, name, None)
            if number is not None and signal.getsignal(number) is not signal.SIG_IGN:
                self._before[number] = signal.signal(number, self._hear)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _hear(self, number: int, _: FrameType | None) -> None:
        if self._number is None:
            self._number = number
            say("stopping after the runs under way; once more ends it at once")
            return
        for child in multiprocessing.active_children():
            child.kill()
        os._exit(EXIT_SIGNAL + number)
