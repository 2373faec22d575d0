"""Every order and every execution of one account, in the order in which they came."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from algo_trader.core.types import Symbol
from algo_trader.exchange.errors import bad_request, not_found
from algo_trader.exchange.orders import Order


@dataclass(slots=True, kw_only=True, eq=False)
class Execution:
    """Shares that changed hands. `cum_qty` and `leaves_qty` are the order's after it."""

    id: str
    activity_id: str
    order: Order
    at: float
    qty: Decimal
    price: Decimal
    cum_qty: Decimal
    leaves_qty: Decimal


class Blotter:
    """Orders by id and by the client's name for them; executions."""

    def __init__(self) -> None:
        self.orders: dict[str, Order] = {}
        self.executions: list[Execution] = []
        self._by_client: dict[str, Order] = {}

    def add(self, order: Order) -> None:
        """Keep an order for ever."""
        self.orders[order.id] = order
        self._by_client[order.client_order_id] = order

    def find(self, order_id: str) -> Order:
        """The order of that id; ApiFault 404 if there is none."""
        found = self.orders.get(order_id)
        if found is None:
            raise not_found(f"order not found for {order_id}")
        return found

    def find_by_client(self, client_order_id: str) -> Order:
        """The order of that client_order_id; ApiFault 404 if there is none."""
        found = self._by_client.get(client_order_id)
        if found is None:
            raise not_found(f"order not found for {client_order_id}")
        return found

    def require_unused(self, client_order_id: str | None) -> None:
        """ApiFault if an order of that name was ever accepted here."""
        if client_order_id is not None and client_order_id in self._by_client:
            raise bad_request("client_order_id must be unique")

    def open_orders(self, symbol: Symbol | None = None) -> list[Order]:
        """Orders that may still come to something, oldest first."""
        return [
            order
            for order in self.orders.values()
            if order.is_open and symbol in (None, order.symbol)
        ]

    def listing(
        self,
        *,
        status: str = "open",
        limit: int = 50,
        after: float | None = None,
        until: float | None = None,
        is_descending: bool = True,
        nested: bool = False,
        symbols: Sequence[str] | None = None,
        side: str | None = None,
        before_order_id: str | None = None,
        after_order_id: str | None = None,
    ) -> list[Order]:
        """Orders by submission; `after`, `until` and the ids are exclusive.

        With `nested` legs are found through their parents, and an open leg makes its parent show.
        """
        low = self.find(after_order_id).number if after_order_id else 0
        high = self.find(before_order_id).number if before_order_id else len(self.orders) + 1
        found = [
            order
            for order in self.orders.values()
            if low < order.number < high
            and (after is None or order.submitted_at > after)
            and (until is None or order.submitted_at < until)
            and (not symbols or order.symbol in symbols)
            and side in (None, order.action.value)
            and not (nested and order.parent is not None)
            and (status == "all" or _is_open(order, nested) is (status == "open"))
        ]
        found.sort(key=lambda order: order.number, reverse=is_descending)
        return found[:limit]

    def execution(self, execution_id: str) -> Execution:
        """The execution of that id; ApiFault 404 if there is none."""
        for execution in self.executions:
            if execution.id == execution_id:
                return execution
        raise not_found(f"execution not found for {execution_id}")


def _is_open(order: Order, nested: bool) -> bool:
    return any(each.is_open for each in order.family) if nested else order.is_open
