"""`reconcile`: what it refuses, and that it leaves every file as it is.

What it foresees: tests/unit/runtime/test_foresight.py; at a whole exchange:
tests/alpaca/test_matrix_manual.py.
"""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path

import pytest

from algo_trader.brokers.embedded.books import Books, Place, Stage
from algo_trader.cli.foreseen_text import command_document, foreseen_document, foreseen_text
from algo_trader.cli.main import run
from algo_trader.core import commands as cmd
from algo_trader.core import events as ev
from algo_trader.core.book import Book
from algo_trader.core.types import Action, ClientOrderId, OrderType, TimeInForce
from algo_trader.ledger.ledger import Ledger
from algo_trader.runtime.foresight import Foreseen
from algo_trader.runtime.lock import DaemonLock
from algo_trader.runtime.paths import lock_file

AT = 1_704_205_800
STOP = ev.OrderRequest(
    ClientOrderId("a-s-AA-1-stop-1"),
    "AA",
    Action.SELL,
    OrderType.STOP,
    TimeInForce.GTC,
    Decimal(7),
    None,
    Decimal("9.50"),
)
TARGET = STOP._replace(
    order_id=ClientOrderId("a-s-AA-1-target-1"),
    type=OrderType.LIMIT,
    limit_price=Decimal(12),
    stop_price=None,
)


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data directory with an account of the embedded exchange that has done nothing yet."""
    monkeypatch.chdir(tmp_path)
    data = tmp_path / "data"
    folder = data / "embedded-local1"
    folder.mkdir(parents=True)
    books = Books.open(folder / "exchange.db")
    books.begin("local1", Decimal(25_000), "bars", Place(AT, Stage.READY))
    books.close()
    with Ledger.open(folder / "trading.db") as ledger:
        ledger.append([ev.AccountPinned(at=AT, account="local1", cash=Decimal(25_000))])
    return data


def contents(place: Path) -> dict[str, bytes]:
    """Every file by its bytes."""
    files = (file for file in place.rglob("*") if file.is_file())
    return {str(file): file.read_bytes() for file in files}


def test_it_is_start_that_does_it(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Goal: without --dry-run one line says who reconciles. Method: exit 2, nothing on stdout."""
    assert run(["--data-dir", str(data), "reconcile"]) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert "add --dry-run" in told.err


def test_nothing_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Goal: no account is no comparison, and makes no file. Method: an empty place, and none."""
    for place in (tmp_path, tmp_path / "none"):
        assert run(["--data-dir", str(place), "reconcile", "--dry-run"]) == 1
        assert "nothing has been traded here yet" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_a_daemon_runs(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Goal: refused with the pid, and where to look instead."""
    with DaemonLock(lock_file(data)):
        assert run(["--data-dir", str(data), "reconcile", "--dry-run"]) == 4
    told = capsys.readouterr().err
    assert "a daemon (pid " in told
    assert "algo-trader status" in told


def test_no_byte_is_changed(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Goal: ledger and books are read from copies, and the answer is one document.

    Method: books that agree; then books of an account with less cash.
    """
    before = contents(data)
    assert run(["--data-dir", str(data), "reconcile", "--dry-run", "--json"]) == 0
    assert contents(data) == before
    said = json.loads(capsys.readouterr().out)
    assert said == {
        "broker": "embedded", "account": "local1", "agrees": True, "records": [], "commands": [],
    }  # fmt: skip
    with Ledger.open(data / "embedded-local1" / "trading.db") as ledger:
        ledger.append([ev.CashAdjusted(at=AT, amount=Decimal(5), cash=Decimal(25_005))])
    before = contents(data)
    assert run(["--data-dir", str(data), "reconcile", "--dry-run", "--json"]) == 0
    assert contents(data) == before
    said = json.loads(capsys.readouterr().out)
    (record,) = said["records"]
    assert (record["kind"], record["amount"], record["at"]) == (
        "CashAdjusted", "-5", "2024-01-02T14:30:00Z",
    )  # fmt: skip
    assert run(["--data-dir", str(data), "reconcile", "--dry-run"]) == 0
    assert "cash_adjusted amount=-5 cash=25000" in capsys.readouterr().out


def test_what_a_start_refuses_is_refused(
    data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Goal: no start is foretold that cannot be. Method: the ledger beside the books is gone."""
    (data / "embedded-local1" / "trading.db").unlink()
    assert run(["--data-dir", str(data), "reconcile", "--dry-run"]) == 4
    assert "trading.db" in capsys.readouterr().err


def test_commands_in_words_and_as_documents() -> None:
    """Goal: every command has both. Method: one of each."""
    moved = STOP._replace(order_id=ClientOrderId("a-s-AA-1-stop-2"))
    commands: list[cmd.Command] = [
        cmd.Submit(STOP),
        cmd.SubmitPair(STOP, TARGET),
        cmd.Cancel(STOP.order_id),
        cmd.Replace(STOP.order_id, moved),
    ]
    foreseen = Foreseen([], commands)
    kinds = [document["command"] for document in foreseen_document(foreseen)["commands"]]
    assert kinds == ["submit", "submit_pair", "cancel", "replace"]
    assert command_document(commands[0])["stop_price"] == "9.5"
    said = foreseen_text(Book(), foreseen)
    assert "would be recorded: nothing" in said
    assert "  sell 7 AA stop stop_price 9.5 gtc (a-s-AA-1-stop-1)" in said
    assert "  replace a-s-AA-1-stop-1 by: sell 7 AA stop" in said
    assert "  cancel a-s-AA-1-stop-1" in said
    assert "  as a pair: sell 7 AA limit limit_price 12" in said
