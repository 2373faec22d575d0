"""Scenarios: short scripted days that hold what their names say, and hold when the process dies.

Method: the whole daemon in virtual time, each scenario once in peace, then dying at boundaries of
it; witness and oracle look on as in a campaign. Every boundary with `-m slow`.
"""

from __future__ import annotations

import json
import shlex
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import pytest

from algo_trader.cli.main import run as run_command
from algo_trader.simulation.campaign import summary
from algo_trader.simulation.market import Market
from algo_trader.simulation.run import Outcome
from algo_trader.simulation.scenarios import SCENARIOS
from algo_trader.simulation.sweep import Point, Sweep, play, points_of, sweep
from algo_trader.simulation.sweep_report import command_of, document, table

STRIDE = 80
NAMES = list(SCENARIOS)


def swept(points: Sequence[Point]) -> Sweep:
    """What they came to, one after the other."""
    found = Sweep()
    sweep(found, points, 1, lambda found: None)
    assert found.runs == found.wanted == len(points)
    return found


def seen_in(outcome: Outcome) -> Counter[str]:
    """Facts, reasons of cancels and trades of a run's ledger, and what the world has counted."""
    driver = outcome.file.driver
    facts = driver.execute("SELECT kind, payload FROM order_event").fetchall()
    seen = outcome.tally + Counter(kind for kind, _ in facts)
    seen.update(
        f"canceled: {json.loads(payload)['reason']}"
        for kind, payload in facts
        if kind == "CancelRequested"
    )
    trades = driver.execute("SELECT side, exit_reason FROM trade")
    seen.update(f"{side}: {reason}" for side, reason in trades)
    return seen


def test_a_tape_says_every_price() -> None:
    """Goal: what is written is traded. Method: two days of a tape, read back from the market."""
    market = Market(1, ["AA"], ["calm", "calm"], 3, 1, {"AA": "0/5/2 - -3 | 7"})
    first, second = market.period
    closes = [[str(bar.close) for bar in bars] for bars in first.minutes]
    assert closes == [["100.02"], [], ["99.97"]]
    (bar,) = first.minutes[0]
    assert (str(bar.open), str(bar.high), str(bar.low)) == ("100.00", "100.05", "100.00")
    assert [[str(bar.close) for bar in bars] for bars in second.minutes] == [["100.07"], [], []]
    assert {str(bar.close) for day in market.history for bars in day.minutes for bar in bars} == {
        "100.00"
    }


def test_a_failure_names_the_command_that_shows_it_again() -> None:
    """Goal: a failure is told with its replay. Method: put a complaint into a point's summary."""
    point = Point("stop's move is refused", (7, 3))
    found = Sweep()
    found.add(point, replace(summary(play(point)), complaints=["12 AA without a working stop"]))
    (failure,) = document(found)["failures"]
    assert failure["complaints"] == ["12 AA without a working stop"]
    words = shlex.split(failure["command"])
    assert words[words.index("--scenario") + 1] == point.name
    assert words[words.index("--crash-at") + 1] == "7,3"
    assert "FAILED: stop's move is refused" in table(found)


def test_there_are_enough_of_them() -> None:
    """Goal: the sweep is as wide as it is said to be. Method: count, and look for both sides."""
    assert len(SCENARIOS) >= 50
    scripts = [scenario.plan.script for scenario in SCENARIOS.values()]
    assert any("buy" in script for script in scripts)
    assert any("short" in script for script in scripts)
    assert all(scenario.shows for scenario in SCENARIOS.values())


@pytest.mark.parametrize("name", NAMES)
def test_a_scenario_holds_what_its_name_says(name: str) -> None:
    """Goal: no scenario is an empty name. Method: run it in peace; look into ledger and tally."""
    outcome = play(Point(name))
    assert not outcome.complaints, outcome.complaints[:5]
    seen = seen_in(outcome)
    assert [what for what in SCENARIOS[name].shows if not seen[what]] == []


@pytest.mark.parametrize("name", NAMES)
def test_some_crash_points(name: str) -> None:
    """Goal: dying at some of the points changes nothing. Method: each 159th, at another offset in
    each scenario, by turns once and twice in a row.
    """
    offset = NAMES.index(name) % STRIDE
    points = list(points_of(name, again=(3 + offset,)))[offset :: 2 * STRIDE - 1]
    failures = swept(points).failures
    assert [(command_of(point), one.complaints[:3]) for point, one in failures] == []


def test_a_point_is_the_same_every_time() -> None:
    """Goal: a failure can be seen again. Method: two runs of one point have one fingerprint."""
    point = Point("target is filled", (50, 10))
    assert play(point).fingerprint == play(point).fingerprint


def test_points_are_of_every_life() -> None:
    """Goal: a scenario with a restart is swept before and after it. Method: count its points."""
    name = "a night with a position and nobody there"
    first, second, _ = play(Point(name)).boundaries
    points = list(points_of(name, again=()))
    assert len(points) == len(first) + len(second)
    outcome = play(points[len(first) + 5])
    assert len(outcome.boundaries[1]) == 5
    assert not outcome.complaints


def test_the_command_runs_a_point_again(capsys: pytest.CaptureFixture[str]) -> None:
    """Goal: what a failure names can be typed. Method: list, run a point, ask for what is not."""
    assert run_command(["simulate", "--list"]) == 0
    told = capsys.readouterr().out.splitlines()
    assert [line.split("  ")[0] for line in told] == NAMES
    words = ["simulate", "--scenario", "stop is hit", "--crash-at", "40,3", "--json"]
    assert run_command(words) == 0
    assert json.loads(capsys.readouterr().out)["crash_points"] == 1
    for wrong in (["nothing"], ["all", "--seed", "1"], ["all", "--trace"]):
        assert run_command(["simulate", "--scenario", *wrong]) == 2
        assert "--scenario" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_every_crash_point(name: str) -> None:
    """Goal: no crash anywhere loses, doubles or uncovers anything."""
    failures = swept(list(points_of(name))).failures
    assert [(command_of(point), one.complaints[:3]) for point, one in failures] == []
