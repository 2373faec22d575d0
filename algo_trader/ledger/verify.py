"""The proof: fold a file's facts again and hold every row against what comes out.

Owns nothing and changes nothing. Reads from any connection: the ledger's own, or a snapshot's
opened read-only, which is how a running daemon's file is verified. The answer is a list of
sentences; an empty list means that the file says what its facts say, and nothing else.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

from algo_trader.core.errors import CoreError
from algo_trader.ledger import shape
from algo_trader.ledger.codec import decode, encode
from algo_trader.ledger.database import application_version, read_only, told
from algo_trader.ledger.errors import LedgerCorrupt
from algo_trader.ledger.fold_snapshot import Audit
from algo_trader.ledger.projection import (
    EVENT_COLUMNS,
    ORDER_COLUMNS,
    SETTING_COLUMNS,
    TRADE_COLUMNS,
    Cell,
    Projector,
    Row,
)

MOST = 100
"""Differences told; a file that is wrong everywhere is not told row by row."""


class Proof(NamedTuple):
    """How many facts a file holds, and every way in which it is not what they make it."""

    facts: int
    differences: list[str]


def verify_file(path: Path) -> list[str]:
    """`verify` on a snapshot or backup. Raises as read_only does if it cannot be opened."""
    driver = read_only(path)
    try:
        with told(path):
            return verify(driver)
    finally:
        driver.close()


def examine(path: Path) -> Proof:
    """As `verify_file`, for whoever wants an answer whatever the damage.

    LedgerRefused or LedgerLocked if the file is not ours to judge, StorageError if the disk fails.
    """
    try:
        driver = read_only(path)
    except LedgerCorrupt as error:
        return Proof(0, [str(error)])
    facts = 0
    try:
        with told(path):
            found = driver.execute("SELECT coalesce(max(seq), 0) FROM order_event").fetchone()
            facts = int(found[0])
            return Proof(facts, verify(driver))
    except LedgerCorrupt as error:
        return Proof(facts, [str(error)])
    finally:
        driver.close()


def verify(driver: sqlite3.Connection) -> list[str]:
    """Every way in which the file is not what its facts make it, up to MOST."""
    found = damage(driver)
    if found:
        return found  # Rows read from damaged pages would accuse the wrong one.
    return list(islice(_differences(driver), MOST))


def damage(driver: sqlite3.Connection) -> list[str]:
    """What SQLite itself finds wrong: pages, indexes, constraints, references."""
    found = [f"integrity: {row[0]}" for row in driver.execute("PRAGMA integrity_check")]
    if found == ["integrity: ok"]:
        found = []
    for table, rowid, parent, _ in driver.execute("PRAGMA foreign_key_check"):
        found.append(f"{table} row {rowid} refers to a row that {parent} does not have")
    return found[:MOST]


def shape_differences(found: dict[str, str], wanted: dict[str, str]) -> Iterator[str]:
    """How one fingerprint differs from another."""
    for name in sorted(wanted.keys() | found.keys()):
        if name not in found:
            yield f"schema: {name} is missing"
        elif name not in wanted:
            yield f"schema: {name} is not ours"
        elif found[name] != wanted[name]:
            yield f"schema: {name} differs"


def _differences(driver: sqlite3.Connection) -> Iterator[str]:
    version = application_version(driver)
    if version != shape.VERSION:
        yield f"schema: version {version}, not {shape.VERSION}"
    yield from shape_differences(shape.fingerprint(driver), shape.expected())
    made = _Made({}, {}, {})
    try:
        yield from _facts(driver, made)
    except CoreError as error:
        yield str(error)
        return
    yield from _table(driver, "order_state", ORDER_COLUMNS, made.orders)
    yield from _table(driver, "trade", TRADE_COLUMNS, made.trades)
    yield from _table(driver, "settings_override", SETTING_COLUMNS, made.settings)


class _Made(NamedTuple):
    """The rows that the facts make, by key."""

    orders: dict[Cell, Row]
    trades: dict[Cell, Row]
    settings: dict[Cell, Row]


def _facts(driver: sqlite3.Connection, all_made: _Made) -> Iterator[str]:
    """Fold all facts; fill in the rows they make, tell where the facts' own rows differ."""
    projector = Projector()
    audit = Audit(driver)
    columns = ", ".join(EVENT_COLUMNS)
    for row in driver.execute(f"SELECT {columns} FROM order_event ORDER BY seq"):
        seq, _, recorded_at, _, kind, payload, *_ = row
        if seq != projector.seq + 1:
            raise CoreError(f"order_event: fact {projector.seq + 1} is missing")
        try:
            fact = decode(kind, payload)
            projector.fold(fact, recorded_at)
        except CoreError as error:
            raise CoreError(f"order_event {seq}: {error}") from error
        rows = projector.take()
        yield from audit.take(projector, kind, payload)
        if payload != encode(fact):
            yield f"order_event {seq}: the payload is not in canonical form"
        yield from _cells("order_event", EVENT_COLUMNS, row, rows.events[0])
        for made in (*rows.orders_new, *rows.orders_changed):
            all_made.orders[made[0]] = made
        for made in rows.trades:
            all_made.trades[made[0]] = made
        for made in rows.settings:
            all_made.settings.pop(made[0], None)
            if made[1] is not None:
                all_made.settings[made[0]] = made


def _table(
    driver: sqlite3.Connection, table: str, columns: tuple[str, ...], made: dict[Cell, Row]
) -> Iterator[str]:
    stored = {
        row[0]: row for row in driver.execute(f"SELECT {', '.join(columns)} FROM {table}")
    }
    keys: set[Any] = stored.keys() | made.keys()  # Numbers or words, in one table never both.
    for key in sorted(keys):
        if key not in stored:
            yield f"{table} {key}: the row is missing, its facts make {made[key][1]}"
        elif key not in made:
            yield f"{table} {key}: no fact makes this row"
        else:
            yield from _cells(table, columns, stored[key], made[key])


def _cells(table: str, columns: Iterable[str], stored: Row, made: Row) -> Iterator[str]:
    if stored == made:
        return
    for column, there, wanted in zip(columns, stored, made, strict=True):
        if there != wanted:
            yield f"{table} {stored[0]}: {column} is {there!r}, its facts make it {wanted!r}"
