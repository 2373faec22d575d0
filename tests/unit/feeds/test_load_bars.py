"""What holds over rows and files: order, doubles, conflicts, absent symbols, paths."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from datetime import datetime
from decimal import Decimal, FloatOperation, localcontext
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from algo_trader.core.errors import DataError
from algo_trader.core.types import Bar, Instant, iso
from algo_trader.feeds.bars import LoadedBars, load_bars

HEADER = "timestamp,symbol,open,high,low,close,volume"
FIRST = 1_704_205_800  # 2024-01-02T14:30:00Z


def row(minute: int, close: str = "171.1", symbol: str = "AAPL", volume: str = "100") -> str:
    return f"{iso(FIRST + 60 * minute)},{symbol},171,172,170,{close},{volume}"


def write_csv(path: Path, *rows: str) -> Path:
    path.write_text("\n".join([HEADER, *rows]) + "\n")
    return path


def write_parquet(path: Path, *rows: str) -> Path:
    stamps, symbols, *numbers = zip(*(each.split(",") for each in rows), strict=True)
    columns = {
        "timestamp": pa.array(
            [_instant(stamp) * 1000 for stamp in stamps], pa.timestamp("ms", "UTC")
        ),
        "symbol": pa.array(symbols),
    }
    for name, cells in zip(HEADER.split(",")[2:], numbers, strict=True):
        columns[name] = pa.array(list(map(float, cells)))
    pq.write_table(pa.table(columns), path)
    return path


def _instant(stamp: str) -> Instant:
    return int(datetime.fromisoformat(stamp).timestamp())


def minutes_of(loaded: LoadedBars, symbol: str = "AAPL") -> list[int]:
    return [(bar.start - FIRST) // 60 for bar in loaded.bars[symbol]]


def refusal(*paths: Path, symbols: list[str] | None = None) -> str:
    with pytest.raises(DataError) as caught:
        load_bars(paths, symbols)
    message = str(caught.value)
    assert len(message.splitlines()) == 1
    return message


def test_rows_may_be_in_any_order(tmp_path: Path) -> None:
    """Goal: each symbol ascending, symbols in code-point order. Method: 200 rows shuffled."""
    rows = [
        row(minute, symbol=symbol) for minute in range(50) for symbol in ("T", "AB", "A.B", "A")
    ]
    random.Random(1).shuffle(rows)
    loaded = load_bars([write_csv(tmp_path / "a.csv", *rows)], None)
    assert list(loaded.bars) == ["A", "A.B", "AB", "T"]
    assert all(minutes_of(loaded, symbol) == list(range(50)) for symbol in loaded.bars)


def test_equal_rows_are_dropped_and_counted(tmp_path: Path) -> None:
    """Goal: equal numbers, not equal texts, make a double; in one file, over files and formats."""
    one = write_csv(
        tmp_path / "a.csv", row(0), row(2), row(0, "171.10"), row(1), row(0, volume="1e2")
    )
    two = write_csv(tmp_path / "b.csv", row(1), row(3))
    three = write_parquet(tmp_path / "c.parquet", row(2), row(4), row(4))
    loaded = load_bars([one, two, three], ["AAPL"])
    assert minutes_of(loaded) == [0, 1, 2, 3, 4]
    assert (loaded.rows_read, loaded.duplicates) == (10, 5)


def test_the_same_file_named_twice_is_all_doubles(tmp_path: Path) -> None:
    """Goal: a file and the folder that holds it may both be named."""
    file = write_csv(tmp_path / "a.csv", row(0), row(1))
    loaded = load_bars([file, tmp_path], None)
    assert (minutes_of(loaded), loaded.duplicates) == ([0, 1], 2)


@pytest.mark.parametrize(
    ("other", "field", "values"),
    [
        (row(1, "171.2"), "close", "171.1 and 171.2"),
        (row(1, volume="100.5"), "volume", "100 and 100.5"),
        (row(1).replace(",172,", ",172.50,"), "high", "172 and 172.5"),
    ],
)
def test_rows_that_differ_are_refused_naming_both(
    tmp_path: Path, other: str, field: str, values: str
) -> None:
    """Goal: nobody can say which row is right. Method: in one file, over files, over formats."""
    a, b, c = tmp_path / "a.csv", tmp_path / "b.csv", tmp_path / "c.parquet"
    tail = (
        f"two rows for AAPL at 2024-01-02T14:31:00Z differ in {field}, {values}: remove one of them"
    )
    write_csv(a, row(0), row(1), row(3), row(1), other, row(2))
    assert refusal(a) == f"{a}, line 3 and {a}, line 6: {tail}"
    write_csv(a, row(0), row(1), row(2))
    write_csv(b, row(1, symbol="T"), row(5), other)
    assert refusal(a, b) == f"{a}, line 3 and {b}, line 4: {tail}"
    write_parquet(c, row(0), row(1, symbol="T"), row(4), other)
    assert refusal(a, c) == f"{a}, line 3 and {c}, row 4: {tail}"


def test_rows_of_a_long_parquet_file_that_differ(tmp_path: Path) -> None:
    """Goal: the numbers of rows far down. Method: rows 1 and 20,001 of 20,001."""
    file = write_parquet(
        tmp_path / "a.parquet", *map(row, range(-10_000, 10_000)), row(-10_000, "172")
    )
    assert refusal(file).startswith(f"{file}, row 1 and {file}, row 20001: two rows for AAPL at ")


def test_rows_of_other_symbols_may_differ(tmp_path: Path) -> None:
    """Goal: a conflict among rows nobody asked for stops nobody."""
    file = write_csv(tmp_path / "a.csv", row(0), row(0, "171.5", symbol="T"), row(0, symbol="T"))
    assert minutes_of(load_bars([file], ["AAPL"])) == [0]


def test_a_symbol_without_bars_is_refused(tmp_path: Path) -> None:
    """Goal: the message names the symbol, the files and the symbols that are there."""
    a, b = write_csv(tmp_path / "a.csv", row(0)), write_csv(tmp_path / "b.csv", row(0, symbol="T"))
    assert refusal(a, b, symbols=["SPY", "AAPL", "QQQ"]) == (
        f"no bar of QQQ, SPY in {a}, {b}: ask for a symbol that is there ('AAPL', 'T') "
        "or add the file that has it"
    )
    assert "(there is none)" in refusal(write_csv(tmp_path / "c.csv"), symbols=["SPY"])


def test_a_word_that_is_no_symbol_is_refused_before_reading(tmp_path: Path) -> None:
    """Goal: aapl is a slip of the hand, not a symbol without bars."""
    assert refusal(tmp_path, symbols=["aapl"]).startswith("symbol 'aapl' is not one")


def test_a_folder_stands_for_its_files_by_name(tmp_path: Path) -> None:
    """Goal: .csv, .csv.gz and .parquet, not what lies deeper, beside them or hidden."""
    write_parquet(tmp_path / "b.PARQUET", row(1))
    write_csv(tmp_path / "a.csv", row(0))
    (tmp_path / "notes.txt").write_text("no bars")
    (tmp_path / "._a.csv").write_bytes(b"\0\5\26\7")
    deeper = tmp_path / "deeper.csv"
    deeper.mkdir()
    write_csv(deeper / "c.csv", row(2))
    assert minutes_of(load_bars([tmp_path], None)) == [0, 1]
    assert minutes_of(load_bars([deeper, tmp_path], None)) == [0, 1, 2]


def test_paths_that_lead_to_no_bars_are_refused(tmp_path: Path) -> None:
    """Goal: nothing there, nothing in it, another kind of file: named, with the remedy."""
    text = tmp_path / "bars.txt"
    text.write_text(HEADER)
    absent, empty, broken = tmp_path / "absent.csv", tmp_path / "empty", tmp_path / "links"
    empty.mkdir()
    broken.mkdir()
    (broken / "a.csv").symlink_to(absent)
    assert refusal() == "no bars: name at least one file or folder of bars"
    assert refusal(absent).startswith(f"{absent}: there is no such file or folder")
    assert refusal(text).startswith(f"{text}: not a file of bars: its name must end in .csv, ")
    assert refusal(empty).startswith(f"{empty}: no file of bars in this folder")
    assert refusal(broken).startswith(f"{broken / 'a.csv'}: the file cannot be read (No such file")
    (broken / "a.csv").unlink()
    (broken / "a.csv").symlink_to("a.csv")
    assert refusal(broken).startswith(f"{broken / 'a.csv'}: the file cannot be read (Too many")
    (broken / "a.csv").unlink()
    os.mkfifo(broken / "a.csv")
    for pipe in (broken, broken / "a.csv"):
        assert refusal(pipe).startswith(f"{broken / 'a.csv'}: not a regular file: ")


def test_parquet_and_csv_give_the_same_bars(tmp_path: Path) -> None:
    """Goal: the format of a file does not show. Method: 300 rows of 3 symbols, both ways."""
    chance = random.Random(2)
    rows = [
        row(minute, f"171.{chance.randrange(100):02d}", symbol, str(chance.randrange(5000)))
        for minute in range(100)
        for symbol in ("AAPL", "T", "SPY")
    ]
    chance.shuffle(rows)
    from_csv = load_bars([write_csv(tmp_path / "a.csv", *rows)], None)
    from_parquet = load_bars([write_parquet(tmp_path / "a.parquet", *rows)], None)
    assert from_csv == from_parquet
    assert from_csv.fingerprint() == from_parquet.fingerprint()


def test_the_fingerprint_is_of_the_bars_alone(tmp_path: Path) -> None:
    """Goal: order, doubles and zeros don't matter, any number and any minute does."""
    file = tmp_path / "a.csv"

    def fingerprint(*rows: str) -> str:
        return load_bars([write_csv(file, *rows)], None).fingerprint()

    known = fingerprint(row(0), row(1))
    assert fingerprint(row(1, "171.100"), row(0), row(1)) == known
    others = [(row(0),), (row(0), row(2)), (row(0), row(1, "171.2")), (row(0), row(1, symbol="T"))]
    assert len({fingerprint(*rows) for rows in others} | {known}) == 5


def test_progress_counts_rows_over_all_files(tmp_path: Path) -> None:
    """Goal: ascending, ends at the number of rows, rows of other symbols counted."""
    rows = [row(minute % 1000, volume=str(minute // 1000)) for minute in range(40_000)]
    big = write_csv(tmp_path / "a.csv", *(each.replace("AAPL", "T") for each in rows))
    small = write_parquet(tmp_path / "b.parquet", row(0), row(1))
    seen: list[int] = []
    load_bars([big, small], ["AAPL"], seen.append)
    assert seen == sorted(seen)
    assert seen[-1] == 40_002
    assert len(seen) >= 4


def test_no_float_enters_a_decimal(tmp_path: Path) -> None:
    """Goal: with the FloatOperation trap set, as in the daemon, both formats load."""
    files = [write_csv(tmp_path / "a.csv", row(0)), write_parquet(tmp_path / "b.parquet", row(1))]
    with localcontext() as context:
        context.traps[FloatOperation] = True
        loaded = load_bars(files, None)
    assert loaded.bars["AAPL"][1] == Bar(
        "AAPL", FIRST + 60, Decimal(171), Decimal(172), Decimal(170), Decimal("171.1"), Decimal(100)
    )


@pytest.mark.parametrize(
    ("name", "absent"),
    [("a.csv", {"numpy", "pyarrow", "pandas"}), ("a.parquet", {"pandas", "pyarrow.compute"})],
)
def test_what_loading_does_not_import(tmp_path: Path, name: str, absent: set[str]) -> None:
    """Goal: start-up time and memory. Method: a fresh interpreter tells what it has imported."""
    file = tmp_path / name
    (write_csv if name.endswith("csv") else write_parquet)(file, row(0), row(1))
    script = (
        "import sys; from pathlib import Path; from algo_trader.feeds.bars import load_bars; "
        "assert load_bars([Path(sys.argv[1])], ['AAPL']).rows_read == 2; print(*sys.modules)"
    )
    answer = subprocess.run(
        [sys.executable, "-W", "error", "-c", script, str(file)],
        check=True,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert not absent & set(answer.stdout.split())
