"""Bars from Parquet files, by whole columns.

Owns the quick way: a row group whose columns are plain (aware timestamps, prices of one float type)
is checked and turned into bars column by column. If anything in it is not plainly right, the row
group is gone through again as text rows, which is exact and names the row; so this way needs no
messages, and no rule that `rows` does not have.

Columns are numpy arrays, used through their methods only; see `parquet_file` for what is imported.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from decimal import Decimal
from itertools import repeat
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from algo_trader.core.types import MINUTE, Bar, Symbol
from algo_trader.feeds.collector import collector_paused
from algo_trader.feeds.parquet_file import (
    PER_SECOND,
    UNIT,
    YEAR_1,
    YEAR_10000,
    batches,
    open_parquet,
    release_unused,
    shortest_text,
    text_rows,
)
from algo_trader.feeds.rows import FIELDS, price, volume
from algo_trader.feeds.shelf import Progress, Shelf, new_bar

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Array: TypeAlias = npt.NDArray[np.float64]
    Positions: TypeAlias = npt.NDArray[np.intp]

_SLICE_ROWS = 8_192
_INFINITY = float("inf")
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
                (bars[0].symbol if bars else symbol, bars, positions)
                for symbol, positions in self._symbols(group)
                if (bars := shelf[symbol]) is not None
            ]
            if not wanted:
                return True
            columns = [_array(self._read(group, field)) for field in FIELDS if field != "symbol"]
            if not all(self._are_right(_at(columns, positions)) for _, _, positions in wanted):
                return False
            volumes = [self._volumes(columns[-1], positions) for _, _, positions in wanted]
        except ValueError:
            return False
        release_unused()
        with collector_paused():
            for (symbol, bars, positions), traded in zip(wanted, volumes, strict=True):
                self._add_bars(bars, symbol, _at(columns[:-1], positions), *traded)
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

    def _are_right(self, columns: list[Array]) -> bool:
        """Whether every row is; a comparison with NaN is false, so NaN is not right.

        Raises ValueError for a price that only the exact way can judge.
        """
        stamps, open_, high, low, close, traded = columns
        seconds = stamps // self._per_second
        if (stamps % (MINUTE * self._per_second)).any():
            return False
        if not ((seconds >= YEAR_1) & (seconds < YEAR_10000)).all():
            return False
        are_right = (low > 0) & (low <= open_) & (open_ <= high)
        are_right &= (low <= close) & (close <= high) & (high < _INFINITY)
        if not (are_right & (traded >= 0) & (traded < _INFINITY)).all():
            return False
        # `rows` refuses numbers with a three-digit exponent; if these two pass, so do all between.
        for extreme in (low.min(), high.max()):
            self._prices[extreme.item()]
        return True

    def _volumes(
        self, column: Array, positions: Positions | None
    ) -> tuple[list[Decimal], Positions]:
        """Each volume once, and for each row the position of its volume among them.

        Prices come again and again, in all four columns; few volumes come twice, and a dictionary
        of them would cost more memory than it saves. ValueError for one that is not right.
        """
        import numpy as np

        traded = column if positions is None else column[positions]
        distinct, which = np.unique(traded, return_inverse=True)
        whole_below = _WHOLE_BELOW.get(distinct.dtype.name, 2**53)
        if distinct[-1] < whole_below and not (distinct % 1).any():
            return list(map(Decimal, distinct.astype(np.int64).tolist())), which
        return [volume(self._volume_text(each)) for each in distinct.tolist()], which

    def _add_bars(
        self,
        bars: list[Bar],
        symbol: Symbol,
        columns: list[Array],
        volumes: list[Decimal],
        which: Positions,
    ) -> None:
        price_of, volume_of = self._prices.__getitem__, volumes.__getitem__
        for begin in range(0, len(which), _SLICE_ROWS):
            piece = slice(begin, begin + _SLICE_ROWS)
            stamps, *quotes = (column[piece] for column in columns)
            starts = (stamps // self._per_second).tolist()
            prices = (map(price_of, quote.tolist()) for quote in quotes)
            traded = map(volume_of, which[piece].tolist())
            bars += map(new_bar, zip(repeat(symbol), starts, *prices, traded, strict=False))


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


def _at(columns: list[Array], positions: Positions | None) -> list[Array]:
    """The columns at these rows only; at all rows, not copied, if that is None."""
    return columns if positions is None else [column[positions] for column in columns]
