"""What waits for an open: exits that come after a close, and better stops."""

from __future__ import annotations

from test_inputs import STOP, Desk
from test_inputs import held as held
from test_inputs import pending as pending

from algo_trader.core import commands as cmd
from algo_trader.core import events as ev
from algo_trader.core import inputs
from algo_trader.core.types import ExitReason
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
