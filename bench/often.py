"""A strategy for the benches: an entry on every candle while flat, an exit on the next one."""

from __future__ import annotations

from decimal import Decimal

from algo_trader.core.types import Candle
from algo_trader.indicators import IndicatorSet
from algo_trader.strategies import Strategy
from algo_trader.strategies.base import Position


class Often(Strategy):
    """Buys at each candle's high, is stopped at half a per cent below its low."""

    candle_interval_minutes = 1

    def required_history(self) -> int:
        """One candle."""
        return 1

    def should_long(self, bar: Candle, indicators: IndicatorSet) -> bool:
        """Always."""
        return True

    def entry_price(self, bar: Candle) -> Decimal:
        """The high."""
        return bar.high

    def stop_loss_price(self, bar: Candle) -> Decimal:
        """Below the low."""
        return bar.low * Decimal("0.995")

    def should_exit(self, bar: Candle, position: Position, indicators: IndicatorSet) -> bool:
        """At once."""
        return True
