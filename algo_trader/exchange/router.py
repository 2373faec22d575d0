"""The way of a request to the venue: new orders, replaces and cancels, at once or kept back.

Owns what becomes of a ticket, which errors a refusal of the venue becomes, and the chains that
replaced orders make.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from algo_trader.core.events import CancelRefused, OrderRefused
from algo_trader.core.types import ClientOrderId, TimeInForce
from algo_trader.exchange.blotter import Blotter
from algo_trader.exchange.clerk import Clerk
from algo_trader.exchange.errors import bad_request, unprocessable
from algo_trader.exchange.ids import Ids
from algo_trader.exchange.options import DeskOptions, Hold
from algo_trader.exchange.order_json import order_json
from algo_trader.exchange.order_maker import OrderMaker, group_of
from algo_trader.exchange.orders import FINAL, UNROUTED, Order, Status
from algo_trader.exchange.refusals import Refusals
from algo_trader.exchange.tickets import Ticket
from algo_trader.venue.groups import OrderGroup
from algo_trader.venue.venue import Venue


class Sending(NamedTuple):
    """A new order on its way to the venue."""

    order: Order
    group: OrderGroup | None


class Canceling(NamedTuple):
    """A cancel on its way, and the status to fall back to."""

    order: Order
    before: Status


class Replacing(NamedTuple):
    """A replace on its way: `successor` in the place of `order`, and the status to fall back to."""

    order: Order
    successor: Order
    before: Status


class Router:
    """Sends requests to the venue and hands its reports to the clerk."""

    def __init__(
        self, venue: Venue, blotter: Blotter, ids: Ids, clerk: Clerk, options: DeskOptions
    ) -> None:
        self.held_back: set[Hold] = set()
        self._venue = venue
        self._blotter = blotter
        self._clerk = clerk
        self._maker = OrderMaker(
            venue, blotter, ids, carries_filled_qty=options.carries_filled_qty
        )
        self._refusals = Refusals(venue, blotter)
        self._waiting: list[Sending | Canceling | Replacing] = []
        self._count = 0

    # -- new orders --

    def submit(self, ticket: Ticket, now: float, day_ends_at: float) -> dict[str, Any]:
        """Take a ticket; the answer shows the order as the market has not seen it yet."""
        self._blotter.require_unused(ticket.client_order_id)
        order = self._maker.order(ticket, now, day_ends_at)
        group = group_of(ticket.kind, order)
        admission = self._venue.admission
        if group is None:
            refusal = admission.refusal(order.request)
        else:
            refusal = admission.group_refusal(group)
        if refusal is not None:
            raise self._refusals.fault(refusal, order)
        for each in order.family:
            self._count += 1
            each.number = self._count
            self._blotter.add(each)
        self._clerk.received(order, now)
        shown = order_json(order, with_legs=True)
        if Hold.NEW in self.held_back:
            self._waiting.append(Sending(order, group))
        else:
            self._send(order, group, now)
        return shown

    def _send(self, order: Order, group: OrderGroup | None, now: float) -> None:
        at = int(now)
        if group is None:
            reports = self._venue.submit(order.request, at)
        else:
            reports = self._venue.submit_group(group, at)
        if isinstance(reports[0], OrderRefused):
            self._end_family(order, Status.REJECTED, now)
        else:
            self._clerk.take(reports, now)

    # -- replacing --

    def replace(self, old: Order, body: Mapping[str, Any], now: float) -> dict[str, Any]:
        """Ask for another order in the place of this one; the answer shows that one."""
        if old.status in FINAL:
            raise bad_request("unable to replace order, order is not open")
        if old.status in UNROUTED or old.status in (Status.PENDING_CANCEL, Status.PENDING_REPLACE):
            raise bad_request("unable to replace order, order isn't sent to exchange yet")
        new = self._maker.successor(old, body, now)
        refusal = self._venue.admission.replace_refusal(ClientOrderId(old.id), new.request)
        if refusal is not None:
            raise self._refusals.fault(refusal, new)
        self._count += 1
        new.number = self._count
        self._blotter.add(new)
        before, old.status = old.status, Status.PENDING_REPLACE
        old.updated_at = now
        if before is Status.HELD:
            new.status = Status.HELD
        else:
            new.status = Status.PENDING_NEW if self._venue.is_open else Status.ACCEPTED
        self._clerk.say("pending_replace", old, now)
        shown = order_json(new)
        waiting = Replacing(old, new, before)
        if Hold.REPLACE in self.held_back:
            self._waiting.append(waiting)
        else:
            self._swap(waiting, now)
        return shown

    def _swap(self, waiting: Replacing, now: float) -> None:
        """Carry out a replace, or tell that it came too late."""
        old, new = waiting.order, waiting.successor
        if old.is_open and new.is_open:
            self._maker.carry(old, new)
            reports = self._venue.replace(ClientOrderId(old.id), new.request, int(now))
            if not isinstance(reports[0], OrderRefused):
                _take_place(old, new)
                self._clerk.take(reports, now)
                return
        self._refuse_swap(waiting, now)

    def _refuse_swap(self, waiting: Replacing, now: float) -> None:
        old, new = waiting.order, waiting.successor
        self._fall_back(waiting)
        self._clerk.say("order_replace_rejected", old, now)
        if new.is_open:
            self._clerk.end(new, Status.REJECTED, now)

    # -- canceling --

    def cancel(self, order: Order, now: float) -> dict[str, Any]:
        """Ask for the cancel of an order; it is shown as the request was taken."""
        if order.status in FINAL or order.status is Status.PENDING_CANCEL:
            raise unprocessable(f'order is already in "{order.status}" state')
        waiting = Canceling(order, order.status)
        order.status = Status.PENDING_CANCEL
        order.updated_at = order.cancel_requested_at = now
        self._clerk.say("pending_cancel", order, now)
        shown = order_json(order)
        if Hold.CANCEL in self.held_back:
            self._waiting.append(waiting)
        else:
            self._cancel(order, now)
        return shown

    def _cancel(self, order: Order, now: float) -> None:
        if self._forget(order):
            self._end_family(order, Status.CANCELED, now)
            return
        reports = self._venue.cancel(ClientOrderId(order.id), int(now))
        if not isinstance(reports[0], CancelRefused):
            self._clerk.take(reports, now)
        elif order.is_open:  # An execution was taken back: it is not filled, and nothing rests.
            self._end_family(order, Status.CANCELED, now)

    # -- what was kept back --

    def release(self, now: float, *, is_refused: bool) -> None:
        """Carry out everything kept back, or tell that the market refused it."""
        self.held_back.clear()
        waiting, self._waiting = self._waiting, []
        for each in waiting:
            if isinstance(each, Replacing):
                (self._refuse_swap if is_refused else self._swap)(each, now)
            elif not each.order.is_open:
                continue
            elif isinstance(each, Sending):
                if is_refused:
                    self._end_family(each.order, Status.REJECTED, now)
                else:
                    self._send(each.order, each.group, now)
            elif is_refused:
                self._fall_back(each)
                self._clerk.say("order_cancel_rejected", each.order, now)
            else:
                self._cancel(each.order, now)

    def expire_unrouted(self, now: float) -> None:
        """The day ended: new day orders that never reached the market expire, and a replace whose
        order has ended comes to nothing."""
        for each in tuple(self._waiting):
            if isinstance(each, Sending) and each.order.time_in_force is TimeInForce.DAY:
                self._forget(each.order)
                self._end_family(each.order, Status.EXPIRED, now)
            elif isinstance(each, Replacing) and not each.order.is_open:
                self._waiting.remove(each)
                self._refuse_swap(each, now)

    def _forget(self, order: Order) -> bool:
        """Take a new order that was kept back out of the queue; whether it was there."""
        kept = [
            each
            for each in self._waiting
            if not (isinstance(each, Sending) and any(order is one for one in each.order.family))
        ]
        was_there = len(kept) < len(self._waiting)
        self._waiting = kept
        return was_there

    @staticmethod
    def _fall_back(waiting: Canceling | Replacing) -> None:
        order = waiting.order
        if order.status in (Status.PENDING_CANCEL, Status.PENDING_REPLACE):
            order.status = Status.PARTIALLY_FILLED if order.filled_qty else waiting.before

    # -- by hand --

    def force_end(self, order: Order, status: Status, now: float, reason: str = "") -> None:
        """End an open order in this way; the others of its group are canceled."""
        is_unsent = self._forget(order)
        reports = self._venue.cancel(ClientOrderId(order.id), int(now))
        self._clerk.end(order, status, now, reason=reason)
        if is_unsent:
            self._end_family(order, status, now)
        else:
            self._clerk.take([report for report in reports if report.order_id != order.id], now)

    def _end_family(self, order: Order, status: Status, now: float) -> None:
        for each in order.family:
            if each.is_open:
                self._clerk.end(each, status if each is order else Status.CANCELED, now)


def _take_place(old: Order, new: Order) -> None:
    """`new` stands in its group where `old` stood."""
    if old.parent is not None:
        legs = old.parent.legs
        legs[legs.index(old)] = new
    for leg in old.legs:
        leg.parent = new
    new.legs, old.legs = old.legs, []
