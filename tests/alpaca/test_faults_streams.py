"""What a fault script does to both streams, frame by frame and as the genuine SDK meets it."""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Iterator
from typing import Any

import pytest
from raw import Wire, bars_wire, data_wire, trade_wire, updates_wire
from sdk import Heard, data_stream, running, trade_updates, trading
from serving import FIRST_OPEN, Serving, day, eventually, serving
from websockets.exceptions import ConnectionClosed, ConnectionClosedError, InvalidStatus

CLOSES = {"AA": ["10", "10.5", "11", "10.4", "10.4", "10.4"], "BB": ["50"] * 6}
EVENT, BAR = "trade_stream:event", "data_stream:bar"
SILENCE_S = 0.2


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """What the SDK logs of connections that end is not news here."""
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


@pytest.fixture
def exchange() -> Iterator[Serving]:
    """A market that has just opened, and no fault yet."""
    with serving(day(CLOSES)) as running_:
        running_.step_to(FIRST_OPEN)
        yield running_


def place(exchange: Serving, price: str = "5", name: str | None = None) -> Any:
    """A limit order that rests: pending_new and new are told of it."""
    return trading(exchange).post(
        "/orders",
        {"symbol": "AA", "qty": "1", "side": "buy", "type": "limit", "limit_price": price,
         "time_in_force": "gtc", "client_order_id": name},
    )  # fmt: skip


def events(wire: Wire, count: int) -> list[str]:
    """The names of the next events."""
    return [wire.read()["data"]["event"] for _ in range(count)]


def assert_silent(wire: Wire) -> None:
    """Nothing comes."""
    with pytest.raises(TimeoutError):
        wire.frame(SILENCE_S)


def minute(bars: list[Any]) -> list[tuple[str, str]]:
    """Symbol and time of day of each bar."""
    return [(bar["S"], bar["t"][11:16]) for bar in bars]


# -- connecting --


@pytest.mark.parametrize("stream", ["trade", "data"])
@pytest.mark.parametrize("status", [429, 406, 402, 409])
def test_an_upgrade_is_refused(exchange: Serving, stream: str, status: int) -> None:
    """Goal: the upgrade can be answered with any status, once; then the client gets in.
    Method: two connections to each stream.
    """
    exchange.fault(on=f"{stream}_stream:connect", do="refuse_upgrade", status=status)
    connect = trade_wire if stream == "trade" else data_wire
    with pytest.raises(InvalidStatus) as refused, connect(exchange):
        pass
    assert refused.value.response.status_code == status
    with connect(exchange):
        assert exchange.state()[f"{stream}_connections"] == 1


def test_no_welcome_and_no_answer(exchange: Serving) -> None:
    """Goal: a server may say nothing at all after the upgrade, and still answer pings.
    Method: wait for the data stream's welcome and the trading stream's authorization in vain.
    """
    for point in ("data_stream:connect", "trade_stream:connect"):
        exchange.fault(on=point, do="no_welcome")
    with data_wire(exchange) as wire:
        assert_silent(wire)
        assert wire.socket.ping().wait(5)
    with trade_wire(exchange) as wire:
        wire.say(action="auth", key=exchange.key_id, secret=exchange.secret)
        assert_silent(wire)
        assert wire.socket.ping().wait(5)


def test_authentication_goes_wrong(exchange: Serving) -> None:
    """Goal: right keys may be refused or not answered on both streams, the subscription too.
    Method: one fault after the other.
    """
    exchange.fault(on="trade_stream:auth", do="unauthorized")
    with trade_wire(exchange) as wire:
        wire.say(action="auth", key=exchange.key_id, secret=exchange.secret)
        assert wire.read()["data"]["status"] == "unauthorized"
    for code in (402, 406, 409):
        exchange.fault(on="data_stream:auth", do="error", code=code)
        with data_wire(exchange) as wire:
            wire.read()
            wire.say(action="auth", key=exchange.key_id, secret=exchange.secret)
            assert wire.read()[0]["code"] == code
            with pytest.raises(ConnectionClosed):
                wire.read()
    exchange.fault(on="data_stream:auth", do="no_reply")
    exchange.fault(on="data_stream:subscribe", do="error", code=405)
    with data_wire(exchange) as wire:
        wire.read()
        for _ in range(2):
            wire.say(action="auth", key=exchange.key_id, secret=exchange.secret)
        assert wire.read()[0]["msg"] == "authenticated"
        wire.say(action="subscribe", bars=["AA"])
        assert wire.read()[0]["code"] == 405
        wire.say(action="subscribe", bars=["AA"])
        assert wire.read()[0]["bars"] == ["AA"]


# -- trade updates --


def test_events_are_lost_doubled_and_swapped(exchange: Serving) -> None:
    """Goal: an update may not come, come twice, or come after the next one.
    Method: three orders, each with `pending_new` and `new`, met by one fault each.
    """
    with updates_wire(exchange) as wire:
        exchange.fault(on=EVENT, do="drop_event", event="pending_new")
        place(exchange)
        assert events(wire, 1) == ["new"]
        exchange.fault(on=EVENT, do="duplicate", event="new", copies=2)
        place(exchange)
        assert events(wire, 4) == ["pending_new", "new", "new", "new"]
        exchange.fault(on=EVENT, do="reorder", event="pending_new")
        place(exchange)
        assert events(wire, 2) == ["new", "pending_new"]
        exchange.fault(on=EVENT, do="delay", event="pending_new", for_s=0.05)
        place(exchange)
        assert events(wire, 2) == ["new", "pending_new"]


def test_updates_that_are_spoiled(exchange: Serving) -> None:
    """Goal: frames may be broken, too big, or hold words and figures nobody expects.
    Method: one fault an event, frames read as they are.
    """
    with updates_wire(exchange) as wire:
        exchange.fault(on=EVENT, do="malformed_frame")
        exchange.fault(on=EVENT, do="big_frame", nth=2)
        place(exchange)
        with pytest.raises(json.JSONDecodeError):
            wire.read()
        assert len(wire.frame()) > 1024 * 1024
        exchange.fault(on=EVENT, do="unknown_enum")
        exchange.fault(on=EVENT, do="missing_fields", fields=["status", "event.timestamp"], nth=2)
        place(exchange)
        assert wire.read()["data"]["order"]["status"] == "quantum_held"
        bare = wire.read()["data"]
        assert "status" not in bare["order"]
        assert "timestamp" not in bare
        exchange.fault(on=EVENT, do="wrong_echo", set={"event.position_qty": "99", "qty": "7"})
        place(exchange)
        update = wire.read()["data"]
        assert (update["position_qty"], update["order"]["qty"]) == ("99", "7")


def test_the_sdk_loses_an_update_with_an_unknown_word(exchange: Serving) -> None:
    """Goal: the hazard is real: the SDK drops such an update and goes on.
    Method: spoil `new` of one order; its next event arrives.
    """
    heard = Heard()
    exchange.fault(on=EVENT, do="unknown_enum", event="new")
    with running(trade_updates(exchange, heard)):
        eventually(lambda: exchange.state()["listening"])
        order = place(exchange)
        trading(exchange).cancel_order_by_id(order["id"])
        heard.until(lambda update: update.event == "canceled")
    assert "new" not in [update.event for update in heard.told]


@pytest.mark.parametrize(("do", "code"), [("close", 1011), ("reset", 1006)])
def test_a_line_breaks_and_what_happens_meanwhile_is_lost(
    exchange: Serving, do: str, code: int
) -> None:
    """Goal: a connection ends by a closing code or by RST, the event with it.
    Method: break at the first event, connect again, hear only what comes later.
    """
    exchange.fault(on=EVENT, do=do)
    with updates_wire(exchange) as wire:
        place(exchange)
        with pytest.raises(ConnectionClosedError) as ended:
            wire.frame()
        assert (ended.value.rcvd.code if ended.value.rcvd else 1006) == code
    eventually(lambda: exchange.state()["trade_connections"] == 0)
    with updates_wire(exchange) as wire:
        later = place(exchange)
        assert wire.read()["data"]["order"]["id"] == later["id"]


def test_the_sdk_comes_back_after_a_reset(exchange: Serving) -> None:
    """Goal: the genuine stream connects again by itself, and the gap's events are lost.
    Method: break its line by hand, wait until it listens again.
    """
    heard = Heard()
    with running(trade_updates(exchange, heard)):
        eventually(lambda: exchange.state()["listening"])
        exchange.fault(do="reset", stream="trade")
        eventually(lambda: len(exchange.journal("connected")) == 2)
        eventually(lambda: exchange.state()["listening"])
        place(exchange)
        heard.wait(2)


@pytest.mark.parametrize("stream", ["trade", "data"])
def test_mute_with_pongs_and_then_without(exchange: Serving, stream: str) -> None:
    """Goal: a connection may be silent and answer pings, or not even these.
    Method: mute it, ping it, forbid pongs, ping again; end both.
    """
    lines = updates_wire(exchange) if stream == "trade" else bars_wire(exchange)
    with lines as wire:
        exchange.fault(do="mute", stream=stream)
        place(exchange)
        exchange.step_minutes(1)
        assert_silent(wire)
        assert wire.socket.ping().wait(5)
        exchange.fault(do="no_pongs", stream=stream)
        assert not wire.socket.ping().wait(SILENCE_S)
        exchange.fault(do="mute", stream=stream, for_s=0)
        place(exchange)
        exchange.step_minutes(1)
        assert wire.frame()


# -- bars --


def test_bars_are_lost_doubled_late_and_swapped(exchange: Serving) -> None:
    """Goal: a bar may not come, come twice, come minutes later, or after its successor.
    Method: each fault on AA in a minute of its own; BB is never touched.
    """
    exchange.fault(on=BAR, do="drop_bar", symbol="AA", nth=1)
    exchange.fault(on=BAR, do="duplicate_bar", symbol="AA", nth=2)
    exchange.fault(on=BAR, do="late_bar", symbol="AA", nth=3, minutes=2)
    with bars_wire(exchange) as wire:
        exchange.step_minutes(6)
        told = [minute(wire.read()) for _ in range(5)]
    assert told[0] == [("BB", "14:30")]
    assert told[1] == [("AA", "14:31"), ("AA", "14:31"), ("BB", "14:31")]
    assert told[2] == [("BB", "14:32")]
    assert told[3] == [("AA", "14:33"), ("BB", "14:33")]
    assert told[4] == [("AA", "14:32"), ("AA", "14:34"), ("BB", "14:34")]


def test_an_out_of_order_bar_follows_its_successor(exchange: Serving) -> None:
    """Goal: the older bar comes last.
    Method: the first bar of AA is held back for one minute.
    """
    exchange.fault(on=BAR, do="out_of_order_bar", symbol="AA")
    with bars_wire(exchange) as wire:
        exchange.step_minutes(2)
        assert minute(wire.read()) == [("BB", "14:30")]
        assert minute(wire.read()) == [("AA", "14:31"), ("BB", "14:31"), ("AA", "14:30")]


def test_a_dropped_bar_may_be_missing_in_the_history_too(exchange: Serving) -> None:
    """Goal: whether REST has the bar is the script's choice.
    Method: drop the first bar of AA for good and the first of BB from the stream only.
    """
    exchange.fault(on=BAR, do="drop_bar", symbol="AA", history=True)
    exchange.fault(on=BAR, do="drop_bar", symbol="BB")
    exchange.step_minutes(2)
    words = {"symbols": "AA,BB", "timeframe": "1Min", "start": "2024-01-02"}
    bars = trading(exchange).get("/stocks/bars", words)["bars"]
    assert [len(bars[symbol]) for symbol in ("AA", "BB")] == [1, 2]


def test_a_bar_is_corrected_half_a_minute_later(exchange: Serving) -> None:
    """Goal: a corrected bar comes as updatedBars, whole, with the start of the bar it corrects.
    Method: correct the close of the first bar.
    """
    exchange.fault(on=BAR, do="corrected_bar", symbol="AA", set={"close": 9.9, "low": 9.9})
    with bars_wire(exchange, "AA") as wire:
        exchange.step_minutes(2)
        first, correction, second = (wire.read()[0] for _ in range(3))
    assert (first["T"], correction["T"], second["T"]) == ("b", "u", "b")
    assert first["t"] == correction["t"]
    assert (first["c"], correction["c"], correction["l"], correction["h"]) == (10.0, 9.9, 9.9, 10.0)


def test_bars_that_cannot_be(exchange: Serving) -> None:
    """Goal: a bar may hold figures that no market has.
    Method: NaN, a negative price and an open above the high.
    """
    for number, words in enumerate(({"c": math.nan}, {"l": -1}, {"o": 99}), start=1):
        exchange.fault(on=BAR, do="bad_bar", symbol="AA", nth=number, set=words)
    with bars_wire(exchange, "AA") as wire:
        exchange.step_minutes(3)
        first, second, third = (wire.read()[0] for _ in range(3))
    assert math.isnan(first["c"])
    assert second["l"] == -1
    assert third["o"] > third["h"]


def test_the_sdk_loses_what_follows_a_poisoned_message(exchange: Serving) -> None:
    """Goal: the hazard is real: the rest of a batch with one broken message never arrives.
    Method: poison the second minute at AA; its bars are lost, the next minute's are not.
    """
    heard = Heard()
    stream = data_stream(exchange)
    stream.subscribe_bars(heard.hear, "AA", "BB")
    exchange.fault(on=BAR, do="poisoned_batch", symbol="AA", nth=2)
    with running(stream):
        eventually(lambda: exchange.state()["subscribers"])
        for count in (2, 2, 4):
            exchange.step_minutes(1)
            heard.wait(count)
    starts = sorted({bar.timestamp.minute for bar in heard.told})
    assert starts == [30, 32]


def test_frames_that_are_broken_or_too_big(exchange: Serving) -> None:
    """Goal: frames may not be MessagePack, or be beyond a client's limit.
    Method: read them raw.
    """
    exchange.fault(on=BAR, do="malformed_frame", symbol="AA")
    exchange.fault(on=BAR, do="big_frame", symbol="AA", nth=2)
    with bars_wire(exchange, "AA", packed=True) as wire:
        exchange.step_minutes(2)
        with pytest.raises(ValueError, match=r".*"):
            wire.read()
        assert wire.read()[0]["T"] == "b"
        assert len(wire.frame()) > 1024 * 1024


@pytest.mark.parametrize(
    ("words", "code"),
    [({"do": "close", "code": 1011}, 1011), ({"do": "error", "code": 407}, 1000)],
    ids=["close", "slow client"],
)
def test_the_data_stream_ends_in_the_session(
    exchange: Serving, words: dict[str, Any], code: int
) -> None:
    """Goal: the connection ends at a bar, which is lost with it.
    Method: read what comes until the close.
    """
    exchange.fault(on=BAR, **words)
    with bars_wire(exchange, "AA") as wire:
        exchange.step_minutes(1)
        if words["do"] == "error":
            assert wire.read() == [{"T": "error", "code": 407, "msg": "slow client"}]
        with pytest.raises(ConnectionClosed) as ended:
            wire.frame()
    assert ended.value.rcvd is not None
    assert ended.value.rcvd.code == code


def test_a_halt_stops_a_symbol_and_is_told(exchange: Serving) -> None:
    """Goal: in a halt there are no bars and no fills; both its ends are told on `statuses`.
    Method: halt AA under a resting buy order for two minutes.
    """
    order = place(exchange, price="10.4")
    with bars_wire(exchange, "AA") as wire:
        exchange.fault(do="halt_symbol", of="AA", reason="LUDP")
        status = wire.read()[0]
        assert (status["T"], status["S"], status["sc"], status["rc"]) == ("s", "AA", "H", "LUDP")
        exchange.step_minutes(2)
        assert trading(exchange).get_order_by_id(order["id"]).status == "new"
        exchange.fault(do="resume_symbol", of="AA")
        assert wire.read()[0]["sc"] == "T"
        exchange.step_minutes(2)
        assert minute(wire.read()) == [("AA", "14:32")]


def test_faults_of_the_market_come_by_its_own_time() -> None:
    """Goal: things happen at the open, at a minute or at a fill, without a request.
    Method: a block at 09:32, a bust after the first fill, a reset at the open.
    """
    script = [
        {"on": "market:open", "do": "reset", "stream": "data"},
        {"on": "market:minute", "do": "block_account", "after": "09:32"},
        {"on": "market:fill", "do": "bust"},
    ]
    with serving(day(CLOSES), faults=script) as exchange:
        with bars_wire(exchange) as wire:
            exchange.step_to(FIRST_OPEN)
            with pytest.raises(ConnectionClosed):
                wire.frame()
        client = trading(exchange)
        place(exchange, price="20")
        exchange.step_minutes(1)
        assert client.get_all_positions() == []
        assert not client.get_account().trading_blocked
        exchange.step_minutes(1)
        assert client.get_account().trading_blocked
        fired = [entry["do"] for entry in exchange.journal("fault")]
    assert fired == ["reset", "bust", "block_account"]
