"""Ticks and rounding to them: away from the market, so that no buffer shrinks."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from algo_trader.core.prices import ceil_to_tick, floor_to_tick, is_on_tick, tick


@pytest.mark.parametrize(
    ("price", "step", "floor", "ceiling"),
    [
        ("20.1234", "0.01", "20.12", "20.13"),  # the rules' sub-penny high
        ("19.985", "0.01", "19.98", "19.99"),  # and low less buffer
        ("99.94995", "0.01", "99.94", "99.95"),  # the worked example's first stop
        ("100.40", "0.01", "100.40", "100.40"),
        ("1", "0.01", "1.00", "1.00"),
        ("1.00001", "0.01", "1.00", "1.01"),
        ("0.99999", "0.0001", "0.9999", "1.0000"),
        ("0.99995", "0.0001", "0.9999", "1.0000"),
        ("0.9513", "0.0001", "0.9513", "0.9513"),
        ("0.00005", "0.0001", "0.0000", "0.0001"),
        ("0", "0.0001", "0", "0"),
        ("-0.00005", "0.0001", "-0.0001", "0"),
        ("1E+3", "0.01", "1000.00", "1000.00"),
    ],
)
def test_rounding(price: str, step: str, floor: str, ceiling: str) -> None:
    """Goal: a cent from a dollar up, a hundredth of a cent below; the tick follows the unrounded
    price. Method: a table by hand.
    """
    exact = Decimal(price)
    assert tick(exact) == Decimal(step)
    assert floor_to_tick(exact) == Decimal(floor)
    assert ceil_to_tick(exact) == Decimal(ceiling)
    assert is_on_tick(exact) == (Decimal(floor) == Decimal(ceiling))


@settings(max_examples=300, deadline=None)
@given(price=st.decimals(Decimal("-2"), Decimal("1e6"), places=7))
def test_rounding_is_the_nearest_valid_price_on_its_side(price: Decimal) -> None:
    """Goal: floor <= price <= ceiling, less than a tick apart from it, both valid prices.

    Method: any price of seven decimals.
    """
    low, high, step = floor_to_tick(price), ceil_to_tick(price), tick(price)
    assert low <= price <= high
    assert price - low < step
    assert high - price < step
    assert is_on_tick(low)
    assert is_on_tick(high)
    assert is_on_tick(price) == (low == high == price)
