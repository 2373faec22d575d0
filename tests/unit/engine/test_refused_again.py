"""A broker that refuses the same again and again, or to whom nothing gets through.

Method: the desk of test_inputs on the clock of a live market, second by second; every command that
leaves is answered as a test says, and the seconds at which commands leave are compared.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

import pytest
from test_inputs import ENTRY, STOP, Desk
from test_inputs import held as held
from test_inputs import pending as pending

from algo_trader.core import commands as cmd
from algo_trader.core import events as ev
from algo_trader.core import inputs
from algo_trader.core.types import BrokerOrderId, ClientOrderId, ExitReason, OrderType
from algo_trader.engine.hands import Step
from algo_trader.engine.intake import Intake
from algo_trader.strategies.base import HOLD, Exit, MoveStop

PASSED = (42210000, "stop price must be less than current price")
HELD = (40310000, "insufficient qty available for order (requested: 113, available: 0)")
ODD = (42210000, "order is not accepting changes")
PAUSES = [0, 1, 3, 7, 15, 31, 61, 91]
"""Seconds after the first try: 1, 2, 4, 8, 16, 30, 30 later."""

Answer = Callable[[cmd.Command, int], ev.Report]


def asked(command: cmd.Command) -> ClientOrderId:
    """The order that a command asks for."""
    (request,) = cmd.placed_by(command)
    return request.order_id


class Counter:
    """The desk and a broker behind it: each command, its second, and the answer it got."""

    def __init__(self, desk: Desk, answer: Answer) -> None:
        self.desk = desk
        self.answer = answer
        self.began = self.now = 0
        self.left: list[tuple[int, cmd.Command]] = []
        desk.strategy.to_signal = lambda: "NOTHING"
        desk.strategy.to_manage = lambda: HOLD

    def carry_out(self, step: Step) -> None:
        """Answer what the step sends, and what the answers lead to."""
        self.now = self.desk.engine.now
        self.began = self.began or self.now
        for command in step.commands:
            self.left.append((self.now - self.began, command))
            self.carry_out(self.desk.engine.on_report(self.answer(command, self.now)))

    def wait(self, seconds: int) -> None:
        """So many seconds of the clock."""
        for _ in range(seconds):
            self.now += 1
            self.carry_out(self.desk.engine.on_clock(self.now))

    def times(self) -> list[int]:
        """When commands left."""
        return [at for at, _ in self.left]

    def market_orders(self) -> list[int]:
        """When closes at market left."""
        return [
            at
            for at, command in self.left
            if isinstance(command, cmd.Submit) and command.request.type is OrderType.MARKET
        ]


def refusing(code: int, message: str) -> Answer:
    """Cancels are done, all else is refused with these words."""

    def answer(command: cmd.Command, now: int) -> ev.Report:
        if isinstance(command, cmd.Cancel):
            return ev.OrderCanceled(at=now, order_id=command.order_id)
        return ev.OrderRefused(at=now, order_id=asked(command), code=code, message=message)

    return answer


def moved(desk: Desk) -> Step:
    """The strategy moves its stop to 9.50."""
    desk.strategy.to_manage = lambda: MoveStop(Decimal("9.50"))
    (*_, step) = desk.pass_minute()
    desk.strategy.to_manage = lambda: HOLD
    return step


# -- the market has passed the stop --


def test_a_new_stop_that_the_market_has_passed(pending: Desk) -> None:
    """Goal: the position is sold in the same step, as the stop would have done.

    Method: the first stop after the fill is refused with the broker's words.
    """
    pending.fill(ENTRY, 113)
    code, message = PASSED
    step = pending.hear(
        ev.OrderRefused(at=pending.now, order_id=STOP, code=code, message=message)
    )
    (command,) = step.commands
    assert isinstance(command, cmd.Submit)
    assert command.request.type is OrderType.MARKET
    assert command.request.qty == 113
    assert pending.book.holding("s", "X").exit_reason is ExitReason.STOP_LOSS


def test_a_moved_stop_that_the_market_has_passed(held: Desk) -> None:
    """Goal: the old stop is canceled at once and the position sold upon the proof, by STOP_LOSS;
    nothing is tried a second time.

    Method: the move is refused with the broker's words; a minute of the clock.
    """
    counter = Counter(held, refusing(*PASSED))
    step = moved(held)
    (command,) = step.commands
    assert isinstance(command, cmd.Replace)
    counter.answer = lambda command, now: (
        ev.OrderCanceled(at=now, order_id=command.order_id)
        if isinstance(command, cmd.Cancel)
        else ev.OrderAccepted(
            at=now, order_id=asked(command), broker_id=BrokerOrderId(f"b-{asked(command)}")
        )
    )
    code, message = PASSED
    counter.carry_out(
        held.hear(
            ev.OrderRefused(
                at=held.now, order_id=command.request.order_id, code=code, message=message
            )
        )
    )
    counter.wait(60)
    assert held.book.holding("s", "X").exit_reason is ExitReason.STOP_LOSS
    assert counter.times() == [0, 0]
    assert counter.left[0][1] == cmd.Cancel(STOP)
    assert counter.market_orders() == [0]


# -- pauses --


@pytest.mark.parametrize("refusal", [ODD, HELD, (0, "stop price must be lower")])
def test_a_move_that_is_refused_for_another_reason(
    held: Desk, refusal: tuple[int, str]
) -> None:
    """Goal: pauses that double up to half a minute; the old stop goes on working, nothing is sold.

    Method: two minutes of refusals.
    """
    counter = Counter(held, refusing(*refusal))
    counter.carry_out(moved(held))
    counter.wait(120)
    assert counter.times() == PAUSES
    assert all(isinstance(command, cmd.Replace) for _, command in counter.left)
    assert held.book.order(STOP).is_live


def test_an_exit_does_not_wait_for_the_pause(held: Desk) -> None:
    """Goal: what is decided later is not held up by what was refused before.

    Method: refusals until the pause is half a minute; then the strategy leaves, and so does a
    cancel at that very second.
    """
    counter = Counter(held, refusing(*ODD))
    counter.carry_out(moved(held))
    counter.wait(62)
    assert held.book.holding("s", "X").retry_at > counter.now + 20
    counter.left.clear()
    counter.carry_out(Intake(held.engine).take(inputs.CloseAll(ExitReason.OPERATOR)))
    assert [type(command).__name__ for _, command in counter.left[:2]] == ["Cancel", "Submit"]
    assert counter.market_orders() == [62]


def test_an_accepted_move_ends_the_series(held: Desk) -> None:
    """Goal: after something got through the next refusal begins with the shortest pause.

    Method: refusals, an acceptance, refusals of another move.
    """
    counter = Counter(held, refusing(*ODD))
    counter.carry_out(moved(held))
    counter.wait(10)
    refuse = counter.answer
    counter.answer = lambda command, now: ev.OrderAccepted(
        at=now,
        order_id=command.request.order_id if isinstance(command, cmd.Replace) else STOP,
        broker_id=BrokerOrderId("b-moved"),
    )
    counter.wait(10)
    new = counter.left[-1][1]
    assert isinstance(new, cmd.Replace)
    key = new.request.order_id
    held.hear(ev.OrderReplaced(at=counter.now, order_id=STOP, replaced_by=key))
    assert held.book.order(key).is_live
    counter.answer = refuse
    counter.left.clear()
    held.engine.hands.record(
        ev.StopSet(at=counter.now, strategy="s", symbol="X", price=Decimal("9.60"))
    )
    counter.began = 0
    held.engine.settle_all()
    counter.carry_out(held.engine.hands.step())
    counter.wait(4)
    assert counter.times() == [0, 1, 3]


def test_a_close_that_is_refused_for_ever(held: Desk) -> None:
    """Goal: eight market orders in two minutes, not one a second, each under its own id.

    Method: the broker refuses every close.
    """
    counter = Counter(held, refusing(42210000, 'asset "X" is not tradable'))
    counter.carry_out(Intake(held.engine).take(inputs.CloseAll(ExitReason.OPERATOR)))
    counter.wait(120)
    assert counter.market_orders() == PAUSES
    ids = {c.request.order_id for _, c in counter.left if isinstance(c, cmd.Submit)}
    assert len(ids) == len(PAUSES)


def test_a_cancel_that_is_refused_for_ever(held: Desk) -> None:
    """Goal: cancels back off as well. Method: the stop of a decided exit does not let go."""

    def answer(command: cmd.Command, now: int) -> ev.Report:
        assert isinstance(command, cmd.Cancel)
        return ev.CancelRefused(
            at=now, order_id=command.order_id, code=42210000, message="order pending cancel"
        )

    counter = Counter(held, answer)
    counter.carry_out(Intake(held.engine).take(inputs.CloseAll(ExitReason.OPERATOR)))
    counter.wait(120)
    assert counter.times() == PAUSES


def test_a_cancel_without_an_answer_backs_off(held: Desk) -> None:
    """Goal: silence is treated as a refusal is: pauses that double."""

    def answer(command: cmd.Command, now: int) -> ev.Report:
        assert isinstance(command, cmd.Cancel)
        return ev.CancelUnanswered(at=now, order_id=command.order_id, detail="no answer")

    counter = Counter(held, answer)
    counter.carry_out(Intake(held.engine).take(inputs.CloseAll(ExitReason.OPERATOR)))
    counter.wait(120)
    assert counter.times() == PAUSES


# -- shares that somebody else's order holds --


def test_shares_that_another_order_holds_are_not_sold(held: Desk) -> None:
    """Goal: while a hand-made stop holds the shares ours is refused, with pauses; nothing is ever
    sold at market because of it, and ours works as soon as the shares are free.

    Method: our stop was replaced by hand; ten minutes of "insufficient qty available", then yes.
    """
    counter = Counter(held, refusing(*HELD))
    counter.carry_out(
        held.hear(
            ev.OrderReplaced(
                at=held.now, order_id=STOP, replaced_by=ClientOrderId("made-by-hand")
            )
        )
    )
    counter.wait(600)
    holding = held.book.holding("s", "X")
    assert counter.market_orders() == []
    assert holding.exit_reason is None
    assert 20 <= len(counter.left) <= 26
    counter.left.clear()
    counter.answer = lambda command, now: ev.OrderAccepted(
        at=now,
        order_id=command.request.order_id if isinstance(command, cmd.Submit) else STOP,
        broker_id=BrokerOrderId("b-again"),
    )
    counter.wait(31)
    (only,) = counter.left
    assert isinstance(only[1], cmd.Submit)
    assert only[1].request.qty == 113
    assert only[1].request.stop_price == 9


def test_a_stop_refused_for_another_reason_is_sold_after_two(pending: Desk) -> None:
    """Goal: what nobody can protect is closed. Method: a stop refused twice with odd words."""
    pending.fill(ENTRY, 113)
    counter = Counter(pending, refusing(*ODD))
    counter.carry_out(
        pending.hear(ev.OrderRefused(at=pending.now, order_id=STOP, code=0, message="no"))
    )
    counter.wait(4)
    assert counter.market_orders()[:1] == [3]


# -- what never left --


def unsent(command: cmd.Command, now: int) -> ev.Report:
    """Nothing gets out of the machine."""
    if isinstance(command, cmd.Cancel):
        return ev.OrderCanceled(at=now, order_id=command.order_id)
    return ev.OrderAbandoned(at=now, order_id=asked(command), reason="not sent: no line")


def test_a_stop_that_did_not_leave_is_placed_anew(pending: Desk) -> None:
    """Goal: after 1 s, then every 2 s, each under a new number, never at market: the line may be
    back at any moment.

    Method: half a minute without a line.
    """
    pending.fill(ENTRY, 113)
    counter = Counter(pending, unsent)
    counter.carry_out(unanswered_first(pending))
    counter.wait(30)
    assert counter.times() == [1, *range(3, 31, 2)]
    ids = [c.request.order_id for _, c in counter.left if isinstance(c, cmd.Submit)]
    assert ids == [f"a-s-X-20240103T1430-stop-{n}" for n in range(2, len(ids) + 2)]
    assert counter.market_orders() == []


def unanswered_first(desk: Desk) -> Step:
    """The first stop, of which nothing left."""
    return desk.hear(
        ev.OrderAbandoned(at=desk.now, order_id=STOP, reason="not sent: no line")
    )


def test_a_close_that_did_not_leave_is_placed_anew(held: Desk) -> None:
    """Goal: the same for a close at market. Method: an exit without a line."""
    counter = Counter(held, unsent)
    counter.carry_out(Intake(held.engine).take(inputs.CloseAll(ExitReason.OPERATOR)))
    counter.wait(10)
    assert counter.market_orders() == [0, 1, 3, 5, 7, 9]


def test_an_exit_of_the_strategy_is_not_lost(held: Desk) -> None:
    """Goal: an exit whose close did not leave stays decided. Method: the strategy leaves."""
    counter = Counter(held, unsent)
    held.strategy.to_manage = lambda: Exit(ExitReason.MAX_RUN)
    (*_, step) = held.pass_minute()
    counter.carry_out(step)
    assert held.book.holding("s", "X").exit_reason is ExitReason.MAX_RUN
    assert len(counter.market_orders()) == 1
