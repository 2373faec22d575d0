"""Real vendors' files, if there are any: every row loads, and lies where its vendor says."""

from __future__ import annotations

import os
from collections import Counter
from datetime import date
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from algo_trader.core.session import SessionTable
from algo_trader.core.types import text
from algo_trader.feeds.bars import LoadedBars, load_bars
from algo_trader.feeds.calendar import load_sessions
from algo_trader.feeds.tape import build_tape

_ROOT = os.environ.get("ALGO_REAL_DATA")
FILES = sorted(Path(_ROOT, "bars_1min").glob("*.csv.gz")) if _ROOT else []

pytestmark = pytest.mark.skipif(not FILES, reason="ALGO_REAL_DATA names no folder with bars_1min")


@pytest.fixture(scope="module")
def sessions() -> SessionTable:
    return load_sessions(None, today=date(2026, 6, 1))


def named(start: str) -> LoadedBars:
    (file,) = [file for file in FILES if file.name.startswith(start)]
    return load_bars([file], None)


@pytest.mark.parametrize("file", FILES, ids=[file.name for file in FILES])
def test_every_file_loads_whole(file: Path, sessions: SessionTable) -> None:
    """Goal: no false alarm on what vendors send; each bar is on the tape or counted as dropped."""
    loaded = load_bars([file], None)
    tape = build_tape(loaded.bars, sessions)
    total = sum(map(len, loaded.bars.values()))
    assert total + loaded.duplicates == loaded.rows_read > 7000
    assert tape.bar_count + tape.dropped == total


def test_the_whole_folder_at_once() -> None:
    """Goal: files of several vendors overlap in no minute with other numbers."""
    loaded = load_bars([FILES[0].parent], None)
    assert loaded.rows_read == sum(load_bars([file], None).rows_read for file in FILES)
    assert {"AAPL", "SPY", "CPAY", "TPL", "VXXB"} <= loaded.bars.keys()


def test_complete_sessions_are_complete(sessions: SessionTable) -> None:
    """Goal: 41 sessions of AAPL and 20 of SPY of which the vendor's description says 390 bars."""
    for start, days in (("AAPL_2024", 41), ("SPY_2011", 20)):
        tape = build_tape(named(start).bars, sessions)
        assert len(tape.days) == days
        assert all(len(day.minutes) == 390 and all(day.minutes) for day in tape.days)


def test_a_half_day_and_a_sparse_stock(sessions: SessionTable) -> None:
    """Goal: 210 minutes on 2024-07-03; a median of 247 bars a session, one session with 3."""
    tape = build_tape(named("CPAY").bars, sessions)
    lengths = {day.session.date: len(day.minutes) for day in tape.days}
    assert lengths.pop(date(2024, 7, 3)) == 210
    assert set(lengths.values()) == {390}
    counts = sorted(sum(map(len, day.minutes)) for day in tape.days)
    assert 240 <= counts[len(counts) // 2] <= 255


def test_parquet_of_the_same_rows_gives_the_same_bars(tmp_path: Path) -> None:
    """Goal: through float64 and back nothing is lost. Method: 23 symbols, rows as they stand."""
    loaded = named("US23")
    bars = [bar for row in loaded.bars.values() for bar in row]
    columns = {
        "timestamp": pa.array([bar.start * 10**6 for bar in bars], pa.timestamp("us", "UTC")),
        "symbol": pa.array([bar.symbol for bar in bars]),
    }
    for name in ("open", "high", "low", "close", "volume"):
        columns[name] = pa.array([float(text(getattr(bar, name))) for bar in bars])
    file = tmp_path / "bars.parquet"
    pq.write_table(pa.table(columns), file, row_group_size=10_000)
    again = load_bars([file], None)
    assert again.bars == loaded.bars
    assert len(loaded.bars) == 23
    assert Counter(type(bar.volume) for bar in again.bars["SPY"]).keys() == {type(bars[0].volume)}
