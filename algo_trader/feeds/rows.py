"""What one row of bars must look like, whatever file it comes from.

Owns the fields, the numbers they may hold, and the message for each one that is wrong. A row
reaches this module as seven texts; it does not know CSV, Parquet or the calendar. Numbers go from
text to Decimal with no float in between.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from decimal import Decimal
from pathlib import Path
from typing import NamedTuple, TypeAlias, TypeVar

from algo_trader.core.errors import DataError
from algo_trader.core.types import ZERO, Bar, Volume
from algo_trader.feeds.instants import minute_start

FIELDS = ("timestamp", "symbol", "open", "high", "low", "close", "volume")

TextRow: TypeAlias = tuple[str, ...]
"""The seven fields of a row as text, in the order of `FIELDS`."""

NumberedRows: TypeAlias = Iterator[tuple[int, TextRow]]
"""The rows of one file in its order, each with the number by which a message names it."""

# Decimal() alone would take '1_000', full-width digits, blanks around a number and 'Infinity'. Two
# digits of exponent are more than a double's shortest form needs for any price; without the limit
# '1e999999' would be a number whose plain text has a million digits.
_NUMBER = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]{1,2})?")
_NUMBER_LENGTH_MAX = 100
# What a bar may hold is bounded so that prices times shares, and sums of them, have no more than
# the 28 digits of a Decimal: money is exact, or it is refused here.
PRICE_BELOW = 10**9
VOLUME_BELOW = 10**15
DIGITS_MOST = 18
"""Significant digits: one more than the shortest text of a double has, as adjusted prices do."""
DECIMALS_MOST = 15
_SHOWN_LENGTH_MAX = 40

_Value = TypeVar("_Value")


class Place(NamedTuple):
    """Where a row stands: a physical line of a CSV file, or a row of a Parquet file, from 1."""

    path: Path
    unit: str
    number: int

    def __str__(self) -> str:
        return f"{self.path}, {self.unit} {self.number}"


def shown(value: str) -> str:
    """A value as it appears in a message: quoted, on one line, not longer than a line."""
    cut = value if len(value) <= _SHOWN_LENGTH_MAX else value[:_SHOWN_LENGTH_MAX] + "..."
    return repr(cut)


def fault(place: Place, field: str, value: str, problem: object) -> DataError:
    """The error for one field of one row; `problem` says what is wrong and the remedy."""
    return DataError(f"{place}: {field} {shown(value)} {problem}")


def number(text: str) -> Decimal:
    """The finite number a text writes in plain digits; ValueError says what is wrong with it."""
    if len(text) > _NUMBER_LENGTH_MAX or _NUMBER.fullmatch(text) is None:
        if text.strip() == "":
            raise ValueError("is empty: fill in the number or remove the row")
        if text.strip("+-").lower() in ("nan", "inf", "infinity"):
            raise ValueError("is not a finite number: correct it or remove the row")
        raise ValueError("is not a number: write plain digits such as 171.25")
    return Decimal(text)


def price(text: str) -> Decimal:
    """The price a text writes: above 0, below PRICE_BELOW, of at most DIGITS_MOST digits.

    ValueError says what is wrong with it.
    """
    value = number(text)
    if value <= ZERO:
        raise ValueError("is not above 0: correct the price or remove the row")
    _require_exact(value, PRICE_BELOW)
    return value


def volume(text: str) -> Volume:
    """The volume a text writes: 0 or more, below VOLUME_BELOW, digits as in `price`.

    1234.0 becomes 1234. ValueError says what is wrong with it.
    """
    value = number(text)
    if value < ZERO:
        raise ValueError("is negative: correct the volume or remove the row")
    _require_exact(value, VOLUME_BELOW)
    whole = int(value)
    return whole if whole == value else value


def _require_exact(value: Decimal, below: int) -> None:
    """ValueError for a number too large or too fine to be calculated with exactly."""
    if value >= below:
        raise ValueError(f"is not below {below:,}: correct it or remove the row")
    _, digits, exponent = value.as_tuple()
    significant = "".join(map(str, digits)).rstrip("0")
    if len(significant) > DIGITS_MOST:
        raise ValueError(f"has more than {DIGITS_MOST} significant digits: round it")
    if len(significant) - len(digits) - int(exponent) > DECIMALS_MOST:
        raise ValueError(f"has more than {DECIMALS_MOST} decimal places: round it")


def checked_bar(place: Place, row: TextRow) -> Bar:
    """The bar of a row, its symbol taken as it is.

    Raises DataError naming place, field, value and remedy of the first fault.
    """
    start = _parsed(place, "timestamp", row[0], minute_start)
    open_ = _parsed(place, "open", row[2], price)
    high = _parsed(place, "high", row[3], price)
    low = _parsed(place, "low", row[4], price)
    close = _parsed(place, "close", row[5], price)
    traded = _parsed(place, "volume", row[6], volume)
    if high < low:
        raise fault(place, "high", row[3], f"is below low {shown(row[4])}: correct the row")
    for field, value, at in (("open", row[2], open_), ("close", row[5], close)):
        if not low <= at <= high:
            span = f"{shown(row[4])} to {shown(row[3])}"
            raise fault(place, field, value, f"is outside low to high, {span}: correct the row")
    return Bar(row[1], start, open_, high, low, close, traded)


def _parsed(place: Place, field: str, value: str, parse: Callable[[str], _Value]) -> _Value:
    try:
        return parse(value)
    except ValueError as problem:
        raise fault(place, field, value, problem) from None


def column_positions(where: str, names: Sequence[str]) -> tuple[int, ...]:
    """Position of each of `FIELDS` among a file's columns; DataError if one is missing or twice."""
    for field in FIELDS:
        if names.count(field) > 1:
            raise DataError(f"{where}: column '{field}' stands twice: keep one of them")
    missing = [f"'{field}'" for field in FIELDS if field not in names]
    if missing:
        what = "column" if len(missing) == 1 else "columns"
        raise DataError(
            f"{where}: no {what} {', '.join(missing)} among {shown(','.join(names))}: "
            f"name the columns {','.join(FIELDS)}, in any order"
        )
    return tuple(names.index(field) for field in FIELDS)
