"""Bars laid out over sessions: what is on the tape, where, and what is left out."""

from __future__ import annotations

import random
from datetime import date
from decimal import Decimal

import pytest

from algo_trader.core.errors import DataError
from algo_trader.core.session import SessionTable
from algo_trader.core.types import Bar, Instant, Session
from algo_trader.feeds.tape import Tape, build_tape

# 2024-07-01 (Monday) to 07-05: a half day on the 3rd, closed on the 4th
OPENS = {day: 1_719_840_600 + 86_400 * (day - 1) for day in (1, 2, 3, 5)}  # 13:30 UTC
LENGTHS = {1: 390, 2: 390, 3: 210, 5: 390}
SESSIONS = SessionTable(
    [
        Session(date(2024, 7, day), OPENS[day], OPENS[day] + 60 * LENGTHS[day])
        for day in (1, 2, 3, 5)
    ]
)
HOUR = 3600


def bar(start: Instant, symbol: str = "AAPL", volume: int = 1) -> Bar:
    price = Decimal(100)
    return Bar(symbol, start, price, price, price, price, Decimal(volume))


def bars(day: int, *minutes: int, symbol: str = "AAPL") -> list[Bar]:
    return [bar(OPENS[day] + 60 * minute, symbol) for minute in minutes]


def layout(tape: Tape) -> dict[int, dict[int, str]]:
    """Day of July to minute to the symbols of its bars."""
    return {
        day.session.date.day: {
            minute: " ".join(each.symbol for each in found)
            for minute, found in enumerate(day.minutes)
            if found
        }
        for day in tape.days
    }


def test_bars_stand_at_their_minute_by_symbol() -> None:
    """Goal: full length of each session, symbols in code-point order whatever the mapping's."""
    given = {
        "T": bars(1, 0, 5, symbol="T") + bars(3, 209, symbol="T"),
        "A.B": bars(1, 5, 389, symbol="A.B"),
        "AB": bars(1, 5, symbol="AB"),
    }
    tape = build_tape(given, SESSIONS)
    assert layout(tape) == {1: {0: "T", 5: "A.B AB T", 389: "A.B"}, 3: {209: "T"}}
    assert [len(day.minutes) for day in tape.days] == [390, 210]
    assert tape.symbols == ("A.B", "AB", "T")
    assert (tape.bar_count, tape.dropped) == (6, 0)
    assert tape.days[0].minutes[1] is tape.days[1].minutes[0] == ()
    assert tape.last_minute == OPENS[3] + 209 * 60
    assert tape.days[0].last_minute == OPENS[1] + 389 * 60


def test_a_session_without_gaps_is_laid_out_the_same_way() -> None:
    """Goal: the quick way for complete sessions gives what the general way gives."""
    full = {symbol: bars(3, *range(210), symbol=symbol) for symbol in ("AAPL", "T")}
    tape = build_tape(full, SESSIONS)
    assert tape.days[0].minutes == list(zip(full["AAPL"], full["T"], strict=True))
    gap = {**full, "T": full["T"][:100] + full["T"][101:]}
    minutes = build_tape(gap, SESSIONS).days[0].minutes
    assert minutes[100] == (full["AAPL"][100],)
    assert minutes[:100] + minutes[101:] == tape.days[0].minutes[:100] + tape.days[0].minutes[101:]


def test_bars_outside_regular_hours_are_dropped_and_counted() -> None:
    """Goal: [open, close) and nothing else: extended hours, the close itself, a holiday."""
    outside = [
        OPENS[1] - 9 * HOUR,
        OPENS[1] - 60,
        OPENS[1] + 390 * 60,  # the bar of the closing auction
        OPENS[1] + 390 * 60 + 60,
        OPENS[3] + 210 * 60,  # full days trade on here, the half day does not
        OPENS[3] + 389 * 60,
        OPENS[3] + 86_400,  # Independence Day
        OPENS[5] + 10 * HOUR,
    ]
    inside = [OPENS[1], OPENS[1] + 389 * 60, OPENS[3] + 209 * 60, OPENS[5]]
    tape = build_tape({"AAPL": [bar(start) for start in sorted(outside + inside)]}, SESSIONS)
    assert layout(tape) == {1: {0: "AAPL", 389: "AAPL"}, 3: {209: "AAPL"}, 5: {0: "AAPL"}}
    assert (tape.bar_count, tape.dropped) == (4, 8)
    assert tape.last_minute == OPENS[5]


def test_a_symbol_without_a_regular_bar_is_still_a_symbol() -> None:
    """Goal: the tape tells what it was given; that a symbol never traded is for the caller."""
    tape = build_tape({"AAPL": bars(1, 0), "T": bars(1, -5, symbol="T"), "X": []}, SESSIONS)
    assert tape.symbols == ("AAPL", "T", "X")
    assert (tape.bar_count, tape.dropped) == (1, 1)


@pytest.mark.parametrize(
    ("start", "shown"),
    [
        (OPENS[1] - 13 * HOUR, "2024-07-01"),
        (OPENS[1] - 30 * 86_400, "2024-06-01"),
        (OPENS[5] + 390 * 60 + 12 * HOUR, "2024-07-06"),
        (OPENS[5] + 400 * 86_400, "2025-08-09"),
    ],
)
def test_a_bar_beyond_the_calendar_is_refused(start: Instant, shown: str) -> None:
    """Goal: never silently dropped for want of a session; the date and the range are named."""
    given = sorted([bar(start), *bars(2, 0)], key=lambda each: each.start)
    with pytest.raises(DataError) as caught:
        build_tape({"A": bars(2, 0, symbol="A"), "AAPL": given}, SESSIONS)
    message = str(caught.value)
    assert f"a bar of AAPL on {shown} is outside the exchange calendar" in message
    assert "from 2024-07-01 to 2024-07-05" in message


def test_extended_hours_around_the_first_and_last_session_are_not_beyond() -> None:
    """Goal: 04:00 to 20:00 in New York belongs to the day."""
    early, late = bar(OPENS[1] - 11 * HOUR // 2), bar(OPENS[5] + 390 * 60 + 4 * HOUR - 60)
    tape = build_tape({"AAPL": [early, *bars(1, 0), late]}, SESSIONS)
    assert (tape.bar_count, tape.dropped) == (1, 2)


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({}, "there are no bars"),
        ({"AAPL": []}, "there are no bars"),
        (
            {"AAPL": bars(1, -30, -29), "T": bars(1, -9, symbol="T")},
            "none of 3 bars starts in regular .* the first is AAPL at 2024-07-01T13:00:00Z",
        ),
    ],
)
def test_a_tape_without_bars_is_refused(given: dict[str, list[Bar]], problem: str) -> None:
    """Goal: times of another zone show here; the message says which is wanted."""
    with pytest.raises(DataError, match=problem):
        build_tape(given, SESSIONS)


@pytest.mark.parametrize(
    ("first", "last", "before", "period"),
    [
        (None, None, [], [1, 2, 5]),
        (2, None, [1], [2, 5]),
        (None, 2, [], [1, 2]),
        (2, 2, [1], [2]),
        (3, 4, [1, 2], []),
        (3, 5, [1, 2], [5]),
        (6, 9, [1, 2, 5], []),
        (5, 1, [1, 2], []),
    ],
)
def test_slicing_by_session_dates(
    first: int | None, last: int | None, before: list[int], period: list[int]
) -> None:
    """Goal: inclusive dates, days before them to warm up on; dates need not be sessions."""
    tape = build_tape({"AAPL": bars(1, 0) + bars(2, 0) + bars(5, 0)}, SESSIONS)
    warm_up, days = tape.between(
        None if first is None else date(2024, 7, first),
        None if last is None else date(2024, 7, last),
    )
    assert [day.session.date.day for day in warm_up] == before
    assert [day.session.date.day for day in days] == period


def test_random_bars_against_the_session_table() -> None:
    """Goal: every bar where `SessionTable.at` says. Method: 400 random layouts, seeded."""
    chance = random.Random(3)
    span = range(OPENS[1] - 6 * HOUR, OPENS[5] + 10 * HOUR, 60)
    for _ in range(400):
        given = {
            symbol: [bar(start, symbol) for start in sorted(chance.sample(span, 40))]
            for symbol in chance.sample(["A", "B", "C", "D"], 2)
        }
        every = [each for row in given.values() for each in row]
        regular = [each for each in every if SESSIONS.at(each.start)]
        if not regular:
            continue
        tape = build_tape(given, SESSIONS)
        laid = [
            (day.session.opens_at + 60 * minute, each)
            for day in tape.days
            for minute, found in enumerate(day.minutes)
            for each in found
        ]
        assert all(start == each.start for start, each in laid)
        assert [each for _, each in laid] == sorted(regular, key=lambda b: (b.start, b.symbol))
        assert tape.bar_count == len(regular)
        assert tape.dropped == len(every) - len(regular)
        assert all(len(day.minutes) == day.session.minutes for day in tape.days)
