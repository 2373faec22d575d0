"""The engine on the system's clock: nothing waits for a bar that may never come.

Method: lanes that answer what a test says; Clock and Minute are put in as a live market puts them:
the clock each second, a minute in pieces, and none at all where nothing traded.
"""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest
from test_inputs import BUY_AT_11, ENTRY, SESSION, STOP, Scripted, kinds, still

from algo_trader.core import commands as cmd
from algo_trader.core import events as ev
from algo_trader.core.book import Book
from algo_trader.core.types import Bar, BrokerOrderId, Candle, ClientOrderId, ExitReason
from algo_trader.engine.engine import Engine
from algo_trader.engine.hands import Step
from algo_trader.engine.lane import Lane
from algo_trader.indicators import IndicatorSet
from algo_trader.risk.limits import RiskLimits

PATIENCE_S = 90
OPENS_AT, CLOSES_AT = SESSION.opens_at, SESSION.closes_at


class Watcher(Scripted):
    """Notes its candles, and when it was asked for a signal."""

    def __init__(self, symbol: str) -> None:
        super().__init__(symbol)
        self.candles: list[Candle] = []

    def update(self, candle: Candle) -> IndicatorSet:
        self.candles.append(candle)
        return super().update(candle)


class Live:
    """An engine with a lane for each symbol; instants are seconds from the open."""

    def __init__(
        self, *symbols: str, interval: int = 2, patience_s: int | None = PATIENCE_S
    ) -> None:
        self.book = Book()
        self.strategies = {symbol: Watcher(symbol) for symbol in symbols or ("X",)}
        for own in self.strategies.values():
            own.candle_interval_minutes = interval
        lanes = [
            Lane("s", own, self.book.holding("s", key)) for key, own in self.strategies.items()
        ]
        self.lines: list[tuple[str, str]] = []
        self.engine = Engine(
            self.book,
            lanes,
            RiskLimits(),
            lambda line: self.lines.append((line.candle.symbol, line.signal)),
            patience_s=patience_s,
        )
        self.engine.open_account("a", Decimal(25_000), OPENS_AT)
        self.engine.open_session(SESSION)
        self.facts: list[ev.Fact] = []
        self.commands: list[cmd.Command] = []

    def clock(self, at: int) -> list[str]:
        """The clock comes to `at`; kinds of the facts this leads to."""
        return self._after(self.engine.on_clock(OPENS_AT + at))

    def bars(self, minute: int, *symbols: str, close: str = "10") -> list[str]:
        """Bars of one minute, or the piece of it that has come."""
        start = OPENS_AT + 60 * minute
        bars = [replace(still(start, close), symbol=symbol) for symbol in symbols or ("X",)]
        return self._after(self.engine.on_minute(start, bars))

    def shown(self, symbol: str = "X") -> list[tuple[int, bool]]:
        """Start, in minutes from the open, and lateness of the candles a strategy has seen."""
        seen = self.strategies[symbol].candles
        return [((candle.start - OPENS_AT) // 60, candle.late) for candle in seen]

    def accept(self, key: ClientOrderId) -> list[str]:
        at, broker_id = self.engine.now, BrokerOrderId(f"b-{key}")
        return self._after(
            self.engine.on_report(ev.OrderAccepted(at=at, order_id=key, broker_id=broker_id))
        )

    def fill(self, key: ClientOrderId) -> list[str]:
        shares = self.book.order(key).request.qty
        return self._after(
            self.engine.on_report(
                ev.OrderFilled(
                    at=self.engine.now,
                    order_id=key,
                    qty=shares,
                    price=Decimal(11),
                    cum_qty=shares,
                )
            )
        )

    def _after(self, step: Step) -> list[str]:
        """The step, then every candle that is due."""
        facts = list(step.facts)
        self.commands += step.commands
        while self.engine.due:
            more = self.engine.on_candle_due()
            facts += more.facts
            self.commands += more.commands
            self.engine.settled()
        self.facts += facts
        return [type(fact).__name__ for fact in facts]


# -- windows --


@pytest.mark.parametrize("symbols", [("X",), ("X", "Y")])
@pytest.mark.parametrize("interval", [2, 5, 10])
def test_a_window_that_lacks_its_last_minute_ends_by_the_clock(
    symbols: tuple[str, ...], interval: int
) -> None:
    """Goal: 90 s after its end, to the second, although no bar of any symbol comes any more.

    Method: all bars of the first minute in one piece, then the clock alone.
    """
    live = Live(*symbols, interval=interval)
    live.bars(0, *symbols)
    for second in range(60, 60 * interval + PATIENCE_S):
        live.clock(second)
        assert live.shown() == []
    live.clock(60 * interval + PATIENCE_S)
    for symbol in symbols:
        assert live.shown(symbol) == [(0, True)]


def test_windows_of_two_symbols_end_each_in_its_time() -> None:
    """Goal: a bar of one symbol neither hastens nor delays the other's window.

    Method: Y's bars go on minute by minute, X has one in the first window only.
    """
    live = Live("X", "Y")
    live.bars(0, "X")
    live.bars(0, "Y")
    for minute in (1, 2):
        live.clock(60 * minute + 60)
        live.bars(minute, "Y")
    assert (live.shown("X"), live.shown("Y")) == ([], [(0, False)])
    live.clock(120 + PATIENCE_S - 1)
    assert live.shown("X") == []
    live.clock(120 + PATIENCE_S)
    assert (live.shown("X"), live.shown("Y")) == ([(0, True)], [(0, False)])


@pytest.mark.parametrize("patience_s", [PATIENCE_S, None])
def test_the_close_does_not_end_windows_at_once(patience_s: int | None) -> None:
    """Goal: the last bars of the day have 90 s to come, too; in virtual time they have none.

    Method: the last window without its last minute; the clock at the close and after it.
    """
    live = Live(patience_s=patience_s)
    live.bars(18)
    live.clock(1200)
    assert bool(live.shown()) is (patience_s is None)
    live.clock(1200 + PATIENCE_S - 1)
    assert bool(live.shown()) is (patience_s is None)
    live.clock(1200 + PATIENCE_S)
    assert live.shown() == [(18, True)]


def test_another_symbols_last_bar_is_not_the_close() -> None:
    """Goal: with a piece of the last minute the day is not over for those whose piece is missing.

    Method: X has its bar of minute 18 and, late, of 19; Y's last bar comes first.
    """
    live = Live("X", "Y")
    live.bars(18, "X", "Y")
    live.clock(1200)
    live.bars(19, "Y")
    assert (live.shown("X"), live.shown("Y")) == ([], [(18, False)])
    live.clock(1230)
    live.bars(19, "X")
    assert live.shown("X") == [(18, False)]


def test_a_minute_in_pieces_is_one_minute() -> None:
    """Goal: pieces of one minute, in any order, give each symbol what a whole minute gives it.

    Method: three symbols, the pieces seconds apart; time never goes back.
    """
    live = Live("A", "B", "C", interval=1)
    for minute in range(3):
        for second, symbol in ((1, "C"), (2, "A"), (9, "B")):
            live.clock(60 * minute + 60 + second)
            live.bars(minute, symbol)
            assert live.engine.now == OPENS_AT + 60 * minute + 60 + second
    for symbol in "ABC":
        assert live.shown(symbol) == [(0, False), (1, False), (2, False)]


def test_a_bar_of_a_closed_window_gives_no_second_candle() -> None:
    """Goal: what comes after the window was closed is no decision, and the next window is whole.

    Method: minute 1 comes 100 s late, then minutes 2 and 3 in time.
    """
    live = Live()
    live.bars(0)
    live.clock(120 + PATIENCE_S)
    live.engine.on_minute(OPENS_AT + 120, [still(OPENS_AT + 60)])
    assert not live.engine.due
    live.bars(2)
    live.bars(3)
    assert live.shown() == [(0, True), (2, False)]


# -- what a candle is worth when it is looked at --


@pytest.mark.parametrize(
    ("at", "signal"),
    [(61, "SIGNAL"), (150, "SIGNAL"), (151, "LATE_CANDLE"), (660, "LATE_CANDLE")],
)
def test_a_candle_of_long_ago_decides_nothing(at: int, signal: str) -> None:
    """Goal: more than 90 s after its end a whole candle is as late as one that lacks its end.

    Method: the bar comes, all of it, when the clock is at `at`.
    """
    live = Live(interval=1)
    live.strategies["X"].to_signal = lambda: BUY_AT_11
    live.clock(at)
    live.bars(0)
    assert live.lines == [("X", signal)]
    assert bool(live.commands) is (signal == "SIGNAL")


def test_virtual_time_closes_at_two_minutes() -> None:
    """Goal: without patience the old rule holds: two minutes after the window's end.

    Method: two symbols, so that the one that trades carries the minutes.
    """
    live = Live("X", "Y", patience_s=None)
    live.bars(0, "X", "Y")
    for minute in (1, 2):
        live.bars(minute, "Y")
        live.clock(60 * minute + 60)
    assert live.shown("X") == []
    live.bars(3, "Y")
    live.clock(240)
    assert live.shown("X") == [(0, True)]


# -- what time alone brings about --


def test_an_entry_ends_by_the_clock_alone() -> None:
    """Goal: canceled in the second in which it expires, though no bar comes. Method: no bars."""
    live = Live(interval=1)
    live.strategies["X"].to_signal = lambda: BUY_AT_11
    live.bars(0)
    live.accept(ENTRY)
    live.commands.clear()
    live.clock(239)
    assert live.commands == []
    live.clock(240)
    assert live.commands == [cmd.Cancel(ENTRY)]
    assert live.book.orders[ENTRY].cancel_reason == "EXPIRED"


def test_a_position_is_flat_by_the_clock_alone() -> None:
    """Goal: the exit begins at the flatten time, once, though no bar comes. Method: no bars."""
    live = Live(interval=1)
    live.strategies["X"].to_signal = lambda: BUY_AT_11
    live.bars(0)
    live.accept(ENTRY)
    live.fill(ENTRY)
    live.accept(STOP)
    live.commands.clear()
    live.clock(19 * 60 - 1)
    assert live.commands == []
    for second in (19 * 60, 19 * 60 + 1, 1200, 1200 + PATIENCE_S):
        live.clock(second)
        assert live.commands == [cmd.Cancel(STOP)]
    assert live.book.holding("s", "X").exit_reason is ExitReason.END_OF_DAY


def test_a_minute_that_comes_late_does_not_turn_time_back() -> None:
    """Goal: after the clock has been told, an old minute leaves the present as it is.

    Method: minute 0 comes when it is minute 5; the entry it finds has expired and is canceled once.
    """
    live = Live("X", "Y", interval=1)
    live.strategies["X"].to_signal = lambda: BUY_AT_11
    live.bars(0, "X")
    live.accept(ENTRY)
    live.clock(300)
    assert live.commands[-1] == cmd.Cancel(ENTRY)
    count = len(live.commands)
    live.bars(0, "Y")
    assert live.engine.now == OPENS_AT + 300
    assert len(live.commands) == count


def test_a_session_after_a_session() -> None:
    """Goal: what the clock of one day has closed is not closed again the next, and its averages go
    on. Method: the close, then a session a day later with one bar.
    """
    live = Live()
    live.bars(18)
    live.clock(1200 + PATIENCE_S)
    day = 86_400
    live.engine.open_session(
        SESSION._replace(
            date=SESSION.date.replace(day=4), opens_at=OPENS_AT + day, closes_at=CLOSES_AT + day
        )
    )
    live.bars(24 * 60)
    live.clock(day + 120 + PATIENCE_S - 1)
    assert live.shown() == [(18, True)]
    live.clock(day + 120 + PATIENCE_S)
    assert live.shown() == [(18, True), (24 * 60, True)]


def test_a_mark_is_the_newest_of_its_symbol() -> None:
    """Goal: a bar that comes for a closed window is a price all the same. Method: equity after."""
    live = Live(interval=2)
    live.strategies["X"].to_signal = lambda: BUY_AT_11
    live.bars(0)
    live.bars(1)
    live.accept(ENTRY)
    live.fill(ENTRY)
    live.bars(2, close="12")
    bar: Bar = still(OPENS_AT + 180, "13")
    live.clock(240 + PATIENCE_S)
    live.engine.on_minute(OPENS_AT + 240, [bar])
    assert live.engine.marks["X"] == 13
    assert live.engine.day_pnl() == 2 * 113
    assert kinds(live.engine.on_clock(OPENS_AT + 400)) == []
