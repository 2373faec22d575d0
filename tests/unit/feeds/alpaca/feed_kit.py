"""What surrounds the live feed in its tests: a websocket server that speaks as told, REST that
answers from a table, a clock moved by hand, and an inbox that keeps what it was given.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import date
from decimal import Decimal
from typing import Any

import msgpack
from websockets.asyncio.server import Server, ServerConnection, serve

from algo_trader.core.inputs import Correction, Input, Minute
from algo_trader.core.ports import LineState, TellLine
from algo_trader.core.session import SessionTable
from algo_trader.core.types import Bar, Instant, Session, iso
from algo_trader.feeds.alpaca.history import BarHistory
from algo_trader.feeds.alpaca.market import LiveMarket
from algo_trader.feeds.alpaca.messages import Batch
from algo_trader.feeds.alpaca.ports import Hear

DEADLINE_S = 10.0
# 2024-07-01 (Monday) to 07-08 (Monday): a half day on the 3rd, closed on the 4th.
DAYS = (1, 2, 3, 5, 8)
OPENS = {day: 1_719_840_600 + 86_400 * (day - 1) for day in DAYS}  # 13:30 UTC
SESSION = {
    day: Session(date(2024, 7, day), OPENS[day], OPENS[day] + 60 * (210 if day == 3 else 390))
    for day in DAYS
}
TABLE = SessionTable(list(SESSION.values()))
SYMBOLS = ("AAPL", "SPY")


class Keys:
    """An account's keys."""

    key_id = "PKTEST"
    secret = "canary-secret"


KEYS = Keys()


def bar(minute: int, symbol: str = "AAPL", price: str = "100.5", day: int = 2) -> Bar:
    """A flat bar, so many minutes after the session's open."""
    value = Decimal(price)
    return Bar(symbol, OPENS[day] + 60 * minute, value, value, value, value, 100)


def batch(*bars: Bar, corrected: Sequence[Bar] = ()) -> Batch:
    """What one frame held."""
    return Batch(list(bars), list(corrected), [], [])


def wire(bar: Bar, kind: str = "b", **changes: object) -> dict[str, object]:
    """The bar as the stream sends it."""
    return {
        "T": kind, "S": bar.symbol, "o": float(bar.open), "h": float(bar.high),
        "l": float(bar.low), "c": float(bar.close), "v": bar.volume,
        "t": msgpack.Timestamp(bar.start), "n": 3, "vw": 100.4999,
    } | changes  # fmt: skip


def row(bar: Bar, **changes: object) -> dict[str, object]:
    """The bar as REST sends it."""
    return {
        "t": iso(bar.start), "o": bar.open, "h": bar.high, "l": bar.low, "c": bar.close,
        "v": bar.volume, "n": 3, "vw": bar.close,
    } | changes  # fmt: skip


async def until(is_so: Callable[[], object]) -> None:
    """Wait for it over real sockets, but not for ever."""
    async with asyncio.timeout(DEADLINE_S):
        while not is_so():
            await asyncio.sleep(0.001)


async def settle() -> None:
    """Let every task run until it waits for something."""
    for _ in range(30):
        await asyncio.sleep(0)


class Events:
    """What was logged."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, dict[str, Any]]] = []

    def __call__(self, event: str, /, **fields: object) -> None:
        """Take an event."""
        self.seen.append((event, fields))

    def of(self, event: str) -> list[dict[str, Any]]:
        """The fields it was logged with, each time."""
        return [fields for seen, fields in self.seen if seen == event]


class States:
    """The line's states as they were told."""

    def __init__(self) -> None:
        self.seen: list[tuple[LineState, str]] = []

    def __call__(self, state: LineState, reason: str) -> None:
        """Take a change."""
        self.seen.append((state, reason))

    @property
    def names(self) -> list[LineState]:
        """Without their reasons."""
        return [state for state, _ in self.seen]


class Talk:
    """One connection at the server: what the client said, and a way to answer."""

    def __init__(self, socket: ServerConnection) -> None:
        self.socket = socket
        self.said: list[dict[str, Any]] = []

    async def send(self, *messages: object) -> None:
        """One frame with these messages."""
        await self.socket.send(msgpack.packb(list(messages)))

    async def hear(self) -> dict[str, Any]:
        """The client's next message."""
        found = msgpack.unpackb(await self.socket.recv())
        self.said.append(found)
        return dict(found)

    async def welcome(self) -> None:
        """The whole handshake, everything granted."""
        await self.send({"T": "success", "msg": "connected"})
        await self.hear()
        await self.send({"T": "success", "msg": "authenticated"})
        asked = await self.hear()
        await self.send({"T": "subscription", "bars": asked["bars"]})
        await self.hear()


Script = Callable[[Talk], Awaitable[None]]


async def stays(talk: Talk) -> None:
    """Welcome, then silence until the client goes."""
    await talk.welcome()
    await talk.socket.wait_closed()


class Exchange:
    """A server that follows one script for each connection, the last for all that come after."""

    def __init__(self, scripts: Sequence[Script]) -> None:
        self.scripts = list(scripts)
        self.talks: list[Talk] = []
        self.url = ""

    async def serve(self, socket: ServerConnection) -> None:
        """Follow the next script."""
        talk = Talk(socket)
        self.talks.append(talk)
        script = self.scripts[min(len(self.talks), len(self.scripts)) - 1]
        try:
            await script(talk)
        except OSError:
            return


@asynccontextmanager
async def exchange(*scripts: Script) -> AsyncIterator[Exchange]:
    """A server under way."""
    world = Exchange(scripts or (stays,))

    async def answer(socket: ServerConnection) -> None:
        from websockets.exceptions import ConnectionClosed

        try:
            await world.serve(socket)
        except ConnectionClosed:
            return

    server: Server
    async with serve(answer, "127.0.0.1", 0, close_timeout=0.2) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        world.url = f"ws://127.0.0.1:{port}/v2/iex"
        yield world


class Rest:
    """The data host: answers from those of `bars` that are over, in pages of `page_rows`.

    It raises `failures` first, one at each question.
    """

    def __init__(
        self,
        bars: Sequence[Bar] = (),
        page_rows: int = 10_000,
        now: Callable[[], Instant] = lambda: 1 << 40,
    ) -> None:
        self.bars = list(bars)
        self.now = now
        self.page_rows = page_rows
        self.failures: list[Exception] = []
        self.asked: list[tuple[str, Mapping[str, str]]] = []
        self.gate: asyncio.Event | None = None

    async def __call__(self, path: str, params: Mapping[str, str]) -> Any:
        """One page."""
        self.asked.append((path, params))
        if self.gate is not None:
            await self.gate.wait()
        if self.failures:
            raise self.failures.pop(0)
        symbols = params["symbols"].split(",")
        over = self.now() - 60
        known = [each for each in self.bars if each.symbol in symbols and each.start <= over]
        if path.endswith("/latest"):
            known.sort(key=lambda each: each.start)
            return {"bars": {each.symbol: row(each) for each in known}}
        known = [each for each in known if params["start"] <= iso(each.start) <= params["end"]]
        known.sort(key=lambda each: (each.symbol, each.start))
        begin = int(params.get("page_token", "0"))
        page = known[begin : begin + self.page_rows]
        rows: dict[str, list[dict[str, object]]] = {}
        for each in page:
            rows.setdefault(each.symbol, []).append(row(each))
        is_last = begin + self.page_rows >= len(known)
        token = None if is_last else str(begin + self.page_rows)
        return {"bars": rows or None, "next_page_token": token}

    def ranges(self) -> list[tuple[str, str, str]]:
        """Symbols, start and end of each first page that was asked for."""
        return [
            (params["symbols"], params["start"], params["end"])
            for path, params in self.asked
            if not path.endswith("/latest") and "page_token" not in params
        ]


class Time:
    """Market time and real time, moved by hand; sleepers wake when it has come so far."""

    def __init__(self, now: float) -> None:
        self.at = now
        self._sleepers: list[tuple[float, asyncio.Future[None]]] = []

    def now(self) -> Instant:
        """Whole seconds."""
        return int(self.at)

    def precise(self) -> float:
        """With its fraction."""
        return self.at

    async def sleep(self, seconds: float) -> None:
        """Until time was moved so far."""
        woken = asyncio.get_running_loop().create_future()
        self._sleepers.append((self.at + seconds, woken))
        await woken

    async def move(self, seconds: float) -> None:
        """Let time pass second by second, and everybody do what is due."""
        end = self.at + seconds
        while self.at < end:
            self.at = min(self.at + 1.0, end)
            await self._wake()

    async def jump(self, to: float) -> None:
        """Be there at once."""
        self.at = to
        await self._wake()

    async def _wake(self) -> None:
        due = [woken for until, woken in self._sleepers if until <= self.at]
        self._sleepers = [each for each in self._sleepers if each[0] > self.at]
        for woken in due:
            if not woken.done():
                woken.set_result(None)
        await settle()


class Source:
    """A stream whose connection the test makes and breaks."""

    def __init__(self, hear: Hear, tell: TellLine) -> None:
        self.hear = hear
        self.tell = tell
        self.dropped: list[str] = []
        self.bad: dict[str, int] = {}

    async def run(self) -> None:
        """Go on for ever."""
        await asyncio.get_running_loop().create_future()

    def reconnect(self, reason: str) -> None:
        """As the stream does: lost, and there again."""
        self.dropped.append(reason)
        self.tell(LineState.LOST, reason)
        self.tell(LineState.CONNECTED, "")


class Box:
    """An inbox that keeps what it was given."""

    def __init__(self) -> None:
        self.items: list[Input] = []
        self.failure: Exception | None = None

    def put(self, item: Input) -> None:
        """Take it, or fail as told."""
        if self.failure is not None:
            raise self.failure
        self.items.append(item)

    async def settled(self) -> None:
        """Not waited for."""

    def of(self, kind: type[Any]) -> list[Any]:
        """The inputs of that kind."""
        return [item for item in self.items if isinstance(item, kind)]

    @property
    def fed(self) -> list[Bar]:
        """The bars of all minutes, as they came."""
        return [each for minute in self.of(Minute) for each in minute.bars]

    @property
    def corrected(self) -> list[Bar]:
        """The bars of all corrections."""
        return [each.bar for each in self.of(Correction)]


class World:
    """A live market with all that surrounds it."""

    def __init__(
        self, now: float, *bars: Bar, symbols: Sequence[str] = SYMBOLS, interval: int = 2
    ) -> None:
        self.time = Time(now)
        self.rest = Rest(bars, now=self.time.now)
        self.events = Events()
        self.states = States()
        self.fresh: list[tuple[bool, str]] = []
        self.box = Box()
        self.source: Source
        history = BarHistory(self.rest, TABLE, feed="iex", log=self.events, sleep=self.time.sleep)

        def open_stream(*, hear: Hear, tell: TellLine) -> Source:
            self.source = Source(hear, tell)
            return self.source

        self.market = LiveMarket(
            clock=self.time,
            sessions=TABLE,
            symbols=symbols,
            interval_minutes=interval,
            needed_candles=3,
            open_stream=open_stream,
            history=history,
            log=self.events,
            tell=self.states,
            tell_fresh=lambda is_fresh, reason: self.fresh.append((is_fresh, reason)),
            real_clock=self.time.precise,
            sleep=self.time.sleep,
        )

    @asynccontextmanager
    async def running(self, *, is_connected: bool = True) -> AsyncIterator[World]:
        """The market under way, connected if not said otherwise."""
        task = asyncio.create_task(self.market.run(self.box))
        await settle()
        if is_connected:
            self.source.tell(LineState.CONNECTED, "")
            await settle()
        try:
            yield self
            assert not task.done(), task
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
