"""Account, positions, assets, activities, clock and calendar through the genuine TradingClient."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest
from alpaca.common.exceptions import APIError
from alpaca.trading.enums import AccountStatus, OrderSide, PositionSide, TimeInForce
from alpaca.trading.requests import (
    ClosePositionRequest,
    GetCalendarRequest,
    GetPortfolioHistoryRequest,
    LimitOrderRequest,
    MarketOrderRequest,
)
from sdk import trading
from serving import FIRST_OPEN, Serving, day, serving

CLOSES = {"AA": ["10", "10.5", "11", "10.4", "10.4"], "BB": ["50"] * 5}


@pytest.fixture
def exchange() -> Iterator[Serving]:
    """A market whose first minute is over."""
    with serving(day(CLOSES) + day({"AA": ["11"]}, 1)) as running:
        running.step_to(FIRST_OPEN + 60)
        yield running


@pytest.fixture
def client(exchange: Serving) -> Any:
    """The SDK's client of this account."""
    return trading(exchange)


def trade(client: Any, symbol: str, qty: int, side: OrderSide = OrderSide.BUY) -> Any:
    """A market order that fills at once."""
    return client.submit_order(
        MarketOrderRequest(symbol=symbol, qty=qty, side=side, time_in_force=TimeInForce.DAY)
    )


def test_account_follows_what_is_traded(client: Any) -> None:
    """Goal: cash, equity and buying power are those of the trades, and no PDT field is there.
    Method: buy 100 shares at 10 and compare before and after.
    """
    before = client.get_account()
    assert (before.status, before.account_number) == (AccountStatus.ACTIVE, "PA0TEST")
    assert before.cash == before.equity == "25000"
    trade(client, "AA", 100)
    after = client.get_account()
    assert after.id == before.id
    assert Decimal(after.cash) == Decimal(25000) - 100 * Decimal(
        client.get_open_position("AA").avg_entry_price
    )
    assert Decimal(after.buying_power) < Decimal(before.buying_power)
    raw = client.get("/account")
    assert "pattern_day_trader" not in raw
    assert "daytrade_count" not in raw
    assert client.get_account_configurations().no_shorting is False


def test_positions_long_and_short(client: Any) -> None:
    """Goal: positions show side and signed quantity, by symbol and by asset id.
    Method: buy one stock, sell another short, list and look up.
    """
    trade(client, "AA", 10)
    trade(client, "BB", 4, OrderSide.SELL)
    long, short = client.get_all_positions()
    assert (long.symbol, long.side, long.qty) == ("AA", PositionSide.LONG, "10")
    assert (short.symbol, short.side, short.qty) == ("BB", PositionSide.SHORT, "-4")
    assert client.get_open_position(str(short.asset_id)).symbol == "BB"
    with pytest.raises(APIError) as missing:
        client.get_open_position("ZZ")
    assert (missing.value.status_code, missing.value.code) == (404, 40410000)
    assert missing.value.message == "position does not exist"


def test_positions_are_closed_in_part_and_whole(client: Any) -> None:
    """Goal: DELETE of a position sells a number, a percentage, or all of it.
    Method: hold 10, sell 4, then half of the rest, then all.
    """
    trade(client, "AA", 10)
    client.close_position("AA", ClosePositionRequest(qty="4"))
    assert client.get_open_position("AA").qty == "6"
    client.close_position("AA", ClosePositionRequest(percentage="50"))
    assert client.get_open_position("AA").qty == "3"
    assert client.close_position("AA").side is OrderSide.SELL
    assert client.get_all_positions() == []


def test_all_positions_are_closed_and_orders_canceled(client: Any) -> None:
    """Goal: the SDK's capitalised boolean cancels the orders before everything is sold.
    Method: two positions and a resting order, then close_all_positions(cancel_orders=True).
    """
    trade(client, "AA", 10)
    trade(client, "BB", 2)
    client.submit_order(
        LimitOrderRequest(symbol="AA", qty=10, side="sell", time_in_force="gtc", limit_price=20)
    )
    rows = client.close_all_positions(cancel_orders=True)
    assert {row.symbol: row.status for row in rows} == {"AA": 200, "BB": 200}
    assert client.get_all_positions() == []
    assert client.get_orders() == []


def test_assets(client: Any) -> None:
    """Goal: the stocks of the bars are assets, others are not.
    Method: list, look up by symbol and id, and ask for one that is not there.
    """
    assets = client.get_all_assets()
    assert [asset.symbol for asset in assets] == ["AA", "BB"]
    assert client.get_asset("AA").id == client.get_asset(str(assets[0].id)).id
    assert all(asset.tradable and not asset.fractionable for asset in assets)
    with pytest.raises(APIError) as missing:
        client.get_asset("ZZ")
    assert (missing.value.status_code, missing.value.code) == (404, 40410000)


def test_activities_by_page(client: Any) -> None:
    """Goal: FILL rows come once each, whatever the page size and direction.
    Method: seven fills, pages of three in both directions, and a type that has none.
    """
    orders = [str(trade(client, "AA", 1).id) for _ in range(7)]
    for direction, expected in (("asc", orders), ("desc", orders[::-1])):
        rows: list[Any] = []
        while True:
            words = {"page_size": "3", "direction": direction}
            if rows:
                words["page_token"] = rows[-1]["id"]
            page = client.get("/account/activities/FILL", words)
            rows += page
            if len(page) < 3:
                break
        assert [row["order_id"] for row in rows] == expected
    assert {row["cum_qty"] for row in rows} == {"1"}
    assert client.get("/account/activities", {"activity_types": "DIV"}) == []
    on_day = client.get("/account/activities/FILL", {"date": "2024-01-02"})
    assert len(on_day) == 7
    with pytest.raises(APIError) as refused:
        client.get("/account/activities/oops")
    assert refused.value.message == "invalid activity type: oops"


def test_portfolio_history_is_there(client: Any) -> None:
    """Goal: the SDK parses the portfolio's history, which ends with the equity of now.
    Method: ask with the request's default words.
    """
    history = client.get_portfolio_history(GetPortfolioHistoryRequest())
    assert history.equity[-1] == 25000
    assert history.timeframe == "1D"


def test_clock_is_virtual(exchange: Serving, client: Any) -> None:
    """Goal: the clock tells virtual time, in New York's offset, and the next open and close.
    Method: read it in the session and, played on, after the close.
    """
    clock = client.get_clock()
    assert clock.is_open
    assert clock.timestamp == datetime.fromtimestamp(FIRST_OPEN + 60, UTC)
    assert clock.timestamp.utcoffset() == timedelta(hours=-5)
    assert clock.next_close == datetime(2024, 1, 2, 21, 0, tzinfo=UTC)
    assert clock.next_open == datetime(2024, 1, 3, 14, 30, tzinfo=UTC)
    exchange.step_minutes(400)
    clock = client.get_clock()
    assert not clock.is_open
    assert clock.next_close == datetime(2024, 1, 3, 21, 0, tzinfo=UTC)


def test_calendar_knows_half_days_and_weekends(client: Any) -> None:
    """Goal: the calendar lists sessions only, with their hours.
    Method: ask for a week, by dates as the SDK sends them.
    """
    days = client.get_calendar(GetCalendarRequest(start=date(2024, 1, 3), end=date(2024, 1, 8)))
    assert [(row.date.day, row.close.hour) for row in days] == [(3, 16), (4, 13), (5, 16), (8, 16)]
    row = client.get("/calendar", {"start": "2024-01-04", "end": "2024-01-04"})[0]
    assert row == {
        "date": "2024-01-04",
        "open": "09:30",
        "close": "13:00",
        "session_open": "0400",
        "session_close": "2000",
        "settlement_date": "2024-01-05",
    }


@pytest.mark.parametrize(
    ("headers", "http", "message"),
    [
        ({}, 401, "unauthorized."),
        ({"APCA-API-KEY-ID": "test-key", "APCA-API-SECRET-KEY": "wrong"}, 403, "forbidden."),
    ],
)
def test_wrong_keys(
    exchange: Serving, client: Any, headers: dict[str, str], http: int, message: str
) -> None:
    """Goal: no keys are 401, wrong keys are 403 without a code, and nothing is carried out.
    Method: send an order through the SDK's own session with other headers.
    """
    body = {"symbol": "AA", "qty": "1", "side": "buy", "type": "market", "time_in_force": "day"}
    url = f"{exchange.urls.trading}/v2/orders"
    answer = client._session.post(url, json=body, headers=headers)
    assert (answer.status_code, answer.json()) == (http, {"message": message})
    assert client.get_all_positions() == []
    with pytest.raises(APIError) as refused:
        trading(exchange, secret=str(uuid4())).get_account()
    assert refused.value.status_code == 403


def test_rate_limit_is_told_before_and_at_its_end() -> None:
    """Goal: headers count down, the request beyond the limit is 429, and a new minute is free.
    Method: four requests where three are allowed, then a step of virtual time.
    """
    with serving(day(CLOSES), rate=3) as exchange:
        client = trading(exchange)
        told: list[Any] = []
        client._session.hooks["response"] = [lambda answer, **_: told.append(answer)]
        for _ in range(3):
            client.get_clock()
        with pytest.raises(APIError) as refused:
            client.get_clock()
        assert refused.value.status_code == 429
        assert refused.value.message == "rate limit exceeded"
        remaining = [answer.headers["X-RateLimit-Remaining"] for answer in told]
        assert remaining == ["2", "1", "0", "0"]
        assert {answer.headers["X-RateLimit-Limit"] for answer in told} == {"3"}
        assert int(told[-1].headers["X-RateLimit-Reset"]) > exchange.now
        assert len({answer.headers["X-Request-ID"] for answer in told}) == 4
        exchange.step_to(FIRST_OPEN + 60)
        assert client.get_clock().is_open
