"""Which account a start goes on with, and when its two files are refused as not of one history.

Goal: no start forgets a ledger or trades on books that are gone or older; no start that was merely
cut short is refused. Method: real ledgers, a file in the books' place, two sessions by hand.
"""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from algo_trader.cli import embedded_account as embedded
from algo_trader.core.errors import SafetyRefusal, StorageFailure
from algo_trader.core.events import AccountPinned, Fact
from algo_trader.core.types import Instant, Session
from algo_trader.feeds.tape import TapeDay
from algo_trader.ledger.ledger import Ledger
from algo_trader.runtime.paths import AccountFolder

OPEN, CLOSE, NEXT_OPEN, NEXT_CLOSE = 1000, 2000, 9000, 9500
PERIOD = [
    TapeDay(Session(date(2024, 1, 2), OPEN, CLOSE), []),
    TapeDay(Session(date(2024, 1, 3), NEXT_OPEN, NEXT_CLOSE), []),
]
PINNED = AccountPinned(at=OPEN, account="local1", cash=Decimal(100))
Usage = namedtuple("Usage", "total used free")


@pytest.fixture
def folder(tmp_path: Path) -> AccountFolder:
    """The first account's, not made yet."""
    return embedded.account_of(tmp_path, is_reset=False, force=False)


def keep(folder: AccountFolder, facts: Sequence[Fact] = (PINNED,), books: str = "books") -> None:
    """Make the folder with a ledger of these facts, and something for books."""
    embedded.make(folder)
    with Ledger.open(folder.ledger) as ledger:
        ledger.append(facts)
    folder.exchange.write_text(books)


def test_a_new_account(folder: AccountFolder) -> None:
    """Goal: to look makes nothing; to make is safe to repeat."""
    assert embedded.kept(folder) == ({}, None, None)
    assert not folder.path.exists()
    for _ in range(2):
        embedded.make(folder)
    assert embedded.kept(folder) == ({}, None, None)
    assert folder.path.stat().st_mode & 0o777 == 0o700
    embedded.require_one_history(folder, OPEN, PERIOD, None)


def test_a_start_that_was_cut_short(folder: AccountFolder) -> None:
    """Goal: neither an empty file of books nor books as they were begun are in the way."""
    embedded.make(folder)
    folder.exchange.touch()
    assert embedded.kept(folder).until is None
    folder.exchange.write_text("books")
    assert embedded.kept(folder).until is None
    embedded.require_one_history(folder, NEXT_OPEN, PERIOD, None)


def test_overrides_of_a_ledger_without_an_account(folder: AccountFolder) -> None:
    """Goal: their time is the wall clock's and says nothing about the market."""
    embedded.make(folder)
    with Ledger.open(folder.ledger) as ledger:
        ledger.override("risk.max_open_positions", "3")
    assert embedded.kept(folder) == ({"risk.max_open_positions": "3"}, None, None)


@pytest.mark.parametrize("books", [None, ""], ids=["gone", "empty"])
def test_books_that_are_lost(folder: AccountFolder, books: str | None) -> None:
    """Goal: refused once an account was pinned."""
    keep(folder, books=books or "")
    if books is None:
        folder.exchange.unlink()
    with pytest.raises(SafetyRefusal, match=r"exchange.db are missing.*--reset-exchange"):
        embedded.kept(folder)


def test_a_ledger_that_is_lost(folder: AccountFolder) -> None:
    """Goal: refused, and none is made in its place."""
    keep(folder)
    folder.ledger.unlink()
    with pytest.raises(SafetyRefusal, match=r"trading.db is missing.*algo-trader restore"):
        embedded.kept(folder)
    assert not folder.ledger.exists()


@pytest.mark.parametrize(
    ("now", "until", "is_one"),
    [
        (OPEN, OPEN, True),
        (OPEN, OPEN + 60, False),
        (OPEN + 600, OPEN + 600, True),
        (OPEN + 600, OPEN + 60, True),
        (OPEN + 600, OPEN + 660, False),
        (OPEN + 600, NEXT_OPEN, False),
        (CLOSE, NEXT_OPEN, True),
        (CLOSE, NEXT_OPEN + 60, False),
        (NEXT_OPEN, NEXT_OPEN, True),
        (NEXT_CLOSE, NEXT_CLOSE, True),
        (NEXT_CLOSE, NEXT_CLOSE + 60, False),
        (OPEN, None, True),
        (OPEN + 60, None, False),
        (CLOSE, None, False),
        (NEXT_OPEN, None, True),
    ],
)
def test_one_history(
    folder: AccountFolder, now: Instant, until: Instant | None, is_one: bool
) -> None:
    """Goal: a ledger may lag behind the books, as a restored one does, and never lead; only the
    next opening is recorded before the books move.
    """
    if is_one:
        embedded.require_one_history(folder, now, PERIOD, until)
    else:
        with pytest.raises(SafetyRefusal, match="beside"):
            embedded.require_one_history(folder, now, PERIOD, until)


def test_the_latest_account_goes_on(tmp_path: Path) -> None:
    """Goal: by number, with or without a ledger; other folders do not count."""
    for name in ("embedded-local2", "embedded-local10", "embedded-local", "alpaca-local99"):
        (tmp_path / name).mkdir()
    assert embedded.account_of(tmp_path, is_reset=False, force=False).name == "embedded-local10"
    assert embedded.account_of(tmp_path, is_reset=True, force=False).name == "embedded-local11"


def test_a_disk_without_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Goal: refused as a storage failure, from a million bytes on."""
    free = embedded.ROOM_LEAST
    monkeypatch.setattr("shutil.disk_usage", lambda _: Usage(0, 0, free))
    embedded.require_room(tmp_path)
    free -= 1
    with pytest.raises(StorageFailure, match="make room"):
        embedded.require_room(tmp_path)
