"""What must hold whatever happens: the ledger's file and the exchange's file, compared.

Shares no code with the program that wrote them: it reads the two files with SQL and adds up. The
exchange is right by definition; the ledger has to know all of it and nothing else.
"""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from decimal import Decimal
from pathlib import Path
from typing import Any

from sim_market import SYMBOLS
from sim_world import World

from algo_trader.brokers.embedded.exchange import EmbeddedExchange
from algo_trader.ledger.ledger import Ledger

STATE_OF = {
    "open": {"accepted", "partially_filled"},
    "filled": {"filled"},
    "canceled": {"canceled"},
    "replaced": {"canceled"},
    "expired": {"expired"},
}
"""The ledger's words for an order's end, by the exchange's."""
NEVER_THERE = {"rejected", "submit_failed"}


async def look_at_cover(exchange: EmbeddedExchange, world: World, when: str) -> None:
    """Every share at the exchange must have a working closing order there.

    It may be missing for as long as the world has patience: until an answer is found out, or what
    was refused has been tried again.
    """
    orders = await exchange.orders(())
    positions = await exchange.positions()
    for symbol in SYMBOLS:
        position = positions.get(symbol)
        if position is None:
            world.bare_minutes[symbol] = 0
            continue
        wanted = "sell" if position.qty > 0 else "buy"
        closing = [each for each in orders if each.symbol == symbol and each.action == wanted]
        covered, taken = (
            sum(
                order.qty - sum(done.qty for done in order.executions)
                for order in closing
                if ("-target-" in order.order_id) is is_target
            )
            for is_target in (False, True)
        )
        if covered > abs(position.qty) or taken > covered:
            world.complain(f"{when}: more than the {position.qty} {symbol} would be closed")
        is_bare = covered < abs(position.qty)
        world.bare_minutes[symbol] = world.bare_minutes[symbol] + 1 if is_bare else 0
        if world.bare_minutes[symbol] > world.patience:
            world.complain(f"{when} {exchange.now}: {position.qty} {symbol}, covered are {covered}")


def compare(ledger_file: Path, exchange_file: Path) -> list[str]:
    """Every way in which the two files disagree."""
    ours, theirs = _Ours(ledger_file), _Theirs(exchange_file)
    found: list[str] = []
    for name in ("executions", "cash", "positions"):
        mine, other = getattr(ours, name), getattr(theirs, name)
        if mine != other:
            found.append(f"{name}: the ledger has {mine}, the exchange {other}")
    for order_id, (broker_id, status) in theirs.orders.items():
        known = ours.orders.get(order_id)
        if known is None:
            found.append(f"{order_id}: the ledger has never heard of it")
        elif known[0] != broker_id or known[1] not in STATE_OF[status]:
            found.append(f"{order_id} is {known} in the ledger, {broker_id} {status} there")
    for order_id, (_, state) in ours.orders.items():
        if order_id not in theirs.orders and state not in NEVER_THERE:
            found.append(f"{order_id} is {state} in the ledger, and not at the exchange")
    for symbol, qty in theirs.positions.items():
        if theirs.covered[symbol] != abs(qty):
            found.append(f"{qty} {symbol} are left, covered are {theirs.covered[symbol]}")
    if ours.oddities:
        found.append(f"on record without a reason: {ours.oddities}")
    with Ledger.open_to_read(ledger_file) as ledger:
        found.extend(ledger.verify())
    return found


class _Ours:
    """What the ledger's facts say."""

    def __init__(self, path: Path) -> None:
        facts = [
            (kind, json.loads(payload))
            for kind, payload in _rows(path, "SELECT kind, payload FROM order_event ORDER BY seq")
        ]
        self.orders: dict[str, tuple[str | None, str]] = {
            row[0]: (row[1], row[2])
            for row in _rows(path, "SELECT client_order_id, broker_id, state FROM order_state")
        }
        request = {
            fact["request"]["order_id"]: fact["request"]
            for kind, fact in facts
            if kind == "OrderIntended"
        }
        fills = [fact for kind, fact in facts if kind == "OrderFilled"]
        self.executions = sorted(
            (fill["order_id"], fill["execution_id"], fill["qty"], fill["price"], fill["cum_qty"])
            for fill in fills
        )
        self.cash = sum(Decimal(fact["cash"]) for kind, fact in facts if kind == "AccountPinned")
        held: Counter[str] = Counter()
        signed: dict[str, Decimal] = {}
        for fill in fills:
            order = request[fill["order_id"]]
            qty = Decimal(fill["qty"]) * (1 if order["action"] == "buy" else -1)
            signed[order["symbol"]] = signed.get(order["symbol"], Decimal(0)) + qty
            self.cash -= qty * Decimal(fill["price"]) + Decimal(fill["commission"])
            held[order["symbol"]] += 1
        self.positions = {symbol: qty for symbol, qty in signed.items() if qty}
        odd = {"Halted", "Discrepancy", "SharesAdopted"}
        self.oddities = [fact for kind, fact in facts if kind in odd]


class _Theirs:
    """What the exchange's books say."""

    def __init__(self, path: Path) -> None:
        self.orders: dict[str, tuple[str, str]] = {
            row[0]: (row[1], row[2])
            for row in _rows(path, "SELECT client_order_id, broker_id, status FROM broker_order")
        }
        self.executions = sorted(
            _rows(
                path,
                "SELECT client_order_id, execution_id, qty, price, cum_qty FROM execution",
            )
        )
        self.cash = Decimal(_rows(path, "SELECT cash FROM state")[0][0])
        self.positions = {
            symbol: Decimal(qty) for symbol, qty in _rows(path, "SELECT symbol, qty FROM position")
        }
        self.covered = dict.fromkeys(self.positions, Decimal(0))
        open_orders = _rows(
            path,
            "SELECT symbol, action, qty, qty_filled FROM broker_order WHERE status = 'open'"
            " AND client_order_id NOT LIKE '%-target-%'",
        )
        for symbol, action, qty, filled in open_orders:
            if symbol in self.positions and (action == "sell") is (self.positions[symbol] > 0):
                self.covered[symbol] += Decimal(qty) - Decimal(filled)


def _rows(path: Path, statement: str) -> list[Any]:
    driver = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    try:
        return driver.execute(statement).fetchall()
    finally:
        driver.close()
