"""One trading day worked with pencil and paper; every number of the program must be the same.

Goal: fills, sizes, commissions, cash, equity, trades and metrics of one session follow from the
written rules by arithmetic that a reader can redo. Method: the bars (`day_by_hand.csv`, which tells
the story bar by bar) and everything expected below were written first, from the rules alone; then
the day is run through the command line, and once more through the runner for cash and equity.
Numbers compare exactly, as decimals. Times are New York's.

The strategy, on candles of two minutes: a green candle while the average of the last 2 closes lies
above that of the last 4 is a signal; buy at its high, stop at its low; every green candle of a
position moves the stop up to its low. Warm from candle 5 on. An entry lives for one candle.

Account: 10,000. At most 0.005 of equity and at most 50.00 at risk in a trade, 0.25 of equity in a
position. A fill of q shares costs 0.005 q + 1.25. Slippage is the default, 0.01.

SIZES    at risk = min(0.005 x equity, 50); sizes are whole shares, rounded down
  09:40  equity 10,000.00, at risk 50.00 either way, entry 9.97, stop 9.78
         by risk 50/0.19 = 263.2   by position 2500/9.97 = 250.8      by cash 10000/9.97 = 1003.01
  10:02  equity 10,055.00, at risk 50.00 (not 50.275), entry 10.60, stop 10.40
         by risk 50/0.20 = 250     by position 2513.75/10.60 = 237.1  by cash 10055/10.60 = 948.6
  12:02  equity 10,055.00, at risk 50.00 (not 50.275), entry 12.49, stop 12.24
         by risk 50/0.25 = 200     by position 2513.75/12.49 = 201.3  by cash 10055/12.49 = 805.04
  12:04  equity 9,996.50, at risk 49.9825 (not 50), entry 12.50, stop 12.11
         by risk 49.9825/0.39 = 128.2  by position 2499.125/12.50 = 199.9  by cash 799.7
  14:52  equity 9,930.00, at risk 49.65 (not 50), entry 12.49, stop 12.18
         by risk 49.65/0.31 = 160.2    by position 2482.50/12.49 = 198.8   by cash 795.04

FILLS
  09:40  opens at 9.99, over 9.97:      min(max(9.99, 9.97) + 0.01, 10.20)      = 10.00
         250 x 10.00 = 2500.00, commission 1.25 + 1.25 = 2.50
         cash 10000.00 - 2500.00 - 2.50 = 7497.50
  09:47  low 10.24 touches stop 10.24:  max(min(10.35, 10.24) - 0.01, 10.24)    = 10.24 (capped)
         250 x 10.24 = 2560.00; cash 7497.50 + 2560.00 - 2.50 = 10055.00
  12:02  high 12.50 reaches 12.49:      min(max(12.44, 12.49) + 0.01, 12.50)    = 12.50
         200 x 12.50 = 2500.00, commission 1.00 + 1.25 = 2.25
         cash 10055.00 - 2500.00 - 2.25 = 7552.75
  12:02  same bar, low 12.11 under 12.24: max(12.24 - 0.01, 12.11)              = 12.23
         200 x 12.23 = 2446.00; cash 7552.75 + 2446.00 - 2.25 = 9996.50
  12:04  high 12.50 touches 12.50:      min(max(12.46, 12.50) + 0.01, 12.50)    = 12.50 (capped)
         128 x 12.50 = 1600.00, commission 0.64 + 1.25 = 1.89
         cash 9996.50 - 1600.00 - 1.89 = 8394.61
  12:06  opens at 12.02, under 12.11:   max(min(12.02, 12.11) - 0.01, 11.96)    = 12.01
         128 x 12.01 = 1537.28; cash 8394.61 + 1537.28 - 1.89 = 9930.00
  14:53  high 12.52 reaches 12.49:      min(max(12.42, 12.49) + 0.01, 12.52)    = 12.50
         160 x 12.50 = 2000.00, commission 0.80 + 1.25 = 2.05
         cash 9930.00 - 2000.00 - 2.05 = 7927.95
  15:58  sold one minute before the close: max(12.96 - 0.01, 12.86)             = 12.95
         160 x 12.95 = 2072.00; cash 7927.95 + 2072.00 - 2.05 = 9997.90

TRADES   pnl = (exit - entry) x qty - both commissions; pnl_pct = 100 x pnl / entry value
  1      250 x 0.24  = 60.00  - 5.00 = 55.00      100 x 55.00 / 2500  = 2.2
  2      200 x -0.27 = -54.00 - 4.50 = -58.50     100 x -58.50 / 2500 = -2.34
  3      128 x -0.49 = -62.72 - 3.78 = -66.50     100 x -66.50 / 1600 = -4.15625
  4      160 x 0.45  = 72.00  - 4.10 = 67.90      100 x 67.90 / 2000  = 3.395

EQUITY   after each minute with shares: cash + shares x last close
  09:40  7497.50 + 250 x 10.15 = 10035.00     09:41  7497.50 + 250 x 10.35 = 10085.00
  09:42  7497.50 + 250 x 10.30 = 10072.50     09:43  7497.50 + 250 x 10.25 = 10060.00
  09:44  7497.50 + 250 x 10.58 = 10142.50     09:45  7497.50 + 250 x 10.97 = 10240.00 (the peak)
  09:46  7497.50 + 250 x 10.35 = 10085.00     09:47  all cash, 10055.00
  12:02  all cash, 9996.50                    12:04  8394.61 + 128 x 12.48 = 9992.05
  12:05  8394.61 + 128 x 12.35 = 9975.41      12:06  all cash, 9930.00
  14:53  7927.95 + 160 x 12.40 = 9911.95, and so in the 27 minutes without a bar up to 15:20
  15:21  7927.95 + 160 x 12.20 = 9879.95 (the trough), and so in the 36 minutes up to 15:57
  15:58  7927.95 + 160 x 12.96 = 10001.55; the sale comes after the mark

METRICS
  total pnl      55.00 - 58.50 - 66.50 + 67.90 = -2.10; / 10000 = -0.00021
  wins           55.00 + 67.90 = 122.90, 61.45 each; 2 of 4 = 0.5
  losses         58.50 + 66.50 = 125.00, 62.50 each; profit factor 122.90 / 125 = 0.9832
  drawdown       10240.00 - 9879.95 = 360.05; 100 x 360.05 / 10240 = 3.51611328125
  exposure       8 + 1 + 3 + 66 = 78 of 390 minutes = 20 %
  duration       09:40-09:47 420 s, 0 s, 12:04-12:06 120 s, 14:53-15:58 3900 s; 4440 / 4 = 1110 s
  Sharpe, Sortino  undefined: one session has one return
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, ClassVar, TypeAlias
from zoneinfo import ZoneInfo

import pytest
from click.testing import CliRunner

from algo_trader.backtest.equity import EquityCurve
from algo_trader.backtest.runner import Runner
from algo_trader.cli.main import cli
from algo_trader.config import load_settings
from algo_trader.core.events import Fact, OrderFilled, SignalDecided
from algo_trader.core.types import Candle
from algo_trader.feeds.bars import load_bars
from algo_trader.feeds.calendar import load_sessions
from algo_trader.feeds.tape import build_tape
from algo_trader.indicators import IndicatorSet
from algo_trader.strategies import Strategy
from algo_trader.strategies.base import Position
from algo_trader.wiring.backtest import wire_backtest
from algo_trader.wiring.trading import Trading

Answer: TypeAlias = tuple[dict[str, Any], list[dict[str, Any]]]
"""The document of a run and its decision lines."""

NEW_YORK = ZoneInfo("America/New_York")
BARS = Path(__file__).with_name("day_by_hand.csv")
CAPITAL = Decimal(10_000)
SETTINGS = [
    "max_risk_per_trade_pct=0.005",
    "max_risk_per_trade_abs=50",
    "max_position_pct=0.25",
    "commission_per_share=0.005",
    "commission_per_order=1.25",
]


class GreenInUptrend(Strategy):
    """Buys above a green candle while the short average lies over the long one."""

    hyperparameters: ClassVar[Mapping[str, Any]] = {"sma_fast": 2, "sma_slow": 4}

    def should_long(self, bar: Candle, indicators: IndicatorSet) -> bool:
        """Green, and the short average above the long one."""
        fast, slow = indicators.sma_fast, indicators.sma_slow
        return bar.close > bar.open and fast is not None and slow is not None and fast > slow

    def entry_price(self, bar: Candle) -> Decimal:
        """The candle's high."""
        return bar.high

    def stop_loss_price(self, bar: Candle) -> Decimal:
        """The candle's low."""
        return bar.low

    def should_update_stop(
        self, bar: Candle, position: Position, indicators: IndicatorSet
    ) -> Decimal | None:
        """The low of every green candle; the engine never lowers a stop."""
        return bar.low if bar.close > bar.open else None


# Averages: sums of the last 2 and 4 closes, divided. At 12:04, for example,
# (12.49 + 12.35) / 2 = 12.42 and (10.52 + 12.46 + 12.49 + 12.35) / 4 = 47.82 / 4 = 11.955.
CANDLES = """
start bars open  high  low   close fast   slow    class   signal        state   stop  entry
09:30 2    9.60  9.70  9.58  9.68  -      -       GREEN   NOT_WARM      FLAT    -     -
09:32 1    9.68  9.70  9.60  9.64  9.66   -       RED     NOT_WARM      FLAT    -     -
09:34 1    9.64  9.72  9.64  9.72  9.68   -       GREEN   NOT_WARM      FLAT    -     -
09:36 1    9.72  9.84  9.70  9.80  9.76   9.71    GREEN   NOT_WARM      FLAT    -     -
09:38 2    9.80  9.97  9.78  9.96  9.88   9.78    GREEN   SIGNAL        PENDING 9.78  9.97
09:40 2    9.99  10.40 9.98  10.35 10.155 9.9575  GREEN   NOT_EVALUATED IN      9.98  -
09:42 2    10.35 10.40 10.22 10.25 10.30  10.09   RED     NOT_EVALUATED IN      9.98  -
09:44 2    10.25 11.00 10.24 10.97 10.61  10.3825 GREEN   NOT_EVALUATED IN      10.24 -
09:46 2    10.97 10.97 10.24 10.30 10.635 10.4675 RED     NO_SIGNAL     FLAT    -     -
09:48 1    10.30 10.42 10.28 10.40 10.35  10.48   GREEN   NO_SIGNAL     FLAT    -     -
09:50 1    10.40 10.46 10.36 10.40 10.40  10.5175 NEUTRAL NO_SIGNAL     FLAT    -     -
10:00 2    10.42 10.60 10.40 10.54 10.47  10.41   GREEN   SIGNAL        PENDING 10.40 10.60
10:02 2    10.50 10.59 10.48 10.58 10.56  10.48   GREEN   NOT_EVALUATED FLAT    -     -
10:04 2    10.58 10.66 10.50 10.52 10.55  10.51   RED     NO_SIGNAL     FLAT    -     -
12:00 2    12.30 12.49 12.24 12.46 11.49  11.025  GREEN   SIGNAL        PENDING 12.24 12.49
12:02 2    12.44 12.50 12.11 12.49 12.475 11.5125 GREEN   SIGNAL        PENDING 12.11 12.50
12:04 2    12.46 12.50 12.30 12.35 12.42  11.955  RED     NOT_EVALUATED IN      12.11 -
12:06 2    12.02 12.06 11.90 11.92 12.135 12.305  RED     NO_SIGNAL     FLAT    -     -
14:40 1    11.95 12.14 11.92 12.10 12.01  12.215  GREEN   NO_SIGNAL     FLAT    -     -
14:50 2    12.20 12.49 12.18 12.46 12.28  12.2075 GREEN   SIGNAL        PENDING 12.18 12.49
14:52 2    12.44 12.52 12.38 12.40 12.43  12.22   RED     NOT_EVALUATED IN      12.18 -
15:20 1    12.40 12.42 12.19 12.20 12.30  12.29   RED     NOT_EVALUATED IN      12.18 -
15:58 2    12.90 13.00 12.80 12.85 12.525 12.4775 RED     SESSION_CUTOFF FLAT   -     -
"""
KEYS = {"start": "candle_start", "fast": "sma_fast", "slow": "sma_slow", "entry": "entry_stop"}

# What stands on the line of the candle that starts at the given time, in order.
EVENTS = """
09:38 ENTRY_PLACED  entry_stop=9.97 stop_loss=9.78 qty=250 expires=09:42
09:40 ENTRY_FILLED  price=10.00 qty=250
09:40 STOP_MOVED    from=9.78 to=9.98
09:44 STOP_MOVED    from=9.98 to=10.24
09:46 STOPPED_OUT   price=10.24 qty=250
10:00 ENTRY_PLACED  entry_stop=10.60 stop_loss=10.40 qty=237 expires=10:04
10:02 ENTRY_EXPIRED
12:00 ENTRY_PLACED  entry_stop=12.49 stop_loss=12.24 qty=200 expires=12:04
12:02 ENTRY_FILLED  price=12.50 qty=200
12:02 STOPPED_OUT   price=12.23 qty=200
12:02 ENTRY_PLACED  entry_stop=12.50 stop_loss=12.11 qty=128 expires=12:06
12:04 ENTRY_FILLED  price=12.50 qty=128
12:06 STOPPED_OUT   price=12.01 qty=128
14:50 ENTRY_PLACED  entry_stop=12.49 stop_loss=12.18 qty=160 expires=14:54
14:52 ENTRY_FILLED  price=12.50 qty=160
15:58 EXIT_END_OF_DAY price=12.95 qty=160
"""

TRADES = """
qty entry_at entry_price exit_at exit_price exit_reason pnl    pnl_pct  commission duration_s
250 09:40    10.00       09:47   10.24      stop_loss   55.00  2.2      5.00       420
200 12:02    12.50       12:02   12.23      stop_loss   -58.50 -2.34    4.50       0
128 12:04    12.50       12:06   12.01      stop_loss   -66.50 -4.15625 3.78       120
160 14:53    12.50       15:58   12.95      end_of_day  67.90  3.395    4.10       3900
"""

METRICS: dict[str, Decimal | int | None] = {
    "total_return": Decimal("-0.00021"),
    "total_pnl": Decimal("-2.10"),
    "final_equity": Decimal("9997.90"),
    "total_trades": 4,
    "winning_trades": 2,
    "losing_trades": 2,
    "win_rate": Decimal("0.5"),
    "profit_factor": Decimal("0.9832"),
    "sharpe_ratio": None,
    "sortino_ratio": None,
    "max_drawdown": Decimal("360.05"),
    "max_drawdown_pct": Decimal("3.51611328125"),
    "avg_win": Decimal("61.45"),
    "avg_loss": Decimal("-62.50"),
    "best_trade": Decimal("67.90"),
    "worst_trade": Decimal("-66.50"),
    "exposure_pct": Decimal("20"),
    "avg_duration_s": 1110,
}

SIZES = """
at    by_risk by_position by_cash qty limit
09:40 263     250         1003    250 by_position
10:02 250     237         948     237 by_position
12:02 200     201         805     200 by_risk
12:04 128     199         799     128 by_risk
14:52 160     198         795     160 by_risk
"""

CASH = """
at    qty price commission cash
09:40 250 10.00 2.50       7497.50
09:47 250 10.24 2.50       10055.00
12:02 200 12.50 2.25       7552.75
12:02 200 12.23 2.25       9996.50
12:04 128 12.50 1.89       8394.61
12:06 128 12.01 1.89       9930.00
14:53 160 12.50 2.05       7927.95
15:58 160 12.95 2.05       9997.90
"""

# Equity after each of the 78 minutes in which shares were held, and for how many minutes.
MARKS = """
equity   minutes
10035.00 1
10085.00 1
10072.50 1
10060.00 1
10142.50 1
10240.00 1
10085.00 1
10055.00 1
9996.50  1
9992.05  1
9975.41  1
9930.00  1
9911.95  28
9879.95  37
10001.55 1
"""


def plain(value: Any) -> Any:
    """A cell or a JSON value for comparison: times as New York's, numbers as numbers."""
    if value is None or value == "-":
        return None
    if isinstance(value, int) and not isinstance(value, bool):
        return Decimal(value)
    if isinstance(value, str) and value.endswith("Z"):
        return datetime.fromisoformat(value).astimezone(NEW_YORK).strftime("%H:%M")
    try:
        return Decimal(value) if isinstance(value, str) else value
    except ArithmeticError:
        return value


def table(text: str) -> list[dict[str, Any]]:
    """The rows of a table above, by column."""
    names, *rows = (line.split() for line in text.strip().splitlines())
    return [dict(zip(names, map(plain, row), strict=True)) for row in rows]


def events_at(start: str) -> list[dict[str, Any]]:
    """The events expected on the line of the candle that starts then."""
    rows = [line.split() for line in EVENTS.strip().splitlines()]
    return [
        {"type": kind} | {key: plain(value) for key, value in (pair.split("=") for pair in pairs)}
        for at, kind, *pairs in rows
        if at == start
    ]


@pytest.fixture
def no_settings(tmp_path: Path) -> Path:
    """An empty settings file, so that nobody's own `.env` is read."""
    path = tmp_path / "empty.env"
    path.touch()
    return path


@pytest.fixture
def answer(tmp_path: Path, no_settings: Path) -> Answer:
    """The day through the command line: its document and its decision lines."""
    decisions = tmp_path / "decisions.jsonl"
    command = ["--data-dir", str(tmp_path), "--env-file", str(no_settings), "backtest", "HAND"]
    command += ["--bars", str(BARS), "--strategy", f"{__file__}:{GreenInUptrend.__name__}"]
    command += ["--capital", str(CAPITAL), "--decisions", str(decisions), "--json"]
    command += [word for setting in SETTINGS for word in ("--set", setting)]
    result = CliRunner().invoke(cli, command, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    lines = [json.loads(line) for line in decisions.read_text().splitlines()]
    return json.loads(result.stdout), lines


def test_every_candle_is_decided_as_by_hand(answer: Answer) -> None:
    """Goal: candles, averages, signals, stops and events. Method: each line against the table."""
    _, lines = answer
    expected = table(CANDLES)
    assert len(lines) == len(expected)
    for line, row in zip(lines, expected, strict=True):
        at = row["start"]
        assert plain(line["volume"]) == 1000 * row.pop("bars"), at
        for key, value in row.items():
            assert plain(line[KEYS.get(key, key)]) == value, f"{at}: {key}"
        assert line["late"] is False, at
        shown = [{key: plain(value) for key, value in event.items()} for event in line["events"]]
        assert all(event.pop("side") == "long" for event in shown), at
        assert shown == events_at(at), at


def test_every_trade_is_as_by_hand(answer: Answer) -> None:
    """Goal: prices, times, costs and P&L of the trades. Method: each against the table."""
    document, _ = answer
    expected = [{"symbol": "HAND", "side": "long", **row} for row in table(TRADES)]
    shown = [{k: plain(v) for k, v in trade.items()} for trade in document["trades"]]
    assert shown == expected


def test_every_metric_is_as_by_hand(answer: Answer) -> None:
    """Goal: all metrics and what was run. Method: exact comparison; undefined is null."""
    document, _ = answer
    shown = document["metrics"]
    assert shown.keys() == METRICS.keys()
    for name, value in METRICS.items():
        assert isinstance(shown[name], str) == isinstance(value, Decimal), name
        assert plain(shown[name]) == plain(value), name
    run = document["run"]
    assert (run["from"], run["to"]) == ("2024-01-03", "2024-01-03")
    assert (run["symbols"], run["interval_minutes"]) == (["HAND"], 2)
    assert (run["bars"], run["candles"], run["initial_capital"]) == (39, 23, "10000")
    costs = run["params"]["costs"]
    assert costs["slippage_per_share"] == "0.01", "the default, which nobody set"


class RecordedCurve(EquityCurve):
    """An equity curve that keeps the equity of every minute with shares."""

    def __init__(self, capital: Decimal) -> None:
        super().__init__(capital)
        self.marks: list[Decimal] = []

    def mark_held(self, equity: Decimal) -> None:
        """Keep it, then follow it as usual."""
        self.marks.append(equity)
        super().mark_held(equity)


def test_sizes_cash_and_equity_are_as_by_hand(tmp_path: Path, no_settings: Path) -> None:
    """Goal: sizing by each limit, cash after each fill, equity of each minute with shares.

    Method: the runner hands over every fact in the moment it was folded, so the book's cash is
    that after the fill; a curve that keeps its marks takes the place of the usual one.
    """
    settings = load_settings(env_file=no_settings, environ={}, overrides=SETTINGS).settings
    trading = Trading(name="by_hand", cls=GreenInUptrend, parameters={}, symbols=["HAND"])
    wired = wire_backtest(settings, trading, capital=CAPITAL)
    facts: list[tuple[Fact, Decimal]] = []

    def keep(step: Sequence[Fact]) -> None:
        facts.extend((fact, wired.engine.book.cash) for fact in step)

    runner = Runner(wired.engine, wired.venue, keep)
    runner.curve = curve = RecordedCurve(CAPITAL)
    sessions = load_sessions(tmp_path, today=date(2024, 6, 1))
    tape = build_tape(load_bars([BARS], ["HAND"]).bars, sessions)
    runner.run("by-hand", [], tape.days)

    signals = [fact for fact, _ in facts if isinstance(fact, SignalDecided)]
    sizes = [{"at": clock(s.at), **s.sizing._asdict()} for s in signals if s.sizing is not None]
    assert sizes == table(SIZES)
    fills = [(fact, cash) for fact, cash in facts if isinstance(fact, OrderFilled)]
    assert [
        {
            "at": clock(fill.at),
            "qty": fill.qty,
            "price": fill.price,
            "commission": fill.commission,
            "cash": cash,
        }
        for fill, cash in fills
    ] == table(CASH)
    assert runner.venue.account.cash == Decimal("9997.90"), "the broker's books say the same"
    expected = [row["equity"] for row in table(MARKS) for _ in range(int(row["minutes"]))]
    assert len(expected) == 78
    assert curve.marks == expected


def clock(instant: int) -> str:
    """New York wall time of an instant."""
    return datetime.fromtimestamp(instant, NEW_YORK).strftime("%H:%M")
