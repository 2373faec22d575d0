"""The command line as a process: signals, full disks, closed pipes, what could wait for ever.

Each case is a process of its own, since signals, standard output and file limits belong to one.
"""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO, Any

import pytest

SAMPLE = Path(__file__).parents[3] / "data" / "sample"
START = "import sys; from algo_trader.cli.main import main; sys.argv[0] = 'algo-trader'; main()"
WAIT_S = 60
SLOW = """
import pathlib, time
from algo_trader.strategies import Velez

class Slow(Velez):
    def signal(self, candle, indicators):
        pathlib.Path("running").touch()
        time.sleep(0.2)
        return super().signal(candle, indicators)
"""


def start(folder: Path, *arguments: str, **how: Any) -> subprocess.Popen[str]:
    """Begin a process that stands in the folder and has its data directory there."""
    path = os.pathsep.join(filter(None, sys.path))
    return subprocess.Popen(
        [sys.executable, "-c", START, "--data-dir", "data", *arguments],
        cwd=folder,
        stdin=subprocess.DEVNULL,
        text=True,
        env={**os.environ, "PYTHONPATH": path},
        **{"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **how},
    )


def finish(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    """Exit code, stdout and stderr of a process that must end."""
    try:
        out, err = process.communicate(timeout=WAIT_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        pytest.fail("it waits for ever")
    assert "Traceback" not in err
    assert "Exception ignored" not in err
    return process.returncode, out, err


def backtest(*more: str) -> Sequence[str]:
    return ["backtest", "SYNA", "--bars", str(SAMPLE), *more]


BOTH = ["--decisions", "lines.jsonl", "--report", "page.html"]


@pytest.mark.parametrize(
    ("signals", "code"),
    [
        ([signal.SIGTERM], 143),
        ([signal.SIGINT], 130),
        ([signal.SIGHUP], 129),
        ([signal.SIGTERM] * 4, 143),
    ],
    ids=["TERM", "INT", "HUP", "TERM again and again"],
)
def test_a_signal_leaves_nothing_behind(tmp_path: Path, signals: list[int], code: int) -> None:
    """Goal: no passing file, no half answer, what was there before is there still."""
    (tmp_path / "slow.py").write_text(SLOW)
    (tmp_path / "page.html").write_text("an older page")
    process = start(tmp_path, *backtest("--strategy", "slow.py:Slow", *BOTH))
    ends = time.monotonic() + WAIT_S
    while not (tmp_path / "running").exists() and time.monotonic() < ends:
        time.sleep(0.02)
    assert list(tmp_path.glob(".*.part")), "it was caught while it wrote"
    for number in signals:
        process.send_signal(number)
    found, out, err = finish(process)
    assert (found, out) == (code, "")
    name = signal.Signals(signals[0]).name
    assert err == f"Error: stopped by {name}: no file was left half-written\n"
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {"slow.py", "running", "page.html", "data"}
    assert (tmp_path / "page.html").read_text() == "an older page"


def test_a_signal_that_was_ignored_stays_so(tmp_path: Path) -> None:
    """Goal: nohup works. Method: SIGHUP ignored before the start, sent at once."""
    (tmp_path / "slow.py").write_text(SLOW.replace("0.2", "0.002"))
    process = start(
        tmp_path,
        *backtest("--strategy", "slow.py:Slow"),
        preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN),
    )
    process.send_signal(signal.SIGHUP)
    assert finish(process)[0] == 0


def limited(size: int) -> Callable[[], None]:
    """For the child: files grow to this size and no further, like a disk that is full."""
    return lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


def test_a_full_disk_while_the_files_are_written(tmp_path: Path) -> None:
    """Goal: neither of the two files, and the message names the one that did not fit."""
    process = start(tmp_path, *backtest(*BOTH, "--no-save"), preexec_fn=limited(50_000))
    code, out, err = finish(process)
    assert (code, out) == (75, "")
    assert "cannot write lines.jsonl: File too large" in err
    assert {path.name for path in tmp_path.iterdir()} == {"data"}


def test_a_full_disk_while_the_run_is_saved(tmp_path: Path) -> None:
    """Goal: the answer stands, the message says what was not done."""
    process = start(tmp_path, *backtest("--report", "page.html"), preexec_fn=limited(60_000))
    code, out, err = finish(process)
    assert code == 75
    assert "velez on SYNA" in out
    assert err.splitlines()[-1].startswith("Error: the run was not kept: data/backtests.db: ")
    assert "</html>" in (tmp_path / "page.html").read_text()


@pytest.mark.parametrize("arguments", [["--help"], backtest("--no-save"), backtest("--json")])
def test_standard_output_that_takes_nothing(tmp_path: Path, arguments: list[str]) -> None:
    """Goal: one message, no traceback as Python ends. Method: /dev/full."""
    with open("/dev/full", "w") as full:
        code, _, err = finish(start(tmp_path, *arguments, stdout=full))
    assert code == 75
    assert err.splitlines()[-1] == "Error: standard output: No space left on device"


def closed_pipe() -> IO[bytes]:
    """The writing end of a pipe that nobody reads."""
    reading, writing = os.pipe()
    os.close(reading)
    return os.fdopen(writing, "wb")


def test_a_reader_that_has_gone_is_no_error_to_tell(tmp_path: Path) -> None:
    """Goal: `| head` stays quiet, and the run is kept all the same."""
    with closed_pipe() as pipe:
        code, _, err = finish(start(tmp_path, *backtest(), stdout=pipe))
    assert (code, err) == (1, "")
    assert (tmp_path / "data" / "backtests.db").stat().st_size > 0


def test_standard_error_that_takes_nothing(tmp_path: Path) -> None:
    """Goal: a message that cannot be told changes no exit code."""
    with open("/dev/full", "w") as full:
        wrong = start(tmp_path, "backtest", "SYNA", stderr=full)
        wrong.communicate(timeout=WAIT_S)
        verbose = start(tmp_path, "-v", *backtest("--to", "2024-11-27"), stderr=full)
        answer = verbose.communicate(timeout=WAIT_S)[0]
    assert (wrong.returncode, verbose.returncode) == (2, 0)
    assert "velez on SYNA" in answer


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["backtest", "SYNA", "--bars", "pipe.csv"], "pipe.csv: not a regular file"),
        (["backtest", "SYNA", "--bars", "."], "pipe.csv: not a regular file"),
        (["--env-file", "pipe.csv", *backtest()], "pipe.csv cannot be read: it is not a regular"),
        (["--env-file", "/dev/zero", *backtest()], "/dev/zero cannot be read: it is not a reg"),
        (backtest("--strategy", "pipe.csv:Mine"), "--strategy pipe.csv:Mine"),
        (backtest("--decisions", "pipe.csv"), "pipe.csv is not a regular file"),
        (["backtest", "SYNA", "--bars", "loop"], "loop/SYNA.csv"),
        (["backtest", "SYNA", "--bars", "loop", *BOTH], "loop/SYNA.csv"),
        (["backtest", "SYNA", "--bars", "loop/SYNA.csv"], "loop/SYNA.csv"),
    ],
)
def test_nothing_that_could_wait_for_ever_is_opened(
    tmp_path: Path, arguments: list[str], message: str
) -> None:
    """Goal: pipes, devices and links in a circle are refused by name."""
    os.mkfifo(tmp_path / "pipe.csv")
    (tmp_path / "loop").mkdir()
    (tmp_path / "loop" / "SYNA.csv").symlink_to("SYNA.csv")
    code, out, err = finish(start(tmp_path, *arguments))
    assert (code, out) == (2, "")
    assert message in err
    assert len(err.splitlines()) == 1


def test_a_calendar_that_is_a_pipe_is_not_read(tmp_path: Path) -> None:
    """Goal: whatever lies in the cache's place costs time, nothing else."""
    (tmp_path / "data" / "cache").mkdir(parents=True)
    os.mkfifo(tmp_path / "data" / "cache" / "sessions-XNYS.json")
    assert finish(start(tmp_path, *backtest("--no-save")))[0] == 0
