"""Plain WebSocket clients for what the SDK hides: frames as they are, pings, closing codes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import msgpack
from serving import DEADLINE_S, Serving
from websockets.sync.client import ClientConnection, connect

AS_MSGPACK = {"Content-Type": "application/msgpack"}


class Wire:
    """One connection; `read` and `say` speak JSON or MessagePack."""

    def __init__(self, socket: ClientConnection, is_packed: bool) -> None:
        self.socket = socket
        self._is_packed = is_packed

    def frame(self, timeout: float = DEADLINE_S) -> bytes | str:
        """The next frame as it is. Raises TimeoutError."""
        return self.socket.recv(timeout)

    def read(self, timeout: float = DEADLINE_S) -> Any:
        """The next frame's message."""
        frame = self.frame(timeout)
        if self._is_packed and isinstance(frame, bytes):
            return msgpack.unpackb(frame, timestamp=0)
        return json.loads(frame)

    def say(self, **message: Any) -> None:
        """Send one message."""
        self.socket.send(msgpack.packb(message) if self._is_packed else json.dumps(message))


@contextmanager
def data_wire(
    exchange: Serving, *, packed: bool = False, headers: dict[str, str] | None = None
) -> Iterator[Wire]:
    """A connection to the data stream that has said nothing yet."""
    with connect(
        exchange.urls.data_stream,
        additional_headers=(AS_MSGPACK if packed else {}) | (headers or {}),
        proxy=None,
        ping_interval=None,
        max_size=None,
    ) as socket:
        yield Wire(socket, packed)


@contextmanager
def bars_wire(exchange: Serving, *symbols: str, packed: bool = False) -> Iterator[Wire]:
    """A connection that has subscribed to bars, status and corrections."""
    with data_wire(exchange, packed=packed) as wire:
        assert wire.read() == [{"T": "success", "msg": "connected"}]
        wire.say(action="auth", key=exchange.key_id, secret=exchange.secret)
        assert wire.read() == [{"T": "success", "msg": "authenticated"}]
        wanted = list(symbols) or ["*"]
        wire.say(action="subscribe", bars=wanted, updatedBars=wanted, statuses=wanted)
        assert wire.read()[0]["T"] == "subscription"
        yield wire


@contextmanager
def trade_wire(exchange: Serving, *, packed: bool = False) -> Iterator[Wire]:
    """A connection to the trading stream that has said nothing yet."""
    with connect(
        exchange.urls.trade_stream,
        additional_headers=AS_MSGPACK if packed else {},
        proxy=None,
        ping_interval=None,
        max_size=None,
    ) as socket:
        yield Wire(socket, packed)


@contextmanager
def updates_wire(exchange: Serving, *, packed: bool = False) -> Iterator[Wire]:
    """A connection that listens to trade updates."""
    with trade_wire(exchange, packed=packed) as wire:
        wire.say(
            action="authenticate",
            data={"key_id": exchange.key_id, "secret_key": exchange.secret},
        )
        assert wire.read()["data"]["status"] == "authorized"
        wire.say(action="listen", data={"streams": ["trade_updates"]})
        assert wire.read()["stream"] == "listening"
        yield wire
