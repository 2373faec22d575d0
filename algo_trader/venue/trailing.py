"""A stop that follows the market: its mark, its price, and what a bar does to both.

The mark is the best price since the order was accepted: the highest for a sell, the lowest for a
buy. A bar first meets the stop as it stood; then the mark takes the bar's extreme, for the order of
events inside the minute is unknown. A bar that closes beyond the stop it has just drawn along has
traded through it for certain, and fills it there.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal

from algo_trader.core.events import OrderRequest
from algo_trader.core.prices import ceil_to_tick, floor_to_tick
from algo_trader.core.types import HUNDRED, ZERO, Action, Bar, OrderType
from algo_trader.venue.fills import entry_bar_stop_fill
from algo_trader.venue.resting import RestingOrder


def stop_at(request: OrderRequest, mark: Decimal) -> Decimal:
    """The stop price of a trailing order whose mark is `mark`, rounded away from the market."""
    if request.trail_percent is not None:
        distance = mark * request.trail_percent / HUNDRED
    else:
        distance = request.trail_price or ZERO
    if request.action is Action.SELL:
        return floor_to_tick(mark - distance)
    return ceil_to_tick(mark + distance)


def take_mark(order: RestingOrder, price: Decimal) -> None:
    """Let the order follow the market to `price`, if that is better than its mark."""
    mark = order.mark
    if mark is None or (price > mark if order.request.action is Action.SELL else price < mark):
        order.mark = price
        order.trigger = stop_at(order.request, price)


def follow(order: RestingOrder, bar: Bar, slippage: Decimal) -> Decimal | None:
    """Draw the stop along a bar that did not reach it; the price of a certain fill, or None."""
    action = order.request.action
    take_mark(order, bar.high if action is Action.SELL else bar.low)
    stop = order.trigger
    if stop is None or (bar.close > stop if action is Action.SELL else bar.close < stop):
        return None
    return entry_bar_stop_fill(action, stop, bar, slippage)


def follow_all(
    resting: Iterable[RestingOrder],
    bar: Bar,
    reached: Sequence[tuple[RestingOrder, Decimal]],
    slippage: Decimal,
) -> list[tuple[RestingOrder, Decimal]]:
    """Draw every trailing stop that the bar has not reached along it; those it fills for certain,
    with the price."""
    done = [order for order, _ in reached]
    fills: list[tuple[RestingOrder, Decimal]] = []
    for order in resting:
        is_waiting = order.request.type is OrderType.TRAILING_STOP and not order.qty_filled
        if is_waiting and order not in done:
            price = follow(order, bar, slippage)
            if price is not None:
                fills.append((order, price))
    return fills
