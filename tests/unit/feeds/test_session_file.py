"""The sessions of XNYS and the file that remembers them."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any
from zlib import crc32
from zoneinfo import ZoneInfo

import pytest

from algo_trader.core.types import Instant, iso
from algo_trader.feeds.calendar import FILE_NAME, ExchangeCalendars, load_sessions

TODAY = date(2026, 6, 1)
DAY = 86_400
HALF_PAST_TWO = 14 * 3600 + 1800


class EverySession:
    """A source that opens every day at 14:30 UTC and counts how often it is asked."""

    def __init__(self, version: str = "1", minutes: int = 390) -> None:
        self.built = 0
        self._version = version
        self._minutes = minutes

    def version(self) -> str:
        return self._version

    def hours(self, first: date, last: date) -> tuple[list[Instant], list[Instant]]:
        self.built += 1
        epoch = date(1970, 1, 1)
        days = range((first - epoch).days, (last - epoch).days + 1)
        opens = [day * DAY + HALF_PAST_TWO for day in days]
        return opens, [instant + 60 * self._minutes for instant in opens]


@pytest.fixture(scope="module")
def real_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder whose file was written from the exchange calendar."""
    folder = tmp_path_factory.mktemp("sessions")
    load_sessions(folder, today=TODAY)
    return folder


def test_the_table_is_the_same_built_and_remembered(tmp_path: Path) -> None:
    """Goal: the file holds all of it. Method: build, then read with a source that refuses."""
    source = EverySession(minutes=210)
    folder = tmp_path / "not" / "there yet"
    built = load_sessions(folder, today=TODAY, source=source)
    remembered = load_sessions(folder, today=TODAY, source=source)
    assert source.built == 1
    assert list(built) == list(remembered)
    assert built.first.date == date(1990, 1, 1)
    assert built.last.date == TODAY + timedelta(days=366)
    assert built.last.minutes == 210
    assert iso(built.first.opens_at) == "1990-01-01T14:30:00Z"
    assert type(remembered.first) is type(built.first)
    assert os.listdir(folder) == [FILE_NAME]


def test_without_a_folder_it_is_built_each_time() -> None:
    """Goal: None means no file."""
    source = EverySession()
    assert len(load_sessions(None, today=TODAY, source=source)) > 9000
    load_sessions(None, today=TODAY, source=source)
    assert source.built == 2


@pytest.mark.parametrize(
    ("days_later", "built"), [(0, 1), (186, 1), (187, 2), (4000, 2), (-4000, 1)]
)
def test_a_table_that_ends_too_soon_is_built_anew(
    tmp_path: Path, days_later: int, built: int
) -> None:
    """Goal: always at least 180 days ahead of the day the caller names, or of a later one."""
    source = EverySession()
    load_sessions(tmp_path, today=TODAY, source=source)
    later = TODAY + timedelta(days=days_later)
    table = load_sessions(tmp_path, today=later, source=source)
    assert source.built == built
    assert table.last.date >= later + timedelta(days=180)


def test_another_version_of_the_package_is_asked_again(tmp_path: Path) -> None:
    """Goal: a new release may know new holidays; its answer replaces the file."""
    load_sessions(tmp_path, today=TODAY, source=EverySession("1"))
    newer = EverySession("2", minutes=180)
    for _ in range(2):
        table = load_sessions(tmp_path, today=TODAY, source=newer)
        assert table.first.minutes == 180
    assert newer.built == 1


def test_a_damaged_file_is_built_anew(tmp_path: Path) -> None:
    """Goal: never a wrong session. Method: cut short, a digit changed, other JSON, no JSON."""
    file = tmp_path / FILE_NAME
    good = list(load_sessions(tmp_path, today=TODAY, source=EverySession()))
    whole = file.read_bytes()
    assert json.loads(whole)["version"] == "1"
    digit = whole.index(b"631204200") + 4
    damages = [whole[:cut] for cut in (0, 1, 18, 19, 40, len(whole) // 2, len(whole) - 1)]
    damages += [whole[:digit] + b"9" + whole[digit + 1 :], whole + b" ", b"{}", b"[]", b"\xff" * 90]
    for damaged in damages:
        file.write_bytes(damaged)
        source = EverySession()
        assert list(load_sessions(tmp_path, today=TODAY, source=source)) == good
        assert source.built == 1
        assert file.read_bytes() == whole


def forged(opens: Any, seconds: Any, **others: Any) -> bytes:
    """A file whose checksum is right, whatever it holds."""
    content = {"format": 1, "version": "1", "opens": opens, "seconds": seconds, **others}
    rest = json.dumps(content).encode()[1:]
    return b'{"crc32":"%08x",' % crc32(rest) + rest


DAYS = range((date(1990, 1, 1) - date(1970, 1, 1)).days, (TODAY - date(1970, 1, 1)).days + 300)
OPENS = [day * DAY + HALF_PAST_TWO for day in DAYS]
LENGTHS = [390 * 60] * len(OPENS)
FORGED = {
    "no object": b'{"crc32":"%08x",' % crc32(b"1]") + b"1]",
    "brackets": b'{"crc32":"%08x",' % crc32(b"[" * 99_999) + b"[" * 99_999,
    "no version": forged(OPENS, LENGTHS, version=None),
    "no lists": forged(1, 2),
    "objects": forged({}, {}),
    "empty": forged([], []),
    "texts": forged(list(map(str, OPENS)), LENGTHS),
    "fractions": forged(OPENS, [390.0 * 60] * len(OPENS)),
    "flags": forged(OPENS, [True] * len(OPENS)),
    "lengths differ": forged(OPENS, LENGTHS[1:]),
    "late start": forged(OPENS[100:], LENGTHS[100:]),
    "early start": forged([OPENS[0] - DAY, *OPENS], [*LENGTHS, LENGTHS[0]]),
    "out of order": forged([*OPENS[:9], OPENS[10], OPENS[9], *OPENS[11:]], LENGTHS),
    "twice": forged([*OPENS[:10], OPENS[9], *OPENS[11:]], LENGTHS),
    "a month missing": forged(OPENS[:50] + OPENS[80:], LENGTHS[30:]),
    "off the minute": forged([*OPENS[:9], OPENS[9] + 1, *OPENS[10:]], LENGTHS),
    "at night": forged([*OPENS[:9], OPENS[9] - 6 * 3600, *OPENS[10:]], LENGTHS),
    "no length": forged(OPENS, [0, *LENGTHS[1:]]),
    "negative length": forged(OPENS, [-60, *LENGTHS[1:]]),
    "long day": forged(OPENS, [391 * 60, *LENGTHS[1:]]),
    "beyond all dates": forged([*OPENS[:-1], 10**18], LENGTHS),
}


@pytest.mark.parametrize("name", FORGED)
def test_a_file_of_what_no_exchange_does_is_built_anew(tmp_path: Path, name: str) -> None:
    """Goal: a right checksum is not enough. Method: one thing wrong in a file like ours."""
    (tmp_path / FILE_NAME).write_bytes(forged(OPENS, LENGTHS))
    source = EverySession()
    load_sessions(tmp_path, today=TODAY, source=source)
    assert source.built == 0, "the forgery itself is good"
    (tmp_path / FILE_NAME).write_bytes(FORGED[name])
    assert load_sessions(tmp_path, today=TODAY, source=source).first.minutes == 390
    assert source.built == 1
    said: list[str] = []
    load_sessions(tmp_path, today=TODAY, source=source, say=said.append)
    assert said == [f"sessions of XNYS from {tmp_path / FILE_NAME}"]


@pytest.mark.parametrize("blocked", ["folder is a file", "file is a folder"])
def test_a_folder_that_takes_no_file_is_no_error(tmp_path: Path, blocked: str) -> None:
    """Goal: a read-only disk costs time, nothing else. A file in the way works for root, too."""
    folder = tmp_path / "cache"
    if blocked == "folder is a file":
        folder.write_text("in the way")
    else:
        (folder / FILE_NAME / "in the way").mkdir(parents=True)
    before = sorted(tmp_path.rglob("*"))
    source = EverySession()
    for _ in range(2):
        assert load_sessions(folder, today=TODAY, source=source).last.date > TODAY
    assert source.built == 2
    assert sorted(tmp_path.rglob("*")) == before, "nothing left behind"


def test_a_file_is_replaced_not_overwritten(tmp_path: Path) -> None:
    """Goal: who reads while another writes sees the old file or the new one, whole."""
    load_sessions(tmp_path, today=TODAY, source=EverySession("1"))
    file = tmp_path / FILE_NAME
    old = file.read_bytes()
    with file.open("rb") as reader:
        load_sessions(tmp_path, today=TODAY, source=EverySession("2"))
        assert reader.read() == old
    assert file.read_bytes() != old
    assert os.listdir(tmp_path) == [FILE_NAME]


def test_a_clock_far_off_still_gets_a_table() -> None:
    """Goal: a machine that believes it is 1970 must not fail before it can say so."""
    assert (
        load_sessions(None, today=date(1970, 1, 1), source=EverySession()).first.date.year == 1990
    )


def test_the_exchange_calendar_is_imported_only_to_build(real_folder: Path) -> None:
    """Goal: pandas costs 100 MB. Method: a fresh interpreter reads a file that is there."""
    script = (
        "import sys; from datetime import date; from pathlib import Path; "
        "from algo_trader.feeds.calendar import load_sessions; "
        "load_sessions(Path(sys.argv[1]), today=date(2026, 6, 1)); print(*sys.modules)"
    )
    answer = subprocess.run(
        [sys.executable, "-c", script, str(real_folder)],
        check=True,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert not {"exchange_calendars", "pandas", "numpy"} & set(answer.stdout.split())


def test_the_version_is_a_version() -> None:
    """Goal: the key of the file is there without importing the package."""
    assert ExchangeCalendars().version()[0].isdigit()


def test_known_days_of_the_exchange(real_folder: Path) -> None:
    """Goal: full day, half day, summer time, holidays, and days closed without notice."""
    table = load_sessions(real_folder, today=TODAY)

    def hours(day: str) -> str | None:
        session = table.on(date.fromisoformat(day))
        return session and f"{iso(session.opens_at)[11:16]}-{iso(session.closes_at)[11:16]}"

    assert hours("2024-01-02") == "14:30-21:00"
    assert hours("2024-07-02") == "13:30-20:00"
    assert hours("2024-07-03") == "13:30-17:00"
    assert hours("2024-11-29") == "14:30-18:00"
    for closed in ("2024-07-04", "2024-07-06", "2025-01-09", "2012-10-29", "2001-09-11"):
        assert hours(closed) is None
    assert table.first.date == date(1990, 1, 2)
    assert table.last.date >= TODAY + timedelta(days=360)


def _reference() -> Path:
    root = os.environ.get("ALGO_REAL_DATA")
    if root is None:
        pytest.skip("ALGO_REAL_DATA names no folder with reference/calendar")
    return Path(root) / "reference" / "calendar"


def test_short_sessions_against_the_reference(real_folder: Path) -> None:
    """Goal: 1993 to 2027 against a list made elsewhere; the table ends a year from TODAY."""
    table = load_sessions(real_folder, today=TODAY)
    with (_reference() / "xnys_short_sessions_1993_2027.csv").open() as lines:
        expected = [
            (line["session"], line["open_utc"], line["close_utc"], int(line["minutes"]))
            for line in csv.DictReader(lines)
            if date.fromisoformat(line["session"]) <= table.last.date
        ]
    assert len(expected) > 70
    short = [
        (session.date.isoformat(), iso(session.opens_at), iso(session.closes_at), session.minutes)
        for session in table
        if session.minutes < 390 and session.date.year >= 1993
    ]
    assert short == expected


def test_closures_against_the_reference(real_folder: Path) -> None:
    """Goal: every weekday from 1993 on is a session or in the list of closures, never both."""
    table = load_sessions(real_folder, today=TODAY)
    with (_reference() / "xnys_weekday_closures_1993_2027.csv").open() as lines:
        closed = {date.fromisoformat(line["weekday_closed"]) for line in csv.DictReader(lines)}
    day = date(1993, 1, 1)
    while day <= table.last.date:
        is_open = table.on(day) is not None
        assert is_open == (day.weekday() < 5 and day not in closed), day
        day += timedelta(days=1)


def test_sessions_stand_at_new_york_dates(real_folder: Path) -> None:
    """Goal: the date taken from UTC is New York's, all the way from 1990."""
    new_york = ZoneInfo("America/New_York")
    for session in load_sessions(real_folder, today=TODAY):
        opens_at = datetime.fromtimestamp(session.opens_at, new_york)
        assert opens_at.date() == session.date
        assert 0 < session.minutes <= 390
