"""Candles that closed while nobody was there: a position is managed by them, nothing is opened.

Method: the desk of test_inputs has traded; an engine of another life has its book, and is shown the
bars of the session so far, those of the time away among them.
"""

from __future__ import annotations

from decimal import Decimal

import pytest
from test_inputs import BUY_AT_11, ENTRY, SESSION, STOP, Desk, Scripted, kinds, still
from test_inputs import held as held
from test_inputs import pending as pending

from algo_trader.core import commands as cmd
from algo_trader.core import events as ev
from algo_trader.core.book import Book
from algo_trader.core.inputs import History, PastDay
from algo_trader.core.types import ExitReason
from algo_trader.engine.engine import Engine
from algo_trader.engine.hands import Step
from algo_trader.engine.intake import Intake
from algo_trader.engine.lane import Lane
from algo_trader.risk.limits import RiskLimits
from algo_trader.strategies.base import HOLD, Exit, Management, MoveStop


class Life:
    """Another life of the process over the same book. `asked` counts what manage was asked."""

    def __init__(self, book: Book) -> None:
        self.strategy = Scripted("X")
        self.asked = 0
        self.wish: Management = HOLD
        self.strategy.to_manage = self._manage
        lane = Lane("s", self.strategy, book.holding("s", "X"))
        self.engine = Engine(book, [lane], RiskLimits(), patience_s=90)
        self.intake = Intake(self.engine)

    def _manage(self) -> Management:
        self.asked += 1
        return self.wish

    def look(self, minutes: int, seconds: int = 5) -> Step:
        """The bars of so many minutes, shown a few seconds after the last of them."""
        starts = [SESSION.opens_at + 60 * number for number in range(minutes)]
        past = PastDay(SESSION, [[still(start)] for start in starts])
        return self.intake.take(History([past], SESSION.opens_at + 60 * minutes + seconds))

    def next_minute(self, number: int) -> list[Step]:
        """A minute that is watched, and its candle."""
        start = SESSION.opens_at + 60 * number
        steps = [self.engine.on_minute(start, [still(start)])]
        while self.engine.due:
            steps.append(self.engine.on_candle_due())
        return steps


def test_a_better_stop_that_was_missed(held: Desk) -> None:
    """Goal: what a candle of the time away asks for is done now, once.

    Method: the strategy trails to 9.50 by candles that closed after the fill; the same bars again.
    """
    life = Life(held.book)
    life.wish = MoveStop(Decimal("9.50"))
    step = life.look(4)
    assert life.asked == 3
    assert kinds(step) == ["StopSet", "OrderIntended", "OrderSubmitting"]
    (command,) = step.commands
    assert isinstance(command, cmd.Replace)
    assert (command.order_id, command.request.stop_price) == (STOP, Decimal("9.50"))
    assert life.look(4).facts == ()
    assert life.asked == 3


def test_an_exit_that_was_missed(held: Desk) -> None:
    """Goal: decided now, and the close begins in the same step; the strategy is not asked again."""
    life = Life(held.book)
    life.wish = Exit(ExitReason.MAX_RUN)
    step = life.look(4)
    assert kinds(step) == ["ExitDecided", "CancelRequested"]
    assert step.commands == [cmd.Cancel(STOP)]
    assert life.asked == 1
    assert held.book.holding("s", "X").exit_reason is ExitReason.MAX_RUN


@pytest.mark.parametrize("price", ["9", "8.99", "-1"])
def test_no_worse_stop(held: Desk, price: str) -> None:
    """Goal: the stop on record holds against what candles before it had asked for."""
    life = Life(held.book)
    life.wish = MoveStop(Decimal(price))
    assert life.look(4).facts == ()
    assert held.book.holding("s", "X").stop_price == 9


def test_candles_before_the_fill_manage_nothing(held: Desk) -> None:
    """Goal: a position is asked about after it was opened. Method: the fill's own minute alone."""
    life = Life(held.book)
    life.wish = Exit(ExitReason.MAX_RUN)
    assert life.look(1).facts == ()
    assert life.asked == 0
    assert life.strategy.hooks == ["opened 113"]


def test_no_entry_for_a_candle_that_was_missed() -> None:
    """Goal: it is too late to buy what was to be bought then; the next candle may.

    Method: a strategy that always signals, five minutes away, then a minute that is watched.
    """
    desk = Desk()
    life = Life(desk.book)
    life.strategy.to_signal = lambda: BUY_AT_11
    step = life.look(5)
    assert not step.commands
    assert set(kinds(step)) <= {"SessionOpened"}
    (_, decided) = life.next_minute(5)
    assert kinds(decided) == ["SignalDecided", "OrderIntended", "OrderSubmitting"]


@pytest.mark.parametrize("end", ["refused", "canceled", "rests"])
def test_a_candle_that_was_decided_before(end: str) -> None:
    """Goal: a candle whose last minute comes after the restart again leads to no second order under
    the same id, whatever became of the first; the next candle is decided as ever.

    Method: an entry of the first candle ends; a life that was not shown that candle is.
    """
    desk = Desk()
    desk.strategy.to_signal = lambda: BUY_AT_11
    desk.pass_minute()
    if end == "refused":
        desk.hear(ev.OrderRefused(at=desk.now, order_id=ENTRY, code=1, message="no"))
    else:
        desk.accept(ENTRY)
    if end == "canceled":
        desk.hear(ev.OrderCanceled(at=desk.now, order_id=ENTRY))
    life = Life(desk.book)
    life.strategy.to_signal = lambda: BUY_AT_11
    life.look(0, seconds=65)
    again = life.next_minute(0)
    assert [step.facts for step in again] == [(), ()]
    assert len(desk.book.orders) == 1
    (_, later) = life.next_minute(1)
    assert len(later.commands) == (0 if end == "rests" else 1)


def test_what_stayed_overnight_is_ended_and_handed_over(held: Desk) -> None:
    """Goal: what the present session's opening leads to is recorded and sent, also when it is the
    bars that open it. Method: shares of the session before.
    """
    held.book.holding("s", "X").opened_at = SESSION.opens_at - 60
    step = Life(held.book).look(3)
    assert kinds(step) == ["ExitDecided", "CancelRequested"]
    assert list(step.commands) == [cmd.Cancel(STOP)]
