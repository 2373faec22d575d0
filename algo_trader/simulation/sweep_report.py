"""What a sweep has come to, as a document and in words."""

from __future__ import annotations

import shlex
from typing import Any

from algo_trader.simulation.campaign import Summary
from algo_trader.simulation.scenarios import SCENARIOS
from algo_trader.simulation.sweep import Point, Sweep

LINES_MOST = 10


def listing() -> str:
    """Every scenario and what it shows."""
    widest = max(map(len, SCENARIOS))
    return "\n".join(
        f"{name:<{widest}}  {'; '.join(scenario.shows)}" for name, scenario in SCENARIOS.items()
    )


def command_of(point: Point) -> str:
    """The command that runs a point again."""
    words = ["algo-trader", "simulate", "--scenario", point.name, "--trace"]
    if point.crash_at:
        words += ["--crash-at", ",".join(map(str, point.crash_at))]
    return shlex.join(words)


def document(sweep: Sweep) -> dict[str, Any]:
    """The JSON document of `simulate --scenario NAME --json`."""
    bare = sorted(sweep.bare_s)
    checks = sum(count for name, count in sweep.tally.items() if name.startswith("check: "))
    return {
        "scenarios": len(sweep.points),
        "wanted": sweep.wanted,
        "runs": sweep.runs,
        "crash_points": sweep.crash_points,
        "seconds": round(sweep.seconds, 1),
        "lives": sweep.lives,
        "deaths": sweep.tally["death"],
        "boundaries": sweep.boundaries,
        "checks": checks,
        "bare": {"intervals": len(bare), "longest_s": round(bare[-1], 2) if bare else 0},
        "runs_by_scenario": dict(sweep.points),
        "failures": [_failure(point, one) for point, one in sweep.failures],
    }


def table(sweep: Sweep) -> str:
    """The same for people."""
    found = document(sweep)
    figures = {
        "scenarios": found["scenarios"],
        "crash points": found["crash_points"],
        "lives": f"{found['lives']}, of which died {found['deaths']}",
        "boundaries passed": found["boundaries"],
        "checks": found["checks"],
        "without a stop": f"{found['bare']['intervals']} times, longest "
        f"{found['bare']['longest_s']} s",
    }
    lines = [f"{name:<20}{value}" for name, value in figures.items()]
    if sweep.runs < sweep.wanted:
        lines.append(f"INTERRUPTED after {sweep.runs} of {sweep.wanted} runs")
    for failure in found["failures"]:
        lines += ["", f"FAILED: {failure['scenario']}, died at {failure['crash_at']}"]
        lines += [f"  {complaint}" for complaint in failure["complaints"][:LINES_MOST]]
        lines.append(f"  again: {failure['command']}")
    if not found["failures"]:
        lines.append("no invariant was broken" if found["runs"] else "nothing was run")
    return "\n".join(lines)


def _failure(point: Point, one: Summary) -> dict[str, Any]:
    return {
        "scenario": point.name,
        "crash_at": list(point.crash_at),
        "complaints": one.complaints,
        "trace": one.tail,
        "command": command_of(point),
    }
