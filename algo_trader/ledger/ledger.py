"""The ledger: append facts durably, read them back, fold them.

Owns the transaction: the facts of one append and every row that follows from them are committed
together, or nothing is. When `append` has returned, a power cut cannot take the facts away.

Two ways to fail. A fact that breaks a rule (the book's, or a key that must be unique) is refused:
nothing is written, the ledger goes on. Anything the disk or the driver says is StorageError, and
poisons: the outcome of that write is unknown, a smaller write after it might succeed and leave a
hole, so every later call raises at once and the process must end and read the file again.

The ledger folds the facts into a book of its own (see projection). It is not handed the caller's
order states: that would trust the caller for the rows which are to prove the caller right. The
price is a second fold, a few microseconds a fact. After a refusal its book is thrown away and
folded anew from the file, for a book cannot take a fact back.

All calls must come from the thread that opened the file; writer.py gives it one of its own.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime
from operator import itemgetter
from pathlib import Path
from types import TracebackType
from typing import Any

from sqlalchemy import Insert, Select, Update, bindparam, insert, select, update
from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite
from sqlalchemy.exc import DBAPIError

from algo_trader.core.book import Book
from algo_trader.core.events import Fact
from algo_trader.core.orders import LIVE
from algo_trader.core.types import Symbol
from algo_trader.ledger import schema
from algo_trader.ledger.codec import decode
from algo_trader.ledger.database import BUSY_TIMEOUT_MS, Database, connect, translate
from algo_trader.ledger.errors import FactRefused, LedgerCorrupt, StorageError
from algo_trader.ledger.projection import (
    CHANGING_COLUMNS,
    EVENT_COLUMNS,
    ORDER_COLUMNS,
    TRADE_COLUMNS,
    Projector,
    Row,
    Rows,
)
from algo_trader.ledger.records import OrderRecord, TradeRecord, order_record, trade_record
from algo_trader.ledger.verify import verify

CHUNK = 5_000
"""Facts read at a time."""


def utc_now() -> datetime:
    """The wall clock."""
    return datetime.now(UTC)


def _sql(statement: Insert | Update, columns: Sequence[str], *more: str) -> str:
    """The statement's text for the driver, its parameters in the order of `columns`, `more`."""
    compiled = statement.compile(dialect=SQLiteDialect_pysqlite(), column_keys=list(columns))
    if compiled.positiontup != [*columns, *more]:
        raise AssertionError(f"columns out of order in {compiled}")
    return str(compiled)


_INSERT_EVENT = _sql(insert(schema.order_event), EVENT_COLUMNS)
_INSERT_ORDER = _sql(insert(schema.order_state), ORDER_COLUMNS)
_INSERT_TRADE = _sql(insert(schema.trade), TRADE_COLUMNS)
_UPDATE_ORDER = _sql(
    update(schema.order_state).where(schema.order_state.c.id == bindparam("which")),
    CHANGING_COLUMNS,
    "which",
)
_changes = itemgetter(*map(ORDER_COLUMNS.index, (*CHANGING_COLUMNS, "id")))
_SELECT_FACTS = "SELECT seq, kind, payload FROM order_event WHERE seq > ? ORDER BY seq LIMIT ?"


class Ledger:
    """One ledger file, open. `is_poisoned` says that storage failed and nothing works any more."""

    def __init__(self, database: Database, clock: Callable[[], datetime] = utc_now) -> None:
        self._database = database
        self._driver = database.driver
        self._clock = clock
        self._projector: Projector | None = None
        self._poison: StorageError | None = None

    @classmethod
    def open(
        cls,
        path: Path,
        clock: Callable[[], datetime] = utc_now,
        *,
        busy_timeout_ms: int = BUSY_TIMEOUT_MS,
    ) -> Ledger:
        """Open a ledger of this version, creating an empty one; migrate.upgrade comes first.

        Raises LedgerLocked, LedgerRefused, LedgerCorrupt or StorageError.
        """
        database = connect(path, may_create=True, busy_timeout_ms=busy_timeout_ms)
        return cls(database, clock)

    @property
    def path(self) -> Path:
        """The file."""
        return self._database.path

    @property
    def is_poisoned(self) -> bool:
        """Whether a storage error has ended this ledger."""
        return self._poison is not None

    def append(self, facts: Sequence[Fact]) -> None:
        """Store facts and the rows that follow from them, in one durable transaction.

        FactRefused, another CoreError or TypeError: nothing was written. StorageError: unknown,
        and the end of this ledger.
        """
        self._check()
        if not facts:
            return
        projector = self._projector or self._refold()
        recorded_at = self._stamp()
        self._projector = None  # Until the rows are down: a book cannot take a fact back.
        for fact in facts:
            projector.fold(fact, recorded_at)
        self._write(projector.take())
        self._projector = projector

    def facts(self, after: int = 0) -> Iterator[Fact]:
        """The facts in order, from the one that follows number `after`."""
        for _, fact, _ in self._numbered(after):
            yield fact

    def count(self) -> int:
        """How many facts there are."""
        with self._guarded():
            row = self._driver.execute("SELECT coalesce(max(seq), 0) FROM order_event").fetchone()
        return int(row[0])

    def fold(self) -> Book:
        """A new book of all facts, the caller's to keep."""
        book = Book()
        projector = Projector() if self._projector is None else None
        for _, fact, payload in self._numbered(0):
            book.apply(fact)
            if projector is not None:
                projector.fold(fact, "", payload)
                projector.take()
        if projector is not None:
            self._projector = projector
        return book

    def orders(
        self,
        symbol: Symbol | None = None,
        since: date | None = None,
        limit: int | None = None,
        *,
        is_live: bool | None = None,
    ) -> list[OrderRecord]:
        """The latest `limit` orders in order of intent; `since` is a UTC date of intent."""
        table = schema.order_state
        wanted = select(table).order_by(table.c.id.desc()).limit(limit)
        if symbol is not None:
            wanted = wanted.where(table.c.symbol == symbol)
        if since is not None:
            wanted = wanted.where(table.c.created_at >= since.isoformat())
        if is_live is not None:
            live = table.c.state.in_(sorted(LIVE))
            wanted = wanted.where(live if is_live else ~live)
        return [order_record(row) for row in reversed(self._read(wanted))]

    def trades(
        self, symbol: Symbol | None = None, since: date | None = None, limit: int | None = None
    ) -> list[TradeRecord]:
        """The latest `limit` trades in order of closing; `since` is a UTC date of the exit."""
        table = schema.trade
        wanted = select(table).order_by(table.c.id.desc()).limit(limit)
        if symbol is not None:
            wanted = wanted.where(table.c.symbol == symbol)
        if since is not None:
            wanted = wanted.where(table.c.exit_at >= since.isoformat())
        return [trade_record(row) for row in reversed(self._read(wanted))]

    def snapshot(self, target: Path) -> None:
        """Write a compact copy of the file; `target` must not exist. See backup for a safe one.

        A failure is StorageError but no poison: it is the copy that could not be written.
        """
        self._check()
        self._database.snapshot(target)

    def verify(self) -> list[str]:
        """Every way in which the file is not what its facts make it; empty if it is."""
        with self._guarded():
            return verify(self._driver)

    def close(self) -> None:
        """Close the file. Later calls raise."""
        if self._poison is None:
            self._poison = StorageError(f"{self.path} is closed")
        self._database.close()

    def __enter__(self) -> Ledger:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    # -- inside --

    def _stamp(self) -> str:
        return self._clock().astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")

    def _write(self, rows: Rows) -> None:
        """The one place that writes: a whole transaction, on the driver, without a pause."""
        driver = self._driver
        try:
            driver.execute("BEGIN IMMEDIATE")
            _many(driver, _INSERT_EVENT, rows.events)
            _many(driver, _INSERT_ORDER, rows.orders_new)
            if rows.orders_changed:
                changed = list(map(_changes, rows.orders_changed))
                touched = driver.executemany(_UPDATE_ORDER, changed).rowcount
                if touched != len(changed):
                    raise LedgerCorrupt(f"{self.path}: order_state lacks orders of the facts")
            _many(driver, _INSERT_TRADE, rows.trades)
            driver.execute("COMMIT")
        except sqlite3.IntegrityError as error:
            self._roll_back()
            raise FactRefused(f"the ledger refused a fact: {error}") from error
        except LedgerCorrupt:
            self._roll_back()
            raise
        except sqlite3.Error as error:
            raise self._end(error) from error
        except BaseException as error:
            # Interrupted between BEGIN and COMMIT: nobody may go on with half a transaction.
            self._end(error)
            raise

    def _roll_back(self) -> None:
        try:
            self._driver.execute("ROLLBACK")
        except sqlite3.Error as error:
            raise self._end(error) from error

    def _end(self, error: BaseException) -> StorageError:
        """Poison the ledger for good; the error to raise."""
        if isinstance(error, sqlite3.Error):
            reason = str(translate(error, self.path))
        else:
            reason = f"{self.path}: a transaction was cut short by {error!r}"
        self._poison = StorageError(reason)
        return self._poison

    def _check(self) -> None:
        if self._poison is not None:
            raise StorageError(f"this ledger has ended: {self._poison}") from self._poison

    @contextmanager
    def _guarded(self) -> Iterator[None]:
        """Refuse if poisoned; a driver's error while reading poisons as well."""
        self._check()
        try:
            yield
        except sqlite3.Error as error:
            raise self._end(error) from error
        except DBAPIError as error:  # SQLAlchemy's wrapping of the same.
            raise self._end(error.orig or error) from error

    def _read(self, statement: Select[Any]) -> list[Mapping[str, Any]]:
        with self._guarded(), self._database.transaction() as connection:
            return [dict(row) for row in connection.execute(statement).mappings()]

    def _numbered(self, after: int) -> Iterator[tuple[int, Fact, str]]:
        while True:
            with self._guarded():
                rows = self._driver.execute(_SELECT_FACTS, (after, CHUNK)).fetchall()
            for seq, kind, payload in rows:
                after += 1
                if seq != after:
                    raise LedgerCorrupt(f"{self.path}: fact {after} is missing")
                yield seq, decode(kind, payload), payload
            if len(rows) < CHUNK:
                return

    def _refold(self) -> Projector:
        projector = Projector()
        for _, fact, payload in self._numbered(0):
            projector.fold(fact, "", payload)
            projector.take()
        return projector


def _many(driver: sqlite3.Connection, statement: str, rows: Sequence[Row]) -> None:
    if len(rows) == 1:
        driver.execute(statement, rows[0])
    elif rows:
        driver.executemany(statement, rows)
