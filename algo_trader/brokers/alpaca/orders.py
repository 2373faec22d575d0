"""Alpaca's order objects read with tolerance, and ours written exactly."""

from __future__ import annotations

from decimal import Decimal
from typing import NamedTuple

from algo_trader.brokers.alpaca.statuses import ENDED, OPEN, status_of
from algo_trader.brokers.alpaca.wire import Body, body_of, decimal_of, epoch_of, plain, text_of
from algo_trader.core.broker import BrokerStatus
from algo_trader.core.events import OrderRequest
from algo_trader.core.prices import is_on_tick
from algo_trader.core.types import (
    ZERO,
    Action,
    BrokerOrderId,
    ClientOrderId,
    Instant,
    Symbol,
    text,
)

_PRICES = ("limit_price", "stop_price", "trail_price", "trail_percent")


class RestOrder(NamedTuple):
    """An order of Alpaca's. `replaced_by` is the successor's id at Alpaca, `replaces` that of the
    order before it; `at` when it changed last, in whole seconds, 0 if that is not said.
    """

    broker_id: BrokerOrderId
    order_id: ClientOrderId
    symbol: Symbol
    action: Action
    qty: Decimal
    status: BrokerStatus
    filled_qty: Decimal
    filled_avg_price: Decimal | None
    replaced_by: BrokerOrderId | None
    submitted_at: float | None
    at: Instant
    detail: str
    replaces: BrokerOrderId | None = None
    is_in_pair: bool = False
    stop_price: Decimal | None = None


def read_order(value: object) -> RestOrder | None:
    """The order of a body, or None if it does not say which one it is and what it is for."""
    body = body_of(value)
    if body is None:
        return None
    broker_id, order_id = text_of(body, "id"), text_of(body, "client_order_id")
    symbol, action = text_of(body, "symbol"), _action(body)
    filled_qty = max(decimal_of(body, "filled_qty") or ZERO, ZERO)
    status = status_of(word := text_of(body, "status") or "")
    qty = decimal_of(body, "qty")
    if status is BrokerStatus.OPEN and qty is not None and filled_qty >= qty > ZERO:
        status = BrokerStatus.FILLED
    if qty is None and body.get("notional") is not None:
        qty = filled_qty  # An order in dollars, none of ours.
    if not (broker_id and order_id and symbol) or action is None or qty is None:
        return None
    replaced_by, replaces = text_of(body, "replaced_by"), text_of(body, "replaces")
    return RestOrder(
        BrokerOrderId(broker_id),
        ClientOrderId(order_id),
        symbol,
        action,
        qty,
        status,
        filled_qty,
        decimal_of(body, "filled_avg_price"),
        BrokerOrderId(replaced_by) if replaced_by else None,
        epoch_of(body, "submitted_at") or epoch_of(body, "created_at"),
        int(epoch_of(body, "filled_at") or epoch_of(body, "updated_at") or 0),
        _detail(body, word),
        BrokerOrderId(replaces) if replaces else None,
        body.get("order_class") == "oco",
        decimal_of(body, "stop_price"),
    )


def submit_body(request: OrderRequest) -> dict[str, str]:
    """What is sent to place an order: money and shares as texts."""
    return {
        "symbol": request.symbol,
        "qty": text(request.qty),
        "side": str(request.action),
        "type": str(request.type),
        "time_in_force": str(request.time_in_force),
        "client_order_id": request.order_id,
        **_prices(request),
    }


def replace_body(request: OrderRequest, *, is_in_pair: bool = False) -> dict[str, str]:
    """What is sent to put `request` in the place of an order of the same type; an exit of a pair
    keeps its size and lifetime.
    """
    prices = _prices(request)
    trail = prices.pop("trail_price", None) or prices.pop("trail_percent", None)
    size = {"qty": text(request.qty), "time_in_force": str(request.time_in_force)}
    return {
        **({} if is_in_pair else size),
        "client_order_id": request.order_id,
        **prices,
        **({"trail": trail} if trail else {}),
    }


def unsendable(request: OrderRequest) -> str | None:
    """Why the order is not even sent, or None."""
    if request.qty != request.qty.to_integral_value():
        return (
            f"{text(request.qty)} shares of {request.symbol}: whole shares only, for no stop "
            "protects a fraction"
        )
    for name in ("limit_price", "stop_price"):
        price: Decimal | None = getattr(request, name)
        if price is not None and not is_on_tick(price):
            return f"{name} {text(price)} of {request.symbol} is between two ticks"
    return None


def broken_echo(request: OrderRequest, order: RestOrder) -> str | None:
    """In what the order in the answer is not the one that was sent, or None."""
    for name, ours, theirs in (
        ("client_order_id", request.order_id, order.order_id),
        ("symbol", request.symbol, order.symbol),
        ("side", request.action, order.action),
        ("qty", text(request.qty), text(order.qty)),
    ):
        if ours != theirs:
            return f"sent {name} {ours}, the answer says {plain(theirs)}"
    return None


def _prices(request: OrderRequest) -> dict[str, str]:
    return {
        name: text(price)
        for name in _PRICES
        if (price := getattr(request, name)) is not None
    }


def _action(body: Body) -> Action | None:
    word = text_of(body, "side") or text_of(body, "position_intent") or ""
    for action in Action:
        if word.startswith(action):  # As in sell_short, or buy_to_close.
            return action
    return None


def _detail(body: Body, word: str) -> str:
    reason = text_of(body, "reject_reason") or text_of(body, "reason")
    if reason:
        return plain(reason)
    if word in ENDED or word in OPEN:
        return ""
    return f"status {plain(word)!r} is not known here: taken for open" if word else "no status"
