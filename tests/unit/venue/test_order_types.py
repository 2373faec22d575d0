"""Stop-limit, trailing and brief orders, and a market that is closed: tables worked out by hand."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from algo_trader.core.commands import Replace, Submit
from algo_trader.core.events import CancelRefused, OrderFilled, OrderRefused, OrderRequest, Report
from algo_trader.core.types import Action, Bar, ClientOrderId, OrderType, TimeInForce
from algo_trader.venue.costs import Costs
from algo_trader.venue.fills import stop_limit_fill
from algo_trader.venue.rules import VenueRules
from algo_trader.venue.venue import Venue

BUY, SELL = Action.BUY, Action.SELL
DAY, GTC, IOC, FOK = TimeInForce
FREE = Costs(slippage_per_share=Decimal(0))


def decimal(value: str | None) -> Decimal | None:
    return None if value is None else Decimal(value)


def order(
    key: str,
    action: Action,
    kind: OrderType,
    *,
    limit: str | None = None,
    stop: str | None = None,
    trail: str | None = None,
    percent: str | None = None,
    qty: str = "10",
    lasts: TimeInForce = DAY,
) -> OrderRequest:
    return OrderRequest(
        ClientOrderId(key),
        "X",
        action,
        kind,
        lasts,
        Decimal(qty),
        decimal(limit),
        decimal(stop),
        decimal(trail),
        decimal(percent),
    )


def bar(minute: int, ohlc: str) -> Bar:
    opened, high, low, close = map(Decimal, ohlc.split())
    return Bar("X", 60 * minute, opened, high, low, close, Decimal(100))


def venue(costs: Costs = FREE, **rules: int | bool) -> Venue:
    """A venue that has seen one quiet bar at 10."""
    made = Venue(Decimal(10_000), costs, VenueRules(**rules))  # type: ignore[arg-type]  # fields by name
    made.match(bar(0, "10 10 10 10"))
    return made


def with_shares(costs: Costs = FREE) -> Venue:
    """A venue whose account holds 10 shares from 10."""
    made = venue(costs)
    made.submit(order("opening", BUY, OrderType.MARKET), 60)
    return made


def price_of(reports: object) -> Decimal | None:
    """The price of the one fill among the reports, None if there is none."""
    assert isinstance(reports, list | tuple)
    fills = [report for report in reports if isinstance(report, OrderFilled)]
    assert len(fills) <= 1
    return fills[0].price if fills else None


def refusal(report: Report) -> tuple[int, str]:
    assert isinstance(report, OrderRefused | CancelRefused)
    return report.code, report.message


# -- stop-limit --


@pytest.mark.parametrize(
    ("action", "stop", "limit", "ohlc", "is_triggered", "wanted", "why"),
    [
        (BUY, "10.50", "10.60", "10 10.49 10 10", False, None, "not reached"),
        (BUY, "10.50", "10.60", "10 10.80 10 10.20", True, "10.51", "marketable, with slippage"),
        (BUY, "10.50", "10.50", "10 10.80 10 10.20", True, "10.50", "slippage ends at the limit"),
        (BUY, "10.50", "10.60", "10.55 10.80 10.40 10.70", True, "10.56", "gap inside the limit"),
        (BUY, "10.50", "10.60", "10.70 10.80 10.65 10.70", True, None, "gap beyond the limit"),
        (BUY, "10.50", "10.60", "10.70 10.80 10.55 10.70", True, "10.60", "gap, came back"),
        (BUY, "10.50", "10.40", "10 10.80 10 10.45", True, None, "limit below, unsure"),
        (BUY, "10.50", "10.40", "10 10.80 10 10.30", True, "10.40", "limit below, closed under"),
        (SELL, "9.50", "9.40", "10 10 9.51 10", False, None, "not reached"),
        (SELL, "9.50", "9.40", "10 10 9.20 9.80", True, "9.49", "marketable, with slippage"),
        (SELL, "9.50", "9.40", "9.30 9.35 9.20 9.30", True, None, "gap beyond the limit"),
        (SELL, "9.50", "9.40", "9.30 9.45 9.20 9.30", True, "9.40", "gap, came back"),
        (SELL, "9.50", "9.60", "10 10 9.20 9.65", True, "9.60", "limit above, closed over"),
    ],
)
def test_stop_limit_fill(
    action: Action,
    stop: str,
    limit: str,
    ohlc: str,
    is_triggered: bool,
    wanted: str | None,
    why: str,
) -> None:
    """Goal: when a stop-limit triggers and at what price. Method: a table by hand."""
    got = stop_limit_fill(
        action, Decimal(stop), Decimal(limit), bar(0, ohlc), Decimal("0.01")
    )
    assert got == (is_triggered, decimal(wanted)), why


def test_a_triggered_stop_limit_goes_on_as_a_limit_order() -> None:
    """Goal: a gap beyond the limit leaves a limit order, also after it was replaced.

    Method: gap over, replace with a higher limit, then a bar that falls back to it without
    touching the stop.
    """
    market = venue()
    market.submit(order("a", BUY, OrderType.STOP_LIMIT, stop="10.50", limit="10.60"), 60)
    assert price_of(market.match(bar(1, "10.90 11 10.80 10.90"))) is None
    moved = order("b", BUY, OrderType.STOP_LIMIT, stop="11.50", limit="10.70")
    market.execute(Replace(ClientOrderId("a"), moved), 120)
    assert price_of(market.match(bar(2, "10.80 10.90 10.65 10.80"))) == Decimal("10.70")


def test_a_stop_limit_that_answers_a_fill_counts_as_hit_on_the_same_bar() -> None:
    """Goal: the entry-bar rule holds within the limit. Method: the entry bar has touched the stop
    of one order, and lies wholly beyond the limit of the other only at its low."""
    for limit, wanted in (("9.40", "9.50"), ("9.60", None)):
        market = venue()
        market.submit(order("in", BUY, OrderType.STOP, stop="10.50"), 60)
        entry = bar(1, "10 10.60 9.30 9.55")
        market.match(entry)
        market.submit(order("out", SELL, OrderType.STOP_LIMIT, stop="9.50", limit=limit), 60)
        assert price_of(market.match_entry_bar(entry)) == decimal(wanted)


def test_a_buy_stop_limit_reserves_its_limit() -> None:
    """Goal: buying power falls by limit x quantity. Method: the figure before and after."""
    market = venue()
    market.submit(order("a", BUY, OrderType.STOP_LIMIT, stop="10.50", limit="11"), 60)
    assert market.buying_power == Decimal(10_000 - 110)


# -- trailing --


@pytest.mark.parametrize(
    ("trail", "percent", "marks"),
    [
        ("0.50", None, [("10.50", "11"), ("11.50", "12"), ("11.50", "12")]),
        (None, "10", [("9.90", "11"), ("10.80", "12"), ("10.80", "12")]),
    ],
)
def test_a_trailing_sell_follows_the_high(
    trail: str | None, percent: str | None, marks: list[tuple[str, str]]
) -> None:
    """Goal: stop and mark rise with the highs and never fall. Method: three bars by hand."""
    market = with_shares()
    sell = order("t", SELL, OrderType.TRAILING_STOP, trail=trail, percent=percent)
    market.submit(sell, 60)
    resting = market.resting_order(ClientOrderId("t"))
    assert resting is not None
    assert resting.mark == Decimal(10)
    bars = ("10.60 11 10.60 10.90", "11 12 11 12", "12 12 11.60 11.70")
    for number, ohlc in enumerate(bars):
        assert price_of(market.match(bar(number + 1, ohlc))) is None
        assert (resting.trigger, resting.mark) == tuple(map(Decimal, marks[number]))
    assert price_of(market.match(bar(4, "11 11 9 9"))) == Decimal(marks[-1][0]).min(Decimal(11))


def test_a_trailing_buy_follows_the_low() -> None:
    """Goal: the mirror image for a cover. Method: a short position, lower lows, then a rise."""
    market = venue()
    market.submit(order("short", SELL, OrderType.MARKET), 60)
    market.submit(order("t", BUY, OrderType.TRAILING_STOP, trail="0.50"), 60)
    assert price_of(market.match(bar(1, "10 10.20 9 9.10"))) is None
    assert price_of(market.match(bar(2, "9.10 9.60 9.10 9.55"))) == Decimal("9.50")


def test_a_bar_that_closes_beyond_the_stop_it_drew_along_fills_it() -> None:
    """Goal: what certainly traded through the new stop is filled there, with slippage.

    Method: the bar rises by 2 and closes a dollar under its high; the trail is half a dollar.
    """
    market = with_shares(Costs(slippage_per_share=Decimal("0.01")))
    market.submit(order("t", SELL, OrderType.TRAILING_STOP, trail="0.50"), 60)
    assert price_of(market.match(bar(1, "10 12 10 11"))) == Decimal("11.49")


def test_a_trailing_stop_without_a_price_waits_for_the_first_bar() -> None:
    """Goal: a trailing order on a market nobody has seen does not trade as a market order.

    Method: no bar before it; the first bar gives it its mark, the second fills it.
    """
    market = Venue(Decimal(10_000), FREE)
    market.submit(order("t", BUY, OrderType.TRAILING_STOP, trail="1"), 0)
    assert price_of(market.match(bar(0, "10 10 10 10"))) is None
    assert price_of(market.match(bar(1, "10.50 11 10.50 11"))) == Decimal(11)


def test_a_replaced_trailing_stop_keeps_its_mark() -> None:
    """Goal: a tighter trail starts from the best price seen. Method: replace after a high of 12."""
    market = with_shares()
    market.submit(order("t", SELL, OrderType.TRAILING_STOP, trail="3"), 60)
    market.match(bar(1, "10 12 10 11.50"))
    market.replace(ClientOrderId("t"), order("u", SELL, OrderType.TRAILING_STOP, trail="1"), 120)
    resting = market.resting_order(ClientOrderId("u"))
    assert resting is not None
    assert resting.trigger == Decimal(11)


# -- ioc, fok --


@pytest.mark.parametrize(
    ("kind", "limit", "wanted"),
    [
        (OrderType.MARKET, None, "10.01"),
        (OrderType.LIMIT, "10.50", "10.01"),
        (OrderType.LIMIT, "10.00", "10.00"),
        (OrderType.LIMIT, "9.99", None),
    ],
)
@pytest.mark.parametrize("lasts", [IOC, FOK])
def test_a_brief_order_fills_at_once_or_is_gone(
    kind: OrderType, limit: str | None, wanted: str | None, lasts: TimeInForce
) -> None:
    """Goal: it never rests, and pays the last close, slippage up to its limit. Method: a table."""
    market = venue(Costs())
    market.match(bar(1, "10 11 9 10"))
    reports = market.submit(order("a", BUY, kind, limit=limit, lasts=lasts), 120)
    assert price_of(reports) == decimal(wanted)
    assert market.resting_order(ClientOrderId("a")) is None
    assert market.account.qty("X") == (10 if wanted else 0)


def test_what_an_ioc_does_not_fill_is_canceled_and_a_fok_fills_whole() -> None:
    """Goal: partial fills end an IOC and never happen to a FOK. Method: a venue that always fills
    in part."""
    market = venue(partial_fill_pct=100)
    names = [
        type(report).__name__
        for report in market.submit(order("a", BUY, OrderType.MARKET, lasts=IOC), 60)
    ]
    assert names == ["OrderAccepted", "OrderFilled", "OrderCanceled"]
    assert market.account.qty("X") == 5
    market.submit(order("b", BUY, OrderType.MARKET, lasts=FOK), 60)
    assert market.account.qty("X") == 15


# -- a closed market --


def test_orders_sent_while_the_market_is_closed_trade_at_the_open() -> None:
    """Goal: nothing fills at yesterday's close. Method: a market order while closed, then a bar
    that opens elsewhere."""
    market = venue()
    market.is_open = False
    assert price_of(market.submit(order("a", BUY, OrderType.MARKET), 60)) is None
    market.is_open = True
    assert price_of(market.match(bar(600, "12 13 11 12.50"))) == Decimal(12)


def test_two_symbols_may_wait_for_their_second_match_at_once() -> None:
    """Goal: a stop that answers the first symbol's fill meets its bar though another symbol was
    matched in between. Method: match X, match Y, protect X, match X again."""
    market = venue()
    ten = Decimal(10)
    market.match(Bar("Y", 0, ten, ten, ten, ten, ten))
    for symbol in "XY":
        request = order(f"in-{symbol}", BUY, OrderType.STOP, stop="10.50")._replace(symbol=symbol)
        market.execute(Submit(request), 60)
    entry = bar(1, "10 10.60 9.30 9.55")
    market.match(entry)
    market.match(Bar("Y", 60, entry.open, entry.high, entry.low, entry.close, Decimal(1)))
    market.submit(order("out", SELL, OrderType.STOP, stop="9.50"), 60)
    assert price_of(market.match_entry_bar(entry)) == Decimal("9.50")


# -- refusals --


@pytest.mark.parametrize(
    ("request_", "code", "message"),
    [
        (
            order("a", BUY, OrderType.STOP_LIMIT, stop="11"),
            40010001,
            "stop limit orders require both stop and limit price",
        ),
        (
            order("a", BUY, OrderType.TRAILING_STOP),
            40010001,
            "trailing stop orders must specify one of trail_price or trail_percent",
        ),
        (
            order("a", BUY, OrderType.TRAILING_STOP, trail="1", percent="1"),
            40010001,
            "trailing stop orders must specify one of trail_price or trail_percent",
        ),
        (
            order("a", BUY, OrderType.TRAILING_STOP, trail="1", stop="11"),
            40010001,
            "trailing_stop orders must not have stop_price",
        ),
        (
            order("a", BUY, OrderType.TRAILING_STOP, percent="100"),
            40010001,
            "trail_percent must be > 0 and < 100",
        ),
        (
            order("a", BUY, OrderType.LIMIT, limit="9", trail="1"),
            40010001,
            "limit orders must not have trail_price",
        ),
        (
            order("a", BUY, OrderType.STOP, stop="11", lasts=IOC),
            40010001,
            "invalid time_in_force",
        ),
        (
            order("a", BUY, OrderType.STOP_LIMIT, stop="11.001", limit="12"),
            42210000,
            (
                "invalid stop_price 11.001. sub-penny increment does not fulfill minimum pricing "
                "criteria"
            ),
        ),
    ],
)
def test_terms_that_make_no_sense_are_refused(
    request_: OrderRequest, code: int, message: str
) -> None:
    """Goal: Alpaca's words for each. Method: a table."""
    (report,) = venue().submit(request_, 60)
    assert refusal(report) == (code, message)


prices = st.decimals("8", "12", places=2)


@settings(max_examples=300)
@given(st.sampled_from([BUY, SELL]), prices, prices, st.lists(prices, min_size=4, max_size=4))
def test_a_stop_limit_never_fills_beyond_its_limit_or_the_bar(
    action: Action, stop: Decimal, limit: Decimal, four: list[Decimal]
) -> None:
    """Goal: whatever the bar, the price respects the limit and lies in the bar; no fill without a
    trigger. Method: drawn prices."""
    low, first, second, high = sorted(four)
    quiet = Bar("X", 0, first, high, low, second, Decimal(1))
    is_triggered, price = stop_limit_fill(action, stop, limit, quiet, Decimal("0.01"))
    if price is not None:
        assert is_triggered
        assert low <= price <= high
        assert price <= limit if action is BUY else price >= limit
