"""What a ledger answers, and how it is read while nobody holds it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from recorded import record

from algo_trader.core.errors import ConfigError
from algo_trader.core.pnl import trade_json
from algo_trader.ledger.answers import KINDS, LIMIT_MOST, Filters, answer, filters, held
from algo_trader.ledger.errors import LedgerLocked, LedgerRefused, StorageError
from algo_trader.ledger.ledger import Ledger

STEPS = record().steps[:300]


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A closed ledger that ends in the middle of a session, with a position."""
    path = tmp_path_factory.mktemp("full") / "trading.db"
    with Ledger.open(path) as ledger:
        for step in STEPS:
            ledger.append(step)
    return path


@pytest.fixture
def ledger(path: Path) -> Iterator[Ledger]:
    """The same, open to read."""
    with Ledger.open_to_read(path) as ledger:
        yield ledger


def test_trades_are_those_of_a_backtest(ledger: Ledger) -> None:
    """Goal: one form of a trade everywhere, and its strategy beside it."""
    wanted = [{**trade_json(record.trade), "strategy": "eager"} for record in ledger.trades()]
    assert answer(ledger, "trades", Filters()) == {"trades": wanted}
    assert len(wanted) > 10


@pytest.mark.parametrize("kind", KINDS)
def test_every_answer_is_json_without_fractions(ledger: Ledger, kind: str) -> None:
    """Goal: no money passes through a float on its way out."""
    found = answer(ledger, kind, Filters())
    said = json.dumps(found, allow_nan=False)
    again = json.loads(said, parse_float=lambda word: pytest.fail(f"a fraction {word}"))
    assert again == found
    assert list(found) == [kind]
    assert found[kind]


def test_orders_say_what_their_rows_say(ledger: Ledger) -> None:
    """Goal: every order is there, in order of intent, with the money as text."""
    found = answer(ledger, "orders", Filters())["orders"]
    records = ledger.orders()
    assert [order["order_id"] for order in found] == [order.order_id for order in records]
    assert [Decimal(order["qty"]) for order in found] == [order.qty for order in records]
    states = {order["state"] for order in found}
    assert states >= {"filled", "canceled"}


def test_positions_are_the_fold(ledger: Ledger) -> None:
    """Goal: what is held, with its stop. Method: against a book folded from the same facts."""
    (position,) = answer(ledger, "positions", Filters())["positions"]
    (holding,) = (holding for holding in ledger.fold().in_order() if holding.qty)
    assert position["symbol"] == holding.symbol
    assert position["qty"] == str(holding.qty)
    assert Decimal(position["avg_entry_price"]) == holding.avg_entry_price
    (stop,) = holding.stops
    assert position["cover"] == [
        {
            "order_id": stop.order_id,
            "qty": str(holding.qty),
            "stop_price": position["stop_price"],
            "state": "accepted",
        }
    ]
    assert held(ledger.fold()) == [position]


def test_filters_choose_rows(ledger: Ledger) -> None:
    """Goal: symbol, date and limit each leave out what they should, and the latest stay."""
    everything = {kind: answer(ledger, kind, Filters())[kind] for kind in KINDS}
    for kind, rows in everything.items():
        of_aa = answer(ledger, kind, Filters(symbol="AA"))[kind]
        assert of_aa == [row for row in rows if row["symbol"] == "AA"]
        assert answer(ledger, kind, Filters(limit=1))[kind] == rows[-1:]
        assert answer(ledger, kind, Filters(since=date(2024, 1, 2)))[kind] == rows
        assert answer(ledger, kind, Filters(since=date(2024, 1, 3)))[kind] == []


def test_the_ledgers_own_book_follows_its_facts(tmp_path: Path) -> None:
    """Goal: a daemon's answer about positions needs no second fold of the history."""
    with Ledger.open(tmp_path / "trading.db") as ledger:
        book = ledger.own_book()
        for step in STEPS:
            ledger.append(step)
            assert ledger.own_book() is book
        assert held(book) == held(ledger.fold())


@given(
    symbol=st.none() | st.from_regex(r"[A-Z][A-Z0-9.]{0,9}", fullmatch=True),
    since=st.none() | st.dates(),
    limit=st.none() | st.integers(1, LIMIT_MOST),
)
def test_filters_pass_the_socket(symbol: str | None, since: date | None, limit: int | None) -> None:
    """Goal: what is asked for arrives as it was meant."""
    wanted = Filters(symbol, since, limit)
    assert filters(json.loads(json.dumps(wanted.as_json()))) == wanted


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ({"symbol": "aapl"}, "symbol is 'aapl'"),
        ({"symbol": 1}, "symbol is 1"),
        ({"symbol": "A'; DROP TABLE trade"}, "symbol is"),
        ({"since": "yesterday"}, "since is 'yesterday'"),
        ({"since": 20240102}, "since is 20240102"),
        ({"limit": 0}, "limit is 0"),
        ({"limit": True}, "limit is True"),
        ({"limit": "5"}, "limit is '5'"),
        ({"limit": 2**63}, "limit is"),
        ({"offset": 1}, "unknown fields"),
    ],
)
def test_bad_filters_are_named(body: dict[str, Any], told: str) -> None:
    """Goal: a request that makes no sense is told so, and reaches no database."""
    with pytest.raises(ConfigError, match=told):
        filters(body)


def test_reading_writes_nothing(path: Path) -> None:
    """Goal: a look leaves the file as it was, byte for byte, and no file beside it."""
    before = path.read_bytes()
    with Ledger.open_to_read(path) as ledger:
        for kind in KINDS:
            answer(ledger, kind, Filters())
        with pytest.raises(StorageError, match="readonly"):
            ledger.append(STEPS[0])
    assert path.read_bytes() == before
    assert [beside.name for beside in path.parent.iterdir()] == ["trading.db"]


def test_reading_refuses_what_is_not_to_be_read(tmp_path: Path) -> None:
    """Goal: a ledger in use, an empty file and a restore cut short are not guessed at."""
    path = tmp_path / "trading.db"
    path.touch()
    with pytest.raises(LedgerRefused, match="is empty"):
        Ledger.open_to_read(path)
    with Ledger.open(path) as ledger:
        ledger._driver.execute("PRAGMA user_version = 0")
    with pytest.raises(LedgerRefused, match="upgrade it first"):
        Ledger.open_to_read(path)
    path.with_name("trading.db.arriving").touch()
    with pytest.raises(LedgerRefused, match="restore the backup again"):
        Ledger.open_to_read(path)


def test_reading_waits_for_nobody_for_ever(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Goal: a ledger that a daemon holds is told as locked."""
    monkeypatch.setattr("algo_trader.ledger.database.BUSY_TIMEOUT_MS", 10)
    with Ledger.open(path), pytest.raises(LedgerLocked):
        Ledger.open_to_read(path)
