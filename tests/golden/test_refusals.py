"""The account's limits refuse real signals, and let go when the next session begins.

Goal: in one backtest over three sessions the daily-loss limit, the consecutive-loss pause, the
position limit and a size of no whole share each refuse a signal, and the decision lines say so; a
second backtest shows a resting entry canceled when the daily loss trips. Method: bars drawn by
letters, one a minute, through the command line; the whole sequence of events is compared, so that
nothing can have happened that is not written here. The events were worked out before the run.

The second backtest is needed because two symbols cannot show both: the position limit refuses one
of them only where a single place is taken, and then no entry can rest beside a losing position.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, ClassVar, NamedTuple
from zoneinfo import ZoneInfo

import pytest
from click.testing import CliRunner

from algo_trader.cli.main import cli
from algo_trader.core.types import Candle
from algo_trader.indicators import IndicatorSet
from algo_trader.strategies import Strategy
from algo_trader.strategies.base import Position

NEW_YORK = ZoneInfo("America/New_York")

# One minute each: open, high, low and close in dollars from the level of the symbol's day.
SHAPES: dict[str, tuple[int | str, ...]] = {
    ".": (0, 0, 0, 0),  # Quiet: reaches no order.
    "S": (0, 1, 0, 1),  # Signal: buy at +1, stop at -1.
    "T": (0, 1, -10, 1),  # Signal of a tall candle: buy at +1, stop at -11.
    "F": (0, "1.5", 0, 0),  # Fills a resting entry, at +1.01.
    "X": (0, 0, "-1.5", -1),  # Reaches the stop of S: out at -1.01.
    "G": (-10, -10, -11, -10),  # A gap down through the stop of S: out at -10.01.
    "d": (-7, -7, -8, -7),  # A dip that leaves the stop of T alone.
    "W": (5, 5, 4, 5),  # The strategy takes its profit: out at +4.99.
}


class GreenBreakout(Strategy):
    """Buys above a green minute, with a stop a dollar below it; sells three dollars up."""

    hyperparameters: ClassVar[Mapping[str, Any]] = {
        "candle_interval_minutes": 1,
        "entry_expiry_candles": 3,
        "sma_fast": 1,
        "sma_slow": 2,
    }

    def should_long(self, bar: Candle, indicators: IndicatorSet) -> bool:
        """Green, whatever the averages; they only ask for three candles first."""
        return bar.close > bar.open

    def entry_price(self, bar: Candle) -> Decimal:
        """The candle's high."""
        return bar.high

    def stop_loss_price(self, bar: Candle) -> Decimal:
        """A dollar below the candle."""
        return bar.low - 1

    def should_exit(self, bar: Candle, position: Position, indicators: IndicatorSet) -> bool:
        """Three dollars above the entry."""
        return bar.close >= position.avg_entry_price + 3


class Day(NamedTuple):
    """A session from 09:30 on: the minutes of AAA at 100 and of BBB at the level given."""

    date: str
    aaa: str
    bbb: str
    level_of_bbb: int = 100


def draw(day: Day) -> list[str]:
    """The CSV rows of a day."""
    opens_at = datetime.fromisoformat(f"{day.date}T09:30").replace(tzinfo=NEW_YORK)
    assert len(day.aaa) == len(day.bbb), "both symbols have a bar in every minute drawn"
    rows = []
    for symbol, level, letters in (("AAA", 100, day.aaa), ("BBB", day.level_of_bbb, day.bbb)):
        for minute, letter in enumerate(letters):
            start = (opens_at + timedelta(minutes=minute)).astimezone(UTC)
            prices = ",".join(str(level + Decimal(offset)) for offset in SHAPES[letter])
            rows.append(f"{start:%Y-%m-%dT%H:%M:%SZ},{symbol},{prices},1000")
    return rows


class Run(NamedTuple):
    """A backtest's document and decision lines."""

    document: dict[str, Any]
    lines: list[dict[str, Any]]

    @property
    def events(self) -> list[str]:
        """All events in order, as "01-02 09:33 BBB REFUSED MAX_POSITIONS"."""
        found = []
        for line in self.lines:
            start = datetime.fromisoformat(line["candle_start"]).astimezone(NEW_YORK)
            for event in line["events"]:
                why = [event[key] for key in ("rule", "reason", "limit") if key in event]
                words = [f"{start:%m-%d %H:%M}", line["symbol"], event["type"], *why]
                found.append(" ".join(words))
        return found

    @property
    def pnls(self) -> list[Decimal]:
        """P&L of the trades in order of closing."""
        return [Decimal(trade["pnl"]) for trade in self.document["trades"]]


def backtest(folder: Path, days: list[Day], *settings: str) -> Run:
    """Run the days through the command line with 25,000 dollars."""
    no_settings = folder / "empty.env"
    no_settings.touch()  # So that nobody's own `.env` is read.
    bars, decisions = folder / "bars.csv", folder / "decisions.jsonl"
    header = "timestamp,symbol,open,high,low,close,volume"
    bars.write_text("\n".join([header, *(row for day in days for row in draw(day))]) + "\n")
    command = ["--data-dir", str(folder), "--env-file", str(no_settings)]
    command += ["backtest", "AAA", "BBB", "--bars", str(bars), "--json"]
    command += ["--strategy", f"{__file__}:{GreenBreakout.__name__}"]
    command += ["--decisions", str(decisions), "--capital", "25000"]
    command += [word for setting in settings for word in ("--set", setting)]
    result = CliRunner().invoke(cli, command, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    lines = [json.loads(line) for line in decisions.read_text().splitlines()]
    return Run(json.loads(result.stdout), lines)


def story(text: str) -> list[str]:
    """The events of a text, without its remarks."""
    lines = [" ".join(line.partition("#")[0].split()) for line in text.splitlines()]
    return [line for line in lines if line]


def assert_refused_signals_left_nothing(run: Run) -> None:
    """A refused signal is shown as a signal, and leaves the symbol flat without an order."""
    for line in run.lines:
        if any(event["type"] == "REFUSED" for event in line["events"]):
            assert line["signal"] == "SIGNAL", line
            assert line["state"] == "FLAT", line
            assert line["stop"] is None, line
            assert line["entry_stop"] is None, line


def assert_no_entry_after(rule: str, date: str, events: list[str]) -> None:
    """From the first word of a tripped limit on, its session places and fills no entry."""
    session = [event for event in events if event.startswith(date)]
    first = next(at for at, event in enumerate(session) if event.endswith(f" {rule}"))
    assert not [event for event in session[first:] if "ENTRY_PLACED" in event]
    assert not [event for event in session[first:] if "ENTRY_FILLED" in event]


# A trade of S loses 1.01 + 1.01 = 2.02 a share at X, 1.01 + 10.01 = 11.02 at G, and wins
# 4.99 - 1.01 = 3.98 at W. A position may be 0.20 of equity, at an entry of 101:
#   01-02  0.20 x 25000.00 / 101 = 49.5: 49 shares, 49 x -2.02 = -98.98
#          0.20 x 24901.02 / 101 = 49.3: 49 shares, -98.98; the day -197.96, its limit -250
#   01-03  0.20 x 24802.04 / 101 = 49.1: 49 shares, 49 x -11.02 = -539.98, the limit -248.02
#   01-04  0.20 x 24262.06 = 4852.41: no share of BBB at 9001 (by risk there could be
#          242.62 / 2 = 121, by cash 2); of AAA 4852.41 / 101 = 48, 48 x 3.98 = 191.04
THREE_DAYS = [
    Day("2024-01-02", "...SF..X..S...S.", "...S.S...SF.X..S"),
    Day("2024-01-03", "SF.G.S..", "......S."),
    Day("2024-01-04", ".SF.W.", "S.....", level_of_bbb=9000),
]
ONE_PLACE = [
    "max_open_positions=1",
    "consecutive_loss_pause=2",
    "max_daily_loss_pct=0.01",
    "max_position_pct=0.20",
]
THREE_DAYS_EVENTS = """
01-02 09:33 AAA ENTRY_PLACED
01-02 09:33 BBB REFUSED MAX_POSITIONS       # The entry of AAA rests.
01-02 09:34 AAA ENTRY_FILLED
01-02 09:35 BBB REFUSED MAX_POSITIONS       # AAA is held.
01-02 09:37 AAA STOPPED_OUT                 # The first loss.
01-02 09:39 BBB ENTRY_PLACED
01-02 09:40 AAA REFUSED MAX_POSITIONS       # BBB was filled in this very minute.
01-02 09:40 BBB ENTRY_FILLED
01-02 09:42 BBB STOPPED_OUT                 # The second: losses of all symbols count together.
01-02 09:44 AAA REFUSED CONSECUTIVE_LOSSES
01-02 09:45 BBB REFUSED CONSECUTIVE_LOSSES
01-03 09:30 AAA ENTRY_PLACED                # A new session begins its own count.
01-03 09:31 AAA ENTRY_FILLED
01-03 09:33 AAA STOPPED_OUT                 # One loss in a row, but more than 1 per cent.
01-03 09:35 AAA REFUSED DAILY_LOSS
01-03 09:36 BBB REFUSED DAILY_LOSS
01-04 09:30 BBB REFUSED QTY_ZERO by_position
01-04 09:31 AAA ENTRY_PLACED
01-04 09:32 AAA ENTRY_FILLED
01-04 09:34 AAA EXIT_STRATEGY
"""


def test_each_limit_refuses_a_signal_in_one_run(tmp_path: Path) -> None:
    """Goal: every limit refuses what it should, nothing else, and only for its session.

    Method: three sessions with a single place, two losses allowed, 1 per cent a day.
    """
    run = backtest(tmp_path, THREE_DAYS, *ONE_PLACE)
    assert run.events == story(THREE_DAYS_EVENTS)
    assert_refused_signals_left_nothing(run)
    assert_no_entry_after("CONSECUTIVE_LOSSES", "01-02", run.events)
    assert_no_entry_after("DAILY_LOSS", "01-03", run.events)
    assert run.pnls == [Decimal(pnl) for pnl in ("-98.98", "-98.98", "-539.98", "191.04")]
    assert Decimal(run.document["metrics"]["final_equity"]) == Decimal("24453.10")


@pytest.mark.parametrize("limit", ["MAX_POSITIONS", "CONSECUTIVE_LOSSES", "DAILY_LOSS"])
def test_without_its_limit_the_signal_is_taken(limit: str, tmp_path: Path) -> None:
    """Goal: each refusal above is that limit's own doing. Method: loosen one limit, look again."""
    loosened, then = {
        "MAX_POSITIONS": ("max_open_positions=2", "01-02 09:33 BBB ENTRY_PLACED"),
        "CONSECUTIVE_LOSSES": ("consecutive_loss_pause=3", "01-02 09:44 AAA ENTRY_PLACED"),
        "DAILY_LOSS": ("max_daily_loss_pct=0.03", "01-03 09:35 AAA ENTRY_PLACED"),
    }[limit]
    run = backtest(tmp_path, THREE_DAYS, *ONE_PLACE, loosened)
    assert then in run.events
    assert not [event for event in run.events if event.endswith(limit)]


# Of AAA at risk 500 / 12 = 41.7: 41 shares (by position 49). At the dip's close of 93 they stand
# 41 x (93 - 101.01) = -328.41, beyond the limit of -250 although the stop at 89 is not reached;
# sold at 104.99 they bring 41 x 3.98 = 163.18. The next day 0.20 x 25163.18 / 101 = 49 shares of
# BBB bring 49 x 3.98 = 195.02. The entry of BBB, placed at 09:36, would live until 09:39.
TWO_DAYS = [
    Day("2024-01-02", "...TF.d..W..", ".....S.FS.S."),
    Day("2024-01-03", "......", ".SF.W."),
]
TWO_PLACES = [
    "max_open_positions=2",
    "max_risk_per_trade_pct=0.02",
    "max_position_pct=0.20",
]
TWO_DAYS_EVENTS = """
01-02 09:33 AAA ENTRY_PLACED
01-02 09:34 AAA ENTRY_FILLED
01-02 09:35 BBB ENTRY_PLACED
01-02 09:36 BBB ENTRY_CANCELED DAILY_LOSS   # The dip of AAA. At 09:37 it would have been filled.
01-02 09:38 BBB REFUSED DAILY_LOSS
01-02 09:39 AAA EXIT_STRATEGY               # The position was left to its strategy.
01-02 09:40 BBB REFUSED DAILY_LOSS          # The day has turned to a gain; the limit stays shut.
01-03 09:31 BBB ENTRY_PLACED
01-03 09:32 BBB ENTRY_FILLED
01-03 09:34 BBB EXIT_STRATEGY
"""


def test_daily_loss_cancels_a_resting_entry(tmp_path: Path) -> None:
    """Goal: an unrealized loss trips the limit, takes the entry away and leaves the position.

    Method: AAA dips while an entry of BBB rests; the next minute of BBB would have filled it.
    """
    run = backtest(tmp_path, TWO_DAYS, *TWO_PLACES, "max_daily_loss_pct=0.01")
    assert run.events == story(TWO_DAYS_EVENTS)
    assert_refused_signals_left_nothing(run)
    assert_no_entry_after("DAILY_LOSS", "01-02", run.events)
    assert run.pnls == [Decimal("163.18"), Decimal("195.02")]
    assert Decimal(run.document["metrics"]["final_equity"]) == Decimal("25358.20")


def test_without_the_daily_loss_the_entry_is_filled(tmp_path: Path) -> None:
    """Goal: the cancel above is the limit's doing. Method: the same bars under a wider limit."""
    run = backtest(tmp_path, TWO_DAYS, *TWO_PLACES, "max_daily_loss_pct=0.02")
    assert "01-02 09:37 BBB ENTRY_FILLED" in run.events
    assert not [event for event in run.events if event.endswith("DAILY_LOSS")]
