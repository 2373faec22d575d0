"""What is traded unless a user names a strategy: one that acts all the time, and one that does what
it is told.

A restless day of forty minutes holds entries that fill, in whole or in part, and entries that
expire, stops that are moved and hit, targets, exits and positions flattened at the close.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, ClassVar

from algo_trader.core.types import MINUTE, Candle, ExitReason, Side
from algo_trader.indicators import IndicatorSet
from algo_trader.simulation.market import FIRST_OPEN, START
from algo_trader.strategies import Strategy
from algo_trader.strategies.base import (
    HOLD,
    NO_SIGNAL,
    Exit,
    Management,
    MoveStop,
    Position,
    Signal,
)

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


DAY_S = 24 * 60 * MINUTE
OPENS_AT = int(FIRST_OPEN.timestamp()) % DAY_S


class Scripted(Strategy):
    """Acts by a script: `1 buy 10 -20 60; 4 stop 5; 6 exit`.

    Each move begins with the minute of the session whose candle it follows; prices are in cents
    above the first one: of an entry its own, its stop's and, if it has one, its target's.
    """

    hyperparameters: ClassVar[Mapping[str, Any]] = {"script": ""}
    candle_interval_minutes = 1
    entry_expiry_candles = 3
    sma_fast = 1
    sma_slow = 2
    script: str

    def should_long(self, bar: Candle, indicators: IndicatorSet) -> bool:
        """Never asked."""
        raise NotImplementedError

    entry_price = stop_loss_price = should_long  # type: ignore[assignment]  # never asked

    def signal(self, candle: Candle, indicators: IndicatorSet) -> Signal | str:
        """The entry of this minute."""
        deed, prices = self._move_after(candle)
        if deed not in ("buy", "short"):
            return NO_SIGNAL
        entry, stop, *rest = prices
        side = Side.LONG if deed == "buy" else Side.SHORT
        return Signal(side, entry, stop, target=rest[0] if rest else None)

    def manage(self, candle: Candle, position: Position, indicators: IndicatorSet) -> Management:
        """The stop, or the exit, of this minute."""
        deed, prices = self._move_after(candle)
        if deed == "exit":
            return Exit(ExitReason.STRATEGY)
        return MoveStop(prices[0]) if deed == "stop" else HOLD

    def _move_after(self, candle: Candle) -> tuple[str, list[Decimal]]:
        """What is to be done, and at which prices; nothing in most minutes."""
        minute = str((candle.start % DAY_S - OPENS_AT) // MINUTE)
        for move in self.script.split(";"):
            at, _, rest = move.strip().partition(" ")
            if at == minute:
                deed, *cents = rest.split()
                return deed, [CENT * (START + int(each)) for each in cents]
        return "", []
