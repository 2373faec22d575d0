"""The daemon's control socket: a little HTTP/1.1 over a Unix socket, JSON in and out.

One request per connection, each part of it bounded in size and the whole of it in time, so that no
client can hold up another one or the daemon. Only the daemon's own user and root are served: the
socket's mode keeps others out, and what the system says of the peer is checked besides.

    curl --unix-socket data/control.sock http://localhost/status
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
import stat
import struct
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any

from algo_trader.core.errors import ConfigError
from algo_trader.runtime import Log
from algo_trader.runtime.errors import SecondDaemon
from algo_trader.runtime.wire import HEAD_MAX, Refusal, Request, read_request

Handler = Callable[[Mapping[str, Any]], Awaitable[Mapping[str, Any]]]
"""Answers one request: the JSON object of its body ({} if it has none) to a JSON object."""

CONNECTIONS_MAX = 32
"""At once, since the broker needs files too; beyond, who is slowest with a request is dropped."""
TIMEOUT_S = 5.0
REASONS = {
    200: "OK",
    400: "Bad Request",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    408: "Request Timeout",
    413: "Content Too Large",
    500: "Internal Server Error",
}


def peer_uid(connection: socket.socket) -> int | None:
    """The user at the other end as the system tells; None where it does not."""
    option = getattr(socket, "SO_PEERCRED", None)  # Linux. Elsewhere the socket's mode must do.
    if option is None:
        return None
    credentials = connection.getsockopt(socket.SOL_SOCKET, option, struct.calcsize("=iII"))
    return int(struct.unpack("=iII", credentials)[1])


class ControlServer:
    """Serves `handlers`, by (method, path), at a Unix socket; hold the daemon's lock by then.

    What a handler raises is answered by a plain 500 and reported as `control_handler_failed`; a
    foreign user as `control_refused`; a mistake of the server's own as `control_failed`.
    `timeout_s` is what a client has for its whole request, and for taking the answer.
    """

    def __init__(
        self,
        path: Path,
        handlers: Mapping[tuple[str, str], Handler],
        log: Log,
        *,
        timeout_s: float = TIMEOUT_S,
        uid_of: Callable[[socket.socket], int | None] = peer_uid,
    ) -> None:
        self._path = path
        self._handlers = dict(handlers)
        self._log = log
        self._timeout_s = timeout_s
        self._uid_of = uid_of
        self._server: asyncio.Server | None = None
        self._inode: int | None = None
        self._serving: set[asyncio.Task[None]] = set()
        self._reading: dict[asyncio.StreamWriter, asyncio.Task[None]] = {}
        self._is_open = False

    async def start(self) -> None:
        """Answer from now on.

        ConfigError if something that is no socket is in the way or the socket cannot be made,
        SecondDaemon if somebody answers there; a socket nobody answers at is taken over.
        """
        _clear(self._path)
        listener = _listener(self._path)
        self._inode = self._path.lstat().st_ino
        self._is_open = True
        self._server = await asyncio.start_unix_server(
            self._connected, sock=listener, limit=HEAD_MAX
        )

    async def close(self) -> None:
        """Take no more requests, let those in work end within the timeout, remove the socket.

        Not for a handler to call: it would wait for itself.
        """
        if self._server is None:
            return
        server, self._server = self._server, None
        self._is_open = False
        with suppress(FileNotFoundError):
            if self._path.lstat().st_ino == self._inode:
                self._path.unlink()
        server.close()
        for task in self._reading.values():
            task.cancel()
        if self._serving:
            _, late = await asyncio.wait(self._serving, timeout=self._timeout_s)
            for task in late:
                task.cancel()
            if late:
                await asyncio.wait(late, timeout=self._timeout_s)

    async def __aenter__(self) -> ControlServer:
        await self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        is_full = len(self._serving) >= CONNECTIONS_MAX
        if not self._is_open or (is_full and not self._reading):
            writer.transport.abort()
            return
        if is_full:
            self._reading.pop(next(iter(self._reading))).cancel()
        task = asyncio.create_task(self._serve(reader, writer))
        self._serving.add(task)
        self._reading[writer] = task

        def ended(task: asyncio.Task[None]) -> None:
            self._serving.discard(task)
            self._reading.pop(writer, None)
            writer.transport.abort()  # No effect on what was closed in order.
            if not task.cancelled() and (error := task.exception()) is not None:
                self._log("control_failed", error=error)

        task.add_done_callback(ended)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        headers = ""
        try:
            self._require_allowed(writer.get_extra_info("socket"))
            async with asyncio.timeout(self._timeout_s):
                request = await read_request(reader)
            if request is None:
                return
            self._reading.pop(writer, None)
            status, answer = 200, await self._answer(request)
        except Refusal as refusal:
            status, answer = refusal.status, _error(str(refusal))
            headers = "".join(f"{line}\r\n" for line in refusal.headers)
        except TimeoutError:
            status, answer = 408, _error(f"no whole request within {self._timeout_s:g} s")
        except ConnectionError:
            return
        head = (
            f"HTTP/1.1 {status} {REASONS[status]}\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(answer)}\r\n{headers}Connection: close\r\n\r\n"
        )
        # A client that has gone, or does not take its answer, loses it.
        with suppress(ConnectionError, TimeoutError):
            async with asyncio.timeout(self._timeout_s):
                writer.write(head.encode() + answer)
                writer.close()
                await writer.wait_closed()

    def _require_allowed(self, connection: Any) -> None:
        uid = self._uid_of(connection)
        if uid not in (None, 0, os.geteuid()):
            self._log("control_refused", uid=uid)
            raise Refusal(403, "only the user the daemon runs as, and root, may ask it")

    async def _answer(self, request: Request) -> bytes:
        methods = sorted(method for method, path in self._handlers if path == request.path)
        if not methods:
            raise Refusal(404, f"there is nothing at {request.path}")
        if request.method not in methods:
            allowed = ", ".join(methods)
            raise Refusal(405, f"{request.path} takes {allowed}", [f"Allow: {allowed}"])
        handler = self._handlers[request.method, request.path]
        try:
            return _json(await handler(request.body))
        except ConfigError as error:
            raise Refusal(400, str(error)) from error
        except Exception as error:  # Asking must not end what is asked.
            self._log("control_handler_failed", path=request.path, error=error)
            raise Refusal(500, "the daemon failed to answer; its log says why") from error


def _clear(path: Path) -> None:
    """Remove a socket that nobody answers at."""
    try:
        found = path.lstat()
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(found.st_mode):
        raise ConfigError(f"{path} is in the way of the control socket: move it elsewhere")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)
        try:
            probe.connect(os.fspath(path))
        except (ConnectionRefusedError, FileNotFoundError):
            path.unlink(missing_ok=True)
            return
        except BlockingIOError:  # There is somebody, with a full queue.
            pass
        except OSError as error:
            raise ConfigError(f"cannot use the control socket {path}: {error.strerror}") from error
    raise SecondDaemon(
        f"a daemon already answers at {path}: stop it with `algo-trader stop`, or give this one a"
        " data directory of its own"
    )


def _listener(path: Path) -> socket.socket:
    """A listening socket; its file is the owner's alone from the first moment on."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    before = os.umask(0o177)
    try:
        listener.bind(os.fspath(path))
    except OSError as error:
        listener.close()
        reason = error.strerror or error
        raise ConfigError(f"cannot make the control socket {path}: {reason}") from error
    finally:
        os.umask(before)
    listener.listen(CONNECTIONS_MAX)
    listener.setblocking(False)
    return listener


def _json(answer: Mapping[str, Any]) -> bytes:
    return json.dumps(answer, allow_nan=False).encode() + b"\n"


def _error(message: str) -> bytes:
    return _json({"error": message})
