"""What an order's state at Alpaca proves, as reports."""

from __future__ import annotations

from collections.abc import Sequence

from algo_trader.brokers.alpaca.orders import RestOrder
from algo_trader.core.broker import BrokerStatus, Execution
from algo_trader.core.events import (
    OrderCanceled,
    OrderExpired,
    OrderFilled,
    OrderRefused,
    OrderReplaced,
    Report,
)
from algo_trader.core.types import ClientOrderId, Instant


def fills_of(order: RestOrder, executions: Sequence[Execution]) -> list[OrderFilled]:
    """The executions as reports."""
    return [
        OrderFilled(
            at=done.at,
            order_id=order.order_id,
            qty=done.qty,
            price=done.price,
            cum_qty=done.cum_qty,
            commission=done.commission,
            execution_id=done.execution_id,
        )
        for done in executions
    ]


def ended(
    order: RestOrder, successor: ClientOrderId | None, now: Instant
) -> Sequence[Report] | None:
    """What ended the order beside its executions; None if it has not ended, or not provably."""
    match order.status:
        case BrokerStatus.FILLED:
            return ()
        case BrokerStatus.CANCELED:
            return (OrderCanceled(at=now, order_id=order.order_id),)
        case BrokerStatus.EXPIRED:
            return (OrderExpired(at=now, order_id=order.order_id),)
        case BrokerStatus.REJECTED:
            message = order.detail or "rejected by the broker"
            return (OrderRefused(at=now, order_id=order.order_id, code=0, message=message),)
        case BrokerStatus.REPLACED if successor is not None:
            return (OrderReplaced(at=now, order_id=order.order_id, replaced_by=successor),)
    return None
