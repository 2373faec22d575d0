"""The protocol of both streams, frame by frame, over plain WebSockets."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from typing import Any

import msgpack
import pytest
from raw import bars_wire, data_wire, trade_wire, updates_wire
from sdk import trading
from serving import FIRST_OPEN, Serving, day, eventually, serving
from websockets.exceptions import ConnectionClosed, InvalidStatus

CLOSES = {"AA": ["10", "10.5", "11"], "BB": ["50"] * 3}
LIMIT = {
    "symbol": "AA", "qty": "1", "side": "buy", "type": "limit", "limit_price": "5",
    "time_in_force": "gtc",
}  # fmt: skip


@pytest.fixture
def exchange() -> Iterator[Serving]:
    """A market that has just opened."""
    with serving(day(CLOSES), symbols_most=2) as running:
        running.step_to(FIRST_OPEN)
        yield running


# -- trading stream --


@pytest.mark.parametrize("packed", [False, True], ids=["json", "msgpack"])
def test_updates_are_binary_frames(exchange: Serving, packed: bool) -> None:
    """Goal: frames are binary; they hold JSON, or MessagePack for those who ask for it.
    Method: listen, place an order, look at the frame and read it.
    """
    with updates_wire(exchange, packed=packed) as wire:
        order = trading(exchange).post("/orders", LIMIT)
        frame = wire.frame()
        assert isinstance(frame, bytes)
        assert frame.startswith(b"{") is not packed
        update = wire.read()
    assert update["stream"] == "trade_updates"
    assert update["data"]["order"]["id"] == order["id"]
    assert update["data"]["event"] == "new"
    assert "cancel_requested_at" in update["data"]["order"]


@pytest.mark.parametrize(
    "words",
    [
        {"action": "authenticate", "data": {"key_id": "test-key", "secret_key": "{secret}"}},
        {"action": "auth", "key": "test-key", "secret": "{secret}"},
    ],
    ids=["old", "new"],
)
def test_both_spellings_of_authentication(exchange: Serving, words: dict[str, Any]) -> None:
    """Goal: either spelling lets a client in, and a wrong secret does not.
    Method: first wrong, then right on the same connection.
    """
    right = json.loads(json.dumps(words).replace("{secret}", exchange.secret))
    with trade_wire(exchange) as wire:
        wire.say(**words)
        assert wire.read() == {
            "stream": "authorization",
            "data": {"status": "unauthorized", "action": "authenticate"},
        }
        wire.say(**right)
        assert wire.read()["data"]["status"] == "authorized"


def test_listening_needs_authentication_and_knows_one_stream(exchange: Serving) -> None:
    """Goal: listen before authentication is refused by name; unknown streams are left out; an
    empty list ends it; what is not understood is an error frame.
    Method: say each in turn and read the answers.
    """
    with trade_wire(exchange) as wire:
        wire.say(action="listen", data={"streams": ["trade_updates"]})
        assert wire.read()["data"] == {"status": "unauthorized", "action": "listen"}
        wire.say(action="auth", key=exchange.key_id, secret=exchange.secret)
        wire.read()
        wire.say(action="listen", data={"streams": ["trade_updates", "account_updates"]})
        assert wire.read() == {"stream": "listening", "data": {"streams": ["trade_updates"]}}
        assert exchange.state()["listening"] == 1
        wire.say(action="listen", data={"streams": []})
        assert wire.read()["data"] == {"streams": []}
        assert exchange.state()["listening"] == 0
        wire.socket.send("no json")
        assert wire.read()["action"] == "error"
        wire.say(action="dance")
        assert wire.read()["data"]["error_message"] == "unknown action"


def test_nothing_is_told_again(exchange: Serving) -> None:
    """Goal: what happened while nobody listened is not sent later.
    Method: an order before the connection, another after it; only the second is told.
    """
    trading(exchange).post("/orders", LIMIT)
    with updates_wire(exchange) as wire:
        later = trading(exchange).post("/orders", {**LIMIT, "limit_price": "6"})
        assert wire.read()["data"]["order"]["id"] == later["id"]


def test_a_second_upgrade_is_429(exchange: Serving) -> None:
    """Goal: one connection to the trading stream at a time; its place is free once it is gone.
    Method: two connections, then one after the first has closed.
    """
    with updates_wire(exchange):
        with pytest.raises(InvalidStatus) as refused, trade_wire(exchange):
            pass
        assert refused.value.response.status_code == 429
    eventually(lambda: exchange.state()["trade_connections"] == 0)
    with updates_wire(exchange):
        assert exchange.state()["listening"] == 1


# -- data stream --


def test_subscriptions_add_up_and_are_told_whole(exchange: Serving) -> None:
    """Goal: subscribe adds, unsubscribe takes away, the answer is always the whole list.
    Method: say three things and compare the acknowledgements.
    """
    with data_wire(exchange) as wire:
        wire.read()
        wire.say(action="auth", key=exchange.key_id, secret=exchange.secret)
        wire.read()
        wire.say(action="subscribe", bars=["BB"], trades=["BB"])
        assert wire.read() == [
            {
                "T": "subscription", "trades": ["BB"], "quotes": [], "bars": ["BB"],
                "updatedBars": [], "dailyBars": [], "statuses": [], "lulds": [],
                "corrections": ["BB"], "cancelErrors": ["BB"],
            }
        ]  # fmt: skip
        wire.say(action="subscribe", bars=["AA"])
        assert wire.read()[0]["bars"] == ["AA", "BB"]
        wire.say(action="unsubscribe", bars=["BB"], trades=["BB"])
        left = wire.read()[0]
        assert (left["bars"], left["trades"], left["cancelErrors"]) == (["AA"], [], [])


def test_header_keys_authenticate(exchange: Serving) -> None:
    """Goal: keys in the upgrade's headers need no auth message; wrong ones are 402 and the end.
    Method: connect with APCA headers and with Basic.
    """
    right = {"APCA-API-KEY-ID": exchange.key_id, "APCA-API-SECRET-KEY": exchange.secret}
    with data_wire(exchange, headers=right) as wire:
        assert [wire.read()[0]["msg"] for _ in range(2)] == ["connected", "authenticated"]
    basic = base64.b64encode(f"{exchange.key_id}:wrong".encode()).decode()
    with data_wire(exchange, headers={"Authorization": f"Basic {basic}"}) as wire:
        wire.read()
        assert wire.read() == [{"T": "error", "code": 402, "msg": "auth failed"}]
        with pytest.raises(ConnectionClosed):
            wire.read()


def test_errors_by_number(exchange: Serving) -> None:
    """Goal: each mistake has its documented code and leaves the subscriptions as they were.
    Method: make them one after the other on one connection.
    """
    with data_wire(exchange) as wire:
        wire.read()
        wire.say(action="subscribe", bars=["AA"])
        assert wire.read()[0]["code"] == 401
        wire.say(action="auth", key=exchange.key_id, secret=exchange.secret)
        wire.read()
        wire.say(action="auth", key=exchange.key_id, secret=exchange.secret)
        assert wire.read()[0]["code"] == 403
        wire.say(action="jump")
        assert wire.read()[0]["code"] == 400
        wire.say(action="subscribe", bars="AA")
        assert wire.read()[0]["code"] == 400
        wire.say(action="subscribe", bars=["AA", "BB", "CC"])
        assert wire.read() == [{"T": "error", "code": 405, "msg": "symbol limit exceeded"}]
        wire.say(action="subscribe", bars=["AA"])
        assert wire.read()[0]["bars"] == ["AA"]


def test_those_who_stay_silent_are_sent_away() -> None:
    """Goal: a client that does not authenticate in time is told 404 and closed.
    Method: an exchange that waits a tenth of a second.
    """
    with serving(day(CLOSES), auth_wait_s=0.1) as exchange, data_wire(exchange) as wire:
        wire.read()
        assert wire.read() == [{"T": "error", "code": 404, "msg": "auth timeout"}]
        with pytest.raises(ConnectionClosed):
            wire.read()


def test_fragmented_messages_are_put_together(exchange: Serving) -> None:
    """Goal: a subscription that comes in fragments, as the SDK sends it, is understood.
    Method: send one message in three frames.
    """
    with bars_wire(exchange, "AA", packed=True) as wire:
        message = msgpack.packb({"bars": ["BB"], "action": "subscribe"})
        wire.socket.send([message[:5], message[5:9], message[9:]])
        assert wire.read()[0]["bars"] == ["AA", "BB"]


@pytest.mark.parametrize("packed", [False, True], ids=["json", "msgpack"])
def test_a_minutes_bars_are_one_frame(exchange: Serving, packed: bool) -> None:
    """Goal: the bars of a minute come together, by symbol, exact, with time as the format has it.
    Method: two symbols in JSON text and in MessagePack.
    """
    with bars_wire(exchange, packed=packed) as wire:
        exchange.step_minutes(2)
        frame = wire.frame()
        assert isinstance(frame, bytes) is packed
        bars = wire.read()
    assert [bar["S"] for bar in bars] == ["AA", "BB"]
    assert [bar["T"] for bar in bars] == ["b", "b"]
    assert (bars[0]["o"], bars[0]["c"], bars[0]["v"]) == (10.0, 10.5, 1000)
    if packed:
        assert bars[0]["t"] == msgpack.Timestamp(FIRST_OPEN + 60, 0)
    else:
        assert bars[0]["t"] == "2024-01-02T14:31:00Z"


def test_feeds_are_counted_apart(exchange: Serving) -> None:
    """Goal: IEX and SIP have a connection each.
    Method: connect to both at once.
    """
    with bars_wire(exchange, "AA"):
        other = exchange.urls.data_stream.replace("/iex", "/sip")
        exchange.urls = type(exchange.urls)(
            trading=exchange.urls.trading,
            data=exchange.urls.data,
            trade_stream=exchange.urls.trade_stream,
            data_stream=other,
        )
        with bars_wire(exchange, "AA"):
            assert exchange.state()["subscribers"] == 2
