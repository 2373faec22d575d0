"""Every decision of the worked cases in velez_cases.json, through engine, desk and venue.

The cases were written by hand beside the strategy's rules, not by this program. Each row is one
candle whose averages are given; one candle is one execution bar and slippage is 0. The bar is put
on the last minute of the candle's window, so that the candle is complete when it arrives, except
for a row marked late, whose bar is put on the first minute.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from algo_trader.backtest.runner import Runner
from algo_trader.core.book import Book
from algo_trader.core.types import MINUTE, Bar, Candle, Session, text, utc
from algo_trader.engine.decisions import DecisionLine, as_json
from algo_trader.engine.engine import Engine
from algo_trader.engine.lane import Lane
from algo_trader.feeds.tape import TapeDay
from algo_trader.indicators import IndicatorSet
from algo_trader.risk.limits import RiskLimits
from algo_trader.strategies import Velez, VelezParams
from algo_trader.venue.costs import Costs
from algo_trader.venue.venue import Venue

NEW_YORK = ZoneInfo("America/New_York")
DAY = date(2024, 1, 3)
CASES = json.loads((Path(__file__).parent / "velez_cases.json").read_text())
NOT_OURS = {
    "stop_kept_when_candidate_is_not_better": "needs the HOLD reading of an ambiguous bar",
    "variant_expiry_candle_evaluated": "pins the other choice of C7",
}
TRAIL_FIELDS = ("trail", "pullback", "continuations", "run")


def instant(clock: str) -> int:
    """The instant of a New York wall time on the cases' day."""
    hour, minute = map(int, clock.split(":"))
    return int(datetime(DAY.year, DAY.month, DAY.day, hour, minute, tzinfo=NEW_YORK).timestamp())


SESSION = Session(DAY, instant("09:30"), instant("16:00"))


class ScriptedAverages:
    """Hands out the averages of the case, whatever the candle."""

    def __init__(self, prev: list[str | None], rows: list[dict[str, Any]]) -> None:
        pairs = [prev, *([row["sma_fast"], row["sma_slow"]] for row in rows)]
        self._pairs = [tuple(map(_decimal, pair)) for pair in pairs]
        self._next = 1

    def update(self, candle: Candle) -> IndicatorSet:
        """The averages after this row, with those of the row before."""
        last = len(self._pairs) - 1  # The bar after the case sees the last averages again.
        fast, slow = self._pairs[min(self._next, last)]
        prev_fast, prev_slow = self._pairs[min(self._next - 1, last)]
        self._next += 1
        return IndicatorSet(fast, slow, prev_fast, prev_slow, 1000)


class ScriptedVelez(Velez):
    """Velez on given averages, remembering its trailing machine after every candle."""

    def __init__(self, params: VelezParams, averages: ScriptedAverages) -> None:
        super().__init__("CASE", **asdict(params))
        self._averages = averages

    def indicators(self) -> ScriptedAverages:
        """The case's averages."""
        return self._averages


def _decimal(value: str | None) -> Decimal | None:
    return None if value is None else Decimal(value)


def run_case(case: dict[str, Any]) -> list[dict[str, Any]]:
    """The decision lines of a case, each with the trailing machine after the candle."""
    config = {**CASES["defaults"], **case.get("config", {})}
    config = {k: Decimal(v) if isinstance(v, str) else v for k, v in config.items()}
    params = VelezParams(**config, allow_short=case.get("side") == "SHORT")
    rows = case["candles"]
    strategy = ScriptedVelez(params, ScriptedAverages(case["prev_sma"], rows))
    lines: list[dict[str, Any]] = []

    def keep(line: DecisionLine) -> None:
        held = bool(line.holding.qty)
        machine = {
            "trail": strategy.trail if held else None,
            "pullback": strategy.pullback if held else None,
            "continuations": strategy.continuations,
            "run": strategy.run,
        }
        lines.append({**as_json(line), **machine})

    book = Book()
    limits = RiskLimits(consecutive_loss_pause=10, max_position_pct=Decimal("0.25"))
    lane = Lane("velez", strategy, book.holding("velez", "CASE"))
    engine = Engine(book, [lane], limits, keep)
    venue = Venue(Decimal(1_000_000), Costs(slippage_per_share=Decimal(0)))
    minutes: list[tuple[Bar, ...]] = [()] * SESSION.minutes
    for row in rows:
        last = 0 if row.get("late") else params.candle_interval_minutes - 1
        start = instant(row["t"]) + last * MINUTE
        opened, high, low, close = (Decimal(row[key]) for key in "ohlc")
        bar = Bar("CASE", start, opened, high, low, close, Decimal(1000))
        minutes[(start - SESSION.opens_at) // MINUTE] = (bar,)
    # A bar well after the case keeps the clock running, so that a late candle is closed by it.
    Runner(engine, venue).run("CASE", [], [TapeDay(SESSION, minutes), _day_after()])
    return lines[: len(rows)]


def _day_after() -> TapeDay:
    """A later session whose single bar ends the run, far from any order."""
    opens_at = SESSION.opens_at + 24 * 3600
    later = Session(date(2024, 1, 4), opens_at, opens_at + 390 * MINUTE)
    one = Decimal(1)
    still = Bar("CASE", opens_at, one, one, one, one, Decimal(0))
    return TapeDay(later, [(still,), *[()] * 389])


def clock(iso_text: str) -> str:
    """New York wall time of an ISO instant, as the cases write it."""
    return datetime.fromisoformat(iso_text).astimezone(NEW_YORK).strftime("%H:%M")


EVENT_NAMES = {"EXIT_END_OF_DAY": "FLATTENED_EOD"}


def plain(event: dict[str, Any]) -> dict[str, Any]:
    """An event with the names, numbers and times of the cases."""
    shown = {**event, "type": EVENT_NAMES.get(event["type"], event["type"])}
    if "expires" in shown:
        shown["expires"] = clock(shown["expires"])
    return shown


def number(value: Any) -> Any:
    """Numbers compare as numbers: 100.40 is 100.4."""
    try:
        return Decimal(value) if isinstance(value, str) else value
    except ArithmeticError:
        return value


ALL = [*CASES["cases"], *CASES["single_candle_signal_checks"]]


@pytest.mark.parametrize("case", ALL, ids=lambda case: case["name"])
def test_case_decides_as_written(case: dict[str, Any]) -> None:
    """Goal: every expectation of every row holds. Method: run the case, compare row by row."""
    if case["name"] in NOT_OURS:
        pytest.skip(NOT_OURS[case["name"]])
    lines = run_case(case)
    assert len(lines) == len(case["candles"])
    for row, line in zip(case["candles"], lines, strict=True):
        expected = row["expect"]
        at = f"{case['name']} {row['t']}"
        for key in ("class", "strong", "signal", "state"):
            assert line[key] == expected[key], f"{at}: {key}"
        for key in ("stop", "entry_stop"):
            assert number(line[key]) == number(expected[key]), f"{at}: {key}"
        for key in TRAIL_FIELDS:
            assert number(line[key]) == number(expected[key]), f"{at}: {key}"
        assert len(line["events"]) == len(expected["events"]), f"{at}: {line['events']}"
        for event, wanted in zip(line["events"], expected["events"], strict=True):
            shown = plain(event)
            for key in wanted.keys() - {"same_bar"}:
                assert number(shown[key]) == number(wanted[key]), f"{at}: {event}"


def test_case_day_is_a_full_session() -> None:
    """Goal: the cases' wall times and ours agree. Method: the open is 14:30 UTC in January."""
    assert utc(SESSION.opens_at).isoformat() == "2024-01-03T14:30:00+00:00"
    assert text(Decimal(SESSION.minutes)) == "390"
