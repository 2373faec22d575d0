"""The HTTP door of the REST API: keys, rate limit, faults, journal, and how answers go out."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from email.utils import formatdate
from typing import Any
from uuid import uuid4

from aiohttp import web

from algo_trader.exchange import sockets
from algo_trader.exchange.asking import NO_BODY, Answer, Ask, Handler, Route, refused
from algo_trader.exchange.budget import RequestBudget
from algo_trader.exchange.desk import Desk
from algo_trader.exchange.errors import ApiFault
from algo_trader.exchange.fault_book import NOBODY, FaultBook, Subject, subject_of
from algo_trader.exchange.fault_words import REST
from algo_trader.exchange.keys import Keys
from algo_trader.exchange.rest_faults import RATE_LIMITED, Manner, RestFaults, Sending
from algo_trader.exchange.sockets import either
from algo_trader.exchange.wire import dumps

MARKET_DATA = "/v2/stocks/"
NOT_JSON = ApiFault(400, 40010000, "request body format is invalid")


class Door:
    """Turns routes into aiohttp handlers."""

    def __init__(
        self,
        *,
        keys: Keys,
        desk: Desk,
        faults: FaultBook,
        rest_faults: RestFaults,
        tell: Callable[..., None],
        now: Callable[[], float],
        stopping: asyncio.Event,
    ) -> None:
        self._keys = keys
        self._desk = desk
        self._faults = faults
        self._rest_faults = rest_faults
        self._tell = tell
        self._now = now
        self._stopping = stopping

    def handler(
        self, route: Route, budget: RequestBudget
    ) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        """The aiohttp handler of a route."""

        async def serve(request: web.Request) -> web.StreamResponse:
            return await self._serve(request, route.handler, budget)

        return serve

    def unbudgeted(
        self, deed: Callable[[Ask], Awaitable[Answer]]
    ) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        """The aiohttp handler of the tester's door: the same keys, no limit, no faults."""

        async def serve(request: web.Request) -> web.StreamResponse:
            body, is_json = _parsed(await request.read())
            admitted = self._keys.admit(request.headers)
            if not admitted:
                answer = _not_admitted(admitted)
            elif not is_json:
                answer = refused(NOT_JSON)
            else:
                ask = _ask(request, body, self._now())
                try:
                    answer = await deed(ask)
                except ApiFault as fault:
                    answer = refused(fault)
            return await self._send(request, Sending(answer=answer), {})

        return serve

    async def _serve(
        self, request: web.Request, handler: Handler, budget: RequestBudget
    ) -> web.StreamResponse:
        request_id = uuid4().hex
        raw = await request.read()
        body, is_json = _parsed(raw)
        ask = _ask(request, body, self._now())
        self._tell(
            "request",
            id=request_id,
            method=ask.method,
            path=ask.path,
            query=dict(ask.query),
            body=body if is_json else raw.decode(errors="replace"),
        )
        sending = await self._answer(ask, request, handler, budget, is_json)
        self._tell(
            "answer",
            id=request_id,
            status=sending.answer.status,
            body=_shown(ask, sending.answer.body),
            sent=sending.manner.value,
        )
        headers = {"X-Request-ID": request_id, "Date": formatdate(self._now(), usegmt=True)}
        if sending.has_rate_headers:
            headers |= budget.headers()
        return await self._send(request, sending, headers)

    async def _answer(
        self,
        ask: Ask,
        request: web.Request,
        handler: Handler,
        budget: RequestBudget,
        is_json: bool,
    ) -> Sending:
        admitted = self._keys.admit(request.headers)
        if not admitted:
            return Sending(answer=_not_admitted(admitted))

        def execute() -> Answer:
            answer = _carried_out(handler, ask, is_json)
            if isinstance(answer.body, dict) and "client_order_id" in answer.body:
                self._rest_faults.note_order(str(answer.body["id"]))
            return answer

        point = f"{REST}{ask.method} {ask.path}"
        if self._faults.waits_at(point):
            subject = self._subject(ask)
            rule = self._faults.first_at(point, subject, ask.now)
            if rule is not None:
                try:
                    return await self._rest_faults.carry_out(rule, ask, subject, execute)
                except ApiFault as fault:
                    return Sending(answer=refused(fault))
        if not budget.take(ask.now):
            return Sending(answer=Answer(status=429, body=dict(RATE_LIMITED)))
        return Sending(answer=execute())

    def _subject(self, ask: Ask) -> Subject:
        """The order a request is about."""
        if ask.method == "POST" and isinstance(ask.body, dict):
            return subject_of(ask.body)
        try:
            if "order_id" in ask.parts:
                return subject_of(self._desk.order(ask.parts["order_id"]))
        except ApiFault:
            return NOBODY
        return Subject(
            symbol=ask.parts.get("symbol"), client_order_id=ask.query.get("client_order_id")
        )

    async def _send(
        self, request: web.Request, sending: Sending, headers: dict[str, str]
    ) -> web.StreamResponse:
        answer = sending.answer
        headers |= answer.headers
        if sending.manner is Manner.DROPPED:
            sockets.drop(request)
            return web.Response()
        if sending.manner is Manner.RESET:
            sockets.reset(request)
            return web.Response()
        content = _content(answer)
        if content:
            headers["Content-Type"] = answer.content_type
        if sending.manner is Manner.WHOLE:
            return web.Response(status=answer.status, body=content, headers=headers)
        response = web.StreamResponse(status=answer.status, headers=headers)
        response.content_length = len(content)
        await response.prepare(request)
        if sending.manner is Manner.CUT:
            await response.write(content[: sending.size])
            sockets.drop(request)
            return response
        for index in range(len(content)):
            if self._stopping.is_set() or request.transport is None:
                break
            await response.write(content[index : index + 1])
            await either(self._stopping, sending.seconds)
        return response


def _ask(request: web.Request, body: Any, now: float) -> Ask:
    return Ask(
        method=request.method,
        path=request.path,
        parts=request.match_info,
        query=request.query,
        body=body,
        now=now,
    )


def _shown(ask: Ask, body: Any) -> Any:
    """What the journal keeps of an answer: of market data only how much there was."""
    if not ask.path.startswith(MARKET_DATA) or not isinstance(body, dict) or "bars" not in body:
        return body
    bars = body["bars"]
    rows = bars.values() if isinstance(bars, dict) else [bars]
    return {**body, "bars": sum(len(each) for each in rows)}


def _not_admitted(admitted: bool | None) -> Answer:
    """No keys at all, or the wrong ones."""
    if admitted is None:
        return Answer(status=401, body={"message": "unauthorized."})
    return Answer(status=403, body={"message": "forbidden."})


def _parsed(raw: bytes) -> tuple[Any, bool]:
    if not raw:
        return None, True
    try:
        return json.loads(raw), True
    except ValueError:
        return None, False


def _carried_out(handler: Handler, ask: Ask, is_json: bool) -> Answer:
    if not is_json:
        return refused(NOT_JSON)
    try:
        return handler(ask)
    except ApiFault as fault:
        return refused(fault)


def _content(answer: Answer) -> bytes:
    if answer.raw is not None:
        return answer.raw
    return NO_BODY if answer.body is None else dumps(answer.body).encode()
