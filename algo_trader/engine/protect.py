"""Reducing orders: the protective stop of a position, its moves, and the close at market.

The only maker of reducing orders. They pass no risk rule: a limit must never keep a position
unprotected. What has to be done is derived in core.work; this file words it.
"""

from __future__ import annotations

from decimal import Decimal

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
