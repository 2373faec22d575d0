"""Past bars through the genuine StockHistoricalDataClient."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from alpaca.common.exceptions import APIError
from alpaca.data.enums import Adjustment, DataFeed
from alpaca.data.requests import StockBarsRequest, StockLatestBarRequest
from alpaca.data.timeframe import TimeFrame, TimeFrameUnit
from sdk import history
from serving import FIRST_OPEN, Serving, day, serving

PAST = {"AA": ["10", "10.5", "11"], "BB": ["50", "51", "49", "52"]}
START = datetime(2024, 1, 1, tzinfo=UTC)


@pytest.fixture
def exchange() -> Iterator[Serving]:
    """A day before, and two minutes of the day that trades."""
    bars = day(PAST) + day({"AA": ["12", "13", "14"]}, 1)
    with serving(bars, first=date(2024, 1, 3)) as running:
        running.step_to(FIRST_OPEN + 86_400 + 120)
        yield running


def bars(exchange: Serving, symbols: Any, **words: Any) -> dict[str, Any]:
    """Minute bars since START, by symbol."""
    words = {"timeframe": TimeFrame.Minute, "start": START} | words
    found = history(exchange).get_stock_bars(StockBarsRequest(symbol_or_symbols=symbols, **words))
    data: dict[str, Any] = found.data
    return data


def test_everything_published_so_far_and_nothing_more(exchange: Serving) -> None:
    """Goal: the days before and the minutes that are over are there, exact; the future is not.
    Method: ask for all of two symbols and compare closes and starts.
    """
    found = bars(exchange, ["AA", "BB"])
    assert [bar.close for bar in found["AA"]] == [10, 10.5, 11, 12, 13]
    assert [bar.close for bar in found["BB"]] == [50, 51, 49, 52]
    assert found["AA"][0].timestamp == datetime.fromtimestamp(FIRST_OPEN, UTC)
    assert found["AA"][0].volume == 1000


def test_pages_are_put_together(exchange: Serving) -> None:
    """Goal: following next_page_token gives every bar once, sorted by symbol, then time, also
    newest first, and the number asked for is a cap across symbols.
    Method: raw pages of two against one page of all; then the SDK's own limit.
    """
    client = history(exchange, raw=True)
    for sort in ("asc", "desc"):
        words = {
            "symbols": "BB,AA", "timeframe": "1Min", "start": "2024-01-01", "sort": sort,
        }  # fmt: skip
        whole = client.get("/stocks/bars", words)
        assert whole["next_page_token"] is None
        rows: list[tuple[str, str]] = []
        token, pages = "", 0
        while True:
            more = {"page_token": token} if token else {}
            page = client.get("/stocks/bars", {**words, "limit": 2, **more})
            rows += [(symbol, row["t"]) for symbol in page["bars"] for row in page["bars"][symbol]]
            pages += 1
            token = page["next_page_token"]
            if not token:
                break
        expected = [(symbol, row["t"]) for symbol in whole["bars"] for row in whole["bars"][symbol]]
        assert rows == expected
        assert (len(rows), pages) == (9, 5)
        assert [symbol for symbol, _ in rows] == ["AA"] * 5 + ["BB"] * 4
    assert sum(map(len, bars(exchange, ["AA", "BB"], limit=6).values())) == 6


def test_start_and_end_are_inclusive(exchange: Serving) -> None:
    """Goal: a bar that starts at either end is in.
    Method: ask for exactly the second and third bar's starts.
    """
    second = datetime.fromtimestamp(FIRST_OPEN + 60, UTC)
    found = bars(exchange, "BB", start=second, end=second + timedelta(minutes=1))
    assert [bar.close for bar in found["BB"]] == [51, 49]


def test_days_and_longer_minutes_are_made_of_minutes(exchange: Serving) -> None:
    """Goal: day bars begin at New York's midnight; both kinds add up.
    Method: compare open, high, low, close and volume of merged bars.
    """
    found = bars(exchange, "BB", timeframe=TimeFrame.Day)["BB"]
    assert [(bar.open, bar.high, bar.low, bar.close, bar.volume) for bar in found] == [
        (50, 52, 49, 52, 4000)
    ]
    assert found[0].timestamp == datetime(2024, 1, 2, 5, tzinfo=UTC)
    two = bars(exchange, "BB", timeframe=TimeFrame(2, TimeFrameUnit.Minute))["BB"]
    assert [(bar.open, bar.close) for bar in two] == [(50, 51), (51, 52)]


def test_nothing_is_an_empty_object(exchange: Serving) -> None:
    """Goal: a symbol or time without bars is `{}`, which the SDK takes; never null.
    Method: ask for a symbol that does not trade, and for a time before all bars.
    """
    assert bars(exchange, "ZZ") == {}
    assert bars(exchange, "AA", end=START + timedelta(hours=1)) == {}


def test_adjustment_and_feed_are_taken(exchange: Serving) -> None:
    """Goal: the words the SDK sends for adjustment and feed are understood.
    Method: ask split-adjusted from IEX and SIP.
    """
    for feed in (DataFeed.IEX, DataFeed.SIP):
        found = bars(exchange, "AA", adjustment=Adjustment.SPLIT, feed=feed)
        assert len(found["AA"]) == 5


def test_recent_sip_needs_a_subscription() -> None:
    """Goal: on the free plan SIP bars of the last 15 minutes are 403 by name, and left out if no
    end is given; IEX is not concerned.
    Method: an exchange on the free plan, asked in all three ways.
    """
    with serving(day({"AA": ["10"] * 30}), has_recent_sip=False) as exchange:
        exchange.step_to(FIRST_OPEN + 20 * 60)
        now = datetime.fromtimestamp(exchange.now, UTC)
        with pytest.raises(APIError) as refused:
            bars(exchange, "AA", end=now, feed=DataFeed.SIP)
        assert refused.value.status_code == 403
        assert "recent SIP data" in refused.value.message
        assert len(bars(exchange, "AA", feed=DataFeed.SIP)["AA"]) == 6
        assert len(bars(exchange, "AA", feed=DataFeed.IEX)["AA"]) == 20


def test_latest_bars(exchange: Serving) -> None:
    """Goal: the newest published bar of each symbol, and none of an unknown one.
    Method: ask for three symbols, of which one does not trade.
    """
    request = StockLatestBarRequest(symbol_or_symbols=["AA", "BB", "ZZ"])
    found = history(exchange).get_stock_latest_bar(request)
    assert {symbol: bar.close for symbol, bar in found.items()} == {"AA": 13, "BB": 52}


@pytest.mark.parametrize(
    "words",
    [
        {"timeframe": "7Fortnights"},
        {"limit": "10001"},
        {"limit": "0"},
        {"adjustment": "wishful"},
        {"symbols": ""},
        {"page_token": "!"},
        {"start": "2024-01-03", "end": "2024-01-01"},
    ],
)
def test_wrong_words_are_bad_requests(exchange: Serving, words: dict[str, str]) -> None:
    """Goal: parameters without sense are answered with 400 and a message.
    Method: one wrong word in a request that is right otherwise.
    """
    query = {"symbols": "AA", "timeframe": "1Min", "start": "2024-01-01", **words}
    with pytest.raises(APIError) as refused:
        history(exchange).get("/stocks/bars", query)
    assert refused.value.status_code == 400
