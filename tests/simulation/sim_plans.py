"""The runs: which markets, which faults, which crashes; all drawn from a number."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

from sim_life import Scenario
from sim_market import OPENS_AT, OVERNIGHT
from sim_world import EVERY_FAULT, Fault, FaultPlan

from algo_trader.core.types import MINUTE

CALM_MINUTES = 10
"""At the end of the last day no fault happens: what is left over then is left over for good."""
SHORT = Scenario(seed=47, minutes=12)
OTHER = Scenario(seed=107, minutes=14)
"""Two short markets that together hold whatever can happen to an order."""
SHORT_PAIRS = Scenario(seed=47, minutes=12, has_targets=True)
OTHER_PAIRS = Scenario(seed=107, minutes=14, has_targets=True)


def faulty(
    seed: int, kinds: Sequence[Fault] = EVERY_FAULT, pct: int = 40, minutes: int = 40
) -> FaultPlan:
    """Faults of these kinds on a line that otherwise tells the truth at once."""
    until = OPENS_AT + OVERNIGHT + (minutes - CALM_MINUTES) * MINUTE
    return FaultPlan(seed=seed, pct=pct, kinds=tuple(kinds), until=until)


def awful(seed: int, minutes: int = 40) -> FaultPlan:
    """Faults of every kind, stale answers, questions without answers, reports that come again."""
    chance = Random(seed)
    until = OPENS_AT + OVERNIGHT + (minutes - CALM_MINUTES) * MINUTE
    return FaultPlan(
        seed=seed,
        pct=chance.choice((10, 30, 60)),
        until=until,
        lag_s=chance.choice((0.0, 1.0, 3.0)),
        deaf_pct=chance.choice((0, 20)),
        echo_pct=chance.choice((0, 25)),
    )


def crashes(seed: int, boundaries: int) -> list[int]:
    """Where the lives of a run end: anywhere, then soon after the restart, or anywhere again."""
    chance = Random(f"crashes {seed}")
    found = [chance.randrange(boundaries)]
    found.append(chance.choice((chance.randrange(12), chance.randrange(boundaries))))
    found += [chance.randrange(15) for _ in range(chance.choice((0, 0, 1, 2)))]
    return found
