"""The account's activities: FILL rows, by page. There are no other kinds here."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from algo_trader.core.types import text
from algo_trader.exchange.blotter import Execution
from algo_trader.exchange.errors import bad_request
from algo_trader.exchange.stamps import new_york_date
from algo_trader.exchange.wire import rfc3339

PAGE_SIZE = 100


def fill_row(execution: Execution) -> dict[str, Any]:
    """An execution as an activity."""
    order = execution.order
    return {
        "id": execution.activity_id,
        "activity_type": "FILL",
        "transaction_time": rfc3339(execution.at),
        "type": "partial_fill" if execution.leaves_qty else "fill",
        "price": text(execution.price),
        "qty": text(execution.qty),
        "side": order.action.value,
        "symbol": order.symbol,
        "leaves_qty": text(execution.leaves_qty),
        "cum_qty": text(execution.cum_qty),
        "order_id": order.id,
        "order_status": "partially_filled" if execution.leaves_qty else "filled",
    }


def page(
    executions: Sequence[Execution],
    *,
    types: Sequence[str] | None = None,
    after: float | None = None,
    until: float | None = None,
    date: str | None = None,
    is_descending: bool = True,
    page_size: int | None = None,
    page_token: str | None = None,
) -> list[dict[str, Any]]:
    """A page of rows. `page_token` is the id of the last row before it; a `date` has no page size
    of its own. ApiFault for a token that is none."""
    if types and "FILL" not in types:
        return []
    found = [
        execution
        for execution in executions
        if (after is None or execution.at > after)
        and (until is None or execution.at < until)
        and (date is None or new_york_date(execution.at).isoformat() == date[:10])
    ]
    if is_descending:
        found.reverse()
    if page_token is not None:
        ids = [execution.activity_id for execution in found]
        if page_token not in ids:
            raise bad_request(f"invalid page_token: {page_token}")
        found = found[ids.index(page_token) + 1 :]
    size = page_size or (len(found) if date else PAGE_SIZE)
    return [fill_row(execution) for execution in found[:size]]
