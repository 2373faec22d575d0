"""Stream, REST and market together, over real sockets.

Goal: what the parts promise each other holds: a reconnect's gap is filled before new bars, and a
server that only answers pings is found out. Method: the test's own server; market time by hand,
where it matters, real time for the sockets.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

from feed_kit import (
    KEYS,
    OPENS,
    SYMBOLS,
    TABLE,
    Box,
    Events,
    Rest,
    States,
    Talk,
    bar,
    exchange,
    stays,
    until,
    wire,
)

from algo_trader.core.ports import LineState
from algo_trader.feeds.alpaca.history import BarHistory
from algo_trader.feeds.alpaca.market import LiveMarket
from algo_trader.feeds.alpaca.stream import BarStream

NOON = OPENS[2] + 60 * 60


class Hands:
    """Market time and real time, moved by hand."""

    def __init__(self) -> None:
        self.at = float(NOON)

    def now(self) -> int:
        """Whole seconds."""
        return int(self.at)

    def precise(self) -> float:
        """With its fraction."""
        return self.at


class Live:
    """A market over a real stream."""

    def __init__(self, url: str) -> None:
        self.hands = Hands()
        self.rest = Rest([bar(minute) for minute in range(60)], now=self.hands.now)
        self.states = States()
        self.box = Box()
        log = Events()

        async def soon(seconds: float) -> None:
            await asyncio.sleep(0.001)

        self.market = LiveMarket(
            clock=self.hands,
            sessions=TABLE,
            symbols=SYMBOLS,
            interval_minutes=2,
            needed_candles=0,
            open_stream=partial(BarStream, url, KEYS, SYMBOLS, log=log),
            history=BarHistory(self.rest, TABLE, feed="iex", log=log),
            log=log,
            tell=self.states,
            real_clock=self.hands.precise,
            sleep=soon,
        )

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Its past asked for, then under way."""
        await self.market.past()
        task = asyncio.create_task(self.market.run(self.box))
        try:
            await until(lambda: self.market.is_fresh)
            yield
            assert not task.done(), task
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


def test_a_reconnects_gap_is_filled_before_its_new_bars() -> None:
    """Goal: "close, RST: events in the gap are lost": they come from REST, in order, each once."""
    drop, go_on = asyncio.Event(), asyncio.Event()

    async def first(talk: Talk) -> None:
        await talk.welcome()
        await talk.send(wire(bar(60)))
        await drop.wait()
        talk.socket.transport.abort()

    async def second(talk: Talk) -> None:
        await talk.welcome()
        await talk.send(wire(bar(63)), wire(bar(64)))
        await go_on.wait()
        await talk.send(wire(bar(65)))
        await talk.socket.wait_closed()

    async def main() -> Live:
        async with exchange(first, second) as world:
            live = Live(world.url)
            async with live.running():
                live.hands.at += 61
                await until(lambda: bar(60) in live.box.fed)
                live.rest.bars += [bar(minute) for minute in range(60, 65)]
                live.hands.at += 4 * 60
                drop.set()
                await until(lambda: bar(64) in live.box.fed)
                await until(lambda: live.market.is_fresh)
                live.hands.at += 60
                go_on.set()
                await until(lambda: bar(65) in live.box.fed)
            return live

    live = asyncio.run(main())
    assert live.box.fed == [bar(minute) for minute in range(60, 66)]
    assert live.box.corrected == []
    assert live.states.names.count(LineState.LOST) == 1


def test_a_server_that_is_mute_but_answers_pings() -> None:
    """Goal: "mute with pongs": found out over REST, LOST with the reason, connected anew."""

    async def speaks(talk: Talk) -> None:
        await talk.welcome()
        await talk.send(wire(bar(62)))
        await talk.socket.wait_closed()

    async def main() -> Live:
        async with exchange(stays, speaks) as world:
            live = Live(world.url)
            async with live.running():
                live.rest.bars += [bar(minute) for minute in range(60, 63)]
                live.hands.at += 185
                asked = len(live.rest.asked)
                await until(lambda: len(live.rest.asked) > asked)  # The last bar is too young.
                live.hands.at += 25
                await until(lambda: len(world.talks) == 2)
                await until(lambda: live.market.is_fresh)
            return live

    live = asyncio.run(main())
    lost = [reason for state, reason in live.states.seen if state is LineState.LOST]
    assert len(lost) == 1
    assert "mute" in lost[0]
    assert live.box.fed == [bar(60), bar(61), bar(62)]
