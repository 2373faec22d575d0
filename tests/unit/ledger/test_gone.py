"""Shares that somebody else sold leave the ledger as trades, and the proof holds.

Method: a book of two owners of one symbol is made from facts and written to a file; it is read
back, its rows are looked at, and the whole file is held against its facts.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from algo_trader.core import events as ev
from algo_trader.core.errors import CoreError
from algo_trader.core.types import (
    Action,
    BrokerOrderId,
    ClientOrderId,
    DecisionId,
    OrderType,
    Role,
    Side,
    TimeInForce,
)
from algo_trader.ledger.codec import decode, encode
from algo_trader.ledger.ledger import Ledger
from algo_trader.ledger.verify import verify_file

OPENS_AT = 1_704_292_200
ENTRY = ClientOrderId("a-s-X-1-entry-1")


def begun(side: Side) -> list[ev.Fact]:
    """Ten shares of a strategy at 11, seven of nobody at 12."""
    action = Action.BUY if side is Side.LONG else Action.SELL
    request = ev.OrderRequest(
        ENTRY, "X", action, OrderType.STOP, TimeInForce.DAY, Decimal(10), None, Decimal(11)
    )
    return [
        ev.AccountPinned(at=OPENS_AT, account="a", cash=Decimal(1000)),
        ev.SessionOpened(at=OPENS_AT, session=date(2024, 1, 3), equity=Decimal(1000)),
        ev.OrderIntended(
            at=OPENS_AT,
            decision=DecisionId("a-s-X-1"),
            strategy="s",
            side=side,
            role=Role.ENTRY,
            request=request,
            expires_at=OPENS_AT + 600,
            stop_loss=Decimal(9 if side is Side.LONG else 13),
        ),
        ev.OrderSubmitting(at=OPENS_AT, order_id=ENTRY),
        ev.OrderAccepted(at=OPENS_AT, order_id=ENTRY, broker_id=BrokerOrderId("b")),
        ev.OrderFilled(
            at=OPENS_AT + 60,
            order_id=ENTRY,
            qty=Decimal(10),
            price=Decimal(11),
            cum_qty=Decimal(10),
        ),
        ev.SharesAdopted(
            at=OPENS_AT + 90, symbol="X", side=side, qty=Decimal(7), price=Decimal(12)
        ),
    ]


def gone(qty: int, side: Side = Side.LONG) -> ev.SharesGone:
    """So many have gone, at 10."""
    return ev.SharesGone(
        at=OPENS_AT + 120, symbol="X", side=side, qty=Decimal(qty), price=Decimal(10)
    )


def trades(path: Path) -> list[tuple[str, str, str, str]]:
    """Number, owner, shares and profit of every trade's row."""
    with sqlite3.connect(path) as connection:
        rows = connection.execute("SELECT trade_id, strategy, qty, pnl FROM trade ORDER BY id")
        found = rows.fetchall()
    connection.close()
    return found


def written(path: Path, facts: Sequence[ev.Fact]) -> Path:
    """A closed ledger with these facts, each in a commit of its own."""
    with Ledger.open(path) as ledger:
        for fact in facts:
            ledger.append([fact])
    return path


def test_the_round_trip_of_the_fact() -> None:
    """Goal: what is stored is what is read. Method: a fraction of a share, a tenth of a cent."""
    fact = ev.SharesGone(
        at=1, symbol="B.B", side=Side.SHORT, qty=Decimal("0.125"), price=Decimal("9.0010")
    )
    assert decode("SharesGone", encode(fact)) == fact


@pytest.mark.parametrize(("side", "sign"), [(Side.LONG, -1), (Side.SHORT, 1)])
def test_every_owner_has_a_trade(tmp_path: Path, side: Side, sign: int) -> None:
    """Goal: every owner whose last share has gone has a trade under a number of its own, those of
    no strategy first, and the proof finds nothing.

    Method: seven and ten shares are gone, in the facts that the engine makes of it.
    """
    path = written(tmp_path / "trading.db", [*begun(side), gone(7, side), gone(10, side)])
    assert trades(path) == [
        ("gone:external:8", "external", "7", str(sign * 14)),
        ("gone:s:9", "s", "10", str(sign * 10)),
    ]
    assert verify_file(path) == []
    with Ledger.open(path) as ledger:
        book = ledger.fold()
    assert book.positions == book.cost == 0
    assert not book.active
    assert book.day.realized == sign * 24


def test_a_part_is_no_trade_yet(tmp_path: Path) -> None:
    """Goal: a row when the last share leaves, with all of the round trip in it.

    Method: all of nobody's and one of ours in one fact, then the other nine in two.
    """
    path = written(tmp_path / "trading.db", [*begun(Side.LONG), gone(8)])
    assert [row[:3] for row in trades(path)] == [("gone:external:8", "external", "7")]
    assert verify_file(path) == []
    written(path, [gone(4), gone(5)])
    assert trades(path)[1:] == [("gone:s:10", "s", "10", "-10")]
    assert verify_file(path) == []


def test_more_than_was_held_is_refused(tmp_path: Path) -> None:
    """Goal: a fact that cannot be is not written. Method: eighteen of seventeen; the other side."""
    path = written(tmp_path / "trading.db", begun(Side.LONG))
    for fact in (gone(18), gone(1, Side.SHORT)):
        with Ledger.open(path) as ledger, pytest.raises(CoreError, match="cannot be gone"):
            ledger.append([fact])
    assert trades(path) == []
    assert verify_file(path) == []


def test_a_lie_about_such_a_trade_is_named(tmp_path: Path) -> None:
    """Goal: the proof covers these rows as well. Method: another profit, behind the triggers."""
    path = written(tmp_path / "trading.db", [*begun(Side.LONG), gone(7), gone(10)])
    with sqlite3.connect(path, isolation_level=None) as connection:
        connection.execute("DROP TRIGGER no_update_trade")
        connection.execute("UPDATE trade SET pnl = '5' WHERE trade_id = 'gone:s:9'")
    connection.close()
    assert any("pnl is '5'" in line for line in verify_file(path))
