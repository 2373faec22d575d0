"""Carrying out commands: what is sent, and what the answers prove."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from algo_trader.brokers.alpaca.answers import (
    Refusal,
    described,
    is_about_the_old_one,
    is_duplicate,
    not_found_in,
    order_in,
    refusal_in,
)
from algo_trader.brokers.alpaca.budget import Urgency
from algo_trader.brokers.alpaca.calls import CANCEL, ORDER, Calls, Deadline
from algo_trader.brokers.alpaca.client import Answer
from algo_trader.brokers.alpaca.clock import SteeredClock
from algo_trader.brokers.alpaca.finder import Finder
from algo_trader.brokers.alpaca.orders import (
    RestOrder,
    broken_echo,
    read_order,
    replace_body,
    submit_body,
    unsendable,
)
from algo_trader.brokers.alpaca.pairs import flat, pair_body
from algo_trader.brokers.alpaca.wire import body_of
from algo_trader.core.broker import BrokerStatus
from algo_trader.core.commands import Cancel, Command, Replace, Submit, SubmitPair
from algo_trader.core.errors import BrokerError, Unanswered, Unavailable
from algo_trader.core.events import CancelRefused, OrderAccepted, OrderRefused, OrderRequest, Report
from algo_trader.core.truth import REJECTED, reports_of
from algo_trader.core.types import ClientOrderId

UNCODED = 0
"""The code of a refusal that has none of Alpaca's: never sent, or rejected without a number."""

_ENTRY = "-entry-"


class Commands:
    """Submits, cancels and replaces, each within the time that `limit` gives it."""

    def __init__(
        self,
        calls: Calls,
        finder: Finder,
        clock: SteeredClock,
        limit: Callable[[], Deadline],
    ) -> None:
        self._calls = calls
        self._finder = finder
        self._clock = clock
        self._limit = limit

    async def execute(self, command: Command) -> Sequence[Report]:
        """What the command led to, as far as it is proven.

        Nothing if it was taken and its end is not proven yet. Unavailable: certainly nothing was
        taken. Unanswered: it may have been.
        """
        self._clock.now()  # A clock that cannot date the answer says so before anything is sent.
        deadline = self._limit()
        match command:
            case Submit(request):
                return await self._submit(request, deadline)
            case SubmitPair(stop, target):
                return await self._submit_pair(stop, target, deadline)
            case Cancel(order_id):
                return await self._cancel(order_id, deadline)
            case Replace(order_id, request):
                return await self._replace(order_id, request, deadline)

    async def _submit(self, request: OrderRequest, deadline: Deadline) -> Sequence[Report]:
        reason = unsendable(request)
        if reason is not None:
            return (self._refused(request, Refusal(UNCODED, f"not sent: {reason}")),)
        answer = await self._calls.call(
            "POST",
            "/orders",
            submit_body(request),
            urgency=Urgency.ENTRY if _ENTRY in request.order_id else Urgency.PROTECTIVE,
            retry=ORDER,
            deadline=deadline,
        )
        refusal = refusal_in(answer)
        if refusal is None:
            return (self._taken(request, answer, "POST /orders"),)
        if is_duplicate(refusal):
            raise Unanswered(f"{request.order_id}: {refusal.message}: look the order up")
        return (self._refused(request, refusal),)

    async def _submit_pair(
        self, stop: OrderRequest, target: OrderRequest, deadline: Deadline
    ) -> Sequence[Report]:
        """Both or none; the target is told of first."""
        reason = unsendable(target) or unsendable(stop)
        refusal = None if reason is None else Refusal(UNCODED, f"not sent: {reason}")
        if refusal is None:
            answer = await self._calls.call(
                "POST",
                "/orders",
                pair_body(stop, target),
                urgency=Urgency.PROTECTIVE,
                retry=ORDER,
                deadline=deadline,
            )
            refusal = refusal_in(answer)
        if refusal is not None:
            if is_duplicate(refusal):
                raise Unanswered(f"{target.order_id}: {refusal.message}: look the order up")
            return [self._refused(request, refusal) for request in (target, stop)]
        taken = self._taken(target, answer, "POST /orders")
        return (taken, self._leg(stop, answer))

    def _leg(self, stop: OrderRequest, answer: Answer) -> Report:
        """The stop in the answer to a pair, which has a name of Alpaca's making there."""
        _, *legs = flat(body_of(answer.body) or {})
        for leg in filter(None, map(read_order, legs)):
            mine = leg._replace(order_id=stop.order_id)
            if broken_echo(stop, mine) is None:
                return self._accepted(stop, self._finder.keep(mine))
        raise Unanswered(f"POST /orders: no stop in the answer: look {stop.order_id} up")

    async def _cancel(self, order_id: ClientOrderId, deadline: Deadline) -> Sequence[Report]:
        broker_id = await self._finder.id_of(order_id, deadline)
        if isinstance(broker_id, Refusal):
            return (self._cancel_refused(order_id, broker_id),)
        answer = await self._calls.call(
            "DELETE",
            f"/orders/{broker_id}",
            urgency=Urgency.PROTECTIVE,
            retry=CANCEL,
            deadline=deadline,
        )
        refusal = refusal_in(answer) or not_found_in(answer)
        if refusal is None and not 200 <= answer.status < 300:
            raise Unanswered(f"cancel of {order_id}: {described(answer)}")
        with _afterwards():
            # That it was taken proves nothing, nor that it was not: the status does.
            order = await self._finder.by_id(broker_id, Urgency.PROTECTIVE, deadline)
            if order.status is BrokerStatus.OPEN and refusal is not None:
                return (self._cancel_refused(order_id, refusal),)
            return await self._proven_end(order, deadline)

    async def _replace(
        self, order_id: ClientOrderId, request: OrderRequest, deadline: Deadline
    ) -> Sequence[Report]:
        reason = unsendable(request)
        if reason is not None:
            return (self._refused(request, Refusal(UNCODED, f"not sent: {reason}")),)
        broker_id = await self._finder.id_of(order_id, deadline)
        if isinstance(broker_id, Refusal):
            return (self._refused(request, broker_id),)
        answer = await self._calls.call(
            "PATCH",
            f"/orders/{broker_id}",
            replace_body(request, is_in_pair=self._finder.is_in_pair(broker_id)),
            urgency=Urgency.PROTECTIVE,
            retry=ORDER,
            deadline=deadline,
        )
        refusal = refusal_in(answer)
        if refusal is not None:
            with _afterwards():
                return (await self._not_replaced(request, refusal, deadline),)
        taken = self._taken(request, answer, "PATCH /orders")
        if isinstance(taken, OrderRefused):
            return (taken,)
        try:
            old = await self._finder.by_id(broker_id, Urgency.PROTECTIVE, deadline)
            return (*await self._proven_end(old, deadline), taken)
        except BrokerError:
            return (taken,)  # What is known of the new order is not lost with the old one's word.

    async def _not_replaced(
        self, request: OrderRequest, refusal: Refusal, deadline: Deadline
    ) -> Report:
        """The refusal, unless the new order is there: this may be the second of two requests.

        That the old order is not open any more proves nothing: the first of the two may have taken
        its place, and a look-up may be behind.
        """
        is_undecided = is_duplicate(refusal) or is_about_the_old_one(refusal)
        found = None if is_undecided else await self._finder.find(request.order_id, deadline)
        if not isinstance(found, Refusal):
            raise Unanswered(f"{request.order_id}: {refusal.message}: look the order up")
        return self._refused(request, refusal)

    async def _proven_end(self, order: RestOrder, deadline: Deadline) -> Sequence[Report]:
        """The executions of an order and what ended it; nothing while it may still fill, or while
        one of its executions is missing.
        """
        if order.status is BrokerStatus.OPEN:
            return ()
        await self._finder.complete([order], deadline)
        truth = self._finder.worded(order)
        if truth.status is BrokerStatus.OPEN:
            return ()
        return reports_of(truth, self._clock.now())

    def _taken(self, request: OrderRequest, answer: Answer, what: str) -> Report:
        """The order in the answer, if it is the one that was sent."""
        order = order_in(answer, what)
        broken = broken_echo(request, order)
        if broken is not None:
            raise Unanswered(f"{what}: {broken}: look {request.order_id} up at the broker")
        return self._accepted(request, self._finder.keep(order))

    def _accepted(self, request: OrderRequest, order: RestOrder) -> Report:
        if order.status is BrokerStatus.REJECTED and not order.filled_qty:
            return self._refused(request, Refusal(UNCODED, order.detail or REJECTED))
        return OrderAccepted(
            at=self._clock.now(), order_id=order.order_id, broker_id=order.broker_id
        )

    def _refused(self, request: OrderRequest, refusal: Refusal) -> OrderRefused:
        code, message = refusal
        return OrderRefused(
            at=self._clock.now(), order_id=request.order_id, code=code, message=message
        )

    def _cancel_refused(self, order_id: ClientOrderId, refusal: Refusal) -> CancelRefused:
        code, message = refusal
        return CancelRefused(at=self._clock.now(), order_id=order_id, code=code, message=message)


@contextmanager
def _afterwards() -> Iterator[None]:
    """A question after the command has left: that it cannot be asked is no word on the command."""
    try:
        yield
    except Unavailable as error:
        raise Unanswered(f"sent, and then: {error}") from None
