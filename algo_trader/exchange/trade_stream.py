"""The trading stream, `/stream`: authenticate, listen, and every trade update as it happens.

Frames are binary and hold JSON, as the paper environment sends them; MessagePack for clients that
ask for it with Content-Type. What happened while a client was away is never sent again.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from typing import Any

import msgpack
from aiohttp import web

from algo_trader.exchange.fault_book import NOBODY, FaultBook, Rule, subject_of
from algo_trader.exchange.fault_words import TRADE_AUTH, TRADE_CONNECT, TRADE_EVENT
from algo_trader.exchange.keys import Keys
from algo_trader.exchange.line import Line, SlowClient
from algo_trader.exchange.stream_faults import damaged, line_fault
from algo_trader.exchange.wire import dumps

UPDATES = "trade_updates"
MSGPACK = "application/msgpack"
TOO_MANY = {"code": 42910000, "message": "too many connections"}


class _Client:
    """A connection, whether it may listen, and whether it does."""

    def __init__(self, line: Line, is_packed: bool) -> None:
        self.line = line
        self.is_packed = is_packed
        self.is_authorized = False
        self.listens = False

    def send(self, frame: Mapping[str, Any]) -> None:
        self.send_raw(msgpack.packb(frame) if self.is_packed else dumps(frame).encode())

    def send_raw(self, frame: bytes) -> None:
        self.line.send(frame)


class TradeStream:
    """All connections to `/stream`. At most `connections` at a time, 0 for any number."""

    def __init__(
        self,
        keys: Keys,
        faults: FaultBook,
        tell: Callable[..., None],
        now: Callable[[], float],
        connections: int,
    ) -> None:
        self._keys = keys
        self._faults = faults
        self._tell = tell
        self._now = now
        self._most = connections
        self._clients: list[_Client] = []
        self._held: list[dict[str, Any]] = []
        self._count = 0

    @property
    def lines(self) -> list[Line]:
        """The connections there are."""
        return [client.line for client in self._clients]

    @property
    def listening(self) -> int:
        """How many of them are told of updates."""
        return sum(client.listens for client in self._clients)

    async def serve(self, request: web.Request) -> web.StreamResponse:
        """One connection from upgrade to end."""
        fault = self._faults.first_at(TRADE_CONNECT, NOBODY, self._now())
        if fault is not None and fault.do == "refuse_upgrade":
            return web.json_response({"message": "refused"}, status=fault.args["status"])
        if self._most and len(self._clients) >= self._most:
            self._tell("refused_connection", stream="trade", status=429)
            return web.json_response(TOO_MANY, status=429)
        self._count += 1
        line = Line(f"trade-{self._count}", request, self._tell)
        client = _Client(line, MSGPACK in request.headers.get("Content-Type", ""))
        self._clients.append(client)
        try:
            await line.open()
            is_silent = fault is not None and fault.do == "no_welcome"
            if fault is not None and not is_silent:
                line_fault(fault, line)
            async for frame in line.received():
                if not is_silent:
                    self._hear(client, frame)
        except SlowClient:
            line.reset()
        finally:
            self._clients.remove(client)
            await line.finish()
        return line.response

    # -- what a client says --

    def _hear(self, client: _Client, frame: bytes | str) -> None:
        message = _read(frame, client.is_packed)
        if message is None:
            client.send({"action": "error", "data": {"error_message": "invalid message"}})
            return
        action = message.get("action")
        if action in ("authenticate", "auth"):
            self._authenticate(client, message)
        elif action == "listen":
            self._listen(client, message)
        else:
            self._tell("frame_in", line=client.line.name, action=str(action))
            client.send({"action": "error", "data": {"error_message": "unknown action"}})

    def _authenticate(self, client: _Client, message: Mapping[str, Any]) -> None:
        given = message.get("data")
        data: Mapping[str, Any] = given if isinstance(given, dict) else message
        key_id = data.get("key_id", data.get("key"))
        secret = data.get("secret_key", data.get("secret"))
        self._tell("frame_in", line=client.line.name, action="authenticate", key_id=key_id)
        fault = self._faults.first_at(TRADE_AUTH, NOBODY, self._now())
        if fault is not None and fault.do == "no_reply":
            return
        is_right = self._keys.match(key_id, secret)
        client.is_authorized = is_right and (fault is None or fault.do != "unauthorized")
        self._authorization(client, "authenticate")

    def _authorization(self, client: _Client, action: str) -> None:
        status = "authorized" if client.is_authorized else "unauthorized"
        self._tell("frame_out", line=client.line.name, status=status, action=action)
        client.send({"stream": "authorization", "data": {"status": status, "action": action}})

    def _listen(self, client: _Client, message: Mapping[str, Any]) -> None:
        data = message.get("data")
        wanted = data.get("streams") if isinstance(data, dict) else None
        streams = [UPDATES] if isinstance(wanted, list) and UPDATES in wanted else []
        self._tell("frame_in", line=client.line.name, action="listen", streams=wanted)
        if not client.is_authorized:
            self._authorization(client, "listen")
            return
        client.listens = bool(streams)
        client.send({"stream": "listening", "data": {"streams": streams}})

    # -- what the desk says --

    def publish(self, data: dict[str, Any]) -> None:
        """Send one trade update to everyone who listens."""
        subject = subject_of(data["order"], data["event"])
        messages: list[Mapping[str, Any] | bytes] = [{"stream": UPDATES, "data": data}]
        lines: list[Rule] = []
        for rule in self._faults.all_at(TRADE_EVENT, subject, self._now()):
            match rule.do:
                case "drop_event":
                    messages = []
                case "duplicate":
                    messages *= 1 + int(rule.args["copies"])
                case "reorder":
                    self._held.append(data)
                    messages = []
                case "delay":
                    self._later(rule.args["for_s"], messages)
                    messages = []
                case "mute" | "no_pongs" | "close" | "reset":
                    lines.append(rule)
                case _:
                    messages = [damaged(rule, message) for message in messages]
        for rule in lines:  # The line goes before the event does, or the event would not be lost.
            self.misbehave(rule)
        if messages:
            messages += [{"stream": UPDATES, "data": held} for held in self._held]
            self._held.clear()
        self._send(messages)

    def _later(self, seconds: float, messages: list[Mapping[str, Any] | bytes]) -> None:
        loop = asyncio.get_running_loop()
        loop.call_later(seconds, self._send, messages)

    def _send(self, messages: list[Mapping[str, Any] | bytes]) -> None:
        for client in [client for client in self._clients if client.listens]:
            for message in messages:
                try:
                    if isinstance(message, bytes):
                        client.send_raw(message)
                    else:
                        client.send(message)
                except SlowClient:
                    client.line.reset()

    def misbehave(self, rule: Rule) -> None:
        """Let every connection suffer a fault of the line."""
        for line in self.lines:
            line_fault(rule, line)

    async def close(self) -> None:
        """Close every connection: the exchange goes."""
        await asyncio.gather(*(line.close(1001, b"going away") for line in self.lines))


def _read(frame: bytes | str, is_packed: bool) -> dict[str, Any] | None:
    try:
        if is_packed and isinstance(frame, bytes) and not frame.startswith(b"{"):
            message = msgpack.unpackb(frame)
        else:
            message = json.loads(frame)
    except (ValueError, msgpack.UnpackException):
        return None
    return message if isinstance(message, dict) else None
