"""The two streams of one incarnation: trade updates and bars, on lines that fail.

Each tells its states as the real one does, connects again after a pause, and hears nothing of what
happened while it was away.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from algo_trader.brokers.alpaca.trade_update import TradeUpdate, read_update
from algo_trader.brokers.alpaca.wire import decoded
from algo_trader.core.inputs import TradingHalt
from algo_trader.core.ports import LineState, TellLine
from algo_trader.core.types import Bar
from algo_trader.exchange.wire import dumps
from algo_trader.feeds.alpaca.messages import Batch
from algo_trader.simulation.fuse import Fuse
from algo_trader.simulation.loop import now
from algo_trader.simulation.plan import BarFault, FrameFault
from algo_trader.simulation.witness import TRADE_STREAM
from algo_trader.simulation.world import World

AWAY_S = (0.2, 12.0)
MUTE_S = (5.0, 40.0)
LATE_S = (0.5, 6.0)
LOOK_EVERY_S = 5.0
"""How often a silent stream is asked whether it is mute, as the real one does."""


@dataclass
class _Line:
    """A connection that comes, goes and falls silent."""

    world: World
    fuse: Fuse
    tell: TellLine
    name: str

    def __post_init__(self) -> None:
        self.is_up = False
        self.mute_until = 0.0
        self._cut = asyncio.Event()

    def cut(self, why: str) -> None:
        """The connection ends."""
        self.is_up = False
        self.world.away.add(self.name)
        self.world.lost_at[self.name] = now()
        self._cut.set()
        self.why = why

    async def live(self, is_mute: Callable[[float], bool]) -> None:
        """Connect, stay, and connect again, for ever."""
        dice = self.world.dice(f"{self.name} line")
        self.tell(LineState.CONNECTING, "")
        while True:
            self.fuse.touch(f"{self.name} connects")
            self._cut.clear()
            self.world.away.discard(self.name)
            self.is_up, self.why, connected_at = True, "", now()
            self.world.connected_at[self.name] = connected_at
            self.mute_until = 0.0
            self.tell(LineState.CONNECTED, "")
            while not self._cut.is_set():
                try:
                    async with asyncio.timeout(LOOK_EVERY_S):
                        await self._cut.wait()
                except TimeoutError:
                    if is_mute(connected_at):
                        self.cut("it is mute")
            self.world.note(f"{self.name}: {self.why}")
            self.tell(LineState.LOST, self.why)
            await asyncio.sleep(0.1 if self.world.is_calm else dice.uniform(*AWAY_S))

    def hears(self) -> bool:
        """Whether a frame sent now comes through."""
        return self.is_up and now() >= self.mute_until and not self.fuse.is_burnt

    def fall_silent(self) -> None:
        """Stay connected and bring nothing for a while."""
        self.mute_until = now() + self.world.dice(f"{self.name} mute").uniform(*MUTE_S)


class TradeLine:
    """wiring.alpaca's TradeSource."""

    def __init__(
        self,
        world: World,
        fuse: Fuse,
        *,
        hear: Callable[[TradeUpdate], None],
        tell: TellLine,
        is_mute: Callable[[float], bool],
    ) -> None:
        self.oddities = 0
        self._world = world
        self._fuse = fuse
        self._line = _Line(world, fuse, tell, TRADE_STREAM)
        self._hear = hear
        self._is_mute = is_mute

    async def run(self) -> None:
        """For ever."""
        await self._line.live(self._is_mute)

    def publish(self, data: Mapping[str, Any]) -> None:
        """An update leaves the exchange."""
        world, line = self._world, self._line
        if not line.hears():
            return
        fault = world.scripted(f"frame {data.get('event')}") or world.drawn(
            "trade frame", world.plan.frames
        )
        if fault is FrameFault.CUT:
            line.cut("ConnectionClosedError")
            return
        if fault is FrameFault.MUTE:
            line.fall_silent()
        if fault in (FrameFault.DROPPED, FrameFault.MUTE):
            world.note(f"trade frame {fault}: {data.get('event')}")
            return
        content = dumps(data)
        delay_s = world.dice("frame latency").random() * world.plan.latency_s
        if fault is FrameFault.LATE:
            delay_s += world.dice("frame latency").uniform(*LATE_S)
        if fault is FrameFault.ODD:
            content = json.dumps({"event": "restated"})
        for _ in range(2 if fault is FrameFault.TWICE else 1):
            asyncio.get_running_loop().call_later(delay_s, self._bring, content)

    def _bring(self, content: str) -> None:
        if self._fuse.is_burnt or not self._line.is_up:
            return
        update = read_update(decoded(content))
        if update is None:
            self.oddities += 1
            return
        self._fuse.touch(f"before the frame {update.event}")
        self._hear(update)


class BarLine:
    """feeds.alpaca.ports' BarSource."""

    def __init__(
        self, world: World, fuse: Fuse, *, hear: Callable[[Batch], None], tell: TellLine
    ) -> None:
        self.bad: Mapping[str, int] = {}
        self._world = world
        self._fuse = fuse
        self._line = _Line(world, fuse, tell, "bar stream")
        self._hear = hear
        self._to_correct: list[Bar] = []

    async def run(self) -> None:
        """For ever."""
        await self._line.live(lambda connected_at: False)

    def reconnect(self, reason: str) -> None:
        """Drop the connection and make a new one."""
        self._line.cut(reason)

    def publish(self, bars: Sequence[Bar]) -> None:
        """A minute's bars leave the exchange."""
        world, line = self._world, self._line
        corrected, self._to_correct = self._to_correct, []
        if not line.hears():
            return
        told: list[Bar] = []
        for bar in bars:
            match world.scripted("bar") or world.drawn("bar", world.plan.bars):
                case BarFault.CUT:
                    line.cut("ConnectionClosedError")
                    return
                case BarFault.MUTE:
                    line.fall_silent()
                    return
                case BarFault.DROPPED:
                    continue
                case BarFault.TWICE:
                    told += [bar, bar]
                case BarFault.LATE:
                    late_s = world.dice("late bar").uniform(0.5, 2) * 60 / world.plan.speed
                    self._later(late_s, Batch([bar], [], [], []))
                case BarFault.CORRECTED:
                    told.append(replace(bar, close=bar.low))
                    self._to_correct.append(bar)
                case _:
                    told.append(bar)
        if told or corrected:
            self._later(self._latency_s(), Batch(told, corrected, [], []))

    def publish_halt(self, halt: TradingHalt) -> None:
        """Trading in a symbol has stopped or goes on."""
        if self._line.hears():
            self._later(self._latency_s(), Batch([], [], [halt], []))

    def _latency_s(self) -> float:
        return self._world.dice("bar latency").random() * min(self._world.plan.latency_s, 0.3)

    def _later(self, delay_s: float, batch: Batch) -> None:
        asyncio.get_running_loop().call_later(delay_s, self._bring, batch)

    def _bring(self, batch: Batch) -> None:
        if not self._fuse.is_burnt and self._line.is_up:
            self._fuse.touch("before bars")
            self._hear(batch)
