"""Account, positions, assets, activities and listings; what a fault script does to an account."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from desk_kit import CLOSE, DAY_S, OPEN, bar, body, refused, told

from algo_trader.venue.costs import Costs


def picked(row: dict[str, Any], *names: str) -> tuple[Any, ...]:
    return tuple(row[name] for name in names)


def test_a_long_position_in_figures() -> None:
    """Goal: every figure of a position bought today and kept over night. Method: buy 10 at 10, the
    price goes to 11, the night, then 12."""
    account = told()
    account.submit("buy", "market")
    account.play(1, "10 11 10 11")
    (row,) = account.desk.positions()
    names = ("qty", "side", "avg_entry_price", "market_value", "cost_basis", "unrealized_pl")
    assert picked(row, *names) == ("10", "long", "10", "110", "100", "10")
    intraday = ("unrealized_plpc", "unrealized_intraday_pl", "current_price", "qty_available")
    assert picked(row, *intraday) == ("0.1", "10", "11", "10")
    account.desk.end_session(CLOSE)
    account.desk.match(bar(24 * 60, "11 12 11 12"), OPEN + DAY_S + 30)
    row = account.desk.position(row["asset_id"])
    later = ("unrealized_pl", "unrealized_intraday_pl", "lastday_price", "change_today")
    assert picked(row, *later) == ("20", "10", "11", "0.09090909")


def test_a_short_position_is_negative() -> None:
    """Goal: signs of a short position. Method: sell 10 at 10, the price goes to 11."""
    account = told()
    account.submit("sell", "market")
    account.play(1, "10 11 10 11")
    (row,) = account.desk.positions()
    names = ("qty", "side", "market_value", "unrealized_pl", "unrealized_plpc", "qty_available")
    assert picked(row, *names) == ("-10", "short", "-110", "-10", "-0.1", "-10")
    shown = account.desk.account()
    assert picked(shown, "cash", "equity", "short_market_value") == ("10100", "9990", "-110")


def test_the_account_in_figures() -> None:
    """Goal: cash, equity and buying power with an order resting; nothing of day-trading rules.

    Method: shares, a resting buy, a commission.
    """
    account = told(costs=Costs(slippage_per_share=Decimal(0), commission_per_order=Decimal(1)))
    account.submit("buy", "market")
    account.submit("buy", "limit", 10, limit_price="9")
    shown = account.desk.account()
    assert picked(shown, "cash", "equity", "buying_power") == ("9899", "9999", "9809")
    names = ("status", "multiplier", "account_number", "trading_blocked")
    assert picked(shown, *names) == ("ACTIVE", "1", "PA1", False)
    assert shown["last_equity"] == "10000"
    gone = {"pattern_day_trader", "daytrade_count", "daytrading_buying_power"}
    assert not gone & set(shown)
    account.desk.end_session(CLOSE)
    assert account.desk.account()["last_equity"] == "9999"


def test_positions_and_assets_that_are_not_there() -> None:
    """Goal: 404 in Alpaca's words. Method: no position, an unknown symbol."""
    account = told()
    with refused(404, 40410000, "position does not exist"):
        account.desk.position("AA")
    with refused(404, 40410000, "asset not found for ZZ"):
        account.desk.asset("ZZ")
    assert [row["symbol"] for row in account.desk.assets()] == ["AA", "BB"]
    row = account.desk.assets()[0]
    assert account.desk.asset(row["id"]) == row


@pytest.mark.parametrize(
    ("asked", "left"),
    [({}, 0), ({"qty": "4"}, 6), ({"percentage": "50"}, 5), ({"percentage": "33"}, 7)],
)
def test_closing_a_position(asked: dict[str, str], left: int) -> None:
    """Goal: a market order for the whole, a quantity, or a share in whole shares. Method: a table.
    """
    account = told()
    account.submit("buy", "market")
    order = account.desk.close_position("AA", account.now, **asked)
    assert picked(order, "type", "side", "time_in_force") == ("market", "sell", "day")
    assert account.position() == left


def test_closing_what_cannot_be_closed() -> None:
    """Goal: each refusal. Method: no position, shares that a stop holds, both figures."""
    account = told()
    with refused(404, 40410000, "position does not exist"):
        account.desk.close_position("AA", account.now)
    account.submit("buy", "market")
    with refused(422, 40010001, "only one of qty and percentage may be given"):
        account.desk.close_position("AA", account.now, qty="1", percentage="1")
    account.submit("sell", "stop", lasts="gtc", stop_price="9")
    (row,) = account.desk.close_all_positions(account.now)
    assert (row["symbol"], row["status"], row["body"]["available"]) == ("AA", 403, "0")
    (row,) = account.desk.close_all_positions(account.now, cancel_orders=True)
    assert (row["status"], row["body"]["qty"]) == (200, "10")
    assert account.desk.positions() == []
    assert account.desk.orders() == []


def test_closing_a_short_position_buys() -> None:
    """Goal: the mirror image. Method: short 10, close."""
    account = told()
    account.submit("sell", "market")
    assert account.desk.close_position("AA", account.now)["side"] == "buy"
    assert account.position() == 0


# -- activities and listings --


def test_fills_are_activities_with_new_york_ids() -> None:
    """Goal: rows with cumulative and remaining quantity, ids by New York's local time.

    Method: two partial fills of one order at 14:31:30 and 14:32:30 UTC.
    """
    account = told(partial_fill_pct=100)
    order = account.submit("buy", "limit", 3, limit_price="9")
    account.play(1, "9 9 9 9")
    account.play(2, "8 8 8 8")
    last, first = account.desk.activities()
    assert first["id"].startswith("20240102093130000::")
    names = ("activity_type", "type", "price", "qty", "cum_qty", "leaves_qty", "order_id")
    assert picked(first, *names) == ("FILL", "partial_fill", "9", "1", "1", "2", order["id"])
    assert picked(last, "type", "price", "cum_qty", "leaves_qty") == ("partial_fill", "8", "2", "1")
    assert first["transaction_time"] == "2024-01-02T14:31:30Z"
    assert "client_order_id" not in first


def test_activities_by_page_both_ways() -> None:
    """Goal: every row exactly once, whatever the page size. Method: seven fills, pages of three."""
    account = told()
    for _ in range(7):
        account.now += 1
        account.submit("buy", "market", 1)
    for direction in ("asc", "desc"):
        whole = account.desk.activities(direction=direction)
        seen: list[dict[str, Any]] = []
        token = None
        while rows := account.desk.activities(
            types=["FILL"], direction=direction, page_size=3, page_token=token
        ):
            seen += rows
            token = rows[-1]["id"]
        assert seen == whole
        times = [row["transaction_time"] for row in whole]
        assert times == sorted(times, reverse=direction == "desc")
    assert len(account.desk.activities(after=account.now - 2)) == 2
    assert len(account.desk.activities(until=account.now - 2)) == 4
    assert len(account.desk.activities(date="2024-01-02")) == 7
    assert account.desk.activities(date="2024-01-03") == []
    assert account.desk.activities(types=["DIV"]) == []
    with refused(422, 40010001, "invalid page_token: x"):
        account.desk.activities(page_token="x")


def test_listings() -> None:
    """Goal: status, time, side, symbol, ids and order all narrow as documented. Method: four orders
    a second apart, one canceled."""
    account = told()
    orders = []
    for number in range(4):
        account.now = OPEN + 100.0 + number
        terms = body("buy", "limit", 1, limit_price="9")
        symbol = "BB" if number == 3 else "AA"
        orders.append(account.desk.submit({**terms, "symbol": symbol}, account.now))
    account.desk.cancel(orders[0]["id"], account.now)

    def numbers(**asked: Any) -> list[int]:
        ids = [order["id"] for order in orders]
        return [ids.index(row["id"]) for row in account.desk.orders(**asked)]

    assert numbers() == [3, 2, 1]
    assert numbers(status="closed") == [0]
    assert numbers(status="all", direction="asc") == [0, 1, 2, 3]
    assert numbers(limit=1) == [3]
    assert numbers(symbols=["BB"]) == [3]
    assert numbers(side="sell") == []
    assert numbers(after=OPEN + 101.0, until=OPEN + 103.0) == [2]
    assert numbers(status="all", after_order_id=orders[1]["id"]) == [3, 2]
    assert numbers(status="all", before_order_id=orders[1]["id"]) == [0]


# -- what a fault script does --


def test_a_rejection_and_an_expiry_by_hand() -> None:
    """Goal: an accepted order ends otherwise than anybody asked for. Method: one of each."""
    account = told()
    first, second = [account.submit("buy", "limit", 1, limit_price="9") for _ in range(2)]
    account.updates.clear()
    account.desk.reject(first["id"], account.now, "no borrow")
    assert account.updates[0]["reason"] == "no borrow"
    assert account.desk.order(first["id"])["failed_at"] is not None
    account.desk.expire(second["id"], account.now)
    assert account.events() == ["rejected limit rejected", "expired limit expired"]
    with refused(422, 42210000, 'order is already in "rejected" state'):
        account.desk.reject(first["id"], account.now, "again")


def test_a_fill_after_the_cancel_and_one_too_large() -> None:
    """Goal: late fills and overfills are booked and told. Method: fill a canceled order in part,
    another beyond its size."""
    account = told()
    order = account.submit("buy", "limit", limit_price="9")
    account.desk.cancel(order["id"], account.now)
    account.events()
    account.desk.fill(order["id"], "4", "9", account.now)
    assert account.events() == ["partial_fill limit canceled"]
    assert account.position() == 4
    over = account.submit("buy", "limit", limit_price="9")
    account.events()
    account.desk.fill(over["id"], "12", "9", account.now)
    assert account.events() == ["fill limit filled", "fill limit filled"]
    assert account.desk.order(over["id"])["filled_qty"] == "12"
    assert account.position() == 16
    assert account.desk.account()["cash"] == str(10_000 - 16 * 9)


def test_a_bust_and_a_correction() -> None:
    """Goal: cash, position and order follow, and the update names the execution before.

    Method: correct a fill's price, then bust it.
    """
    account = told()
    order = account.submit("buy", "market")
    first = account.updates[-1]["execution_id"]
    account.desk.correct(first, "10", "11", account.now)
    update = account.updates[-1]
    assert picked(update, "event", "price", "qty") == ("trade_correct", "11", "10")
    assert update["previous_execution_id"] == first
    assert account.desk.account()["cash"] == "9890"
    assert account.desk.activities()[0]["price"] == "11"
    account.desk.bust(update["execution_id"], account.now)
    assert picked(account.updates[-1], "event", "position_qty") == ("trade_bust", "0")
    assert account.desk.account()["cash"] == "10000"
    assert account.desk.activities() == []
    assert account.desk.order(order["id"])["filled_qty"] == "0"
    with refused(404, 40410000, f"execution not found for {first}"):
        account.desk.bust(first, account.now)


def test_an_order_with_a_bust_can_be_canceled() -> None:
    """Goal: no order waits for its cancel for ever. Method: a part of it is filled and taken back,
    the rest is filled, so that it is not whole and nothing of it rests.
    """
    account = told()
    order = account.submit("buy", "limit", limit_price="9")
    account.desk.fill(order["id"], "4", "9", account.now)
    account.desk.bust(account.updates[-1]["execution_id"], account.now)
    account.desk.fill(order["id"], "6", "9", account.now)
    assert account.desk.order(order["id"])["filled_qty"] == "6"
    account.desk.cancel(order["id"], account.now)
    assert account.status(order) == "canceled"


def test_a_blocked_account_takes_no_orders() -> None:
    """Goal: 403 with the reason, the account says so, and it ends. Method: block, then not."""
    account = told()
    account.desk.block("account is restricted to liquidation only")
    with refused(403, 40310000, "account is restricted to liquidation only"):
        account.submit("buy", "market")
    assert account.desk.account()["trading_blocked"] is True
    account.desk.block(None)
    account.submit("buy", "market")
    assert account.position() == 10


def test_a_wiped_account_is_another_one() -> None:
    """Goal: no order, no position, another id, the market goes on. Method: wipe while holding."""
    account = told()
    before = account.desk.account()
    account.submit("buy", "market", client_order_id="one")
    account.desk.wipe("PA2", Decimal(500))
    shown = account.desk.account()
    assert picked(shown, "account_number", "cash", "equity") == ("PA2", "500", "500")
    assert shown["id"] != before["id"]
    assert account.desk.positions() == account.desk.orders(status="all") == []
    account.submit("buy", "market", 1, client_order_id="one")
    assert account.position() == 1


def test_a_foreign_order_has_any_name() -> None:
    """Goal: an order that no client of ours sent, under a name like ours or one of the broker's
    making. Method: both."""
    account = told()
    ours = account.desk.foreign_order(body("buy", "market", client_order_id="ours"), account.now)
    other = account.desk.foreign_order(body("buy", "market"), account.now)
    assert ours["client_order_id"] == "ours"
    assert len(other["client_order_id"]) == 36
    assert account.position() == 20
