"""The oracle of this folder: it must see each thing that can go wrong, or it proves nothing."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest
from books_oracle import agree, nothing_overnight
from living import Home

EXCHANGE = {
    "an order more": "INSERT INTO broker_order SELECT 99, 'x', 'V-99', symbol, action, type,"
    " time_in_force, qty, limit_price, stop_price, created_at, 0, 'canceled', '0', NULL, 0, NULL"
    " FROM broker_order WHERE number = 1",
    "an order's state": "UPDATE broker_order SET status = 'canceled' WHERE status = 'open'",
    "an order's price": "UPDATE broker_order SET stop_price = '1' WHERE status = 'open'",
    "a lost execution": "DELETE FROM execution WHERE rowid IN (SELECT max(rowid) FROM execution)",
    "an execution's price": "UPDATE execution SET price = '1'",
    "cash": "UPDATE state SET cash = '1'",
    "a lost position": "DELETE FROM position",
    "a position's size": "UPDATE position SET qty = '1'",
}
LEDGER = {
    "a lost order": "DELETE FROM order_state WHERE id IN (SELECT max(id) FROM order_state)",
    "a broker's id": "UPDATE order_state SET broker_id = 'V-1'",
    "a doubled fill": "INSERT INTO order_event (seq, at, recorded_at, kind, payload,"
    " order_local_id, event_type, qty_filled, cum_qty, fill_price) SELECT 9999, at, recorded_at,"
    " kind, payload, order_local_id, event_type, qty_filled, '9999', fill_price FROM order_event"
    " WHERE kind = 'OrderFilled' LIMIT 1",
    "a fill's price": "UPDATE order_event SET fill_price = '1' WHERE fill_price IS NOT NULL",
}
BOTH_STOPS = (
    "UPDATE broker_order SET status = 'canceled' WHERE status = 'open'",
    "UPDATE order_state SET state = 'canceled' WHERE state = 'accepted'",
)


def changed(home: Home, exchange: str | None, ledger: str | None) -> None:
    """Change what the files say, whatever guards them."""
    for path, statement in ((home.exchange, exchange), (home.ledger, ledger)):
        if statement is None:
            continue
        with closing(sqlite3.connect(path)) as driver, driver:
            found = driver.execute("SELECT name FROM sqlite_schema WHERE type = 'trigger'")
            for (name,) in found.fetchall():
                driver.execute(f"DROP TRIGGER {name}")
            assert driver.execute(statement).rowcount > 0


def test_what_it_sees(held: Home) -> None:
    """Goal: an account as it should be agrees, and holds something to be wrong about."""
    agreed = agree(held.folder)
    assert agreed.positions.keys() == {"SYNB", "SYNC"}
    assert min(agreed.orders, agreed.fills, agreed.trades) > 0
    with pytest.raises(AssertionError):
        nothing_overnight(held.folder)


@pytest.mark.parametrize("statement", EXCHANGE.values(), ids=EXCHANGE.keys())
def test_it_sees_books_that_are_wrong(held: Home, statement: str) -> None:
    """Goal: one thing changed at the exchange is enough."""
    changed(held, statement, None)
    with pytest.raises(AssertionError):
        agree(held.folder)


@pytest.mark.parametrize("statement", LEDGER.values(), ids=LEDGER.keys())
def test_it_sees_a_ledger_that_is_wrong(held: Home, statement: str) -> None:
    """Goal: one thing changed in the ledger is enough."""
    changed(held, None, statement)
    with pytest.raises(AssertionError):
        agree(held.folder)


def test_it_sees_shares_without_a_stop(held: Home) -> None:
    """Goal: that both files agree about it does not help."""
    changed(held, *BOTH_STOPS)
    with pytest.raises(AssertionError):
        agree(held.folder)
