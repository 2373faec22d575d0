"""What a campaign has come to, as a document and in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from algo_trader.simulation.campaign import BUILT_IN, Report, Summary
from algo_trader.simulation.coverage import SITUATIONS, legal_cells

PER_CENT = 100


def met(report: Report) -> dict[str, int]:
    """How often each situation was met."""
    tally = {**report.tally, **{f"cell: {name}": n for name, n in report.cells.items()}}
    return {what: count(tally) for what, count in SITUATIONS.items()}


def never_met(report: Report) -> list[str]:
    """Situations that a campaign of this level should have met and has not; few runs prove none,
    and strategies of one's own need not meet them.
    """
    setup = report.setup
    if setup.reference != BUILT_IN or setup.level != "heavy" or report.runs < ENOUGH_RUNS:
        return []
    return [what for what, count in met(report).items() if not count]


ENOUGH_RUNS = 500
"""From so many heavy runs on every situation is expected."""


def document(report: Report) -> dict[str, Any]:
    """The JSON document of `simulate --json`."""
    setup, legal = report.setup, legal_cells()
    bare = sorted(report.bare_s)
    days = report.runs * setup.days
    return {
        "strategy": setup.reference,
        "faults": str(setup.level),
        "minutes": setup.minutes,
        "days": setup.days,
        "first_seed": report.first_seed,
        "wanted": report.wanted,
        "runs": report.runs,
        "trading_days": days,
        "seconds": round(report.seconds, 1),
        "trading_days_per_minute": round(days * 60 / report.seconds) if report.seconds else None,
        "lives": report.lives,
        "deaths": report.tally.get("death", 0),
        "boundaries": report.boundaries,
        "faults_injected": sum(report.faults.values()),
        "faults_by_kind": report.faults,
        "checks": _with_prefix(report.tally, "check: "),
        "ends": _with_prefix(report.tally, "end: "),
        "bare": {
            "intervals": len(bare),
            "longest_s": round(bare[-1], 2) if bare else 0,
            "p99_s": round(bare[len(bare) * 99 // PER_CENT], 2) if bare else 0,
        },
        "transitions": {
            "legal": len(legal),
            "seen": len(legal & report.cells.keys()),
            "missing": sorted(legal - report.cells.keys()),
        },
        "met": met(report),
        "never_met": never_met(report),
        "failures": [_failure(report, one) for one in report.failures],
    }


def table(report: Report) -> str:
    """The same for people."""
    found = document(report)
    bare, cells, situations = found["bare"], found["transitions"], found["met"]
    figures = {
        "runs": f"{found['runs']} of {found['days']} trading days of {found['minutes']} minutes",
        "faults": f"{found['faults']}, {found['faults_injected']} injected",
        "strategy": found["strategy"],
        "lives": f"{found['lives']}, of which died {found['deaths']}",
        "boundaries passed": found["boundaries"],
        "checks": sum(found["checks"].values()),
        "without a stop": f"{bare['intervals']} times, p99 {bare['p99_s']} s, longest "
        f"{bare['longest_s']} s",
        "order transitions": f"{cells['seen']} of {cells['legal']} legal ones",
        "situations met": f"{sum(map(bool, situations.values()))} of {len(situations)}",
    }
    lines = [f"{name:<20}{value}" for name, value in figures.items()]
    if report.runs < report.wanted:
        lines.append(f"INTERRUPTED after {report.runs} of {report.wanted} runs")
    if found["never_met"]:
        lines.append(f"NEVER MET: {'; '.join(found['never_met'])}")
    for failure in found["failures"]:
        lines += ["", f"FAILED: seed {failure['seed']}"]
        lines += [f"  {complaint}" for complaint in failure["complaints"][:10]]
        lines += ["  last:", *(f"    {line}" for line in failure["trace"])]
        lines.append(f"  again: {failure['command']}")
    if not found["failures"]:
        lines.append("no invariant was broken" if found["runs"] else "nothing was run")
    return "\n".join(lines)


def _failure(report: Report, one: Summary) -> dict[str, Any]:
    setup = report.setup
    return {
        "seed": one.seed,
        "complaints": one.complaints,
        "lives_ended_at": list(one.crash_at),
        "fingerprint": one.fingerprint,
        "trace": one.tail,
        "command": f"algo-trader {setup.before}simulate --seed {one.seed} {setup.words} --trace",
    }


def _with_prefix(tally: Mapping[str, int], prefix: str) -> dict[str, int]:
    return {
        name.removeprefix(prefix): count
        for name, count in sorted(tally.items())
        if name.startswith(prefix)
    }
