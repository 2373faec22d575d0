"""Finding orders at Alpaca, their executions and whose id is whose."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from decimal import Decimal

from algo_trader.brokers.alpaca.answers import Refusal, not_found_in, order_in, value_in
from algo_trader.brokers.alpaca.budget import Urgency
from algo_trader.brokers.alpaca.calls import PROTECTIVE_QUESTION, QUESTION, Calls, Deadline
from algo_trader.brokers.alpaca.client import Answer
from algo_trader.brokers.alpaca.clock import SteeredClock
from algo_trader.brokers.alpaca.fills import PATIENCE_S, UNANSWERED_PATIENCE_S, Fills
from algo_trader.brokers.alpaca.listing import Listing
from algo_trader.brokers.alpaca.mute import UntoldFills
from algo_trader.brokers.alpaca.orders import RestOrder, read_order
from algo_trader.brokers.alpaca.pairs import flat, is_made_up, stop_of, target_of
from algo_trader.brokers.alpaca.wire import body_of
from algo_trader.core.broker import BrokerOrder, BrokerStatus, Execution
from algo_trader.core.errors import BrokerError, Unanswered
from algo_trader.core.types import ZERO, BrokerOrderId, ClientOrderId

QUESTION_S = 9.0
MOST_EDITS = 20
AWAITED = "it has ended, but not all of its executions are told yet"
TAKEN_BACK = "it was filled, and executions of it were taken back"
TAKEN_BACK_AFTER_S = 20.0
BY_CLIENT_ID = "/orders:by_client_order_id"


class Finder:
    """Asks about orders and remembers what never changes: ids and executions.

    Every method raises Unavailable or Unanswered as a question does, unless it says otherwise.
    `clock` dates what has no date.
    """

    def __init__(
        self,
        calls: Calls,
        clock: SteeredClock,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.fills = Fills(monotonic)
        self.listing = Listing(self.ask)
        self.untold = UntoldFills(monotonic)
        self._calls = calls
        self._clock = clock
        self._monotonic = monotonic
        self._broker_ids: dict[ClientOrderId, BrokerOrderId] = {}
        self._client_ids: dict[BrokerOrderId, ClientOrderId] = {}
        self._in_pairs: set[BrokerOrderId] = set()
        self._lessened: dict[BrokerOrderId, float] = {}
        self._edited: set[BrokerOrderId] = set()
        self._continued: dict[BrokerOrderId, RestOrder] = {}
        self._successors: set[tuple[BrokerOrderId, BrokerOrderId]] = set()

    async def ask(
        self,
        path: str,
        terms: Mapping[str, str] | None = None,
        urgency: Urgency = Urgency.LOOKUP,
        deadline: Deadline | None = None,
    ) -> Answer:
        """The answer to a GET."""
        is_protective = urgency is Urgency.PROTECTIVE
        return await self._calls.call(
            "GET",
            path,
            terms,
            urgency=urgency,
            retry=PROTECTIVE_QUESTION if is_protective else QUESTION,
            deadline=deadline or Deadline(QUESTION_S, self._monotonic),
        )

    def know(self, order_id: ClientOrderId, broker_id: BrokerOrderId) -> ClientOrderId:
        """Remember whose id is whose; our name for the order, where Alpaca has made one up."""
        known = self._client_ids.get(broker_id)
        if known is not None and (is_made_up(order_id) or broker_id in self._edited):
            return known
        self._client_ids[broker_id] = order_id
        # Old news of an order that was edited since does not lead back to it.
        if self._broker_ids.get(order_id) not in self._edited:
            self._broker_ids[order_id] = broker_id
        return order_id

    def is_in_pair(self, broker_id: BrokerOrderId) -> bool:
        """Whether the order is one of two exits that end each other."""
        return broker_id in self._in_pairs

    def keep(self, order: RestOrder) -> RestOrder:
        """The order under our name; its ids are remembered, and how far it is filled."""
        name = self.know(order.order_id, order.broker_id)
        self.untold.see(order.broker_id, order.filled_qty)
        if order.is_in_pair:
            self._in_pairs.add(order.broker_id)
        return order if name == order.order_id else order._replace(order_id=name)

    async def find(
        self, order_id: ClientOrderId, deadline: Deadline | None = None
    ) -> RestOrder | Refusal:
        """The order of that client_order_id, or the broker's own word that it has none."""
        answer = await self.ask(
            BY_CLIENT_ID, {"client_order_id": order_id}, Urgency.LOOKUP, deadline
        )
        unknown = not_found_in(answer)
        if unknown is not None:
            return await self._find_leg(order_id, deadline) or unknown
        order = order_in(answer, f"GET {BY_CLIENT_ID}")
        if order.order_id != order_id:
            raise Unanswered(f"asked for {order_id}, the answer is another order")
        return await self.current(self.keep(order), deadline)

    async def _find_leg(
        self, order_id: ClientOrderId, deadline: Deadline | None
    ) -> RestOrder | None:
        """The stop of a pair, which Alpaca knows by another name; None if it has none such."""
        target_id = target_of(order_id)
        if target_id is None:
            return None
        if order_id not in self._broker_ids:
            terms = {"client_order_id": target_id}
            answer = await self.ask(BY_CLIENT_ID, terms, Urgency.LOOKUP, deadline)
            if not_found_in(answer) is not None:
                return None
            target = self.keep(order_in(answer, f"GET {BY_CLIENT_ID}"))
            if target.order_id != target_id:
                raise Unanswered(f"asked for {target_id}, the answer is another order")
            path = f"/orders/{target.broker_id}"
            answer = await self.ask(path, {"nested": "true"}, Urgency.LOOKUP, deadline)
            _, *legs = flat(body_of(value_in(answer, "GET /orders/ID")) or {})
            for leg in filter(None, map(read_order, legs)):
                first = self.keep(leg)
                # It was moved: the first one had no name. One that is triggered takes the place
                # of the target.
                while first.replaces not in (None, target.broker_id):
                    first = await self._by_id(first.replaces, Urgency.LOOKUP, deadline)
                if is_made_up(first.order_id):
                    self.know(order_id, first.broker_id)
        broker_id = self._broker_ids.get(order_id)
        if broker_id is None or not self.is_in_pair(broker_id):
            return None
        return await self.by_id(broker_id, Urgency.LOOKUP, deadline)

    async def id_of(
        self, order_id: ClientOrderId, deadline: Deadline
    ) -> BrokerOrderId | Refusal:
        """The broker's id of an order, asked for if it is not known."""
        known = self._broker_ids.get(order_id)
        if known is not None:
            return known
        found = await self.find(order_id, deadline)
        return found if isinstance(found, Refusal) else found.broker_id

    async def by_id(
        self,
        broker_id: BrokerOrderId,
        urgency: Urgency = Urgency.LOOKUP,
        deadline: Deadline | None = None,
    ) -> RestOrder:
        """The order of that id of the broker's, or what somebody else has made of it."""
        return await self.current(await self._by_id(broker_id, urgency, deadline), deadline)

    async def _by_id(
        self, broker_id: BrokerOrderId, urgency: Urgency, deadline: Deadline | None
    ) -> RestOrder:
        order = order_in(
            await self.ask(f"/orders/{broker_id}", None, urgency, deadline), "GET /orders/ID"
        )
        if order.broker_id != broker_id:
            raise Unanswered(f"asked for order {broker_id}, the answer is another one")
        return self.keep(order)

    async def current(
        self, order: RestOrder, deadline: Deadline | None = None
    ) -> RestOrder:
        """The order, or the one that somebody else has put in its place, in the broker's app or by
        a program of his: it goes on under our name. As it is if that cannot be told.

        An edit keeps the type. Another one is the other exit of a pair, which has ended this one.

        One that had begun to fill is told of as replaced, unless its successor counts its fills on.
        """
        name = order.order_id
        for _ in range(MOST_EDITS):
            after = order.replaced_by
            if order.status is not BrokerStatus.REPLACED or after is None:
                break
            step = (order.broker_id, after)
            if step in self._successors or _is_next(self._client_ids.get(after), name):
                self._successors.add(step)
                break
            try:
                successor = await self._by_id(after, Urgency.LOOKUP, deadline)
            except BrokerError:
                break
            is_same_type = (successor.stop_price is None) == (order.stop_price is None)
            is_next = is_made_up(name) or _is_next(successor.order_id, name)
            if is_next or not is_same_type or not self._goes_on(order, successor):
                self._successors.add(step)
                break
            self._edited.add(after)
            self._broker_ids[name] = after
            self._client_ids[after] = name
            order = successor._replace(order_id=name)
        return order

    def _goes_on(self, order: RestOrder, successor: RestOrder) -> bool:
        """Whether the successor's fills follow those of the order, which had some or none."""
        if order.filled_qty:
            if not self.fills.carry(successor, order.filled_qty):
                return False
            self._continued[successor.broker_id] = order
        return True

    def _line(self, order: RestOrder) -> list[RestOrder]:
        """The order, and before it the partly filled ones whose fills it counts on."""
        line = [order]
        while line[0].broker_id in self._continued:
            line.insert(0, self._continued[line[0].broker_id])
        return line

    async def complete(
        self, orders: Sequence[RestOrder], deadline: Deadline | None = None
    ) -> None:
        """Know every execution of these orders, as far as anybody can tell them. That nobody can
        is no error: what is known of the orders is worth telling without.
        """
        every = [each for order in orders for each in self._line(order)]
        lacking = [order for order in every if not self.fills.is_whole(order)]
        if not lacking:
            return
        patience_s = UNANSWERED_PATIENCE_S
        with suppress(BrokerError):
            async for broker_id, execution in self.listing.activities(lacking, deadline):
                self.fills.hear(broker_id, execution)
            patience_s = PATIENCE_S
        for order in lacking:
            if not self.fills.is_whole(order) and self.fills.is_overdue(order, patience_s):
                with suppress(BrokerError):
                    before = await self._filled_before(order, deadline)
                    if self.fills.carry(order, before):
                        self.untold.hear(order.broker_id, before)
                    else:
                        self.fills.make_up(order, self._clock.now(), patience_s)

    async def _filled_before(self, order: RestOrder, deadline: Deadline | None) -> Decimal:
        """What the order in whose place this one stands had filled, unless that was a target."""
        if order.replaces is None:
            return ZERO
        before = await self._by_id(order.replaces, Urgency.LOOKUP, deadline)
        return before.filled_qty if stop_of(before.order_id) is None else ZERO

    def told(self, order: RestOrder) -> tuple[Execution, ...] | None:
        """All executions of the order, or None while one is missing."""
        is_whole = all(self.fills.is_whole(each) for each in self._line(order))
        return self._executions(order) if is_whole else None

    def _executions(self, order: RestOrder) -> tuple[Execution, ...]:
        return tuple(done for each in self._line(order) for done in self.fills.told(each))

    def worded(self, order: RestOrder) -> BrokerOrder:
        """The order in core's words, with the executions that are known; one that has ended is told
        as open until all of them are.
        """
        status, detail = order.status, order.detail
        if status is not BrokerStatus.OPEN and self.told(order) is None:
            status, detail = BrokerStatus.OPEN, AWAITED
        elif status is BrokerStatus.FILLED and self._is_taken_back(order):
            status, detail = BrokerStatus.CANCELED, TAKEN_BACK
        return BrokerOrder(
            order.order_id,
            order.broker_id,
            order.symbol,
            order.action,
            order.qty,
            status,
            self._executions(order),
            self._successor(order),
            detail,
            order.stop_price,
            order.broker_id in self._edited,
        )

    def _is_taken_back(self, order: RestOrder) -> bool:
        """Whether less is filled of a filled order for longer than an answer may be behind."""
        if order.filled_qty >= order.qty:
            self._lessened.pop(order.broker_id, None)
            return False
        now = self._monotonic()
        return now - self._lessened.setdefault(order.broker_id, now) >= TAKEN_BACK_AFTER_S

    def _successor(self, order: RestOrder) -> ClientOrderId | None:
        """The client's id of the order that took this one's place; None if there is none, or it is
        not known.
        """
        after = order.replaced_by
        if order.status is not BrokerStatus.REPLACED or after is None:
            return None
        if (order.broker_id, after) not in self._successors:
            return None  # What was edited goes on.
        name = self._client_ids.get(after)
        is_leg = name is None or is_made_up(name)
        return stop_of(order.order_id) or name if is_leg else name  # Triggered, in its place.


def _is_next(name: ClientOrderId | None, before: ClientOrderId) -> bool:
    """Whether the name is that of our own replacement: the same but for its number."""
    if name is None or name == before:
        return False
    return name.rpartition("-")[0] == before.rpartition("-")[0]
