"""Reads fault scripts: TOML files of `[[fault]]` entries, and single faults sent as JSON.

A word that is not in the vocabulary is one clear error that names file, entry, field and remedy.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from datetime import datetime, time
from difflib import get_close_matches
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from algo_trader.core.errors import ConfigError
from algo_trader.exchange.fault_book import Moment, Rule
from algo_trader.exchange.fault_words import (
    ACTIONS,
    CLOCK,
    CLOCK_POINT,
    CONDITIONS,
    METHODS,
    NOW,
    POINTS,
    REQUIRED,
    REST,
    Action,
    Param,
)
from algo_trader.exchange.wire import NEW_YORK, instant_of

TABLE = "fault"


def read_script(file: Path) -> list[Rule]:
    """The rules of a script, in order. Raises ConfigError."""
    try:
        content = tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{file}: {error.strerror}: name a fault script with --faults") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{file}: not TOML: {error}: correct it") from None
    for name in content:
        if name != TABLE:
            raise ConfigError(
                f"{file}: unknown table {name!r}: a script holds [[{TABLE}]] entries only"
            )
    entries = content.get(TABLE, [])
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise ConfigError(f"{file}: write each entry as [[{TABLE}]]")
    return [
        rule_of(entry, f"{file}: fault {number}") for number, entry in enumerate(entries, start=1)
    ]


def rule_of(entry: Mapping[str, Any], place: str, *, may_be_now: bool = False) -> Rule:
    """One rule; `place` begins each error. Only what is injected by hand may say on = "now"."""
    words = dict(entry)
    do = _word(words, "do", place)
    action = ACTIONS.get(do)
    if action is None:
        raise ConfigError(f"{place}: do: unknown action {do!r}: {_suggest(do, ACTIONS)}")
    on = _point(_word(words, "on", place, NOW if may_be_now else None), place, may_be_now)
    if not _fits(on, action):
        raise ConfigError(
            f"{place}: on: {do!r} cannot happen at {on!r}: use {' or '.join(_shown(action))}"
        )
    conditions: dict[str, Any] = {
        name: _value(words.pop(name, param.default), name, param, place)
        for name, param in CONDITIONS.items()
        if name not in action.params
    }
    args = {
        name: _value(words.pop(name, param.default), name, param, place)
        for name, param in action.params.items()
    }
    for name in words:
        known = [*CONDITIONS, *action.params]
        raise ConfigError(f"{place}: {name}: unknown word for {do!r}: {_suggest(name, known)}")
    if "stream" in args and on.split(":")[0] in ("market", NOW) and args["stream"] is None:
        raise ConfigError(f'{place}: stream: say which line, "trade" or "data"')
    return Rule(place=place, on=on, do=do, args=args, **conditions)


def _word(words: dict[str, Any], name: str, place: str, default: str | None = None) -> str:
    value = words.pop(name, default)
    if not isinstance(value, str) or not value:
        raise ConfigError(f"{place}: {name}: missing: each fault needs the texts on and do")
    return value


def _point(on: str, place: str, may_be_now: bool) -> str:
    if on == CLOCK:
        return CLOCK_POINT
    if on in POINTS or (on == NOW and may_be_now):
        return on
    if on.startswith(REST):
        method, _, path = on.removeprefix(REST).partition(" ")
        if method in METHODS and path:
            return on
        raise ConfigError(
            f"{place}: on: {on!r} is no request: write it as 'rest:POST /v2/orders', "
            f"with one of {', '.join(METHODS)} and a path that may hold *"
        )
    raise ConfigError(f"{place}: on: unknown point {on!r}: {_suggest(on, (*POINTS, CLOCK))}")


def _fits(on: str, action: Action) -> bool:
    """Whether the action may happen there: a request is matched as a glob, either way round."""
    return any(
        on == point or (on.startswith(REST) and (point == REST or _overlap(on, point)))
        for point in action.points
    )


def _overlap(on: str, point: str) -> bool:
    return fnmatchcase(on, point) or fnmatchcase(point, on)


def _shown(action: Action) -> list[str]:
    return ["rest:<METHOD> <path>" if point == REST else point for point in action.points]


def _suggest(word: str, known: Any) -> str:
    close = get_close_matches(word, list(known), n=1)
    every = ", ".join(sorted(known))
    return f"did you mean {close[0]!r}? Known: {every}" if close else f"use one of {every}"


def _value(value: Any, name: str, param: Param, place: str) -> Any:
    if value is REQUIRED:
        raise ConfigError(f"{place}: {name}: missing: this action needs it")
    if value is None:
        return None
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    match param.kind:
        case "seconds" if is_number and value >= 0:
            return float(value)
        case "count" if isinstance(value, int) and is_number and value >= 1:
            return value
        case "whole" if isinstance(value, int) and is_number and value >= 0:
            return value
        case "number" if is_number or isinstance(value, str):
            return str(value)
        case "text" if isinstance(value, str):
            return value
        case "flag" if isinstance(value, bool):
            return value
        case "words" if isinstance(value, list) and all(isinstance(word, str) for word in value):
            return value
        case "table" if isinstance(value, dict):
            return value
        case "choice" if value in param.choices:
            return value
        case "moment":
            return _moment(value, name, place)
    wanted = " or ".join(map(repr, param.choices)) or WANTED[param.kind]
    raise ConfigError(f"{place}: {name}: {value!r} will not do: give {wanted}")


WANTED = {
    "seconds": "seconds, 0 or more",
    "count": "a whole number, 1 or more",
    "whole": "a whole number, 0 or more",
    "number": "a number",
    "text": "a text",
    "flag": "true or false",
    "words": "a list of texts",
    "table": 'a table such as { qty = "7" }',
}


def _moment(value: Any, name: str, place: str) -> Moment:
    """A time of day in New York, or an instant."""
    try:
        if isinstance(value, str) and len(value) <= len("09:30:00"):
            value = time.fromisoformat(value)
        if isinstance(value, time):
            return Moment(second_of_day=(value.hour * 60 + value.minute) * 60 + value.second)
        if isinstance(value, datetime):
            aware = value if value.tzinfo else value.replace(tzinfo=NEW_YORK)
            return Moment(instant=aware.timestamp())
        return Moment(instant=instant_of(str(value)))
    except ValueError:
        raise ConfigError(
            f'{place}: {name}: {value!r} is no time: write "10:30" for New York\'s time of day, '
            "or 2024-01-02T15:30:00Z"
        ) from None
