"""Reading what a client posts: an order's terms, checked for form, as the API words its refusals.

Whether the account and the market allow the order is not decided here.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any, NamedTuple, TypeVar

from algo_trader.core.types import Action, OrderType, Symbol, TimeInForce, Word
from algo_trader.exchange.errors import bad_request, forbidden, unprocessable
from algo_trader.venue.groups import GroupKind

CLIENT_ORDER_ID_MAX = 128
_INTENTS = ("buy_to_open", "buy_to_close", "sell_to_open", "sell_to_close")

W = TypeVar("W", bound=Word)


class Ticket(NamedTuple):
    """The terms of a new order. `kind` is None for a simple one.

    The exits of a group are a limit price, and a stop price with or without a limit.
    """

    symbol: Symbol
    action: Action
    type: OrderType
    time_in_force: TimeInForce
    qty: Decimal
    limit_price: Decimal | None
    stop_price: Decimal | None
    trail_price: Decimal | None
    trail_percent: Decimal | None
    extended_hours: bool
    client_order_id: str | None
    order_class: str
    kind: GroupKind | None
    position_intent: str | None
    profit_limit: Decimal | None
    loss_stop: Decimal | None
    loss_limit: Decimal | None


def read_ticket(body: Mapping[str, Any]) -> Ticket:
    """The terms in the body of a POST; ApiFault if they have no sense."""
    symbol = body.get("symbol")
    if not isinstance(symbol, str) or not symbol:
        raise bad_request("symbol is required")
    action = word(body, "side", Action)
    kind = _kind(body)
    ticket = Ticket(
        symbol=symbol,
        action=action,
        type=word(body, "type", OrderType),
        time_in_force=word(body, "time_in_force", TimeInForce),
        qty=_qty(body, symbol),
        limit_price=number(body, "limit_price"),
        stop_price=number(body, "stop_price"),
        trail_price=number(body, "trail_price"),
        trail_percent=number(body, "trail_percent"),
        extended_hours=bool(body.get("extended_hours")),
        client_order_id=client_order_id(body),
        order_class=body.get("order_class") or "",
        kind=kind,
        position_intent=_intent(body, action),
        profit_limit=number(_part(body, "take_profit"), "limit_price", "take_profit."),
        loss_stop=number(_part(body, "stop_loss"), "stop_price", "stop_loss."),
        loss_limit=number(_part(body, "stop_loss"), "limit_price", "stop_loss."),
    )
    if ticket.extended_hours and (
        ticket.type is not OrderType.LIMIT
        or ticket.time_in_force not in (TimeInForce.DAY, TimeInForce.GTC)
        or kind is not None
    ):
        raise unprocessable("extended hours order must be DAY or GTC limit orders")
    if kind is not None and ticket.type is OrderType.TRAILING_STOP:
        raise bad_request(f"{kind} orders must be market or limit orders")
    if kind is GroupKind.OCO and ticket.type is not OrderType.LIMIT:
        raise bad_request("oco orders must be limit orders")
    if kind is not None:
        _require_exits(ticket, kind)
    return ticket


def _require_exits(ticket: Ticket, kind: GroupKind) -> None:
    """ApiFault unless the exits that a group of this kind needs are there."""
    has_profit, has_loss = ticket.profit_limit is not None, ticket.loss_stop is not None
    if ticket.loss_limit is not None and not has_loss:
        raise bad_request("stop_loss.limit_price requires stop_loss.stop_price")
    if kind is GroupKind.OTO:
        if has_profit == has_loss:
            raise bad_request(
                "oto orders require either take_profit.limit_price or stop_loss.stop_price"
            )
    elif not has_profit:
        raise bad_request(f"{kind} orders require take_profit.limit_price")
    elif not has_loss:
        raise bad_request(f"{kind} orders require stop_loss.stop_price")


def number(body: Mapping[str, Any], name: str, prefix: str = "") -> Decimal | None:
    """A figure that may be absent, as a JSON number or a text; ApiFault if it is neither."""
    value = body.get(name)
    if value is None or value == "":
        return None
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise bad_request(f"invalid {prefix}{name}")
    try:
        found = Decimal(repr(value) if isinstance(value, float) else value)
    except InvalidOperation:
        raise bad_request(f"invalid {prefix}{name}") from None
    if not found.is_finite():
        raise bad_request(f"invalid {prefix}{name}")
    return found


def word(body: Mapping[str, Any], name: str, words: type[W]) -> W:
    """A word of a vocabulary; ApiFault if it is missing or another."""
    try:
        return words(str(body.get(name)))
    except ValueError:
        raise bad_request(f"invalid {name}") from None


def client_order_id(body: Mapping[str, Any]) -> str | None:
    """The client's own name for the order, if it gives one."""
    value = body.get("client_order_id")
    if value is None or value == "":
        return None
    if not isinstance(value, str) or len(value) > CLIENT_ORDER_ID_MAX:
        raise bad_request(
            f"client_order_id must be no more than {CLIENT_ORDER_ID_MAX} characters"
        )
    return value


def _qty(body: Mapping[str, Any], symbol: Symbol) -> Decimal:
    qty, notional = number(body, "qty"), number(body, "notional")
    if (qty is None) == (notional is None):
        raise bad_request("exactly one of qty or notional is required")
    if qty is None:
        raise forbidden(f'asset "{symbol}" is not fractionable')
    if qty <= 0:
        raise bad_request("qty must be > 0")
    if qty != qty.to_integral_value():
        raise forbidden(f'asset "{symbol}" is not fractionable')
    return qty.quantize(Decimal(1))


def _kind(body: Mapping[str, Any]) -> GroupKind | None:
    value = body.get("order_class")
    if value in (None, "", "simple"):
        return None
    try:
        return GroupKind(value)
    except ValueError:
        raise bad_request("invalid order_class") from None


def _part(body: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = body.get(name)
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise bad_request(f"invalid {name}")
    return value


def _intent(body: Mapping[str, Any], action: Action) -> str | None:
    value = body.get("position_intent")
    if value is None or value == "":
        return None
    if value not in _INTENTS or not value.startswith(action.value):
        raise bad_request("invalid position_intent")
    return str(value)
