"""A fact as canonical JSON, and back, exactly.

Owns the stored form of facts. The payload is one JSON object with sorted keys and no spaces:
decimals as canonical text (core.types.text), words by value, dates as ISO, instants as integers,
nested records as objects. No number ever passes through a float. A kind is the name of its class,
so renaming a class or a field is a migration. A field added later is left out
while it holds its default (LATER), so that an old payload is still what would be written today;
anything else that is missing, unknown or misshapen raises LedgerCorrupt.

How a field is written follows from its annotation: a new fact class needs one line in KINDS, and
a field of a new sort one case in `_field_codec`.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import MISSING, fields
from datetime import date
from decimal import Decimal, InvalidOperation
from enum import Enum
from types import UnionType
from typing import Any, NamedTuple, TypeAlias, Union, get_args, get_origin, get_type_hints

from algo_trader.core import events as ev
from algo_trader.core.errors import CoreError
from algo_trader.core.types import OrderType, text
from algo_trader.ledger.errors import LedgerCorrupt

Convert: TypeAlias = Callable[[Any], Any]

KINDS: dict[str, type[ev.Fact]] = {
    cls.__name__: cls
    for cls in (
        ev.AccountPinned,
        ev.SessionOpened,
        ev.SignalDecided,
        ev.OrderIntended,
        ev.OrderSubmitting,
        ev.OrderAccepted,
        ev.OrderRefused,
        ev.OutcomeUnknown,
        ev.OrderFilled,
        ev.CancelRequested,
        ev.CancelRefused,
        ev.CancelUnanswered,
        ev.OrderCanceled,
        ev.OrderExpired,
        ev.OrderReplaced,
        ev.OrderAbandoned,
        ev.StopEdited,
        ev.StopSet,
        ev.TargetSet,
        ev.StopDeclined,
        ev.ExitDecided,
        ev.SharesAdopted,
        ev.SharesGone,
        ev.CashAdjusted,
        ev.BarCorrected,
        ev.LimitTripped,
        ev.Halted,
        ev.Resumed,
        ev.SettingChanged,
        ev.Discrepancy,
    )
}
"""Every kind that may be stored, by the name it is stored under."""

LATER: dict[type[ev.Fact], dict[str, Any]] = {
    ev.SignalDecided: {"order": OrderType.STOP, "entry_limit": None, "target": None},
    ev.OrderIntended: {"target": None, "pair": None},
}
"""Fields that version 1 did not have, with their defaults."""


_NOTHING: dict[str, Any] = {}


class _Field(NamedTuple):
    name: str
    encode: Convert | None
    decode: Convert | None
    is_optional: bool
    is_required: bool


# The plans are sorted, so the keys are. ASCII only: a broker's message may hold anything, even half
# a surrogate pair, and comes back.
_to_json = json.JSONEncoder(separators=(",", ":"), allow_nan=False).encode


def encode(fact: ev.Fact) -> str:
    """The payload of a fact; TypeError for a class that KINDS does not list."""
    plan = _PLANS.get(type(fact))
    if plan is None:
        raise TypeError(f"{type(fact).__name__} has no codec: add it to KINDS")
    said = _to_object(plan, fact)
    for name, default in LATER.get(type(fact), _NOTHING).items():
        if getattr(fact, name) == default:
            del said[name]
    return _to_json(said)


def decode(kind: str, payload: str) -> ev.Fact:
    """The fact that `encode` wrote; LedgerCorrupt if it did not."""
    cls = KINDS.get(kind)
    if cls is None:
        raise LedgerCorrupt(f"unknown kind of fact {kind!r}")
    try:
        return cls(**_from_object(_PLANS[cls], _from_json(payload)))
    except (ValueError, TypeError, KeyError, InvalidOperation, CoreError) as error:
        raise LedgerCorrupt(f"payload of {kind} is not readable: {error}") from error


def _no_float(literal: str) -> Any:
    raise ValueError(f"a bare number {literal}: numbers are stored as text")


_decoder = json.JSONDecoder(parse_float=_no_float, parse_constant=_no_float)


def _from_json(payload: str) -> dict[str, Any]:
    found = _decoder.decode(payload)
    if not isinstance(found, dict):
        raise TypeError("not an object")
    return found


def _to_object(plan: tuple[_Field, ...], record: Any) -> dict[str, Any]:
    said = {}
    for name, write, _, _, _ in plan:
        value = getattr(record, name)
        said[name] = value if write is None or value is None else write(value)
    return said


def _from_object(plan: tuple[_Field, ...], said: dict[str, Any]) -> dict[str, Any]:
    values = {}
    taken = 0
    for name, _, read, is_optional, is_required in plan:
        if name not in said:
            if is_required:
                raise KeyError(f"{name} is missing")
            continue
        taken += 1
        value = said[name]
        if value is None:
            if not is_optional:
                raise TypeError(f"{name} is null")
        elif read is not None:
            value = read(value)
        values[name] = value
    if taken != len(said):
        raise KeyError(f"unknown fields {sorted(said.keys() - {field.name for field in plan})}")
    return values


def _read_int(value: Any) -> int:
    if type(value) is not int:
        raise TypeError(f"{value!r} is no integer")
    return value


def _read_text(value: Any) -> str:
    if type(value) is not str:
        raise TypeError(f"{value!r} is no text")
    return value


def _read_decimal(value: Any) -> Decimal:
    number = Decimal(_read_text(value))
    if text(number) != value:
        raise ValueError(f"{value!r} is not the canonical text of a number")
    return number


def _record_codec(cls: type) -> tuple[Convert, Convert]:
    """How a NamedTuple inside a fact is written and read."""
    hints = get_type_hints(cls)
    defaults = getattr(cls, "_field_defaults", {})
    plan = tuple(
        _field(name, hints[name], name not in defaults)
        for name in sorted(cls._fields)  # type: ignore[attr-defined]  # a NamedTuple
    )

    def write(record: Any) -> dict[str, Any]:
        return _to_object(plan, record)

    def read(said: Any) -> Any:
        if type(said) is not dict:
            raise TypeError(f"{said!r} is no object")
        return cls(**_from_object(plan, said))

    return write, read


def _field_codec(hint: Any) -> tuple[Convert | None, Convert | None]:
    """How a value of this annotation is written and read; None where it goes as it is."""
    base = getattr(hint, "__supertype__", hint)
    if base is str:
        return None, _read_text
    if base is int:
        return None, _read_int
    if base is Decimal:
        return text, _read_decimal
    if base is date:
        return date.isoformat, lambda said: date.fromisoformat(_read_text(said))
    if isinstance(base, type) and issubclass(base, Enum):
        return str, base
    if isinstance(base, type) and issubclass(base, tuple):
        return _record_codec(base)
    raise TypeError(f"no codec for a field of type {hint}")


def _field(name: str, hint: Any, is_required: bool) -> _Field:
    is_optional = get_origin(hint) in (Union, UnionType)
    if is_optional:
        (hint,) = (part for part in get_args(hint) if part is not type(None))
    return _Field(name, *_field_codec(hint), is_optional, is_required)


def _plan(cls: type[ev.Fact]) -> tuple[_Field, ...]:
    hints = get_type_hints(cls)
    return tuple(
        _field(
            field.name,
            hints[field.name],
            field.default is MISSING and field.default_factory is MISSING,
        )
        for field in sorted(fields(cls), key=lambda field: field.name)
    )


_PLANS: dict[type[ev.Fact], tuple[_Field, ...]] = {cls: _plan(cls) for cls in KINDS.values()}
