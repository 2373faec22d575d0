"""The made-up market: sessions of a few dozen minutes, with bars of random walks and worse.

A short day holds what a month of a real strategy does. Paths: `calm` walks, `wild` ones, a `crash`
that takes a fifth within minutes, a `gap` at the open, a `quiet` tape with minutes that nobody
trades in.

Where every price matters, a tape says them all: a word for each minute, in cents above the first
price; `12` for a minute that trades at that alone, `0/12` for one that goes from here to there, `-`
for one without a trade. Days are divided by `|`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from random import Random

from algo_trader.core.session import SessionTable
from algo_trader.core.types import MINUTE, Bar, Session, Symbol
from algo_trader.feeds.tape import MinuteBars, TapeDay

FIRST_OPEN = datetime(2024, 1, 2, 14, 30, tzinfo=UTC)
PATHS = ("calm", "wild", "crash", "gap", "quiet")
CENT = Decimal("0.01")
START, LOWEST = 10_000, 3_000
"""Prices in cents: the first one, and one that no walk goes below."""
STEP = {"calm": 25, "wild": 60, "crash": 40, "gap": 40, "quiet": 30}
MISSING = {"quiet": 0.30}
USUALLY_MISSING = 0.04


def sessions(days: int, minutes: int) -> list[Session]:
    """So many sessions on weekdays in a row."""
    found: list[Session] = []
    opens = FIRST_OPEN
    while len(found) < days:
        if opens.weekday() < 5:
            at = int(opens.timestamp())
            found.append(Session(opens.date(), at, at + minutes * MINUTE))
        opens += timedelta(days=1)
    return found


class Market:
    """The days of a seed: `history` to warm up on, then `period` to trade, by `tapes` if any."""

    def __init__(
        self,
        seed: int,
        symbols: Sequence[Symbol],
        paths: Sequence[str],
        minutes: int,
        history_days: int = 1,
        tapes: Mapping[Symbol, str] | None = None,
    ) -> None:
        chance = Random(f"market {seed}")
        last = dict.fromkeys(symbols, START)
        all_paths = [*["calm"] * history_days, *paths]
        # One more, which nobody plays: a clock has to name a next open.
        days = sessions(len(all_paths) + 1, minutes)
        made = [
            TapeDay(session=session, minutes=_day(chance, last, path, session))
            for path, session in zip(all_paths, days, strict=False)
        ]
        if tapes:
            made = [
                TapeDay(session=session, minutes=_by_tapes(tapes, number - history_days, session))
                for number, session in enumerate(days[:-1])
            ]
        self.history, self.period = made[:history_days], made[history_days:]
        self.table = SessionTable(days)


def _by_tapes(tapes: Mapping[Symbol, str], day: int, session: Session) -> list[MinuteBars]:
    """The minutes of a day as the tapes have them; those before the first day stand still."""
    minutes = range(session.opens_at, session.closes_at, MINUTE)
    told = {
        symbol: tape.split("|")[day].split() if day >= 0 else ["0"] * len(minutes)
        for symbol, tape in tapes.items()
    }
    return [
        tuple(
            _bar(symbol, start, words[index])
            for symbol, words in told.items()
            if index < len(words) and words[index] != "-"
        )
        for index, start in enumerate(minutes)
    ]


def _bar(symbol: Symbol, start: int, word: str) -> Bar:
    prices = [CENT * (START + int(cents)) for cents in word.split("/")]
    return Bar(symbol, start, prices[0], max(prices), min(prices), prices[-1], 100)


def _day(
    chance: Random, last: dict[Symbol, int], path: str, session: Session
) -> list[MinuteBars]:
    minutes = (session.closes_at - session.opens_at) // MINUTE
    if path == "gap":
        for symbol in last:
            last[symbol] = max(LOWEST, int(last[symbol] * chance.uniform(0.9, 1.1)))
    falls_at = chance.randrange(minutes // 4, minutes) if path == "crash" else -1
    return [
        _minute(chance, last, path, session.opens_at + index * MINUTE, index == falls_at)
        for index in range(minutes)
    ]


def _minute(
    chance: Random, last: dict[Symbol, int], path: str, start: int, falls: bool
) -> MinuteBars:
    bars = []
    step = STEP[path]
    for symbol in last:
        if chance.random() < MISSING.get(path, USUALLY_MISSING):
            continue
        prices = [last[symbol]]
        for _ in range(3):
            prices.append(max(LOWEST, prices[-1] + chance.randint(-step, step)))
        if falls:
            prices[-1] = max(LOWEST, prices[-1] * 4 // 5)
        last[symbol] = prices[-1]
        opened, high, low, close = (
            CENT * price for price in (prices[0], max(prices), min(prices), prices[-1])
        )
        bars.append(Bar(symbol, start, opened, high, low, close, 100))
    return tuple(bars)
