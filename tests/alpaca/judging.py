"""What must always be so, by the exchange's own journal and both books; nothing of ours is asked.

Entries of the journal are judged as they stand: orders and fills as the exchange told them, with
the real time at which it did.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any, TypeAlias

Entry: TypeAlias = Mapping[str, Any]
NOBODY: frozenset[str] = frozenset()
ZERO = Decimal(0)
OPEN = frozenset(
    {"new", "accepted", "pending_new", "held", "partially_filled", "pending_cancel",
     "pending_replace", "accepted_for_bidding", "stopped", "calculated"}
)  # fmt: skip


def longest_uncovered(
    updates: Iterable[Entry], now: float, others: frozenset[str] = NOBODY
) -> dict[str, float]:
    """By symbol, the longest real time until `now` in which fewer shares had a stop than were held.
    """
    held: dict[str, Decimal] = {}
    stops: dict[str, dict[str, Decimal]] = {}
    since: dict[str, float] = {}
    longest: dict[str, float] = {}
    for entry in updates:
        data, at = entry["data"], float(entry["real"])
        order = data["order"]
        symbol = order["symbol"]
        if symbol in others:
            continue
        if data["event"] in ("fill", "partial_fill"):
            signed = Decimal(data["qty"]) * (1 if order["side"] == "buy" else -1)
            held[symbol] = held.get(symbol, ZERO) + signed
        if order["type"] in ("stop", "stop_limit") and order["side"] == "sell":
            of_symbol = stops.setdefault(symbol, {})
            of_symbol.pop(order["id"], None)
            if order["status"] in OPEN:
                of_symbol[order["id"]] = Decimal(order["qty"]) - Decimal(order["filled_qty"])
        cover = sum(stops.get(symbol, {}).values(), start=ZERO)
        if held.get(symbol, ZERO) > cover:
            since.setdefault(symbol, at)
        elif symbol in since:
            longest[symbol] = max(longest.get(symbol, 0.0), at - since.pop(symbol))
    for symbol, at in since.items():
        longest[symbol] = max(longest.get(symbol, 0.0), now - at)
    return longest


def ids_of_two_orders(updates: Iterable[Entry]) -> set[str]:
    """Ids of ours that the exchange has under more than one of its own."""
    found: dict[str, set[str]] = {}
    for entry in updates:
        order = entry["data"]["order"]
        found.setdefault(order["client_order_id"], set()).add(order["id"])
    return {order_id for order_id, of_exchange in found.items() if len(of_exchange) > 1}


def entries_sent_again(journal: Iterable[Entry]) -> set[str]:
    """Entries that were sent again although one of their requests may have been taken.

    429 is the only answer after which nothing certainly was.
    """
    asked: dict[str, str] = {}
    sent: Counter[str] = Counter()
    for entry in journal:
        if entry["kind"] == "request" and entry["method"] == "POST":
            order_id = (entry["body"] or {}).get("client_order_id", "")
            if "-entry-" in order_id:
                asked[entry["id"]] = order_id
                sent[order_id] += 1
        elif entry["kind"] == "answer" and entry["status"] == 429 and entry["id"] in asked:
            sent[asked[entry["id"]]] -= 1
    return {order_id for order_id, count in sent.items() if count > 1}


def differing_fills(
    ours: Iterable[Entry], theirs: Iterable[Entry], prefix: str, others: frozenset[str] = NOBODY
) -> list[str]:
    """Orders of ours, whose ids begin with `prefix`, that one book has filled otherwise."""
    ledger = {
        row["order_id"]: (Decimal(row["qty_filled"]), Decimal(row["avg_fill_price"] or 0))
        for row in ours
        if row["symbol"] not in others
    }
    exchange = {
        row["client_order_id"]: (Decimal(row["filled_qty"]), Decimal(row["filled_avg_price"] or 0))
        for row in theirs
        if row["client_order_id"].startswith(prefix) and row["symbol"] not in others
    }
    nothing = (ZERO, ZERO)
    return [
        f"{order_id}: {ledger.get(order_id)}, at the exchange {exchange.get(order_id)}"
        for order_id in sorted(ledger.keys() | exchange.keys())
        if ledger.get(order_id, nothing) != exchange.get(order_id, nothing)
    ]
