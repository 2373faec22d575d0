"""What a broker's report leads to: facts, protection, breakers, and the strategy's own ears.

The book settles what a report means for orders and positions; here stands what follows from it.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from algo_trader.core import events as ev
from algo_trader.core.book import EXTERNAL, Book, is_taken_away
from algo_trader.core.errors import IllegalTransition
from algo_trader.core.holding import Holding
from algo_trader.core.orders import Order, is_echo, uncounted
from algo_trader.core.types import ExitReason, Instant, Role, Symbol, text
from algo_trader.engine import figures
from algo_trader.engine.breakers import Breakers
from algo_trader.engine.desk import as_limit
from algo_trader.engine.hands import Hands
from algo_trader.engine.judge import Judge
from algo_trader.engine.lane import Lane
from algo_trader.engine.protect import adopted_stop

STOP_PCT = Decimal("2.0")
"""Default distance, in per cent, of the stop of shares that belong to no strategy."""

ENTRY_LIMIT_CAP_PCT = Decimal("0.5")
"""Default distance, in per cent, by which an entry may fill beyond a refused stop price."""

TWICE_S = 60
"""A stop that somebody else takes away twice within so many seconds is not placed again."""

ASKED_AGAIN = (ev.OrderRefused, ev.OrderAbandoned, ev.CancelRefused, ev.CancelUnanswered)
"""Reports after which something may be asked for once more, after a pause."""

STOP_THROUGH_MARKET = (42210000, "stop price must be")
"""Code and words of a refusal that says: the market is at the stop price already."""


class Listener:
    """Hears reports. `pnl_moved` and `was_refused` tell the engine what its next minute must see:

    that a fill has moved the day's figures, that a broker's refusal asks for another try.
    """

    __slots__ = (
        "_book", "_breakers", "_hands", "_judge", "_lane_of", "_marks", "entry_limit_cap_pct",
        "pnl_moved", "stop_pct", "was_refused"
    )  # fmt: skip

    def __init__(
        self,
        book: Book,
        marks: figures.Marks,
        hands: Hands,
        breakers: Breakers,
        judge: Judge,
        lane_of: Mapping[tuple[str, Symbol], Lane],
    ) -> None:
        self._book = book
        self._marks = marks
        self._hands = hands
        self._breakers = breakers
        self._judge = judge
        self._lane_of = lane_of
        self.pnl_moved = False
        self.was_refused = False
        self.stop_pct = STOP_PCT
        self.entry_limit_cap_pct = ENTRY_LIMIT_CAP_PCT

    def hear(self, report: ev.Report, now: Instant) -> None:
        """Record a report and do what follows. An echo is nothing; an illegal one is recorded
        as a Discrepancy.
        """
        order = self._book.orders.get(report.order_id)
        if order is None:
            self._object(report, f"unknown order: {report}")
            if isinstance(report, ev.OrderFilled) and self._book.halted is None:
                # Our positions are no longer what the broker holds.
                self._hands.record(ev.Halted(at=report.at, reason=f"unknown order: {report}"))
            return
        if isinstance(report, ev.OrderFilled):
            for fill in uncounted(order, report):
                self._hear(order, fill, now)
        else:
            self._hear(order, report, now)

    def _hear(self, order: Order, report: ev.Report, now: Instant) -> None:
        if is_echo(order, report):
            return
        holding = self._book.holdings[(order.strategy, order.request.symbol)]
        was_held, taken_at = holding.qty, holding.stop_taken_at
        try:
            self._hands.record(report)
        except IllegalTransition as error:
            self._object(report, str(error))
            return
        if isinstance(report, ev.OrderCanceled) and is_taken_away(order, holding):
            self._answer_taken(order, holding, taken_at, report.at)
        self._follow(order, report, was_held=bool(was_held), now=now)

    def hear_edit(self, fact: ev.StopEdited, now: Instant) -> None:
        """Somebody else has changed a stop of ours: from now on it is the one we want."""
        order = self._book.order(fact.order_id)
        holding = self._book.holdings[(order.strategy, order.request.symbol)]
        taken_at = holding.stop_taken_at
        self._hands.record(fact)
        if holding.qty > order.qty_open:
            self._answer_taken(order, holding, taken_at, fact.at)
        self._hands.settle(holding, now)

    def tell_gone(self, symbol: Symbol, now: Instant) -> None:
        """Shares of a symbol have gone without an order of ours: who held them hears of it."""
        self.pnl_moved = True
        self._breakers.check_streak(now)
        for lane in self._lane_of.values():
            if lane.symbol == symbol and lane.is_told and not lane.holding.qty:
                lane.tell_closed(now)

    def _answer_taken(
        self, order: Order, holding: Holding, taken_at: Instant, at: Instant
    ) -> None:
        """Cover that somebody else has taken away is placed again once; who does it again within
        the minute means it.
        """
        if not holding.qty or holding.exit_reason is not None or holding.is_left_bare:
            return
        is_meant = taken_at and at - taken_at <= TWICE_S
        then = "again, and it stays so until you resume" if is_meant else "and it is placed again"
        detail = f"stop {order.order_id} was canceled or made smaller, not by us, {then}"
        if detail not in self._book.day.objections:
            self._hands.record(ev.Discrepancy(at=at, order_id=order.order_id, detail=detail))
        if is_meant:
            self._hands.record(
                ev.StopDeclined(at=at, strategy=holding.strategy, symbol=holding.symbol)
            )

    def _object(self, report: ev.Report, detail: str) -> None:
        if detail in self._book.day.objections:
            return
        self._hands.record(ev.Discrepancy(at=report.at, order_id=report.order_id, detail=detail))

    def _follow(
        self, order: Order, report: ev.Report, *, was_held: bool, now: Instant
    ) -> None:
        key = (order.strategy, order.request.symbol)
        holding = self._book.holdings[key]
        lane = self._lane_of.get(key)
        is_fill = isinstance(report, ev.OrderFilled)
        if is_fill:
            self.pnl_moved = True
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
                    if order.target is not None:
                        self._hands.record(
                            ev.TargetSet(
                                at=report.at,
                                strategy=order.strategy,
                                symbol=order.request.symbol,
                                price=order.target,
                            )
                        )
            elif was_held and not holding.qty:
                self._breakers.check_streak(report.at)
        elif isinstance(report, ASKED_AGAIN):
            self.was_refused = True
        if isinstance(report, ev.OrderRefused):
            self._answer_refusal(order, report, now)
        if holding.is_active:
            self._hands.settle(holding, now)
        if isinstance(report, ev.OrderFilled):
            self._halt_on_stray(order, report, now)
        # The strategy hears of it last: whatever its own code does, the position is protected.
        if lane is not None and holding.qty and not was_held:
            lane.tell_opened()
        elif lane is not None and was_held and not holding.qty:
            lane.tell_closed(report.at)

    def _answer_refusal(self, order: Order, report: ev.OrderRefused, now: Instant) -> None:
        """A stop price that the market has passed: an entry is sent as a limit, and a position
        whose stop it was to be is closed, as that stop would have done.
        """
        code, words = STOP_THROUGH_MARKET
        if report.code != code or words not in report.message:
            return
        holding = self._book.holdings[(order.strategy, order.request.symbol)]
        if order.role is Role.ENTRY and order.request.stop_price is not None:
            self._try_as_limit(order, holding, now)
        elif order.role is Role.STOP and holding.qty and holding.exit_reason is None:
            self._hands.exit(holding, ExitReason.STOP_LOSS, now)

    def _try_as_limit(self, order: Order, holding: Holding, now: Instant) -> None:
        """Once, unless it has been given up meanwhile, or no entry may leave any more."""
        is_wanted = order.cancel_reason is None and not holding.is_active
        is_alive = order.expires_at is None or now < order.expires_at
        if is_wanted and is_alive and self._judge.permits(order.request.symbol):
            number = self._book.next_number(order.decision, Role.ENTRY)
            self._hands.send(as_limit(order, number, now, self.entry_limit_cap_pct))

    def _halt_on_stray(self, order: Order, report: ev.OrderFilled, now: Instant) -> None:
        """Shares that belong to no strategy of ours get a stop, and end all new risk until an
        operator has looked.
        """
        symbol = order.request.symbol
        stray = self._book.holdings.get((EXTERNAL, symbol))
        if stray is None or not stray.qty:
            return
        if stray.stop_price is None:
            stop = adopted_stop(stray, self._marks.get(symbol), self.stop_pct)
            if stop is not None:
                self._hands.record(
                    ev.StopSet(at=report.at, strategy=EXTERNAL, symbol=symbol, price=stop)
                )
        if self._book.halted is None:
            detail = f"{stray.side} {text(stray.qty)} {symbol} beyond our positions, by {report}"
            self._object(report, detail)
            self._hands.record(ev.Halted(at=report.at, reason=detail))
        self._hands.settle(stray, now)
