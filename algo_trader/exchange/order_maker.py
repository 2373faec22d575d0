"""Orders from what clients send: of a ticket with its legs, and of a PATCH to an order."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace as changed
from typing import Any

from algo_trader.core.types import ZERO, Action, OrderType, TimeInForce
from algo_trader.exchange.blotter import Blotter
from algo_trader.exchange.errors import bad_request, unprocessable
from algo_trader.exchange.ids import Ids
from algo_trader.exchange.orders import Order
from algo_trader.exchange.stamps import gtc_expiry
from algo_trader.exchange.tickets import Ticket, client_order_id, number, word
from algo_trader.venue.groups import GroupKind, OrderGroup
from algo_trader.venue.venue import Venue


class OrderMaker:
    """Makes orders with ids of the account's own; none has a number yet.

    With `carries_filled_qty` an order in the place of a partly filled one begins with what that
    has filled; else at 0, and what was filled counts beside it.
    """

    def __init__(
        self, venue: Venue, blotter: Blotter, ids: Ids, *, carries_filled_qty: bool
    ) -> None:
        self._venue = venue
        self._blotter = blotter
        self._ids = ids
        self._carries_filled_qty = carries_filled_qty

    def order(self, ticket: Ticket, now: float, day_ends_at: float) -> Order:
        """The order of a ticket with its legs; without a number yet."""
        is_day = ticket.time_in_force is not TimeInForce.GTC
        order = Order(
            id=self._ids.uuid("order"),
            number=0,
            client_order_id=ticket.client_order_id or self._ids.uuid("client order"),
            symbol=ticket.symbol,
            action=ticket.action,
            type=ticket.type,
            time_in_force=ticket.time_in_force,
            qty=ticket.qty,
            limit_price=ticket.limit_price,
            stop_price=ticket.stop_price,
            trail_price=ticket.trail_price,
            trail_percent=ticket.trail_percent,
            order_class=ticket.order_class,
            extended_hours=ticket.extended_hours,
            position_intent=ticket.position_intent or self._intent(ticket),
            created_at=now,
            updated_at=now,
            submitted_at=now,
            expires_at=day_ends_at if is_day else gtc_expiry(now),
        )
        is_oco = ticket.kind is GroupKind.OCO
        if is_oco:
            order.limit_price = ticket.profit_limit
        elif ticket.kind is not None and ticket.profit_limit is not None:
            order.legs.append(self._leg(order, ticket, OrderType.LIMIT))
        if ticket.kind is not None and ticket.loss_stop is not None:
            kind = OrderType.STOP if ticket.loss_limit is None else OrderType.STOP_LIMIT
            order.legs.append(self._leg(order, ticket, kind))
        return order

    def _leg(self, order: Order, ticket: Ticket, kind: OrderType) -> Order:
        """An exit of a group: it does what an OCO's parent does, and undoes what an entry does."""
        is_oco = ticket.kind is GroupKind.OCO
        action = Action.SELL if (order.action is Action.BUY) is not is_oco else Action.BUY
        is_profit = kind is OrderType.LIMIT
        return changed(
            order,
            id=self._ids.uuid("order"),
            client_order_id=self._ids.uuid("client order"),
            action=action,
            type=kind,
            limit_price=ticket.profit_limit if is_profit else ticket.loss_limit,
            stop_price=None if is_profit else ticket.loss_stop,
            position_intent=f"{action}_to_close",
            parent=order,
            legs=[],
        )

    def _intent(self, ticket: Ticket) -> str:
        position = self._venue.account.qty(ticket.symbol)
        if ticket.action is Action.BUY:
            return "buy_to_close" if position < 0 else "buy_to_open"
        return "sell_to_close" if position > 0 else "sell_to_open"

    def successor(self, old: Order, body: Mapping[str, Any], now: float) -> Order:
        """The order that takes the place of `old` by a PATCH; without a number yet."""
        name = client_order_id(body)
        self._blotter.require_unused(name)
        qty, trail = number(body, "qty"), number(body, "trail")
        if qty is not None:
            if qty != qty.to_integral_value():
                raise unprocessable("qty must be an integer")
            if qty <= old.filled_before + old.filled_qty:
                raise unprocessable("unable to replace order, qty must be > filled_qty")
        if trail is not None and old.type is not OrderType.TRAILING_STOP:
            raise bad_request(f"{old.type} orders must not have trail")
        by_percent = old.trail_percent is not None
        limit, stop = number(body, "limit_price"), number(body, "stop_price")
        lasts = old.time_in_force
        if body.get("time_in_force"):
            lasts = word(body, "time_in_force", TimeInForce)
        new = changed(
            old,
            id=self._ids.uuid("order"),
            client_order_id=name or self._ids.uuid("client order"),
            qty=old.qty if qty is None else qty.quantize(old.qty),
            time_in_force=lasts,
            limit_price=old.limit_price if limit is None else limit,
            stop_price=old.stop_price if stop is None else stop,
            trail_price=old.trail_price if trail is None or by_percent else trail,
            trail_percent=old.trail_percent if trail is None or not by_percent else trail,
            expires_at=gtc_expiry(now) if lasts is TimeInForce.GTC else old.expires_at,
            submitted_at=now,
            updated_at=now,
            filled_at=None,
            replaces=old.id,
            legs=[],
        )
        if name is None and _terms(new) == _terms(old):
            raise unprocessable("order parameters are not changed")
        if stop is not None and old.type is OrderType.TRAILING_STOP:
            raise bad_request("trailing_stop orders must not have stop_price")
        self.carry(old, new)
        return new

    def carry(self, old: Order, new: Order) -> None:
        """Count what the chain has filled, in the new order's own figures or beside them."""
        new.filled_before, new.filled_qty, new.filled_value = old.filled_before, ZERO, ZERO
        if self._carries_filled_qty:
            new.filled_qty, new.filled_value = old.filled_qty, old.filled_value
        else:
            new.filled_before += old.filled_qty


def group_of(kind: GroupKind | None, order: Order) -> OrderGroup | None:
    """The venue's terms of a group."""
    if kind is None:
        return None
    exits = [order, *order.legs] if kind is GroupKind.OCO else order.legs
    profit = next((leg.request for leg in exits if leg.type is OrderType.LIMIT), None)
    loss = next((leg.request for leg in exits if leg.type is not OrderType.LIMIT), None)
    return OrderGroup(kind, None if kind is GroupKind.OCO else order.request, profit, loss)


def _terms(order: Order) -> tuple[Any, ...]:
    return (
        order.qty,
        order.time_in_force,
        order.limit_price,
        order.stop_price,
        order.trail_price,
        order.trail_percent,
    )
