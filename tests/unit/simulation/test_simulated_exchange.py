"""The exchange at the other end of the line: its REST answers, as things are and as they were."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any
from uuid import UUID

from algo_trader.core.types import MINUTE
from algo_trader.simulation.exchange import SimulatedExchange
from algo_trader.simulation.loop import now, run_virtually
from algo_trader.simulation.market import Market
from algo_trader.simulation.plan import Plan

PLAN = Plan(seed=3, minutes=60, speed=60)
LIMIT = {
    "symbol": "AA",
    "side": "buy",
    "type": "limit",
    "qty": "5",
    "limit_price": "31.00",
    "time_in_force": "day",
    "client_order_id": "mine-1",
}


def open_exchange() -> SimulatedExchange:
    """An exchange whose first session has begun when its floor is played."""
    market = Market(PLAN.seed, PLAN.symbols, PLAN.paths, PLAN.minutes)
    return SimulatedExchange(PLAN, market)


def asked(exchange: SimulatedExchange, path: str, as_of: float | None = None, **terms: str) -> Any:
    """Status and document of a question."""
    status, text = exchange.answer("GET", path, terms, as_of)
    return status, json.loads(text)


def in_a_session(work: Callable[[SimulatedExchange], Any]) -> Any:
    """What the coroutine returns that is begun two minutes into the session."""

    async def play() -> Any:
        exchange = open_exchange()
        playing = asyncio.ensure_future(exchange.play())
        await exchange.until(exchange.market.period[0].session.opens_at + 2 * MINUTE)
        try:
            return await work(exchange)
        finally:
            playing.cancel()

    return run_virtually(play())


def test_it_answers_as_the_one_on_loopback_does() -> None:
    """Goal: routes, refusals and absence are the served exchange's. Method: one of each."""

    async def work(exchange: SimulatedExchange) -> list[Any]:
        status, text = exchange.answer("POST", "/orders", LIMIT)
        again = exchange.answer("POST", "/orders", LIMIT)
        order_id = json.loads(text)["id"]
        gone = exchange.answer("DELETE", f"/orders/{order_id}", None)
        return [
            status,
            again[0],
            gone,
            asked(exchange, f"/orders/{order_id}")[1]["status"],
            asked(exchange, f"/orders/{UUID(int=1)}")[0],
            asked(exchange, "/nowhere")[0],
            asked(exchange, "/v2/clock")[1]["is_open"],
        ]

    assert in_a_session(work) == [200, 422, (204, ""), "canceled", 404, 404, True]


def test_stale_answers_are_those_of_then() -> None:
    """Goal: a question as of some seconds ago is answered as it would have been answered then.

    Method: an order placed and canceled, with a second between; each question as of before, of
    between, of after and of now.
    """

    async def work(exchange: SimulatedExchange) -> list[Any]:
        times = [now()]
        await asyncio.sleep(1)
        order_id = json.loads(exchange.answer("POST", "/orders", LIMIT)[1])["id"]
        times.append(now())
        await asyncio.sleep(1)
        exchange.answer("DELETE", f"/orders/{order_id}", None)
        times.append(now())
        await asyncio.sleep(1)
        found = []
        for as_of in (*times, None):
            by_name = asked(
                exchange, "/orders:by_client_order_id", as_of, client_order_id="mine-1"
            )
            found.append(
                (
                    by_name[1].get("status", by_name[0]),
                    asked(exchange, f"/orders/{order_id}", as_of)[1].get("status"),
                    [row["id"] == order_id for row in asked(exchange, "/orders", as_of)[1]],
                    len(asked(exchange, "/orders", as_of, status="closed")[1]),
                    len(asked(exchange, "/orders", as_of, status="all", nested="true")[1]),
                )
            )
        return found

    assert in_a_session(work) == [
        (404, None, [], 0, 0),
        ("new", "new", [True], 0, 1),
        ("canceled", "canceled", [], 1, 1),
        ("canceled", "canceled", [], 1, 1),
    ]


def test_stale_positions() -> None:
    """Goal: positions lag behind as orders do.

    Method: shares bought, and asked for as of before and after.
    """

    async def work(exchange: SimulatedExchange) -> list[Any]:
        before = now()
        await asyncio.sleep(1)
        body = {"symbol": "AA", "side": "buy", "type": "market", "qty": "7", "time_in_force": "day"}
        exchange.answer("POST", "/orders", body)
        while not exchange.held("AA"):
            await asyncio.sleep(0.5)
        await asyncio.sleep(0.5)
        return [
            [(row["symbol"], row["qty"]) for row in asked(exchange, "/positions", as_of)[1]]
            for as_of in (before, now(), None)
        ]

    assert in_a_session(work) == [[], [("AA", "7")], [("AA", "7")]]


def test_what_is_silent_is_told_to_nobody() -> None:
    """Goal: a stop can end unheard. Method: an order placed aloud, canceled in silence."""

    async def work(exchange: SimulatedExchange) -> list[str]:
        heard: list[str] = []
        exchange.listen(lambda row: heard.append(str(row["event"])))
        order_id = json.loads(exchange.answer("POST", "/orders", LIMIT)[1])["id"]
        exchange.is_silent = True
        exchange.answer("DELETE", f"/orders/{order_id}", None)
        exchange.is_silent = False
        exchange.answer("POST", "/orders", {**LIMIT, "client_order_id": "mine-2"})
        return heard

    assert in_a_session(work) == ["pending_new", "new"] * 2
