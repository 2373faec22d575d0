"""What the market corrects: averages follow from the next candle on, and nothing else does.

Method: one symbol on lanes of every interval; its bars come in their turn, late, or not at all, and
are corrected afterwards. At every candle the averages are compared with exact means over a plain
resample of the bars as they were told by then; it knows nothing of rings, windows or amendments.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from decimal import Decimal
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from algo_trader.core import events as ev
from algo_trader.core.book import Book
from algo_trader.core.candles import INTERVALS_MINUTES
from algo_trader.core.inputs import Correction, History, PastDay
from algo_trader.core.types import Bar, Candle, Session
from algo_trader.engine.engine import Engine
from algo_trader.engine.intake import Intake
from algo_trader.engine.lane import Lane
from algo_trader.indicators import IndicatorSet, SmaPair
from algo_trader.risk.limits import RiskLimits
from algo_trader.strategies import Strategy

OPENS_AT = 1_704_292_200
SESSION = Session(date(2024, 1, 3), OPENS_AT, OPENS_AT + 60 * 390)
CASH = Decimal(25_000)
FAST, SLOW = 2, 5
REMEMBERED_MINUTES = 30


class Shown(Strategy):
    """Never signals; notes what it is shown."""

    sma_fast, sma_slow = FAST, SLOW

    def __init__(self, symbol: str, length: int) -> None:
        super().__init__(symbol)
        self.candle_interval_minutes = length
        self.shown: list[tuple[Candle, IndicatorSet]] = []

    def signal(self, candle: Candle, indicators: IndicatorSet) -> str:
        self.shown.append((candle, indicators))
        return "NOTHING"

    def should_long(self, bar: Candle, indicators: IndicatorSet) -> bool:
        raise AssertionError("signal is overridden")

    def entry_price(self, bar: Candle) -> Decimal:
        raise AssertionError("signal is overridden")

    stop_loss_price = entry_price


def random_bar(chance: Random, minute: int) -> Bar:
    low, one, other, high = sorted(Decimal(chance.randint(1, 99_999)) / 100 for _ in range(4))
    return Bar("X", OPENS_AT + 60 * minute, one, high, low, other, Decimal(chance.randint(0, 99)))


def mean(closes: list[Decimal], count: int) -> Decimal | None:
    return sum(closes[-count:], start=Decimal(0)) / count if len(closes) >= count else None


class Desk:
    """An engine on the system's clock, and the bars as they have been told so far."""

    def __init__(self, *lengths: int) -> None:
        self.strategies = {f"s{length}": Shown("X", length) for length in lengths}
        self.book = Book()
        lanes = [
            Lane(key, own, self.book.holding(key, "X")) for key, own in self.strategies.items()
        ]
        self.engine = Engine(self.book, lanes, RiskLimits(), patience_s=90)
        self.engine.open_account("a", CASH, OPENS_AT)
        self.engine.open_session(SESSION)
        self.told: dict[int, Bar] = {}
        self.newest = -1
        self.corrected: list[ev.Fact] = []

    def clock(self, second: int) -> None:
        self.engine.on_clock(OPENS_AT + second)
        self.look()

    def tell(self, bar: Bar, *, look: bool = True) -> bool:
        """A bar as the feed tells it: in its turn, or as a correction; whether that was news."""
        is_news = self.told.get(bar.start) != bar
        self.told[bar.start] = bar
        if bar.start > self.newest:
            self.newest = bar.start
            self.engine.on_minute(bar.start, [bar])
        else:
            step = Intake(self.engine).take(Correction(bar))
            assert not step.commands
            assert len(step.facts) == is_news
            self.corrected += step.facts
        if look:
            self.look()
        return is_news

    def look(self) -> None:
        """Every candle that is due, each compared with what has been told."""
        engine = self.engine
        while engine.due:
            lane = engine.due[0]
            own = self.strategies[lane.name]
            assert not engine.on_candle_due().facts
            self.compare(own)

    def compare(self, own: Shown) -> None:
        """The last candle and its averages."""
        candle, after = own.shown[-1]
        span = 60 * own.candle_interval_minutes
        windows: dict[int, list[Bar]] = {}
        for start in sorted(self.told):
            windows.setdefault(start - (start - OPENS_AT) % span, []).append(self.told[start])
        inside = windows[candle.start]
        assert candle[3:8] == (
            inside[0].open,
            max(bar.high for bar in inside),
            min(bar.low for bar in inside),
            inside[-1].close,
            sum((bar.volume for bar in inside), start=Decimal(0)),
        )
        closes = [windows[begin][-1].close for begin in sorted(windows) if begin <= candle.start]
        assert (after.sma_fast, after.sma_slow) == (mean(closes, FAST), mean(closes, SLOW))
        assert after.bar_count == len(closes)
        if len(own.shown) > 1:
            before = own.shown[-2][1]
            # What was shown stays: the averages before are those the strategy has seen.
            assert (after.prev_sma_fast, after.prev_sma_slow) == before[:2]


@settings(max_examples=200, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    density=st.sampled_from((0.1, 0.5, 0.9, 1.0)),
    lateness=st.sampled_from((0.0, 0.1, 0.5)),
    corrections=st.sampled_from((0.1, 0.5, 2.0)),
    hurry=st.booleans(),
)
def test_averages_follow_from_the_next_candle_on(
    seed: int, density: float, lateness: float, corrections: float, hurry: bool
) -> None:
    """Goal: whatever is corrected or late within half an hour, every candle from then on has the
    averages of one who was told the corrected bars in order; each news is recorded once.

    Method: random bars of 100 minutes, some late by up to 25; random corrections, equal bars among
    them; with `hurry` the candles of a minute are looked at only after its corrections.
    """
    chance = Random(seed)
    desk = Desk(*INTERVALS_MINUTES)
    waiting: list[tuple[int, Bar]] = []
    news = 0
    for minute in range(100):
        if minute == 0 or chance.random() < density:
            is_late = minute and chance.random() < lateness
            at = minute + (chance.randint(1, 25) if is_late else 0)
            waiting.append((at, random_bar(chance, minute)))
        due = sorted((bar for at, bar in waiting if at <= minute), key=lambda bar: bar.start)
        waiting = [(at, bar) for at, bar in waiting if at > minute]
        desk.clock(60 * minute + 60)
        for bar in due:
            is_correction = bar.start < desk.newest
            news += desk.tell(bar, look=not hurry) and is_correction
        times = int(corrections) + (chance.random() < corrections % 1)
        recent = [at for at in desk.told if at > desk.newest - 60 * REMEMBERED_MINUTES]
        for _ in range(times):
            old = desk.told[chance.choice(recent)]
            other = random_bar(chance, (old.start - OPENS_AT) // 60)
            news += desk.tell(chance.choice((old, other)), look=not hurry)
        desk.look()
        desk.clock(60 * minute + 90)
    desk.clock(60 * 102 + 90)
    assert len(desk.corrected) == news
    assert all(isinstance(fact, ev.BarCorrected) for fact in desk.corrected)
    assert not desk.book.orders


@settings(max_examples=300, deadline=None)
@given(data=st.data(), fast=st.integers(1, 4), more=st.integers(1, 4))
def test_an_amended_source_is_a_fresh_one(data: st.DataObject, fast: int, more: int) -> None:
    """Goal: after any amendments the next averages are those of a source fed the amended closes.

    Method: closes in a list, amended by position; a fresh source is fed the list.
    """
    slow = fast + more
    source, closes = SmaPair(fast, slow), list[Decimal]()
    prices = st.integers(1, 10_000).map(lambda cents: Decimal(cents) / 100)
    for _ in range(data.draw(st.integers(1, 40))):
        kind = data.draw(st.sampled_from(("update", "change", "insert"))) if closes else "update"
        price = data.draw(prices)
        if kind == "change":
            back = data.draw(st.integers(0, len(closes) - 1))
            closes[len(closes) - 1 - back] = price
            source.amend(back, price, is_new=False)
        elif kind == "insert":
            back = data.draw(st.integers(0, len(closes)))
            closes.insert(len(closes) - back, price)
            source.amend(back, price, is_new=True)
        else:
            closes.append(price)
            after = source.update(candle(price))
            fresh = SmaPair(fast, slow)
            wanted = [fresh.update(candle(close)) for close in closes][-1]
            assert (after[:2], after.bar_count) == (wanted[:2], wanted.bar_count)


def candle(close: Decimal) -> Candle:
    return Candle("X", 0, 60, close, close, close, close, Decimal(1), late=False)


def test_a_correction_changes_no_decision() -> None:
    """Goal: what a strategy was shown is not shown again, whatever is corrected.

    Method: ten candles, each corrected; the strategy's notes stay as they were.
    """
    desk = Desk(1)
    chance = Random(1)
    for minute in range(10):
        desk.tell(random_bar(chance, minute))
    own = desk.strategies["s1"]
    before = list(own.shown)
    for minute in range(10):
        desk.tell(random_bar(chance, minute))
    assert own.shown == before
    assert len(desk.corrected) == 10


@pytest.mark.parametrize(("minutes_back", "is_news"), [(30, True), (31, False)])
def test_what_is_long_past_is_not_taken_in(minutes_back: int, is_news: bool) -> None:
    """Goal: half an hour is remembered, not a minute more. Method: a bar of just then."""
    desk = Desk(1)
    for minute in range(100):
        desk.tell(random_bar(Random(minute), minute))
    bar = random_bar(Random(500), 99 - minutes_back)
    assert bool(Intake(desk.engine).take(Correction(bar)).facts) is is_news


def test_a_late_bar_of_a_window_whose_others_are_long_past() -> None:
    """Goal: a window of which only the end is within the half hour has one candle, not two.

    Method: bars for over an hour, the end of one window missing; its late bar comes last.
    """
    desk = Desk(10)
    for minute in (*range(35), *range(40, 66)):
        desk.tell(random_bar(Random(minute), minute))
    assert desk.tell(random_bar(Random(37), 37))
    for minute in range(66, 70):
        desk.tell(random_bar(Random(minute), minute))
    assert len(desk.strategies["s10"].shown) == 7


def test_a_candle_that_was_closed_late_stays_late() -> None:
    """Goal: its missing minute gives it its true prices, not another chance to decide.

    Method: the minute comes after the window was closed and before the candle is looked at.
    """
    desk = Desk(2)
    desk.tell(random_bar(Random(0), 0))
    desk.engine.on_clock(OPENS_AT + 120 + 90)
    desk.tell(random_bar(Random(1), 1))
    ((candle, _),) = desk.strategies["s2"].shown
    assert candle.late


def test_a_bar_that_was_never_told_is_no_correction() -> None:
    """Goal: a minute after all that are known has its turn still to come: then it counts, once.

    Method: it is told as a correction first, for the last window and for a new one.
    """
    desk = Desk(2, 5)
    for minute in (0, 1, 2):
        desk.tell(random_bar(Random(minute), minute))
    for minute in (3, 4):
        bar = random_bar(Random(minute), minute)
        assert not Intake(desk.engine).take(Correction(bar)).facts
        desk.tell(bar)
    desk.tell(random_bar(Random(5), 5))
    assert [len(own.shown) for own in desk.strategies.values()] == [3, 1]


def test_of_other_symbols_and_other_days() -> None:
    """Goal: a bar of a symbol that is not traded is no news; one of a session that is over is told,
    and moves no average. Method: two sessions.
    """
    desk = Desk(1)
    for minute in range(8):
        desk.tell(random_bar(Random(minute), minute))
    stranger = replace(random_bar(Random(9), 5), symbol="Y")
    assert not Intake(desk.engine).take(Correction(stranger)).facts
    day = 86_400
    desk.engine.open_session(
        Session(date(2024, 1, 4), OPENS_AT + day, OPENS_AT + day + 60 * 390)
    )
    step = Intake(desk.engine).take(Correction(random_bar(Random(10), 6)))
    assert [type(fact).__name__ for fact in step.facts] == ["BarCorrected"]
    desk.tell(random_bar(Random(11), 24 * 60))


@settings(max_examples=100, deadline=None)
@given(seed=st.integers(0, 2**32), density=st.sampled_from((0.3, 0.9)), told=st.integers(1, 50))
def test_after_a_restart_the_day_so_far_may_be_corrected(
    seed: int, density: float, told: int
) -> None:
    """Goal: bars that were only shown to rebuild the averages are corrected like any other.

    Method: the day so far as history, corrections of its last half hour, then bars in their turn.
    """
    chance = Random(seed)
    desk = Desk(*INTERVALS_MINUTES)
    minutes: list[list[Bar]] = []
    for minute in range(told):
        is_there = minute == 0 or chance.random() < density
        minutes.append([random_bar(chance, minute)] if is_there else [])
    desk.told = {bar.start: bar for bars in minutes for bar in bars}
    desk.newest = max(desk.told)
    past = PastDay(SESSION, minutes)
    Intake(desk.engine).take(History([past], OPENS_AT + 60 * told))
    desk.look()
    for minute in range(told, told + 30):
        for _ in range(2):
            recent = [at for at in desk.told if at > desk.newest - 60 * REMEMBERED_MINUTES]
            desk.tell(random_bar(chance, (chance.choice(recent) - OPENS_AT) // 60))
        if chance.random() < density:
            desk.tell(random_bar(chance, minute))
        desk.clock(60 * minute + 60)


def test_virtual_time_takes_no_corrections() -> None:
    """Goal: without a patience there is nothing to correct. Method: an engine without one."""
    own = Shown("X", 1)
    book = Book()
    engine = Engine(book, [Lane("s1", own, book.holding("s1", "X"))], RiskLimits())
    engine.open_account("a", CASH, OPENS_AT)
    engine.open_session(SESSION)
    for minute in range(3):
        engine.on_minute(OPENS_AT + 60 * minute, [random_bar(Random(minute), minute)])
    assert not Intake(engine).take(Correction(random_bar(Random(7), 1))).facts
