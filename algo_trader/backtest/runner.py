"""The backtest's loop around the engine: feed, record, send, feed the answers.

Owns no trading rule. Per minute: the clock, the venue's fills, the minute's bars, the candles that
are complete; every answer of the venue is fed before the next input. The facts of a step are
folded by the engine and handed to `keep`, if someone wants to keep them, before its commands go.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import NamedTuple

from algo_trader.backtest.equity import EquityCurve
from algo_trader.core.events import Fact, Report, SignalDecided
from algo_trader.core.pnl import Trade
from algo_trader.core.types import MINUTE, Bar, ExitReason, Instant
from algo_trader.engine.engine import Engine
from algo_trader.engine.hands import NOTHING, Step
from algo_trader.feeds.collector import collector_past_the_present
from algo_trader.feeds.tape import TapeDay
from algo_trader.venue.venue import Venue

Keep = Callable[[Sequence[Fact]], None]
Progress = Callable[[], None]


class Outcome(NamedTuple):
    """What a run left behind."""

    trades: list[Trade]
    curve: EquityCurve
    bars: int
    candles: int


class Runner:
    """One run of an engine over a tape on a venue.

    `signals` counts them by the risk rule that refused them; None stands for those taken.
    """

    def __init__(self, engine: Engine, venue: Venue, keep: Keep | None = None) -> None:
        self.engine = engine
        self.venue = venue
        self.trades: list[Trade] = []
        self.curve = EquityCurve(venue.account.cash)
        self.signals: Counter[str | None] = Counter()
        self._keep = keep

    def run(
        self,
        account: str,
        warm_up: Sequence[TapeDay],
        period: Sequence[TapeDay],
        progress: Progress | None = None,
    ) -> Outcome:
        """Warm the averages on past days, then trade the period to its last bar."""
        engine = self.engine
        bars = 0
        for day in warm_up:
            engine.warm_up(day.session, day.minutes)
            bars += count_bars(day)
        start = period[0].session.opens_at
        self._carry_out(engine.open_account(account, self.venue.account.cash, start), start)
        with collector_past_the_present():
            for day in period:
                self._trade_day(day, is_last=day is period[-1])
                bars += count_bars(day)
                if progress is not None:
                    progress()
        return Outcome(
            self.trades, self.curve, bars, sum(lane.candles for lane in engine.lanes)
        )

    def _trade_day(self, day: TapeDay, *, is_last: bool) -> None:
        engine, curve, book = self.engine, self.curve, self.engine.book
        opens_at = day.session.opens_at
        self._carry_out(engine.open_session(day.session), opens_at)
        minutes: Sequence[tuple[Bar, ...]] = day.minutes
        if is_last:
            # The clock of a backtest stops after the last minute that has a bar.
            minutes = minutes[: (day.last_minute - opens_at) // MINUTE + 1]
        on_clock, match, on_minute = engine.on_clock, self.venue.match, engine.on_minute
        due = engine.due
        moved = True  # Whether cash may have changed since equity was marked.
        now = opens_at
        for bars in minutes:
            start, now = now, now + MINUTE
            if start >= engine.wakes_at:
                self._carry_out(on_clock(start), start)
                moved = self._candles(start) or moved
            held = book.positions > 0
            for bar in bars:
                reports = match(bar)
                if reports:
                    held = True
                    self._feed(reports, start)
                    # Once more for the stops that answered these fills, by the entry-bar rule.
                    self._feed(self.venue.match_entry_bar(bar), start)
            step = on_minute(start, bars)
            if held:
                curve.mark_held(engine.equity_marked)
                moved = True
            elif moved:
                curve.mark_flat(book.cash)
                moved = False
            if step is not NOTHING:
                self._carry_out(step, now)
                moved = True
            if due:
                moved = self._candles(now) or moved
        if is_last:
            self._carry_out(engine.close_positions(ExitReason.END_OF_DATA), now)
        else:
            self._feed(self.venue.end_session(now), now)
        self.trades.extend(book.day.trades)
        curve.close_session(day.session, engine.equity())

    def _candles(self, now: Instant) -> bool:
        """Every completed candle, its answers fed before the next; whether anything came of it."""
        engine = self.engine
        due, on_candle_due = engine.due, engine.on_candle_due
        moved = False
        while due:
            step = on_candle_due()
            if step is not NOTHING:
                moved = True
                self._carry_out(step, now)
            if engine.has_line:
                engine.settled()
        return moved

    def _carry_out(self, step: Step, now: Instant) -> None:
        if self._keep is not None and step.facts:
            self._keep(step.facts)
        for fact in step.facts:
            if isinstance(fact, SignalDecided):
                self.signals[fact.rule] += 1
        for command in step.commands:
            self._feed(self.venue.execute(command, now), now)

    def _feed(self, reports: Sequence[Report], now: Instant) -> None:
        for report in reports:
            self._carry_out(self.engine.on_report(report), now)


def count_bars(day: TapeDay) -> int:
    """Bars of all symbols in a day."""
    return sum(map(len, day.minutes))
