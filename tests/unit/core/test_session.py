"""Which session an instant is in, over weeks in which New York's clocks change.

Sessions are made here from wall times and zoneinfo, so that the table and the windows are held
against another source of time.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from algo_trader.core.session import SessionTable, window_end
from algo_trader.core.types import Instant, Session, iso

NEW_YORK = ZoneInfo("America/New_York")
HALF_DAY = date(2024, 11, 29)
THANKSGIVING = date(2024, 11, 28)


def instant(day: date, clock: str) -> Instant:
    """The instant of a wall time in New York."""
    hour, minute = map(int, clock.split(":"))
    wall = datetime(day.year, day.month, day.day, hour, minute, tzinfo=NEW_YORK)
    return int(wall.timestamp())


def weekdays(first: date, last: date) -> Iterator[date]:
    day = first
    while day <= last:
        if day.weekday() < 5 and day != THANKSGIVING:
            yield day
        day += timedelta(days=1)


def session(day: date) -> Session:
    closes = "13:00" if day == HALF_DAY else "16:00"
    return Session(day, instant(day, "09:30"), instant(day, closes))


DAYS = [
    *weekdays(date(2024, 3, 7), date(2024, 3, 12)),
    *weekdays(date(2024, 10, 31), date(2024, 11, 5)),
    *weekdays(date(2024, 11, 26), date(2024, 12, 2)),
]
TABLE = SessionTable([session(day) for day in DAYS])


@pytest.mark.parametrize(
    ("day", "opens", "closes", "minutes"),
    [
        (date(2024, 3, 8), "2024-03-08T14:30:00Z", "2024-03-08T21:00:00Z", 390),
        (date(2024, 3, 11), "2024-03-11T13:30:00Z", "2024-03-11T20:00:00Z", 390),
        (date(2024, 11, 1), "2024-11-01T13:30:00Z", "2024-11-01T20:00:00Z", 390),
        (date(2024, 11, 4), "2024-11-04T14:30:00Z", "2024-11-04T21:00:00Z", 390),
        (HALF_DAY, "2024-11-29T14:30:00Z", "2024-11-29T18:00:00Z", 210),
    ],
)
def test_sessions_around_the_change_of_clocks(
    day: date, opens: str, closes: str, minutes: int
) -> None:
    """Goal: an hour's shift over a weekend moves the session in UTC, not its length.

    Method: the days before and after both changes of 2024, and the half-day.
    """
    found = TABLE.on(day)
    assert found is not None
    assert (iso(found.opens_at), iso(found.closes_at)) == (opens, closes)
    assert found.minutes == minutes


@pytest.mark.parametrize("day", DAYS)
def test_the_edges_of_a_session(day: date) -> None:
    """Goal: open <= instant < close. Method: a second and a minute around both ends."""
    this = TABLE.on(day)
    assert this is not None
    assert TABLE.at(this.opens_at - 1) is None
    assert TABLE.at(this.opens_at) == this
    assert TABLE.at(this.closes_at - 60) == this
    assert TABLE.at(this.closes_at - 1) == this
    assert TABLE.at(this.closes_at) is None


@pytest.mark.parametrize(
    ("day", "clock", "is_open"),
    [
        (date(2024, 3, 8), "09:29", False),
        (date(2024, 3, 8), "15:59", True),
        (date(2024, 3, 9), "10:00", False),  # a Saturday
        (date(2024, 3, 10), "03:30", False),  # the hour after the one that was left out
        (date(2024, 3, 11), "09:30", True),
        (date(2024, 3, 11), "08:30", False),  # Friday's open by the old clock
        (date(2024, 3, 11), "15:30", True),
        (date(2024, 11, 1), "09:30", True),
        (date(2024, 11, 3), "01:30", False),  # the hour that comes twice
        (date(2024, 11, 4), "09:30", True),
        (date(2024, 11, 4), "08:30", False),
        (date(2024, 11, 4), "15:59", True),
        (THANKSGIVING, "12:00", False),
        (HALF_DAY, "12:59", True),
        (HALF_DAY, "13:00", False),
    ],
)
def test_wall_times(day: date, clock: str, is_open: bool) -> None:
    """Goal: regular hours are New York's hours all year. Method: wall times either side."""
    found = TABLE.at(instant(day, clock))
    assert (found is not None) == is_open
    if found is not None:
        assert found.date == day


def test_looking_up_and_ahead() -> None:
    """Goal: dates without a session are None; the next session is the first that opens later.

    Method: weekends, a holiday, both ends of the table.
    """
    assert TABLE.on(date(2024, 3, 9)) is None
    assert TABLE.on(THANKSGIVING) is None
    assert TABLE.on(date(2020, 1, 1)) is None
    assert TABLE.on(date(2030, 1, 1)) is None
    friday, monday = session(date(2024, 3, 8)), session(date(2024, 3, 11))
    assert TABLE.next_after(friday.opens_at - 1) == friday
    assert TABLE.next_after(friday.opens_at) == monday
    assert TABLE.next_after(friday.closes_at) == monday
    assert TABLE.next_after(0) == TABLE.first == session(DAYS[0])
    assert TABLE.next_after(TABLE.last.opens_at) is None
    assert TABLE.at(0) is None
    assert TABLE.at(2**40) is None
    assert list(TABLE) == [session(day) for day in DAYS]
    assert len(TABLE) == len(DAYS)


@pytest.mark.parametrize("interval", [1, 2, 5, 10])
@pytest.mark.parametrize("day", [date(2024, 3, 8), date(2024, 3, 11), HALF_DAY])
def test_windows_are_aligned_to_the_open(day: date, interval: int) -> None:
    """Goal: the window of an instant starts at open + a multiple of N and holds the instant; the
    last one ends at the close. Method: every minute of a session, counted in wall time.
    """
    this = session(day)
    opens = datetime.fromtimestamp(this.opens_at, UTC)
    for minute in range(this.minutes):
        at = this.opens_at + 60 * minute
        end = window_end(this, at, interval)
        number = minute // interval + 1
        assert datetime.fromtimestamp(end, UTC) == opens + timedelta(minutes=number * interval)
        assert end - 60 * interval <= at < end
        assert window_end(this, at + 59, interval) == end
    assert end == this.closes_at
