"""A strategy for rehearsals: it does what the tape says, by volumes that no other bar has."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, NamedTuple

from algo_trader.strategies import Strategy

BUY, RAISE, SELL = 7001, 7002, 7003
CENT, DOLLAR = Decimal("0.01"), Decimal(1)


class Seen(NamedTuple):
    """How many candles there were."""

    bar_count: int


class Counter:
    """The source of indicators."""

    def __init__(self) -> None:
        self.bar_count = 0

    def update(self, candle: Any) -> Seen:
        """One more."""
        self.bar_count += 1
        return Seen(self.bar_count)


class Prober(Strategy):
    """Buys a cent above a candle marked BUY with a stop a dollar below it, moves the stop to half a
    dollar below a candle marked RAISE, and sells after one marked SELL.
    """

    hyperparameters = {  # noqa: RUF012 - as users write it
        "candle_interval_minutes": 1,
        "entry_expiry_candles": 5,
    }

    def indicators(self) -> Any:
        return Counter()

    def required_history(self) -> int:
        return 1

    def should_long(self, bar: Any, indicators: Any) -> bool:
        return bool(bar.volume == BUY)

    def entry_price(self, bar: Any) -> Decimal:
        return Decimal(bar.high + CENT)

    def stop_loss_price(self, bar: Any) -> Decimal:
        return Decimal(bar.high - DOLLAR)

    def should_update_stop(self, bar: Any, position: Any, indicators: Any) -> Decimal | None:
        return Decimal(bar.close - DOLLAR / 2) if bar.volume == RAISE else None

    def should_exit(self, bar: Any, position: Any, indicators: Any) -> bool:
        return bool(bar.volume == SELL)
