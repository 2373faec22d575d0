"""What the exchange feeds the inbox, in what order, at what time; and that it is a backtest's."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from random import Random

import pytest
from exchange_kit import (
    BUY,
    GTC,
    LIMIT,
    MARKET,
    SELL,
    STOP,
    Tray,
    clock,
    day,
    done,
    dying_books,
    play,
    random_days,
    setup,
    submit,
    word,
)

from algo_trader.backtest.runner import Runner
from algo_trader.brokers.embedded import EmbeddedExchange, ExchangeRefused
from algo_trader.core.book import Book
from algo_trader.core.events import Report
from algo_trader.core.inputs import Clock, CloseAll, Input, Minute, Reports, SessionOpens
from algo_trader.core.pnl import Trade
from algo_trader.core.ports import Market
from algo_trader.core.types import Candle, Side
from algo_trader.engine.engine import Engine
from algo_trader.engine.hands import Step
from algo_trader.engine.lane import Lane
from algo_trader.feeds.tape import TapeDay
from algo_trader.indicators import IndicatorSet
from algo_trader.risk.limits import RiskLimits
from algo_trader.strategies import Strategy
from algo_trader.strategies.base import Position
from algo_trader.venue.costs import Costs
from algo_trader.venue.rules import VenueRules
from algo_trader.venue.venue import Venue


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the exchange's file lies."""
    return tmp_path / "exchange.db"


# -- the order of things --


def test_a_day_and_its_fills(path: Path) -> None:
    """Goal: clock, fills by symbol, the second match for the stop that answered, then the bars.

    Method: entries in two symbols fill in one minute, the stop of one meets its bar again.
    """
    period = (
        day(0, "AA 10 10 10 10; BB 5 5 5 5", "AA 10 11 9 10; BB 5 6 5 6", ""),
        day(1, "AA 10 10 10 10", "", ""),
    )
    script = {
        "minute 0:00 2": [
            submit("b", BUY, STOP, "5.50", symbol="BB"),
            submit("a", BUY, STOP, "10.50"),
        ],
        "a filled 10@10.5": [submit("as", SELL, STOP, "9.50", lasts=GTC)],
        "b filled 10@5.5": [submit("bs", SELL, STOP, "4.50", "10", symbol="BB", lasts=GTC)],
        "minute 0:01 2": [submit("x", BUY, STOP, "20")],
    }
    exchange = EmbeddedExchange.open(path, setup(*period))
    assert done(play(exchange, script)).words == [
        "opens 0:00",
        "clock 0:00",
        "minute 0:00 2",
        "clock 0:01",
        "a filled 10@10.5",
        "as filled 10@9.5",
        "b filled 10@5.5",
        "minute 0:01 2",
        "clock 0:02",
        "minute 0:02 0",
        "x expired",
        "opens 1:00",
        "clock 1:00",
        "minute 1:00 1",
    ]
    exchange.close()


@pytest.mark.parametrize("exit_at_end", [False, True])
def test_the_end(path: Path, exit_at_end: bool) -> None:
    """Goal: the clock stops after the last bar; what is open stays, or is closed if so set up.

    Method: a position and a day order on a day whose last minutes have no bar.
    """
    last = day(0, "AA 10 10 10 10", "AA 10 10 10 10", "", "")
    exchange = EmbeddedExchange.open(path, setup(last, exit_at_end=exit_at_end))
    script = {
        "minute 0:00 1": [submit("a", BUY, MARKET), submit("x", BUY, STOP, "20")],
    }
    if exit_at_end:
        script["close all end_of_data"] = [submit("s", SELL, LIMIT, "30")]
    tray = done(play(exchange, script))
    assert tray.words[-2 if exit_at_end else -1 :][0] == "minute 0:01 1"
    assert (tray.words[-1] == "close all end_of_data") is exit_at_end
    assert clock(exchange.now) == "0:02"
    assert [o.order_id for o in done(exchange.orders(()))] == ["x"]
    assert done(exchange.positions())["AA"].qty == 10
    again = done(play(exchange))
    assert again.words == (["close all end_of_data"] if exit_at_end else [])
    exchange.close()


def test_virtual_time_and_the_past(path: Path) -> None:
    """Goal: time is t while minute t trades, t + 60 at its publication; the past is what was
    played, history included, and grows when a minute is done.

    Method: note both at every input of two days after a day of history.
    """
    history = day(0, "AA 9 9 9 9", "")
    period = (day(1, "AA 10 10 10 10", "", "AA 10 11 10 11"), day(2, "AA 10 10 10 10"))
    exchange = EmbeddedExchange.open(path, setup(*period, history=[history]))
    market: Market = exchange
    noted = []

    async def handle(item: Input) -> None:
        past = await market.past()
        played = " ".join(str(len(day.minutes)) for day in past)
        noted.append(f"{word(item)} | {clock(market.now)} | {played}")
        if word(item) == "minute 1:00 1":
            await exchange.execute(submit("a", BUY, STOP, "10.50"))
            await exchange.execute(submit("x", BUY, STOP, "20"))

    assert asyncio.run(exchange.past()) == [history]
    done(exchange.run(Tray(handle)))
    assert noted == [
        "opens 1:00 | 1:00 | 2",
        "clock 1:00 | 1:00 | 2",
        "minute 1:00 1 | 1:01 | 2 1",
        "clock 1:01 | 1:01 | 2 1",
        "minute 1:01 0 | 1:02 | 2 2",
        "clock 1:02 | 1:02 | 2 2",
        "a filled 10@10.5 | 1:02 | 2 2",
        "minute 1:02 1 | 1:03 | 2 3",
        "x expired | 1:03 | 2 3",
        "opens 2:00 | 2:00 | 2 3",
        "clock 2:00 | 2:00 | 2 3",
        "minute 2:00 1 | 2:01 | 2 3 1",
    ]
    assert asyncio.run(exchange.past()) == [history, *period]
    exchange.close()


def test_pace_lies_before_a_minute_is_played_to_its_end(path: Path) -> None:
    """Goal: paced once a minute, before it counts as played: who stops there loses no decision."""
    noted: list[str] = []

    async def pace() -> None:
        noted.append(f"pace {clock(exchange.now)}")

    async def handle(item: Input) -> None:
        noted.append(word(item))

    exchange = EmbeddedExchange.open(path, setup(day(0, "AA 1 1 1 1", "AA 1 1 1 1"), pace=pace))
    done(exchange.run(Tray(handle)))
    assert noted == [
        "opens 0:00", "clock 0:00", "pace 0:00", "minute 0:00 1",
        "clock 0:01", "pace 0:01", "minute 0:01 1",
    ]  # fmt: skip
    exchange.close()


def test_nothing_to_trade() -> None:
    """Goal: refused before a file is made. Method: a setup without a session."""
    with pytest.raises(ExchangeRefused, match="--from and --to"):
        setup()


# -- parity --


class Eager(Strategy):
    """Trades above green and below red candles, trails under the last candle, leaves at random."""

    candle_interval_minutes = 2
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
        """Half a dollar below the low."""
        return bar.low - Decimal("0.5")

    def short_entry_price(self, bar: Candle) -> Decimal:
        """The low."""
        return bar.low

    def short_stop_loss_price(self, bar: Candle) -> Decimal:
        """Half a dollar above the high."""
        return bar.high + Decimal("0.5")

    def should_update_stop(
        self, bar: Candle, position: Position, indicators: IndicatorSet
    ) -> Decimal | None:
        """Right behind the candle."""
        return bar.low if position.side is Side.LONG else bar.high

    def should_exit(self, bar: Candle, position: Position, indicators: IndicatorSet) -> bool:
        """On some closes."""
        return int(bar.close * 100) % 7 == 0


SYMBOLS = ("AA", "B.B", "CC")
COSTS = Costs(commission_per_share=Decimal("0.005"))
CAPITAL = Decimal(100_000)


def engine() -> Engine:
    """A new engine that trades every symbol at every chance."""
    book = Book()
    lanes = [Lane("eager", Eager(name), book.holding("eager", name)) for name in SYMBOLS]
    limits = RiskLimits(consecutive_loss_pause=10, max_daily_loss_pct=Decimal("0.05"))
    return Engine(book, lanes, limits)


class Daemon:
    """The least that can drive an engine from an inbox: every answer before the next input."""

    def __init__(self, exchange: EmbeddedExchange) -> None:
        self.engine = engine()
        self.trades: list[Trade] = []
        self._exchange = exchange

    async def handle(self, item: Input) -> None:
        """One input to the engine, and everything that follows."""
        engine = self.engine
        match item:
            case SessionOpens():
                self.trades += engine.book.day.trades
                if engine.book.account != "A":
                    opening = engine.open_account("A", CAPITAL, item.session.opens_at)
                    await self._carry_out(opening)
                await self._carry_out(engine.open_session(item.session))
            case Clock():
                await self._carry_out(engine.on_clock(item.now))
            case Reports():
                await self._feed(item.reports)
            case Minute():
                await self._carry_out(engine.on_minute(item.start, item.bars))
            case CloseAll():
                await self._carry_out(engine.close_positions(item.reason))
                self.trades += engine.book.day.trades
        while engine.due:
            await self._carry_out(engine.on_candle_due())

    async def _carry_out(self, step: Step) -> None:
        for command in step.commands:
            await self._feed(await self._exchange.execute(command))

    async def _feed(self, reports: Sequence[Report]) -> None:
        for report in reports:
            await self._carry_out(self.engine.on_report(report))


@pytest.mark.parametrize("partial_fill_pct", [0, 40])
@pytest.mark.parametrize("seed", [1, 2])
def test_parity_with_the_backtest(path: Path, seed: int, partial_fill_pct: int) -> None:
    """Goal: the same engine makes the very same trades here and in a backtest, to the cent and
    the minute, with whole and with partial fills.

    Method: a strategy that trades both ways at every chance, wild bars with gaps, three days.
    """
    days = random_days(Random(seed), SYMBOLS, days=3, minutes=60)
    rules = VenueRules(partial_fill_pct=partial_fill_pct, refuse_pct=partial_fill_pct // 4)
    tape = [TapeDay(each.session, [tuple(bars) for bars in each.minutes]) for each in days]
    runner = Runner(engine(), Venue(CAPITAL, COSTS, rules))
    wanted = runner.run("A", [], tape).trades
    terms = {"cash": CAPITAL, "costs": COSTS, "rules": rules, "exit_at_end": True}
    books = dying_books(path)
    exchange = EmbeddedExchange(books, setup(*days, **terms))
    daemon = Daemon(exchange)
    done(exchange.run(Tray(daemon.handle)))
    assert len(wanted) > 30
    assert daemon.trades == wanted
    assert done(exchange.account()).cash == runner.venue.account.cash
    exchange.close()
