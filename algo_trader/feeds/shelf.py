"""Bars by symbol while they are being read, and the quick loop that puts text rows there.

Owns which symbols are kept and how equal texts come to share one Decimal. The loop takes the rows
that are plainly right; every other row goes to `rows.checked_bar`, which is exact and names the
fault. It does not know what kind of file the rows come from, and does not sort.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from decimal import Decimal
from pathlib import Path
from typing import TypeAlias

from algo_trader.core.types import Bar, Symbol, Volume, is_symbol
from algo_trader.feeds.instants import ClockSeconds, DayStarts
from algo_trader.feeds.rows import (
    NumberedRows,
    Place,
    TextRow,
    checked_bar,
    fault,
    price,
    volume,
)

Progress: TypeAlias = Callable[[int], None]
"""Called now and then with the number of rows of the present file read so far."""

PROGRESS_EVERY_ROWS = 16_384
_DATE_LENGTH = len("YYYY-MM-DD")


class Prices(dict[str, Decimal]):
    """Text to price; one text gives one Decimal object, which its bars share."""

    def __missing__(self, text: str) -> Decimal:
        self[text] = value = price(text)
        return value


class Volumes(dict[str, Volume]):
    """Text to volume; one text gives one object, which its bars share."""

    def __missing__(self, text: str) -> Volume:
        self[text] = value = volume(text)
        return value


class Shelf(dict[Symbol, list[Bar] | None]):
    """Bars by symbol in the order they are read; None for a symbol seen but not asked for.

    `shelf[symbol]` of a new symbol decides which of the two it is, once. With `wanted` None every
    symbol is asked for. Raises ValueError for a text that cannot be a symbol: every row must name
    one, but only those asked for must be well-formed.
    """

    def __init__(self, wanted: Collection[Symbol] | None) -> None:
        super().__init__()
        self._wanted = None if wanted is None else frozenset(wanted)
        self._days = DayStarts()
        self._clocks = ClockSeconds()
        self._prices = Prices()
        self._volumes = Volumes()

    def __missing__(self, symbol: str) -> list[Bar] | None:
        if symbol.strip() == "":
            raise ValueError("is empty: fill in the symbol or remove the row")
        if self._wanted is not None and symbol not in self._wanted:
            self[symbol] = None
            return None
        if not is_symbol(symbol):
            raise ValueError(
                "is not a symbol: write a capital letter, then up to nine capitals, digits or dots"
            )
        bars: list[Bar] = []
        self[symbol] = bars
        return bars

    def put(
        self, path: Path, unit: str, rows: NumberedRows, progress: Progress | None = None
    ) -> int:
        """Put the bars of all rows whose symbol is asked for on the shelf; the number of rows.

        Raises DataError naming the row, field and value of the first fault.
        """
        days, clocks = self._days, self._clocks
        prices, volumes = self._prices, self._volumes
        count = 0
        for number, row in rows:
            count += 1
            if progress is not None and not count % PROGRESS_EVERY_ROWS:
                progress(count)
            stamp, symbol, text_open, text_high, text_low, text_close, text_volume = row
            try:
                bars = self[symbol]
                if bars is None:
                    continue
                start = days[stamp[:_DATE_LENGTH]] + clocks[stamp[_DATE_LENGTH:]]
                open_ = prices[text_open]
                high = prices[text_high]
                low = prices[text_low]
                close = prices[text_close]
                traded = volumes[text_volume]
                if not (low <= open_ <= high and low <= close <= high):
                    raise ValueError
            except ValueError:
                self._put_exactly(Place(path, unit, number), row)
                continue
            if bars:
                symbol = bars[-1].symbol  # one string for all bars, not one for each row
            bars.append(Bar(symbol, start, open_, high, low, close, traded))
        if progress is not None:
            progress(count)
        return count

    def _put_exactly(self, place: Place, row: TextRow) -> None:
        """Put the row's bar on the shelf or say what is wrong with it."""
        try:
            bars = self[row[1]]
        except ValueError as problem:
            raise fault(place, "symbol", row[1], problem) from None
        if bars is not None:
            bars.append(checked_bar(place, row))
