"""Six trades with targets, worked out by hand to the cent.

The strategy is told minute by minute what to ask for; the bars are made for it. Slippage is a cent
a share, there is no commission. Fills by the table of docs/backtest.md.
"""

from __future__ import annotations

from datetime import date
from decimal import Decimal

from algo_trader.backtest.runner import Runner
from algo_trader.core.book import Book
from algo_trader.core.types import MINUTE, Bar, Candle, ExitReason, OrderType, Session, Side
from algo_trader.engine.decisions import DecisionLine
from algo_trader.engine.engine import Engine
from algo_trader.engine.lane import Lane
from algo_trader.feeds.tape import TapeDay
from algo_trader.indicators import IndicatorSet
from algo_trader.risk.limits import RiskLimits
from algo_trader.strategies import Strategy
from algo_trader.strategies.base import Signal
from algo_trader.venue.costs import Costs
from algo_trader.venue.rules import VenueRules
from algo_trader.venue.venue import Venue

OPENS_AT = 1_704_205_800
STOP, LIMIT, MARKET = OrderType.STOP, OrderType.LIMIT, OrderType.MARKET
LONG, SHORT = Side.LONG, Side.SHORT

DAY = """
10.00 10.00 10.00 10.00   0 buy above 10.10, stop 9.90, target 10.30
10.00 10.15 10.00 10.12   1 bought at 10.11; neither exit is reached
10.12 10.35 10.10 10.20   2 the target is: sold at 10.30, a limit knows no slippage
10.20 10.20 10.20 10.20   3 sell short below 10.10, stop 10.30, target 9.90
10.20 10.20 10.05 10.10   4 sold at 10.09
9.80 9.85 9.70 9.80       5 opens beyond the target: bought at the open, 9.80
9.80 9.80 9.80 9.80       6 buy at market, stop 9.60, target 10.00
9.80 10.10 9.50 9.90      7 had bought at once at 9.80; reaches both exits: the stop, at 9.59
10.00 10.00 10.00 10.00   8 buy at 9.95 or better, stop 9.80, target 10.20
10.00 10.30 9.90 10.25    9 bought at 9.95; the target of a pair waits for the next bar
10.10 10.10 10.00 10.00  10 below the target
10.00 10.30 10.00 10.10  11 sold at 10.20
10.00 10.00 10.00 10.00  12 buy at 10.50 or better, stop 10.10, target 10.60
10.00 10.05 9.95 10.00   13 bought at the open, 10.00: below its stop, so sold inside the bar
10.00 10.00 10.00 10.00  14 buy at market, stop 9.90, target 10.10
10.00 10.05 9.95 10.02   15 held
10.02 10.05 10.00 10.03  16 held to the end of the data: sold at the close less a cent
"""


class Told(Strategy):
    """Signals what the day says, and nothing else."""

    candle_interval_minutes = 1
    entry_expiry_candles = 1

    def signal(self, candle: Candle, indicators: IndicatorSet) -> Signal | str:
        """By the minute."""
        signals = {
            0: (LONG, "10.10", "9.90", STOP, "10.30"),
            3: (SHORT, "10.10", "10.30", STOP, "9.90"),
            6: (LONG, "9.80", "9.60", MARKET, "10.00"),
            8: (LONG, "9.95", "9.80", LIMIT, "10.20"),
            12: (LONG, "10.50", "10.10", LIMIT, "10.60"),
            14: (LONG, "10.00", "9.90", MARKET, "10.10"),
        }
        found = signals.get((candle.start - OPENS_AT) // MINUTE)
        if found is None:
            return "NOTHING"
        side, entry, stop, order, target = found
        return Signal(side, Decimal(entry), Decimal(stop), None, order, None, Decimal(target))

    def should_long(self, bar: Candle, indicators: IndicatorSet) -> bool:
        """Never asked."""
        raise AssertionError("signal is overridden")

    def entry_price(self, bar: Candle) -> Decimal:
        """Never asked."""
        raise AssertionError("signal is overridden")

    stop_loss_price = entry_price


def traded(**rules: bool) -> tuple[Runner, list[DecisionLine]]:
    """The day, run."""
    minutes = []
    for number, line in enumerate(DAY.strip().splitlines()):
        opened, high, low, close = map(Decimal, line.split()[:4])
        bar = Bar("AA", OPENS_AT + MINUTE * number, opened, high, low, close, 100)
        minutes.append((bar,))
    session = Session(date(2024, 1, 2), OPENS_AT, OPENS_AT + 390 * MINUTE)
    lines: list[DecisionLine] = []
    book = Book()
    lane = Lane("told", Told("AA"), book.holding("told", "AA"))
    limits = RiskLimits(max_position_pct=Decimal("0.5"), max_risk_per_trade_abs=Decimal(20))
    engine = Engine(book, [lane], limits, lines.append)
    venue = Venue(Decimal(25_000), Costs(), VenueRules(**rules))
    runner = Runner(engine, venue)
    runner.run("hand", [], [TapeDay(session, [*minutes])])
    return runner, lines


def test_the_day() -> None:
    """Goal: entry, target and stop prices, sizes and reasons are those worked out by hand.

    Method: 20 dollars at risk a trade: 100 shares where the stop is 0.20 away, 133 at 0.15, 50 at
    0.40, which is reckoned from the limit of the fifth trade, 200 at 0.10.
    """
    runner, _ = traded()
    told = [
        (t.side, int(t.qty), str(t.entry_price), str(t.exit_price), t.exit_reason)
        for t in runner.trades
    ]
    target, stop = ExitReason.TARGET, ExitReason.STOP_LOSS
    assert told == [
        (LONG, 100, "10.11", "10.30", target),
        (SHORT, 100, "10.09", "9.80", target),
        (LONG, 100, "9.80", "9.59", stop),
        (LONG, 133, "9.95", "10.20", target),
        (LONG, 50, "10.00", "10.05", stop),
        (LONG, 200, "10.00", "10.02", ExitReason.END_OF_DATA),
    ]
    assert runner.engine.book.cash == Decimal(25_000) + sum(t.pnl for t in runner.trades)


def test_the_events() -> None:
    """Goal: decision lines name the type, the target and the exit. Method: those of the day."""
    _, lines = traded()
    events = [event for line in lines for event in line.events]
    placed = [event for event in events if event["type"] == "ENTRY_PLACED"]
    assert [(event.get("order"), event["entry_stop"], event["target"]) for event in placed] == [
        (None, "10.1", "10.3"),
        (None, "10.1", "9.9"),
        ("market", None, "10"),
        ("limit", "9.95", "10.2"),
        ("limit", "10.5", "10.6"),
        ("market", None, "10.1"),
    ]
    exits = [event["type"] for event in events if event["type"].startswith(("EXIT", "STOPPED"))]
    assert exits == ["EXIT_TARGET", "EXIT_TARGET", "STOPPED_OUT", "EXIT_TARGET", "STOPPED_OUT"]
