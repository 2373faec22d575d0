"""Parquet files of bars: their columns, and their rows as exact text.

Owns opening a Parquet file, which column types are taken, and the text that writes a cell exactly.
It does not judge the rows.

pyarrow and numpy are imported when a Parquet file is opened, not before: they take longer to start
than a whole run on CSV files. pyarrow.compute and Array.to_numpy are not used, because they pull
in more of pyarrow, and the latter pandas with 50 MB of memory. Neither package is typed here: a
pyarrow object is Any, and leaves this module as text or goes to the whole-column way.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from algo_trader.core.errors import DataError
from algo_trader.core.types import iso
from algo_trader.feeds.instants import YEAR_1, YEAR_10000
from algo_trader.feeds.rows import FIELDS, NumberedRows, TextRow, column_positions

UNIT = "row"
PER_SECOND = {"s": 1, "ms": 1_000, "us": 1_000_000, "ns": 1_000_000_000}
_BATCH_ROWS = 8_192


def parquet_rows(path: Path) -> Generator[tuple[int, TextRow], None, None]:
    """All rows of the file as text, from row 1; for finding a row again, not for speed."""
    with open_parquet(path) as file:
        first_row = 1
        for batch in batches(file):
            yield from text_rows(batch, first_row)
            first_row += batch.num_rows


@contextmanager
def open_parquet(path: Path) -> Iterator[Any]:
    """The open pyarrow ParquetFile, its columns known to be there and of types that are taken.

    Whatever goes wrong with the file, then or while it is read, leaves as a DataError.
    """
    import pyarrow
    import pyarrow.parquet

    # Arrow's own allocators keep what they have got from the system; batches come and go, so the
    # system's allocator costs 8 MB less at the peak. Nothing else in the program uses Arrow.
    pyarrow.set_memory_pool(pyarrow.system_memory_pool())
    try:
        with path.open("rb") as raw:
            file = pyarrow.parquet.ParquetFile(raw)
            _check_columns(path, file.schema_arrow)
            yield pyarrow.parquet.ParquetFile(
                raw,
                metadata=file.metadata,
                read_dictionary=["symbol"],
                pre_buffer=False,
                page_checksum_verification=True,
            )
    except UnicodeDecodeError:
        raise DataError(f"{path}: a text in it is not UTF-8: write the file again") from None
    except (pyarrow.ArrowException, OSError) as problem:
        reason = getattr(problem, "strerror", None) or str(problem).partition("\n")[0]
        raise DataError(
            f"{path}: the file cannot be read as Parquet ({reason}): check it"
        ) from None


def release_unused() -> None:
    """Give memory that reading no longer needs back to the system, where Python can have it."""
    import pyarrow

    pyarrow.default_memory_pool().release_unused()


def batches(file: Any, row_groups: list[int] | None = None) -> Iterator[Any]:
    """Record batches with the columns of `FIELDS`, of some row groups or of the whole file."""
    found: Iterator[Any] = file.iter_batches(
        batch_size=_BATCH_ROWS, row_groups=row_groups, columns=list(FIELDS), use_threads=False
    )
    return found


def _check_columns(path: Path, schema: Any) -> None:
    """DataError naming the first column that is missing or of a type that is not taken."""
    positions = column_positions(str(path), list(schema.names))
    for field, position in zip(FIELDS, positions, strict=True):
        kind = schema.types[position]
        if field == "timestamp":
            is_taken = _is_text(kind) or _is_aware(kind)
            remedy = "store it as timestamp with time zone UTC, or as ISO-8601 text with Z"
        elif field == "symbol":
            is_taken = _is_text(kind)
            remedy = "store it as text"
        else:
            is_taken = _is_number(kind) or _is_text(kind)
            remedy = "store it as a floating, decimal or whole number"
        if not is_taken:
            raise DataError(f"{path}: column '{field}' has type {kind}: {remedy}")


def _is_aware(kind: Any) -> bool:
    from pyarrow import types

    return bool(types.is_timestamp(kind)) and kind.tz is not None


def _is_text(kind: Any) -> bool:
    from pyarrow import types

    if types.is_dictionary(kind):
        kind = kind.value_type
    is_text = types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind)
    return bool(is_text)


def _is_number(kind: Any) -> bool:
    from pyarrow import types

    return bool(types.is_floating(kind) or types.is_integer(kind) or types.is_decimal(kind))


def text_rows(batch: Any, first_row: int) -> NumberedRows:
    """The rows of a batch as the texts that write their cells exactly, numbered from `first_row`.

    A null is the empty text, as it is in CSV.
    """
    batch.validate(full=True)
    rows: Iterator[TextRow] = zip(*(_texts(batch.column(name)) for name in FIELDS), strict=True)
    return enumerate(rows, first_row)


def shortest_text(kind: Any) -> Callable[[Any], str]:
    """What writes a cell of this type: for a float the shortest text that reads back as it."""
    import numpy as np
    from pyarrow import types

    if types.is_float32(kind):
        return lambda cell: str(np.float32(cell))
    if types.is_float16(kind):
        return lambda cell: str(np.float16(cell))
    return repr if types.is_floating(kind) else str


def _texts(column: Any) -> list[str]:
    import pyarrow

    kind = column.type
    if pyarrow.types.is_timestamp(kind):
        unit = kind.unit
        stamps = column.view(pyarrow.int64()).to_pylist()
        return ["" if stamp is None else _stamp_text(stamp, unit) for stamp in stamps]
    text_of = shortest_text(kind)
    return ["" if cell is None else text_of(cell) for cell in column.to_pylist()]


def _stamp_text(stamp: int, unit: str) -> str:
    """ISO-8601 text of a count of units since 1970, its fraction of a second kept."""
    per_second = PER_SECOND[unit]
    seconds, rest = divmod(stamp, per_second)
    if not YEAR_1 <= seconds < YEAR_10000:
        return f"{stamp} {unit} since 1970"
    if rest == 0:
        return iso(seconds)
    return f"{iso(seconds)[:-1]}.{rest:0{len(str(per_second)) - 1}d}Z"
