"""What the account is worth at the last closes, and what the risk rules may look at.

Functions of the book and the marks (last 1-minute close of each symbol). A missing mark makes the
figure NaN: unknown, and unknown means no new risk.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import TypeAlias

from algo_trader.core.book import EXTERNAL, Book
from algo_trader.core.orders import Order
from algo_trader.core.types import ZERO, Side, Symbol
from algo_trader.risk.rules import RiskView

Marks: TypeAlias = Mapping[Symbol, Decimal]

UNKNOWN = Decimal("NaN")


def worth(book: Book, marks: Marks) -> Decimal:
    """What the shares held are worth, negative for short positions."""
    total = ZERO
    for holding in book.active.values():
        if holding.qty:
            total += holding.signed_qty * marks.get(holding.symbol, UNKNOWN)
    return total


def equity(book: Book, marks: Marks) -> Decimal:
    """Cash plus positions."""
    return book.cash + worth(book, marks) if book.positions else book.cash


def day_pnl(book: Book, marks: Marks) -> Decimal:
    """Realized P&L of the session's closed trades plus unrealized P&L of open positions."""
    if not book.positions:
        return book.day.realized
    return book.day.realized + worth(book, marks) - book.cost


def risk_view(book: Book, marks: Marks, symbol: Symbol, *, is_ready: bool) -> RiskView:
    """The account at the moment of a signal on `symbol`, every resting entry counted as filled."""
    value = buying_power = book.cash
    positions = resting = 0
    is_unknown = is_foreign = False
    for holding in book.active.values():
        entry = holding.entry
        if holding.qty:
            positions += 1
            position = holding.signed_qty * marks.get(holding.symbol, UNKNOWN)
            value += position
            if holding.side is Side.SHORT:
                # Short proceeds (a negative cost) and the price to cover are not spendable.
                buying_power += holding.cost + position
        elif entry is not None or holding.late:
            resting += 1
        for order in (entry, *holding.late):
            if order is not None:
                buying_power -= order.qty_open * _price_of(order, marks)
        if holding.symbol == symbol:
            orders = (
                entry, *holding.late, *holding.stops, *holding.targets, *holding.exits
            )  # fmt: skip
            is_unknown = is_unknown or any(order.is_unknown for order in orders if order)
            is_foreign = is_foreign or (holding.strategy == EXTERNAL and bool(holding.qty))
    return RiskView(
        halted=book.halted is not None,
        ready=is_ready,
        has_unknown_order=is_unknown,
        tripped=book.day.tripped,
        open_positions=positions,
        resting_entries=resting,
        session_equity=book.day.equity,
        equity=value,
        buying_power=buying_power,
        has_foreign_shares=is_foreign,
    )


def _price_of(order: Order, marks: Marks) -> Decimal:
    """What a share of a resting entry may cost: a stop-limit order the worse of its prices, a
    market order the last close, before there is one its planned stop.
    """
    request = order.request
    stop, limit = request.stop_price, request.limit_price
    if stop is not None:
        return stop if limit is None else max(stop, limit)
    return limit or marks.get(request.symbol) or order.stop_loss or UNKNOWN
