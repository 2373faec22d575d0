"""What a broker says it has: its account, orders and positions, as values.

They change nothing by themselves: reconciliation compares them with our book and turns what is
missing there into reports.
"""

from __future__ import annotations

from decimal import Decimal
from typing import NamedTuple

from algo_trader.core.types import Action, BrokerOrderId, ClientOrderId, Instant, Symbol, Word


class BrokerStatus(Word):
    """Where an order stands at the broker."""

    OPEN = "open"
    FILLED = "filled"
    CANCELED = "canceled"
    EXPIRED = "expired"
    REJECTED = "rejected"
    REPLACED = "replaced"


class Execution(NamedTuple):
    """One execution of an order; `cum_qty` are the order's shares filled after it."""

    at: Instant
    qty: Decimal
    price: Decimal
    cum_qty: Decimal
    commission: Decimal
    execution_id: str


class BrokerOrder(NamedTuple):
    """An order as the broker has it. `order_id` is the client_order_id it was sent with.

    `stop_price` is None where the broker does not say; `is_edited` that somebody else has put this
    one in the place of an order of ours, under a name that is none of ours.
    """

    order_id: ClientOrderId
    broker_id: BrokerOrderId
    symbol: Symbol
    action: Action
    qty: Decimal
    status: BrokerStatus
    executions: tuple[Execution, ...] = ()
    replaced_by: ClientOrderId | None = None
    detail: str = ""
    stop_price: Decimal | None = None
    is_edited: bool = False


class BrokerPosition(NamedTuple):
    """Shares held at the broker, negative when short, their average entry price, and what they
    trade at, None if the broker does not say.
    """

    symbol: Symbol
    qty: Decimal
    avg_entry_price: Decimal
    price: Decimal | None = None


class AccountState(NamedTuple):
    """The broker account: its id, dollars of cash and what new orders may cost.

    `equity` as the broker counts it, None where it does not; `blocked` says why the account may not
    open positions, empty if it may.
    """

    account: str
    cash: Decimal
    buying_power: Decimal
    equity: Decimal | None = None
    blocked: str = ""
