"""Mistakes about what works at the broker: stops, exits and entries, their size and their end."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

from planting import Mutant, Swap, nothing

from algo_trader.core import work
from algo_trader.core.book import EXPIRED, Book
from algo_trader.core.holding import Holding
from algo_trader.core.inputs import Reports
from algo_trader.core.types import Role, TimeInForce
from algo_trader.engine import hands
from algo_trader.engine.foreign import Foreign
from algo_trader.engine.intake import Intake
from algo_trader.engine.judge import Judge
from algo_trader.engine.lane import Lane

PLACING = work.PlaceStop | work.PlacePair
Change = Callable[[Book, Holding, list[work.Todo]], list[work.Todo]]


def _todo(change: Change) -> Callable[[Any], Any]:
    """What is left to do, changed."""

    def make(remaining: Any) -> Any:
        def changed(book: Book, holding: Holding, now: int) -> list[work.Todo]:
            return change(book, holding, remaining(book, holding, now))

        return changed

    return make


def _entry_of(book: Book, holding: Holding) -> Any:
    for order in book.orders.values():
        if order.decision == holding.decision and order.role is Role.ENTRY and order.qty_filled:
            return order
    return None


def _as_ordered(book: Book, holding: Holding, todo: list[work.Todo]) -> list[work.Todo]:
    entry = _entry_of(book, holding)
    if entry is None:
        return todo
    return [
        each._replace(qty=entry.request.qty) if isinstance(each, PLACING) else each
        for each in todo
        if not isinstance(each, work.MoveStop)
    ]


def _as_exit_ordered(book: Book, holding: Holding, todo: list[work.Todo]) -> list[work.Todo]:
    entry = _entry_of(book, holding)
    if entry is None:
        return todo
    return [
        each._replace(qty=entry.request.qty) if isinstance(each, work.CloseOut) else each
        for each in todo
    ]


def _first_fill(book: Book, holding: Holding, todo: list[work.Todo]) -> list[work.Todo]:
    entry = _entry_of(book, holding)
    if entry is None:
        return todo
    first: Decimal = entry.fills[0][1] - entry.fills[0][0]
    return [
        each._replace(qty=min(first, holding.qty)) if isinstance(each, PLACING) else each
        for each in todo
        if not isinstance(each, work.MoveStop)
    ]


def _no_resize(book: Book, holding: Holding, todo: list[work.Todo]) -> list[work.Todo]:
    return [
        each
        for each in todo
        if not isinstance(each, work.MoveStop)
        or each.qty == book.order(each.order_id).request.qty
    ]


def _whole_only(book: Book, holding: Holding, todo: list[work.Todo]) -> list[work.Todo]:
    if not holding.is_remnant:
        return todo
    return [each for each in todo if not isinstance(each, PLACING)]


def _once(book: Book, holding: Holding, todo: list[work.Todo]) -> list[work.Todo]:
    has_been = book.next_number(holding.decision, Role.STOP) > 1
    return [each for each in todo if not (has_been and isinstance(each, PLACING))]


def _stop_stays(book: Book, holding: Holding, todo: list[work.Todo]) -> list[work.Todo]:
    return [
        each
        for each in todo
        if not (isinstance(each, work.CancelOrder) and each.reason == work.NO_POSITION)
    ]


def _while_told(take: Any) -> Any:
    def while_told(self: Any, item: Any) -> Any:
        self._engine.book.is_told = isinstance(item, Reports)
        return take(self, item)

    return while_told


def _if_told(book: Any, holding: Holding, todo: list[work.Todo]) -> list[work.Todo]:
    return [each for each in todo if book.is_told or not isinstance(each, PLACING)]


def _not_for(*reasons: str) -> Callable[[Any], Any]:
    """An entry that is not ended for these reasons."""

    def make(entry_ends: Any) -> Any:
        def changed(*given: Any) -> str | None:
            reason: str | None = entry_ends(*given)
            return None if reason in reasons else reason

        return changed

    return make


def _for_the_day(stop_order: Any) -> Any:
    def for_the_day(*given: Any, **named: Any) -> Any:
        found = stop_order(*given, **named)
        found.request = found.request._replace(time_in_force=TimeInForce.DAY)
        return found

    return for_the_day


def _open_end(open_session: Any) -> Any:
    def open_end(self: Any, session: Any) -> None:
        open_session(self, session)
        self.flatten_at = session.closes_at + 3600

    return open_end


def _any_price(move_stop: Any) -> Any:
    def any_price(self: Any, lane: Any, holding: Holding, price: Decimal, now: int) -> None:
        before, holding.stop_price = holding.stop_price, None
        try:
            move_stop(self, lane, holding, price, now)
        finally:
            holding.stop_price = holding.stop_price or before

    return any_price


COVER = (
    Mutant(
        "covers what was ordered",
        "the stop has the size of the entry, not of what has filled",
        [Swap(work, "remaining", _todo(_as_ordered))],
    ),
    Mutant(
        "covers the first fill",
        "the stop has the size of the first execution and keeps it",
        [Swap(work, "remaining", _todo(_first_fill))],
    ),
    Mutant(
        "never sizes a stop anew",
        "shares that come or go after the stop was placed do not change it",
        [Swap(work, "remaining", _todo(_no_resize))],
    ),
    Mutant(
        "covers whole fills only",
        "an entry that was canceled after a part of it had filled gets no stop",
        [Swap(work, "remaining", _todo(_whole_only))],
    ),
    Mutant(
        "waits for the rest",
        "a part fill waits bare for the rest of its entry",
        [Swap(work, "_entry_ends", _not_for(work.PARTIAL_FILL))],
    ),
    Mutant(
        "remembers the stop as placed",
        "a stop that was placed once is never looked for again",
        [Swap(work, "remaining", _todo(_once))],
    ),
    Mutant(
        "covers what it is told of",
        "the stop hangs on the message of the fill; what a look-up finds gets none",
        [Swap(Intake, "take", _while_told), Swap(work, "remaining", _todo(_if_told))],
    ),
    Mutant(
        "stops for the day",
        "the stop is a DAY order and is gone in the morning",
        [Swap(hands, "stop_order", _for_the_day)],
    ),
    Mutant(
        "sells what was ordered",
        "the closing order has the size of the entry: it sells more than there is",
        [Swap(work, "remaining", _todo(_as_exit_ordered))],
    ),
    Mutant(
        "leaves the stop of what is gone",
        "when the position is gone its stop works on, and opens the opposite",
        [Swap(work, "remaining", _todo(_stop_stays))],
    ),
    Mutant(
        "rests through a halt",
        "a halt stops new decisions, and entries that rest fill all the same",
        [Swap(work, "_entry_ends", _not_for(work.HALTED))],
    ),
    Mutant(
        "lets entries grow old",
        "entries are not canceled when their time is over",
        [Swap(work, "_entry_ends", _not_for(EXPIRED))],
    ),
    Mutant(
        "adopts without a stop",
        "shares that somebody else has bought are shown and not covered",
        [Swap(Foreign, "_protect", nothing)],
    ),
    Mutant(
        "stays over night",
        "nothing ends a position before the close",
        [Swap(Lane, "open_session", _open_end)],
    ),
    Mutant(
        "moves its stop away",
        "a trailing stop follows the market in both directions",
        [Swap(Judge, "_move_stop", _any_price)],
    ),
)
