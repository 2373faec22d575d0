"""`status`: what the daemon answers, for people and for programs.

Goal: the document comes through as it was said, the table shows every part of it, and what is
missing is told in one line by its exit code. Method: a stand-in with the real socket.
"""

from __future__ import annotations

import json
import os
import pty
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import click
import pytest
from answering import Answering

from algo_trader.cli.client import ask
from algo_trader.cli.main import VERBS, Stopped, run
from algo_trader.cli.status import follow
from algo_trader.cli.status_text import status_text
from algo_trader.core.errors import AlgoTraderError
from algo_trader.ledger.errors import LedgerLocked
from algo_trader.runtime.errors import NoAnswer, NoDaemon, SecondDaemon
from algo_trader.runtime.lock import DaemonLock
from algo_trader.runtime.paths import control_socket, lock_file

STRATEGY = {
    "name": "velez",
    "symbol": "SYNA",
    "status": "in_position",
    "bar_count": 210,
    "sma_fast": "50.123456789",
    "sma_slow": None,
}
ORDER = {"order_id": "x", "symbol": "SYNA", "role": "stop", "qty": "25", "stop_price": "49.5"}
STATUS: dict[str, Any] = {
    "state": "trading",
    "pid": 4711,
    "started_at": "2024-01-02T14:00:00Z",
    "broker": "embedded",
    "account": {"id": "SIM-1", "cash": "23747.5", "buying_power": "23747.5"},
    "market": {
        "is_open": True,
        "session": "2024-01-02",
        "opens_at": "2024-01-02T14:30:00Z",
        "closes_at": "2024-01-02T21:00:00Z",
    },
    "feed": {"connected": True, "last_bar_at": "2024-01-02T15:01:00Z", "lag_s": 0.4},
    "trade_stream": {"connected": False},
    "strategies": [STRATEGY],
    "positions": [{"symbol": "SYNA", "qty": "25", "avg_entry_price": "50.1", "unrealized": "1250"}],
    "open_orders": [ORDER],
    "unknown_orders": [],
    "foreign_orders": [],
    "uncovered_shares": "3",
    "uncovered_share_seconds": "124",
    "uncovered_longest_s": 2.1,
    "pnl": {"realized_today": "-12.5", "unrealized": "1250", "equity": "25009.3"},
    "risk": {"daily_loss_left": "737.5", "consecutive_losses": 2, "halted_because": None},
    "ledger": {"facts": 1204, "last_fact_at": "2024-01-02T15:01:02Z", "commit_p99_ms": 3.1},
}


async def status_of(_: Mapping[str, Any]) -> Mapping[str, Any]:
    """The daemon's answer."""
    return STATUS


ANSWERS = {("GET", "/status"): status_of}


@pytest.mark.parametrize("more", [[], ["--json"]], ids=["table", "json"])
def test_without_a_daemon(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], more: list[str]
) -> None:
    """Goal: exit 3, one line on stderr, nothing on stdout."""
    assert run(["--data-dir", str(tmp_path), "status", *more]) == 3
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err == (
        f"Error: no daemon is running in {tmp_path}; start one with `algo-trader start`\n"
    )


def test_the_document_is_the_daemons(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Goal: one JSON document, as it was answered."""
    with Answering(tmp_path, ANSWERS):
        assert run(["--data-dir", str(tmp_path), "status", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == STATUS


SHOWN = """\
state         trading
daemon        pid 4711, since 2024-01-02 14:00:00Z
account       embedded SIM-1, cash 23,747.50, buying power 23,747.50
market        open, session 2024-01-02, 2024-01-02 14:30:00Z to 2024-01-02 21:00:00Z
feed          connected, last bar 2024-01-02 15:01:00Z, 0.4 s behind
trade stream  NOT CONNECTED
P&L           realized today -12.50, unrealized 1,250.00, equity 25,009.30
risk          737.50 of daily loss left, losses in a row: 2
ledger        1204 facts, last at 2024-01-02 15:01:02Z, p99 of commits 3.1 ms
uncovered     3 shares without a working stop; since the start 124 share-seconds, longest 2.1 s

strategies: 1
name   symbol  status       bar count  sma fast  sma slow
velez  SYNA    in_position        210   50.1235         -

positions: 1
symbol  qty  avg entry price  unrealized
SYNA     25             50.1    1,250.00

open orders: 1
symbol  role  qty  stop price
SYNA    stop   25        49.5
"""


def test_the_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Goal: every part of the status, aligned."""
    with Answering(tmp_path, ANSWERS):
        assert run(["--data-dir", str(tmp_path), "status"]) == 0
    assert capsys.readouterr().out == SHOWN


def test_what_somebody_else_did() -> None:
    """Goal: orders that are not ours are listed, a stop that was taken away stands on top."""
    foreign = {"order_id": "web-1", "symbol": "SYNA", "action": "buy", "qty": "3"}
    bare = {"symbol": "SYNA", "qty": "25", "uncovered": "25", "is_left_bare": True}
    shown = status_text({**STATUS, "foreign_orders": [foreign], "positions": [bare]})
    assert "ORDERS AT THE BROKER THAT ARE NOT OURS: 1\nsymbol  action  order id  qty" in shown
    assert "NO STOP       SYNA: canceled again and again at the broker" in shown


def test_what_needs_attention_stands_out() -> None:
    """Goal: a halt and orders of unknown outcome are not overlooked."""
    risk = {**STATUS["risk"], "halted_because": "operator"}
    text = status_text({**STATUS, "unknown_orders": [ORDER], "risk": risk})
    assert "HALTED        operator\n" in text
    assert "ORDERS OF UNKNOWN OUTCOME: 1\nsymbol  role" in text


def test_many_strategies_are_counted() -> None:
    """Goal: a watchlist of hundreds leaves room for the rest; twenty are still listed."""
    rows = [{**STRATEGY, "symbol": f"S{number}"} for number in range(40)]
    rows += [{**STRATEGY, "status": "warming_up"}] * 2
    text = status_text({**STATUS, "strategies": rows})
    assert "strategies: 42 (each of them: see --json)\nname   status       symbols\n" in text
    assert "velez  in_position       40\nvelez  warming_up         2\n" in text
    assert "S19" in status_text({**STATUS, "strategies": rows[:20]})


@pytest.mark.parametrize("name", STATUS)
def test_a_part_that_is_missing_or_odd(name: str) -> None:
    """Goal: a daemon that is starting, or of another version, is shown as far as it goes."""
    status_text({key: value for key, value in STATUS.items() if key != name})
    for odd in (None, [], {}, "", 0.5, [None], {"session": None}, [{"other": 1}]):
        status_text({**STATUS, name: odd})
    status_text({})


def test_nothing_a_broker_says_moves_the_cursor() -> None:
    """Goal: a text from outside cannot redraw the screen."""
    text = status_text({**STATUS, "state": "\x1b[2Jfine\r\n", "account": {"cash": "NaN\x07"}})
    assert "?[2Jfine??" in text
    assert "\x1b" not in text
    assert "\x07" not in text


def test_a_daemon_that_does_not_answer(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Goal: the lock is held, the socket not there: exit 1, not `no daemon`."""
    with DaemonLock(lock_file(tmp_path)):
        assert run(["--data-dir", str(tmp_path), "status", "--json"]) == 1
    told = capsys.readouterr()
    assert told.out == ""
    assert f"(pid {os.getpid()}) in {tmp_path} does not answer" in told.err


def test_a_daemon_that_refuses(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Goal: exit 1 with the daemon's words."""
    with Answering(tmp_path, {}):
        assert run(["--data-dir", str(tmp_path), "status"]) == 1
    assert "refused (404): there is nothing at /status" in capsys.readouterr().err


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"hello",
        b"HTTP/1.1 200 OK\r\n\r\n{",
        b"HTTP/1.1 200 OK\r\n\r\n[]",
        b"HTTP/1.1 200 OK\r\n\r\n\xff",
        b"HTTP/1.1\r\n\r\n{}",
    ],
)
def test_an_answer_that_is_none(tmp_path: Path, answer: bytes) -> None:
    """Goal: a daemon that dies while it answers is no traceback."""
    with (
        DaemonLock(lock_file(tmp_path)),
        socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as server,
    ):
        server.bind(str(control_socket(tmp_path)))
        server.listen()

        def serve() -> None:
            connection = server.accept()[0]
            with connection:
                connection.recv(4096)
                connection.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        with pytest.raises(NoAnswer):
            ask(tmp_path, "GET", "/status")
        thread.join()


def test_a_daemon_that_is_silent(tmp_path: Path) -> None:
    """Goal: the whole answer within the time, or none. Method: a server that never accepts."""
    with (
        DaemonLock(lock_file(tmp_path)),
        socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as server,
    ):
        server.bind(str(control_socket(tmp_path)))
        server.listen()
        with pytest.raises(NoAnswer):
            ask(tmp_path, "GET", "/status", timeout_s=0.02)
        with pytest.raises(NoAnswer):
            ask(tmp_path, "GET", "/status", timeout_s=0)


def test_a_socket_nobody_is_behind(tmp_path: Path) -> None:
    """Goal: what a killed daemon left is no daemon."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as dead:
        dead.bind(str(control_socket(tmp_path)))
    with pytest.raises(NoDaemon):
        ask(tmp_path, "GET", "/status")


def test_watching_draws_again_until_ctrl_c() -> None:
    """Goal: every 2 s; a busy daemon is waited for; Ctrl-C is the way out, other signals count."""
    answers: list[dict[str, Any] | NoAnswer] = [STATUS, NoAnswer("busy"), STATUS]
    drawn: list[str] = []
    waited: list[float] = []

    def status() -> dict[str, Any]:
        answer = answers.pop(0)
        if isinstance(answer, NoAnswer):
            raise answer
        return answer

    def wait(seconds: float) -> None:
        waited.append(seconds)
        if len(waited) == 3:
            raise Stopped(signal.SIGINT)

    follow(status, drawn.append, wait)
    assert [text.partition("\n")[0] for text in drawn] == [
        "state         trading",
        "busy",
        "state         trading",
    ]
    assert waited == [2.0] * 3

    def terminate(_: float) -> None:
        raise Stopped(signal.SIGTERM)

    with pytest.raises(Stopped):
        follow(lambda: STATUS, drawn.append, terminate)


def test_watching_a_daemon_that_goes() -> None:
    """Goal: exit 3 then."""

    def status() -> dict[str, Any]:
        raise NoDaemon("gone")

    with pytest.raises(NoDaemon):
        follow(status, lambda _: None)


@pytest.mark.parametrize("more", [["--watch"], ["--watch", "--json"]], ids=" ".join)
def test_watching_needs_a_terminal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], more: list[str]
) -> None:
    """Goal: refused as bad usage before the daemon is asked."""
    assert run(["--data-dir", str(tmp_path), "status", *more]) == 2
    assert "--watch" in capsys.readouterr().err


def test_watching_on_a_terminal(tmp_path: Path) -> None:
    """Goal: drawn on a cleared screen; Ctrl-C ends it with exit 0 and no message."""
    ours, its = pty.openpty()
    program = "from algo_trader.cli.main import main; main()"
    line = [sys.executable, "-c", program, "--data-dir", str(tmp_path), "status", "--watch"]
    with Answering(tmp_path, ANSWERS):
        child = subprocess.Popen(line, stdin=its, stdout=its, stderr=subprocess.PIPE)
        os.close(its)  # So that reading ends if the child does.
        with child:
            seen = b""
            while b"stop price" not in seen:
                seen += os.read(ours, 4096)
            child.send_signal(signal.SIGINT)
            assert child.stderr is not None
            assert child.stderr.read() == b""
        assert child.returncode == 0
    assert seen.startswith(b"\x1b[H\x1b[2J")
    os.close(ours)


PROBE = """
import sys
from algo_trader.cli.main import run
code = run(sys.argv[1:])
heavy = {"asyncio", "http", "pydantic", "sqlalchemy", "ssl", "structlog", "tempfile"}
print(code, sorted(heavy & set(sys.modules)), file=sys.stderr)
"""


@pytest.mark.parametrize("verb", ["status", "stop"])
def test_asking_imports_nothing_heavy(tmp_path: Path, verb: str) -> None:
    """Goal: the answer comes at once."""
    line = [sys.executable, "-c", PROBE, "--data-dir", str(tmp_path), verb]
    done = subprocess.run(line, capture_output=True, text=True, check=True)
    assert done.stderr.splitlines()[-1] == "3 []"


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (SecondDaemon("x"), 4),
        (LedgerLocked("x"), 4),
        (NoDaemon("x"), 3),
        (NoAnswer("x"), 1),
        (AlgoTraderError("x"), 1),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else str(value),
)
def test_exit_codes(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    error: AlgoTraderError,
    code: int,
) -> None:
    """Goal: each has its code and one message. Method: a verb that raises."""

    @click.command
    def command() -> None:
        raise error

    monkeypatch.setitem(VERBS, "raises", "Raise.")
    monkeypatch.setitem(sys.modules, "algo_trader.cli.raises", SimpleNamespace(command=command))
    assert run(["raises"]) == code
    assert capsys.readouterr().err == "Error: x\n"


def test_help_has_an_example(capsys: pytest.CaptureFixture[str]) -> None:
    """Goal: one line to copy."""
    assert run(["status", "--help"]) == 0
    assert "algo-trader status --json" in capsys.readouterr().out
