"""Which texts name the start of a minute, and which instant each names."""

from __future__ import annotations

from datetime import datetime

import pytest

from algo_trader.core.types import utc
from algo_trader.feeds.instants import ClockSeconds, DayStarts, minute_start

HALF_PAST_TWO = 1_704_205_800  # date -u -d 2024-01-02T14:30:00Z +%s

SAME_MINUTE = [
    "2024-01-02T14:30:00Z",
    "2024-01-02T14:30Z",
    "2024-01-02 14:30:00Z",
    "2024-01-02T14:30:00.000Z",
    "2024-01-02T14:30:00,000000000Z",
    "2024-01-02T14:30:00+00:00",
    "2024-01-02T14:30:00-00:00",
    "2024-01-02T09:30:00-05:00",
    "2024-01-02T09:30:00-0500",
    "2024-01-02T09:30-05",
    "2024-01-02T20:00:00+05:30",
    "2024-01-03T00:30:00+10:00",
    "20240102T143000Z",
    "20240102T1430Z",
    "2024-W01-2T14:30:00Z",
]


@pytest.mark.parametrize("text", SAME_MINUTE)
def test_every_way_to_write_a_minute_gives_its_instant(text: str) -> None:
    """Goal: ISO-8601 in its variants, with Z or any offset. Method: one minute, many texts."""
    assert minute_start(text) == HALF_PAST_TWO


@pytest.mark.parametrize("text", [each for each in SAME_MINUTE if each[4:5] + each[7:8] == "--"])
def test_the_two_tables_agree_with_the_whole_text(text: str) -> None:
    """Goal: the quick way (day table plus clock table) gives what the whole text gives."""
    days, clocks = DayStarts(), ClockSeconds()
    for _ in range(2):  # parsed, then remembered
        assert days[text[:10]] + clocks[text[10:]] == HALF_PAST_TWO


NOT_A_TIME = "is not an ISO-8601 time"
NO_ZONE = "has no time zone"
NOT_A_MINUTE = "is not on a whole minute"
BEYOND = "is not in the years 1 to 9999"

WRONG = [
    ("", NOT_A_TIME),
    ("noon", NOT_A_TIME),
    ("1704205800", NOT_A_TIME),
    ("2024-01-02", NOT_A_TIME),
    ("2024-02-30T14:30:00Z", NOT_A_TIME),
    ("2024-01-02T25:00:00Z", NOT_A_TIME),
    ("2024-01-02x14:30:00Z", NOT_A_TIME),
    ("2024-01-02T14:30:00 Z", NOT_A_TIME),
    (" 2024-01-02T14:30:00Z", NOT_A_TIME),
    ("01/02/2024 14:30", NOT_A_TIME),
    ("２０２４-01-02T14:30:00Z", NOT_A_TIME),  # noqa: RUF001 - wide digits
    ("2024-01-02T14:30:00", NO_ZONE),
    ("2024-01-02 14:30", NO_ZONE),
    ("2024-01-02T14:30:01Z", NOT_A_MINUTE),
    ("2024-01-02T14:30:00.5Z", NOT_A_MINUTE),
    # datetime.fromisoformat keeps six digits of a fraction and drops the rest without a word
    ("2024-01-02T14:30:00.0000001Z", NOT_A_MINUTE),
    ("2024-01-02T14:30:00+00:00:30", NOT_A_MINUTE),
    ("0001-01-01T00:00:00+00:01", BEYOND),
    ("0001-01-01T23:58:00+23:59", BEYOND),
    ("9999-12-31T23:59:00-00:01", BEYOND),
    ("9999-12-31T00:01:00-23:59", BEYOND),
]


@pytest.mark.parametrize(("text", "problem"), WRONG)
def test_a_text_that_names_no_minute_is_refused_with_the_reason(text: str, problem: str) -> None:
    """Goal: nothing is guessed, neither a zone nor a rounding."""
    with pytest.raises(ValueError, match=problem):
        minute_start(text)
    with pytest.raises(ValueError, match=r"^is not a date|^is not|^has no"):
        DayStarts()[text[:10]] + ClockSeconds()[text[10:]]


@pytest.mark.parametrize(
    "text", ["0001-01-01T00:00:00Z", "0001-01-01T23:59:00+23:59", "9999-12-31T23:59:00Z"]
)
def test_the_ends_of_time_can_be_written(text: str) -> None:
    """Goal: whoever tells of an instant that was taken can make a date of it."""
    assert utc(minute_start(text)) == datetime.fromisoformat(text)


def test_the_expected_instant_is_right() -> None:
    """Goal: the constant of this file against the standard library."""
    assert datetime.fromisoformat("2024-01-02T14:30:00+00:00").timestamp() == HALF_PAST_TWO
