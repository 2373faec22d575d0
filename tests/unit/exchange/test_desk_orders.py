"""Simple orders on a desk: their life, the updates told of it, chains of replaces, refusals."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from desk_kit import CLOSE, DAY_S, OPEN, bar, body, refused, told

from algo_trader.exchange.options import DeskOptions, Hold
from algo_trader.venue.costs import Costs

UNKNOWN = "00000000-0000-4000-8000-000000000000"


def test_an_order_is_answered_as_pending_and_told_step_by_step() -> None:
    """Goal: the answer is older than the market's, then pending_new, new, fill in this order.

    Method: a buy stop that the next bar fills, with slippage and a commission.
    """
    account = told(
        costs=Costs(slippage_per_share=Decimal("0.01"), commission_per_order=Decimal(1))
    )
    answer = account.submit("buy", "stop", 10.0, stop_price="10.50", client_order_id="mine")
    assert (answer["status"], answer["filled_qty"], answer["qty"]) == ("pending_new", "0", "10")
    assert account.events() == ["pending_new stop pending_new", "new stop new"]
    assert account.play(1, "10 11 10 10.80")
    (update,) = account.updates
    assert {name: update[name] for name in ("event", "price", "qty", "position_qty")} == {
        "event": "fill",
        "price": "10.51",
        "qty": "10",
        "position_qty": "10",
    }
    order = update["order"]
    assert (order["status"], order["filled_qty"]) == ("filled", "10")
    assert order["filled_avg_price"] == "10.51"
    assert order["filled_at"] == update["timestamp"] == update["at"] == "2024-01-02T14:31:30Z"
    assert account.desk.account()["cash"] == "9893.9"
    assert account.desk.order_by_client_id("mine")["status"] == "filled"


def test_partial_fills_are_told_one_by_one() -> None:
    """Goal: per-execution quantity and price beside cumulative ones. Method: a venue that fills in
    parts, three bars."""
    account = told(partial_fill_pct=100)
    account.submit("buy", "limit", 3, limit_price="9")
    account.events()
    for minute in (1, 2):
        account.play(minute, "9 9 8 9")
    seen = [
        (data["event"], data["qty"], data["order"]["filled_qty"], data["order"]["status"])
        for data in account.updates
    ]
    assert seen == [
        ("partial_fill", "1", "1", "partially_filled"),
        ("partial_fill", "1", "2", "partially_filled"),
    ]
    account.play(3, "8 8 8 8")
    last = account.updates[-1]
    assert (last["event"], last["order"]["filled_qty"]) == ("fill", "3")
    assert Decimal(last["order"]["filled_avg_price"]) == Decimal(26) / 3


def test_updates_have_ids_of_their_own_that_ascend() -> None:
    """Goal: event ids sort as the events came, executions never share an id, two desks agree.

    Method: the same orders on two desks.
    """
    ids = []
    for _ in range(2):
        account = told()
        for _ in range(3):
            account.submit("buy", "market", 1)
        ids.append([(data["event_id"], data["execution_id"]) for data in account.updates])
    assert ids[0] == ids[1]
    assert [event for event, _ in ids[0]] == sorted(event for event, _ in ids[0])
    assert len({execution for _, execution in ids[0]}) == len(ids[0]) == 9


def test_a_cancel_is_asked_for_and_then_done() -> None:
    """Goal: pending_cancel with its stamp, then canceled; a second one is refused.

    Method: cancel a resting order twice, then one that is not here.
    """
    account = told()
    order = account.submit("buy", "limit", limit_price="9")
    account.events()
    account.desk.cancel(order["id"], account.now)
    assert account.updates[0]["order"]["cancel_requested_at"] == "2024-01-02T14:31:00Z"
    assert account.events() == ["pending_cancel limit pending_cancel", "canceled limit canceled"]
    with refused(422, 42210000, 'order is already in "canceled" state'):
        account.desk.cancel(order["id"], account.now)
    with refused(404, 40410000, f"order not found for {UNKNOWN}"):
        account.desk.cancel(UNKNOWN, account.now)


def test_cancel_all_answers_for_each() -> None:
    """Goal: one row for every open order, as the cancel was taken. Method: two orders."""
    account = told()
    orders = [account.submit("buy", "limit", 1, limit_price=price) for price in ("8", "9")]
    rows = account.desk.cancel_all(account.now)
    assert [(row["id"], row["status"], row["body"]["status"]) for row in rows] == [
        (order["id"], 200, "pending_cancel") for order in orders
    ]
    assert account.desk.orders() == []


def test_day_orders_expire_at_the_close_and_gtc_orders_stay() -> None:
    """Goal: the close ends DAY orders and tells it; GTC orders trade on the next day.

    Method: one of each, the close, and a bar of the next session.
    """
    account = told()
    day = account.submit("buy", "limit", 1, limit_price="9")
    gtc = account.submit("buy", "limit", 1, lasts="gtc", limit_price="9")
    assert (day["expires_at"], gtc["expires_at"]) == (
        "2024-01-02T21:00:00Z",
        "2024-04-01T20:15:00Z",
    )
    account.events()
    account.desk.end_session(CLOSE)
    assert account.events() == ["expired limit expired"]
    assert account.desk.order(day["id"])["expired_at"] == "2024-01-02T21:00:00Z"
    account.desk.match(bar(24 * 60, "9 9 9 9"), OPEN + DAY_S + 30)
    assert account.status(gtc) == "filled"


def test_orders_sent_after_the_close_wait_for_the_open() -> None:
    """Goal: accepted, not routed, not replaceable; new at the open and filled at its price.

    Method: a market order in the evening, a replace, the next session's first bar.
    """
    account = told()
    account.now = CLOSE + 100.0
    order = account.submit("buy", "market", 10)
    assert (order["status"], order["expires_at"]) == ("accepted", "2024-01-03T21:00:00Z")
    assert account.events()[-1] == "accepted market accepted"
    with refused(422, 40010001, "unable to replace order, order isn't sent to exchange yet"):
        account.desk.replace(order["id"], {"qty": 5}, account.now)
    account.desk.match(bar(24 * 60, "12 13 11 12.50"), OPEN + DAY_S + 30)
    assert account.events() == ["new market new", "fill market filled"]
    assert account.desk.order(order["id"])["filled_avg_price"] == "12"


def test_the_market_opens_and_closes_by_the_calendar_alone() -> None:
    """Goal: a desk nobody tells of sessions keeps the hours. Method: an order after the close
    without `end_session`."""
    account = told()
    day = account.submit("buy", "limit", 1, limit_price="9")
    account.now = CLOSE + 1.0
    assert account.submit("buy", "limit", 1, limit_price="9")["status"] == "accepted"
    assert account.status(day) == "expired"


# -- replacing --


def test_a_replace_makes_a_chain() -> None:
    """Goal: a new order with new ids, the old created_at, told as pending_replace, replaced, new.

    Method: move a limit twice, by text and by number.
    """
    account = told()
    first = account.submit("buy", "limit", limit_price="9")
    account.events()
    account.now += 5
    second = account.desk.replace(first["id"], {"limit_price": "9.10"}, account.now)
    assert account.events() == [
        "pending_replace limit pending_replace",
        "replaced limit replaced",
        "new limit new",
    ]
    third = account.desk.replace(
        second["id"], {"limit_price": 9.2, "client_order_id": "third"}, account.now
    )
    ends = [account.desk.order(order["id"]) for order in (first, second, third)]
    assert [(end["status"], end["limit_price"]) for end in ends] == [
        ("replaced", "9"),
        ("replaced", "9.1"),
        ("new", "9.2"),
    ]
    assert [end["replaced_by"] for end in ends] == [second["id"], third["id"], None]
    assert [end["replaces"] for end in ends] == [None, first["id"], second["id"]]
    assert len({end["created_at"] for end in ends}) == 1
    assert third["submitted_at"] > first["submitted_at"]
    assert third["client_order_id"] == "third"
    assert [order["id"] for order in account.desk.orders()] == [third["id"]]


@pytest.mark.parametrize(("carries", "shown"), [(True, "4"), (False, "0")])
def test_the_quantity_of_a_replace_is_that_of_the_chain(carries: bool, shown: str) -> None:
    """Goal: shares the old order filled count; only the rest goes to the market.

    Method: fill 4 of 10 by hand, replace with 8, fill the rest.
    """
    account = told(options=DeskOptions(carries_filled_qty=carries))
    old = account.submit("buy", "limit", limit_price="9")
    account.desk.fill(old["id"], "4", "9", account.now)
    with refused(422, 42210000, "unable to replace order, qty must be > filled_qty"):
        account.desk.replace(old["id"], {"qty": "4"}, account.now)
    new = account.desk.replace(old["id"], {"qty": "8"}, account.now)
    assert (new["qty"], new["filled_qty"]) == ("8", shown)
    account.play(1, "9 9 9 9")
    assert account.position() == 8
    end = account.desk.order(new["id"])
    assert (end["status"], end["filled_avg_price"]) == ("filled", "9")


def test_replaces_that_make_no_sense() -> None:
    """Goal: each in Alpaca's words, and the old order stays. Method: a table on one order."""
    account = told()
    order = account.submit("buy", "limit", limit_price="9", client_order_id="used")
    for patch, code, message in (
        ({"stop_price": 11}, 40010001, "limit orders must not have stop_price"),
        ({"trail": 1}, 40010001, "limit orders must not have trail"),
        ({"qty": 1.5}, 42210000, "qty must be an integer"),
        ({"limit_price": "9"}, 42210000, "order parameters are not changed"),
        ({"limit_price": 8, "client_order_id": "used"}, 40010001, "client_order_id must be unique"),
        ({"time_in_force": "never"}, 40010001, "invalid time_in_force"),
    ):
        with refused(422, code, message):
            account.desk.replace(order["id"], patch, account.now)
    assert account.status(order) == "new"
    account.desk.cancel(order["id"], account.now)
    with refused(422, 40010001, "unable to replace order, order is not open"):
        account.desk.replace(order["id"], {"limit_price": 8}, account.now)


def test_a_moved_stop_needs_no_free_shares() -> None:
    """Goal: the shares a stop holds are free for the one in its place. Method: protect all shares,
    move the stop."""
    account = told()
    account.submit("buy", "market")
    stop = account.submit("sell", "stop", lasts="gtc", stop_price="9")
    moved = account.desk.replace(stop["id"], {"stop_price": "9.50"}, account.now)
    assert account.status(moved) == "new"
    account.play(1, "10 10 9.50 9.60")
    assert account.desk.order(moved["id"])["filled_avg_price"] == "9.5"


def test_a_trailing_stop_shows_where_it_stands() -> None:
    """Goal: stop_price and hwm are filled in and follow; trail can be replaced.

    Method: a rising bar, then a PATCH of trail.
    """
    account = told()
    account.submit("buy", "market")
    order = account.submit("sell", "trailing_stop", lasts="gtc", trail_price="1")
    seen = account.desk.order(order["id"])
    assert (seen["hwm"], seen["stop_price"], seen["trail_price"]) == ("10", "9", "1")
    account.play(1, "10 12 10 12")
    seen = account.desk.order(order["id"])
    assert (seen["hwm"], seen["stop_price"]) == ("12", "11")
    moved = account.desk.replace(order["id"], {"trail": "0.50"}, account.now)
    seen = account.desk.order(moved["id"])
    assert (seen["hwm"], seen["stop_price"], seen["trail_price"]) == ("12", "11.5", "0.5")


# -- refusals --


def test_shares_that_other_orders_hold() -> None:
    """Goal: the figures and rivals beside the text. Method: a resting stop for all shares, then a
    market sell."""
    account = told()
    account.submit("buy", "market")
    stop = account.submit("sell", "stop", lasts="gtc", stop_price="9")
    with refused(
        403,
        40310000,
        "insufficient qty available for order (requested: 4, available: 0)",
        available="0",
        existing_qty="10",
        held_for_orders="10",
        related_orders=[stop["id"]],
        symbol="AA",
    ):
        account.submit("sell", "market", 4)


@pytest.mark.parametrize(
    ("resting", "new", "extras"),
    [
        (
            body("sell", "stop", stop_price="9"),
            body("buy", "limit", 1, limit_price="5"),
            {"reject_reason": "opposite side market/stop order exists"},
        ),
        (
            body("sell", "limit", limit_price="11"),
            body("buy", "limit", 1, limit_price="11"),
            {
                "reject_reason": "opposite side limit order exists",
                "buy_limit_price": "11",
                "sell_limit_price": "11",
            },
        ),
        (
            body("sell", "limit", limit_price="11"),
            body("buy", "stop_limit", 1, stop_price="10.5", limit_price="11"),
            {
                "reject_reason": "opposite side limit order exists",
                "buy_limit_price": "11",
                "sell_limit_price": "11",
            },
        ),
    ],
)
def test_wash_trades(resting: Any, new: Any, extras: dict[str, str]) -> None:
    """Goal: the order in the way is named. Method: shares, a resting sell, a buy against it."""
    account = told()
    account.submit("buy", "market")
    other = account.desk.submit(resting, account.now)
    message = "potential wash trade detected. use complex orders"
    with refused(403, 40310000, message, existing_order_id=other["id"], **extras):
        account.desk.submit(new, account.now)


def test_a_trailing_stop_is_no_wash_trade() -> None:
    """Goal: trailing stops are exempt. Method: a resting one, then a buy."""
    account = told()
    account.submit("buy", "market")
    account.submit("sell", "trailing_stop", trail_percent="5")
    assert account.submit("buy", "market", 1)["status"] == "pending_new"


def test_too_expensive() -> None:
    """Goal: the text without figures, the figures beside it. Method: more than the cash buys."""
    account = told()
    with refused(
        403, 40310000, "insufficient buying power", buying_power="10000", cost_basis="10010"
    ):
        account.submit("buy", "limit", 1001, limit_price="10")


@pytest.mark.parametrize(
    ("changes", "status", "code", "message"),
    [
        ({"symbol": "ZZ"}, 422, 40010001, 'could not find asset "ZZ"'),
        ({"symbol": None}, 422, 40010001, "symbol is required"),
        ({"side": "long"}, 422, 40010001, "invalid side"),
        ({"type": "magic"}, 422, 40010001, "invalid type"),
        ({"time_in_force": "opg"}, 422, 40010001, "invalid time_in_force"),
        ({"qty": None}, 422, 40010001, "exactly one of qty or notional is required"),
        ({"notional": 5}, 422, 40010001, "exactly one of qty or notional is required"),
        ({"qty": "ten"}, 422, 40010001, "invalid qty"),
        ({"qty": "NaN"}, 422, 40010001, "invalid qty"),
        ({"qty": 0}, 422, 40010001, "qty must be > 0"),
        ({"qty": 1.5}, 403, 40310000, 'asset "AA" is not fractionable'),
        ({"qty": None, "notional": 100}, 403, 40310000, 'asset "AA" is not fractionable'),
        ({"limit_price": None}, 422, 40010001, "limit orders require a limit price"),
        ({"limit_price": True}, 422, 40010001, "invalid limit_price"),
        ({"stop_price": 9}, 422, 40010001, "limit orders must not have stop_price"),
        (
            {"limit_price": 9.001},
            422,
            42210000,
            (
                "invalid limit_price 9.001. sub-penny increment does not fulfill minimum pricing "
                "criteria"
            ),
        ),
        ({"order_class": "mleg"}, 422, 40010001, "invalid order_class"),
        ({"position_intent": "sell_to_open"}, 422, 40010001, "invalid position_intent"),
        (
            {"client_order_id": "x" * 129},
            422,
            40010001,
            "client_order_id must be no more than 128 characters",
        ),
        (
            {"type": "market", "limit_price": None, "extended_hours": True},
            422,
            42210000,
            "extended hours order must be DAY or GTC limit orders",
        ),
    ],
)
def test_bodies_that_make_no_sense(
    changes: dict[str, Any], status: int, code: int, message: str
) -> None:
    """Goal: each in Alpaca's words; nothing is accepted or told. Method: a good order with one
    thing changed."""
    account = told()
    with refused(status, code, message):
        account.desk.submit({**body("buy", "limit", limit_price="9"), **changes}, account.now)
    assert account.desk.orders(status="all") == []
    assert account.updates == []


def test_a_client_order_id_is_used_once_for_ever() -> None:
    """Goal: also a canceled order's name is taken, a refused one's is free. Method: a refused
    order, then twice a good one with a cancel in between."""
    account = told()
    with refused(422, 40010001, "limit orders require a limit price"):
        account.submit("buy", "limit", client_order_id="one")
    order = account.submit("buy", "limit", limit_price="9", client_order_id="one")
    account.desk.cancel(order["id"], account.now)
    with refused(422, 40010001, "client_order_id must be unique"):
        account.submit("buy", "limit", limit_price="9", client_order_id="one")


def test_stops_through_the_market() -> None:
    """Goal: accepted by default, refused with both prices when the rule is on. Method: both."""
    account = told()
    order = account.submit("buy", "stop", stop_price="9")
    account.play(1, "10 10 10 10")
    assert account.status(order) == "filled"
    strict = told(refuse_stops_through_market=True)
    strict.play(0, "10 10 10 10")
    message = "stop price must be greater than current price"
    with refused(422, 42210000, message, stop_price="9", market_price="10"):
        strict.submit("buy", "stop", stop_price="9")


def test_shorts_where_none_are_allowed() -> None:
    """Goal: the account says so, and so does the asset. Method: a sell from flat."""
    account = told(allow_short=False)
    with refused(403, 40310000, "account is not allowed to short"):
        account.submit("sell", "market")
    assert account.desk.asset("AA")["shortable"] is False


# -- what is kept back --


def test_new_orders_kept_back_are_not_on_the_market() -> None:
    """Goal: pending_new until released; no bar fills them, a cancel takes them back.

    Method: keep two back, cancel one, play a bar, release.
    """
    account = told()
    account.desk.hold(Hold.NEW)
    kept, gone = [account.submit("buy", "limit", 1, limit_price="11") for _ in range(2)]
    account.desk.cancel(gone["id"], account.now)
    account.play(1, "10 10 10 10")
    assert (account.status(kept), account.status(gone)) == ("pending_new", "canceled")
    account.desk.release(account.now)
    account.play(2, "10 10 10 10")
    assert account.status(kept) == "filled"


def test_kept_back_orders_may_be_rejected_or_outlive_nothing() -> None:
    """Goal: a rejection after all, and a DAY order ends with its day. Method: both."""
    account = told()
    account.desk.hold(Hold.NEW)
    order = account.submit("buy", "market")
    account.desk.release(account.now, is_refused=True)
    assert account.events()[-1] == "rejected market rejected"
    account.desk.hold(Hold.NEW)
    order = account.submit("buy", "market")
    account.desk.end_session(CLOSE)
    assert account.status(order) == "expired"


def test_a_fill_overtakes_a_cancel() -> None:
    """Goal: 204 says nothing: the order may still fill. Method: keep the cancel back, fill it."""
    account = told()
    order = account.submit("buy", "limit", limit_price="9")
    account.desk.hold(Hold.CANCEL)
    account.desk.cancel(order["id"], account.now)
    account.play(1, "9 9 9 9")
    account.desk.release(account.now)
    assert account.status(order) == "filled"
    assert "canceled limit canceled" not in account.events()


def test_a_cancel_may_be_rejected() -> None:
    """Goal: order_cancel_rejected, and the order works on. Method: keep it back, refuse it."""
    account = told()
    order = account.submit("buy", "limit", limit_price="9")
    account.desk.hold(Hold.CANCEL)
    account.desk.cancel(order["id"], account.now)
    account.desk.release(account.now, is_refused=True)
    assert account.events()[-1] == "order_cancel_rejected limit new"
    account.play(1, "9 9 9 9")
    assert account.status(order) == "filled"


@pytest.mark.parametrize("is_refused", [True, False])
def test_a_replace_that_comes_to_nothing(is_refused: bool) -> None:
    """Goal: 200 does not guarantee a replacement: the old order stays or has filled, the new one
    is rejected. Method: keep it back, then refuse it or let the old one fill first."""
    account = told()
    old = account.submit("buy", "limit", limit_price="9")
    account.desk.hold(Hold.REPLACE)
    new = account.desk.replace(old["id"], {"limit_price": "8"}, account.now)
    assert account.status(old) == "pending_replace"
    if not is_refused:
        account.play(1, "9 9 9 9")
    account.desk.release(account.now, is_refused=is_refused)
    assert account.events()[-2].startswith("order_replace_rejected")
    assert account.status(new) == "rejected"
    assert account.status(old) == ("new" if is_refused else "filled")


def test_one_order_may_be_kept_back_and_the_next_go() -> None:
    """Goal: keeping back ends without letting go of what was kept. Method: hold, one order, hold no
    more, another."""
    account = told()
    account.desk.hold(Hold.NEW)
    kept = account.submit("buy", "market", 1)
    account.desk.hold_no_more(Hold.NEW)
    free = account.submit("buy", "market", 1)
    assert (account.status(kept), account.status(free)) == ("pending_new", "filled")
    account.desk.release(account.now)
    assert account.status(kept) == "filled"
