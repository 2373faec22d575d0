"""Reading what Alpaca writes: exact decimals, instants, and no trust in what is there.

Every reader gives None for what is missing or is not what it should be; none raises.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any, TypeAlias

Body: TypeAlias = dict[str, Any]
"""A JSON object as it came: no field is certain to be there or to be what it should be."""

UNREADABLE = object()
"""What `decoded` gives for content that is no JSON."""

_MOST_DIGITS = 15
_LONGEST_TEXT = 300


def decoded(content: bytes | str) -> object:
    """The JSON value with its fractions as exact Decimals; UNREADABLE if it is none."""
    try:
        value: object = json.loads(content, parse_float=Decimal, parse_constant=_no_number)
    except (ValueError, RecursionError, InvalidOperation):
        return UNREADABLE
    return value


def _no_number(word: str) -> None:
    raise ValueError(f"{word} is no number")


def body_of(value: object) -> Body | None:
    """A JSON object."""
    return value if isinstance(value, dict) else None


def rows_of(value: object) -> list[Body] | None:
    """The objects of a JSON list; what is none is passed over."""
    return [row for row in value if isinstance(row, dict)] if isinstance(value, list) else None


def text_of(body: Body, name: str) -> str | None:
    """A text that is not empty."""
    value = body.get(name)
    return value if isinstance(value, str) and value else None


def decimal_of(body: Body, name: str) -> Decimal | None:
    """A finite decimal of sane size, written as a text or as a number."""
    value = body.get(name)
    if isinstance(value, bool) or not isinstance(value, str | int | Decimal):
        return None
    try:
        number = Decimal(value)
    except (InvalidOperation, ValueError):
        return None
    if not number.is_finite() or abs(number.adjusted()) > _MOST_DIGITS:
        return None
    return number


def epoch_of(body: Body, name: str) -> float | None:
    """Seconds since the epoch of an RFC 3339 text; one without an offset is UTC."""
    value = text_of(body, name)
    if value is None:
        return None
    try:
        instant = datetime.fromisoformat(value)
        return (instant if instant.tzinfo else instant.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return None


def plain(text: str) -> str:
    """A text of the other side's as one short line without control characters."""
    words = "".join(char if char.isprintable() else " " for char in text[: 2 * _LONGEST_TEXT])
    return " ".join(words.split())[:_LONGEST_TEXT]
