"""One strategy's position in one symbol, as the sum of its fills, and its live orders.

A Holding is changed only by the book, fact by fact.
"""

from __future__ import annotations

from decimal import Decimal

from algo_trader.core.orders import Order
from algo_trader.core.types import (
    ZERO,
    DecisionId,
    ExitReason,
    Instant,
    Side,
    Symbol,
)


class Holding:
    """One strategy's position in one symbol, and its live orders.

    `qty` is unsigned, `side` says which way; `signed_qty` and `cost` (entry value of the shares
    still held) are negative for a short position. `stop_price` is the wanted protective price (fact
    StopSet), `target_price` the wanted profit (fact TargetSet), `exit_reason` a decided close.
    `quiet_until` ends the life of the last expired entry; `is_remnant` says that the entry was
    canceled after only a part of it had filled; `late` holds entries that appeared at the broker
    after we gave up on them; `refusals` counts reducing orders the broker refused while no stop was
    working, `failures` those in a row that did not get there; `targets` take the profit, each in a
    pair with a stop; `is_pair_refused` says that the broker would not have such a pair.
    `stop_taken_at` is when somebody else last took the stop away, or a part of it, 0 for never;
    `is_left_bare` that he has done so again and again, and is let have his way.
    """

    __slots__ = (
        "commission",
        "cost",
        "decision",
        "entry",
        "entry_qty",
        "entry_value",
        "exit_qty",
        "exit_reason",
        "exit_value",
        "exits",
        "failures",
        "is_left_bare",
        "is_pair_refused",
        "is_remnant",
        "late",
        "opened_at",
        "qty",
        "quiet_until",
        "refusals",
        "retry_at",
        "side",
        "signed_qty",
        "stop_price",
        "stop_taken_at",
        "stops",
        "strategy",
        "symbol",
        "target_price",
        "targets",
    )

    def __init__(self, strategy: str, symbol: Symbol) -> None:
        self.strategy = strategy
        self.symbol = symbol
        self.entry: Order | None = None
        self.late: list[Order] = []
        self.stops: list[Order] = []
        self.exits: list[Order] = []
        self.targets: list[Order] = []
        self.quiet_until: Instant = 0
        self.side = Side.LONG
        self.decision = DecisionId("")
        self.clear()

    def clear(self) -> None:
        """Flat again: forget the round trip."""
        self.qty: Decimal = ZERO
        self.signed_qty: Decimal = ZERO
        self.cost: Decimal = ZERO
        self.entry_qty: Decimal = ZERO
        self.entry_value: Decimal = ZERO
        self.exit_qty: Decimal = ZERO
        self.exit_value: Decimal = ZERO
        self.commission: Decimal = ZERO
        self.opened_at: Instant = 0
        self.stop_price: Decimal | None = None
        self.target_price: Decimal | None = None
        self.exit_reason: ExitReason | None = None
        self.is_remnant = False
        self.is_pair_refused = False
        self.is_left_bare = False
        self.stop_taken_at: Instant = 0
        self.refusals = 0
        self.failures = 0
        self.retry_at: Instant = 0

    @property
    def is_active(self) -> bool:
        """Whether there is a position or any live order."""
        return bool(
            self.qty or self.entry or self.stops or self.exits or self.late or self.targets
        )

    @property
    def avg_entry_price(self) -> Decimal:
        """Entry price weighted by fills; zero when flat."""
        return self.entry_value / self.entry_qty if self.entry_qty else ZERO

    def weigh(self) -> Decimal:
        """Keep the signed figures in step with the fills; the change of `cost`."""
        before, value = self.cost, self.entry_value
        if self.exit_qty:
            value = value * self.qty / self.entry_qty
        is_long = self.side is Side.LONG
        self.signed_qty = self.qty if is_long else -self.qty
        self.cost = value if is_long else -value
        return self.cost - before
