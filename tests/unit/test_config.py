"""Settings: bounds, precedence, names, and what an operator reads when one is wrong.

Goal: no value gets in that the plan's bounds forbid, none is lost on the way or bent by a float,
and every refusal names field and remedy. Method: tables written from the plan, not from the code;
`.env` files in a temporary folder; the environment is always passed in.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import fields, replace
from decimal import Decimal, FloatOperation, localcontext
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from algo_trader.config import (
    SETTINGS,
    CostSettings,
    LoadedSettings,
    Origin,
    RiskSettings,
    Settings,
    VelezSettings,
    as_text,
    load_settings,
    strategy_overrides,
)
from algo_trader.config.overrides import resolve
from algo_trader.core.errors import ConfigError
from algo_trader.risk.limits import RiskLimits
from algo_trader.strategies.velez import VelezParams
from algo_trader.venue.costs import Costs

# Key, lowest, highest, then the values next to them that are out.
BOUNDS = [
    ("risk.max_risk_per_trade_pct", "0.001", "0.05", "0.00099", "0.0501"),
    ("risk.max_risk_per_trade_abs", "10", "5000", "9.99", "5000.01"),
    ("risk.max_position_pct", "0.01", "0.25", "0.0099", "0.251"),
    ("risk.max_daily_loss_pct", "0.01", "0.10", "0.009", "0.11"),
    ("risk.max_open_positions", "1", "20", "0", "21"),
    ("risk.consecutive_loss_pause", "2", "10", "1", "11"),
    ("velez.sma_fast", "5", "50", "4", "51"),
    ("velez.sma_slow", "100", "500", "99", "501"),
    ("velez.tightness_threshold_pct", "0.5", "5.0", "0.49", "5.01"),
    ("velez.strong_candle_body_pct", "30.0", "80.0", "29.9", "80.1"),
    ("velez.stop_buffer_pct", "0.05", "1.0", "0.049", "1.1"),
    ("velez.stop_buffer_min", "0.01", "0.10", "0.009", "0.11"),
    ("velez.buy_stop_expiry_candles", "1", "5", "0", "6"),
    ("velez.max_run_candles", "2", "10", "1", "11"),
    ("velez.doji_threshold_pct", "1", "25", "0.99", "25.1"),
    ("velez.flatten_minutes_before_close", "1", "30", "0", "31"),
    ("costs.slippage_per_share", "0", "1", "-0.01", "1.01"),
    ("costs.commission_per_share", "0", "1", "-0.01", "1.01"),
    ("costs.commission_per_order", "0", "100", "-1", "100.01"),
    ("broker.requests_per_minute", "10", "10000", "9", "10001"),
    ("broker.entry_limit_cap_pct", "0.01", "5", "0.009", "5.01"),
    ("clock.speed", "1", "1000", "0", "1001"),
    ("embedded.initial_cash", "100", "1000000000", "99", "1000000001"),
    ("embedded.latency_ms", "0", "10000", "-1", "10001"),
    ("embedded.partial_fill_pct", "0", "100", "-1", "101"),
    ("embedded.refuse_pct", "0", "100", "-1", "101"),
    ("embedded.seed", "0", "2147483647", "-1", "2147483648"),
    ("reconcile.stop_pct", "0.5", "20", "0.4", "20.1"),
]
UNBOUNDED = {
    "velez.enabled",
    "velez.candle_interval_minutes",
    "velez.allow_short",
    "costs.regulatory_fees",
    "broker.provider",
    "broker.paper",
    "broker.feed",
    "broker.trading_url",
    "broker.data_url",
    "broker.trade_stream_url",
    "broker.data_stream_url",
    "clock.source",
    "log.level",
    "log.format",
    "watchlist",
}
DECIMALS = [row for row in BOUNDS if isinstance(SETTINGS[row[0]].default, Decimal)]
WHOLES = [row for row in BOUNDS if not isinstance(SETTINGS[row[0]].default, Decimal)]
NOWHERE: Path = Path("/dev/null")
"""An empty settings file, so that no `.env` of the working directory is read."""


def load(
    environ: dict[str, str] | None = None, overrides: Sequence[str] = (), env_file: Path = NOWHERE
) -> LoadedSettings:
    return load_settings(env_file=env_file, environ=environ or {}, overrides=overrides)


def refusal(
    environ: dict[str, str] | None = None, overrides: Sequence[str] = (), env_file: Path = NOWHERE
) -> str:
    with pytest.raises(ConfigError) as caught:
        load(environ, overrides, env_file)
    return str(caught.value)


def env_name(key: str) -> str:
    return "ALGO_" + key.replace(".", "__").upper()


# -- defaults --


@pytest.mark.parametrize(
    ("section", "composed"),
    [(RiskSettings, RiskLimits), (VelezSettings, VelezParams), (CostSettings, Costs)],
)
def test_a_section_has_the_fields_types_and_defaults_of_its_dataclass(
    section: type[BaseModel], composed: type[RiskLimits | VelezParams | Costs]
) -> None:
    model = {name: field.default for name, field in section.model_fields.items()}
    model.pop("enabled", None)
    plain = {field.name: field.default for field in fields(composed)}
    if composed is Costs:
        # The setting says whether; the venue is handed the fees themselves.
        assert plain.pop("fees") is None
        assert model.pop("regulatory_fees") is False
    assert model == plain
    assert {name: type(value) for name, value in model.items()} == {
        name: type(value) for name, value in plain.items()
    }


def test_defaults_compose_the_default_dataclasses() -> None:
    settings = load().settings
    assert settings == Settings()
    assert settings.risk_limits() == RiskLimits()
    assert settings.velez_params() == VelezParams()
    assert settings.cost_model() == Costs()
    assert settings.watchlist == ("AAPL", "TSLA", "AMD", "NVDA", "META")
    assert settings.velez.enabled
    assert not settings.velez.allow_short


def test_every_default_is_allowed() -> None:
    given_all = {setting.env_name: as_text(setting.default) for setting in SETTINGS.values()}
    loaded = load(given_all)
    assert loaded.settings == Settings()
    assert set(loaded.origins.values()) == {Origin.ENVIRONMENT}


def test_sections_take_typed_values_under_the_same_bounds() -> None:
    risk = RiskSettings(max_open_positions=3, max_daily_loss_pct=Decimal("0.02"))
    velez = VelezSettings(allow_short=True)
    settings = Settings(risk=risk, velez=velez, watchlist=("AAPL",))
    assert settings.risk_limits() == RiskLimits(
        max_open_positions=3, max_daily_loss_pct=Decimal("0.02")
    )
    assert settings.velez_params() == VelezParams(allow_short=True)
    for bad in ({"max_open_positions": True}, {"max_position_pct": Decimal("NaN")}, {"other": 1}):
        with pytest.raises(ValidationError):
            RiskSettings.model_validate(bad)
    with pytest.raises(ValidationError):
        Settings.model_validate({"watchlist": 5})


def test_settings_cannot_be_changed() -> None:
    settings = load().settings
    with pytest.raises(ValidationError):
        settings.watchlist = ("AAPL",)
    with pytest.raises(ValidationError):
        settings.risk.max_open_positions = 20


def test_settings_alone_ignore_the_process_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALGO_RISK__MAX_OPEN_POSITIONS", "7")
    monkeypatch.setenv("ALGO_RISK", '{"max_open_positions": 7}')
    assert Settings() == load().settings


def test_every_setting_has_names_meaning_and_allowed_values() -> None:
    assert set(SETTINGS) == {row[0] for row in BOUNDS} | UNBOUNDED
    for key, setting in SETTINGS.items():
        assert setting.key == key
        assert setting.env_name == env_name(key)
        assert setting.meaning.endswith(".")
        assert setting.allowed


# -- bounds --


@pytest.mark.parametrize(("key", "low", "high", "below", "above"), BOUNDS)
def test_bounds_of_the_plan(key: str, low: str, high: str, below: str, above: str) -> None:
    for allowed in (low, high):
        value = load({env_name(key): allowed}).settings.values()[key]
        assert value == Decimal(allowed)
    for out in (below, above):
        message = refusal({env_name(key): out})
        assert f"{key} ({env_name(key)}) is '{out}' (environment)" in message
        assert f"from {as_text(Decimal(low))} to {as_text(Decimal(high))}" in message


@pytest.mark.parametrize("minutes", ["1", "2", "5", "10"])
def test_candle_intervals(minutes: str) -> None:
    settings = load(overrides=[f"candle_interval_minutes={minutes}"]).settings
    assert settings.velez_params().candle_interval_minutes == int(minutes)


@pytest.mark.parametrize("minutes", ["0", "3", "15", "2.0", "", "two"])
def test_other_candle_intervals_are_refused(minutes: str) -> None:
    message = refusal(overrides=[f"candle_interval_minutes={minutes}"])
    assert "velez.candle_interval_minutes" in message
    assert "one of 1, 2, 5, 10" in message


@pytest.mark.parametrize("row", DECIMALS, ids=lambda row: row[0])
@pytest.mark.parametrize(
    "bad", ["", "x", "NaN", "sNaN", "Infinity", "-inf", "1e-2", "0,02", "1_0", "0x1", "1%", "٣"]
)
def test_a_decimal_is_plain_and_finite(row: tuple[str, ...], bad: str) -> None:
    message = refusal({env_name(row[0]): bad})
    assert message.startswith(f"{row[0]} (")
    assert "not a plain decimal number" in message
    assert "\n" not in message


@pytest.mark.parametrize("row", WHOLES, ids=lambda row: row[0])
@pytest.mark.parametrize("bad", ["", "x", "5.0", "1e1", "1_0", "true", "NaN", "9" * 5000])
def test_a_whole_number_is_whole(row: tuple[str, ...], bad: str) -> None:
    message = refusal({env_name(row[0]): bad})
    assert message.startswith(f"{row[0]} (")
    assert "not a plain whole number" in message
    assert len(message) < 400


@pytest.mark.parametrize("row", DECIMALS, ids=lambda row: row[0])
def test_a_decimal_has_nine_places_and_twelve_digits_at_most(row: tuple[str, ...]) -> None:
    key, low, *_ = row
    finest = Decimal(low) + Decimal("1e-9")
    assert load({env_name(key): f"{finest:f}000"}).settings.values()[key] == finest
    message = refusal({env_name(key): f"{Decimal(low) + Decimal('1e-10'):f}"})
    assert "of more than 9 decimal places; allowed: a number from" in message
    for large in ("1000000000000", "-1000000000000", "9" * 5000):
        assert "not below 1,000,000,000,000; allowed:" in refusal({env_name(key): large})


@hypothesis_settings(deadline=None)
@given(data=st.data())
@pytest.mark.parametrize("row", DECIMALS, ids=lambda row: row[0])
def test_any_decimal_within_bounds_arrives_exactly(
    row: tuple[str, ...], data: st.DataObject
) -> None:
    key, low, high, *_ = row
    places = data.draw(st.integers(3, 9))
    value = data.draw(st.decimals(low, high, allow_nan=False, places=places))
    written = format(value, "f")
    settings = load({env_name(key): written}).settings
    found = settings.values()[key]
    assert found.as_tuple() == Decimal(written).as_tuple()
    section, _, name = key.partition(".")
    if section in settings.effective():  # Of a backtest: what concerns the daemon alone is not.
        assert Decimal(str(settings.effective()[section][name])) == value


@hypothesis_settings(deadline=None)
@given(st.floats())
def test_a_float_is_never_taken(value: float) -> None:
    with pytest.raises(ValidationError):
        RiskSettings.model_validate({"max_risk_per_trade_abs": value})


def test_no_float_meets_a_decimal_anywhere() -> None:
    with localcontext() as context:
        context.traps[FloatOperation] = True
        load({env_name(row[0]): row[1] for row in BOUNDS})
        refusal({env_name(row[0]): row[4] for row in BOUNDS})


@pytest.mark.parametrize(
    ("written", "value"),
    [("true", True), ("YES", True), ("1", True), ("False", False), ("no", False), ("0", False)],
)
def test_flags(written: str, value: bool) -> None:
    assert load(overrides=[f"allow_short={written}"]).settings.velez.allow_short is value


@pytest.mark.parametrize("bad", ["", "maybe", "2", "on", "t"])
def test_other_flags_are_refused(bad: str) -> None:
    assert "allowed: true or false" in refusal({"ALGO_VELEZ__ALLOW_SHORT": bad})


# -- watchlist --


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("AAPL", ("AAPL",)),
        ("AAPL,MSFT", ("AAPL", "MSFT")),
        (" AAPL , BRK.B ", ("AAPL", "BRK.B")),
        ('["AAPL", "MSFT"]', ("AAPL", "MSFT")),
        ("A234567890", ("A234567890",)),
    ],
)
def test_watchlist(written: str, expected: tuple[str, ...]) -> None:
    assert load({"ALGO_WATCHLIST": written}).settings.watchlist == expected
    assert load(overrides=[f"watchlist={written}"]).settings.watchlist == expected


@pytest.mark.parametrize(
    ("written", "reason"),
    [
        ("", "an empty list"),
        ("[]", "an empty list"),
        ("AAPL,,MSFT", "'' is not a symbol"),
        ("aapl", "'aapl' is not a symbol"),
        ("A2345678901", "'A2345678901' is not a symbol"),
        ("9A", "'9A' is not a symbol"),
        ("AAPL;MSFT", "'AAPL;MSFT' is not a symbol"),
        ("AAPL,MSFT,AAPL", "AAPL is in it twice"),
        ('["AAPL", "AAPL"]', "AAPL is in it twice"),
        ('["AAPL"', "not a JSON list"),
        ("[" * 100_000, "not a JSON list"),
        ('["AAPL", 1]', "1 is not a symbol"),
    ],
)
def test_bad_watchlists(written: str, reason: str) -> None:
    message = refusal({"ALGO_WATCHLIST": written})
    assert message.startswith("watchlist (ALGO_WATCHLIST) is ")
    assert reason in message


# -- precedence and origins --


def test_defaults_then_env_file_then_environment_then_set(tmp_path: Path) -> None:
    path = tmp_path / "some.env"
    path.write_text(
        "ALGO_RISK__MAX_OPEN_POSITIONS=6\n"
        "ALGO_RISK__CONSECUTIVE_LOSS_PAUSE=4\n"
        "ALGO_RISK__MAX_DAILY_LOSS_PCT=0.02\n"
    )
    loaded = load(
        {"ALGO_RISK__CONSECUTIVE_LOSS_PAUSE": "5", "ALGO_RISK__MAX_DAILY_LOSS_PCT": "0.04"},
        ["max_daily_loss_pct=0.06"],
        path,
    )
    assert loaded.settings.risk_limits() == replace(
        RiskLimits(),
        max_open_positions=6,
        consecutive_loss_pause=5,
        max_daily_loss_pct=Decimal("0.06"),
    )
    assert loaded.env_file == path
    assert set(loaded.origins) == set(SETTINGS)
    told = {key: str(origin) for key, origin in loaded.origins.items() if origin != "default"}
    assert told == {
        "risk.max_open_positions": ".env",
        "risk.consecutive_loss_pause": "environment",
        "risk.max_daily_loss_pct": "--set",
    }


def test_dot_env_of_the_working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert load_settings(env_file=None, environ={}).env_file is None
    Path(".env").write_text("ALGO_WATCHLIST=AAPL\n")
    loaded = load_settings(env_file=None, environ={})
    assert loaded.settings.watchlist == ("AAPL",)
    assert loaded.env_file == Path(".env")


def test_a_named_file_must_exist_and_be_readable(tmp_path: Path) -> None:
    missing = tmp_path / "gone.env"
    assert f"{missing} does not exist" in refusal(env_file=missing)
    assert f"{tmp_path} cannot be read" in refusal(env_file=tmp_path)
    missing.write_bytes(b"ALGO_WATCHLIST=\xff\n")
    assert "it is not UTF-8 text" in refusal(env_file=missing)


def test_the_grammar_of_a_settings_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOSS", "0.05")
    path = tmp_path / ".env"
    path.write_text(
        "\ufeff# a comment with ALGO_NOTHING=1\n"
        "OTHER=thing\nnot a line of it\n"
        "ALGO_DATA_DIR=somewhere\n"
        "export ALGO_RISK__MAX_OPEN_POSITIONS='7'  # seven\n"
        "ALGO_RISK__MAX_RISK_PER_TRADE_ABS=100\n"
        "ALGO_RISK__MAX_RISK_PER_TRADE_ABS = 200\n"
        'ALGO_WATCHLIST=["AAPL", "MSFT"]\n',
        encoding="utf-8",
    )
    settings = load(env_file=path).settings
    assert settings.risk.max_open_positions == 7
    assert settings.risk.max_risk_per_trade_abs == 200
    assert settings.watchlist == ("AAPL", "MSFT")
    path.write_text("ALGO_RISK__MAX_DAILY_LOSS_PCT=${LOSS}\n")
    assert "is '${LOSS}'" in refusal(env_file=path)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("A=1\nALGO_RISK__MAX_OPEN_POSITIONS\n", "line 2) has no value; write ALGO_RISK__MAX_O"),
        ('\n\nALGO_RISK__MAX_OPEN_POSITIONS="3\n', "line 3) cannot be read; write NAME=value"),
        ("ALGO_RISK__MAX_OPEN_POSITIONS=\n", "is '' ({path} line 1), not a plain whole"),
        (
            "A=1\n\n\nALGO_RISK__MAX_OPEN_POSITIONS=99\n",
            "is '99' ({path} line 4); allowed: a whole",
        ),
        ("ALGO_RISK__MAX_OPEN_POSITIONS=99\n", "is '99' ({path} line 1); allowed: a whole"),
        ("ALGO_RISK__MAX_POSITIONS=3\n", "({path} line 1) is not a setting; did you mean"),
    ],
)
def test_what_is_wrong_in_a_file_is_named_with_its_line(
    tmp_path: Path, content: str, expected: str
) -> None:
    path = tmp_path / "my.env"
    path.write_text(content)
    message = refusal(env_file=path)
    assert expected.format(path=path) in message
    assert str(path) in message
    assert "\n" not in message


# -- names --


@pytest.mark.parametrize(
    ("name", "suggested"),
    [
        ("ALGO_RISK_MAX_DAILY_LOSS_PCT", "ALGO_RISK__MAX_DAILY_LOSS_PCT"),
        ("ALGO_RISK__MAX_DAILY_LOSS", "ALGO_RISK__MAX_DAILY_LOSS_PCT"),
        ("ALGO_VELES__SMA_FAST", "ALGO_VELEZ__SMA_FAST"),
        ("algo_risk__max_open_positions", "ALGO_RISK__MAX_OPEN_POSITIONS"),
        ("ALGO_DATADIR", "ALGO_DATA_DIR"),
    ],
)
def test_a_misspelled_variable_is_an_error_with_a_suggestion(name: str, suggested: str) -> None:
    message = refusal({name: "1"})
    assert message == f"'{name}' (environment) is not a setting; did you mean {suggested}?"


def test_a_name_like_no_other_is_told_where_to_look() -> None:
    assert refusal({"ALGO_ZZZ": "1"}).endswith("is not a setting; .env.example lists every setting")
    # A section as JSON would bring its numbers in as floats.
    assert "'ALGO_RISK'" in refusal({"ALGO_RISK": '{"max_open_positions": 3}'})


def test_other_variables_are_none_of_our_business() -> None:
    environ = {"PATH": "/bin", "ALGORITHM": "1", "ALGO_DATA_DIR": "d", "ALGO_REAL_DATA": "r"}
    assert load(environ).settings == Settings()


@pytest.mark.parametrize(
    ("override", "key", "value"),
    [
        ("tightness_threshold_pct=0.5", "velez.tightness_threshold_pct", Decimal("0.5")),
        ("max_open_positions=3", "risk.max_open_positions", 3),
        ("velez.enabled=false", "velez.enabled", False),
        ("risk.max_daily_loss_pct = 0.02", "risk.max_daily_loss_pct", Decimal("0.02")),
        ("costs.slippage_per_share=0", "costs.slippage_per_share", Decimal(0)),
    ],
)
def test_set(override: str, key: str, value: object) -> None:
    loaded = load(overrides=[override])
    assert loaded.settings.values()[key] == value
    assert loaded.origins[key] is Origin.SET


def test_the_last_of_two_overrides_holds() -> None:
    overrides = ["max_open_positions=99", "risk.max_open_positions=4"]
    assert load(overrides=overrides).settings.risk.max_open_positions == 4


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("max_open_position=3", "is not a setting; did you mean max_open_positions?"),
        ("velez.max_daily_loss_pct=1", "is not a setting; did you mean "),
        ("Sma_Fast=9", "is not a setting; did you mean sma_fast?"),
        ("sma_fast", "is not of the form key=value"),
        ("=9", "is not of the form key=value"),
        ("", "is not of the form key=value"),
    ],
)
def test_bad_overrides(override: str, message: str) -> None:
    found = refusal(overrides=[override])
    assert message in found
    assert "(--set)" in found


def test_an_ambiguous_bare_name_lists_its_candidates() -> None:
    keys = ["velez.enabled", "other.enabled", "risk.max_open_positions"]
    assert resolve("other.enabled", keys) == "other.enabled"
    with pytest.raises(ConfigError, match=r"; write one of velez\.enabled, other\.enabled"):
        resolve("enabled", keys)


# -- messages --


def test_ten_per_cent_for_one_is_refused_with_a_hint() -> None:
    assert refusal({"ALGO_RISK__MAX_RISK_PER_TRADE_PCT": "0.1"}) == (
        "risk.max_risk_per_trade_pct (ALGO_RISK__MAX_RISK_PER_TRADE_PCT) is '0.1' (environment);"
        " allowed: a number from 0.001 to 0.05."
        " Most of the equity that one trade may lose; a fraction: 0.01 is 1 per cent."
    )


@pytest.mark.parametrize(
    ("overrides", "lower", "upper"),
    [
        (["sma_fast=200"], "'200' (--set)", "'200' (default)"),
        (["sma_fast=300", "sma_slow=250"], "'300' (--set)", "'250' (--set)"),
        (["sma_slow=10"], "'20' (default)", "'10' (--set)"),
    ],
)
def test_averages_out_of_order_are_both_named(overrides: list[str], lower: str, upper: str) -> None:
    line = refusal(overrides=overrides).splitlines()[-1]
    assert line == (
        f"velez.sma_fast (ALGO_VELEZ__SMA_FAST) is {lower} and must be less than"
        f" velez.sma_slow (ALGO_VELEZ__SMA_SLOW), which is {upper}"
    )


def test_body_thresholds_out_of_order_are_both_named() -> None:
    line = refusal(overrides=["doji_threshold_pct=50"]).splitlines()[-1]
    assert "velez.doji_threshold_pct" in line
    assert "velez.strong_candle_body_pct" in line


def test_bounds_alone_keep_the_order() -> None:
    bounds = {row[0]: row for row in BOUNDS}
    assert Decimal(bounds["velez.sma_fast"][2]) < Decimal(bounds["velez.sma_slow"][1])
    doji, strong = bounds["velez.doji_threshold_pct"], bounds["velez.strong_candle_body_pct"]
    assert Decimal(doji[1]) > 0
    assert Decimal(doji[2]) < Decimal(strong[1])


def test_several_problems_have_a_line_each(tmp_path: Path) -> None:
    path = tmp_path / ".env"
    path.write_text("ALGO_RISK__MAX_POSITION_PCT=5\nALGO_NO=1\n")
    message = refusal(
        {"ALGO_RISK__MAX_OPEN_POSITIONS": "many", "ALGO_VELEZ__SMA_FATS": "5"},
        ["velez.enabled=perhaps", "nonsense"],
        path,
    )
    lines = message.splitlines()
    assert len(lines) == 6
    starts = [line.split(" ")[0] for line in lines]
    assert starts == [
        "'ALGO_NO'",
        "'ALGO_VELEZ__SMA_FATS'",
        "'nonsense'",
        "risk.max_position_pct",
        "risk.max_open_positions",
        "velez.enabled",
    ]


def test_messages_are_free_of_the_libraries_words() -> None:
    everything = {setting.env_name: "bad" for setting in SETTINGS.values()}
    message = refusal(everything)
    assert len(message.splitlines()) == len(SETTINGS)
    forbidden = r"pydantic|https?:|value error|input_|type=|\bloc\b"
    assert not re.search(forbidden, message, re.IGNORECASE)


# -- run.params --


def test_effective_settings_for_a_run() -> None:
    effective = load({"ALGO_VELEZ__TIGHTNESS_THRESHOLD_PCT": "0.500"}).settings.effective()
    assert effective["risk"] == {
        "max_risk_per_trade_pct": "0.01",
        "max_risk_per_trade_abs": "500",
        "max_position_pct": "0.05",
        "max_daily_loss_pct": "0.03",
        "max_open_positions": 5,
        "consecutive_loss_pause": 3,
    }
    assert effective["costs"] == {
        "slippage_per_share": "0.01",
        "commission_per_share": "0",
        "commission_per_order": "0",
        "regulatory_fees": False,
    }
    velez = effective["velez"]
    assert velez["tightness_threshold_pct"] == "0.5"
    assert velez["sma_slow"] == 200
    assert velez["allow_short"] is False
    assert set(velez) == {"enabled"} | {field.name for field in fields(VelezParams)}


# -- a user's own strategy --

PARAMETERS: dict[str, Any] = {
    "lookback": 20,
    "width_pct": Decimal("1.5"),
    "is_eager": False,
    "mode": "fast",
    "sma_fast": 9,
    "slippage_per_share": Decimal("0.5"),
    "ratio": 0.5,
}


def test_overrides_of_a_strategy_are_taken_out_and_typed() -> None:
    overrides = [
        "lookback=30",
        "strategy.width_pct=0.1",
        "is_eager=yes",
        "mode= slow=ish ",
        "max_open_positions=2",
        "sma_fast=3",
        "velez.sma_fast=10",
        "strategy.slippage_per_share=0.25",
        "costs.slippage_per_share=0.02",
        "lookback=31",
    ]
    chosen, rest = strategy_overrides(overrides, PARAMETERS)
    assert chosen == {
        "lookback": 31,
        "width_pct": Decimal("0.1"),
        "is_eager": True,
        "mode": "slow=ish",
        "sma_fast": 3,
        "slippage_per_share": Decimal("0.25"),
    }
    assert {name: type(value) for name, value in chosen.items()} == {
        name: type(PARAMETERS[name]) for name in chosen
    }
    assert rest == ["max_open_positions=2", "velez.sma_fast=10", "costs.slippage_per_share=0.02"]
    assert load(overrides=rest).settings.velez.sma_fast == 10


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("lookback=2.5", "strategy.lookback is '2.5' (--set), not a plain whole number such as 5"),
        ("width_pct=NaN", "strategy.width_pct is 'NaN' (--set), not a plain decimal number"),
        ("is_eager=maybe", "strategy.is_eager is 'maybe' (--set), neither true nor false"),
        ("ratio=0.4", 'of type float, not int, Decimal, bool or str; write Decimal("0.5")'),
        ("slippage_per_share=1", "one of strategy.slippage_per_share, costs.slippage_per_share"),
        ("strategy.lookbak=3", "not a parameter of the strategy; did you mean strategy.lookback?"),
        ("lookbak=3", "not a parameter of the strategy or a setting; did you mean lookback?"),
        ("max_open_position=3", "did you mean max_open_positions?"),
        ("lookback", "is not of the form key=value"),
    ],
)
def test_bad_overrides_of_a_strategy(override: str, message: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(message)):
        strategy_overrides([override], PARAMETERS)


def test_problems_of_a_strategy_have_a_line_each() -> None:
    with pytest.raises(ConfigError) as caught:
        strategy_overrides(["lookback=x", "mode=ok", "is_eager=x"], PARAMETERS)
    assert len(str(caught.value).splitlines()) == 2
