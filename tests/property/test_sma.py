"""The incremental averages are the exact means of the last n closes, rounded once.

The expected number is made with fractions and integers alone: the exact mean, rounded half-even to
28 significant digits.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from fractions import Fraction
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from algo_trader.core.types import Candle
from algo_trader.indicators import IndicatorSet, SmaPair
from algo_trader.indicators.sma import exact_share

DIGITS = 28

PAIRS = [(1, 2), (2, 3), (3, 9), (5, 100), (8, 33), (10, 30), (20, 25), (20, 200), (22, 125)]
"""Windows whose reciprocal is a finite decimal, and windows whose is not, on either side."""


def rounded(exact: Fraction) -> Decimal:
    """The fraction to 28 significant digits, half-even."""
    if not exact:
        return Decimal(0)
    places = 0
    while abs(exact) * Fraction(10) ** places < 10 ** (DIGITS - 1):
        places += 1
    while abs(exact) * Fraction(10) ** places >= 10**DIGITS:
        places -= 1
    return Decimal(round(exact * Fraction(10) ** places)).scaleb(-places)


def mean(closes: Sequence[Decimal], count: int) -> Decimal | None:
    if len(closes) < count:
        return None
    return rounded(sum(map(Fraction, closes[-count:]), Fraction(0)) / count)


def candle(close: Decimal) -> Candle:
    """A candle whose other prices would give another mean."""
    other = close + 1
    return Candle("X", 0, 120, other, other + 1, close - 1, close, Decimal(7), late=False)


def random_closes(chance: Random, count: int) -> list[Decimal]:
    """Prices of 2 to 6 decimals, also mixed, and also written with other exponents."""
    places = chance.choice((2, 3, 4, 5, 6, None))
    at_most = chance.choice((1, 30, 700, 5_000, 900_000))
    closes = []
    for _ in range(count):
        digits = chance.randint(2, 6) if places is None else places
        close = Decimal(chance.randint(1, at_most * 10**digits)).scaleb(-digits)
        if places is None and chance.random() < 0.3:
            close = chance.choice((close.normalize(), close.quantize(Decimal("1e-8"))))
        closes.append(close)
    return closes


@pytest.mark.parametrize(("fast", "slow"), PAIRS)
@settings(max_examples=12, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_averages_are_exact_means_rounded_once(fast: int, slow: int, seed: int) -> None:
    """Goal: exact sum / n at 28 digits half-even, from the n-th close on; null before; `prev` the
    averages after the candle before.

    Method: random closes, each step against fractions over the last n.
    """
    chance = Random(seed)
    closes = random_closes(chance, slow + chance.randint(0, 40))
    source = SmaPair(fast, slow)
    before: IndicatorSet | None = None
    for count, close in enumerate(closes, start=1):
        after = source.update(candle(close))
        assert after.bar_count == count
        if count <= fast + 2 or count >= slow - 1:
            assert after.sma_fast == mean(closes[:count], fast)
            assert after.sma_slow == mean(closes[:count], slow)
        if before is not None:
            assert (after.prev_sma_fast, after.prev_sma_slow) == (before.sma_fast, before.sma_slow)
        else:
            assert after.prev_sma_fast is after.prev_sma_slow is None
        before = after


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_nothing_is_left_of_closes_that_have_gone(seed: int) -> None:
    """Goal: a running sum does not drift: long after, the averages are those of a fresh start.

    Method: closes of very different sizes first, then the same n closes into a fresh source.
    """
    chance = Random(seed)
    old = random_closes(chance, 150)
    new = random_closes(chance, 31)
    worn, fresh = SmaPair(9, 30), SmaPair(9, 30)
    for close in old:
        worn.update(candle(close))
    for close in new:
        after, wanted = worn.update(candle(close)), fresh.update(candle(close))
    assert after[:4] == wanted[:4]


@pytest.mark.parametrize("count", [1, 2, 4, 5, 8, 10, 16, 20, 25, 40, 50, 64, 100, 125, 200, 500])
def test_a_finite_reciprocal_is_used(count: int) -> None:
    """Goal: where 1/n is a decimal the quick way is taken. Method: compare with a fraction."""
    share = exact_share(count)
    assert share is not None
    assert Fraction(share) == Fraction(1, count)


@pytest.mark.parametrize(("fast", "slow"), [(0, 5), (-1, 5), (5, 5), (6, 5)])
def test_windows_that_make_no_sense_are_refused(fast: int, slow: int) -> None:
    """Goal: 0 < fast < slow. Method: a table of the others."""
    with pytest.raises(ValueError, match="smaller"):
        SmaPair(fast, slow)


def test_the_fast_average_sees_the_ring_from_its_own_distance() -> None:
    """Goal: the shared ring serves both windows also where an index wraps.

    Method: closes 1, 2, 3, ... of which every mean is known by sight.
    """
    source = SmaPair(3, 5)
    got = [source.update(candle(Decimal(n)))[:2] for n in range(1, 13)]
    assert [fast for fast, _ in got] == [None, None, *map(Decimal, range(2, 12))]
    assert [slow for _, slow in got] == [None] * 4 + [*map(Decimal, range(3, 11))]
