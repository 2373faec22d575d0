"""How the venue behaves where brokers differ, and its seeded moods."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import ROUND_FLOOR, Decimal
from hashlib import blake2b

from algo_trader.core.types import TimeInForce
from algo_trader.venue.resting import RestingOrder


@dataclass(frozen=True, slots=True, kw_only=True)
class VenueRules:
    """Options of the venue.

    `partial_fill_pct` of the fills are partial, `refuse_pct` of the new orders are refused, drawn
    from `seed` and the order, so that the same run draws the same. `refuse_stops_through_market`
    makes the venue answer a stop on the wrong side of the market as Alpaca does; otherwise such a
    stop rests and triggers on the next print that reaches it.

    Where it is not known how Alpaca behaves: `allow_stop_entries_in_groups` lets the entry of a
    bracket or OTO be a stop, `triggered_stop_replaces_profit` ends the take-profit of a group as
    replaced by the stop that was triggered, else as canceled; `allow_replace_of_oto_legs` lets the
    leg of an OTO be moved.
    """

    allow_short: bool = True
    refuse_stops_through_market: bool = False
    partial_fill_pct: int = 0
    refuse_pct: int = 0
    seed: int = 0
    allow_stop_entries_in_groups: bool = False
    triggered_stop_replaces_profit: bool = True
    allow_replace_of_oto_legs: bool = True

    def __post_init__(self) -> None:
        for name in ("partial_fill_pct", "refuse_pct"):
            if not 0 <= getattr(self, name) <= 100:
                raise ValueError(f"{name} must lie between 0 and 100")

    def happens(self, per_cent: int, *about: object) -> bool:
        """Whether something that happens in `per_cent` of cases happens in this one."""
        if per_cent <= 0:
            return False
        text = "|".join(map(str, (self.seed, *about)))
        draw = int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "big")
        return draw % 100 < per_cent

    def fill_qty(self, order: RestingOrder) -> Decimal:
        """How many of its open shares are filled at a time; a FOK order never in part."""
        qty, request, pct = order.qty_open, order.request, self.partial_fill_pct
        if (
            pct
            and qty > 1
            and request.time_in_force is not TimeInForce.FOK
            and self.happens(pct, "partial", request.order_id, order.qty_filled)
        ):
            return (qty / 2).to_integral_value(ROUND_FLOOR)
        return qty
