"""What a fold has come to, as text and back, exactly.

Owns the stored form of a `Projector` and its `Book`: one JSON object, ASCII, every attribute by its
name. Equal states have one text: numbers are canonical (core.types.text), dictionaries keep their
order, sets are sorted. An order is written once, among the book's; whatever else holds it (a
holding, a line) names it by its id, so that after reading it is one object again.

The tables below name every attribute; a test holds them against the classes. What is not flat
(orders, holdings, trades) is put together by hand in `dump` and `load`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from datetime import date
from decimal import Decimal
from typing import Any, NamedTuple

from algo_trader.core.book import Book
from algo_trader.core.events import OrderRequest
from algo_trader.core.holding import Holding
from algo_trader.core.orders import Order, OrderState
from algo_trader.core.pnl import Trade
from algo_trader.core.types import (
    Action,
    ExitReason,
    OrderType,
    Role,
    Side,
    TimeInForce,
    text,
)
from algo_trader.ledger.projection import Line, Projector


class _Form(NamedTuple):
    """How a value is written and read; None stays None."""

    write: Callable[[Any], Any]
    read: Callable[[Any], Any]


_PLAIN = _Form(lambda value: value, lambda said: said)
_NUMBER = _Form(text, Decimal)
_DATE = _Form(date.isoformat, date.fromisoformat)
_WORDS = _Form(sorted, set)
_SPANS = _Form(
    lambda spans: [[text(begin), text(end)] for begin, end in spans],
    lambda said: [(Decimal(begin), Decimal(end)) for begin, end in said],
)


def _word(cls: type[Any]) -> _Form:
    return _Form(str, cls)


def _plain(*names: str) -> dict[str, _Form]:
    return dict.fromkeys(names, _PLAIN)


def _numbers(*names: str) -> dict[str, _Form]:
    return dict.fromkeys(names, _NUMBER)


REQUEST = {
    **_plain("order_id", "symbol"),
    "action": _word(Action),
    "type": _word(OrderType),
    "time_in_force": _word(TimeInForce),
    **_numbers("qty", "limit_price", "stop_price", "trail_price", "trail_percent"),
}
TRADE = {
    **_plain("decision", "strategy", "symbol", "entry_at", "exit_at"),
    "side": _word(Side),
    "exit_reason": _word(ExitReason),
    **_numbers("qty", "entry_price", "exit_price", "pnl", "pnl_pct", "commission"),
}


def _record(cls: Callable[..., Any], table: Mapping[str, _Form]) -> _Form:
    return _Form(lambda value: _write(value, table), lambda said: cls(**_read(said, table)))


ORDER = {
    **_plain(
        "broker_id", "cancel_after", "cancel_failures", "cancel_reason", "decision", "expires_at",
        "is_live", "is_unknown", "last_error", "pair", "placed_at", "replaced_by", "replaces",
        "sends", "strategy",
    ),
    **_numbers("filled_value", "pair_filled", "qty_filled", "stop_loss", "target"),
    "ended": _word(OrderState),
    "state": _word(OrderState),
    "role": _word(Role),
    "side": _word(Side),
    "fills": _SPANS,
    "request": _record(OrderRequest, REQUEST),
}  # fmt: skip
HOLDING = {
    **_plain(
        "strategy", "symbol", "decision", "failures", "is_left_bare", "is_pair_refused",
        "is_remnant", "opened_at", "quiet_until", "refusals", "retry_at", "stop_taken_at",
    ),
    **_numbers(
        "commission", "cost", "entry_qty", "entry_value", "exit_qty", "exit_value", "qty",
        "signed_qty", "stop_price", "target_price",
    ),
    "side": _word(Side),
    "exit_reason": _word(ExitReason),
}  # fmt: skip
HELD_ORDERS = ("late", "stops", "exits", "targets")
"""The lists of orders of a holding; with `entry` and HOLDING, all it has."""
BOOK = {
    **_plain("account", "positions", "resting", "targets", "halted"),
    **_numbers("cash", "cost"),
}
BOOK_PARTS = ("orders", "holdings", "active", "day", "_numbers")
"""What is put together by hand; with BOOK, all that a book has beside its rules."""
DAY = {
    **_plain("began_at", "loss_streak"),
    **_numbers("equity", "realized"),
    "date": _DATE,
    "tripped": _WORDS,
    "objections": _WORDS,
}
"""With its trades, all that the present session has."""
PROJECTOR = _plain("seq", "session", "overrides")
LINE = _plain("parent_id", "seq", "submits", "updated_at", "version")

_to_json = json.JSONEncoder(separators=(",", ":"), allow_nan=False).encode


def dump(projector: Projector) -> str:
    """The text of a projector that has handed over its rows, and of its book."""
    book = projector.book
    said = {
        **_write(projector, PROJECTOR),
        "book": _write(book, BOOK),
        "day": _write(book.day, DAY),
        "orders": [
            [_write(projector.lines[key], LINE), _write(order, ORDER)]
            for key, order in book.orders.items()
        ],
        "holdings": [_write_holding(holding) for holding in book.holdings.values()],
        "active": [list(key) for key in book.active],
        "trades": [_write(trade, TRADE) for trade in book.day.trades],
        "numbers": [[*key, number] for key, number in book._numbers.items()],
        "entries": [[*key, *value] for key, value in projector.entries.items()],
    }
    return _to_json(said)


def load(said: str) -> Projector:
    """The projector that `dump` wrote. ValueError, TypeError, KeyError, AttributeError or
    ArithmeticError if it did not.
    """
    found = json.loads(said)
    projector = Projector()
    _set(projector, found, PROJECTOR)
    book = projector.book
    _set(book, found["book"], BOOK)
    _set(book.day, found["day"], DAY)
    for line, written in found["orders"]:
        order = Order.__new__(Order)
        _set(order, written, ORDER)
        book.orders[order.order_id] = order
        projector.lines[order.order_id] = made = Line.__new__(Line)
        made.order = order
        _set(made, line, LINE)
    for written in found["holdings"]:
        holding = _read_holding(written, book)
        book.holdings[(holding.strategy, holding.symbol)] = holding
    book.active = {(one, two): book.holdings[(one, two)] for one, two in found["active"]}
    book.day.trades = [Trade(**_read(trade, TRADE)) for trade in found["trades"]]
    book._numbers = {(one, Role(two)): number for one, two, number in found["numbers"]}
    projector.entries = {(one, two): (three, four) for one, two, three, four in found["entries"]}
    return projector


def _write_holding(holding: Holding) -> dict[str, Any]:
    entry = holding.entry
    return {
        **_write(holding, HOLDING),
        "entry": None if entry is None else entry.order_id,
        **{name: _ids(getattr(holding, name)) for name in HELD_ORDERS},
    }


def _read_holding(said: Mapping[str, Any], book: Book) -> Holding:
    holding = Holding(said["strategy"], said["symbol"])
    _set(holding, said, HOLDING)
    entry = said["entry"]
    holding.entry = None if entry is None else book.orders[entry]
    for name in HELD_ORDERS:
        setattr(holding, name, [book.orders[key] for key in said[name]])
    return holding


def _ids(orders: Iterable[Order]) -> list[str]:
    return [order.order_id for order in orders]


def _write(thing: Any, table: Mapping[str, _Form]) -> dict[str, Any]:
    said = {}
    for name, form in table.items():
        value = getattr(thing, name)
        said[name] = None if value is None else form.write(value)
    return said


def _read(said: Mapping[str, Any], table: Mapping[str, _Form]) -> dict[str, Any]:
    found = {}
    for name, form in table.items():
        value = said[name]
        found[name] = None if value is None else form.read(value)
    return found


def _set(thing: Any, said: Mapping[str, Any], table: Mapping[str, _Form]) -> None:
    for name, value in _read(said, table).items():
        setattr(thing, name, value)
