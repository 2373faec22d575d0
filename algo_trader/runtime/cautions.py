"""Reasons against new positions that show when one looks: bare shares, and unknown prices."""

from __future__ import annotations

from algo_trader.engine.engine import Engine
from algo_trader.runtime.cover import UNCOVERED_MOST_S, Cover
from algo_trader.runtime.gate import Gate

UNCOVERED = "uncovered"
PRICES = "prices"


def look(gate: Gate, engine: Engine, cover: Cover, *, wants_prices: bool) -> None:
    """No new risk while shares are bare, or while nobody knows what is held is worth."""
    if cover.since_s >= UNCOVERED_MOST_S:
        gate.close(UNCOVERED, "shares are without a working stop", level="critical")
    else:
        gate.open(UNCOVERED)
    held = engine.book.active.values()
    unpriced = {h.symbol for h in held if h.qty and h.symbol not in engine.marks}
    if unpriced and wants_prices:
        gate.close(PRICES, f"no price is known of {', '.join(sorted(unpriced))}, which is held")
    else:
        gate.open(PRICES)
