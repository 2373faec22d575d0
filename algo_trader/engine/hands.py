"""The engine's hands: they record facts, fold them, and word the commands that follow.

Nothing else changes the book or speaks to a broker. Every fact goes the same way: told as an event
if someone listens, folded, kept for the driver. What is left to do for a holding is derived in
core.work; here it becomes facts and commands.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeAlias

from algo_trader.core import commands as cmd
from algo_trader.core import events as ev
from algo_trader.core import work
from algo_trader.core.book import Book
from algo_trader.core.holding import Holding
from algo_trader.core.orders import Order
from algo_trader.core.types import ExitReason, Instant, Role, Symbol
from algo_trader.engine.decisions import Event, event_of
from algo_trader.engine.protect import close_order, pair_orders, stop_order

Note: TypeAlias = Callable[[tuple[str, Symbol], Event], None]


class Step(NamedTuple):
    """What one input led to: record `facts`, then send `commands`."""

    facts: Sequence[ev.Fact]
    commands: Sequence[cmd.Command]


NOTHING = Step((), ())


class Hands:
    """Gathers one step: the facts to record and the commands to send because of them.

    From `rests_from` on, until the next session sets it anew, a stop is neither moved to a better
    price nor taken away for an exit: a closed market refuses the one, again and again, and cannot
    carry out the other, while the stop that is there covers the shares at the next open.
    """

    __slots__ = ("_book", "_commands", "_note", "facts", "rests_from")

    def __init__(self, book: Book, note: Note | None) -> None:
        self._book = book
        self._note = note
        self.rests_from: Instant | None = None
        self.facts: list[ev.Fact] = []
        self._commands: list[cmd.Command] = []

    def step(self) -> Step:
        """Hand over what has gathered."""
        if not self.facts:
            return NOTHING
        step = Step(self.facts, self._commands)
        self.facts = []
        self._commands = []
        return step

    def record(self, fact: ev.Fact) -> None:
        """Fold a fact and keep it; raises, and keeps nothing, if the book refuses it."""
        event = event_of(self._book, fact) if self._note is not None else None
        self._book.apply(fact)
        self.facts.append(fact)
        if event is not None and self._note is not None:
            self._note(*event)

    def settle(self, holding: Holding, now: Instant) -> None:
        """Do what is left to do for a holding."""
        for todo in work.remaining(self._book, holding, now):
            if isinstance(todo, work.CancelOrder):
                if todo.reason not in work.IN_SESSIONS or not self._rests(now):
                    self.cancel(todo, now)
            elif isinstance(todo, work.CloseOut):
                if holding.exit_reason is None:
                    self.exit(holding, todo.reason, now)
                number = self._book.next_number(holding.decision, Role.EXIT)
                self.send(close_order(holding, todo.qty, now, number))
            elif isinstance(todo, work.PlacePair):
                next_number = self._book.next_number
                decision = holding.decision
                number = max(next_number(decision, Role.STOP), next_number(decision, Role.TARGET))
                self._send_pair(*pair_orders(holding, *todo, now, number))
            elif not self._can_wait(todo, now):
                number = self._book.next_number(holding.decision, Role.STOP)
                moved = todo.order_id if isinstance(todo, work.MoveStop) else None
                pair = None if moved is None else self._book.order(moved).pair
                self.send(stop_order(holding, todo.qty, todo.price, now, number, moved, pair))

    def _can_wait(self, todo: work.PlaceStop | work.MoveStop, now: Instant) -> bool:
        """Whether the market is closed, and the shares are covered by the stop that is there."""
        if not self._rests(now) or isinstance(todo, work.PlaceStop):
            return False
        return self._book.order(todo.order_id).qty_open == todo.qty

    def _rests(self, now: Instant) -> bool:
        return self.rests_from is not None and now >= self.rests_from

    def exit(self, holding: Holding, reason: ExitReason, now: Instant) -> None:
        """Decide that a position is to be closed."""
        self.record(
            ev.ExitDecided(at=now, strategy=holding.strategy, symbol=holding.symbol, reason=reason)
        )

    def cancel(self, todo: work.CancelOrder, now: Instant) -> None:
        """Ask for an order's cancel, and say why."""
        self.record(ev.CancelRequested(at=now, order_id=todo.order_id, reason=todo.reason))
        self._commands.append(cmd.Cancel(todo.order_id))

    def send(self, intended: ev.OrderIntended) -> None:
        """Intended and submitting are recorded together: the request is about to leave."""
        request = intended.request
        self.record(intended)
        self.record(ev.OrderSubmitting(at=intended.at, order_id=request.order_id))
        if intended.replaces is None:
            self._commands.append(cmd.Submit(request))
        else:
            self._commands.append(cmd.Replace(intended.replaces, request))

    def _send_pair(self, stop: ev.OrderIntended, target: ev.OrderIntended) -> None:
        """Both are recorded, the target first: whatever is told of both is told in that order."""
        for intended in (target, stop):
            self.record(intended)
        for intended in (target, stop):
            order_id = intended.request.order_id
            self.record(ev.OrderSubmitting(at=intended.at, order_id=order_id))
        self._commands.append(cmd.SubmitPair(stop.request, target.request))

    def send_again(self, order: Order, now: Instant) -> None:
        """A reducing order that the broker proved not to have leaves once more, under its id; a
        target together with its stop.
        """
        self.record(ev.OrderSubmitting(at=now, order_id=order.order_id))
        if order.role is Role.TARGET and order.pair is not None:
            stop = self._book.order(order.pair)
            self.record(ev.OrderSubmitting(at=now, order_id=stop.order_id))
            self._commands.append(cmd.SubmitPair(stop.request, order.request))
            return
        old = None if order.replaces is None else self._book.orders.get(order.replaces)
        if old is not None and old.is_live:
            self._commands.append(cmd.Replace(old.order_id, order.request))
        else:
            self._commands.append(cmd.Submit(order.request))
