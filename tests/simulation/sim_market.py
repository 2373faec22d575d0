"""What the simulated daemon trades: short days of wild bars.

A day of forty minutes holds what a month of a real strategy does: entries that fill, in whole or
in part, and entries that expire, stops that are moved and hit, exits, positions flattened.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from random import Random

from algo_trader.core.ports import PastDay
from algo_trader.core.types import MINUTE, Bar, Session, utc
from algo_trader.risk.limits import RiskLimits
from algo_trader.venue.costs import Costs

OPENS_AT = 1_704_205_800
"""2024-01-02 14:30 UTC, the open of the first day."""
OVERNIGHT = 86_400
MISSING = 3
"""Minutes at the end that no bar has."""
SYMBOLS = ("AA", "BB")
NAME = "quick"
CASH = Decimal(100_000)
LITTLE = Decimal(3_000)
"""So little cash that what a part of an entry buys is too few shares for a stop."""
CENT = Decimal("0.01")
COSTS = Costs(slippage_per_share=CENT, commission_per_share=Decimal("0.0035"))
LIMITS = RiskLimits(
    max_position_pct=Decimal("0.2"),
    max_daily_loss_pct=Decimal("0.9"),
    consecutive_loss_pause=1_000,
)


def make_days(seed: int, days: int = 2, minutes: int = 40) -> list[PastDay]:
    """Days of random walks from 100; now and then a symbol has no bar in a minute.

    The last day's bars end before its close.
    """
    chance = Random(seed)
    last = dict.fromkeys(SYMBOLS, 10_000)
    made = []
    for number in range(days):
        opens_at = OPENS_AT + number * OVERNIGHT
        session = Session(utc(opens_at).date(), opens_at, opens_at + minutes * MINUTE)
        rows = [_minute(chance, last, opens_at + index * MINUTE) for index in range(minutes)]
        if number == days - 1:
            rows[-MISSING:] = [()] * MISSING
        made.append(PastDay(session, rows))
    return made


def _minute(chance: Random, last: dict[str, int], start: int) -> Sequence[Bar]:
    bars = []
    for symbol in SYMBOLS:
        if chance.random() < 0.05:
            continue
        path = [last[symbol]]
        for _ in range(3):
            path.append(max(5_000, path[-1] + chance.randint(-40, 40)))
        last[symbol] = path[-1]
        prices = (path[0], max(path), min(path), path[-1])
        opened, high, low, close = (CENT * price for price in prices)
        bars.append(Bar(symbol, start, opened, high, low, close, 100))
    return tuple(bars)
