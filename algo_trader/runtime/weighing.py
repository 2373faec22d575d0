"""What a refusal proves of an order whose request has left more than once.

The refusal is of the last request. One before it may be at the broker, or on its way there still:
then the refusal is a consequence of that one, and no word on the order. It is the last word only
where the order had been proven absent before it was sent again.
"""

from __future__ import annotations

from collections.abc import Sequence

from algo_trader.core import events as ev
from algo_trader.core.book import Book
from algo_trader.core.errors import Unanswered
from algo_trader.core.ports import Broker
from algo_trader.core.types import Instant
from algo_trader.runtime.lookups import Lookups


async def weighed(
    broker: Broker, book: Book, lookups: Lookups, reports: Sequence[ev.Report], now: Instant
) -> Sequence[ev.Report]:
    """The reports, with a refusal of an order that was sent again as what it proves.

    The broker is asked about the id. One that it denies, and that was proven absent before it left
    again, is given up, which lets it appear late. Otherwise the refusal says nothing, and the order
    has no answer: what takes its place waits for proof. Unavailable or Unanswered as the question
    is.
    """
    return [await _weighed(broker, book, lookups, report, now) for report in reports]


async def _weighed(
    broker: Broker, book: Book, lookups: Lookups, report: ev.Report, now: Instant
) -> ev.Report:
    order = book.orders.get(report.order_id)
    if not isinstance(report, ev.OrderRefused) or order is None or order.sends < 2:
        return report
    if await broker.order(report.order_id) is not None:
        raise Unanswered(f"refused when it was sent again, and there: {report.message}")
    # A pair was sent as one, and is absent as one.
    other = order.pair if order.replaces is None else None
    is_proven = lookups.was_proven(order.order_id) or (
        other is not None and lookups.was_proven(other)
    )
    if not is_proven:
        lookups.take_back(report.order_id)
        raise Unanswered(
            f"refused when it was sent again, and the first may be on its way: {report.message}"
        )
    reason = f"absent at the broker, refused when it was sent again: {report.message}"
    return ev.OrderAbandoned(at=now, order_id=report.order_id, reason=reason)
