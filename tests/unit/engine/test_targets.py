"""Targets: sent as a pair with the stop, kept by ourselves where the broker will not have that.

Method: the desk of test_inputs; the broker's answers are told, the steps they lead to are compared.
"""

from __future__ import annotations

from decimal import Decimal

import pytest
from test_inputs import BUY_AT_11, ENTRY, STOP, Desk, kinds

from algo_trader.core import commands as cmd
from algo_trader.core import events as ev
from algo_trader.core import inputs, work
from algo_trader.core.broker import BrokerOrder, BrokerStatus, Execution
from algo_trader.core.types import (
    Action,
    BrokerOrderId,
    ClientOrderId,
    ExitReason,
    OrderType,
    Role,
    TimeInForce,
)
from algo_trader.engine.hands import Step
from algo_trader.engine.intake import Intake
from algo_trader.strategies.base import Exit, MoveStop

TARGET = ClientOrderId(STOP.replace("-stop-", "-target-"))
SECOND = {key: ClientOrderId(key[:-1] + "2") for key in (STOP, TARGET)}
EXIT = ClientOrderId(STOP.replace("-stop-", "-exit-"))


@pytest.fixture
def filled() -> Desk:
    """113 shares were bought at 11 with a stop at 9 and a target at 15; the pair has left."""
    desk = Desk()
    desk.strategy.to_signal = lambda: BUY_AT_11._replace(target=Decimal(15))
    desk.pass_minute()
    desk.accept(ENTRY)
    desk.strategy.to_signal = lambda: "NOTHING"
    step = desk.fill(ENTRY, 113)
    wanted = "OrderFilled StopSet TargetSet OrderIntended OrderIntended"
    assert kinds(step) == [*wanted.split(), "OrderSubmitting", "OrderSubmitting"]
    (command,) = step.commands
    assert isinstance(command, cmd.SubmitPair)
    stop, target = command
    assert (stop.order_id, target.order_id) == (STOP, TARGET)
    assert (stop.type, stop.stop_price, stop.qty) == (OrderType.STOP, Decimal(9), Decimal(113))
    assert (target.type, target.limit_price) == (OrderType.LIMIT, Decimal(15))
    assert {(each.time_in_force, each.action, each.qty) for each in command} == {
        (TimeInForce.GTC, Action.SELL, Decimal(113))
    }
    return desk


@pytest.fixture
def paired(filled: Desk) -> Desk:
    """Both exits work."""
    for key in (TARGET, STOP):
        assert not filled.accept(key).commands
    return filled


def refuse(desk: Desk, key: ClientOrderId) -> Step:
    return desk.hear(ev.OrderRefused(at=desk.now, order_id=key, code=1, message="no pairs"))


def cancel(desk: Desk, key: ClientOrderId) -> Step:
    return desk.hear(ev.OrderCanceled(at=desk.now, order_id=key))


def canceled_by(step: Step) -> list[ClientOrderId]:
    return [command.order_id for command in step.commands if isinstance(command, cmd.Cancel)]


def uncovered(desk: Desk) -> int:
    return int(work.uncovered(desk.book.holding("s", "X")))


def truth(key: ClientOrderId, status: BrokerStatus, qty: int = 113, filled: int = 0) -> BrokerOrder:
    """What the broker says of an exit."""
    done = Execution(0, Decimal(filled), Decimal(15), Decimal(filled), Decimal(0), "x")
    return BrokerOrder(
        key,
        BrokerOrderId(f"b-{key}"),
        "X",
        Action.SELL,
        Decimal(qty),
        status,
        (done,) if filled else (),
    )


def test_a_target_that_is_filled(paired: Desk) -> None:
    """Goal: the trade ends with the target; the stop, of whose end nobody may tell, is asked to go.
    """
    step = paired.fill(TARGET, 113)
    assert canceled_by(step) == [STOP]
    assert paired.book.day.trades[0].exit_reason is ExitReason.TARGET
    cancel(paired, STOP)
    assert not paired.book.active


def test_a_target_that_is_filled_in_part(paired: Desk) -> None:
    """Goal: the stop covers the rest and is not touched; a stop-out of that ends the trade.

    Method: the broker fills 40 of the target, then the whole of what it has left of the stop.
    """
    assert not paired.fill(TARGET, 40).commands
    assert uncovered(paired) == 0
    assert paired.book.order(STOP).qty_open == 73
    paired.hear(ev.OrderReplaced(at=paired.now, order_id=TARGET, replaced_by=STOP))
    paired.fill(STOP, 73)
    assert paired.book.day.trades[0].exit_reason is ExitReason.STOP_LOSS
    assert not paired.book.active
    assert not work.unanswered(paired.book)


def test_fills_that_are_told_the_wrong_way_round(paired: Desk) -> None:
    """Goal: it does not matter which exit's fill is heard of first."""
    paired.fill(STOP, 73)
    assert paired.book.order(STOP).is_live
    paired.fill(TARGET, 40)
    assert not paired.book.order(STOP).is_live
    assert not paired.book.positions


def test_a_moved_stop_stays_in_its_pair(paired: Desk) -> None:
    """Goal: a better stop replaces the leg, the target stays; what that fills is the new stop's.
    """
    paired.strategy.to_manage = lambda: MoveStop(Decimal("9.50"))
    (_, step) = paired.pass_minute("12")
    (command,) = step.commands
    assert isinstance(command, cmd.Replace)
    assert (command.order_id, command.request.order_id) == (STOP, SECOND[STOP])
    paired.hear(ev.OrderReplaced(at=paired.now, order_id=STOP, replaced_by=SECOND[STOP]))
    paired.accept(SECOND[STOP])
    assert not paired.fill(TARGET, 13).commands
    assert (uncovered(paired), int(paired.book.order(SECOND[STOP]).qty_open)) == (0, 100)


def test_an_exit_waits_for_both_proofs(paired: Desk) -> None:
    """Goal: nothing is sold before both exits have given their shares back.

    Method: the strategy leaves; the ends are told one by one; the next pair would have number 2.
    """
    paired.strategy.to_manage = lambda: Exit(ExitReason.STRATEGY)
    (_, step) = paired.pass_minute("12")
    assert canceled_by(step) == [STOP, TARGET]
    assert not cancel(paired, TARGET).commands
    (command,) = cancel(paired, STOP).commands
    assert isinstance(command, cmd.Submit)
    assert (command.request.order_id, int(command.request.qty)) == (EXIT, 113)


@pytest.mark.parametrize("first", [STOP, TARGET])
def test_a_pair_that_somebody_cancels(paired: Desk, first: ClientOrderId) -> None:
    """Goal: it is placed anew, and never before both of the old one are gone."""
    other = TARGET if first is STOP else STOP
    assert not [c for c in cancel(paired, first).commands if not isinstance(c, cmd.Cancel)]
    (command,) = cancel(paired, other).commands
    assert isinstance(command, cmd.SubmitPair)
    assert {request.order_id for request in command} == set(SECOND.values())


def test_a_target_whose_stop_is_gone_gives_way(paired: Desk) -> None:
    """Goal: shares without a stop are not left to a target alone: it is canceled for a new pair."""
    assert canceled_by(cancel(paired, STOP)) == [TARGET]
    assert uncovered(paired) == 113


def test_a_refused_pair(filled: Desk) -> None:
    """Goal: the stop alone is sent at once, and the target is kept by ourselves: a minute that
    closes at it ends the position at market, one below it does not.
    """
    assert not refuse(filled, TARGET).commands
    (command,) = refuse(filled, STOP).commands
    assert isinstance(command, cmd.Submit)
    assert (command.request.order_id, command.request.type) == (SECOND[STOP], OrderType.STOP)
    filled.accept(SECOND[STOP])
    assert not [step for step in filled.pass_minute("14.99") if step.commands]
    (step, *_) = filled.pass_minute("15")
    assert kinds(step) == ["ExitDecided", "CancelRequested"]
    (command,) = cancel(filled, SECOND[STOP]).commands
    filled.accept(EXIT)
    filled.fill(EXIT, 113)
    assert filled.book.day.trades[0].exit_reason is ExitReason.TARGET


def test_a_pair_that_was_not_sent(filled: Desk) -> None:
    """Goal: nothing left, so the pair is placed once more after a pause. Method: both abandoned."""
    for key in (TARGET, STOP):
        told = ev.OrderAbandoned(at=filled.now, order_id=key, reason="not sent")
        assert not filled.hear(told).commands
    steps = [step for step in filled.pass_minute() if step.commands]
    (command,) = steps[0].commands
    assert isinstance(command, cmd.SubmitPair)
    assert {request.order_id for request in command} == set(SECOND.values())


def test_a_pair_without_an_answer(filled: Desk) -> None:
    """Goal: both are asked about; what the broker never got leaves once more, as one and under the
    same ids; found, both are known.
    """
    intake = Intake(filled.engine)
    for key in (TARGET, STOP):
        filled.hear(ev.OutcomeUnknown(at=filled.now, order_id=key, detail="silence"))
    assert [order.order_id for order in work.unanswered(filled.book)] == [TARGET, STOP]
    assert not intake.take(inputs.Truths({STOP: None})).commands
    (command,) = intake.take(inputs.Truths({TARGET: None})).commands
    assert isinstance(command, cmd.SubmitPair)
    assert (command.stop.order_id, command.target.order_id) == (STOP, TARGET)
    assert filled.book.order(STOP).sends == filled.book.order(TARGET).sends == 2
    found = {key: truth(key, BrokerStatus.OPEN) for key in (TARGET, STOP)}
    intake.take(inputs.Truths(found))
    assert not work.unanswered(filled.book)
    assert uncovered(filled) == 0


def test_a_smaller_stop_is_no_contradiction(paired: Desk) -> None:
    """Goal: the broker's stop may have lost shares to a target whose fills we have not heard of;
    what else differs is a contradiction.
    """
    intake = Intake(paired.engine)
    intake.take(inputs.Truths({STOP: truth(STOP, BrokerStatus.OPEN, 73)}))
    assert paired.book.halted is None
    intake.take(inputs.Truths({TARGET: truth(TARGET, BrokerStatus.OPEN, filled=40)}))
    assert (uncovered(paired), int(paired.book.order(STOP).qty_open)) == (0, 73)
    intake.take(inputs.Truths({STOP: truth(STOP, BrokerStatus.OPEN, 200)}))
    assert paired.book.halted is not None


def test_a_pair_whose_one_end_is_known(paired: Desk) -> None:
    """Goal: the other end is asked about, for it may have ended unheard."""
    assert not work.unanswered(paired.book)
    paired.hear(ev.OrderExpired(at=paired.now, order_id=TARGET))
    assert [order.order_id for order in work.unanswered(paired.book)] == [STOP]
    assert paired.book.order(TARGET).role is Role.TARGET
