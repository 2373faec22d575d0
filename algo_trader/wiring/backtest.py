"""A backtest, wired: an engine on a book of its own, and a venue that holds the capital."""

from __future__ import annotations

from decimal import Decimal

from algo_trader.backtest.runner import Runner
from algo_trader.config import Settings
from algo_trader.core.book import Book
from algo_trader.engine.decisions import Sink
from algo_trader.venue.venue import Venue
from algo_trader.wiring.trading import Trading, wire_engine

BACKTEST_ACCOUNT = "backtest"


def wire_backtest(
    settings: Settings, trading: Trading, *, capital: Decimal, sink: Sink | None = None
) -> Runner:
    """The runner, ready to run; `sink` takes the decision lines."""
    engine = wire_engine(Book(), settings, trading, sink)
    return Runner(engine, Venue(capital, settings.cost_model()))
