"""What a campaign has come to: sums, situations, cells of order states, words."""

from __future__ import annotations

import sqlite3
from collections import Counter
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from algo_trader.config import load_settings
from algo_trader.core.errors import ConfigError
from algo_trader.simulation import report as words
from algo_trader.simulation.campaign import Report, Setup, Summary, strategy_named
from algo_trader.simulation.coverage import SITUATIONS, cells_of, legal_cells
from algo_trader.simulation.plan import Level
from algo_trader.simulation.strategy import Restless
from algo_trader.strategies import Velez

ONE = Summary(
    seed=3,
    complaints=[],
    tail=[],
    crash_at=(),
    tally=Counter({"death": 2, "fault: POST stop lost": 1, "check: x": 5, "end: StorageError": 1}),
    cells=Counter({"submitted accepted": 4}),
    bare_s=[0.5, 2.0],
    lives=4,
    boundaries=100,
    fingerprint="ab",
)
BROKEN = replace(ONE, seed=1, complaints=["it is wrong"], tail=["before"], crash_at=(7, 9))


@pytest.fixture
def report(tmp_path: Path) -> Report:
    """A campaign of nothing so far."""
    file = tmp_path / "none.env"
    file.write_text("")
    settings = load_settings(env_file=file, environ={}).settings
    return Report(setup=Setup(settings=settings, words="--faults heavy"))


def test_sums(report: Report) -> None:
    """Goal: figures are sums over runs. Method: two runs, the second one broken."""
    report.add(ONE)
    report.add(BROKEN)
    report.seconds = 2.0
    found = words.document(report)
    assert {
        name: found[name]
        for name in ("runs", "trading_days", "trading_days_per_minute", "lives", "boundaries")
    } == {"runs": 2, "trading_days": 4, "trading_days_per_minute": 120, "lives": 8,
          "boundaries": 200}  # fmt: skip
    assert found["faults_by_kind"] == {"death": 4, "fault: POST stop lost": 2}
    assert (found["deaths"], found["faults_injected"]) == (4, 6)
    assert (found["checks"], found["ends"]) == ({"x": 10}, {"StorageError": 2})
    assert found["bare"] == {"intervals": 4, "longest_s": 2.0, "p99_s": 2.0}
    assert found["transitions"]["seen"] == 1
    assert "submitted accepted" not in found["transitions"]["missing"]
    (failure,) = found["failures"]
    assert failure["command"] == "algo-trader simulate --seed 1 --faults heavy --trace"
    assert failure["lives_ended_at"] == [7, 9]


def test_nothing_at_all(report: Report) -> None:
    """Goal: no run is no division by nothing. Method: the document and table of none."""
    found = words.document(report)
    assert found["trading_days_per_minute"] is None
    assert found["bare"] == {"intervals": 0, "longest_s": 0, "p99_s": 0}
    assert words.table(report).endswith("nothing was run")


def test_many_heavy_runs_must_have_met_all(report: Report) -> None:
    """Goal: what was never met is told, but not of runs too few or too mild to have met it.

    Method: counts of runs and levels around the border.
    """
    report.runs = words.ENOUGH_RUNS - 1
    assert words.never_met(report) == []
    report.runs += 1
    assert set(words.never_met(report)) == set(SITUATIONS)
    assert "NEVER MET: " in words.table(report)
    report.tally["fault: POST entry late"] = 1
    assert "a request arrived after nobody waited for it any more" not in words.never_met(report)
    report.setup = replace(report.setup, level=Level.LIGHT)
    assert words.never_met(report) == []


def test_a_situation_of_two_parts_needs_both(report: Report) -> None:
    """Goal: words of the tally are matched as they are meant. Method: some that fit, some not."""
    name = "an order's name was taken already (422)"
    assert words.met(report)[name] == 0
    report.tally["seen: the name is taken"] = 3
    assert words.met(report)[name] == 3
    report.cells["submitted partial_fill"] = 2
    assert words.met(report)["a fill was told before the answer to its order"] == 2
    report.tally["fault: POST stop late"] = 1
    report.tally["fault: GET late"] = 1
    assert words.met(report)["a request arrived after nobody waited for it any more"] == 1


def test_cells_of_a_ledger() -> None:
    """Goal: moves of orders are counted by state and fact. Method: a few rows."""
    rows = [
        (None, "intended"),
        ("submitted", "accepted"),
        ("submitted", "accepted"),
        ("accepted", "fill"),
        ("accepted", "discrepancy"),
    ]
    with closing(sqlite3.connect(":memory:")) as driver:
        driver.execute("CREATE TABLE order_event (old_state TEXT, event_type TEXT)")
        driver.executemany("INSERT INTO order_event VALUES (?, ?)", rows)
        cells = cells_of(driver)
    assert cells == {"submitted accepted": 2, "accepted fill": 1}
    assert cells.keys() <= legal_cells()


def test_who_trades() -> None:
    """Goal: the names of built-in strategies. Method: each, and none."""
    assert strategy_named("restless") is Restless
    assert strategy_named("velez") is Velez
    with pytest.raises(ConfigError, match="give a registered name"):
        strategy_named("nobody")
