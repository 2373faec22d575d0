"""Calls with their retries: how long each try may take.

Method: a client that never answers and writes down for how long it was waited for.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest
from rest_kit import NOW, Naps

from algo_trader.brokers.alpaca.budget import RateBudget, Urgency
from algo_trader.brokers.alpaca.calls import CANCEL, ORDER, QUESTION, Calls, Deadline, Retry
from algo_trader.brokers.alpaca.client import Answer
from algo_trader.brokers.alpaca.clock import SteeredClock
from algo_trader.core.errors import Unanswered


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


@pytest.mark.parametrize(
    ("retry", "waited_s"),
    [
        (CANCEL, [2.5, 2.5, 1.5]),
        (QUESTION, [8.5]),
        (ORDER, [8.5]),
    ],
    ids=["cancel", "question", "order"],
)
def test_how_long_an_answer_is_waited_for(retry: Retry, waited_s: list[float]) -> None:
    """Goal: a cancel whose answer is lost is asked for again before long, for shares may have no
    stop until its end is known; a question and an order are waited for to the end.
    """
    naps = Naps()
    client = _Silent()

    def spent_s() -> float:
        return sum(naps.taken) + sum(client.waited_s)

    async def ask() -> None:
        budget = RateBudget(sleep=naps, clock=spent_s)
        clock = SteeredClock(system=lambda: float(NOW))
        calls = Calls(client, budget, clock, sleep=naps)
        await calls.call(
            "DELETE",
            "/orders/b-1",
            urgency=Urgency.PROTECTIVE,
            retry=retry,
            deadline=Deadline(8.5, spent_s),
        )

    with pytest.raises(Unanswered):
        asyncio.run(ask())
    assert client.waited_s == waited_s
