"""The daemon's status for people. Shows what it is told: a figure that is missing is a dash."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any

from algo_trader.cli.tables import columns, money

STRATEGIES_SHOWN = 20
DIGITS_SHOWN = 4
STRATEGY_COLUMNS = ("name", "symbol", "status", "bar_count", "sma_fast", "sma_slow")
POSITION_COLUMNS = (
    "symbol",
    "strategy",
    "side",
    "qty",
    "avg_entry_price",
    "last_price",
    "stop_price",
    "target_price",
    "unrealized",
    "uncovered",
)
ORDER_COLUMNS = (
    "symbol",
    "strategy",
    "role",
    "action",
    "type",
    "state",
    "qty",
    "filled",
    "stop_price",
    "limit_price",
    "expires_at",
)
FOREIGN_COLUMNS = ("symbol", "action", "order_id", "qty", "stop_price")
WORDS = {
    "symbol", "strategy", "name", "status", "side", "role", "action", "type", "state", "order_id",
}  # fmt: skip
"""Columns of words, to the left; the others are figures, to the right."""
MONEY = {"cash", "buying_power", "realized_today", "unrealized", "equity", "daily_loss_left"}
_MANY_DIGITS = re.compile(rf"-?[0-9]+\.[0-9]{{{DIGITS_SHOWN + 1},}}")
_TIME = re.compile(r"[0-9-]{10}T[0-9:]{8}Z")


def status_text(status: Mapping[str, Any]) -> str:
    """The whole answer of `status` as text."""
    parts = [
        columns(_summary(status), left=2),
        _strategies(_rows(status, "strategies")),
        _table("positions", _rows(status, "positions"), POSITION_COLUMNS),
        _table("open orders", _rows(status, "open_orders"), ORDER_COLUMNS),
    ]
    if unknown := _rows(status, "unknown_orders"):
        parts.append(_table("ORDERS OF UNKNOWN OUTCOME", unknown, ORDER_COLUMNS))
    if foreign := _rows(status, "foreign_orders"):
        parts.append(_table("ORDERS AT THE BROKER THAT ARE NOT OURS", foreign, FOREIGN_COLUMNS))
    return "\n\n".join(parts)


class _View:
    """A part of the status whose values are read as they are shown; of no part all are missing."""

    def __init__(self, part: object) -> None:
        self._part = part if isinstance(part, dict) else {}

    def __getitem__(self, name: str) -> str:
        value = self._part.get(name)
        return _money(value) if name in MONEY else _shown(value)

    def tells(self, name: str) -> bool:
        return bool(self._part.get(name))


def _summary(status: Mapping[str, Any]) -> list[tuple[str, str]]:
    whole = _View(status)
    account, feed, pnl = (_View(status.get(name)) for name in ("account", "feed", "pnl"))
    risk, ledger = _View(status.get("risk")), _View(status.get("ledger"))
    cash = f"cash {account['cash']}, buying power {account['buying_power']}"
    if account.tells("age_s"):
        cash += f" ({account['age_s']} s ago)"
    unrealized = f"unrealized {pnl['unrealized']}, equity {pnl['equity']}"
    losses = f"losses in a row: {risk['consecutive_losses']}"
    said = status.get("risk")
    tripped = said.get("tripped") if isinstance(said, Mapping) else None
    if isinstance(tripped, list) and tripped:
        losses += f"; NO NEW ENTRIES this session: {', '.join(map(str, tripped))}"
    commits = f"p99 of commits {ledger['commit_p99_ms']} ms"
    rows = [
        ("state", whole["state"]),
        ("daemon", f"pid {whole['pid']}, since {whole['started_at']}"),
        ("account", f"{whole['broker']} {account['id']}, {cash}"),
        ("market", _market(_View(status.get("market")))),
        ("feed", f"{_link(feed)}, last bar {feed['last_bar_at']}, {feed['lag_s']} s behind"),
        ("trade stream", _link(_View(status.get("trade_stream")))),
        ("P&L", f"realized today {pnl['realized_today']}, {unrealized}"),
        ("risk", f"{risk['daily_loss_left']} of daily loss left, {losses}"),
        ("ledger", f"{ledger['facts']} facts, last at {ledger['last_fact_at']}, {commits}"),
        ("uncovered", _uncovered(whole)),
    ]
    closed = status.get("entries_closed_because")
    if isinstance(closed, Mapping):
        rows[1:1] = [
            ("NO NEW ENTRIES", f"{_shown(name)}: {_shown(closed[name])}") for name in closed
        ]
    again = "canceled again and again at the broker; `algo-trader resume` has it placed"
    rows[1:1] = [
        ("NO STOP", f"{_shown(held.get('symbol'))}: {again}")
        for held in _rows(status, "positions")
        if held.get("is_left_bare") is True
    ]
    if risk.tells("halted_because"):
        rows.insert(1, ("HALTED", risk["halted_because"]))
    return rows


def _uncovered(whole: _View) -> str:
    """Shares without a working stop now, and how it was since the start."""
    now = f"{whole['uncovered_shares']} shares without a working stop"
    longest = f"longest {whole['uncovered_longest_s']} s"
    return f"{now}; since the start {whole['uncovered_share_seconds']} share-seconds, {longest}"


def _market(market: _View) -> str:
    if not market.tells("session"):
        return "no session yet"
    standing = "open" if market.tells("is_open") else "closed"
    return f"{standing}, session {market['session']}, {market['opens_at']} to {market['closes_at']}"


def _link(part: _View) -> str:
    if part.tells("connected"):
        again = f", {part['reconnects']} times again" if part.tells("reconnects") else ""
        return f"connected{again}"
    detail = f" ({part['state']}: {part['detail']})" if part.tells("detail") else ""
    return f"NOT CONNECTED{detail}"


def _strategies(rows: Sequence[Mapping[str, Any]]) -> str:
    """One line each or, of many, how many stand where."""
    if len(rows) <= STRATEGIES_SHOWN:
        return _table("strategies", rows, STRATEGY_COLUMNS)
    counts = Counter((_shown(row.get("name")), _shown(row.get("status"))) for row in rows)
    lines = [("name", "status", "symbols")]
    lines += [(name, standing, str(number)) for (name, standing), number in sorted(counts.items())]
    return f"strategies: {len(rows)} (each of them: see --json)\n{columns(lines, left=2)}"


def _table(title: str, rows: Sequence[Mapping[str, Any]], wanted: Sequence[str]) -> str:
    """The rows under a title; of the wanted columns those that a row has."""
    if not rows:
        return f"{title}: none"
    names = [name for name in wanted if any(name in row for row in rows)]
    lines = [[name.replace("_", " ") for name in names]]
    cells = [_View(row) for row in rows]
    lines += [[row[name] for name in names] for row in cells]
    return f"{title}: {len(rows)}\n{columns(lines, left=sum(name in WORDS for name in names))}"


def _rows(status: Mapping[str, Any], name: str) -> list[Mapping[str, Any]]:
    found = status.get(name)
    return [row for row in found if isinstance(row, dict)] if isinstance(found, list) else []


def _money(value: Any) -> str:
    """An amount in dollars, with its cents; what is no number, as it is."""
    try:
        number = Decimal(value)
    except (InvalidOperation, TypeError, ValueError):
        return _shown(value)
    return money(number) if number.is_finite() else _shown(value)


def _shown(value: Any) -> str:
    """A value for a cell: few digits, times without their T, nothing that moves the cursor."""
    if value is None:
        return "-"
    shown = str(value)
    if _MANY_DIGITS.fullmatch(shown):
        shown = f"{Decimal(shown):.{DIGITS_SHOWN}f}"
    elif _TIME.fullmatch(shown):
        shown = shown.replace("T", " ")
    return "".join(letter if letter.isprintable() else "?" for letter in shown)
