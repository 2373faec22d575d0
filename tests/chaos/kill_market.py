"""What the killed daemon trades: wild synthetic bars, and a market of weeks that passes in minutes.

Weekdays of a spring without a holiday, so that no calendar has to be asked. The same seed makes the
same bars.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from random import Random

FIRST_DAY = date(2024, 4, 1)
DAYS_MOST = 40
"""From here on there was no holiday for eight weeks."""
OPENS = timedelta(hours=13, minutes=30)
MINUTES = 390
SYMBOLS = ("AA", "BB", "CC", "DD", "EE")
MISSING = 0.02
"""Chance that a symbol has no bar in a minute."""
HEAD = "timestamp,symbol,open,high,low,close,volume\n"
LEAST, STEP, START = 5_000, 30, 10_000
"""Cents: no price is below, a minute's quarter moves so far at most, the first price."""


def days(count: int) -> list[date]:
    """The first sessions of the market."""
    found: list[date] = []
    day = FIRST_DAY
    while len(found) < count:
        if day.weekday() < 5:
            found.append(day)
        day += timedelta(days=1)
    return found


def write_bars(folder: Path, seed: int, count: int) -> list[date]:
    """Bars of `count` sessions, one file a symbol; the sessions, of which the first is history."""
    if count > DAYS_MOST:
        raise ValueError(f"{count} sessions: {DAYS_MOST} at most")
    folder.mkdir(parents=True)
    sessions = days(count)
    for symbol in SYMBOLS:
        chance = Random(f"{seed}-{symbol}")
        (folder / f"{symbol}.csv").write_text("".join([HEAD, *_rows(chance, symbol, sessions)]))
    return sessions


def _rows(chance: Random, symbol: str, sessions: list[date]) -> Iterator[str]:
    price = START
    for day in sessions:
        opens_at = datetime(day.year, day.month, day.day, tzinfo=UTC) + OPENS
        for minute in range(MINUTES):
            path = [price]
            for _ in range(3):
                path.append(max(LEAST, path[-1] + chance.randint(-STEP, STEP)))
            price = path[-1]
            if chance.random() < MISSING and minute:
                continue
            start = opens_at + timedelta(minutes=minute)
            prices = (path[0], max(path), min(path), path[-1])
            shown = ",".join(f"{cents // 100}.{cents % 100:02}" for cents in prices)
            yield f"{start:%Y-%m-%dT%H:%M:%SZ},{symbol},{shown},1000\n"
