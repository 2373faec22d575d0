"""Bars over REST: whole sessions to warm up on, what a gap has swallowed, the latest of each.

Owns paging and what a row must hold. Bars are asked for split-adjusted: yesterday's averages must
be in today's shares. The bars of a day on which nothing is split are the same either way.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from datetime import date
from functools import lru_cache
from typing import Any, Protocol

from algo_trader.core.errors import BrokerError, Unanswered
from algo_trader.core.inputs import PastDay
from algo_trader.core.session import SessionTable
from algo_trader.core.types import MINUTE, Bar, Instant, Session, Symbol, iso
from algo_trader.feeds.alpaca import Log
from algo_trader.feeds.alpaca.messages import Prices, bar_at
from algo_trader.feeds.instants import minute_start
from algo_trader.feeds.tape import build_tape

BARS_PATH = "/v2/stocks/bars"
LATEST_PATH = "/v2/stocks/bars/latest"
PAGE_ROWS = 10_000
SYMBOLS_AT_ONCE = 200
"""Symbols of one question: what a URL may hold."""
ATTEMPTS = 3
BETWEEN_ATTEMPTS_S = 2.0
SESSIONS_MOST = 30
"""Sessions looked back over; a symbol that trades so rarely stays without averages."""

_minute_start = lru_cache(maxsize=4096)(minute_start)  # Symbols have their minutes in common.
_PROBLEMS = (LookupError, TypeError, ValueError, ArithmeticError, AttributeError)


class GetJson(Protocol):
    """Asks the data host: a path with its parameters, answered by parsed JSON.

    Numbers are Decimal, int or float. Raises Unavailable if nothing was sent, Unanswered if the
    answer is missing or is no success.
    """

    async def __call__(self, path: str, params: Mapping[str, str]) -> Any:
        """The answer."""
        ...


class BarHistory:
    """Minute bars of one feed, iex or sip."""

    def __init__(
        self,
        get: GetJson,
        sessions: SessionTable,
        *,
        feed: str,
        log: Log,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._get = get
        self._sessions = sessions
        self._feed = feed
        self._log = log
        self._sleep = sleep
        self._prices = Prices()
        self._told_short: set[tuple[Symbol, int]] = set()
        self._whole: dict[date, dict[Symbol, list[Bar]]] = {}

    async def past(
        self, symbols: Sequence[Symbol], now: Instant, *, interval_minutes: int, needed: int
    ) -> list[PastDay]:
        """Sessions before now, ascending, until each symbol has `needed` candles in them, and the
        present one as far as it has come, also if that has no bar yet.

        A symbol that has fewer in SESSIONS_MOST sessions is told, and has what there is.
        """
        by_symbol: dict[Symbol, list[Bar]] = {symbol: [] for symbol in symbols}
        candles = dict.fromkeys(symbols, 0)
        span = interval_minutes * MINUTE
        for session in self._back_from(now):
            short = [symbol for symbol in symbols if candles[symbol] < needed]
            if not short:
                break
            for symbol, bars in (await self._session(session, short)).items():
                by_symbol[symbol] = bars + by_symbol[symbol]
                candles[symbol] += len({(bar.start - session.opens_at) // span for bar in bars})
        for symbol in symbols:
            if candles[symbol] < needed and (symbol, candles[symbol]) not in self._told_short:
                self._told_short.add((symbol, candles[symbol]))
                self._log(
                    "history_is_short", level="warning", symbol=symbol,
                    candles=candles[symbol], needed=needed,
                )  # fmt: skip
        days: list[PastDay] = []
        if any(by_symbol.values()):
            tape = build_tape(by_symbol, self._sessions)
            days = [PastDay(day.session, day.minutes) for day in tape.days]
        present = self._sessions.at(now)
        if present is not None:
            days.append(await self._present(present, symbols, now))
        return days

    async def bars(
        self, symbols: Iterable[Symbol], first: Instant, last: Instant
    ) -> dict[Symbol, list[Bar]]:
        """Bars that start from `first` to `last` inclusive, ascending, by symbol.

        Unavailable or Unanswered if a page is not to be had in ATTEMPTS attempts.
        """
        wanted = sorted(symbols)
        found: dict[Symbol, dict[Instant, Bar]] = {symbol: {} for symbol in wanted}
        for some in _pieces(wanted):
            params = {
                "symbols": ",".join(some),
                "timeframe": "1Min",
                "start": iso(first),
                "end": iso(last),
                "limit": str(PAGE_ROWS),
                "adjustment": "split",
                "feed": self._feed,
                "sort": "asc",
            }
            seen: set[str] = set()
            while True:
                page = await self._ask(BARS_PATH, params)
                self._take_rows(page.get("bars"), first, last, found)
                token = page.get("next_page_token")
                if not token:
                    break
                if token in seen:
                    raise Unanswered(f"{BARS_PATH}: the pages go round in a circle")
                seen.add(token)
                params = params | {"page_token": str(token)}
        return {symbol: [bars[start] for start in sorted(bars)] for symbol, bars in found.items()}

    async def latest(self, symbols: Iterable[Symbol]) -> dict[Symbol, Bar]:
        """The latest bar of each symbol that has one, of any hour."""
        wanted = sorted(symbols)
        found: dict[Symbol, dict[Instant, Bar]] = {symbol: {} for symbol in wanted}
        for some in _pieces(wanted):
            page = await self._ask(LATEST_PATH, {"symbols": ",".join(some), "feed": self._feed})
            rows = page.get("bars")
            if isinstance(rows, dict):
                lists = {symbol: [row] for symbol, row in rows.items() if row is not None}
                self._take_rows(lists, None, None, found)
        return {symbol: bars[max(bars)] for symbol, bars in found.items() if bars}

    def forget(self) -> None:
        """Let go of the sessions kept for the next `past`."""
        self._whole.clear()

    def _back_from(self, now: Instant) -> list[Session]:
        """Sessions that are over, the latest first."""
        over = [session for session in self._sessions if session.closes_at <= now]
        return over[: -SESSIONS_MOST - 1 : -1]

    async def _session(
        self, session: Session, symbols: Sequence[Symbol]
    ) -> Mapping[Symbol, list[Bar]]:
        """The bars of a session that is over; asked for once."""
        kept = self._whole.setdefault(session.date, {})
        unknown = [symbol for symbol in symbols if symbol not in kept]
        if unknown:
            last = session.closes_at - MINUTE
            kept.update(await self.bars(unknown, session.opens_at, last))
        return {symbol: kept[symbol] for symbol in symbols}

    async def _present(self, session: Session, symbols: Sequence[Symbol], now: Instant) -> PastDay:
        """The session that goes on at `now`: its minutes that are over."""
        over = (now - session.opens_at) // MINUTE
        if not over:
            return PastDay(session, [])
        found = await self.bars(symbols, session.opens_at, session.opens_at + (over - 1) * MINUTE)
        if not any(found.values()):
            return PastDay(session, [()] * over)
        return PastDay(session, build_tape(found, self._sessions).days[0].minutes[:over])

    async def _ask(self, path: str, params: Mapping[str, str]) -> Mapping[str, Any]:
        """One page; what came before it is not lost if it takes several attempts."""
        for attempt in range(1, ATTEMPTS + 1):
            try:
                page = await self._get(path, params)
                if not isinstance(page, dict):
                    raise Unanswered(f"{path}: the answer is no object")
                return page
            except BrokerError as error:
                if attempt == ATTEMPTS:
                    raise
                self._log("history_retries", path=path, reason=str(error))
            await self._sleep(BETWEEN_ATTEMPTS_S)
        raise AssertionError("unreachable")

    def _take_rows(
        self,
        by_symbol: object,
        first: Instant | None,
        last: Instant | None,
        into: dict[Symbol, dict[Instant, Bar]],
    ) -> None:
        """Keep the rows that are bars, told are those that are none; null is no bars."""
        if not isinstance(by_symbol, dict):
            return
        for symbol, rows in by_symbol.items():
            kept = into.get(symbol)
            if kept is None:
                continue
            for row in rows or ():
                try:
                    start = _minute_start(row["t"])
                    bar = bar_at(symbol, start, row, self._prices)
                except _PROBLEMS as error:
                    self._log(
                        "market_data_refused", level="warning", symbol=symbol,
                        reason=f"{type(error).__name__}: {error}", message=repr(row)[:200],
                    )  # fmt: skip
                    continue
                if (first is None or start >= first) and (last is None or start <= last):
                    kept[start] = bar


def _pieces(symbols: Sequence[Symbol]) -> Iterable[Collection[Symbol]]:
    for begin in range(0, len(symbols), SYMBOLS_AT_ONCE):
        yield symbols[begin : begin + SYMBOLS_AT_ONCE]
