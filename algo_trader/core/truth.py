"""What the broker's word on an order proves, as reports.

The one rule for every way on which it comes: the answer to a command, a look-up, a comparison.
Executions come first and are never left out, whatever ended the order. A rejection with executions
is none: the broker had the order, and what was not filled is gone as if canceled. One that was
filled wholly needs no other end; one that is called filled with fewer shares than were ordered has
had the rest filled by the order in whose place it stands.
"""

from __future__ import annotations

from collections.abc import Sequence

from algo_trader.core import events as ev
from algo_trader.core.broker import BrokerOrder, BrokerStatus
from algo_trader.core.types import ZERO, Instant

REJECTED = "rejected by the broker"


def reports_of(truth: BrokerOrder, now: Instant) -> list[ev.Report]:
    """All executions of the order and what has ended it, as far as that is proven."""
    fills: list[ev.Report] = [
        ev.OrderFilled(
            at=done.at,
            order_id=truth.order_id,
            qty=done.qty,
            price=done.price,
            cum_qty=done.cum_qty,
            commission=done.commission,
            execution_id=done.execution_id,
        )
        for done in truth.executions
    ]
    return [*fills, *_end(truth, now)]


def is_rejected(truth: BrokerOrder) -> bool:
    """Whether the broker never had the order."""
    return truth.status is BrokerStatus.REJECTED and not truth.executions


def _end(truth: BrokerOrder, now: Instant) -> Sequence[ev.Report]:
    order_id = truth.order_id
    if is_rejected(truth):
        message = truth.detail or REJECTED
        return (ev.OrderRefused(at=now, order_id=order_id, code=0, message=message),)
    if sum((done.qty for done in truth.executions), start=ZERO) >= truth.qty > ZERO:
        return ()
    match truth.status:
        case BrokerStatus.FILLED if not truth.executions:
            return ()  # An answer may be behind itself.
        case BrokerStatus.CANCELED | BrokerStatus.REJECTED | BrokerStatus.FILLED:
            return (ev.OrderCanceled(at=now, order_id=order_id),)
        case BrokerStatus.EXPIRED:
            return (ev.OrderExpired(at=now, order_id=order_id),)
        case BrokerStatus.REPLACED if truth.replaced_by is not None:
            replaced_by = truth.replaced_by
            return (ev.OrderReplaced(at=now, order_id=order_id, replaced_by=replaced_by),)
    return ()
