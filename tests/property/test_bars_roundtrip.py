"""Bars written in any form and read again are the same bars; a fault is found wherever it is."""

from __future__ import annotations

import gzip
import random
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import astuple
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from algo_trader.core.errors import DataError
from algo_trader.core.types import Bar, iso
from algo_trader.feeds.bars import load_bars

FIELDS = ("timestamp", "symbol", "open", "high", "low", "close", "volume")
SYMBOLS = ("A", "AAPL", "BRK.B", "T", "X9")

# At most 15 significant digits: a float64 holds each of these so that its shortest text is it.
prices = st.tuples(st.integers(1, 10**8), st.integers(0, 4)).map(
    lambda pair: Decimal(pair[0]).scaleb(-pair[1])
)
volumes = st.one_of(
    st.integers(0, 10**12).map(Decimal), st.integers(0, 10**8).map(lambda n: Decimal(n) / 8)
)
starts = st.integers(0, 2**31 // 60).map(lambda minute: 60 * minute)


@st.composite
def one_bar(draw: st.DrawFn) -> Bar:
    low, first, second, high = sorted(draw(st.tuples(prices, prices, prices, prices)))
    if draw(st.booleans()):
        first, second = second, first
    symbol, start = draw(st.sampled_from(SYMBOLS)), draw(starts)
    return Bar(symbol, start, first, high, low, second, draw(volumes))


bar_lists = st.lists(
    one_bar(), min_size=1, max_size=30, unique_by=lambda bar: (bar.symbol, bar.start)
)


def expected(bars: list[Bar]) -> dict[str, list[Bar]]:
    return {
        symbol: sorted((bar for bar in bars if bar.symbol == symbol), key=lambda bar: bar.start)
        for symbol in sorted({bar.symbol for bar in bars})
    }


def written(number: Decimal, chance: random.Random) -> str:
    """One of the texts that write this number."""
    plain = format(number, "f")
    forms = [plain, f"+{plain}", f"{number:E}", plain + ("00" if "." in plain else ".00")]
    return chance.choice(forms)


def csv_text(bars: list[Bar], chance: random.Random) -> str:
    columns = [*FIELDS, "note"]
    chance.shuffle(columns)
    lines = [",".join(columns)]
    for bar in bars:
        cells = {name: written(getattr(bar, name), chance) for name in FIELDS[2:]}
        cells |= {"timestamp": iso(bar.start), "symbol": bar.symbol, "note": '"a ""b"", c"'}
        lines.append(",".join(cells[name] for name in columns))
    return "\n".join(lines) + "\n"


def as_float64(numbers: list[Decimal]) -> Any:
    return pa.array(list(map(float, numbers)), pa.float64())


def as_decimal(numbers: list[Decimal]) -> Any:
    return pa.array(numbers, pa.decimal128(30, 6))


def as_text(numbers: list[Decimal]) -> Any:
    return pa.array([format(number, "f") for number in numbers])


def parquet_table(bars: list[Bar], chance: random.Random, kinds: Any) -> Any:
    unit, per_second = chance.choice([("s", 1), ("ms", 10**3), ("us", 10**6), ("ns", 10**9)])
    stamps = [bar.start * per_second for bar in bars]
    symbols = pa.array([bar.symbol for bar in bars])
    columns = {
        "timestamp": pa.array(stamps, pa.timestamp(unit, "UTC")),
        "symbol": chance.choice([symbols, symbols.dictionary_encode()]),
    }
    for name in FIELDS[2:]:
        columns[name] = chance.choice(kinds)([getattr(bar, name) for bar in bars])
    return pa.table(columns)


@contextmanager
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as name:
        yield Path(name)


@settings(deadline=None)
@given(bars=bar_lists, chance=st.randoms(use_true_random=False))
def test_csv_round_trip(bars: list[Bar], chance: random.Random) -> None:
    """Goal: any order of rows and columns, any way to write a number, doubles, two files."""
    doubled = bars + chance.sample(bars, chance.randrange(len(bars) + 1))
    chance.shuffle(doubled)
    cut = chance.randrange(len(doubled) + 1)
    with folder() as place:
        (place / "a.csv").write_text(csv_text(doubled[:cut], chance))
        (place / "b.csv.gz").write_bytes(gzip.compress(csv_text(doubled[cut:], chance).encode()))
        loaded = load_bars([place], None)
    assert loaded.bars == expected(bars)
    assert loaded.rows_read == len(doubled)
    assert loaded.duplicates == len(doubled) - len(bars)


@settings(deadline=None)
@given(
    bars=bar_lists,
    chance=st.randoms(use_true_random=False),
    kinds=st.sampled_from([[as_float64], [as_float64, as_decimal, as_text]]),
    row_group_size=st.integers(1, 40),
)
def test_parquet_round_trip_equals_csv(
    bars: list[Bar], chance: random.Random, kinds: Any, row_group_size: int
) -> None:
    """Goal: by whole columns or row by row, every type of number gives what CSV gives."""
    chance.shuffle(bars)
    wanted = chance.sample(SYMBOLS, 2)
    with folder() as place:
        pq.write_table(
            parquet_table(bars, chance, kinds), place / "a.parquet", row_group_size=row_group_size
        )
        (place / "a.csv").write_text(csv_text(bars, chance))
        loaded = load_bars([place / "a.parquet"], None)
        assert loaded == load_bars([place / "a.csv"], None)
        assert loaded.bars == expected(bars)
        if set(wanted) <= loaded.bars.keys():
            some = load_bars([place / "a.parquet"], wanted).bars
            assert some == {symbol: loaded.bars[symbol] for symbol in sorted(wanted)}


@settings(deadline=None)
@given(
    value=st.one_of(
        st.floats(min_value=1e-16, max_value=1e10),
        st.tuples(st.integers(1, 10**15), st.integers(0, 11)).map(lambda n: n[0] / 10 ** n[1]),
    ),
    single=st.booleans(),
)
def test_a_float_becomes_its_shortest_text_or_is_refused(value: float, single: bool) -> None:
    """Goal: Decimal(repr(x)) for any float64, and numpy's shortest text for any float32, if that is
    below a thousand million and has at most fifteen decimal places.
    """
    column = pa.array([value], pa.float32() if single else pa.float64())
    table = pa.table(
        {
            "timestamp": pa.array([0], pa.timestamp("s", "UTC")),
            "symbol": ["A"],
            **dict.fromkeys(("open", "high", "low", "close"), column),
            "volume": column,
        }
    )
    shortest = str(column.to_numpy()[0]) if single else repr(value)
    with folder() as place:
        pq.write_table(table, place / "a.parquet")
        if Decimal(shortest) >= 10**9 or Decimal(shortest) != round(Decimal(shortest), 15):
            message = r"row 1: open '.*' (is not below|has more than 15)"
            with pytest.raises(DataError, match=message):
                load_bars([place / "a.parquet"], ["A"])
            return
        (bar,) = load_bars([place / "a.parquet"], ["A"]).bars["A"]
    assert bar.open == bar.high == bar.low == bar.close == bar.volume == Decimal(shortest)


def break_number(bar: Bar, chance: random.Random) -> tuple[str, str]:
    """A field of the bar and a text for it that makes the row wrong."""
    field = chance.choice(FIELDS[2:])
    texts = ["", "nan", "inf", "-1", "1_0", "x"]
    if field in ("open", "close"):
        texts += [format(bar.high + 1, "f"), "0.000001"]
    return field, chance.choice(texts)


@settings(deadline=None)
@given(bars=bar_lists, chance=st.randoms(use_true_random=False))
def test_one_wrong_number_is_found_wherever_it_is(bars: list[Bar], chance: random.Random) -> None:
    """Goal: file, line and field of the only fault, in CSV and in Parquet of texts."""
    at = chance.randrange(len(bars))
    if bars[at].low <= Decimal("0.000001"):
        return
    field, text = break_number(bars[at], chance)
    numbers = [[format(number, "f") for number in astuple(bar)[2:]] for bar in bars]
    rows = [[iso(bar.start), bar.symbol, *cells] for bar, cells in zip(bars, numbers, strict=True)]
    rows[at][FIELDS.index(field)] = text
    with folder() as place:
        csv_file, parquet_file = place / "a.csv", place / "a.parquet"
        csv_file.write_text("\n".join(map(",".join, [list(FIELDS), *rows])) + "\n")
        columns = zip(FIELDS, zip(*rows, strict=True), strict=True)
        pq.write_table(pa.table({name: pa.array(cells) for name, cells in columns}), parquet_file)
        for file, row in ((csv_file, f"line {at + 2}"), (parquet_file, f"row {at + 1}")):
            with pytest.raises(DataError) as caught:
                load_bars([file], [bars[at].symbol])
            assert str(caught.value).startswith(f"{file}, {row}: {field} {text!r} ")
