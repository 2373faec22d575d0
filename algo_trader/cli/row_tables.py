"""Orders, trades and positions for people, from the objects that `--json` prints."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from algo_trader.cli.tables import columns, money, price
from algo_trader.core.orders import OrderState
from algo_trader.core.types import text

ORDERS = ("symbol", "role", "action", "state", "intended (UTC)", "qty", "filled", "price", "paid")
TRADES = (
    "symbol", "strategy", "side", "entry (UTC)", "exit (UTC)", "qty", "entry", "exit", "P&L", "why",
)  # fmt: skip
WORKING = (OrderState.ACCEPTED, OrderState.PARTIALLY_FILLED)
POSITIONS = ("symbol", "strategy", "side", "since (UTC)", "qty", "entry", "stop", "covered")


def orders_table(rows: Sequence[dict[str, Any]]) -> str:
    """One line an order; `paid` is the average price of its fills."""
    lines = [ORDERS]
    lines += [
        (
            row["symbol"],
            row["role"],
            row["action"],
            row["state"],
            _moment(row["created_at"]),
            row["qty"],
            row["qty_filled"],
            _price(row["stop_price"] or row["limit_price"], "market"),
            _price(row["avg_fill_price"]),
        )
        for row in rows
    ]
    return columns(lines, left=5)


def trades_table(rows: Sequence[dict[str, Any]]) -> str:
    """One line a trade."""
    lines = [TRADES]
    lines += [
        (
            row["symbol"],
            row["strategy"],
            row["side"],
            _moment(row["entry_at"]),
            _moment(row["exit_at"]),
            row["qty"],
            _price(row["entry_price"]),
            _price(row["exit_price"]),
            money(Decimal(row["pnl"])),
            row["exit_reason"],
        )
        for row in rows
    ]
    return columns(lines, left=5)


def positions_table(rows: Sequence[dict[str, Any]]) -> str:
    """One line a position; `covered` are the shares for which a stop is working."""
    lines = [POSITIONS]
    lines += [
        (
            row["symbol"],
            row["strategy"],
            row["side"],
            _moment(row["opened_at"]),
            row["qty"],
            _price(row["avg_entry_price"]),
            _price(row["stop_price"]),
            _covered(row["cover"]),
        )
        for row in rows
    ]
    return columns(lines, left=4)


def _covered(stops: Sequence[dict[str, Any]]) -> str:
    working = (Decimal(stop["qty"]) for stop in stops if stop["state"] in WORKING)
    return text(sum(working, start=Decimal(0)))


def _moment(iso_text: str) -> str:
    return iso_text.replace("T", " ").removesuffix("Z")


def _price(value: str | None, missing: str = "-") -> str:
    return missing if value is None else price(Decimal(value))
