"""The shape of a whole file: tables, indexes, triggers, stamps.

Owns what an empty file of this version is: `create` makes one, `fingerprint` tells whether a file
has this shape. The migrations in alembic/ carry their own frozen text; a test holds the two ways
together.
"""

from __future__ import annotations

import sqlite3
from functools import cache

from sqlalchemy.dialects import sqlite
from sqlalchemy.schema import CreateIndex, CreateTable

from algo_trader.ledger.schema import metadata

LEDGER_ID = 0x414C474F
"""application_id of a ledger: the letters ALGO."""
BACKTESTS_ID = 0x414C4742
"""application_id of backtests.db: the letters ALGB. Same tables, other file."""
VERSION = 3
"""user_version of the files this program writes."""
REVISION = "0003"
"""The Alembic revision that makes this shape."""


def _refuse(name: str, moment: str, message: str, when: str = "") -> str:
    condition = f"\nWHEN {when}" if when else ""
    return f"CREATE TRIGGER {name} {moment}{condition}\nBEGIN SELECT RAISE(ABORT, '{message}'); END"


# REPLACE deletes the row in its way without asking a DELETE trigger unless recursive_triggers is
# on. Another program's connection may have it off, so the guards look before every INSERT too.
TRIGGERS = (
    _refuse("no_update_order_event", "BEFORE UPDATE ON order_event", "order_event is immutable"),
    _refuse("no_delete_order_event", "BEFORE DELETE ON order_event", "order_event is immutable"),
    _refuse(
        "order_event_in_sequence",
        "BEFORE INSERT ON order_event",
        "order_event: seq must be the next",
        "NEW.seq IS NOT (SELECT coalesce(max(seq), 0) + 1 FROM order_event)",
    ),
    _refuse(
        "order_event_intended_once",
        "BEFORE INSERT ON order_event",
        "order_event: this client_order_id was intended before",
        "NEW.kind = 'OrderIntended' AND EXISTS (SELECT 1 FROM order_event"
        " WHERE kind = 'OrderIntended' AND order_local_id = NEW.order_local_id)",
    ),
    _refuse(
        "order_event_filled_once",
        "BEFORE INSERT ON order_event",
        "order_event: this fill was counted before",
        "NEW.cum_qty IS NOT NULL AND EXISTS (SELECT 1 FROM order_event"
        " WHERE cum_qty IS NOT NULL AND order_local_id = NEW.order_local_id"
        " AND cum_qty = NEW.cum_qty)",
    ),
    _refuse("no_update_trade", "BEFORE UPDATE ON trade", "trade is immutable"),
    _refuse("no_delete_trade", "BEFORE DELETE ON trade", "trade is immutable"),
    _refuse(
        "trade_once",
        "BEFORE INSERT ON trade",
        "trade is immutable",
        "EXISTS (SELECT 1 FROM trade WHERE id = NEW.id OR trade_id = NEW.trade_id)",
    ),
)

# Alembic makes this table by itself; a file made here must not look different to it.
_STAMP = (
    "CREATE TABLE alembic_version ( version_num VARCHAR(32) NOT NULL,"
    " CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num) )"
)


@cache
def statements() -> tuple[str, ...]:
    """Every CREATE of the shape, in the order in which they can run."""
    dialect = sqlite.dialect()
    lines: list[str] = []
    for table in metadata.sorted_tables:
        lines.append(str(CreateTable(table).compile(dialect=dialect)).strip())
        indexes = sorted(table.indexes, key=lambda index: str(index.name))
        lines.extend(str(CreateIndex(index).compile(dialect=dialect)) for index in indexes)
    return (*lines, *TRIGGERS)


def create(connection: sqlite3.Connection, application_id: int = LEDGER_ID) -> None:
    """Make the tables in an empty file, in one transaction, stamped with id and version.

    A file that another process has filled in the meantime is left to it.
    """
    connection.execute("BEGIN IMMEDIATE")
    try:
        if connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]:
            connection.execute("ROLLBACK")
            return
        for statement in statements():
            connection.execute(statement)
        connection.execute(_STAMP)
        connection.execute("INSERT INTO alembic_version VALUES (?)", (REVISION,))
        connection.execute(f"PRAGMA application_id = {application_id}")
        connection.execute(f"PRAGMA user_version = {VERSION}")
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def fingerprint(connection: sqlite3.Connection) -> dict[str, str]:
    """Name -> normalised text of every table, index and trigger of a file."""
    rows = connection.execute(
        "SELECT type, name, sql FROM sqlite_schema WHERE sql IS NOT NULL"
        " AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'"
    )
    return {f"{kind} {name}": " ".join(sql.split()) for kind, name, sql in rows}


def expected() -> dict[str, str]:
    """The fingerprint of a file of this version."""
    connection = sqlite3.connect(":memory:", isolation_level=None)
    try:
        create(connection)
        return fingerprint(connection)
    finally:
        connection.close()
