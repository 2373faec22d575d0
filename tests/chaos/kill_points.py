"""Where a daemon is killed: points of the protocol that the exchange's journal shows, and others.

A request is held at the exchange by a fault, before it is carried out (`hang`), after (`delay`) or
in the middle of its answer (`drip`); the daemon is killed while it waits. What is told, an answer
or an update, is no wait: the kill comes a drawn moment after it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

Entry = Mapping[str, Any]
HELD_S = 3.0
DRIP_S = 0.01
ORDERS, ORDER = "/v2/orders", "/v2/orders/*"
BY_ID = "/v2/orders:by_client_order_id"


class Point(NamedTuple):
    """A place in the protocol. `fault` is put in force for it and fires where it is; without one
    the journal's entry `told` (kind, method or event, role) is waited for. The kill comes
    at most `after_s` later. `at_start` means while the daemon begins, before it trades.
    """

    name: str
    fault: Mapping[str, Any] | None = None
    told: tuple[str, str, str] = ("", "", "")
    after_s: float = 0.02
    at_start: bool = False

    def is_seen(self, entry: Entry, sent: dict[str, tuple[str, str]]) -> bool:
        """Whether the journal's entry is the moment; `sent` has method and id of each request."""
        kind, word, role = self.told
        if self.fault is not None:
            return bool(entry["kind"] == "fault")
        if entry["kind"] == "request":
            body = entry["body"] if isinstance(entry["body"], dict) else {}
            sent[entry["id"]] = entry["method"], str(body.get("client_order_id", ""))
        if entry["kind"] != kind:
            return False
        if kind == "answer":
            method, order_id = sent.get(entry["id"], ("", ""))
            return method == word and (not role or f"-{role}" in order_id)  # A cancel has no body.
        order = entry["data"]["order"]
        return bool(entry["data"]["event"] == word and f"-{role}" in order["client_order_id"])


WAYS: dict[str, tuple[dict[str, Any], float]] = {
    "asked": ({"do": "hang", "for_s": HELD_S}, 0.005),
    "accepted": ({"do": "delay", "for_s": HELD_S}, 0.005),
    "half_answered": ({"do": "drip", "for_s": DRIP_S}, 0.5),
    "answer_lost": ({"do": "execute_then_drop"}, 0.05),
}


def _held(name: str, on: str, *ways: str, **more: Any) -> list[Point]:
    at_start = more.pop("at_start", False)
    return [
        Point(f"{name}_{way}", {"on": f"rest:{on}", **WAYS[way][0], **more}, after_s=WAYS[way][1],
              at_start=at_start)
        for way in ways
    ]  # fmt: skip


def _sent(name: str, role: str) -> list[Point]:
    return [
        *_held(name, f"POST {ORDERS}", *WAYS, role=role),
        Point(f"{name}_answered", told=("answer", "POST", f"{role}-")),
    ]


TRADING = (
    *_sent("entry", "entry"),
    *_sent("stop", "stop"),
    *_sent("pair", "target"),
    *_sent("exit", "exit"),
    *_held("replace", f"PATCH {ORDER}", *WAYS),
    Point("replace_answered", told=("answer", "PATCH", "")),
    *_held("cancel", f"DELETE {ORDER}", "asked", "accepted", "answer_lost"),
    Point("cancel_answered", told=("answer", "DELETE", "")),
    Point("entry_fill_told", told=("update", "fill", "entry-")),
    Point("stop_fill_told", told=("update", "fill", "stop-")),
    Point("target_fill_told", told=("update", "fill", "target-")),
    Point("exit_fill_told", told=("update", "fill", "exit-")),
    Point("cancel_told", told=("update", "canceled", "")),
    Point("replace_told", told=("update", "replaced", "")),
    Point("stop_accepted_told", told=("update", "new", "stop-")),
    *_held("order_question", f"GET {ORDER}", "asked", "accepted"),
    *_held("name_question", f"GET {BY_ID}", "asked", "accepted"),
)
STARTING = (
    *_held("clock", "GET /v2/clock", "asked", at_start=True),
    *_held("account", "GET /v2/account", "asked", "accepted", at_start=True),
    *_held("reconcile_orders", f"GET {ORDERS}", "asked", "half_answered", at_start=True),
    *_held("reconcile_more_orders", f"GET {ORDERS}", "asked", nth=3, at_start=True),
    *_held("reconcile_positions", "GET /v2/positions", "asked", "accepted", at_start=True),
    *_held("reconcile_fills", "GET /v2/account/activities*", "asked", "accepted", at_start=True),
    *_held("reconcile_order", f"GET {BY_ID}", "asked", "accepted", at_start=True),
    *_held("reconcile_stop", f"POST {ORDERS}", *WAYS, at_start=True),
    *_held("reconcile_cancel", f"DELETE {ORDER}", "asked", "accepted", at_start=True),
    *_held("reconcile_replace", f"PATCH {ORDER}", "asked", "accepted", at_start=True),
    *_held("warm_up", "GET /v2/stocks/bars", "asked", "accepted", at_start=True),
)
IN_PARTS = (Point("part_told", told=("update", "partial_fill", "")),)
POINTS = {point.name: point for point in (*TRADING, *STARTING, *IN_PARTS)}

CALLS = ("pwrite64", "fdatasync", "sendto", "write")
"""System calls at the n-th of which a traced daemon is killed."""
CALL_MOST = {"pwrite64": 400, "fdatasync": 120, "sendto": 150, "write": 60}
STORAGE = tuple((call, error) for call in ("pwrite64", "fdatasync") for error in ("ENOSPC", "EIO"))
"""What fails, and how, in a daemon whose ledger's disk is no good."""
