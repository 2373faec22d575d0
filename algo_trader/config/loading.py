"""Reading the settings: defaults < `.env` < environment < ledger < `--set`, and who won.

Each layer is a table from a setting's key to the text it was given; a later layer replaces an
earlier one's entry, and what is left is checked. Problems are gathered, so that an operator sees
all of them at once. A name that begins with ALGO_ and means nothing is an error: a limit that is
misspelled must not quietly be the default.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

from pydantic import ValidationError

from algo_trader.config import messages
from algo_trader.config.env_file import (
    DATA_DIR,
    KEY_NAMES,
    env_file_in_force,
    is_ours,
    lines_of,
)
from algo_trader.config.overrides import EDITABLE, resolve, split
from algo_trader.config.overrides import WHERE as SET_WHERE
from algo_trader.config.settings import SETTINGS, Settings, as_text
from algo_trader.config.values import number
from algo_trader.core.errors import ConfigError

OTHER_NAMES = frozenset(
    {DATA_DIR, *KEY_NAMES, "ALGO_EXCHANGE_KEY_ID", "ALGO_EXCHANGE_SECRET", "ALGO_REAL_DATA"}
)
"""Variables of ours that are not settings: where files lie, the broker's keys, those of an exchange
on this machine, and where tests find real bars.
"""
ASCENDING = (
    ("velez.sma_fast", "velez.sma_slow"),
    ("velez.doji_threshold_pct", "velez.strong_candle_body_pct"),
)
"""Pairs of which the first must be less. The bounds see to it too; this line names both."""
KEYS_BY_ENV_NAME = {setting.env_name: key for key, setting in SETTINGS.items()}


class Origin(StrEnum):
    """The layer a value came from."""

    DEFAULT = "default"
    ENV_FILE = ".env"
    ENVIRONMENT = "environment"
    LEDGER = "ledger"
    SET = "--set"


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedSettings:
    """The settings, the origin of each by its key, and the file read, if one was."""

    settings: Settings
    origins: Mapping[str, Origin]
    env_file: Path | None


class Given(NamedTuple):
    """A value as the operator wrote it; `where` is its origin in words, such as `.env line 3`."""

    text: str
    origin: Origin
    where: str


Layer: TypeAlias = dict[str, Given]


def load_settings(
    *,
    env_file: Path | None,
    environ: Mapping[str, str],
    overrides: Sequence[str] = (),
    stored: Mapping[str, str] | None = None,
) -> LoadedSettings:
    """The settings from a `.env` file, the variables in `environ`, the overrides `stored` in a
    ledger, and `key=value` overrides.

    With `env_file` None, `.env` in the working directory is read if there is one; a file that is
    named must exist. Raises ConfigError with one line for each problem.
    """
    problems: list[str] = []
    path = env_file_in_force(env_file)
    given: Layer = {}
    if path is not None:
        given |= _from_env_file(path, problems)
    given |= _from_environment(environ, problems)
    given |= _from_ledger(stored or {}, problems)
    given |= _from_overrides(overrides, problems)
    settings = _checked(given, problems)
    if problems or settings is None:
        raise ConfigError("\n".join(problems))
    origins = {key: given[key].origin if key in given else Origin.DEFAULT for key in SETTINGS}
    return LoadedSettings(settings=settings, origins=origins, env_file=path)


def _from_env_file(path: Path, problems: list[str]) -> Layer:
    """The file's layer; of two lines for one name the last holds."""
    layer: Layer = {}
    for name, value, where in lines_of(path, problems):
        _add(layer, name, Given(value, Origin.ENV_FILE, where), problems)
    return layer


def _from_environment(environ: Mapping[str, str], problems: list[str]) -> Layer:
    layer: Layer = {}
    for name, value in sorted(environ.items()):
        if is_ours(name):
            _add(layer, name, Given(value, Origin.ENVIRONMENT, "environment"), problems)
    return layer


def _from_ledger(stored: Mapping[str, str], problems: list[str]) -> Layer:
    """The layer of overrides kept in a ledger, by the settings' keys."""
    layer: Layer = {}
    for key, value in stored.items():
        where = f"kept in the ledger; `algo-trader config --unset {key}` takes it away"
        if key in EDITABLE:
            layer[key] = Given(value, Origin.LEDGER, where)
        else:
            problems.append(f"{messages.quoted(key)} ({where}) cannot be set in the ledger")
    return layer


def _from_overrides(overrides: Iterable[str], problems: list[str]) -> Layer:
    """The overrides' layer; of two for one key the last holds."""
    layer: Layer = {}
    for override in overrides:
        try:
            name, value = split(override)
            layer[resolve(name)] = Given(value, Origin.SET, SET_WHERE)
        except ConfigError as error:
            problems.append(str(error))
    return layer


def _add(layer: Layer, name: str, given: Given, problems: list[str]) -> None:
    """Enter a variable under its setting's key; a name that means nothing is a problem."""
    if name in KEYS_BY_ENV_NAME:
        layer[KEYS_BY_ENV_NAME[name]] = given
    elif name not in OTHER_NAMES:
        known = [*KEYS_BY_ENV_NAME, *sorted(OTHER_NAMES)]
        problems.append(messages.unknown(name, given.where, known))


def _checked(given: Layer, problems: list[str]) -> Settings | None:
    """The settings that these values make, or None with the problems found."""
    nested: dict[str, Any] = {}
    for key, value in given.items():
        section, _, name = key.rpartition(".")
        target = nested.setdefault(section, {}) if section else nested
        target[name] = value.text
    settings = None
    unreadable: set[str] = set()
    try:
        settings = Settings(**nested)
    except ValidationError as error:
        for fault in error.errors(include_url=False, include_input=False):
            key = ".".join(str(part) for part in fault["loc"])
            reason = ""
            # Only our own readers raise a ValueError; the library's words stay out of sight.
            if fault["type"] == "value_error":
                reason = str(fault["ctx"]["error"])
                unreadable.add(key)
            value = given[key]
            problems.append(messages.bad_value(SETTINGS[key], value.text, value.where, reason))
    for pair in ASCENDING:
        if unreadable.isdisjoint(pair):
            _check_ascending(*pair, given, problems)
    return settings


def _check_ascending(lower: str, upper: str, given: Layer, problems: list[str]) -> None:
    """Compare what was given even where it is out of bounds, to name both in one line."""
    ends = []
    for key in (lower, upper):
        default = Given(as_text(SETTINGS[key].default), Origin.DEFAULT, "default")
        ends.append(given.get(key, default))
    first, second = ends
    if number(first.text) >= number(second.text):
        problems.append(
            messages.not_ascending(
                SETTINGS[lower],
                first.text,
                first.where,
                SETTINGS[upper],
                second.text,
                second.where,
            )
        )
