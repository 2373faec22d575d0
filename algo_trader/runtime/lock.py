"""One daemon per data directory: a lock on a file, held as long as the process lives.

The system releases the lock at any death, so there is nothing stale to clear away; the file itself
stays for good, since a file removed while another process waits for it is two locks. What is
written in it (pid, start time) is for people and messages: only the lock decides.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import TracebackType

from algo_trader.core.errors import ConfigError
from algo_trader.core.types import iso
from algo_trader.runtime.errors import SecondDaemon

UNKNOWN_PID = 0
"""Of a holder that has not written its pid yet."""
ATTEMPTS = 200
RETRY_S = 0.005
TEXT_MAX = 256
"""Bytes of the file that are read."""


class DaemonLock:
    """The lock of a data directory. `clock` gives seconds since the epoch.

    Use as a context, or acquire and close. A child that was forked while it is held has it too.
    """

    def __init__(self, path: Path, clock: Callable[[], float] = time.time) -> None:
        self._path = path
        self._clock = clock
        self._file: int | None = None

    def acquire(self) -> None:
        """Take the lock and write who has it; never waits for another daemon to end.

        SecondDaemon if one has the lock, ConfigError if the file cannot be made or written.
        """
        try:
            file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        except OSError as error:
            raise ConfigError(f"cannot make the lock {self._path}: {error.strerror}") from error
        try:
            if not _locked_for_good(file):
                raise _second(self._path, _pid_in(file))
            _write(file, f"{os.getpid()}\n{iso(int(self._clock()))}\n".encode())
        except OSError as error:
            os.close(file)
            raise ConfigError(f"cannot use the lock {self._path}: {error.strerror}") from error
        except BaseException:
            os.close(file)
            raise
        self._file = file

    def close(self) -> None:
        """Let another daemon start; the file stays. Again has no effect."""
        if self._file is not None:
            file, self._file = self._file, None
            fcntl.flock(file, fcntl.LOCK_UN)
            os.close(file)

    def __enter__(self) -> DaemonLock:
        self.acquire()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def holder(path: Path) -> int | None:
    """The pid of the daemon that has the lock, None if none has; never in a daemon's way.

    UNKNOWN_PID in the moment before a new holder has written its own. ConfigError if the file
    cannot be read.
    """
    try:
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise ConfigError(f"cannot read the lock {path}: {error.strerror}") from error
    try:
        return None if _shared(file) else _pid_in(file)
    finally:
        os.close(file)


def _locked_for_good(file: int) -> bool:
    """Take the lock unless a daemon has it.

    Those who only look share it for a moment: they are outlasted. To wait in flock itself would
    let a second daemon take the place of the first one later.
    """
    for _ in range(ATTEMPTS):
        with suppress(BlockingIOError):
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        if not _shared(file):
            return False
        fcntl.flock(file, fcntl.LOCK_UN)
        time.sleep(RETRY_S)
    return False


def _shared(file: int) -> bool:
    """Whether no daemon has the lock; if so it is now shared."""
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _write(file: int, text: bytes) -> None:
    # Over the old text, then cut: whoever reads meanwhile finds a whole first line.
    os.pwrite(file, text, 0)
    os.ftruncate(file, len(text))


def _pid_in(file: int) -> int:
    first = os.pread(file, TEXT_MAX, 0).partition(b"\n")[0]
    return int(first) if first.isdigit() else UNKNOWN_PID


def _second(path: Path, pid: int) -> SecondDaemon:
    who = f"a daemon (pid {pid})" if pid else "a daemon"
    return SecondDaemon(
        f"{who} is already running in {path.parent}: stop it with `algo-trader stop`, or give this"
        " one a data directory of its own"
    )
