"""The genuine TradingStream and StockDataStream, run as their own loops would run them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from typing import Any

import pytest
from alpaca.trading.enums import OrderSide, TimeInForce
from alpaca.trading.requests import (
    LimitOrderRequest,
    MarketOrderRequest,
    ReplaceOrderRequest,
    StopOrderRequest,
)
from sdk import Heard, data_stream, running, trade_updates, trading
from serving import FIRST_OPEN, Serving, day, eventually, serving

CLOSES = {"AA": ["10", "10.5", "11", "10.4", "10.4", "10.4"], "BB": ["50"] * 6}


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """What the SDK logs of connections that end is not news here."""
    logging.disable(logging.ERROR)
    yield
    logging.disable(logging.NOTSET)


@pytest.fixture
def exchange() -> Iterator[Serving]:
    """A market that is open; nothing was published yet."""
    with serving(day(CLOSES)) as running_:
        running_.step_to(FIRST_OPEN)
        yield running_


def test_an_order_is_told_from_its_arrival_to_its_fill(exchange: Serving) -> None:
    """Goal: pending_new, new and fill are told in order, with price, quantity and position.
    Method: a stop entry that the second bar triggers.
    """
    heard = Heard()
    with running(trade_updates(exchange, heard)):
        eventually(lambda: exchange.state()["listening"])
        order = trading(exchange).submit_order(
            StopOrderRequest(
                symbol="AA",
                qty=10,
                side=OrderSide.BUY,
                time_in_force=TimeInForce.DAY,
                stop_price=10.4,
            )
        )
        heard.wait(2)
        exchange.step_minutes(3)
        told = heard.wait(3)
    assert [update.event for update in told] == ["pending_new", "new", "fill"]
    assert {update.order.id for update in told} == {order.id}
    fill = told[-1]
    assert (fill.qty, fill.position_qty) == (10.0, 10.0)
    assert fill.price >= 10.4
    assert fill.execution_id is not None


def test_replace_and_cancel_are_told_of_both_orders(exchange: Serving) -> None:
    """Goal: a replacement is `replaced` of the old order and `new` of the new one.
    Method: place, replace, cancel, and compare events by order.
    """
    heard = Heard()
    client = trading(exchange)
    with running(trade_updates(exchange, heard)):
        eventually(lambda: exchange.state()["listening"])
        old = client.submit_order(
            LimitOrderRequest(
                symbol="AA", qty=1, side=OrderSide.BUY, time_in_force=TimeInForce.GTC, limit_price=5
            )
        )
        new = client.replace_order_by_id(old.id, ReplaceOrderRequest(limit_price=6))
        client.cancel_order_by_id(new.id)
        heard.until(lambda update: update.event == "canceled")
    events = {
        order.id: [update.event for update in heard.told if update.order.id == order.id]
        for order in (old, new)
    }
    assert events[old.id][-1] == "replaced"
    assert "new" in events[new.id]
    assert events[new.id][-1] == "canceled"


def test_wrong_keys_are_told_and_refused(exchange: Serving) -> None:
    """Goal: a stream with a wrong secret is told so and never listens.
    Method: let it try twice; the journal shows the answers, never the secret.
    """
    with running(trade_updates(exchange, Heard(), secret="guessed-secret")):
        eventually(
            lambda: [
                entry
                for entry in exchange.journal("frame_out")
                if entry["status"] == "unauthorized"
            ]
        )
        assert exchange.state()["listening"] == 0
    with running(data_stream_of(exchange, Heard(), secret="guessed-secret")):
        eventually(
            lambda: [
                entry
                for entry in exchange.journal("refused_connection")
                if entry.get("code") == 402
            ]
        )
    assert "guessed-secret" not in str(exchange.journal())


def data_stream_of(exchange: Serving, heard: Heard, **words: Any) -> Any:
    """A data stream that wants bars of AA."""
    stream = data_stream(exchange, **words)
    stream.subscribe_bars(heard.hear, "AA")
    return stream


def test_bars_of_the_symbols_wanted(exchange: Serving) -> None:
    """Goal: each minute's bar comes once, after its minute, exact, of the wanted symbol only.
    Method: subscribe to one of two symbols and play four minutes.
    """
    heard = Heard()
    with running(data_stream_of(exchange, heard)):
        eventually(lambda: exchange.state()["subscribers"])
        exchange.step_minutes(4)
        told = heard.wait(4)
    assert [bar.symbol for bar in told] == ["AA"] * 4
    assert [bar.close for bar in told] == [10, 10.5, 11, 10.4]
    assert [bar.timestamp.timestamp() for bar in told] == [FIRST_OPEN + 60 * n for n in range(4)]
    assert told[0].vwap is not None


def test_wildcard_daily_bars_and_unsubscribe(exchange: Serving) -> None:
    """Goal: `*` gives every symbol, daily bars grow, and what is unsubscribed falls silent.
    Method: change the subscription on the running stream in its own loop.
    """
    bars, days = Heard(), Heard()
    stream = data_stream(exchange)
    stream.subscribe_bars(bars.hear, "*")
    stream.subscribe_daily_bars(days.hear, "AA")
    with running(stream) as loop:
        eventually(lambda: exchange.state()["subscribers"])
        exchange.step_minutes(2)
        told = bars.wait(4)
        assert {bar.symbol for bar in told} == {"AA", "BB"}
        grown = days.wait(2)[-1]
        assert (grown.open, grown.high, grown.close, grown.volume) == (10, 10.5, 10.5, 2000)
        asyncio.run_coroutine_threadsafe(stream._send_unsubscribe_msg("bars", ["*"]), loop)
        eventually(lambda: not exchange.state()["subscribers"])
        exchange.step_minutes(2)
        days.wait(4)
    assert len(bars) == 4


def test_one_connection_to_a_feed(exchange: Serving) -> None:
    """Goal: a second connection is refused with 406 and gets in once the first has gone.
    Method: two SDK streams at the same feed, the first ended.
    """
    first, second = Heard(), Heard()
    with running(data_stream_of(exchange, second)):
        with running(data_stream_of(exchange, first)):
            eventually(
                lambda: [
                    entry
                    for entry in exchange.journal("refused_connection")
                    if entry.get("code") == 406
                ]
            )
        eventually(lambda: exchange.state()["data_connections"] == 1)
        eventually(lambda: exchange.state()["subscribers"] == 1)
        exchange.step_minutes(1)
        eventually(lambda: len(first) + len(second))


def test_a_second_trading_stream_is_turned_away(exchange: Serving) -> None:
    """Goal: the upgrade of a second trade_updates connection is 429.
    Method: two SDK streams; the journal tells of the second.
    """
    with running(trade_updates(exchange, Heard())):
        eventually(lambda: exchange.state()["listening"])
        with running(trade_updates(exchange, Heard())):
            refused = eventually(lambda: exchange.journal("refused_connection"))
        assert refused[0]["status"] == 429


def test_trades_can_be_subscribed_to_and_stay_silent(exchange: Serving) -> None:
    """Goal: channels without data are accepted, those that follow trades come along.
    Method: subscribe to trades and bars, read the acknowledgement in the exchange's journal.
    """
    heard = Heard()
    stream = data_stream_of(exchange, heard)
    stream.subscribe_trades(heard.hear, "AA")
    stream.subscribe_quotes(heard.hear, "AA")
    with running(stream):
        eventually(lambda: exchange.state()["subscribers"])
        exchange.step_minutes(1)
        assert [type(each).__name__ for each in heard.wait(1)] == ["Bar"]


def test_a_market_order_is_told_while_it_is_answered(exchange: Serving) -> None:
    """Goal: the fill of a market order may be told before its POST is answered; both agree.
    Method: buy at market, compare the stream's last update with the order looked up.
    """
    heard = Heard()
    exchange.step_minutes(1)
    client = trading(exchange)
    with running(trade_updates(exchange, heard)):
        eventually(lambda: exchange.state()["listening"])
        order = client.submit_order(
            MarketOrderRequest(
                symbol="AA", qty=3, side=OrderSide.BUY, time_in_force=TimeInForce.DAY
            )
        )
        fill = heard.until(lambda update: update.event == "fill")
    assert fill.order.id == order.id
    assert fill.order.filled_avg_price == client.get_order_by_id(order.id).filled_avg_price


def standing(client: Any) -> Any:
    """The clock if it has not moved between two readings, else None."""
    first, second = client.get_clock(), client.get_clock()
    return second if first.timestamp == second.timestamp else None


def test_time_stands_until_somebody_wants_bars() -> None:
    """Goal: an exchange that waits for clients goes to the open once its clock is read, and stands
    there until the first one has subscribed; then every minute's bar comes. Method: at 6000 times
    real time.
    """
    heard = Heard()
    with serving(day(CLOSES), speed=6000, waits_for_clients=True) as exchange:
        client = trading(exchange)
        assert not client.get_clock().is_open
        before = eventually(lambda: standing(client))
        with running(data_stream_of(exchange, heard)):
            told = heard.wait(6)
        assert [bar.close for bar in told] == [10, 10.5, 11, 10.4, 10.4, 10.4]
        assert client.get_clock().timestamp > before.timestamp
