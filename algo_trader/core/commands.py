"""Imperatives for a broker: what is sent because of facts, and after they are durable."""

from __future__ import annotations

from typing import NamedTuple, TypeAlias

from algo_trader.core.events import OrderRequest
from algo_trader.core.types import ClientOrderId


class Submit(NamedTuple):
    """Send this order."""

    request: OrderRequest


class SubmitPair(NamedTuple):
    """Send a protective stop and a limit order that takes the profit, over the same shares: what
    one of them fills the other loses, and the end of one ends the other.
    """

    stop: OrderRequest
    target: OrderRequest


class Cancel(NamedTuple):
    """Ask the broker to cancel the rest of an order."""

    order_id: ClientOrderId


class Replace(NamedTuple):
    """Ask the broker to put `request` in the place of a working order."""

    order_id: ClientOrderId
    request: OrderRequest


Command: TypeAlias = Submit | SubmitPair | Cancel | Replace


def placed_by(command: Command) -> tuple[OrderRequest, ...]:
    """The orders that a command asks for, a pair's target first."""
    if isinstance(command, Cancel):
        return ()
    if isinstance(command, SubmitPair):
        return (command.target, command.stop)
    return (command.request,)
