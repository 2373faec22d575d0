"""The Velez SMA convergence strategy: entry signal, prices, trailing stop and maximum run.

Every rule is the strategy page's; section numbers stand at the branches. Percentage tests are
cross-multiplied, so nothing is divided and nothing rounds. Long is written out; a short position
mirrors it (section 12), behind `allow_short`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from decimal import Decimal
from enum import StrEnum
from typing import Any, ClassVar

from algo_trader.core.prices import ceil_to_tick, floor_to_tick
from algo_trader.core.types import HUNDRED, ZERO, Candle, ExitReason, Side, Symbol
from algo_trader.indicators import IndicatorSet
from algo_trader.strategies.base import (
    HOLD,
    KEEP_STOP,
    NOT_WARM,
    CandleLabel,
    Exit,
    Management,
    MoveStop,
    Position,
    Signal,
    Strategy,
)
from algo_trader.strategies.mistakes import is_whole, shown

GREEN = "GREEN"
RED = "RED"
NEUTRAL = "NEUTRAL"
BAD_PRICE = "BAD_PRICE"
NOT_TIGHT = "NOT_TIGHT"
NOT_DIVERGING = "NOT_DIVERGING"
WRONG_SIDE = "WRONG_SIDE"
WRONG_COLOUR = "WRONG_COLOUR"
NOT_STRONG = "NOT_STRONG"

CONTINUATIONS_TO_CONFIRM = 2
ENTRY_LIFE = "entry_expiry_candles"


@dataclass(frozen=True, slots=True, kw_only=True)
class VelezParams:
    """Parameters of the strategy; `*_pct` are per cent (2.0 is two per cent)."""

    sma_fast: int = 20
    sma_slow: int = 200
    candle_interval_minutes: int = 2
    tightness_threshold_pct: Decimal = Decimal("2.0")
    strong_candle_body_pct: Decimal = Decimal("50.0")
    stop_buffer_pct: Decimal = Decimal("0.1")
    stop_buffer_min: Decimal = Decimal("0.02")
    buy_stop_expiry_candles: int = 1
    max_run_candles: int = 3
    doji_threshold_pct: Decimal = Decimal("10.0")
    flatten_minutes_before_close: int = 1
    allow_short: bool = False


class Trail(StrEnum):
    """Where the trailing-stop machine stands (section 7)."""

    WATCHING = "WATCHING"
    PULLBACK = "PULLBACK"
    TRAILING = "TRAILING"


class Velez(Strategy):
    """Buys strength after the averages have converged and begin to part again."""

    hyperparameters: ClassVar[Mapping[str, Any]] = {
        parameter.name: parameter.default for parameter in fields(VelezParams)
    }

    def __init__(self, symbol: Symbol, **parameters: Any) -> None:
        super().__init__(symbol, **parameters)
        self.params = params = self._params({**self.defaults(), **parameters})
        self.entry_expiry_candles = params.buy_stop_expiry_candles
        # Moving the decimal point is exact, so these stay the page's own comparisons.
        self._tightness = params.tightness_threshold_pct.scaleb(-2)
        self._strong = params.strong_candle_body_pct.scaleb(-2)
        self._doji = params.doji_threshold_pct.scaleb(-2)
        self._allow_short = params.allow_short
        self._reset()

    @classmethod
    def parameters(cls) -> dict[str, Any]:
        """As of every strategy, but the life of an entry is buy_stop_expiry_candles alone."""
        return {name: value for name, value in super().parameters().items() if name != ENTRY_LIFE}

    @classmethod
    def own_parameters(cls) -> dict[str, Any]:
        """What a subclass adds; the inherited ones are settings of velez, with their bounds."""
        inherited = Velez.hyperparameters
        return {name: value for name, value in cls.parameters().items() if name not in inherited}

    @classmethod
    def _params(cls, given: Mapping[str, Any]) -> VelezParams:
        """The parameters of Velez from all that are given.

        TypeError where a subclass has changed a default to what it cannot be.
        """
        if ENTRY_LIFE in given or cls.entry_expiry_candles != Strategy.entry_expiry_candles:
            raise TypeError(f"{ENTRY_LIFE} is buy_stop_expiry_candles in Velez: set that")
        chosen: dict[str, Any] = {}
        for name, default in Velez.hyperparameters.items():
            value = given[name]
            if isinstance(default, Decimal) and is_whole(value):
                value = Decimal(value)
            if type(value) is not type(default):
                kind = type(default).__name__
                raise TypeError(f"{name} is {shown(value)}, it must be of type {kind} as in Velez")
            chosen[name] = value
        return VelezParams(**chosen)

    def _reset(self) -> None:
        self.trail = Trail.WATCHING
        self.pullback: Decimal | None = None
        self.continuations = 0
        self.run = 0

    # -- entry: sections 3 and 4 --

    def signal(self, candle: Candle, indicators: IndicatorSet) -> Signal | str:
        """Section 3, in its order; the engine adds LATE_CANDLE, SESSION_CUTOFF and BAD_RISK."""
        reason = self._refuse(candle, indicators, True)
        if reason is None:
            return Signal(Side.LONG, self.entry_price(candle), self.stop_loss_price(candle))
        if self._allow_short and self._refuse(candle, indicators, False) is None:
            return Signal(
                Side.SHORT,
                floor_to_tick(candle.low),
                ceil_to_tick(candle.high + self._buffer(candle.high)),
                reason,
            )
        return reason

    def _refuse(self, candle: Candle, indicators: IndicatorSet, is_long: bool) -> str | None:
        """The first test of section 3 that fails, or None."""
        fast, slow, prev_fast, prev_slow, _ = indicators
        if fast is None or slow is None or prev_fast is None or prev_slow is None:
            return NOT_WARM
        close = candle[6]
        if close <= ZERO:
            return BAD_PRICE
        gap = fast - slow
        if abs(gap) >= self._tightness * close:
            return NOT_TIGHT
        gap_before = prev_fast - prev_slow
        if gap <= gap_before if is_long else gap >= gap_before:
            return NOT_DIVERGING
        if fast <= slow if is_long else fast >= slow:
            return WRONG_SIDE
        if close <= candle.open if is_long else close >= candle.open:
            return WRONG_COLOUR
        return None if self._is_strong(candle) else NOT_STRONG

    def should_long(self, bar: Candle, indicators: IndicatorSet) -> bool:
        """Section 3 without the tests that the engine owns."""
        return self._refuse(bar, indicators, True) is None

    def should_short(self, bar: Candle, indicators: IndicatorSet) -> bool:
        """The mirror image, where shorts are allowed."""
        return self._allow_short and self._refuse(bar, indicators, False) is None

    def entry_price(self, bar: Candle) -> Decimal:
        """The high itself, up to the tick; no cent is added (C14)."""
        return ceil_to_tick(bar.high)

    def stop_loss_price(self, bar: Candle) -> Decimal:
        """The low less the buffer, down to the tick."""
        return floor_to_tick(bar.low - self._buffer(bar.low))

    def _buffer(self, price: Decimal) -> Decimal:
        """The larger of a share of the signal candle's extreme and a least number of dollars."""
        return max(price * self.params.stop_buffer_pct / HUNDRED, self.params.stop_buffer_min)

    # -- candles: section 2 --

    def _is_strong(self, candle: Candle) -> bool:
        _, _, _, opened, high, low, close, _, _ = candle
        return high > low and abs(close - opened) >= self._strong * (high - low)

    def colour(self, candle: Candle) -> str:
        """GREEN, RED, or NEUTRAL for a doji or a candle without a body."""
        _, _, _, opened, high, low, close, _, _ = candle
        body = close - opened
        if not body or abs(body) < self._doji * (high - low):
            return NEUTRAL
        return GREEN if close > opened else RED

    def label(self, candle: Candle) -> CandleLabel:
        """Colour and strength by section 2."""
        return CandleLabel(self.colour(candle), self._is_strong(candle))

    # -- position: sections 7 and 8 --

    def on_position_opened(self, position: Position) -> None:
        """The machine starts in WATCHING at the first fill."""
        self._reset()

    def on_position_closed(self) -> None:
        """Forget the position."""
        self._reset()

    def manage(self, candle: Candle, position: Position, indicators: IndicatorSet) -> Management:
        """The trailing machine, then the maximum run."""
        confirmed = self._advance(candle, position.side)
        if self.should_exit(candle, position, indicators):
            return Exit(ExitReason.MAX_RUN)
        if confirmed is None:
            return HOLD
        if self._is_better(confirmed, position):
            return MoveStop(confirmed)
        return KEEP_STOP

    def should_update_stop(
        self, bar: Candle, position: Position, indicators: IndicatorSet
    ) -> Decimal | None:
        """Feed the machine once; the confirmed pullback's extreme if it betters the stop."""
        confirmed = self._advance(bar, position.side)
        if confirmed is None or not self._is_better(confirmed, position):
            return None
        return confirmed

    def should_exit(self, bar: Candle, position: Position, indicators: IndicatorSet) -> bool:
        """A run of strong candles after a confirmed pullback (C4, C5)."""
        return self.trail is Trail.TRAILING and self.run >= self.max_run

    @property
    def max_run(self) -> int:
        """Strong candles in a row that end the trade."""
        return self.params.max_run_candles

    def _is_better(self, price: Decimal, position: Position) -> bool:
        """Never lower a long position's stop, nor raise a short one's (C11)."""
        stop = position.stop_price
        if stop is None:
            return True
        return price > stop if position.side is Side.LONG else price < stop

    def _advance(self, candle: Candle, side: Side) -> Decimal | None:
        """One step of the machine; the stop candidate when a pullback is confirmed."""
        colour = self.colour(candle)
        against, along = (RED, GREEN) if side is Side.LONG else (GREEN, RED)
        if self.trail is not Trail.PULLBACK:
            if colour == against:
                self.trail = Trail.PULLBACK
                self.pullback = candle.low if side is Side.LONG else candle.high
                self.continuations = self.run = 0
            elif self.trail is Trail.TRAILING:
                is_run = colour == along and self._is_strong(candle)
                self.run = self.run + 1 if is_run else 0
            return None
        # Every candle from the first against the position to the confirming one counts (C1).
        extreme = self.pullback if self.pullback is not None else ZERO
        if side is Side.LONG:
            self.pullback = extreme = min(extreme, candle.low)
        else:
            self.pullback = extreme = max(extreme, candle.high)
        if colour == against:
            self.continuations = 0
        elif colour == along:
            self.continuations += 1
            if self.continuations == CONTINUATIONS_TO_CONFIRM:
                self._reset()
                self.trail = Trail.TRAILING
                self.run = 1 if self._is_strong(candle) else 0
                return floor_to_tick(extreme) if side is Side.LONG else ceil_to_tick(extreme)
        return None
