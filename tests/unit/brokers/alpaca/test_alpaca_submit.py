"""Orders sent to Alpaca: what goes over the wire, and what each answer is evidence of."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from rest_kit import (
    CLOSE,
    HANG,
    HTML,
    KEY,
    POST,
    Reply,
    Rig,
    closed_port,
    entry,
    order_json,
    refusal,
    request,
    rig,
)

from algo_trader.brokers.alpaca.errors import NotConnected, Throttled
from algo_trader.core.commands import Submit
from algo_trader.core.errors import KeysRefused, Unanswered, Unavailable
from algo_trader.core.events import OrderAccepted, OrderRefused, OrderRequest, Report
from algo_trader.core.types import OrderType


def submit(at: Rig, of: OrderRequest) -> Report:
    """The one report that comes of an order."""
    (report,) = at.do(at.broker.execute(Submit(of)))
    return report


def test_money_and_shares_are_texts_on_the_wire() -> None:
    """Goal: prices and quantities are written exactly and keys travel in headers.

    Method: send orders of all types and read what the server got.
    """
    orders = [
        entry(limit_price=Decimal("150.10"), qty=Decimal(10)),
        request(stop_price=Decimal("0.1234")),
        request(type=OrderType.STOP_LIMIT, limit_price=Decimal("9.40")),
        request(type=OrderType.MARKET, stop_price=None),
        request(type=OrderType.TRAILING_STOP, stop_price=None, trail_percent=Decimal("1.5")),
    ]
    with rig() as at:
        for each in orders:
            at.server.script(POST, Reply(200, order_json(each)))
            assert isinstance(submit(at, each), OrderAccepted)
        bodies = [each.body for each in at.server.asked]
        assert bodies[0] == {
            "symbol": "AA",
            "qty": "10",
            "side": "buy",
            "type": "limit",
            "time_in_force": "day",
            "client_order_id": "acct-velez-AA-1-entry-1",
            "limit_price": "150.1",
        }
        assert bodies[1]["stop_price"] == "0.1234"
        assert (bodies[2]["stop_price"], bodies[2]["limit_price"]) == ("9.5", "9.4")
        assert not {"limit_price", "stop_price"} & set(bodies[3])
        assert bodies[4]["trail_percent"] == "1.5"
        assert at.server.asked[0].headers["APCA-API-KEY-ID"] == KEY


def test_an_accepted_order_has_the_brokers_id() -> None:
    """Goal: the answer's own id is reported, whatever fields it has more or less than known ones.

    Method: a status and a field nobody has heard of, most fields missing.
    """
    of = request()
    body = order_json(of, status="levitating", without=["legs", "submitted_at", "updated_at"])
    with rig() as at:
        at.server.script(POST, Reply(200, body | {"novelty": {"deep": [1]}}))
        report = submit(at, of)
        assert isinstance(report, OrderAccepted)
        assert (report.order_id, report.broker_id) == (of.order_id, "b-1")


@pytest.mark.parametrize(
    "change",
    [
        {"client_order_id": "other"},
        {"qty": "11"},
        {"side": "buy"},
        {"symbol": "BB"},
    ],
)
def test_an_echo_of_another_order_is_no_answer(change: dict[str, Any]) -> None:
    """Goal: an answer about something else than was sent is Unanswered and says in what."""
    of = request()
    with rig() as at:
        at.server.script(POST, Reply(200, order_json(of) | change))
        with pytest.raises(Unanswered, match=next(iter(change))):
            submit(at, of)
        assert at.server.count(POST) == 1


def test_a_structured_refusal_is_a_refusal() -> None:
    """Goal: only code and text in a 403 or 422 refuse an order, and both are reported."""
    with rig() as at:
        at.server.script(
            POST,
            refusal(403, 40310000, "insufficient buying power", buying_power="1"),
            refusal(422, 42210000, "stop price must be less than current price"),
        )
        for code, word in ((40310000, "buying power"), (42210000, "stop price must be")):
            report = submit(at, request())
            assert isinstance(report, OrderRefused)
            assert report.code == code
            assert word in report.message


def test_an_order_that_is_rejected_at_once() -> None:
    """Goal: a 200 whose order is already rejected is a refusal."""
    with rig() as at:
        at.server.script(POST, Reply(200, order_json(request(), status="rejected")))
        assert isinstance(submit(at, request()), OrderRefused)


def test_an_order_that_is_rejected_after_a_fill_was_taken() -> None:
    """Goal: a rejected order with shares filled is no refusal: its executions will be asked for."""
    body = order_json(request(), status="rejected", filled_qty="4", filled_avg_price="9.50")
    with rig() as at:
        at.server.script(POST, Reply(200, body))
        assert isinstance(submit(at, request()), OrderAccepted)


@pytest.mark.parametrize(
    "reply",
    [
        CLOSE,
        HANG,
        Reply(500, HTML),
        Reply(502, HTML),
        Reply(503, {"message": "maintenance"}),
        Reply(504, {"message": "timed out"}),
        Reply(408, None),
        Reply(200, HTML),
        Reply(200, b"{"),
        Reply(200, b"[" * 100_000),
        Reply(200, b'{"id": NaN}'),
        Reply(200, {"id": "b-1"}),
        Reply(200, [1]),
        Reply(204),
        Reply(302, None, {"Location": "http://127.0.0.1:1/"}),
        Reply(404, {"code": 40410000, "message": "not found"}),
        Reply(404, HTML),
        Reply(403, HTML),
        Reply(403, {"code": "40310000", "message": "a text for a code"}),
        Reply(403, {"code": 7, "message": "not Alpaca's"}),
        Reply(422, {"code": True, "message": "no code"}),
        Reply(422, {"code": 42210000}),
        Reply(422, {"message": "no code"}),
        Reply(400, {"code": 40010000, "message": "malformed"}),
        Reply(200, order_json(request()), drip_s=0.1),
    ],
)
def test_what_is_no_answer_is_unanswered(reply: Reply) -> None:
    """Goal: after a send, everything that is no recognised answer leaves the outcome open, and the
    order is sent once. Method: one kind of bad answer after the other, over a real socket.
    """
    with rig(read_s=0.3, execute_s=0.5) as at:
        at.server.script(POST, reply)
        with pytest.raises(Unanswered) as caught:
            submit(at, request())
        assert not isinstance(caught.value, Unavailable)
        assert at.server.count(POST) == 1


def test_a_duplicate_id_is_looked_up() -> None:
    """Goal: "client_order_id must be unique" is no refusal: the order may be the one sent before.
    """
    with rig() as at:
        at.server.script(POST, refusal(422, 40010001, "client_order_id must be unique"))
        with pytest.raises(Unanswered, match="look the order up"):
            submit(at, request())


def test_a_broker_that_is_not_there() -> None:
    """Goal: without a connection nothing was sent; it is tried three times, a second apart."""
    with rig(url=f"http://127.0.0.1:{closed_port()}") as at:
        with pytest.raises(NotConnected, match="refused"):
            submit(at, request())
        assert at.naps.taken == [1.0, 1.0]


@pytest.mark.parametrize(
    "reply",
    [
        Reply(401, {"message": "unauthorized."}),
        Reply(401, HTML),
        Reply(401, {"code": 40110000, "message": "access key verification failed"}),
        Reply(403, {"message": "forbidden."}),
    ],
)
def test_refused_keys_are_no_storm(reply: Reply) -> None:
    """Goal: keys that are not accepted mean nothing was taken; it is asked once and named."""
    with rig() as at:
        at.server.script(POST, reply)
        with pytest.raises(KeysRefused, match="ALGO_BROKER_API_KEY"):
            submit(at, request())
        assert at.server.count(POST) == 1


def test_a_stop_is_the_first_to_try_refused_keys_again() -> None:
    """Goal: after refused keys a request leaves every few seconds, a stop before a question; the
    first that is accepted ends the waiting.
    """
    with rig() as at:
        at.server.script(POST, Reply(401), Reply(401), Reply(200, order_json(request())))
        at.server.script("GET /v2/positions", Reply(200, []))
        with pytest.raises(KeysRefused):
            submit(at, request())
        with pytest.raises(KeysRefused):
            submit(at, request())
        assert at.naps.taken == [3.0]
        assert isinstance(submit(at, request()), OrderAccepted)
        assert at.naps.taken == [3.0, 3.0]
        assert at.do(at.broker.positions()) == {}
        assert at.naps.taken == [3.0, 3.0]


def test_what_has_no_time_left_is_not_sent() -> None:
    """Goal: with less than half a second before its deadline a request does not leave."""
    with rig(execute_s=0.4) as at:
        with pytest.raises(Unavailable, match="time was over"):
            submit(at, request())
        assert at.server.asked == []


def test_a_short_pause_is_sat_out() -> None:
    """Goal: after a 429 every call waits as long as Retry-After says, then the order is sent once
    more. Method: a pause of two seconds on a clock that moves by sleeping.
    """
    with rig() as at:
        at.server.script(
            POST,
            Reply(429, {"message": "rate limit exceeded"}, {"Retry-After": "2"}),
            Reply(200, order_json(request())),
        )
        assert isinstance(submit(at, request()), OrderAccepted)
        assert at.naps.taken == [2.0]


@pytest.mark.parametrize(
    ("headers", "paused_s"),
    [
        ({"Retry-After": "40"}, 40.0),
        ({"X-RateLimit-Reset": "1704205840"}, 40.0),
        ({"X-RateLimit-Reset": "1704205700", "Retry-After": "soon"}, 1.0),
        ({}, 1.0),
    ],
)
def test_a_long_pause_is_not(headers: dict[str, str], paused_s: float) -> None:
    """Goal: a pause of over three seconds, or a second 429, ends the call as not taken; the pause
    holds for the calls after it as well.
    """
    with rig() as at:
        at.server.script(POST, Reply(429, {"message": "rate limit exceeded"}, headers))
        with pytest.raises(Throttled):
            submit(at, entry())
        sent = at.server.count(POST)
        assert sent == (1 if paused_s > 3 else 2)
        at.server.script(POST, Reply(200, order_json(entry())))
        if paused_s > 8:
            with pytest.raises(Throttled, match="not sent"):
                submit(at, entry())
            assert at.server.count(POST) == sent
            at.extra_s += paused_s
        assert isinstance(submit(at, entry()), OrderAccepted)


@pytest.mark.parametrize(
    ("of", "word"),
    [
        (request(qty=Decimal("1.5")), "whole shares"),
        (request(stop_price=Decimal("9.505")), "between two ticks"),
        (entry(limit_price=Decimal("0.12345")), "between two ticks"),
    ],
)
def test_what_cannot_be_traded_is_not_sent(of: OrderRequest, word: str) -> None:
    """Goal: fractions of shares and prices off their tick are refused here, in clear words."""
    with rig() as at:
        report = submit(at, of)
        assert isinstance(report, OrderRefused)
        assert report.code == 0
        assert word in report.message
        assert at.server.asked == []
