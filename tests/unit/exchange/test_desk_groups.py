"""Brackets, OTO and OCO as clients see them: legs, statuses, updates, listings."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from desk_kit import Told, refused, told

from algo_trader.exchange.options import DeskOptions, Hold

EXITS: dict[str, Any] = {"take_profit": {"limit_price": 12}, "stop_loss": {"stop_price": "9"}}


def bracket(account: Told, kind: str = "market", **more: Any) -> dict[str, Any]:
    """A long bracket with its exits at 12 and 9."""
    terms = {"lasts": "gtc", "order_class": "bracket", **EXITS, **more}
    return account.submit("buy", kind, **terms)


def legs(account: Told, order: dict[str, Any]) -> list[dict[str, Any]]:
    """The legs of an order as they are now."""
    found: list[dict[str, Any]] = account.desk.order(order["id"], nested=True)["legs"]
    return found


def statuses(account: Told, order: dict[str, Any]) -> list[str]:
    return [leg["status"] for leg in legs(account, order)]


def test_the_legs_are_in_the_answer_and_held() -> None:
    """Goal: two legs with ids of their own, opposite side, same size and creation. Method: a limit
    bracket that is not filled."""
    account = told()
    order = bracket(account, "limit", limit_price="9.50", client_order_id="parent")
    profit, stop = order["legs"]
    assert [(leg["type"], leg["side"], leg["status"]) for leg in (profit, stop)] == [
        ("limit", "sell", "held"),
        ("stop", "sell", "held"),
    ]
    assert (profit["limit_price"], stop["stop_price"]) == ("12", "9")
    assert {leg["order_class"] for leg in (order, profit, stop)} == {"bracket"}
    assert {leg["qty"] for leg in (order, profit, stop)} == {"10"}
    assert {leg["created_at"] for leg in (order, profit, stop)} == {order["created_at"]}
    assert len({leg["client_order_id"] for leg in (order, profit, stop)}) == 3
    assert profit["legs"] is stop["legs"] is None
    assert account.events() == ["pending_new limit pending_new", "new limit new"]


def test_a_filled_entry_makes_the_take_profit_new_and_leaves_the_stop_held() -> None:
    """Goal: held is the normal state of a protective stop. Method: a market bracket, its updates.
    """
    account = told()
    order = bracket(account)
    assert account.events()[2:] == ["fill market filled", "new limit new"]
    assert statuses(account, order) == ["new", "held"]
    assert account.desk.position("AA")["qty_available"] == "0"


@pytest.mark.parametrize("is_told", [False, True])
def test_a_filled_take_profit_ends_the_stop_without_a_word(is_told: bool) -> None:
    """Goal: Alpaca does not tell of it; as an option it is told. Method: a bar up to 12."""
    account = told(options=DeskOptions(tells_canceled_stops=is_told))
    order = bracket(account)
    account.events()
    account.play(1, "11 12 11 12")
    assert account.events() == ["fill limit filled", *["canceled stop canceled"] * is_told]
    assert statuses(account, order) == ["filled", "canceled"]
    assert account.desk.positions() == []


def test_a_triggered_stop_replaces_the_take_profit() -> None:
    """Goal: the take-profit is told as replaced by the stop, which becomes new and is filled.

    Method: a bar down to 9.
    """
    account = told()
    order = bracket(account)
    account.events()
    account.play(1, "10 10 9 9")
    assert account.events() == ["replaced limit replaced", "new stop new", "fill stop filled"]
    profit, stop = legs(account, order)
    assert (profit["replaced_by"], stop["replaces"]) == (stop["id"], profit["id"])


def test_a_partly_filled_take_profit_shrinks_the_stop() -> None:
    """Goal: the stop shows the remainder. Method: fill 4 of the take-profit by hand."""
    account = told()
    order = bracket(account)
    profit, _ = legs(account, order)
    account.desk.fill(profit["id"], "4", "12", account.now)
    assert [(leg["status"], leg["qty"]) for leg in legs(account, order)] == [
        ("partially_filled", "10"),
        ("held", "6"),
    ]
    account.play(1, "10 10 9 9")
    assert account.position() == 0


@pytest.mark.parametrize("member", [0, 1, 2])
def test_canceling_a_member_cancels_all(member: int) -> None:
    """Goal: each open member is told as canceled, nothing is sold. Method: cancel one by one of the
    three before the entry is filled."""
    account = told()
    order = bracket(account, "limit", limit_price="9.50")
    account.events()
    chosen = [order, *order["legs"]][member]
    account.desk.cancel(chosen["id"], account.now)
    assert sorted(event.split()[0] for event in account.events()) == [
        "canceled",
        "canceled",
        "canceled",
        "pending_cancel",
    ]
    assert account.desk.orders() == []


def test_the_rest_of_a_partly_filled_entry_is_canceled_without_protection() -> None:
    """Goal: shares stay, no leg lives. Method: fill 4 of 10, cancel."""
    account = told()
    order = bracket(account, "limit", limit_price="9.50")
    account.desk.fill(order["id"], "4", "9.50", account.now)
    assert statuses(account, order) == ["held", "held"]
    account.desk.cancel(order["id"], account.now)
    assert (account.status(order), statuses(account, order)) == ("canceled", ["canceled"] * 2)
    assert account.position() == 4


def test_a_moved_stop_stands_in_the_group() -> None:
    """Goal: a held stop can be replaced, stays held, and works. Method: move it, reach it."""
    account = told()
    order = bracket(account)
    stop = legs(account, order)[1]
    account.events()
    moved = account.desk.replace(stop["id"], {"stop_price": "9.50"}, account.now)
    assert moved["status"] == "held"
    assert account.events() == ["pending_replace stop pending_replace", "replaced stop replaced"]
    assert legs(account, order)[1]["id"] == moved["id"]
    account.play(1, "10 10 9.50 9.60")
    assert account.status(moved) == "filled"
    assert account.position() == 0


def test_one_patch_touches_one_leg() -> None:
    """Goal: a stop price is nothing for a take-profit, and sizes stay. Method: both."""
    account = told()
    profit, stop = legs(account, bracket(account))
    with refused(422, 40010001, "limit orders must not have stop_price"):
        account.desk.replace(profit["id"], {"stop_price": "9.50"}, account.now)
    with refused(422, 42210000, "qty of bracket orders cannot be replaced"):
        account.desk.replace(stop["id"], {"qty": "5"}, account.now)


def test_an_oco_is_a_take_profit_with_a_held_stop() -> None:
    """Goal: the parent is the limit order, its one leg the stop. Method: shares, an OCO with a
    stop-limit, a bar down."""
    account = told()
    account.submit("buy", "market")
    account.events()
    order = account.submit(
        "sell",
        "limit",
        lasts="gtc",
        order_class="oco",
        take_profit={"limit_price": "12"},
        stop_loss={"stop_price": "9", "limit_price": "8.90"},
    )
    assert (order["type"], order["limit_price"]) == ("limit", "12")
    assert [(leg["type"], leg["status"]) for leg in order["legs"]] == [("stop_limit", "held")]
    assert account.events() == ["pending_new limit pending_new", "new limit new"]
    account.play(1, "9.50 9.50 8.95 9")
    assert account.events()[-1] == "fill stop_limit filled"
    assert account.status(order) == "replaced"


def test_the_one_leg_of_an_oto_is_new_when_it_is_active() -> None:
    """Goal: without a take-profit before it the stop is on the market. Method: an OTO with a stop.
    """
    account = told()
    order = account.submit(
        "buy", "market", lasts="gtc", order_class="oto", stop_loss={"stop_price": "9"}
    )
    assert account.events()[-2:] == ["fill market filled", "new stop new"]
    assert statuses(account, order) == ["new"]
    fixed = told(allow_replace_of_oto_legs=False)
    stop = legs(
        fixed,
        fixed.submit("buy", "market", order_class="oto", stop_loss={"stop_price": "9"}),
    )[0]
    with refused(422, 42210000, "oto legs cannot be replaced"):
        fixed.desk.replace(stop["id"], {"stop_price": "9.50"}, fixed.now)


@pytest.mark.parametrize(
    ("kind", "changes", "code", "message"),
    [
        (
            "stop",
            {"stop_price": "11"},
            40010001,
            "bracket orders must be market or limit orders",
        ),
        (
            "trailing_stop",
            {"trail_price": "1"},
            40010001,
            "bracket orders must be market or limit orders",
        ),
        (
            "market",
            {"take_profit": None},
            40010001,
            "bracket orders require take_profit.limit_price",
        ),
        ("market", {"stop_loss": {}}, 40010001, "bracket orders require stop_loss.stop_price"),
        (
            "market",
            {"order_class": "oto"},
            40010001,
            "oto orders require either take_profit.limit_price or stop_loss.stop_price",
        ),
        (
            "limit",
            {"order_class": "oco", "limit_price": "12"},
            42210000,
            "oco orders must be exit orders",
        ),
        ("market", {"order_class": "oco"}, 40010001, "oco orders must be limit orders"),
        ("market", {"lasts": "ioc"}, 42210000, "bracket orders must be DAY or GTC orders"),
        ("market", {"stop_loss": "9"}, 40010001, "invalid stop_loss"),
        (
            "market",
            {"stop_loss": {"limit_price": "9"}},
            40010001,
            "stop_loss.limit_price requires stop_loss.stop_price",
        ),
    ],
)
def test_groups_that_make_no_sense(
    kind: str, changes: dict[str, Any], code: int, message: str
) -> None:
    """Goal: each in Alpaca's words, nothing accepted. Method: a good bracket with one thing
    changed."""
    account = told()
    with refused(422, code, message):
        bracket(account, kind, **changes)
    assert account.desk.orders(status="all") == []


def test_exits_must_lie_beyond_the_base_price() -> None:
    """Goal: the base price is told. Method: a take-profit at the market, a stop above it."""
    account = told()
    at_market: tuple[tuple[dict[str, Any], str], ...] = (
        (
            {"take_profit": {"limit_price": 10}},
            "take_profit.limit_price must be >= base_price + 0.01",
        ),
        ({"stop_loss": {"stop_price": 10}}, "stop_loss.stop_price must be <= base_price - 0.01"),
    )
    for changes, message in at_market:
        with refused(422, 42210000, message, base_price="10"):
            bracket(account, **changes)


def test_exits_without_an_order_class_are_ignored() -> None:
    """Goal: as at Alpaca, a simple order with a stop_loss is a simple order. Method: submit one."""
    account = told()
    order = account.submit("buy", "market", stop_loss={"stop_price": "9"})
    assert (order["legs"], order["order_class"]) == (None, "")


def test_listings_flat_and_nested() -> None:
    """Goal: flat, each leg is an order of its own; nested, legs are under the parent, which shows
    as long as one of them is open. Method: a filled bracket."""
    account = told()
    order = bracket(account)
    assert [row["type"] for row in account.desk.orders()] == ["stop", "limit"]
    assert all(row["legs"] is None for row in account.desk.orders(status="all"))
    (parent,) = account.desk.orders(nested=True)
    assert parent["id"] == order["id"]
    assert [leg["status"] for leg in parent["legs"]] == ["new", "held"]
    account.play(1, "11 12 11 12")
    assert account.desk.orders(nested=True) == []


def test_a_group_kept_back_goes_as_a_whole() -> None:
    """Goal: released it is protected, rejected all of it ends. Method: both."""
    account = told()
    account.desk.hold(Hold.NEW)
    order = bracket(account)
    account.desk.release(account.now, is_refused=True)
    assert [account.status(order), *statuses(account, order)] == [
        "rejected",
        "canceled",
        "canceled",
    ]
    account.desk.hold(Hold.NEW)
    order = bracket(account)
    account.desk.release(account.now)
    assert statuses(account, order) == ["new", "held"]
    assert account.position() == Decimal(10)
