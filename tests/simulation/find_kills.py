"""Search for the runs that find each mutant out: `python tests/simulation/find_kills.py`.

Every mutant meets the same runs, which the real daemon passes: quiet days, days on which one thing
alone goes wrong, and the seeds of `algo-trader simulate --faults heavy`, one by one. Told are the
first short day that kills it, and how many seeds of the campaign it takes.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from statistics import median
from typing import Any

from planted import EVERY_MUTANT, KILLS, SURVIVORS
from planting import ALONE, Case, Mutant, alone, complaint, heavy, quiet

SHORT_SEEDS = (1, 2)
_passed: dict[Case, bool] = {}


def main() -> None:
    """Search and tell."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=10, help="Of the campaign.")
    parser.add_argument("--first-seed", type=int, default=1)
    parser.add_argument("--only", action="append", help="Mutants whose name has this in it.")
    parser.add_argument("--json", type=Path, help="Write what was found to this file.")
    options = parser.parse_args()
    seeds = range(options.first_seed, options.first_seed + options.seeds)
    wanted = [
        mutant
        for mutant in EVERY_MUTANT
        if any(part in mutant.name for part in options.only or ())
        or (not options.only and mutant.name in KILLS)
    ]
    found = [_row(mutant, seeds) for mutant in wanted]
    killed = [row for row in found if row["killed"]]
    needed = [row["seeds_to_kill"] for row in found if row["seeds_to_kill"]]
    document = {
        "planted": len(found),
        "killed": len(killed),
        "median_seeds_to_kill": median(needed) if needed else None,
        "mutants": found,
        "harmless": SURVIVORS,
    }
    print(f"{len(killed)} of {len(found)} mutants are killed")  # noqa: T201 - its answer
    if options.json is not None:
        options.json.write_text(json.dumps(document, indent=2) + "\n")


def _row(mutant: Mutant, seeds: range) -> dict[str, Any]:
    began = time.perf_counter()
    short, words = _first(mutant, _short_cases(mutant))
    killer, heavy_words = _first(mutant, map(heavy, seeds))
    tried = killer.seed - seeds.start + 1 if killer is not None else None
    took_s = time.perf_counter() - began
    told = f"{short}: {words[:90]}" if short is not None else "SURVIVES"
    sys.stdout.write(f"{mutant.name:38}{tried or '-':>4} ({took_s:.0f} s)  {told}\n")
    sys.stdout.flush()
    return {
        "name": mutant.name,
        "mistake": mutant.mistake,
        "killed": short is not None or killer is not None,
        "killed_by": str(short or killer),
        "complaint": words or heavy_words,
        "seeds_to_kill": tried,
    }


def _first(mutant: Mutant, cases: Iterable[Case]) -> tuple[Case | None, str]:
    """The first case that kills the mutant, and what is complained of."""
    for case in cases:
        said = complaint(case, mutant) if _is_passed(case) else None
        if said is not None:
            return case, said
    return None, ""


def _short_cases(mutant: Mutant) -> Iterator[Case]:
    """The run that killed it before, then all others."""
    known = KILLS.get(mutant.name)
    if known is not None:
        yield known
    yield from map(quiet, SHORT_SEEDS)
    for seed in SHORT_SEEDS:
        yield from (alone(what, seed) for what in ALONE)


def _is_passed(case: Case) -> bool:
    """Whether the real daemon passes the run: one that it fails would prove nothing."""
    if case not in _passed:
        _passed[case] = complaint(case) is None
    return _passed[case]


if __name__ == "__main__":
    main()
