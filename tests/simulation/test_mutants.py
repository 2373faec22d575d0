"""The simulation's own test: it finds every mutant out.

Method: runs that the real daemon passes in test_faulty_line (each fault alone, the same markets and
seeds) and in test_crash_sweep (one crash at a boundary of every sort). Every mutant must be
complained of in one of them.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from mutants import MUTANTS
from sim_life import Kind, Scenario
from sim_plans import SHORT, faulty
from sim_run import Outcome, Simulator
from sim_world import EVERY_FAULT
from test_crash_sweep import simulator as simulator
from test_faulty_line import MINUTES, SEEDS


def runs(simulator: Simulator, kind: Kind) -> Iterator[Outcome]:
    """The runs of a mutant, one after the other."""
    for fault in EVERY_FAULT:
        for seed in SEEDS:
            scenario = Scenario(seed=seed, minutes=MINUTES)
            yield simulator.run(scenario, plan=faulty(seed, [fault], minutes=MINUTES), kind=kind)
    boundaries = simulator.run(SHORT).lives[0]
    # Crashes around orders first: a mutant that minds them is found out sooner.
    for boundary in sorted(dict.fromkeys(boundaries), key=lambda name: "Submit" not in name):
        yield simulator.run(SHORT, [boundaries.index(boundary)], kind=kind)


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_a_mutant_is_found_out(simulator: Simulator, mutant: Kind) -> None:
    """Goal: its mistake shows."""
    assert any(outcome.complaints for outcome in runs(simulator, mutant))
