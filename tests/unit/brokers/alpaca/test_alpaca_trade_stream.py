"""The trade stream, over real sockets: what is heard, what is passed over, how it comes back."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from decimal import Decimal
from http import HTTPStatus
from typing import Any

import pytest
from rest_kit import KEY, NOW, SECRET, Naps, closed_port, order_json, request
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

from algo_trader.brokers.alpaca.keys import Keys
from algo_trader.brokers.alpaca.trade_stream import MUTE, TradeStream
from algo_trader.brokers.alpaca.trade_update import TradeUpdate
from algo_trader.core.broker import Execution
from algo_trader.core.ports import LineState

WAIT_S = 10.0
AUTHORIZED = {
    "stream": "authorization",
    "data": {"status": "authorized", "action": "authenticate"},
}
UNAUTHORIZED = {
    "stream": "authorization",
    "data": {"status": "unauthorized", "action": "authenticate"},
}
LISTENING = {"stream": "listening", "data": {"streams": ["trade_updates"]}}

Play = Callable[[ServerConnection], Awaitable[None]]


def event(word: str, **changes: Any) -> dict[str, Any]:
    """A frame of the stream."""
    data = {
        "event": word,
        "timestamp": "2024-01-02T14:30:14.199Z",
        "order": order_json(request(), filled_qty=changes.pop("filled_qty", "0")),
    }
    return {"stream": "trade_updates", "data": data | changes}


def fill(cum: str, qty: str, price: str) -> dict[str, Any]:
    """An execution's frame."""
    return event(
        "partial_fill", filled_qty=cum, qty=qty, price=price, execution_id=f"x-{cum}"
    )


class Stage:
    """A stream server whose connections play one scene after the other, and a stream at it."""

    def __init__(self, *scenes: Play, **more: Any) -> None:
        self.scenes = list(scenes)
        self.more = more
        self.got: list[Any] = []
        self.heard: list[TradeUpdate] = []
        self.told: list[tuple[LineState, str]] = []
        self.naps = Naps()
        self.hear: Callable[[TradeUpdate], None] = self.heard.append
        self.statuses: list[int] = []
        self.stream: TradeStream

    def process_request(self, line: ServerConnection, asked: Request) -> Response | None:
        """Refuse the upgrade while there is a status to refuse it with."""
        if not self.statuses:
            return None
        status = self.statuses.pop(0)
        return line.respond(HTTPStatus(status), "no\n")

    async def answer(self, line: ServerConnection) -> None:
        """Play the next scene; the last one repeats."""
        scene = self.scenes.pop(0) if len(self.scenes) > 1 else self.scenes[0]
        with suppress(ConnectionClosed):
            await scene(line)

    async def enter(self, line: ServerConnection) -> None:
        """The handshake as it should be."""
        self.got.append(json.loads(await line.recv()))
        await line.send(json.dumps(AUTHORIZED).encode())
        self.got.append(json.loads(await line.recv()))
        await line.send(json.dumps(LISTENING).encode())

    def sending(self, *frames: Any, then: Play | None = None) -> Play:
        """A scene: the handshake, some frames, then wait for the end."""

        async def scene(line: ServerConnection) -> None:
            await self.enter(line)
            for frame in frames:
                await line.send(frame if isinstance(frame, bytes | str) else json.dumps(frame))
            await (then or ServerConnection.wait_closed)(line)

        return scene

    async def until(self, is_so: Callable[[], object]) -> None:
        """Wait until it is so."""
        async with asyncio.timeout(WAIT_S):
            while not is_so():
                await asyncio.sleep(0.005)

    def states(self) -> list[LineState]:
        """The states that were told."""
        return [state for state, _ in self.told]

    @asynccontextmanager
    async def up(self) -> AsyncIterator[Stage]:
        """Server and stream run."""
        async with serve(
            self.answer,
            "127.0.0.1",
            0,
            process_request=self.process_request,
            close_timeout=0.2,
        ) as server:
            port = next(iter(server.sockets)).getsockname()[1]
            async with self.streaming(f"ws://127.0.0.1:{port}/stream"):
                yield self

    @asynccontextmanager
    async def streaming(self, url: str) -> AsyncIterator[Stage]:
        """A stream at a URL."""
        self.stream = TradeStream(
            url,
            Keys(KEY, SECRET),
            lambda update: self.hear(update),
            lambda state, why: self.told.append((state, why)),
            sleep=self.naps,
            chance=lambda: 0.5,
            **self.more,
        )
        task = asyncio.create_task(self.stream.run())
        try:
            yield self
        finally:
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task


def run(work: Coroutine[Any, Any, None]) -> None:
    """Run a test on an event loop of its own."""
    asyncio.run(work)


def test_what_is_heard() -> None:
    """Goal: the handshake is Alpaca's, events come in their order with exact executions.

    Method: binary and text frames, one event that is unknown.
    """

    async def work() -> None:
        stage = Stage()
        stage.scenes = [
            stage.sending(
                event("new"),
                json.dumps(fill("4", "4", "9.5001")).encode(),
                json.dumps(fill("10", "6", "9.45")),
                event("levitated", order=order_json(request(), replaced_by="b-2")),
            )
        ]
        async with stage.up():
            await stage.until(lambda: len(stage.heard) == 4)
        assert stage.got == [
            {"action": "authenticate", "data": {"key_id": KEY, "secret_key": SECRET}},
            {"action": "listen", "data": {"streams": ["trade_updates"]}},
        ]
        assert [update.event for update in stage.heard] == [
            "new",
            "partial_fill",
            "partial_fill",
            "levitated",
        ]
        assert stage.heard[1].execution == Execution(
            NOW + 14, Decimal(4), Decimal("9.5001"), Decimal(4), Decimal(0), "x-4"
        )
        assert stage.heard[1].order_id == request().order_id
        assert (stage.heard[1].broker_id, stage.heard[3].execution) == ("b-1", None)
        assert stage.states() == [LineState.CONNECTING, LineState.CONNECTED]
        assert stage.stream.oddities == 0

    run(work())


@pytest.mark.parametrize(
    "odd",
    [
        "no json",
        b"\xff\xfe\x00",
        "[]x",
        "7",
        "[" * 50_000,
        {"stream": "trade_updates"},
        {"stream": "trade_updates", "data": {"event": "fill"}},
        {"stream": "trade_updates", "data": {"event": 7, "order": {"id": "b"}}},
        {"stream": "weather", "data": {}},
        {"stream": "trade_updates", "data": {"event": "new", "order": {"id": 1}}},
    ],
)
def test_an_odd_frame_is_passed_over(odd: Any) -> None:
    """Goal: whatever a frame holds, those after it are heard, and it is counted."""

    async def work() -> None:
        stage = Stage()
        stage.scenes = [stage.sending(odd, event("new"))]
        async with stage.up():
            await stage.until(lambda: stage.heard)
        assert [update.event for update in stage.heard] == ["new"]
        assert stage.stream.oddities == 1
        assert LineState.LOST not in stage.states()

    run(work())


@pytest.mark.parametrize(
    "change",
    [
        {"qty": None},
        {"qty": "0"},
        {"qty": "-1"},
        {"price": "NaN"},
        {"price": "0"},
        {"filled_qty": "1"},
        {"timestamp": None},
    ],
)
def test_a_fill_that_cannot_be_is_an_event_without_execution(change: dict[str, Any]) -> None:
    """Goal: an execution that contradicts itself is not told, the event that wakes us is."""

    async def work() -> None:
        stage = Stage()
        terms = {"filled_qty": "4", "qty": "4", "price": "9.5"} | change
        stage.scenes = [stage.sending(event("fill", **terms))]
        async with stage.up():
            await stage.until(lambda: stage.heard)
        assert stage.heard[0].event == "fill"
        assert stage.heard[0].execution is None

    run(work())


def test_a_hearers_mistake_costs_one_event() -> None:
    """Goal: an error of whoever listens does not end the stream. Method: the first event raises;
    several events in one frame; a frame of two megabytes.
    """

    async def work() -> None:
        stage = Stage()
        large = event("large") | {"padding": "x" * 2**21}
        stage.scenes = [stage.sending([event("a"), event("b")], large)]

        def hear(update: TradeUpdate) -> None:
            stage.heard.append(update)
            if update.event == "a":
                raise ValueError("a mistake")

        stage.hear = hear
        async with stage.up():
            await stage.until(lambda: len(stage.heard) == 3)
        assert [update.event for update in stage.heard] == ["a", "b", "large"]
        assert stage.stream.oddities == 1

    run(work())


async def close_1011(line: ServerConnection) -> None:
    """The server ends the connection with an error."""
    await line.close(1011, "internal error")


async def reset(line: ServerConnection) -> None:
    """The connection is reset."""
    line.transport.abort()


async def say_and_close(line: ServerConnection) -> None:
    """The server says why before it goes."""
    word = {"action": "error", "data": {"error_message": "internal server error"}}
    await line.send(json.dumps(word))
    await line.close()


@pytest.mark.parametrize(
    ("end", "word"),
    [(close_1011, "1011"), (reset, "broke off"), (say_and_close, "internal server error")],
)
def test_a_lost_connection_is_made_again_at_once(end: Play, word: str) -> None:
    """Goal: after a loss it is told why, the next try comes within half a second, and with it
    everything is as before. Method: the first connection ends after an event.
    """

    async def work() -> None:
        stage = Stage()
        stage.scenes = [stage.sending(event("new"), then=end), stage.sending(event("fill"))]
        async with stage.up():
            await stage.until(lambda: len(stage.heard) == 2)
        assert stage.states() == [
            LineState.CONNECTING,
            LineState.CONNECTED,
            LineState.LOST,
            LineState.CONNECTED,
        ]
        assert word in stage.told[2][1]
        assert stage.naps.taken == [0.25]

    run(work())


def test_tries_become_rarer_and_a_steady_connection_resets_that() -> None:
    """Goal: failures in a row wait 0.25, 1.5, 3, 6, 12, 22.5 and 22.5 seconds, half of each by
    chance; a state with the same reason is told once. Method: a port at which nobody listens.
    """

    async def work() -> None:
        stage = Stage()
        async with stage.streaming(f"ws://127.0.0.1:{closed_port()}/stream"):
            await stage.until(lambda: len(stage.naps.taken) >= 7)
        assert stage.naps.taken[:7] == [0.25, 1.5, 3.0, 6.0, 12.0, 22.5, 22.5]
        assert stage.states() == [LineState.CONNECTING, LineState.LOST]
        assert "Connection refused" in stage.told[1][1]

    run(work())


def test_a_connection_that_lived_is_tried_for_at_once() -> None:
    """Goal: only connections that die young make the tries rarer. Method: a clock by which each
    connection lives a minute.
    """

    async def work() -> None:
        now = iter(range(0, 10_000, 60))
        stage = Stage(clock=lambda: float(next(now)))
        stage.scenes = [stage.sending(then=reset)]
        async with stage.up():
            await stage.until(lambda: len(stage.naps.taken) >= 4)
        assert stage.naps.taken[:4] == [0.25] * 4

    run(work())


async def refuse(line: ServerConnection) -> None:
    """The keys are wrong."""
    await line.recv()
    await line.send(json.dumps(UNAUTHORIZED))
    await line.wait_closed()


async def give_nothing(line: ServerConnection) -> None:
    """Authorized, but not for the channel."""
    await line.recv()
    await line.send(json.dumps(AUTHORIZED))
    await line.recv()
    await line.send(json.dumps({"stream": "listening", "data": {"streams": []}}))
    await line.wait_closed()


@pytest.mark.parametrize(
    ("scene", "statuses", "word"),
    [
        (refuse, [], "ALGO_BROKER_API_KEY"),
        (give_nothing, [], "trade_updates"),
        (None, [401], "ALGO_BROKER_API_KEY"),
        (None, [403], "ALGO_BROKER_API_KEY"),
        (None, [429], "another program"),
        (None, [406], "another program"),
    ],
)
def test_a_refusal_is_a_state(scene: Play | None, statuses: list[int], word: str) -> None:
    """Goal: keys or a slot that the broker will not give are told with the remedy, tried again no
    sooner than five seconds later, and forgotten once it lets us in.
    """

    async def work() -> None:
        stage = Stage()
        good = stage.sending(event("new"))
        stage.scenes = [good] if scene is None else [scene, good]
        stage.statuses = list(statuses)
        async with stage.up():
            await stage.until(lambda: stage.heard)
        assert stage.states() == [LineState.CONNECTING, LineState.REFUSED, LineState.CONNECTED]
        assert word in stage.told[1][1]
        assert stage.naps.taken == [5.0]

    run(work())


def test_keys_that_are_revoked_later() -> None:
    """Goal: an "unauthorized" on a connection that worked ends it as refused."""

    async def work() -> None:
        stage = Stage()
        stage.scenes = [stage.sending(UNAUTHORIZED), stage.sending(event("new"))]
        async with stage.up():
            await stage.until(lambda: stage.heard)
        assert LineState.REFUSED in stage.states()

    run(work())


async def mute(line: ServerConnection) -> None:
    """Say nothing at all."""
    await line.wait_closed()


async def half_a_welcome(line: ServerConnection) -> None:
    """Authorize and then say nothing."""
    await line.recv()
    await line.send(json.dumps(AUTHORIZED))
    await line.wait_closed()


@pytest.mark.parametrize("scene", [mute, half_a_welcome])
def test_a_mute_server_is_left(scene: Play) -> None:
    """Goal: without a word on the keys or the channel the connection is given up."""

    async def work() -> None:
        stage = Stage(handshake_s=0.2)
        stage.scenes = [scene, stage.sending(event("new"))]
        async with stage.up():
            await stage.until(lambda: stage.heard)
        assert stage.states()[1] is LineState.LOST
        assert "no answer" in stage.told[1][1]

    run(work())


def test_a_half_open_connection_is_noticed() -> None:
    """Goal: a peer that answers no ping is left within two intervals.

    Method: the server stops reading the first connection.
    """

    async def work() -> None:
        stage = Stage(ping_s=0.2)

        async def deaf(line: ServerConnection) -> None:
            line.transport.pause_reading()
            await line.wait_closed()

        stage.scenes = [stage.sending(event("new"), then=deaf), stage.sending(event("fill"))]
        async with stage.up():
            await stage.until(lambda: len(stage.heard) == 2)
        assert "ping" in stage.told[2][1]

    run(work())


def test_a_stream_that_tells_nothing_is_left() -> None:
    """Goal: a connection that answers pings and keeps fills to itself is given up and made anew.

    Method: the broker's books are said to know more than the first connection tells.
    """

    async def work() -> None:
        asked: list[float] = []

        def is_mute(connected_at: float) -> bool:
            asked.append(connected_at)
            return len(asked) == 3

        stage = Stage(is_mute=is_mute, look_s=0.05)
        stage.scenes = [stage.sending(), stage.sending(event("new"))]
        async with stage.up():
            await stage.until(lambda: stage.heard)
        assert len(set(asked[:3])) == 1
        assert stage.told[2] == (LineState.LOST, MUTE)

    run(work())


def test_a_redirect_is_not_followed() -> None:
    """Goal: keys are not taken to where a server points. Method: a redirect to a second server."""

    async def work() -> None:
        stage, other = Stage(), Stage()
        other.scenes = [other.sending(event("new"))]
        async with serve(other.answer, "127.0.0.1", 0) as second:
            port = next(iter(second.sockets)).getsockname()[1]

            def redirect(line: ServerConnection, asked: Request) -> Response:
                response = line.respond(HTTPStatus.FOUND, "")
                response.headers["Location"] = f"ws://127.0.0.1:{port}/stream"
                return response

            async with serve(stage.answer, "127.0.0.1", 0, process_request=redirect) as first:
                url = f"ws://127.0.0.1:{next(iter(first.sockets)).getsockname()[1]}/stream"
                async with stage.streaming(url):
                    await stage.until(lambda: len(stage.naps.taken) > 1)
        assert other.got == []
        assert "HTTP 302" in stage.told[1][1]

    run(work())


def test_the_socket_is_closed_at_the_end() -> None:
    """Goal: who cancels the stream leaves no connection behind."""

    async def work() -> None:
        ended = asyncio.Event()

        async def watch(line: ServerConnection) -> None:
            await line.wait_closed()
            ended.set()

        stage = Stage()
        stage.scenes = [stage.sending(then=watch)]
        async with stage.up():
            await stage.until(lambda: LineState.CONNECTED in stage.states())
        async with asyncio.timeout(WAIT_S):
            await ended.wait()

    run(work())


def test_the_stream_tells_no_secret(caplog: pytest.LogCaptureFixture) -> None:
    """Goal: neither a log line at the lowest level nor a reason has the key or the secret in it."""
    caplog.set_level(logging.DEBUG)
    logging.getLogger("websockets.server").setLevel(logging.CRITICAL)

    async def work() -> None:
        stage = Stage()
        stage.scenes = [refuse, stage.sending(event("new"), then=reset), stage.sending(event("x"))]
        async with stage.up():
            await stage.until(lambda: len(stage.heard) == 2)
        said = f"{stage.told} {stage.stream!r} {caplog.text}"
        assert SECRET not in said
        assert KEY not in said

    try:
        run(work())
    finally:
        logging.getLogger("websockets.server").setLevel(logging.NOTSET)


def test_a_host_that_does_not_exist() -> None:
    """Goal: a name that cannot be resolved is a lost connection, tried for again."""

    async def work() -> None:
        stage = Stage()
        async with stage.streaming("ws://no.such.host.invalid/stream"):
            await stage.until(lambda: stage.naps.taken)
        assert stage.states() == [LineState.CONNECTING, LineState.LOST]

    run(work())
