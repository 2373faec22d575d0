"""One thread's way out to the broker: it tells whether anything was sent, and can be shut.

Sockets have a timeout for each read only, so an answer that drips in byte by byte would hold a
thread for ever; whoever waits for it shuts the outlet instead, from another thread.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from requests import PreparedRequest, Response
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

KEEPALIVE = {"TCP_KEEPIDLE": 20, "TCP_KEEPINTVL": 5, "TCP_KEEPCNT": 3}
"""An idle connection is probed after so many seconds, every so many, given up after so many."""


class Outlet:
    """What one thread sends through. `user` is what is under way now, `has_sent` whether any of it
    left.
    """

    def __init__(self) -> None:
        self.user: object = None
        self.has_sent = False
        self._is_cut = False
        self._sock: socket.socket | None = None
        self._lock = threading.Lock()

    def begin(self, user: object) -> None:
        """A new request."""
        with self._lock:
            self.user = user
            self.has_sent = self._is_cut = False
            self._sock = None

    def send_over(self, sock: socket.socket) -> None:
        """Bytes of the present request are about to leave by this socket."""
        with self._lock:
            if self._is_cut:
                raise ConnectionAbortedError("the time for this request is over")
            self._sock = sock
            self.has_sent = True

    def abort(self, user: object) -> bool:
        """Let nothing more leave for this user, and wake its thread if it waits at the socket.

        Whether anything has left; True also if its turn is over, for then nobody can say.
        """
        with self._lock:
            if self.user is not user:
                return True
            self._is_cut = True
            if self._sock is not None:
                with suppress(OSError):
                    # Not the method of a TLS socket, which would close it for the reader's thread.
                    socket.socket.shutdown(self._sock, socket.SHUT_RDWR)
            return self.has_sent


class LimitedAdapter(HTTPAdapter):
    """Requests with a timeout (connect, read) in seconds, over connections that tell their outlet.
    """

    def __init__(self, outlet: Outlet, timeout: tuple[float, float]) -> None:
        self._timeout = timeout
        super().__init__(pool_connections=1, pool_maxsize=1)
        self.poolmanager.pool_classes_by_scheme = _pools(outlet)

    def init_poolmanager(
        self, connections: int, maxsize: int, block: bool = False, **pool_kwargs: Any
    ) -> None:
        """Have idle connections watched: one that has died unheard would cost an order its answer.
        """
        super().init_poolmanager(
            connections, maxsize, block, socket_options=_socket_options(), **pool_kwargs
        )

    def send(
        self,
        request: PreparedRequest,
        stream: bool = False,
        timeout: Any = None,
        verify: bool | str = True,
        cert: Any = None,
        proxies: Mapping[str, str] | None = None,
    ) -> Response:
        """Send with the timeout, which the SDK never gives."""
        return super().send(request, stream, self._timeout, verify, cert, None)


def _socket_options() -> list[tuple[int, int, int]]:
    options = [
        *HTTPConnection.default_socket_options,
        (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    ]
    for name, value in KEEPALIVE.items():
        if hasattr(socket, name):
            options.append((socket.IPPROTO_TCP, getattr(socket, name), value))
    return options


def _pools(outlet: Outlet) -> dict[str, type[HTTPConnectionPool]]:
    class Plain(HTTPConnection):
        def send(self, data: Any) -> None:
            if self.sock is None:
                self.connect()
            outlet.send_over(self.sock)
            super().send(data)

    class Secure(HTTPSConnection):
        def send(self, data: Any) -> None:
            if self.sock is None:
                self.connect()
            outlet.send_over(self.sock)
            super().send(data)

    class PlainPool(HTTPConnectionPool):
        ConnectionCls = Plain

    class SecurePool(HTTPSConnectionPool):
        ConnectionCls = Secure

    return {"http": PlainPool, "https": SecurePool}
