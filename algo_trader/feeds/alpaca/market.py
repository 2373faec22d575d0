"""The live market: the stream's bars, and REST for what the stream did not bring.

Owns whether the feed may be relied on (`is_fresh`) and how it comes to be so again. Bars that come
while a reconnect's gap is being filled wait for it, but not for long: what is late then becomes a
correction. Two times run here: market time, which a rehearsal makes faster, for all that concerns
bars and sessions; real time for waiting and for REST.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence

from algo_trader.core.errors import BrokerError
from algo_trader.core.inputs import PastDay
from algo_trader.core.ports import Inbox, LineState, TellLine
from algo_trader.core.session import SessionTable
from algo_trader.core.types import MINUTE, Instant, Symbol, iso
from algo_trader.feeds.alpaca import Log
from algo_trader.feeds.alpaca.feeding import Feeder
from algo_trader.feeds.alpaca.history import BarHistory
from algo_trader.feeds.alpaca.messages import Batch
from algo_trader.feeds.alpaca.ports import MarketClock, OpenStream, TellFresh
from algo_trader.feeds.alpaca.watchdog import MuteWatch

TICK_REAL_S = 0.01
"""The shortest time between two ticks; else they come each second of market time."""
OVERLAP_S = 180
"""A gap is filled from so long before the last bar: bars of other symbols may have been late."""
LOOK_AGAIN_S = 30
"""Market time after a fill at which REST is asked once more: it may lag behind the stream."""
HOLD_S = 10.0
"""Real time for which bars of the stream wait for the fill before them."""
AGAIN_S = 2.0
"""Real time between two attempts to fill a gap."""
SLOW_S, SLOW_REAL_S = 10, 1.0
"""A newest bar that comes so late after its end is told."""
QUIET_AFTER_S = 300


class LiveMarket:
    """core.ports.Market over a stream and REST. `speed` is market seconds in a real one."""

    def __init__(
        self,
        *,
        clock: MarketClock,
        sessions: SessionTable,
        symbols: Sequence[Symbol],
        interval_minutes: int,
        needed_candles: int,
        open_stream: OpenStream,
        history: BarHistory,
        log: Log,
        tell: TellLine = lambda state, reason: None,
        tell_fresh: TellFresh = lambda is_fresh, reason: None,
        speed: float = 1.0,
        real_clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        tick_s: float = 1.0,
    ) -> None:
        self.symbols = tuple(symbols)
        self._clock = clock
        self._interval_minutes = interval_minutes
        self._needed_candles = needed_candles
        self._history = history
        self._log = log
        self._tell = tell
        self._tell_fresh = tell_fresh
        self._speed = speed
        self._real = real_clock
        self._sleep = sleep
        self._tick_s = tick_s
        self._feeder = Feeder(sessions, interval_minutes, speed)
        self._watch = MuteWatch()
        self._line_state = LineState.CONNECTING
        self._line_reason = ""
        self._connections = 0
        self._stale_reason: str | None = "the market data stream is not connected yet"
        self._covered: Instant = 0
        self._needs_fill = False
        self._fill_from: Instant = 0
        self._look_again_at: float | None = None
        self._held: list[Batch] | None = None
        self._hold_until = 0.0
        self._told_halted: set[Symbol] = set()
        self._rest_is_silent = False
        self._is_slow = False
        self._lag_s = 0.0
        self._ticked = (asyncio.Event(), asyncio.Event())
        self.stream = open_stream(hear=self._hear, tell=self._line)

    # -- what others ask --

    @property
    def now(self) -> Instant:
        """Market time."""
        return self._clock.now()

    @property
    def is_fresh(self) -> bool:
        """Whether every bar there is has come: connected, not mute, no gap left to fill."""
        return self._stale_reason is None

    @property
    def stale_reason(self) -> str:
        """Why not; empty if it is fresh."""
        return self._stale_reason or ""

    @property
    def lag_s(self) -> float:
        """Market time from the end of the newest bar of the stream to its coming."""
        return self._lag_s

    @property
    def halted(self) -> Mapping[Symbol, Instant]:
        """Symbols whose trading is stopped, since when."""
        return self._feeder.halted

    @property
    def dropped(self) -> int:
        """Bars that were outside the session's regular hours, or ahead of the clock."""
        return self._feeder.dropped

    def last_bar_at(self, symbol: Symbol) -> Instant | None:
        """Start of the symbol's last bar of the present session."""
        return self._feeder.sequence.last.get(symbol)

    def quiet_symbols(self, after_s: int = QUIET_AFTER_S) -> list[Symbol]:
        """Symbols that trade and have had no bar for so long, in an open session."""
        session, now = self._feeder.session, self.now
        if session is None or not session.opens_at + after_s <= now < session.closes_at:
            return []
        since = now - after_s - MINUTE
        last = self._feeder.sequence.last
        return [symbol for symbol in self._trading() if last.get(symbol, 0) < since]

    async def past(self) -> Sequence[PastDay]:
        """Whole sessions to warm up on, and the present one so far; Unavailable or Unanswered."""
        now = self.now
        days = await self._history.past(
            self.symbols, now, interval_minutes=self._interval_minutes,
            needed=self._needed_candles,
        )  # fmt: skip
        self._feeder.begin(now, days)
        self._covered = now
        return days

    async def run(self, inbox: Inbox) -> None:
        """Feed the inbox for ever; only the inbox itself, or a mistake of ours, ends it."""
        self._feeder.inbox = inbox
        self._history.forget()
        if not self.is_fresh:
            self._tell_fresh(False, self.stale_reason)
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._tick_for_ever())
                group.create_task(self.stream.run())
                group.create_task(self._mind_line())
                group.create_task(self._mind_gaps())
        except BaseExceptionGroup as found:
            raise found.exceptions[0] from None

    async def _tick_for_ever(self) -> None:
        while True:
            late = self._feeder.tick(self.now)
            if late is not None and self._line_state is LineState.CONNECTED:
                self._hold_for_fill(late.opens_at)
                self._judge()
            if self._held is not None and self._real() >= self._hold_until:
                self._release()
            for ticked in self._ticked:
                ticked.set()
            left_s = self._tick_s - self._clock.precise() % self._tick_s
            await self._sleep(max(left_s / self._speed, TICK_REAL_S))

    # -- the stream --

    def _hear(self, batch: Batch) -> None:
        for halt in batch.halts:
            self._feeder.halt(halt, self.now)
        self._tell_halts()
        if self._held is not None:
            self._held.append(batch)
        else:
            self._feed(batch)

    def _feed(self, batch: Batch) -> None:
        now = self._clock.precise()
        if batch.bars:
            self._watch.heard(batch.bars, now, self._real())
            self._rest_is_silent = False
            self._measure(batch.bars[-1].start, now)
            fed = self._feeder.feed(batch.bars, int(now))
            self._tell_halts()
            if fed:
                self._covered = max(self._covered, fed[-1].start + MINUTE)
            if self._stale_reason is not None:
                self._judge()
        if batch.corrected:
            self._feeder.correct(batch.corrected, int(now))

    def _tell_halts(self) -> None:
        """Log which symbols have stopped or resumed trading since it was told last."""
        halted = self._feeder.halted.keys()
        if halted != self._told_halted:
            for symbol in sorted(halted - self._told_halted):
                self._log("trading_halted", level="warning", symbol=symbol)
            for symbol in sorted(self._told_halted - halted):
                self._log("trading_resumed", symbol=symbol)
            self._told_halted = set(halted)

    def _release(self) -> None:
        """Feed what has waited for a fill."""
        held, self._held = self._held, None
        for batch in held or ():
            self._feed(batch)

    def _measure(self, newest: Instant, now: float) -> None:
        """How late bars come; a feed or a process that falls behind is told once."""
        self._lag_s = now - newest - MINUTE
        is_slow = self._lag_s > max(SLOW_S, SLOW_REAL_S * self._speed)
        if is_slow is not self._is_slow:
            self._is_slow = is_slow
            self._log(
                "bars_come_late" if is_slow else "bars_come_in_time",
                level="warning" if is_slow else "info", lag_s=round(self._lag_s, 1),
            )  # fmt: skip

    # -- the line --

    def _line(self, state: LineState, reason: str) -> None:
        self._line_state, self._line_reason = state, reason
        if state is LineState.CONNECTED:
            self._watch.connected(self._clock.precise(), self._real())
            self._connections += 1
            self._hold_for_fill(self._covered - OVERLAP_S)
        elif self._held is not None:
            self._release()
        self._tell(state, reason)
        self._judge()

    def _hold_for_fill(self, begin: Instant) -> None:
        """Bars from `begin` on may have gone by; what a lost connection has left unfilled is still
        to be filled.
        """
        self._fill_from = min(self._fill_from, begin) if self._needs_fill else begin
        self._needs_fill = True
        self._held = self._held or []
        self._hold_until = self._real() + HOLD_S
        self._ticked[0].set()

    def _judge(self) -> None:
        """Find out whether the feed is fresh, and tell a change."""
        stale: str | None = None
        if self._line_state is not LineState.CONNECTED:
            stale = f"the market data stream is {self._line_state}"
            if self._line_reason:
                stale = f"{stale}: {self._line_reason}"
        elif self._watch.is_mute:
            stale = "the market data stream is mute: it brings no bars although there are some"
        elif self._needs_fill:
            stale = "bars missed while the market data stream was away are not filled in yet"
        elif self._rest_is_silent:
            stale = "no bars by the stream, and REST does not say whether there are any"
        if stale != self._stale_reason:
            self._stale_reason = stale
            self._tell_fresh(stale is None, stale or "")

    # -- REST --

    async def _mind_line(self) -> None:
        """After each connection fill the gap before it; later see whether it is mute."""
        ticked = self._ticked[0]
        while True:
            await ticked.wait()
            ticked.clear()
            try:
                if self._needs_fill:
                    await self._fill()
                elif self._look_again_at is not None and self.now >= self._look_again_at:
                    self._look_again_at = None
                    await self._fill_gap()
                await self._look_for_silence()
            except BrokerError as error:
                self._log("gap_not_filled", level="warning", reason=str(error))
                await self._sleep(AGAIN_S)

    async def _fill(self) -> None:
        """Fill the gap before this connection; then what has waited may follow."""
        if self._line_state is not LineState.CONNECTED:
            return
        connection = self._connections
        self._feeder.tick(self.now)
        await self._fill_gap()
        if self._connections != connection or self._line_state is not LineState.CONNECTED:
            return  # Lost meanwhile; the next connection fills its own.
        self._needs_fill = False
        self._look_again_at = self.now + LOOK_AGAIN_S
        self._release()
        self._judge()

    async def _fill_gap(self) -> None:
        session, now = self._feeder.session, self.now
        if session is None:
            return
        first = max(session.opens_at, self._fill_from - self._fill_from % MINUTE)
        last = min(now, session.closes_at) - MINUTE
        last -= last % MINUTE
        if first <= last:
            await self._fetch(self.symbols, first, last, "gap_filled")
            self._covered = max(self._covered, last + MINUTE)

    async def _look_for_silence(self) -> None:
        session, watch = self._feeder.session, self._watch
        if session is None or self._line_state is not LineState.CONNECTED or self._needs_fill:
            return
        if not watch.is_due(self._clock.precise(), self._real(), session):
            return
        trading = self._trading()
        if not trading:
            return
        try:
            latest = await self._history.latest(trading)
        except BrokerError as error:
            self._rest_is_silent = True
            watch.look_later(self._clock.precise())
            self._log("silence_unexplained", level="warning", reason=str(error))
            self._judge()
            return
        self._rest_is_silent = False
        missed = watch.judge(self._clock.precise(), session, latest)
        self._judge()
        if missed:
            self.stream.reconnect(
                f"the stream is mute: it did not bring the bar of {missed[0]} at"
                f" {iso(latest[missed[0]].start)}"
            )
        else:
            self._log("market_is_quiet")

    async def _mind_gaps(self) -> None:
        """The 90-second rule, connected or not."""
        ticked = self._ticked[1]
        while True:
            await ticked.wait()
            ticked.clear()
            if self._feeder.session is None or self._held is not None:
                continue
            gap = self._feeder.gap(self._clock.precise(), self.symbols)
            if gap is not None:
                try:
                    await self._fetch(gap.symbols, gap.first, gap.last, "window_filled")
                except BrokerError as error:
                    self._log("gap_not_filled", level="warning", reason=str(error))

    async def _fetch(
        self, symbols: Iterable[Symbol], first: Instant, last: Instant, event: str
    ) -> None:
        """Ask REST for these minutes of the present session, and feed what was not fed yet."""
        session = self._feeder.session
        found = await self._history.bars(symbols, first, last)
        if session is not None:
            fed = self._feeder.feed_found(session, found, self.now)
            if fed:
                self._log(event, bars=len(fed), symbols=len({bar.symbol for bar in fed}))

    def _trading(self) -> list[Symbol]:
        halted = self._feeder.halted
        return [symbol for symbol in self.symbols if symbol not in halted]
