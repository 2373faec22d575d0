"""The way to the exchange and back: REST, the trade stream, the stream of bars.

Each stands where the real one stands, between the adapter and a socket, and keeps the company that
the plan gives it. A request that has left arrives even if the process that sent it is dead.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from algo_trader.brokers.alpaca.client import TOTAL_S, Answer
from algo_trader.brokers.alpaca.errors import NotConnected
from algo_trader.brokers.alpaca.wire import UNREADABLE, decoded
from algo_trader.core.errors import Unanswered, Unavailable
from algo_trader.core.types import Word
from algo_trader.simulation.exchange import SimulatedExchange
from algo_trader.simulation.fuse import Fuse
from algo_trader.simulation.loop import now
from algo_trader.simulation.plan import Fault
from algo_trader.simulation.witness import Witness
from algo_trader.simulation.world import World

LATE_S = (TOTAL_S + 1, 24.0)
"""After how long a late request arrives: when nobody waits for it any more, but before a request's
longest life is over.
"""
REFUSALS = {
    "POST": (403, 40310000, "insufficient qty available for order"),
    "PATCH": (422, 40010001, "order is not replaceable"),
    "DELETE": (422, 42210000, "order is not cancelable"),
}


class RestLine:
    """The adapter's client: `call` as brokers.alpaca.client has it."""

    def __init__(
        self, exchange: SimulatedExchange, world: World, witness: Witness, fuse: Fuse
    ) -> None:
        self._exchange = exchange
        self._world = world
        self._witness = witness
        self._fuse = fuse

    async def call(
        self,
        method: str,
        path: str,
        terms: Mapping[str, Any] | None = None,
        *,
        limit_s: float = TOTAL_S,
    ) -> Answer:
        """One request, once."""
        world = self._world
        sort = _sort(method, path, terms)
        self._fuse.touch(f"before {sort}")
        is_question = method == "GET"
        rates = world.plan.questions if is_question else world.plan.commands
        fault = world.scripted(sort) or world.drawn("GET" if is_question else sort, rates)
        if fault is Fault.REFUSED and not self._may_refuse(method, terms):
            fault = None
        if fault is not None:
            world.note(f"{sort}: {fault}")
        if not is_question:
            self._witness.note_leaving(
                method, terms, may_be_taken=fault not in (Fault.UNSENT, Fault.THROTTLED)
            )
        sent_at = now()
        status, content = await self._exchanged(method, path, terms, fault, limit_s)
        self._fuse.touch(f"after {sort}")
        body = None if not content else decoded(content)
        if fault in (Fault.GARBLED, Fault.ERROR_BEFORE, Fault.ERROR_AFTER):
            body = UNREADABLE
        if is_question and status == 200 and body is not UNREADABLE:
            self._witness.note_answered(path)
        return Answer(status, body, {}, sent_at, now())

    def close(self) -> None:
        """There is nothing to close."""

    async def _exchanged(
        self,
        method: str,
        path: str,
        terms: Mapping[str, Any] | None,
        fault: Word | None,
        limit_s: float,
    ) -> tuple[int, str]:
        """Status and content, or what went wrong on the way."""
        there, back = self._latency_s(), self._latency_s()
        match fault:
            case Fault.UNSENT:
                await asyncio.sleep(there)
                raise NotConnected(f"{method} {path}: the line is down")
            case Fault.LOST:
                await asyncio.sleep(limit_s)
                raise Unanswered(f"{method} {path}: no whole answer within {limit_s:.1f} s")
            case Fault.THROTTLED:
                await asyncio.sleep(there)
                return 429, '{"message":"too many requests"}'
            case Fault.ERROR_BEFORE:
                await asyncio.sleep(there)
                return 503, "<html>"
            case Fault.REFUSED:
                await asyncio.sleep(there)
                status, code, words = REFUSALS[method]
                return status, f'{{"code":{code},"message":"{words}"}}'
            case Fault.LATE:
                there = self._world.dice("late").uniform(*LATE_S)
        as_of = now() - self._world.plan.lag_s if fault is Fault.STALE else None
        arrive = partial(self._arrive, method, path, terms, as_of)
        answered: asyncio.Future[tuple[int, str]] = asyncio.get_running_loop().create_future()
        if fault is Fault.TWICE:
            _later(there, arrive, None)
        _later(there, arrive, answered)
        if fault in (Fault.NO_REPLY, Fault.LATE) or there + back > limit_s:
            await asyncio.sleep(limit_s)
            raise Unanswered(f"{method} {path}: no whole answer within {limit_s:.1f} s")
        status, content = await answered
        await asyncio.sleep(back)
        if fault is Fault.RESET:
            raise Unanswered(f"{method} {path}: ConnectionResetError")
        if fault is Fault.ERROR_AFTER:
            return 504, "<html>"
        return status, content

    def _arrive(
        self,
        method: str,
        path: str,
        terms: Mapping[str, Any] | None,
        as_of: float | None,
        answered: asyncio.Future[tuple[int, str]] | None,
    ) -> None:
        """The request is at the exchange, whoever has sent it."""
        if method != "GET":
            self._witness.note_arrival(method, terms)
        answer = self._exchange.answer(method, path, terms, as_of)
        if method != "GET":
            self._world.note(f"{method} {path} -> {answer[0]}")
            if answer[0] == 422 and "must be unique" in answer[1]:
                self._world.tally["seen: the name is taken"] += 1
            self._witness.look()
        if answered is not None and not answered.done():
            answered.set_result(answer)

    def _latency_s(self) -> float:
        return self._world.dice("latency").random() * self._world.plan.latency_s

    def _may_refuse(self, method: str, terms: Mapping[str, Any] | None) -> bool:
        """A broker may refuse a stop, a move and a cancel; an order that it has it will not."""
        if method != "POST":
            return True
        name = (terms or {}).get("client_order_id", "")
        known = {order.client_order_id for order in self._exchange.desk.blotter.orders.values()}
        return role_of(name) == "stop" and name not in known

    # -- market data --

    async def ask_data(self, path: str, params: Mapping[str, str]) -> Any:
        """feeds.alpaca.history's GetJson."""
        self._fuse.touch("before GET bars")
        fault = self._world.drawn("GET bars", self._world.plan.questions)
        await asyncio.sleep(self._latency_s())
        if fault is Fault.UNSENT:
            raise Unavailable(f"GET {path}: the line is down")
        if fault is not None and fault is not Fault.STALE:
            raise Unanswered(f"GET {path}: {fault}")
        status, content = self._exchange.answer("GET", path, params)
        self._fuse.touch("after GET bars")
        if status != 200:
            raise Unanswered(f"GET {path}: HTTP {status}")
        self._witness.note_answered("bars")
        return decoded(content)


def role_of(order_id: str) -> str:
    """What an order of ours is for, by its name; empty for somebody else's."""
    parts = order_id.split("-")
    return parts[-2] if len(parts) > 2 and parts[-1].isdigit() else ""


def _sort(method: str, path: str, terms: Mapping[str, Any] | None) -> str:
    """A request in a few words: `POST stop`, `GET orders`."""
    what = path.strip("/").split("/")[0]
    if method in ("POST", "PATCH"):
        what = role_of((terms or {}).get("client_order_id") or "") or what
    return f"{method} {what}"


def _later(delay_s: float, deed: Callable[..., None], *args: Any) -> None:
    asyncio.get_running_loop().call_later(delay_s, deed, *args)
