"""Settings: what the operator may choose, within which bounds, and where each value came from.

Nothing else reads `.env` or the variables of the environment; it is handed what it needs. The
parts of the program do not know it: it composes their plain dataclasses and takes its defaults
from them, so that a default is written once, beside its part, and a bound once, here.
"""

from algo_trader.config.fees import require_fees
from algo_trader.config.loading import LoadedSettings, Origin, load_settings
from algo_trader.config.overrides import strategy_overrides
from algo_trader.config.settings import (
    SETTINGS,
    CostSettings,
    RiskSettings,
    Setting,
    Settings,
    VelezSettings,
    as_text,
)

__all__ = [
    "SETTINGS",
    "CostSettings",
    "LoadedSettings",
    "Origin",
    "RiskSettings",
    "Setting",
    "Settings",
    "VelezSettings",
    "as_text",
    "load_settings",
    "require_fees",
    "strategy_overrides",
]
