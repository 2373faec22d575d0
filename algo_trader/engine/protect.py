"""Reducing orders: the protective stop of a position, its moves, and the close at market.

The only maker of reducing orders. They pass no risk rule: a limit must never keep a position
unprotected. What has to be done is derived in core.work; this file words it.
"""

from __future__ import annotations

from decimal import Decimal

from algo_trader.core.events import OrderIntended, OrderRequest
from algo_trader.core.holding import Holding
from algo_trader.core.types import (
    ClientOrderId,
    Instant,
    OrderType,
    Role,
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
    return _intended(holding, Role.STOP, request, now, replaces)


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
    return _intended(holding, Role.EXIT, request, now, None)


def _intended(
    holding: Holding,
    role: Role,
    request: OrderRequest,
    now: Instant,
    replaces: ClientOrderId | None,
) -> OrderIntended:
    return OrderIntended(
        at=now,
        decision=holding.decision,
        strategy=holding.strategy,
        side=holding.side,
        role=role,
        request=request,
        replaces=replaces,
    )
