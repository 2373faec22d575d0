"""Somebody else cancels or changes our stop in the broker's app.

Method: the desk of test_inputs behind an intake; the stop's end, or the broker's word on what has
become of it, is told, and the facts, the commands and what is left to do are looked at.
"""

from __future__ import annotations

from decimal import Decimal

import pytest
from test_inputs import ENTRY, SESSION, STOP, Desk, kinds
from test_inputs import held as held
from test_inputs import pending as pending

from algo_trader.core import commands as cmd
from algo_trader.core import events as ev
from algo_trader.core import inputs, work
from algo_trader.core.broker import BrokerOrder, BrokerStatus, Execution
from algo_trader.core.holding import Holding
from algo_trader.core.types import Action, BrokerOrderId, ClientOrderId, ExitReason
from algo_trader.engine.hands import Step
from algo_trader.engine.intake import Intake
from algo_trader.engine.listener import TWICE_S
from algo_trader.strategies.base import MoveStop

SECOND = ClientOrderId("a-s-X-20240103T1430-stop-2")
THIRD = ClientOrderId("a-s-X-20240103T1430-stop-3")
TAKEN = ["OrderCanceled", "Discrepancy"]
PLACED = ["OrderIntended", "OrderSubmitting"]


def canceled(desk: Desk, key: ClientOrderId, after_s: int = 0) -> Step:
    """The broker tells that a stop is gone, so many seconds after the last minute."""
    return desk.hear(ev.OrderCanceled(at=desk.now + after_s, order_id=key))


def edited(
    price: str,
    qty: int = 113,
    *,
    status: BrokerStatus = BrokerStatus.OPEN,
    broker_id: str = "b-theirs",
    is_edited: bool = True,
) -> inputs.Truths:
    """The broker's word on the first stop, which somebody has changed."""
    filled = (Execution(9, Decimal(qty), Decimal(price), Decimal(qty), Decimal(0), "x"),)
    order = BrokerOrder(
        STOP,
        BrokerOrderId(broker_id),
        "X",
        Action.SELL,
        Decimal(qty),
        status,
        filled if status is BrokerStatus.FILLED else (),
        stop_price=Decimal(price),
        is_edited=is_edited,
    )
    return inputs.Truths({STOP: order})


def holding(desk: Desk) -> Holding:
    return desk.book.holding("s", "X")


@pytest.fixture
def bare(held: Desk) -> Desk:
    """The stop was canceled twice by somebody else within a minute."""
    canceled(held, STOP)
    held.accept(SECOND)
    canceled(held, SECOND, 1)
    return held


# -- canceled --


def test_the_first_time_it_is_placed_again_with_an_alert(held: Desk) -> None:
    """Goal: shares are covered in the same step, and it is told."""
    step = canceled(held, STOP)
    assert kinds(step) == [*TAKEN, *PLACED]
    (command,) = step.commands
    assert isinstance(command, cmd.Submit)
    assert (command.request.order_id, int(command.request.qty)) == (SECOND, 113)


@pytest.mark.parametrize(
    ("after_s", "is_respected"), [(0, True), (TWICE_S, True), (TWICE_S + 1, False)]
)
def test_the_second_time_within_a_minute_it_is_respected(
    held: Desk, after_s: int, is_respected: bool
) -> None:
    """Goal: who cancels twice means it; twice in an hour is two times once.

    Method: the second cancel comes at, and just after, the end of the minute.
    """
    canceled(held, STOP)
    held.accept(SECOND)
    step = canceled(held, SECOND, after_s)
    assert kinds(step) == [*TAKEN, *(["StopDeclined"] if is_respected else PLACED)]
    assert bool(step.commands) is not is_respected
    assert holding(held).is_left_bare is is_respected
    assert work.uncovered(holding(held)) == 113


def test_it_stays_away_while_time_goes_on(bare: Desk) -> None:
    """Goal: no fight: the clock does not bring it back, nor does a candle of the strategy."""
    for second in range(1, 60):
        assert not bare.engine.on_clock(bare.now + second).facts
    bare.strategy.to_manage = lambda: MoveStop(Decimal("9.5"))
    commands = [command for step in bare.pass_minute() for command in step.commands]
    assert not commands
    assert holding(bare).stop_price == Decimal("9.5")


@pytest.mark.parametrize("is_halted", [False, True])
def test_an_operator_has_it_back(bare: Desk, is_halted: bool) -> None:
    """Goal: `resume` places the stop again, whether the daemon was halted or not; and counts anew.
    """
    intake = Intake(bare.engine)
    if is_halted:
        intake.take(inputs.Halt("an operator looks"))
    step = intake.take(inputs.Resume())
    assert kinds(step) == ["Resumed", *PLACED]
    assert not holding(bare).is_left_bare
    assert not intake.take(inputs.Resume()).facts
    bare.accept(THIRD)
    assert kinds(canceled(bare, THIRD, 2)) == [*TAKEN, *PLACED]


def test_a_position_without_a_stop_is_still_closed(bare: Desk) -> None:
    """Goal: to leave it bare is not to leave it alone: the session's end sells it."""
    step = Intake(bare.engine).take(inputs.CloseAll(ExitReason.END_OF_DAY))
    (command,) = step.commands
    assert isinstance(command, cmd.Submit)
    assert command.request.qty == 113


def test_the_next_position_is_covered(bare: Desk) -> None:
    """Goal: the word was about this position. Method: its shares go; the holding is as new."""
    Intake(bare.engine).take(inputs.Positions({}))
    assert not holding(bare).qty
    assert not holding(bare).is_left_bare
    assert not holding(bare).stop_taken_at


def test_our_own_cancels_are_no_bodys_word(held: Desk) -> None:
    """Goal: a cancel of ours that was not answered, and worked, is not somebody else's."""
    intake = Intake(held.engine)
    intake.take(inputs.CloseAll(ExitReason.OPERATOR))
    held.hear(ev.CancelUnanswered(at=held.now, order_id=STOP, detail="silence"))
    assert held.book.order(STOP).cancel_reason is None
    step = canceled(held, STOP)
    assert "Discrepancy" not in kinds(step)
    assert not holding(held).stop_taken_at


# -- edited --


def test_another_price_is_the_one_we_want(held: Desk) -> None:
    """Goal: adopted, worse or better, once, and nothing is sent; the same word again is nothing.

    Method: the stop at 9 is at 8.5, under another id of the broker's.
    """
    intake = Intake(held.engine)
    step = intake.take(edited("8.5"))
    assert kinds(step) == ["StopEdited"]
    assert not step.commands
    order = held.book.order(STOP)
    assert (order.request.stop_price, order.broker_id) == (Decimal("8.5"), "b-theirs")
    assert holding(held).stop_price == Decimal("8.5")
    assert work.uncovered(holding(held)) == 0
    assert not intake.take(edited("8.5")).facts
    for second in range(1, 60):
        assert not held.engine.on_clock(held.now + second).facts


def test_fewer_shares_are_made_whole_once(held: Desk) -> None:
    """Goal: every share is covered, at his price; made smaller again within the minute it stays.

    Method: a stop over 50 shares of 113, twice.
    """
    intake = Intake(held.engine)
    step = intake.take(edited("8.5", 50))
    assert kinds(step) == ["StopEdited", "Discrepancy", *PLACED]
    (command,) = step.commands
    assert isinstance(command, cmd.Replace)
    assert command.request.qty == 113
    assert command.request.stop_price == Decimal("8.5")
    held.hear(ev.OrderReplaced(at=held.now, order_id=STOP, replaced_by=SECOND))
    held.accept(SECOND)
    (truth,) = edited("8.4", 40).orders.values()
    assert truth is not None
    step = intake.take(inputs.Truths({SECOND: truth._replace(order_id=SECOND)}))
    assert kinds(step) == ["StopEdited", "Discrepancy", "StopDeclined"]
    assert not step.commands
    assert work.uncovered(holding(held)) == 73


def test_more_shares_than_are_held_are_cut_down(held: Desk) -> None:
    """Goal: a stop must not open the opposite. Method: over 200 shares of 113."""
    step = Intake(held.engine).take(edited("9", 200))
    (command,) = step.commands
    assert isinstance(command, cmd.Replace)
    assert command.request.qty == 113


def test_an_edited_stop_that_has_filled(held: Desk) -> None:
    """Goal: edited and triggered before we knew: the edit, then its fills, and the trade is over.
    """
    step = Intake(held.engine).take(edited("10.5", status=BrokerStatus.FILLED))
    assert kinds(step)[:2] == ["StopEdited", "OrderFilled"]
    assert held.book.day.trades[0].exit_price == Decimal("10.5")
    assert held.book.halted is None


def test_a_stop_edited_before_its_answer_came(pending: Desk) -> None:
    """Goal: what was taken and then edited is known as that. Method: no answer, then the word."""
    pending.fill(ENTRY, 113)
    step = Intake(pending.engine).take(edited("8.5"))
    assert kinds(step) == ["OrderAccepted", "StopEdited"]
    assert work.uncovered(holding(pending)) == 0


def test_a_price_that_a_lost_ledger_has_forgotten(held: Desk) -> None:
    """Goal: the broker's price of our own order holds, also without an edit; another size that
    nobody has edited is a contradiction, as before.
    """
    intake = Intake(held.engine)
    step = intake.take(edited("9.7", broker_id=f"b-{STOP}", is_edited=False))
    assert kinds(step) == ["StopEdited"]
    assert holding(held).stop_price == Decimal("9.7")
    intake.take(edited("9.7", 7, broker_id=f"b-{STOP}", is_edited=False))
    assert held.book.halted is not None


def test_a_stop_that_is_leaving_is_edited(held: Desk) -> None:
    """Goal: an exit goes its way: the cancel leaves again, for the order that is there now."""
    intake = Intake(held.engine)
    intake.take(inputs.CloseAll(ExitReason.OPERATOR))
    step = intake.take(edited("8.5"))
    assert step.commands == [cmd.Cancel(STOP)]


# -- what else is counted --


@pytest.mark.parametrize(("apart_s", "is_sold"), [(2, True), (3_000, False)])
def test_refusals_far_apart_have_nothing_to_do_with_each_other(
    pending: Desk, apart_s: int, is_sold: bool
) -> None:
    """Goal: two refusals of a stop in a row give way to a sale, two in a day do not.

    Method: the first stop is refused; the second one works, and is rejected later.
    """
    pending.fill(ENTRY, 113)
    words = {"code": 42210000, "message": "rejected by venue"}
    pending.hear(ev.OrderRefused(at=pending.now, order_id=STOP, **words))  # type: ignore[arg-type]  # fields by name
    pending.engine.on_clock(pending.now + 1)
    pending.accept(SECOND)
    later = pending.now + apart_s
    pending.engine.on_clock(later)
    pending.hear(ev.OrderRefused(at=later, order_id=SECOND, **words))  # type: ignore[arg-type]  # fields by name
    step = pending.engine.on_clock(later + 5)
    assert ("ExitDecided" in kinds(step)) is is_sold
    assert later < SESSION.closes_at or not is_sold


def test_a_word_older_than_our_cancel(held: Desk) -> None:
    """Goal: a cancel that is just leaving is not asked for twice by a word that does not know it.

    Method: an open order's word in the step of the cancel, and one after it.
    """
    intake = Intake(held.engine)
    intake.take(inputs.CloseAll(ExitReason.OPERATOR))
    (truth,) = edited("9", broker_id=f"b-{STOP}", is_edited=False).orders.values()
    assert not intake.take(inputs.Truths({STOP: truth}, frozenset({STOP}))).facts
    assert intake.take(inputs.Truths({STOP: truth})).commands == [cmd.Cancel(STOP)]
