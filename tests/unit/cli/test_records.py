"""`orders`, `trades`, `positions` and `verify`: one answer, whoever holds the ledger.

A daemon is played by the real control server around the real writer, so that the file is locked as
it is under a daemon.
"""

from __future__ import annotations

import asyncio
import json
import os
import sqlite3
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from recorded import record

from algo_trader.cli.main import run
from algo_trader.ledger import answers
from algo_trader.ledger.ledger import Ledger
from algo_trader.ledger.writer import Writer
from algo_trader.runtime.control import ControlServer, Handler
from algo_trader.runtime.paths import control_socket

STEPS = record().steps[:300]
KINDS = ("orders", "trades", "positions")


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A ledger that ends in the middle of a session, with a position."""
    path = tmp_path_factory.mktemp("sound") / "trading.db"
    with Ledger.open(path) as ledger:
        for step in STEPS:
            ledger.append(step)
    return path.read_bytes()


@pytest.fixture
def data(tmp_path: Path, sound: bytes) -> Path:
    """A data directory with that ledger in an account's folder."""
    folder = tmp_path / "data" / "embedded-ACCT"
    folder.mkdir(parents=True)
    (folder / "trading.db").write_bytes(sound)
    return tmp_path / "data"


class Asked:
    """A command line's end: its code, answer and log."""

    def __init__(self, data: Path, capsys: pytest.CaptureFixture[str], *words: str) -> None:
        capsys.readouterr()
        self.code = run(["--data-dir", str(data), *words])
        told = capsys.readouterr()
        self.out, self.err = told.out, told.err

    @property
    def document(self) -> Any:
        """The one JSON document on stdout."""
        assert self.code in (0, 1), self.err
        return json.loads(self.out)


def with_daemon(
    data: Path, capsys: pytest.CaptureFixture[str], *lines: tuple[str, ...]
) -> list[Asked]:
    """Command lines run while a daemon holds the ledger."""
    folder = data / "embedded-ACCT"

    async def live() -> list[Asked]:
        writer = Writer(lambda: Ledger.open(folder / "trading.db"))
        await writer.start()

        def records(kind: str) -> Handler:
            async def handler(body: Mapping[str, Any]) -> Mapping[str, Any]:
                wanted = answers.filters(body)
                return await writer.run(lambda ledger: answers.answer(ledger, kind, wanted))

            return handler

        async def snapshot(_: Mapping[str, Any]) -> Mapping[str, Any]:
            target = folder / ".verify.db"
            await writer.run(lambda ledger: ledger.snapshot(target))
            return {"path": str(target)}

        handlers = {("POST", f"/{kind}"): records(kind) for kind in KINDS}
        handlers["POST", "/verify/snapshot"] = snapshot
        try:
            async with ControlServer(control_socket(data), handlers, lambda *_, **__: None):
                return [await asyncio.to_thread(Asked, data, capsys, *line) for line in lines]
        finally:
            await writer.close()

    return asyncio.run(live())


@pytest.mark.parametrize("kind", KINDS)
def test_the_daemon_and_the_file_answer_alike(
    data: Path, capsys: pytest.CaptureFixture[str], kind: str
) -> None:
    """Goal: the same document and the same table, with the daemon running and without."""
    lines = [
        (kind, "--json"),
        (kind,),
        (kind, "--json", "--symbol", "AA", "--since", "2024-01-02", "--limit", "2"),
        (kind, "--since", "2024-01-03"),
    ]
    alone = [Asked(data, capsys, *line) for line in lines]
    served = with_daemon(data, capsys, *lines)
    for before, during in zip(alone, served, strict=True):
        assert during.code == before.code == 0
        assert during.out == before.out
        assert during.err == before.err == ""
    assert set(alone[0].document) == {kind}
    assert alone[0].document[kind]
    assert len(alone[2].document[kind]) <= 2
    assert alone[3].out == f"no {kind}\n"


def test_trades_carry_the_fields_of_the_contract(
    data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Goal: the objects of `backtest --json`, and the strategy."""
    trades = Asked(data, capsys, "trades", "--json").document["trades"]
    assert list(trades[0]) == [
        "symbol",
        "side",
        "qty",
        "entry_at",
        "entry_price",
        "exit_at",
        "exit_price",
        "exit_reason",
        "pnl",
        "pnl_pct",
        "commission",
        "duration_s",
        "strategy",
    ]
    assert trades[0]["entry_at"].endswith("Z")


def test_tables_are_for_people(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Goal: a head, aligned rows, and a word that there are more."""
    orders = Asked(data, capsys, "orders").out.splitlines()
    assert orders[0].startswith("symbol")
    assert len(orders) == 1 + 20 + 1
    assert orders[-1] == "(the latest 20; for more see --limit, --since or --json)"
    assert len(Asked(data, capsys, "orders", "--limit", "3").out.splitlines()) == 1 + 3 + 1
    everything = Asked(data, capsys, "orders", "--limit", "100000").out
    assert "latest" not in everything
    positions = Asked(data, capsys, "positions").out.splitlines()
    assert positions[0].split()[-1] == "covered"
    assert positions[1].split()[-1] == positions[1].split()[-4]


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_traded_yet(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], kind: str
) -> None:
    """Goal: an empty answer, and why on stderr; nothing is made."""
    asked = Asked(tmp_path / "data", capsys, kind, "--json")
    assert (asked.code, json.loads(asked.out)) == (0, {kind: []})
    assert "nothing has been traded here yet" in asked.err
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize("verb", ["verify", "backup"])
def test_no_ledger_yet(tmp_path: Path, capsys: pytest.CaptureFixture[str], verb: str) -> None:
    """Goal: one clear sentence, exit 1, and nothing is made."""
    asked = Asked(tmp_path / "data", capsys, verb)
    assert (asked.code, asked.out) == (1, "")
    assert "nothing has been traded here yet" in asked.err
    assert not (tmp_path / "data").exists()


def test_several_accounts(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Goal: the one written last is shown, and which one is told on stderr."""
    other = data / "alpaca-PA1" / "trading.db"
    other.parent.mkdir()
    Ledger.open(other).close()
    os.utime(other, (1, 1))
    asked = Asked(data, capsys, "trades", "--json")
    assert asked.document["trades"]
    assert "embedded-ACCT is shown" in asked.err
    assert "alpaca-PA1" in asked.err
    os.utime(other, (4_000_000_000, 4_000_000_000))
    asked = Asked(data, capsys, "trades", "--json")
    assert asked.document == {"trades": []}
    assert "alpaca-PA1 is shown" in asked.err


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--symbol", "aa"], "symbol is 'aa'"),
        (["--since", "monday"], "2024-01-31"),
        (["--limit", "0"], "--limit"),
    ],
)
def test_bad_filters(
    data: Path, capsys: pytest.CaptureFixture[str], words: list[str], told: str
) -> None:
    """Goal: exit 2 and the field named."""
    asked = Asked(data, capsys, "orders", *words)
    assert (asked.code, asked.out) == (2, "")
    assert told in asked.err


def test_a_ledger_held_by_another_process(
    data: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Goal: a daemon that does not answer yet is no reason to read past its lock; exit 4."""
    monkeypatch.setattr("algo_trader.ledger.database.BUSY_TIMEOUT_MS", 10)
    with Ledger.open(data / "embedded-ACCT" / "trading.db"):
        asked = Asked(data, capsys, "orders")
    assert (asked.code, asked.out) == (4, "")
    assert "in use by another process" in asked.err


def test_verify_with_and_without_a_daemon(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Goal: the same verdict, and no snapshot stays behind."""
    count = sum(map(len, STEPS))
    sound = {"ok": True, "facts": count, "differences": []}
    alone = Asked(data, capsys, "verify", "--json")
    (served,) = with_daemon(data, capsys, ("verify", "--json"))
    assert alone.document == served.document == sound
    assert (alone.code, served.code) == (0, 0)
    assert [path.name for path in (data / "embedded-ACCT").iterdir()] == ["trading.db"]
    assert Asked(data, capsys, "verify").out == f"{count:,} facts, every row is what they make it\n"


def test_verify_names_a_lie(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Goal: exit 1 and the difference, of the file and of a daemon's snapshot."""
    driver = sqlite3.connect(data / "embedded-ACCT" / "trading.db", isolation_level=None)
    driver.execute("UPDATE order_state SET qty_filled = '7777' WHERE id = 4")
    driver.close()
    (served,) = with_daemon(data, capsys, ("verify", "--json"))
    alone = Asked(data, capsys, "verify", "--json")
    for asked in (alone, served):
        assert asked.code == 1
        assert asked.document["ok"] is False
        assert "order_state 4: qty_filled is '7777'" in asked.document["differences"][0]
    asked = Asked(data, capsys, "verify")
    assert (asked.code, asked.err) == (1, "")
    assert "facts, differences:\norder_state 4" in asked.out


def test_verify_of_a_damaged_file(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Goal: damage is a difference, not a failure. Method: overwrite pages in the middle."""
    path = data / "embedded-ACCT" / "trading.db"
    content = bytearray(path.read_bytes())
    content[8192:16384] = b"\xff" * 8192
    path.write_bytes(content)
    asked = Asked(data, capsys, "verify", "--json")
    assert asked.code == 1
    assert asked.document["differences"]
    path.write_bytes(b"not a database at all " * 400)
    asked = Asked(data, capsys, "verify", "--json")
    assert (asked.code, asked.out) == (2, "")
    assert "not a file of this program" in asked.err
