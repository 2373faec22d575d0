"""One strategy on one symbol: its candles, indicators, holding and the events of its next line.

A lane owns no rule; it keeps together what the engine needs when a bar or a candle arrives, and it
words a user's mistake as the user's.
"""

from __future__ import annotations

import traceback
from typing import Any

from algo_trader.core.candles import CandleBuilder
from algo_trader.core.errors import StrategyError
from algo_trader.core.holding import Holding
from algo_trader.core.types import MINUTE, Instant, Session, Symbol, iso
from algo_trader.indicators import IndicatorSource
from algo_trader.strategies.base import HeldPosition, Strategy

PACKAGE = __file__.removesuffix("engine/lane.py")
"""Where this program's own code lies: its frames are left out of a strategy's traceback."""


class Lane:
    """The engine's working set for one strategy and symbol.

    `events` gather for the next decision line while somebody wants lines (`tells`).
    """

    __slots__ = (
        "builder",
        "candles",
        "entry_life_s",
        "events",
        "flatten_at",
        "holding",
        "indicators",
        "interval_s",
        "name",
        "strategy",
        "symbol",
        "tells",
    )

    def __init__(self, name: str, strategy: Strategy, holding: Holding) -> None:
        self.name = name
        self.symbol: Symbol = strategy.symbol
        self.strategy = strategy
        self.holding = holding
        self.builder = CandleBuilder(strategy.symbol, strategy.candle_interval_minutes)
        self.candles = 0
        self.indicators = self._make_indicators()
        self.interval_s = strategy.candle_interval_minutes * MINUTE
        self.entry_life_s = strategy.entry_expiry_candles * self.interval_s
        self.flatten_at: Instant = 0
        self.tells = False
        self.events: list[dict[str, Any]] = []

    def _make_indicators(self) -> IndicatorSource:
        try:
            return self.strategy.indicators()
        except (Exception, SystemExit) as error:  # A user's code may raise anything.
            raise self.blame(0, error) from error

    @property
    def key(self) -> tuple[Symbol, str]:
        """Order of processing: by symbol, then by strategy."""
        return (self.symbol, self.name)

    def open_session(self, session: Session) -> None:
        """Align the candles and the time by which everything is flat."""
        self.builder.open_session(session)
        margin = self.strategy.flatten_minutes_before_close * MINUTE
        self.flatten_at = session.closes_at - margin

    def position(self) -> HeldPosition:
        """What the strategy may see of its position: a copy, so that it can change nothing."""
        held = self.holding
        return HeldPosition(
            held.symbol,
            held.side,
            held.qty,
            held.avg_entry_price,
            held.stop_price,
            held.opened_at,
        )

    def tell_opened(self) -> None:
        """The strategy's position has its first share."""
        try:
            self.strategy.on_position_opened(self.position())
        except (Exception, SystemExit) as error:  # A user's code may raise anything.
            raise self.blame(self.holding.opened_at, error) from error

    def tell_closed(self, at: Instant) -> None:
        """The strategy's position has lost its last share."""
        try:
            self.strategy.on_position_closed()
        except (Exception, SystemExit) as error:  # A user's code may raise anything.
            raise self.blame(at, error) from error

    def blame(self, at: Instant, error: BaseException) -> StrategyError:
        """What the strategy raised, as an error that carries the strategy's own traceback."""
        frames = traceback.extract_tb(error.__traceback__)
        own = [frame for frame in frames if not frame.filename.startswith(PACKAGE)]
        shown = traceback.format_list(own or frames[1:])
        trace = "".join([*shown, *traceback.format_exception_only(error)])
        return StrategyError(
            f"strategy {self.name} raised {type(error).__name__} at candle {self.candles} "
            f"of {self.symbol} ({iso(at)}): {error}",
            trace,
        )
