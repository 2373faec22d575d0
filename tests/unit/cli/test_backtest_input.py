"""Bad input to `backtest`: one message that names field and remedy, exit 2, nothing written."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from algo_trader.cli.main import run

HEADER = "timestamp,symbol,open,high,low,close,volume\n"
GOOD = "2024-01-02T14:30:00Z,ABC,10.00,10.10,9.90,10.05,100\n"
NEXT = "2024-01-02T14:31:00Z,ABC,10.05,10.10,10.00,10.05,100\n"


class Case(NamedTuple):
    """Arguments after the verb, and what the message must contain. {dir} is the test's folder."""

    name: str
    arguments: str
    message: str


BARS = "--bars {dir}/bars.csv"
ARGUMENTS = [
    Case("unknown setting", f"ABC {BARS} --set max_open_position=1", "max_open_positions"),
    Case("no value", f"ABC {BARS} --set max_open_positions", "="),
    Case("risk as per cent", f"ABC {BARS} --set max_risk_per_trade_pct=0.1", "0.001 to 0.05"),
    Case("averages crossed", f"ABC {BARS} --set sma_fast=50 --set sma_slow=50", "sma_slow"),
    Case("not a number", f"ABC {BARS} --set max_position_pct=lots", "lots"),
    Case("strategy disabled", f"ABC {BARS} --set velez.enabled=false", "velez.enabled"),
    Case("symbol in lower case", f"abc {BARS}", "did you mean ABC"),
    Case("symbol with a slash", f"../ABC {BARS}", "'../ABC'"),
    Case("no symbol", BARS, "SYMBOL"),
    Case("no bars", "ABC", "--bars"),
    Case("bars missing", "ABC --bars {dir}/none.csv", "none.csv"),
    Case("symbol without bars", f"XYZ {BARS}", "XYZ"),
    Case("period without bars", f"ABC {BARS} --from 2024-02-01", "2024-01-02"),
    Case("period upside down", f"ABC {BARS} --from 2024-02-01 --to 2024-01-01", "swap"),
    Case("date that is none", f"ABC {BARS} --from 2024-02-30", "2024-02-30"),
    Case("capital not finite", f"ABC {BARS} --capital NaN", "capital"),
    Case("capital of nothing", f"ABC {BARS} --capital 0", "capital"),
    Case("capital too fine", f"ABC {BARS} --capital 1.0000000001", "9 decimal places"),
    Case("capital too large", f"ABC {BARS} --capital 1000000000000", "between 1 and 999999999999"),
    Case("slippage too fine", f"ABC {BARS} --slippage 0.0000000001", "9 decimal places"),
    Case("commission too fine", f"ABC {BARS} --set commission_per_share=1e-9", "commission_per"),
    Case("brackets", f"ABC {BARS} --set watchlist={'[' * 100_000}", "not a JSON list"),
    Case("negative slippage", f"ABC {BARS} --slippage -0.01", "slippage"),
    Case("unknown strategy", f"ABC {BARS} --strategy veles", "velez"),
    Case("strategy file missing", f"ABC {BARS} --strategy {{dir}}/no.py:Mine", "no.py"),
    Case("answer over the input", f"ABC {BARS} --decisions {{dir}}/bars.csv", "elsewhere"),
    Case("lines to stdout", f"ABC {BARS} --decisions -", "in place of -"),
    Case("lines to stdout, too", f"ABC {BARS} --decisions - --json", "in place of -"),
    Case("report to stdout", f"ABC {BARS} --report -", "in place of -"),
    Case("answer nowhere", f"ABC {BARS} --decisions {{dir}}/no/folder.jsonl", "folder.jsonl"),
    Case("env file missing", f"--env-file {{dir}}/no.env backtest ABC {BARS}", "no.env"),
]

ROWS = [
    Case("price is text", "2024-01-02T14:31:00Z,ABC,ten,11,9,10,1", "line 3: open"),
    Case("price is NaN", "2024-01-02T14:31:00Z,ABC,10,NaN,9,10,1", "line 3: high"),
    Case("high below low", "2024-01-02T14:31:00Z,ABC,10,9,11,10,1", "line 3: "),
    Case("price too large", "2024-01-02T14:31:00Z,ABC,10,1e9,9,10,1", "line 3: high"),
    Case("price too fine", "2024-01-02T14:31:00Z,ABC,10,11,9,9.9999999999999998,1", "line 3"),
    Case("before all time", "0001-01-01T00:00:00+05:00,ABC,10,11,9,10,1", "line 3: timestamp"),
    Case("after all time", "9999-12-31T23:59:00-05:00,ABC,10,11,9,10,1", "line 3: timestamp"),
    Case("negative volume", "2024-01-02T14:31:00Z,ABC,10,11,9,10,-1", "line 3: volume"),
    Case("naive time", "2024-01-02T14:31:00,ABC,10,11,9,10,1", "line 3: timestamp"),
    Case("row too short", "2024-01-02T14:31:00Z,ABC,10,11,9", "line 3: "),
    Case("other values again", "2024-01-02T14:30:00Z,ABC,10.00,10.20,9.90,10.05,100", "line 3"),
]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with two good bars in it."""
    (tmp_path / "bars.csv").write_text(HEADER + GOOD + NEXT)
    return tmp_path


def invoke(folder: Path, arguments: str) -> int:
    """Run the command line of a case with all its files in the test's folder."""
    words = arguments.format(dir=folder).split()
    verb = [] if "backtest" in words else ["backtest"]
    return run(["--data-dir", str(folder / "data"), *verb, *words])


def listing(folder: Path) -> set[str]:
    """Every file below the folder but the cached calendar."""
    files = (path for path in folder.rglob("*") if path.is_file() and path.parent.name != "cache")
    return {str(path.relative_to(folder)) for path in files}


@pytest.mark.parametrize("case", ARGUMENTS, ids=lambda case: case.name)
def test_bad_arguments(case: Case, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Goal: exit 2, one message on stderr, nothing on stdout, no new file."""
    before = listing(folder)
    assert invoke(folder, case.arguments) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert case.message in told.err
    assert "Traceback" not in told.err
    assert listing(folder) == before


@pytest.mark.parametrize("case", ROWS, ids=lambda case: case.name)
def test_bad_rows(case: Case, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Goal: a malformed row names file, line and field."""
    (folder / "bars.csv").write_text(HEADER + GOOD + case.arguments + "\n")
    assert invoke(folder, f"ABC {BARS} --decisions {{dir}}/answer.jsonl") == 2
    told = capsys.readouterr().err
    assert "bars.csv" in told
    assert case.message in told
    assert not (folder / "answer.jsonl").exists()


BROKEN = """
from algo_trader.strategies import Strategy

class Raises(Strategy):
    hyperparameters = {"sma_fast": 5, "sma_slow": 10, "level": 3}
    def should_long(self, bar, indicators):
        return bar.nonsense
    def entry_price(self, bar):
        return bar.high
    def stop_loss_price(self, bar):
        return bar.low

class Floats(Raises):
    def should_long(self, bar, indicators):
        return True
    def entry_price(self, bar):
        return float(bar.high)

class FloatParameter(Raises):
    hyperparameters = {"level": 0.5}

class Unfinished(Strategy):
    def should_long(self, bar, indicators):
        return False

class NotOne:
    pass
"""

STRATEGIES = [
    Case("raises at a candle", "Raises", "at candle 11 of ABC"),
    Case("gives a float", "Floats", "prices are Decimal"),
    Case("float parameter", "FloatParameter", 'Decimal("0.5")'),
    Case("methods missing", "Unfinished", "entry_price, stop_loss_price"),
    Case("not a strategy", "NotOne", "NotOne"),
    Case("no such class", "Nobody", "Nobody"),
]


def many_bars(count: int) -> str:
    """A session's first bars, a cent up each minute."""
    rows = []
    for minute in range(count):
        low = 1000 + minute
        price = [f"{(low + add) / 100:.2f}" for add in (1, 3, 0, 2)]
        hour, rest = divmod(14 * 60 + 30 + minute, 60)
        rows.append(f"2024-01-02T{hour:02}:{rest:02}:00Z,ABC,{','.join(price)},100\n")
    return HEADER + "".join(rows)


@pytest.mark.parametrize("case", STRATEGIES, ids=lambda case: case.name)
def test_a_users_mistake_is_told_as_theirs(
    case: Case, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Goal: the user's file, line and candle are named, and none of this program's frames."""
    (folder / "bars.csv").write_text(many_bars(60))
    (folder / "mine.py").write_text(BROKEN)
    answer = folder / "answer.jsonl"
    strategy = f"--strategy {{dir}}/mine.py:{case.arguments} --decisions {answer}"
    assert invoke(folder, f"ABC {BARS} {strategy}") == 2
    told = capsys.readouterr().err
    assert case.message in told
    assert "/engine/" not in told
    assert not answer.exists()


def test_a_file_that_does_not_import(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Goal: a syntax error in the user's file shows their line."""
    (folder / "mine.py").write_text("class Mine(:\n")
    assert invoke(folder, f"ABC {BARS} --strategy {{dir}}/mine.py:Mine") == 2
    told = capsys.readouterr().err
    assert "does not import" in told
    assert 'mine.py", line 1' in told
    assert "importlib" not in told


def test_too_few_bars_to_warm_up(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Goal: a warning that says how many candles are needed, and an honest empty result."""
    assert invoke(folder, f"ABC {BARS} --json") == 0
    told = capsys.readouterr()
    assert "1 candles" in told.err or "1 candle" in told.err
    assert "201" in told.err
    assert '"trades": []' in told.out
    assert '"win_rate": null' in told.out


def test_paths_after_bars_may_be_a_shells_glob(folder: Path) -> None:
    """Goal: `--bars a.csv b.csv SYMBOL` reads both files."""
    (folder / "more.csv").write_text(HEADER + NEXT)
    assert invoke(folder, "--bars {dir}/bars.csv {dir}/more.csv ABC --json") == 0


def test_a_suffix_in_capitals_is_no_symbol(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Goal: A.CSV reads as a stock symbol, and after --bars it is a file."""
    monkeypatch.chdir(folder)
    columns = {name: pa.array([10.0]) for name in HEADER.strip().split(",")}
    columns["timestamp"] = pa.array([1_704_205_980], pa.timestamp("s", "UTC"))
    columns["symbol"] = pa.array(["ABC"])
    pq.write_table(pa.table(columns), "C.PARQUET")
    Path("A.CSV").write_text(HEADER + GOOD)
    Path("B.CSV.GZ").write_bytes(gzip.compress((HEADER + NEXT).encode()))
    assert invoke(folder, "--bars A.CSV B.CSV.GZ C.PARQUET ABC --decisions lines --json") == 0
    assert len(Path("lines").read_text().splitlines()) == 2, "14:30 to 14:33 are two candles"


def test_missing_verb_and_unknown_verb(capsys: pytest.CaptureFixture[str]) -> None:
    """Goal: both are usage errors that say how to go on."""
    assert run(["nonsense"]) == 2
    assert "nonsense" in capsys.readouterr().err
