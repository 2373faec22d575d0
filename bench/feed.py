"""The live feed: from frames of the data stream to candles, and many symbols in one second.

    uv run python bench/feed.py [--quick]

A server in a process of its own sends MessagePack frames as fast as they are taken, over a socket
of this machine; this process turns them into bars, puts them in order and builds candles, on one
core. The baseline of the same run takes the same frames from the same kind of socket and only
decodes them: what is above it is ours.
"""

from __future__ import annotations

import argparse
import asyncio
import multiprocessing
import os
import platform
import time
from collections.abc import Mapping, Sequence
from datetime import date
from decimal import Decimal
from functools import partial
from multiprocessing.connection import Connection
from statistics import median
from typing import Any

import msgpack
from measure import Row, judge, table
from websockets.asyncio.client import connect
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from algo_trader.core.candles import CandleBuilder
from algo_trader.core.inputs import Input, Minute
from algo_trader.core.ports import TellLine
from algo_trader.core.session import SessionTable
from algo_trader.core.types import Instant, Session
from algo_trader.feeds.alpaca.history import BarHistory
from algo_trader.feeds.alpaca.market import LiveMarket
from algo_trader.feeds.alpaca.messages import Batch
from algo_trader.feeds.alpaca.ports import Hear
from algo_trader.feeds.alpaca.stream import BarStream

OPENS_AT = 1_719_927_000  # 2024-07-02 13:30 UTC
SESSION = Session(date(2024, 7, 2), OPENS_AT, OPENS_AT + 390 * 60)
SYMBOLS = 300
MINUTES = 390
PER_FRAME = 300
BARS_TARGET = 100_000
MANY = 3_000
MANY_TARGET_S = 1.0


class Keys:
    """Keys of nobody."""

    key_id = "bench"
    secret = "bench"


def names(count: int) -> list[str]:
    """So many symbols."""
    return [f"S{number:04d}" for number in range(count)]


def frames(symbols: int, minutes: int) -> list[bytes]:
    """A walk in cents of each symbol, minute by minute, as the stream sends it."""
    messages: list[dict[str, Any]] = []
    cents = [2_000 + 137 * number for number in range(symbols)]
    state = 12345
    for minute in range(minutes):
        stamp = msgpack.Timestamp(OPENS_AT + 60 * minute)
        for number, name in enumerate(names(symbols)):
            state = (state * 1_103_515_245 + 12_345) % (1 << 31)
            open_ = cents[number]
            close = max(100, open_ + (state >> 8) % 21 - 10)
            cents[number] = close
            messages.append(
                {
                    "T": "b", "S": name, "o": open_ / 100, "h": (max(open_, close) + 3) / 100,
                    "l": (min(open_, close) - 3) / 100, "c": close / 100,
                    "v": state % 10_000, "n": state % 97, "vw": (open_ + close) / 200 + 0.000123,
                    "t": stamp,
                }
            )  # fmt: skip
    return [
        msgpack.packb(messages[begin : begin + PER_FRAME])
        for begin in range(0, len(messages), PER_FRAME)
    ]


async def _send(socket: ServerConnection, ready: Sequence[bytes]) -> None:
    await socket.send(msgpack.packb([{"T": "success", "msg": "connected"}]))
    await socket.recv()
    await socket.send(msgpack.packb([{"T": "success", "msg": "authenticated"}]))
    asked = msgpack.unpackb(await socket.recv())
    await socket.send(msgpack.packb([{"T": "subscription", "bars": asked["bars"]}]))
    await socket.recv()
    try:
        for frame in ready:
            await socket.send(frame)
        await socket.wait_closed()
    except ConnectionClosed:
        return


def serve_frames(symbols: int, minutes: int, tell: Connection) -> None:
    """The server's process: the same frames to everyone who connects."""
    ready = frames(symbols, minutes)

    async def main() -> None:
        async with serve(partial(_send, ready=ready), "127.0.0.1", 0, compression=None) as server:
            tell.send(next(iter(server.sockets)).getsockname()[1])
            await asyncio.get_running_loop().create_future()

    asyncio.run(main())


class Standing:
    """Market time stands still, a second before the close."""

    def now(self) -> Instant:
        """Whole seconds."""
        return SESSION.closes_at - 1

    def precise(self) -> float:
        """With its fraction."""
        return SESSION.closes_at - 0.5


class Sink:
    """Takes what the market feeds into candles; `done` when so many bars have come."""

    def __init__(self, symbols: int, wanted: int) -> None:
        self.builders = {name: CandleBuilder(name, 2) for name in names(symbols)}
        for builder in self.builders.values():
            builder.open_session(SESSION)
        self.bars = self.candles = 0
        self.began_at = self.ended_at = 0.0
        self.wanted = wanted
        self.done = asyncio.Event()

    def put(self, item: Input) -> None:
        """What the engine does with a minute's bars, as far as the candles."""
        if not isinstance(item, Minute):
            return
        builders = self.builders
        for bar in item.bars:
            builder = builders[bar.symbol]
            if builder.add(bar):
                self.candles += len(builder.ready)
                builder.ready.clear()
        self.bars += len(item.bars)
        if self.bars >= self.wanted:
            self.ended_at = time.perf_counter()
            self.done.set()

    async def settled(self) -> None:
        """Not waited for."""


def quiet(event: str, /, **fields: object) -> None:
    """No log."""


async def no_rows(path: str, params: Mapping[str, str]) -> Any:
    """REST that has no bars."""
    return {"bars": {}, "next_page_token": None}


async def through_market(url: str, symbols: int, wanted: int) -> float:
    """Seconds from the first frame taken to the last candle."""
    sink = Sink(symbols, wanted)
    sessions = SessionTable([SESSION])

    def open_stream(*, hear: Hear, tell: TellLine) -> BarStream:
        def heard(batch: Batch) -> None:
            sink.began_at = sink.began_at or time.perf_counter()
            hear(batch)

        return BarStream(url, Keys(), names(symbols), hear=heard, tell=tell, log=quiet)

    market = LiveMarket(
        clock=Standing(), sessions=sessions, symbols=names(symbols), interval_minutes=2,
        needed_candles=0, open_stream=open_stream,
        history=BarHistory(no_rows, sessions, feed="iex", log=quiet), log=quiet,
    )  # fmt: skip
    running = asyncio.create_task(market.run(sink))
    await sink.done.wait()
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert (sink.bars, sink.candles) == (wanted, wanted // 2)
    return sink.ended_at - sink.began_at


async def bare(url: str, symbols: int, wanted: int) -> float:
    """Seconds to take the same frames and decode them, nothing else."""
    async with connect(url, compression=None, max_size=None, max_queue=64) as socket:
        await socket.recv()
        await socket.send(msgpack.packb({"action": "auth"}))
        await socket.recv()
        await socket.send(msgpack.packb({"action": "subscribe", "bars": names(symbols)}))
        await socket.recv()
        await socket.send(msgpack.packb({"action": "subscribe"}))
        count, began_at = 0, 0.0
        while count < wanted:
            frame = await socket.recv()
            began_at = began_at or time.perf_counter()
            count += len(msgpack.unpackb(frame, timestamp=2))
        return time.perf_counter() - began_at


def rates(symbols: int, minutes: int, times: int) -> tuple[list[float], list[float]]:
    """Seconds of each run through our stream, and of the bare decoding, taken in turn."""
    ours, theirs = [], []
    ear, mouth = multiprocessing.Pipe(duplex=False)
    process = multiprocessing.Process(
        target=serve_frames, args=(symbols, minutes, mouth), daemon=True
    )
    process.start()
    try:
        url = f"ws://127.0.0.1:{ear.recv()}/v2/iex"
        wanted = symbols * minutes
        for _ in range(times):
            theirs.append(asyncio.run(bare(url, symbols, wanted)))
            ours.append(asyncio.run(through_market(url, symbols, wanted)))
    finally:
        process.terminate()
        process.join()
    return ours, theirs


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="fewer runs")
    times = 3 if parser.parse_args().quick else 7
    count = SYMBOLS * MINUTES
    ours, theirs = rates(SYMBOLS, MINUTES, times)
    many, _ = rates(MANY, 2, times)
    price = time.perf_counter()
    for number in range(100_000):
        Decimal(repr(number / 100))
    price = (time.perf_counter() - price) * 10
    rows: list[Row] = [
        judge("socket to candle, bars/s", count / median(ours), ",.0f", least=BARS_TARGET,
              note=f"{count:,} bars in frames of {PER_FRAME}"),
        judge("the slowest run, bars/s", count / max(ours), ",.0f"),
        judge("socket to decoded frame, bars/s", count / median(theirs), ",.0f",
              note="the baseline: msgpack alone"),
        judge("times the baseline's time", median(ours) / median(theirs), ".2f"),
        judge(f"{MANY:,} symbols, two minutes, s", median(many), ".3f", most=MANY_TARGET_S,
              note=f"{2 * MANY:,} bars at once, to candles"),
        judge("Decimal(repr(x)), us", price, ".2f", note="not remembered"),
    ]  # fmt: skip
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    print(table(f"live feed, Python {platform.python_version()}, {cores} cores", rows))


if __name__ == "__main__":
    main()
