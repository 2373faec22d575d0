"""Both books as the oracle reads them: the exchange's journal by line, and a dead ledger's file.

Shares no code with the program: what an order, an execution, a cover and a fact are is said here
once more, from the journal's JSON and the ledger's columns alone. Times are real seconds.
"""

from __future__ import annotations

import hashlib
import shutil
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

Entry: TypeAlias = Mapping[str, Any]
ZERO = Decimal(0)
FINAL = frozenset({"filled", "canceled", "expired", "rejected", "replaced"})
COVERS = frozenset({"stop", "stop_limit", "market"})
SENDS = frozenset({"POST", "PATCH"})
ENDINGS = ("", "-wal")


class Asked(NamedTuple):
    """A request for a new order, or for one in the place of another."""

    at: float
    method: str
    client_order_id: str


class Execution(NamedTuple):
    """Shares that changed hands at the exchange, as signed shares, and the position after them."""

    at: float
    order_id: str
    client_order_id: str
    symbol: str
    cum_qty: Decimal
    shares: Decimal
    price: Decimal
    position: Decimal


class Bare(NamedTuple):
    """An interval in which fewer shares of a symbol had a stop than were held; `until` None: now.
    """

    symbol: str
    since: float
    until: float | None


@dataclass
class Placed:
    """An order at the exchange, as it was last heard of."""

    order_id: str
    client_order_id: str
    symbol: str
    side: str
    kind: str
    qty: Decimal
    filled: Decimal
    status: str
    since: float
    ended_at: float | None = None

    @property
    def is_entry(self) -> bool:
        """Whether it opens positions; the exchange makes up the ids of a pair's stop."""
        return "-entry-" in self.client_order_id

    @property
    def is_open(self) -> bool:
        """Whether it may still be filled."""
        return self.status not in FINAL

    @property
    def protects(self) -> Decimal:
        """The shares that it would sell or buy back as a stop, or at market once there is one;
        signed as the position is."""
        if self.kind not in COVERS or self.is_entry or not self.is_open:
            return ZERO
        left = self.qty - self.filled
        return left if self.side == "sell" else -left


class MarketBook:
    """The exchange's journal, folded; `add` takes its entries in order."""

    def __init__(self) -> None:
        self.asked: list[Asked] = []
        self.refused_at_once: dict[str, int] = {}
        self.orders: dict[str, Placed] = {}
        self.executions: list[Execution] = []
        self.positions: dict[str, Decimal] = {}
        self.bare: list[Bare] = []
        self.last_change = 0.0
        self.is_over = False
        self._requests: dict[str, Asked] = {}
        self._bare_since: dict[str, float] = {}

    def add(self, entry: Entry) -> None:
        """One entry."""
        kind, at = entry["kind"], float(entry["real"])
        if kind == "update":
            self._update(entry["data"], at)
        elif kind == "request" and entry["method"] in SENDS:
            self.last_change = at
            self._request(entry, at)
        elif kind == "answer" and entry["status"] == 429 and entry["id"] in self._requests:
            key = self._requests[entry["id"]].client_order_id
            self.refused_at_once[key] = self.refused_at_once.get(key, 0) + 1
        elif kind == "played":
            self.is_over = True

    def open_bare(self) -> list[Bare]:
        """Intervals that have not ended."""
        return [Bare(symbol, since, None) for symbol, since in self._bare_since.items()]

    def cover(self, symbol: str) -> Decimal:
        """Shares of working stops, signed as the position they are for."""
        return sum(
            (order.protects for order in self.orders.values() if order.symbol == symbol), start=ZERO
        )

    def _request(self, entry: Entry, at: float) -> None:
        body = entry["body"]
        if isinstance(body, dict) and "client_order_id" in body:
            asked = Asked(at, entry["method"], body["client_order_id"])
            self.asked.append(asked)
            self._requests[entry["id"]] = asked

    def _update(self, data: Entry, at: float) -> None:
        self.last_change = at
        shown = data["order"]
        order = self._seen(shown, at)
        if data["event"] in ("fill", "partial_fill"):
            self._executed(data, order, at)
        if shown["status"] == "replaced" and shown["replaced_by"]:
            self._succeed(order, shown["replaced_by"], at)
        if shown["status"] == "filled":
            for leg in shown["legs"] or ():  # Their end by the other's fill is not always told.
                self._end(self.orders[leg["id"]], "canceled", at)
        self._note_cover(shown["symbol"], at)

    def _seen(self, shown: Entry, at: float) -> Placed:
        for leg in shown["legs"] or ():
            self._seen({**leg, "legs": None}, at)
        order = self.orders.get(shown["id"])
        if order is None:
            order = self.orders[shown["id"]] = Placed(
                shown["id"], shown["client_order_id"], shown["symbol"], shown["side"],
                shown["type"], Decimal(shown["qty"]), ZERO, shown["status"], at,
            )  # fmt: skip
        order.client_order_id = shown["client_order_id"]
        order.qty, order.filled = Decimal(shown["qty"]), Decimal(shown["filled_qty"])
        self._end(order, shown["status"], at)
        return order

    @staticmethod
    def _end(order: Placed, status: str, at: float) -> None:
        if order.is_open:
            order.status = status
            order.ended_at = None if order.is_open else at

    def _succeed(self, old: Placed, order_id: str, at: float) -> None:
        if order_id not in self.orders:
            self.orders[order_id] = Placed(
                order_id, old.client_order_id, old.symbol, old.side, old.kind,
                old.qty - old.filled, ZERO, "held", at,
            )  # fmt: skip

    def _executed(self, data: Entry, order: Placed, at: float) -> None:
        qty = Decimal(data["qty"])
        shares = qty if order.side == "buy" else -qty
        position = self.positions.get(order.symbol, ZERO) + shares
        self.positions[order.symbol] = position
        self.executions.append(
            Execution(
                at, order.order_id, order.client_order_id, order.symbol, order.filled, shares,
                Decimal(data["price"]), position,
            )
        )  # fmt: skip

    def _note_cover(self, symbol: str, at: float) -> None:
        held, cover = self.positions.get(symbol, ZERO), self.cover(symbol)
        is_bare = cover < held if held > 0 else cover > held if held < 0 else False
        if is_bare:
            self._bare_since.setdefault(symbol, at)
        elif symbol in self._bare_since:
            self.bare.append(Bare(symbol, self._bare_since.pop(symbol), at))


class Recorded(NamedTuple):
    """An execution in the ledger."""

    order_id: str
    cum_qty: Decimal
    qty: Decimal
    price: Decimal


class Known(NamedTuple):
    """An order's state by the ledger."""

    state: str
    broker_id: str | None
    filled: Decimal


@dataclass
class LedgerBook:
    """A ledger's facts, read from a copy of its file."""

    digests: list[str] = field(default_factory=list)
    intents: set[str] = field(default_factory=set)
    sent: dict[str, float] = field(default_factory=dict)
    fills: list[Recorded] = field(default_factory=list)
    orders: dict[str, Known] = field(default_factory=dict)
    kinds: dict[str, int] = field(default_factory=dict)
    by_broker_id: dict[str, str] = field(default_factory=dict)
    """Our names by the exchange's; `name_of` knows orders without an acknowledgement too."""
    pnl: Decimal = ZERO
    complaint: str | None = None
    """What SQLite says of the file, if that is not ok, or what is odd about its rows."""

    @property
    def unanswered(self) -> set[str]:
        """Orders that were sent, and of which nothing is known."""
        return {
            name
            for name, known in self.orders.items()
            if known.state == "submitted" and known.broker_id is None
        }

    def name_of(self, order_id: str, client_order_id: str) -> str | None:
        """Our name of the exchange's order, if the ledger knows it."""
        return self.by_broker_id.get(
            order_id, client_order_id if client_order_id in self.intents else None
        )


def read_ledger(file: Path, scratch: Path) -> LedgerBook:
    """The ledger as a killed daemon left it; a copy is opened, for to open one is to change it."""
    book = LedgerBook()
    if not file.exists():
        return book
    for ending in ENDINGS:
        part = file.with_name(file.name + ending)
        copied = scratch / f"image.db{ending}"
        copied.unlink(missing_ok=True)
        if part.exists():
            shutil.copyfile(part, copied)
    with closing(sqlite3.connect(scratch / "image.db")) as driver:
        driver.row_factory = sqlite3.Row
        tables = {row[0] for row in driver.execute("SELECT name FROM sqlite_schema")}
        if "order_event" in tables:
            _read_facts(driver, book)
        (word,) = driver.execute("PRAGMA integrity_check").fetchone()
        if word != "ok":
            book.complaint = word
    return book


def _read_facts(driver: sqlite3.Connection, book: LedgerBook) -> None:
    digest = ""
    for row in driver.execute(
        "SELECT seq, at, recorded_at, session, kind, payload, order_local_id, new_state, "
        "qty_filled, cum_qty, fill_price, broker_id, detail FROM order_event ORDER BY seq"
    ):
        digest = hashlib.blake2b(repr((digest, *row)).encode(), digest_size=16).hexdigest()
        book.digests.append(digest)
        if row["seq"] != len(book.digests):
            book.complaint = f"seq {row['seq']} stands at place {len(book.digests)}"
        _read_fact(row, book)
    for row in driver.execute("SELECT local_id, state, broker_id, qty_filled FROM order_state"):
        book.orders[row[0]] = Known(row[1], row[2], Decimal(row[3]))
    for (pnl,) in driver.execute("SELECT pnl FROM trade"):
        book.pnl += Decimal(pnl)


def _read_fact(row: sqlite3.Row, book: LedgerBook) -> None:
    kind, order_id = row["kind"], row["order_local_id"]
    book.kinds[kind] = book.kinds.get(kind, 0) + 1
    if row["broker_id"]:
        book.by_broker_id[row["broker_id"]] = order_id
    if kind == "OrderIntended":
        book.intents.add(order_id)
    elif kind == "OrderSubmitting":
        book.sent.setdefault(order_id, moment(row["recorded_at"]))
    elif kind == "OrderFilled":
        numbers = (row["cum_qty"], row["qty_filled"], row["fill_price"])
        book.fills.append(Recorded(order_id, *map(Decimal, numbers)))


def moment(stamp: str) -> float:
    """Seconds since the epoch of an ISO-8601 stamp."""
    return datetime.fromisoformat(stamp).timestamp()
