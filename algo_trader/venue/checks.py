"""Why a broker refuses an order: codes and texts as Alpaca words them.

Each check looks at values only and gives a Refusal or None; the venue asks them in order.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import NamedTuple

from algo_trader.core.events import OrderRequest
from algo_trader.core.prices import is_on_tick
from algo_trader.core.types import Action, ClientOrderId, OrderType, text


class Refusal(NamedTuple):
    """The broker's code and text."""

    code: int
    message: str


FORBIDDEN = 40310000
BAD_REQUEST = 40010001
UNPROCESSABLE = 42210000
NOT_FOUND = 40410000

DUPLICATE_ID = Refusal(BAD_REQUEST, "client_order_id must be unique")
NOT_OPEN = Refusal(BAD_REQUEST, "unable to replace order, order is not open")
NO_SHORTS = Refusal(FORBIDDEN, "account is not allowed to short")
WASH_TRADE = Refusal(FORBIDDEN, "potential wash trade detected. use complex orders")
AT_RANDOM = Refusal(UNPROCESSABLE, "order refused by the venue's own dice (refuse_pct)")


def malformed(request: OrderRequest) -> Refusal | None:
    """Terms that no market could change: quantity, missing prices, price increments."""
    qty = request.qty
    if not qty.is_finite() or qty <= 0:
        return Refusal(BAD_REQUEST, "qty must be > 0")
    if qty != qty.to_integral_value():
        return Refusal(UNPROCESSABLE, "fractional quantities are not supported with stops")
    limit, stop = request.limit_price, request.stop_price
    if request.type is OrderType.STOP:
        if stop is None:
            return Refusal(BAD_REQUEST, "stop orders require a stop price")
        return _unwanted(request, "limit_price", limit) or _bad_price("stop_price", stop)
    if request.type is OrderType.LIMIT:
        if limit is None:
            return Refusal(BAD_REQUEST, "limit orders require a limit price")
        return _unwanted(request, "stop_price", stop) or _bad_price("limit_price", limit)
    return _unwanted(request, "stop_price", stop) or _unwanted(request, "limit_price", limit)


def _unwanted(request: OrderRequest, name: str, price: Decimal | None) -> Refusal | None:
    if price is None:
        return None
    return Refusal(BAD_REQUEST, f"{request.type} orders must not have {name}")


def _bad_price(name: str, price: Decimal) -> Refusal | None:
    if not price.is_finite() or price <= 0:
        return Refusal(BAD_REQUEST, f"{name} must be > 0")
    if is_on_tick(price):
        return None
    return Refusal(
        UNPROCESSABLE,
        f"invalid {name} {text(price)}. sub-penny increment does not fulfill "
        "minimum pricing criteria",
    )


def wash_trade(request: OrderRequest, resting: Iterable[OrderRequest]) -> Refusal | None:
    """An opposite order rests and the two could trade with each other."""
    for other in resting:
        if other.action is request.action:
            continue
        if request.limit_price is None or other.limit_price is None:
            return WASH_TRADE
        buy, sell = (
            (request, other) if request.action is Action.BUY else (other, request)
        )
        if (buy.limit_price or 0) >= (sell.limit_price or 0):
            return WASH_TRADE
    return None


def stop_through_market(request: OrderRequest, market: Decimal | None) -> Refusal | None:
    """A sell stop must lie below the market, a buy stop above it."""
    stop = request.stop_price
    if stop is None or market is None:
        return None
    if request.action is Action.SELL and stop >= market:
        return Refusal(UNPROCESSABLE, "stop price must be less than current price")
    if request.action is Action.BUY and stop <= market:
        return Refusal(UNPROCESSABLE, "stop price must be greater than current price")
    return None


def too_many_shares(requested: Decimal, available: Decimal) -> Refusal | None:
    """Closing orders may not promise more shares than are held and free."""
    if requested <= available:
        return None
    return Refusal(
        FORBIDDEN,
        f"insufficient qty available for order (requested: {text(requested)}, "
        f"available: {text(max(available, Decimal(0)))})",
    )


def too_expensive(cost: Decimal, buying_power: Decimal) -> Refusal | None:
    """Opening orders may not reserve more than the buying power."""
    if cost <= buying_power:
        return None
    return Refusal(
        FORBIDDEN,
        f"insufficient buying power (buying_power: {text(buying_power)}, "
        f"cost_basis: {text(cost)})",
    )


def not_cancelable(order_id: ClientOrderId, status: str | None) -> Refusal:
    """A cancel of an order that has ended, or that was never here."""
    if status is None:
        return Refusal(NOT_FOUND, f"order not found for {order_id}")
    return Refusal(UNPROCESSABLE, f'order is already in "{status}" state')
