"""What a fault script does to requests, as the genuine SDK meets it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest
import requests
from alpaca.common.exceptions import APIError
from pydantic import ValidationError
from sdk import trading
from serving import FIRST_OPEN, Serving, day, eventually, serving

CLOSES = {"AA": ["10", "10.5", "11", "10.4", "10.4", "10.4"], "BB": ["50"] * 6}
POST = "rest:POST /v2/orders"
REPLY_WAIT_S = 0.3


@pytest.fixture
def exchange() -> Iterator[Serving]:
    """A market whose first minute is over, and no fault yet."""
    with serving(day(CLOSES)) as running:
        running.step_to(FIRST_OPEN + 60)
        yield running


@pytest.fixture
def client(exchange: Serving) -> Any:
    """The SDK's client, one request a connection, so that a broken one is not met again."""
    found = trading(exchange)
    found._session.headers["Connection"] = "close"
    return found


def limit(name: str = "mine-entry-1", **words: Any) -> dict[str, Any]:
    """A limit order that rests."""
    return {
        "symbol": "AA",
        "qty": "10",
        "side": "buy",
        "type": "limit",
        "limit_price": "9",
        "time_in_force": "gtc",
        "client_order_id": name,
        **words,
    }


def orders_at(exchange: Serving) -> list[str]:
    """The names of all orders the exchange has, whatever it says."""
    rows = exchange.do(lambda: exchange.exchange._desk.orders(status="all"))
    return [row["client_order_id"] for row in rows]


def refusal(client: Any, ask: Any, *args: Any) -> APIError:
    """The SDK's error for a request."""
    with pytest.raises(APIError) as refused:
        ask(*args)
    return refused.value


@pytest.mark.parametrize(
    ("words", "is_there"),
    [
        ({"do": "drop"}, False),
        ({"do": "reset"}, False),
        ({"do": "execute_then_drop"}, True),
        ({"do": "cut_body", "bytes": 20}, True),
    ],
    ids=lambda value: value["do"] if isinstance(value, dict) else "",
)
def test_a_broken_answer_leaves_the_outcome_unknown(
    exchange: Serving, client: Any, words: dict[str, Any], is_there: bool
) -> None:
    """Goal: a connection that breaks is a ConnectionError, whether the order lives or not.
    Method: break the first POST in four ways; the second one is answered.
    """
    exchange.fault(on=POST, **words)
    with pytest.raises(
        (requests.exceptions.ConnectionError, requests.exceptions.ChunkedEncodingError)
    ):
        client.post("/orders", limit())
    eventually(lambda: ("mine-entry-1" in orders_at(exchange)) is is_there)
    client.post("/orders", limit("mine-entry-2"))
    assert "mine-entry-2" in orders_at(exchange)


@pytest.mark.parametrize("words", [{"do": "hang"}, {"do": "drip", "for_s": 5}])
def test_silence_and_drops_of_bytes_outlast_a_timeout(
    exchange: Serving, client: Any, words: dict[str, Any]
) -> None:
    """Goal: an answer that does not come, or comes byte by byte, ends in the client's timeout.
    Method: a request with a short read timeout; the next one is answered.
    """
    exchange.fault(on="rest:GET /v2/account", **words)
    url = f"{exchange.urls.trading}/v2/account"
    keys = {
        "APCA-API-KEY-ID": exchange.key_id,
        "APCA-API-SECRET-KEY": exchange.secret,
    }
    with pytest.raises(requests.exceptions.RequestException):
        client._session.get(url, headers=keys, timeout=REPLY_WAIT_S)
    assert client._session.get(url, headers=keys, timeout=5).status_code == 200


def test_an_order_executed_under_a_504_is_a_duplicate_for_the_sdk(
    exchange: Serving, client: Any
) -> None:
    """Goal: the order lives, the answer is 504, and the SDK's own retry reads as a rejection.
    Method: let the SDK retry once without a pause.
    """
    exchange.fault(on=POST, do="execute_then_504")
    client._retry, client._retry_wait = 1, 0
    error = refusal(client, client.post, "/orders", limit())
    assert (error.status_code, error.code) == (422, 40010001)
    assert orders_at(exchange) == ["mine-entry-1"]


@pytest.mark.parametrize("status", [500, 502, 503])
def test_errors_with_html_have_no_code(exchange: Serving, client: Any, status: int) -> None:
    """Goal: a 5xx with an HTML page carries nothing out and has no code the SDK could read.
    Method: read the error's status and text, then its code.
    """
    exchange.fault(on=POST, do="status", status=status)
    error = refusal(client, client.post, "/orders", limit())
    assert error.status_code == status
    assert "<html>" in str(error)
    with pytest.raises(json.JSONDecodeError):
        _ = error.code
    assert orders_at(exchange) == []


def test_a_403_without_a_code(exchange: Serving, client: Any) -> None:
    """Goal: the classic answer to wrong keys has a message only.
    Method: read the body; the SDK's code raises KeyError.
    """
    exchange.fault(on="rest:* /v2/*", do="forbidden")
    error = refusal(client, client.get, "/account")
    assert (error.status_code, error.message) == (403, "forbidden.")
    with pytest.raises(KeyError):
        _ = error.code
    exchange.fault(on="rest:* /v2/*", do="unauthorized")
    assert refusal(client, client.get, "/account").status_code == 401


def test_429_with_and_without_headers(exchange: Serving, client: Any) -> None:
    """Goal: the limit is told with Retry-After and X-RateLimit headers, or with nothing.
    Method: two faults in a row, headers compared.
    """
    with serving(day(CLOSES), rate=200) as limited:
        client = trading(limited)
        limited.fault(on="rest:GET /v2/clock", do="rate_limited", retry_after_s=2)
        limited.fault(on="rest:GET /v2/clock", do="rate_limited", headers=False)
        told = refusal(client, client.get, "/clock").response.headers
        bare = refusal(client, client.get, "/clock").response.headers
        assert client.get_clock() is not None
    assert told["Retry-After"] == "2"
    assert "X-RateLimit-Reset" in told
    assert not [name for name in bare if name.lower().startswith(("x-ratelimit", "retry"))]


def test_refusals_of_the_scripts_own(exchange: Serving, client: Any) -> None:
    """Goal: a script may refuse an order of its choice with any code, text and extras.
    Method: refuse stops only; a limit order passes.
    """
    exchange.fault(
        on=POST, do="refuse", role="stop", status=403, code=40310000,
        message="insufficient qty available for order (requested: 10, available: 0)",
        extras={"available": "0"}, times=0,
    )  # fmt: skip
    client.post("/orders", limit("velez-AA-entry-1"))
    for number in (1, 2):
        error = refusal(client, client.post, "/orders", limit(f"velez-AA-stop-{number}"))
        assert (error.status_code, error.code) == (403, 40310000)
        assert json.loads(str(error))["available"] == "0"
    assert orders_at(exchange) == ["velez-AA-entry-1"]


@pytest.mark.parametrize(
    "words",
    [
        {"do": "unknown_enum"},
        {"do": "missing_fields", "fields": ["created_at"]},
        {"do": "unknown_enum", "field": "side", "value": "sideways"},
    ],
    ids=["status", "missing", "side"],
)
def test_answers_the_sdk_cannot_read(exchange: Serving, client: Any, words: dict[str, Any]) -> None:
    """Goal: an order that is there but whose answer is strange is a ValidationError of the SDK.
    Method: spoil one answer; the order lives.
    """
    exchange.fault(on=POST, **words)
    from alpaca.trading.requests import LimitOrderRequest

    with pytest.raises(ValidationError):
        client.submit_order(LimitOrderRequest(**limit()))
    assert orders_at(exchange) == ["mine-entry-1"]


def test_an_asset_without_its_deprecated_field(exchange: Serving, client: Any) -> None:
    """Goal: a field that Alpaca is taking away can be left out.
    Method: the SDK raises for an asset without easy_to_borrow.
    """
    exchange.fault(on="rest:GET /v2/assets/*", do="missing_fields", fields=["easy_to_borrow"])
    with pytest.raises(ValidationError):
        client.get_asset("AA")
    assert client.get_asset("AA").symbol == "AA"


def test_echoes_of_another_order(exchange: Serving, client: Any) -> None:
    """Goal: the answer may name another quantity or id than was sent.
    Method: compare the echo with what the exchange has.
    """
    exchange.fault(on=POST, do="wrong_echo", set={"qty": "7", "client_order_id": "theirs"})
    echo = client.post("/orders", limit())
    assert (echo["qty"], echo["client_order_id"]) == ("7", "theirs")
    assert client.get_order_by_client_id("mine-entry-1").qty == "10"


def test_a_captive_page(exchange: Serving, client: Any) -> None:
    """Goal: 200 with HTML carries nothing out and cannot be read.
    Method: the SDK raises a JSON error.
    """
    exchange.fault(on=POST, do="non_json_200")
    with pytest.raises(requests.exceptions.JSONDecodeError):
        client.post("/orders", limit())
    assert orders_at(exchange) == []


def test_an_order_that_appears_later(exchange: Serving, client: Any) -> None:
    """Goal: after silence and a first 404 the order is there all the same.
    Method: look it up until it appears.
    """
    exchange.fault(on=POST, do="late_accept", after_s=0.2)
    with pytest.raises(requests.exceptions.ConnectionError):
        client.post("/orders", limit())
    missing = refusal(client, client.get_order_by_client_id, "mine-entry-1")
    assert missing.status_code == 404
    eventually(lambda: orders_at(exchange) == ["mine-entry-1"])
    assert client.get_order_by_client_id("mine-entry-1").qty == "10"


def test_an_order_rejected_after_its_200(exchange: Serving, client: Any) -> None:
    """Goal: an accepted order may end rejected.
    Method: poll its status.
    """
    exchange.fault(on=POST, do="reject_later", reason="no borrow")
    order = client.post("/orders", limit())
    eventually(lambda: client.get_order_by_id(order["id"]).status == "rejected")


def test_an_order_that_stays_pending(exchange: Serving, client: Any) -> None:
    """Goal: a held order fills with nothing, however far the market goes, until it is released;
    other orders go their way. Method: hold a market order, send a second, play on, release.
    """
    exchange.fault(on=POST, do="hold_pending", role="entry")
    market = {**limit(type="market"), "limit_price": None}
    order = client.post("/orders", market)
    other = client.post("/orders", {**market, "symbol": "BB", "client_order_id": "other"})
    exchange.step_minutes(2)
    assert client.get_order_by_id(order["id"]).status == "pending_new"
    assert client.get_order_by_id(other["id"]).status == "filled"
    exchange.fault(do="release")
    exchange.step_minutes(1)
    assert client.get_order_by_id(order["id"]).status == "filled"


def test_a_cancel_that_takes_its_time(exchange: Serving, client: Any) -> None:
    """Goal: 204, and the order is pending_cancel until the market has heard of it, or refused it.
    Method: hold two cancels back; let one through, refuse the other.
    """
    for is_refused, end in ((False, "canceled"), (True, "new")):
        exchange.fault(on="rest:DELETE /v2/orders/*", do="hold_cancel")
        order = client.post("/orders", limit(f"mine-{end}"))
        client.cancel_order_by_id(order["id"])
        assert client.get_order_by_id(order["id"]).status == "pending_cancel"
        exchange.fault(do="release", refused=is_refused)
        assert client.get_order_by_id(order["id"]).status == end


def test_a_part_is_filled(exchange: Serving, client: Any) -> None:
    """Goal: an order can be filled in part, at its own price or at one of the script's.
    Method: by the POST and by hand; quantities and average compared.
    """
    exchange.fault(on=POST, do="partial_fill", qty=4)
    order = client.post("/orders", limit())
    found = client.get_order_by_id(order["id"])
    assert found.status == "partially_filled"
    assert (found.filled_qty, found.filled_avg_price) == ("4", "9")
    exchange.fault(do="partial_fill", order="mine-entry-*", qty="2", price="6")
    found = client.get_order_by_id(order["id"])
    assert (found.filled_qty, Decimal(found.filled_avg_price)) == ("6", Decimal(8))
    assert client.get_open_position("AA").qty == "6"


def test_a_fill_comes_before_the_cancel(exchange: Serving, client: Any) -> None:
    """Goal: 204 says nothing: the order ends filled.
    Method: cancel, then read the status and the position.
    """
    exchange.fault(on="rest:DELETE /v2/orders/*", do="cancel_crossed_by_fill")
    order = client.post("/orders", limit())
    assert client.cancel_order_by_id(order["id"]) is None
    assert client.get_order_by_id(order["id"]).status == "filled"
    assert client.get_open_position("AA").qty == "10"


def test_a_replacement_that_is_rejected(exchange: Serving, client: Any) -> None:
    """Goal: PATCH answers 200 with a new order, the old one lives on, the refusal is told.
    Method: read the stream's events in the journal and the old order's price.
    """
    order = client.post("/orders", limit())
    exchange.fault(on="rest:PATCH /v2/orders/*", do="replace_rejected")
    promised = client.patch(f"/orders/{order['id']}", {"limit_price": "9.5"})
    assert promised["id"] != order["id"]
    eventually(
        lambda: (
            "order_replace_rejected"
            in [entry["data"]["event"] for entry in exchange.journal("update")]
        )
    )
    found = client.get_order_by_id(order["id"])
    assert (found.status, found.limit_price) == ("new", "9")


def test_reads_that_are_behind(exchange: Serving, client: Any) -> None:
    """Goal: lists, look-ups and positions may not show yet what is there, until time has passed.
    Method: with a lag, nothing; with the rules taken away, everything.
    """
    for on, do in (
        ("rest:GET /v2/orders", "lag_lists"),
        ("rest:GET /v2/orders:by_client_order_id", "lag_lookups"),
        ("rest:GET /v2/orders/*", "lag_lookups"),
        ("rest:GET /v2/positions*", "lag_positions"),
    ):
        exchange.fault(on=on, do=do, for_s=60, times=0)
    order = client.post("/orders", limit())
    client.post("/orders", {**limit("mine-2", type="market", symbol="BB"), "limit_price": None})
    assert client.get_orders() == []
    for ask, name in (
        (client.get_order_by_client_id, "mine-entry-1"),
        (client.get_order_by_id, order["id"]),
    ):
        assert refusal(client, ask, name).code == 40410000
    assert client.get_all_positions() == []
    assert refusal(client, client.get_open_position, "BB").code == 40410000
    exchange.do(exchange.exchange.clear_faults)
    assert len(client.get_orders()) == 1
    assert client.get_open_position("BB").qty == "10"


def test_a_list_that_is_cut(exchange: Serving, client: Any) -> None:
    """Goal: a list may hold fewer rows than there are.
    Method: three orders, two shown.
    """
    for number in range(3):
        client.post("/orders", limit(f"mine-{number}"))
    exchange.fault(on="rest:GET /v2/orders", do="truncate_list", keep=2)
    assert [len(client.get_orders()) for _ in range(2)] == [2, 3]


def test_a_history_that_is_short(exchange: Serving, client: Any) -> None:
    """Goal: the history may hold fewer bars than there are, the newest ones.
    Method: four minutes, of which two are given.
    """
    exchange.step_minutes(3)
    exchange.fault(on="rest:GET /v2/stocks/bars", do="truncate_list", keep=2)
    words = {"symbols": "AA,BB", "timeframe": "1Min", "start": "2024-01-02"}
    short, whole = (client.get("/stocks/bars", words)["bars"] for _ in range(2))
    assert short == {symbol: rows[-2:] for symbol, rows in whole.items()}
    assert len(whole["AA"]) == 4


def test_an_answer_that_comes_after_the_fill(exchange: Serving, client: Any) -> None:
    """Goal: an order is there, and filled, before its POST is answered.
    Method: give up on a delayed answer, and find the order filled.
    """
    exchange.fault(on=POST, do="delay", for_s=5)
    url = f"{exchange.urls.trading}/v2/orders"
    keys = {"APCA-API-KEY-ID": exchange.key_id, "APCA-API-SECRET-KEY": exchange.secret}
    body = limit(limit_price="20")
    with pytest.raises(requests.exceptions.ReadTimeout):
        client._session.post(url, json=body, headers=keys, timeout=REPLY_WAIT_S)
    exchange.step_minutes(1)
    assert client.get_order_by_client_id("mine-entry-1").status == "filled"


def test_a_clock_that_is_wrong(exchange: Serving, client: Any) -> None:
    """Goal: the clock endpoint can be off by any time.
    Method: compare with the exchange's own time.
    """
    exchange.fault(on="clock", do="clock_skew", seconds=-7.5)
    assert client.get_clock().timestamp.timestamp() == exchange.now - 7.5
    assert client.get_clock().timestamp.timestamp() == exchange.now


def test_conditions_choose_who_is_met(exchange: Serving, client: Any) -> None:
    """Goal: nth, times, symbol and virtual time restrict a fault.
    Method: the second and third order of AA after 09:32 are refused, everything else passes.
    """
    exchange.fault(
        on=POST, do="refuse", message="not now", nth=2, times=2, symbol="AA", after="09:32"
    )
    outcomes: list[bool] = []
    for number in range(6):
        if number == 1:
            exchange.step_to(FIRST_OPEN + 120)
        try:
            client.post("/orders", limit(f"mine-{number}", symbol="AA", qty="1"))
            outcomes.append(True)
        except APIError:
            outcomes.append(False)
    assert outcomes == [True, True, False, False, True, True]


def test_the_account_is_blocked_and_wiped(exchange: Serving, client: Any) -> None:
    """Goal: the broker may block trading, and a paper account may be another one afterwards.
    Method: block, unblock, then wipe; account and orders are read again.
    """
    exchange.fault(do="block_account", reason="account is restricted to liquidation only")
    assert client.get_account().trading_blocked
    error = refusal(client, client.post, "/orders", limit())
    assert (error.status_code, error.code) == (403, 40310000)
    exchange.fault(do="unblock_account")
    order = client.post("/orders", limit())
    before = client.get_account()
    exchange.fault(do="wipe_account", account="PA0NEW", cash="1000")
    after = client.get_account()
    assert (after.account_number, after.cash) == ("PA0NEW", "1000")
    assert after.id != before.id
    assert refusal(client, client.get_order_by_id, order["id"]).status_code == 404


def test_somebody_uses_the_brokers_app(exchange: Serving, client: Any) -> None:
    """Goal: orders and trades of somebody else appear; ours are canceled and moved by hand.
    Method: inject each and read orders and positions.
    """
    exchange.fault(do="manual_trade", of="BB", action="buy", qty=5)
    assert client.get_open_position("BB").qty == "5"
    body = {**limit(), "symbol": "BB", "limit_price": "40"}
    del body["client_order_id"]
    exchange.fault(do="foreign_order", body=body)
    foreign = client.get_orders()[0]
    assert len(foreign.client_order_id) == len(str(uuid4()))
    mine = client.post("/orders", limit())
    exchange.fault(do="manual_replace", order="mine-*", set={"limit_price": "8"})
    moved = client.get_order_by_id(mine["id"]).replaced_by
    assert client.get_order_by_id(moved).limit_price == "8"
    exchange.fault(do="manual_cancel", of="AA")
    assert client.get_order_by_id(moved).status == "canceled"
    assert client.get_order_by_id(foreign.id).status == "new"


def test_another_program_of_ours_and_fills_that_come_too_late(
    exchange: Serving, client: Any
) -> None:
    """Goal: orders under our own names may come from elsewhere; a canceled order may still fill,
    and a filled one once more. Method: inject each and read quantities.
    """
    exchange.fault(do="foreign_order", body=limit("velez-AA-entry-9"))
    ours = client.get_order_by_client_id("velez-AA-entry-9")
    client.cancel_order_by_id(ours.id)
    exchange.fault(do="partial_fill", order="velez-*", qty=3)
    assert client.get_order_by_id(ours.id).filled_qty == "3"
    assert client.get_open_position("AA").qty == "3"
    order = client.post("/orders", limit("mine-1"))
    for qty in (10, 2):
        exchange.fault(do="partial_fill", order="mine-1", qty=qty)
    assert client.get_order_by_id(order["id"]).filled_qty == "12"
    assert client.get_open_position("AA").qty == "15"


def test_endpoints_that_are_not_there(client: Any) -> None:
    """Goal: an unknown path is 404 with a JSON body. Method: watchlists, which are not served."""
    error = refusal(client, client.get, "/watchlists")
    assert (error.status_code, error.message) == (404, "endpoint not found.")


def test_executions_are_busted_and_corrected(exchange: Serving, client: Any) -> None:
    """Goal: what was filled may be taken back, or have been at another price.
    Method: two fills, one corrected and one busted, positions compared.
    """
    for symbol in ("AA", "BB"):
        body = {**limit(f"mine-{symbol}", type="market", symbol=symbol), "limit_price": None}
        client.post("/orders", body)
    exchange.fault(do="correct", of="AA", price="9.9")
    assert Decimal(client.get_open_position("AA").avg_entry_price) == Decimal("9.9")
    exchange.fault(do="bust", of="BB")
    assert [row.symbol for row in client.get_all_positions()] == ["AA"]


def test_what_nobody_is_told(exchange: Serving, client: Any) -> None:
    """Goal: an order can end without any event.
    Method: cancel silently and compare status and journal.
    """
    order = client.post("/orders", limit())
    exchange.fault(do="silent_cancel", order="mine-*")
    assert client.get_order_by_id(order["id"]).status == "canceled"
    last = exchange.journal("update")[-1]
    assert (last["data"]["event"], last["silent"]) == ("canceled", True)
