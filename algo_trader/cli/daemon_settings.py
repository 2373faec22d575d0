"""The settings of a daemon: what `start` was given, what the ledger overrides, what is in force.

Overrides are checked against the bounds before they are stored; limits, log level and whether new
positions are wanted follow at once.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from algo_trader.cli.main import Globals
from algo_trader.config import LoadedSettings, as_text, load_settings
from algo_trader.config.editable import checked, overridden
from algo_trader.config.overrides import resolve, split
from algo_trader.core.errors import ConfigError
from algo_trader.runtime.daemon import Daemon
from algo_trader.runtime.handlers import SettingsDesk
from algo_trader.runtime.logs import Logs
from algo_trader.strategies import Velez


@dataclass(frozen=True, slots=True, kw_only=True)
class Choices:
    """What the command line asked for."""

    paths: tuple[Path, ...]
    first: date | None
    last: date | None
    speed: float | None
    exit_at_end: bool
    reference: str
    overrides: tuple[str, ...]


def settings_desk(options: Globals, choices: Choices, daemon: Daemon, logs: Logs) -> SettingsDesk:
    """Overrides are checked against the settings' bounds; limits and log level follow at once."""

    given = {resolve(split(override)[0]) for override in choices.overrides}
    # Frozen: a file edited meanwhile takes effect at the next start, not by the way.
    below = load(options, choices, {}).settings.values()

    def follow(stored: Mapping[str, str]) -> LoadedSettings:
        values = {key: as_text(value) for key, value in below.items()} | dict(stored)
        return load_settings(
            env_file=Path(os.devnull),
            environ={},
            overrides=[f"{key}={value}" for key, value in values.items()],
        )

    def check(key: str, value: str | None, stored: Mapping[str, str]) -> tuple[str, str | None]:
        name, text = (overridden(key, stored), None) if value is None else checked(key, value)
        if name in given:
            raise ConfigError(f"{name} was given to start by --set, which wins: start without it")
        kept = {other: stored[other] for other in stored if other != name}
        follow(kept if text is None else kept | {name: text})  # Bad together: nothing is stored.
        return name, text

    def apply(stored: Mapping[str, str]) -> None:
        loaded = follow(stored)
        daemon.engine.change_limits(loaded.settings.risk_limits())
        daemon.permit(takes_entries=takes_entries(choices, loaded))
        logs.set_level(level(options, loaded))

    return SettingsDesk(check=check, apply=apply)


def takes_entries(choices: Choices, loaded: LoadedSettings) -> bool:
    """A strategy that is switched off opens nothing; what it holds is looked after."""
    return loaded.settings.velez.enabled or choices.reference != Velez.__name__.lower()


def load(options: Globals, choices: Choices, stored: Mapping[str, str]) -> LoadedSettings:
    """Every layer, the ledger's overrides among them, as they are at this moment."""
    return load_settings(
        env_file=options.env_file,
        environ=os.environ,
        stored=stored,
        overrides=choices.overrides,
    )


def level(options: Globals, loaded: LoadedSettings) -> str:
    """The log's level: -q and -v win over the setting."""
    levels = {-1: "error", 0: loaded.settings.log.level}
    return levels.get(options.verbosity, "debug")
