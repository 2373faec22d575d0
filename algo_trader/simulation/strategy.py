"""What is traded unless a user names a strategy: one that acts all the time.

A day of forty minutes holds entries that fill, in whole or in part, and entries that expire, stops
that are moved and hit, targets, exits and positions flattened at the close.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, ClassVar

from algo_trader.core.types import Candle
from algo_trader.indicators import IndicatorSet
from algo_trader.strategies import Strategy
from algo_trader.strategies.base import Position

CENT = Decimal("0.01")


class Restless(Strategy):
    """Buys above green candles, sells short below red ones; trails; leaves after two against."""

    hyperparameters: ClassVar[Mapping[str, Any]] = {"has_targets": False}
    candle_interval_minutes = 2
    flatten_minutes_before_close = 2
    sma_fast = 1
    sma_slow = 2
    has_targets: bool

    def __init__(self, symbol: str, **parameters: Any) -> None:
        super().__init__(symbol, **parameters)
        self.against = 0

    def should_long(self, bar: Candle, indicators: IndicatorSet) -> bool:
        """Above a green candle."""
        return bar.close > bar.open

    def should_short(self, bar: Candle, indicators: IndicatorSet) -> bool:
        """Below a red candle of every other symbol."""
        return self.symbol != "AA" and bar.close < bar.open

    def entry_price(self, bar: Candle) -> Decimal:
        """Its high."""
        return bar.high

    def stop_loss_price(self, bar: Candle) -> Decimal:
        """Just below its low."""
        return bar.low - 10 * CENT

    def short_entry_price(self, bar: Candle) -> Decimal:
        """Its low."""
        return bar.low

    def short_stop_loss_price(self, bar: Candle) -> Decimal:
        """Just above its high."""
        return bar.high + 10 * CENT

    def target_price(self, bar: Candle) -> Decimal | None:
        """Near enough to be reached now and then."""
        return bar.high + 25 * CENT if self.has_targets else None

    def short_target_price(self, bar: Candle) -> Decimal | None:
        """The same below."""
        return bar.low - 25 * CENT if self.has_targets else None

    def on_position_opened(self, position: Position) -> None:
        """Count anew."""
        self.against = 0

    def should_update_stop(
        self, bar: Candle, position: Position, indicators: IndicatorSet
    ) -> Decimal:
        """Behind the last candle."""
        is_along = (bar.close > bar.open) is (position.side == "long")
        self.against = 0 if is_along else self.against + 1
        return bar.low - 5 * CENT if position.side == "long" else bar.high + 5 * CENT

    def should_exit(self, bar: Candle, position: Position, indicators: IndicatorSet) -> bool:
        """After two candles in a row against the position."""
        return self.against >= 2
