"""The bundled sample: made by its script, small, and every way a trade can go occurs on it.

No figure of profit is pinned here: the assertions are about the words of the decision lines and
the trades, so that the sample stays a demonstration and not a second definition of the strategy.
"""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from click.testing import CliRunner

from algo_trader.cli.main import cli

DATA = Path(__file__).parents[2] / "data"
SAMPLE = DATA / "sample"
SYMBOLS = ("SYNA", "SYNB", "SYNC")
HALF_DAY = "2024-11-29"
HALF_DAY_CLOSE = f"{HALF_DAY}T18:00:00Z"
HALF_DAY_FLATTEN = f"{HALF_DAY}T17:59:00Z"
MINUTES = 390 + 210 + 390
CENT = Decimal("0.01")
EXITS = {"STOPPED_OUT", "EXIT_MAX_RUN", "EXIT_END_OF_DAY"}

SHORT_AVERAGES = '''
"""A user's own strategy, as in the documentation."""

from algo_trader.strategies import Strategy


class Cross(Strategy):
    hyperparameters = {"sma_fast": 3, "sma_slow": 8}

    def should_long(self, bar, indicators):
        return indicators.sma_fast > indicators.sma_slow

    def entry_price(self, bar):
        return bar.high

    def stop_loss_price(self, bar):
        return bar.low - 1

    def should_exit(self, bar, position, indicators):
        return indicators.sma_fast < indicators.sma_slow
'''


class Run(NamedTuple):
    """What a backtest printed and wrote."""

    document: dict[str, Any]
    lines: list[dict[str, Any]]

    @property
    def events(self) -> list[dict[str, Any]]:
        """All events in order of processing."""
        return [event for line in self.lines for event in line["events"]]


class Story(NamedTuple):
    """One trade as the decision lines tell it."""

    entry: Decimal
    stops: list[Decimal]
    """Where the stop was moved to, in order."""
    ending: str
    exit: Decimal


def backtest(folder: Path, *arguments: str) -> Run:
    """Run `algo-trader backtest` on the sample, with neither settings nor files of this machine."""
    decisions, settings = folder / "decisions.jsonl", folder / "no.env"
    settings.write_text("")
    places = ("--data-dir", str(folder), "--env-file", str(settings))
    files = ("--bars", str(SAMPLE), "--decisions", str(decisions))
    result = CliRunner().invoke(
        cli,
        [*places, "backtest", *SYMBOLS, *files, "--json", *arguments],
        env={name: None for name in os.environ if name.startswith("ALGO_")},
        catch_exceptions=False,
    )
    assert result.exit_code == 0, result.output
    lines = [json.loads(line) for line in decisions.read_text().splitlines()]
    return Run(json.loads(result.stdout), lines)


def stories(run: Run) -> list[Story]:
    """The trades, told from their events; the lines of a symbol are in order of time."""
    told: list[Story] = []
    for symbol in SYMBOLS:
        entry, stops = Decimal(0), list[Decimal]()
        own = (line for line in run.lines if line["symbol"] == symbol)
        for event in (event for line in own for event in line["events"]):
            if event["type"] == "ENTRY_FILLED":
                entry, stops = Decimal(event["price"]), []
            elif event["type"] == "STOP_MOVED":
                stops.append(Decimal(event["to"]))
            elif event["type"] in EXITS:
                told.append(Story(entry, stops, event["type"], Decimal(event["price"])))
    return told


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """The sample under default settings."""
    return backtest(tmp_path_factory.mktemp("default"))


@pytest.fixture(scope="module")
def rows() -> list[dict[str, str]]:
    """Every row of the sample's files."""
    found: list[dict[str, str]] = []
    for symbol in SYMBOLS:
        with (SAMPLE / f"{symbol}.csv").open(newline="", encoding="ascii") as file:
            found += csv.DictReader(file)
    return found


def test_script_writes_the_same_bytes(tmp_path: Path) -> None:
    """Goal: the sample is what its script makes. Method: run it apart, compare every file."""
    subprocess.run(
        [sys.executable, "-I", str(DATA / "make_sample.py"), str(tmp_path / "again")],
        check=True,
        capture_output=True,
    )
    again = {file.name: file.read_bytes() for file in (tmp_path / "again").iterdir()}
    assert again == {file.name: file.read_bytes() for file in SAMPLE.iterdir()}


def test_note_says_that_the_data_are_made_up() -> None:
    """Goal: nobody takes the bars for real ones. Method: the note beside them names it."""
    note = (SAMPLE / "README.md").read_text(encoding="ascii")
    assert "synthetic" in note
    assert "data/make_sample.py" in note
    assert "free to use" in note


def test_sample_is_small() -> None:
    """Goal: the sample costs a checkout little. Method: its files stay under 300 kB together."""
    assert sum(file.stat().st_size for file in SAMPLE.iterdir()) < 300_000


def test_prices_are_whole_cents_within_the_bar(rows: list[dict[str, str]]) -> None:
    """Goal: bars as a market prints them. Method: two decimals, positive, nothing beyond the wicks,
    and shares traded in every row.
    """
    for row in rows:
        texts = [row[field] for field in ("low", "open", "close", "high")]
        assert all(len(text.partition(".")[2]) == 2 for text in texts), row
        low, opened, closed, high = map(Decimal, texts)
        assert 0 < low <= min(opened, closed) <= max(opened, closed) <= high, row
        assert int(row["volume"]) > 0, row


def test_sessions_are_those_of_the_exchange(rows: list[dict[str, str]], run: Run) -> None:
    """Goal: the script's opening hours are the calendar's. Method: the backtest, which drops what
    lies outside, uses every row; and SYNA and SYNB have a bar in every minute.
    """
    assert run.document["run"]["bars"] == len(rows)
    for symbol in ("SYNA", "SYNB"):
        assert sum(row["symbol"] == symbol for row in rows) == MINUTES


def test_missing_minutes_make_late_candles(rows: list[dict[str, str]], run: Run) -> None:
    """Goal: the thin stock shows late candles. Method: count its rows and its late lines."""
    assert sum(row["symbol"] == "SYNC" for row in rows) < MINUTES
    assert {line["symbol"] for line in run.lines if line["late"]} == {"SYNC"}


@pytest.mark.parametrize(
    "word",
    [
        "ENTRY_PLACED",
        "ENTRY_FILLED",
        "ENTRY_EXPIRED",
        "STOP_MOVED",
        "STOPPED_OUT",
        "EXIT_MAX_RUN",
        "EXIT_END_OF_DAY",
        "REFUSED",
    ],
)
def test_event_occurs(run: Run, word: str) -> None:
    """Goal: a first run shows the strategy's whole vocabulary. Method: look for the event."""
    assert word in {event["type"] for event in run.events}


def test_trades_are_modest_in_number_and_end_in_every_way(run: Run) -> None:
    """Goal: a table one can read. Method: 5 to 30 trades in all symbols, with every exit reason."""
    trades = run.document["trades"]
    assert 5 <= len(trades) <= 30
    assert {trade["symbol"] for trade in trades} == set(SYMBOLS)
    assert {trade["exit_reason"] for trade in trades} == {"stop_loss", "max_run", "end_of_day"}
    assert len(stories(run)) == len(trades)


def test_a_trailed_stop_takes_a_profit(run: Run) -> None:
    """Goal: the trailing machine at work. Method: find a trade whose stop moved up more than once
    and that was sold at the last stop, slippage apart, above its entry.
    """
    assert any(
        story.ending == "STOPPED_OUT"
        and len(story.stops) > 1
        and story.stops == sorted(story.stops)
        and story.entry < story.exit
        and abs(story.exit - story.stops[-1]) <= CENT
        for story in stories(run)
    )


def test_a_plain_stop_out_takes_a_loss(run: Run) -> None:
    """Goal: the initial stop at work. Method: find a trade stopped below its entry, its stop never
    moved.
    """
    assert any(
        story.ending == "STOPPED_OUT" and not story.stops and story.exit < story.entry
        for story in stories(run)
    )


def test_half_day_is_traded_and_ends_flat(rows: list[dict[str, str]], run: Run) -> None:
    """Goal: the early close replaces 16:00. Method: the half-day's last bar starts before 18:00
    UTC, there are trades that day, all closed before the flatten time, and no line after it is in
    a position or has an entry resting.
    """
    assert max(r["timestamp"] for r in rows if r["timestamp"][:10] == HALF_DAY) < HALF_DAY_CLOSE
    trades = [trade for trade in run.document["trades"] if trade["entry_at"][:10] == HALF_DAY]
    assert trades
    assert all(trade["exit_at"] < HALF_DAY_FLATTEN for trade in trades)
    last_candle = f"{HALF_DAY}T17:58:00Z"
    last = {line["symbol"]: line for line in run.lines if line["candle_start"] == last_candle}
    assert last.keys() == set(SYMBOLS)
    assert {line["state"] for line in last.values()} == {"FLAT"}


def test_a_strategy_with_short_averages_trades(tmp_path: Path) -> None:
    """Goal: the sample serves a user's first own strategy. Method: one with averages of 3 and 8
    candles trades every symbol in every session, also the first.
    """
    own = tmp_path / "own.py"
    own.write_text(SHORT_AVERAGES)
    trades = backtest(tmp_path, "--strategy", f"{own}:Cross").document["trades"]
    found = {(trade["symbol"], trade["entry_at"][:10]) for trade in trades}
    assert {symbol for symbol, _ in found} == set(SYMBOLS)
    assert {day for _, day in found} == {"2024-11-27", HALF_DAY, "2024-12-02"}
