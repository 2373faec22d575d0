"""After a restart: what the engine would know if it had been there all along.

Averages, open candles, marks and the state of the strategies are no facts; they are functions of
the bars and of the fills on record, and are rebuilt here from both. No entry is decided for a
candle of the past. A position is managed: what was decided before says nothing new, and what a
candle that closed while nobody was there asks for, a better stop or an exit, is done now.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from algo_trader.core.inputs import PastDay
from algo_trader.core.types import Candle, Instant
from algo_trader.engine.lane import Lane

if TYPE_CHECKING:
    from algo_trader.engine.engine import Engine


def rebuild(engine: Engine, days: Sequence[PastDay], now: Instant) -> None:
    """Show the engine the days before `now`, then do what the time away has left to be done.

    What the engine has seen of them already is passed over.
    """
    engine.now = now
    for lane in engine.lanes:
        if not lane.candles:
            lane.is_told = False  # A fill found out at the start is told again, in its place.
    for day in days:
        session = day.session
        is_present = session.opens_at <= now < session.closes_at
        if is_present:
            engine.begin_session(session)
        else:
            for lane in engine.lanes:
                lane.open_session(session)
        _show_bars(engine, day, is_present=is_present)
        if is_present:
            engine.now = engine.wakes_at = now
            engine.pass_time(now)
    for lane in engine.lanes:
        if lane.holding.qty and not lane.is_told:
            lane.tell_opened()
    engine.settle_all()


def _show_bars(engine: Engine, day: PastDay, *, is_present: bool) -> None:
    lanes_on = {lane.symbol: [] for lane in engine.lanes}  # type: dict[str, list[Lane]]
    for lane in engine.lanes:
        lanes_on[lane.symbol].append(lane)
    for bars in day.minutes:
        if is_present:
            engine.remember(bars)
        for bar in bars:
            engine.marks[bar.symbol] = bar.close
            for lane in lanes_on.get(bar.symbol, ()):
                if lane.builder.add(bar):
                    _show_candles(engine, lane, is_present)
    if not is_present:
        for lane in engine.lanes:
            if lane.builder.close_window():
                _show_candles(engine, lane, is_present)


def _show_candles(engine: Engine, lane: Lane, is_present: bool) -> None:
    for candle in lane.builder.ready:
        try:
            _show(engine, lane, candle, is_present)
        except (Exception, SystemExit) as error:  # A user's code may raise anything.
            raise lane.blame(candle.start, error) from error
    lane.builder.ready.clear()


def _show(engine: Engine, lane: Lane, candle: Candle, is_present: bool) -> None:
    lane.last_indicators = indicators = lane.indicators.update(candle)
    lane.candles += 1
    if _was_held(lane, candle):
        if not lane.is_told:
            lane.tell_opened()
        if lane.holding.exit_reason is None:
            engine.judge.manage(lane, candle, indicators, engine.now)
    elif is_present:
        lane.strategy.signal(candle, indicators)


def _was_held(lane: Lane, candle: Candle) -> bool:
    """Whether the position that is open now was open when the candle was looked at."""
    return bool(lane.holding.qty) and candle.end > lane.holding.opened_at
