"""What is left to do for a holding, derived from the book and never stored.

A process that has run for a week and one that has just come back ask the same question here and
get the same answer. The rules, in the order they are applied:

* an entry whose time is up, that a tripped limit or a halt forbids, or that has filled in part, is
  canceled, and so is one that appeared at the broker after we gave up on it;
* a flat holding keeps no protective or closing order;
* a decided exit cancels the stop, waits for the proof, then closes at market;
* a reducing order that was refused is tried again after a pause; a stop refused twice gives way to
  a close at market, but never for shares that no strategy of ours asked for;
* every filled share is covered: one stop over the whole position at the wanted price. It is placed
  once the entry's remainder is gone (brokers refuse an opposite stop while an entry rests). Fewer
  than MIN_PROTECTED shares left of a partly filled entry are closed at market instead;
* a stop that somebody else has taken away again and again stays away, or as small as he made it,
  until an operator resumes: he may have his reasons, and a fight would end nothing;
* where a profit is to be taken, the stop comes as a pair with a limit order over the same shares.
  A broker that refuses the pair gets the stop alone. A pair cannot change its size: it is canceled
  as a whole, and nothing takes its place before both ends are proven.

Beside what is to be done there is what is to be asked (`unanswered`): an order whose request or
cancel has no answer is looked up at the broker by its id, and so is one that does not let itself be
canceled, or whose replacement works, or whose pair has ended: it may have ended unheard. One that
has ended is still asked about if its acknowledgement or one of its executions never came. What
follows from the broker's word that it has no such order is `missing`: an entry is given up, a
reducing order that is still wanted is sent again under the same id, and an order it had accepted is
a contradiction that only an operator can settle.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import ROUND_FLOOR, Decimal
from typing import NamedTuple, TypeAlias

from algo_trader.core.book import EXPIRED, EXTERNAL, Book
from algo_trader.core.holding import Holding
from algo_trader.core.orders import Order, OrderState
from algo_trader.core.types import ZERO, ClientOrderId, ExitReason, Instant, Role, Word

DAILY_LOSS = "DAILY_LOSS"
HALTED = "HALTED"
PARTIAL_FILL = "PARTIAL_FILL"
LATE = "LATE"
EXIT = "EXIT"
NO_POSITION = "NO_POSITION"
COVERED = "COVERED"
MOVED = "MOVED"
IN_SESSIONS = frozenset({EXIT, MOVED})
"""Reasons to take a stop away that wait for the open: until then it protects as it is."""
MIN_PROTECTED = Decimal(5)
STOP_TRIES = 2
EXTERNAL_AGAIN_S = 600
"""How long a stop for shares that no strategy holds waits after two refusals."""


class CancelOrder(NamedTuple):
    """Cancel the rest of a working order."""

    order_id: ClientOrderId
    reason: str


class PlaceStop(NamedTuple):
    """Cover the position with a new stop."""

    qty: Decimal
    price: Decimal


class PlacePair(NamedTuple):
    """Cover the position with a new stop, and take the profit at `target`, whichever comes first.
    """

    qty: Decimal
    price: Decimal
    target: Decimal


class MoveStop(NamedTuple):
    """Replace the working stop by one of this size and price."""

    order_id: ClientOrderId
    qty: Decimal
    price: Decimal


class CloseOut(NamedTuple):
    """Close the shares at market."""

    qty: Decimal
    reason: ExitReason


Todo: TypeAlias = CancelOrder | PlaceStop | PlacePair | MoveStop | CloseOut


def remaining(book: Book, holding: Holding, now: Instant) -> list[Todo]:
    """What to do next for `holding`; empty while an answer is awaited or nothing is missing."""
    todo: list[Todo] = []
    entry = holding.entry
    if entry is not None:
        reason = _entry_ends(book, holding, entry, now)
        if reason and may_cancel(entry, now):
            todo.append(CancelOrder(entry.order_id, reason))
    todo.extend(CancelOrder(o.order_id, LATE) for o in holding.late if may_cancel(o, now))
    if not whole(holding):
        todo.extend(
            CancelOrder(order.order_id, NO_POSITION)
            for order in (*holding.stops, *holding.targets, *holding.exits)
            if may_cancel(order, now)
        )
    elif holding.exits:
        # The close is on its way. A stop that was given up and has come late would close twice.
        todo.extend(_cancel((*holding.stops, *holding.targets), LATE, now))
    elif entry or holding.late or now < holding.retry_at:
        pass  # An entry must go first, or the broker has just refused.
    elif holding.exit_reason is not None:
        todo.extend(_close(holding, holding.exit_reason, now))
    elif holding.refusals >= STOP_TRIES and holding.strategy != EXTERNAL:
        todo.extend(_close(holding, ExitReason.STRATEGY, now))
    elif holding.refusals >= STOP_TRIES and now < holding.retry_at + EXTERNAL_AGAIN_S:
        pass  # Something of its owner's stands in the way; selling could open the opposite.
    else:
        todo.extend(_cover(holding, now))
    return todo


def _entry_ends(book: Book, holding: Holding, entry: Order, now: Instant) -> str | None:
    if entry.qty_filled or holding.qty:
        return PARTIAL_FILL  # Of this entry, or late of one before: the shares want their stop.
    if entry.expires_at is not None and entry.expires_at <= now:
        return EXPIRED
    if DAILY_LOSS in book.day.tripped:
        return DAILY_LOSS
    if book.halted is not None:
        return HALTED
    return None


def may_cancel(order: Order, now: Instant) -> bool:
    """A cancel is worth sending: the order has left, no cancel is open, none was just refused."""
    return (
        order.cancel_reason is None
        and order.state is not OrderState.PENDING_SUBMIT
        and now >= order.cancel_after
    )


def _close(holding: Holding, reason: ExitReason, now: Instant) -> list[Todo]:
    covers = (*holding.stops, *holding.targets)
    if covers:
        return _cancel(covers, EXIT, now)
    return [CloseOut(whole(holding), reason)]


def _cancel(orders: Iterable[Order], reason: str, now: Instant) -> list[Todo]:
    return [CancelOrder(order.order_id, reason) for order in orders if may_cancel(order, now)]


def _cover(holding: Holding, now: Instant) -> list[Todo]:
    price, qty = holding.stop_price, whole(holding)
    if price is None or (holding.is_left_bare and len(holding.stops) < 2):
        return []
    if not holding.stops:
        if holding.targets:
            return _cancel(holding.targets, COVERED, now)  # They hold the shares a stop needs.
        if qty < MIN_PROTECTED and holding.is_remnant:
            return [CloseOut(qty, ExitReason.STRATEGY)]
        target = holding.target_price
        if target is not None and not holding.is_pair_refused:
            return [PlacePair(qty, price, target)]
        return [PlaceStop(qty, price)]
    stop = holding.stops[0]
    if any(o.broker_id is None or o.cancel_reason for o in (*holding.stops, *holding.targets)):
        return []  # An answer is awaited.
    if any(_is_replaced(s, holding) for s in holding.stops):
        return []  # The new stop was told of before the old one's end.
    if len(holding.stops) > 1:
        # More stops than shares could open an opposite position: keep the first.
        return _cancel(holding.stops[1:], COVERED, now)
    strays = [t for t in holding.targets if t.order_id != stop.pair]
    if strays:
        return _cancel(strays, COVERED, now)
    if stop.qty_filled:
        return []  # It was triggered: a market order since then, which no move could help.
    if holding.targets and stop.qty_open != qty:
        return _cancel((stop, *holding.targets), COVERED, now)
    if stop.request.stop_price != price or stop.qty_open != qty:
        if stop.replaces is not None and stop.pair_filled:
            # Brokers count what the stop before it has filled in the size of one that follows.
            is_enough = stop.qty_open == qty
            return _cancel((stop, *holding.targets), MOVED if is_enough else COVERED, now)
        return [MoveStop(stop.order_id, qty, price)]
    return []


def _is_replaced(stop: Order, holding: Holding) -> bool:
    """Whether the broker has a stop that was to take the place of this one."""
    return any(s.replaces == stop.order_id and s.broker_id is not None for s in holding.stops)


class Missing(Word):
    """What the broker's proof that it has no such order means."""

    NOTHING = "nothing"
    GIVE_UP = "give up"
    SEND_AGAIN = "send again"
    CONTRADICTION = "contradiction"


def unanswered(book: Book) -> list[Order]:
    """Orders whose request or cancel has no answer, those in flight at this moment included; those
    of which a refused cancel or a working replacement says that they may have ended; those given up
    that took another's place all the same; and those of which something was not told.
    """
    live = [
        order
        for holding in book.in_order()
        for order in (
            holding.entry,
            *holding.late,
            *holding.targets,
            *holding.stops,
            *holding.exits,
        )
        if order is not None
        and order.state is not OrderState.PENDING_SUBMIT
        and (
            order.broker_id is None
            or order.cancel_reason is not None
            or order.cancel_after
            or _is_replaced(order, holding)
            or _is_widowed(order, holding)
            or _has_gap(order)
        )
    ]
    arrived = {order.replaced_by for order in book.orders.values()}
    ended = [
        order
        for order in book.orders.values()
        if (order.state in _ENDED_THERE and (order.broker_id is None or _has_gap(order)))
        or (order.state is OrderState.SUBMIT_FAILED and order.order_id in arrived)
    ]
    return live + ended


_ENDED_THERE = frozenset({OrderState.FILLED, OrderState.CANCELED, OrderState.EXPIRED})


def _is_widowed(order: Order, holding: Holding) -> bool:
    """Whether the other exit of its pair has ended, as far as we know."""
    if order.pair is None:
        return False
    if order.role is Role.STOP:
        return all(order.pair != other.order_id for other in holding.targets)
    return all(order.order_id != other.pair for other in holding.stops)


def _has_gap(order: Order) -> bool:
    """Whether an execution was told of and one before it was not. What the stop before it filled
    is not told of under its name.
    """
    elsewhere = ZERO if order.replaces is None else order.pair_filled
    return bool(order.fills) and order.qty_filled + elsewhere < max(e for _, e in order.fills)


def whole(holding: Holding) -> Decimal:
    """The whole shares of a position: no order of ours is over a fraction, which somebody else may
    have bought.
    """
    return holding.qty and holding.qty.to_integral_value(ROUND_FLOOR)


def uncovered(holding: Holding) -> Decimal:
    """Whole shares of the position that no working protective stop covers."""
    covered = sum((s.qty_open for s in holding.stops if s.broker_id is not None), start=ZERO)
    return max(whole(holding) - covered, ZERO)


def missing(book: Book, order: Order) -> Missing:
    """What to do about a live order that the broker proved not to have."""
    if not order.is_live:
        return Missing.NOTHING
    if order.broker_id is not None or order.fills:
        return Missing.CONTRADICTION
    holding = book.holding(order.strategy, order.request.symbol)
    other = _unanswered_other(book, order)
    if order.role is Role.STOP and other is not None:
        return Missing.NOTHING  # They were sent as one: what is found of the other decides.
    if order.role is Role.TARGET and other is None:
        return Missing.GIVE_UP
    if order.cancel_reason not in (None, EXIT) or not _is_still_wanted(book, order, holding):
        return Missing.GIVE_UP
    return Missing.SEND_AGAIN


def _unanswered_other(book: Book, order: Order) -> Order | None:
    """The other exit of the pair that was sent with this one, while it has no answer either."""
    other = None if order.pair is None else book.orders.get(order.pair)
    if other is None or other.pair != order.order_id:  # It belongs to a stop before this one.
        return None
    return other if other.is_live and other.broker_id is None and not other.fills else None


def may_repeat(book: Book, order: Order) -> bool:
    """Whether an order that the broker does not show may be sent again before that is proof."""
    return order.role is not Role.ENTRY and missing(book, order) is Missing.SEND_AGAIN


def _is_still_wanted(book: Book, order: Order, holding: Holding) -> bool:
    """Whether a reducing order covers what is held; an entry never does, it is too late.

    A stop counts at any price, and before an exit too: to have it, under its id, and then to move
    or cancel it is certain long before it can be proven absent, and the shares are covered by it.
    """
    if order.role is Role.ENTRY or not holding.qty or order.qty_open != whole(holding):
        return False
    if order.role is Role.EXIT:
        return True
    if order.role is Role.TARGET:
        other = None if order.pair is None else book.orders.get(order.pair)
        is_stop_wanted = other is not None and _is_still_wanted(book, other, holding)
        return is_stop_wanted and order.request.limit_price == holding.target_price
    return order.role is Role.STOP and not _has_lost_its_place(book, order)


def _has_lost_its_place(book: Book, stop: Order) -> bool:
    """Whether it was to take the place of the stop of a pair, which has ended, while as far as we
    know the pair's target works on, with the shares: it has been filled, or must be canceled first.
    """
    before = None if stop.replaces is None else book.orders.get(stop.replaces)
    target = None if stop.pair is None else book.orders.get(stop.pair)
    if before is None or target is None:
        return False
    return target.is_live and not before.is_live
