"""A strategy that derives from another: whose defaults hold, and which settings reach it."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import pytest

from algo_trader.config import load_settings
from algo_trader.core.errors import StrategyError
from algo_trader.core.types import Candle
from algo_trader.indicators import IndicatorSet
from algo_trader.strategies import Strategy, Velez
from algo_trader.strategies.velez import VelezParams
from algo_trader.strategy_files import make_strategy
from algo_trader.wiring.trading import strategy_parameters


class First(Strategy):
    """A strategy of one's own."""

    hyperparameters: ClassVar[Mapping[str, Any]] = {"length": 20, "sma_slow": 30}

    def should_long(self, bar: Candle, indicators: IndicatorSet) -> bool:
        """Never."""
        return False

    def entry_price(self, bar: Candle) -> Decimal:
        """The high."""
        return bar.high

    def stop_loss_price(self, bar: Candle) -> Decimal:
        """The low."""
        return bar.low


class Added(First):
    """Adds a parameter."""

    hyperparameters: ClassVar[Mapping[str, Any]] = {"more": 1}


class Changed(Added):
    """Changes a default in the dict, another as a plain attribute."""

    hyperparameters: ClassVar[Mapping[str, Any]] = {"length": 5}
    more = 2
    sma_fast = 3


class AddedVelez(Velez):
    """Velez with a parameter of its own and with other defaults."""

    hyperparameters: ClassVar[Mapping[str, Any]] = {"quiet": 3, "sma_fast": 10}
    stop_buffer_pct = Decimal("0.5")
    max_run_candles = 4


class WholeVelez(Velez):
    """The same in the words that repeat the parameters of Velez."""

    hyperparameters: ClassVar[Mapping[str, Any]] = {
        **Velez.hyperparameters,
        "tightness_threshold_pct": 1,
    }


class TextVelez(Velez):
    """A default that is no number."""

    hyperparameters: ClassVar[Mapping[str, Any]] = {"stop_buffer_pct": "0.5"}


class LongLived(Velez):
    """A name that Velez has another word for."""

    entry_expiry_candles = 3


class Case(NamedTuple):
    """A class, what was set of the settings and of its own parameters, and its attributes then."""

    cls: type[Strategy]
    settings: tuple[str, ...]
    own: dict[str, Any]
    wanted: dict[str, Any]


CASES = [
    Case(First, (), {}, {"length": 20, "sma_fast": 20, "sma_slow": 30}),
    Case(First, ("velez.sma_fast=10",), {"length": 7}, {"length": 7, "sma_fast": 20}),
    Case(Added, (), {}, {"length": 20, "more": 1, "sma_slow": 30}),
    Case(Added, (), {"length": 9}, {"length": 9, "more": 1}),
    Case(Changed, (), {}, {"length": 5, "more": 2, "sma_fast": 3, "sma_slow": 30}),
    Case(Changed, (), {"more": 8, "sma_fast": 4}, {"length": 5, "more": 8, "sma_fast": 4}),
    Case(Velez, (), {}, {"params": VelezParams()}),
    Case(Velez, ("velez.sma_fast=10",), {}, {"params": VelezParams(sma_fast=10)}),
    Case(
        AddedVelez,
        (),
        {},
        {
            "quiet": 3,
            "params": VelezParams(sma_fast=10, stop_buffer_pct=Decimal("0.5"), max_run_candles=4),
        },
    ),
    Case(
        AddedVelez,
        ("velez.sma_fast=20", "velez.stop_buffer_min=0.05", "velez.buy_stop_expiry_candles=2"),
        {"quiet": 1},
        {
            "quiet": 1,
            "sma_fast": 20,
            "entry_expiry_candles": 2,
            "params": VelezParams(
                sma_fast=20,
                stop_buffer_pct=Decimal("0.5"),
                stop_buffer_min=Decimal("0.05"),
                max_run_candles=4,
                buy_stop_expiry_candles=2,
            ),
        },
    ),
    Case(WholeVelez, (), {}, {"params": VelezParams(tightness_threshold_pct=Decimal(1))}),
    Case(
        WholeVelez,
        ("velez.tightness_threshold_pct=3",),
        {},
        {"params": VelezParams(tightness_threshold_pct=Decimal(3))},
    ),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.cls.__name__} {case.own}")
def test_what_is_set_wins_then_the_nearest_class(case: Case, tmp_path: Path) -> None:
    """Goal: set values, then the class's own defaults, then those of its bases; none ignored.

    Method: settings given as --set gives them, and an instance made as for a run.
    """
    nowhere = tmp_path / "no.env"
    nowhere.touch()
    loaded = load_settings(env_file=nowhere, environ={}, overrides=case.settings)
    strategy = make_strategy(
        case.cls, "X", strategy_parameters(case.cls, loaded.settings, case.own)
    )
    assert {name: getattr(strategy, name) for name in case.wanted} == case.wanted


def test_own_parameters_are_what_no_setting_gives() -> None:
    """Goal: --set of an inherited parameter of Velez is the setting, with its bounds."""
    assert AddedVelez.own_parameters() == {"quiet": 3}
    assert Velez.own_parameters() == {}
    assert Changed.own_parameters() == Changed.parameters()
    assert Changed.parameters()["more"] == 2


@pytest.mark.parametrize(
    ("cls", "words"),
    [
        (TextVelez, "stop_buffer_pct is '0.5', it must be of type Decimal as in Velez"),
        (LongLived, "entry_expiry_candles is buy_stop_expiry_candles in Velez: set that"),
    ],
)
def test_a_default_that_velez_cannot_take_is_named(cls: type[Strategy], words: str) -> None:
    """Goal: a message with name and remedy, not an error of the arithmetic within."""
    with pytest.raises(StrategyError, match=words):
        make_strategy(cls, "X", {})
