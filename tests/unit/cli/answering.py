"""A stand-in for the running daemon: its lock and its control socket, in a thread of the test."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType

from algo_trader.runtime.control import ControlServer, Handler
from algo_trader.runtime.lock import DaemonLock
from algo_trader.runtime.paths import control_socket, lock_file


class Answering:
    """Holds a data directory and answers there, from `open` to `close`."""

    def __init__(self, data_dir: Path, handlers: Mapping[tuple[str, str], Handler]) -> None:
        self.lock = DaemonLock(lock_file(data_dir))
        self._server = ControlServer(control_socket(data_dir), handlers, self._take)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)

    def open(self) -> None:
        """Answer from now on; the lock is for the test to take."""
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._server.start(), self._loop).result()

    def close(self) -> None:
        """Answer no more."""
        asyncio.run_coroutine_threadsafe(self._server.close(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        self.lock.close()

    def __enter__(self) -> Answering:
        self.lock.acquire()
        self.open()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _take(self, event: str, /, **fields: object) -> None:
        """Reports are not looked at here."""
