"""The ledger: append facts durably, with the rows that follow from them.

Owns the transaction: the facts of one append and every row that follows from them are committed
together, or nothing is. When `append` has returned, a power cut cannot take the facts away.

A fact that breaks a rule (the book's, or a key that must be unique) is refused: nothing is written,
the ledger goes on. What the disk or the driver says ends it (see store).

The ledger folds the facts into a book of its own (see projection, facts). It is not handed the
caller's order states: that would trust the caller for the rows which are to prove the caller right.
The price is a second fold, a few microseconds a fact. After a refusal its book is thrown away and
folded anew from the file, for a book cannot take a fact back.

All calls must come from the thread that opened the file; writer.py gives it one of its own.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from datetime import date, datetime
from operator import itemgetter
from pathlib import Path

from sqlalchemy import Delete, Insert, Update, bindparam, delete, insert, select, update
from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite

from algo_trader.core.errors import ConfigError
from algo_trader.core.events import Fact, SettingChanged
from algo_trader.core.orders import LIVE
from algo_trader.core.types import Symbol
from algo_trader.ledger import schema
from algo_trader.ledger.database import BUSY_TIMEOUT_MS, Database, connect, read_only
from algo_trader.ledger.errors import LedgerCorrupt
from algo_trader.ledger.facts import Facts, Tell, unheard, utc_now
from algo_trader.ledger.projection import (
    CHANGING_COLUMNS,
    EVENT_COLUMNS,
    ORDER_COLUMNS,
    SETTING_COLUMNS,
    TRADE_COLUMNS,
    Row,
    Rows,
)
from algo_trader.ledger.records import (
    NoteRecord,
    OrderRecord,
    TradeRecord,
    note_record,
    order_record,
    plain_note,
    trade_record,
)
from algo_trader.ledger.verify import verify


def _sql(statement: Insert | Update | Delete, columns: Sequence[str], *more: str) -> str:
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
_DELETE_SETTING = _sql(
    delete(schema.settings_override).where(schema.settings_override.c.key == bindparam("which")),
    (),
    "which",
)
_INSERT_SETTING = _sql(insert(schema.settings_override), SETTING_COLUMNS)
_INSERT_NOTE = _sql(insert(schema.trade_note), ("trade_id", "note", "created_at", "updated_at"))
_SELECT_TRADE = "SELECT 1 FROM trade WHERE trade_id = ?"


class Ledger(Facts):
    """One ledger file, open."""

    @classmethod
    def open(
        cls,
        path: Path,
        clock: Callable[[], datetime] = utc_now,
        *,
        check: bool = True,
        busy_timeout_ms: int = BUSY_TIMEOUT_MS,
        tell: Tell = unheard,
    ) -> Ledger:
        """Open a ledger of this version, creating an empty one; migrate.upgrade comes first, which
        checks the file: `check` does it again.

        Raises LedgerLocked, LedgerRefused, LedgerCorrupt or StorageError.
        """
        database = connect(path, may_create=True, check=check, busy_timeout_ms=busy_timeout_ms)
        return cls(database, clock, tell)

    @classmethod
    def open_to_read(cls, path: Path) -> Ledger:
        """Open a ledger of this version that nobody holds; whatever writes to it fails.

        Raises as read_only does. Nothing is checked but that the file is ours: reading is quick.
        """
        driver = read_only(path, may_be_older=False)
        return cls(Database(path, driver, is_read_only=True))

    def append(self, facts: Sequence[Fact]) -> None:
        """Store facts and the rows that follow from them, in one durable transaction.

        FactRefused, another CoreError or TypeError: nothing was written. StorageError: unknown,
        and the end of this ledger.
        """
        self._check()
        if not facts:
            return
        projector = self._folded()
        recorded_at = self._stamp()
        self._projector = None  # Until the rows are down: a book cannot take a fact back.
        for fact in facts:
            projector.fold(fact, recorded_at)
        self._write(projector.take())
        self._projector = projector

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

    def overrides(self) -> dict[str, str]:
        """The settings that were overridden, by key, as the file has them: check them first."""
        table = schema.settings_override
        rows = self._read(select(table.c.key, table.c.value).order_by(table.c.key))
        return {row["key"]: row["value"] for row in rows}

    def override(self, key: str, value: str | None) -> None:
        """Record an override, or with None its end; where there is none to end, nothing.

        For a ledger that no daemon has: market time stands where its facts end. The value was
        checked before (config.editable).
        """
        if value is None and key not in self.overrides():
            return
        now = self.last_at()
        at = int(self._clock().timestamp()) if now is None else now
        self.append([SettingChanged(at=at, key=key, value=value)])

    def note(self, trade_id: str, text: str) -> int:
        """Add an operator's note to a trade; its number. ConfigError if it cannot be."""
        said, now = plain_note(text), self._stamp()
        with self._writing() as driver:
            if driver.execute(_SELECT_TRADE, (trade_id,)).fetchone() is None:
                raise ConfigError(f"there is no trade {trade_id!r} in {self.path}")
            return int(driver.execute(_INSERT_NOTE, (trade_id, said, now, now)).lastrowid or 0)

    def notes(self, trade_id: str | None = None) -> list[NoteRecord]:
        """The notes of a trade, or all of them, oldest first."""
        table = schema.trade_note
        wanted = select(table).order_by(table.c.id)
        if trade_id is not None:
            wanted = wanted.where(table.c.trade_id == trade_id)
        return [note_record(row) for row in self._read(wanted)]

    def verify(self) -> list[str]:
        """Every way in which the file is not what its facts make it; empty if it is."""
        with self._guarded():
            return verify(self._driver)

    # -- inside --

    def _write(self, rows: Rows) -> None:
        with self._writing() as driver:
            _many(driver, _INSERT_EVENT, rows.events)
            _many(driver, _INSERT_ORDER, rows.orders_new)
            if rows.orders_changed:
                changed = list(map(_changes, rows.orders_changed))
                touched = driver.executemany(_UPDATE_ORDER, changed).rowcount
                if touched != len(changed):
                    raise LedgerCorrupt(f"{self.path}: order_state lacks orders of the facts")
            _many(driver, _INSERT_TRADE, rows.trades)
            for row in rows.settings:
                driver.execute(_DELETE_SETTING, row[:1])
                if row[1] is not None:
                    driver.execute(_INSERT_SETTING, row)


def _many(driver: sqlite3.Connection, statement: str, rows: Sequence[Row]) -> None:
    if len(rows) == 1:
        driver.execute(statement, rows[0])
    elif rows:
        driver.executemany(statement, rows)
