"""The proof finds every row that its facts do not make.

Method: a real ledger is closed and tampered with through a connection of another program, with the
triggers dropped where they would be in the way; every kind of lie must be named.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
from recorded import record

from algo_trader.ledger import shape
from algo_trader.ledger.ledger import Ledger
from algo_trader.ledger.verify import MOST, verify_file

GUARDS = {
    "order_event": [
        "no_update_order_event",
        "no_delete_order_event",
        "order_event_in_sequence",
        "order_event_intended_once",
        "order_event_filled_once",
    ],
    "trade": ["no_update_trade", "no_delete_trade", "trade_once"],
    "order_state": [],
}


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A closed ledger with a run in it."""
    path = tmp_path_factory.mktemp("sound") / "trading.db"
    with Ledger.open(path) as ledger:
        ledger.append(record().facts)
    return path


@pytest.fixture
def copy(sound: Path, tmp_path: Path) -> Path:
    """A copy to spoil."""
    copy = tmp_path / "copy.db"
    copy.write_bytes(sound.read_bytes())
    return copy


def tamper(path: Path, table: str, *statements: str) -> None:
    """Change rows behind the triggers' back, then put the triggers back."""
    driver = sqlite3.connect(path, isolation_level=None)
    for trigger in GUARDS[table]:
        driver.execute(f"DROP TRIGGER {trigger}")
    for statement in statements:
        assert driver.execute(statement).rowcount > 0, statement
    for text in shape.TRIGGERS:
        if any(f"TRIGGER {name} " in text for name in GUARDS[table]):
            driver.execute(text)
    driver.close()


def test_sound_file_has_no_differences(sound: Path) -> None:
    """Goal: no false alarm."""
    assert verify_file(sound) == []


SAME = (
    "correlation_id, strategy, symbol, side, role, action, order_type, time_in_force,"
    " qty_requested, state, created_at, updated_at"
)
MADE_UP = (
    f"INSERT INTO order_state (id, local_id, {SAME})"
    f" SELECT 1, 'made up', {SAME} FROM order_state WHERE id = 4"
)
MORE_SHARES = (
    "UPDATE order_event SET payload = replace(payload, '\"qty\":\"', '\"qty\":\"9')"
    " WHERE seq = (SELECT min(seq) FROM order_event WHERE kind = 'OrderFilled')"
)
LIES = [
    ("order_state", "UPDATE order_state SET qty_filled = '1' WHERE id = 4", "4: qty_filled is '1'"),
    ("order_state", "UPDATE order_state SET state = 'accepted' WHERE id = 4", "4: state is"),
    ("order_state", "UPDATE order_state SET version = 99 WHERE id = 4", "4: version is 99"),
    ("order_state", "UPDATE order_state SET symbol = 'ZZ' WHERE id = 4", "4: symbol is 'ZZ'"),
    ("order_state", "DELETE FROM order_state WHERE id = 4", "order_state 4: the row is missing"),
    (
        "order_state",
        MADE_UP,
        "order_state 1: no fact makes this row",
    ),
    ("trade", "UPDATE trade SET pnl = '1000000'", "pnl is '1000000', its facts make it"),
    ("trade", "UPDATE trade SET exit_price = '1.5'", "exit_price is '1.5'"),
    ("trade", "DELETE FROM trade WHERE id = (SELECT max(id) FROM trade)", "the row is missing"),
    ("order_event", "UPDATE order_event SET detail = 'x' WHERE seq = 4", "4: detail is 'x'"),
    ("order_event", "UPDATE order_event SET at = '2020' WHERE seq = 4", "4: at is '2020'"),
    ("order_event", "UPDATE order_event SET session = NULL WHERE seq = 4", "4: session is None"),
    ("order_event", "UPDATE order_event SET kind = 'Resumed' WHERE seq = 4", "event 4: payload"),
    (
        "order_event",
        "UPDATE order_event SET payload = replace(payload, ',', ', ') WHERE seq = 4",
        "4: the payload is not in canonical form",
    ),
    (
        "order_event",
        "UPDATE order_event SET payload = '{}' WHERE seq = 4",
        "order_event 4: payload of OrderIntended is not readable",
    ),
    (
        "order_event",
        MORE_SHARES,
        "order_event",
    ),
    ("order_event", "DELETE FROM order_event WHERE kind = 'StopSet'", "is missing"),
    ("order_event", "DELETE FROM order_event WHERE kind = 'OrderIntended'", "refers to a row"),
]


@pytest.mark.parametrize(("table", "statement", "told"), LIES)
def test_lie_is_named(copy: Path, table: str, statement: str, told: str) -> None:
    """Goal: the difference is told with table, row and column."""
    tamper(copy, table, statement)
    found = verify_file(copy)
    assert any(told in line for line in found), found
    assert len(found) <= MOST


def test_swapped_facts_are_found(copy: Path) -> None:
    """Goal: the order of facts counts. Method: swap the numbers of an intent and its sending."""
    tamper(
        copy,
        "order_event",
        "UPDATE order_event SET seq = -seq + 100000 WHERE seq IN (4, 5)",
        "UPDATE order_event SET seq = 5 WHERE seq = 99996",
        "UPDATE order_event SET seq = 4 WHERE seq = 99995",
    )
    assert verify_file(copy)


@pytest.mark.parametrize(
    ("statement", "told"),
    [
        ("DROP TRIGGER no_delete_trade", "schema: trigger no_delete_trade is missing"),
        ("DROP INDEX ix_order_state_state", "schema: index ix_order_state_state is missing"),
        ("CREATE TABLE extra (x)", "schema: table extra is not ours"),
        ("ALTER TABLE trade_note ADD COLUMN mood TEXT", "schema: table trade_note differs"),
        ("PRAGMA user_version = 0", "schema: version 0, not 3"),
    ],
)
def test_changed_shape_is_named(copy: Path, statement: str, told: str) -> None:
    """Goal: a guard that is gone is as bad as a row that is wrong."""
    driver = sqlite3.connect(copy, isolation_level=None)
    driver.execute(statement)
    driver.close()
    assert told in verify_file(copy)


def test_snapshot_of_an_open_ledger_verifies(sound: Path, tmp_path: Path) -> None:
    """Goal: a running daemon's file is verified through a snapshot, by anyone."""
    snapshot = tmp_path / "snapshot.db"
    with Ledger.open(sound) as ledger:
        ledger.snapshot(snapshot)
        assert verify_file(snapshot) == []
    assert sorted(p.name for p in tmp_path.iterdir()) == ["snapshot.db"]
