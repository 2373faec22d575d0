"""Ledger and exchange compared, at the end of a run. The exchange is right by definition.

Shares no code with the daemon: it reads the ledger's rows with SQL, adds up, and looks into the
exchange's own books.
"""

from __future__ import annotations

import json
import sqlite3
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

from algo_trader.exchange.orders import Order
from algo_trader.ledger.verify import verify
from algo_trader.simulation.exchange import SimulatedExchange
from algo_trader.simulation.plan import Deed, Fault, Plan

PREFIX = "SIM000001-"
"""Of the names of all orders of ours; somebody else's begin otherwise."""
STATE_OF = {
    "filled": {"filled"},
    "canceled": {"canceled"},
    "replaced": {"canceled", "filled"},
    "expired": {"expired", "canceled"},
    "rejected": {"rejected", "submit_failed", "canceled"},
}
"""The ledger's words for an order's end, by the exchange's."""
OPEN = {"accepted", "partially_filled"}
NEVER_THERE = {"rejected", "submit_failed"}
ROUNDING = Decimal("0.02")
"""Dollars that an execution made up from an order's average price may be off."""


def compare(driver: sqlite3.Connection, exchange: SimulatedExchange, plan: Plan) -> Iterator[str]:
    """Every way in which the two disagree."""
    ours, theirs = _Ours(driver), _Theirs(exchange)
    has_busts = any(each.deed is Deed.BUSTS for each in plan.deeds)
    for name, order in theirs.orders.items():
        known = ours.orders.get(name)
        word = order.status.value
        if known is None:
            yield f"{name}: the ledger has never heard of it"
        elif known[0] is not None and theirs.names.get(known[0]) != name:
            yield f"{name} is {known[0]} in the ledger, {order.id} there"
        elif not (
            has_busts or known[1] in STATE_OF.get(word, OPEN) or _came_late(known[1], order, plan)
        ):
            yield f"{name} is {known[1]} in the ledger, {word} there"
    for name, (_, state) in ours.orders.items():
        if name not in theirs.orders and state not in NEVER_THERE:
            yield f"{name} is {state} in the ledger, and not at the exchange"
    for decision, count in theirs.entries.items():
        if count > 1:
            yield f"{decision} has led to {count} entries"
    if ours.positions != theirs.positions:
        yield f"positions: the ledger has {ours.positions}, the exchange {theirs.positions}"
    yield from _left_behind(theirs, plan)
    yield from verify(driver)
    if has_busts:
        return  # What was taken back is put right by comparing, not by unwinding.
    for name in sorted(ours.fills.keys() | theirs.fills.keys()):
        mine, other = ours.fills.get(name, Decimal(0)), theirs.fills.get(name, Decimal(0))
        if mine != other:
            yield f"{name}: {mine} shares are filled in the ledger, {other} at the exchange"
    off = abs(ours.cash - theirs.cash)
    if off > ROUNDING * len(theirs.fills):
        yield f"cash: the ledger has {ours.cash}, the exchange {theirs.cash}"
    has_reason = plan.deeds or Fault.LATE in plan.commands  # Which may come when all is over.
    if ours.oddities and not has_reason:
        yield f"on record without a reason: {ours.oddities}"
    if ours.adjusted > ROUNDING * len(theirs.fills) and not plan.has_hands:
        yield f"cash was adjusted by {ours.adjusted} without a reason"


def _came_late(state: str, order: Order, plan: Plan) -> bool:
    """Whether it was given up, and ended with an order that came late: nobody asks about a leg by
    itself when its order has been met and canceled.
    """
    was_given_up = state == "submit_failed" and order.status.value == "canceled"
    return was_given_up and not order.filled_qty and Fault.LATE in plan.commands


def _left_behind(theirs: _Theirs, plan: Plan) -> Iterator[str]:
    """What works on, or is held, when the last session is over."""
    closing: dict[str, Decimal] = defaultdict(Decimal)
    ending = set()
    for name, order in theirs.orders.items():
        if not order.is_open:
            continue
        if "-entry-" in name:
            yield f"the entry {name} is left behind"
        elif "-target-" not in name:
            ending |= {order.symbol} if order.type == "market" else set()
            closing[order.symbol] += order.qty_open if order.action == "sell" else -order.qty_open
    for symbol, qty in closing.items():
        held = theirs.positions.get(symbol, Decimal(0))
        if abs(qty) > abs(held) or qty * held < 0:
            yield f"closing orders over {qty} {symbol} are left behind, and {held} are held"
    kept = {symbol: qty for symbol, qty in theirs.positions.items() if symbol not in ending}
    if kept and plan.is_peaceful:
        yield f"held beyond the last close, and nothing closes it: {kept}"


class _Ours:
    """What the ledger's facts and rows say."""

    def __init__(self, driver: sqlite3.Connection) -> None:
        facts = [
            (kind, json.loads(payload))
            for kind, payload in driver.execute(
                "SELECT kind, payload FROM order_event ORDER BY seq"
            )
        ]
        self.orders: dict[str, tuple[str | None, str]] = {
            row[0]: (row[1], row[2])
            for row in driver.execute("SELECT client_order_id, broker_id, state FROM order_state")
        }
        requests: dict[str, Any] = {}
        self.fills: dict[str, Decimal] = defaultdict(Decimal)
        self.cash = self.adjusted = Decimal(0)
        held: dict[str, Decimal] = defaultdict(Decimal)
        for kind, fact in facts:
            match kind:
                case "OrderIntended":
                    requests[fact["request"]["order_id"]] = fact["request"]
                case "AccountPinned":
                    self.cash = Decimal(fact["cash"])
                case "OrderFilled":
                    order, qty = requests[fact["order_id"]], Decimal(fact["qty"])
                    self.fills[fact["order_id"]] += qty
                    signed = qty if order["action"] == "buy" else -qty
                    held[order["symbol"]] += signed
                    self.cash -= signed * Decimal(fact["price"]) + Decimal(fact["commission"])
                case "SharesAdopted" | "SharesGone":
                    signed = Decimal(fact["qty"]) * (1 if fact["side"] == "long" else -1)
                    held[fact["symbol"]] += signed if kind == "SharesAdopted" else -signed
                case "CashAdjusted":
                    self.cash = Decimal(fact["cash"])
                    self.adjusted += abs(Decimal(fact["amount"]))
        self.positions = {symbol: qty for symbol, qty in held.items() if qty}
        odd = {"Halted", "Discrepancy", "SharesAdopted", "SharesGone"}
        self.oddities = [fact for kind, fact in facts if kind in odd]


class _Theirs:
    """What the exchange's books say of the orders with our names, and of the account."""

    def __init__(self, exchange: SimulatedExchange) -> None:
        blotter = exchange.desk.blotter
        self.orders: dict[str, Order] = {}
        self.fills: dict[str, Decimal] = defaultdict(Decimal)
        self.names: dict[str, str] = {}
        for order in blotter.orders.values():
            name = _name(order, blotter.orders)
            if name.startswith(PREFIX):
                self.orders[name] = order  # Of several the last, which others were edited into.
                self.names[order.id] = name
        self.entries = Counter(
            name.partition("-entry-")[0] for name in self.orders if "-entry-" in name
        )
        for done in blotter.executions:
            if done.order.id in self.names:
                self.fills[self.names[done.order.id]] += done.qty
        account = exchange.desk.venue.account
        self.cash = account.cash
        self.positions = {
            symbol: qty for symbol in exchange.desk.symbols if (qty := account.qty(symbol))
        }


def _name(order: Order, orders: Mapping[str, Order]) -> str:
    """Our name for an order: the first leg of a target of ours is its stop, and what somebody else
    has made of an order goes on under its name.
    """
    if order.client_order_id.startswith(PREFIX):
        return order.client_order_id
    before = orders.get(order.replaces or "")
    if before is not None and before is not order.parent:
        return _name(before, orders)
    if order.parent is not None:
        return order.parent.client_order_id.replace("-target-", "-stop-")
    return order.client_order_id
