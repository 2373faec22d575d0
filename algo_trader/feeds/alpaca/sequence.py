"""Bars in the order the engine can take: each symbol's ascending, each once, minutes never back.

Owns what has been fed of the present session. A bar that repeats is dropped; one that comes after a
later bar of its symbol, or has changed, is a correction and never a second decision. A bar that is
late but still the next of its symbol is fed with the minute that is the latest by then: market time
does not go back for it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from operator import attrgetter

from algo_trader.core.inputs import Correction, Minute
from algo_trader.core.types import Bar, Instant, Session, Symbol

REMEMBERED = 8
"""Bars of a symbol that a repetition is known by; an older one counts as a correction."""

_start_of = attrgetter("start")
_symbol_of = attrgetter("symbol")


class BarSequence:
    """What was fed of one session. `last` holds the start of each symbol's last bar.

    Bars of the session start from `opens_at`, before `closes_at`.
    """

    def __init__(self) -> None:
        self.last: dict[Symbol, Instant] = {}
        self.head: Instant = 0
        """Start of the last minute fed."""
        self._recent: dict[Symbol, deque[Bar]] = {}
        self.opens_at: Instant = 0
        self.closes_at: Instant = 0

    def open(self, session: Session, minutes: Iterable[Sequence[Bar]] = ()) -> None:
        """Begin a session; `minutes` of it count as fed."""
        self.last.clear()
        self._recent.clear()
        self.head = 0
        self.opens_at, self.closes_at = session.opens_at, session.closes_at
        for bars in minutes:
            for bar in bars:
                self._keep(bar)

    def sort(self, bars: Sequence[Bar]) -> tuple[list[Minute], list[Correction]]:
        """The bars as minutes to feed, ascending, and as corrections; all of the session."""
        minutes: list[Minute] = []
        corrections: list[Correction] = []
        last, keep = self.last, self._keep
        group: list[Bar] = []
        start = -1
        for bar in sorted(bars, key=_start_of):
            if bar.start <= last.get(bar.symbol, -1):
                corrections += self.correct(bar)
                continue
            if bar.start != start:
                self._close_group(start, group, minutes)
                group, start = [], bar.start
            group.append(bar)
            keep(bar)
        self._close_group(start, group, minutes)
        return minutes, corrections

    def correct(self, bar: Bar) -> list[Correction]:
        """The correction a bar makes; none if it says what was said before."""
        recent = self._recent.get(bar.symbol)
        if recent is not None:
            if bar in recent:
                return []
            if bar.start >= min(map(_start_of, recent)):
                recent.append(bar)
        return [Correction(bar)]

    def has_bar_in(self, symbol: Symbol, begin: Instant, end: Instant) -> bool:
        """Whether one of the symbol's recent bars starts in [begin, end)."""
        if self.last.get(symbol, 0) < begin:
            return False
        return any(begin <= bar.start < end for bar in self._recent[symbol])

    def unknown(self, by_symbol: Mapping[Symbol, Sequence[Bar]]) -> list[Bar]:
        """Of bars asked for again: those not fed yet, and recent ones that have changed."""
        found: list[Bar] = []
        for symbol, bars in by_symbol.items():
            last = self.last.get(symbol, 0)
            recent = self._recent.get(symbol) or ()
            # Where nothing was forgotten yet, what is not remembered was not fed.
            is_whole = len(recent) < REMEMBERED
            begin = self.opens_at if is_whole else min(map(_start_of, recent))
            found += [
                bar
                for bar in bars
                if bar.start > last or (bar.start >= begin and bar not in recent)
            ]
        return found

    def _keep(self, bar: Bar) -> None:
        symbol = bar.symbol
        self.last[symbol] = bar.start
        try:
            self._recent[symbol].append(bar)
        except KeyError:
            self._recent[symbol] = deque((bar,), REMEMBERED)

    def _close_group(self, start: Instant, group: list[Bar], minutes: list[Minute]) -> None:
        if not group:
            return
        self.head = max(self.head, start)
        group.sort(key=_symbol_of)
        minutes.append(Minute(self.head, group))
