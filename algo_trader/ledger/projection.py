"""What is written beside a fact: its readable columns, the rows of orders, trades and settings.

Owns the meaning of the projections. Pure: a `Projector` folds facts into a `Book` of its own and
says which rows follow. Appending and verifying both go through it, so that a file can be held
against its own facts. The engine's book is not used: a row would then be what the caller believes,
and a fold of the stored facts could never prove it.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple, TypeAlias

from algo_trader.core import events as ev
from algo_trader.core.book import Book
from algo_trader.core.orders import Order, OrderState, is_echo
from algo_trader.core.pnl import Trade
from algo_trader.core.types import (
    ClientOrderId,
    DecisionId,
    Instant,
    Role,
    Symbol,
    iso,
    text,
    text_or_none,
)
from algo_trader.ledger.codec import encode
from algo_trader.ledger.errors import FactRefused

Cell: TypeAlias = str | int | None
Row: TypeAlias = tuple[Cell, ...]

EVENT_COLUMNS = (
    "seq", "at", "recorded_at", "session", "kind", "payload", "order_local_id", "event_type",
    "old_state", "new_state", "qty_filled", "cum_qty", "fill_price", "broker_id", "detail",
)  # fmt: skip
ORDER_COLUMNS = (
    "id", "local_id", "broker_id", "correlation_id", "strategy", "symbol", "side", "role",
    "action", "order_type", "time_in_force", "qty_requested", "limit_price", "stop_price",
    "stop_loss", "expires_at", "qty_filled", "avg_fill_price", "state", "version", "parent_id",
    "replaces", "replaced_by", "cancel_reason", "submit_attempts", "last_error", "created_at",
    "updated_at",
)  # fmt: skip
CHANGING_COLUMNS = (
    "broker_id", "qty_requested", "stop_price", "qty_filled", "avg_fill_price", "state", "version",
    "replaced_by", "cancel_reason", "submit_attempts", "last_error", "updated_at",
)  # fmt: skip
"""The order columns that facts move; the others stay as the intent said."""
TRADE_COLUMNS = (
    "id", "trade_id", "correlation_id", "symbol", "side", "qty", "entry_price", "exit_price",
    "entry_at", "exit_at", "exit_reason", "pnl", "pnl_pct", "strategy", "duration_seconds",
    "commission",
)  # fmt: skip
SETTING_COLUMNS = ("key", "value", "updated_at", "previous_value")
"""`updated_at` is the wall clock, for it says when the operator acted: in a replay market time may
be years away. `previous_value` is the override before this one, NULL if there was none.
"""

EVENT_TYPES: dict[type, str] = {
    ev.OrderIntended: "intended",
    ev.OrderSubmitting: "submitted",
    ev.OrderAccepted: "accepted",
    ev.OrderRefused: "rejected",
    ev.OutcomeUnknown: "unknown",
    ev.OrderFilled: "fill",
    ev.CancelRequested: "cancel_requested",
    ev.CancelRefused: "cancel_refused",
    ev.CancelUnanswered: "cancel_unanswered",
    ev.OrderCanceled: "canceled",
    ev.OrderExpired: "expired",
    ev.OrderReplaced: "replaced",
    ev.OrderAbandoned: "failed",
    ev.StopEdited: "edited",
    ev.Discrepancy: "discrepancy",
}
"""The plan's words in order_event.event_type; a fill that leaves shares open is a partial_fill."""

_iso = lru_cache(maxsize=256)(iso)


class Line:
    """An order, and what its row counts that the order itself does not keep."""

    __slots__ = ("order", "parent_id", "seq", "submits", "updated_at", "version")

    def __init__(self, order: Order, seq: int, at: Instant, parent_id: str | None) -> None:
        self.order = order
        self.seq = seq
        self.parent_id = parent_id
        self.submits = 0
        self.version = 0
        self.updated_at = at

    def row(self) -> Row:
        """The order_state row."""
        order, request = self.order, self.order.request
        return (
            self.seq, request.order_id, _plain(order.broker_id), order.decision, order.strategy,
            request.symbol, order.side, order.role, request.action, request.type,
            request.time_in_force, text(request.qty), text_or_none(request.limit_price),
            text_or_none(request.stop_price), text_or_none(order.stop_loss),
            None if order.expires_at is None else _iso(order.expires_at), text(order.qty_filled),
            text_or_none(order.avg_fill_price), order.state, self.version, self.parent_id,
            order.replaces, order.replaced_by, order.cancel_reason, self.submits,
            _plain(order.last_error), _iso(order.placed_at), _iso(self.updated_at),
        )  # fmt: skip


class Rows(NamedTuple):
    """What a run of facts makes. `settings` are in the order of the changes; a row whose value is
    None says that the override is gone.
    """

    events: list[Row]
    orders_new: list[Row]
    orders_changed: list[Row]
    trades: list[Row]
    settings: list[Row]


class Projector:
    """Folds facts and says what to write. `seq` is the number of facts folded so far, `entries`
    are the latest decision and entry of each holding, `overrides` the settings in force.

    After an exception it is of no use: facts before the bad one are folded already.
    """

    def __init__(self) -> None:
        self.book = Book()
        self.seq = 0
        self.session: str | None = None
        self.lines: dict[ClientOrderId, Line] = {}
        self.entries: dict[tuple[str, Symbol], tuple[DecisionId, ClientOrderId]] = {}
        self._events: list[Row] = []
        self._new: dict[ClientOrderId, Line] = {}
        self._changed: dict[ClientOrderId, Line] = {}
        self._trades: list[Row] = []
        self.overrides: dict[Cell, Cell] = {}
        self._settings: list[Row] = []

    def fold(self, fact: ev.Fact, recorded_at: str, payload: str | None = None) -> None:
        """Take the next fact. `payload` saves the encoding where it is known already."""
        self.seq += 1
        book = self.book
        if payload is None:
            payload = encode(fact)
        kind = type(fact).__name__
        cells: Row
        if isinstance(fact, ev.OrderFact):
            cells = self._order_moved(fact)
        elif isinstance(fact, ev.OrderIntended):
            cells = self._intended(fact)
        else:
            trades_before = len(book.day.trades)
            book.apply(fact)
            cells = _NO_ORDER
            if isinstance(fact, ev.SharesGone):
                for done in book.day.trades[trades_before:]:
                    self._trades.append(self._trade(done, f"gone:{done.strategy}:{self.seq}"))
            elif isinstance(fact, ev.SessionOpened):
                # The book has let go of orders that ended; their rows will not change again.
                self.lines = {key: self.lines[key] for key in book.orders}
                self.session = fact.session.isoformat()
            elif isinstance(fact, ev.Discrepancy):
                cells = self._discrepancy(fact)
            elif isinstance(fact, ev.Halted | ev.ExitDecided):
                cells = (*_NO_ORDER[:-1], _plain(fact.reason))
            elif isinstance(fact, ev.SignalDecided | ev.LimitTripped):
                cells = (*_NO_ORDER[:-1], fact.rule)
            elif isinstance(fact, ev.SettingChanged):
                cells = self._setting_changed(fact, recorded_at)
        self._events.append(
            (self.seq, _iso(fact.at), recorded_at, self.session, kind, payload, *cells)
        )

    def take(self) -> Rows:
        """Hand over the rows that have gathered since the last time."""
        rows = Rows(
            self._events,
            [line.row() for line in self._new.values()],
            [line.row() for key, line in self._changed.items() if key not in self._new],
            self._trades,
            self._settings,
        )
        self._events, self._trades, self._settings = [], [], []
        self._new, self._changed = {}, {}
        return rows

    def _intended(self, fact: ev.OrderIntended) -> Row:
        order_id = fact.request.order_id
        if order_id in self.book.orders:
            raise FactRefused(f"order {order_id} was intended before")
        self.book.apply(fact)
        key = (fact.strategy, fact.request.symbol)
        parent_id: ClientOrderId | None = None
        if fact.role is Role.ENTRY:
            self.entries[key] = (fact.decision, order_id)
        else:
            decision, entry_id = self.entries.get(key, (None, None))
            parent_id = entry_id if decision == fact.decision else None
        line = Line(self.book.order(order_id), self.seq, fact.at, parent_id)
        self.lines[order_id] = self._new[order_id] = line
        state = OrderState.PENDING_SUBMIT
        return (order_id, "intended", None, state, None, None, None, None, None)

    def _order_moved(self, fact: ev.OrderFact) -> Row:
        book = self.book
        order = book.order(fact.order_id)
        if isinstance(fact, ev.OrderFilled) and is_echo(order, fact):
            raise FactRefused(f"fill {fact.cum_qty} of order {fact.order_id} was counted before")
        before, trades_before = order.state, len(book.day.trades)
        book.apply(fact)
        self._touch(fact.order_id, fact.at)
        broker_id = _plain(order.broker_id)
        if isinstance(fact, ev.OrderFilled):
            for other in self._paired_with(order):  # Whose shares these were, too.
                self._touch(other, fact.at)
            for done in book.day.trades[trades_before:]:
                # A fill's key names the trade: a decision may lead to two of them.
                self._trades.append(
                    self._trade(done, f"{fact.order_id}:{text(fact.cum_qty)}")
                )
            word = "fill" if order.state is OrderState.FILLED else "partial_fill"
            return (
                fact.order_id, word, before, order.state, text(fact.qty), text(fact.cum_qty),
                text(fact.price), broker_id, _plain(fact.execution_id) or None,
            )  # fmt: skip
        if isinstance(fact, ev.OrderSubmitting):
            self.lines[fact.order_id].submits += 1
        word = EVENT_TYPES[type(fact)]
        return (
            fact.order_id, word, before, order.state, None, None, None, broker_id, _detail(fact),
        )  # fmt: skip

    def _paired_with(self, order: Order) -> list[ClientOrderId]:
        """The other exits over the same shares; a stop that was moved has left several."""
        if order.pair is None:
            return []
        wanted = (order.pair, order.order_id)
        return [
            key
            for key, line in self.lines.items()
            if key == order.pair or (line.order.pair in wanted and key != order.order_id)
        ]

    def _touch(self, order_id: ClientOrderId, at: Instant) -> None:
        """The order's row changes."""
        line = self.lines[order_id]
        line.version += 1
        line.updated_at = at
        self._changed[order_id] = line

    def _discrepancy(self, fact: ev.Discrepancy) -> Row:
        detail = _plain(fact.detail)
        if fact.order_id is None:
            return (*_NO_ORDER[:-1], detail)
        order = self.book.orders.get(fact.order_id)
        state = None if order is None else order.state
        return (fact.order_id, "discrepancy", state, state, None, None, None, None, detail)

    def _setting_changed(self, fact: ev.SettingChanged, recorded_at: str) -> Row:
        key, value = _plain(fact.key), _plain(fact.value)
        before = self.overrides.pop(key, None)
        if value is not None:
            self.overrides[key] = value
        self._settings.append((key, value, recorded_at, before))
        return (*_NO_ORDER[:-1], f"{key} unset" if value is None else f"{key}={value}")

    def _trade(self, done: Trade, trade_id: str) -> Row:
        return (
            self.seq, trade_id, done.decision, done.symbol,
            done.side, text(done.qty), text(done.entry_price), text(done.exit_price),
            _iso(done.entry_at), _iso(done.exit_at), done.exit_reason, text(done.pnl),
            text(done.pnl_pct), done.strategy, done.duration_s, text(done.commission),
        )  # fmt: skip


_NO_ORDER: Row = (None,) * 9


def _detail(fact: ev.OrderFact) -> str | None:
    """What an order's fact says in words, for the readable column."""
    match fact:
        case ev.OrderRefused() | ev.CancelRefused():
            return _plain(f"{fact.code} {fact.message}")
        case ev.OutcomeUnknown() | ev.CancelUnanswered():
            return _plain(fact.detail)
        case ev.CancelRequested() | ev.OrderAbandoned():
            return _plain(fact.reason)
        case ev.OrderReplaced():
            return fact.replaced_by
        case ev.StopEdited():
            return f"{text(fact.qty)} at {text(fact.price)}"
    return None


def _plain(words: str | None) -> str | None:
    """Text that SQLite can hold and show: the payload keeps the original."""
    if words is None or words.isprintable():
        return words
    return words.encode("utf-8", "backslashreplace").decode().replace("\0", "\\x00")
