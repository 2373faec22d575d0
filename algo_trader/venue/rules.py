"""How the venue behaves where brokers differ, and its seeded moods."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import blake2b


@dataclass(frozen=True, slots=True, kw_only=True)
class VenueRules:
    """Options of the venue.

    `partial_fill_pct` of the fills are partial, `refuse_pct` of the new orders are refused, drawn
    from `seed` and the order, so that the same run draws the same. `refuse_stops_through_market`
    makes the venue answer a stop on the wrong side of the market as Alpaca does; otherwise such a
    stop rests and triggers on the next print that reaches it.
    """

    allow_short: bool = True
    refuse_stops_through_market: bool = False
    partial_fill_pct: int = 0
    refuse_pct: int = 0
    seed: int = 0

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
