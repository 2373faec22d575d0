"""The daemon on an Alpaca account, wired: REST, two streams, a clock, the ledger, an engine.

What it meets of the world is an `Outside`: network.py reaches Alpaca, the simulation an exchange of
its own. All that is behind those doors is the same code.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from algo_trader.brokers.alpaca.broker import AlpacaBroker
from algo_trader.brokers.alpaca.clock import ClockSource, SteeredClock
from algo_trader.brokers.alpaca.reading import BrokerTime
from algo_trader.brokers.alpaca.trade_update import TradeUpdate
from algo_trader.config import Settings
from algo_trader.core.book import Book
from algo_trader.core.candles import PATIENCE_S
from algo_trader.core.holding import Holding
from algo_trader.core.ports import TellLine
from algo_trader.core.session import SessionTable
from algo_trader.core.types import iso
from algo_trader.engine.engine import Engine
from algo_trader.engine.intake import Intake
from algo_trader.engine.lane import Lane
from algo_trader.feeds.alpaca.history import BarHistory, GetJson
from algo_trader.feeds.alpaca.market import LiveMarket
from algo_trader.feeds.alpaca.ports import OpenStream
from algo_trader.ledger.writer import Writer
from algo_trader.runtime import Log
from algo_trader.runtime.daemon import Daemon, Narrate, Parts
from algo_trader.runtime.gate import Gate
from algo_trader.runtime.lines import MARKET_DATA, TRADE_STREAM, Lines
from algo_trader.runtime.pump import PumpTerms
from algo_trader.runtime.remote import RemoteTerms, standing_clock
from algo_trader.strategy_files import make_strategy
from algo_trader.wiring.trading import Trading, wire_engine

STEER_EVERY_S, CLOCK_EVERY_S = 3.0, 60.0
"""How often the broker's clock is read where market time is taken from it, and where not."""
FRESH = "bars"
EDGE_S = 120
"""Around an open or a close broker and calendar may be of two minds for so long."""
WORTH_ASKING = frozenset(
    {
        "fill",
        "partial_fill",
        "canceled",
        "expired",
        "rejected",
        "replaced",
        "done_for_day",
        "suspended",
        "order_replace_rejected",
        "order_cancel_rejected",
        "restated",
        "trade_bust",
        "trade_correct",
    }
)
"""Events of the trade stream after which the order is asked about."""
ARRIVALS = frozenset({"new", "accepted", "pending_new"})
"""Events that say the broker has an order, which as a rule the answer to its request says too."""
REVISIONS = frozenset({"trade_bust", "trade_correct"})
"""Events that change what was an execution: positions and cash are compared."""


class TradeSource(Protocol):
    """A stream of the account's trade updates that connects again by itself."""

    @property
    def oddities(self) -> int:
        """Frames and events that were passed over."""
        ...

    async def run(self) -> None:
        """Go on for ever."""
        ...


class OpenTradeStream(Protocol):
    """Makes the stream, given who hears it, who is told its states, and who knows it to be mute."""

    def __call__(
        self,
        *,
        hear: Callable[[TradeUpdate], None],
        tell: TellLine,
        is_mute: Callable[[float], bool],
    ) -> TradeSource:
        """The stream, not yet connected."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Outside:
    """All that the daemon meets of the world. `monotonic` seconds stand still while the machine
    sleeps, `standing` ones do not. Every `tick_s` of market time the engine is told the time.
    """

    broker: AlpacaBroker
    clock: SteeredClock
    open_trade_stream: OpenTradeStream
    open_bar_stream: OpenStream
    ask_data: GetJson
    writer: Writer
    monotonic: Callable[[], float] = time.monotonic
    standing: Callable[[], float] = standing_clock
    tick_s: float = 1.0


def wire_alpaca(
    settings: Settings,
    trading: Trading,
    outside: Outside,
    sessions: SessionTable,
    *,
    log: Log,
    narrate: Narrate,
) -> Daemon:
    """The daemon on the account."""
    broker, clock = outside.broker, outside.clock
    gate = Gate(log)
    lines = Lines(gate, log, clock=outside.monotonic)
    daemons: list[Daemon] = []  # Of which there is one, as soon as it is made.

    def hear(update: TradeUpdate) -> None:
        order_id = broker.hear(update)
        if order_id is None or not daemons:
            return
        if update.event in ARRIVALS:
            daemons[0].hear_arrival(order_id)
        elif update.event in WORTH_ASKING:
            if update.execution is not None:
                daemons[0].hear_fill(order_id, update.execution)
            daemons[0].wake(order_id)
            if update.event in REVISIONS:
                daemons[0].compare_again(f"{update.event} of {order_id}")

    stream = outside.open_trade_stream(
        hear=hear,
        tell=lines.add(TRADE_STREAM, lambda state: daemons[0].hear_trade_stream(state)),
        is_mute=broker.is_mute,
    )
    first = _first_lane(trading)

    def tell_fresh(is_fresh: bool, reason: str) -> None:
        if is_fresh:
            gate.open(FRESH)
        else:
            gate.close(FRESH, reason)

    market = LiveMarket(
        clock=clock,
        sessions=sessions,
        symbols=trading.symbols,
        interval_minutes=first.interval_s // 60,
        needed_candles=first.needed_candles,
        open_stream=outside.open_bar_stream,
        history=BarHistory(outside.ask_data, sessions, feed=settings.broker.feed, log=log),
        log=log,
        tell=lines.add(MARKET_DATA),
        tell_fresh=tell_fresh,
        speed=clock.speed,
        real_clock=outside.monotonic,
        tick_s=outside.tick_s,
    )

    def make_engine(book: Book) -> Engine:
        engine = wire_engine(book, settings, trading, None, patience_s=PATIENCE_S)
        engine.listener.entry_limit_cap_pct = settings.broker.entry_limit_cap_pct
        return engine

    told: list[BrokerTime] = []  # The broker's last word on the time.

    async def read_skew() -> float:
        told[:] = [await broker.read_clock()]
        return (broker.skew_s or 0.0) if clock.source is ClockSource.SYSTEM else 0.0

    def disagreement() -> str:
        return calendars_differ(sessions, told[0]) if told else ""

    is_steered = clock.source is ClockSource.BROKER
    parts = Parts(
        broker_name="alpaca",
        broker=broker,
        market=market,
        writer=outside.writer,
        make_engine=make_engine,
        make_intake=lambda engine: Intake(engine, settings.reconcile.stop_pct),
        terms=PumpTerms(is_lockstep=False),
        ends_with_market=False,
        log=log,
        narrate=narrate,
        gate=gate,
        lines=lines,
        remote=RemoteTerms(
            streams=[(TRADE_STREAM, stream.run)],
            read_skew=read_skew,
            disagreement=disagreement,
            now=clock.now,
            session=lambda: sessions.at(clock.now()),
            oddities=lambda: {
                "trade_stream": stream.oddities,
                "market_data": sum(market.stream.bad.values()),
                "bars_dropped": market.dropped,
                "quiet_symbols": market.quiet_symbols(),
            },
            clock_every_s=STEER_EVERY_S if is_steered else CLOCK_EVERY_S,
        ),
        monotonic=outside.monotonic,
        standing=outside.standing,
    )
    daemon = Daemon(parts)
    daemons.append(daemon)
    return daemon


def calendars_differ(sessions: SessionTable, told: BrokerTime) -> str:
    """What broker and calendar say differently of this moment, or of when the session that both see
    ends; nothing near an open or a close.
    """
    if told.is_open is None:
        return ""
    session = sessions.at(int(told.now))
    if told.is_open and session is not None and told.next_close is not None:
        if abs(told.next_close - session.closes_at) <= EDGE_S:
            return ""
        return (
            f"the broker says that the market closes at {iso(int(told.next_close))}, "
            f"the exchange calendar at {iso(session.closes_at)}"
        )
    around = {sessions.at(int(told.now) + shift) is not None for shift in (-EDGE_S, 0, EDGE_S)}
    if told.is_open in around:
        return ""
    state = "open" if told.is_open else "closed"
    return f"the broker says that the market is {state}, the exchange calendar that it is not"


def _first_lane(trading: Trading) -> Lane:
    """What the strategy asks of candles; it is the same on every symbol."""
    symbol = trading.symbols[0]
    strategy = make_strategy(trading.cls, symbol, trading.parameters)
    return Lane(trading.name, strategy, Holding(trading.name, symbol))
