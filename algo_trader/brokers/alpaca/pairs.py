"""A stop and a target as Alpaca's OCO: what is sent, and whose leg is whose.

At Alpaca the target is the parent, under our name; the stop is its leg, under a name that Alpaca
makes up. Ours is known from the answer to the POST, and later from the parent's: both have the
number of the pair. A leg that was moved has the name that we gave it then.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from algo_trader.brokers.alpaca.orders import submit_body
from algo_trader.brokers.alpaca.wire import Body, text_of
from algo_trader.core.events import OrderRequest
from algo_trader.core.types import ClientOrderId, text_or_none

OCO = "oco"
MOST_DEPTH = 5
_STOP, _TARGET = "-stop-", "-target-"
_MADE_UP = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)


def pair_body(stop: OrderRequest, target: OrderRequest) -> dict[str, Any]:
    """What is sent to place both."""
    body: dict[str, Any] = submit_body(target)
    return body | {
        "order_class": OCO,
        "take_profit": {"limit_price": text_or_none(target.limit_price)},
        "stop_loss": {"stop_price": text_or_none(stop.stop_price)},
    }


def is_made_up(order_id: str) -> bool:
    """Whether the name is one that Alpaca gives to what has none."""
    return _MADE_UP.fullmatch(order_id) is not None


def target_of(stop_id: ClientOrderId) -> ClientOrderId | None:
    """The name of the target that was sent with the stop, if it was sent with one."""
    decision, found, number = stop_id.rpartition(_STOP)
    return ClientOrderId(f"{decision}{_TARGET}{number}") if found else None


def stop_of(target_id: str) -> ClientOrderId | None:
    """The name of the stop that was sent with the target; None if that is no target of ours."""
    decision, found, number = target_id.rpartition(_TARGET)
    return ClientOrderId(f"{decision}{_STOP}{number}") if found else None


def flat(row: Body, depth: int = 0) -> Iterator[Body]:
    """The order and its legs, each by itself; the leg of a target of ours under our name for it.

    One that has taken the place of another leg has its own name or none. A stop that is triggered
    takes the place of its target.
    """
    yield row
    legs = row.get("legs")
    if not isinstance(legs, list) or depth >= MOST_DEPTH:
        return
    name = stop_of(text_of(row, "client_order_id") or "")
    for leg in legs:
        if not isinstance(leg, dict):
            continue
        is_first = leg.get("replaces") in (None, "", row.get("id"))
        if name is not None and is_first and is_made_up(text_of(leg, "client_order_id") or ""):
            yield {**leg, "client_order_id": name}
        else:
            yield from flat(leg, depth + 1)
