"""The simulation's own proof: it finds every planted mistake out.

A mutant that survived would mean that nobody looks where its mistake is. The runs were found by
find_kills.py and are kept beside the mutants (planted.KILLS).
"""

from __future__ import annotations

from functools import cache

import pytest
from planted import KILLS, MUTANTS
from planting import Case, Mutant, complaint

LEAST = 25


@cache
def complaint_of_the_real_one(case: Case) -> str | None:
    """The same run without any mutant; several mutants share it."""
    return complaint(case)


def test_there_are_enough_and_each_has_its_run() -> None:
    """Goal: no mutant is left out. Method: names are unique and are those of the table of runs."""
    names = [mutant.name for mutant in MUTANTS]
    assert len(names) >= LEAST
    assert sorted(names) == sorted(KILLS)
    assert all(mutant.mistake for mutant in MUTANTS)


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_a_mutant_is_found_out(mutant: Mutant) -> None:
    """Goal: its mistake shows. Method: a short run that is complained of with the mistake, and not
    without it.
    """
    case = KILLS[mutant.name]
    assert complaint(case, mutant) is not None, f"{mutant.name} survives {case}"
    assert complaint_of_the_real_one(case) is None, f"the real daemon fails {case}"


def test_a_mutant_is_gone_when_its_time_is_over() -> None:
    """Goal: no mutant leaks into the run after it. Method: plant one, then play the same run twice
    without any: both are silent.
    """
    mutant = MUTANTS[0]
    case = KILLS[mutant.name]
    with mutant.planted():
        pass
    assert complaint(case) is None
    assert complaint(case) is None
