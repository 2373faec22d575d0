"""The report page: complete, escaped, well-formed, of bounded size, the same bytes every time.

Method: results are built by hand, the page is read back with an XML and an HTML parser, and what
it says is compared with figures worked out on paper.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal, FloatOperation, localcontext
from html.parser import HTMLParser
from typing import Any
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

import pytest

from algo_trader.backtest.equity import EquityCurve
from algo_trader.backtest.metrics import Metrics, measure
from algo_trader.backtest.report import html_report
from algo_trader.backtest.report_chart import COLUMNS_MAX, Mark, bar_chart, line_chart, scale_of
from algo_trader.backtest.result import BacktestResult
from algo_trader.core.pnl import Trade, round_trip
from algo_trader.core.types import DecisionId, ExitReason, Session, Side

XHTML = "{http://www.w3.org/1999/xhtml}"
SVG = "{http://www.w3.org/2000/svg}"
CAPITAL = Decimal(25000)
FIRST = date(2024, 1, 2)
PARAMS: dict[str, Any] = {
    "velez": {"enabled": True, "sma_fast": 20, "stop_buffer_min": "0.02"},
    "risk": {"max_open_positions": 5},
    "note": None,
}


def session(number: int) -> Session:
    day = FIRST + timedelta(days=number)
    opens_at = int(datetime(day.year, day.month, day.day, 14, 30, tzinfo=UTC).timestamp())
    return Session(day, opens_at, opens_at + 390 * 60)


def trade(number: int, pnl: str, commission: str = "0", symbol: str = "AAPL") -> Trade:
    """A trade of 10 shares bought at 100 in session `number`, held for 25 minutes."""
    entry_at = session(number).opens_at
    return round_trip(
        decision=DecisionId(f"backtest-velez-{symbol}-{number}"),
        strategy="velez",
        symbol=symbol,
        side=Side.LONG,
        qty=Decimal(10),
        entry_value=Decimal(1000),
        exit_value=Decimal(1000) + Decimal(pnl) + Decimal(commission),
        commission=Decimal(commission),
        entry_at=entry_at,
        exit_at=entry_at + 25 * 60,
        reason=ExitReason.STOP_LOSS if Decimal(pnl) < 0 else ExitReason.MAX_RUN,
    )


def finished(
    pnls: Sequence[str] = (), sessions: int = 1, strategy: str = "velez", **other: Any
) -> BacktestResult:
    """A run with one trade a session, in the first sessions."""
    curve = EquityCurve(CAPITAL)
    trades = [trade(number, pnl) for number, pnl in enumerate(pnls)]
    for number in range(sessions):
        cash = CAPITAL + sum((each.pnl for each in trades[: number + 1]), Decimal(0))
        curve.mark_flat(cash)
        curve.close_session(session(number), cash)
    result = BacktestResult(
        strategy=strategy,
        symbols=["AAPL"],
        first=FIRST,
        last=session(max(sessions, 1) - 1).date,
        interval_minutes=2,
        capital=CAPITAL,
        params=PARAMS,
        bars=390 * sessions,
        candles=195 * sessions,
        bars_dropped=0,
        signals_taken=3,
        signals_refused={},
        elapsed_s=0.125,
        metrics=measure(trades, curve),
        trades=trades,
        curve=curve,
    )
    return replace(result, **other)


def page(result: BacktestResult) -> Element:
    """The page as an XML tree; raises where it is not well-formed."""
    whole = html_report(result)
    doctype, rest = whole.split("\n", 1)
    assert doctype == "<!DOCTYPE html>"
    return ElementTree.fromstring(rest)


def said(element: Element | None) -> str:
    assert element is not None
    return "".join(element.itertext())


def headings(tree: Element) -> list[str]:
    return [said(each) for each in tree.iter(f"{XHTML}h2")]


def figures(tree: Element) -> dict[str, str]:
    """What the page shows for each metric."""
    return {
        name: said(each.find(f"{XHTML}dd"))
        for each in tree.iter(f"{XHTML}div")
        if (name := each.get("data-metric"))
    }


def rows(tree: Element) -> list[list[str]]:
    table = tree.find(f".//{XHTML}tbody")
    return [] if table is None else [[said(cell) for cell in row] for row in table]


RUNS = {
    "no trade, one session": finished(),
    "no session": finished(sessions=0),
    "one trade, one session": finished(["5"]),
    "three trades": finished(["10.005", "-4", "0"], sessions=5),
    "only losses": finished(["-1", "-2"], sessions=2),
    "only trades of nothing": finished(["0", "0"], sessions=2),
    "ruin": finished(["-24000", "-2000"], sessions=2),
    "a cent": finished(["0.01"], sessions=1),
}


@pytest.mark.parametrize("result", RUNS.values(), ids=RUNS.keys())
def test_every_page_is_well_formed_and_needs_nothing_else(result: BacktestResult) -> None:
    """Goal: one file, readable offline. Method: parse as XML and as HTML; no way to load more."""
    whole = html_report(result)
    tree = page(result)
    assert [each.tag for each in tree] == [f"{XHTML}head", f"{XHTML}body"]
    assert all(svg.get("aria-label") for svg in tree.iter(f"{SVG}svg"))
    names: list[str] = []
    attributes: list[str] = []

    class Reader(HTMLParser):
        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            names.append(tag)
            attributes.extend(name for name, _ in attrs)

    reader = Reader()
    reader.feed(whole)
    reader.close()
    assert not {"script", "link", "img", "iframe", "object", "a"} & set(names)
    assert not {"src", "href", "srcset"} & set(attributes)
    assert not re.search(r"@import|url\(|\bNaN\b|\bnan\b|\binf\b|Infinity|None", whole)
    assert "prefers-color-scheme: dark" in whole
    assert "tabular-nums" in whole


def test_figures_are_all_there_with_their_values() -> None:
    """Goal: every metric, rounded for reading, with a definition. Worked out on paper."""
    tree = page(RUNS["three trades"])
    shown = figures(tree)
    assert tuple(sorted(shown)) == tuple(sorted(Metrics._fields))
    assert shown == {
        "total_return": "+0.02 %",
        "total_pnl": "+6.00",  # 6.005 to the even cent
        "final_equity": "25,006.00",
        "sharpe_ratio": "3.66",  # returns of 4.002, -1.59936, 0, 0, 0 in 10,000
        "sortino_ratio": "10.66",
        "max_drawdown": "4.00",
        "max_drawdown_pct": "0.02 %",
        "exposure_pct": "0.00 %",
        "total_trades": "3",
        "winning_trades": "1",
        "losing_trades": "1",
        "win_rate": "33.33 %",
        "profit_factor": "2.50",
        "avg_win": "+10.00",
        "avg_loss": "\u22124.00",
        "best_trade": "+10.00",
        "worst_trade": "\u22124.00",
        "avg_duration_s": "25 min",
    }
    for each in tree.iter(f"{XHTML}div"):
        if each.get("data-metric"):
            assert len(said(each.findall(f"{XHTML}dd")[1])) > 10


def test_undefined_figures_are_dashes() -> None:
    """Goal: what has no value for want of trades or sessions is a dash, never 0."""
    shown = figures(page(finished()))
    assert sorted(name for name, value in shown.items() if value == "\u2013") == [
        "avg_duration_s",
        "avg_loss",
        "avg_win",
        "best_trade",
        "profit_factor",
        "sharpe_ratio",
        "sortino_ratio",
        "win_rate",
        "worst_trade",
    ]


DURATIONS = [
    (45, "45 s"),
    (1800, "30 min"),
    (1770, "29 min 30 s"),
    (59.7, "1 min"),
    (3900, "1 h 05 min"),
    (100_000, "1 d 03 h"),
]


@pytest.mark.parametrize(("seconds", "shown"), DURATIONS)
def test_lengths_of_time_are_said_in_two_units(seconds: float, shown: str) -> None:
    """Goal: a mean that is not whole, and one of days, are still short."""
    result = finished(["5"])
    result = replace(result, metrics=result.metrics._replace(avg_duration_s=seconds))
    assert figures(page(result))["avg_duration_s"] == shown


def test_what_rounding_hides_is_in_the_title() -> None:
    """Goal: exact values are kept, and only where something was hidden."""
    titles = [each.get("title") for each in page(RUNS["three trades"]).iter() if each.get("title")]
    assert "6.005" in titles
    assert "25006.005" in titles
    assert "0.02402 %" in titles
    assert "101.0005" in titles  # exit price of the first trade
    assert "-4" not in titles


def test_trades_are_aligned_rows_with_signs() -> None:
    """Goal: all trades, UTC times, a sign that needs no colour, and their sum."""
    tree = page(RUNS["three trades"])
    assert [row[:5] for row in rows(tree)] == [
        ["1", "AAPL", "long", "2024-01-02 14:30", "2024-01-02 14:55"],
        ["2", "AAPL", "long", "2024-01-03 14:30", "2024-01-03 14:55"],
        ["3", "AAPL", "long", "2024-01-04 14:30", "2024-01-04 14:55"],
    ]
    assert [row[5:] for row in rows(tree)] == [
        ["25 min", "10", "100.00", "101.00", "0.00", "+10.00", "+1.00 %", "max run"],
        ["25 min", "10", "100.00", "99.60", "0.00", "\u22124.00", "\u22120.40 %", "stop loss"],
        ["25 min", "10", "100.00", "100.00", "0.00", "0.00", "0.00 %", "max run"],
    ]
    total = tree.findall(f".//{XHTML}tbody")[1]
    assert said(total) == "Total0.00+6.00"


def test_headline_and_settings_say_what_was_run() -> None:
    """Goal: strategy, symbols, period, capital, and every effective setting with its value."""
    tree = page(RUNS["three trades"])
    head = said(tree.find(f".//{XHTML}header"))
    for words in ("velez", "AAPL", "2024-01-02 to 2024-01-06 (5 sessions)", "25,000.00 USD"):
        assert words in head
    boxes = tree.findall(f".//{XHTML}div[@class='settings']/{XHTML}div")
    settings = {
        (said(box.find(f"{XHTML}h3")), said(pair[0])): said(pair[1])
        for box in boxes
        for pair in box.findall(f"{XHTML}dl/{XHTML}div")
    }
    assert settings == {
        ("run", "strategy"): "velez",
        ("run", "symbols"): "AAPL",
        ("run", "from"): "2024-01-02",
        ("run", "to"): "2024-01-06",
        ("run", "interval_minutes"): "2",
        ("run", "initial_capital"): "25000",
        ("run", "bars"): "1950",
        ("run", "candles"): "975",
        ("velez", "enabled"): "true",
        ("velez", "sma_fast"): "20",
        ("velez", "stop_buffer_min"): "0.02",
        ("risk", "max_open_positions"): "5",
        ("note", "note"): "null",
    }


def test_a_run_without_trades_says_so() -> None:
    """Goal: no empty table, no empty picture; the equity is a level line."""
    tree = page(finished())
    assert headings(tree) == ["Equity", "Figures", "Trades", "Settings"]
    assert len(list(tree.iter(f"{SVG}svg"))) == 1
    assert tree.find(f".//{XHTML}table") is None
    assert "No trade was made in this period." in said(tree)
    assert "2024-01-02 (1 session)" in said(tree.find(f".//{XHTML}header"))


HOSTILE = [
    "<script>alert(1)</script>.py:A",
    "a&b \"c\" 'd' {style} %s.py:A",
    "</title></style>]]><!--.py:A",
    "stra\u00dfe \u6226\u7565.py:\u00c4",
]


@pytest.mark.parametrize("strategy", HOSTILE)
def test_any_text_is_shown_as_it_is(strategy: str) -> None:
    """Goal: a reference or a setting is text and nothing else, wherever it stands."""
    params = {strategy: {strategy: strategy, "list": [strategy]}}
    tree = page(finished(["5"], strategy=strategy, params=params))
    assert said(tree.find(f".//{XHTML}h1")) == strategy
    assert said(tree.find(f".//{XHTML}title")).startswith(strategy)
    assert said(tree.findall(f".//{XHTML}h3")[1]) == strategy
    assert not list(tree.iter(f"{XHTML}script"))


def test_what_cannot_be_printed_is_written_out() -> None:
    """Goal: control characters, direction marks and undecodable bytes do no harm."""
    result = finished(strategy="a\x00\x1b\n\u202e\udcff.py:A")
    html_report(result).encode("utf-8")
    assert said(page(result).find(f".//{XHTML}h1")) == r"a\x00\x1b\n\u202e\udcff.py:A"


def test_many_trades_and_sessions_stay_light() -> None:
    """Goal: pictures of bounded size; the table and the sums still hold every trade."""
    count = 5000
    result = finished([str(number % 7 - 3) for number in range(count)], sessions=count)
    whole = html_report(result)
    pictures = re.findall(r"<svg.*?</svg>", whole, re.DOTALL)
    assert len(pictures) == 2
    for picture in pictures:
        tree = ElementTree.fromstring(picture)
        assert len(tree.findall(f"{SVG}rect")) <= 2 * COLUMNS_MAX
        assert len(picture) < 100_000
    assert len(rows(page(result))) == count
    assert "Each bar is the sum of 17 trades." in whole
    # Of 5,000 trades the first 17 are -3 -2 -1 0 1 2 3 twice, then -3 -2 -1.
    assert "#1 to #17, 2024-01-02 14:55 to 2024-01-18 14:55 UTC: \u22126.00" in whole


def test_many_symbols_are_listed_once() -> None:
    """Goal: the headline stays short; the settings hold them all."""
    symbols = [f"S{number}" for number in range(500)]
    tree = page(finished(symbols=symbols))
    assert "S0 S1 S2 S3 S4 S5 S6 S7 S8 S9 S10 S11 and 488 more" in said(
        tree.find(f".//{XHTML}header")
    )
    assert " ".join(symbols) in said(tree.find(f".//{XHTML}div[@class='settings']"))


def test_equal_runs_give_equal_bytes() -> None:
    """Goal: neither the clock nor the speed of the machine shows; no float touches a Decimal."""
    pnls = ["10.005", "-4", "0"]
    with localcontext() as context:
        context.traps[FloatOperation] = True
        once = html_report(finished(pnls, sessions=5))
    assert once == html_report(finished(pnls, sessions=5, elapsed_s=9.75))


SCALES = [
    (["24973", "25013"], ["24,970", "24,980", "24,990", "25,000", "25,010", "25,020"]),
    (["25000", "25000"], ["24,600", "24,800", "25,000", "25,200", "25,400"]),
    (["0", "0"], ["\u22121.00", "\u22120.50", "0.00", "0.50", "1.00"]),
    (["0", "0.001"], ["0.00", "0.01"]),
    (["-5.82", "10.14"], ["\u221210", "\u22125", "0", "5", "10", "15"]),
]


@pytest.mark.parametrize(("values", "words"), SCALES)
def test_scales_stand_on_round_numbers(values: list[str], words: list[str]) -> None:
    """Goal: ticks around all values, 1, 2 or 5 times a power of ten apart, a cent at least."""
    assert scale_of([Decimal(each) for each in values], 100).words() == words


def drawn(picture: str, kind: str) -> list[Element]:
    """The shapes of a class."""
    tree = ElementTree.fromstring(re.findall(r"<svg.*?</svg>", picture, re.DOTALL)[0])
    return [each for each in tree if each.get("class") == kind]


def marks(*values: str) -> list[Mark]:
    return [Mark(Decimal(value), value, value) for value in values]


def test_drawdown_is_shaded_up_to_the_highest_so_far() -> None:
    """Goal: level from the peak until the line crosses it. Ticks are 90 to 130, 240 pixels."""
    picture = line_chart(marks("110", "120", "90", "130"), "equity")
    assert drawn(picture, "line")[0].get("d") == "M0.0 120.0L333.3 60.0L666.7 240.0L1000.0 0.0"
    assert drawn(picture, "fall")[0].get("d") == (
        "M0.0 120.0L0.0 120.0L333.3 60.0L666.7 60.0L916.7 60.0L1000.0 0.0"
        "L1000.0 0.0L666.7 240.0L333.3 60.0L0.0 120.0Z"
    )
    assert [said(each) for each in drawn(picture, "hit")] == ["110", "120", "90", "130"]


def test_a_crowded_line_keeps_its_extremes() -> None:
    """Goal: of values that share a column, the deepest and the highest are still drawn."""
    values = ["100"] * 3000
    values[1234], values[2345] = "50", "150"
    line = drawn(line_chart(marks(*values), "equity"), "line")[0].get("d") or ""
    heights = [float(point.split()[1]) for point in line[1:].split("L")]
    assert (min(heights), max(heights), heights.count(0.0), heights.count(240.0)) == (0, 240, 1, 1)


def test_bars_stand_on_zero() -> None:
    """Goal: up for a gain, down for a loss, visible at nothing. Ticks are -10 to 20, 180 pixels."""
    picture = bar_chart(marks("20", "-10", "0"), "profits")
    (up,), (down,), (flat,) = (drawn(picture, kind) for kind in ("up", "down", "flat"))
    assert (up.get("y"), up.get("height")) == ("0.0", "120.0")
    assert (down.get("y"), down.get("height")) == ("120.0", "60.0")
    assert (flat.get("y"), flat.get("height")) == ("120.0", "1.0")
