"""One daemon per data directory.

Goal: never two, and never none because of what a dead one left. Method: real locks, in this process
(a lock belongs to an open file, so two of them compete) and in processes that are killed.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from algo_trader.core.errors import ConfigError
from algo_trader.runtime.errors import SecondDaemon
from algo_trader.runtime.lock import DaemonLock, holder

HOLD = """
import sys
from pathlib import Path
from algo_trader.runtime.lock import DaemonLock
DaemonLock(Path(sys.argv[1])).acquire()
print("held", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the lock is."""
    return tmp_path / "daemon.lock"


def test_a_second_daemon_is_told_who_and_what_to_do(path: Path) -> None:
    """Goal: the message names pid, data directory and remedy."""
    with DaemonLock(path):
        with pytest.raises(SecondDaemon) as refused:
            DaemonLock(path).acquire()
        said = str(refused.value)
        assert f"pid {os.getpid()}" in said
        assert str(path.parent) in said
        assert "`algo-trader stop`" in said


def test_what_is_written_in_it(path: Path) -> None:
    """Goal: pid and start for people; the file is the owner's."""
    with DaemonLock(path, clock=lambda: 1_700_000_000.5):
        assert path.read_text() == f"{os.getpid()}\n2023-11-14T22:13:20Z\n"
        assert path.stat().st_mode & 0o777 == 0o600


def test_a_stale_file_is_taken_over(path: Path) -> None:
    """Goal: only the lock counts, whatever the file says; a longer text of before is gone."""
    path.write_text("1\n2020-01-01T00:00:00Z\n" + "x" * 500)
    assert holder(path) is None
    with DaemonLock(path, clock=lambda: 0):
        assert holder(path) == os.getpid()
        assert path.read_text() == f"{os.getpid()}\n1970-01-01T00:00:00Z\n"


def test_closing_frees_it_and_keeps_the_file(path: Path) -> None:
    """Goal: the next daemon locks the same file; closing twice is harmless."""
    lock = DaemonLock(path)
    lock.acquire()
    inode = path.stat().st_ino
    lock.close()
    lock.close()
    assert holder(path) is None
    with DaemonLock(path):
        assert path.stat().st_ino == inode


def test_death_frees_it(path: Path) -> None:
    """Goal: a killed daemon leaves nothing to clear away."""
    child = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    with child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"held\n"
        assert holder(path) == child.pid
        with pytest.raises(SecondDaemon, match=f"pid {child.pid}"):
            DaemonLock(path).acquire()
        child.send_signal(signal.SIGKILL)
    assert holder(path) is None
    with DaemonLock(path):
        assert holder(path) == os.getpid()


@pytest.mark.parametrize("text", ["", "not a pid\n", "\xff\xfe\n", "-5\n"])
def test_a_holder_that_says_nothing(path: Path, text: str) -> None:
    """Goal: a lock is a lock, even before its pid is written."""
    with DaemonLock(path):
        path.write_text(text, encoding="latin-1")
        assert holder(path) == 0
        with pytest.raises(SecondDaemon, match="a daemon is already running"):
            DaemonLock(path).acquire()


def test_asking_never_keeps_a_daemon_from_starting(path: Path) -> None:
    """Goal: many who look at once are in nobody's way. Method: threads that look without pause."""
    path.touch()
    is_over = threading.Event()

    def look() -> None:
        while not is_over.is_set():
            holder(path)

    threads = [threading.Thread(target=look) for _ in range(4)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(50):
            with DaemonLock(path):
                pass
    finally:
        is_over.set()
        for thread in threads:
            thread.join()


def test_where_no_lock_can_be(tmp_path: Path) -> None:
    """Goal: one message with the path; no holder where there is no file."""
    assert holder(tmp_path / "none" / "daemon.lock") is None
    with pytest.raises(ConfigError, match=r"none/daemon\.lock: No such file"):
        DaemonLock(tmp_path / "none" / "daemon.lock").acquire()
    target = tmp_path / "elsewhere"
    (tmp_path / "daemon.lock").symlink_to(target)
    with pytest.raises(ConfigError, match="cannot make the lock"):
        DaemonLock(tmp_path / "daemon.lock").acquire()
    assert not target.exists()
