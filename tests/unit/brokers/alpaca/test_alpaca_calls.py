"""Calls with their retries: how long each try may take.

Method: a client that never answers and writes down for how long it was waited for.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import pytest
from rest_kit import NOW, Naps

from algo_trader.brokers.alpaca.budget import RateBudget, Urgency
from algo_trader.brokers.alpaca.calls import CANCEL, ORDER, QUESTION, Calls, Deadline, Retry
from algo_trader.brokers.alpaca.client import Answer
from algo_trader.brokers.alpaca.clock import SteeredClock
from algo_trader.brokers.alpaca.finder import Finder
from algo_trader.core.errors import Unanswered
from algo_trader.core.types import BrokerOrderId


class _Silent:
    """A client to which nobody answers; `waited_s` of each call."""

    def __init__(self) -> None:
        self.waited_s: list[float] = []

    async def call(
        self,
        method: str,
        path: str,
        terms: Mapping[str, Any] | None = None,
        *,
        limit_s: float = 9.0,
    ) -> Answer:
        self.waited_s.append(limit_s)
        raise Unanswered(f"{method} {path}")

    def close(self) -> None:
        """There is nothing to close."""


Ask = Callable[[Calls, SteeredClock, Deadline], Awaitable[object]]


def waited_s(ask: Ask) -> list[float]:
    """For how long each try is waited for, of a call that has eight and a half seconds."""
    naps = Naps()
    client = _Silent()

    def spent_s() -> float:
        return sum(naps.taken) + sum(client.waited_s)

    async def main() -> None:
        clock = SteeredClock(system=lambda: float(NOW))
        calls = Calls(client, RateBudget(sleep=naps, clock=spent_s), clock, sleep=naps)
        await ask(calls, clock, Deadline(8.5, spent_s))

    with pytest.raises(Unanswered):
        asyncio.run(main())
    return client.waited_s


@pytest.mark.parametrize(
    ("retry", "wanted"),
    [
        (CANCEL, [2.5, 2.5, 1.5]),
        (QUESTION, [8.5]),
        (ORDER, [8.5]),
    ],
    ids=["cancel", "question", "order"],
)
def test_how_long_an_answer_is_waited_for(retry: Retry, wanted: list[float]) -> None:
    """Goal: a cancel whose answer is lost is asked for again before long, for shares may have no
    stop until its end is known; a question and an order are waited for to the end.
    """

    def ask(calls: Calls, clock: SteeredClock, deadline: Deadline) -> Awaitable[object]:
        path, urgency = "/orders/b-1", Urgency.PROTECTIVE
        return calls.call("DELETE", path, urgency=urgency, retry=retry, deadline=deadline)

    assert waited_s(ask) == wanted


@pytest.mark.parametrize(
    ("urgency", "wanted"), [(Urgency.PROTECTIVE, [2.5, 2.5, 1.5]), (Urgency.LOOKUP, [8.5])]
)
def test_what_a_cancel_has_come_to_is_asked_again_before_long(
    urgency: Urgency, wanted: list[float]
) -> None:
    """Goal: a refused cancel whose order is then asked about in vain leaves again in time."""

    def ask(calls: Calls, clock: SteeredClock, deadline: Deadline) -> Awaitable[object]:
        return Finder(calls, clock).by_id(BrokerOrderId("b-1"), urgency, deadline)

    assert waited_s(ask) == wanted
