"""Executions by order: each counts once, by its span of the order's cumulative quantity.

They come by three ways: the trade stream, FILL activities, and the order's own filled quantity and
average price, which is the authority of how much. What the first two do not tell, though the order
says it was filled, is made up after a while from the average: one execution for each gap. An order
that took another's place may begin with what that one had filled: those shares are not its own.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal

from algo_trader.brokers.alpaca.orders import RestOrder
from algo_trader.brokers.alpaca.wire import Body, decimal_of, epoch_of, text_of
from algo_trader.core.broker import Execution
from algo_trader.core.prices import tick
from algo_trader.core.types import ZERO, BrokerOrderId, Instant

PATIENCE_S = 2.0
"""A gap is filled from the average once it is older: the rows may be on their way."""

UNANSWERED_PATIENCE_S = 10.0
"""The same while the rows cannot be asked for."""

_FINEST = Decimal("0.000001")


class Fills:
    """Executions heard of, by the broker's id of their order. `clock` is monotonic, in seconds."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._known: dict[BrokerOrderId, list[Execution]] = {}
        self._gap_since: dict[BrokerOrderId, float] = {}
        self._carried: dict[BrokerOrderId, Decimal] = {}

    def hear(self, broker_id: BrokerOrderId, execution: Execution) -> None:
        """Keep an execution, unless any of its shares are counted already."""
        known = self._known.setdefault(broker_id, [])
        start = execution.cum_qty - execution.qty
        if any(start < each.cum_qty and each.cum_qty - each.qty < execution.cum_qty
               for each in known):
            return
        known.append(execution)
        known.sort(key=_cum_qty)

    def told(self, order: RestOrder) -> tuple[Execution, ...]:
        """Every execution that the order confirms, ascending, and those that follow them without a
        gap: the stream may be ahead of what REST says was filled.
        """
        told, end = [], self._carried.get(order.broker_id, ZERO)
        for each in self._known.get(order.broker_id, ()):
            follows = each.cum_qty - each.qty == end
            if follows:
                end = each.cum_qty
            if follows or each.cum_qty <= order.filled_qty:
                told.append(each)
        return tuple(told)

    def is_whole(self, order: RestOrder) -> bool:
        """Whether every share that the order says was filled is told of."""
        carried = self._carried.get(order.broker_id, ZERO)
        told = sum((each.qty for each in self.told(order)), start=carried)
        is_whole = told >= order.filled_qty
        if is_whole:
            self._gap_since.pop(order.broker_id, None)
        else:
            self._gap_since.setdefault(order.broker_id, self._clock())
        return is_whole

    def is_overdue(self, order: RestOrder, patience_s: float = PATIENCE_S) -> bool:
        """Whether the order has gaps that are older than `patience_s`."""
        since = self._gap_since.get(order.broker_id)
        return since is not None and self._clock() - since >= patience_s

    def carry(self, order: RestOrder, filled_before: Decimal) -> bool:
        """Whether the order's first gap is what the order before it had filled."""
        known = self._known.get(order.broker_id, ())
        if not ZERO < filled_before <= order.filled_qty or any(
            each.cum_qty - each.qty < filled_before for each in known
        ):
            return False
        self._carried[order.broker_id] = filled_before
        return True

    def make_up(
        self, order: RestOrder, now: Instant, patience_s: float = PATIENCE_S
    ) -> None:
        """Fill the order's gaps from its average price, if they are older than `patience_s`."""
        if not self.is_overdue(order, patience_s) or order.broker_id in self._carried:
            return
        average = order.filled_avg_price
        told = self._within(order)
        missing = order.filled_qty - sum((each.qty for each in told), start=ZERO)
        if average is None or missing <= ZERO:
            return
        value = average * order.filled_qty - sum(
            (each.qty * each.price for each in told), start=ZERO
        )
        price = _as_traded(value / missing, _rounding(average) * order.filled_qty / missing)
        if price <= ZERO:
            price = average
        if price <= ZERO:
            return
        for start, end in _gaps(told, order.filled_qty):
            made = f"average:{order.broker_id}:{end.normalize():f}"
            at = order.at or now
            self.hear(order.broker_id, Execution(at, end - start, price, end, ZERO, made))

    def _within(self, order: RestOrder) -> list[Execution]:
        """What is known of the shares that the order says were filled, cut off at their end."""
        filled = order.filled_qty
        return [
            each._replace(qty=min(each.cum_qty, filled) - start, cum_qty=min(each.cum_qty, filled))
            for each in self._known.get(order.broker_id, ())
            if (start := each.cum_qty - each.qty) < filled
        ]


def execution_of(
    row: Body, cum_qty: Decimal | None, at: str, execution_id: str
) -> Execution | None:
    """The execution in a row with qty and price, its instant in the field `at`; None if it cannot
    be one.
    """
    qty, price, instant = decimal_of(row, "qty"), decimal_of(row, "price"), epoch_of(row, at)
    if qty is None or price is None or cum_qty is None or instant is None:
        return None
    if not ZERO < qty <= cum_qty or price <= ZERO:
        return None
    return Execution(int(instant), qty, price, cum_qty, ZERO, execution_id)


def activity_of(row: Body) -> tuple[BrokerOrderId, Execution] | None:
    """The order and execution of a FILL activity, or None if the row cannot be one."""
    order_id = text_of(row, "order_id")
    execution = execution_of(
        row, decimal_of(row, "cum_qty"), "transaction_time", text_of(row, "id") or ""
    )
    if order_id is None or execution is None:
        return None
    return BrokerOrderId(order_id), execution


def _cum_qty(execution: Execution) -> Decimal:
    return execution.cum_qty


def _gaps(told: Sequence[Execution], filled_qty: Decimal) -> list[tuple[Decimal, Decimal]]:
    """Spans up to the filled quantity that no execution covers; the told ones ascend."""
    gaps, end = [], ZERO
    for each in told:
        start = each.cum_qty - each.qty
        if start > end:
            gaps.append((end, start))
        end = each.cum_qty
    if filled_qty > end:
        gaps.append((end, filled_qty))
    return gaps


def _rounding(average: Decimal) -> Decimal:
    """How much the average may be off: it has four places or more, of which zeros are left out.
    """
    places = average.as_tuple().exponent
    return Decimal(1).scaleb(min(int(places), -4)) / 2


def _as_traded(price: Decimal, slack: Decimal) -> Decimal:
    """The price on its tick, if what lies between is no more than the average's own rounding."""
    on_tick = price.quantize(tick(price)) if price > ZERO else price
    return on_tick if abs(price - on_tick) <= slack + _FINEST else price.quantize(_FINEST)
