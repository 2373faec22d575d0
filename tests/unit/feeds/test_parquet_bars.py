"""Bars from Parquet: types that are taken, exact numbers from each."""

from __future__ import annotations

import math
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from algo_trader.core.types import Bar
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


def bars_of(**replaced: tuple[str, ...]) -> list[Bar]:
    """The bars of `table`, the numbers of the columns named replaced."""
    texts: dict[str, tuple[str, ...]] = {
        "open": ("171.1", "171.2", "171.3"),
        "high": ("171.25", "171.35", "171.45"),
        "low": ("170.9", "171", "171.1"),
        "close": ("171", "171.1", "171.2"),
        "volume": ("1200", "0", "7.5"),
    }
    rows = zip(*(texts | replaced).values(), strict=True)
    return [Bar("AAPL", FIRST + 60 * i, *map(Decimal, row)) for i, row in enumerate(rows)]


def write(folder: Path, content: Any, **options: Any) -> Path:
    path = folder / "bars.parquet"
    pq.write_table(content, path, **options)
    return path


def loaded(folder: Path, content: Any, **options: Any) -> list[Bar]:
    return load_bars([write(folder, content, **options)], ["AAPL"]).bars["AAPL"]


def test_a_plain_file_gives_exact_bars(tmp_path: Path) -> None:
    """Goal: float64 becomes Decimal(repr(x)), whole volumes whole numbers, one Decimal a price."""
    bars = loaded(tmp_path, table())
    assert bars == bars_of()
    assert [str(bar.volume) for bar in bars] == ["1200", "0", "7.5"]
    assert all(type(bar) is Bar and type(bar.start) is int for bar in bars)
    assert bars[0].open is bars[1].close is bars[2].low


def stamps(unit: str, zone: str, per_second: int) -> Any:
    values = [(FIRST + 60 * i) * per_second for i in range(ROWS)]
    return pa.array(values, pa.timestamp(unit, zone))


@pytest.mark.parametrize(
    ("name", "column"),
    [
        ("timestamp", stamps("s", "UTC", 1)),
        ("timestamp", stamps("ms", "UTC", 10**3)),
        ("timestamp", stamps("ns", "UTC", 10**9)),
        ("timestamp", stamps("us", "America/New_York", 10**6)),
        ("timestamp", stamps("us", "+05:30", 10**6)),
        ("timestamp", pa.array([f"2024-01-02T09:3{i}:00-05:00" for i in range(ROWS)])),
        (
            "timestamp",
            pa.array([f"2024-01-02T14:3{i}Z" for i in range(ROWS)]).dictionary_encode(),
        ),
        ("symbol", pa.array(["AAPL"] * ROWS).dictionary_encode()),
        ("symbol", pa.array(["AAPL"] * ROWS, pa.large_string())),
        ("symbol", pa.array(["AAPL"] * ROWS, pa.string_view())),
        ("open", pa.array(["171.10", "171.2", "1.713e2"])),
        ("open", pa.array(list(map(Decimal, ("171.1", "171.2", "171.3"))), pa.decimal128(18, 6))),
        ("open", pa.array(list(map(Decimal, ("171.1", "171.2", "171.3"))), pa.decimal256(70, 60))),
        ("volume", pa.array(["1200", "0", "7.50"])),
    ],
)
def test_types_that_mean_the_same_give_the_same_bars(
    tmp_path: Path, name: str, column: Any
) -> None:
    """Goal: every unit and zone of a timestamp, texts, decimals; quick way and exact way agree."""
    assert loaded(tmp_path, table(**{name: column})) == bars_of()


FLOAT32_NUMBERS = {
    name: pa.array(values, pa.float32())
    for name, values in {
        "open": [171.1, 171.2, 171.3],
        "high": [171.25, 171.35, 171.45],
        "low": [170.9, 171.0, 171.1],
        "close": [171.0, 171.1, 171.2],
        "volume": [1200.0, 0.0, 7.5],
    }.items()
}


@pytest.mark.parametrize("exactly", [False, True])
def test_float32_is_its_own_shortest_text(tmp_path: Path, exactly: bool) -> None:
    """Goal: 171.1 stored in 32 bits is 171.1, not 171.10000610351562; in both ways of reading."""
    columns = dict(FLOAT32_NUMBERS)
    if exactly:  # a text among the prices: the file is read row by row
        columns["close"] = pa.array(["171", "171.1", "171.2"])
    assert loaded(tmp_path, table(**columns)) == bars_of()


@pytest.mark.parametrize("exactly", [False, True])
@pytest.mark.parametrize(
    ("column", "texts"),
    [
        (pa.array([5, 0, 10**15 - 1]), ("5", "0", "999999999999999")),
        (pa.array([5, 0, 10**15 - 1], pa.uint64()), ("5", "0", "999999999999999")),
        (pa.array([5, 0, 255], pa.uint8()), ("5", "0", "255")),
        # the float32 nearest 123456789 is 123456792, but its shortest text is 123456790
        (pa.array([5.0, 0.0, 123456789.0], pa.float32()), ("5", "0", "123456790")),
        # the float32 nearest 2**45 is that, but its shortest text is 35184372000000
        (pa.array([5.0, 0.0, 2.0**45], pa.float32()), ("5", "0", "35184372000000")),
        (pa.array([5.0, 0.0, 10.0**15 - 0.125]), ("5", "0", "999999999999999.9")),
        (pa.array([5.0, -0.0, 0.000000001]), ("5", "0", "0.000000001")),
    ],
)
def test_volumes_of_any_size_are_exact(
    tmp_path: Path, column: Any, texts: tuple[str, ...], exactly: bool
) -> None:
    """Goal: whole numbers up to the bound, floats by their shortest text; both ways of reading."""
    replaced = {"volume": column}
    if exactly:
        replaced["open"] = pa.array(["171.1", "171.2", "171.3"])
    assert loaded(tmp_path, table(**replaced)) == bars_of(volume=texts)


def test_whole_number_prices(tmp_path: Path) -> None:
    """Goal: prices stored as integers are those numbers."""
    column = pa.array([171] * ROWS)
    replaced = dict.fromkeys(PRICES, column)
    texts = dict.fromkeys(PRICES, ("171",) * ROWS)
    assert loaded(tmp_path, table(**replaced)) == bars_of(**texts)


def test_columns_in_any_order_and_more_of_them(tmp_path: Path) -> None:
    """Goal: order is free, columns nobody asked for are not read, whatever they hold."""
    content = table(trades=pa.array([None, [1], []]), vwap=pa.array([math.nan] * ROWS))
    names = sorted(content.column_names)
    assert loaded(tmp_path, content.select(names)) == bars_of()


def test_row_groups_and_symbols_in_any_order(tmp_path: Path) -> None:
    """Goal: 5 symbols mixed over row groups of 7 rows come out sorted, the others passed over."""
    symbols = ["MSFT", "AAPL", "T", "X", "SPY"]
    count = 60
    which = [symbols[(7 * i + i // 11) % 5] for i in range(count)]
    start = [(FIRST + 60 * ((i * 37) % count)) * 10**6 for i in range(count)]
    price = pa.array([100 + i / 8 for i in range(count)])
    content = pa.table(
        {
            "timestamp": pa.array(start, UTC_US),
            "symbol": pa.array(which),
            **dict.fromkeys(PRICES, price),
            "volume": pa.array(range(count)),
        }
    )
    path = write(tmp_path, content, row_group_size=7)
    result = load_bars([path], ["SPY", "AAPL"])
    assert list(result.bars) == ["AAPL", "SPY"]
    assert result.rows_read == count
    for symbol, bars in result.bars.items():
        expected = sorted(
            (start[i] // 10**6, Decimal(i)) for i in range(count) if which[i] == symbol
        )
        assert [(bar.start, bar.volume) for bar in bars] == expected
        assert all(bar.symbol == symbol for bar in bars)
        assert all(bar.open == 100 + bar.volume / 8 for bar in bars)


def test_equal_bars_from_a_file_with_nulls_in_other_rows(tmp_path: Path) -> None:
    """Goal: a null in a row nobody asked for only costs time."""
    content = pa.concat_tables(
        [table(), table(symbol=pa.array(["T"] * ROWS), close=pa.nulls(ROWS, pa.float64()))]
    )
    assert loaded(tmp_path, content) == bars_of()
