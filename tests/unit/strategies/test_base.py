"""A user's first strategy: a few simple methods, asked in order through the base class."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, ClassVar

import pytest

from algo_trader.core.types import Candle, ExitReason, OrderType, Side
from algo_trader.indicators import IndicatorSet, SmaPair
from algo_trader.strategies import REGISTRY, Strategy
from algo_trader.strategies.base import (
    HOLD,
    NO_SIGNAL,
    NOT_WARM,
    CandleLabel,
    Exit,
    MoveStop,
    Signal,
)


@dataclass
class Held:
    """A position as the engine would show it."""

    symbol: str = "X"
    side: Side = Side.LONG
    qty: Decimal = Decimal(10)
    avg_entry_price: Decimal = Decimal(10)
    stop_price: Decimal | None = Decimal(9)
    opened_at: int = 0


class Breakout(Strategy):
    """Buys green candles, trails its stop to their lows, leaves on a red one."""

    hyperparameters: ClassVar[Mapping[str, Any]] = {"buffer": Decimal("0.10"), "sma_slow": 30}
    buffer: Decimal

    def __init__(self, symbol: str, **parameters: Any) -> None:
        super().__init__(symbol, **parameters)
        self.asked: list[str] = []

    def should_long(self, bar: Candle, indicators: IndicatorSet) -> bool:
        self.asked.append("long")
        return bar.close > bar.open

    def entry_price(self, bar: Candle) -> Decimal:
        return bar.high

    def stop_loss_price(self, bar: Candle) -> Decimal:
        return bar.low - self.buffer

    def should_update_stop(
        self, bar: Candle, position: Any, indicators: IndicatorSet
    ) -> Decimal | None:
        self.asked.append("stop")
        return bar.low if bar.close > bar.open else None

    def should_exit(self, bar: Candle, position: Any, indicators: IndicatorSet) -> bool:
        self.asked.append("exit")
        return bar.close < bar.open


class BothWays(Breakout):
    """Also sells red candles short."""

    def should_short(self, bar: Candle, indicators: IndicatorSet) -> bool:
        self.asked.append("short")
        return bar.close < bar.open

    def short_entry_price(self, bar: Candle) -> Decimal:
        return bar.low

    def short_stop_loss_price(self, bar: Candle) -> Decimal:
        return bar.high + self.buffer


class HalfDone(Breakout):
    """Goes short without saying at what price."""

    def should_short(self, bar: Candle, indicators: IndicatorSet) -> bool:
        return True


class Least(Strategy):
    """Only what must be there."""

    def should_long(self, bar: Candle, indicators: IndicatorSet) -> bool:
        return True

    def entry_price(self, bar: Candle) -> Decimal:
        return bar.high

    def stop_loss_price(self, bar: Candle) -> Decimal:
        return bar.low


def candle(opened: str, close: str) -> Candle:
    prices = (Decimal(opened), Decimal(11), Decimal(9), Decimal(close))
    return Candle("X", 0, 120, *prices, Decimal(5), late=False)


GREEN, RED, FLAT = candle("10", "10.5"), candle("10.5", "10"), candle("10", "10")
LONG_AT_11 = Signal(Side.LONG, Decimal(11), Decimal("8.90"))
SHORT_AT_9 = Signal(Side.SHORT, Decimal(9), Decimal("11.10"))


def warm(count: int = 31) -> IndicatorSet:
    return IndicatorSet(Decimal(1), Decimal(1), Decimal(1), Decimal(1), count)


@pytest.mark.parametrize(
    ("cls", "bar", "count", "wanted", "asked"),
    [
        (Breakout, GREEN, 31, LONG_AT_11, ["long"]),
        (Breakout, RED, 31, NO_SIGNAL, ["long"]),
        (Breakout, GREEN, 30, NOT_WARM, []),
        (Breakout, GREEN, 0, NOT_WARM, []),
        (BothWays, GREEN, 31, LONG_AT_11, ["long"]),
        (BothWays, RED, 31, SHORT_AT_9, ["long", "short"]),
        (BothWays, FLAT, 31, NO_SIGNAL, ["long", "short"]),
    ],
)
def test_signal(
    cls: type[Breakout], bar: Candle, count: int, wanted: Signal | str, asked: list[str]
) -> None:
    """Goal: nothing is asked before it is warm; long is tried first; prices are the strategy's.

    Method: a table of candles, what came out and which methods were asked.
    """
    strategy = cls("X")
    assert strategy.signal(bar, warm(count)) == wanted
    assert strategy.asked == asked


@pytest.mark.parametrize(
    ("bar", "wanted"),
    [
        (GREEN, MoveStop(Decimal(9))),
        (RED, Exit(ExitReason.STRATEGY)),
        (FLAT, HOLD),
    ],
)
def test_manage(bar: Candle, wanted: object) -> None:
    """Goal: the stop is asked once, before the exit; an exit wins over a stop.

    Method: a candle of each colour.
    """
    strategy = Breakout("X")
    assert strategy.manage(bar, Held(), warm()) == wanted
    assert strategy.asked == ["stop", "exit"]


def test_nothing_is_managed_before_the_averages_are_warm() -> None:
    """Goal: what a strategy is handed is not None, after a restart too.

    Method: a candle fewer than it asks for.
    """
    strategy = Breakout("X")
    short = warm(strategy.required_history() - 1)
    assert [strategy.manage(bar, Held(), short) for bar in (GREEN, RED)] == [HOLD, HOLD]
    assert strategy.asked == []


def test_an_exit_wins_over_a_new_stop() -> None:
    """Goal: one answer a candle. Method: a strategy that wants both."""

    class Both(Breakout):
        def should_exit(self, bar: Candle, position: Any, indicators: IndicatorSet) -> bool:
            return True

    assert Both("X").manage(GREEN, Held(), warm()) == Exit(ExitReason.STRATEGY)


def test_entries_of_another_kind() -> None:
    """Goal: `entry_order`, a limit and a target come with the signal, each of its own side.

    Method: a strategy that names them, long and short; a word that is no type is left to the engine
    to refuse.
    """

    class Kinds(BothWays):
        hyperparameters: ClassVar[dict[str, Any]] = {"entry_order": "stop_limit"}

        def limit_price(self, bar: Candle) -> Decimal | None:
            return bar.high + 1

        def target_price(self, bar: Candle) -> Decimal | None:
            return bar.high + 2

        def short_limit_price(self, bar: Candle) -> Decimal | None:
            return bar.low - 1

    order = OrderType.STOP_LIMIT
    wanted = LONG_AT_11._replace(order=order, limit=Decimal(12), target=Decimal(13))
    assert Kinds("X").signal(GREEN, warm()) == wanted
    assert Kinds("X").signal(RED, warm()) == SHORT_AT_9._replace(order=order, limit=Decimal(8))
    market = Kinds("X", entry_order="market").signal(GREEN, warm())
    assert isinstance(market, Signal)
    assert market.order is OrderType.MARKET
    odd = Kinds("X", entry_order="stap").signal(GREEN, warm())
    assert isinstance(odd, Signal)
    assert str(odd.order) == "stap"


def test_the_least_strategy() -> None:
    """Goal: three methods are enough: it never goes short, keeps its stop, never leaves.

    Method: the defaults of everything else.
    """
    strategy = Least("X")
    assert strategy.required_history() == 201
    assert strategy.signal(GREEN, warm(201)) == Signal(Side.LONG, Decimal(11), Decimal(9))
    assert not strategy.should_short(GREEN, warm(201))
    assert strategy.manage(RED, Held(), warm(201)) == HOLD
    strategy.on_position_opened(Held())
    strategy.on_position_closed()
    assert isinstance(strategy.indicators(), SmaPair)
    assert strategy.indicators() is not strategy.indicators()


def test_a_short_without_prices_says_what_is_missing() -> None:
    """Goal: the message names class and method. Method: overriding should_short alone."""
    with pytest.raises(NotImplementedError, match=r"HalfDone goes short: define short_entry_price"):
        HalfDone("X").signal(RED, warm())
    with pytest.raises(NotImplementedError, match="short_stop_loss_price"):
        HalfDone("X").short_stop_loss_price(RED)


def test_parameters_become_attributes() -> None:
    """Goal: defaults from the class, changed by keyword, never shared between instances.

    Method: two instances with different values.
    """
    plain, other = Breakout("X"), Breakout("Y", buffer=Decimal("0.50"), sma_slow=99)
    assert (plain.buffer, plain.sma_slow, plain.required_history()) == (Decimal("0.10"), 30, 31)
    assert (other.buffer, other.sma_slow, other.required_history()) == (Decimal("0.50"), 99, 100)
    assert (other.symbol, plain.symbol) == ("Y", "X")
    assert Breakout.hyperparameters["buffer"] == Decimal("0.10")
    assert plain.candle_interval_minutes == 2


def test_an_abstract_strategy_cannot_be_made() -> None:
    """Goal: a missing method is told at once. Method: a subclass without any."""

    class Nothing(Strategy):
        pass

    with pytest.raises(TypeError, match="abstract"):
        Nothing("X")  # type: ignore[abstract]  # the mistake


@pytest.mark.parametrize(("bar", "colour"), [(GREEN, "GREEN"), (RED, "RED"), (FLAT, "NEUTRAL")])
def test_label(bar: Candle, colour: str) -> None:
    """Goal: a decision line has a colour even from a first strategy. Method: one of each."""
    assert Breakout("X").label(bar) == CandleLabel(colour, None)


def test_the_registry_holds_strategies() -> None:
    """Goal: what can be named can be made. Method: build each with its defaults."""
    assert "velez" in REGISTRY
    for cls in REGISTRY.values():
        strategy = cls("X")
        assert strategy.symbol == "X"
        for name, value in cls.hyperparameters.items():
            assert getattr(strategy, name) == value
