"""Settings: what the operator may choose, within which bounds, and where each value came from.

Nothing else reads `.env` or the variables of the environment; it is handed what it needs. The
parts of the program do not know it: it composes their plain dataclasses and takes its defaults
from them, so that a default is written once, beside its part, and a bound once, here.

A name is imported from its module when it is first asked for: the table of settings takes longer
to import than a verb that only wants the data directory takes in all.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
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
else:
    _MODULES = {
        "fees": ("require_fees",),
        "loading": ("LoadedSettings", "Origin", "load_settings"),
        "overrides": ("strategy_overrides",),
        "settings": (
            "SETTINGS",
            "CostSettings",
            "RiskSettings",
            "Setting",
            "Settings",
            "VelezSettings",
            "as_text",
        ),
    }

    def __getattr__(name):
        for module, names in _MODULES.items():
            if name in names:
                return getattr(import_module(f"{__name__}.{module}"), name)
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


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
