"""The made-up market: bars are sound, sessions are in order, days are what they are called."""

from __future__ import annotations

from decimal import Decimal
from itertools import pairwise

import pytest

from algo_trader.core.types import MINUTE
from algo_trader.feeds.tape import TapeDay
from algo_trader.simulation.market import CENT, LOWEST, PATHS, Market, sessions

SYMBOLS = ("AA", "BB", "CC")


def closes(day: TapeDay, symbol: str) -> list[Decimal]:
    """Closes of a symbol's bars of a day."""
    return [bar.close for minute in day.minutes for bar in minute if bar.symbol == symbol]


def test_sessions_are_weekdays_in_a_row() -> None:
    """Goal: a calendar without holes, and without weekends. Method: eight of forty minutes."""
    found = sessions(8, 40)
    assert [session.date.weekday() for session in found] == [1, 2, 3, 4, 0, 1, 2, 3]
    for session in found:
        assert session.closes_at - session.opens_at == 40 * MINUTE
    for before, after in pairwise(found):
        assert before.closes_at < after.opens_at


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("seed", range(5))
def test_every_bar_is_sound(path: str, seed: int) -> None:
    """Goal: what is traded on could be a market's. Method: each bar of two days of each kind."""
    market = Market(seed, SYMBOLS, (path, path), 40, 2)
    assert (len(market.history), len(market.period)) == (2, 2)
    for day in (*market.history, *market.period):
        opens_at = day.session.opens_at
        assert len(day.minutes) == 40
        for index, minute in enumerate(day.minutes):
            assert len({bar.symbol for bar in minute}) == len(minute)
            for bar in minute:
                assert bar.start == opens_at + index * MINUTE
                assert bar.low <= min(bar.open, bar.close) <= max(bar.open, bar.close) <= bar.high
                assert bar.low >= LOWEST * CENT
                assert bar.high % CENT == 0
                assert bar.volume > 0


def test_one_session_more_is_known_than_played() -> None:
    """Goal: a clock can name the next open after the last close. Method: ask the table."""
    market = Market(1, SYMBOLS, ("calm",), 40)
    assert market.table.next_after(market.period[-1].session.closes_at) is not None


def test_a_seed_is_a_market() -> None:
    """Goal: the same seed, the same bars; another, others. Method: three markets."""
    one, same, other = (Market(seed, SYMBOLS, ("wild",), 40) for seed in (3, 3, 4))
    assert one.period == same.period
    assert one.period != other.period


def test_days_are_what_they_are_called() -> None:
    """Goal: a crash falls by a fifth in a minute, a quiet day has holes. Method: a market each."""
    crash = Market(2, SYMBOLS, ("crash",), 40).period[0]
    walks = [closes(crash, symbol) for symbol in SYMBOLS]
    steps = [b / a for walk in walks for a, b in pairwise(walk)]
    assert sum(step < Decimal("0.83") for step in steps) >= 2
    calm, quiet = (Market(2, SYMBOLS, (path,), 390).period[0] for path in ("calm", "quiet"))
    bars = {name: sum(map(len, day.minutes)) for name, day in (("c", calm), ("q", quiet))}
    assert bars["c"] > 0.9 * 3 * 390 > 0.8 * 3 * 390 > bars["q"]
