"""The control socket.

Goal: it answers its owner and no one else, and nothing a client sends or leaves out disturbs the
daemon or another client. Method: real sockets, raw bytes; a timeout far beyond the test where it
must not be what helps.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import socket
import stat
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from algo_trader.core.errors import ConfigError
from algo_trader.runtime.control import CONNECTIONS_MAX, ControlServer, Handler
from algo_trader.runtime.errors import SecondDaemon
from algo_trader.runtime.wire import BODY_MAX, HEAD_MAX, Refusal, Request, read_request

LONG_S = 600.0


class Events:
    """What was reported."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, dict[str, object]]] = []

    def __call__(self, event: str, /, **fields: object) -> None:
        """Take an event."""
        self.seen.append((event, fields))


async def echo(body: Mapping[str, Any]) -> Mapping[str, Any]:
    """Answers with what it was sent."""
    return {"got": dict(body)}


async def broken(_: Mapping[str, Any]) -> Mapping[str, Any]:
    """A handler with a mistake."""
    raise RuntimeError("secret detail")


async def unprintable(_: Mapping[str, Any]) -> Mapping[str, Any]:
    """An answer JSON has no word for."""
    return {"lag": float("nan")}


HANDLERS: dict[tuple[str, str], Handler] = {
    ("GET", "/status"): echo,
    ("POST", "/stop"): echo,
    ("POST", "/broken"): broken,
    ("GET", "/nan"): unprintable,
}


def served(
    path: Path,
    test: Callable[[Events], Awaitable[None]],
    *,
    timeout_s: float = LONG_S,
    handlers: Mapping[tuple[str, str], Handler] = HANDLERS,
    uid_of: Callable[[socket.socket], int | None] | None = None,
) -> None:
    """Run the test against a server at `path`."""
    events = Events()

    async def run() -> None:
        more = {} if uid_of is None else {"uid_of": uid_of}
        async with ControlServer(path, handlers, events, timeout_s=timeout_s, **more):
            await test(events)

    asyncio.run(run())


async def said(path: Path, request: bytes, *, ends: bool = False) -> tuple[int, dict[str, Any]]:
    """Status and object of the answer to raw bytes; with `ends` nothing more is to come."""
    reader, writer = await asyncio.open_unix_connection(path)
    writer.write(request)
    if ends:
        writer.write_eof()
    answer = await reader.read()
    writer.close()
    head, _, body = answer.partition(b"\r\n\r\n")
    lines = head.decode().split("\r\n")
    assert f"Content-Length: {len(body)}" in lines
    assert "Connection: close" in lines
    return int(lines[0].split(" ")[1]), json.loads(body)


def get(path: str) -> bytes:
    """A plain request."""
    return f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()


def post(path: str, body: bytes, length: str | None = None) -> bytes:
    """A request with a body, and its length or another."""
    head = f"POST {path} HTTP/1.1\r\nContent-Length: {length or len(body)}\r\n\r\n"
    return head.encode() + body


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the socket is."""
    return tmp_path / "control.sock"


def test_requests_and_answers(path: Path) -> None:
    """Goal: objects in and out, no body is {}, the socket is gone afterwards."""

    async def test(_: Events) -> None:
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert await said(path, get("/status")) == (200, {"got": {}})
        body = json.dumps({"a": "é", "b": [1]}).encode()
        assert await said(path, post("/stop", body)) == (200, {"got": {"a": "é", "b": [1]}})

    before = os.umask(0o022)
    os.umask(before)
    served(path, test)
    assert os.umask(before) == before
    assert not path.exists()


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_curl_works(path: Path) -> None:
    """Goal: the documented line works as it stands, with and without a body."""

    async def test(_: Events) -> None:
        for more in ([], ["-X", "GET", "-d", '{"x": 1}']):
            line = ["curl", "-sS", "--unix-socket", str(path), *more, "http://localhost/status"]
            child = await asyncio.create_subprocess_exec(*line, stdout=asyncio.subprocess.PIPE)
            out = (await child.communicate())[0]
            assert json.loads(out) == {"got": {"x": 1} if more else {}}

    served(path, test)


LONG_HEADER = f"GET /status HTTP/1.1\r\nX: {'x' * 8200}\r\n\r\n".encode()
MANY_HEADERS = b"GET /status HTTP/1.1\r\n" + b"X: y\r\n" * 1400 + b"\r\n"
REFUSED = {
    "no HTTP": (b"hello\r\n\r\n", 400),
    "HTTP/2": (b"GET /status HTTP/2\r\n\r\n", 400),
    "another URL": (b"GET http://localhost/status HTTP/1.1\r\n\r\n", 400),
    "a long line": (get("/" + "x" * 1024), 400),
    "a long header": (LONG_HEADER, 400),
    "many headers": (MANY_HEADERS, 400),
    "no end in sight": (b"x" * (3 * HEAD_MAX), 400),
    "no header": (b"GET /status HTTP/1.1\r\nno colon\r\n\r\n", 400),
    "a folded header": (b"GET /status HTTP/1.1\r\nA: b\r\n c\r\n\r\n", 400),
    "a space before the colon": (b"GET /status HTTP/1.1\r\nContent-Length : 2\r\n\r\n{}", 400),
    "chunks": (b"POST /stop HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
    "two lengths": (post("/stop", b"{}", "2\r\nContent-Length: 2"), 400),
    "a negative length": (post("/stop", b"{}", "-1"), 400),
    "a length in words": (post("/stop", b"{}", "two"), 400),
    "a length without end": (post("/stop", b"{}", "9" * 5000), 400),
    "too much": (post("/stop", b"", str(BODY_MAX + 1)), 413),
    "no JSON": (post("/stop", b"{stop}"), 400),
    "no object": (post("/stop", b"[1]"), 400),
    "no UTF-8": (post("/stop", b'{"a": "\xff"}'), 400),
    "NaN": (post("/stop", b'{"a": NaN}'), 400),
    "a deep nest": (post("/stop", b"[" * BODY_MAX), 400),
    "an endless number": (post("/stop", b'{"a": ' + b"9" * 60_000 + b"}"), 400),
    "nothing there": (get("/other"), 404),
    "a query": (get("/status?x=1"), 404),
    "another method": (post("/status", b"{}"), 405),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused_requests(path: Path, name: str) -> None:
    """Goal: each is answered by its status, in words, and the server goes on."""
    request, status = REFUSED[name]

    async def test(events: Events) -> None:
        found, answer = await said(path, request)
        assert (found, list(answer)) == (status, ["error"])
        assert (await said(path, get("/status")))[0] == 200
        assert events.seen == []

    served(path, test)


@pytest.mark.parametrize("request_", [b"GET /sta", post("/stop", b"{", "9")], ids=["head", "body"])
def test_a_request_that_ends_early(path: Path, request_: bytes) -> None:
    """Goal: refused at once, without waiting for the rest."""

    async def test(_: Events) -> None:
        assert (await said(path, request_, ends=True))[0] == 400

    served(path, test)


@pytest.mark.parametrize("name", ["/broken", "/nan"])
def test_a_handler_that_fails(path: Path, name: str) -> None:
    """Goal: a plain 500 without the detail, a report with it, and the server goes on."""

    async def test(events: Events) -> None:
        request = post(name, b"{}") if name == "/broken" else get(name)
        status, answer = await said(path, request)
        assert status == 500
        assert "secret" not in str(answer)
        [(event, fields)] = events.seen
        assert (event, fields["path"]) == ("control_handler_failed", name)
        assert isinstance(fields["error"], RuntimeError | ValueError)
        assert (await said(path, get("/status")))[0] == 200

    served(path, test)


@pytest.mark.parametrize("uid", [0, os.geteuid(), None])
def test_the_owner_and_root_are_served(path: Path, uid: int | None) -> None:
    """Goal: and whoever the system cannot name, since the mode of the socket let him in."""

    async def test(_: Events) -> None:
        assert (await said(path, get("/status")))[0] == 200

    served(path, test, uid_of=lambda _: uid)


def test_another_user_is_refused(path: Path) -> None:
    """Goal: 403, before anything is read, and a report that names him."""

    async def test(events: Events) -> None:
        assert (await said(path, b""))[0] == 403
        assert events.seen == [("control_refused", {"uid": 54321})]

    served(path, test, uid_of=lambda _: 54321)


def test_a_slow_client_disturbs_nobody(path: Path) -> None:
    """Goal: half a request keeps no other waiting; with no timeout in reach."""

    async def test(_: Events) -> None:
        slow = (await asyncio.open_unix_connection(path))[1]
        slow.write(b"GET /sta")
        await slow.drain()
        assert (await said(path, get("/status")))[0] == 200
        slow.close()

    served(path, test)


def test_a_slow_client_is_told_and_left(path: Path) -> None:
    """Goal: 408 when its time is over, whatever it trickles."""

    async def test(_: Events) -> None:
        assert (await said(path, b"GET /sta"))[0] == 408
        assert (await said(path, post("/stop", b"{", "9")))[0] == 408

    served(path, test, timeout_s=0.02)


def test_a_client_that_takes_no_answer(path: Path) -> None:
    """Goal: it cannot keep the server from closing."""

    async def large(_: Mapping[str, Any]) -> Mapping[str, Any]:
        return {"large": "x" * 5_000_000}

    async def test(_: Events) -> None:
        deaf = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        deaf.connect(str(path))
        deaf.sendall(get("/large"))
        assert (await said(path, get("/status")))[0] == 200
        deaf_sockets.append(deaf)

    deaf_sockets: list[socket.socket] = []
    served(path, test, timeout_s=0.02, handlers={**HANDLERS, ("GET", "/large"): large})
    deaf_sockets[0].close()


def test_many_idle_clients_do_not_shut_others_out(path: Path) -> None:
    """Goal: at the limit the slowest is dropped, the new one served; with no timeout in reach."""

    async def test(_: Events) -> None:
        many = range(3 * CONNECTIONS_MAX)
        idle = [await asyncio.open_unix_connection(path) for number in many]
        assert (await said(path, get("/status")))[0] == 200
        assert await idle[0][0].read() == b""
        for connection in idle:
            connection[1].close()

    served(path, test)


def test_what_is_in_work_is_finished(path: Path) -> None:
    """Goal: the answer to `stop` arrives though the server closes; idle clients are let go."""

    async def run() -> None:
        has_begun, may_end = asyncio.Event(), asyncio.Event()

        async def stop(_: Mapping[str, Any]) -> Mapping[str, Any]:
            has_begun.set()
            await may_end.wait()
            return {"stopping": True}

        server = ControlServer(path, {("POST", "/stop"): stop}, Events(), timeout_s=LONG_S)
        await server.start()
        asked = asyncio.create_task(said(path, post("/stop", b"{}")))
        idle, writer = await asyncio.open_unix_connection(path)
        await has_begun.wait()
        closing = asyncio.create_task(server.close())
        assert await idle.read() == b""
        assert not path.exists()
        may_end.set()
        await closing
        assert await asked == (200, {"stopping": True})
        await server.close()
        writer.close()

    asyncio.run(run())


def test_a_stale_socket_is_taken_over(path: Path) -> None:
    """Goal: a daemon that was killed keeps none from starting."""
    dead = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    dead.bind(str(path))
    dead.close()

    async def test(_: Events) -> None:
        assert (await said(path, get("/status")))[0] == 200

    served(path, test)


def test_a_living_socket_is_not(path: Path) -> None:
    """Goal: whoever answers there goes on answering."""

    async def test(_: Events) -> None:
        with pytest.raises(SecondDaemon, match="algo-trader stop"):
            await ControlServer(path, HANDLERS, Events()).start()
        assert (await said(path, get("/status")))[0] == 200

    served(path, test)


def test_something_else_in_its_place(path: Path) -> None:
    """Goal: no file of anybody's is removed."""
    path.write_text("mine")
    with pytest.raises(ConfigError, match="in the way of the control socket"):
        asyncio.run(ControlServer(path, HANDLERS, Events()).start())
    assert path.read_text() == "mine"
    with pytest.raises(ConfigError, match="cannot make the control socket"):
        asyncio.run(ControlServer(path.parent / "no" / "dir", HANDLERS, Events()).start())


def test_a_socket_that_another_put_there_stays(path: Path) -> None:
    """Goal: closing removes the server's own socket only."""

    async def test(_: Events) -> None:
        path.unlink()
        other.bind(str(path))

    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as other:
        served(path, test)
        assert path.exists()


PIECES = [b"GET ", b"POST ", b"/status", b" HTTP/1.1", b"\r\n", b"\r\n\r\n", b"Content-Length: 2"]
PIECES += [b"Transfer-Encoding:", b": ", b"{}", b"\n", b"\0", b'{"a":']


@given(st.lists(st.one_of(st.sampled_from(PIECES), st.binary(max_size=20)), max_size=12))
def test_whatever_comes_is_a_request_or_refused(pieces: list[bytes]) -> None:
    """Goal: no bytes make the reader fail in another way."""

    async def read() -> Request | Refusal | None:
        reader = asyncio.StreamReader(limit=HEAD_MAX)
        reader.feed_data(b"".join(pieces))
        reader.feed_eof()
        try:
            return await read_request(reader)
        except Refusal as refusal:
            return refusal

    found = asyncio.run(read())
    assert not isinstance(found, Refusal) or found.status in (400, 413)
