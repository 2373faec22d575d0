"""The program as real processes: a data directory, verbs asked of it, a daemon that lives in it.

Owns how the tests of this folder begin, watch and end processes. A daemon's JSON log is read line
by line on a thread of its own; whoever waits, waits for a line, a file or an end, with a deadline.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from algo_trader.ledger.verify import examine

PROGRAM = str(Path(sys.executable).with_name("algo-trader"))
SAMPLE = Path(__file__).parents[2] / "data" / "sample"
PATIENCE_S = 60.0
POLL_S = 0.01
NOBODY = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups")
"""In front of a command line: another user, where this one is root."""
REPLAY = ("start", "--speed", "max", "--exit-at-end")
EXPOSED = "2024-11-27T17:00:00Z"
"""Under BUSY the sample's bars before this leave two positions and one resting entry."""
BUSY = {
    "ALGO_VELEZ__CANDLE_INTERVAL_MINUTES": "1",
    "ALGO_VELEZ__SMA_FAST": "10",
    "ALGO_VELEZ__SMA_SLOW": "100",
    "ALGO_VELEZ__TIGHTNESS_THRESHOLD_PCT": "5",
    "ALGO_VELEZ__STRONG_CANDLE_BODY_PCT": "30",
    "ALGO_VELEZ__BUY_STOP_EXPIRY_CANDLES": "5",
    "ALGO_VELEZ__ALLOW_SHORT": "true",
    "ALGO_RISK__CONSECUTIVE_LOSS_PAUSE": "10",
    "ALGO_RISK__MAX_DAILY_LOSS_PCT": "0.1",
}
"""Settings under which the bundled sample trades almost every minute of its three sessions."""


def until(what: str, holds: Callable[[], Any], patience_s: float = PATIENCE_S) -> Any:
    """Wait for something that is not told: the first true answer of `holds`."""
    ends = time.monotonic() + patience_s
    while not (found := holds()):
        if time.monotonic() > ends:
            pytest.fail(f"{what}: not within {patience_s:g} s")
        time.sleep(POLL_S)
    return found


class Ended(NamedTuple):
    """A process that has ended: its code, its answer, its log and the lines that are no log."""

    code: int
    out: str
    log: list[dict[str, Any]]
    said: list[str]

    def refused(self, code: int, *parts: str) -> str:
        """The one line that says why, behind a usage line or nothing; it has every part."""
        assert self.code == code, self
        *before, reason = self.said
        assert not before or before[0].startswith("Usage: "), self
        assert reason.startswith("Error: "), self
        for part in parts:
            assert part in reason, self
        return reason


class Daemon:
    """A process with a log on stderr. Use as a context: it is killed at the end if it is there."""

    def __init__(self, command: Sequence[str], cwd: Path, environ: Mapping[str, str]) -> None:
        self._lines: list[dict[str, Any]] = []
        self._said: list[str] = []
        self._news = threading.Condition()
        self._seen = 0
        self._process = subprocess.Popen(
            command,
            cwd=cwd,
            env=environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    @property
    def is_alive(self) -> bool:
        """Whether it has not ended."""
        return self._process.poll() is None

    @property
    def lines(self) -> list[dict[str, Any]]:
        """The log so far."""
        with self._news:
            return list(self._lines)

    def wait_for(
        self, event: str | None, patience_s: float = PATIENCE_S, **fields: object
    ) -> dict[str, Any]:
        """The next line of that event (None: any) with those fields, after the last one waited for.
        """
        ends = time.monotonic() + patience_s
        with self._news:
            while True:
                while self._seen < len(self._lines):
                    line = self._lines[self._seen]
                    self._seen += 1
                    if event in (None, line["event"]) and fields.items() <= line.items():
                        return line
                if not self._reader.is_alive() or not self._news.wait(ends - time.monotonic()):
                    pytest.fail(f"no {event} {fields} came: {self._lines[-3:]} {self._said}")

    def signal(self, number: int) -> None:
        """Send a signal."""
        self._process.send_signal(number)

    def ended(self, patience_s: float = PATIENCE_S) -> Ended:
        """Wait for its end by itself; no traceback on the way."""
        try:
            code = self._process.wait(patience_s)
        except subprocess.TimeoutExpired:
            pytest.fail(f"it has not ended within {patience_s:g} s: {self._lines[-3:]}")
        self._reader.join(PATIENCE_S)
        assert self._process.stdout is not None
        ended = Ended(code, self._process.stdout.read(), self._lines, self._said)
        everything = "\n".join([*self._said, *map(str, self._lines)])
        assert "Traceback" not in everything, everything
        return ended

    def kill(self) -> Ended:
        """kill -9."""
        self._process.kill()
        return self.ended()

    def __enter__(self) -> Daemon:
        return self

    def __exit__(self, *_: object) -> None:
        if self.is_alive:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait()
        for stream in (self._process.stdout, self._process.stderr):
            self._reader.join(PATIENCE_S)
            assert stream is not None
            stream.close()

    def _read(self) -> None:
        assert self._process.stderr is not None
        for line in self._process.stderr:
            with self._news:
                if line.startswith("{"):
                    self._lines.append(json.loads(line))
                else:
                    self._said.append(line.rstrip("\n"))
                self._news.notify_all()
        with self._news:
            self._news.notify_all()


class Home:
    """A data directory, and the program run on it; `environ` are settings of every process."""

    def __init__(self, data: Path, environ: Mapping[str, str] | None = None) -> None:
        self.data = data
        self.environ = dict(environ or {})

    def copied_to(self, place: Path) -> Home:
        """The same, with copies of all its files."""
        shutil.copytree(self.data, place / self.data.name)
        return Home(place / self.data.name, self.environ)

    @property
    def folder(self) -> Path:
        """The folder of the first account."""
        return self.data / "embedded-local1"

    @property
    def ledger(self) -> Path:
        """The ledger of the first account."""
        return self.folder / "trading.db"

    @property
    def exchange(self) -> Path:
        """The books of the first account at the exchange."""
        return self.folder / "exchange.db"

    def start(self, *arguments: str, by: Sequence[str] = (), data: Path | None = None) -> Daemon:
        """Begin a process of the program, `by` what stands in front of it."""
        own = {k: v for k, v in os.environ.items() if not k.startswith("ALGO_")}
        command = [*by, PROGRAM, "--data-dir", str(data or self.data), *arguments]
        return Daemon(command, self.data.parent, {**own, **self.environ})

    def ask(self, *arguments: str, by: Sequence[str] = (), data: Path | None = None) -> Ended:
        """Run a verb to its end."""
        with self.start(*arguments, by=by, data=data) as process:
            return process.ended()

    def answer(self, *arguments: str) -> Any:
        """The JSON document of a verb that must succeed."""
        ended = self.ask(*arguments, "--json")
        assert ended.code == 0, ended
        return json.loads(ended.out)

    def replay(self, *more: str) -> Ended:
        """Trade to the end of the bars; it must succeed."""
        ended = self.ask(*REPLAY, *more)
        assert (ended.code, ended.said) == (0, []), ended
        return ended

    def verified(self) -> None:
        """Nobody has the ledger, and it is what its facts make it; `verify` without a process."""
        proof = examine(self.ledger)
        assert proof.differences == []
        assert proof.facts


def cut_sample(folder: Path, before: str) -> Path:
    """The bundled sample's bars before a moment; the folder."""
    folder.mkdir()
    for path in sorted(SAMPLE.glob("*.csv")):
        head, *rows = path.read_text().splitlines(keepends=True)
        kept = [row for row in rows if row < before]
        (folder / path.name).write_text("".join([head, *kept]))
    return folder


def is_root() -> bool:
    """Whether this process may mount, and become another user."""
    return os.geteuid() == 0
