"""What a fault script does to a request: before it is carried out, after, or to its answer."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from algo_trader.exchange.asking import Answer, Ask, refused
from algo_trader.exchange.deeds import Deeds
from algo_trader.exchange.desk import Desk
from algo_trader.exchange.errors import ApiFault
from algo_trader.exchange.fault_book import Rule, Subject
from algo_trader.exchange.options import Hold
from algo_trader.exchange.sockets import either
from algo_trader.exchange.stream_faults import spoil
from algo_trader.exchange.wire import in_new_york, instant_of

HTML = "<html><head><title>{0}</title></head><body><h1>{0}</h1><hr>nginx</body></html>"
HTML_TYPE = "text/html"
RATE_LIMITED = {"code": 42910000, "message": "rate limit exceeded"}
CAPTIVE = "<html><body>Sign in to the network</body></html>"
KEPT_SNAPSHOTS = 200

Execute = Callable[[], Answer]


class Manner(StrEnum):
    """How an answer goes out."""

    WHOLE = "whole"
    DROPPED = "dropped"
    RESET = "reset"
    DRIPPED = "dripped"
    CUT = "cut"


@dataclass(slots=True, kw_only=True)
class Sending:
    """An answer, whether any, and how it is sent."""

    answer: Answer
    manner: Manner = Manner.WHOLE
    seconds: float = 0.0
    size: int = 0
    has_rate_headers: bool = True


class RestFaults:
    """Carries out one rule on one request."""

    def __init__(
        self,
        desk: Desk,
        deeds: Deeds,
        now: Callable[[], float],
        stopping: asyncio.Event,
        spawn: Callable[[Any], None],
    ) -> None:
        self._desk = desk
        self._deeds = deeds
        self._now = now
        self._stopping = stopping
        self._spawn = spawn
        self._births: dict[str, float] = {}
        self._snapshots: deque[tuple[float, list[dict[str, Any]]]] = deque(maxlen=KEPT_SNAPSHOTS)

    # -- what lags are measured from --

    def note_order(self, order_id: str) -> None:
        """Remember when an order was first heard of."""
        self._births.setdefault(order_id, time.monotonic())

    def note_positions(self) -> None:
        """Remember the positions as they are."""
        self._snapshots.append((time.monotonic(), self._desk.positions()))

    # -- carrying out --

    async def carry_out(self, rule: Rule, ask: Ask, subject: Subject, execute: Execute) -> Sending:
        """The answer to a request that the rule meets."""
        args = rule.args
        match rule.do:
            case "hang":
                await either(self._stopping, args["for_s"])
                return _dropped()
            case "delay":
                answer = execute()
                await either(self._stopping, args["for_s"])
                return Sending(answer=answer)
            case "drop":
                return _dropped()
            case "reset":
                return Sending(answer=Answer(), manner=Manner.RESET)
            case "late_accept":
                self._spawn(self._later(args["after_s"], execute))
                if args["answer"] == "hang":
                    await either(self._stopping, None)
                return _dropped()
            case "cancel_crossed_by_fill":
                self._deeds.fill(subject.order_id or "", args["qty"], args["price"])
                return Sending(answer=Answer(status=204))
            case "replace_rejected":
                return Sending(answer=self._kept_back(rule, Hold.REPLACE, execute))
            case "hold_pending":
                return Sending(answer=self._kept_back(rule, Hold.NEW, execute))
            case "hold_cancel":
                return Sending(answer=self._kept_back(rule, Hold.CANCEL, execute))
        refusal = _refusal(rule)
        if refusal is not None:
            return refusal
        answer = execute()
        if answer.status < 400:
            self._afterwards(rule, ask, answer)
        return self._sent(rule, answer)

    async def _later(self, seconds: float, execute: Execute) -> None:
        await either(self._stopping, seconds)
        execute()

    def _kept_back(self, rule: Rule, what: Hold, execute: Execute) -> Answer:
        """Say yes to what the market is not told of yet, or will refuse."""
        answer = self._deeds.keep_back(what, execute)
        seconds = rule.args["for_s"]
        if seconds is not None:
            is_refused = rule.do == "replace_rejected"
            self._spawn(
                self._call_later(seconds, lambda: self._deeds.release(is_refused=is_refused))
            )
        return answer

    async def _call_later(self, seconds: float, deed: Callable[[], None]) -> None:
        await either(self._stopping, seconds)
        deed()

    def _afterwards(self, rule: Rule, ask: Ask, answer: Answer) -> None:
        """What happens to an order behind an honest answer, or to the answer of an honest desk."""
        args = rule.args
        match rule.do:
            case "reject_later":
                order_id, reason = str(answer.body["id"]), args["reason"]
                self._spawn(
                    self._call_later(args["after_s"], lambda: self._deeds.reject(order_id, reason))
                )
            case "partial_fill":
                self._deeds.fill_part(str(answer.body["id"]), args["qty"], args["price"])
            case "lag_lists":
                since = time.monotonic() - args["for_s"]
                answer.body = [row for row in answer.body if not self._is_younger(row, since)]
            case "lag_lookups":
                if self._is_younger(answer.body, time.monotonic() - args["for_s"]):
                    asked = ask.parts.get("order_id") or ask.query.get("client_order_id")
                    answer.status = 404
                    answer.body = {"code": 40410000, "message": f"order not found for {asked}"}
            case "truncate_list":
                answer.body = _truncated(answer.body, args["keep"])
            case "clock_skew":
                shifted = instant_of(answer.body["timestamp"]) + float(args["seconds"])
                answer.body["timestamp"] = in_new_york(shifted)
            case "unknown_enum" | "missing_fields" | "wrong_echo":
                for row in answer.body if isinstance(answer.body, list) else [answer.body]:
                    spoil(rule, row)
        if rule.do == "lag_positions":
            self._lag_positions(ask, answer, time.monotonic() - args["for_s"])

    def _is_younger(self, row: Mapping[str, Any], since: float) -> bool:
        return self._births.get(str(row.get("id")), 0.0) > since

    def _lag_positions(self, ask: Ask, answer: Answer, since: float) -> None:
        rows: list[dict[str, Any]] = []
        for taken_at, positions in self._snapshots:
            if taken_at <= since:
                rows = positions
        symbol = ask.parts.get("symbol")
        if symbol is None:
            answer.body = rows
            return
        found = [row for row in rows if symbol in (row["symbol"], row["asset_id"])]
        if found:
            answer.body = found[0]
        else:
            answer.status = 404
            answer.body = {"code": 40410000, "message": "position does not exist"}

    def _sent(self, rule: Rule, answer: Answer) -> Sending:
        args = rule.args
        match rule.do:
            case "execute_then_drop":
                return Sending(answer=answer, manner=Manner.DROPPED)
            case "execute_then_504":
                return Sending(answer=_html(504, "504 Gateway Time-out"))
            case "non_json_200":
                return Sending(answer=Answer(raw=CAPTIVE.encode(), content_type=HTML_TYPE))
            case "drip":
                return Sending(answer=answer, manner=Manner.DRIPPED, seconds=args["for_s"])
            case "cut_body":
                return Sending(answer=answer, manner=Manner.CUT, size=args["bytes"])
        return Sending(answer=answer)


def _truncated(body: Any, keep: int) -> Any:
    """The first rows of a list; of bars the last of each symbol, and no further page."""
    if isinstance(body, list):
        return body[:keep]
    if isinstance(body, dict) and isinstance(body.get("bars"), dict):
        bars = {symbol: rows[max(len(rows) - keep, 0) :] for symbol, rows in body["bars"].items()}
        return {**body, "bars": bars, "next_page_token": None}
    return body


def _refusal(rule: Rule) -> Sending | None:
    """The answer of a server that does not carry the request out; None for other rules."""
    args = rule.args
    match rule.do:
        case "status":
            status = int(args["status"])
            title = f"{status} {REASONS.get(status, 'Error')}"
            return Sending(answer=_html(status, title, args["body"]))
        case "rate_limited":
            answer = Answer(status=429, body=dict(RATE_LIMITED))
            if args["retry_after_s"] is not None:
                answer.headers["Retry-After"] = f"{args['retry_after_s']:g}"
            return Sending(answer=answer, has_rate_headers=args["headers"])
        case "forbidden":
            return Sending(answer=Answer(status=403, body={"message": "forbidden."}))
        case "unauthorized":
            return Sending(answer=Answer(status=401, body={"message": "unauthorized."}))
        case "refuse":
            fault = ApiFault(args["status"], args["code"], args["message"], args["extras"])
            return Sending(answer=refused(fault))
        case "non_json_200" if not args["execute"]:
            return Sending(answer=Answer(raw=CAPTIVE.encode(), content_type=HTML_TYPE))
    return None


REASONS = {
    500: "Internal Server Error",
    502: "Bad Gateway",
    503: "Service Temporarily Unavailable",
    504: "Gateway Time-out",
}


def _html(status: int, title: str, body: str | None = None) -> Answer:
    words = HTML.format(title) if body is None else body
    return Answer(status=status, raw=words.encode(), content_type=HTML_TYPE)


def _dropped() -> Sending:
    return Sending(answer=Answer(), manner=Manner.DROPPED)
