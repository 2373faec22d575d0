"""The storage tier's campaign: `uv run python tests/storage/storage_campaign.py [--json FILE]`.

Every history is cut after every operation in every way, restarts are cut again, every call fails in
every way, every lie is told, and every mutant is looked for. Prints figures; the exit code is 1 if
anything was found wrong or a mutant was not.
"""

from __future__ import annotations

import argparse
import json
import platform
import sqlite3
import sys
import time
from collections import Counter
from collections.abc import Collection
from pathlib import Path
from typing import Any

PARTS = ("cuts", "restarts", "faults", "lies")
sys.path.append(str(Path(__file__).parents[1] / "unit" / "ledger"))  # As pytest has it.


def main() -> int:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there, too")
    parser.add_argument("--seeds", type=int, default=8, help="torn images for each power cut")
    parser.add_argument(
        "--again", type=int, default=8, help="cut restarts at every so-many-th operation"
    )
    parser.add_argument("--every", type=int, default=1, help="fail every so-many-th call")
    parser.add_argument("--part", action="append", choices=PARTS, help="only these, too")
    parser.add_argument("--history", action="append", help="only these (may be repeated)")
    given = parser.parse_args()
    found = campaign(given.seeds, given.again, given.every, given.history, given.part)
    said = json.dumps(found, indent=2)
    sys.stdout.write(said + "\n")
    if given.json is not None:
        given.json.write_text(said + "\n")
    return 0 if not found["violations"] and not found["mutants_alive"] else 1


def campaign(
    seeds: int,
    again: int,
    every: int,
    only: Collection[str] | None = None,
    parts: Collection[str] | None = None,
) -> dict[str, Any]:
    """The figures of a campaign."""
    from storage_faults import FaultLab
    from storage_histories import HISTORIES
    from storage_lab import Complaint
    from storage_mutants import MUTANTS, found_out

    begun = time.monotonic()
    total: Counter[str] = Counter()
    by_history: dict[str, dict[str, Any]] = {}
    violations: list[Complaint] = []
    for history in HISTORIES:
        if only and history.name not in only:
            continue
        labs = {part: FaultLab(seeds=seeds if part in ("cuts", "lies") else 1) for part in PARTS}
        runs = {
            "cuts": labs["cuts"].cuts(history),
            "restarts": labs["restarts"].cuts(history, again=again),
            "faults": labs["faults"].faults(history, every),
            "lies": labs["lies"].lies(history),
        }
        before = len(violations)
        for part in parts or PARTS:
            violations += runs[part]
            total += labs[part].counts
        by_history[history.name] = {
            "operations": len(FaultLab().record(history).disk.ops),
            "images": sum(lab.counts["images"] for lab in labs.values()),
            "violations": len(violations) - before,
        }
        sys.stderr.write(f"{history.name}: {by_history[history.name]}\n")
        for one in violations[before : before + 5]:
            sys.stderr.write(f"  {one.where}: {one.what}\n")
    killed = {mutant.kind.name: next(found_out(mutant), None) for mutant in MUTANTS}
    lost = [one for one in violations if "it holds" in one.what]
    return {
        "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "machine": platform.platform(),
        "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
        "seeds": seeds,
        "again": again,
        "every": every,
        "seconds": round(time.monotonic() - begun),
        "power_cuts": total["power cuts"],
        "images": total["images"],
        "distinct_images_opened": total["distinct images opened"],
        "faults": sum(n for name, n in total.items() if name.startswith("fault: ")),
        "counts": dict(sorted(total.items())),
        "histories": by_history,
        "acknowledged_lost_or_half": len(lost),
        "violations": len(violations),
        "first_violations": [one._asdict() for one in violations[:20]],
        "mutants": len(MUTANTS),
        "mutants_alive": [name for name, complaint in killed.items() if complaint is None],
        "mutants_found_by": {
            name: complaint.what for name, complaint in killed.items() if complaint is not None
        },
    }


if __name__ == "__main__":
    sys.exit(main())
