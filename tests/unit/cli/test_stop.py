"""`stop`: it is heard, and it returns when the daemon has gone.

Goal: exit 0 means gone, whatever the daemon was doing when it was asked. Method: a stand-in with
the real lock and socket; the waits of `stop` are the test's, so nothing waits.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from answering import Answering

from algo_trader.cli.main import run
from algo_trader.cli.stop import stop
from algo_trader.runtime.errors import DaemonFailed, NoDaemon
from algo_trader.runtime.lock import DaemonLock
from algo_trader.runtime.paths import lock_file


async def ends(_: Mapping[str, Any]) -> Mapping[str, Any]:
    """Takes the request; ending is up to the test."""
    return {"state": "shutting_down"}


STOP = {("POST", "/stop"): ends}


class Waits:
    """Time that passes only in the waits of `stop`; each does the next thing, if there is one."""

    def __init__(self, *deeds: Callable[[], object]) -> None:
        self.now = 0.0
        self._deeds = list(deeds)

    def clock(self) -> float:
        """Seconds."""
        return self.now

    def wait(self, seconds: float) -> None:
        """Pass the time."""
        self.now += seconds
        if self._deeds:
            self._deeds.pop(0)()


def nothing() -> None:
    """Nothing happens."""


def test_without_a_daemon(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Goal: exit 3, one line, also where an old lock file lies."""
    for _ in range(2):
        assert run(["--data-dir", str(tmp_path), "stop"]) == 3
        told = capsys.readouterr()
        assert told.out == ""
        assert told.err == (
            f"Error: no daemon is running in {tmp_path}; start one with `algo-trader start`\n"
        )
        lock_file(tmp_path).write_text("123\n")


def test_it_returns_when_the_lock_is_free(tmp_path: Path) -> None:
    """Goal: an answer is not the end; the free lock is."""
    with Answering(tmp_path, STOP) as daemon:
        waits = Waits(nothing, nothing, daemon.lock.close)
        assert stop(tmp_path, 30, clock=waits.clock, wait=waits.wait) == os.getpid()
        assert waits.now == pytest.approx(0.15)


def test_as_a_verb(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Goal: exit 0 and the answer on stdout. Method: the daemon goes while it answers."""

    async def goes(body: Mapping[str, Any]) -> Mapping[str, Any]:
        daemon.lock.close()
        return await ends(body)

    with Answering(tmp_path, {("POST", "/stop"): goes}) as daemon:
        assert run(["--data-dir", str(tmp_path), "stop", "--timeout", "5"]) == 0
    assert capsys.readouterr().out == f"the daemon (pid {os.getpid()}) has stopped\n"


def test_a_daemon_that_takes_too_long(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Goal: exit 1 at the timeout, saying that it goes on."""
    with Answering(tmp_path, STOP):
        waits = Waits()
        with pytest.raises(DaemonFailed, match=r"not gone after 30 s; it goes on shutting down"):
            stop(tmp_path, 30, clock=waits.clock, wait=waits.wait)
        assert 30 <= waits.now < 31
        assert run(["--data-dir", str(tmp_path), "stop", "--timeout", "0"]) == 1
        assert f"pid {os.getpid()}" in capsys.readouterr().err


def test_a_daemon_that_is_still_starting(tmp_path: Path) -> None:
    """Goal: asked as soon as it hears. Method: the lock is there before the socket."""
    daemon = Answering(tmp_path, STOP)
    daemon.lock.acquire()
    waits = Waits(nothing, daemon.open, daemon.lock.close)
    assert stop(tmp_path, 30, clock=waits.clock, wait=waits.wait) == os.getpid()
    daemon.close()


def test_a_daemon_that_is_ending_already(tmp_path: Path) -> None:
    """Goal: its socket is gone, its lock not yet: waited for, and no error."""
    lock = DaemonLock(lock_file(tmp_path))
    lock.acquire()
    waits = Waits(nothing, lock.close)
    assert stop(tmp_path, 30, clock=waits.clock, wait=waits.wait) == os.getpid()


def test_a_daemon_that_cannot_be_asked(tmp_path: Path) -> None:
    """Goal: exit 1 with another remedy."""
    with DaemonLock(lock_file(tmp_path)):
        waits = Waits()
        with pytest.raises(DaemonFailed, match=r"could not be asked within 30 s: `kill`"):
            stop(tmp_path, 30, clock=waits.clock, wait=waits.wait)


def test_a_daemon_that_was_started_again_at_once(tmp_path: Path) -> None:
    """Goal: a successor under a service manager is not waited for. Method: another pid holds."""
    path = lock_file(tmp_path)
    with Answering(tmp_path, STOP):
        waits = Waits(nothing, lambda: path.write_text("1\n"))
        assert stop(tmp_path, 30, clock=waits.clock, wait=waits.wait) == os.getpid()


def test_a_daemon_that_refuses(tmp_path: Path) -> None:
    """Goal: its words, at once, and no waiting for what will not come."""
    with Answering(tmp_path, {}):
        waits = Waits()
        with pytest.raises(DaemonFailed, match=r"refused \(404\): there is nothing at /stop"):
            stop(tmp_path, 30, clock=waits.clock, wait=waits.wait)
        assert waits.now == 0
    with pytest.raises(NoDaemon):
        stop(tmp_path, 30)


@pytest.mark.parametrize("seconds", ["nan", "inf", "-1", "86401", "soon"])
def test_a_timeout_that_is_none(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], seconds: str
) -> None:
    """Goal: refused as bad usage."""
    assert run(["--data-dir", str(tmp_path), "stop", "--timeout", seconds]) == 2
    assert "--timeout" in capsys.readouterr().err


def test_help_has_an_example(capsys: pytest.CaptureFixture[str]) -> None:
    """Goal: one line to copy."""
    assert run(["stop", "--help"]) == 0
    assert "algo-trader stop --timeout 60" in capsys.readouterr().out
