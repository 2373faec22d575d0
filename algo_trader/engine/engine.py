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
from typing import Any, NamedTuple

from algo_trader.core import events as ev
from algo_trader.core import work
from algo_trader.core.book import Book, Holding
from algo_trader.core.candles import OVERDUE_AFTER_S
from algo_trader.core.errors import IllegalTransition, StrategyError
from algo_trader.core.orders import Order, is_echo
from algo_trader.core.prices import ceil_to_tick, floor_to_tick
from algo_trader.core.types import (
    MINUTE,
    ZERO,
    Bar,
    Candle,
    ExitReason,
    Instant,
    Role,
    Session,
    Side,
    Symbol,
    iso,
)
from algo_trader.engine.decisions import DecisionLine, Event, Sink, event_of
from algo_trader.engine.desk import decide, is_bad_risk, on_tick
from algo_trader.engine.lane import Lane
from algo_trader.engine.protect import close_order, stop_order
from algo_trader.risk.breaker import daily_loss_floor, daily_loss_reached, losses_in_a_row_reached
from algo_trader.risk.limits import RiskLimits
from algo_trader.risk.rules import RiskView
from algo_trader.strategies.base import Exit, KeepStop, MoveStop, Signal

SIGNAL = "SIGNAL"
NOT_EVALUATED = "NOT_EVALUATED"
LATE_CANDLE = "LATE_CANDLE"
SESSION_CUTOFF = "SESSION_CUTOFF"
BAD_RISK = "BAD_RISK"

UNKNOWN = Decimal("NaN")


class Step(NamedTuple):
    """What one input led to: record `facts`, then send `commands`."""

    facts: Sequence[ev.Fact]
    commands: Sequence[ev.Command]


NOTHING = Step((), ())


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
        self.is_ready = True
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
        self._loss_floor: Decimal | None = None
        self._facts: list[ev.Fact] = []
        self._commands: list[ev.Command] = []

    # -- inputs --

    def open_account(self, account: str, cash: Decimal, now: Instant) -> Step:
        """Bind the book to a broker account."""
        self._record(ev.AccountPinned(at=now, account=account, cash=cash))
        return self._step()

    def open_session(self, session: Session) -> Step:
        """A session begins: align candles, reset the daily figures."""
        self._closes_at = session.closes_at
        self._now = session.opens_at
        self.wakes_at = session.closes_at
        for lane in self.lanes:
            lane.open_session(session)
        self._flatten_from = self._alarm_at = min(lane.flatten_at for lane in self.lanes)
        equity = self.equity()
        self._loss_floor = daily_loss_floor(self.limits, equity)
        self._record(
            ev.SessionOpened(at=session.opens_at, session=session.date, equity=equity)
        )
        return self._step()

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
                self._settle(holding)
        return self._step() if self._facts else NOTHING

    def on_minute(self, start: Instant, bars: Sequence[Bar]) -> Step:
        """Steps 2 to 2c: the minute that began at `start` is over and these are its bars."""
        marks, lanes_on, due, book = self.marks, self._lanes_on, self.due, self.book
        for bar in bars:
            symbol = bar[0]
            marks[symbol] = bar[5]
            for lane, add in lanes_on[symbol]:
                if add(bar):
                    due.append(lane)
        if len(bars) < self._symbols:
            self.wakes_at = start + MINUTE  # Only a missing bar can leave a window overdue.
        if book.positions:
            worth = self._worth()
            self.equity_marked = book.cash + worth
            floor = self._loss_floor
            if floor is None or worth.is_nan() or book.realized_today + worth - book.cost <= floor:
                self._check_daily_loss()
        elif self._pnl_moved:
            self.equity_marked = book.cash
            self._check_daily_loss()
        self._now = now = start + MINUTE
        if book.resting or now >= self._alarm_at:
            self._pass_time(now)
        return self._step() if self._facts else NOTHING

    def on_candle_due(self) -> Step:
        """Step 3 (and 0): the oldest completed candle of the first lane that has one."""
        lane = self.due[0]
        ready = lane.builder.ready
        candle = ready.pop(0)
        if not ready:
            del self.due[0]
        lane.candles += 1
        indicators = lane.indicators.update(candle)
        holding = lane.holding
        signal = NOT_EVALUATED
        if self._now >= lane.flatten_at:
            signal = SESSION_CUTOFF
        elif holding.qty:
            if candle.end > holding.opened_at and holding.exit_reason is None:
                self._manage(lane, candle, indicators)
        elif holding.entry is None and candle.start >= holding.quiet_until:
            try:
                found = lane.strategy.signal(candle, indicators)
            except (Exception, SystemExit) as error:  # A user's code may raise anything.
                raise lane.blame(candle, error) from error
            signal = found if isinstance(found, str) else self._consider(lane, candle, found)
        if self._sink is not None:
            self._line = (lane, candle, indicators, signal)
            self.has_line = True
        return self._step() if self._facts else NOTHING

    def on_report(self, report: ev.Report) -> Step:
        """A broker's answer or update. An echo is nothing; an illegal one is a Discrepancy."""
        order = self.book.orders.get(report.order_id)
        if order is None:
            self._record(
                ev.Discrepancy(
                    at=report.at, order_id=None, detail=f"unknown order {report.order_id}"
                )
            )
            return self._step()
        if is_echo(order, report):
            return NOTHING
        was_held = self.book.holdings[(order.strategy, order.request.symbol)].qty
        try:
            self._record(report)
        except IllegalTransition as error:
            self._record(
                ev.Discrepancy(at=report.at, order_id=report.order_id, detail=str(error))
            )
            return self._step()
        self._follow(order, report, was_held=bool(was_held))
        return self._step()

    def close_positions(self, reason: ExitReason) -> Step:
        """Decide the exit of every open position and cancel what rests."""
        for holding in self.book.in_order():
            if holding.entry is not None:
                self._cancel(work.CancelOrder(holding.entry.order_id, reason.upper()))
            if holding.qty and holding.exit_reason is None:
                self._exit(holding, reason)
            self._settle(holding)
        return self._step()

    def settled(self) -> None:
        """Every answer to the last candle has been fed: hand over its decision line."""
        if self._line is None or self._sink is None:
            return
        lane, candle, indicators, signal = self._line
        self._line = None
        self.has_line = False
        events, lane.events = lane.events, []
        label = lane.strategy.label(candle)
        self._sink(
            DecisionLine(lane.name, candle, indicators, label, signal, events, lane.holding)
        )

    # -- figures --

    def equity(self) -> Decimal:
        """Cash plus positions at their last 1-minute closes; NaN while a close is missing."""
        return self.book.cash + self._worth() if self.book.positions else self.book.cash

    def day_pnl(self) -> Decimal:
        """Realized P&L of the session's closed trades plus unrealized P&L of open positions."""
        book = self.book
        if not book.positions:
            return book.realized_today
        return book.realized_today + self._worth() - book.cost

    def _worth(self) -> Decimal:
        """What the shares held are worth, signed; NaN while a close is missing."""
        worth = ZERO
        for holding in self.book.active.values():
            if holding.qty:
                worth += holding.signed_qty * self.marks.get(holding.symbol, UNKNOWN)
        return worth

    def risk_view(self, symbol: Symbol) -> RiskView:
        """What the risk rules may look at now, every resting entry counted as filled."""
        book = self.book
        equity = buying_power = book.cash
        positions = resting = 0
        unknown = False
        for holding in book.active.values():
            entry = holding.entry
            if holding.qty:
                positions += 1
                worth = holding.signed_qty * self.marks.get(holding.symbol, UNKNOWN)
                equity += worth
                if holding.side is Side.SHORT:
                    # Short proceeds (a negative cost) and the price to cover are not spendable.
                    buying_power += holding.cost + worth
            elif entry is not None:
                resting += 1
            if entry is not None:
                buying_power -= entry.qty_open * (entry.request.stop_price or ZERO)
            if holding.symbol == symbol:
                orders = (entry, *holding.stops, *holding.exits)
                unknown = unknown or any(order.is_unknown for order in orders if order)
        return RiskView(
            halted=book.halted is not None,
            ready=self.is_ready,
            has_unknown_order=unknown,
            tripped=book.tripped,
            open_positions=positions,
            resting_entries=resting,
            session_equity=book.session_equity,
            equity=equity,
            buying_power=buying_power,
        )

    # -- rules --

    def _consider(self, lane: Lane, candle: Candle, signal: Signal) -> str:
        """The engine's own tests of a signal; the first that fails names the reason."""
        self._check_prices(lane, candle, signal.entry, signal.stop)
        expires_at = candle.end + lane.entry_life_s
        if candle.late:
            return signal.otherwise or LATE_CANDLE
        if expires_at > lane.flatten_at:
            return signal.otherwise or SESSION_CUTOFF
        if is_bad_risk(signal):
            return signal.otherwise or BAD_RISK
        signal = on_tick(signal)
        if is_bad_risk(signal):
            return signal.otherwise or BAD_RISK
        self._place(lane, candle, signal, expires_at)
        return SIGNAL

    def _place(self, lane: Lane, candle: Candle, signal: Signal, expires_at: Instant) -> None:
        self._check_daily_loss()
        decision = decide(
            signal,
            candle,
            self.risk_view(lane.symbol),
            self.limits,
            account=self.book.account,
            strategy=lane.name,
            now=self._now,
            expires_at=expires_at,
        )
        self._record(decision.record)
        if decision.order is not None:
            self._send(decision.order)

    def _manage(self, lane: Lane, candle: Candle, indicators: Any) -> None:
        """Ask what to do with the position: a better stop, an exit, or nothing."""
        holding = lane.holding
        try:
            answer = lane.strategy.manage(candle, holding, indicators)
        except (Exception, SystemExit) as error:  # A user's code may raise anything.
            raise lane.blame(candle, error) from error
        if isinstance(answer, MoveStop):
            self._check_prices(lane, candle, answer.price)
            self._move_stop(lane, holding, answer.price)
        elif isinstance(answer, KeepStop):
            self._note_kept(lane, holding)
        elif isinstance(answer, Exit):
            self._exit(holding, answer.reason)
            self._settle(holding)

    def _move_stop(self, lane: Lane, holding: Holding, price: Decimal) -> None:
        """Never lower a long position's stop, nor raise a short one's, whatever is asked."""
        stop = holding.stop_price
        if holding.side is Side.LONG:
            price = floor_to_tick(price)
            is_better = stop is None or price > stop
        else:
            price = ceil_to_tick(price)
            is_better = stop is None or price < stop
        if not is_better:
            self._note_kept(lane, holding)
            return
        self._record(
            ev.StopSet(at=self._now, strategy=lane.name, symbol=lane.symbol, price=price)
        )
        self._settle(holding)

    def _note_kept(self, lane: Lane, holding: Holding) -> None:
        if self._sink is not None and holding.stop_price is not None:
            stop = format(holding.stop_price.normalize(), "f")
            lane.events.append({"type": "STOP_KEPT", "side": holding.side, "stop": stop})

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
                    self._exit(holding, ExitReason.END_OF_DAY)
                    self._settle(holding)
                    continue
            if holding.refusals:
                self._alarm_at = now
            elif holding.entry is None:
                continue
            self._settle(holding)
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

    def _check_daily_loss(self) -> None:
        """Open the daily-loss breaker, once, and cancel every resting entry."""
        self._pnl_moved = False
        if work.DAILY_LOSS in self.book.tripped:
            return
        if not daily_loss_reached(self._loss_floor, self.day_pnl()):
            return
        self._record(ev.LimitTripped(at=self._now, rule=work.DAILY_LOSS))
        for holding in self.book.in_order():
            self._settle(holding)

    def _follow(self, order: Order, report: ev.Report, *, was_held: bool) -> None:
        """What a broker's report leads to."""
        key = (order.strategy, order.request.symbol)
        holding = self.book.holdings[key]
        lane = self._lane_of.get(key)
        if isinstance(report, ev.OrderRefused):
            self._alarm_at = 0
        if isinstance(report, ev.OrderFilled):
            self._pnl_moved = True
            if order.role is Role.ENTRY:
                if not was_held and lane is not None:
                    lane.strategy.on_position_opened(holding)
                if holding.stop_price is None and order.stop_loss is not None:
                    self._record(
                        ev.StopSet(
                            at=report.at,
                            strategy=order.strategy,
                            symbol=order.request.symbol,
                            price=order.stop_loss,
                        )
                    )
            elif was_held and not holding.qty:
                if lane is not None:
                    lane.strategy.on_position_closed()
                self._check_streak(report.at)
        if holding.is_active:
            self._settle(holding)

    def _check_streak(self, at: Instant) -> None:
        rule = "CONSECUTIVE_LOSSES"
        if rule not in self.book.tripped and losses_in_a_row_reached(
            self.limits, loss_streak=self.book.loss_streak
        ):
            self._record(ev.LimitTripped(at=at, rule=rule))

    # -- words for what is to be done --

    def _settle(self, holding: Holding) -> None:
        """Do what is left to do for a holding."""
        for todo in work.remaining(self.book, holding, self._now):
            if isinstance(todo, work.CancelOrder):
                self._cancel(todo)
            elif isinstance(todo, work.PlaceStop):
                self._send(stop_order(holding, todo.qty, todo.price, self._now))
            elif isinstance(todo, work.MoveStop):
                self._send(stop_order(holding, todo.qty, todo.price, self._now, todo.order_id))
            else:
                if holding.exit_reason is None:
                    self._exit(holding, todo.reason)
                self._send(close_order(holding, todo.qty, self._now))

    def _exit(self, holding: Holding, reason: ExitReason) -> None:
        self._record(
            ev.ExitDecided(
                at=self._now, strategy=holding.strategy, symbol=holding.symbol, reason=reason
            )
        )

    def _cancel(self, todo: work.CancelOrder) -> None:
        self._record(
            ev.CancelRequested(at=self._now, order_id=todo.order_id, reason=todo.reason)
        )
        self._commands.append(ev.Cancel(todo.order_id))

    def _send(self, intended: ev.OrderIntended) -> None:
        """Intended and submitting are recorded together: the request is about to leave."""
        request = intended.request
        self._record(intended)
        self._record(ev.OrderSubmitting(at=intended.at, order_id=request.order_id))
        if intended.replaces is None:
            self._commands.append(ev.Submit(request))
        else:
            self._commands.append(ev.Replace(intended.replaces, request))

    def _record(self, fact: ev.Fact) -> None:
        event = event_of(self.book, fact) if self._sink is not None else None
        self.book.apply(fact)
        self._facts.append(fact)
        if event is not None:
            self._note(*event)

    def _note(self, key: tuple[str, Symbol], event: Event) -> None:
        lane = self._lane_of.get(key)
        if lane is not None:
            lane.events.append(event)

    def _step(self) -> Step:
        if not self._facts:
            return NOTHING
        step = Step(self._facts, self._commands)
        self._facts = []
        self._commands = []
        return step

    def _warm(self, lane: Lane) -> None:
        for candle in lane.builder.ready:
            lane.indicators.update(candle)
            lane.candles += 1
        lane.builder.ready.clear()

    def _check_prices(self, lane: Lane, candle: Candle, *prices: object) -> None:
        for price in prices:
            if not isinstance(price, Decimal):
                raise StrategyError(
                    f"strategy {lane.name} gave the price {price!r} at candle {lane.candles} of "
                    f"{lane.symbol} ({iso(candle.start)}): prices are Decimal, such as "
                    "bar.high or Decimal('1.25')"
                )
