"""What a broker says it has, against what we believe: the reports that are missing.

Pure comparison. It decides nothing and believes the broker about the broker's own: executions,
statuses and ids. What follows from a report is the engine's business, the same as if it had come
by itself; so asking twice, or being cut short and asking again, changes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import NamedTuple

from algo_trader.core import events as ev
from algo_trader.core.book import Book
from algo_trader.core.orders import ENDS, Order, OrderState
from algo_trader.core.ports import BrokerOrder, BrokerPosition, BrokerStatus
from algo_trader.core.truth import is_rejected, reports_of
from algo_trader.core.types import ZERO, ClientOrderId, Instant, Role, Symbol, text


class Difference(NamedTuple):
    """Signed shares of a symbol by our fills, and at the broker at `price` on average."""

    symbol: Symbol
    ours: Decimal
    theirs: Decimal
    price: Decimal


def missing_reports(order: Order, truth: BrokerOrder, now: Instant) -> list[ev.Report]:
    """The reports that lead from our order to the broker's; those we know already are echoes.

    One that was filled by all that was told has ended: if executions of it were taken back since,
    comparing positions finds it.
    """
    found = reports_of(truth, now)
    if order.state is OrderState.FILLED:
        found = [report for report in found if not isinstance(report, ENDS)]
    if order.broker_id is None and not is_rejected(truth):
        accepted = ev.OrderAccepted(at=now, order_id=order.order_id, broker_id=truth.broker_id)
        found.insert(0, accepted)
    return found


def is_spent(order: Order, truths: Mapping[ClientOrderId, BrokerOrder | None], book: Book) -> bool:
    """Whether an exit of a pair that is open on record has nothing left to fill at the broker.

    It was made smaller there by what the other exit had filled. When that is taken back, the shares
    are held again, and the order that was to cover them is not what it was on record.
    """
    truth = truths.get(order.order_id)
    if not order.is_live or order.pair is None or truth is None:
        return False
    other, others = book.orders.get(order.pair), truths.get(order.pair)
    if other is None or other.is_live or others is None or others.status is BrokerStatus.OPEN:
        return False
    is_filled = truth.status is BrokerStatus.FILLED and order.qty_filled >= truth.qty
    return is_filled and truth.qty < order.request.qty


def edit(order: Order, truth: BrokerOrder, now: Instant) -> ev.StopEdited | None:
    """What somebody else has made of a stop of ours, or None if it is as we have it.

    Its price is the broker's word however it came there: a ledger from a backup has forgotten the
    moves since. Another size is believed only where the broker tells of an edit. A pair has the
    size that it was placed with, less what one of the two has filled.
    """
    request, price = order.request, truth.stop_price
    is_same = (truth.symbol, truth.action) == (request.symbol, request.action)
    is_there = order.is_live and truth.status is not BrokerStatus.REPLACED  # Else it is old news.
    if order.role is not Role.STOP or not is_there or price is None or not is_same:
        return None
    is_resized = truth.is_edited and order.pair is None
    qty = truth.qty if is_resized else request.qty
    has_moved = truth.is_edited and truth.broker_id != order.broker_id
    if (qty, price) == (request.qty, request.stop_price) and not has_moved:
        return None
    return ev.StopEdited(
        at=now, order_id=order.order_id, broker_id=truth.broker_id, qty=qty, price=price
    )


def contradiction(order: Order, truth: BrokerOrder) -> str | None:
    """Why the broker's order cannot be the one we sent under that id, or None."""
    request = order.request
    for name, ours, theirs in (
        ("symbol", request.symbol, truth.symbol),
        ("action", request.action, truth.action),
        ("qty", text(request.qty), text(truth.qty)),
    ):
        if name == "qty" and order.pair is not None and truth.qty < request.qty:
            continue  # What the other exit has filled was taken from it.
        if ours != theirs:
            return f"the broker's order {order.order_id} has {name} {theirs}, ours {ours}"
    return None


def position_differences(
    book: Book, positions: Mapping[Symbol, BrokerPosition]
) -> list[Difference]:
    """Symbols in which the broker's shares are not the sum of ours, by symbol."""
    ours: dict[Symbol, Decimal] = {}
    for holding in book.active.values():
        if holding.qty:
            ours[holding.symbol] = ours.get(holding.symbol, ZERO) + holding.signed_qty
    found = []
    for symbol in sorted({*ours, *positions}):
        held = positions.get(symbol)
        theirs, price = (ZERO, ZERO) if held is None else (held.qty, held.avg_entry_price)
        if theirs != ours.get(symbol, ZERO):
            found.append(Difference(symbol, ours.get(symbol, ZERO), theirs, price))
    return found
