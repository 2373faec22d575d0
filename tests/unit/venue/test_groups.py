"""Brackets, OTO and OCO: what one member means to the others, and that shares are never oversold.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from algo_trader.core.events import (
    CancelRefused,
    OrderFilled,
    OrderRefused,
    OrderReplaced,
    OrderRequest,
    Report,
)
from algo_trader.core.types import ZERO, Action, Bar, ClientOrderId, OrderType, TimeInForce
from algo_trader.venue.costs import Costs
from algo_trader.venue.groups import GroupKind, OrderGroup
from algo_trader.venue.rules import VenueRules
from algo_trader.venue.venue import Venue

BUY, SELL = Action.BUY, Action.SELL
MARKET, LIMIT, STOP, STOP_LIMIT, _ = OrderType
GTC, DAY = TimeInForce.GTC, TimeInForce.DAY
FREE = Costs(slippage_per_share=Decimal(0))


def order(
    key: str,
    action: Action,
    kind: OrderType,
    price: str | None = None,
    qty: str = "10",
    lasts: TimeInForce = GTC,
) -> OrderRequest:
    worth = None if price is None else Decimal(price)
    limit = worth if kind in (LIMIT, STOP_LIMIT) else None
    stop = worth if kind in (STOP, STOP_LIMIT) else None
    return OrderRequest(ClientOrderId(key), "X", action, kind, lasts, Decimal(qty), limit, stop)


def bracket(entry: OrderRequest | None = None, **changes: Any) -> OrderGroup:
    """Long at market (or `entry`), take profit at 12, stop at 9."""
    first = entry or order("in", BUY, MARKET)
    qty, lasts = str(first.qty), first.time_in_force
    group = OrderGroup(
        GroupKind.BRACKET,
        first,
        order("tp", SELL, LIMIT, "12", qty, lasts),
        order("sl", SELL, STOP, "9", qty, lasts),
    )
    return group._replace(**changes)


def bar(minute: int, ohlc: str) -> Bar:
    opened, high, low, close = map(Decimal, ohlc.split())
    return Bar("X", 60 * minute, opened, high, low, close, Decimal(100))


def venue(**rules: Any) -> Venue:
    """A venue that has seen one quiet bar at 10."""
    made = Venue(Decimal(10_000), FREE, VenueRules(**rules))
    made.match(bar(0, "10 10 10 10"))
    return made


def told(reports: Any) -> list[str]:
    words = []
    for report in reports:
        name = type(report).__name__.removeprefix("Order").lower()
        if isinstance(report, OrderFilled):
            words.append(f"{report.order_id} {name} {report.qty}@{report.price}")
        elif isinstance(report, OrderReplaced):
            words.append(f"{report.order_id} {name} by {report.replaced_by}")
        else:
            words.append(f"{report.order_id} {name}")
    return words


def refusal(report: Report) -> tuple[int, str]:
    assert isinstance(report, OrderRefused | CancelRefused)
    return report.code, report.message


def test_the_exits_become_active_when_the_entry_is_filled() -> None:
    """Goal: nothing but the entry is on the market before. Method: a limit entry, first a bar that
    reaches the take-profit only, then one that fills the entry."""
    market = venue()
    group = bracket(order("in", BUY, LIMIT, "9.50"), take_profit=order("tp", SELL, LIMIT, "11"))
    assert told(market.submit_group(group, 60)) == ["in accepted"]
    assert market.knows(ClientOrderId("tp"))
    assert told(market.match(bar(1, "10 11.50 9.80 10"))) == []
    got = told(market.match(bar(2, "10 10 9.40 9.60")))
    assert got == ["in filled 10@9.50", "tp accepted", "sl accepted"]


def test_a_market_entry_is_protected_in_the_same_call() -> None:
    """Goal: entry, fill and both exits are one answer. Method: submit after a bar at 10."""
    got = told(venue().submit_group(bracket(), 60))
    assert got == ["in accepted", "in filled 10@10", "tp accepted", "sl accepted"]


def test_a_partly_filled_entry_has_no_exits_yet_and_none_when_it_is_canceled() -> None:
    """Goal: exits wait for the whole entry; canceling its rest ends them and leaves the shares.

    Method: a venue that fills in part, then a cancel.
    """
    market = venue(partial_fill_pct=100)
    got = told(market.submit_group(bracket(), 60))
    assert got == ["in accepted", "in filled 5@10"]
    got = told(market.cancel(ClientOrderId("in"), 61))
    assert got == ["in canceled", "tp canceled", "sl canceled"]
    assert market.account.qty("X") == 5
    assert market.resting["X"] == []


@pytest.mark.parametrize(
    ("ohlc", "wanted"),
    [
        ("11 12.50 11 12", ["tp filled 10@12", "sl canceled"]),
        ("10 10 8.90 9", ["tp replaced by sl", "sl filled 10@9"]),
        ("10 12.50 8.90 10", ["tp replaced by sl", "sl filled 10@9"]),
        ("10 11.90 9.10 10", []),
    ],
)
def test_one_exit_ends_the_other(ohlc: str, wanted: list[str]) -> None:
    """Goal: one exit fills, the other ends; a bar that reached both counts as the stop.

    Method: a table.
    """
    market = venue()
    market.submit_group(bracket(), 60)
    assert told(market.match(bar(1, ohlc))) == wanted
    assert market.account.qty("X") == (0 if wanted else 10)


def test_the_ended_take_profit_may_be_told_as_canceled() -> None:
    """Goal: the option for what is not known of Alpaca. Method: the same bar, the rule off."""
    market = venue(triggered_stop_replaces_profit=False)
    market.submit_group(bracket(), 60)
    assert told(market.match(bar(1, "10 10 8.90 9"))) == ["tp canceled", "sl filled 10@9"]


def test_a_partly_filled_take_profit_leaves_the_stop_the_rest() -> None:
    """Goal: the stop sells no more than is left. Method: fill the take-profit in part by hand, then
    a bar that reaches the stop."""
    market = venue()
    market.submit_group(bracket(), 60)
    assert told(market.fill(ClientOrderId("tp"), Decimal(4), Decimal(12), 60)) == ["tp filled 4@12"]
    assert told(market.match(bar(1, "10 10 8.90 9"))) == ["tp replaced by sl", "sl filled 6@9"]
    assert market.account.qty("X") == 0


def test_a_stop_on_the_entry_bar_counts_as_hit() -> None:
    """Goal: the entry-bar rule holds for the stop of a group, the take-profit waits.

    Method: one bar that fills the entry and has touched both exits.
    """
    market = venue()
    market.submit_group(bracket(order("in", BUY, LIMIT, "9.50")), 60)
    entry = bar(1, "10 12.50 8.90 9.60")
    assert told(market.match(entry))[0] == "in filled 10@9.50"
    assert told(market.match_entry_bar(entry)) == ["tp replaced by sl", "sl filled 10@9"]


@pytest.mark.parametrize("member", ["in", "tp", "sl"])
def test_canceling_any_member_ends_every_one(member: str) -> None:
    """Goal: the whole group goes, the one that was asked for first; again it is not open.

    Method: before the entry is filled, so that two members are held.
    """
    market = venue()
    market.submit_group(bracket(order("in", BUY, LIMIT, "9.50")), 60)
    got = told(market.cancel(ClientOrderId(member), 61))
    assert got[0] == f"{member} canceled"
    assert sorted(got) == ["in canceled", "sl canceled", "tp canceled"]
    (again,) = market.cancel(ClientOrderId(member), 62)
    assert refusal(again) == (42210000, 'order is already in "canceled" state')


def test_a_held_stop_can_be_moved_before_and_after_it_is_active() -> None:
    """Goal: a replace keeps the place in the group. Method: move it while held, fill the entry,
    move it again, then reach it."""
    market = venue()
    market.submit_group(bracket(order("in", BUY, LIMIT, "9.50")), 60)
    first = market.replace(ClientOrderId("sl"), order("sl2", SELL, STOP, "8"), 61)
    assert told(first) == ["sl replaced by sl2"]
    assert told(market.match(bar(1, "10 10 9.40 9.60")))[1:] == ["tp accepted", "sl2 accepted"]
    market.match_entry_bar(bar(1, "10 10 9.40 9.60"))
    second = market.replace(ClientOrderId("sl2"), order("sl3", SELL, STOP, "9.30"), 62)
    assert told(second) == ["sl2 replaced by sl3", "sl3 accepted"]
    assert told(market.match(bar(2, "9.50 9.50 9.20 9.30"))) == [
        "tp replaced by sl3",
        "sl3 filled 10@9.30",
    ]


def test_the_size_of_a_member_stays() -> None:
    """Goal: exits always match the entry. Method: a replace with fewer shares is refused."""
    market = venue()
    market.submit_group(bracket(), 60)
    (report,) = market.replace(ClientOrderId("sl"), order("x", SELL, STOP, "9", "5"), 61)
    assert refusal(report) == (42210000, "qty of bracket orders cannot be replaced")


def test_oto_and_oco() -> None:
    """Goal: an OTO's single exit and an OCO's two work alike. Method: enter by OTO, cancel its
    stop, then an OCO on the shares whose take-profit fills."""
    market = venue()
    oto = OrderGroup(GroupKind.OTO, order("in", BUY, MARKET), None, order("sl", SELL, STOP, "9"))
    assert told(market.submit_group(oto, 60)) == ["in accepted", "in filled 10@10", "sl accepted"]
    market.cancel(ClientOrderId("sl"), 61)
    oco = OrderGroup(
        GroupKind.OCO, None, order("tp", SELL, LIMIT, "12"), order("sl2", SELL, STOP, "9")
    )
    assert told(market.submit_group(oco, 62)) == ["tp accepted", "sl2 accepted"]
    assert told(market.match(bar(1, "12 12.50 11 12"))) == ["tp filled 10@12", "sl2 canceled"]


def test_two_exits_reserve_their_shares_once() -> None:
    """Goal: a plain sell finds no free shares beside a group, an exit can still be moved.

    Method: a bracket of 10, a sell of 1, a moved take-profit.
    """
    market = venue()
    market.submit_group(bracket(), 60)
    assert market.books.reserved_qty("X", SELL) == 10
    (report,) = market.submit(order("extra", SELL, STOP, "9", "1"), 61)
    assert refusal(report)[1] == (
        "insufficient qty available for order (requested: 1, available: 0)"
    )
    moved = market.replace(ClientOrderId("tp"), order("tp2", SELL, LIMIT, "13"), 62)
    assert told(moved) == ["tp replaced by tp2", "tp2 accepted"]


def test_day_groups_expire_as_a_whole() -> None:
    """Goal: entry and held exits end at the close. Method: a DAY bracket that was not filled."""
    market = venue()
    market.submit_group(bracket(order("in", BUY, LIMIT, "9.50", lasts=DAY)), 60)
    assert sorted(told(market.end_session(99))) == ["in expired", "sl expired", "tp expired"]
    assert not market.books.groups.members


@pytest.mark.parametrize(
    ("group", "code", "message"),
    [
        (
            bracket(order("in", BUY, STOP, "11")),
            40010001,
            "bracket orders must be market or limit orders",
        ),
        (bracket(take_profit=None), 40010001, "bracket orders require take_profit.limit_price"),
        (bracket(stop_loss=None), 40010001, "bracket orders require stop_loss.stop_price"),
        (
            bracket(kind=GroupKind.OTO),
            40010001,
            "oto orders require either take_profit.limit_price or stop_loss.stop_price",
        ),
        (
            bracket(take_profit=order("tp", SELL, LIMIT, "10")),
            42210000,
            "take_profit.limit_price must be >= base_price + 0.01",
        ),
        (
            bracket(stop_loss=order("sl", SELL, STOP, "10")),
            42210000,
            "stop_loss.stop_price must be <= base_price - 0.01",
        ),
        (
            bracket()._replace(kind=GroupKind.OCO, entry=None),
            42210000,
            "oco orders must be exit orders",
        ),
        (
            bracket(order("in", BUY, MARKET, lasts=TimeInForce.IOC)),
            42210000,
            "bracket orders must be DAY or GTC orders",
        ),
        (
            bracket(order("in", BUY, MARKET, qty="1001")),
            40310000,
            "insufficient buying power (buying_power: 10000, cost_basis: 10010)",
        ),
    ],
)
def test_groups_that_are_refused(group: OrderGroup, code: int, message: str) -> None:
    """Goal: each rule in Alpaca's words, and nothing is left behind. Method: a table."""
    market = venue()
    (report,) = market.submit_group(group, 60)
    assert refusal(report) == (code, message)
    assert not market.books.groups.members
    assert not market.resting["X"]


def test_a_bracket_is_an_entry_from_flat() -> None:
    """Goal: no bracket on shares that are held or beside an order that works.

    Method: each of the two, then the bracket.
    """
    for before in (order("a", BUY, MARKET), order("a", BUY, LIMIT, "9")):
        market = venue()
        market.submit(before, 60)
        (report,) = market.submit_group(bracket(), 61)
        assert refusal(report) == (42210000, "bracket orders must be entry orders")


def test_a_stop_entry_is_an_option() -> None:
    """Goal: the venue can be told that Alpaca takes them. Method: the rule on, a stop entry."""
    market = venue(allow_stop_entries_in_groups=True)
    assert told(market.submit_group(bracket(order("in", BUY, STOP, "11")), 60)) == ["in accepted"]


UP, DOWN = ([Decimal(each) for each in four] for four in ((11, 12, 12, 13), (7, 7, 9, 9)))
quarter = st.integers(28, 52).map(lambda number: Decimal(number) / 4)
deed = st.one_of(
    st.tuples(st.just("bar"), st.lists(quarter, min_size=4, max_size=4)),
    st.tuples(st.just("bar"), st.sampled_from([UP, DOWN])),
    st.tuples(st.just("cancel"), st.sampled_from(["in", "tp", "sl"])),
    st.tuples(st.just("sell"), st.integers(1, 10)),
    st.tuples(st.just("buy"), st.integers(1, 10)),
    st.tuples(st.just("move"), quarter),
    st.tuples(st.just("offer"), quarter),
    st.tuples(st.just("shift"), quarter),
    st.tuples(st.just("bracket"), st.sampled_from([None, Decimal("9.5"), Decimal(10)])),
    st.tuples(st.just("oco"), st.integers(1, 10)),
    st.tuples(st.just("close"), st.none()),
)


@settings(max_examples=400, deadline=None)
@given(st.lists(deed, max_size=14), st.sampled_from([0, 40, 100]), st.booleans())
def test_shares_are_never_oversold(
    deeds: list[tuple[str, Any]], partial_fill_pct: int, replaces: bool
) -> None:
    """Goal: exits never sell more than is held, nor one group more than its size; open sells never
    promise more than the position.

    Method: drawn sequences of bars, cancels, plain orders, moves and groups on a long-only account.
    """
    market = venue(
        partial_fill_pct=partial_fill_pct,
        allow_short=False,
        triggered_stop_replaces_profit=replaces,
    )
    names: dict[str, str] = {}
    group_of: dict[str, int] = {}
    size: dict[int, Decimal] = {}
    sold: dict[int, Decimal] = {}
    for number, (what, value) in enumerate(deeds, 1):
        reports: list[Report] = []
        if what == "bar":
            low, first, second, high = sorted(value)
            meeting = Bar("X", 60 * number, first, high, low, second, Decimal(1))
            reports = [*market.match(meeting), *market.match_entry_bar(meeting)]
        elif what == "cancel" and value in names:
            reports = list(market.cancel(ClientOrderId(names[value]), number))
        elif what in ("sell", "buy"):
            action = SELL if what == "sell" else BUY
            request = order(f"{what}{number}", action, MARKET, qty=str(value))
            reports = list(market.submit(request, number))
        elif what == "offer":
            reports = list(market.submit(order(f"o{number}", SELL, LIMIT, str(value), "3"), number))
        elif what in ("move", "shift"):
            name, action, kind = ("sl", SELL, STOP) if what == "move" else ("in", BUY, LIMIT)
            old = market.resting_order(ClientOrderId(names.get(name, "")))
            if old is not None:
                request = order(f"{name}{number}", action, kind, str(value), str(old.qty_open))
                reports = list(market.replace(old.request.order_id, request, number))
                if not isinstance(reports[0], OrderRefused):
                    group_of[request.order_id] = group_of[names[name]]
                    names[name] = request.order_id
        elif what in ("bracket", "oco"):
            qty = "10" if what == "bracket" else str(value)
            profit = order(f"tp{number}", SELL, LIMIT, "12", qty)
            loss = order(f"sl{number}", SELL, STOP, "8", qty)
            if what == "oco":
                group = OrderGroup(GroupKind.OCO, None, profit, loss)
            else:
                kind, price = (MARKET, None) if value is None else (LIMIT, str(value))
                entry = order(f"in{number}", BUY, kind, price, qty)
                group = OrderGroup(GroupKind.BRACKET, entry, profit, loss)
            reports = list(market.submit_group(group, number))
            if not isinstance(reports[0], OrderRefused):
                for name, member in zip(("sl", "tp", "in"), reversed(group.members), strict=False):
                    names[name] = member.order_id
                    group_of[member.order_id] = number
                size[number], sold[number] = Decimal(qty), ZERO
        elif what == "close":
            reports = list(market.end_session(number))
        for report in reports:
            is_exit = report.order_id in group_of and not report.order_id.startswith("in")
            if isinstance(report, OrderFilled) and is_exit:
                sold[group_of[report.order_id]] += report.qty
        assert market.account.qty("X") >= 0
        assert market.books.reserved_qty("X", SELL) <= market.account.qty("X")
        assert all(sold[each] <= size[each] for each in size)
        assert set(market.books.by_id) >= {
            member
            for member, group_ in market.books.groups.members.items()
            if member not in group_.held
        }
