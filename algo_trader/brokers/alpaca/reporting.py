"""What the state of an order that has ended proves, as reports.

Executions come first and are never left out, whatever ended the order. A rejection with executions
is none: the broker had the order, and what was not filled is gone as if canceled. One that filled
wholly needs no other end.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

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
from algo_trader.core.types import ZERO, ClientOrderId, Instant

REJECTED = "rejected by the broker"


def reports_of(
    order: RestOrder,
    executions: Sequence[Execution],
    successor: ClientOrderId | None,
    now: Instant,
) -> Sequence[Report]:
    """All executions of the order and what ended it; nothing if its end is not proven."""
    filled = sum((done.qty for done in executions), start=ZERO)
    end = _end(order, filled, successor, now)
    return () if end is None else (*fills_of(order, executions), *end)


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


def _end(
    order: RestOrder, filled: Decimal, successor: ClientOrderId | None, now: Instant
) -> Sequence[Report] | None:
    """What ended the order beside its executions; None if it has not ended, or not provably."""
    match order.status:
        case BrokerStatus.FILLED:
            return ()
        case BrokerStatus.CANCELED | BrokerStatus.EXPIRED | BrokerStatus.REJECTED if (
            filled >= order.qty > ZERO
        ):
            return ()
        case BrokerStatus.REJECTED if not filled:
            message = order.detail or REJECTED
            return (OrderRefused(at=now, order_id=order.order_id, code=0, message=message),)
        case BrokerStatus.CANCELED | BrokerStatus.REJECTED:
            return (OrderCanceled(at=now, order_id=order.order_id),)
        case BrokerStatus.EXPIRED:
            return (OrderExpired(at=now, order_id=order.order_id),)
        case BrokerStatus.REPLACED if successor is not None:
            return (OrderReplaced(at=now, order_id=order.order_id, replaced_by=successor),)
    return None
