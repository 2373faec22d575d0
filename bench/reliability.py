"""Every campaign that is to show that nothing is lost, doubled or left uncovered, and its report.

    uv run python bench/reliability.py run FOLDER [--seeds N] [--cycles N] [--quick]
    uv run python bench/reliability.py write FOLDER

`run` makes the results, one JSON file for each campaign in FOLDER, which a longer run of the same
campaign may take the place of; `write` makes docs/reliability.md of those that are there.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sqlite3
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "reliability.md"
FOUND = Path(__file__).parent / "reliability_found.md"
"""Written by hand: what the campaigns found, and what they cannot show."""
ALGO = (sys.executable, "-m", "algo_trader")
QUICK = {"seeds": 40, "cycles": 12}

SEEDS_NAMED = 10

Row = tuple[str, str, str]
"""Which campaign, how much of it, and what it found."""
Campaign = tuple[str, list[str], Path | None]
"""Name of the result, the command, and where it writes it; None for standard output."""


def campaigns(folder: Path, seeds: int, cycles: int, *, is_quick: bool) -> list[Campaign]:
    """The commands, in the order in which they are run."""
    storage = ["tests/storage/storage_campaign.py", "--json", str(folder / "storage.json")]
    storage += ["--seeds", "2", "--every", "40"] if is_quick else ["--seeds", "4", "--every", "20"]
    kills = ["-m", "tests.chaos.campaign", "--cycles", str(cycles), "--go-on"]
    mutants = ["tests/simulation/find_kills.py", "--json", str(folder / "mutants.json")]
    points = ["--scenario", "all", *(["--every", "200"] if is_quick else [])]
    return [
        ("simulate", [*ALGO, "simulate", "--seeds", str(seeds), "--json"], None),
        ("scenarios", [*ALGO, "simulate", *points, "--json"], None),
        ("mutants", [sys.executable, *mutants], folder / "mutants.json"),
        ("storage", [sys.executable, *storage], folder / "storage.json"),
        (
            "kills",
            [sys.executable, *kills, "--json", str(folder / "kills.json")],
            folder / "kills.json",
        ),
    ]


def run(folder: Path, seeds: int, cycles: int, *, is_quick: bool) -> int:
    """Run them one after the other; the number of those that found something."""
    folder.mkdir(parents=True, exist_ok=True)
    failed = 0
    for name, command, target in campaigns(folder, seeds, cycles, is_quick=is_quick):
        print(f"{name}: {' '.join(command)}", flush=True)
        done = subprocess.run(
            command, cwd=ROOT, check=False, stdout=subprocess.PIPE if target is None else None
        )
        if target is None and done.stdout:
            (folder / f"{name}.json").write_bytes(done.stdout)
        failed += done.returncode != 0
    return failed


def write(folder: Path) -> None:
    """Make the page of the results that are there."""
    results = {path.stem: json.loads(path.read_text()) for path in sorted(folder.glob("*.json"))}
    PAGE.write_text("\n".join(_page(results)) + "\n")
    print(f"wrote {PAGE}")


def _page(results: Mapping[str, Any]) -> Iterator[str]:
    asked = ["git", "-C", str(ROOT), "rev-parse", "--short", "HEAD"]
    commit = subprocess.run(asked, capture_output=True, text=True, check=True).stdout.strip()
    yield "# Reliability"
    yield ""
    yield (
        f"Written by `uv run python bench/reliability.py write FOLDER` on "
        f"{datetime.now(UTC):%Y-%m-%d}, at commit {commit}, of results made on "
        f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores, Python "
        f"{platform.python_version()}, SQLite {sqlite3.sqlite_version}. "
        "`uv run python bench/reliability.py run FOLDER` makes the results anew; "
        "[simulation.md](simulation.md) says what is real in them and what is not."
    )
    yield ""
    yield "## What came out"
    yield ""
    yield "| campaign | how much | found |"
    yield "|---|---|---|"
    for name, words in ROWS.items():
        if name in results:
            yield f"| {' | '.join(words(results[name]))} |"
    if "simulate" in results:
        yield from _simulated(results["simulate"])
    if "mutants" in results:
        yield from _mutants(results["mutants"])
    yield ""
    yield FOUND.read_text().rstrip()


def _simulate_row(found: Mapping[str, Any]) -> Row:
    amount = (
        f"{found['runs']:,} seeds from {found['first_seed']:,} on, "
        f"{found['trading_days']:,} trading days of {found['minutes']} minutes, "
        f"{found['lives']:,} lives of which {found['deaths']:,} died; "
        f"{found['faults_injected']:,} faults, {found['boundaries']:,} boundaries, "
        f"{sum(found['checks'].values()):,} checks; "
        f"{found['trading_days_per_minute']} days a minute"
    )
    failed = ", ".join(str(failure["seed"]) for failure in found["failures"][:SEEDS_NAMED])
    seeds = f"{len(found['failures'])} seeds{f' ({failed})' if failed else ''}"
    return f"`simulate`, {found['faults']} faults", amount, seeds


def _scenario_row(found: Mapping[str, Any]) -> Row:
    amount = (
        f"{found['scenarios']} scenarios, {found['crash_points']:,} points, "
        f"{found['deaths']:,} deaths, {found['checks']:,} checks; without a stop longest "
        f"{found['bare']['longest_s']} s"
    )
    return "crash points of scripted scenarios", amount, str(len(found["failures"]))


def _storage_row(found: Mapping[str, Any]) -> Row:
    amount = (
        f"{found['power_cuts']:,} power cuts, {found['faults']:,} failing calls, "
        f"{found['images']:,} images ({found['distinct_images_opened']:,} distinct ones opened); "
        f"{found['mutants'] - len(found['mutants_alive'])} of {found['mutants']} planted mistakes "
        "found"
    )
    lost = found["acknowledged_lost_or_half"]
    broken = f"{found['violations']}, of which acknowledged commits lost {lost}"
    return "the real SQLite on a simulated disk", amount, broken


def _kill_row(found: Mapping[str, Any]) -> Row:
    bare = found["uncovered"]
    amount = (
        f"{found['cycles']:,} cycles, {found['sigkills']:,} SIGKILLs, "
        f"{len(found['points_hit'])} kinds of points hit; {found['compared']['orders']:,} orders "
        f"and {found['compared']['executions']:,} executions compared; without a stop longest "
        f"{bare['max_s']} s, p99 {bare['p99_s']} s; {found['cycles_per_minute']} cycles a minute"
    )
    return "real processes, killed", amount, str(len(found.get("findings", [])))


def _mutant_row(found: Mapping[str, Any]) -> Row:
    rows = found["mutants"]
    killed = sum(bool(row["killed"]) for row in rows)
    return "planted mistakes", str(len(rows)), f"{killed} of {len(rows)} killed"


ROWS: Mapping[str, Callable[[Mapping[str, Any]], Row]] = {
    "simulate": _simulate_row,
    "light": _simulate_row,
    "scenarios": _scenario_row,
    "mutants": _mutant_row,
    "storage": _storage_row,
    "kills": _kill_row,
}


def _simulated(found: Mapping[str, Any]) -> Iterator[str]:
    bare, cells = found["bare"], found["transitions"]
    yield ""
    yield "## Simulated days"
    yield ""
    yield (
        f"Shares were without a working stop {bare['intervals']:,} times, p99 {bare['p99_s']} s, "
        f"longest {bare['longest_s']} s, the time included in which the process was dead. An "
        "interval counts as found if the daemon was alive, it was longer than the bound, and no "
        "operator was told."
    )
    yield ""
    yield (
        f"Order transitions: {cells['seen']} of {cells['legal']} legal cells. Not met: "
        f"{', '.join(cells['missing']) or 'none'}."
    )
    yield ""
    yield "| situation | met |"
    yield "|---|---:|"
    for what, count in found["met"].items():
        yield f"| {what} | {count:,} |"
    yield ""
    yield "| fault, death or deed | times |"
    yield "|---|---:|"
    for what, count in _by_kind(found["faults_by_kind"]):
        yield f"| {what} | {count:,} |"
    yield ""
    yield "| checked | times |"
    yield "|---|---:|"
    for what, count in found["checks"].items():
        yield f"| {what} | {count:,} |"


def _by_kind(faults: Mapping[str, int]) -> list[tuple[str, int]]:
    """Faults of requests by kind, whatever was asked for; the rest as it is."""
    found: Counter[str] = Counter()
    for name, count in faults.items():
        words = name.removeprefix("fault: ").removeprefix("deed: ")
        verb, _, rest = words.partition(" ")
        if verb in ("POST", "PATCH", "DELETE"):
            words = f"command {rest.partition(' ')[2]}"
        elif verb == "GET":
            words = f"question {rest.removeprefix('bars ')}"
        found[words] += count
    return sorted(found.items())


def _mutants(found: Mapping[str, Any]) -> Iterator[str]:
    yield ""
    yield "## Planted mistakes"
    yield ""
    yield "| mistake | killed by | seeds of the campaign until it is |"
    yield "|---|---|---:|"
    for row in found["mutants"]:
        killer = row["killed_by"] if row["killed"] else "**alive**"
        yield f"| {row['mistake']} | {killer} | {row['seeds_to_kill'] or 'more'} |"


def main() -> int:
    """Run or write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=("run", "write"))
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seeds", type=int, default=2000, help="of `simulate`")
    parser.add_argument("--cycles", type=int, default=2000, help="of kills")
    parser.add_argument("--quick", action="store_true", help="a little of each, in minutes")
    given = parser.parse_args()
    if given.what == "write":
        write(given.folder)
        return 0
    wanted = QUICK if given.quick else {"seeds": given.seeds, "cycles": given.cycles}
    return min(run(given.folder, **wanted, is_quick=given.quick), 1)


if __name__ == "__main__":
    sys.exit(main())
