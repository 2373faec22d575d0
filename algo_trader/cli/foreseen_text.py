"""What reconciliation would record and do, for people and for programs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from algo_trader.core import commands as cmd
from algo_trader.core import events as ev
from algo_trader.core.book import Book
from algo_trader.core.types import iso, text
from algo_trader.ledger.codec import encode
from algo_trader.runtime.foresight import Foreseen
from algo_trader.runtime.log_lines import text_line
from algo_trader.runtime.narration import describe

PRICES = ("limit_price", "stop_price")


def foreseen_document(foreseen: Foreseen) -> dict[str, Any]:
    """Facts as the ledger would hold them, with `at` as a time; commands; whether there is none."""
    return {
        "agrees": foreseen.agrees,
        "records": [
            {
                "kind": type(fact).__name__,
                **json.loads(encode(fact)),
                "at": iso(fact.at),
            }
            for fact in foreseen.records
        ],
        "commands": [command_document(command) for command in foreseen.commands],
    }


def foreseen_text(book: Book, foreseen: Foreseen) -> str:
    """A line for each fact that has words, as in the daemon's log, and for each command; `book` is
    the one they are in.
    """
    if foreseen.agrees:
        return "ledger and broker agree: nothing would be recorded, nothing sent"
    told = [describe(book, fact) for fact in foreseen.records]
    lines = [text_line({"event": name, **fields}) for name, fields in filter(None, told)]
    parts = [_part("would be recorded", len(foreseen.records), lines)]
    parts.append(_part("would be sent", len(foreseen.commands), map(_said, foreseen.commands)))
    return "\n\n".join(parts)


def command_document(command: cmd.Command) -> dict[str, Any]:
    """A command: what is asked, of which order, and the terms of new ones."""
    match command:
        case cmd.Submit(request):
            return {"command": "submit", **_request(request)}
        case cmd.SubmitPair(stop, target):
            both = {"stop": _request(stop), "target": _request(target)}
            return {"command": "submit_pair", "order_id": target.order_id, **both}
        case cmd.Cancel(order_id):
            return {"command": "cancel", "order_id": order_id}
        case cmd.Replace(order_id, request):
            return {"command": "replace", "order_id": order_id, "by": _request(request)}


def _request(request: ev.OrderRequest) -> dict[str, Any]:
    prices = {name: getattr(request, name) for name in PRICES}
    return {
        "order_id": request.order_id,
        "symbol": request.symbol,
        "action": str(request.action),
        "type": str(request.type),
        "time_in_force": str(request.time_in_force),
        "qty": text(request.qty),
        **{name: None if price is None else text(price) for name, price in prices.items()},
    }


def _said(command: cmd.Command) -> str:
    match command:
        case cmd.Submit(request):
            return _terms(_request(request))
        case cmd.SubmitPair(stop, target):
            return f"as a pair: {_terms(_request(target))}; {_terms(_request(stop))}"
        case cmd.Cancel(order_id):
            return f"cancel {order_id}"
        case cmd.Replace(order_id, request):
            return f"replace {order_id} by: {_terms(_request(request))}"


def _terms(said: Mapping[str, Any]) -> str:
    prices = "".join(f" {name} {said[name]}" for name in PRICES if said[name] is not None)
    what = f"{said['action']} {said['qty']} {said['symbol']} {said['type']}{prices}"
    return f"{what} {said['time_in_force']} ({said['order_id']})"


def _part(title: str, count: int, lines: Any) -> str:
    return "\n".join([f"{title}: {count or 'nothing'}", *(f"  {line}" for line in lines)])
