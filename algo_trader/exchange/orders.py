"""An order as the account keeps it: its terms, its status, its stamps, its place in a chain."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal

from algo_trader.core.events import OrderRequest
from algo_trader.core.types import (
    ZERO,
    Action,
    ClientOrderId,
    OrderType,
    Symbol,
    TimeInForce,
    Word,
)


class Status(Word):
    """Where an order stands, in the API's words."""

    ACCEPTED = "accepted"
    PENDING_NEW = "pending_new"
    NEW = "new"
    HELD = "held"
    PARTIALLY_FILLED = "partially_filled"
    PENDING_CANCEL = "pending_cancel"
    PENDING_REPLACE = "pending_replace"
    FILLED = "filled"
    CANCELED = "canceled"
    EXPIRED = "expired"
    REPLACED = "replaced"
    REJECTED = "rejected"


FINAL = frozenset(
    {Status.FILLED, Status.CANCELED, Status.EXPIRED, Status.REPLACED, Status.REJECTED}
)
"""Nothing more happens to an order of these, but for what a fault script makes happen."""

UNROUTED = frozenset({Status.ACCEPTED, Status.PENDING_NEW})
"""The market does not have the order yet."""


@dataclass(slots=True, kw_only=True, eq=False)
class Order:
    """One order. `qty` is the total of the chain of replacements it stands in.

    `filled_before` are the shares its predecessors filled that its own `filled_qty` does not count.
    Stamps are float seconds since the epoch.
    """

    id: str
    number: int
    client_order_id: str
    symbol: Symbol
    action: Action
    type: OrderType
    time_in_force: TimeInForce
    qty: Decimal
    limit_price: Decimal | None = None
    stop_price: Decimal | None = None
    trail_price: Decimal | None = None
    trail_percent: Decimal | None = None
    order_class: str = ""
    extended_hours: bool = False
    position_intent: str = ""
    created_at: float
    updated_at: float
    submitted_at: float
    expires_at: float
    filled_at: float | None = None
    expired_at: float | None = None
    canceled_at: float | None = None
    failed_at: float | None = None
    replaced_at: float | None = None
    cancel_requested_at: float | None = None
    replaced_by: str | None = None
    replaces: str | None = None
    status: Status = Status.ACCEPTED
    filled_qty: Decimal = ZERO
    filled_value: Decimal = ZERO
    filled_before: Decimal = ZERO
    mark: Decimal | None = None
    parent: Order | None = None
    legs: list[Order] = field(default_factory=list)

    @property
    def is_open(self) -> bool:
        """Whether it may still come to something."""
        return self.status not in FINAL

    @property
    def qty_open(self) -> Decimal:
        """Shares still to fill."""
        return self.qty - self.filled_before - self.filled_qty

    @property
    def is_stop_loss(self) -> bool:
        """Whether it is the stop of a group."""
        return self.parent is not None and self.type in (OrderType.STOP, OrderType.STOP_LIMIT)

    @property
    def family(self) -> list[Order]:
        """Every member of its group, itself included: the parent first."""
        head = self if self.parent is None else self.parent
        return [head, *head.legs]

    @property
    def request(self) -> OrderRequest:
        """What the venue is asked for: the shares that are left of the chain's."""
        return OrderRequest(
            ClientOrderId(self.id),
            self.symbol,
            self.action,
            self.type,
            self.time_in_force,
            self.qty_open,
            self.limit_price,
            None if self.type is OrderType.TRAILING_STOP else self.stop_price,
            self.trail_price,
            self.trail_percent,
        )
