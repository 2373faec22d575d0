"""One event of the log as one line: JSON for programs, short words for people.

Pure. Whatever is handed over gives a line, and never more than one: what comes from outside (a
broker's message, an error's text) cannot end a line, steer a terminal or make it endless. Money is
canonical text. Instants are known by their names, `at` and what ends in `_at`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Set
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import Enum
from math import isfinite
from typing import Any

from algo_trader.core.types import iso, text

VALUE_MOST = 2_000
"""Characters of one value."""
TRACE_MOST = 20_000
"""Characters of a traceback: its end, where the error stands."""
TRACE = "traceback"
DEPTH_MOST = 4
DIGITS_MOST = 100
"""Of a number; written out, 1E+999999999 would take all memory."""
FIRST = ("time", "level", "event", "at", "symbol", "decision", "order_id")
"""Fields in front, in this order."""
FOR_PROGRAMS = ("strategy", "role", "broker_id", "cum_qty", "pnl_pct", "duration_s")
"""Fields that only JSON lines have."""
COLOURS = {"debug": "2", "warning": "33", "error": "31", "critical": "1;31"}
_CUT = "..."


def json_line(event: Mapping[str, Any]) -> str:
    """The event as JSON in ASCII, its known fields in front."""
    return _json({name: _value(name, event[name]) for name in _ordered(event)})


def text_line(event: Mapping[str, Any], *, is_coloured: bool = False) -> str:
    """The event for people: time of day, level if it is no info, event, symbol, the rest, short.

    A traceback follows on lines of its own, indented.
    """
    said = {name: _value(name, event[name]) for name in _ordered(event)}
    level = str(said.pop("level", "info"))
    wall, at = said.pop("time", None), said.pop("at", None)
    trace = said.pop(TRACE, None)
    _shorten(said)
    words = [_time_of_day(at or wall)]
    if level != "info":
        words.append(level.upper())
    words.append(_shown(said.pop("event", "")))
    if "symbol" in said:
        words.append(_shown(said.pop("symbol")))
    words += [f"{_escaped(name)}={_shown(value)}" for name, value in said.items()]
    line = " ".join(words)
    if is_coloured and level in COLOURS:
        line = f"\x1b[{COLOURS[level]}m{line}\x1b[0m"
    if trace:
        lines = str(trace).splitlines()
        line += "".join(f"\n    {_escaped(piece)}" for piece in lines)
    return line


def _shorten(said: dict[str, Any]) -> None:
    """What a person does not miss: an order is known by its symbol, role and number."""
    decision = said.pop("decision", None)
    if decision is not None:
        prefix = f"{decision}-"
        for name in ("order_id", "replaces", "replaced_by"):
            if str(said.get(name, "")).startswith(prefix):
                said[name] = str(said[name]).removeprefix(prefix)
    for name in FOR_PROGRAMS:
        said.pop(name, None)


def plain(value: Any, depth: int = 0) -> Any:
    """The value as what JSON has; never raises, never longer than VALUE_MOST."""
    try:
        return _plain(value, depth)
    except Exception as error:  # noqa: BLE001 - a value that cannot be shown must not stop a trade.
        return f"<{type(value).__name__} cannot be shown: {type(error).__name__}>"


def _value(name: str, value: Any) -> Any:
    if name == TRACE and isinstance(value, str):
        return value if len(value) <= TRACE_MOST else _CUT + value[-TRACE_MOST:]
    is_instant = name == "at" or name.endswith("_at")
    if is_instant and isinstance(value, int) and not isinstance(value, bool):
        try:
            return iso(value)
        except (OverflowError, ValueError, OSError):
            return str(value)
    return plain(value)


def _plain(value: Any, depth: int) -> Any:
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, Enum):
        return _plain(value.value, depth)
    if isinstance(value, str):
        return _cut(str(value))
    if isinstance(value, int):
        return int(value) if abs(value) < 2**63 else _cut(str(value))
    if isinstance(value, Decimal):
        is_plain = value.is_finite() and abs(value.adjusted()) < DIGITS_MOST
        return _cut(text(value) if is_plain else str(value))
    if isinstance(value, float):
        return value if isfinite(value) else str(value)
    if isinstance(value, datetime) and value.tzinfo is not None:
        return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ").replace(".000000", "")
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, BaseException):
        return _cut(f"{type(value).__name__}: {value}")
    if isinstance(value, Mapping | list | tuple | Set):
        return _contained(value, depth)
    return _cut(str(value))


def _contained(value: Any, depth: int) -> Any:
    if depth >= DEPTH_MOST or len(value) > VALUE_MOST:
        return f"<{type(value).__name__} of {len(value)}>"
    named = value._asdict() if hasattr(value, "_asdict") else value
    made: Any
    if isinstance(named, Mapping):
        made = {_cut(str(key)): plain(item, depth + 1) for key, item in named.items()}
    else:
        made = [plain(item, depth + 1) for item in named]
    shown = _json(made)
    return made if len(shown) <= VALUE_MOST else _cut(shown)


def _ordered(event: Mapping[str, Any]) -> list[str]:
    return [
        *(name for name in FIRST if name in event),
        *(name for name in event if name not in FIRST),
    ]


def _json(value: Any) -> str:
    return json.dumps(value, allow_nan=False, separators=(",", ":"))


def _cut(words: str) -> str:
    return words if len(words) <= VALUE_MOST else words[: VALUE_MOST - len(_CUT)] + _CUT


def _shown(value: Any) -> str:
    """A value for people: bare if it is one plain word, else quoted; nothing unprintable."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dict | list):
        value = _json(value)
    words = str(value)
    if not words or any(mark in words for mark in ' "='):
        words = '"' + words.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return _escaped(words)


def _escaped(words: str) -> str:
    """The words with everything that does not print as a backslash and its code."""
    if words.isprintable():
        return words
    return "".join(
        letter if letter.isprintable() else letter.encode("unicode_escape").decode()
        for letter in words
    )


def _time_of_day(moment: Any) -> str:
    """HH:MM:SSZ of an ISO moment in UTC; what is none as it is."""
    words = _shown(moment)
    is_iso = len(words) >= 20 and words[10] == "T" and words.endswith("Z")
    return f"{words[11:19]}Z" if is_iso else words
