"""What a seed holds in store."""

from __future__ import annotations

from collections import Counter

import pytest

from algo_trader.simulation.market import PATHS
from algo_trader.simulation.plan import (
    DEEDS_MOST,
    HANDS,
    RATES,
    SYMBOLS,
    Appointment,
    Deed,
    Fault,
    Level,
    Plan,
    draw,
)

SEEDS = range(400)


@pytest.mark.parametrize("level", list(Level))
def test_a_seed_is_a_plan(level: Level) -> None:
    """Goal: the same seed holds the same in store, another another. Method: draw twice."""
    plans = [draw(seed, level) for seed in SEEDS]
    assert plans == [draw(seed, level) for seed in SEEDS]
    assert len({(plan.paths, plan.speed, plan.partial_pct, plan.deeds) for plan in plans}) > 50


def test_without_faults_there_are_none() -> None:
    """Goal: `none` is a market and nothing else. Method: every field of a fault."""
    for seed in SEEDS:
        plan = draw(seed, Level.NONE)
        bad = (plan.commands, plan.questions, plan.frames, plan.bars, plan.deeds, plan.crash_at)
        assert not any(bad)
        assert (plan.disk_pct, plan.crash_every) == (0.0, 0)
        assert not plan.has_hands


@pytest.mark.parametrize("level", [Level.LIGHT, Level.HEAVY])
@pytest.mark.parametrize(("minutes", "days"), [(20, 1), (40, 2), (390, 3)])
def test_all_is_within_its_bounds(level: Level, minutes: int, days: int) -> None:
    """Goal: no rate, deed or day outside of what the level and the options allow. Method: draw."""
    for seed in SEEDS:
        plan = draw(seed, level, minutes, days)
        assert (plan.minutes, len(plan.paths)) == (minutes, days)
        assert set(plan.paths) <= set(PATHS)
        assert len(plan.deeds) <= DEEDS_MOST[level]
        for day, minute, _, symbol in plan.deeds:
            assert 0 <= day < days
            assert 3 <= minute < minutes - 8
            assert symbol in SYMBOLS
        for rates in (plan.commands, plan.questions, plan.frames, plan.bars):
            assert set(rates.values()) <= set(RATES[level])
        assert Fault.STALE not in plan.commands
        assert plan.crash_every >= 0 < plan.latency_s


def test_every_kind_comes_up() -> None:
    """Goal: no fault, deed or kind of day is left out for ever. Method: count over the seeds."""
    seen: Counter[object] = Counter()
    for seed in SEEDS:
        plan = draw(seed, Level.HEAVY)
        seen.update(plan.commands.keys() | plan.questions.keys())
        seen.update(each.deed for each in plan.deeds)
        seen.update(plan.paths)
    assert min(seen[each] for each in (*Fault, *Deed, *PATHS)) >= 10


def test_hands_are_those_of_others() -> None:
    """Goal: an operator's deeds are no other hands at the account. Method: one deed each."""
    for deed in Deed:
        plan = Plan(deeds=(Appointment(0, 3, deed, "AA"),))
        assert plan.has_hands is (deed in HANDS)
    assert Deed.HALTS not in HANDS


def test_dice_of_one_matter_do_not_move_those_of_another() -> None:
    """Goal: a throw more in one place changes nothing in others. Method: two matters, two plans."""
    plan = Plan(seed=5)
    first = plan.dice("disk").random()
    assert plan.dice("disk").random() == first
    assert plan.dice("deaths").random() != first
    assert Plan(seed=6).dice("disk").random() != first
