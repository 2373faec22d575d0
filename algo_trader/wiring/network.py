"""Alpaca across the network: what the settings and the keys lead to."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from algo_trader.brokers.alpaca.broker import AlpacaBroker
from algo_trader.brokers.alpaca.budget import RateBudget
from algo_trader.brokers.alpaca.clock import ClockSource, SteeredClock
from algo_trader.brokers.alpaca.endpoints import Endpoints
from algo_trader.brokers.alpaca.keys import Keys
from algo_trader.brokers.alpaca.market_data import MarketData
from algo_trader.brokers.alpaca.trade_stream import TradeStream
from algo_trader.config import Settings
from algo_trader.core.types import Symbol
from algo_trader.feeds.alpaca.stream import BarStream
from algo_trader.ledger.ledger import Ledger
from algo_trader.ledger.writer import Writer
from algo_trader.runtime import Log
from algo_trader.wiring.alpaca import Outside


@dataclass(frozen=True, slots=True, kw_only=True)
class Connection:
    """Alpaca as the settings name it, with the one clock of a process."""

    where: Endpoints
    keys: Keys
    clock: SteeredClock
    broker: AlpacaBroker


def connect(settings: Settings, where: Endpoints, keys: Keys) -> Connection:
    """The REST side, before anything is known of the account. Nothing is sent yet."""
    speed = settings.clock.speed
    clock = SteeredClock(ClockSource(settings.clock.source), speed)
    budget = RateBudget(settings.broker.requests_per_minute, speed)
    return Connection(
        where=where, keys=keys, clock=clock, broker=AlpacaBroker.open(where, keys, budget, clock)
    )


def reach(
    settings: Settings,
    connection: Connection,
    symbols: Sequence[Symbol],
    *,
    ledger_file: Path,
    log: Log,
) -> tuple[Outside, Callable[[], Awaitable[None]]]:
    """The world of a daemon on the account, and what ends its connections."""
    where, keys, clock = connection.where, connection.keys, connection.clock
    # Alpaca counts requests for data by themselves.
    budget = RateBudget(settings.broker.requests_per_minute, clock.speed)
    data = MarketData(where.data, keys, budget, clock)
    outside = Outside(
        broker=connection.broker,
        clock=clock,
        open_trade_stream=lambda *, hear, tell, is_mute: TradeStream(
            where.trade_stream, keys, hear=hear, tell=tell, is_mute=is_mute
        ),
        open_bar_stream=lambda *, hear, tell: BarStream(
            where.data_stream, keys, symbols, hear=hear, tell=tell, log=log
        ),
        ask_data=data,
        writer=Writer(lambda: Ledger.open(ledger_file, check=False, tell=log)),
    )

    async def close() -> None:
        await connection.broker.close()
        await data.close()

    return outside, close
