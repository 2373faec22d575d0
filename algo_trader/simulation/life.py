"""One incarnation of the process: the daemon on an Alpaca account, between simulated lines."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from algo_trader.brokers.alpaca.broker import AlpacaBroker
from algo_trader.brokers.alpaca.budget import RateBudget
from algo_trader.brokers.alpaca.clock import ClockSource, SteeredClock
from algo_trader.config import Settings
from algo_trader.runtime.daemon import Daemon
from algo_trader.runtime.life import carry, supervise
from algo_trader.runtime.narration import Narrator
from algo_trader.runtime.supervisor import Supervisor
from algo_trader.simulation.exchange import SimulatedExchange
from algo_trader.simulation.fuse import Fuse
from algo_trader.simulation.lines import RestLine
from algo_trader.simulation.loop import now
from algo_trader.simulation.store import DirectWriter, MemoryFile
from algo_trader.simulation.streams import BarLine, TradeLine
from algo_trader.simulation.witness import Witness
from algo_trader.simulation.world import World
from algo_trader.wiring.alpaca import Outside, wire_alpaca
from algo_trader.wiring.contact import first_word
from algo_trader.wiring.trading import Trading


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """What every incarnation of a run meets."""

    world: World
    witness: Witness
    exchange: SimulatedExchange
    file: MemoryFile
    settings: Settings
    trading: Trading


class Life:
    """One incarnation. `daemon` is None until the broker has answered."""

    def __init__(self, stage: Stage, fuse: Fuse) -> None:
        self.fuse = fuse
        self.daemon: Daemon | None = None
        self._stage = stage

    async def live(self) -> None:
        """From the first word with the broker to the end; raises what ended it otherwise."""
        stage, world, fuse = self._stage, self._stage.world, self.fuse
        speed = world.plan.speed
        clock = SteeredClock(ClockSource.BROKER, speed, monotonic=now)
        rest = RestLine(stage.exchange, world, stage.witness, fuse)
        budget = RateBudget(stage.settings.broker.requests_per_minute, speed, clock=now)
        broker = AlpacaBroker(rest, budget, clock, monotonic=now)
        await first_word(broker, "the simulated exchange", self._log)
        writer = DirectWriter(stage.file.open(), fuse, world, stage.witness)
        daemon = wire_alpaca(
            stage.settings,
            stage.trading,
            Outside(
                broker=broker,
                clock=clock,
                open_trade_stream=self._open_trades,
                open_bar_stream=self._open_bars,
                ask_data=rest.ask_data,
                writer=writer,
                monotonic=now,
                standing=now,
                tick_s=world.plan.tick_s,
            ),
            stage.exchange.market.table,
            log=self._log,
            narrate=Narrator(self._log),
        )
        await daemon.prepare()
        self.daemon = daemon
        supervisor = Supervisor(self._log, clock=now)
        supervise(daemon, supervisor)
        try:
            await carry(daemon, supervisor, self._log)
        finally:
            await writer.close()

    def stop(self, reason: str) -> None:
        """Ask for a graceful end."""
        if self.daemon is not None:
            self.daemon.stop(reason)

    def _open_trades(self, **terms: Any) -> TradeLine:
        line = TradeLine(self._stage.world, self.fuse, **terms)
        self._stage.exchange.listen(line.publish)
        return line

    def _open_bars(self, **terms: Any) -> BarLine:
        line = BarLine(self._stage.world, self.fuse, **terms)
        self._stage.exchange.on_bars = line.publish
        self._stage.exchange.on_halt = line.publish_halt
        return line

    def _log(self, event: str, /, **fields: Any) -> None:
        if not self.fuse.is_burnt:
            self._stage.witness.hear(event, fields)
            self._stage.world.log(event, **fields)
