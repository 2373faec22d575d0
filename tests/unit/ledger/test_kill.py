"""kill -9 while it writes: what was acknowledged is there, and what is there is whole.

Method: a child appends real steps one by one and prints a line after each acknowledgement; it is
killed after a random number of lines. The reopened ledger must hold a prefix of the steps, at least
the acknowledged ones, whole steps only, and verify clean. The next round goes on from there.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from random import Random

import pytest
from recorded import record

from algo_trader.ledger.ledger import Ledger

CHILD = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from recorded import record
from algo_trader.ledger.ledger import Ledger
ledger = Ledger.open(Path(sys.argv[1]))
for step in record().steps[int(sys.argv[3]):]:
    ledger.append(step)
    sys.stdout.write("x")
    sys.stdout.flush()
"""


def killed_while_appending(path: Path, begin: int, acknowledged: int) -> int:
    """Let a child append from step `begin`, kill it after some acknowledgements; how many it got
    out before it died.
    """
    command = [sys.executable, "-c", CHILD, str(path), str(Path(__file__).parent), str(begin)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        heard = len(child.stdout.read(acknowledged))
        child.kill()
        return heard + len(child.stdout.read())


@pytest.mark.parametrize(
    "rounds", [5, pytest.param(60, marks=pytest.mark.slow)], ids=["few", "many"]
)
def test_acknowledged_facts_survive(tmp_path: Path, rounds: int) -> None:
    """Goal: no acknowledged fact is lost and no step is torn, crash after crash."""
    steps = record().steps
    chance = Random(rounds)
    path = tmp_path / "trading.db"
    done = 0
    for _ in range(rounds):
        if done > len(steps) - 60:
            path.unlink()
            done = 0
        heard = killed_while_appending(path, done, chance.randint(1, 50))
        assert heard
        with Ledger.open(path) as ledger:
            facts = list(ledger.facts())
            assert ledger.verify() == []
        whole = next(n for n in range(len(steps) + 1) if sum(map(len, steps[:n])) >= len(facts))
        assert facts == [fact for step in steps[:whole] for fact in step]
        assert whole >= done + heard
        done = whole
