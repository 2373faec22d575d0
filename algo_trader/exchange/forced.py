"""Executions that no market made: a fault script's fills, busts and corrections."""

from __future__ import annotations

from decimal import Decimal

from algo_trader.core.types import Action, ClientOrderId
from algo_trader.exchange.blotter import Blotter, Execution
from algo_trader.exchange.clerk import Clerk
from algo_trader.exchange.ids import Ids
from algo_trader.exchange.orders import Order
from algo_trader.venue.venue import Venue


class ForcedTrades:
    """Books executions by hand."""

    def __init__(self, venue: Venue, blotter: Blotter, ids: Ids, clerk: Clerk) -> None:
        self._venue = venue
        self._blotter = blotter
        self._ids = ids
        self._clerk = clerk

    def fill(self, order: Order, qty: Decimal, price: Decimal, now: float) -> None:
        """Fill an order whatever its status; shares beyond its size are an execution of their own.
        """
        live = self._venue.resting_order(ClientOrderId(order.id))
        if live is not None:
            inside = min(qty, live.qty_open)
            self._clerk.take(
                self._venue.fill(ClientOrderId(order.id), inside, price, int(now)), now
            )
            qty -= inside
        if qty > 0:
            self._book(order, order.action, qty, price, now)
            self._clerk.filled(order, qty, price, now)

    def bust(self, execution: Execution, now: float) -> None:
        """Take an execution back, at its price."""
        order = execution.order
        self._undo(execution, now)
        self._blotter.executions.remove(execution)
        self._clerk.say(
            "trade_bust",
            order,
            now,
            price=execution.price,
            qty=execution.qty,
            more={"previous_execution_id": execution.id},
        )

    def correct(self, execution: Execution, qty: Decimal, price: Decimal, now: float) -> None:
        """Put another quantity and price in the place of an execution's."""
        order, former = execution.order, execution.id
        self._undo(execution, now)
        self._book(order, order.action, qty, price, now)
        order.filled_qty += qty
        order.filled_value += qty * price
        execution.id = self._ids.uuid("execution")
        execution.qty, execution.price, execution.cum_qty = qty, price, order.filled_qty
        self._clerk.say(
            "trade_correct",
            order,
            now,
            execution_id=execution.id,
            price=price,
            qty=qty,
            more={"previous_execution_id": former},
        )

    def _undo(self, execution: Execution, now: float) -> None:
        order = execution.order
        action = Action.SELL if order.action is Action.BUY else Action.BUY
        self._venue.account.fill(
            order.symbol, action, execution.qty, execution.price, Decimal(0)
        )
        order.filled_qty -= execution.qty
        order.filled_value -= execution.qty * execution.price
        order.updated_at = now

    def _book(
        self, order: Order, action: Action, qty: Decimal, price: Decimal, now: float
    ) -> None:
        commission = self._venue.costs.commission(action, qty, price, int(now))
        self._venue.account.fill(order.symbol, action, qty, price, commission)
