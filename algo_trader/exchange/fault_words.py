"""The vocabulary of fault scripts: points where something may go wrong, and what may go wrong.

Everything here is data: the reader of scripts checks against it and the docs are tested against it.
Durations (`*_s`) are real seconds, for they try a client's timeouts; `after` and `until` are
virtual time.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

REST = "rest:"
CLOCK = "clock"
CLOCK_POINT = "rest:GET /v2/clock"
NOW = "now"
METHODS = ("GET", "POST", "PATCH", "DELETE", "*")

TRADE_CONNECT, TRADE_AUTH, TRADE_EVENT = (
    "trade_stream:connect", "trade_stream:auth", "trade_stream:event",
)  # fmt: skip
DATA_CONNECT, DATA_AUTH, DATA_SUBSCRIBE, DATA_BAR = (
    "data_stream:connect", "data_stream:auth", "data_stream:subscribe", "data_stream:bar",
)  # fmt: skip
MARKET_OPEN, MARKET_CLOSE, MARKET_MINUTE, MARKET_FILL = (
    "market:open", "market:close", "market:minute", "market:fill",
)  # fmt: skip

TRADE = (TRADE_CONNECT, TRADE_AUTH, TRADE_EVENT)
DATA = (DATA_CONNECT, DATA_AUTH, DATA_SUBSCRIBE, DATA_BAR)
MARKET = (MARKET_OPEN, MARKET_CLOSE, MARKET_MINUTE, MARKET_FILL)
POINTS = (*TRADE, *DATA, *MARKET)

REQUIRED: Final = object()


class Param(NamedTuple):
    """A word an action takes: seconds, count, number, text, flag, words, table or choices."""

    kind: str
    default: Any = None
    choices: tuple[str, ...] = ()


class Action(NamedTuple):
    """What a rule may do, at which points, with which words."""

    points: tuple[str, ...]
    params: dict[str, Param] = {}  # noqa: RUF012 - never changed


CONDITIONS = {
    "nth": Param("count", 1),
    "times": Param("whole", 1),
    "after": Param("moment"),
    "until": Param("moment"),
    "symbol": Param("text"),
    "client_order_id": Param("text"),
    "role": Param("text"),
    "side": Param("text"),
    "type": Param("text"),
    "event": Param("text"),
}

_SECONDS = Param("seconds", REQUIRED)
_WHILE = Param("seconds", None)
_STREAM = Param("choice", None, ("trade", "data"))
_SET = Param("table", REQUIRED)
_ORDER = {"order": Param("text"), "of": Param("text")}
_ENUM = {"field": Param("text", "status"), "value": Param("text", "quantum_held")}
_LINE = (TRADE_CONNECT, TRADE_EVENT, DATA_CONNECT, DATA_BAR, *MARKET, NOW)
_WORLD = (*MARKET, NOW)
_ANY_REST = (REST,)
_POST = ("rest:POST /v2/orders",)
_PATCH = ("rest:PATCH /v2/orders/*",)
_DELETE = ("rest:DELETE /v2/orders/*",)

ACTIONS: dict[str, Action] = {
    # A request and its answer on the wire.
    "hang": Action(_ANY_REST, {"for_s": _WHILE}),
    "delay": Action((*_ANY_REST, TRADE_EVENT), {"for_s": _SECONDS}),
    "drop": Action(_ANY_REST),
    "reset": Action((*_ANY_REST, *_LINE), {"stream": _STREAM}),
    "execute_then_drop": Action(_ANY_REST),
    "execute_then_504": Action(_ANY_REST),
    "status": Action(_ANY_REST, {"status": Param("whole", 500), "body": Param("text")}),
    "rate_limited": Action(_ANY_REST, {"headers": Param("flag", True), "retry_after_s": _WHILE}),
    "forbidden": Action(_ANY_REST),
    "unauthorized": Action((*_ANY_REST, TRADE_AUTH)),
    "refuse": Action(
        _ANY_REST,
        {
            "status": Param("whole", 403),
            "code": Param("whole", 40310000),
            "message": Param("text", REQUIRED),
            "extras": Param("table", None),
        },
    ),
    "unknown_enum": Action((*_ANY_REST, TRADE_EVENT), _ENUM),
    "missing_fields": Action((*_ANY_REST, TRADE_EVENT), {"fields": Param("words", REQUIRED)}),
    "wrong_echo": Action((*_ANY_REST, TRADE_EVENT), {"set": _SET}),
    "drip": Action(_ANY_REST, {"for_s": Param("seconds", 1.0)}),
    "cut_body": Action(_ANY_REST, {"bytes": Param("whole", 50)}),
    "non_json_200": Action(_ANY_REST, {"execute": Param("flag", False)}),
    # What an order meets behind the API.
    "late_accept": Action(
        _POST, {"after_s": _SECONDS, "answer": Param("choice", "drop", ("drop", "hang"))}
    ),
    "reject_later": Action(
        _POST, {"after_s": Param("seconds", 0.0), "reason": Param("text", "rejected by venue")}
    ),
    "hold_pending": Action(_POST, {"for_s": _WHILE}),
    "partial_fill": Action(
        (*_POST, *MARKET, NOW), {"qty": Param("number"), "price": Param("number"), **_ORDER}
    ),
    "cancel_crossed_by_fill": Action(_DELETE, {"qty": Param("number"), "price": Param("number")}),
    "replace_rejected": Action(_PATCH, {"for_s": Param("seconds", 0.0)}),
    "hold_cancel": Action(_DELETE, {"for_s": _WHILE}),
    # Reads that are behind the truth.
    "lag_lists": Action(("rest:GET /v2/orders",), {"for_s": _SECONDS}),
    "lag_lookups": Action(
        ("rest:GET /v2/orders/*", "rest:GET /v2/orders:by_client_order_id"), {"for_s": _SECONDS}
    ),
    "lag_positions": Action(("rest:GET /v2/positions*",), {"for_s": _SECONDS}),
    "truncate_list": Action(_ANY_REST, {"keep": Param("whole", REQUIRED)}),
    "clock_skew": Action((CLOCK_POINT,), {"seconds": Param("number", REQUIRED)}),
    # Lines of both streams.
    "refuse_upgrade": Action((TRADE_CONNECT, DATA_CONNECT), {"status": Param("whole", 429)}),
    "no_welcome": Action((TRADE_CONNECT, DATA_CONNECT)),
    "no_reply": Action((TRADE_AUTH, DATA_AUTH, DATA_SUBSCRIBE)),
    "mute": Action(_LINE, {"for_s": _WHILE, "stream": _STREAM}),
    "no_pongs": Action(_LINE, {"for_s": _WHILE, "stream": _STREAM}),
    "close": Action(_LINE, {"code": Param("whole", 1011), "stream": _STREAM}),
    "malformed_frame": Action((TRADE_EVENT, DATA_BAR)),
    "big_frame": Action((TRADE_EVENT, DATA_BAR), {"bytes": Param("whole", 1_100_000)}),
    # Trade updates.
    "drop_event": Action((TRADE_EVENT,)),
    "duplicate": Action((TRADE_EVENT,), {"copies": Param("count", 1)}),
    "reorder": Action((TRADE_EVENT,)),
    # Market data.
    "error": Action(
        (DATA_AUTH, DATA_SUBSCRIBE, DATA_BAR),
        {"code": Param("whole", REQUIRED), "msg": Param("text")},
    ),
    "poisoned_batch": Action((DATA_BAR,)),
    "drop_bar": Action((DATA_BAR,), {"history": Param("flag", False)}),
    "duplicate_bar": Action((DATA_BAR,), {"copies": Param("count", 1)}),
    "late_bar": Action((DATA_BAR,), {"minutes": Param("count", 1)}),
    "out_of_order_bar": Action((DATA_BAR,)),
    "corrected_bar": Action((DATA_BAR,), {"set": _SET}),
    "bad_bar": Action((DATA_BAR,), {"set": _SET}),
    # The world: the market, the broker, somebody with the broker's app.
    "halt_symbol": Action(_WORLD, {"of": Param("text", REQUIRED), "reason": Param("text", "LUDP")}),
    "resume_symbol": Action(_WORLD, {"of": Param("text", REQUIRED)}),
    "block_account": Action(_WORLD, {"reason": Param("text", "trading_blocked")}),
    "unblock_account": Action(_WORLD),
    "wipe_account": Action(_WORLD, {"account": Param("text"), "cash": Param("number")}),
    "foreign_order": Action(_WORLD, {"body": Param("table", REQUIRED)}),
    "manual_trade": Action(
        _WORLD,
        {
            "of": Param("text", REQUIRED),
            "action": Param("choice", REQUIRED, ("buy", "sell")),
            "qty": Param("number", REQUIRED),
            "price": Param("number"),
        },
    ),
    "manual_cancel": Action(_WORLD, _ORDER),
    "manual_replace": Action(_WORLD, {"set": _SET, **_ORDER}),
    "silent_cancel": Action(_WORLD, _ORDER),
    "reject": Action(_WORLD, {"reason": Param("text", "rejected by venue"), **_ORDER}),
    "release": Action(_WORLD, {"refused": Param("flag", False)}),
    "expire": Action(_WORLD, _ORDER),
    "bust": Action(_WORLD, _ORDER),
    "correct": Action(_WORLD, {"price": Param("number", REQUIRED), **_ORDER}),
}
