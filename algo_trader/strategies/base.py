"""What a strategy is, and the two questions it answers for the engine.

One instance per symbol. A strategy never computes indicators and never fetches data: the engine
hands it each candle with the indicators it declared. It answers `signal` while flat and `manage`
while in a position; both are built here from the simple methods, so that a first strategy is a few
lines. The engine owns what is common to all: warm-up, late candles, the session's end, order life,
sizing and risk. A strategy's state must be a function of its parameters and of the candles and
fills it was shown, so that a restart can rebuild it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, ClassVar, NamedTuple, Protocol, TypeAlias

from algo_trader.core.types import Candle, ExitReason, Instant, OrderType, Side, Symbol
from algo_trader.indicators import IndicatorSet, IndicatorSource, SmaPair
from algo_trader.strategies.mistakes import is_stop

NOT_WARM = "NOT_WARM"
NO_SIGNAL = "NO_SIGNAL"


class Position(Protocol):
    """The position as a strategy may see it. Prices in dollars, `qty` in shares, unsigned."""

    @property
    def symbol(self) -> Symbol:
        """The stock held."""
        ...

    @property
    def side(self) -> Side:
        """Long or short."""
        ...

    @property
    def qty(self) -> Decimal:
        """Shares held."""
        ...

    @property
    def avg_entry_price(self) -> Decimal:
        """Entry price weighted by fills."""
        ...

    @property
    def stop_price(self) -> Decimal | None:
        """Where the protective stop is wanted now."""
        ...

    @property
    def opened_at(self) -> Instant:
        """Start of the minute of the first fill."""
        ...


class HeldPosition(NamedTuple):
    """A position as the engine shows it: a copy that cannot be changed."""

    symbol: Symbol
    side: Side
    qty: Decimal
    avg_entry_price: Decimal
    stop_price: Decimal | None
    opened_at: Instant


class Signal(NamedTuple):
    """Enter with a stop order at `entry`, protected at `stop`.

    `otherwise` is the reason shown if the engine finds that this signal may not become an order:
    None shows the engine's own reason. With another `order` than STOP, `entry` is the price of a
    LIMIT order, what a MARKET order is expected to pay, or the stop of a STOP_LIMIT order, whose
    limit is `limit`. At `target` the profit is taken, if that is given.
    """

    side: Side
    entry: Decimal
    stop: Decimal
    otherwise: str | None = None
    order: OrderType = OrderType.STOP
    limit: Decimal | None = None
    target: Decimal | None = None


class Hold(NamedTuple):
    """Leave the position as it is."""


class MoveStop(NamedTuple):
    """Protect the position at this price from now on, if that is nearer to the market."""

    price: Decimal


class KeepStop(NamedTuple):
    """A new stop was found, but it is not better than the one in place."""


class Exit(NamedTuple):
    """Close the position at market."""

    reason: ExitReason


Management: TypeAlias = Hold | MoveStop | KeepStop | Exit

HOLD = Hold()
KEEP_STOP = KeepStop()


ENTRY_ORDERS = (OrderType.STOP, OrderType.STOP_LIMIT, OrderType.LIMIT, OrderType.MARKET)
"""Types of order that may open a position."""

_ORDERS: dict[str, OrderType] = {each.value: each for each in ENTRY_ORDERS}

ENGINE_PARAMETERS = (
    "candle_interval_minutes",
    "entry_expiry_candles",
    "flatten_minutes_before_close",
    "sma_fast",
    "sma_slow",
)
"""Parameters that steer the engine; every strategy has them, declared or not."""


class CandleLabel(NamedTuple):
    """How a strategy reads a candle: GREEN, RED or NEUTRAL, and whether it is strong."""

    colour: str
    strong: bool | None


class Stray(Exception):
    """A method raised what is no Exception, GeneratorExit for one: that is the cause of this."""


class Strategy(ABC):
    """Base of every strategy. Subclass it, implement the abstract methods, name your parameters.

    `hyperparameters` are the parameters with their defaults; each becomes an attribute of the
    instance and can be set from the command line. A subclass keeps those of its bases, changes
    their defaults and adds its own. Those named below steer the engine: `candle_interval_minutes`
    (1, 2, 5 or 10), `entry_expiry_candles` (life of an unfilled entry) and
    `flatten_minutes_before_close`. `entry_order` is the type of the entry orders: stop, stop_limit,
    limit or market.
    """

    hyperparameters: ClassVar[Mapping[str, Any]] = {}
    may_change_context: ClassVar[bool] = True
    """Whether the decimal context is looked at after every answer, also the frequent ones."""

    entry_order: str = "stop"
    candle_interval_minutes: int = 2
    entry_expiry_candles: int = 1
    flatten_minutes_before_close: int = 1
    sma_fast: int = 20
    sma_slow: int = 200

    def __init__(self, symbol: Symbol, **parameters: Any) -> None:
        self.symbol = symbol
        for name, value in {**self.defaults(), **parameters}.items():
            setattr(self, name, value)

    @classmethod
    def defaults(cls) -> dict[str, Any]:
        """The hyperparameters of the class and its bases; what stands nearest to it holds.

        A plain class attribute of a base's hyperparameter is its default too.
        """
        found: dict[str, Any] = {}
        for each in reversed(cls.__mro__):
            own = vars(each).get("hyperparameters", {})
            found |= {name: vars(each)[name] for name in found if name in vars(each)}
            found |= own
        return found

    @classmethod
    def parameters(cls) -> dict[str, Any]:
        """Every parameter that may be set, with its default, fit for JSON but for Decimals.

        The engine's and its own; inside of lists and dicts a Decimal is its text.
        """
        found = {name: getattr(cls, name) for name in ENGINE_PARAMETERS} | cls.defaults()
        return {
            name: _plain(value) if isinstance(value, list | tuple | dict) else value
            for name, value in found.items()
        }

    @classmethod
    def own_parameters(cls) -> dict[str, Any]:
        """Those of `parameters` that are this strategy's alone, and no setting."""
        return cls.parameters()

    def indicators(self) -> IndicatorSource:
        """A fresh source of the indicators this strategy wants; by default two averages."""
        return SmaPair(self.sma_fast, self.sma_slow)

    def required_history(self) -> int:
        """Candles needed before the first signal: both averages now and one candle ago."""
        return self.sma_slow + 1

    @abstractmethod
    def should_long(self, bar: Candle, indicators: IndicatorSet) -> bool:
        """Whether to buy above this candle."""

    def should_short(self, bar: Candle, indicators: IndicatorSet) -> bool:
        """Whether to sell short below this candle; False unless overridden."""
        return False

    @abstractmethod
    def entry_price(self, bar: Candle) -> Decimal:
        """Price of the entry order, in dollars: the stop price, or of a limit order the limit; of a
        market order what it is expected to pay, for its size.
        """

    @abstractmethod
    def stop_loss_price(self, bar: Candle) -> Decimal:
        """Price of the protective stop of that entry, in dollars."""

    def short_entry_price(self, bar: Candle) -> Decimal:
        """Price of a short entry; needed only by a strategy that overrides should_short."""
        raise NotImplementedError(f"{type(self).__name__} goes short: define short_entry_price")

    def short_stop_loss_price(self, bar: Candle) -> Decimal:
        """Protective stop of a short entry; needed only where should_short is overridden."""
        raise NotImplementedError(f"{type(self).__name__} goes short: define short_stop_loss_price")

    def limit_price(self, bar: Candle) -> Decimal | None:
        """Limit of a stop_limit entry, in dollars; needed only where `entry_order` is that."""
        return None

    def target_price(self, bar: Candle) -> Decimal | None:
        """Where the profit of that entry is to be taken, in dollars; None for nowhere."""
        return None

    def short_limit_price(self, bar: Candle) -> Decimal | None:
        """Limit of a short stop_limit entry."""
        return None

    def short_target_price(self, bar: Candle) -> Decimal | None:
        """Where the profit of a short entry is to be taken; None for nowhere."""
        return None

    def should_update_stop(
        self, bar: Candle, position: Position, indicators: IndicatorSet
    ) -> Decimal | None:
        """A better stop price, or None to leave it. Asked once per candle, before should_exit."""
        return None

    def should_exit(self, bar: Candle, position: Position, indicators: IndicatorSet) -> bool:
        """Whether to close the position at market now."""
        return False

    def on_position_opened(self, position: Position) -> None:  # noqa: B027 - an optional hook
        """Called at the first fill of an entry."""

    def on_position_closed(self) -> None:  # noqa: B027 - an optional hook
        """Called when the last share is gone."""

    def signal(self, candle: Candle, indicators: IndicatorSet) -> Signal | str:
        """A signal, or the reason for none. Asked once per candle while flat."""
        try:
            if indicators.bar_count < self.required_history():
                return NOT_WARM
            if self.should_long(candle, indicators):
                return self._entry(
                    Side.LONG,
                    self.entry_price(candle),
                    self.stop_loss_price(candle),
                    self.limit_price(candle),
                    self.target_price(candle),
                )
            if self.should_short(candle, indicators):
                return self._entry(
                    Side.SHORT,
                    self.short_entry_price(candle),
                    self.short_stop_loss_price(candle),
                    self.short_limit_price(candle),
                    self.short_target_price(candle),
                )
        except Exception:
            raise
        except BaseException as error:
            if is_stop(error):
                raise
            raise Stray from error  # Nobody above expects these of a candle.
        return NO_SIGNAL

    def manage(self, candle: Candle, position: Position, indicators: IndicatorSet) -> Management:
        """What to do with the position after this candle: nothing before the averages are warm, as
        in what a restart goes through again of a session that is over.
        """
        if indicators.bar_count < self.required_history():
            return HOLD
        price = self.should_update_stop(candle, position, indicators)
        if self.should_exit(candle, position, indicators):
            return Exit(ExitReason.STRATEGY)
        return HOLD if price is None else MoveStop(price)

    def _entry(
        self,
        side: Side,
        entry: Decimal,
        stop: Decimal,
        limit: Decimal | None,
        target: Decimal | None,
    ) -> Signal:
        """A signal of this strategy's kind of entry; a kind that is none is the engine's to refuse.
        """
        order = _ORDERS.get(self.entry_order, self.entry_order)
        return Signal(side, entry, stop, None, order, limit, target)  # type: ignore[arg-type]  # a user's word

    def label(self, candle: Candle) -> CandleLabel:
        """How the candle reads, for the decision record; by default its colour alone."""
        if candle.close > candle.open:
            return CandleLabel("GREEN", None)
        return CandleLabel("RED" if candle.close < candle.open else "NEUTRAL", None)


def _plain(value: Any) -> Any:
    """A copy of a list or dict for JSON, every Decimal as its text."""
    if isinstance(value, dict):
        return {key: _plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    return str(value) if isinstance(value, Decimal) else value
