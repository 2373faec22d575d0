"""Why a broker refuses an order: codes and texts as Alpaca words them.

Each check looks at values only and gives a Refusal or None; the venue asks them in order.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from types import MappingProxyType
from typing import NamedTuple

from algo_trader.core.events import OrderRequest
from algo_trader.core.prices import is_on_tick
from algo_trader.core.types import HUNDRED, Action, ClientOrderId, OrderType, TimeInForce, text

_NO_FIGURES: Mapping[str, str] = MappingProxyType({})


class Refusal(NamedTuple):
    """The broker's code and text, and the figures behind them by the broker's names for them."""

    code: int
    message: str
    figures: Mapping[str, str] = _NO_FIGURES


FORBIDDEN = 40310000
BAD_REQUEST = 40010001
UNPROCESSABLE = 42210000
NOT_FOUND = 40410000

DUPLICATE_ID = Refusal(BAD_REQUEST, "client_order_id must be unique")
NOT_OPEN = Refusal(BAD_REQUEST, "unable to replace order, order is not open")
NO_SHORTS = Refusal(FORBIDDEN, "account is not allowed to short")
BAD_TIME_IN_FORCE = Refusal(BAD_REQUEST, "invalid time_in_force")
WASH_TRADE = Refusal(FORBIDDEN, "potential wash trade detected. use complex orders")
AT_RANDOM = Refusal(UNPROCESSABLE, "order refused by the venue's own dice (refuse_pct)")


def malformed(request: OrderRequest) -> Refusal | None:
    """Terms that no market could change: quantity, missing prices, price increments."""
    qty = request.qty
    if not qty.is_finite() or qty <= 0:
        return Refusal(BAD_REQUEST, "qty must be > 0")
    if qty != qty.to_integral_value():
        return Refusal(UNPROCESSABLE, "fractional quantities are not supported with stops")
    if request.time_in_force in (TimeInForce.IOC, TimeInForce.FOK) and request.type not in (
        OrderType.MARKET,
        OrderType.LIMIT,
    ):
        return BAD_TIME_IN_FORCE
    return _PRICES_OF[request.type](request)


def _market_prices(request: OrderRequest) -> Refusal | None:
    return (
        _unwanted(request, "stop_price", request.stop_price)
        or _unwanted(request, "limit_price", request.limit_price)
        or _no_trail(request)
    )


def _limit_prices(request: OrderRequest) -> Refusal | None:
    if request.limit_price is None:
        return Refusal(BAD_REQUEST, "limit orders require a limit price")
    return (
        _unwanted(request, "stop_price", request.stop_price)
        or _no_trail(request)
        or _bad_price("limit_price", request.limit_price)
    )


def _stop_prices(request: OrderRequest) -> Refusal | None:
    if request.stop_price is None:
        return Refusal(BAD_REQUEST, "stop orders require a stop price")
    return (
        _unwanted(request, "limit_price", request.limit_price)
        or _no_trail(request)
        or _bad_price("stop_price", request.stop_price)
    )


def _stop_limit_prices(request: OrderRequest) -> Refusal | None:
    if request.stop_price is None or request.limit_price is None:
        return Refusal(BAD_REQUEST, "stop limit orders require both stop and limit price")
    return (
        _no_trail(request)
        or _bad_price("stop_price", request.stop_price)
        or _bad_price("limit_price", request.limit_price)
    )


def _trailing_prices(request: OrderRequest) -> Refusal | None:
    price, percent = request.trail_price, request.trail_percent
    if (price is None) == (percent is None):
        return Refusal(
            BAD_REQUEST, "trailing stop orders must specify one of trail_price or trail_percent"
        )
    if price is not None and not (price.is_finite() and price > 0):
        return Refusal(BAD_REQUEST, "trail_price must be > 0")
    if percent is not None and not (percent.is_finite() and 0 < percent < HUNDRED):
        return Refusal(BAD_REQUEST, "trail_percent must be > 0 and < 100")
    return _unwanted(request, "stop_price", request.stop_price) or _unwanted(
        request, "limit_price", request.limit_price
    )


_PRICES_OF = {
    OrderType.MARKET: _market_prices,
    OrderType.LIMIT: _limit_prices,
    OrderType.STOP: _stop_prices,
    OrderType.STOP_LIMIT: _stop_limit_prices,
    OrderType.TRAILING_STOP: _trailing_prices,
}


def _no_trail(request: OrderRequest) -> Refusal | None:
    return _unwanted(request, "trail_price", request.trail_price) or _unwanted(
        request, "trail_percent", request.trail_percent
    )


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
        if could_trade_together(request, other):
            return WASH_TRADE
    return None


def could_trade_together(one: OrderRequest, other: OrderRequest) -> bool:
    """Whether two orders of ours might fill each other; trailing stops count as those that do not.
    """
    if one.action is other.action:
        return False
    if OrderType.TRAILING_STOP in (one.type, other.type):
        return False
    if one.limit_price is None or other.limit_price is None:
        return True
    buy, sell = (one, other) if one.action is Action.BUY else (other, one)
    return (buy.limit_price or 0) >= (sell.limit_price or 0)


def stop_through_market(request: OrderRequest, market: Decimal | None) -> Refusal | None:
    """A sell stop must lie below the market, a buy stop above it."""
    stop = request.stop_price
    if stop is None or market is None:
        return None
    figures = {"stop_price": text(stop), "market_price": text(market)}
    if request.action is Action.SELL and stop >= market:
        return Refusal(UNPROCESSABLE, "stop price must be less than current price", figures)
    if request.action is Action.BUY and stop <= market:
        return Refusal(UNPROCESSABLE, "stop price must be greater than current price", figures)
    return None


def too_many_shares(requested: Decimal, available: Decimal) -> Refusal | None:
    """Closing orders may not promise more shares than are held and free."""
    if requested <= available:
        return None
    free = text(max(available, Decimal(0)))
    return Refusal(
        FORBIDDEN,
        f"insufficient qty available for order (requested: {text(requested)}, available: {free})",
        {"available": free},
    )


def too_expensive(cost: Decimal, buying_power: Decimal) -> Refusal | None:
    """Opening orders may not reserve more than the buying power."""
    if cost <= buying_power:
        return None
    return Refusal(
        FORBIDDEN,
        f"insufficient buying power (buying_power: {text(buying_power)}, "
        f"cost_basis: {text(cost)})",
        {"buying_power": text(buying_power), "cost_basis": text(cost)},
    )


def not_cancelable(order_id: ClientOrderId, status: str | None) -> Refusal:
    """A cancel of an order that has ended, or that was never here."""
    if status is None:
        return Refusal(NOT_FOUND, f"order not found for {order_id}")
    return Refusal(UNPROCESSABLE, f'order is already in "{status}" state')
