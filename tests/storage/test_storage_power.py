"""The power goes: what was acknowledged is there, what was not is there whole or not at all.

Method: see storage_lab. Short histories are cut after every operation on the disk in every way; the
rest, and restarts that are cut too, run with `-m slow`.
"""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from storage_histories import HISTORIES, History
from storage_lab import Complaint, Lab
from storage_mutants import MUTANTS, Mutant, found_out
from storage_vfs import missing

pytestmark = pytest.mark.skipif(bool(missing().reason), reason=missing().reason)
NAMED = {history.name: history for history in HISTORIES}
SHORT = ("notes", "restore")


def check(found: Iterable[Complaint]) -> None:
    """Fail with all that is needed to see it again."""
    assert not list(found)


@pytest.mark.parametrize("name", SHORT)
def test_every_cut_of_a_short_history(name: str) -> None:
    """Goal: nothing acknowledged is lost, nothing is there by halves, and the ledger goes on."""
    lab = Lab(seeds=1)
    check(lab.cuts(NAMED[name]))
    assert lab.counts["distinct images opened"] > 20


def test_a_lying_disk_is_told_or_loses_the_end() -> None:
    """Goal: where syncs save nothing, and no software can help, the start tells of the damage or
    finds an earlier state; it believes nothing that never was.
    """
    lab = Lab(seeds=1)
    check(lab.lies(NAMED["notes"]))
    assert lab.counts["lying disk: told"]
    assert lab.counts["lying disk: an earlier state"]


@pytest.mark.parametrize(
    "mutant",
    [
        pytest.param(mutant, marks=pytest.mark.slow if mutant.history == "backup" else ())
        for mutant in MUTANTS
    ],
    ids=lambda mutant: mutant.kind.name,
)
def test_a_mutant_is_found_out(mutant: Mutant) -> None:
    """Goal: a ledger with that mistake does not pass."""
    assert next(found_out(mutant), None) is not None


@pytest.mark.slow
@pytest.mark.parametrize("history", HISTORIES, ids=lambda history: history.name)
def test_every_cut(history: History) -> None:
    """Goal: the same of every history, with more torn writes."""
    check(Lab(seeds=8).cuts(history))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["append", "settings", "create", "restore", "upgrade"])
def test_every_cut_of_the_restart(name: str) -> None:
    """Goal: a start after a cut that is cut again, anywhere, leads to the same ledger."""
    check(Lab(seeds=1).cuts(NAMED[name], again=4))


@pytest.mark.slow
@pytest.mark.parametrize("history", HISTORIES, ids=lambda history: history.name)
def test_every_lie(history: History) -> None:
    """Goal: as above, of every history."""
    check(Lab().lies(history))
