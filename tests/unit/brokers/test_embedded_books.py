"""The exchange's file: who may open it, in what state, and what a failing disk does to it."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from exchange_kit import (
    BUY,
    LIMIT,
    MARKET,
    SELL,
    STOP,
    STOP_LIMIT,
    Crash,
    Tray,
    day,
    done,
    dying_books,
    play,
    setup,
    submit,
    told,
    word,
)

from algo_trader.brokers.embedded import EmbeddedExchange, ExchangeLocked, ExchangeRefused
from algo_trader.brokers.embedded.books import Books, Place
from algo_trader.brokers.embedded.file import APPLICATION_ID, TABLES, VERSION, connect
from algo_trader.core.commands import Cancel, Submit
from algo_trader.core.errors import CoreError, StorageFailure
from algo_trader.core.events import OrderRequest, Report
from algo_trader.core.inputs import Input
from algo_trader.core.types import ZERO, ClientOrderId
from algo_trader.venue.costs import Costs, FeeSchedule, SecRate, TafRate
from algo_trader.venue.venue import Venue

WANTED = {
    "application_id": APPLICATION_ID,
    "user_version": VERSION,
    "locking_mode": "exclusive",
    "journal_mode": "wal",
    "synchronous": 2,
    "foreign_keys": 1,
    "trusted_schema": 0,
    "cell_size_check": 1,
    "mmap_size": 0,
    "temp_store": 2,
}
PERIOD = day(0, "AA 10 10 10 10", "AA 10 11 10 11", "AA 12 12 12 12")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the exchange's file lies, in a folder with an awkward name."""
    folder = tmp_path / "a folder?#%41"
    folder.mkdir()
    return folder / "exchange.db"


def change(path: Path, *statements: str) -> None:
    """What another program does to the file."""
    other = sqlite3.connect(path, isolation_level=None)
    for statement in statements:
        other.execute(statement)
    other.close()


# -- opening --


@pytest.mark.parametrize("is_new", [True, False])
def test_settings_are_as_wanted(path: Path, is_new: bool) -> None:
    """Goal: every pragma holds on a new file and on a reopened one; nothing is shared."""
    if not is_new:
        EmbeddedExchange.open(path, setup(PERIOD)).close()
    driver = connect(path)
    found = {name: driver.execute(f"PRAGMA {name}").fetchone()[0] for name in WANTED}
    names = sorted(each.name for each in path.parent.iterdir())
    driver.close()
    assert found == WANTED
    assert set(names) <= {"exchange.db", "exchange.db-wal"}
    assert [each.name for each in path.parent.iterdir()] == ["exchange.db"]


def test_the_file_is_its_owners_alone(path: Path) -> None:
    """Goal: mode 0600 for the file and what SQLite puts beside it, whatever the umask is."""
    before = os.umask(0)
    try:
        exchange = EmbeddedExchange.open(path, setup(PERIOD))
        modes = {each.name: each.stat().st_mode & 0o777 for each in path.parent.iterdir()}
        exchange.close()
    finally:
        os.umask(before)
    assert modes == {"exchange.db": 0o600, "exchange.db-wal": 0o600}


def test_tables_are_strict() -> None:
    """Goal: no table takes a float for a text. Method: read the statements."""
    assert all("STRICT" in each for each in TABLES if each.startswith("CREATE TABLE"))


@pytest.mark.parametrize("value", ["1E+2", "1.50", "1.", "NaN", "", "0x1"])
def test_numbers_have_one_form(path: Path, value: str) -> None:
    """Goal: what is not a canonical number is refused by the file itself."""
    EmbeddedExchange.open(path, setup(PERIOD)).close()
    with pytest.raises(sqlite3.IntegrityError):
        change(path, f"UPDATE state SET cash = '{value}'")


def test_another_process_is_locked_out(path: Path) -> None:
    """Goal: one process at a time, told in one message; free again when it has gone.

    Method: this process holds the file, a second one asks for it.
    """
    exchange = EmbeddedExchange.open(path, setup(PERIOD))
    code = (
        "import sys; from pathlib import Path; from algo_trader.brokers.embedded.file import "
        "connect\nconnect(Path(sys.argv[1])).close()"
    )
    command = [sys.executable, "-c", code, str(path)]
    refused = subprocess.run(command, capture_output=True, text=True, check=False)
    assert "ExchangeLocked" in refused.stderr
    assert "is in use by another process" in refused.stderr
    with pytest.raises(ExchangeLocked):
        EmbeddedExchange.open(path, setup(PERIOD))
    exchange.close()
    assert subprocess.run(command, capture_output=True, check=False).returncode == 0


@pytest.mark.parametrize("reset", [False, True])
@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"no database at all, but long enough to be looked at" * 40, "is not a file of"),
        (None, "is not a file of"),
    ],
)
def test_foreign_files_are_left_alone(
    path: Path, content: bytes | None, text: str, reset: bool
) -> None:
    """Goal: another program's file is refused and stays as it is, byte for byte, also by a reset.

    Method: a text, and a database with another application id.
    """
    if content is None:
        change(path, "CREATE TABLE x (y)", "PRAGMA application_id = 7")
    else:
        path.write_bytes(content)
    before = path.read_bytes()
    with pytest.raises(ExchangeRefused, match=text):
        EmbeddedExchange.open(path, setup(PERIOD), reset=reset)
    assert path.read_bytes() == before


def test_a_newer_file_may_only_be_reset(path: Path) -> None:
    """Goal: another version is refused with the remedy, and the remedy works."""
    EmbeddedExchange.open(path, setup(PERIOD)).close()
    change(path, f"PRAGMA user_version = {VERSION + 1}", "CREATE TABLE later (x)")
    with pytest.raises(ExchangeRefused, match=r"version 3.*--reset-exchange"):
        EmbeddedExchange.open(path, setup(PERIOD))
    EmbeddedExchange.open(path, setup(PERIOD), reset=True).close()
    EmbeddedExchange.open(path, setup(PERIOD)).close()


def test_a_file_of_version_1_goes_on(path: Path) -> None:
    """Goal: an account that an older program left is traded on with its orders and executions.

    Method: play a bit, take from the file what version 1 did not have, open it again.
    """
    exchange = EmbeddedExchange.open(path, setup(PERIOD))
    done(exchange.execute(submit("a", BUY, STOP, "10.50")))
    done(play(exchange))
    done(exchange.execute(submit("s", SELL, STOP, "9")))
    before = done(exchange.orders([ClientOrderId("a")]))
    exchange.close()
    driver = sqlite3.connect(path, isolation_level=None)
    (table,) = driver.execute(
        "SELECT sql FROM sqlite_schema WHERE name = 'broker_order'"
    ).fetchone()
    later = ("is_triggered INTEGER NOT NULL DEFAULT 0 CHECK (is_triggered IN (0, 1)),", "oco TEXT,")
    for words in (*later, ", 'stop_limit'"):
        assert words in table
        table = table.replace(words, "")
    columns = "number, client_order_id, broker_id, symbol, action, type, time_in_force, qty, "
    columns += "limit_price, stop_price, created_at, is_born_in_bar, status, qty_filled,"
    columns += " replaced_by"
    driver.execute(f"CREATE TEMP TABLE kept AS SELECT {columns} FROM broker_order")
    driver.execute("DROP TABLE broker_order")
    driver.execute(table)
    driver.execute(f"INSERT INTO broker_order ({columns}) SELECT {columns} FROM kept")
    driver.execute(next(each for each in TABLES if each.startswith("CREATE INDEX")))
    driver.execute("PRAGMA user_version = 1")
    driver.close()
    exchange = EmbeddedExchange.open(path, setup(PERIOD))
    assert done(exchange.orders([ClientOrderId("a")])) == before
    assert {str(each.status) for each in before} == {"open", "filled"}
    request = submit("b", BUY, STOP, "20", "1").request
    request = request._replace(type=STOP_LIMIT, limit_price=Decimal(21), symbol="BB")
    assert told(done(exchange.execute(Submit(request)))).startswith("b accepted")
    exchange.close()
    EmbeddedExchange.open(path, setup(PERIOD)).close()


def test_damage_is_told(path: Path) -> None:
    """Goal: a damaged file is refused, not traded on. Method: overwrite the middle of it."""
    EmbeddedExchange.open(path, setup(PERIOD)).close()
    content = bytearray(path.read_bytes())
    for page in range(1, len(content) // 4096):
        content[page * 4096 : page * 4096 + 200] = b"\xff" * 200
    path.write_bytes(content)
    with pytest.raises(ExchangeRefused, match=r"is damaged .*remove it"):
        EmbeddedExchange.open(path, setup(PERIOD))


def test_a_file_without_an_account_gets_one(path: Path) -> None:
    """Goal: dying between making the file and opening the account is no harm.

    Method: an empty file, and one with empty tables.
    """
    path.touch()
    EmbeddedExchange.open(path, setup(PERIOD)).close()
    path.unlink()
    connect(path).close()
    exchange = EmbeddedExchange.open(path, setup(PERIOD))
    assert done(exchange.account()).cash == 10_000
    exchange.close()


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    """Goal: an error of ours with the path in it."""
    with pytest.raises(StorageFailure, match=r"absent/x\.db"):
        EmbeddedExchange.open(tmp_path / "absent" / "x.db", setup(PERIOD))


# -- durable before it is told --


class ListedBooks(Books):
    """Books that note each commit in a list."""

    noted: list[str]

    def move(self, place: Place) -> None:
        """Commit, then note it."""
        super().move(place)
        self.noted.append(f"kept {place.stage}")

    def book(
        self,
        place: Place,
        venue: Venue,
        reports: Sequence[Report],
        requests: Sequence[OrderRequest] = (),
    ) -> None:
        """Commit, then note it."""
        super().book(place, venue, reports, requests)
        self.noted.append(f"kept {place.stage} {len(reports)}")


def test_nothing_is_told_before_it_is_kept(path: Path) -> None:
    """Goal: each report and each minute is in the books before anyone hears of it.

    Method: note commits, inputs and answers in one list.
    """
    books = ListedBooks(path, connect(path))
    books.noted = noted = []
    exchange = EmbeddedExchange(books, setup(PERIOD, day(1, "AA 12 12 12 12")))

    async def handle(item: Input) -> None:
        if word(item) == "minute 0:00 1":
            for command in (submit("a", BUY, STOP, "10.50"), submit("x", BUY, LIMIT, "5")):
                await exchange.execute(command)
                noted.append("answered")

    tray = Tray(handle)
    put = tray.put

    def noting(item: Input) -> None:
        noted.append(word(item))
        put(item)

    tray.put = noting  # type: ignore[method-assign]  # a spy
    done(exchange.run(tray))
    assert noted == [
        "opens 0:00", "clock 0:00", "kept ready", "minute 0:00 1",
        "kept ready 1", "answered", "kept ready 1", "answered",
        "clock 0:01", "kept matched 1", "a filled 10@10.5", "kept ready", "minute 0:01 1",
        "clock 0:02", "kept ready", "minute 0:02 1",
        "kept closed 1", "x expired",
        "opens 1:00", "clock 1:00", "kept ready", "minute 1:00 1",
    ]  # fmt: skip
    exchange.close()


# -- failing --


class FailingBooks(Books):
    """Books that take `works` commits; at the next one the disk fails, before it or after it."""

    works = 0
    is_kept = False

    def move(self, place: Place) -> None:
        """Commit, or fail."""
        with self._wearing():
            super().move(place)

    def book(
        self,
        place: Place,
        venue: Venue,
        reports: Sequence[Report],
        requests: Sequence[OrderRequest] = (),
    ) -> None:
        """Commit, or fail."""
        with self._wearing():
            super().book(place, venue, reports, requests)

    @contextmanager
    def _wearing(self) -> Iterator[None]:
        fails = self.works == 0
        self.works -= 1
        if fails and not self.is_kept:
            self._driver.execute("PRAGMA query_only = ON")
        yield
        if fails:
            raise StorageFailure(f"{self.path}: SQLITE_IOERR_FSYNC")


Ask = Callable[[EmbeddedExchange], Coroutine[Any, Any, Any]]
CALLS: list[Ask] = [
    lambda exchange: exchange.account(),
    lambda exchange: exchange.positions(),
    lambda exchange: exchange.orders(()),
    lambda exchange: exchange.order(ClientOrderId("a")),
    lambda exchange: exchange.execute(submit("a", BUY, LIMIT, "5")),
    lambda exchange: exchange.execute(Cancel(ClientOrderId("never"))),
    lambda exchange: exchange.run(Tray()),
]


@pytest.mark.parametrize("is_kept", [False, True])
@pytest.mark.parametrize("works", range(6))
def test_a_failed_commit_ends_the_exchange(path: Path, works: int, is_kept: bool) -> None:
    """Goal: after a commit that failed every call raises, though the disk works again; the run
    stops and nothing more is told. A new process finds what was kept, and goes on from there.

    Method: fail each commit of a short run in turn: two orders, three minutes, a fill; the failed
    one is in the file or is not, which nobody can know before it is read again.
    """
    books = FailingBooks(path, connect(path))
    books.works, books.is_kept = works, is_kept
    exchange = EmbeddedExchange(books, setup(PERIOD))
    script = {"minute 0:00 1": [submit("a", BUY, STOP, "10.50"), submit("b", BUY, MARKET)]}
    with pytest.raises(StorageFailure, match="SQLITE_"):
        done(play(exchange, script))
    books._driver.execute("PRAGMA query_only = OFF")
    for ask in CALLS:
        with pytest.raises(StorageFailure):
            done(ask(exchange))
    exchange.close()
    again = EmbeddedExchange.open(path, setup(PERIOD))
    known = [ClientOrderId("a"), ClientOrderId("b")]
    kept = works + is_kept
    assert len(done(again.orders(known))) == min(max(kept - 1, 0), 2)
    assert len(done(play(again)).words) == (7, 4, 5, 5, 4, 2, 0)[kept]
    again.close()


def test_a_venue_that_raises_ends_the_exchange_too(path: Path) -> None:
    """Goal: a venue that broke off in its middle is not asked again.

    Method: a sale on a day for which no fee is known.
    """
    later = 2**40
    fees = FeeSchedule(sec=(SecRate(later, ZERO),), taf=(TafRate(later, ZERO, ZERO),))
    exchange = EmbeddedExchange.open(path, setup(PERIOD, costs=Costs(fees=fees)))
    with pytest.raises(CoreError, match="regulatory fee"):
        done(play(exchange, {"minute 0:00 1": [submit("t", SELL, MARKET)]}))
    with pytest.raises(StorageFailure):
        done(exchange.account())
    exchange.close()


def test_a_command_under_way_when_the_exchange_fails(path: Path) -> None:
    """Goal: latency is real time in which others run, and after it nothing is sent to the dead.

    Method: a command that waits while the books die under another one.
    """
    books = dying_books(path, last=1)
    exchange = EmbeddedExchange(books, setup(PERIOD, latency_s=1e-9))

    async def race() -> list[object]:
        both = [exchange.execute(submit(key, BUY, LIMIT, "5")) for key in ("a", "b")]
        return list(await asyncio.gather(*both, return_exceptions=True))

    one, two = done(race())
    assert isinstance(one, Crash)
    assert isinstance(two, StorageFailure)
    books.close()
