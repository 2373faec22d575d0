"""When what a broker did not take, and what never left, is tried again."""

from __future__ import annotations

from algo_trader.core.holding import Holding
from algo_trader.core.orders import Order, OrderState, pause_s
from algo_trader.core.types import Instant, Role

HELD = "insufficient qty available"
"""Words of a refusal: other orders at the broker hold the shares."""
IN_A_ROW_S = 300
"""Refusals that are further apart than this have nothing to do with each other."""


def count(holding: Holding, order: Order, at: Instant) -> None:
    """An order of the holding has ended. If it was to protect or to close the position and never
    got there, its successor waits a while, the longer the more often in a row.
    """
    is_refused = order.state is OrderState.REJECTED
    is_unsent = order.state is OrderState.SUBMIT_FAILED and not order.is_unknown
    if order.role is Role.ENTRY or not holding.qty or not (is_refused or is_unsent):
        return
    if is_refused and order.pair is not None and order.replaces is None:
        holding.is_pair_refused = True  # A stop by itself may be taken: it is sent at once.
        return
    if at - holding.retry_at > IN_A_ROW_S:
        holding.refusals = 0
    holding.failures += 1
    # What never left is tried again soon: the line may be back.
    times = min(holding.failures, 2) if is_unsent else holding.failures
    holding.retry_at = at + pause_s(times)
    # Shares that an order of somebody else holds are not freed by selling them.
    if is_refused and not holding.stops and HELD not in (order.last_error or ""):
        holding.refusals += 1
