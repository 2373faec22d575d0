"""What the venue reports, written into the account's orders and told to its listeners.

Owns how a report changes an order's status and stamps, and the sequence of trade updates:
pending_new, new, partial_fill..., fill; pending_cancel, canceled; pending_replace, then replaced of
the old order and new of the one in its place.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from types import MappingProxyType
from typing import Any

from algo_trader.core.events import (
    OrderAccepted,
    OrderCanceled,
    OrderExpired,
    OrderFilled,
    OrderReplaced,
    Report,
)
from algo_trader.core.types import ClientOrderId, OrderType, text
from algo_trader.exchange.blotter import Blotter, Execution
from algo_trader.exchange.ids import Ids
from algo_trader.exchange.order_json import order_json
from algo_trader.exchange.orders import UNROUTED, Order, Status
from algo_trader.exchange.stamps import activity_stamp, rfc3339_or_none
from algo_trader.exchange.wire import rfc3339
from algo_trader.venue.venue import Venue

Tell = Callable[[dict[str, Any]], None]
_NOTHING: Mapping[str, str] = MappingProxyType({})


class Clerk:
    """Keeps the blotter in step with the venue."""

    def __init__(
        self, venue: Venue, blotter: Blotter, ids: Ids, tell: Tell, *, tells_canceled_stops: bool
    ) -> None:
        self._venue = venue
        self._blotter = blotter
        self._ids = ids
        self._tell = tell
        self._tells_canceled_stops = tells_canceled_stops

    def take(self, reports: Iterable[Report], now: float) -> bool:
        """Write down what the venue reports; whether anything was filled."""
        has_filled = False
        ended_by_profit: Order | None = None
        for report in reports:
            order = self._blotter.orders[report.order_id]
            if isinstance(report, OrderAccepted):
                self._working(order, now)
            elif isinstance(report, OrderFilled):
                has_filled = True
                self.filled(order, report.qty, report.price, now)
                ended_by_profit = order
            elif isinstance(report, OrderCanceled):
                is_quiet = (
                    order.is_stop_loss
                    and ended_by_profit in order.family
                    and not self._tells_canceled_stops
                )
                self.end(order, Status.CANCELED, now, is_quiet=is_quiet)
            elif isinstance(report, OrderExpired):
                self.end(order, Status.EXPIRED, now)
            elif isinstance(report, OrderReplaced):
                self._replaced(order, self._blotter.orders[report.replaced_by], now)
        return has_filled

    def received(self, order: Order, now: float) -> None:
        """A new order was taken; it is on its way to the market, or waits for it to open."""
        order.status = Status.PENDING_NEW if self._venue.is_open else Status.ACCEPTED
        for leg in order.legs:
            leg.status = Status.HELD
        self.say("pending_new" if self._venue.is_open else "accepted", order, now)

    def opened(self, now: float) -> None:
        """The market opened: what was queued is on it now."""
        for order in self._blotter.open_orders():
            if order.status in UNROUTED and self._venue.resting_order(_venue_id(order)) is not None:
                self._working(order, now)

    def filled(self, order: Order, qty: Decimal, price: Decimal, now: float) -> Execution:
        """Write down an execution that the venue's account has booked already."""
        if order.status is Status.HELD:
            self._working(order, now)
        order.filled_qty += qty
        order.filled_value += qty * price
        order.updated_at = order.filled_at = now
        is_whole = order.qty_open <= 0
        if is_whole:
            order.status = Status.FILLED
        elif order.is_open and order.status is not Status.PENDING_CANCEL:
            order.status = Status.PARTIALLY_FILLED
        execution = Execution(
            id=self._ids.uuid("execution"),
            activity_id=f"{activity_stamp(now)}::{self._ids.uuid('activity')}",
            order=order,
            at=now,
            qty=qty,
            price=price,
            cum_qty=order.filled_qty,
            leaves_qty=max(order.qty_open, Decimal(0)),
        )
        self._blotter.executions.append(execution)
        event = "fill" if is_whole else "partial_fill"
        self.say(event, order, now, execution_id=execution.id, price=price, qty=qty)
        self._follow_stop(order)
        return execution

    def end(
        self,
        order: Order,
        status: Status,
        now: float,
        *,
        is_quiet: bool = False,
        reason: str = "",
    ) -> None:
        """The order has ended; `is_quiet` if nobody is told. A `reason` is told beside it."""
        order.status = status
        order.updated_at = now
        if status is Status.CANCELED:
            order.canceled_at = now
        elif status is Status.EXPIRED:
            order.expired_at = now
        elif status is Status.REJECTED:
            order.failed_at = now
        if not is_quiet:
            self.say(status.value, order, now, more={"reason": reason} if reason else {})

    def follow_marks(self) -> None:
        """Show where the trailing stops stand."""
        if not self._venue.books.trailing_count:
            return
        for order in self._blotter.open_orders():
            if order.type is OrderType.TRAILING_STOP:
                live = self._venue.resting_order(_venue_id(order))
                if live is not None:
                    order.mark = live.mark
                    order.stop_price = live.trigger or order.stop_price

    def say(
        self,
        event: str,
        order: Order,
        now: float,
        *,
        execution_id: str | None = None,
        price: Decimal | None = None,
        qty: Decimal | None = None,
        more: Mapping[str, str] = _NOTHING,
    ) -> None:
        """Tell the listeners; of a fill with its price, quantity and the position after it."""
        stamp = rfc3339(now)
        shown = order_json(order, with_legs=True)
        shown["cancel_requested_at"] = rfc3339_or_none(order.cancel_requested_at)
        data: dict[str, Any] = {
            "event": event,
            "execution_id": execution_id or self._ids.uuid("execution"),
            "order": shown,
            "timestamp": stamp,
            "at": stamp,
            "event_id": self._ids.ulid(now),
        }
        if price is not None and qty is not None:
            data["price"] = text(price)
            data["qty"] = text(qty)
            data["position_qty"] = text(self._venue.account.qty(order.symbol))
        data.update(more)
        self._tell(data)

    # -- inside --

    def _working(self, order: Order, now: float) -> None:
        """The market has the order. Of two exits the stop stays held until it is triggered."""
        if not self._venue.is_open and order.parent is None:
            return
        if order.status is Status.HELD and self._is_behind_profit(order):
            return
        if order.status is Status.HELD:
            order.submitted_at = now
        order.status = Status.NEW
        order.updated_at = now
        self.follow_marks()
        self.say("new", order, now)

    def _is_behind_profit(self, order: Order) -> bool:
        return order.is_stop_loss and any(
            other is not order
            and other.is_open
            and other.action is order.action
            and other.type is OrderType.LIMIT
            for other in order.family
        )

    def _replaced(self, old: Order, new: Order, now: float) -> None:
        old.status = Status.REPLACED
        old.updated_at = old.replaced_at = now
        old.replaced_by = new.id
        if new.replaces is None:
            new.replaces = old.id
        self.say("replaced", old, now)

    def _follow_stop(self, order: Order) -> None:
        """A partly filled take-profit leaves the stop of its group the remainder."""
        for other in order.family:
            if other is not order and other.is_open and other.action is order.action:
                live = self._venue.resting_order(_venue_id(other))
                if live is not None:
                    other.qty = live.request.qty + other.filled_qty + other.filled_before


def _venue_id(order: Order) -> ClientOrderId:
    return ClientOrderId(order.id)
