"""The market-data REST API: bar history with paging, latest bars, snapshots."""

from __future__ import annotations

import base64
import binascii
import re
from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from itertools import groupby
from typing import Any, Protocol

from algo_trader.core.types import MINUTE, Bar, Instant, Symbol
from algo_trader.exchange.asking import Answer, Ask, Route
from algo_trader.exchange.errors import ApiFault
from algo_trader.exchange.wire import NEW_YORK, bar_row

BAD_REQUEST = 40010001
NO_SIP = 42210000
TIMEFRAME = re.compile(r"([1-9][0-9]?)(Min|T|Hour|H|Day|D)")
PAGE_MOST, PAGE_USUAL = 10_000, 1000
SIP_DELAY_S = 15 * MINUTE
FEEDS = ("iex", "sip", "delayed_sip", "otc", "boats", "")
DAY_S = 86_400
ADJUSTMENT = re.compile(r"(raw|split|dividend|spin-off|all)(,(raw|split|dividend|spin-off|all))*")


@dataclass(frozen=True, slots=True, kw_only=True)
class DataTerms:
    """What the data subscription of the keys allows."""

    has_recent_sip: bool = True


class BarHistory(Protocol):
    """Every bar published so far, those of the days before included."""

    def history(
        self, symbols: Sequence[Symbol], start: Instant, end: Instant
    ) -> Mapping[Symbol, Sequence[Bar]]:
        """Per symbol the bars that start from `start` to `end` inclusive, ascending."""
        ...


class DataRoutes:
    """Answers from the bars published so far."""

    def __init__(self, history: BarHistory, terms: DataTerms) -> None:
        self._history = history
        self._terms = terms

    def routes(self) -> list[Route]:
        """Every route of the data host."""
        return [
            Route("GET", "/v2/stocks/bars", self._bars),
            Route("GET", "/v2/stocks/{symbol}/bars", self._bars_of_one),
            Route("GET", "/v2/stocks/bars/latest", self._latest),
            Route("GET", "/v2/stocks/snapshots", self._snapshots),
        ]

    def _bars(self, ask: Ask) -> Answer:
        symbols = ask.words("symbols")
        if not symbols:
            raise ApiFault(400, None, "symbols is required")
        rows, token = self._page(ask, symbols)
        bars: dict[str, list[dict[str, Any]]] = {}
        for bar in rows:
            bars.setdefault(bar.symbol, []).append(bar_row(bar))
        return Answer(body={"bars": bars, "next_page_token": token})

    def _bars_of_one(self, ask: Ask) -> Answer:
        symbol = ask.parts["symbol"]
        rows, token = self._page(ask, [symbol])
        return Answer(
            body={
                "symbol": symbol,
                "bars": [bar_row(bar) for bar in rows],
                "next_page_token": token,
            }
        )

    def _page(self, ask: Ask, symbols: Sequence[Symbol]) -> tuple[list[Bar], str | None]:
        """Bars sorted by symbol, then time; the token says where the next page begins."""
        amount, unit = _timeframe(ask.query.get("timeframe", ""))
        limit = _limit(ask)
        adjustment = ask.query.get("adjustment") or "raw"
        if not ADJUSTMENT.fullmatch(adjustment):
            raise ApiFault(400, None, f"invalid adjustment: {adjustment}")
        is_descending = ask.choice("sort", "asc", ("asc", "desc")) == "desc"
        start, end = self._range(ask)
        bars = self._history.history(
            sorted(set(symbols)), _floor(start, amount, unit), end - unit + MINUTE
        )
        rows = [
            bar
            for symbol in sorted(bars)
            for bar in _ordered(_merged(bars[symbol], amount, unit), is_descending)
            if start <= bar.start <= end
        ]
        begin = 0
        if token := ask.query.get("page_token"):
            begin = _after(rows, _read_token(token), is_descending)
        page = rows[begin : begin + limit]
        if begin + limit >= len(rows):
            return page, None
        return page, _token(page[-1])

    def _range(self, ask: Ask) -> tuple[Instant, Instant]:
        """First and last bar start wanted; the day of now and now itself if not given."""
        feed = ask.choice("feed", "", FEEDS)
        start, end = ask.instant("start"), ask.instant("end", is_end=True)
        is_sip = feed in ("sip", "")
        may_see_until = ask.now
        if not self._terms.has_recent_sip and is_sip:
            may_see_until -= SIP_DELAY_S
            if feed == "sip" and end is not None and end > may_see_until:
                raise ApiFault(403, NO_SIP, "subscription does not permit querying recent SIP data")
        if end is None:
            end = may_see_until
        if start is None:
            day = datetime.fromtimestamp(ask.now, NEW_YORK).replace(
                hour=0, minute=0, second=0, microsecond=0
            )
            start = day.timestamp()
        if start > end:
            raise ApiFault(400, None, "end should not be before start")
        return -int(-start // 1), int(end)

    def _latest(self, ask: Ask) -> Answer:
        bars = {symbol: bar_row(bar) for symbol, bar in self._last_bars(ask).items()}
        return Answer(body={"bars": bars})

    def _snapshots(self, ask: Ask) -> Answer:
        found = self._last_bars(ask)
        return Answer(body={symbol: {"minuteBar": bar_row(bar)} for symbol, bar in found.items()})

    def _last_bars(self, ask: Ask) -> dict[Symbol, Bar]:
        symbols = ask.words("symbols")
        if not symbols:
            raise ApiFault(400, None, "symbols is required")
        now = int(ask.now)
        bars = self._history.history(sorted(set(symbols)), now - 10 * DAY_S, now)
        return {symbol: rows[-1] for symbol, rows in bars.items() if rows}


def _limit(ask: Ask) -> int:
    try:
        limit = int(ask.query.get("limit") or PAGE_USUAL)
    except ValueError:
        limit = 0
    if not 1 <= limit <= PAGE_MOST:
        raise ApiFault(400, None, f"limit must be between 1 and {PAGE_MOST}")
    return limit


def _timeframe(words: str) -> tuple[int, int]:
    """How many units, and a unit's seconds."""
    found = TIMEFRAME.fullmatch(words)
    if found is None:
        raise ApiFault(400, None, f"invalid timeframe: {words}")
    amount, name = int(found[1]), found[2]
    unit = {"M": MINUTE, "T": MINUTE, "H": 60 * MINUTE, "D": DAY_S}[name[0]]
    if (unit == DAY_S and amount != 1) or (unit == 60 * MINUTE and amount > 23) or amount > 59:
        raise ApiFault(400, None, f"invalid timeframe: {words}")
    return amount, unit


def _floor(at: Instant, amount: int, unit: int) -> Instant:
    return at if unit == MINUTE and amount == 1 else at - DAY_S


def _window(bar: Bar, amount: int, unit: int) -> Instant:
    """Start of the window a bar belongs to; a day begins at New York's midnight."""
    if unit == DAY_S:
        moment = datetime.fromtimestamp(bar.start, NEW_YORK)
        return int(moment.replace(hour=0, minute=0, second=0, microsecond=0).timestamp())
    span = amount * unit
    return bar.start // span * span


def _merged(bars: Iterable[Bar], amount: int, unit: int) -> list[Bar]:
    if unit == MINUTE and amount == 1:
        return list(bars)
    return [
        merge(start, list(rows))
        for start, rows in groupby(bars, key=lambda bar: _window(bar, amount, unit))
    ]


def merge(start: Instant, bars: Sequence[Bar]) -> Bar:
    """One bar of several of a symbol, ascending."""
    return Bar(
        bars[0].symbol,
        start,
        bars[0].open,
        max(bar.high for bar in bars),
        min(bar.low for bar in bars),
        bars[-1].close,
        sum((Decimal(bar.volume) for bar in bars), start=Decimal(0)),
    )


def _ordered(bars: list[Bar], is_descending: bool) -> list[Bar]:
    return bars[::-1] if is_descending else bars


def _token(last: Bar) -> str:
    return base64.urlsafe_b64encode(f"{last.symbol}|M|{last.start}".encode()).decode()


def _read_token(token: str) -> tuple[Symbol, Instant]:
    try:
        symbol, _, start = base64.urlsafe_b64decode(token.encode()).decode().split("|")
        return symbol, int(start)
    except (ValueError, binascii.Error):
        raise ApiFault(400, None, "invalid page_token") from None


def _after(rows: Sequence[Bar], last: tuple[Symbol, Instant], is_descending: bool) -> int:
    """Index of the first row after the last one of the page before."""
    sign = -1 if is_descending else 1
    symbol, start = last
    return bisect_right(
        rows, (symbol, sign * start), key=lambda bar: (bar.symbol, sign * bar.start)
    )
