"""An order as the API shows it: every documented field, decimals as text."""

from __future__ import annotations

from typing import Any

from algo_trader.core.types import OrderType, text, text_or_none
from algo_trader.exchange.ids import asset_id
from algo_trader.exchange.orders import Order
from algo_trader.exchange.stamps import rfc3339_or_none
from algo_trader.exchange.wire import rfc3339


def order_json(order: Order, *, with_legs: bool = False) -> dict[str, Any]:
    """The order; its legs inside it only if asked for."""
    average = order.filled_value / order.filled_qty if order.filled_qty else None
    legs = [order_json(leg) for leg in order.legs] if with_legs and order.legs else None
    return {
        "id": order.id,
        "client_order_id": order.client_order_id,
        "created_at": rfc3339(order.created_at),
        "updated_at": rfc3339(order.updated_at),
        "submitted_at": rfc3339(order.submitted_at),
        "filled_at": rfc3339_or_none(order.filled_at),
        "expired_at": rfc3339_or_none(order.expired_at),
        "expires_at": rfc3339(order.expires_at),
        "canceled_at": rfc3339_or_none(order.canceled_at),
        "failed_at": rfc3339_or_none(order.failed_at),
        "replaced_at": rfc3339_or_none(order.replaced_at),
        "replaced_by": order.replaced_by,
        "replaces": order.replaces,
        "asset_id": asset_id(order.symbol),
        "symbol": order.symbol,
        "asset_class": "us_equity",
        "notional": None,
        "qty": text(order.qty),
        "filled_qty": text(order.filled_qty),
        "filled_avg_price": text_or_none(average),
        "order_class": order.order_class,
        "order_type": order.type.value,
        "type": order.type.value,
        "side": order.action.value,
        "position_intent": order.position_intent,
        "time_in_force": order.time_in_force.value,
        "limit_price": text_or_none(order.limit_price),
        "stop_price": text_or_none(order.stop_price),
        "status": order.status.value,
        "extended_hours": order.extended_hours,
        "legs": legs,
        "trail_percent": text_or_none(order.trail_percent),
        "trail_price": text_or_none(order.trail_price),
        "hwm": text_or_none(order.mark) if order.type is OrderType.TRAILING_STOP else None,
        "subtag": None,
        "source": None,
    }
