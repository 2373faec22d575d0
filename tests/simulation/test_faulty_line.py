"""A broker behind a bad line: requests and answers are lost, late, doubled, refused, stale.

Method: each fault alone, then all of them together, drawn from a seed; no crash. Market time goes
on slowly enough for answers to be found out within minutes. The same witness and oracle as in the
crash sweep look on.
"""

from __future__ import annotations

from collections import Counter

import pytest
from sim_life import Scenario
from sim_market import CASH, LITTLE
from sim_plans import awful, faulty
from sim_run import Simulator
from sim_world import EVERY_FAULT, Fault
from test_crash_sweep import check
from test_crash_sweep import simulator as simulator

MINUTES = 20
SEEDS = range(3)


@pytest.mark.parametrize("fault", EVERY_FAULT)
def test_each_fault(simulator: Simulator, fault: Fault) -> None:
    """Goal: whatever one fault does to orders, cancels and moves is found out and mended."""
    happened: Counter[str] = Counter()
    for seed in SEEDS:
        scenario = Scenario(seed=seed, minutes=MINUTES)
        outcome = simulator.run(scenario, plan=faulty(seed, [fault], minutes=MINUTES))
        check(outcome, scenario, fault, seed)
        happened += outcome.world.faults
    assert all(happened[f"{sort} {fault}"] for sort in ("Submit", "Replace", "Cancel"))


@pytest.mark.parametrize("fault", EVERY_FAULT)
def test_each_fault_of_pairs(simulator: Simulator, fault: Fault) -> None:
    """Goal: the same for a stop and a target that are sent as one."""
    happened: Counter[str] = Counter()
    for seed in SEEDS:
        scenario = Scenario(seed=seed, minutes=MINUTES, has_targets=True)
        outcome = simulator.run(scenario, plan=faulty(seed, [fault], minutes=MINUTES))
        check(outcome, scenario, fault, seed)
        happened += outcome.world.faults
    assert all(happened[f"{sort} {fault}"] for sort in ("SubmitPair", "Replace", "Cancel"))


@pytest.mark.parametrize("seed", range(6))
def test_everything_at_once(simulator: Simulator, seed: int) -> None:
    """Goal: the faults do not help each other."""
    scenario = Scenario(
        seed=seed, minutes=MINUTES, is_lockstep=bool(seed % 3), has_targets=seed > 2
    )
    check(simulator.run(scenario, plan=awful(seed, MINUTES)), scenario, seed)


@pytest.mark.parametrize("seed", range(4))
def test_an_exchange_that_refuses(simulator: Simulator, seed: int) -> None:
    """Goal: a refused stop is tried again, then the position is closed; a few shares are too."""
    scenario = Scenario(
        seed=seed, minutes=MINUTES, refuse_pct=15, exit_at_end=False, has_targets=seed > 1
    )
    check(simulator.run(scenario, [60 + 20 * seed]), scenario)


@pytest.mark.slow
@pytest.mark.parametrize("first_seed", range(1_000, 1_500, 100))
def test_many_faults(simulator: Simulator, first_seed: int) -> None:
    """Goal: as above, over many markets and seeds."""
    for seed in range(first_seed, first_seed + 100):
        scenario = Scenario(seed=seed % 50, cash=(CASH, LITTLE)[seed % 2])
        check(simulator.run(scenario, plan=awful(seed)), scenario, seed)
        fault = EVERY_FAULT[seed % len(EVERY_FAULT)]
        check(simulator.run(scenario, plan=faulty(seed, [fault])), scenario, seed, fault)
