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

from collections.abc import Callable, Sequence
from decimal import Decimal

from algo_trader.core import events as ev
from algo_trader.core import work
from algo_trader.core.book import EXTERNAL, Book
from algo_trader.core.candles import OVERDUE_AFTER_S
from algo_trader.core.errors import IllegalTransition
from algo_trader.core.orders import Order, is_echo
from algo_trader.core.types import (
    MINUTE,
    ZERO,
    Bar,
    Candle,
    ExitReason,
    Instant,
    Role,
    Session,
    Symbol,
    text,
)
from algo_trader.engine import figures
from algo_trader.engine.breakers import Breakers
from algo_trader.engine.decisions import DecisionLine, Event, Sink
from algo_trader.engine.hands import NOTHING, Hands, Step
from algo_trader.engine.judge import SESSION_CUTOFF, Judge
from algo_trader.engine.lane import Lane
from algo_trader.risk.limits import RiskLimits
from algo_trader.risk.rules import RiskView

NOT_EVALUATED = "NOT_EVALUATED"

class Engine:
    """All strategies of one account.

    `due` holds the lanes whose candles wait for on_candle_due. `wakes_at` is the next instant at
    which on_clock has something to do that no other input has done; a driver may save itself the
    calls before it. `has_line` asks for `settled` once the answers are fed. `equity_marked` is
    equity after step 2 of the last minute that could change it.
    """

    def __init__(
        self, book: Book, lanes: Sequence[Lane], limits: RiskLimits, sink: Sink | None = None
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
        self._now: Instant = 0
        self._closes_at: Instant = 0
        self._flatten_from: Instant = 0
        self.wakes_at: Instant = 0
        self._symbols = len(self._lanes_on)
        self._pnl_moved = False
        self._alarm_at: Instant = 0
        self._hands = Hands(book, self._note if sink is not None else None)
        self._breakers = Breakers(book, self.marks, limits, self._hands)
        self._judge = Judge(book, self.marks, limits, self._hands, self._breakers)
        for lane in self.lanes:
            lane.tells = sink is not None

    # -- inputs --

    def open_account(self, account: str, cash: Decimal, now: Instant) -> Step:
        """Bind the book to a broker account."""
        if self.book.account != account:
            self._hands.record(ev.AccountPinned(at=now, account=account, cash=cash))
        return self._hands.step()

    def open_session(self, session: Session) -> Step:
        """A session begins: align candles, reset the daily figures."""
        self._closes_at = session.closes_at
        self._now = session.opens_at
        self.wakes_at = session.closes_at
        for lane in self.lanes:
            lane.open_session(session)
        self._flatten_from = self._alarm_at = min(lane.flatten_at for lane in self.lanes)
        opened = ev.SessionOpened(
            at=session.opens_at, session=session.date, equity=self.equity()
        )
        if session.date != self.book.session:
            self._hands.record(opened)
        # The book keeps a session's first equity, also when it is opened again after a restart.
        self._breakers.open_session(self.book.session_equity)
        return self._hands.step()

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
        if now > self._now:
            # In virtual time the minute before has ended at this very instant and settled all.
            self._now = now
            for holding in self.book.in_order():
                self._hands.settle(holding, self._now)
        return self._hands.step()

    def on_minute(self, start: Instant, bars: Sequence[Bar]) -> Step:
        """Steps 2 to 2c: the minute that began at `start` is over and these are its bars.

        Minutes come in ascending order; a symbol's bar comes once.
        """
        marks, lanes_on, due, book = self.marks, self._lanes_on, self.due, self.book
        for bar in bars:
            symbol = bar.symbol
            marks[symbol] = bar.close
            try:
                lanes = lanes_on[symbol]
            except KeyError:
                continue  # Held perhaps, but no longer traded: the mark is all it needs.
            for lane, add in lanes:
                if add(bar):
                    due.append(lane)
        if len(bars) < self._symbols:
            self.wakes_at = start + MINUTE  # Only a missing bar can leave a window overdue.
        if book.positions:
            worth = figures.worth(book, marks)
            self.equity_marked = book.cash + worth
            floor = self._breakers.floor
            if floor is None or worth.is_nan() or book.realized_today + worth - book.cost <= floor:
                self._breakers.check_daily_loss(start)
        elif self._pnl_moved:
            self._pnl_moved = False
            self.equity_marked = book.cash
            self._breakers.check_daily_loss(start)
        self._now = now = start + MINUTE
        if book.resting or now >= self._alarm_at:
            self._pass_time(now)
        hands = self._hands
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
            indicators = lane.indicators.update(candle)
        except (Exception, SystemExit) as error:  # A user's indicators may raise anything.
            raise lane.blame(candle.start, error) from error
        holding = lane.holding
        signal = NOT_EVALUATED
        if self._now >= lane.flatten_at:
            signal = SESSION_CUTOFF
        elif holding.qty:
            if candle.end > holding.opened_at and holding.exit_reason is None:
                self._judge.manage(lane, candle, indicators, self._now)
        elif candle.start >= holding.quiet_until and not (
            holding.entry or holding.stops or holding.exits or holding.late
        ):
            try:
                found = lane.strategy.signal(candle, indicators)
            except (Exception, SystemExit) as error:  # A user's code may raise anything.
                raise lane.blame(candle.start, error) from error
            if isinstance(found, str):
                signal = found
            else:
                signal = self._judge.consider(lane, candle, found, self._now)
        if self._sink is not None:
            self._line = (lane, candle, indicators, signal)
            self.has_line = True
        hands = self._hands
        return hands.step() if hands.facts else NOTHING

    def on_report(self, report: ev.Report) -> Step:
        """A broker's answer or update. An echo is nothing; an illegal one is a Discrepancy."""
        order = self.book.orders.get(report.order_id)
        if order is None:
            self._hands.record(
                ev.Discrepancy(
                    at=report.at, order_id=report.order_id, detail=f"unknown order: {report}"
                )
            )
            return self._hands.step()
        if is_echo(order, report):
            return NOTHING
        was_held = self.book.holdings[(order.strategy, order.request.symbol)].qty
        try:
            self._hands.record(report)
        except IllegalTransition as error:
            self._hands.record(
                ev.Discrepancy(at=report.at, order_id=report.order_id, detail=str(error))
            )
            return self._hands.step()
        self._follow(order, report, was_held=bool(was_held))
        return self._hands.step()

    def close_positions(self, reason: ExitReason) -> Step:
        """Decide the exit of every open position and cancel what rests."""
        for holding in self.book.in_order():
            if holding.entry is not None:
                cancel = work.CancelOrder(holding.entry.order_id, reason.upper())
                self._hands.cancel(cancel, self._now)
            if holding.qty and holding.exit_reason is None:
                self._hands.exit(holding, reason, self._now)
            self._hands.settle(holding, self._now)
        return self._hands.step()

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

    # -- figures --

    def equity(self) -> Decimal:
        """Cash plus positions at their last 1-minute closes; NaN while a close is missing."""
        return figures.equity(self.book, self.marks)

    def day_pnl(self) -> Decimal:
        """The session's realized P&L plus the unrealized P&L of what is open."""
        return figures.day_pnl(self.book, self.marks)

    def risk_view(self, symbol: Symbol) -> RiskView:
        """What the risk rules would look at if `symbol` signaled now."""
        return figures.risk_view(self.book, self.marks, symbol, is_ready=self._judge.is_ready)

    # -- inside --

    def _pass_time(self, now: Instant) -> None:
        """Steps 2b and 2c: what the passing of time alone brings about, by symbol.

        Nothing is held past the flatten time, entries end when they expire, what a broker refused
        is tried again, and the close ends every window. All else was settled when it happened.
        `_alarm_at` says from when on this is asked although no entry rests.
        """
        self._alarm_at = self._flatten_from
        for holding in self.book.in_order():
            if now >= self._flatten_from and holding.qty and holding.exit_reason is None:
                lane = self._lane_of.get((holding.strategy, holding.symbol))
                if lane is not None and now >= lane.flatten_at:
                    self._hands.exit(holding, ExitReason.END_OF_DAY, now)
                    self._hands.settle(holding, self._now)
                    continue
            self._hands.settle(holding, self._now)
            if holding.retry_at >= now:
                self._alarm_at = now
        if now >= self._closes_at:
            self._close_windows()

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
            if end + OVERDUE_AFTER_S <= now:
                lane.builder.close_window()
                self.due.append(lane)
            else:
                again = min(again, end + OVERDUE_AFTER_S)
        self.wakes_at = again

    def _follow(self, order: Order, report: ev.Report, *, was_held: bool) -> None:
        """What a broker's report leads to."""
        key = (order.strategy, order.request.symbol)
        holding = self.book.holdings[key]
        lane = self._lane_of.get(key)
        if isinstance(report, ev.OrderRefused | ev.CancelRefused):
            self._alarm_at = 0
        if isinstance(report, ev.OrderFilled):
            self._pnl_moved = True
            if order.role is Role.ENTRY:
                if holding.qty and holding.stop_price is None and order.stop_loss is not None:
                    self._hands.record(
                        ev.StopSet(
                            at=report.at,
                            strategy=order.strategy,
                            symbol=order.request.symbol,
                            price=order.stop_loss,
                        )
                    )
            elif was_held and not holding.qty:
                self._breakers.check_streak(report.at)
        if holding.is_active:
            self._hands.settle(holding, self._now)
        if isinstance(report, ev.OrderFilled):
            self._halt_on_stray(order, report)
        # The strategy hears of it last: whatever its own code does, the position is protected.
        if lane is not None and holding.qty and not was_held:
            lane.tell_opened()
        elif lane is not None and was_held and not holding.qty:
            lane.tell_closed(report.at)

    def _halt_on_stray(self, order: Order, report: ev.OrderFilled) -> None:
        """Shares that belong to no strategy of ours stop all new risk until an operator looks."""
        symbol = order.request.symbol
        stray = self.book.holdings.get((EXTERNAL, symbol))
        if stray is None or not stray.qty or self.book.halted is not None:
            return
        detail = f"{stray.side} {text(stray.qty)} {symbol} beyond our positions, by {report}"
        self._hands.record(
            ev.Discrepancy(at=report.at, order_id=report.order_id, detail=detail)
        )
        self._hands.record(ev.Halted(at=report.at, reason=detail))

    def _note(self, key: tuple[str, Symbol], event: Event) -> None:
        """Keep an event for the lane's next decision line."""
        lane = self._lane_of.get(key)
        if lane is not None:
            lane.events.append(event)

    def _warm(self, lane: Lane) -> None:
        for candle in lane.builder.ready:
            lane.indicators.update(candle)
            lane.candles += 1
        lane.builder.ready.clear()
