"""Daemons that each make one mistake: the simulation has to find every one of them out.

The mistakes are those of real trading programs. A mutant that survives would mean that nobody looks
where its mistake is.
"""

from __future__ import annotations

from sim_life import Kind

from algo_trader.core import commands as cmd
from algo_trader.core import events as ev
from algo_trader.core.broker import BrokerOrder
from algo_trader.core.inputs import Input, Reports
from algo_trader.core.orders import Order
from algo_trader.core.types import ClientOrderId, Role
from algo_trader.engine.intake import Intake
from algo_trader.runtime.pump import Pump
from algo_trader.venue.checks import DUPLICATE_ID


class _ActsFirst(Pump):
    """Sends the commands of a step, then records its facts."""

    async def _record(self) -> None:
        for command in self._commands:
            self._send(command)
        self._commands = []
        await super()._record()


class _TakesSilenceForRefusal(Pump):
    """An error while placing an order means that there is no order."""

    async def _carry_out(self, command: cmd.Command) -> Input:
        return _refusing(await super()._carry_out(command), "")


class _BelievesTheDuplicate(Pump):
    """An id that is taken already is a refusal like any other."""

    async def _carry_out(self, command: cmd.Command) -> Input:
        return _refusing(await super()._carry_out(command), DUPLICATE_ID.message)


def _refusing(answer: Input, detail: str) -> Input:
    """The answer, a missing one with that detail turned into a refusal."""
    assert isinstance(answer, Reports)
    return Reports(
        [
            ev.OrderRefused(at=report.at, order_id=report.order_id, code=1, message=report.detail)
            if isinstance(report, ev.OutcomeUnknown) and detail in report.detail
            else report
            for report in answer.reports
        ]
    )


class _ForgetsTheStop(Pump):
    """Asks only about what it has sent itself: what the life before had on its way is forgotten."""

    _own: frozenset[ClientOrderId] = frozenset()

    def _send(self, command: cmd.Command) -> None:
        self._own |= {request.order_id for request in cmd.placed_by(command)}
        super()._send(command)

    async def _look_up(self, order_id: ClientOrderId) -> Input | None:
        return await super()._look_up(order_id) if order_id in self._own else None


class _CountsTwice(Intake):
    """Adds up what was filled, instead of telling executions apart by what the broker says."""

    def _hear(self, order: Order, truth: BrokerOrder | None) -> None:
        if truth is not None and order.qty_filled:
            truth = truth._replace(
                executions=tuple(
                    done._replace(
                        cum_qty=done.cum_qty + order.qty_filled,
                        execution_id=f"{done.execution_id} once more",
                    )
                    for done in truth.executions
                )
            )
        super()._hear(order, truth)


class _SendsTheEntryAgain(Intake):
    """An entry that the broker does not have leaves once more, as a stop would."""

    def _miss(self, order: Order) -> None:
        if order.role is Role.ENTRY and order.is_live:
            self._engine.hands.send_again(order, self._engine.now)
        else:
            super()._miss(order)


MUTANTS = (
    Kind("acts before recording", pump=_ActsFirst),
    Kind("takes silence for refusal", pump=_TakesSilenceForRefusal),
    Kind("believes the first absence", settle_s=0.0),
    Kind("believes the duplicate", pump=_BelievesTheDuplicate),
    Kind("forgets the stop after a restart", pump=_ForgetsTheStop),
    Kind("counts a fill twice", intake=_CountsTwice),
    Kind("sends an unknown entry again", intake=_SendsTheEntryAgain),
)
