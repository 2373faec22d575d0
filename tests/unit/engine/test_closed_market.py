"""What waits for an open: exits that come after a close, and better stops."""

from __future__ import annotations

from decimal import Decimal

from test_inputs import STOP, Desk
from test_inputs import held as held
from test_inputs import pending as pending

from algo_trader.core import commands as cmd
from algo_trader.core import events as ev
from algo_trader.core import inputs
from algo_trader.core.types import ClientOrderId, ExitReason
from algo_trader.engine.intake import Intake


def test_an_exit_after_the_close_leaves_the_stop(held: Desk) -> None:
    """Goal: shares that cannot be sold yet keep their stop until they can. Method: everything is to
    be closed after the close; then the next session has begun.
    """
    held.engine.hands.rests_from = held.now
    step = Intake(held.engine).take(inputs.CloseAll(ExitReason.OPERATOR))
    assert [type(fact) for fact in step.facts] == [ev.ExitDecided]
    assert list(step.commands) == []
    assert held.book.order(STOP).is_live
    held.engine.hands.rests_from = held.now + 3600
    step = Intake(held.engine).take(inputs.Settle())
    assert list(step.commands) == [cmd.Cancel(STOP)]


def test_a_stop_that_is_to_be_placed_anew_waits_for_the_open_too(held: Desk) -> None:
    """Goal: shares that are covered stay so overnight. Method: a stop that took the place of a half
    filled one is wanted elsewhere, after the close; then the next session has begun.
    """
    moved = ClientOrderId(f"{STOP[:-1]}2")

    def want(price: str) -> list[cmd.Command]:
        wanted = ev.StopSet(at=held.now, strategy="s", symbol="X", price=Decimal(price))
        held.engine.hands.record(wanted)
        return list(Intake(held.engine).take(inputs.Settle()).commands)

    (replace,) = want("9.50")
    assert isinstance(replace, cmd.Replace)
    assert replace.request.order_id == moved
    held.fill(STOP, 40)
    held.hear(ev.OrderReplaced(at=held.now, order_id=STOP, replaced_by=moved))
    assert list(held.accept(moved).commands) == []
    held.engine.hands.rests_from = held.now
    assert want("9.60") == []
    held.engine.hands.rests_from = held.now + 3600
    assert want("9.70") == [cmd.Cancel(moved)]
    (again,) = held.hear(ev.OrderCanceled(at=held.now, order_id=moved)).commands
    assert isinstance(again, cmd.Submit)
    assert again.request.qty == 73
    assert again.request.stop_price == Decimal("9.70")
