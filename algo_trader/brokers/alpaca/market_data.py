"""Questions to Alpaca's market-data host, answered as parsed JSON whose numbers are exact."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from algo_trader.brokers.alpaca.answers import value_in
from algo_trader.brokers.alpaca.budget import RateBudget, Urgency
from algo_trader.brokers.alpaca.calls import QUESTION, Calls, Deadline
from algo_trader.brokers.alpaca.client import AlpacaClient
from algo_trader.brokers.alpaca.clock import SteeredClock
from algo_trader.brokers.alpaca.keys import Keys

VERSION = "/v2"
PAGE_S = 30.0
"""The longest a page of history with its retries may take."""


class MarketData:
    """Called with a path and its parameters. Raises Unavailable or Unanswered, as a broker does."""

    def __init__(self, url: str, keys: Keys, budget: RateBudget, clock: SteeredClock) -> None:
        self._client = AlpacaClient(url, keys)
        self._calls = Calls(self._client, budget, clock)

    async def __call__(self, path: str, params: Mapping[str, str]) -> Any:
        """The answer's JSON."""
        answer = await self._calls.call(
            "GET",
            path.removeprefix(VERSION),
            params,
            urgency=Urgency.LOOKUP,
            retry=QUESTION,
            deadline=Deadline(PAGE_S),
        )
        return value_in(answer, f"GET {path}")

    async def close(self) -> None:
        """Cut off what is under way and end the threads."""
        await asyncio.to_thread(self._client.close)
