"""Candles are what a plain resample of the day's bars gives, each at the moment the rules name.

The resample here groups the minutes of the day by division and looks at the last minute of each
group; it knows nothing of how CandleBuilder works bar by bar.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from decimal import Decimal
from random import Random
from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from algo_trader.core.book import Book
from algo_trader.core.candles import INTERVALS_MINUTES, CandleBuilder
from algo_trader.core.types import Bar, Candle, Session
from algo_trader.engine.engine import Engine
from algo_trader.engine.lane import Lane
from algo_trader.indicators import IndicatorSet
from algo_trader.risk.limits import RiskLimits
from algo_trader.strategies import Strategy

OPENS_AT = 1_704_292_200
FULL, HALF = 390, 210
STEP_0, STEP_3 = 0, 3
"""Where in a minute a candle is processed: before its bars or after them."""


class Due(NamedTuple):
    """A candle, and the minute (from the open) and step at which it must be processed."""

    minute: int
    step: int
    candle: Candle


def session(minutes: int) -> Session:
    return Session(date(2024, 1, 3), OPENS_AT, OPENS_AT + 60 * minutes)


def sparse_bars(chance: Random, symbol: str, minutes: int) -> dict[int, Bar]:
    """Bars of some minutes of a session; gaps of all lengths, and minutes of volume 0."""
    bars = {}
    density, minute = chance.choice((0.05, 0.3, 0.6, 0.9, 1.0)), 0
    while minute < minutes:
        if chance.random() < 0.02:
            minute += chance.randint(1, 30)
            continue
        if chance.random() < density:
            prices = sorted(Decimal(chance.randint(1, 99_999)) / 100 for _ in range(4))
            low, one, other, high = prices
            volume = Decimal(chance.choice((0, 1, 100, 12_345)))
            bars[minute] = Bar(symbol, OPENS_AT + 60 * minute, one, high, low, other, volume)
        minute += 1
    return bars


def resample(bars: dict[int, Bar], minutes: int, length: int) -> list[Due]:
    """Every candle of the day with the time it is due, window by window."""
    made = []
    for window in range(minutes // length):
        first, last = window * length, window * length + length - 1
        inside = [bars[m] for m in range(first, last + 1) if m in bars]
        if not inside:
            continue
        candle = Candle(
            inside[0].symbol,
            OPENS_AT + 60 * first,
            OPENS_AT + 60 * (last + 1),
            inside[0].open,
            max(bar.high for bar in inside),
            min(bar.low for bar in inside),
            inside[-1].close,
            sum((bar.volume for bar in inside), Decimal(0)),
            last not in bars,
        )
        if last in bars:
            made.append(Due(last, STEP_3, candle))
            continue
        # Late: by the symbol's next bar, two minutes after its end by the clock, or at the close.
        next_bar = min((m for m in bars if m > last), default=minutes)
        by_bar, by_clock = (next_bar, STEP_3), (last + 3, STEP_0)
        at_close = (minutes - 1, STEP_3)
        made.append(Due(*min(by_bar, by_clock, at_close), candle))
    return made


class Listener(Strategy):
    """Never signals; what it is shown is in its indicators."""

    def __init__(self, symbol: str, length: int) -> None:
        super().__init__(symbol)
        self.candle_interval_minutes = length
        self.seen: list[Candle] = []

    def indicators(self) -> Listener:
        return self

    def update(self, candle: Candle) -> IndicatorSet:
        self.seen.append(candle)
        return IndicatorSet(None, None, None, None, 0)

    def should_long(self, bar: Candle, indicators: IndicatorSet) -> bool:
        return False

    def entry_price(self, bar: Candle) -> Decimal:
        raise AssertionError("nothing was signalled")

    stop_loss_price = entry_price


def hear(
    days: Sequence[dict[str, dict[int, Bar]]],
    minutes: int,
    lengths: dict[str, int],
    *,
    sleeping: bool,
) -> list[list[tuple[int, int, Candle]]]:
    """What the lanes of an engine are shown each day, and when.

    With `sleeping` the clock is told only when the engine says it wakes, as the backtest does.
    """
    listeners = {symbol: Listener(symbol, length) for symbol, length in lengths.items()}
    book = Book()
    lanes = [Lane("x", made, book.holding("x", symbol)) for symbol, made in listeners.items()]
    engine = Engine(book, lanes, RiskLimits())
    heard = []
    for number, day in enumerate(days):
        shift = number * 86_400
        engine.open_session(
            Session(date(2024, 1, 3 + number), OPENS_AT + shift, OPENS_AT + shift + 60 * minutes)
        )
        seen: list[tuple[int, int, Candle]] = []

        def process(minute: int, step: int, seen: list[tuple[int, int, Candle]] = seen) -> None:
            while engine.due:
                symbol = engine.due[0].symbol
                engine.on_candle_due()
                seen.append((minute, step, listeners[symbol].seen[-1]))

        for minute in range(minutes):
            start = OPENS_AT + shift + 60 * minute
            if not sleeping or start >= engine.wakes_at:
                engine.on_clock(start)
                process(minute, STEP_0)
            bars = [day[symbol][minute] for symbol in sorted(day) if minute in day[symbol]]
            engine.on_minute(start, [replace(bar, start=start) for bar in bars])
            process(minute, STEP_3)
        heard.append(seen)
    return heard


def shifted(candle: Candle, days: int) -> Candle:
    return candle._replace(start=candle.start + days * 86_400, end=candle.end + days * 86_400)


lengths_of_candles = st.sampled_from(INTERVALS_MINUTES)
lengths_of_sessions = st.sampled_from((FULL, HALF))


def test_every_interval_divides_every_session() -> None:
    """Goal: no window crosses a close. Method: divide a full session and a half-day."""
    assert INTERVALS_MINUTES == (1, 2, 5, 10)
    assert all(minutes % n == 0 for minutes in (FULL, HALF) for n in INTERVALS_MINUTES)
    with pytest.raises(ValueError, match="candle interval"):
        CandleBuilder("X", 3)


@settings(max_examples=300, deadline=None)
@given(seed=st.integers(0, 2**32), length=lengths_of_candles, minutes=lengths_of_sessions)
def test_the_builder_is_a_resample(seed: int, length: int, minutes: int) -> None:
    """Goal: the same candles as a resample, each as soon as bars alone can tell.

    Method: feed random sparse bars; a window is ready with its last minute, with the next bar, or
    when it is closed at the end of the session.
    """
    bars = sparse_bars(Random(seed), "X", minutes)
    builder = CandleBuilder("X", length)
    builder.open_session(session(minutes))
    got: list[tuple[int, Candle]] = []
    for minute, bar in bars.items():
        is_ready = builder.add(bar)
        assert is_ready == bool(builder.ready)
        got += [(minute, candle) for candle in builder.ready]
        builder.ready.clear()
    was_open = builder.window_end > 0
    assert builder.close_window() == was_open
    got += [(minutes, candle) for candle in builder.ready]
    assert builder.window_end == 0
    wanted = resample(bars, minutes, length)
    assert [candle for _, candle in got] == [due.candle for due in wanted]
    for (minute, candle), due in zip(got, wanted, strict=True):
        last = (candle.end - OPENS_AT) // 60 - 1
        later = min((m for m in bars if m > last), default=minutes)
        assert minute == (later if due.candle.late else last)
    if length == 1:
        assert not any(candle.late for _, candle in got)


@settings(max_examples=150, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    length=lengths_of_candles,
    minutes=lengths_of_sessions,
    sleeping=st.booleans(),
)
def test_the_engine_processes_each_candle_when_it_is_due(
    seed: int, length: int, minutes: int, sleeping: bool
) -> None:
    """Goal: a late window is closed by the next bar, before step 1 of its end + 2 minutes, or at
    the session's close, whichever is first; every other candle with its last minute.

    Method: two random days of one symbol through the engine's inputs; compare minute and step.
    """
    chance = Random(seed)
    days = [sparse_bars(chance, "X", minutes) for _ in range(2)]
    heard = hear([{"X": day} for day in days], minutes, {"X": length}, sleeping=sleeping)
    for number, (day, seen) in enumerate(zip(days, heard, strict=True)):
        wanted = [
            (due.minute, due.step, shifted(due.candle, number))
            for due in resample(day, minutes, length)
        ]
        assert seen == wanted


@settings(max_examples=150, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    lengths=st.tuples(lengths_of_candles, lengths_of_candles, lengths_of_candles),
    sleeping=st.booleans(),
)
def test_symbols_take_their_turn(seed: int, lengths: tuple[int, int, int], sleeping: bool) -> None:
    """Goal: in one minute candles come by symbol in code-point order, a late one before the
    candle of the bar that closed it.

    Method: three symbols with sparse bars of their own; sort the resamples by (minute, step,
    symbol), stable within a symbol.
    """
    chance = Random(seed)
    names = ("B", "A.B", "AB")
    day = {symbol: sparse_bars(chance, symbol, HALF) for symbol in names}
    by_name = dict(zip(names, lengths, strict=True))
    (seen,) = hear([day], HALF, by_name, sleeping=sleeping)
    wanted = [
        due for symbol in sorted(names) for due in resample(day[symbol], HALF, by_name[symbol])
    ]
    wanted.sort(key=lambda due: (due.minute, due.step, due.candle.symbol))
    assert seen == [tuple(due) for due in wanted]


@settings(max_examples=150, deadline=None)
@given(seed=st.integers(0, 2**32), length=lengths_of_candles)
def test_warming_up_gives_the_same_candles(seed: int, length: int) -> None:
    """Goal: a past session warms the averages with the candles it would have had live.

    Method: the same sparse day through warm_up, without any fact.
    """
    bars = sparse_bars(Random(seed), "X", FULL)
    listener = Listener("X", length)
    book = Book()
    engine = Engine(book, [Lane("x", listener, book.holding("x", "X"))], RiskLimits())
    minutes = [(bars[m],) if m in bars else () for m in range(FULL)]
    engine.warm_up(session(FULL), minutes)
    assert listener.seen == [due.candle for due in resample(bars, FULL, length)]
    assert not engine.due
    assert book.day.date is None


@pytest.mark.parametrize(
    ("minutes", "late", "note"),
    [
        ((0, 1), False, "whole"),
        ((1,), False, "only a missing last minute makes a candle late"),
        ((0,), True, "last minute missing"),
    ],
)
def test_only_the_last_minute_counts(minutes: tuple[int, ...], late: bool, note: str) -> None:
    """Goal: a window is judged by its last minute only. Method: the three two-minute windows."""
    builder = CandleBuilder("X", 2)
    builder.open_session(session(HALF))
    one = Decimal(1)
    for minute in minutes:
        builder.add(Bar("X", OPENS_AT + 60 * minute, one, one, one, one, one))
    builder.close_window()
    (candle,) = builder.ready
    assert candle.late is late, note
    assert candle.volume == len(minutes)
    assert (candle.start, candle.end) == (OPENS_AT, OPENS_AT + 120)
