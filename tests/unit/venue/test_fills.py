"""At what price a bar fills an order: tables worked out by hand from the rules.

Long orders: `buy-stop: high >= stop -> min(max(open, stop) + s, high)`, `stop: low <= stop ->
max(min(open, stop) - s, low)`, `market exit: max(close - s, low)`; the others are mirror images.
"""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from algo_trader.core.types import Action, Bar
from algo_trader.venue.fills import entry_bar_stop_fill, limit_fill, market_fill, stop_fill

BUY, SELL = Action.BUY, Action.SELL


def bar(ohlc: str) -> Bar:
    opened, high, low, close = map(Decimal, ohlc.split())
    return Bar("X", 0, opened, high, low, close, Decimal(100))


def price(text: str) -> Decimal | None:
    return None if text == "-" else Decimal(text)


@pytest.mark.parametrize(
    ("action", "stop", "ohlc", "slippage", "wanted", "why"),
    [
        (BUY, "10.50", "10.00 10.49 9.90 10.20", "0.01", "-", "not reached"),
        (BUY, "10.50", "10.00 10.50 9.90 10.20", "0", "10.50", "the high itself triggers"),
        (BUY, "10.50", "10.00 10.50 9.90 10.20", "0.01", "10.50", "slippage capped at the high"),
        (BUY, "10.50", "10.00 10.80 9.90 10.20", "0.01", "10.51", "inside the bar"),
        (BUY, "10.50", "10.00 10.80 9.90 10.20", "0.50", "10.80", "large slippage, capped"),
        (BUY, "10.50", "10.60 10.80 10.55 10.70", "0.01", "10.61", "gap: at the open"),
        (BUY, "10.50", "10.50 10.80 10.40 10.70", "0.01", "10.51", "opens at the stop"),
        (BUY, "10.50", "10.80 10.80 10.80 10.80", "0.01", "10.80", "one price, no room"),
        (SELL, "9.50", "10.00 10.10 9.51 9.80", "0.01", "-", "not reached"),
        (SELL, "9.50", "10.00 10.10 9.50 9.80", "0", "9.50", "the low itself triggers"),
        (SELL, "9.50", "10.00 10.10 9.50 9.80", "0.01", "9.50", "slippage capped at the low"),
        (SELL, "9.50", "10.00 10.10 9.20 9.80", "0.01", "9.49", "inside the bar"),
        (SELL, "9.50", "10.00 10.10 9.20 9.80", "0.50", "9.20", "large slippage, capped"),
        (SELL, "9.50", "9.40 9.60 9.20 9.30", "0.01", "9.39", "gap: at the open"),
        (SELL, "9.50", "9.20 9.20 9.20 9.20", "0.01", "9.20", "one price, no room"),
    ],
)
def test_stop_fill(
    action: Action, stop: str, ohlc: str, slippage: str, wanted: str, why: str
) -> None:
    """Goal: a resting stop's price, gaps and caps. Method: a table by hand."""
    got = stop_fill(action, Decimal(stop), bar(ohlc), Decimal(slippage))
    assert got == price(wanted), why


@pytest.mark.parametrize(
    ("action", "stop", "ohlc", "slippage", "wanted", "why"),
    [
        (SELL, "9.50", "10.00 10.60 9.51 10.20", "0.01", "-", "not touched"),
        (SELL, "9.50", "10.60 10.80 9.50 10.20", "0", "9.50", "certain: opened above the entry"),
        (SELL, "9.50", "10.00 10.60 9.40 10.20", "0.01", "9.49", "ambiguous counts as stopped"),
        (SELL, "9.50", "9.30 10.60 9.20 10.20", "0.01", "9.49", "the open below is not used"),
        (SELL, "9.50", "10.00 10.60 9.49 9.49", "0.05", "9.49", "capped at the low"),
        (BUY, "10.50", "10.00 10.49 9.40 9.80", "0.01", "-", "short: not touched"),
        (BUY, "10.50", "10.70 10.80 9.40 9.80", "0.01", "10.51", "short: the open is not used"),
        (BUY, "10.50", "10.00 10.52 9.40 9.80", "0.05", "10.52", "short: capped at the high"),
        (SELL, "9.50", "9.10 9.20 9.00 9.10", "0.01", "9.20", "a limit entry far below its stop"),
        (BUY, "9.50", "9.80 9.90 9.70 9.80", "0.01", "9.70", "short: far above its stop"),
    ],
)
def test_entry_bar_stop_fill(
    action: Action, stop: str, ohlc: str, slippage: str, wanted: str, why: str
) -> None:
    """Goal: on the bar that filled the entry a touched stop is hit at the stop, whatever the open.

    Method: a table by hand.
    """
    got = entry_bar_stop_fill(action, Decimal(stop), bar(ohlc), Decimal(slippage))
    assert got == price(wanted), why


@pytest.mark.parametrize(
    ("action", "limit", "ohlc", "wanted", "why"),
    [
        (BUY, "9.50", "10.00 10.10 9.51 9.80", "-", "not reached"),
        (BUY, "9.50", "10.00 10.10 9.50 9.80", "9.50", "touched"),
        (BUY, "9.50", "9.40 9.60 9.20 9.30", "9.40", "opens better"),
        (BUY, "9.50", "9.60 9.60 9.20 9.30", "9.50", "never worse than the limit"),
        (SELL, "10.50", "10.00 10.49 9.90 10.20", "-", "not reached"),
        (SELL, "10.50", "10.00 10.50 9.90 10.20", "10.50", "touched"),
        (SELL, "10.50", "10.60 10.80 10.40 10.70", "10.60", "opens better"),
    ],
)
def test_limit_fill(action: Action, limit: str, ohlc: str, wanted: str, why: str) -> None:
    """Goal: a limit fills at its price or better, without slippage. Method: a table by hand."""
    assert limit_fill(action, Decimal(limit), bar(ohlc)) == price(wanted), why


@pytest.mark.parametrize(
    ("action", "ohlc", "slippage", "wanted", "why"),
    [
        (SELL, "10.00 10.10 9.20 9.80", "0.01", "9.79", "close less slippage"),
        (SELL, "10.00 10.10 9.79 9.80", "0.05", "9.79", "capped at the low"),
        (SELL, "10.00 10.10 9.80 9.80", "0.01", "9.80", "closes at the low"),
        (BUY, "10.00 10.10 9.20 9.80", "0.01", "9.81", "close plus slippage"),
        (BUY, "10.00 10.10 9.20 10.08", "0.05", "10.10", "capped at the high"),
    ],
)
def test_market_fill(action: Action, ohlc: str, slippage: str, wanted: str, why: str) -> None:
    """Goal: a market order fills at the last close. Method: a table by hand."""
    assert market_fill(action, bar(ohlc), Decimal(slippage)) == price(wanted), why


cents = st.integers(1, 3000).map(lambda n: Decimal(n).scaleb(-2))


@settings(max_examples=300, deadline=None)
@given(
    four=st.tuples(cents, cents, cents, cents).map(sorted),
    is_green=st.booleans(),
    order=cents,
    slippage=st.integers(0, 200).map(lambda n: Decimal(n).scaleb(-3)),
    action=st.sampled_from((BUY, SELL)),
)
def test_every_fill_lies_in_its_bar_and_never_helps_us(
    four: list[Decimal], is_green: bool, order: Decimal, slippage: Decimal, action: Action
) -> None:
    """Goal: no fill outside [low, high]; slippage only ever worsens; a stop never fills better
    than its price, a limit never worse.

    Method: any bar and price through every kind of fill, with and without slippage.
    """
    low, first, second, high = four
    opened, close = (first, second) if is_green else (second, first)
    any_bar = Bar("X", 0, opened, high, low, close, Decimal(1))
    sign = 1 if action is BUY else -1
    for fill in (stop_fill, entry_bar_stop_fill):
        free = fill(action, order, any_bar, Decimal(0))
        paid = fill(action, order, any_bar, slippage)
        assert (free is None) == (paid is None)
        assert (free is None) == (high < order if action is BUY else low > order)
        if free is not None and paid is not None:
            assert low <= free <= high
            assert low <= paid <= high
            assert sign * (paid - free) >= 0
            assert abs(paid - free) <= slippage
            assert sign * (free - order) >= 0
    limited = limit_fill(action, order, any_bar)
    if limited is not None:
        assert low <= limited <= high
        assert sign * (order - limited) >= 0
    at_market = market_fill(action, any_bar, slippage)
    assert low <= at_market <= high
    assert 0 <= sign * (at_market - close) <= slippage
