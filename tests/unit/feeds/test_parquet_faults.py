"""Parquet files that are refused: file, row or column, value and remedy are named."""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from algo_trader.core.errors import DataError
from algo_trader.feeds.bars import load_bars

FIRST = 1_704_205_800  # 2024-01-02T14:30:00Z
UTC_US = pa.timestamp("us", "UTC")
PRICES = ("open", "high", "low", "close")
ROWS = 3


def table(**replaced: Any) -> Any:
    """Three bars of AAPL, the columns named replaced by others (None: left out)."""
    columns: dict[str, Any] = {
        "timestamp": pa.array([(FIRST + 60 * i) * 10**6 for i in range(ROWS)], UTC_US),
        "symbol": pa.array(["AAPL"] * ROWS),
        "open": pa.array([171.1, 171.2, 171.3]),
        "high": pa.array([171.25, 171.35, 171.45]),
        "low": pa.array([170.9, 171.0, 171.1]),
        "close": pa.array([171.0, 171.1, 171.2]),
        "volume": pa.array([1200.0, 0.0, 7.5]),
    }
    columns |= replaced
    return pa.table({name: column for name, column in columns.items() if column is not None})


def write(folder: Path, content: Any, **options: Any) -> Path:
    path = folder / "bars.parquet"
    pq.write_table(content, path, **options)
    return path


def refusal(path: Path, symbols: list[str] | None = None) -> str:
    with pytest.raises(DataError) as caught:
        load_bars([path], symbols)
    message = str(caught.value)
    assert len(message.splitlines()) == 1
    return message


def stamps(unit: str, *values: int | None) -> Any:
    return pa.array(values, pa.timestamp(unit, "UTC"))


def texts(*values: str | None) -> Any:
    return pa.array(values)


def floats(*values: float | None) -> Any:
    return pa.array(values, pa.float64())


# field whose column is replaced, its cells, what the message says of the one in row 2
WRONG_CELLS = [
    ("timestamp", stamps("s", FIRST, FIRST + 61, 0), "'2024-01-02T14:31:01Z' is not on a whole"),
    ("timestamp", stamps("ns", 0, 1, 0), "'1970-01-01T00:00:00.000000001Z' is not on a whole"),
    ("timestamp", stamps("s", FIRST, None, 0), "'' is not an ISO-8601 time"),
    ("timestamp", stamps("ms", 0, 10**18, 0), "'1000000000000000000 ms since 1970' is not"),
    ("timestamp", texts("2024-01-02T14:30Z", "2024-01-02", ""), "'2024-01-02' is not an ISO"),
    ("timestamp", texts("2024-01-02T14:30Z", "2024-01-02T14:31", ""), "'2024-01-02T14:31' has no"),
    ("timestamp", texts("2024-01-02T14:30Z", "0001-01-01T00:00+05:00", ""), "'0001-01-01T00:00+0"),
    ("timestamp", texts("2024-01-02T14:30Z", "9999-12-31T23:59-05:00", ""), "'9999-12-31T23:59-0"),
    ("symbol", texts("AAPL", "aapl", "AAPL"), "'aapl' is not a symbol"),
    ("symbol", texts("AAPL", None, "AAPL"), "'' is empty"),
    ("symbol", texts("AAPL", "", "AAPL"), "'' is empty"),
    ("open", floats(171.1, math.nan, 171.3), "'nan' is not a finite number"),
    ("open", floats(171.1, None, 171.3), "'' is empty"),
    ("open", texts("171.1", "1_0", "171.3"), "'1_0' is not a number"),
    ("open", floats(171.1, 171.36, 171.3), "'171.36' is outside low to high"),
    ("high", floats(171.25, math.inf, 171.45), "'inf' is not a finite number"),
    ("high", floats(171.25, 1e300, 171.45), "'1e+300' is not a number"),
    ("high", floats(171.25, 170.0, 171.45), "'170.0' is below low '171.0'"),
    ("high", floats(171.25, 1e9, 171.45), "'1000000000.0' is not below 1,000,000,000:"),
    ("low", floats(170.9, 1e-16, 171.1), "'1e-16' has more than 15 decimal"),
    ("low", floats(170.9, -1.0, 171.1), "'-1.0' is not above 0"),
    ("low", floats(170.9, 0.0, 171.1), "'0.0' is not above 0"),
    ("low", floats(170.9, -math.inf, 171.1), "'-inf' is not a finite number"),
    ("low", floats(170.9, 1e-300, 171.1), "'1e-300' is not a number"),
    ("close", floats(171.0, 171.36, 171.2), "'171.36' is outside low to high, '171.0' to '171.35'"),
    ("close", floats(171.0, 170.99, 171.2), "'170.99' is outside low to high"),
    ("volume", floats(1.0, -1.0, 1.0), "'-1.0' is negative"),
    ("volume", floats(1.0, math.nan, 1.0), "'nan' is not a finite number"),
    ("volume", floats(1.0, math.inf, 1.0), "'inf' is not a finite number"),
    ("volume", floats(1.0, 1e300, 1.0), "'1e+300' is not a number"),
    ("volume", floats(1.0, 0.1 + 0.2, 1.0), "'0.30000000000000004' has more than 15 decimal"),
    ("volume", floats(1.0, 1e15, 1.0), "'1000000000000000.0' is not below 1,000,000,000,000,000"),
    ("volume", pa.array([1, 10**15, 1]), "'1000000000000000' is not below"),
    ("volume", pa.array([1, 2**64 - 1, 1], pa.uint64()), "'18446744073709551615' is not below"),
    ("volume", pa.array([1, -1, 1]), "'-1' is negative"),
]


@pytest.mark.parametrize(("field", "column", "problem"), WRONG_CELLS)
def test_a_wrong_cell_is_named_with_its_row(
    tmp_path: Path, field: str, column: Any, problem: str
) -> None:
    """Goal: file, row, field and value, though the quick way looks at whole columns."""
    path = write(tmp_path, table(**{field: column}))
    assert refusal(path).startswith(f"{path}, row 2: {field} {problem}")


@pytest.mark.parametrize("row_group_size", [1, 100, 50_000])
def test_rows_are_counted_over_row_groups_and_batches(tmp_path: Path, row_group_size: int) -> None:
    """Goal: the row's number in the file. Method: row 9001 of 9600 is wrong."""
    count = 9_600 if row_group_size > 1 else 96
    wrong = count * 15 // 16
    price = [100.0] * count
    high = [100.0] * wrong + [math.nan] + [100.0] * (count - wrong - 1)
    columns = {
        "timestamp": pa.array([(FIRST + 60 * i) * 10**6 for i in range(count)], UTC_US),
        "symbol": pa.array(["AAPL", "T"] * (count // 2)),
        **dict.fromkeys(PRICES, pa.array(price)),
        "volume": pa.array(price),
        "high": pa.array(high),
    }
    path = write(tmp_path, pa.table(columns), row_group_size=row_group_size)
    symbol = ("AAPL", "T")[wrong % 2]
    assert refusal(path, [symbol]).startswith(f"{path}, row {wrong + 1}: high 'nan'")
    other = ("AAPL", "T")[1 - wrong % 2]
    assert len(load_bars([path], [other]).bars[other]) == count // 2


WRONG_COLUMNS: list[tuple[dict[str, Any], str]] = [
    ({"close": None}, "no column 'close'"),
    ({"timestamp": pa.array([FIRST] * 3)}, "column 'timestamp' has type int64"),
    ({"timestamp": pa.array([1.5] * 3)}, "column 'timestamp' has type double"),
    (
        {"timestamp": pa.array([1] * 3, pa.timestamp("us"))},
        "column 'timestamp' has type timestamp[us]",
    ),
    ({"timestamp": pa.array([1] * 3, pa.date32())}, "column 'timestamp' has type date32"),
    ({"symbol": pa.array([1, 2, 3])}, "column 'symbol' has type int64"),
    ({"symbol": pa.array([b"A", b"B", b"C"])}, "column 'symbol' has type binary"),
    ({"symbol": pa.array([["A"], ["B"], []])}, "column 'symbol' has type list"),
    ({"open": pa.array([True] * 3)}, "column 'open' has type bool"),
    ({"open": pa.array([{"a": 1.0}] * 3)}, "column 'open' has type struct"),
    ({"volume": pa.array([1] * 3, pa.timestamp("s", "UTC"))}, "column 'volume' has type timestamp"),
    ({"volume": pa.nulls(3)}, "column 'volume' has type null"),
]


@pytest.mark.parametrize(("replaced", "problem"), WRONG_COLUMNS)
def test_a_column_of_another_type_is_refused(
    tmp_path: Path, replaced: dict[str, Any], problem: str
) -> None:
    """Goal: no guess what a number of unknown unit or a time without zone might mean."""
    path = write(tmp_path, table(**replaced))
    assert refusal(path).startswith(f"{path}: {problem}")


def test_a_column_that_stands_twice_is_refused(tmp_path: Path) -> None:
    """Goal: nobody can say which of the two is meant."""
    content = table()
    path = write(tmp_path, content.append_column("close", content["close"]))
    assert refusal(path) == f"{path}: column 'close' stands twice: keep one of them"


@pytest.mark.parametrize(
    "damage",
    [
        lambda whole: b"",
        lambda whole: b"timestamp,symbol\n",
        lambda whole: whole[: len(whole) // 2],
        lambda whole: whole[:-9] + bytes([whole[-9] ^ 255]) + whole[-8:],
        lambda whole: b"\0" * len(whole),
        lambda whole: whole[:4] + b"\xff" * 60 + whole[64:],
    ],
)
def test_a_damaged_file_is_refused(tmp_path: Path, damage: Callable[[bytes], bytes]) -> None:
    """Goal: cut short, overwritten, another format: one line that names the file."""
    path = write(tmp_path, table())
    path.write_bytes(damage(path.read_bytes()))
    assert refusal(path).startswith(f"{path}: ")


def test_every_byte_may_be_wrong(tmp_path: Path) -> None:
    """Goal: damage gives a DataError or bars, never another error. Method: flip each 7th byte."""
    path = write(tmp_path, table(), compression="none")
    whole = path.read_bytes()
    for at in range(0, len(whole), 7):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 0xFF]) + whole[at + 1 :])
        with suppress(DataError):
            load_bars([path], None)


def test_a_file_without_rows(tmp_path: Path) -> None:
    """Goal: no row group, or an empty one, is a file without bars."""
    path = write(tmp_path, table().slice(0, 0))
    assert refusal(path).startswith(f"no bar in {path}")
