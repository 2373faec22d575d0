"""Bars from CSV: what is taken, and for everything else file, line, field, value and remedy."""

from __future__ import annotations

import gzip
from decimal import Decimal
from pathlib import Path

import pytest

from algo_trader.core.errors import DataError
from algo_trader.core.types import Bar
from algo_trader.feeds.bars import load_bars
from algo_trader.feeds.rows import FIELDS

HEADER = "timestamp,symbol,open,high,low,close,volume"
GOOD = "2024-01-02T14:30:00Z,AAPL,171.10,171.25,170.9,171,1200"
GOOD_BAR = Bar(
    "AAPL",
    1_704_205_800,
    Decimal("171.1"),
    Decimal("171.25"),
    Decimal("170.9"),
    Decimal(171),
    Decimal(1200),
)


def write(folder: Path, *lines: str, name: str = "bars.csv") -> Path:
    path = folder / name
    path.write_bytes("".join(f"{line}\n" for line in lines).encode())
    return path


def refusal(path: Path, symbols: list[str] | None = None) -> str:
    """The message with which the file is refused; one line, whatever the file holds."""
    with pytest.raises(DataError) as caught:
        load_bars([path], symbols)
    message = str(caught.value)
    assert len(message.splitlines()) == 1
    return message


def test_a_row_becomes_a_bar_of_exact_decimals(tmp_path: Path) -> None:
    """Goal: seven texts to instant and Decimals; equal numbers equal whatever their zeros."""
    loaded = load_bars([write(tmp_path, HEADER, GOOD)], ["AAPL"])
    assert loaded.bars == {"AAPL": [GOOD_BAR]}
    assert type(loaded.bars["AAPL"][0]) is Bar
    assert (loaded.rows_read, loaded.duplicates) == (1, 0)


@pytest.mark.parametrize(
    "lines",
    [
        ["close,volume,low,high,open,symbol,timestamp", "171,1200,170.9,171.25,171.10,AAPL,{t}"],
        [HEADER + ",vwap,note", '{t},AAPL,171.10,171.25,170.9,171,1200,nan,"two\nlines"'],
        ["\ufeff" + HEADER, GOOD],
        [HEADER + "\r", GOOD + "\r"],
        ["", HEADER, "", GOOD, ""],
        [HEADER, '"{t}","AAPL","171.10","171.25","170.9","171","1200"'],
        [HEADER, "{t},AAPL,+171.10,1.7125e2,170.900,171.,1200.0"],
    ],
    ids=["any order", "extra columns", "byte order mark", "CRLF", "blank lines", "quoted", "forms"],
)
def test_forms_of_a_file_that_mean_the_same(tmp_path: Path, lines: list[str]) -> None:
    """Goal: columns in any order, columns nobody asked for, other programs' habits."""
    path = write(tmp_path, *(line.replace("{t}", "2024-01-02T14:30:00Z") for line in lines))
    assert load_bars([path], None).bars == {"AAPL": [GOOD_BAR]}


@pytest.mark.parametrize(
    ("written", "volume"),
    [("1234.0", "1234"), ("0", "0"), ("-0", "0"), ("1.5", "1.5"), ("1e3", "1000")],
)
def test_whole_volumes_are_whole_numbers(tmp_path: Path, written: str, volume: str) -> None:
    """Goal: a volume from a float column elsewhere is a plain number; a volume of 0 is a bar."""
    row = GOOD.removesuffix("1200") + written
    assert str(load_bars([write(tmp_path, HEADER, row)], None).bars["AAPL"][0].volume) == volume


def test_the_largest_and_finest_numbers_are_exact(tmp_path: Path) -> None:
    """Goal: the bounds themselves. Method: all digits nines; zeros behind the ninth are none."""
    price, volume = "999999999.999999999", "999999999999999.999"
    row = f"2024-01-02T14:30:00Z,AAPL,{price},{price}000,0.000000001,{price},{volume}"
    (bar,) = load_bars([write(tmp_path, HEADER, row)], None).bars["AAPL"]
    assert (bar.open, bar.high, bar.low) == (Decimal(price), Decimal(price), Decimal("1e-9"))
    assert bar.volume == Decimal(volume)


def test_equal_texts_share_one_decimal(tmp_path: Path) -> None:
    """Goal: a year of minutes has few prices; a Decimal for each cell would cost 40 MB."""
    later = GOOD.replace("14:30", "14:31")
    first, second = load_bars([write(tmp_path, HEADER, GOOD, later)], None).bars["AAPL"]
    assert all(getattr(first, name) is getattr(second, name) for name in FIELDS[2:])
    assert first.symbol is second.symbol


# field, text in place of the good one, what the message says of it
WRONG_FIELDS = [
    ("timestamp", "2024-01-02T14:30:00", "has no time zone"),
    ("timestamp", "2024-01-02T14:30:15Z", "is not on a whole minute"),
    ("timestamp", "2024-13-02T14:30:00Z", "is not an ISO-8601 time"),
    ("timestamp", "1704205800", "is not an ISO-8601 time"),
    ("timestamp", "", "is not an ISO-8601 time"),
    ("timestamp", "0001-01-01T00:00:00+05:00", "is not in the years 1 to 9999"),
    ("timestamp", "9999-12-31T23:59:00-05:00", "is not in the years 1 to 9999"),
    ("symbol", "aapl", "is not a symbol"),
    ("symbol", "BRK/B", "is not a symbol"),
    ("symbol", "AAPL ", "is not a symbol"),
    ("symbol", "ABCDEFGHIJK", "is not a symbol"),
    ("symbol", "", "is empty"),
    ("symbol", " ", "is empty"),
    ("open", "", "is empty"),
    ("open", "abc", "is not a number"),
    ("open", "1_000", "is not a number"),
    ("open", "0x10", "is not a number"),
    ("open", "１７１", "is not a number"),  # noqa: RUF001 - wide digits
    ("open", " 171", "is not a number"),
    ("open", "171,25", "is not a number"),
    ("open", "1e999999999", "is not a number"),
    ("open", "nan", "is not a finite number"),
    ("open", "sNaN", "is not a number"),
    ("high", "inf", "is not a finite number"),
    ("high", "Infinity", "is not a finite number"),
    ("low", "-inf", "is not a finite number"),
    ("low", "0", "is not above 0"),
    ("low", "-1", "is not above 0"),
    ("close", "0.00", "is not above 0"),
    ("high", "1000000000", "is not below 1,000,000,000"),
    ("high", "9e99", "is not below 1,000,000,000"),
    ("low", "170.8999999999999999", "has more than 18 significant digits"),
    ("low", "1e-16", "has more than 15 decimal places"),
    ("volume", "1000000000000000", "is not below 1,000,000,000,000,000"),
    ("volume", "1e-16", "has more than 15 decimal places"),
    ("volume", "-1", "is negative"),
    ("volume", "NaN", "is not a finite number"),
    ("volume", "", "is empty"),
    ("high", "170", "is below low '170.9'"),
    ("open", "170.89", "is outside low to high, '170.9' to '171.25'"),
    ("open", "171.26", "is outside low to high"),
    ("close", "170.8", "is outside low to high"),
    ("close", "171.2500001", "is outside low to high"),
]


@pytest.mark.parametrize(("field", "value", "problem"), WRONG_FIELDS)
def test_a_wrong_field_is_named_with_its_line(
    tmp_path: Path, field: str, value: str, problem: str
) -> None:
    """Goal: file, line, field, value and a remedy. Method: one cell of line 3 replaced."""
    cells = dict(zip(HEADER.split(","), GOOD.replace("14:30", "14:31").split(","), strict=True))
    cells[field] = value
    row = ",".join(f'"{cell}"' for cell in cells.values())
    path = write(tmp_path, HEADER, GOOD, row, GOOD.replace("14:30", "14:32"))
    message = refusal(path)
    start = f"{path}, line 3: {field} {value!r} {problem}"
    assert message.startswith(start)
    assert ": " in message.removeprefix(start), "no remedy"


def test_a_long_value_with_line_breaks_stays_one_short_line(tmp_path: Path) -> None:
    """Goal: a message fits a terminal even if a quotation mark swallowed half the file."""
    row = GOOD.replace("171.10", '"' + "17\n" * 500 + '"')
    message = refusal(write(tmp_path, HEADER, row))
    assert "line 2: open " in message
    assert len(message) < 200 + len(str(tmp_path))


def test_lines_are_counted_as_an_editor_shows_them(tmp_path: Path) -> None:
    """Goal: the line of the row, though blank lines and a quoted line break stand before it."""
    lines = [HEADER + ",note", "", GOOD + ',"one\ntwo\nthree"', GOOD.replace("171.10", "x") + ","]
    assert refusal(write(tmp_path, *lines)).startswith(f"{tmp_path / 'bars.csv'}, line 6: open 'x'")


def test_the_first_wrong_row_is_the_one_named(tmp_path: Path) -> None:
    """Goal: whoever corrects a file works from its top."""
    bad = GOOD.replace("1200", "-1")
    assert ", line 3: volume" in refusal(
        write(tmp_path, HEADER, GOOD, bad, GOOD.replace("171", ""))
    )


@pytest.mark.parametrize(
    ("lines", "problem"),
    [
        ([], "the file is empty"),
        ([""], "the file is empty"),
        ([HEADER.replace(",close", "")], "line 1: no column 'close'"),
        ([HEADER.replace("open,high,", "")], "line 1: no columns 'open', 'high'"),
        (["", HEADER.replace("symbol", "Symbol")], "line 2: no column 'symbol'"),
        ([HEADER.replace(",", ";")], "line 1: no columns 'timestamp'"),
        ([GOOD], "line 1: no columns 'timestamp'"),
        ([HEADER + ",close"], "line 1: column 'close' stands twice"),
        ([HEADER, GOOD + ",7"], "line 2: the row has 8 fields, the header has 7"),
        ([HEADER, GOOD, GOOD[:30]], "line 3: the row has 3 fields, the header has 7"),
        ([HEADER, GOOD, '"2024-01-02'], "line 3: the row is not CSV"),
        ([HEADER, '"a"b' + GOOD], "line 2: the row is not CSV"),
        ([HEADER], "no bar in"),
    ],
)
def test_a_file_of_the_wrong_form_is_refused(
    tmp_path: Path, lines: list[str], problem: str
) -> None:
    """Goal: a missing column, another separator, a row cut short: named, with the line."""
    message = refusal(write(tmp_path, *lines))
    assert problem in message
    assert str(tmp_path / "bars.csv") in message


@pytest.mark.parametrize("name", ["bars.csv", "bars.csv.gz"])
def test_text_that_is_not_utf8_is_named_with_its_line(tmp_path: Path, name: str) -> None:
    """Goal: the line, though the file is decoded in blocks of many lines."""
    content = f"{HEADER}\n{GOOD}\n".encode() + GOOD.encode("latin-1") + b"\xe9\n"
    path = tmp_path / name
    path.write_bytes(gzip.compress(content) if name.endswith("gz") else content)
    assert refusal(path).startswith(f"{path}, line 3: the text is not UTF-8")


def test_utf16_is_refused(tmp_path: Path) -> None:
    """Goal: what a spreadsheet calls Unicode text is refused, not misread."""
    path = tmp_path / "bars.csv"
    path.write_bytes(f"{HEADER}\n{GOOD}\n".encode("utf-16"))
    assert "line 1: the text is not UTF-8" in refusal(path)


def test_gzip_is_read_and_damage_to_it_is_refused(tmp_path: Path) -> None:
    """Goal: whole, cut short anywhere, not gzip at all, one bit of the checksum wrong."""
    path = tmp_path / "bars.csv.gz"
    whole = gzip.compress(f"{HEADER}\n{GOOD}\n".encode())
    path.write_bytes(whole)
    assert load_bars([path], ["AAPL"]).bars == {"AAPL": [GOOD_BAR]}
    flipped = whole[:-5] + bytes([whole[-5] ^ 1]) + whole[-4:]
    for damaged in [whole[:cut] for cut in range(1, len(whole), 5)] + [GOOD.encode(), flipped]:
        path.write_bytes(damaged)
        assert refusal(path).startswith(f"{path}: the gzip data is broken or cut short")
    path.write_bytes(b"")
    assert refusal(path).startswith(f"{path}: the file is empty")


def test_a_wrong_byte_anywhere_in_gzip_is_refused(tmp_path: Path) -> None:
    """Goal: whatever the damage does to the text, the checksum finds it at the end."""
    path = tmp_path / "bars.csv.gz"
    whole = gzip.compress(f"{HEADER}\n{GOOD}\n".encode())
    for at in range(10, len(whole)):  # the first ten are a header with time and name
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 0x55]) + whole[at + 1 :])
        assert refusal(path).startswith(f"{path}")


def test_rows_of_other_symbols_are_passed_over_unless_they_name_none(tmp_path: Path) -> None:
    """Goal: a fault in a stock nobody asked for stops nobody; a row without symbol may be ours."""
    other = "never,BF-B,,nan,-1,,x"
    path = write(tmp_path, HEADER, other, GOOD)
    loaded = load_bars([path], ["AAPL"])
    assert loaded.bars == {"AAPL": [GOOD_BAR]}
    assert loaded.rows_read == 2
    path = write(tmp_path, HEADER, GOOD, other.replace("BF-B", ""))
    assert ", line 3: symbol '' is empty" in refusal(path, ["AAPL"])
