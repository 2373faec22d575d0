"""`--set key=value`: which setting, or which parameter of a user's own strategy, a key means."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any

from algo_trader.config import messages
from algo_trader.config.settings import SETTINGS
from algo_trader.config.values import flag, number, whole
from algo_trader.core.errors import ConfigError

WHERE = "--set"
STRATEGY = "strategy."
CLASHING_SECTIONS = ("risk.", "costs.")
"""Sections in force whatever the strategy. Not velez: its settings are another strategy's."""
EDITABLE = tuple(
    key
    for key in SETTINGS
    if key.startswith("risk.") or key in ("watchlist", "velez.enabled", "log.level")
)
"""What may be overridden in a ledger. A running daemon follows at once, but for the watchlist."""


def split(override: str) -> tuple[str, str]:
    """Key and value of `key=value`; ConfigError without a key or an equals sign."""
    key, equals, value = override.partition("=")
    if not equals or not key.strip():
        raise ConfigError(
            f"{messages.quoted(override)} ({WHERE}) is not of the form key=value,"
            " such as max_open_positions=3"
        )
    return key.strip(), value.strip()


def meant(name: str, keys: Iterable[str] = SETTINGS) -> list[str]:
    """The keys that a name, bare or with its section, may mean."""
    return [key for key in keys if name in (key, key.rpartition(".")[2])]


def resolve(name: str, keys: Iterable[str] = SETTINGS) -> str:
    """The one key that a name means; ConfigError if there is none or more than one."""
    keys = list(keys)
    found = meant(name, keys)
    if len(found) == 1:
        return found[0]
    if found:
        raise ConfigError(messages.ambiguous(name, WHERE, found))
    raise ConfigError(messages.unknown(name, WHERE, _spellings(keys)))


def strategy_overrides(
    overrides: Sequence[str], hyperparameters: Mapping[str, Any]
) -> tuple[dict[str, Any], list[str]]:
    """Take out the overrides that belong to a user's strategy: (its parameters, the rest).

    A value is read by the type of the parameter's default: int, Decimal, bool or str. The key is
    the parameter's name, or `strategy.` and the name, which is needed where risk or costs have
    a setting of that name. The rest is for `load_settings`. ConfigError with a line a problem.
    """
    chosen: dict[str, Any] = {}
    rest: list[str] = []
    problems: list[str] = []
    for override in overrides:
        try:
            key, value = split(override)
            name = _parameter(key, hyperparameters)
            if name is None:
                rest.append(override)
            else:
                chosen[name] = _parsed(name, value, hyperparameters[name])
        except ConfigError as error:
            problems.append(str(error))
    if problems:
        raise ConfigError("\n".join(problems))
    return chosen, rest


def _parameter(key: str, hyperparameters: Mapping[str, Any]) -> str | None:
    """The strategy's parameter that a key means, or None for a setting."""
    if key.startswith(STRATEGY):
        name = key.removeprefix(STRATEGY)
        if name not in hyperparameters:
            known = [STRATEGY + parameter for parameter in hyperparameters]
            raise ConfigError(messages.unknown(key, WHERE, known, "a parameter of the strategy"))
        return name
    if key in hyperparameters:
        clashing = [found for found in meant(key) if found.startswith(CLASHING_SECTIONS)]
        if clashing:
            raise ConfigError(messages.ambiguous(key, WHERE, [STRATEGY + key, *clashing]))
        return key
    if not meant(key):
        known = [*hyperparameters, *_spellings(SETTINGS)]
        what = "a parameter of the strategy or a setting"
        raise ConfigError(messages.unknown(key, WHERE, known, what))
    return None


def _parsed(name: str, value: str, default: object) -> int | Decimal | bool | str:
    """The value by the type of the default; ConfigError if it is none of that type."""
    key = STRATEGY + name
    try:
        match default:
            case bool():
                return flag(value)
            case int():
                return whole(value)
            case Decimal():
                return number(value)
            case str():
                return value
    except ValueError as error:
        raise ConfigError(
            f"{key} is {messages.quoted(value)} ({WHERE}), {error}; its default is {default}"
        ) from None
    remedy = f'write Decimal("{default}")' if isinstance(default, float) else "fix it in the code"
    raise ConfigError(
        f"{key} ({WHERE}) cannot be set: its default is of type {type(default).__name__},"
        f" not int, Decimal, bool or str; {remedy}"
    )


def _spellings(keys: Iterable[str]) -> list[str]:
    """Every name that --set takes for these keys."""
    return [spelling for key in keys for spelling in dict.fromkeys((key.rpartition(".")[2], key))]
