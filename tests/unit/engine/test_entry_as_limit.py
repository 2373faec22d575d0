"""An entry whose stop price the market has passed: once more as a limit, never twice, never late.

Method: the desk of test_inputs; the broker's refusal is told, the step's commands are compared.
"""

from __future__ import annotations

from decimal import Decimal

import pytest
from test_inputs import BUY_AT_11, ENTRY, SESSION, STOP, Desk, kinds
from test_inputs import held as held
from test_inputs import pending as pending

from algo_trader.core import commands as cmd
from algo_trader.core import events as ev
from algo_trader.core import inputs, work
from algo_trader.core.broker import BrokerOrder, BrokerStatus
from algo_trader.core.types import Action, BrokerOrderId, ClientOrderId, ExitReason, OrderType, Side
from algo_trader.engine.hands import Step
from algo_trader.engine.intake import Intake
from algo_trader.strategies.base import Exit, MoveStop, Signal

CODE = 42210000
WORDS = "stop price must be greater than the market price"
LIMIT = ClientOrderId("a-s-X-20240103T1430-entry-2")


def refuse(desk: Desk, key: ClientOrderId, message: str = WORDS, code: int = CODE) -> Step:
    return desk.hear(ev.OrderRefused(at=desk.now, order_id=key, code=code, message=message))


def sent(step: Step) -> list[ev.OrderRequest]:
    return [command.request for command in step.commands if isinstance(command, cmd.Submit)]


@pytest.fixture
def submitted() -> Desk:
    """An entry that has left; no answer yet."""
    return signaled(BUY_AT_11)


def signaled(signal: Signal) -> Desk:
    desk = Desk()
    desk.strategy.to_signal = lambda: signal
    desk.pass_minute()
    return desk


@pytest.mark.parametrize(
    ("side", "entry", "stop", "cap", "limit"),
    [
        (Side.LONG, "11", "9", "0.5", "11.05"),
        (Side.LONG, "11.33", "9", "0.5", "11.38"),
        (Side.LONG, "11", "9", "5", "11.55"),
        (Side.LONG, "0.5001", "0.4", "0.5", "0.5026"),
        (Side.LONG, "0.9999", "0.4", "0.5", "1.00"),
        (Side.SHORT, "11", "13", "0.5", "10.95"),
        (Side.SHORT, "11.33", "13", "0.5", "11.28"),
        (Side.SHORT, "1.00", "1.5", "0.5", "0.995"),
    ],
)
def test_the_price_of_the_limit(
    side: Side, entry: str, stop: str, cap: str, limit: str
) -> None:
    """Goal: at most the cap worse than the stop price, on its own tick, and rounded to the better
    side. Method: long and short, prices around the dollar, worked out by hand.
    """
    desk = signaled(Signal(side, Decimal(entry), Decimal(stop)))
    desk.engine.listener.entry_limit_cap_pct = Decimal(cap)
    before = desk.book.order(ENTRY)
    step = refuse(desk, ENTRY)
    assert kinds(step) == ["OrderRefused", "OrderIntended", "OrderSubmitting"]
    (request,) = sent(step)
    old = before.request
    assert request == old._replace(
        order_id=LIMIT, type=OrderType.LIMIT, limit_price=Decimal(limit), stop_price=None
    )
    again = desk.book.order(LIMIT)
    assert (again.expires_at, again.stop_loss) == (before.expires_at, before.stop_loss)
    assert desk.book.resting == 1


@pytest.mark.parametrize("message", [WORDS, "no", ""])
def test_never_a_second_time(submitted: Desk, message: str) -> None:
    """Goal: whatever is said of the limit, that was the last try. Method: refuse it, too."""
    refuse(submitted, ENTRY)
    step = refuse(submitted, LIMIT, message)
    assert (kinds(step), step.commands) == (["OrderRefused"], [])
    assert not submitted.book.active


def test_the_same_refusal_told_twice(submitted: Desk) -> None:
    """Goal: an echo places nothing. Method: the refusal of the stop again, on another channel."""
    refuse(submitted, ENTRY)
    step = refuse(submitted, ENTRY)
    assert not step.commands
    assert submitted.book.resting == 1


@pytest.mark.parametrize(
    ("code", "message"),
    [
        (CODE, "limit price must be positive"),
        (CODE, ""),
        (40310000, "insufficient buying power"),
        (40310000, WORDS),
        (0, WORDS),
        (42210000, "qty must be > 0"),
    ],
)
def test_no_other_refusal_is_retried(submitted: Desk, code: int, message: str) -> None:
    """Goal: any other word about an entry is final. Method: code and words, one of them wrong."""
    step = refuse(submitted, ENTRY, message, code)
    assert (kinds(step), step.commands) == (["OrderRefused"], [])


def test_a_refusal_after_the_acceptance(pending: Desk) -> None:
    """Goal: the broker may accept first and refuse then: the same. Method: accepted, refused."""
    assert [request.order_id for request in sent(refuse(pending, ENTRY))] == [LIMIT]


def test_the_fill_of_the_limit_is_covered(submitted: Desk) -> None:
    """Goal: the stop goes where the signal wanted it, over all shares. Method: fill the limit."""
    refuse(submitted, ENTRY)
    submitted.accept(LIMIT)
    step = submitted.fill(LIMIT, 113)
    assert kinds(step) == ["OrderFilled", "StopSet", "OrderIntended", "OrderSubmitting"]
    (request,) = sent(step)
    assert request.order_id == STOP
    assert (request.stop_price, request.qty) == (Decimal(9), Decimal(113))


def test_the_limit_expires_with_the_signal(submitted: Desk) -> None:
    """Goal: no longer life than the stop would have had. Method: the clock at its end."""
    refuse(submitted, ENTRY)
    submitted.accept(LIMIT)
    assert not submitted.engine.on_clock(SESSION.opens_at + 239).commands
    assert submitted.engine.on_clock(SESSION.opens_at + 240).commands == [cmd.Cancel(LIMIT)]


def test_a_protective_stop_is_not_tried_as_a_limit(pending: Desk) -> None:
    """Goal: only entries: the price has passed the stop, so the position is closed as the stop
    would have done, at once. Method: refuse it.
    """
    pending.fill(ENTRY, 113)
    step = refuse(pending, STOP)
    assert [request.type for request in sent(step)] == ["market"]
    assert any(
        isinstance(fact, ev.ExitDecided) and fact.reason == "stop_loss" for fact in step.facts
    )


# -- what would not be placed now is not tried again --


@pytest.mark.parametrize(
    "item",
    [
        inputs.Halt("maintenance"),
        inputs.Readiness(False),
        inputs.TradingHalt("X", True),
        inputs.CancelEntries("SHUTDOWN"),
        inputs.CloseAll(ExitReason.OPERATOR),
        inputs.Clock(SESSION.opens_at + 240),
        inputs.Clock(SESSION.opens_at + 19 * 60),
    ],
    ids=["halt", "gate", "trading halt", "cancel", "close all", "expired", "flatten"],
)
def test_nothing_is_tried_again_when_it_is_no_longer_wanted(
    submitted: Desk, item: inputs.Input
) -> None:
    """Goal: while entries are not allowed none leaves, the second try of one included.

    Method: the entry is on its way, entries end, and then the refusal comes.
    """
    intake = Intake(submitted.engine)
    intake.take(item)
    step = refuse(submitted, ENTRY)
    assert not sent(step)
    assert not submitted.book.active


def test_a_tripped_limit_ends_the_second_try(submitted: Desk) -> None:
    """Goal: after the daily loss no entry leaves. Method: the fact, then the refusal."""
    submitted.book.apply(ev.LimitTripped(at=submitted.now, rule="DAILY_LOSS"))
    assert not sent(refuse(submitted, ENTRY))


def test_an_entry_that_came_back_is_not_tried_again() -> None:
    """Goal: of an entry given up and found again, while the next one rests, a refusal is the end.

    Method: give up the first, signal the second, let the first appear and be refused.
    """
    desk = signaled(BUY_AT_11)
    desk.hear(ev.OutcomeUnknown(at=desk.now, order_id=ENTRY, detail="timeout"))
    desk.hear(ev.OrderAbandoned(at=desk.now, order_id=ENTRY, reason="absent"))
    desk.pass_minute()
    second = ClientOrderId("a-s-X-20240103T1431-entry-1")
    desk.accept(second)
    desk.accept(ENTRY)
    desk.hear(ev.CancelRefused(at=desk.now, order_id=ENTRY, code=1, message="pending"))
    step = refuse(desk, ENTRY)
    assert not sent(step)
    assert desk.book.order(second).is_live


# -- a stop that has begun to fill --


def test_a_triggered_stop_is_not_moved(held: Desk) -> None:
    """Goal: the rest of a triggered stop is a market order; a better price would take it away.

    Method: 50 of 113 are sold, then the strategy wants a higher stop; the rest is sold after.
    """
    step = held.fill(STOP, 50)
    assert (kinds(step), step.commands) == (["OrderFilled"], [])
    held.strategy.to_manage = lambda: MoveStop(Decimal("9.50"))
    (*_, step) = held.pass_minute()
    assert (kinds(step), step.commands) == (["StopSet"], [])
    held.strategy.to_manage = lambda: MoveStop(Decimal("9.60"))
    assert not any(step.commands for step in held.pass_minute())
    assert work.uncovered(held.book.holding("s", "X")) == 0
    held.fill(STOP, 63, 113)
    assert not held.book.active


def test_what_a_triggered_stop_leaves_is_covered_again(held: Desk) -> None:
    """Goal: if the rest of it is canceled after all, what is left gets a stop at the price wanted
    by then. Method: 50 of 113, a move, the broker's cancel.
    """
    held.fill(STOP, 50)
    held.strategy.to_manage = lambda: MoveStop(Decimal("9.50"))
    held.pass_minute()
    (request,) = sent(held.hear(ev.OrderCanceled(at=held.now, order_id=STOP)))
    assert (request.qty, request.stop_price) == (Decimal(63), Decimal("9.50"))


def test_a_triggered_stop_still_gives_way_to_an_exit(held: Desk) -> None:
    """Goal: an exit cancels it and waits, as any stop. Method: 50 of 113, then the exit."""
    held.fill(STOP, 50)
    held.strategy.to_manage = lambda: Exit(ExitReason.MAX_RUN)
    (*_, step) = held.pass_minute()
    assert step.commands == [cmd.Cancel(STOP)]
    (request,) = sent(held.hear(ev.OrderCanceled(at=held.now, order_id=STOP)))
    assert request.type is OrderType.MARKET
    assert request.qty == 63


def test_a_rejection_found_out_at_the_broker_is_final(submitted: Desk) -> None:
    """Goal: what REST tells of an order that was refused long ago starts nothing.

    Method: the broker's word that it is rejected, in the words of the refusal.
    """
    truth = BrokerOrder(
        ENTRY,
        BrokerOrderId("b"),
        "X",
        Action.BUY,
        Decimal(113),
        BrokerStatus.REJECTED,
        detail=WORDS,
    )
    step = Intake(submitted.engine).take(inputs.Truths({ENTRY: truth}))
    assert (kinds(step), step.commands) == (["OrderRefused"], [])
