"""Crashes: wherever the process dies, it comes back to the very truth and goes on.

Method: a short market is traded by the real daemon on the real files; at every boundary of the run
(before and after each commit of the ledger, each commit of the exchange and each call of the
broker) the process dies once, and comes back on the files as they lie. After each settled minute
every share must be covered; at the end an oracle that shares no code with the daemon compares the
two files. Long sweeps run with `-m slow`.
"""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from sim_life import LEDGER, Scenario
from sim_market import CASH, LITTLE
from sim_plans import OTHER, OTHER_PAIRS, SHORT, SHORT_PAIRS, awful, crashes
from sim_run import Outcome, Simulator

MEMORY = Path("/dev/shm")


@pytest.fixture(scope="module")
def simulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Simulator]:
    """In memory where there is any: a process that dies takes nothing from the page cache."""
    folder = tmp_path_factory.mktemp("simulation")
    if os.access(MEMORY, os.W_OK):
        folder = Path(tempfile.mkdtemp(prefix="simulation-", dir=MEMORY))
    yield Simulator(folder)
    shutil.rmtree(folder, ignore_errors=True)


def check(outcome: Outcome, *about: object) -> None:
    """Fail with all that is needed to run it again."""
    assert not outcome.complaints, "\n".join(
        [f"{about}, files {outcome.files}", *outcome.complaints[:5]]
    )


def seen_in(outcome: Outcome) -> Counter[str]:
    """Kinds of facts, reasons of cancels and of closed trades in a run's ledger."""
    with closing(sqlite3.connect(outcome.files / LEDGER)) as driver:
        facts = driver.execute("SELECT kind, payload FROM order_event").fetchall()
        trades = driver.execute("SELECT side, exit_reason FROM trade").fetchall()
    seen = Counter(kind for kind, _ in facts)
    seen.update(
        f"canceled: {json.loads(payload)['reason']}"
        for kind, payload in facts
        if kind == "CancelRequested"
    )
    seen.update(f"{side}: {reason}" for side, reason in trades)
    return seen


def test_the_markets_hold_what_can_happen(simulator: Simulator) -> None:
    """Goal: the sweep is worth its name. Method: look into the ledgers of runs without a crash."""
    seen: Counter[str] = Counter()
    for scenario in (SHORT, OTHER):
        outcome = simulator.run(scenario, keep=True)
        check(outcome, scenario)
        seen += seen_in(outcome)
    wanted = (
        "canceled: EXPIRED, canceled: EXIT, canceled: PARTIAL_FILL, OrderReplaced, OrderExpired"
    )
    assert [what for what in wanted.split(", ") if not seen[what]] == []
    trades = " ".join(seen)
    for word in ("long:", "short:", "stop_loss", "strategy", "end_of_day", "end_of_data"):
        assert word in trades


def test_the_markets_hold_what_can_happen_to_pairs(simulator: Simulator) -> None:
    """Goal: the sweep of pairs is worth its name, too. Method: as above."""
    seen: Counter[str] = Counter()
    for scenario in (SHORT_PAIRS, OTHER_PAIRS):
        outcome = simulator.run(scenario, keep=True)
        check(outcome, scenario)
        seen += seen_in(outcome)
    wanted = "canceled: EXIT, canceled: NO_POSITION, canceled: PARTIAL_FILL, OrderReplaced"
    assert [what for what in wanted.split(", ") if not seen[what]] == []
    trades = " ".join(seen)
    for word in (": target", "stop_loss", "strategy"):
        assert word in trades


def test_a_run_is_the_same_every_time(simulator: Simulator) -> None:
    """Goal: a failure can be run again. Method: the boundaries of two equal runs with faults."""
    runs = [simulator.run(SHORT, [100], awful(3, SHORT.minutes)) for _ in range(2)]
    assert runs[0].lives == runs[1].lives
    assert runs[0].world.faults == runs[1].world.faults


def test_one_more_start_records_nothing(simulator: Simulator) -> None:
    """Goal: reconciling what agrees changes nothing. Method: start again after a whole run; the
    boundaries of that life hold no commit.
    """
    outcome = simulator.run(SHORT, [10_000])
    check(outcome)
    first, second = outcome.lives
    assert any("commit" in boundary for boundary in first)
    assert [boundary for boundary in second if "commit" in boundary or "of" in boundary] == []


def test_every_boundary_once(simulator: Simulator) -> None:
    """Goal: no crash anywhere loses, doubles or uncovers anything."""
    boundaries = simulator.run(SHORT).lives[0]
    assert len(boundaries) > 200
    for number, boundary in enumerate(boundaries):
        check(simulator.run(SHORT, [number]), SHORT, number, boundary)


@pytest.mark.slow
def test_every_boundary_of_pairs(simulator: Simulator) -> None:
    """Goal: the same where the broker holds a stop and a target over the same shares."""
    boundaries = simulator.run(SHORT_PAIRS).lives[0]
    assert "before SubmitPair of stop" in boundaries
    for number, boundary in enumerate(boundaries):
        check(simulator.run(SHORT_PAIRS, [number]), SHORT_PAIRS, number, boundary)


def test_every_boundary_of_the_way_back(simulator: Simulator) -> None:
    """Goal: a start that is cut short anywhere, twice in a row, leads to the same place.

    Method: die with an order on its way and with a fill untold, then at every boundary of the
    reconciliation that follows, and once more two boundaries later.
    """
    boundaries = simulator.run(OTHER).lives[0]
    for moment in ("before Submit of stop", "after the exchange's commit of OrderFilled"):
        first = boundaries.index(moment)
        way_back = simulator.run(OTHER, [first]).lives[1]
        begins = way_back.index("before the exchange's move")
        for second in range(begins):
            outcome = simulator.run(OTHER, [first, second, second + 2])
            check(outcome, OTHER, first, second)


@pytest.mark.parametrize("seed", range(12))
def test_some_crashes_in_a_row(simulator: Simulator, seed: int) -> None:
    """Goal: several crashes in one run, on a calm line and on an awful one."""
    scenario = Scenario(
        seed=seed, minutes=20, cash=(CASH, LITTLE)[seed % 2], has_targets=bool(seed // 3 % 2)
    )
    plan = awful(seed, scenario.minutes) if seed % 3 else None
    check(simulator.run(scenario, crashes(seed, 350), plan), scenario, seed)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 9, 23, 42])
def test_every_boundary_of_a_long_market(simulator: Simulator, seed: int) -> None:
    """Goal: as above, on markets of eighty minutes."""
    scenario = Scenario(seed=seed)
    for number, boundary in enumerate(simulator.run(scenario).lives[0]):
        check(simulator.run(scenario, [number]), scenario, number, boundary)


@pytest.mark.slow
@pytest.mark.parametrize("first_seed", range(0, 600, 100))
@pytest.mark.parametrize("is_calm", [True, False])
def test_many_crashes(simulator: Simulator, first_seed: int, is_calm: bool) -> None:
    """Goal: two to four crashes in a run, on calm and awful lines, over many markets."""
    for seed in range(first_seed, first_seed + 100):
        scenario = Scenario(
            seed=seed % 50,
            cash=(CASH, LITTLE)[seed % 2],
            is_lockstep=bool(seed % 3),
            has_targets=bool(seed // 6 % 2),
        )
        plan = None if is_calm else awful(seed)
        check(simulator.run(scenario, crashes(seed, 850), plan), scenario, seed)
