"""A restart in the middle of a day: the engine that comes back is the one that never left.

Method: an engine trades two short days of random bars at a venue, and all facts are kept. For every
minute of the second day another engine is made from the facts so far and shown the bars so far, and
goes on with a copy of the venue. What it knows at that moment and every fact that it records from
then on must be those of the first. Done for the built-in strategy, made quick, and for one of its
own kind whose state depends on candles and fills; minutes without a bar included.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from decimal import Decimal
from random import Random
from typing import Any

import pytest

from algo_trader.core import events as ev
from algo_trader.core.book import Book
from algo_trader.core.inputs import Clock, History, Minute, PastDay, SessionOpens
from algo_trader.core.types import MINUTE, Bar, Candle, ExitReason, Session, utc
from algo_trader.engine.engine import Engine
from algo_trader.engine.hands import Step
from algo_trader.engine.intake import Intake
from algo_trader.engine.lane import Lane
from algo_trader.indicators import IndicatorSet
from algo_trader.risk.limits import RiskLimits
from algo_trader.strategies import Strategy, Velez
from algo_trader.strategies.base import Management, MoveStop, Position
from algo_trader.venue.costs import Costs
from algo_trader.venue.rules import VenueRules
from algo_trader.venue.venue import Venue

OPENS_AT = 1_704_205_800
OVERNIGHT = 86_400
MINUTES = 60
SYMBOLS = ("AA", "BB")
CENT = Decimal("0.01")
CASH = Decimal(100_000)
QUICK = {
    "sma_fast": 2,
    "sma_slow": 4,
    "tightness_threshold_pct": Decimal(5),
    "strong_candle_body_pct": Decimal(30),
    "buy_stop_expiry_candles": 2,
    "allow_short": True,
}
SEEDS = [*range(1, 5), *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(5, 60))]


class Counting(Strategy):
    """Buys above green candles, trails behind every third candle of a position, counted by itself.

    It leaves when its count since the fill says so.
    """

    sma_fast = 1
    sma_slow = 2

    def __init__(self, symbol: str) -> None:
        super().__init__(symbol)
        self.count = 0
        self.told = 0

    def should_long(self, bar: Candle, indicators: IndicatorSet) -> bool:
        return bar.close > bar.open

    def entry_price(self, bar: Candle) -> Decimal:
        return bar.high

    def stop_loss_price(self, bar: Candle) -> Decimal:
        return bar.low - 10 * CENT

    def on_position_opened(self, position: Position) -> None:
        self.count = 0
        self.told = position.opened_at

    def on_position_closed(self) -> None:
        self.count = self.told = 0

    def manage(self, candle: Candle, position: Position, indicators: IndicatorSet) -> Management:
        self.count += 1
        if self.count % 3 == 0:
            return MoveStop(candle.low - CENT)
        return super().manage(candle, position, indicators)

    def should_exit(self, bar: Candle, position: Position, indicators: IndicatorSet) -> bool:
        return self.count >= 5


def make_days(seed: int) -> list[PastDay]:
    """Two days of random walks; in every tenth minute a symbol has no bar."""
    chance = Random(seed)
    last = dict.fromkeys(SYMBOLS, 10_000)
    days = []
    for opens_at in (OPENS_AT, OPENS_AT + OVERNIGHT):
        session = Session(utc(opens_at).date(), opens_at, opens_at + MINUTES * MINUTE)
        rows: list[Sequence[Bar]] = []
        for start in range(opens_at, session.closes_at, MINUTE):
            bars = []
            for symbol in SYMBOLS:
                if chance.random() < 0.1:
                    continue
                path = [last[symbol]]
                for _ in range(3):
                    path.append(path[-1] + chance.randint(-40, 40))
                last[symbol] = path[-1]
                prices = (path[0], max(path), min(path), path[-1])
                opened, high, low, close = (CENT * price for price in prices)
                bars.append(Bar(symbol, start, opened, high, low, close, 100))
            rows.append(tuple(bars))
        days.append(PastDay(session, rows))
    return days


class Trader:
    """An engine at a venue, played minute by minute; keeps its facts."""

    def __init__(self, strategy: type[Strategy], venue: Venue, facts: Sequence[ev.Fact]) -> None:
        book = Book()
        for fact in facts:
            book.apply(fact)
        parameters: dict[str, Any] = QUICK if strategy is Velez else {}
        self.strategies = [strategy(symbol, **parameters) for symbol in SYMBOLS]
        lanes = [Lane("s", own, book.holding("s", own.symbol)) for own in self.strategies]
        limits = RiskLimits(consecutive_loss_pause=100)
        self.engine = Engine(book, lanes, limits)
        self.intake = Intake(self.engine)
        self.venue = venue
        self.facts: list[ev.Fact] = []

    def play(self, start: int, bars: Sequence[Bar]) -> None:
        """One minute, as the exchange and the pump play it."""
        self.do(self.intake.take(Clock(start)), start)
        self.candles(start)
        for bar in bars:
            for match in (self.venue.match, self.venue.match_entry_bar):
                self.hear(match(bar), start)
        self.do(self.intake.take(Minute(start, bars)), start + MINUTE)
        self.candles(start + MINUTE)

    def candles(self, now: int) -> None:
        """Every candle that is due."""
        while self.engine.due:
            self.do(self.engine.on_candle_due(), now)

    def do(self, step: Step, now: int) -> None:
        """Keep the facts, carry the commands out."""
        self.facts += step.facts
        for command in step.commands:
            self.hear(self.venue.execute(command, now), now)

    def hear(self, reports: Sequence[ev.Report], now: int) -> None:
        """Feed the venue's reports back."""
        for report in reports:
            self.do(self.engine.on_report(report), now)

    def knowledge(self) -> dict[str, Any]:
        """What a restart has to rebuild."""
        lanes = self.engine.lanes
        return {
            "marks": self.engine.marks,
            "indicators": [lane.last_indicators for lane in lanes],
            "candles": [lane.candles for lane in lanes],
            "windows": [picture(lane.builder) for lane in lanes],
            "strategies": [vars(own) for own in self.strategies if holds(self, own)],
            "flatten": [lane.flatten_at for lane in lanes],
            "floor": self.engine.daily_loss_floor,
            "equity": self.engine.equity(),
        }


def holds(trader: Trader, strategy: Strategy) -> bool:
    """Whether the strategy is in a position that it may still manage: else its state is nothing."""
    holding = trader.engine.book.holding("s", strategy.symbol)
    return bool(holding.qty) and holding.exit_reason is None


def picture(builder: Any) -> dict[str, Any]:
    """A candle's open window."""
    if not builder.window_end:
        return {}
    return {name: getattr(builder, name) for name in type(builder).__slots__}


def is_overdue(trader: Trader, now: int) -> bool:
    """Whether a window lacks its last minute, and no bar has closed it."""
    return any(0 < lane.builder.window_end <= now for lane in trader.engine.lanes)


@pytest.mark.parametrize("strategy", [Velez, Counting])
@pytest.mark.parametrize("seed", SEEDS)
def test_a_restart_at_every_minute(strategy: type[Strategy], seed: int) -> None:
    """Goal: same knowledge at the restart, same facts ever after."""
    days = make_days(seed)
    rules = VenueRules(partial_fill_pct=30, seed=seed)
    first = Trader(strategy, Venue(CASH, Costs(), rules), [])
    first.do(first.engine.open_account("a", CASH, OPENS_AT), OPENS_AT)
    moments: list[tuple[int, int, int, Venue, dict[str, Any]]] = []
    for number, (session, minutes) in enumerate(days):
        first.do(first.intake.take(SessionOpens(session)), session.opens_at)
        for index, bars in enumerate(minutes):
            first.play(session.opens_at + index * MINUTE, bars)
            if number and index < MINUTES - 1:
                known = deepcopy(first.knowledge())
                moments.append(
                    (index + 1, first.engine.now, len(first.facts), deepcopy(first.venue), known)
                )
        first.hear(first.venue.end_session(session.closes_at), session.closes_at)
    kinds = {type(fact).__name__ for fact in first.facts}
    assert {"OrderFilled", "StopSet", "OrderReplaced", "OrderCanceled"} <= kinds
    for played, now, count, venue, known in moments:
        again = Trader(strategy, venue, first.facts[:count])
        past = [days[0], PastDay(days[1].session, days[1].minutes[:played])]
        again.do(again.intake.take(History(past, now)), now)
        assert again.facts == [], (played, "a restart decided something")
        if not is_overdue(again, now):  # Such a window is closed by the next tick of the clock.
            assert again.knowledge() == known, played
        for index in range(played, MINUTES):
            again.play(days[1].session.opens_at + index * MINUTE, days[1].minutes[index])
        again.hear(venue.end_session(days[1].session.closes_at), days[1].session.closes_at)
        assert again.facts == first.facts[count:], played


@pytest.mark.parametrize("strategy", [Velez, Counting])
def test_a_second_history_adds_what_is_new(strategy: type[Strategy]) -> None:
    """Goal: trading that begins anew in the same process knows what a new process would know.

    Method: a history up to each minute, then another one that reaches five minutes further, beside
    an engine that is shown the longer one alone.
    """
    days = make_days(1)
    session, minutes = days[0]
    first = Trader(strategy, Venue(CASH, Costs()), [])
    first.do(first.engine.open_account("a", CASH, OPENS_AT), OPENS_AT)
    first.do(first.intake.take(SessionOpens(session)), OPENS_AT)
    held = 0
    for index, bars in enumerate(minutes[:-6]):
        first.play(OPENS_AT + index * MINUTE, bars)
        twice, once = (Trader(strategy, Venue(CASH, Costs()), first.facts) for _ in range(2))
        for trader, counts in ((twice, (index + 1, index + 6)), (once, (index + 6,))):
            for count in counts:
                past = [PastDay(session, minutes[:count])]
                trader.intake.take(History(past, OPENS_AT + count * MINUTE))
        if not is_overdue(once, OPENS_AT + (index + 6) * MINUTE):
            assert twice.knowledge() == once.knowledge(), index
            held += sum(holds(once, own) for own in once.strategies)
    assert held


def test_an_exit_is_not_decided_twice() -> None:
    """Goal: a position whose exit is on record is left alone. Method: a restart between the
    decision and the close; the strategy is shown the candles and would leave again.
    """
    days = make_days(2)
    trader = Trader(Counting, Venue(CASH, Costs()), [])
    trader.do(trader.engine.open_account("a", CASH, OPENS_AT), OPENS_AT)
    session, minutes = days[0]
    trader.do(trader.intake.take(SessionOpens(session)), OPENS_AT)
    for index, bars in enumerate(minutes):
        if any(isinstance(fact, ev.ExitDecided) for fact in trader.facts):
            break
        trader.play(OPENS_AT + index * MINUTE, bars)
    decided = next(
        number
        for number, fact in enumerate(trader.facts)
        if isinstance(fact, ev.ExitDecided) and fact.reason is ExitReason.STRATEGY
    )
    again = Trader(Counting, trader.venue, trader.facts[: decided + 1])
    step = again.intake.take(
        History([PastDay(session, minutes[:index])], OPENS_AT + index * MINUTE)
    )
    assert [type(fact).__name__ for fact in step.facts] == ["CancelRequested"]
