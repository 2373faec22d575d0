"""Bars from Parquet files, by whole columns.

Owns the quick way: a row group whose columns are plain (aware timestamps, prices of one float type)
is checked and turned into bars column by column. If anything in it is not plainly right, the row
group is gone through again as text rows, which is exact and names the row; so this way needs no
messages, and no rule that `rows` does not have.

Columns are numpy arrays, used through their methods only; see `parquet_file` for what is imported.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import repeat
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from algo_trader.core.types import MINUTE, Bar, Symbol, Volume
from algo_trader.feeds.collector import collector_paused
from algo_trader.feeds.instants import YEAR_1, YEAR_10000
from algo_trader.feeds.parquet_file import (
    PER_SECOND,
    UNIT,
    batches,
    open_parquet,
    release_unused,
    shortest_text,
    text_rows,
)
from algo_trader.feeds.rows import FIELDS, VOLUME_BELOW, price, volume
from algo_trader.feeds.shelf import Progress, Shelf

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Array: TypeAlias = npt.NDArray[np.float64]
    Positions: TypeAlias = npt.NDArray[np.intp]

_NUMBER_FIELDS = (FIELDS[0], *FIELDS[2:])
_SLICE_ROWS = 8_192
# Up to here each whole number has a float of its own, so its shortest text is the number itself.
_WHOLE_BELOW = {"float16": 2**11, "float32": 2**24, "float64": 2**53}


def read_parquet(path: Path, shelf: Shelf, progress: Progress) -> int:
    """Put the file's bars on the shelf; the number of rows, other symbols' rows included.

    Raises DataError for a file that is not Parquet, a column that is missing or of a type that is
    not taken, and for the first row that is wrong.
    """
    count = 0
    with open_parquet(path) as file:
        columns = _PlainColumns(file) if _are_plain(file.schema_arrow) else None
        for group in range(file.num_row_groups):
            if columns is not None and columns.put(group, shelf):
                count += file.metadata.row_group(group).num_rows
                progress(count)
                continue
            for batch in batches(file, [group]):
                shelf.put(path, UNIT, text_rows(batch, count + 1))
                count += batch.num_rows
                progress(count)
    release_unused()
    return count


class _Prices(dict[float, Decimal]):
    """Float to the price its shortest text writes; equal floats share one Decimal."""

    def __init__(self, shortest: Callable[[float], str]) -> None:
        super().__init__()
        self._shortest = shortest

    def __missing__(self, value: float) -> Decimal:
        self[value] = exact = price(self._shortest(value))
        return exact


@dataclass(slots=True)
class _Chosen:
    """The rows of one symbol in a row group: where its bars go, where they stand, the columns."""

    symbol: Symbol
    bars: list[Bar]
    positions: Positions | None
    columns: list[Array] = field(default_factory=list)

    def add(self, column: Array) -> None:
        """Take this symbol's rows of the next column; the others' are not kept."""
        self.columns.append(column if self.positions is None else column[self.positions])


class _PlainColumns:
    """How one file is read by whole columns, with what was learnt of its floats.

    Memory decides the order of things: a row group is read one column at a time, so that what
    pyarrow needs for reading a column is free again for the next, and turned into bars a slice at
    a time, so that there are never more than a few thousand Python floats.
    """

    def __init__(self, file: Any) -> None:
        schema = file.schema_arrow
        self._file = file
        self._per_second = PER_SECOND[schema.field("timestamp").type.unit]
        self._prices = _Prices(shortest_text(schema.field("open").type))
        self._volume_text = shortest_text(schema.field("volume").type)

    def put(self, group: int, shelf: Shelf) -> bool:
        """Put the row group's bars on the shelf; False, and nothing put, if a row is not right."""
        try:
            wanted = [
                _Chosen(bars[0].symbol if bars else symbol, bars, positions)
                for symbol, positions in self._symbols(group)
                if (bars := shelf[symbol]) is not None
            ]
            if not wanted:
                return True
            for name in _NUMBER_FIELDS:
                column = _array(self._read(group, name))
                for chosen in wanted:
                    chosen.add(column)
            del column
            if not all(self._are_right(*chosen.columns) for chosen in wanted):
                return False
            volumes = [self._volumes(chosen.columns.pop()) for chosen in wanted]
        except ValueError:
            return False
        release_unused()
        lengths = [len(chosen.bars) for chosen in wanted]
        try:
            with collector_paused():
                for chosen, (distinct, which) in zip(wanted, volumes, strict=True):
                    self._add_bars(chosen, distinct, which)
                    chosen.columns.clear()
        except ValueError:  # A float met for the first time that is no price.
            for chosen, length in zip(wanted, lengths, strict=True):
                del chosen.bars[length:]
            return False
        return True

    def _symbols(self, group: int) -> Iterator[tuple[Symbol, Positions | None]]:
        """Each symbol with the positions of its rows, ascending; None for all rows of the group."""
        column = self._read(group, "symbol")
        names = ["" if name is None else name for name in column.dictionary.to_pylist()]
        codes = _array(column.indices)
        if len(codes) == 0:
            return
        if len(names) == 1:
            yield names[0], None
            return
        order = codes.argsort(kind="stable")
        ordered = codes[order]
        edges = ((ordered[1:] != ordered[:-1]).nonzero()[0] + 1).tolist()
        for begin, end in zip([0, *edges], [*edges, len(codes)], strict=True):
            yield names[ordered[begin]], order[begin:end]

    def _read(self, group: int, field: str) -> Any:
        """A column of a row group in one chunk; ValueError if it is not so or a cell is null.

        A damaged file may have columns of any length and positions in a dictionary that are none.
        """
        rows = self._file.metadata.row_group(group).num_rows
        column = self._file.read_row_group(group, columns=[field], use_threads=False).column(0)
        if column.null_count or column.num_chunks != 1 or len(column) != rows:
            raise ValueError
        column.validate(full=True)
        return column.chunk(0)

    def _are_right(
        self, stamps: Array, open_: Array, high: Array, low: Array, close: Array, traded: Array
    ) -> bool:
        """Whether all rows plainly are; a comparison with NaN is false, so NaN never is.

        Numbers too large or too fine are found where they become prices and volumes.
        """
        seconds = stamps // self._per_second
        if (stamps % (MINUTE * self._per_second)).any():
            return False
        if not ((seconds >= YEAR_1) & (seconds < YEAR_10000)).all():
            return False
        are_right = (low <= open_) & (open_ <= high) & (low <= close) & (close <= high)
        return bool((are_right & (traded >= 0)).all())

    def _volumes(self, traded: Array) -> tuple[list[Volume], Positions]:
        """Each volume once, and for each row the position of its volume among them.

        Prices come again and again, in all four columns; few volumes come twice, and a dictionary
        of them would cost more memory than it saves. ValueError for one that is not right.
        """
        import numpy as np

        distinct, which = np.unique(traded, return_inverse=True)
        whole_below = min(_WHOLE_BELOW.get(distinct.dtype.name, 2**53), VOLUME_BELOW)
        if distinct[-1] < whole_below and not (distinct % 1).any():
            return distinct.astype(np.int64).tolist(), which
        return [volume(self._volume_text(each)) for each in distinct.tolist()], which

    def _add_bars(self, chosen: _Chosen, volumes: list[Volume], which: Positions) -> None:
        price_of, volume_of = self._prices.__getitem__, volumes.__getitem__
        symbol = repeat(chosen.symbol)
        for begin in range(0, len(which), _SLICE_ROWS):
            piece = slice(begin, begin + _SLICE_ROWS)
            stamps, *quotes = (column[piece] for column in chosen.columns)
            starts = (stamps // self._per_second).tolist()
            prices = (map(price_of, quote.tolist()) for quote in quotes)
            traded = map(volume_of, which[piece].tolist())
            chosen.bars += map(Bar, symbol, starts, *prices, traded)


def _are_plain(schema: Any) -> bool:
    """Whether the column types allow the quick way."""
    from pyarrow import types

    stamp, traded = schema.field("timestamp").type, schema.field("volume").type
    first, *others = (schema.field(field).type for field in FIELDS[2:6])
    return (
        bool(types.is_timestamp(stamp))
        and bool(types.is_floating(first))
        and all(other == first for other in others)
        and bool(types.is_floating(traded) or types.is_integer(traded))
    )


def _array(column: Any) -> Any:
    """The column's numbers, not copied; a timestamp is the count of its unit."""
    import numpy as np
    import pyarrow

    if pyarrow.types.is_timestamp(column.type):
        column = column.view(pyarrow.int64())
    return np.from_dlpack(column)
