"""What a fill costs beyond its price: slippage, commission and, as an option, regulatory fees.

The rates of the fees are data (regulatory_fees.csv) and are handed in; nothing here reads them.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import ROUND_CEILING, Decimal
from typing import NamedTuple

from algo_trader.core.errors import CoreError
from algo_trader.core.types import ZERO, Action, Instant, iso

CENT = Decimal("0.01")
MILLION = Decimal(1_000_000)


class SecRate(NamedTuple):
    """The SEC's fee by Section 31 of the Exchange Act, in dollars per million of sales."""

    effective_from: Instant
    per_million_dollars: Decimal


class TafRate(NamedTuple):
    """FINRA's Trading Activity Fee, in dollars per share sold and at most per trade."""

    effective_from: Instant
    per_share: Decimal
    cap_dollars: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class FeeSchedule:
    """The fees on sales and since when: each rate holds until the next one; the last goes on."""

    sec: tuple[SecRate, ...]
    taf: tuple[TafRate, ...]

    def __post_init__(self) -> None:
        for name, rates in (("sec", self.sec), ("taf", self.taf)):
            starts = [rate.effective_from for rate in rates]
            if not starts or starts != sorted(set(starts)):
                raise ValueError(f"the rates of {name} are none, or not ascending by date")

    @property
    def starts_at(self) -> Instant:
        """The first instant at which every fee is known."""
        return max(self.sec[0].effective_from, self.taf[0].effective_from)

    def on_sale(self, qty: Decimal, price: Decimal, at: Instant) -> Decimal:
        """Both fees on one fill that sells, each rounded up to the cent."""
        sec = self.sec[_index(self.sec, at)]
        taf = self.taf[_index(self.taf, at)]
        sec_fee = qty * price * sec.per_million_dollars / MILLION
        taf_fee = min(qty * taf.per_share, taf.cap_dollars)
        return _up_to_cent(sec_fee) + _up_to_cent(taf_fee)


@dataclass(frozen=True, slots=True, kw_only=True)
class Costs:
    """Dollars per share and per order. Slippage always works against us."""

    slippage_per_share: Decimal = Decimal("0.01")
    commission_per_share: Decimal = ZERO
    commission_per_order: Decimal = ZERO
    fees: FeeSchedule | None = None
    """Regulatory fees, on sells only; None charges none."""

    def commission(self, action: Action, qty: Decimal, price: Decimal, at: Instant) -> Decimal:
        """Commission of one fill, entry and exit alike; with the fees if it sells.

        A sale that opens a short pays them too: they are charged on sales, whatever these are for.
        """
        commission = self.commission_per_share * qty + self.commission_per_order
        if self.fees is not None and action is Action.SELL:
            commission += self.fees.on_sale(qty, price, at)
        return commission


def _index(rates: Sequence[SecRate | TafRate], at: Instant) -> int:
    """Where the rate in force stands. A run is refused at its start if it would fall before all."""
    index = bisect_right(rates, at, key=lambda rate: rate.effective_from) - 1
    if index < 0:
        raise CoreError(f"no regulatory fee is known at {iso(at)}, before the first of its table")
    return index


def _up_to_cent(dollars: Decimal) -> Decimal:
    return dollars.quantize(CENT, ROUND_CEILING)
