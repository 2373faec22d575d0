"""Rows of the projections as typed values, for whoever shows them."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any, NamedTuple

from algo_trader.core.errors import ConfigError
from algo_trader.core.orders import OrderState
from algo_trader.core.pnl import Trade
from algo_trader.core.types import (
    Action,
    BrokerOrderId,
    ClientOrderId,
    DecisionId,
    ExitReason,
    Instant,
    OrderType,
    Role,
    Side,
    Symbol,
    TimeInForce,
)

NOTE_MOST = 2_000
"""Characters of a note."""
TURNS = frozenset({"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"})
"""Marks that turn the direction of text, and can make a line read as what it does not say."""


class OrderRecord(NamedTuple):
    """One order as its row shows it. `seq` is the number of the fact that began it."""

    seq: int
    order_id: ClientOrderId
    broker_id: BrokerOrderId | None
    decision: DecisionId
    strategy: str
    symbol: Symbol
    side: Side
    role: Role
    action: Action
    type: OrderType
    time_in_force: TimeInForce
    qty: Decimal
    limit_price: Decimal | None
    stop_price: Decimal | None
    stop_loss: Decimal | None
    expires_at: Instant | None
    qty_filled: Decimal
    avg_fill_price: Decimal | None
    state: OrderState
    version: int
    parent_id: ClientOrderId | None
    replaces: ClientOrderId | None
    replaced_by: ClientOrderId | None
    cancel_reason: str | None
    submit_attempts: int
    last_error: str | None
    created_at: Instant
    updated_at: Instant


class TradeRecord(NamedTuple):
    """One completed trade and the id that notes refer to."""

    trade_id: str
    trade: Trade


class NoteRecord(NamedTuple):
    """An operator's note on a trade; `created_at` is the wall clock, ISO-8601 in UTC."""

    number: int
    trade_id: str
    note: str
    created_at: str


def order_record(row: Mapping[str, Any]) -> OrderRecord:
    """An order_state row, typed."""
    return OrderRecord(
        seq=row["id"],
        order_id=ClientOrderId(row["local_id"]),
        broker_id=row["broker_id"],
        decision=DecisionId(row["correlation_id"]),
        strategy=row["strategy"],
        symbol=row["symbol"],
        side=Side(row["side"]),
        role=Role(row["role"]),
        action=Action(row["action"]),
        type=OrderType(row["order_type"]),
        time_in_force=TimeInForce(row["time_in_force"]),
        qty=Decimal(row["qty_requested"]),
        limit_price=_number(row["limit_price"]),
        stop_price=_number(row["stop_price"]),
        stop_loss=_number(row["stop_loss"]),
        expires_at=None if row["expires_at"] is None else instant(row["expires_at"]),
        qty_filled=Decimal(row["qty_filled"]),
        avg_fill_price=_number(row["avg_fill_price"]),
        state=OrderState(row["state"]),
        version=row["version"],
        parent_id=row["parent_id"],
        replaces=row["replaces"],
        replaced_by=row["replaced_by"],
        cancel_reason=row["cancel_reason"],
        submit_attempts=row["submit_attempts"],
        last_error=row["last_error"],
        created_at=instant(row["created_at"]),
        updated_at=instant(row["updated_at"]),
    )


def trade_record(row: Mapping[str, Any]) -> TradeRecord:
    """A trade row, typed."""
    return TradeRecord(
        row["trade_id"],
        Trade(
            decision=DecisionId(row["correlation_id"]),
            strategy=row["strategy"],
            symbol=row["symbol"],
            side=Side(row["side"]),
            qty=Decimal(row["qty"]),
            entry_at=instant(row["entry_at"]),
            entry_price=Decimal(row["entry_price"]),
            exit_at=instant(row["exit_at"]),
            exit_price=Decimal(row["exit_price"]),
            exit_reason=ExitReason(row["exit_reason"]),
            pnl=Decimal(row["pnl"]),
            pnl_pct=Decimal(row["pnl_pct"]),
            commission=Decimal(row["commission"]),
        ),
    )


def note_record(row: Mapping[str, Any]) -> NoteRecord:
    """A trade_note row, typed."""
    return NoteRecord(row["id"], row["trade_id"], row["note"], row["created_at"])


def plain_note(words: str) -> str:
    """The words of a note, stripped; ConfigError if none, too many or not to be shown."""
    note = words.strip()
    if not note or len(note) > NOTE_MOST:
        raise ConfigError(f"a note has 1 to {NOTE_MOST:,} characters, this one has {len(note):,}")
    for letter in note:
        steers = unicodedata.bidirectional(letter) in TURNS
        if steers or unicodedata.category(letter) in ("Cc", "Cs", "Zl", "Zp"):
            raise ConfigError(f"a note is one line of plain text: leave {letter!a} out")
    return note


def instant(iso_text: str) -> Instant:
    """The instant that core.types.iso wrote."""
    return int(datetime.fromisoformat(iso_text).timestamp())


def _number(value: str | None) -> Decimal | None:
    return None if value is None else Decimal(value)
