"""The settings themselves: sections, bounds, meanings, and the table of all names.

Each section mirrors a plain dataclass beside the part it steers; defaults are taken from there, a
test compares the fields. `*_pct` of risk are fractions (0.01 is one per cent), those of velez are
per cent (2.0 is two per cent): both are the plan's, and every meaning says which it is.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from decimal import Decimal
from typing import Annotated, Any, Literal, get_args, get_origin

from pydantic import BaseModel, BeforeValidator
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from algo_trader.config.broker import (
    BrokerSettings,
    ClockSettings,
    EmbeddedSettings,
    ReconcileSettings,
)
from algo_trader.config.fees import fee_schedule
from algo_trader.config.sections import (
    Flag,
    Interval,
    Number,
    Section,
    Symbols,
    Whole,
    decimal,
    integer,
    listed,
)
from algo_trader.config.values import ENV_PREFIX, word
from algo_trader.core.types import text
from algo_trader.risk.limits import RiskLimits
from algo_trader.strategies.velez import VelezParams
from algo_trader.venue.costs import Costs
from algo_trader.venue.rules import VenueRules

ENV_DELIMITER = "__"
WATCHLIST = ("AAPL", "TSLA", "AMD", "NVDA", "META")

class RiskSettings(Section):
    """Limits on new risk; see RiskLimits."""

    max_risk_per_trade_pct: Number = decimal(
        RiskLimits().max_risk_per_trade_pct,
        "0.001",
        "0.05",
        "Most of the equity that one trade may lose; a fraction: 0.01 is 1 per cent.",
    )
    max_risk_per_trade_abs: Number = decimal(
        RiskLimits().max_risk_per_trade_abs,
        "10",
        "5000",
        "Most that one trade may lose, in dollars.",
    )
    max_position_pct: Number = decimal(
        RiskLimits().max_position_pct,
        "0.01",
        "0.25",
        "Most of the equity in one position; a fraction: 0.05 is 5 per cent.",
    )
    max_daily_loss_pct: Number = decimal(
        RiskLimits().max_daily_loss_pct,
        "0.01",
        "0.10",
        "Loss that ends a session's entries, of its first equity; a fraction: 0.03 is 3 per cent.",
    )
    max_open_positions: Whole = integer(
        RiskLimits().max_open_positions, 1, 20, "Most open positions and resting entries at once."
    )
    consecutive_loss_pause: Whole = integer(
        RiskLimits().consecutive_loss_pause,
        2,
        10,
        "Losing trades in a row that end new entries for the session.",
    )


class VelezSettings(Section):
    """The Velez strategy; see VelezParams."""

    enabled: Flag = listed(True, "Whether the daemon trades this strategy.")
    sma_fast: Whole = integer(VelezParams().sma_fast, 5, 50, "Candles in the fast average.")
    sma_slow: Whole = integer(VelezParams().sma_slow, 100, 500, "Candles in the slow average.")
    candle_interval_minutes: Interval = listed(
        VelezParams().candle_interval_minutes, "Length of a candle in minutes."
    )
    tightness_threshold_pct: Number = decimal(
        VelezParams().tightness_threshold_pct,
        "0.5",
        "5.0",
        "The averages are tight when closer than this, in per cent of the close (2 is 2 per cent).",
    )
    strong_candle_body_pct: Number = decimal(
        VelezParams().strong_candle_body_pct,
        "30.0",
        "80.0",
        "A candle is strong from this body on, in per cent of its range.",
    )
    stop_buffer_pct: Number = decimal(
        VelezParams().stop_buffer_pct,
        "0.05",
        "1.0",
        "Distance of the stop beyond the signal candle, in per cent of its low (short: high).",
    )
    stop_buffer_min: Number = decimal(
        VelezParams().stop_buffer_min,
        "0.01",
        "0.10",
        "Least distance of the stop beyond the signal candle, in dollars.",
    )
    buy_stop_expiry_candles: Whole = integer(
        VelezParams().buy_stop_expiry_candles, 1, 5, "Candles an unfilled entry rests."
    )
    max_run_candles: Whole = integer(
        VelezParams().max_run_candles,
        2,
        10,
        "Strong candles in a row, after a confirmed pullback, that end the trade.",
    )
    doji_threshold_pct: Number = decimal(
        VelezParams().doji_threshold_pct,
        "1",
        "25",
        "A candle is neutral below this body, in per cent of its range.",
    )
    flatten_minutes_before_close: Whole = integer(
        VelezParams().flatten_minutes_before_close,
        1,
        30,
        "Minutes before the session's close at which positions are sold.",
    )
    allow_short: Flag = listed(
        VelezParams().allow_short, "Whether mirrored short entries are taken."
    )


class CostSettings(Section):
    """What a fill costs beyond its price, in backtests and on the embedded exchange; see Costs."""

    slippage_per_share: Number = decimal(
        Costs().slippage_per_share, "0", "1", "Dollars a share by which every fill is worse."
    )
    commission_per_share: Number = decimal(
        Costs().commission_per_share, "0", "1", "Commission in dollars a share, on every fill."
    )
    commission_per_order: Number = decimal(
        Costs().commission_per_order, "0", "100", "Commission in dollars, on every fill."
    )
    regulatory_fees: Flag = listed(
        Costs().fees is not None,
        "Whether sells, those that open a short too, pay the SEC's and FINRA's fees of their date.",
    )


class LogSettings(Section):
    """The daemon's log."""

    level: Annotated[
        Literal["debug", "info", "warning", "error"], BeforeValidator(word)
    ] = listed("info", "The least level that is written.")
    format: Annotated[Literal["auto", "text", "json"], BeforeValidator(word)] = listed(
        "auto", "Lines for people or for programs; auto: text on a terminal, JSON elsewhere."
    )


class Settings(BaseSettings):
    """Every setting, checked; `load_settings` makes it, `Settings()` is the defaults alone."""

    model_config = SettingsConfigDict(
        env_prefix=ENV_PREFIX, env_nested_delimiter=ENV_DELIMITER, frozen=True, extra="forbid"
    )

    risk: RiskSettings = RiskSettings()
    velez: VelezSettings = VelezSettings()
    costs: CostSettings = CostSettings()
    broker: BrokerSettings = BrokerSettings()
    embedded: EmbeddedSettings = EmbeddedSettings()
    clock: ClockSettings = ClockSettings()
    reconcile: ReconcileSettings = ReconcileSettings()
    log: LogSettings = LogSettings()
    watchlist: Symbols = listed(WATCHLIST, "Stocks to trade.")

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Only what it is handed. The library's own sources keep no account of where a value
        came from, pass over names they do not know, and read JSON numbers as floats.
        """
        return (init_settings,)

    def risk_limits(self) -> RiskLimits:
        """The limits as the risk rules want them."""
        return RiskLimits(**_chosen(self.risk, RiskLimits))

    def velez_params(self) -> VelezParams:
        """The parameters as the strategy wants them."""
        return VelezParams(**_chosen(self.velez, VelezParams))

    def cost_model(self) -> Costs:
        """The costs as the venue wants them, with the table of fees if they are wanted."""
        chosen = dict(self.costs)
        wants_fees = chosen.pop("regulatory_fees")
        return Costs(**chosen, fees=fee_schedule() if wants_fees else None)

    def venue_rules(self) -> VenueRules:
        """How the embedded exchange treats orders."""
        return VenueRules(
            partial_fill_pct=self.embedded.partial_fill_pct,
            refuse_pct=self.embedded.refuse_pct,
            seed=self.embedded.seed,
        )

    def values(self) -> dict[str, Any]:
        """Every setting by its key, such as risk.max_daily_loss_pct, in the order of the table."""
        found: dict[str, Any] = {}
        for key in SETTINGS:
            value: Any = self
            for part in key.split("."):
                value = getattr(value, part)
            found[key] = value
        return found

    def effective(self) -> dict[str, dict[str, str | int | bool]]:
        """Strategy, risk and costs for `run.params`: decimals as canonical text."""
        sections: dict[str, Section] = {
            "velez": self.velez,
            "risk": self.risk,
            "costs": self.costs,
        }
        return {
            section: {
                name: text(value) if isinstance(value, Decimal) else value for name, value in model
            }
            for section, model in sections.items()
        }


def _chosen(section: Section, composed: type[RiskLimits | VelezParams]) -> dict[str, Any]:
    return {field.name: getattr(section, field.name) for field in fields(composed)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """One setting: its names, default, meaning (a sentence) and allowed values (a phrase)."""

    key: str
    default: Any
    meaning: str
    allowed: str

    @property
    def env_name(self) -> str:
        """The name in the environment and in `.env`."""
        return ENV_PREFIX + self.key.upper().replace(".", ENV_DELIMITER)


def as_text(value: Any) -> str:
    """A setting's value as an operator would write it."""
    if isinstance(value, Decimal):
        return text(value)
    if isinstance(value, tuple):
        return ",".join(value)
    return str(value).lower() if isinstance(value, bool) else str(value)


def _allowed(field: FieldInfo) -> str:
    """The allowed values in words, read off the very bounds that are checked."""
    if field.annotation is bool:
        return "true or false"
    if get_origin(field.annotation) is Literal:
        return "one of " + ", ".join(map(str, get_args(field.annotation)))
    if field.annotation is str:
        return "a URL, or nothing for the broker's own"
    if field.annotation in (Decimal, int):
        low = next(bound.ge for bound in field.metadata if hasattr(bound, "ge"))
        high = next(bound.le for bound in field.metadata if hasattr(bound, "le"))
        kind = "a number" if field.annotation is Decimal else "a whole number"
        return f"{kind} from {as_text(low)} to {as_text(high)}"
    return (
        "one symbol or more, each once, such as AAPL,BRK.B;"
        " a capital letter, then up to nine capitals, digits or dots"
    )


def _walk(model: type[BaseModel], prefix: str = "") -> Iterator[Setting]:
    for name, field in model.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, Section):
            yield from _walk(field.annotation, f"{name}.")
        else:
            yield Setting(
                key=prefix + name,
                default=field.default,
                meaning=field.description or "",
                allowed=_allowed(field),
            )


SETTINGS: Mapping[str, Setting] = {setting.key: setting for setting in _walk(Settings)}
"""Every setting by its key, section by section."""
