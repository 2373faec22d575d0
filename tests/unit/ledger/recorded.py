"""Real facts for the ledger's tests: what an engine recorded, step by step, on wild bars.

The bars are a random walk with big moves and the strategy trades at every chance, both ways, so
that a few hundred minutes hold fills, stop-outs, expiries, moved stops and flattened positions.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from functools import lru_cache
from random import Random
from typing import NamedTuple

from algo_trader.backtest.runner import Runner
from algo_trader.core import events as ev
from algo_trader.core.book import Book
from algo_trader.core.pnl import Trade
from algo_trader.core.types import (
    MINUTE,
    Action,
    Bar,
    Candle,
    ClientOrderId,
    DecisionId,
    OrderType,
    Role,
    Session,
    Side,
    TimeInForce,
    utc,
)
from algo_trader.engine.engine import Engine
from algo_trader.engine.lane import Lane
from algo_trader.feeds.tape import TapeDay
from algo_trader.indicators import IndicatorSet
from algo_trader.risk.limits import RiskLimits
from algo_trader.strategies import Strategy
from algo_trader.strategies.base import Position
from algo_trader.venue.costs import Costs
from algo_trader.venue.venue import Venue

CENT = Decimal("0.01")
OPENS_AT = 1_704_205_800  # 2024-01-02 14:30 UTC
SYMBOLS = ("AA", "B.B")
WHEN = datetime(2024, 1, 2, 14, 30, 0, 250, UTC)


class Eager(Strategy):
    """Trades above green and below red candles, trails under the last candle, leaves at random."""

    candle_interval_minutes = 1
    sma_fast = 1
    sma_slow = 2

    def should_long(self, bar: Candle, indicators: IndicatorSet) -> bool:
        """Above a green candle."""
        return bar.close > bar.open

    def should_short(self, bar: Candle, indicators: IndicatorSet) -> bool:
        """Below a red one."""
        return bar.close < bar.open

    def entry_price(self, bar: Candle) -> Decimal:
        """The high."""
        return bar.high

    def stop_loss_price(self, bar: Candle) -> Decimal:
        """A dollar below the low."""
        return bar.low - 1

    def short_entry_price(self, bar: Candle) -> Decimal:
        """The low."""
        return bar.low

    def short_stop_loss_price(self, bar: Candle) -> Decimal:
        """A dollar above the high."""
        return bar.high + 1

    def should_update_stop(
        self, bar: Candle, position: Position, indicators: IndicatorSet
    ) -> Decimal | None:
        """Half a dollar behind the candle."""
        half = Decimal("0.5")
        return bar.low - half if position.side is Side.LONG else bar.high + half

    def should_exit(self, bar: Candle, position: Position, indicators: IndicatorSet) -> bool:
        """On some closes."""
        return int(bar.close * 100) % 7 == 0


class Recorded(NamedTuple):
    """The facts of each step, the engine's book and the trades at the end."""

    steps: list[list[ev.Fact]]
    book: Book
    trades: list[Trade]

    @property
    def facts(self) -> list[ev.Fact]:
        """All facts in order."""
        return [fact for step in self.steps for fact in step]


@lru_cache(maxsize=8)
def record(seed: int = 1, days: int = 2, minutes: int = 60) -> Recorded:
    """A run over `days` sessions in which the first `minutes` have bars."""
    chance = Random(seed)
    period = [_day(chance, OPENS_AT + n * 86_400, minutes) for n in range(days)]
    book = Book()
    lanes = [Lane("eager", Eager(name), book.holding("eager", name)) for name in SYMBOLS]
    limits = RiskLimits(consecutive_loss_pause=100, max_daily_loss_pct=Decimal("0.5"))
    costs = Costs(commission_per_share=Decimal("0.005"))
    steps: list[list[ev.Fact]] = []

    def keep(facts: Sequence[ev.Fact]) -> None:
        steps.append(list(facts))

    runner = Runner(Engine(book, lanes, limits), Venue(Decimal(100_000), costs), keep)
    outcome = runner.run("ACCT", [], period)
    return Recorded(steps, book, outcome.trades)


def _day(chance: Random, opens_at: int, minutes: int) -> TapeDay:
    session = Session(utc(opens_at).date(), opens_at, opens_at + 390 * MINUTE)
    rows: list[tuple[Bar, ...]] = [()] * session.minutes
    last = dict.fromkeys(SYMBOLS, 10_000)
    for minute in range(minutes):
        bars = []
        for symbol in SYMBOLS:
            path = [last[symbol]]
            for _ in range(3):
                path.append(max(5_000, path[-1] + chance.randint(-60, 60)))
            last[symbol] = path[-1]
            cents = (path[0], max(path), min(path), path[-1])
            opened, high, low, close = (CENT * price for price in cents)
            start = opens_at + minute * MINUTE
            bars.append(Bar(symbol, start, opened, high, low, close, 1000))
        rows[minute] = tuple(bars)
    return TapeDay(session, rows)


class Script:
    """Writes one order's facts by hand, for what a venue without faults never says."""

    def __init__(self, order_id: str = "acct-s-AA-1-entry-1", qty: int = 10) -> None:
        self.order_id = ClientOrderId(order_id)
        self.qty = Decimal(qty)
        self.decision = DecisionId(order_id.rsplit("-", 2)[0])

    def intended(
        self, role: Role = Role.ENTRY, at: int = OPENS_AT, symbol: str = "AA"
    ) -> ev.OrderIntended:
        """The intent: an entry to buy at 100, or a sell."""
        action = Action.BUY if role is Role.ENTRY else Action.SELL
        request = ev.OrderRequest(
            self.order_id, symbol, action, OrderType.STOP, TimeInForce.DAY, self.qty,
            stop_price=Decimal(100),
        )  # fmt: skip
        return ev.OrderIntended(
            at=at,
            decision=self.decision,
            strategy="s",
            side=Side.LONG,
            role=role,
            request=request,
            expires_at=at + MINUTE,
            stop_loss=Decimal("99.5"),
        )

    def submitting(self, at: int = OPENS_AT) -> ev.OrderSubmitting:
        """About to leave."""
        return ev.OrderSubmitting(at=at, order_id=self.order_id)

    def filled(self, qty: int, cum: int, price: str = "100", at: int = OPENS_AT) -> ev.OrderFilled:
        """A fill."""
        return ev.OrderFilled(
            at=at,
            order_id=self.order_id,
            qty=Decimal(qty),
            price=Decimal(price),
            cum_qty=Decimal(cum),
        )
