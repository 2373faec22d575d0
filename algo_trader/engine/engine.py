"""The engine owns the order of events: inputs in, facts to record and commands to send out.

Inputs come in the order of the details page ("The minute"):

    on_clock(t)        0   time passes: overdue windows close, entries past their time are canceled
    on_report(fact)    1   a broker's answer or update: fills, stop-outs, confirmations
    on_minute(t, bars) 2   last closes; daily loss   2b  flatten   2c  entries that expire by t + 1
    on_candle_due()    3   one completed candle through the strategy, risk and the desk

Each returns a Step. The driver makes the step's facts durable, then sends its commands and feeds
the answers back; the engine has folded the facts already, so a driver that cannot record must end
the process. Nothing here waits, and time comes only inside inputs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal

from algo_trader.core import events as ev
from algo_trader.core import work
from algo_trader.core.book import EXTERNAL, Book
from algo_trader.core.candles import OVERDUE_AFTER_S
from algo_trader.core.types import (
    MINUTE,
    ZERO,
    Bar,
    Candle,
    ExitReason,
    Instant,
    Session,
    Symbol,
)
from algo_trader.engine import figures
from algo_trader.engine.breakers import Breakers
from algo_trader.engine.corrections import Corrections
from algo_trader.engine.decisions import DecisionLine, Event, Sink
from algo_trader.engine.hands import NOTHING, Hands, Step
from algo_trader.engine.judge import SESSION_CUTOFF, Judge
from algo_trader.engine.lane import Lane
from algo_trader.engine.listener import Listener
from algo_trader.engine.protect import reached_targets
from algo_trader.risk.limits import RiskLimits
from algo_trader.risk.rules import RiskView

NOT_EVALUATED = "NOT_EVALUATED"

class Engine:
    """All strategies of one account.

    `due` holds the lanes whose candles wait for on_candle_due. `wakes_at` is the next instant at
    which on_clock has something to do that no other input has done; a driver may save itself the
    calls before it. `has_line` asks for `settled` once the answers are fed. `equity_marked` is
    equity after step 2 of the last minute that could change it.

    `patience_s` is for the system's clock: a window is closed so many seconds after its end, at the
    session's close too, and what the market corrects later is taken in. None is virtual time, where
    the minutes themselves say what is late. `judge` and `listener` are what it asks about signals
    and tells reports; `corrections` is None in virtual time.
    """

    def __init__(
        self,
        book: Book,
        lanes: Sequence[Lane],
        limits: RiskLimits,
        sink: Sink | None = None,
        *,
        patience_s: int | None = None,
    ) -> None:
        self.book = book
        self.lanes = sorted(lanes, key=lambda lane: lane.key)
        self.limits = limits
        self.marks: dict[Symbol, Decimal] = {}
        self.due: list[Lane] = []
        self.equity_marked: Decimal = ZERO
        self._sink = sink
        self.has_line = False
        self._line: tuple[Lane, Candle, object, str] | None = None
        self._lane_of = {(lane.name, lane.symbol): lane for lane in self.lanes}
        self._lanes_on: dict[Symbol, list[tuple[Lane, Callable[[Bar], bool]]]] = {}
        for lane in self.lanes:
            self._lanes_on.setdefault(lane.symbol, []).append((lane, lane.builder.add))
        self.now: Instant = 0
        self.session: Session | None = None
        self._closes_at: Instant = 0
        self._overdue_s = OVERDUE_AFTER_S if patience_s is None else patience_s
        self._close_wait_s = patience_s or 0
        self.corrections = None if patience_s is None else Corrections(self.lanes)
        self._flatten_from: Instant = 0
        self.wakes_at: Instant = 0
        self._symbols = len(self._lanes_on)
        self._alarm_at: Instant = 0
        self.hands = Hands(book, self._note if sink is not None else None)
        if patience_s is not None:
            self.hands.rests_from = 0
        self._breakers = Breakers(book, self.marks, limits, self.hands)
        self.judge = Judge(book, self.marks, limits, self.hands, self._breakers)
        self.listener = Listener(
            book, self.marks, self.hands, self._breakers, self.judge, self._lane_of
        )
        for lane in self.lanes:
            lane.tells = sink is not None

    # -- inputs --

    def open_account(self, account: str, cash: Decimal, now: Instant) -> Step:
        """Bind the book to a broker account."""
        if self.book.account != account:
            self.hands.record(ev.AccountPinned(at=now, account=account, cash=cash))
        return self.hands.step()

    def open_session(self, session: Session) -> Step:
        """A session begins: align candles, reset the daily figures."""
        self.begin_session(session)
        return self.hands.step()

    def begin_session(self, session: Session) -> None:
        """`open_session` for one of several: `hands.step` hands over what they led to."""
        self.session = session
        self._closes_at = session.closes_at
        if self.corrections is not None:
            self.hands.rests_from = session.closes_at
            self.now = max(self.now, session.opens_at)  # It may have begun before this process.
        else:
            self.now = session.opens_at
        self.wakes_at = session.closes_at
        for lane in self.lanes:
            lane.open_session(session)
        self._flatten_from = self._alarm_at = min(lane.flatten_at for lane in self.lanes)
        opened = ev.SessionOpened(
            at=session.opens_at, session=session.date, equity=self.equity()
        )
        if session.date != self.book.day.date:
            self.hands.record(opened)
        # The book keeps a session's first equity, also when it is opened again after a restart.
        self._breakers.open_session(self.book.day.equity)
        self._end_what_stayed_overnight(session)

    def warm_up(self, session: Session, minutes: Sequence[Sequence[Bar]]) -> None:
        """Feed a past session to the averages alone: no decisions, no facts."""
        for lane in self.lanes:
            lane.open_session(session)
        for bars in minutes:
            for bar in bars:
                for lane, add in self._lanes_on.get(bar.symbol, ()):
                    add(bar)
                    self._warm(lane)
        for lane in self.lanes:
            lane.builder.close_window()
            self._warm(lane)

    def on_clock(self, now: Instant) -> Step:
        """Step 0 of the minute that begins now; also the heartbeat of a live clock."""
        if now >= self.wakes_at:
            self._close_overdue(now)
        if now > self.now:
            # In virtual time the minute before has ended at this very instant and settled all.
            self.now = now
            self.pass_time(now)
        return self.hands.step()

    def on_minute(self, start: Instant, bars: Sequence[Bar]) -> Step:
        """Steps 2 to 2c: the minute that began at `start` is over and these are its bars.

        Minutes come in ascending order; a symbol's bar comes once. A minute may come in pieces,
        some of its bars later than others.
        """
        if self.corrections is not None:
            self.corrections.keep(bars)
        marks, lanes_on, due, book = self.marks, self._lanes_on, self.due, self.book
        for bar in bars:
            symbol = bar.symbol
            marks[symbol] = bar.close
            try:
                lanes = lanes_on[symbol]
            except KeyError:
                continue  # Held perhaps, but no longer traded: the mark is all it needs.
            for lane, add in lanes:
                if add(bar) and lane not in due:
                    due.append(lane)
        if len(bars) < self._symbols or self.corrections is not None:
            # Only a missing bar leaves a window overdue, and live no minute says what is missing.
            self.wakes_at = start + MINUTE
        if book.positions:
            worth = figures.worth(book, marks)
            self.equity_marked = book.cash + worth
            floor = self._breakers.floor
            if floor is None or worth.is_nan() or book.day.realized + worth - book.cost <= floor:
                self._breakers.check_daily_loss(start)
            if book.targets:
                self._take_profits(start + MINUTE)
        elif self.listener.pnl_moved:
            self.listener.pnl_moved = False
            self.equity_marked = book.cash
            self._breakers.check_daily_loss(start)
        now = start + MINUTE
        if now < self.now:
            now = self.now
        self.now = now
        if book.resting or now >= self._alarm_at or self.listener.was_refused:
            self.pass_time(now)
        hands = self.hands
        return hands.step() if hands.facts else NOTHING

    def on_candle_due(self) -> Step:
        """Step 3 (and 0): the oldest completed candle of the first lane that has one."""
        lane = self.due[0]
        ready = lane.builder.ready
        candle = ready.pop(0)
        if not ready:
            del self.due[0]
        lane.candles += 1
        try:
            lane.last_indicators = indicators = lane.indicators.update(candle)
        except (Exception, SystemExit) as error:  # A user's indicators may raise anything.
            raise lane.blame(candle.start, error) from error
        holding = lane.holding
        signal = NOT_EVALUATED
        if self.now >= lane.flatten_at:
            signal = SESSION_CUTOFF
        elif holding.qty:
            if candle.end > holding.opened_at and holding.exit_reason is None:
                self.judge.manage(lane, candle, indicators, self.now)
        elif candle.start >= holding.quiet_until and not (
            holding.entry or holding.stops or holding.exits or holding.late or holding.targets
        ):
            try:
                found = lane.strategy.signal(candle, indicators)
            except (Exception, SystemExit) as error:  # A user's code may raise anything.
                raise lane.blame(candle.start, error) from error
            if isinstance(found, str):
                signal = found
            else:
                signal = self.judge.consider(lane, candle, found, self.now)
        if self._sink is not None:
            self._line = (lane, candle, indicators, signal)
            self.has_line = True
        hands = self.hands
        return hands.step() if hands.facts else NOTHING

    def on_report(self, report: ev.Report) -> Step:
        """A broker's answer or update. An echo is nothing; an illegal one is a Discrepancy."""
        self.report(report)
        return self.hands.step()

    def report(self, report: ev.Report) -> None:
        """`on_report` for one of several: `hands.step` hands over what they led to."""
        self.listener.hear(report, self.now)

    def settle_all(self) -> None:
        """Do what is left to do for every holding."""
        for holding in self.book.in_order():
            self.hands.settle(holding, self.now)

    def close_positions(self, reason: ExitReason) -> Step:
        """Decide the exit of every open position and cancel what rests."""
        self.cancel_entries(reason.upper())
        for holding in self.book.in_order():
            if holding.qty and holding.exit_reason is None:
                self.hands.exit(holding, reason, self.now)
            self.hands.settle(holding, self.now)
        return self.hands.step()

    def cancel_entries(self, reason: str) -> None:
        """Ask for the cancel of every order that could open a position."""
        for holding in self.book.in_order():
            entry = holding.entry
            if entry is not None and work.may_cancel(entry, self.now):
                self.hands.cancel(work.CancelOrder(entry.order_id, reason), self.now)

    def settled(self) -> None:
        """Every answer to the last candle has been fed: hand over its decision line."""
        if self._line is None or self._sink is None:
            return
        lane, candle, indicators, signal = self._line
        self._line = None
        self.has_line = False
        events, lane.events = lane.events, []
        try:
            label = lane.strategy.label(candle)
        except (Exception, SystemExit) as error:  # A user's code may raise anything.
            raise lane.blame(candle.start, error) from error
        self._sink(
            DecisionLine(lane.name, candle, indicators, label, signal, events, lane.holding)
        )

    def take_prices(self, prices: Mapping[Symbol, Decimal]) -> None:
        """The broker's word on prices: of symbols without bars always, else until a bar has come.
        """
        for symbol, price in prices.items():
            if symbol not in self._lanes_on:
                self.marks[symbol] = price
            else:
                self.marks.setdefault(symbol, price)

    def remember(self, bars: Sequence[Bar]) -> None:
        """Bars of the present session that were shown without a decision: they may be corrected."""
        if self.corrections is not None:
            self.corrections.keep(bars)

    def change_limits(self, limits: RiskLimits) -> None:
        """Other limits from the next signal on; the day's loss is measured by them at once."""
        self.limits = limits
        self.judge.limits = limits
        self._breakers.limits = limits
        self._breakers.open_session(self.book.day.equity)

    @property
    def is_ready(self) -> bool:
        """Whether new risk may be taken: reconciled, warmed up, streams fresh."""
        return self.judge.is_ready

    @is_ready.setter
    def is_ready(self, is_ready: bool) -> None:
        self.judge.is_ready = is_ready

    # -- figures --

    def equity(self) -> Decimal:
        """Cash plus positions at their last 1-minute closes; NaN while a close is missing."""
        return figures.equity(self.book, self.marks)

    def day_pnl(self) -> Decimal:
        """The session's realized P&L plus the unrealized P&L of what is open."""
        return figures.day_pnl(self.book, self.marks)

    @property
    def daily_loss_floor(self) -> Decimal | None:
        """The day's P&L at which the daily loss trips; None before the first session."""
        return self._breakers.floor

    def risk_view(self, symbol: Symbol) -> RiskView:
        """What the risk rules would look at if `symbol` signaled now."""
        return self.judge.view(symbol)

    # -- inside --

    def pass_time(self, now: Instant) -> None:
        """Steps 2b and 2c: what the passing of time alone brings about, by symbol.

        Nothing is held past the flatten time, entries end when they expire, what a broker refused
        is tried again, and the close ends every window. All else was settled when it happened.
        `_alarm_at` says from when on this is asked although no entry rests.
        """
        self._alarm_at = self._flatten_from
        self.listener.was_refused = False
        for holding in self.book.in_order():
            is_ending = self._flatten_from <= now <= self._closes_at
            if is_ending and holding.qty and holding.exit_reason is None:
                lane = self._lane_of.get((holding.strategy, holding.symbol))
                # What is no longer traded ends with the first of what is.
                is_due = holding.strategy != EXTERNAL if lane is None else now >= lane.flatten_at
                if is_due:
                    self.hands.exit(holding, ExitReason.END_OF_DAY, now)
                    self.hands.settle(holding, self.now)
                    continue
            self.hands.settle(holding, self.now)
            if holding.retry_at >= now:
                self._alarm_at = now
        if now >= self._closes_at + self._close_wait_s:
            self._close_windows()

    def _take_profits(self, now: Instant) -> None:
        """Targets that no order at the broker stands for are ours to keep."""
        for holding in reached_targets(self.book, self.marks):
            self.hands.exit(holding, ExitReason.TARGET, now)
            self.hands.settle(holding, now)

    def _end_what_stayed_overnight(self, session: Session) -> None:
        """A position that no flatten time ended, because we or the broker were away, ends now."""
        for holding in self.book.in_order():
            if not holding.qty or holding.opened_at >= session.opens_at:
                continue
            if holding.strategy != EXTERNAL and holding.exit_reason is None:
                self.hands.exit(holding, ExitReason.END_OF_DAY, self.now)
            self.hands.settle(holding, self.now)

    def _close_windows(self) -> None:
        """The session is over: candles that lack their last minute are late."""
        for lane in self.lanes:
            if lane.builder.close_window() and lane not in self.due:
                self.due.append(lane)
        self.due.sort(key=lambda lane: lane.key)

    def _close_overdue(self, now: Instant) -> None:
        """Close windows that still lack their last minute, and say when to look again."""
        again = self._closes_at
        for lane in self.lanes:
            end = lane.builder.window_end
            if not end:
                continue
            if end + self._overdue_s <= now:
                lane.builder.close_window()
                if lane not in self.due:
                    self.due.append(lane)
            else:
                again = min(again, end + self._overdue_s)
        self.wakes_at = again

    def _note(self, key: tuple[str, Symbol], event: Event) -> None:
        """Keep an event for the lane's next decision line."""
        lane = self._lane_of.get(key)
        if lane is not None:
            lane.events.append(event)

    def _warm(self, lane: Lane) -> None:
        for candle in lane.builder.ready:
            lane.last_indicators = lane.indicators.update(candle)
            lane.candles += 1
        lane.builder.ready.clear()
