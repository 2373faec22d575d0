"""Price increments: the tick of a price, and rounding to it.

Rule (strategy page, section 4; "the tick follows the unrounded price"): one cent from a dollar up,
a hundredth of a cent below. Callers round away from the market, so a buffer never shrinks.
"""

from __future__ import annotations

from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

CENT = Decimal("0.01")
SUB_CENT = Decimal("0.0001")
DOLLAR = Decimal(1)


def tick(price: Decimal) -> Decimal:
    """The smallest price step at `price`."""
    return CENT if price >= DOLLAR else SUB_CENT


def ceil_to_tick(price: Decimal) -> Decimal:
    """The lowest valid price not below `price`."""
    return price.quantize(CENT if price >= DOLLAR else SUB_CENT, ROUND_CEILING)


def floor_to_tick(price: Decimal) -> Decimal:
    """The highest valid price not above `price`."""
    return price.quantize(CENT if price >= DOLLAR else SUB_CENT, ROUND_FLOOR)


def is_on_tick(price: Decimal) -> bool:
    """Whether `price` is a valid order price."""
    return price == floor_to_tick(price)
