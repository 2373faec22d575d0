"""Noticing that the trade stream has gone dumb: connected, answering pings, and telling nothing.

Silence alone says nothing, for there may be nothing to tell. But when REST shows that an order was
filled further since it was last looked at, and the stream was connected all that time, the stream
must tell of it within seconds.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import NamedTuple

from algo_trader.core.types import ZERO, BrokerOrderId

PATIENCE_S = 10.0


class _Seen(NamedTuple):
    """What REST said of an order's filled quantity, and when it said less."""

    filled_qty: Decimal
    at: float
    less_at: float | None


class UntoldFills:
    """Compares what REST shows with what the stream told. `clock` is monotonic, in seconds."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._seen: dict[BrokerOrderId, _Seen] = {}
        self._told: dict[BrokerOrderId, Decimal] = {}

    def see(self, broker_id: BrokerOrderId, filled_qty: Decimal) -> None:
        """REST shows the order with so many shares filled."""
        now, before = self._clock(), self._seen.get(broker_id)
        if before is None:
            self._seen[broker_id] = _Seen(filled_qty, now, None)
        elif filled_qty > before.filled_qty:
            self._seen[broker_id] = _Seen(filled_qty, now, before.at)
        elif before.less_at is None:
            self._seen[broker_id] = _Seen(before.filled_qty, now, None)

    def hear(self, broker_id: BrokerOrderId, cum_qty: Decimal) -> None:
        """The stream told of an execution, after which so many shares were filled."""
        self._told[broker_id] = max(cum_qty, self._told.get(broker_id, ZERO))

    def is_mute(self, connected_at: float) -> bool:
        """Whether a stream that is connected since then has not told what it must have."""
        latest = self._clock() - PATIENCE_S
        return any(
            seen.less_at is not None
            and connected_at <= seen.less_at
            and seen.at <= latest
            and self._told.get(broker_id, ZERO) < seen.filled_qty
            for broker_id, seen in self._seen.items()
        )
