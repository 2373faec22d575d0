"""What is traded: a strategy with its parameters on symbols, and the engine that runs it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from algo_trader.config import Settings
from algo_trader.core.book import Book
from algo_trader.core.types import Symbol
from algo_trader.engine.decisions import Sink
from algo_trader.engine.engine import Engine
from algo_trader.engine.lane import Lane
from algo_trader.strategies import Strategy, Velez
from algo_trader.strategy_files import make_strategy


@dataclass(frozen=True, slots=True, kw_only=True)
class Trading:
    """A strategy by name, made with these parameters, on these symbols."""

    name: str
    cls: type[Strategy]
    parameters: dict[str, Any]
    symbols: Sequence[Symbol]


def strategy_parameters(
    cls: type[Strategy], settings: Settings, own: dict[str, Any]
) -> dict[str, Any]:
    """What an instance is made with: what was set; for the rest it has the defaults of its class.

    Velez and what derives from it also take what was given in the settings' section, where it
    is not only the default there. `own` are the strategy's own parameters that were set.
    """
    if not issubclass(cls, Velez):
        return own
    given = settings.velez.model_fields_set
    section = asdict(settings.velez_params())
    return {name: value for name, value in section.items() if name in given} | own


def wire_engine(
    book: Book,
    settings: Settings,
    trading: Trading,
    sink: Sink | None,
    *,
    patience_s: int | None = None,
) -> Engine:
    """An engine with one lane per symbol, on what the book holds; `patience_s` as Engine has it."""
    lanes = [
        Lane(
            trading.name,
            make_strategy(trading.cls, symbol, trading.parameters),
            book.holding(trading.name, symbol),
        )
        for symbol in trading.symbols
    ]
    return Engine(book, lanes, settings.risk_limits(), sink, patience_s=patience_s)
