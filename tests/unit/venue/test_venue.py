"""The venue answers, rests, fills, cancels and replaces as the rules and a real broker do."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import pytest

from algo_trader.core.commands import Cancel, Replace, Submit
from algo_trader.core.events import (
    CancelRefused,
    OrderAccepted,
    OrderCanceled,
    OrderExpired,
    OrderFilled,
    OrderRefused,
    OrderReplaced,
    OrderRequest,
    Report,
)
from algo_trader.core.types import Action, Bar, ClientOrderId, OrderType, TimeInForce
from algo_trader.venue.account import Account
from algo_trader.venue.costs import Costs
from algo_trader.venue.resting import RestingOrder, VenueState
from algo_trader.venue.rules import VenueRules
from algo_trader.venue.venue import Venue

BUY, SELL = Action.BUY, Action.SELL
MARKET, LIMIT, STOP = OrderType.MARKET, OrderType.LIMIT, OrderType.STOP
DAY, GTC = TimeInForce.DAY, TimeInForce.GTC
FREE = Costs(slippage_per_share=Decimal(0))
CASH = 10_000


def order(
    key: str,
    action: Action,
    kind: OrderType,
    price: str | None = None,
    qty: str = "10",
    *,
    lasts: TimeInForce = DAY,
    symbol: str = "X",
) -> OrderRequest:
    worth = None if price is None else Decimal(price)
    limit, stop = (worth, None) if kind is LIMIT else (None, worth)
    return OrderRequest(ClientOrderId(key), symbol, action, kind, lasts, Decimal(qty), limit, stop)


def bar(minute: int, ohlc: str, symbol: str = "X") -> Bar:
    opened, high, low, close = map(Decimal, ohlc.split())
    return Bar(symbol, 60 * minute, opened, high, low, close, Decimal(100))


def still(minute: int, price: str = "10", symbol: str = "X") -> Bar:
    return bar(minute, " ".join([price] * 4), symbol)


def venue(costs: Costs = FREE, cash: int = CASH, **rules: Any) -> Venue:
    """A venue that has seen one quiet bar at 10."""
    made = Venue(Decimal(cash), costs, VenueRules(**rules))
    made.match(still(0))
    return made


def with_shares(qty: int, costs: Costs = FREE, **rules: Any) -> Venue:
    """A venue whose account holds `qty` shares of X from 10, short if negative."""
    made = venue(costs, **rules)
    got = made.submit(order("opening", BUY if qty > 0 else SELL, MARKET, qty=str(abs(qty))), 60)
    assert [type(report) for report in got] == [OrderAccepted, OrderFilled]
    return made


def told(reports: Sequence[Report]) -> list[str]:
    """Reports in short: what happened to which order, and at what price and size."""
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


def refused(reports: Sequence[Report]) -> tuple[int, str]:
    """Code and text of the one refusal."""
    (report,) = reports
    assert isinstance(report, OrderRefused | CancelRefused)
    return report.code, report.message


# -- resting and filling --


@pytest.mark.parametrize(
    ("request_", "ohlc", "wanted"),
    [
        (order("a", BUY, STOP, "10.50"), "10 10.49 10 10", []),
        (order("a", BUY, STOP, "10.50"), "10 10.50 10 10", ["a filled 10@10.50"]),
        (order("a", BUY, STOP, "10.50"), "11 11.50 11 11", ["a filled 10@11"]),
        (order("a", BUY, STOP, "9.00"), "10 10 10 10", ["a filled 10@10"]),
        (order("a", BUY, LIMIT, "9.50"), "10 10 9.50 10", ["a filled 10@9.50"]),
        (order("a", BUY, LIMIT, "9.50"), "10 10 9.51 10", []),
        (order("a", BUY, LIMIT, "9.50"), "9 9.6 9 9.5", ["a filled 10@9"]),
        (order("a", SELL, STOP, "9.50"), "10 10 9.50 10", ["a filled 10@9.50"]),
        (order("a", SELL, STOP, "9.50"), "9 9.20 9 9", ["a filled 10@9"]),
        (order("a", SELL, LIMIT, "10.50"), "10 10.60 10 10", ["a filled 10@10.50"]),
    ],
)
def test_a_resting_order_fills_when_the_bar_reaches_it(
    request_: OrderRequest, ohlc: str, wanted: list[str]
) -> None:
    """Goal: the order rests from acceptance on and fills by the rule of its kind.

    Method: accept, match one bar, look at fill, cash and shares.
    """
    market = venue()
    assert told(market.submit(request_, 60)) == ["a accepted"]
    reports = market.match(bar(1, ohlc))
    assert told(reports) == wanted
    assert [report.at for report in reports] == [60] * len(wanted)
    signed = (10 if request_.action is BUY else -10) if wanted else 0
    assert market.account.qty("X") == signed
    for report in reports:
        assert isinstance(report, OrderFilled)
        assert report.cum_qty == 10
        assert report.commission == 0
        assert market.account.cash == CASH - signed * report.price
    assert [o.request for o in market.resting["X"]] == ([] if wanted else [request_])


def test_a_market_order_fills_at_the_last_completed_bar() -> None:
    """Goal: at max(close - s, low) of the last completed bar, which also dates the fill.

    Method: sell at minute 5 what was bought, with no bar since minute 1.
    """
    market = with_shares(10, Costs(slippage_per_share=Decimal("0.05")))
    market.match(bar(1, "10 10.10 9.50 9.60"))
    accepted, filled = market.submit(order("b", SELL, MARKET), 300)
    assert told([accepted, filled]) == ["b accepted", "b filled 10@9.55"]
    assert (accepted.at, filled.at) == (300, 60)
    assert market.account.positions == {}


def test_a_market_order_before_any_bar_waits_for_one() -> None:
    """Goal: no made-up price. Method: a market order in a venue that has seen nothing."""
    market = Venue(Decimal(CASH), FREE)
    assert told(market.submit(order("a", BUY, MARKET), 0)) == ["a accepted"]
    assert told(market.match(bar(0, "10 11 9 10.5"))) == ["a filled 10@10.5"]


def test_commission_is_paid_on_every_fill() -> None:
    """Goal: per share and per order, entry and exit alike. Method: a round trip, by hand."""
    costs = Costs(
        slippage_per_share=Decimal("0.01"),
        commission_per_share=Decimal("0.005"),
        commission_per_order=Decimal("0.35"),
    )
    market = venue(costs)
    market.match(bar(1, "10 10.10 9.90 10"))
    (_, bought) = market.submit(order("a", BUY, MARKET, qty="100"), 60)
    (_, sold) = market.submit(order("b", SELL, MARKET, qty="100"), 120)
    assert isinstance(bought, OrderFilled)
    assert isinstance(sold, OrderFilled)
    assert (bought.price, sold.price) == (Decimal("10.01"), Decimal("9.99"))
    assert bought.commission == sold.commission == Decimal("0.85")
    assert market.account.cash == CASH - Decimal("2.00") - Decimal("1.70")


def test_a_closing_order_fills_before_an_opening_one() -> None:
    """Goal: what closes comes first, whatever the order of arrival.

    Method: long 10; two limits far enough apart to be no wash trade, both reached by one bar.
    """
    market = with_shares(10)
    market.submit(order("more", BUY, LIMIT, "9"), 60)
    market.submit(order("done", SELL, LIMIT, "12"), 60)
    assert told(market.match(bar(1, "10 13 8 9"))) == ["done filled 10@12", "more filled 10@9"]


def test_symbols_do_not_meet() -> None:
    """Goal: a bar fills the orders of its symbol only. Method: two symbols, one bar."""
    market = venue()
    market.submit(order("a", BUY, STOP, "10.50"), 60)
    market.submit(order("b", BUY, STOP, "10.50", symbol="Y"), 60)
    assert told(market.match(bar(1, "11 11 11 11"))) == ["a filled 10@11"]
    assert told(market.match(bar(1, "12 12 12 12", "Y"))) == ["b filled 10@12"]


# -- the bar that fills the entry --


@pytest.mark.parametrize(
    ("ohlc", "wanted"),
    [
        ("10.60 10.80 9.00 9.50", ["stop filled 10@9.49"]),
        ("10.00 10.60 9.40 10.20", ["stop filled 10@9.49"]),
        ("9.20 10.60 9.00 10.20", ["stop filled 10@9.49"]),
        ("10.00 10.60 9.50 10.20", ["stop filled 10@9.50"]),
        ("10.00 10.60 9.51 10.20", []),
    ],
)
def test_the_stop_of_an_entry_on_the_bar_that_filled_it(ohlc: str, wanted: list[str]) -> None:
    """Goal: the same bar is matched once more, for the protective stop only, by the entry-bar
    rule: certain and ambiguous count as stopped, at the stop less slippage, at most at the low.

    Method: entry at 10.50, stop at 9.50 sent in answer to the fill.
    """
    market = venue(Costs(slippage_per_share=Decimal("0.01")))
    market.submit(order("entry", BUY, STOP, "10.50"), 60)
    now = bar(1, ohlc)
    assert len(market.match(now)) == 1
    assert told(market.submit(order("stop", SELL, STOP, "9.50", lasts=GTC), 60)) == [
        "stop accepted"
    ]
    reports = market.match_entry_bar(now)
    assert told(reports) == wanted
    assert [report.at for report in reports] == [60] * len(wanted)
    assert market.account.qty("X") == (0 if wanted else 10)


def test_the_second_match_is_for_stops_born_in_that_bar_only() -> None:
    """Goal: what rested before, what opens, and what comes after the bar wait for the next one.

    Method: a stop sent after the bar; then entries and limits sent inside a bar.
    """
    market = venue()
    market.submit(order("entry", BUY, STOP, "10.50"), 60)
    now = bar(1, "10 11 9 10")
    market.match(now)
    assert told(market.match_entry_bar(now)) == []
    market.submit(order("stop", SELL, STOP, "9.50", lasts=GTC), 120)
    assert told(market.match_entry_bar(now)) == []
    assert told(market.match(bar(2, "10 10 9.5 10"))) == ["stop filled 10@9.50"]
    market.submit(order("more", BUY, STOP, "10.50"), 180)
    then = bar(3, "10 12 8 10")
    market.match(then)
    assert told(market.submit(order("limit", SELL, LIMIT, "11"), 180)) == ["limit accepted"]
    assert told(market.match_entry_bar(then)) == []


def test_a_replaced_stop_is_born_in_the_bar_too() -> None:
    """Goal: cover that is moved while the bar's fills are told meets that bar. Method: as above,
    with a replace between.
    """
    market = venue()
    market.submit(order("entry", BUY, STOP, "10.50"), 60)
    now = bar(1, "10 11 9 10")
    market.match(now)
    market.submit(order("s1", SELL, STOP, "8.00", lasts=GTC), 60)
    market.replace(ClientOrderId("s1"), order("s2", SELL, STOP, "9.20", lasts=GTC), 60)
    assert told(market.match_entry_bar(now)) == ["s2 filled 10@9.20"]


# -- the end of an order --


def test_day_orders_expire_and_gtc_orders_stay() -> None:
    """Goal: at the close day orders expire, orders good till canceled rest on.

    Method: one of each over a session's end and into the next day.
    """
    market = with_shares(10)
    market.submit(order("stop", SELL, STOP, "9", lasts=GTC), 60)
    market.submit(order("y", BUY, STOP, "11", symbol="Y"), 60)
    reports = market.end_session(23_400)
    assert told(reports) == ["y expired"]
    assert isinstance(reports[0], OrderExpired)
    assert reports[0].at == 23_400
    assert told(market.match(bar(2000, "8 8 8 8", "Y"))) == []
    assert told(market.match(bar(2000, "8 8 8 8"))) == ["stop filled 10@8"]
    assert market.end_session(46_800) == []


def test_cancel() -> None:
    """Goal: a canceled order is gone and frees what it held; a cancel too late, twice or for a
    stranger is refused with the reason. Method: each case once.
    """
    market = venue()
    key = ClientOrderId("a")
    market.submit(order("a", BUY, STOP, "10.50"), 60)
    assert told(market.execute(Cancel(key), 61)) == ["a canceled"]
    assert told(market.match(bar(1, "11 11 11 11"))) == []
    assert refused(market.cancel(key, 62)) == (42210000, 'order is already in "canceled" state')
    market.submit(order("b", BUY, STOP, "10.50"), 120)
    market.match(bar(2, "11 11 11 11"))
    assert "filled" in refused(market.cancel(ClientOrderId("b"), 180))[1]
    market.submit(order("c", BUY, STOP, "12"), 180)
    market.end_session(240)
    assert "expired" in refused(market.cancel(ClientOrderId("c"), 240))[1]
    assert refused(market.cancel(ClientOrderId("z"), 240)) == (40410000, "order not found for z")
    reports = market.cancel(ClientOrderId("z"), 240)
    assert [type(report) for report in reports] == [CancelRefused]


def test_replace() -> None:
    """Goal: the old order ends, the new one rests under its own ids, in one answer.

    Method: move a stop of a position of which it holds all shares.
    """
    market = with_shares(10)
    market.submit(order("s1", SELL, STOP, "9", lasts=GTC), 60)
    moved = order("s2", SELL, STOP, "9.50", lasts=GTC)
    reports = market.execute(Replace(ClientOrderId("s1"), moved), 61)
    assert told(reports) == ["s1 replaced by s2", "s2 accepted"]
    assert [o.request for o in market.resting["X"]] == [moved]
    ids = {o.broker_id for o in market.resting["X"]}
    assert "replaced" in refused(market.cancel(ClientOrderId("s1"), 62))[1]
    assert told(market.match(bar(1, "10 10 9.20 9.40"))) == ["s2 filled 10@9.50"]
    assert len(ids) == 1


@pytest.mark.parametrize(
    ("old", "new", "code", "text"),
    [
        ("gone", order("s2", SELL, STOP, "9.50"), 40010001, "order is not open"),
        ("never", order("s2", SELL, STOP, "9.50"), 40010001, "order is not open"),
        ("s1", order("s1", SELL, STOP, "9.50"), 40010001, "must be unique"),
        ("s1", order("gone", SELL, STOP, "9.50"), 40010001, "must be unique"),
        ("s1", order("s2", SELL, STOP, "9.505"), 42210000, "sub-penny"),
        ("s1", order("s2", SELL, STOP, "9.50", "11"), 40310000, "insufficient qty"),
        ("s1", order("s2", SELL, STOP, "9.50", "0"), 40010001, "qty must be > 0"),
    ],
)
def test_a_replace_that_is_refused_leaves_the_old_order(
    old: str, new: OrderRequest, code: int, text: str
) -> None:
    """Goal: a refused replace changes nothing: the old stop works on.

    Method: refuse in every way, then let the market reach the old stop.
    """
    market = with_shares(10)
    market.submit(order("gone", SELL, STOP, "9", lasts=GTC), 60)
    market.cancel(ClientOrderId("gone"), 60)
    market.submit(order("s1", SELL, STOP, "9", lasts=GTC), 60)
    reports = market.replace(ClientOrderId(old), new, 61)
    assert refused(reports)[0] == code
    assert text in refused(reports)[1]
    assert reports[0].order_id == new.order_id
    assert told(market.match(bar(1, "9 9 9 9"))) == ["s1 filled 10@9"]


# -- refusals --


@pytest.mark.parametrize(
    ("request_", "code", "text"),
    [
        (order("used", BUY, STOP, "10.50"), 40010001, "client_order_id must be unique"),
        (order("a", BUY, STOP, "10.50", "0"), 40010001, "qty must be > 0"),
        (order("a", BUY, STOP, "10.50", "-5"), 40010001, "qty must be > 0"),
        (order("a", BUY, STOP, "10.50", "NaN"), 40010001, "qty must be > 0"),
        (order("a", BUY, STOP, "10.50", "Infinity"), 40010001, "qty must be > 0"),
        (order("a", BUY, STOP, "10.50", "1.5"), 42210000, "fractional"),
        (order("a", BUY, STOP, None), 40010001, "require a stop price"),
        (order("a", BUY, LIMIT, None), 40010001, "require a limit price"),
        (order("a", BUY, MARKET, "10.50"), 40010001, "must not have stop_price"),
        (
            order("a", BUY, STOP, "10.50")._replace(limit_price=Decimal(11)),
            40010001,
            "must not have limit_price",
        ),
        (
            order("a", BUY, LIMIT, "10.50")._replace(stop_price=Decimal(11)),
            40010001,
            "must not have stop_price",
        ),
        (order("a", BUY, STOP, "0"), 40010001, "must be > 0"),
        (order("a", BUY, STOP, "-1"), 40010001, "must be > 0"),
        (order("a", BUY, STOP, "NaN"), 40010001, "must be > 0"),
        (order("a", BUY, STOP, "10.505"), 42210000, "invalid stop_price 10.505. sub-penny"),
        (order("a", BUY, LIMIT, "1.0001"), 42210000, "invalid limit_price 1.0001. sub-penny"),
        (order("a", BUY, STOP, "0.99995"), 42210000, "sub-penny"),
        (order("a", BUY, STOP, "10", "1001"), 40310000, "insufficient buying power"),
        (order("a", BUY, MARKET, qty="1001"), 40310000, "insufficient buying power"),
    ],
)
def test_refusals(request_: OrderRequest, code: int, text: str) -> None:
    """Goal: the broker's codes and words, and nothing left behind.

    Method: a table; a refused id may be used again, for it never was an order.
    """
    market = venue()
    market.submit(order("used", BUY, STOP, "10"), 60)
    market.cancel(ClientOrderId("used"), 60)
    reports = market.execute(Submit(request_), 60)
    assert refused(reports)[0] == code
    assert text in refused(reports)[1]
    assert not market.resting["X"]
    assert market.buying_power == CASH
    if request_.order_id == "a":
        assert told(market.submit(order("a", BUY, STOP, "10.50"), 60)) == ["a accepted"]


@pytest.mark.parametrize(
    "request_",
    [
        order("a", BUY, STOP, "0.9999"),
        order("a", BUY, STOP, "1.00"),
        order("a", BUY, STOP, "1.000000"),
        order("a", BUY, STOP, "10", "1000"),
        order("a", BUY, MARKET, qty="1000"),
        order("a", BUY, LIMIT, "0.0001"),
    ],
)
def test_just_good_enough(request_: OrderRequest) -> None:
    """Goal: no refusal at the edge itself. Method: a table of the last allowed values."""
    assert told(venue().submit(request_, 60))[0] == "a accepted"


@pytest.mark.parametrize(
    ("resting", "request_", "is_wash"),
    [
        (order("r", BUY, STOP, "11"), order("a", SELL, STOP, "9", "5"), True),
        (order("r", BUY, LIMIT, "9"), order("a", SELL, STOP, "9", "5"), True),
        (order("r", BUY, STOP, "11"), order("a", SELL, LIMIT, "12", "5"), True),
        (order("r", BUY, STOP, "11"), order("a", SELL, MARKET, qty="5"), True),
        (order("r", BUY, LIMIT, "9"), order("a", SELL, LIMIT, "9", "5"), True),
        (order("r", BUY, LIMIT, "9"), order("a", SELL, LIMIT, "9.01", "5"), False),
        (order("r", SELL, LIMIT, "12"), order("a", BUY, LIMIT, "12", "5"), True),
        (order("r", SELL, LIMIT, "12"), order("a", BUY, LIMIT, "11.99", "5"), False),
        (order("r", SELL, STOP, "9"), order("a", SELL, LIMIT, "12", "10"), False),
        (order("r", BUY, STOP, "11", symbol="Y"), order("a", SELL, STOP, "9", "5"), False),
    ],
)
def test_wash_trade(resting: OrderRequest, request_: OrderRequest, is_wash: bool) -> None:
    """Goal: an opposite order that could trade with a resting one is refused; two limits that do
    not cross are not. Method: an account with shares, pairs of orders.
    """
    market = with_shares(20)
    assert told(market.submit(resting, 60)) == ["r accepted"]
    reports = market.submit(request_, 60)
    if is_wash:
        assert refused(reports) == (
            40310000,
            "potential wash trade detected. use complex orders",
        )
    else:
        assert told(reports)[0] == "a accepted"


def test_the_stop_waits_for_the_entrys_remainder() -> None:
    """Goal: as at the broker, no protective stop while a part of the entry rests.

    Method: a partial fill; the stop is refused, then accepted once the rest is canceled.
    """
    market = venue(partial_fill_pct=100)
    market.submit(order("entry", BUY, STOP, "10.50"), 60)
    assert told(market.match(bar(1, "10 11 10 11"))) == ["entry filled 5@10.50"]
    stop = order("stop", SELL, STOP, "9.50", "5", lasts=GTC)
    assert "wash trade" in refused(market.submit(stop, 60))[1]
    assert told(market.cancel(ClientOrderId("entry"), 60)) == ["entry canceled"]
    assert told(market.submit(stop, 60)) == ["stop accepted"]


def test_shares_are_promised_once() -> None:
    """Goal: closing orders together never exceed the position. Method: 10 shares, orders over 6."""
    market = with_shares(10)
    assert told(market.submit(order("a", SELL, STOP, "9", "6", lasts=GTC), 60)) == ["a accepted"]
    code, text = refused(market.submit(order("b", SELL, STOP, "9", "5", lasts=GTC), 60))
    assert (code, text) == (
        40310000,
        "insufficient qty available for order (requested: 5, available: 4)",
    )
    assert told(market.submit(order("c", SELL, STOP, "8", "4", lasts=GTC), 60)) == ["c accepted"]
    assert "available: 0" in refused(market.submit(order("d", SELL, MARKET, qty="1"), 60))[1]
    assert told(market.match(bar(1, "9 9 8.5 9"))) == ["a filled 6@9"]
    assert "available: 0" in refused(market.submit(order("e", SELL, MARKET, qty="1"), 120))[1]


def test_resting_entries_take_buying_power() -> None:
    """Goal: no leverage: cash less what resting opening orders would cost; a cancel gives it back;
    replacing counts the old order out. Method: 10,000 dollars, orders of 6,000.
    """
    market = venue()
    market.submit(order("a", BUY, STOP, "12", "500"), 60)
    assert market.buying_power == 4_000
    code, text = refused(market.submit(order("b", BUY, STOP, "12", "500", symbol="Y"), 60))
    assert (code, text) == (
        40310000,
        "insufficient buying power (buying_power: 4000, cost_basis: 6000)",
    )
    moved = market.replace(ClientOrderId("a"), order("a2", BUY, STOP, "12", "800"), 60)
    assert told(moved) == ["a replaced by a2", "a2 accepted"]
    assert market.buying_power == 400
    market.cancel(ClientOrderId("a2"), 60)
    assert market.buying_power == CASH


def test_a_fill_is_never_refused_for_lack_of_cash() -> None:
    """Goal: a gap may cost more than there is; the fill stands, buying power is negative.

    Method: all the cash in a stop at 10, filled at 11.
    """
    market = venue()
    market.submit(order("a", BUY, STOP, "10", "1000"), 60)
    assert told(market.match(still(1, "11"))) == ["a filled 1000@11"]
    assert market.account.cash == market.buying_power == -1_000


# -- shorts --


def test_short_proceeds_are_not_spendable() -> None:
    """Goal: buying power = cash - short proceeds - cost to cover at the last close.

    Method: short 100 at 10, prices move, cover a part, then all.
    """
    market = with_shares(-100)
    assert market.account.cash == 11_000
    assert market.buying_power == 11_000 - 1_000 - 1_000
    market.match(still(1, "12"))
    assert market.buying_power == 11_000 - 1_000 - 1_200
    market.submit(order("b", BUY, MARKET, qty="25"), 120)
    assert market.account.positions == {"X": -75}
    assert market.buying_power == 10_700 - 750 - 900
    market.submit(order("c", BUY, MARKET, qty="75"), 120)
    assert market.account.positions == {}
    assert market.buying_power == market.account.cash == 10_000 - 200


def test_a_short_stop_closes_first_and_costs_nothing_to_rest() -> None:
    """Goal: a buy that covers is a closing order: it takes no buying power and never exceeds the
    position. Method: short 10 with a protective buy stop.
    """
    market = with_shares(-10)
    before = market.buying_power
    assert told(market.submit(order("s", BUY, STOP, "11", lasts=GTC), 60)) == ["s accepted"]
    assert market.buying_power == before
    assert "insufficient qty" in refused(market.submit(order("t", BUY, MARKET, qty="1"), 60))[1]
    assert told(market.match(bar(1, "10 11.5 10 11"))) == ["s filled 10@11"]
    assert market.account.positions == {}


def test_shorts_may_be_forbidden() -> None:
    """Goal: with allow_short off an opening sale is refused, a closing one is not.

    Method: sell without and with shares.
    """
    market = venue(allow_short=False)
    assert refused(market.submit(order("a", SELL, STOP, "9"), 60)) == (
        40310000,
        "account is not allowed to short",
    )
    market.submit(order("b", BUY, MARKET), 60)
    assert told(market.submit(order("c", SELL, STOP, "9", lasts=GTC), 60)) == ["c accepted"]


def test_a_sale_through_zero_is_short_by_the_rest_only() -> None:
    """Goal: of a fill that turns the position around, only the shares that are short earn short
    proceeds. Method: a resting short entry is filled after shares were bought below it.
    """
    market = venue()
    market.submit(order("sell", SELL, LIMIT, "12", "10"), 60)
    market.submit(order("buy", BUY, LIMIT, "9", "4"), 60)
    market.match(bar(1, "9 9 9 9"))
    market.match(bar(2, "12 12 12 12"))
    assert market.account.positions == {"X": -6}
    assert market.account.short_proceeds == {"X": 72}
    assert market.account.cash == CASH - 36 + 120
    assert market.buying_power == CASH + 84 - 72 - 72


@pytest.mark.parametrize(
    ("fills", "wanted"),
    [
        ([(BUY, 10, "10")], "10"),
        ([(BUY, 10, "10"), (BUY, 30, "14")], "13"),
        ([(BUY, 10, "10"), (BUY, 30, "14"), (SELL, 39, "1")], "13"),
        ([(BUY, 10, "10"), (SELL, 10, "11")], None),
        ([(BUY, 10, "10"), (SELL, 10, "11"), (BUY, 1, "7")], "7"),
        ([(SELL, 10, "10"), (SELL, 10, "20")], "15"),
        ([(SELL, 10, "10"), (BUY, 4, "20")], "10"),
        ([(BUY, 10, "10"), (SELL, 15, "12")], "12"),
        ([(SELL, 10, "10"), (BUY, 15, "12"), (BUY, 5, "14")], "13"),
    ],
)
def test_average_entry_price(fills: list[tuple[Action, int, str]], wanted: str | None) -> None:
    """Goal: the price per share at which what is held was entered: averaged when it grows, kept
    when it shrinks, new when it turns around. Method: a table by hand.
    """
    account = Account(Decimal(CASH))
    for action, qty, price in fills:
        account.fill("X", action, Decimal(qty), Decimal(price), Decimal(1))
    assert account.avg_entry == ({} if wanted is None else {"X": Decimal(wanted)})
    assert account.avg_entry.keys() == account.positions.keys()


# -- going on elsewhere --


def test_another_venue_goes_on() -> None:
    """Goal: a venue restored in the middle of a bar answers as the first one would have: orders,
    ids, used ids, last price, the second match, a triggered stop.

    Method: two venues, one of which took up the other's state between the two matches.
    """

    def begun() -> Venue:
        market = venue(refuse_stops_through_market=True)
        market.submit(order("gone", BUY, STOP, "12"), 60)
        market.cancel(ClientOrderId("gone"), 60)
        market.submit(order("entry", BUY, STOP, "10.50"), 60)
        market.submit(order("y", BUY, LIMIT, "5", symbol="Y"), 60)
        market.match(bar(1, "10 11 9 9.10"))
        market.submit(order("stop", SELL, STOP, "9.50", "4", lasts=GTC), 60)
        return market

    def rest(market: Venue) -> list[str]:
        now = bar(1, "10 11 9 9.10")
        reports = [
            *market.submit(order("gone", BUY, STOP, "12"), 60),
            *market.submit(order("more", SELL, STOP, "9.40", "6", lasts=GTC), 60),
            *market.submit(order("high", SELL, STOP, "10.60", "6", lasts=GTC), 60),
            *market.match_entry_bar(now),
            *market.match(still(2, "5", "Y")),
            *market.end_session(120),
        ]
        ids = [report.broker_id for report in reports if isinstance(report, OrderAccepted)]
        return [*told(reports), *ids, str(market.buying_power)]

    first = begun()
    second = Venue(Decimal(0), FREE, first.rules)
    second.restore(
        VenueState(
            account=first.account,
            resting=[
                RestingOrder(
                    each.request,
                    each.broker_id,
                    each.qty_filled,
                    is_born_in_bar=each.is_born_in_bar,
                )
                for each in (*first.resting["Y"], *first.resting["X"])
            ],
            finished={ClientOrderId("gone"): "canceled", ClientOrderId("entry"): "filled"},
            order_count=4,
            last_bar=first.last_bar,
            matching=first.matching,
            price_in_bar=first.price_in_bar,
        )
    )
    assert second.knows(ClientOrderId("gone"))
    assert second.knows(ClientOrderId("stop"))
    assert not second.knows(ClientOrderId("more"))
    wanted = rest(begun())
    assert wanted[:5] == [
        "gone refused", "more accepted", "high refused", "stop filled 4@9.50", "more filled 6@9.40",
    ]  # fmt: skip
    assert rest(second) == wanted


# -- options and moods --


@pytest.mark.parametrize(
    ("request_", "text"),
    [
        (order("a", SELL, STOP, "10", "5"), "must be less than current price"),
        (order("a", SELL, STOP, "10.01", "5"), "must be less than current price"),
        (order("a", SELL, STOP, "9.99", "5"), None),
        (order("a", BUY, STOP, "10", "5"), "must be greater than current price"),
        (order("a", BUY, STOP, "9.99", "5"), "must be greater than current price"),
        (order("a", BUY, STOP, "10.01", "5"), None),
    ],
)
def test_stops_through_the_market(request_: OrderRequest, text: str | None) -> None:
    """Goal: taken by default (it triggers on the next print), refused if the option says so.

    Method: stops around the last close of 10, with and without the option.
    """
    assert told(with_shares(10).submit(request_, 60)) == ["a accepted"]
    strict = with_shares(10, refuse_stops_through_market=True)
    reports = strict.submit(request_, 60)
    if text is None:
        assert told(reports) == ["a accepted"]
    else:
        assert refused(reports) == (42210000, f"stop price {text}")


def test_inside_a_bar_the_market_is_the_fill() -> None:
    """Goal: a stop sent in answer to a fill is judged by that fill, not by a close to come.

    Method: the bar closes below the stop; the stop is accepted and hit by the entry-bar rule.
    """
    market = venue(refuse_stops_through_market=True)
    market.submit(order("entry", BUY, STOP, "10.50"), 60)
    now = bar(1, "10 11 9 9.10")
    market.match(now)
    stop = order("stop", SELL, STOP, "9.50", lasts=GTC)
    assert told(market.submit(stop, 60)) == ["stop accepted"]
    assert told(market.match_entry_bar(now)) == ["stop filled 10@9.50"]


def fills_of(seed: int, orders: int = 40) -> list[str]:
    """What a moody venue of this seed does with a row of entries."""
    market = venue(cash=10**9, partial_fill_pct=50, refuse_pct=20, seed=seed)
    seen = []
    for number in range(orders):
        seen += told(market.submit(order(f"o{number}", BUY, STOP, "10", "9"), 60))
    for minute in range(1, 6):
        seen += told(market.match(still(minute)))
    return seen


def test_moods_are_drawn_from_the_seed() -> None:
    """Goal: the same seed draws the same, another one differently; both moods do happen.

    Method: forty orders over five bars, run twice and with another seed.
    """
    first = fills_of(7)
    assert fills_of(7) == first
    assert fills_of(8) != first
    refusals = [line for line in first if line.endswith("refused")]
    halves = [line for line in first if " filled 4@" in line]
    wholes = [line for line in first if " filled 9@" in line]
    assert 2 <= len(refusals) <= 16
    assert 5 <= len(halves) <= 30
    assert wholes


def test_partial_fills_add_up() -> None:
    """Goal: halves, rounded down, until one share is left; each fill has its cumulative quantity.

    Method: all fills partial, ten shares.
    """
    market = venue(partial_fill_pct=100)
    market.submit(order("a", BUY, LIMIT, "10"), 60)
    reports = [report for minute in range(1, 8) for report in market.match(still(minute))]
    fills = [report for report in reports if isinstance(report, OrderFilled)]
    assert [int(fill.qty) for fill in fills] == [5, 2, 1, 1, 1]
    assert [int(fill.cum_qty) for fill in fills] == [5, 7, 8, 9, 10]
    assert len({fill.execution_id for fill in fills}) == 5
    assert market.account.qty("X") == 10
    assert told(market.match(still(9))) == []


@pytest.mark.parametrize(
    ("opening", "stop", "trigger", "then", "wanted"),
    [
        (10, "9.50", "10 10 9.40 10", "11 12 10.90 11", "s filled 2@10.99"),
        (10, "9.50", "10 10 9.40 10", "11 12 11 12", "s filled 2@11"),
        (10, "9.50", "10 10 9.40 10", "9 9.20 8 9", "s filled 2@8.99"),
        (-10, "10.50", "10 10.60 10 10", "9 9.20 8 9", "s filled 2@9.01"),
        (-10, "10.50", "10 10.60 10 10", "9 9 8 9", "s filled 2@9"),
    ],
)
def test_a_triggered_stop_is_a_market_order(
    opening: int, stop: str, trigger: str, then: str, wanted: str
) -> None:
    """Goal: the rest of a stop that was filled in part trades at the next bar's open, whether or
    not that bar reaches the stop; slippage and the bar's range hold as everywhere.

    Method: half of it fills, then the market turns away or runs on.
    """
    market = with_shares(opening, Costs(slippage_per_share=Decimal("0.01")))
    market.rules = VenueRules(partial_fill_pct=100)
    action = SELL if opening > 0 else BUY
    market.submit(order("s", action, STOP, stop, lasts=GTC), 60)
    assert told(market.match(bar(1, trigger)))[0].startswith("s filled 5@")
    assert told(market.match(bar(2, then))) == [wanted]
    resting = market.resting_order(ClientOrderId("s"))
    assert resting is not None
    assert (resting.trigger, resting.qty_open) == (None, Decimal(3))


@pytest.mark.parametrize("rules", [{"partial_fill_pct": 101}, {"refuse_pct": -1}])
def test_moods_are_per_cent(rules: dict[str, Any]) -> None:
    """Goal: nonsense is refused at once. Method: values outside 0 to 100."""
    with pytest.raises(ValueError, match="between 0 and 100"):
        VenueRules(**rules)


def test_never_and_always() -> None:
    """Goal: 0 never happens, 100 always. Method: many draws."""
    rules = VenueRules(seed=3)
    assert not any(rules.happens(0, "x", n) for n in range(200))
    assert all(rules.happens(100, "x", n) for n in range(200))
    drawn = sum(rules.happens(30, "x", n) for n in range(1000))
    assert 240 < drawn < 360


def test_a_canceled_report_is_a_value() -> None:
    """Goal: reports carry the moment they were asked at. Method: cancel at a given instant."""
    market = venue()
    market.submit(order("a", BUY, STOP, "11"), 60)
    assert market.cancel(ClientOrderId("a"), 77) == (
        OrderCanceled(at=77, order_id=ClientOrderId("a")),
    )
