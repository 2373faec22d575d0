"""The data stream, `/v2/iex` and `/v2/sip`: bars to those who subscribed to them.

MessagePack for clients that ask for it with Content-Type, JSON text for others. Trades, quotes and
the channels that follow them can be subscribed to and stay silent: the exchange has bars only.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import msgpack
from aiohttp import web

from algo_trader.core.types import Bar, Instant, Symbol
from algo_trader.exchange.bar_faults import BarFaults, Frames
from algo_trader.exchange.fault_book import NOBODY, FaultBook, Rule
from algo_trader.exchange.fault_words import DATA_AUTH, DATA_CONNECT, DATA_SUBSCRIBE
from algo_trader.exchange.keys import Keys
from algo_trader.exchange.line import Line, SlowClient
from algo_trader.exchange.stream_faults import line_fault
from algo_trader.exchange.wire import as_text, bar_message, dumps, packed

CHANNELS = (
    "trades", "quotes", "bars", "updatedBars", "dailyBars",
    "statuses", "lulds", "corrections", "cancelErrors",
)  # fmt: skip
FOLLOW_TRADES = ("corrections", "cancelErrors")
CHANNEL_OF = {"b": "bars", "u": "updatedBars", "d": "dailyBars", "s": "statuses"}
MSGPACK = "application/msgpack"
AUTH_WAIT_S = 10.0
BATCH_MOST = 500
ANY = "*"

ERRORS = {
    400: "invalid syntax",
    401: "not authenticated",
    402: "auth failed",
    403: "already authenticated",
    404: "auth timeout",
    405: "symbol limit exceeded",
    406: "connection limit exceeded",
    407: "slow client",
    409: "insufficient subscription",
    410: "invalid subscribe action for this feed",
    500: "internal error",
}


class _Client:
    """A connection and what it has subscribed to."""

    def __init__(self, line: Line, feed: str, is_packed: bool) -> None:
        self.line = line
        self.feed = feed
        self.is_packed = is_packed
        self.is_authorized = False
        self.wants: dict[str, set[str]] = {channel: set() for channel in CHANNELS}

    def control(self, **message: Any) -> None:
        """Send one control message, in an array of its own."""
        self.send([message])

    def error(self, code: int, msg: str | None = None) -> None:
        self.control(T="error", code=code, msg=msg or ERRORS.get(code, "error"))

    def send(self, messages: Sequence[Mapping[str, Any]]) -> None:
        if self.is_packed:
            self.send_packed([packed(message) for message in messages])
        else:
            self.line.send(dumps([as_text(message) for message in messages]))

    def send_packed(self, messages: Sequence[bytes]) -> None:
        header = msgpack.Packer().pack_array_header(len(messages))
        self.line.send(header + b"".join(messages))

    def hears(self, message: Mapping[str, Any]) -> bool:
        """Whether it has subscribed to this message."""
        wanted = self.wants[CHANNEL_OF[message["T"]]]
        return message["S"] in wanted or ANY in wanted

    def subscription(self) -> dict[str, Any]:
        return {"T": "subscription", **{name: sorted(self.wants[name]) for name in CHANNELS}}


class DataStream:
    """All connections to the feeds; at most `connections` to each, 0 for any number."""

    def __init__(
        self,
        keys: Keys,
        faults: FaultBook,
        tell: Callable[..., None],
        now: Callable[[], float],
        *,
        connections: int,
        symbols_most: int = 0,
        auth_wait_s: float = AUTH_WAIT_S,
    ) -> None:
        self._keys = keys
        self._faults = faults
        self._tell = tell
        self._now = now
        self._most = connections
        self._symbols_most = symbols_most
        self._auth_wait_s = auth_wait_s
        self._clients: list[_Client] = []
        self._bar_faults = BarFaults(faults, now)
        self._count = 0
        self.on_subscribed: Callable[[], None] = lambda: None
        """Called when a client has subscribed to bars."""

    @property
    def lines(self) -> list[Line]:
        """The connections there are."""
        return [client.line for client in self._clients]

    @property
    def hidden(self) -> set[tuple[Symbol, Instant]]:
        """Bars that the history must not show either."""
        return self._bar_faults.hidden

    @property
    def subscribers(self) -> int:
        """How many connections get bars."""
        return sum(bool(client.wants["bars"]) for client in self._clients)

    async def serve(self, request: web.Request) -> web.StreamResponse:
        """One connection from upgrade to end."""
        fault = self._faults.first_at(DATA_CONNECT, NOBODY, self._now())
        if fault is not None and fault.do == "refuse_upgrade":
            return web.json_response({"message": "refused"}, status=fault.args["status"])
        self._count += 1
        line = Line(f"data-{self._count}", request, self._tell)
        is_packed = MSGPACK in request.headers.get("Content-Type", "")
        client = _Client(line, request.match_info["feed"], is_packed)
        self._clients.append(client)
        try:
            await line.open()
            if fault is not None and fault.do == "no_welcome":
                line.mute(None)
            elif fault is not None:
                line_fault(fault, line)
            await self._converse(client, request)
        except SlowClient:
            line.reset()
        finally:
            self._clients.remove(client)
            await line.finish()
        return line.response

    async def _converse(self, client: _Client, request: web.Request) -> None:
        client.control(T="success", msg="connected")
        admitted = self._keys.admit(request.headers)
        if admitted is not None:
            self._authenticate(client, admitted)
        loop = asyncio.get_running_loop()
        timeout = loop.call_later(self._auth_wait_s, self._too_late, client)
        try:
            async for frame in client.line.received():
                self._hear(client, frame)
        finally:
            timeout.cancel()

    def _too_late(self, client: _Client) -> None:
        if not client.is_authorized:
            self._refuse(client, 404)

    def _refuse(self, client: _Client, code: int, msg: str | None = None) -> None:
        """Tell the error and close: what Alpaca does with a client it will not serve."""
        self._tell("refused_connection", stream="data", line=client.line.name, code=code)
        client.error(code, msg)
        client.line.close_soon(1000)

    # -- what a client says --

    def _hear(self, client: _Client, frame: bytes | str) -> None:
        message = _read(frame, client.is_packed)
        action = None if message is None else message.get("action")
        if message is None or action not in ("auth", "subscribe", "unsubscribe"):
            self._tell("frame_in", line=client.line.name, action="invalid")
            client.error(400)
        elif action == "auth":
            self._tell("frame_in", line=client.line.name, action="auth", key_id=message.get("key"))
            if client.is_authorized:
                client.error(403)
                return
            self._authenticate(client, self._keys.match(message.get("key"), message.get("secret")))
        else:
            self._change(client, message, is_adding=action == "subscribe")

    def _authenticate(self, client: _Client, is_right: bool) -> None:
        fault = self._faults.first_at(DATA_AUTH, NOBODY, self._now())
        if fault is not None and fault.do == "no_reply":
            return
        if fault is not None:
            self._refuse(client, fault.args["code"], fault.args["msg"])
            return
        if not is_right:
            self._refuse(client, 402)
            return
        others = sum(other.is_authorized and other.feed == client.feed for other in self._clients)
        if self._most and others >= self._most:
            self._refuse(client, 406)
            return
        client.is_authorized = True
        client.control(T="success", msg="authenticated")

    def _change(self, client: _Client, message: Mapping[str, Any], is_adding: bool) -> None:
        """Add to the subscriptions or take from them, and answer with all there are."""
        changes = {name: message[name] for name in CHANNELS if name in message}
        self._tell("frame_in", line=client.line.name, action=message["action"], channels=changes)
        if not client.is_authorized:
            client.error(401)
            return
        if not all(
            isinstance(names, list) and all(isinstance(name, str) for name in names)
            for names in changes.values()
        ):
            client.error(400)
            return
        fault = self._faults.first_at(DATA_SUBSCRIBE, NOBODY, self._now())
        if fault is not None:
            if fault.do == "error":
                client.error(fault.args["code"], fault.args["msg"])
            return
        if "trades" in changes:
            changes |= dict.fromkeys(FOLLOW_TRADES, changes["trades"])
        wants = {
            name: (
                client.wants[name] | set(changes.get(name, ()))
                if is_adding
                else client.wants[name] - set(changes.get(name, ()))
            )
            for name in CHANNELS
        }
        if self._symbols_most and len(set().union(*wants.values())) > self._symbols_most:
            client.error(405)
            return
        client.wants = wants
        client.send([client.subscription()])
        if client.wants["bars"]:
            self.on_subscribed()

    # -- what the market does --

    def publish(self, bars: Sequence[Bar], days: Iterable[Bar] = ()) -> None:
        """Send the bars of a minute, and each symbol's day so far."""
        frames = self._bar_faults.frames(bars)
        if any(client.wants["dailyBars"] for client in self._clients):
            frames.messages += [bar_message("d", bar) for bar in days]
        self._send(frames)

    def publish_corrections(self) -> None:
        """Send the bars that late trades have changed, half a minute after the minute mark."""
        self._send(self._bar_faults.corrections())

    def publish_status(self, message: Mapping[str, Any]) -> None:
        """Send a trading status: a halt or a resumption."""
        self._send(Frames(messages=[dict(message)]))

    def _send(self, frames: Frames) -> None:
        for rule in frames.lines:
            self.misbehave(rule)
        if not frames.messages and not frames.raw:
            return
        encoded: dict[int, bytes] = {}
        for client in self._clients:
            try:
                self._send_to(client, frames, encoded)
            except SlowClient:
                self._tell("slow_client", line=client.line.name)
                client.line.reset()

    def _send_to(self, client: _Client, frames: Frames, encoded: dict[int, bytes]) -> None:
        if client.wants["bars"]:
            for raw in frames.raw:
                client.line.send(raw)
        heard = [message for message in frames.messages if client.hears(message)]
        for begin in range(0, len(heard), BATCH_MOST):
            batch = heard[begin : begin + BATCH_MOST]
            if not client.is_packed:
                client.send(batch)
                continue
            for message in batch:
                if id(message) not in encoded:
                    encoded[id(message)] = packed(message)
            client.send_packed([encoded[id(message)] for message in batch])

    def misbehave(self, rule: Rule) -> None:
        """Let every connection suffer a fault of the line."""
        for client in list(self._clients):
            if rule.do == "error":
                client.error(rule.args["code"], rule.args["msg"])
                client.line.close_soon(1000)
            else:
                line_fault(rule, client.line)

    async def close(self) -> None:
        """Close every connection: the exchange goes."""
        await asyncio.gather(*(line.close(1001, b"going away") for line in self.lines))


def _read(frame: bytes | str, is_packed: bool) -> dict[str, Any] | None:
    try:
        if is_packed and isinstance(frame, bytes):
            message = msgpack.unpackb(frame)
        else:
            message = json.loads(frame)
    except (ValueError, msgpack.UnpackException):
        return None
    return message if isinstance(message, dict) else None
