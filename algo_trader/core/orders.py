"""The order state machine: one table, nine states.

Owns which fact may move an order where. `advance` raises on an illegal fact and changes nothing.
The table starts from the plan's transitions; rows added for what brokers really do say why.
Positions are no business of this file: they are sums of fills (book.py), never of statuses.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal

from algo_trader.core.errors import IllegalTransition
from algo_trader.core.events import (
    CancelRefused,
    CancelRequested,
    CancelUnanswered,
    OrderAbandoned,
    OrderAccepted,
    OrderCanceled,
    OrderExpired,
    OrderFact,
    OrderFilled,
    OrderIntended,
    OrderRefused,
    OrderReplaced,
    OrderRequest,
    OrderSubmitting,
    OutcomeUnknown,
)
from algo_trader.core.types import (
    ZERO,
    BrokerOrderId,
    ClientOrderId,
    DecisionId,
    Instant,
    Role,
    Side,
    Word,
    text,
)

FINEST = Decimal("0.000001")
"""To this a price that is worked out of an average is rounded."""


class OrderState(Word):
    """Where an order stands."""

    PENDING_SUBMIT = "pending_submit"
    SUBMITTED = "submitted"
    ACCEPTED = "accepted"
    PARTIALLY_FILLED = "partially_filled"
    FILLED = "filled"
    CANCELED = "canceled"
    EXPIRED = "expired"
    REJECTED = "rejected"
    SUBMIT_FAILED = "submit_failed"


class PartialFill:
    """Table key for an execution that leaves shares open (OrderFilled stands for the last one)."""


S = OrderState

_AT_BROKER = {
    PartialFill: S.PARTIALLY_FILLED,
    OrderFilled: S.FILLED,
    OrderCanceled: S.CANCELED,
    OrderExpired: S.EXPIRED,
    OrderReplaced: S.CANCELED,  # The broker gives a replacement a new id; ours does too.
}

TRANSITIONS: dict[OrderState, dict[type, OrderState]] = {
    S.PENDING_SUBMIT: {
        OrderSubmitting: S.SUBMITTED,
        OrderAbandoned: S.SUBMIT_FAILED,
    },
    S.SUBMITTED: {
        # A fill, even the last one, may outrun the acknowledgement; so may an expiry or a replace.
        **_AT_BROKER,
        OrderAccepted: S.ACCEPTED,
        OrderRefused: S.REJECTED,
        OutcomeUnknown: S.SUBMITTED,  # Unknown is a state: it still counts as exposure.
        OrderAbandoned: S.SUBMIT_FAILED,  # Only after the broker proved it absent.
        OrderSubmitting: S.SUBMITTED,  # A reducing order is sent again, under the same id.
        CancelRequested: S.SUBMITTED,
        CancelRefused: S.SUBMITTED,
        CancelUnanswered: S.SUBMITTED,
    },
    S.ACCEPTED: {
        **_AT_BROKER,
        OrderRefused: S.REJECTED,  # Alpaca may reject an order after its 200.
        CancelRequested: S.ACCEPTED,
        CancelRefused: S.ACCEPTED,
        CancelUnanswered: S.ACCEPTED,
    },
    S.PARTIALLY_FILLED: {
        **_AT_BROKER,  # Expiry after a partial fill is the close of a DAY order.
        OrderAccepted: S.PARTIALLY_FILLED,  # The acknowledgement that a fill outran.
        CancelRequested: S.PARTIALLY_FILLED,
        CancelRefused: S.PARTIALLY_FILLED,
        CancelUnanswered: S.PARTIALLY_FILLED,
    },
    S.FILLED: {
        OrderAccepted: S.FILLED,  # The acknowledgement that the last fill outran.
        CancelRefused: S.FILLED,  # The cancel that a fill outran.
        CancelUnanswered: S.FILLED,
        OrderFilled: S.FILLED,  # More than was ordered: executions are never illegal.
    },
    S.CANCELED: {
        PartialFill: S.CANCELED,  # A fill that crossed the cancel on the wire: it still counts.
        OrderFilled: S.FILLED,
        OrderAccepted: S.CANCELED,
        CancelRefused: S.CANCELED,
        CancelUnanswered: S.CANCELED,
    },
    S.EXPIRED: {
        PartialFill: S.EXPIRED,  # A fill reported after the expiry it preceded.
        OrderFilled: S.FILLED,
        OrderAccepted: S.EXPIRED,
        CancelRefused: S.EXPIRED,
        CancelUnanswered: S.EXPIRED,
    },
    S.REJECTED: {
        PartialFill: S.PARTIALLY_FILLED,  # An execution proves the rejection wrong.
        OrderFilled: S.FILLED,
        OrderAccepted: S.REJECTED,  # The acknowledgement that the rejection outran.
        CancelRefused: S.REJECTED,
        CancelUnanswered: S.REJECTED,
    },
    S.SUBMIT_FAILED: {
        # A late order: it appeared at the broker after we gave up on it.
        **_AT_BROKER,
        OrderAccepted: S.ACCEPTED,
        CancelRefused: S.SUBMIT_FAILED,
        CancelUnanswered: S.SUBMIT_FAILED,
    },
}

ENDS = (OrderCanceled, OrderExpired, OrderReplaced)
RETRY_AFTER_S, RETRY_MOST_S = 1, 30
"""What a broker refused is asked for again after so long, twice as long each further time."""


def pause_s(times: int) -> int:
    """Seconds to wait after something was refused so many times in a row."""
    return min(RETRY_AFTER_S << min(max(times - 1, 0), 10), RETRY_MOST_S)


LIVE = frozenset({S.PENDING_SUBMIT, S.SUBMITTED, S.ACCEPTED, S.PARTIALLY_FILLED})


class Order:
    """One order and where it stands. Changed only by `advance`.

    `is_live` says whether it may still fill, as far as we know; `is_unknown` that an answer is
    missing; `ended` how its time at the broker was ended, even if a fill came after; `fills` are
    the spans of cumulative quantity that were counted; `cancel_after` is when a refused cancel may
    be asked for again; `sends` how often its request has left; `pair_filled` are the shares that
    the other exit of its pair has taken from it.
    """

    __slots__ = (
        "broker_id",
        "cancel_after",
        "cancel_failures",
        "cancel_reason",
        "decision",
        "ended",
        "expires_at",
        "filled_value",
        "fills",
        "is_live",
        "is_unknown",
        "last_error",
        "pair",
        "pair_filled",
        "placed_at",
        "qty_filled",
        "replaced_by",
        "replaces",
        "request",
        "role",
        "sends",
        "side",
        "state",
        "stop_loss",
        "strategy",
        "target",
    )

    def __init__(self, intended: OrderIntended) -> None:
        self.request: OrderRequest = intended.request
        self.decision: DecisionId = intended.decision
        self.strategy: str = intended.strategy
        self.side: Side = intended.side
        self.role: Role = intended.role
        self.placed_at: Instant = intended.at
        self.expires_at: Instant | None = intended.expires_at
        self.stop_loss: Decimal | None = intended.stop_loss
        self.target: Decimal | None = intended.target
        self.replaces: ClientOrderId | None = intended.replaces
        self.pair: ClientOrderId | None = intended.pair
        self.pair_filled: Decimal = ZERO
        self.replaced_by: ClientOrderId | None = None
        self.state: OrderState = S.PENDING_SUBMIT
        self.broker_id: BrokerOrderId | None = None
        self.cancel_reason: str | None = None
        self.last_error: str | None = None
        self.is_live = True
        self.ended: OrderState | None = None
        self.is_unknown = False
        self.sends = 0
        self.fills: list[tuple[Decimal, Decimal]] = []
        self.cancel_after: Instant = 0
        self.cancel_failures = 0
        self.qty_filled: Decimal = ZERO
        self.filled_value: Decimal = ZERO

    @property
    def order_id(self) -> ClientOrderId:
        """Our id, the one the broker knows as client_order_id."""
        return self.request.order_id

    @property
    def was_cancel_asked(self) -> bool:
        """Whether we have ever asked for its cancel, answered or not."""
        return self.cancel_reason is not None or self.cancel_failures > 0

    @property
    def qty_open(self) -> Decimal:
        """Shares not yet filled, by itself or by the other exit of its pair."""
        return self.request.qty - self.qty_filled - self.pair_filled

    @property
    def avg_fill_price(self) -> Decimal | None:
        """Average price of the shares filled, or None."""
        return self.filled_value / self.qty_filled if self.qty_filled else None


def next_state(order: Order, fact: OrderFact) -> OrderState:
    """The state `fact` leads to, by the table; raises IllegalTransition where it has no row."""
    key: type = type(fact)
    if isinstance(fact, OrderFilled) and fact.qty < order.qty_open:
        key = PartialFill
    try:
        return TRANSITIONS[order.state][key]
    except KeyError:
        raise IllegalTransition(
            f"order {order.order_id} is {order.state}: {type(fact).__name__} is not possible"
        ) from None


def is_echo(order: Order, fact: OrderFact) -> bool:
    """Whether `fact` says what the order already knows, whichever channel brought it again.

    One whose last shares the other exit of its pair has filled is known to have ended: the broker
    may call that canceled, expired or replaced.
    """
    if order.state is S.FILLED and order.pair_filled and isinstance(fact, ENDS):
        return True
    match fact:
        case OrderAccepted():
            return order.broker_id == fact.broker_id
        case OrderFilled():
            return _is_counted(order, fact)
        case OrderCanceled():
            return order.ended is S.CANCELED
        case OrderReplaced():
            return order.replaced_by is not None  # Once only; its successor may have two names.
        case OrderExpired():
            return order.ended is S.EXPIRED
        case OrderRefused():
            return order.state is S.REJECTED
        case OutcomeUnknown():
            # An answer came after all, on another channel.
            return order.broker_id is not None or bool(order.fills) or not order.is_live
    return False


def uncounted(order: Order, fill: OrderFilled) -> Sequence[OrderFilled]:
    """`fill`, or where some of its shares were counted the executions that are missing of it.

    An adapter that has not heard of every execution tells of the missing ones as one, at their
    average price; from before a restart the order may know of some of them. What those were worth
    is taken out of it, where nothing else is known of the order.
    """
    first, last = fill.cum_qty - fill.qty, fill.cum_qty
    counted = [span for span in sorted(order.fills) if first < span[1] and span[0] < last]
    if not counted or is_echo(order, fill):
        return (fill,)
    gaps, at = [], first
    for begin, end in (*counted, (last, last)):
        if at < begin:
            gaps.append((at, begin))
        at = max(at, end)
    missing = sum((end - begin for begin, end in gaps), start=ZERO)
    price = fill.price
    if order.qty_filled + missing == fill.qty:
        value = fill.qty * fill.price - order.filled_value
        price = max((value / missing).quantize(FINEST), FINEST)
    return [
        replace(
            fill,
            qty=end - begin,
            price=price,
            cum_qty=end,
            execution_id=f"{fill.execution_id}:{text(end)}",
        )
        for begin, end in gaps
    ]


def advance(order: Order, fact: OrderFact) -> Order:
    """Move `order` as `fact` says. An echo changes nothing; an illegal fact raises and changes
    nothing.
    """
    if is_echo(order, fact):
        return order
    state = next_state(order, fact)
    if isinstance(fact, OrderFilled):
        _require_no_overlap(order, fact)
    elif isinstance(fact, OrderAccepted) and order.broker_id not in (None, fact.broker_id):
        raise IllegalTransition(
            f"order {order.order_id} is {order.broker_id} at the broker, not {fact.broker_id}"
        )
    order.state = state
    order.is_live = state in LIVE
    if state is S.CANCELED or state is S.EXPIRED:
        order.ended = state
    match fact:
        case OrderSubmitting():
            order.sends += 1
        case OrderAccepted():
            order.broker_id = fact.broker_id
            order.is_unknown = False
        case OrderFilled():
            order.fills.append((fact.cum_qty - fact.qty, fact.cum_qty))
            order.qty_filled += fact.qty
            order.filled_value += fact.qty * fact.price
            order.is_unknown = False
        case CancelRequested():
            order.cancel_reason = fact.reason
        case CancelRefused():
            order.cancel_failures += order.cancel_reason is not None
            order.cancel_reason = None
            order.cancel_after = fact.at + pause_s(order.cancel_failures)
            order.last_error = fact.message
        case OrderReplaced():
            order.replaced_by = fact.replaced_by
        case CancelUnanswered():
            order.cancel_failures += order.cancel_reason is not None
            order.cancel_reason = None
            order.cancel_after = fact.at + pause_s(order.cancel_failures)
            order.last_error = fact.detail
        case OutcomeUnknown():
            order.is_unknown = True
            order.last_error = fact.detail
        case OrderRefused():
            order.last_error = fact.message
    return order


def share_fill(order: Order, qty: Decimal) -> None:
    """The other exit of its pair has filled `qty` shares: they are no longer this order's.

    The rest of an order that has begun to fill may have been these very shares.
    """
    order.pair_filled += qty
    if order.state is S.PARTIALLY_FILLED and order.qty_open <= ZERO:
        order.state = S.FILLED
        order.is_live = False


def _is_counted(order: Order, fact: OrderFilled) -> bool:
    """Whether the fill's whole span was counted, in one piece or in several."""
    at = fact.cum_qty - fact.qty
    for begin, end in sorted(order.fills):
        if begin <= at < end:
            at = end
    return at >= fact.cum_qty


def _require_no_overlap(order: Order, fact: OrderFilled) -> None:
    """A share that was counted cannot be counted again."""
    first, last = fact.cum_qty - fact.qty, fact.cum_qty
    if any(first < end and begin < last for begin, end in order.fills):
        raise IllegalTransition(
            f"order {order.order_id}: a fill of {fact.qty} up to {last} overlaps one counted"
        )
