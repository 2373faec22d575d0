"""The trading floor: plays recorded sessions minute by minute over a desk, in virtual time.

Owns when things happen. For the minute that begins at t: at t the bars of the minute before are
published, at t + 30 s the orders that rest meet the minute's bars in order of symbol, at t + 59 s
the stops that answered those fills meet the same bars. The bars of the last minute are published at
the close, then the session ends. Virtual time never passes a step that has not been played, and a
floor that comes late by more than a little makes time wait, so a client always has nearly the same
virtual time to answer. A little is made up for, lest clients that count by themselves run ahead.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import NamedTuple

from algo_trader.core.types import MINUTE, Bar, Instant, Session, Symbol
from algo_trader.exchange.clock import VirtualClock
from algo_trader.exchange.desk import Desk
from algo_trader.feeds.tape import MinuteBars, TapeDay

MATCH_AFTER_S = 30
ENTRY_BAR_AFTER_S = 59
SLACK_S = 5
"""Virtual seconds a step may be late without time being put back to it."""


class Step(NamedTuple):
    """Something that happens at the virtual instant `due`."""

    due: float
    deed: Callable[[float], None]


class Floor:
    """Plays `period` on a desk; `history` are the days before it.

    `on_bars(bars, now)` is called when a minute is published, also without any bar, and
    `on_session(session, is_open)` when one opens and when it has ended. A night is run through at
    the clock's speed; with `jumps` all of it is left out but for `linger_s` after the close and
    `lead_s` before the open, virtual seconds. The clock is put `lead_s` before the first open.
    """

    def __init__(
        self,
        desk: Desk,
        clock: VirtualClock,
        *,
        period: Sequence[TapeDay],
        history: Sequence[TapeDay] = (),
        jumps: bool = True,
        lead_s: float = 300,
        linger_s: float = 300,
    ) -> None:
        if not period:
            raise ValueError("there is no session to play")
        self.desk = desk
        self.clock = clock
        self.on_bars: Callable[[Sequence[Bar], float], None] = lambda bars, now: None
        self.on_session: Callable[[Session, bool], None] = lambda session, is_open: None
        self._period = period
        self._jumps = jumps
        self._lead_s, self._linger_s = lead_s, linger_s
        self._halted: set[Symbol] = set()
        self._traded: list[Bar] = []
        self._filled: list[Bar] = []
        self._published: dict[Symbol, list[Bar]] = {}
        self._starts: dict[Symbol, list[Instant]] = {}
        for day in history:
            for bars in day.minutes:
                self._keep(bars)
        for rows in self._published.values():
            desk.see(rows[-1])
        clock.set(period[0].session.opens_at - lead_s)
        self._steps = self._plan()
        self._next = next(self._steps, None)

    # -- time --

    def now(self) -> float:
        """Virtual time, at most that of the next step."""
        now = self.clock.now()
        return now if self._next is None else min(now, self._next.due)

    @property
    def next_due(self) -> float | None:
        """When the next step is to be played; None after the last."""
        return None if self._next is None else self._next.due

    def begin(self) -> None:
        """Set the clock going."""
        self.clock.begin()

    async def run(self) -> None:
        """Play every step that is left, each when its time has come."""
        while self._next is not None:
            await self.clock.sleep_until(self._next.due)
            self.step()

    def step(self) -> bool:
        """Play the next step now, whatever the clock says, which is put to it unless it runs and is
        hardly late; False if none is left."""
        step = self._next
        if step is None:
            return False
        if not (self.clock.is_running and 0 <= self.clock.now() - step.due <= SLACK_S):
            self.clock.set(step.due)
        step.deed(step.due)
        self._next = next(self._steps, None)
        return True

    def step_until(self, instant: float) -> None:
        """Play every step that is due until `instant`, and put the clock there."""
        while self._next is not None and self._next.due <= instant:
            self.step()
        self.clock.set(instant)

    # -- what can be seen and done from outside --

    def history(
        self, symbols: Sequence[Symbol], start: float, end: float
    ) -> dict[Symbol, list[Bar]]:
        """The published bars that start in [start, end], of the days before the period too; only
        symbols that have one."""
        found: dict[Symbol, list[Bar]] = {}
        for symbol in symbols:
            starts = self._starts.get(symbol, [])
            first, last = bisect_left(starts, start), bisect_right(starts, end)
            if first < last:
                found[symbol] = self._published[symbol][first:last]
        return found

    def halt(self, symbol: Symbol, is_halted: bool) -> None:
        """Stop the trading of a symbol, or let it go on: the bars of a halt are lost."""
        (self._halted.add if is_halted else self._halted.discard)(symbol)

    # -- the plan --

    def _plan(self) -> Iterator[Step]:
        for number, day in enumerate(self._period):
            session = day.session
            if number and self._jumps:
                wake = session.opens_at - self._lead_s
                asleep = self._period[number - 1].session.closes_at + self._linger_s
                if asleep < wake:
                    yield Step(asleep, partial(self._sleep_to, wake))
            yield Step(session.opens_at, partial(self._open, session))
            for minute, bars in enumerate(day.minutes):
                start = session.opens_at + minute * MINUTE
                if minute:
                    yield Step(start, self._publish)
                yield Step(start + MATCH_AFTER_S, partial(self._match, bars))
                yield Step(start + ENTRY_BAR_AFTER_S, self._match_entry_bars)
            yield Step(session.closes_at, partial(self._close, session))

    def _sleep_to(self, wake: float, now: float) -> None:
        self.clock.set(wake)

    def _open(self, session: Session, now: float) -> None:
        self.desk.open_session(session, now)
        self.on_session(session, True)

    def _match(self, bars: MinuteBars, now: float) -> None:
        self._traded = [bar for bar in bars if bar.symbol not in self._halted]
        self._filled = [bar for bar in self._traded if self.desk.match(bar, now)]

    def _match_entry_bars(self, now: float) -> None:
        for bar in self._filled:
            self.desk.match_entry_bar(bar, now)
        self._filled = []

    def _publish(self, now: float) -> None:
        bars, self._traded = self._traded, []
        self._keep(bars)
        self.on_bars(bars, now)

    def _close(self, session: Session, now: float) -> None:
        self._publish(now)
        self.desk.end_session(now)
        self.on_session(session, False)

    def _keep(self, bars: Sequence[Bar]) -> None:
        for bar in bars:
            self._published.setdefault(bar.symbol, []).append(bar)
            self._starts.setdefault(bar.symbol, []).append(bar.start)
