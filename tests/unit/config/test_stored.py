"""Overrides that a ledger keeps: checked before they are stored and again when they are read."""

from __future__ import annotations

import os
from decimal import Decimal
from pathlib import Path

import pytest

from algo_trader.config import SETTINGS, LoadedSettings, Origin, as_text, load_settings
from algo_trader.config.editable import MASK, checked, checked_assignment, masked, overridden
from algo_trader.config.overrides import EDITABLE
from algo_trader.core.errors import ConfigError

KEY = "risk.max_open_positions"


def loaded(
    stored: dict[str, str], environ: dict[str, str] | None = None, overrides: tuple[str, ...] = ()
) -> LoadedSettings:
    """Settings without an `.env`."""
    return load_settings(
        env_file=Path(os.devnull), environ=environ or {}, stored=stored, overrides=overrides
    )


def test_what_can_be_overridden() -> None:
    """Goal: the plan's table of what needs no restart, no more."""
    assert set(EDITABLE) == {
        *(key for key in SETTINGS if key.startswith("risk.")),
        "velez.enabled",
        "log.level",
        "watchlist",
    }


def test_the_ledger_stands_above_the_environment() -> None:
    """Goal: default < environment < ledger < --set, each told as the origin."""
    environ = {"ALGO_RISK__MAX_OPEN_POSITIONS": "7", "ALGO_LOG__LEVEL": "debug"}
    found = loaded({KEY: "3"}, environ)
    assert found.settings.risk.max_open_positions == 3
    assert found.origins[KEY] is Origin.LEDGER
    assert str(Origin.LEDGER) == "ledger"
    assert found.origins["log.level"] is Origin.ENVIRONMENT
    assert found.origins["watchlist"] is Origin.DEFAULT
    found = loaded({KEY: "3"}, environ, ("max_open_positions=2",))
    assert (found.settings.risk.max_open_positions, found.origins[KEY]) == (2, Origin.SET)


@pytest.mark.parametrize("key", EDITABLE)
def test_every_default_can_be_stored(key: str) -> None:
    """Goal: canonical text comes back as it went in, and gives the value it came from."""
    default = as_text(SETTINGS[key].default)
    assert checked(key, default) == (key, default)
    assert loaded({key: default}).settings.values()[key] == SETTINGS[key].default


@pytest.mark.parametrize(
    ("assignment", "key", "value"),
    [
        ("max_open_positions= 03 ", KEY, "3"),
        ("risk.max_daily_loss_pct=.020", "risk.max_daily_loss_pct", "0.02"),
        ("velez.enabled=No", "velez.enabled", "false"),
        ("watchlist= AAPL, BRK.B", "watchlist", "AAPL,BRK.B"),
        ("level=WARNING", "log.level", "warning"),
    ],
)
def test_what_is_stored_is_canonical(assignment: str, key: str, value: str) -> None:
    """Goal: one text of one value."""
    assert checked_assignment(assignment) == (key, value)


@pytest.mark.parametrize(
    ("assignment", "told"),
    [
        ("max_open_positions=99", "max_open_positions .* is '99' .* from 1 to 20"),
        ("max_risk_per_trade_pct=0.1", "from 0.001 to 0.05"),
        ("max_open_positions=NaN", "is 'NaN'"),
        ("watchlist=", "watchlist"),
        ("sma_fast=20", "'sma_fast' cannot be overridden .* risk.max_open_positions.*environment"),
        ("broker.provider=embedded", "cannot be overridden"),
        ("nonsense=1", "'nonsense' is not a setting; .*watchlist"),
        ("max_open_positions", "not of the form key=value"),
    ],
)
def test_what_is_out_of_bounds_is_not_stored(assignment: str, told: str) -> None:
    """Goal: one message that names the field, its bounds or what can be overridden."""
    with pytest.raises(ConfigError, match=told):
        checked_assignment(assignment)


@pytest.mark.parametrize(
    ("stored", "told"),
    [
        ({KEY: "99"}, f"{KEY} .* is '99' .*`algo-trader config --unset {KEY}`.* from 1 to 20"),
        ({"broker.provider": "x"}, "'broker.provider' .*--unset broker.provider.* cannot be set"),
        ({"gone.by": "1"}, "'gone.by' .*--unset gone.by"),
    ],
)
def test_a_bad_override_names_its_remedy(stored: dict[str, str], told: str) -> None:
    """Goal: edited by hand, or bounds that have changed: the operator is told the way out."""
    with pytest.raises(ConfigError, match=told):
        loaded(stored)


def test_any_override_can_be_ended() -> None:
    """Goal: what stands in the file can be taken out, whatever it is; else it must be editable."""
    assert overridden("gone.by", {"gone.by": "1"}) == "gone.by"
    assert overridden("max_open_positions", {}) == KEY
    with pytest.raises(ConfigError, match="what can be overridden"):
        overridden("gone.by", {})


def test_secrets_are_masked() -> None:
    """Goal: what is secret by its name is never shown; that it is missing may be."""
    for key in ("broker.api_key", "broker.secret_key", "web.token", "alerts.SECRET"):
        assert masked(key, "hunter2") == MASK
        assert masked(key, "") == ""
        assert masked(key, None) is None
    assert masked(KEY, Decimal(3)) == 3
    assert not any(masked(key, "x") == MASK for key in SETTINGS)
