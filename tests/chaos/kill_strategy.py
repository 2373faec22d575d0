"""A strategy that acts all the time: entries that fill or expire, stops that move, exits, targets.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from algo_trader.strategies import Strategy

CENT = Decimal("0.01")


class Restless(Strategy):
    """Buys above green candles, sells short below red ones of symbols after the first; trails.

    AA's positions have no target, the others' have. It leaves after two candles against it.
    """

    hyperparameters = {  # noqa: RUF012 - as users write it
        "candle_interval_minutes": 1,
        "entry_expiry_candles": 3,
        "flatten_minutes_before_close": 5,
        "sma_fast": 1,
        "sma_slow": 2,
    }

    def __init__(self, symbol: str, **parameters: Any) -> None:
        super().__init__(symbol, **parameters)
        self.against = 0

    def required_history(self) -> int:
        return 2

    def should_long(self, bar: Any, indicators: Any) -> bool:
        return bool(bar.close > bar.open)

    def should_short(self, bar: Any, indicators: Any) -> bool:
        return bool(self.symbol != "AA" and bar.close < bar.open)

    def entry_price(self, bar: Any) -> Decimal:
        return Decimal(bar.high + CENT)

    def stop_loss_price(self, bar: Any) -> Decimal:
        return Decimal(bar.low - 10 * CENT)

    def short_entry_price(self, bar: Any) -> Decimal:
        return Decimal(bar.low - CENT)

    def short_stop_loss_price(self, bar: Any) -> Decimal:
        return Decimal(bar.high + 10 * CENT)

    def target_price(self, bar: Any) -> Decimal | None:
        return None if self.symbol == "AA" else Decimal(bar.high + 60 * CENT)

    def short_target_price(self, bar: Any) -> Decimal | None:
        return None if self.symbol == "AA" else Decimal(bar.low - 60 * CENT)

    def on_position_opened(self, position: Any) -> None:
        self.against = 0

    def should_update_stop(self, bar: Any, position: Any, indicators: Any) -> Decimal | None:
        is_along = (bar.close > bar.open) is (position.side == "long")
        self.against = 0 if is_along else self.against + 1
        behind = bar.low - 20 * CENT if position.side == "long" else bar.high + 20 * CENT
        return Decimal(behind)

    def should_exit(self, bar: Any, position: Any, indicators: Any) -> bool:
        return self.against >= 2
