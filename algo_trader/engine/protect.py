"""Reducing orders: the protective stop of a position, its moves, its target, the close at market.

The only maker of reducing orders. They pass no risk rule: a limit must never keep a position
unprotected. What has to be done is derived in core.work; this file words it.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from algo_trader.core.book import Book
from algo_trader.core.events import OrderIntended, OrderRequest
from algo_trader.core.holding import Holding
from algo_trader.core.prices import ceil_to_tick, floor_to_tick
from algo_trader.core.types import (
    HUNDRED,
    ZERO,
    ClientOrderId,
    Instant,
    OrderType,
    Role,
    Side,
    Symbol,
    TimeInForce,
    closing_action,
)
from algo_trader.engine.desk import order_id


def stop_order(
    holding: Holding,
    qty: Decimal,
    price: Decimal,
    now: Instant,
    number: int,
    replaces: ClientOrderId | None = None,
    pair: ClientOrderId | None = None,
) -> OrderIntended:
    """The decision's `number`th protective stop, over `qty` shares.

    Good till canceled: a day order would vanish at the close.
    """
    request = OrderRequest(
        order_id(holding.decision, Role.STOP, number),
        holding.symbol,
        closing_action(holding.side),
        OrderType.STOP,
        TimeInForce.GTC,
        qty,
        None,
        price,
    )
    return _intended(holding, Role.STOP, request, now, replaces, pair)


def pair_orders(
    holding: Holding, qty: Decimal, price: Decimal, target: Decimal, now: Instant, number: int
) -> tuple[OrderIntended, OrderIntended]:
    """The decision's `number`th stop, and the limit order that takes the profit instead of it."""
    stop_id = order_id(holding.decision, Role.STOP, number)
    target_id = order_id(holding.decision, Role.TARGET, number)
    request = OrderRequest(
        target_id,
        holding.symbol,
        closing_action(holding.side),
        OrderType.LIMIT,
        TimeInForce.GTC,
        qty,
        target,
    )
    stop = stop_order(holding, qty, price, now, number, pair=target_id)
    return stop, _intended(holding, Role.TARGET, request, now, None, stop_id)


def reached_targets(book: Book, marks: Mapping[Symbol, Decimal]) -> list[Holding]:
    """Positions whose wanted profit the last close has reached, and no order takes it."""
    found = []
    for holding in book.in_order():
        target, mark = holding.target_price, marks.get(holding.symbol)
        if target is None or mark is None or holding.targets or holding.exit_reason is not None:
            continue
        if mark >= target if holding.side is Side.LONG else mark <= target:
            found.append(holding)
    return found


def close_order(holding: Holding, qty: Decimal, now: Instant, number: int) -> OrderIntended:
    """The decision's `number`th market order that closes `qty` shares."""
    request = OrderRequest(
        order_id(holding.decision, Role.EXIT, number),
        holding.symbol,
        closing_action(holding.side),
        OrderType.MARKET,
        TimeInForce.DAY,
        qty,
    )
    return _intended(holding, Role.EXIT, request, now)


def adopted_stop(holding: Holding, mark: Decimal | None, pct: Decimal) -> Decimal | None:
    """The stop of shares that no strategy asked for, or None where no price is left.

    Rule (details page, "At a broker"): `pct` per cent from the average entry or the last price,
    whichever is further from the market.
    """
    prices = [holding.avg_entry_price]
    if mark is not None and mark.is_finite():
        prices.append(mark)
    if holding.side is Side.LONG:
        stop = floor_to_tick(min(prices) * (HUNDRED - pct) / HUNDRED)
        return stop if stop > ZERO else None
    return ceil_to_tick(max(prices) * (HUNDRED + pct) / HUNDRED)


def _intended(
    holding: Holding,
    role: Role,
    request: OrderRequest,
    now: Instant,
    replaces: ClientOrderId | None = None,
    pair: ClientOrderId | None = None,
) -> OrderIntended:
    return OrderIntended(
        at=now,
        decision=holding.decision,
        strategy=holding.strategy,
        side=holding.side,
        role=role,
        request=request,
        replaces=replaces,
        pair=pair,
    )
