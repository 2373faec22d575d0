"""What a fill costs beyond its price: slippage and commission."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from algo_trader.core.types import ZERO


@dataclass(frozen=True, slots=True, kw_only=True)
class Costs:
    """Dollars per share and per order. Slippage always works against us."""

    slippage_per_share: Decimal = Decimal("0.01")
    commission_per_share: Decimal = ZERO
    commission_per_order: Decimal = ZERO

    def commission(self, qty: Decimal) -> Decimal:
        """Commission of one fill of `qty` shares; entry and exit alike."""
        return self.commission_per_share * qty + self.commission_per_order
