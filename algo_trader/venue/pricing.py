"""At what price an order fills, whatever its type: in a bar it rests in, in the bar it was born in,
or at once. What a bar does to a stop-limit order without filling it is done here too.
"""

from __future__ import annotations

from decimal import Decimal

from algo_trader.core.types import Action, Bar, OrderType
from algo_trader.venue.fills import (
    entry_bar_stop_fill,
    entry_bar_stop_limit_fill,
    limit_fill,
    market_fill,
    stop_fill,
    stop_limit_fill,
)
from algo_trader.venue.resting import RestingOrder


def resting_price(order: RestingOrder, bar: Bar, slippage: Decimal) -> Decimal | None:
    """Fill price of a resting order in this bar, or None; a stop-limit may be triggered by it."""
    request, trigger = order.request, order.trigger
    action, limit = request.action, request.limit_price
    if trigger is not None:
        if limit is None:
            return stop_fill(action, trigger, bar, slippage)
        is_triggered, price = stop_limit_fill(action, trigger, limit, bar, slippage)
        if is_triggered:
            order.trigger = None
        return price
    if limit is not None:
        return limit_fill(action, limit, bar)
    if request.type is OrderType.TRAILING_STOP and not order.qty_filled:
        return None  # It has seen no price yet that it could follow.
    if request.type is not OrderType.MARKET or order.is_queued:
        # Triggered by an earlier bar and filled in part, or sent before the open: a market order
        # since then, so it trades where this bar opens, as a stop does beyond which a bar opens.
        return stop_fill(action, bar.open, bar, slippage)
    return market_fill(action, bar, slippage)


def entry_bar_price(order: RestingOrder, bar: Bar, slippage: Decimal) -> Decimal | None:
    """Fill price of a stop on the bar in which it was accepted, or None; other types wait."""
    request, trigger = order.request, order.trigger
    if trigger is None:
        return None
    if request.limit_price is None:
        return entry_bar_stop_fill(request.action, trigger, bar, slippage)
    is_triggered, price = entry_bar_stop_limit_fill(
        request.action, trigger, request.limit_price, bar, slippage
    )
    if is_triggered:
        order.trigger = None
    return price


def at_once_price(order: RestingOrder, bar: Bar | None, slippage: Decimal) -> Decimal | None:
    """Fill price at the close of the last completed bar, or None: no bar, or a limit out of reach.
    """
    if bar is None:
        return None
    request = order.request
    price, limit = market_fill(request.action, bar, slippage), request.limit_price
    if limit is None:
        return price
    if request.action is Action.BUY:
        return min(price, limit) if bar.close <= limit else None
    return max(price, limit) if bar.close >= limit else None
