"""The tables guard themselves: what is recorded stays, and nothing misshapen gets in."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from recorded import record
from sqlalchemy import Table

from algo_trader.ledger import schema, shape
from algo_trader.ledger.ledger import Ledger
from algo_trader.ledger.projection import (
    EVENT_COLUMNS,
    ORDER_COLUMNS,
    SETTING_COLUMNS,
    TRADE_COLUMNS,
)


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A ledger with facts, orders and trades, closed."""
    path = tmp_path_factory.mktemp("full") / "trading.db"
    with Ledger.open(path) as ledger:
        for step in record().steps:
            ledger.append(step)
    return path


@pytest.fixture(params=[True, False], ids=["recursive", "plain"])
def driver(
    full: Path, tmp_path: Path, request: pytest.FixtureRequest
) -> Iterator[sqlite3.Connection]:
    """A connection of another program's making, to a copy: with and without recursive triggers."""
    copy = tmp_path / "copy.db"
    copy.write_bytes(full.read_bytes())
    connection = sqlite3.connect(copy, isolation_level=None)
    connection.execute(f"PRAGMA recursive_triggers = {'ON' if request.param else 'OFF'}")
    yield connection
    connection.close()


def rows(driver: sqlite3.Connection) -> list[object]:
    """Everything that must not change."""
    facts = driver.execute("SELECT * FROM order_event ORDER BY seq").fetchall()
    return facts + driver.execute("SELECT * FROM trade ORDER BY id").fetchall()


COPY = ", ".join(EVENT_COLUMNS)
LATER = COPY.replace("seq", "(SELECT max(seq) + 1 FROM order_event)", 1)
TRADE = ", ".join(TRADE_COLUMNS)
INTENT = "FROM order_event WHERE kind = 'OrderIntended' LIMIT 1"
FILL = "FROM order_event WHERE kind = 'OrderFilled' LIMIT 1"
STOP = "FROM order_event WHERE kind = 'StopSet' LIMIT 1"
HOLE = LATER.replace("+ 1", "+ 2")
OTHER = TRADE.replace("id", "1", 1)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE order_event SET detail = 'x' WHERE seq = 3",
        "UPDATE order_event SET seq = 1000000 WHERE seq = 3",
        "UPDATE OR REPLACE order_event SET seq = 4 WHERE seq = 3",
        "DELETE FROM order_event WHERE seq = 3",
        "DELETE FROM order_event WHERE seq = (SELECT max(seq) FROM order_event)",
        f"REPLACE INTO order_event ({COPY}) SELECT {COPY} FROM order_event WHERE seq = 3",
        f"INSERT OR REPLACE INTO order_event ({COPY}) SELECT {COPY} {FILL}",
        f"INSERT INTO order_event ({COPY}) SELECT {COPY} FROM order_event WHERE seq = 3",
        f"INSERT OR IGNORE INTO order_event ({COPY}) SELECT {COPY} FROM order_event WHERE seq = 3",
        # The seq is right, but the same fill or the same intent is there already.
        f"REPLACE INTO order_event ({COPY}) SELECT {LATER} {FILL}",
        f"REPLACE INTO order_event ({COPY}) SELECT {LATER} {INTENT}",
        # A hole.
        f"INSERT INTO order_event ({COPY}) SELECT {HOLE} {STOP}",
        "UPDATE trade SET pnl = '1000000'",
        "DELETE FROM trade",
        f"REPLACE INTO trade ({TRADE}) SELECT {TRADE} FROM trade LIMIT 1",
        f"INSERT OR REPLACE INTO trade ({TRADE}) SELECT {OTHER} FROM trade LIMIT 1",
    ],
)
def test_what_is_recorded_stays(driver: sqlite3.Connection, statement: str) -> None:
    """Goal: no statement, REPLACE least of all, changes a fact or a trade."""
    before = rows(driver)
    with pytest.raises(sqlite3.IntegrityError):
        driver.execute(statement)
    assert rows(driver) == before


@pytest.mark.parametrize(
    "value", ["", "1.0", "1E+2", "1.", ".5", " 1", "+1", "0.10", "NaN", "1,5", "1e5"]
)
def test_number_must_be_canonical(driver: sqlite3.Connection, value: str) -> None:
    """Goal: two texts of one number cannot both get in."""
    with pytest.raises(sqlite3.IntegrityError, match="ck_qty_requested_number"):
        driver.execute("UPDATE order_state SET qty_requested = ?", (value,))


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("state", "done"),
        ("side", "buy"),
        ("role", None),
        ("version", -1),
        ("version", "one"),
        ("local_id", ""),
        ("local_id", None),
        ("symbol", b"\x00"),
    ],
)
def test_order_row_must_make_sense(
    driver: sqlite3.Connection, column: str, value: object
) -> None:
    """Goal: words, counts, types and presence are checked by the table itself."""
    with pytest.raises(sqlite3.IntegrityError):
        driver.execute(f"UPDATE order_state SET {column} = ?", (value,))


def test_client_order_id_is_unique(driver: sqlite3.Connection) -> None:
    """Goal: two rows of one order cannot be; the alias is the order's own id."""
    with pytest.raises(sqlite3.IntegrityError, match="local_id"):
        driver.execute("UPDATE order_state SET local_id = 'same'")
    same = "SELECT count(*) FROM order_state WHERE client_order_id IS NOT local_id"
    assert driver.execute(same).fetchone() == (0,)


def test_a_trade_with_a_note_needs_its_trade(driver: sqlite3.Connection) -> None:
    """Goal: a note refers to a trade that is there."""
    driver.execute("PRAGMA foreign_keys = ON")
    note = "INSERT INTO trade_note (trade_id, note, created_at, updated_at) VALUES (?, 'n', '', '')"
    driver.execute(note, driver.execute("SELECT trade_id FROM trade").fetchone())
    with pytest.raises(sqlite3.IntegrityError, match="FOREIGN KEY"):
        driver.execute(note, ("no such trade",))


def test_every_table_is_strict_and_indexed_as_planned() -> None:
    """Goal: no table lost its STRICT or the plan's indexes. Method: the texts."""
    wanted = shape.expected()
    tables = [sql for name, sql in wanted.items() if name.startswith("table ")]
    assert sum(sql.endswith("STRICT") for sql in tables) == len(tables) - 1  # alembic_version
    names = {name.split()[1] for name in wanted if name.startswith("index ")}
    assert names >= {
        "ix_order_state_local_id",
        "ix_order_state_broker_id",
        "ix_order_state_correlation_id",
        "ix_order_state_state",
        "ix_order_state_symbol_created",
        "ix_order_event_local_id",
        "ix_order_event_recorded",
        "ix_trade_symbol_exit",
        "ix_trade_correlation",
        "ix_trade_strategy_exit",
        "ix_backtest_trade_run",
    }


@pytest.mark.parametrize(
    ("table", "columns"),
    [
        (schema.order_event, EVENT_COLUMNS),
        (schema.order_state, ORDER_COLUMNS),
        (schema.trade, TRADE_COLUMNS),
        (schema.settings_override, SETTING_COLUMNS),
    ],
    ids=lambda value: getattr(value, "name", ""),
)
def test_projection_fills_every_column(table: Table, columns: tuple[str, ...]) -> None:
    """Goal: no column is left to its default by forgetting it; the alias alone is computed."""
    stored = [column.name for column in table.columns if column.computed is None]
    assert list(columns) == stored
