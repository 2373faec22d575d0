"""Text of a point in time to an instant, exactly.

Owns which texts name the start of a minute: ISO-8601 with `Z` or an offset, on a whole minute. It
knows nothing of files, rows or bars; whoever reads a row adds the place to the message.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from algo_trader.core.types import MINUTE, Instant

EXAMPLE = "2024-01-02T14:30:00Z"
YEAR_1, YEAR_10000 = -62_135_596_800, 253_402_300_800
"""The instants that can be written: from the first of these on, before the second."""

# datetime.fromisoformat alone is too kind: it takes any separator and forgets the seventh digit of
# a fraction, so the shape is checked first and the fraction is judged here.
_SHAPE = re.compile(r"([0-9W-]+[T ][0-9:]+)(?:[.,]([0-9]+))?(Z|[+-][0-9:]+)?")
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SECOND = timedelta(seconds=1)
_TWO_DAYS = 2 * 86_400


def minute_start(text: str) -> Instant:
    """The instant a text such as 2024-01-02T14:30:00Z names.

    Raises ValueError whose message goes on from "timestamp '...' ": what is wrong and the remedy.
    """
    shape = _SHAPE.fullmatch(text)
    if shape is None:
        raise ValueError(f"is not an ISO-8601 time: write it as {EXAMPLE}")
    moment, fraction, zone = shape.groups()
    try:
        parsed = datetime.fromisoformat(moment + (zone or "Z"))
    except ValueError:
        raise ValueError(f"is not an ISO-8601 time: write it as {EXAMPLE}") from None
    if zone is None:
        raise ValueError(f"has no time zone: end it with Z or an offset, as in {EXAMPLE}")
    seconds = (parsed - _EPOCH) // _SECOND
    if seconds % MINUTE or (fraction or "").strip("0"):
        raise ValueError("is not on a whole minute: a bar is named by the start of its minute")
    if not YEAR_1 <= seconds < YEAR_10000:
        raise ValueError("is not in the years 1 to 9999 in UTC: correct it or remove the row")
    return seconds


class DayStarts(dict[str, Instant]):
    """Text of a date, YYYY-MM-DD, to its first instant in UTC; remembers what it has seen.

    A date so near the end of time that an offset may lead beyond it raises ValueError like a text
    that is no date: it is for `minute_start` to judge.
    """

    def __missing__(self, text: str) -> Instant:
        if _DAY.fullmatch(text) is None:
            raise ValueError("is not a date")
        start = minute_start(f"{text}T00:00:00Z")
        if not YEAR_1 + _TWO_DAYS <= start < YEAR_10000 - _TWO_DAYS:
            raise ValueError("is not a date far from the end of time")
        self[text] = start
        return start


class ClockSeconds(dict[str, int]):
    """Rest of a timestamp after its date, such as T14:30:00Z, to seconds from that day's start.

    A file has few dates and few times of day but many pairs of them, so two small tables make
    reading a timestamp two look-ups. Text that does not split so raises ValueError: it is for
    `minute_start` to judge.
    """

    def __missing__(self, text: str) -> int:
        seconds = minute_start(f"1970-01-01{text}")
        self[text] = seconds
        return seconds
