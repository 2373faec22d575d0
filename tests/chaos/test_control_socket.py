"""The control socket of a real daemon: who may ask, and what nonsense does to it.

Goal: only its own user and root are served, no client holds up another one or the daemon.
"""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest
from living import NOBODY, Daemon, Home, is_root, until

MANY = 40
"""More connections than the daemon serves at once."""
WITH_CURL = pytest.mark.skipif(shutil.which("curl") is None, reason="there is no curl here")
NOT_ROOT = pytest.mark.skipif(not is_root(), reason="it takes root to be another user")


@contextmanager
def connected(home: Home) -> Iterator[socket.socket]:
    """A connection to the daemon."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(30)
        connection.connect(str(home.data / "control.sock"))
        yield connection


def sent(home: Home, request: bytes) -> bytes:
    """All that the daemon answers to these bytes."""
    with connected(home) as connection:
        try:
            connection.sendall(request)
            connection.shutdown(socket.SHUT_WR)
        except BrokenPipeError:
            pass  # Refused before it was read to its end.
        return everything(connection)


def everything(connection: socket.socket) -> bytes:
    """What comes until the other end closes."""
    answer = b""
    try:
        while chunk := connection.recv(65_536):
            answer += chunk
    except ConnectionResetError:
        pass
    return answer


def curl(home: Home, path: str, *more: str, by: tuple[str, ...] = ()) -> tuple[int, str]:
    """Exit code and output of curl on the daemon's socket."""
    place = str(home.data / "control.sock")
    command = [*by, "curl", "--silent", "--show-error", "--max-time", "20", *more]
    command += ["--unix-socket", place, f"http://localhost{path}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


@WITH_CURL
def test_curl(idle: tuple[Home, Daemon]) -> None:
    """Goal: any client that speaks HTTP will do."""
    home, daemon = idle
    code, answer = curl(home, "/status")
    assert (code, json.loads(answer)["pid"]) == (0, daemon.pid)
    code, answer = curl(home, "/orders", "--json", '{"limit": 1}')
    assert (code, len(json.loads(answer)["orders"])) == (0, 1)
    assert json.loads(curl(home, "/nothing")[1])["error"] == "there is nothing at /nothing"
    assert "takes POST" in json.loads(curl(home, "/stop")[1])["error"]


@WITH_CURL
def test_no_client_has_the_ledger_replaced(idle: tuple[Home, Daemon]) -> None:
    """Goal: a backup takes no ledger's place, whoever asks for it. Method: by curl, the ledger that
    is in use as the target.
    """
    home, _ = idle
    before = home.ledger.stat().st_ino
    body = json.dumps({"path": str(home.ledger)})
    _, answer = curl(home, "/backup", "--json", body)
    assert "is a ledger itself" in json.loads(answer)["error"]
    assert home.ledger.stat().st_ino == before


def asked_by_nobody(home: Home) -> str | None:
    """What somebody else is told who asks the daemon to stop; None without an answer."""
    code, answer = curl(home, "/stop", "--request", "POST", by=NOBODY)
    return answer if code == 0 else None


@NOT_ROOT
@WITH_CURL
def test_another_user(idle: tuple[Home, Daemon]) -> None:
    """Goal: the directory keeps them out, the socket's mode does, and in the end the daemon."""
    home, daemon = idle
    place = home.data / "control.sock"
    home.ask("status", by=NOBODY).refused(2, "ask as the user it runs as")
    try:
        for folder in (home.data, home.data.parent, home.data.parent.parent):
            folder.chmod(0o755)
        home.ask("status", by=NOBODY).refused(2, "may not reach the daemon", str(place))
        place.chmod(0o777)
        home.ask("stop", by=NOBODY).refused(2, "cannot read the lock", "Permission denied")
        # A connection that is refused at once may be closed before curl has sent its request.
        answer = until("curl is told why", lambda: asked_by_nobody(home), 10)
        said = {"error": "only the user the daemon runs as, and root, may ask it"}
        assert json.loads(answer) == said
        assert daemon.wait_for("control_refused")["uid"] == 65534
    finally:
        home.data.chmod(0o700)
        place.chmod(0o600)
    assert home.answer("status")["state"] == "idle"


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"\x00\xff\x16\x03\x01 garbage\r\n\r\n", b"400"),
        (b"GET /status HTTP/1.1\r\n", b"400"),
        (b"GET /status HTTP/2\r\n\r\n", b"400"),
        (b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\n\r\n", b"400"),
        (b"POST /stop HTTP/1.1\r\nContent-Length: 99999999\r\n\r\n", b"413"),
        (b"POST /stop HTTP/1.1\r\nContent-Length: 900000\r\n\r\n" + b"x" * 900_000, b"413"),
        (b"POST /stop HTTP/1.1\r\nContent-Length: -1\r\n\r\n", b"400"),
        (b"POST /stop HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", b"400"),
        (b"POST /halt HTTP/1.1\r\nContent-Length: 12\r\n\r\n{\"reason\":1}", b"400"),
        (b"POST /settings HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}", b"400"),
        (b"DELETE /status HTTP/1.1\r\n\r\n", b"405"),
    ],
    ids=lambda value: value[:24].decode("latin-1") if len(value) > 3 else None,
)
def test_nonsense(idle: tuple[Home, Daemon], request_: bytes, status: bytes) -> None:
    """Goal: refused in HTTP, and the daemon neither ends nor changes anything."""
    home, daemon = idle
    answer = sent(home, request_)
    assert answer.split(b" ", 2)[1] == status
    assert json.loads(answer.partition(b"\r\n\r\n")[2]).keys() == {"error"}
    assert b"200 OK" in sent(home, b"GET /status HTTP/1.1\r\n\r\n")
    assert daemon.is_alive


def test_clients_that_take_their_time(idle: tuple[Home, Daemon]) -> None:
    """Goal: half a request is answered 408 in the end, and meanwhile others are served at once,
    however many wait; so after clients that left in the middle.
    """
    home, daemon = idle
    with ExitStack() as stack:
        slow = [stack.enter_context(connected(home)) for _ in range(MANY)]
        for connection in slow:
            connection.sendall(b"GET /status HTTP/1.1\r\nHost:")
        assert home.answer("status")["state"] == "idle"
        for connection in slow[: MANY // 2]:
            connection.close()
        assert home.answer("status")["state"] == "idle"
        assert everything(slow[-1]).startswith(b"HTTP/1.1 408 ")
    assert daemon.is_alive
    assert home.answer("verify")["ok"] is True
