"""Orders through the genuine TradingClient: every type, groups, replacing, canceling, refusals."""

from __future__ import annotations

import json
from collections.abc import Iterator
from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest
from alpaca.common.exceptions import APIError
from alpaca.trading.enums import (
    OrderClass,
    OrderSide,
    OrderStatus,
    OrderType,
    QueryOrderStatus,
    TimeInForce,
)
from alpaca.trading.requests import (
    GetOrderByIdRequest,
    GetOrdersRequest,
    LimitOrderRequest,
    MarketOrderRequest,
    ReplaceOrderRequest,
    StopLimitOrderRequest,
    StopLossRequest,
    StopOrderRequest,
    TakeProfitRequest,
    TrailingStopOrderRequest,
)
from sdk import trading
from serving import Serving, day, eventually, serving

BUY, SELL = OrderSide.BUY, OrderSide.SELL
DAY, GTC = TimeInForce.DAY, TimeInForce.GTC
CLOSES = {"AA": ["10", "10.5", "11", "10.4", "10.4", "10.4"], "BB": ["50"] * 6}


@pytest.fixture
def exchange() -> Iterator[Serving]:
    """A market in the middle of its first minute: AA last traded at 10."""
    with serving(day(CLOSES)) as running:
        running.step_to(running.exchange.now() + 300 + 60)
        yield running


@pytest.fixture
def client(exchange: Serving) -> Any:
    """The SDK's client of this account."""
    return trading(exchange)


def status(client: Any, order_id: Any) -> OrderStatus:
    """How an order stands."""
    found: OrderStatus = client.get_order_by_id(order_id).status
    return found


def bought(client: Any, qty: int = 10) -> None:
    """Hold AA."""
    client.submit_order(MarketOrderRequest(symbol="AA", qty=qty, side=BUY, time_in_force=DAY))


TYPES = [
    MarketOrderRequest(symbol="AA", qty=10, side=BUY, time_in_force=DAY),
    LimitOrderRequest(symbol="AA", qty=10, side=BUY, time_in_force=DAY, limit_price=10.2),
    StopOrderRequest(symbol="AA", qty=10, side=BUY, time_in_force=GTC, stop_price="10.8"),
    StopLimitOrderRequest(
        symbol="AA", qty=10, side=BUY, time_in_force=DAY, stop_price=10.8, limit_price=11
    ),
]


@pytest.mark.parametrize("request_", TYPES, ids=lambda request: request.type.value)
def test_every_type_of_entry_fills(exchange: Serving, client: Any, request_: Any) -> None:
    """Goal: market, limit, stop and stop-limit orders are taken and filled by the bars.
    Method: submit each with the SDK, play the session, compare type, quantity and end.
    """
    order = client.submit_order(request_)
    assert order.type == request_.type
    assert order.qty == "10"
    exchange.step_minutes(6)
    found = client.get_order_by_id(order.id)
    assert found.status is OrderStatus.FILLED
    assert found.filled_qty == "10"
    assert Decimal(found.filled_avg_price) > 9


@pytest.mark.parametrize("trail", [{"trail_price": 0.3}, {"trail_percent": 2}])
def test_trailing_stop_follows_and_sells(
    exchange: Serving, client: Any, trail: dict[str, float]
) -> None:
    """Goal: a trailing stop shows its mark and stop, follows the market up and sells below it.
    Method: hold AA from 10, let it rise to 11 and fall to 10.4.
    """
    bought(client)
    order = client.submit_order(
        TrailingStopOrderRequest(symbol="AA", qty=10, side=SELL, time_in_force=GTC, **trail)
    )
    assert client.get_order_by_id(order.id).hwm is not None
    exchange.step_minutes(6)
    assert status(client, order.id) is OrderStatus.FILLED
    assert client.get_all_positions() == []


def test_order_is_found_by_the_name_its_client_gave(client: Any) -> None:
    """Goal: client_order_id names an order, also one with a space; a second use is refused.
    Method: submit, look up, submit again under the same id.
    """
    name = "velez AA-0001"
    request = LimitOrderRequest(
        symbol="AA", qty=1, side=BUY, time_in_force=DAY, limit_price=5, client_order_id=name
    )
    order = client.submit_order(request)
    assert client.get_order_by_client_id(name).id == order.id
    with pytest.raises(APIError) as refused:
        client.submit_order(request)
    assert (refused.value.status_code, refused.value.code) == (422, 40010001)
    assert refused.value.message == "client_order_id must be unique"


def test_replace_makes_a_chain(client: Any) -> None:
    """Goal: PATCH answers a new order that names the old one, which ends as replaced.
    Method: move a resting limit order twice and follow both links.
    """
    first = client.submit_order(
        LimitOrderRequest(symbol="AA", qty=5, side=BUY, time_in_force=GTC, limit_price=5)
    )
    second = client.replace_order_by_id(first.id, ReplaceOrderRequest(limit_price=6))
    third = client.replace_order_by_id(second.id, ReplaceOrderRequest(qty=7, limit_price=6.5))
    old = client.get_order_by_id(first.id)
    assert old.status is OrderStatus.REPLACED
    assert old.replaced_by == second.id
    assert third.replaces == second.id
    assert (third.qty, third.limit_price) == ("7", "6.5")
    assert third.id not in (first.id, second.id)
    assert [order.id for order in client.get_orders()] == [third.id]


def test_cancel_is_an_answer_of_204_and_then_a_status(client: Any) -> None:
    """Goal: DELETE answers nothing, the status tells the end; a second DELETE is refused.
    Method: cancel a resting order twice.
    """
    order = client.submit_order(
        LimitOrderRequest(symbol="AA", qty=5, side=BUY, time_in_force=GTC, limit_price=5)
    )
    assert client.cancel_order_by_id(order.id) is None
    eventually(lambda: status(client, order.id) is OrderStatus.CANCELED)
    with pytest.raises(APIError) as refused:
        client.cancel_order_by_id(order.id)
    assert refused.value.status_code == 422


def test_cancel_all_tells_of_each_order(client: Any) -> None:
    """Goal: DELETE /v2/orders answers 207 with one row an order.
    Method: cancel two orders with the SDK and compare ids and statuses.
    """
    orders = [
        client.submit_order(
            LimitOrderRequest(symbol="AA", qty=1, side=BUY, time_in_force=GTC, limit_price=price)
        )
        for price in (5, 6)
    ]
    rows = client.cancel_orders()
    assert {row.id for row in rows} == {order.id for order in orders}
    assert {row.status for row in rows} == {200}
    assert client.get_orders() == []


def test_bracket_holds_its_legs_until_the_entry_is_filled(exchange: Serving, client: Any) -> None:
    """Goal: a bracket's legs are there from the answer on, held; after the entry the target works
    and the stop stays held; when the target fills the stop is canceled.
    Method: enter at market, let the market rise to 11 with a target of 10.9.
    """
    order = client.submit_order(
        MarketOrderRequest(
            symbol="AA",
            qty=10,
            side=BUY,
            time_in_force=GTC,
            order_class=OrderClass.BRACKET,
            take_profit=TakeProfitRequest(limit_price=10.9),
            stop_loss=StopLossRequest(stop_price=9.5),
        )
    )
    assert order.order_class is OrderClass.BRACKET
    assert [leg.status for leg in order.legs] == [OrderStatus.HELD] * 2
    exchange.step_minutes(1)
    nested = client.get_order_by_id(order.id, GetOrderByIdRequest(nested=True))
    by_type = {leg.type: leg for leg in nested.legs}
    assert nested.status is OrderStatus.FILLED
    assert by_type[OrderType.LIMIT].status is OrderStatus.NEW
    assert by_type[OrderType.STOP].status is OrderStatus.HELD
    exchange.step_minutes(5)
    nested = client.get_order_by_id(order.id, GetOrderByIdRequest(nested=True))
    by_type = {leg.type: leg for leg in nested.legs}
    assert by_type[OrderType.LIMIT].status is OrderStatus.FILLED
    assert by_type[OrderType.STOP].status is OrderStatus.CANCELED
    assert client.get_all_positions() == []


def test_oco_lets_one_exit_end_the_other(exchange: Serving, client: Any) -> None:
    """Goal: of an OCO the stop sells when the market falls, and the target is no more.
    Method: hold AA, place target and stop, let the market fall from 11 to 10.4.
    """
    bought(client)
    order = client.submit_order(
        LimitOrderRequest(
            symbol="AA",
            qty=10,
            side=SELL,
            time_in_force=GTC,
            order_class=OrderClass.OCO,
            take_profit=TakeProfitRequest(limit_price=20),
            stop_loss=StopLossRequest(stop_price=9.9),
        )
    )
    assert order.limit_price == "20"
    assert [leg.status for leg in order.legs] == [OrderStatus.HELD]
    moved = client.replace_order_by_id(order.legs[0].id, ReplaceOrderRequest(stop_price=10.45))
    assert moved.stop_price == "10.45"
    exchange.step_minutes(6)
    assert client.get_all_positions() == []
    assert not client.get_orders()
    assert status(client, order.id) is not OrderStatus.FILLED


def test_oto_protects_its_entry(exchange: Serving, client: Any) -> None:
    """Goal: an OTO's single leg works once its entry is filled.
    Method: enter at market with a stop, list the open orders.
    """
    order = client.submit_order(
        MarketOrderRequest(
            symbol="AA",
            qty=10,
            side=BUY,
            time_in_force=GTC,
            order_class=OrderClass.OTO,
            stop_loss=StopLossRequest(stop_price=9.5),
        )
    )
    assert [leg.type for leg in order.legs] == [OrderType.STOP]
    exchange.step_minutes(1)
    assert [open_.stop_price for open_ in client.get_orders()] == ["9.5"]


def test_lists_by_status_symbol_and_side(exchange: Serving, client: Any) -> None:
    """Goal: the list's filters, order and limit work as the SDK sends them.
    Method: three orders, of which one is canceled; ask in several ways.
    """
    placed = [
        client.submit_order(
            LimitOrderRequest(symbol=symbol, qty=1, side=BUY, time_in_force=GTC, limit_price=5)
        )
        for symbol in ("AA", "BB", "AA")
    ]
    client.cancel_order_by_id(placed[0].id)

    def ids(**words: Any) -> list[Any]:
        return [order.id for order in client.get_orders(GetOrdersRequest(**words))]

    newest, older, ended = placed[2].id, placed[1].id, placed[0].id
    assert ids() == [newest, older]
    assert ids(status=QueryOrderStatus.ALL, direction="asc") == [ended, older, newest]
    assert ids(status=QueryOrderStatus.CLOSED) == [ended]
    assert ids(symbols=["BB"]) == [older]
    assert ids(side=SELL) == []
    assert ids(limit=1) == [newest]
    rows = client.get("/orders", {"after_order_id": str(older), "status": "all", "nested": "True"})
    assert [row["id"] for row in rows] == [str(newest)]


def test_day_orders_expire_at_the_close(exchange: Serving, client: Any) -> None:
    """Goal: at the close DAY orders expire and GTC orders stay.
    Method: rest one of each and play the session to its end.
    """
    short, long = (
        client.submit_order(
            LimitOrderRequest(symbol="AA", qty=1, side=BUY, time_in_force=tif, limit_price=5)
        )
        for tif in (DAY, GTC)
    )
    exchange.step_minutes(390)
    assert status(client, short.id) is OrderStatus.EXPIRED
    assert status(client, long.id) is OrderStatus.NEW
    assert not client.get_clock().is_open


REFUSALS: list[tuple[dict[str, Any], int, int, str]] = [
    ({"qty": 100_000}, 403, 40310000, "insufficient buying power"),
    ({"symbol": "ZZ"}, 422, 40010001, 'could not find asset "ZZ"'),
    ({"limit_price": 9.123}, 422, 42210000, "sub-penny increment"),
    ({"side": "sell", "qty": 20, "limit_price": 20}, 403, 40310000, "insufficient qty available"),
    ({"type": "stop", "stop_price": "oops"}, 422, 40010001, "invalid stop_price"),
    ({"time_in_force": "never"}, 422, 40010001, "invalid time_in_force"),
]


@pytest.mark.parametrize(("words", "http", "code", "message"), REFUSALS)
def test_refusals_carry_status_code_and_text(
    exchange: Serving,
    client: Any,
    words: dict[str, Any],
    http: int,
    code: int,
    message: str,
) -> None:
    """Goal: each refusal has the status, code and text that Alpaca documents.
    Method: send raw bodies through the SDK's generic post and read the APIError.
    """
    bought(client)
    body = {
        "symbol": "AA", "qty": "1", "side": "buy", "type": "limit", "time_in_force": "day",
        "limit_price": "9", "client_order_id": str(uuid4()), **words,
    }  # fmt: skip
    with pytest.raises(APIError) as refused:
        client.post("/orders", body)
    assert refused.value.status_code == http
    assert refused.value.code == code
    assert message in refused.value.message


def test_wash_trade_and_held_shares_name_the_orders_in_the_way(
    exchange: Serving, client: Any
) -> None:
    """Goal: extras of a refusal name what stands in the way.
    Method: with a resting sell stop on all shares, try to buy more and to sell again.
    """
    bought(client)
    stop = client.submit_order(
        StopOrderRequest(symbol="AA", qty=10, side=SELL, time_in_force=GTC, stop_price=9)
    )
    with pytest.raises(APIError) as wash:
        bought(client)
    body = json.loads(str(wash.value))
    assert body["existing_order_id"] == str(stop.id)
    assert body["message"] == "potential wash trade detected. use complex orders"
    with pytest.raises(APIError) as held:
        client.close_position("AA")
    body = json.loads(str(held.value))
    assert (body["available"], body["existing_qty"], body["held_for_orders"]) == ("0", "10", "10")


@pytest.mark.parametrize(
    ("order_id", "http", "code"), [(str(uuid4()), 404, 40410000), ("no-uuid", 422, 40010001)]
)
def test_orders_that_are_not_there(client: Any, order_id: str, http: int, code: int) -> None:
    """Goal: an unknown id is 404, one that is no id at all 422, as recorded at Alpaca.
    Method: look up, cancel and replace it through the SDK's generic calls.
    """
    for method in (client.get, client.delete, client.patch):
        with pytest.raises(APIError) as refused:
            method(f"/orders/{order_id}", {"qty": "1"})
        assert (refused.value.status_code, refused.value.code) == (http, code)
