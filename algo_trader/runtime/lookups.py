"""When to ask the broker about an order whose answer is missing, and when to believe its "no".

Real time (monotonic): a request has a longest life, a broker a limit of requests. An order is asked
about at once, then after pauses that double; "no such order" is proof only when the request could
no longer be on its way.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Sequence

from algo_trader.core.orders import Order
from algo_trader.core.types import ClientOrderId

FIRST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 30.0
REPEAT_AFTER_S = 1.5
"""A reducing order that the broker denies for so long is sent again, under its id."""
REPEAT_REFUSED_AFTER_S = 3.0
"""The same after a refusal: the market may have come back to the other side of a stop's price."""


class _Open:
    """One order being asked about."""

    __slots__ = ("asked_at", "next_at", "pause_s", "repeat_at", "since")

    def __init__(self, now: float) -> None:
        self.since = self.asked_at = self.next_at = now
        self.repeat_at = now + REPEAT_AFTER_S
        self.pause_s = FIRST_PAUSE_S


class Lookups:
    """The pace of questions. `settle_s` seconds after it was missed an absent order is absent."""

    def __init__(self, settle_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._settle_s = settle_s
        self._clock = clock
        self._open: dict[ClientOrderId, _Open] = {}
        self._proven: set[ClientOrderId] = set()
        self._before: dict[ClientOrderId, _Open] = {}

    def due(self, missing: Sequence[Order], busy: Collection[ClientOrderId]) -> list[Order]:
        """Those of the orders without an answer to ask about now; `busy` ones are in flight."""
        now = self._clock()
        known = {order.order_id for order in missing}
        self._open = {key: value for key, value in self._open.items() if key in known}
        self._before = {key: value for key, value in self._before.items() if key in known}
        self._proven &= known
        found = []
        for order in missing:
            if order.order_id in busy:
                continue
            entry = self._open.setdefault(order.order_id, _Open(now))
            if now >= entry.next_at:
                entry.asked_at = now
                entry.next_at = now + entry.pause_s
                entry.pause_s = min(entry.pause_s * 2, LONGEST_PAUSE_S)
                found.append(order)
        return found

    def begin_anew(self, order_id: ClientOrderId) -> None:
        """The order's request leaves once more: it has a whole life before it."""
        (self._proven.add if self.is_proof(order_id) else self._proven.discard)(order_id)
        before = self._open.pop(order_id, None)
        if before is not None:
            self._before[order_id] = before

    def was_proven(self, order_id: ClientOrderId) -> bool:
        """Whether the order was proven absent when its request left last."""
        return order_id in self._proven

    def take_back(self, order_id: ClientOrderId) -> None:
        """The request that left last was refused: what may be on its way is the one before it."""
        entry = self._before.get(order_id)
        if entry is not None:
            now = self._clock()
            entry.next_at, entry.pause_s = now, FIRST_PAUSE_S
            entry.repeat_at = now + REPEAT_REFUSED_AFTER_S
            self._open[order_id] = entry

    def hurry(self, order_id: ClientOrderId) -> None:
        """Something new was heard of the order: ask at once, and often again for a while."""
        entry = self._open.get(order_id)
        if entry is not None:
            entry.next_at, entry.pause_s = self._clock(), FIRST_PAUSE_S

    def is_repeatable(self, order_id: ClientOrderId) -> bool:
        """Whether the broker has denied the order for long enough to send it once more."""
        entry = self._open.get(order_id)
        return entry is not None and entry.asked_at >= entry.repeat_at

    def is_proof(self, order_id: ClientOrderId) -> bool:
        """Whether the broker's "no such order" can be believed, by when it was asked."""
        entry = self._open.get(order_id)
        return entry is not None and entry.asked_at - entry.since >= self._settle_s
