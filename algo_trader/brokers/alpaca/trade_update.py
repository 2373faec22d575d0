"""One event of the trade stream, read with tolerance."""

from __future__ import annotations

from typing import NamedTuple

from algo_trader.brokers.alpaca.fills import execution_of
from algo_trader.brokers.alpaca.wire import body_of, decimal_of, text_of
from algo_trader.core.broker import Execution
from algo_trader.core.types import BrokerOrderId, ClientOrderId

FILLS = frozenset({"fill", "partial_fill"})


class TradeUpdate(NamedTuple):
    """What happened to an order, in Alpaca's word for it, known here or not."""

    event: str
    order_id: ClientOrderId | None
    broker_id: BrokerOrderId
    execution: Execution | None


def read_update(value: object) -> TradeUpdate | None:
    """The event in a frame's data, or None if it does not say what happened to which order."""
    body = body_of(value)
    order = None if body is None else body_of(body.get("order"))
    if body is None or order is None:
        return None
    event, broker_id = text_of(body, "event"), text_of(order, "id")
    if event is None or broker_id is None:
        return None
    execution = None
    if event in FILLS:
        execution = execution_of(
            body,
            decimal_of(order, "filled_qty"),
            "timestamp" if text_of(body, "timestamp") else "at",
            text_of(body, "execution_id") or text_of(body, "event_id") or "",
        )
    order_id = text_of(order, "client_order_id")
    return TradeUpdate(
        event,
        ClientOrderId(order_id) if order_id else None,
        BrokerOrderId(broker_id),
        execution,
    )
