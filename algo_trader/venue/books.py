"""The books of a venue: its orders, open and ended, the account, and the last prices.

Owns what is open, how it ends, and the figures that follow: shares reserved, buying power. It
decides nothing.
"""

from __future__ import annotations

from decimal import Decimal

from algo_trader.core.events import OrderRequest
from algo_trader.core.types import (
    ZERO,
    Action,
    Bar,
    BrokerOrderId,
    ClientOrderId,
    OrderType,
    Symbol,
)
from algo_trader.venue.account import Account
from algo_trader.venue.groups import Groups
from algo_trader.venue.resting import RestingOrder
from algo_trader.venue.trailing import take_mark


class Books:
    """Everything a venue remembers.

    `in_bar` has, for each symbol whose bar filled orders and may fill those that answer, the last
    price of that match. While `is_open` is false the market is closed.
    """

    __slots__ = (
        "account",
        "by_id",
        "count",
        "finished",
        "groups",
        "in_bar",
        "is_open",
        "last_bar",
        "resting",
        "trailing_count",
    )

    def __init__(self, account: Account) -> None:
        self.account = account
        self.is_open = True
        self.last_bar: dict[Symbol, Bar] = {}
        self.resting: dict[Symbol, list[RestingOrder]] = {}
        self.groups = Groups()
        self.by_id: dict[ClientOrderId, RestingOrder] = {}
        self.finished: dict[ClientOrderId, str] = {}
        self.in_bar: dict[Symbol, Decimal] = {}
        self.count = 0
        self.trailing_count = 0

    # -- orders --

    def knows(self, order_id: ClientOrderId) -> bool:
        """Whether an order of that id is open, held or ended here."""
        return order_id in self.by_id or order_id in self.finished or self.is_held(order_id)

    def is_held(self, order_id: ClientOrderId) -> bool:
        """Whether the order is a member of a group that waits for its entry."""
        return self.groups.held(order_id) is not None

    def add(self, request: OrderRequest) -> RestingOrder:
        """Rest an order under an id of the venue's own."""
        self.count += 1
        order = RestingOrder(request, BrokerOrderId(f"V-{self.count:08d}"))
        order.is_born_in_bar = request.symbol in self.in_bar
        order.is_queued = not self.is_open
        self.keep(order)
        if request.type is OrderType.TRAILING_STOP:
            market = self.market(request.symbol)
            if market is not None:
                take_mark(order, market)
        return order

    def keep(self, order: RestingOrder) -> None:
        """Rest an order behind those that rest."""
        request = order.request
        self.resting.setdefault(request.symbol, []).append(order)
        self.by_id[request.order_id] = order
        self.trailing_count += request.type is OrderType.TRAILING_STOP

    def finish(self, order: RestingOrder, status: str) -> None:
        """A resting order has ended."""
        request = order.request
        self.resting[request.symbol].remove(order)
        del self.by_id[request.order_id]
        self.finished[request.order_id] = status
        self.trailing_count -= request.type is OrderType.TRAILING_STOP

    def end(self, order_id: ClientOrderId, status: str) -> None:
        """An open order, resting or held, has ended otherwise than by a fill."""
        order = self.by_id.get(order_id)
        if order is None:
            self.finished[order_id] = status
        else:
            self.finish(order, status)
        self.groups.end(order_id)

    # -- figures --

    def market(self, symbol: Symbol) -> Decimal | None:
        """The last print: inside a bar the fill, otherwise the last completed bar's close."""
        if symbol in self.in_bar:
            return self.in_bar[symbol]
        bar = self.last_bar.get(symbol)
        return None if bar is None else bar.close

    def reserved_qty(
        self, symbol: Symbol, action: Action, instead_of: RestingOrder | None = None
    ) -> Decimal:
        """Shares that open orders of this action may still take.

        The two exits of a group take them once, and those that are held what their entry has
        filled so far; `instead_of` and its group are left out.
        """
        mine = None if instead_of is None else self.groups.of(instead_of.request.order_id)
        total = ZERO
        for order in self.resting.get(symbol, ()):
            request = order.request
            group = self.groups.of(request.order_id)
            if order is instead_of or (group is not None and group is mine):
                continue
            if request.action is not action:
                if group is not None and group.held:
                    total += next(iter(group.held.values())).qty - order.qty_open
            elif group is None or group.profit_id is None or request.order_id != group.stop_id:
                total += order.qty_open
        return total

    def opening_cost(self, request: OrderRequest) -> Decimal:
        """What an opening order reserves; a market order by the last close."""
        price = request.limit_price or request.stop_price
        if price is None:
            bar = self.last_bar.get(request.symbol)
            price = bar.close if bar is not None else ZERO
        return request.qty * price

    def buying_power(self, instead_of: RestingOrder | None = None) -> Decimal:
        """What new orders may cost: no leverage, resting opening orders taken off."""
        marks = {symbol: self.last_bar[symbol].close for symbol in self.account.short_proceeds}
        power = self.account.spendable(marks)
        for symbol, resting in self.resting.items():
            position = self.account.qty(symbol)
            for order in resting:
                if order is not instead_of and not reduces(order.request.action, position):
                    power -= self.opening_cost(order.request._replace(qty=order.qty_open))
        return power


def reduces(action: Action, position: Decimal) -> bool:
    """Whether an order of this action makes the position smaller."""
    return position > 0 if action is Action.SELL else position < 0
