"""What a refusal proves of an order whose request has left more than once.

The refusal is of the last request. One before it may be at the broker, or on its way there still:
then the refusal is a consequence of that one, and no word on the order.
"""

from __future__ import annotations

from collections.abc import Sequence

from algo_trader.core import events as ev
from algo_trader.core.book import Book
from algo_trader.core.errors import Unanswered
from algo_trader.core.ports import Broker
from algo_trader.core.types import Instant


async def weighed(
    broker: Broker, book: Book, reports: Sequence[ev.Report], now: Instant
) -> Sequence[ev.Report]:
    """The reports, with a refusal of an order that was sent again as what it proves.

    The broker is asked about the id. One that it denies is given up, which lets it appear late; of
    one that it has the refusal says nothing. Unavailable or Unanswered as the question is.
    """
    return [await _weighed(broker, book, report, now) for report in reports]


async def _weighed(broker: Broker, book: Book, report: ev.Report, now: Instant) -> ev.Report:
    order = book.orders.get(report.order_id)
    if not isinstance(report, ev.OrderRefused) or order is None or order.sends < 2:
        return report
    if await broker.order(report.order_id) is not None:
        raise Unanswered(f"refused when it was sent again, and there: {report.message}")
    reason = f"absent at the broker, refused when it was sent again: {report.message}"
    return ev.OrderAbandoned(at=now, order_id=report.order_id, reason=reason)
