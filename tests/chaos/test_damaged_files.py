"""Ledgers and exchange's books that are damaged, foreign, newer, gone or not of one history.

Goal: start refuses with one line that names the file and what to do, and trades on none of them;
what the other file holds is left as it was. Method: one account with two positions, copied, and
one thing done to the copy.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from books_oracle import agree
from living import REPLAY, Home

PAGE = 4096
ANEW = "--reset-exchange"


def flip(path: Path, at: int) -> None:
    """Turn every bit of 64 bytes."""
    whole = bytearray(path.read_bytes())
    whole[at : at + 64] = bytes(byte ^ 0xFF for byte in whole[at : at + 64])
    path.write_bytes(whole)


def flip_head(path: Path) -> None:
    """What says that it is a database."""
    flip(path, 0)


def flip_schema(path: Path) -> None:
    """The first page, behind its head."""
    flip(path, 100)


def flip_middle(path: Path) -> None:
    """The head of a page in the middle."""
    flip(path, path.stat().st_size // 2 // PAGE * PAGE)


def truncate(path: Path) -> None:
    """The second half is gone."""
    os.truncate(path, path.stat().st_size // 2)


def empty(path: Path) -> None:
    """Nothing is left in it."""
    os.truncate(path, 0)


def scribble(path: Path) -> None:
    """Something else altogether."""
    path.write_text("shopping list\n" * 1000)


def swap(path: Path) -> None:
    """Another program's database."""
    path.unlink()
    with closing(sqlite3.connect(path)) as driver, driver:
        driver.execute("CREATE TABLE shopping (what TEXT)")


def raise_version(path: Path) -> None:
    """As a program of the future leaves it."""
    with closing(sqlite3.connect(path)) as driver, driver:
        (version,) = driver.execute("PRAGMA user_version").fetchone()
        driver.execute(f"PRAGMA user_version = {version + 1}")


def remove(path: Path) -> None:
    """It is gone."""
    path.unlink()


Harm = Callable[[Path], None]
LEDGER: dict[Harm, tuple[int, str]] = {
    flip_middle: (75, "restore a backup"),
    raise_version: (2, "install the newer program"),
    empty: (4, "holds nothing, and the exchange's books beside it are there"),
    flip_head: (2, "is not a file of this program"),
    flip_schema: (75, "restore a backup"),
    truncate: (75, "restore a backup"),
    scribble: (2, "is not a file of this program"),
    swap: (2, "is another program's file, not a ledger"),
    remove: (4, "is missing, and the exchange's books beside it are there"),
}
BOOKS: dict[Harm, tuple[int, str]] = {
    flip_middle: (2, "is damaged"),
    remove: (4, ANEW),
    flip_head: (2, "is not a file of the embedded exchange"),
    flip_schema: (2, "is damaged"),
    truncate: (2, "is damaged"),
    empty: (4, ANEW),
    scribble: (2, "is not a file of the embedded exchange"),
    swap: (2, "is not a file of the embedded exchange"),
    raise_version: (2, "use the program that wrote it"),
}


def cases(harms: dict[Harm, tuple[int, str]], count: int) -> list[Any]:
    """Every harm with what is said of it; all but so many are slow."""
    return [
        pytest.param(harm, *said, id=harm.__name__, marks=[pytest.mark.slow] * (number >= count))
        for number, (harm, said) in enumerate(harms.items())
    ]


@pytest.mark.parametrize(("harm", "code", "part"), cases(LEDGER, 3))
def test_a_harmed_ledger(
    held: Home, short: str, harm: Harm, code: int, part: str
) -> None:
    """Goal: refused; the exchange's books are not touched; verify tells of damage as well."""
    books = held.exchange.read_bytes()
    harm(held.ledger)
    held.ask(*REPLAY, "--bars", short).refused(code, str(held.ledger), part)
    assert held.exchange.read_bytes() == books
    if code == 75:
        assert held.ask("verify").code == 1


@pytest.mark.parametrize(("harm", "code", "part"), cases(BOOKS, 2))
def test_harmed_books(
    held: Home, short: str, harm: Harm, code: int, part: str
) -> None:
    """Goal: refused, again and again; the ledger is not touched and verifies."""
    ledger = held.ledger.read_bytes()
    harm(held.exchange)
    for _ in range(2 if code == 4 else 1):
        held.ask(*REPLAY, "--bars", short).refused(code, str(held.exchange), part)
    assert held.ledger.read_bytes() == ledger
    held.verified()


@pytest.mark.slow
def test_the_way_out_of_lost_books(held: Home, short: str) -> None:
    """Goal: what the message says helps: a new account beside the old one, but not by mistake
    while the ledger has positions.
    """
    held.exchange.unlink()
    anew = (*REPLAY, "--bars", short, ANEW)
    held.ask(*anew).refused(4, "open positions (", "--force")
    assert held.ask(*anew, "--force").code == 0
    agree(held.data / "embedded-local2")
    assert not held.exchange.exists()


@pytest.mark.slow
def test_a_newer_account_whose_ledger_is_gone(held: Home, short: str) -> None:
    """Goal: a start never falls back to an older account."""
    newer = held.data / "embedded-local2"
    shutil.copytree(held.folder, newer)
    (newer / "trading.db").unlink()
    held.ask(*REPLAY, "--bars", short).refused(4, str(newer / "trading.db"), "is missing")


def test_a_lost_ledger_is_restored(held: Home, short: str) -> None:
    """Goal: what the message says helps: with its backup in place the account goes on."""
    backup = held.data.parent / "backup.db"
    assert held.ask("backup", str(backup)).code == 0
    held.ledger.unlink()
    held.ask(*REPLAY, "--bars", short).refused(4, "algo-trader restore")
    assert held.ask("restore", str(backup)).code == 0
    held.replay("--bars", short)
    held.verified()
    assert agree(held.folder).positions == {}


@pytest.mark.slow
def test_books_older_than_the_ledger(home: Home) -> None:
    """Goal: the exchange's copy of an hour ago is not traded on as if the hour had not been.

    Method: stop in the middle of a session, trade on, put the first books back.
    """
    with home.start("start", "--speed", "6000") as daemon:
        daemon.wait_for("filled", role="entry")
        assert home.ask("stop").code == 0
        daemon.ended()
    older = home.exchange.read_bytes()
    before = agree(home.folder)
    with home.start("start", "--speed", "6000") as daemon:
        for _ in range(3):
            daemon.wait_for("trade_closed")
        assert home.ask("stop").code == 0
        daemon.ended()
    assert agree(home.folder).trades > before.trades
    newer = home.exchange.read_bytes()
    home.exchange.write_bytes(older)
    home.ask(*REPLAY).refused(4, str(home.exchange), "not of one history")
    home.exchange.write_bytes(newer)
    home.replay()
    assert agree(home.folder).positions == {}
    home.verified()
