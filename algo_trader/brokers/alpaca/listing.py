"""Lists that come in pages, which may be cut short or move while they are read.

A page is no proof of the end because it is short: a server may give fewer rows than it is asked
for. Pages overlap in time and rows count once by id.
"""

from __future__ import annotations

from collections.abc import (
    AsyncIterator,
    Awaitable,
    Callable,
    Collection,
    Iterator,
    Mapping,
    Sequence,
)
from datetime import UTC, datetime, timedelta
from typing import TypeAlias

from algo_trader.brokers.alpaca.answers import value_in
from algo_trader.brokers.alpaca.budget import Urgency
from algo_trader.brokers.alpaca.calls import Deadline
from algo_trader.brokers.alpaca.client import Answer
from algo_trader.brokers.alpaca.fills import activity_of
from algo_trader.brokers.alpaca.orders import RestOrder, read_order
from algo_trader.brokers.alpaca.pairs import flat
from algo_trader.brokers.alpaca.wire import Body, epoch_of, rows_of, text_of
from algo_trader.core.broker import Execution
from algo_trader.core.errors import Unanswered
from algo_trader.core.types import BrokerOrderId, ClientOrderId

PAGE = 500
SMALLEST_PAGE = 50
"""Alpaca's pages are no smaller than this unless there is nothing more."""

MOST_PAGES = 20
PAST_PAGES = 4
"""One that never was, such as a refused order, would have all orders of the account listed."""

ACTIVITY_PAGE = 100
OVERLAP_S = 0.001
EARLIER_S = 5.0

Ask: TypeAlias = Callable[
    [str, Mapping[str, str] | None, Urgency, Deadline | None], Awaitable[Answer]
]


class Listing:
    """Reads Alpaca's lists of orders and of FILL activities."""

    def __init__(self, ask: Ask) -> None:
        self._ask = ask

    async def open_orders(
        self, wanted: Collection[ClientOrderId]
    ) -> dict[BrokerOrderId, RestOrder]:
        """The open orders; Unanswered if one of the wanted is there and cannot be read."""
        return await self._read("open", wanted, MOST_PAGES, is_enough=lambda missing: False)

    async def past_orders(
        self, wanted: Collection[ClientOrderId]
    ) -> dict[BrokerOrderId, RestOrder]:
        """Orders of any status from the latest back to the oldest of the wanted, or as far as
        PAST_PAGES pages go; Unanswered if one of the wanted is there and cannot be read.

        That is the latest 2,000 orders, and 200 where the broker's pages are small. One that is
        missing in the answer may be older or never have been: it takes a question of its own.
        """
        return await self._read("all", wanted, PAST_PAGES, is_enough=lambda missing: not missing)

    async def activities(
        self, orders: Sequence[RestOrder], deadline: Deadline | None = None
    ) -> AsyncIterator[tuple[BrokerOrderId, Execution]]:
        """Executions of these orders, as far as the activities tell them yet, page by page."""
        lacking = {order.broker_id for order in orders}
        earliest = min(order.submitted_at or 0.0 for order in orders)
        terms = {"direction": "desc", "page_size": str(ACTIVITY_PAGE)}
        if earliest:
            terms["after"] = _written(earliest - EARLIER_S)
        seen: set[str] = set()
        for _ in range(MOST_PAGES):
            rows = await self._rows("/account/activities/FILL", terms, deadline)
            names = [name for row in rows if (name := text_of(row, "id")) is not None]
            news = [name for name in names if name not in seen]
            seen.update(names)
            for read in filter(None, map(activity_of, rows)):
                if read[0] in lacking:
                    yield read
            if len(rows) < ACTIVITY_PAGE or not news:
                break
            terms["page_token"] = news[-1]

    async def _read(
        self,
        status: str,
        wanted: Collection[ClientOrderId],
        most_pages: int,
        is_enough: Callable[[Collection[ClientOrderId]], bool],
    ) -> dict[BrokerOrderId, RestOrder]:
        found: dict[BrokerOrderId, RestOrder] = {}
        missing = set(wanted)
        seen: set[str] = set()
        until: float | None = None
        terms = {"status": status, "limit": str(PAGE), "direction": "desc", "nested": "true"}
        for _ in range(most_pages):
            rows = await self._rows("/orders", terms)
            has_news = False
            for row in (leg for each in rows for leg in flat(each)):
                order = _read_row(row, wanted)
                if order is not None:
                    found[order.broker_id] = order
                    missing.discard(order.order_id)
                name = text_of(row, "id") or ""
                has_news |= name not in seen
                seen.add(name)
            oldest = _oldest(rows)
            is_last = len(rows) < SMALLEST_PAGE or not has_news
            if is_last or is_enough(missing) or oldest is None:
                break
            # Rows of the same instant come again, unless they have filled the whole page.
            step = oldest + OVERLAP_S
            until = oldest if until is not None and step >= until else step
            terms["until"] = _written(until)
        return found

    async def _rows(
        self, path: str, terms: Mapping[str, str], deadline: Deadline | None = None
    ) -> list[Body]:
        answer = await self._ask(path, dict(terms), Urgency.LOOKUP, deadline)
        rows = rows_of(value_in(answer, f"GET {path}"))
        if rows is None:
            raise Unanswered(f"GET {path}: no list")
        return rows


def _read_row(row: Body, wanted: Collection[ClientOrderId]) -> RestOrder | None:
    order = read_order(row)
    if order is None and row.get("client_order_id") in wanted:
        raise Unanswered(f"GET /orders: order {row['client_order_id']} cannot be read")
    return order


def _oldest(rows: Sequence[Body]) -> float | None:
    instants = [at for at in _submitted(rows) if at is not None]
    return min(instants, default=None)


def _submitted(rows: Sequence[Body]) -> Iterator[float | None]:
    for row in rows:
        yield epoch_of(row, "submitted_at") or epoch_of(row, "created_at")


def _written(epoch: float) -> str:
    instant = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=epoch)
    return instant.isoformat().replace("+00:00", "Z")
