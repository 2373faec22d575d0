"""The exchange's books against the ledger, by plain SQL on copies of both files.

Shares no code with the program: what an order, a fill, cash and a position are is said here once
more, from the two schemas alone. Every check names what differs; none of them repairs anything.
"""

from __future__ import annotations

import json
import shutil
import sqlite3
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from contextlib import closing, contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

ENDINGS = ("", "-wal", "-shm", "-journal")
AT_BROKER = {
    "open": {"accepted", "partially_filled"},
    "filled": {"filled"},
    "canceled": {"canceled"},
    "expired": {"expired"},
    "replaced": {"canceled"},
}
"""What an order that the exchange has may be called in the ledger."""
NEVER_THERE = {"rejected", "submit_failed"}
"""What an order that it has not must be called."""


class Fill(NamedTuple):
    """One execution; `action` is buy or sell, and `qty` has no sign."""

    order_id: str
    cum_qty: Decimal
    qty: Decimal
    price: Decimal
    commission: Decimal
    action: str
    symbol: str

    @property
    def shares(self) -> Decimal:
        """What it adds to the position."""
        return self.qty if self.action == "buy" else -self.qty


class Agreement(NamedTuple):
    """How much was compared, and what is held at the end."""

    orders: int
    fills: int
    trades: int
    positions: dict[str, Decimal]


Row = dict[str, Any]


def agree(folder: Path, *, is_rough: bool = False) -> Agreement:
    """Hold the two files of an account, which no process has open, against each other; `is_rough`
    says that the exchange was told to refuse orders.
    """
    with _copies(folder) as (exchange, ledger):
        there = {row["client_order_id"]: row for row in _rows(exchange, "broker_order")}
        here = {row["local_id"]: row for row in _rows(ledger, "order_state")}
        assert len(here) == len(_rows(ledger, "order_state"))
        for key, order in there.items():
            assert key in here, f"{key}: at the exchange, not in the ledger"
            _same_order(order, here[key])
        for key, known in here.items():
            if key not in there:
                assert known["state"] in NEVER_THERE, f"{key}: {known['state']}, never there"
                assert known["qty_filled"] == "0", f"{key}: filled, never there"
        executed, recorded = _executions(exchange, there), _fills(ledger, here)
        assert sorted(executed) == sorted(recorded), set(executed) ^ set(recorded)
        (state,) = _rows(exchange, "state")
        held = {r["symbol"]: Decimal(r["qty"]) for r in _rows(exchange, "position")}
        _same_money(recorded, state, held)
        trades = _rows(ledger, "trade")
        if not held:
            earned = sum((Decimal(row["pnl"]) for row in trades), Decimal(0))
            assert earned == Decimal(state["cash"]) - Decimal(state["initial_cash"])
        _covered(there, here, held, is_rough=is_rough)
        return Agreement(len(there), len(executed), len(trades), held)


def _same_order(order: Row, known: Row) -> None:
    key = order["client_order_id"]
    assert known["state"] in AT_BROKER[order["status"]], (key, order["status"], known["state"])
    pairs = {
        "broker_id": "broker_id",
        "symbol": "symbol",
        "action": "action",
        "type": "order_type",
        "time_in_force": "time_in_force",
        "qty": "qty_requested",
        "qty_filled": "qty_filled",
        "limit_price": "limit_price",
        "stop_price": "stop_price",
        "replaced_by": "replaced_by",
    }
    for theirs, ours in pairs.items():
        assert order[theirs] == known[ours], (key, theirs, order[theirs], known[ours])


def _executions(exchange: sqlite3.Connection, orders: dict[str, Row]) -> list[Fill]:
    found = []
    for row in _rows(exchange, "execution"):
        numbers = (row["cum_qty"], row["qty"], row["price"], row["commission"])
        found.append(_fill(row["client_order_id"], numbers, orders))
    return found


def _fills(ledger: sqlite3.Connection, orders: dict[str, Row]) -> list[Fill]:
    found = []
    for row in _rows(ledger, "order_event"):
        if row["kind"] == "OrderFilled":
            commission = json.loads(row["payload"])["commission"]
            numbers = (row["cum_qty"], row["qty_filled"], row["fill_price"], commission)
            found.append(_fill(row["order_local_id"], numbers, orders))
    return found


def _fill(order_id: str, numbers: tuple[str, str, str, str], orders: dict[str, Row]) -> Fill:
    cum_qty, qty, price, commission = map(Decimal, numbers)
    order = orders[order_id]
    return Fill(order_id, cum_qty, qty, price, commission, order["action"], order["symbol"])


def _same_money(fills: list[Fill], state: Row, held: dict[str, Decimal]) -> None:
    cash, shares = Decimal(state["initial_cash"]), defaultdict[str, Decimal](Decimal)
    for fill in fills:
        cash -= fill.shares * fill.price + fill.commission
        shares[fill.symbol] += fill.shares
    assert cash == Decimal(state["cash"])
    assert {symbol: qty for symbol, qty in shares.items() if qty} == held


def _covered(
    there: dict[str, Row], here: dict[str, Row], held: dict[str, Decimal], *, is_rough: bool
) -> None:
    """What is held has stops, or a close under way, over just as many shares; nothing else has.

    At a rough exchange the last word may have been a refusal, and the next attempt still to come.
    """
    away, last = defaultdict[str, Decimal](Decimal), dict[str, Row]()
    for key, known in here.items():
        if known["role"] == "entry":
            continue
        last[known["symbol"]] = known
        if (order := there.get(key)) is not None and order["status"] == "open":
            left = Decimal(order["qty"]) - Decimal(order["qty_filled"])
            away[order["symbol"]] += left if order["action"] == "sell" else -left
    for symbol in away.keys() | held.keys():
        is_next_due = is_rough and not away[symbol] and last[symbol]["state"] == "rejected"
        if not is_next_due:
            assert away[symbol] == held.get(symbol, Decimal(0)), symbol


def nothing_overnight(folder: Path) -> None:
    """Whatever was bought in a session was sold in it."""
    with _copies(folder) as (exchange, _):
        orders = {row["client_order_id"]: row for row in _rows(exchange, "broker_order")}
        held = defaultdict[tuple[str, int], Decimal](Decimal)
        for fill, row in zip(
            _executions(exchange, orders), _rows(exchange, "execution"), strict=True
        ):
            held[fill.symbol, row["at"] // 86_400] += fill.shares
        assert {key: qty for key, qty in held.items() if qty} == {}


def _rows(driver: sqlite3.Connection, table: str) -> list[Row]:
    order = "symbol" if table == "position" else "rowid"
    cursor = driver.execute(f"SELECT * FROM {table} ORDER BY {order}")
    names = [column[0] for column in cursor.description]
    return [dict(zip(names, row, strict=True)) for row in cursor]


@contextmanager
def _copies(folder: Path) -> Iterator[tuple[sqlite3.Connection, sqlite3.Connection]]:
    """Copies, because to look at a file after a crash is to change it."""
    with tempfile.TemporaryDirectory() as name:
        copied = Path(name)
        for stem in ("exchange.db", "trading.db"):
            for ending in ENDINGS:
                if (part := folder / f"{stem}{ending}").exists():
                    shutil.copyfile(part, copied / part.name)
        with (
            closing(sqlite3.connect(copied / "exchange.db")) as exchange,
            closing(sqlite3.connect(copied / "trading.db")) as ledger,
        ):
            yield exchange, ledger
