"""Broker and exchange calendar on whether the market is open."""

from __future__ import annotations

from datetime import date

import pytest

from algo_trader.brokers.alpaca.reading import BrokerTime
from algo_trader.core.session import SessionTable
from algo_trader.core.types import Session
from algo_trader.wiring.alpaca import EDGE_S, calendars_differ

OPENS_AT, CLOSES_AT = 1_704_205_800, 1_704_229_200
SESSIONS = SessionTable([Session(date(2024, 1, 2), OPENS_AT, CLOSES_AT)])


@pytest.mark.parametrize(
    ("now", "is_open", "differs"),
    [
        (OPENS_AT + 3600, True, False),
        (OPENS_AT + 3600, False, True),
        (OPENS_AT + 3600, None, False),
        (CLOSES_AT + 3600, False, False),
        (CLOSES_AT + 3600, True, True),
        (OPENS_AT - EDGE_S, True, False),
        (OPENS_AT - EDGE_S - 1, True, True),
        (CLOSES_AT - EDGE_S, False, False),
        (CLOSES_AT - EDGE_S - 1, False, True),
    ],
)
def test_they_may_differ_near_an_edge_only(
    now: int, is_open: bool | None, differs: bool
) -> None:
    """Goal: an unscheduled closing keeps entries closed, a clock a little off does not.

    Method: one session; the broker's word in the middle, outside, and around the edges.
    """
    assert bool(calendars_differ(SESSIONS, BrokerTime(now, is_open, None))) is differs


@pytest.mark.parametrize(
    ("next_close", "differs"),
    [
        (CLOSES_AT, False),
        (CLOSES_AT + EDGE_S, False),
        (CLOSES_AT - EDGE_S, False),
        (CLOSES_AT - EDGE_S - 1, True),
        (CLOSES_AT + EDGE_S + 1, True),
        (CLOSES_AT - 3 * 3600, True),
    ],
)
def test_they_agree_on_the_close(next_close: float, differs: bool) -> None:
    """Goal: a close that is earlier or later than planned is known before it comes, with both times
    named. Method: an open market, the broker's close around the calendar's.
    """
    said = calendars_differ(SESSIONS, BrokerTime(OPENS_AT + 60, True, next_close))
    assert bool(said) is differs
    if next_close == CLOSES_AT - 3 * 3600:
        assert "2024-01-02T18:00:00Z" in said
        assert "2024-01-02T21:00:00Z" in said


def test_the_close_is_compared_while_both_say_open() -> None:
    """Goal: outside the session the next close is another day's and says nothing."""
    tomorrow = CLOSES_AT + 86_400
    assert not calendars_differ(SESSIONS, BrokerTime(CLOSES_AT + 60, False, tomorrow))
    assert not calendars_differ(SESSIONS, BrokerTime(OPENS_AT - 60, True, tomorrow))
