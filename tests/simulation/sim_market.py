"""What the simulated daemon trades: short days of wild bars, and a strategy that acts all the time.

A day of forty minutes holds what a month of a real strategy does: entries that fill, in whole or
in part, and entries that expire, stops that are moved and hit, exits, positions flattened.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from random import Random

from algo_trader.core.ports import PastDay
from algo_trader.core.types import MINUTE, Bar, Candle, Session, utc
from algo_trader.indicators import IndicatorSet
from algo_trader.risk.limits import RiskLimits
from algo_trader.strategies import Strategy
from algo_trader.strategies.base import Position
from algo_trader.venue.costs import Costs

OPENS_AT = 1_704_205_800
"""2024-01-02 14:30 UTC, the open of the first day."""
OVERNIGHT = 86_400
MISSING = 3
"""Minutes at the end that no bar has."""
SYMBOLS = ("AA", "BB")
NAME = "quick"
CASH = Decimal(100_000)
LITTLE = Decimal(3_000)
"""So little cash that what a part of an entry buys is too few shares for a stop."""
CENT = Decimal("0.01")
COSTS = Costs(slippage_per_share=CENT, commission_per_share=Decimal("0.0035"))
LIMITS = RiskLimits(
    max_position_pct=Decimal("0.2"),
    max_daily_loss_pct=Decimal("0.9"),
    consecutive_loss_pause=1_000,
)


class Quick(Strategy):
    """Buys above green candles, sells BB short below red ones; trails; leaves after two against."""

    candle_interval_minutes = 2
    flatten_minutes_before_close = 2
    sma_fast = 1
    sma_slow = 2

    def __init__(self, symbol: str, *, has_targets: bool = False) -> None:
        super().__init__(symbol)
        self.against = 0
        self.has_targets = has_targets

    def should_long(self, bar: Candle, indicators: IndicatorSet) -> bool:
        """Above a green candle."""
        return bar.close > bar.open

    def should_short(self, bar: Candle, indicators: IndicatorSet) -> bool:
        """Below a red candle of BB."""
        return self.symbol == "BB" and bar.close < bar.open

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


def make_days(seed: int, days: int = 2, minutes: int = 40) -> list[PastDay]:
    """Days of random walks from 100; now and then a symbol has no bar in a minute.

    The last day's bars end before its close.
    """
    chance = Random(seed)
    last = dict.fromkeys(SYMBOLS, 10_000)
    made = []
    for number in range(days):
        opens_at = OPENS_AT + number * OVERNIGHT
        session = Session(utc(opens_at).date(), opens_at, opens_at + minutes * MINUTE)
        rows = [_minute(chance, last, opens_at + index * MINUTE) for index in range(minutes)]
        if number == days - 1:
            rows[-MISSING:] = [()] * MISSING
        made.append(PastDay(session, rows))
    return made


def _minute(chance: Random, last: dict[str, int], start: int) -> Sequence[Bar]:
    bars = []
    for symbol in SYMBOLS:
        if chance.random() < 0.05:
            continue
        path = [last[symbol]]
        for _ in range(3):
            path.append(max(5_000, path[-1] + chance.randint(-40, 40)))
        last[symbol] = path[-1]
        prices = (path[0], max(path), min(path), path[-1])
        opened, high, low, close = (CENT * price for price in prices)
        bars.append(Bar(symbol, start, opened, high, low, close, 100))
    return tuple(bars)
