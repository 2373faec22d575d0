"""The sessions of the New York Stock Exchange, from the package exchange_calendars.

Owns where sessions come from and the file that remembers them: building the calendar takes half a
second and pandas, reading the file a few milliseconds. The file is a copy that may be thrown away
at any time; what is wrong with it, or with its folder, is never an error. This module has no clock:
the caller says what day it is.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterable
from contextlib import suppress
from datetime import date, timedelta
from functools import lru_cache, partial
from itertools import pairwise
from operator import add, sub
from pathlib import Path
from typing import Any, Protocol
from zlib import crc32

from algo_trader.core.session import SessionTable
from algo_trader.core.types import MINUTE, Instant, Session

EXCHANGE = "XNYS"
FILE_NAME = f"sessions-{EXCHANGE}.json"
FIRST_DAY = date(1990, 1, 1)
BUILD_AHEAD = timedelta(days=366)
"""How far past today a new table reaches."""
KEEP_AHEAD = timedelta(days=180)
"""A remembered table that reaches less far past today is built anew."""

_FORMAT = 1
_DAY = 86_400
# What a remembered table must be, beyond its checksum: an exchange that opened longer or paused
# longer than ever since 1990 would only be built anew each time.
_LONGEST_SESSION = 390 * MINUTE
_LONGEST_PAUSE = 10 * _DAY
_EARLIEST_OPEN, _LATEST_OPEN = 13 * 3600, 17 * 3600
"""Times of day, UTC."""
_EPOCH_ORDINAL = date(1970, 1, 1).toordinal()

# Session(...) is a Python function; the tuple's own constructor is not, and takes half the time.
_new_session: Callable[[tuple[object, ...]], Session] = partial(tuple.__new__, Session)


class SessionSource(Protocol):
    """What knows the sessions of the exchange."""

    def version(self) -> str:
        """A text that changes when the answers of `hours` may."""
        ...

    def hours(self, first: date, last: date) -> tuple[list[Instant], list[Instant]]:
        """Opening and closing instants of the sessions from `first` to `last`, ascending."""
        ...


class ExchangeCalendars:
    """The sessions of XNYS as exchange_calendars has them, half days included."""

    def version(self) -> str:
        """The version of the package installed."""
        from importlib.metadata import version  # 20 ms that only the command line pays anyway

        return version("exchange_calendars")

    def hours(self, first: date, last: date) -> tuple[list[Instant], list[Instant]]:
        """Opening and closing instants from the package; imports pandas, 100 MB of memory."""
        with warnings.catch_warnings():
            # What the package says to its own authors about pandas is nothing to our user.
            warnings.simplefilter("ignore")
            import exchange_calendars

            calendar: Any = exchange_calendars.get_calendar(
                EXCHANGE, start=first.isoformat(), end=last.isoformat()
            )
            opens, closes = calendar.opens_nanos, calendar.closes_nanos
        second = 1_000_000_000
        return (opens // second).tolist(), (closes // second).tolist()


class CalendarsApart(ExchangeCalendars):
    """The same from a process of its own, which takes pandas' 100 MB away with it when it ends."""

    def hours(self, first: date, last: date) -> tuple[list[Instant], list[Instant]]:
        """Opening and closing instants; built here after all where no process can be started."""
        opens, closes = _hours_apart(first, last) or super().hours(first, last)
        return list(opens), list(closes)


@lru_cache(maxsize=4)
def _hours_apart(first: date, last: date) -> tuple[list[Instant], list[Instant]] | None:
    command = [sys.executable, "-m", __name__, first.isoformat(), last.isoformat()]
    try:
        done = subprocess.run(command, capture_output=True, check=True)
        opens, closes = json.loads(done.stdout)
    except (OSError, subprocess.SubprocessError, ValueError):
        return None
    return opens, closes


def load_sessions(
    cache_dir: Path | None,
    *,
    today: date,
    source: SessionSource | None = None,
    say: Callable[[str], None] | None = None,
) -> SessionTable:
    """All sessions of XNYS from 1990 to about a year after `today`.

    They are read from `sessions-XNYS.json` in `cache_dir` if that holds those of the installed
    exchange_calendars and reaches 180 days past `today`; otherwise they are built and the file is
    written anew. With `cache_dir` None, or one that cannot be written, they are built each time.
    `say` is told in words which of the two happened.
    """
    source = source or CalendarsApart()
    version = source.version()
    file = None if cache_dir is None else cache_dir / FILE_NAME
    table = None if file is None else _remembered(file, version)
    if table is not None and table.last.date >= today + KEEP_AHEAD:
        if say is not None:
            say(f"sessions of {EXCHANGE} from {file}")
        return table
    # A machine whose clock is wrong still gets a table; bars past its end are an error of the tape.
    opens, closes = source.hours(FIRST_DAY, max(today, FIRST_DAY) + BUILD_AHEAD)
    is_kept = file is not None and _remember(file, version, opens, closes)
    if say is not None:
        say(f"sessions of {EXCHANGE} built" + (f" and kept in {file}" if is_kept else ""))
    return _table(opens, closes)


def _table(opens: list[Instant], closes: Iterable[Instant]) -> SessionTable:
    """The table of these sessions.

    New York opens between 13:00 and 17:00 UTC, so the exchange's date is the date in UTC.
    """
    days = map(date.fromordinal, [_EPOCH_ORDINAL + instant // _DAY for instant in opens])
    return SessionTable(list(map(_new_session, zip(days, opens, closes, strict=True))))


# The file holds one JSON object whose first member is the checksum of all that follows it: a digit
# that changed would move a session.


def _head(rest: bytes) -> bytes:
    return b'{"crc32":"%08x",' % crc32(rest)


_HEAD_LENGTH = len(_head(b""))


def _remembered(file: Path, version: str) -> SessionTable | None:
    """The table in the file; None if there is none, or it is of another version or damaged."""
    try:
        content = file.read_bytes() if file.is_file() else b""
    except OSError:
        return None
    rest = content[_HEAD_LENGTH:]
    if not rest or content[:_HEAD_LENGTH] != _head(rest):
        return None
    try:
        table = json.loads(content)
        if table["format"] != _FORMAT or table["version"] != version:
            return None
        opens, seconds = table["opens"], table["seconds"]
        if not _are_sessions(opens, seconds):
            return None
    except (ValueError, TypeError, LookupError, RecursionError):
        return None  # Right by its checksum, and yet not what this program writes.
    return _table(opens, map(add, opens, seconds))


def _are_sessions(opens: Any, seconds: Any) -> bool:
    """Whether these may be the openings of the exchange since FIRST_DAY and their lengths."""
    first = (FIRST_DAY.toordinal() - _EPOCH_ORDINAL) * _DAY
    return (
        type(opens) is type(seconds) is list
        and len(opens) == len(seconds) > 0
        and set(map(type, opens)) == set(map(type, seconds)) == {int}
        and first <= opens[0] < first + _LONGEST_PAUSE
        and all(0 < length <= _LONGEST_SESSION and not length % MINUTE for length in set(seconds))
        and all(
            _EARLIEST_OPEN <= instant % _DAY <= _LATEST_OPEN and not instant % MINUTE
            for instant in opens
        )
        and all(_DAY // 2 < after - before < _LONGEST_PAUSE for before, after in pairwise(opens))
    )


def _remember(file: Path, version: str, opens: list[Instant], closes: list[Instant]) -> bool:
    """Write the file at once or not at all; whether it was. A folder that takes none is no error.
    """
    content = {
        "format": _FORMAT,
        "version": version,
        "opens": opens,
        "seconds": list(map(sub, closes, opens)),
    }
    rest = json.dumps(content, separators=(",", ":")).encode()[1:]
    temporary = file.with_name(f"{FILE_NAME}.{os.getpid()}.tmp")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_bytes(_head(rest) + rest)
        os.replace(temporary, file)
    except OSError:
        return False
    finally:  # Also for who is interrupted.
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
    return True


if __name__ == "__main__":
    sys.stdout.write(json.dumps(ExchangeCalendars().hours(*map(date.fromisoformat, sys.argv[1:3]))))
