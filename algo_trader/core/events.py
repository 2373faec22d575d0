"""Facts in the past tense.

A fact is the only thing that changes what we believe (`book.apply`). It is complete, keyword-only
and never mutated. A broker's answers and updates are facts offered to the engine (`Report`): the
engine records them unless they are an echo or illegal.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import NamedTuple, TypeAlias, TypeVar, dataclass_transform

from algo_trader.core.errors import CoreError
from algo_trader.core.types import (
    ZERO,
    Action,
    BrokerOrderId,
    ClientOrderId,
    DecisionId,
    ExitReason,
    Instant,
    OrderType,
    Role,
    Side,
    Symbol,
    TimeInForce,
)

Message = TypeVar("Message")


@dataclass_transform(kw_only_default=True, frozen_default=True)
def message(cls: type[Message]) -> type[Message]:
    """A keyword-only, slotted record that the type checker holds immutable.

    Freezing at run time as well would make every fact more than twice as slow to build.
    """
    return dataclass(slots=True, kw_only=True)(cls)


class OrderRequest(NamedTuple):
    """What is asked of a broker. Without our id it cannot be built, so no order is anonymous.

    `stop_price` of a STOP and `limit_price` of a LIMIT order are dollars on the price's tick, and a
    STOP_LIMIT has both; a TRAILING_STOP follows the market at `trail_price` dollars or at
    `trail_percent` per cent. `qty` is a whole number of shares.
    """

    order_id: ClientOrderId
    symbol: Symbol
    action: Action
    type: OrderType
    time_in_force: TimeInForce
    qty: Decimal
    limit_price: Decimal | None = None
    stop_price: Decimal | None = None
    trail_price: Decimal | None = None
    trail_percent: Decimal | None = None


class Sizing(NamedTuple):
    """Whole shares each limit allows, the least of them, and the first limit that binds."""

    by_risk: Decimal
    by_position: Decimal
    by_cash: Decimal
    qty: Decimal
    limit: str


@message
class Fact:
    """Something that has happened; `at` is market time."""

    at: Instant


@message
class AccountPinned(Fact):
    """The broker account this book belongs to, and the cash it begins with."""

    account: str
    cash: Decimal


@message
class SessionOpened(Fact):
    """A session began: the daily figures start again from `equity`."""

    session: date
    equity: Decimal


@message
class SignalDecided(Fact):
    """A strategy's signal was taken (`rule` is None) or refused by the risk rule named.

    `limit` names the binding size limit of a QTY_ZERO; `sizing` shows what every limit allowed.
    `entry` is the price of a stop or limit entry, of a market entry the one it was sized by;
    `entry_limit` that of a stop-limit one, `target` where profits are to be taken.
    """

    decision: DecisionId
    strategy: str
    symbol: Symbol
    side: Side
    entry: Decimal
    stop: Decimal
    expires_at: Instant
    rule: str | None
    limit: str | None = None
    sizing: Sizing | None = None
    order: OrderType = OrderType.STOP
    entry_limit: Decimal | None = None
    target: Decimal | None = None


@message
class OrderIntended(Fact):
    """An order we want. `stop_loss` and `target` are the planned exits of an entry, `replaces` the
    stop that is moved, `pair` the other exit over the same shares: one cancels the other.
    """

    decision: DecisionId
    strategy: str
    side: Side
    role: Role
    request: OrderRequest
    expires_at: Instant | None = None
    stop_loss: Decimal | None = None
    replaces: ClientOrderId | None = None
    target: Decimal | None = None
    pair: ClientOrderId | None = None


@message
class OrderFact(Fact):
    """A fact about one order that was intended before."""

    order_id: ClientOrderId


@message
class OrderSubmitting(OrderFact):
    """The request is about to leave: from here on the broker may have it."""


@message
class OrderAccepted(OrderFact):
    """The broker has the order, under its own id."""

    broker_id: BrokerOrderId


@message
class OrderRefused(OrderFact):
    """The broker certainly does not have the order."""

    code: int
    message: str


@message
class OutcomeUnknown(OrderFact):
    """No usable answer: the broker may or may not have the order."""

    detail: str


@message
class OrderFilled(OrderFact):
    """One execution: `qty` shares at `price`; `cum_qty` after it makes the fill's key."""

    qty: Decimal
    price: Decimal
    cum_qty: Decimal
    commission: Decimal = ZERO
    execution_id: str = ""

    def __post_init__(self) -> None:
        for name in ("qty", "price", "cum_qty"):
            value = getattr(self, name)
            if not (isinstance(value, Decimal) and value.is_finite() and value > ZERO):
                raise CoreError(f"a fill of {self.order_id} with {name} {value!r} cannot be")
        costs = self.commission
        if self.cum_qty < self.qty or not (isinstance(costs, Decimal) and costs.is_finite()):
            raise CoreError(f"a fill of {self.order_id} contradicts itself: {self}")


@message
class CancelRequested(OrderFact):
    """A cancel is about to leave; `reason` is why (EXPIRED, DAILY_LOSS, EXIT, ...)."""

    reason: str


@message
class CancelRefused(OrderFact):
    """The broker did not take the cancel; the order's own status decides what is true."""

    code: int
    message: str


@message
class CancelUnanswered(OrderFact):
    """No usable answer to a cancel: the order's own status decides, and it may be asked again."""

    detail: str


@message
class OrderCanceled(OrderFact):
    """The broker confirmed that the rest of the order is gone."""


@message
class OrderExpired(OrderFact):
    """The order's time in force ended at the broker."""


@message
class OrderReplaced(OrderFact):
    """The order ended because `replaced_by` took its place."""

    replaced_by: ClientOrderId


@message
class OrderAbandoned(OrderFact):
    """The order was never sent, or proved absent at the broker."""

    reason: str


@message
class StopEdited(OrderFact):
    """Somebody else has changed a working stop of ours at the broker, where it has `broker_id` now:
    its size and price are the ones we want from now on.
    """

    broker_id: BrokerOrderId
    qty: Decimal
    price: Decimal


@message
class HoldingFact(Fact):
    """A fact about the position a strategy holds in a symbol."""

    strategy: str
    symbol: Symbol


@message
class StopSet(HoldingFact):
    """The stop price the position is to be protected at from now on."""

    price: Decimal


@message
class TargetSet(HoldingFact):
    """The price at which the position's profit is to be taken from now on."""

    price: Decimal


@message
class StopDeclined(HoldingFact):
    """Somebody else has taken away the position's stop, or a part of it, again and again: it stays
    as he left it until the position ends or an operator resumes.
    """


@message
class ExitDecided(HoldingFact):
    """The position is to be closed at market: cancel its stop, confirm, then sell."""

    reason: ExitReason


@message
class SharesAdopted(Fact):
    """The broker holds shares that no order of ours explains; their owner is `external`."""

    symbol: Symbol
    side: Side
    qty: Decimal
    price: Decimal


@message
class SharesGone(Fact):
    """The broker holds fewer shares than our fills make: somebody else has sold or covered them.

    Nobody told at what price; `price` is the market's at the moment of finding out.
    """

    symbol: Symbol
    side: Side
    qty: Decimal
    price: Decimal


@message
class CashAdjusted(Fact):
    """The broker's cash differs by `amount` dollars from what our fills make: a dividend, a fee, a
    transfer, or trades that were not ours. `cash` is the broker's.
    """

    amount: Decimal
    cash: Decimal


@message
class BarCorrected(Fact):
    """The market tells a past minute otherwise than before, or late. No decision is made again."""

    symbol: Symbol
    start: Instant
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal


@message
class LimitTripped(Fact):
    """A circuit breaker opened; it stays open until the next session."""

    rule: str


@message
class Halted(Fact):
    """No new risk until an operator resumes."""

    reason: str


@message
class Resumed(Fact):
    """An operator cleared the halt."""


@message
class SettingChanged(Fact):
    """An operator overrode a setting from now on, or with `value` None ended its override."""

    key: str
    value: str | None


@message
class Discrepancy(Fact):
    """The broker said something our order table does not allow; nothing was changed."""

    order_id: ClientOrderId | None
    detail: str


Report: TypeAlias = (
    OrderAccepted
    | OrderRefused
    | OutcomeUnknown
    | OrderFilled
    | CancelRefused
    | CancelUnanswered
    | OrderCanceled
    | OrderExpired
    | OrderReplaced
    | OrderAbandoned
)
"""What a broker may answer or tell; that it has no such order (OrderAbandoned) included."""
