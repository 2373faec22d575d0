"""The tables, as SQLAlchemy Core says them; shape.py adds the triggers and makes files of them.

`order_event` is the truth and only ever grows. `order_state` and `trade` are projections: their
`id` is the `seq` of the fact that began the order or closed the trade, so that a second fold makes
the very same rows. An order's `local_id` is our client_order_id; the broker's word for it is kept
as a generated alias. Money and quantities are canonical decimal TEXT (core.types.text), checked for
that form, because text that is equal must be the number that is equal: fill keys are unique by it.
No SQL of ours compares, sorts or sums them. `at` is market time and `recorded_at` the wall clock,
both ISO-8601 in UTC with Z, which sort as they read. `fold_snapshot` is no projection: it only
saves a start some time (fold_snapshot.py) and may be emptied by anybody.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum

from sqlalchemy import (
    TEXT,
    CheckConstraint,
    Column,
    Computed,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    Table,
    text,
)

from algo_trader.core.orders import OrderState
from algo_trader.core.types import Action, ExitReason, OrderType, Role, Side, TimeInForce

metadata = MetaData()

# What the daemon sends; the other types and lifetimes of core.types are for a broker to know.
SENT_TYPES = (OrderType.MARKET, OrderType.LIMIT, OrderType.STOP, OrderType.STOP_LIMIT)
SENT_LIFETIMES = (TimeInForce.DAY, TimeInForce.GTC)


def _number(name: str, *, nullable: bool = False, default: str | None = None) -> Column[str]:
    """A column of canonical decimal text: no exponent, no trailing zeros after a point."""
    form = (
        f"{name} GLOB '[0-9-]*' AND {name} NOT GLOB '*[^0-9.-]*'"
        f" AND {name} NOT GLOB '*.*0' AND {name} NOT GLOB '*.'"
    )
    if nullable:  # Without this, SQLite would match NULL against all four: 4 us a fact.
        form = f"{name} IS NULL OR {form}"
    check = CheckConstraint(form, name=f"ck_{name}_number")
    server_default = None if default is None else text(f"'{default}'")
    return Column(name, TEXT, check, nullable=nullable, server_default=server_default)


def _word(name: str, words: Iterable[Enum], *, nullable: bool = False) -> Column[str]:
    """A column that holds one of a fixed vocabulary.

    Not `IN`: SQLite would build a table of the words for every row it checks.
    """
    form = " OR ".join(f"{name} = '{word.value}'" for word in words)
    return Column(name, TEXT, CheckConstraint(form, name=f"ck_{name}_word"), nullable=nullable)


def _text(name: str, *, nullable: bool = False) -> Column[str]:
    return Column(name, TEXT, nullable=nullable)


order_event = Table(
    "order_event",
    metadata,
    Column("seq", Integer, primary_key=True),
    _text("at"),
    _text("recorded_at"),
    _text("session", nullable=True),
    Column("kind", TEXT, CheckConstraint("length(kind) > 0", name="ck_kind"), nullable=False),
    Column(
        "payload", TEXT, CheckConstraint("payload GLOB '{*}'", name="ck_payload"), nullable=False
    ),
    _text("order_local_id", nullable=True),
    Column("client_order_id", TEXT, Computed("order_local_id")),
    _text("event_type", nullable=True),
    _word("old_state", OrderState, nullable=True),
    _word("new_state", OrderState, nullable=True),
    _number("qty_filled", nullable=True),
    _number("cum_qty", nullable=True),
    _number("fill_price", nullable=True),
    _text("broker_id", nullable=True),
    _text("detail", nullable=True),
    CheckConstraint("seq > 0", name="ck_seq"),
    CheckConstraint("(order_local_id IS NULL) = (event_type IS NULL)", name="ck_order_columns"),
    CheckConstraint(
        "(kind = 'OrderFilled') = (cum_qty IS NOT NULL)"
        " AND (cum_qty IS NULL) = (qty_filled IS NULL)"
        " AND (cum_qty IS NULL) = (fill_price IS NULL)",
        name="ck_fill_columns",
    ),
    sqlite_strict=True,
)
Index("ix_order_event_local_id", order_event.c.order_local_id)
Index("ix_order_event_recorded", order_event.c.recorded_at)
Index(
    "ux_order_event_intended",
    order_event.c.order_local_id,
    unique=True,
    sqlite_where=text("kind = 'OrderIntended'"),
)
Index(
    "ux_order_event_fill",
    order_event.c.order_local_id,
    order_event.c.cum_qty,
    unique=True,
    sqlite_where=text("cum_qty IS NOT NULL"),
)

order_state = Table(
    "order_state",
    metadata,
    Column("id", ForeignKey("order_event.seq", ondelete="RESTRICT"), primary_key=True),
    _text("local_id"),
    Column("client_order_id", TEXT, Computed("local_id")),
    _text("broker_id", nullable=True),
    _text("correlation_id"),
    _text("strategy"),
    _text("symbol"),
    _word("side", Side),
    _word("role", Role),
    _word("action", Action),
    _word("order_type", SENT_TYPES),
    _word("time_in_force", SENT_LIFETIMES),
    _number("qty_requested"),
    _number("limit_price", nullable=True),
    _number("stop_price", nullable=True),
    _number("stop_loss", nullable=True),
    _text("expires_at", nullable=True),
    _number("qty_filled", default="0"),
    _number("avg_fill_price", nullable=True),
    _word("state", OrderState),
    Column("version", Integer, nullable=False, server_default=text("0")),
    _text("parent_id", nullable=True),
    _text("replaces", nullable=True),
    _text("replaced_by", nullable=True),
    _text("cancel_reason", nullable=True),
    Column("submit_attempts", Integer, nullable=False, server_default=text("0")),
    _text("last_error", nullable=True),
    _text("created_at"),
    _text("updated_at"),
    CheckConstraint("version >= 0 AND submit_attempts >= 0", name="ck_counts"),
    CheckConstraint("length(local_id) > 0", name="ck_local_id"),
    sqlite_strict=True,
)
Index("ix_order_state_local_id", order_state.c.local_id, unique=True)
Index("ix_order_state_broker_id", order_state.c.broker_id)
Index("ix_order_state_correlation_id", order_state.c.correlation_id)
Index("ix_order_state_state", order_state.c.state)
Index("ix_order_state_symbol_created", order_state.c.symbol, order_state.c.created_at)

trade = Table(
    "trade",
    metadata,
    Column("id", ForeignKey("order_event.seq", ondelete="RESTRICT"), primary_key=True),
    Column("trade_id", TEXT, nullable=False, unique=True),
    _text("correlation_id"),
    _text("symbol"),
    _word("side", Side),
    _number("qty"),
    _number("entry_price"),
    _number("exit_price"),
    _text("entry_at"),
    _text("exit_at"),
    _word("exit_reason", ExitReason),
    _number("pnl"),
    _number("pnl_pct"),
    _text("strategy"),
    Column("duration_seconds", Integer, nullable=False),
    _number("commission", default="0"),
    sqlite_strict=True,
)
Index("ix_trade_symbol_exit", trade.c.symbol, trade.c.exit_at)
Index("ix_trade_correlation", trade.c.correlation_id)
Index("ix_trade_strategy_exit", trade.c.strategy, trade.c.exit_at)

trade_note = Table(
    "trade_note",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("trade_id", ForeignKey("trade.trade_id", ondelete="RESTRICT"), nullable=False),
    _text("note"),
    _text("created_at"),
    _text("updated_at"),
    sqlite_strict=True,
    sqlite_autoincrement=True,
)
Index("ix_trade_note_trade", trade_note.c.trade_id)

backtest_run = Table(
    "backtest_run",
    metadata,
    Column("id", Integer, primary_key=True),
    _text("strategy"),
    _text("symbols"),
    _text("start_date"),
    _text("end_date"),
    _number("initial_capital"),
    _text("params"),
    _number("total_return", nullable=True),
    _number("win_rate", nullable=True),
    _number("profit_factor", nullable=True),
    _number("sharpe_ratio", nullable=True),
    _number("max_drawdown", nullable=True),
    Column("total_trades", Integer, nullable=True),
    _text("equity_curve", nullable=True),
    _text("created_at"),
    sqlite_strict=True,
    sqlite_autoincrement=True,
)

backtest_trade = Table(
    "backtest_trade",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("run_id", ForeignKey("backtest_run.id", ondelete="RESTRICT"), nullable=False),
    _text("symbol"),
    _word("side", Side),
    _number("qty"),
    _number("entry_price"),
    _number("exit_price"),
    _text("entry_at"),
    _text("exit_at"),
    _word("exit_reason", ExitReason),
    _number("pnl"),
    _number("pnl_pct"),
    _number("commission", default="0"),
    Column("duration_seconds", Integer, nullable=False),
    sqlite_strict=True,
    sqlite_autoincrement=True,
)
Index("ix_backtest_trade_run", backtest_trade.c.run_id)

settings_override = Table(
    "settings_override",
    metadata,
    Column("key", TEXT, primary_key=True, nullable=False),
    _text("value"),
    _text("updated_at"),
    _text("previous_value", nullable=True),
    sqlite_strict=True,
)

fold_snapshot = Table(
    "fold_snapshot",
    metadata,
    Column("seq", ForeignKey("order_event.seq", ondelete="RESTRICT"), primary_key=True),
    _text("rules"),
    _text("chain"),
    Column(
        "state", TEXT, CheckConstraint("state GLOB '{*}'", name="ck_state_object"), nullable=False
    ),
    _text("digest"),
    _text("written_at"),
    sqlite_strict=True,
)
