"""How values look on the wire: instants, booleans, lists and bars, as Alpaca writes and reads them.

Virtual instants are float seconds since the epoch here, at the exchange's edge; in text they are
RFC 3339, in UTC except for the clock, which answers in New York time as Alpaca does.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import msgpack

from algo_trader.core.types import Bar, Instant, iso, text

NEW_YORK = ZoneInfo("America/New_York")
TRUE_WORDS = frozenset({"true", "t", "1", "yes"})
FALSE_WORDS = frozenset({"false", "f", "0", "no", ""})


def rfc3339(at: float) -> str:
    """The instant in UTC, to the microsecond: 2024-01-02T14:30:00.25Z."""
    moment = datetime.fromtimestamp(at, UTC)
    fraction = f".{moment.microsecond:06d}".rstrip("0").rstrip(".")
    return f"{moment:%Y-%m-%dT%H:%M:%S}{fraction}Z"


def in_new_york(at: float) -> str:
    """The instant with New York's offset: 2024-01-02T09:30:00-05:00."""
    return datetime.fromtimestamp(at, NEW_YORK).isoformat()


def instant_of(words: str, *, is_end: bool = False) -> float:
    """Seconds since the epoch of RFC 3339 text or a date; a date as an end is its last second.

    Raises ValueError for anything else. Without an offset the text is UTC.
    """
    words = words.strip().replace(" ", "+") if "T" in words else words.strip()
    if len(words) == len("2024-01-02"):
        day = datetime.combine(date.fromisoformat(words), time(), UTC)
        return (day + timedelta(days=1)).timestamp() - 1 if is_end else day.timestamp()
    moment = datetime.fromisoformat(words)
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def truth(value: object) -> bool:
    """A boolean as a client may spell it: true, True, 1. Raises ValueError for another word."""
    if isinstance(value, bool):
        return value
    word = str(value).strip().lower()
    if word in TRUE_WORDS:
        return True
    if word in FALSE_WORDS:
        return False
    raise ValueError(f"{value!r} is not a boolean")


def listed(words: str | None) -> list[str]:
    """A comma list; empty for nothing."""
    return [word.strip() for word in (words or "").split(",") if word.strip()]


def dumps(value: Any) -> str:
    """JSON, compact; NaN and infinities as Python spells them, for faults that want them."""
    return json.dumps(value, separators=(",", ":"), default=_plain)


def _plain(value: Any) -> Any:
    if isinstance(value, Decimal):
        return text(value)
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, msgpack.Timestamp):
        return rfc3339(value.to_unix())
    raise TypeError(f"{type(value).__name__} has no JSON")


def bar_fields(bar: Bar) -> dict[str, Any]:
    """Prices and volume of a bar. Trade count and vwap are estimates: the bars have none."""
    high, low, close = float(bar.high), float(bar.low), float(bar.close)
    volume = int(bar.volume)
    return {
        "o": float(bar.open),
        "h": high,
        "l": low,
        "c": close,
        "v": volume,
        "n": max(volume // 100, 1),
        "vw": round((high + low + close) / 3, 4),
    }


def bar_row(bar: Bar) -> dict[str, Any]:
    """A bar as the history gives it."""
    return {"t": iso(bar.start), **bar_fields(bar)}


def bar_message(kind: str, bar: Bar) -> dict[str, Any]:
    """A bar as the data stream sends it: kind b, u or d; `t` stays an Instant until packed."""
    return {"T": kind, "S": bar.symbol, **bar_fields(bar), "t": bar.start}


def packed(message: Mapping[str, Any]) -> bytes:
    """A data message in MessagePack; its `t` as ext type Timestamp."""
    return bytes(msgpack.packb(_with_time(message, _stamp)))


def as_text(message: Mapping[str, Any]) -> dict[str, Any]:
    """A data message for JSON clients; its `t` as RFC 3339."""
    return _with_time(message, iso)


def _with_time(message: Mapping[str, Any], convert: Any) -> dict[str, Any]:
    at = message.get("t")
    return {**message, "t": convert(at)} if isinstance(at, int) else dict(message)


def _stamp(at: Instant) -> msgpack.Timestamp:
    return msgpack.Timestamp(at, 0)
