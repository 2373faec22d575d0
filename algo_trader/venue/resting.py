"""What a venue remembers: its resting orders, and all it needs to go on where another one stopped.

Values only. Matching is the venue's business; where a state is kept is that of whoever keeps it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import NamedTuple

from algo_trader.core.events import OrderRequest
from algo_trader.core.types import ZERO, Bar, BrokerOrderId, ClientOrderId, Symbol
from algo_trader.venue.account import Account


class RestingOrder:
    """An order the venue has accepted and not finished.

    `trigger` is the stop price it still waits for: None if it has none, and from its first fill
    on, for a stop that was triggered is a market order until it is filled; a stop-limit order that
    was triggered is a limit order. `mark` is the best price a trailing stop has seen, None before
    the first. `is_born_in_bar` marks an order that was accepted while a bar of its symbol was being
    matched, `is_queued` one that was accepted while the market was closed.
    """

    __slots__ = (
        "broker_id",
        "is_born_in_bar",
        "is_queued",
        "mark",
        "qty_filled",
        "request",
        "trigger",
    )

    def __init__(
        self,
        request: OrderRequest,
        broker_id: BrokerOrderId,
        qty_filled: Decimal = ZERO,
        *,
        is_born_in_bar: bool = False,
    ) -> None:
        self.request = request
        self.broker_id = broker_id
        self.qty_filled = qty_filled
        self.trigger = None if qty_filled else request.stop_price
        self.is_born_in_bar = is_born_in_bar
        self.is_queued = False
        self.mark: Decimal | None = None

    @property
    def qty_open(self) -> Decimal:
        """Shares still to fill."""
        return self.request.qty - self.qty_filled


class VenueState(NamedTuple):
    """Everything that decides what a venue does next, but for its rules and costs.

    `resting` are in order of acceptance and `finished` tells how every other order ended.
    `matching` is the symbol whose bar was matched once and waits for the second time, and
    `price_in_bar` the last price of that match. `pairs` are the OCO groups: the ids of the
    take-profit and the stop of each, None for one that has ended.
    """

    account: Account
    resting: Sequence[RestingOrder]
    finished: Mapping[ClientOrderId, str]
    order_count: int
    last_bar: Mapping[Symbol, Bar]
    matching: Symbol | None = None
    price_in_bar: Decimal = ZERO
    pairs: Sequence[tuple[ClientOrderId | None, ClientOrderId | None]] = ()
