"""Bars over REST: paging, retries, and how far back the past goes.

Goal: whole sessions until each symbol has its candles, the present one so far, nothing of extended
hours, no page lost. Method: a table of bars behind a fake REST; a clock moved by hand.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest
from feed_kit import OPENS, SESSION, TABLE, Events, Rest, Time, bar, row, settle

from algo_trader.core.errors import Unanswered, Unavailable
from algo_trader.core.inputs import PastDay
from algo_trader.core.types import MINUTE, Bar, iso
from algo_trader.feeds.alpaca.history import BarHistory, GetJson


class Shop:
    """A history over a fake REST."""

    def __init__(self, get: GetJson) -> None:
        self.time = Time(0.0)
        self.events = Events()
        self.history = BarHistory(get, TABLE, feed="iex", log=self.events, sleep=self.time.sleep)

    def past(self, now: int, needed: int, *symbols: str, interval: int = 2) -> list[PastDay]:
        """The past at `now`."""

        async def main() -> list[PastDay]:
            asking = asyncio.create_task(
                self.history.past(
                    symbols or ("AAPL",), now, interval_minutes=interval, needed=needed
                )
            )
            while not asking.done():
                await settle()
                if not asking.done():
                    await self.time.move(1)
            return asking.result()

        return asyncio.run(main())

    def bars(self, first: int, last: int, *symbols: str) -> dict[str, list[Bar]]:
        """The bars from `first` to `last`."""

        async def main() -> dict[str, list[Bar]]:
            asking = asyncio.create_task(self.history.bars(symbols or ("AAPL",), first, last))
            while not asking.done():
                await settle()
                if not asking.done():
                    await self.time.move(1)
            return asking.result()

        return asyncio.run(main())


def day_of(day: int, symbol: str = "AAPL", every: int = 1) -> list[Bar]:
    """A session's bars."""
    return [bar(minute, symbol, day=day) for minute in range(0, SESSION[day].minutes, every)]


def test_whole_sessions_until_there_are_enough_candles() -> None:
    """Goal: 195 candles of two minutes fit a full session: for 196 another one is asked for, and
    no more; the present session comes as far as it is over.
    """
    rest = Rest([*day_of(1), *day_of(2), *day_of(3), *day_of(5)])
    shop = Shop(rest)
    now = OPENS[5] + 10 * MINUTE + 7
    days = shop.past(now, 106)
    assert [day.session for day in days] == [SESSION[2], SESSION[3], SESSION[5]]
    assert [len(day.minutes) for day in days] == [390, 210, 10]
    assert days[-1].minutes[-1] == (bar(9, day=5),)
    assert [each[1:] for each in rest.ranges()] == [
        (iso(OPENS[3]), iso(SESSION[3].closes_at - MINUTE)),
        (iso(OPENS[2]), iso(SESSION[2].closes_at - MINUTE)),
        (iso(OPENS[5]), iso(OPENS[5] + 9 * MINUTE)),
    ]
    assert not shop.events.of("history_is_short")


def test_the_question_is_alpacas() -> None:
    """Goal: every parameter of GET /v2/stocks/bars as its documentation has it."""
    rest = Rest(day_of(1))
    Shop(rest).past(OPENS[2] - 60, 1, "SPY", "AAPL")
    path, params = rest.asked[0]
    assert path == "/v2/stocks/bars"
    assert params == {
        "symbols": "AAPL,SPY", "timeframe": "1Min", "start": iso(OPENS[1]),
        "end": iso(SESSION[1].closes_at - MINUTE), "limit": "10000", "adjustment": "split",
        "feed": "iex", "sort": "asc",
    }  # fmt: skip


def test_a_session_just_begun_is_there_without_bars() -> None:
    """Goal: the engine is told of the present session also before its first bar."""
    days = Shop(Rest(day_of(1))).past(OPENS[2] + 30, 1)
    assert days[-1] == PastDay(SESSION[2], [])
    days = Shop(Rest(day_of(1))).past(OPENS[2] + 130, 1)
    assert days[-1] == PastDay(SESSION[2], [(), ()])


def test_only_those_that_lack_candles_are_asked_for_further_back() -> None:
    """Goal: a sparse symbol reaches back further than a busy one (D14 where it never has enough:
    told, not fatal). Method: SPY has five bars a day, NONE has none at all.
    """
    bars = [each for day in (1, 2, 3) for each in (*day_of(day), *day_of(day, "SPY", 80))]
    rest = Rest(bars)
    shop = Shop(rest)
    days = shop.past(OPENS[5] - 60, 8, "AAPL", "NONE", "SPY")
    assert [each[0] for each in rest.ranges()] == ["AAPL,NONE,SPY", "NONE,SPY", "NONE"]
    assert [day.session for day in days] == [SESSION[2], SESSION[3]]
    assert shop.events.of("history_is_short") == [
        {"level": "warning", "symbol": "NONE", "candles": 0, "needed": 8}
    ]


def test_nothing_at_all() -> None:
    """Goal: no bars of anybody: the warning, no error, and null "bars" is an empty answer."""
    shop = Shop(Rest())
    assert shop.past(OPENS[5] - 60, 8) == []
    assert len(shop.events.of("history_is_short")) == 1


def test_sessions_that_are_over_are_asked_for_once() -> None:
    """Goal: a second past() costs the present session only."""
    rest = Rest([*day_of(1), *day_of(2)])
    shop = Shop(rest)
    shop.past(OPENS[2] + 120, 100)
    rest.asked.clear()
    days = shop.past(OPENS[2] + 240, 100)
    assert [each[1] for each in rest.ranges()] == [iso(OPENS[2])]
    assert [len(day.minutes) for day in days] == [390, 4]


def test_pages_are_followed_and_one_that_fails_is_asked_again() -> None:
    """Goal: a page that fails twice costs neither itself nor those before it. Method: pages of 100
    rows, both kinds of failure in the middle.
    """
    rest = Rest([*day_of(1), *day_of(1, "SPY")], page_rows=100)
    shop = Shop(rest)
    real = rest.__call__
    count = 0

    async def get(path: str, params: Mapping[str, str]) -> Any:
        nonlocal count
        count += 1
        if count in (3, 4):
            raise (Unanswered if count == 3 else Unavailable)("503")
        return await real(path, params)

    shop = Shop(get)
    found = shop.bars(OPENS[1], SESSION[1].closes_at - MINUTE, "AAPL", "SPY")
    assert found == {"AAPL": day_of(1), "SPY": day_of(1, "SPY")}
    assert len(shop.events.of("history_retries")) == 2
    assert shop.time.at == 4.0


def test_a_page_that_fails_three_times_is_given_up() -> None:
    """Goal: Unavailable and Unanswered come out as they are."""
    rest = Rest(day_of(1))
    rest.failures = [Unavailable("no route")] * 3
    with pytest.raises(Unavailable, match="no route"):
        Shop(rest).bars(OPENS[1], OPENS[1] + 60)


@pytest.mark.parametrize("answer", [[], None, "text", 7])
def test_an_answer_that_is_no_object(answer: object) -> None:
    """Goal: what is no page counts as no answer."""

    async def get(path: str, params: Mapping[str, str]) -> Any:
        return answer

    with pytest.raises(Unanswered, match="no object"):
        Shop(get).bars(OPENS[1], OPENS[1] + 60)


def test_pages_in_a_circle_end() -> None:
    """Goal: a server that repeats its token is not asked for ever."""

    async def get(path: str, params: Mapping[str, str]) -> Any:
        return {"bars": {}, "next_page_token": "again"}

    with pytest.raises(Unanswered, match="circle"):
        Shop(get).bars(OPENS[1], OPENS[1] + 60)


def test_rows_that_are_no_bars_are_left_out() -> None:
    """Goal: D6 over REST: floats, ints and Decimals are taken exactly, what is wrong is told and
    costs itself alone; rows outside the question and of other symbols are no part of the answer.
    """
    start = OPENS[1]
    wrong: list[Any] = [
        row(bar(1, day=1), o=None), row(bar(1, day=1), h=float("nan")), {}, 7,
        row(bar(1, day=1), t="yesterday"), row(bar(1, day=1), t=5), row(bar(1, day=1), v=-1),
    ]  # fmt: skip

    async def get(path: str, params: Mapping[str, str]) -> Any:
        rows = [*wrong, row(bar(2, day=1), o=100.5, h=100.5, l=100.5, c=100.5, v=100)]
        rows += [row(bar(0, day=1)), row(bar(9, day=1))]
        return {"bars": {"AAPL": rows, "MSFT": rows, "SPY": None}, "next_page_token": None}

    shop = Shop(get)
    found = shop.bars(start, start + 2 * MINUTE, "AAPL", "SPY")
    assert found == {"AAPL": [bar(0, day=1), bar(2, day=1)], "SPY": []}
    assert len(shop.events.of("market_data_refused")) == len(wrong)


def test_the_latest_bar_of_each() -> None:
    """Goal: one row a symbol; a symbol without one is absent."""
    rest = Rest([*day_of(1), bar(0, "SPY", day=1)])
    shop = Shop(rest)
    found = asyncio.run(shop.history.latest(["SPY", "AAPL", "NONE"]))
    assert found == {"AAPL": bar(389, day=1), "SPY": bar(0, "SPY", day=1)}
    assert rest.asked == [("/v2/stocks/bars/latest", {"symbols": "AAPL,NONE,SPY", "feed": "iex"})]
