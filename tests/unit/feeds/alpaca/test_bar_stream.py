"""The data stream over real sockets: its handshake, its ends, and when it is tried again.

Goal: whatever the server does, `run` goes on, the state told is the right one, and the next attempt
comes when it should. Method: a server that follows a script for each connection; waits are noted
and passed over, so that nothing is slept.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from http import HTTPStatus
from statistics import median

import msgpack
import pytest
from feed_kit import (
    DEADLINE_S,
    KEYS,
    SYMBOLS,
    Events,
    Exchange,
    Script,
    States,
    Talk,
    bar,
    exchange,
    stays,
    until,
    wire,
)
from websockets.asyncio.server import ServerConnection, serve
from websockets.http11 import Request, Response

from algo_trader.core.ports import LineState
from algo_trader.core.types import Bar
from algo_trader.feeds.alpaca.messages import Batch
from algo_trader.feeds.alpaca.stream import BarStream

CONNECTING, CONNECTED = LineState.CONNECTING, LineState.CONNECTED
LOST, REFUSED = LineState.LOST, LineState.REFUSED


class Ears:
    """A stream and all that it tells. Its waits between attempts take no time."""

    def __init__(self, url: str, *, ping_s: float = 10.0, answer_s: float = DEADLINE_S) -> None:
        self.batches: list[Batch] = []
        self.states = States()
        self.events = Events()
        self.waits: list[float] = []
        self.now = 0.0
        self.stream = BarStream(
            url, KEYS, SYMBOLS, hear=self.batches.append, tell=self.states, log=self.events,
            clock=lambda: self.now, sleep=self._pass, uniform=random.Random(1).uniform,
            ping_s=ping_s, answer_s=answer_s,
        )  # fmt: skip

    async def _pass(self, seconds: float) -> None:
        self.waits.append(seconds)
        await asyncio.sleep(0)

    @property
    def bars(self) -> list[Bar]:
        """All bars heard."""
        return [each for batch in self.batches for each in batch.bars]


@asynccontextmanager
async def running(ears: Ears) -> AsyncIterator[None]:
    """The stream under way; it may not end by itself."""
    task = asyncio.create_task(ears.stream.run())
    try:
        yield
        assert not task.done(), task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def sends_bars(talk: Talk) -> None:
    """Welcome, two bars and a correction in one frame, then silence."""
    await talk.welcome()
    await talk.send(wire(bar(1)), wire(bar(1, "SPY")), wire(bar(0), "u"))
    await talk.socket.wait_closed()


def test_the_handshake_and_the_first_bars() -> None:
    """Goal: msgpack asked for, keys sent, bars and updatedBars subscribed, halts on their own;
    CONNECTED is told after the subscription's answer.
    """

    async def main() -> tuple[Exchange, Ears]:
        async with exchange(sends_bars) as world:
            ears = Ears(world.url)
            async with running(ears):
                await until(lambda: ears.batches)
            return world, ears

    world, ears = asyncio.run(main())
    (talk,) = world.talks
    assert talk.socket.request is not None
    assert talk.socket.request.headers["Content-Type"] == "application/msgpack"
    assert talk.said == [
        {"action": "auth", "key": "PKTEST", "secret": "canary-secret"},
        {"action": "subscribe", "bars": ["AAPL", "SPY"], "updatedBars": ["AAPL", "SPY"]},
        {"action": "subscribe", "statuses": ["AAPL", "SPY"]},
    ]
    assert ears.batches == [Batch([bar(1), bar(1, "SPY")], [bar(0)], [], [])]
    assert ears.states.names == [CONNECTING, CONNECTED]


def test_the_keys_are_in_no_log(caplog: pytest.LogCaptureFixture) -> None:
    """Goal: the websocket library logs no frame, for one holds the secret. Method: every logger at
    its most talkative, and an error that comes after the keys.
    """
    caplog.set_level(logging.DEBUG)

    async def main() -> Ears:
        async with exchange(error_at("auth", 402, "auth failed")) as world:
            ears = Ears(world.url)
            async with running(ears):
                await until(lambda: len(world.talks) > 1)
            return ears

    ears = asyncio.run(main())
    names = {each.name for each in caplog.records}
    assert "websockets.server" in names
    assert not [name for name in names if "client" in name or "frames" in name]
    assert "canary" not in str(ears.states.seen) + str(ears.events.seen)


def test_cancelling_closes_the_socket() -> None:
    """Goal: the place at the server is free at once. Method: the server sees the close."""

    async def main() -> None:
        async with exchange() as world:
            ears = Ears(world.url)
            async with running(ears):
                await until(lambda: ears.states.names[-1:] == [CONNECTED])
            await until(lambda: world.talks[0].socket.state.name == "CLOSED")

    asyncio.run(main())


def error_at(stage: str, code: int, text: str) -> Script:
    """A server that answers an error at a stage of the handshake, and closes."""

    async def script(talk: Talk) -> None:
        error = {"T": "error", "code": code, "msg": text}
        if stage == "after":
            await talk.welcome()
        elif stage != "welcome":
            await talk.send({"T": "success", "msg": "connected"})
            await talk.hear()
            if stage == "subscribe":
                await talk.send({"T": "success", "msg": "authenticated"})
                await talk.hear()
        await talk.send(error)

    return script


REFUSALS = [
    ("auth", 402, "auth failed", REFUSED, "check the API key", (20.0, 30.0)),
    ("auth", 404, "auth timeout", REFUSED, "too late", (5.0, 10.0)),
    ("welcome", 406, "connection limit exceeded", REFUSED, "another connection", (1.0, 5.0)),
    ("auth", 406, "connection limit exceeded", REFUSED, "end the other program", (1.0, 5.0)),
    ("after", 406, "connection limit exceeded", REFUSED, "another connection", (1.0, 5.0)),
    ("auth", 409, "insufficient subscription", REFUSED, "feed must be iex", (20.0, 30.0)),
    ("subscribe", 409, "insufficient subscription", REFUSED, "data plan", (20.0, 30.0)),
    ("subscribe", 405, "symbol limit exceeded", REFUSED, "shorten the watchlist", (20.0, 30.0)),
    ("subscribe", 410, "invalid subscribe action", REFUSED, "feed", (20.0, 30.0)),
    ("subscribe", 400, "invalid syntax", REFUSED, "subscription", (20.0, 30.0)),
    ("after", 407, "slow client", LOST, "too slow", (0.0, 1.0)),
    ("after", 500, "internal error", LOST, "internal error", (0.0, 0.0)),
]


@pytest.mark.parametrize(
    ("stage", "code", "text", "state", "words", "wait"),
    REFUSALS,
    ids=[f"{code}-{stage}" for stage, code, *_ in REFUSALS],
)
def test_errors_of_the_server(
    stage: str, code: int, text: str, state: LineState, words: str, wait: tuple[float, float]
) -> None:
    """Goal: each code becomes the right state, with cause and remedy, is tried again in its own
    time, and mends by itself. Method: the error twice, then a server that welcomes.
    """

    async def main() -> Ears:
        script = error_at(stage, code, text)
        async with exchange(script, script, stays) as world:
            ears = Ears(world.url)
            async with running(ears):
                await until(lambda: len(world.talks) == 3)
                await until(lambda: ears.states.names[-1:] == [CONNECTED])
            return ears

    ears = asyncio.run(main())
    told = [(name, reason) for name, reason in ears.states.seen if name in (LOST, REFUSED)]
    assert told
    for name, reason in told:
        assert name is state
        assert words in reason
        assert str(code) in reason
    assert wait[0] <= ears.waits[0] <= wait[1]
    if state is REFUSED:
        assert all(wait[0] <= each <= wait[1] for each in ears.waits)
    assert "canary" not in str(ears.states.seen) + str(ears.events.seen)


def test_a_refusal_is_told_once() -> None:
    """Goal: an alert, not a flood: ten refused attempts are one change of state."""

    async def main() -> Ears:
        async with exchange(error_at("auth", 402, "auth failed")) as world:
            ears = Ears(world.url)
            async with running(ears):
                await until(lambda: len(world.talks) > 10)
            return ears

    assert asyncio.run(main()).states.names == [CONNECTING, REFUSED]


@pytest.mark.parametrize("code", [409, 405, 410])
def test_halts_that_are_not_to_be_had_do_not_cost_the_bars(code: int) -> None:
    """Goal: a plan without statuses still gives bars. Method: the error after the subscription of
    halts alone.
    """

    async def script(talk: Talk) -> None:
        await talk.welcome()
        await talk.send({"T": "error", "code": code, "msg": "no"})
        await talk.send(wire(bar(1)))
        await talk.socket.wait_closed()

    async def main() -> Ears:
        async with exchange(script) as world:
            ears = Ears(world.url)
            async with running(ears):
                await until(lambda: ears.bars)
            return ears

    ears = asyncio.run(main())
    assert ears.states.names == [CONNECTING, CONNECTED]
    assert len(ears.events.of("halts_not_subscribed")) == 1


async def no_welcome(talk: Talk) -> None:
    """Silence from the beginning."""
    await talk.socket.wait_closed()


async def no_auth_reply(talk: Talk) -> None:
    """Silence after the welcome."""
    await talk.send({"T": "success", "msg": "connected"})
    await talk.hear()
    await talk.socket.wait_closed()


async def no_subscription_reply(talk: Talk) -> None:
    """Silence after the keys were taken."""
    await talk.send({"T": "success", "msg": "connected"})
    await talk.hear()
    await talk.send({"T": "success", "msg": "authenticated"})
    await talk.hear()
    await talk.socket.wait_closed()


@pytest.mark.parametrize(
    ("script", "words"),
    [(no_welcome, "no welcome"), (no_auth_reply, "no answer to the keys"),
     (no_subscription_reply, "no answer to the subscription")],
)  # fmt: skip
def test_a_server_that_says_nothing(script: Script, words: str) -> None:
    """Goal: no handshake waits for ever: LOST, and tried again. Method: a patience of 50 ms."""

    async def main() -> Ears:
        async with exchange(script, stays) as world:
            ears = Ears(world.url, answer_s=0.05)
            async with running(ears):
                await until(lambda: LOST in ears.states.names)
                await until(lambda: len(world.talks) > 1)
            return ears

    ears = asyncio.run(main())
    assert words in ears.states.seen[1][1]


async def closes_1011(talk: Talk) -> None:
    """Welcome, then an internal error closes."""
    await talk.welcome()
    await talk.socket.close(1011, "internal error")


async def resets(talk: Talk) -> None:
    """Welcome, then the connection breaks."""
    await talk.welcome()
    talk.socket.transport.abort()


async def sends_too_much(talk: Talk) -> None:
    """Welcome, then a frame beyond all measure."""
    await talk.welcome()
    await talk.socket.send(b"\x00" * (17 << 20))
    await talk.socket.wait_closed()


@pytest.mark.parametrize("script", [closes_1011, resets, sends_too_much])
def test_a_connection_that_ends_is_made_again_at_once(script: Script) -> None:
    """Goal: close 1011, a broken connection, a frame too large: LOST, then CONNECTED, first
    without a wait.
    """

    async def main() -> Ears:
        async with exchange(script, stays) as world:
            ears = Ears(world.url)
            async with running(ears):
                await until(lambda: ears.states.names[-2:] == [LOST, CONNECTED])
            return ears

    ears = asyncio.run(main())
    assert ears.states.names == [CONNECTING, CONNECTED, LOST, CONNECTED]
    assert ears.waits == [0.0]
    assert ears.stream.reconnects == 1


def test_no_pongs_mean_a_dead_connection() -> None:
    """Goal: a half-open connection is noticed within two pings. Method: pings every 50 ms, a server
    that stops to read.
    """

    async def deaf(talk: Talk) -> None:
        await talk.welcome()
        talk.socket.transport.pause_reading()
        await talk.socket.wait_closed()

    async def main() -> Ears:
        async with exchange(deaf, stays) as world:
            ears = Ears(world.url, ping_s=0.05)
            loop = asyncio.get_running_loop()
            async with running(ears):
                await until(lambda: CONNECTED in ears.states.names)
                began_at = loop.time()
                await until(lambda: LOST in ears.states.names)
                assert loop.time() - began_at < 5.0
                world.talks[0].socket.transport.abort()
            return ears

    assert "ping" in asyncio.run(main()).states.seen[2][1]


@pytest.mark.parametrize(
    ("status", "state"),
    [(HTTPStatus.TOO_MANY_REQUESTS, LOST), (HTTPStatus.BAD_GATEWAY, LOST),
     (HTTPStatus.UNAUTHORIZED, REFUSED), (HTTPStatus.FORBIDDEN, REFUSED)],
)  # fmt: skip
def test_an_upgrade_that_is_refused(status: HTTPStatus, state: LineState) -> None:
    """Goal: 429 on upgrade backs off, 401 and 403 are refusals."""
    times = 6

    async def main() -> Ears:
        def refuse(connection: ServerConnection, request: Request) -> Response:
            return connection.respond(status, "no\n")

        async def unreached(socket: ServerConnection) -> None:
            raise AssertionError

        async with serve(unreached, "127.0.0.1", 0, process_request=refuse) as server:
            port = next(iter(server.sockets)).getsockname()[1]
            ears = Ears(f"ws://127.0.0.1:{port}/v2/iex")
            async with running(ears):
                await until(lambda: len(ears.waits) >= times)
            return ears

    ears = asyncio.run(main())
    assert ears.states.names == [CONNECTING, state]
    assert str(int(status)) in ears.states.seen[1][1]
    if state is LOST:
        assert ears.waits[0] == 0.0
        assert ears.waits[4] > 2.0


def test_waits_grow_to_half_a_minute_and_are_never_alike() -> None:
    """Goal: at once, then doubling with jitter, 30 s at most: under 60 s whatever the server did.
    Method: nobody listens at the port.
    """

    async def main() -> Sequence[float]:
        async with exchange() as world:
            url = world.url
        ears = Ears(url)
        async with running(ears):
            await until(lambda: len(ears.waits) >= 20)
        return ears.waits[:20]

    waits = asyncio.run(main())
    assert waits[0] == 0.0
    assert 0.5 <= waits[1] <= 1.0
    assert waits[1] < waits[4] < waits[8] <= max(waits) <= 30.0
    assert min(waits[8:]) >= 15.0
    assert len(set(waits)) == len(waits)


def test_a_steady_connection_is_made_again_at_once_and_a_flapping_one_is_not() -> None:
    """Goal: the row of attempts begins anew after ten good seconds, not before."""

    async def main(good_s: float) -> Sequence[float]:
        async def ends(talk: Talk) -> None:
            await talk.welcome()
            ears.now += good_s
            await talk.socket.close(1011)

        async with exchange(ends) as world:
            ears = Ears(world.url)
            async with running(ears):
                await until(lambda: len(ears.waits) >= 4)
            return ears.waits[:4]

    assert asyncio.run(main(11.0)) == [0.0] * 4
    flapping = asyncio.run(main(0.0))
    assert flapping[0] == 0.0
    assert all(each > 0.0 for each in flapping[1:])


def test_reconnect_drops_the_connection_with_its_reason() -> None:
    """Goal: who found the stream mute gets a new connection at once. Method: the second one is
    asked for while the first is up, and once while there is none.
    """

    async def main() -> Ears:
        async with exchange() as world:
            ears = Ears(world.url)
            ears.stream.reconnect("nobody is there yet")
            async with running(ears):
                await until(lambda: ears.states.names[-1:] == [CONNECTED])
                ears.stream.reconnect("the stream is mute")
                await until(lambda: ears.states.names[-2:] == [LOST, CONNECTED])
            return ears

    ears = asyncio.run(main())
    assert ears.states.seen[2] == (LOST, "the stream is mute")
    assert ears.waits == [0.0]


def test_poison_between_bars_over_the_socket() -> None:
    """Goal: a malformed frame and a batch with one poisoned message cost nothing else: the same
    connection goes on, the rest is fed, both are counted and logged.
    """

    async def script(talk: Talk) -> None:
        await talk.welcome()
        await talk.socket.send(b"\xc1\xc1")
        await talk.socket.send("[text]")
        await talk.send(wire(bar(1)), wire(bar(2), o=float("nan")), wire(bar(3)))
        await talk.socket.wait_closed()

    async def main() -> Ears:
        async with exchange(script) as world:
            ears = Ears(world.url)
            async with running(ears):
                await until(lambda: ears.bars)
            return ears

    ears = asyncio.run(main())
    assert ears.bars == [bar(1), bar(3)]
    assert ears.states.names == [CONNECTING, CONNECTED]
    assert ears.stream.bad == {"frame": 2, "message": 1}
    assert len(ears.events.of("market_data_refused")) == 3


def test_a_flood_of_bad_messages_does_not_flood_the_log() -> None:
    """Goal: all are counted, twenty are logged."""

    async def script(talk: Talk) -> None:
        await talk.welcome()
        await talk.send(*[wire(bar(1), o=None)] * 500, wire(bar(2)))
        await talk.socket.wait_closed()

    async def main() -> Ears:
        async with exchange(script) as world:
            ears = Ears(world.url)
            async with running(ears):
                await until(lambda: ears.bars)
            return ears

    ears = asyncio.run(main())
    assert ears.stream.bad == {"message": 500}
    assert len(ears.events.of("market_data_refused")) == 20


def test_symbols_the_server_leaves_out_are_told() -> None:
    """Goal: a symbol without a subscription is a warning that names it."""

    async def script(talk: Talk) -> None:
        await talk.send({"T": "success", "msg": "connected"})
        await talk.hear()
        await talk.send({"T": "success", "msg": "authenticated"})
        await talk.hear()
        await talk.send({"T": "subscription", "bars": ["AAPL"]})
        await talk.socket.wait_closed()

    async def main() -> Ears:
        async with exchange(script) as world:
            ears = Ears(world.url)
            async with running(ears):
                await until(lambda: CONNECTED in ears.states.names)
            return ears

    ears = asyncio.run(main())
    assert ears.events.of("not_subscribed") == [{"level": "warning", "symbols": ["SPY"]}]


def test_frames_in_pieces_and_control_messages_in_one() -> None:
    """Goal: fragments are put together; bars in the frame of an answer are not lost."""

    async def script(talk: Talk) -> None:
        await talk.send({"T": "success", "msg": "connected"})
        await talk.hear()
        await talk.send({"T": "success", "msg": "authenticated"})
        await talk.hear()
        await talk.send({"T": "subscription", "bars": list(SYMBOLS)}, wire(bar(1)))
        frame = msgpack.packb([wire(bar(2)), wire(bar(3))])
        await talk.socket.send([frame[:7], frame[7:50], frame[50:]])
        await talk.socket.wait_closed()

    async def main() -> Ears:
        async with exchange(script) as world:
            ears = Ears(world.url)
            async with running(ears):
                await until(lambda: len(ears.bars) == 3)
            return ears

    assert asyncio.run(main()).bars == [bar(1), bar(2), bar(3)]


def test_what_the_listener_raises_comes_out() -> None:
    """Goal: a full inbox is not taken for a bad connection."""

    class Full(Exception):
        pass

    def hear(batch: Batch) -> None:
        raise Full

    async def main() -> None:
        async with exchange(sends_bars) as world:
            stream = BarStream(world.url, KEYS, SYMBOLS, hear=hear, tell=States(), log=Events())
            with pytest.raises(Full):
                await asyncio.wait_for(stream.run(), DEADLINE_S)

    asyncio.run(main())


def test_a_dropped_socket_is_back_in_far_less_than_five_seconds() -> None:
    """Goal: the median of reconnects after a drop is under 5 s, in real time with real waits.
    Method: twenty-one drops of a steady connection, the clock alone moved on.
    """

    async def main() -> list[float]:
        moved = 0.0
        states = States()
        loop = asyncio.get_running_loop()
        async with exchange() as world:
            stream = BarStream(
                world.url, KEYS, SYMBOLS, hear=lambda batch: None, tell=states, log=Events(),
                clock=lambda: loop.time() + moved,
            )  # fmt: skip
            task = asyncio.create_task(stream.run())
            taken = []
            for number in range(21):
                await until(lambda: states.names.count(CONNECTED) == number + 1)  # noqa: B023 - awaited here
                moved += 60.0
                began_at = loop.time()
                world.talks[-1].socket.transport.abort()
                await until(lambda: states.names.count(CONNECTED) == number + 2)  # noqa: B023 - awaited here
                taken.append(loop.time() - began_at)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        return taken

    assert median(asyncio.run(main())) < 5.0
