"""Verbs while a daemon runs, when it has gone, and when there was none."""

from __future__ import annotations

import fcntl
import os
import sqlite3
from contextlib import closing, suppress
from typing import Any

import pytest
from living import Daemon, Home

from algo_trader.ledger.verify import examine

SLOW = pytest.mark.slow
STATUS_KEYS: dict[str, set[str]] = {
    "account": set(),
    "market": {"is_open", "session", "opens_at", "closes_at"},
    "feed": {"connected", "last_bar_at", "lag_s"},
    "trade_stream": {"connected"},
    "pnl": {"realized_today", "unrealized", "equity"},
    "risk": {"daily_loss_left", "consecutive_losses", "halted_because"},
    "ledger": {"facts", "last_fact_at", "commit_p99_ms"},
}
STATUS_LISTS = {"strategies", "positions", "open_orders", "unknown_orders"}
STATUS_WORDS = {"state", "pid", "started_at", "broker", "uncovered_shares"}
STRATEGY_KEYS = {"name", "symbol", "status", "bar_count", "sma_fast", "sma_slow"}


def is_free(home: Home) -> bool:
    """Whether no daemon has the lock."""
    file = os.open(home.data / "daemon.lock", os.O_RDONLY)
    with suppress(BlockingIOError):
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.close(file)
        return True
    os.close(file)
    return False


@pytest.mark.parametrize("verb", ["stop", "status"])
def test_without_a_daemon(held: Home, verb: str) -> None:
    """Goal: exit 3, on a directory with a ledger too."""
    held.ask(verb).refused(3, "no daemon is running", str(held.data))


def test_status_has_what_it_promises(idle: tuple[Home, Daemon]) -> None:
    """Goal: every key of the contract; two positions, all covered."""
    home, daemon = idle
    status = home.answer("status")
    assert status.keys() >= STATUS_KEYS.keys() | STATUS_LISTS | STATUS_WORDS
    for key, inner in STATUS_KEYS.items():
        assert status[key].keys() >= inner, key
    assert all(isinstance(status[key], list) for key in STATUS_LISTS)
    assert [lane.keys() >= STRATEGY_KEYS for lane in status["strategies"]] == [True] * 3
    assert (status["pid"], status["state"], status["uncovered_shares"]) == (daemon.pid, "idle", "0")
    assert len(status["positions"]) == 2
    assert {order["role"] for order in status["open_orders"]} == {"entry", "stop"}
    assert status["unknown_orders"] == []


def answers(home: Home) -> dict[str, Any]:
    """What every verb about the ledger says."""
    said = {kind: home.answer(kind) for kind in ("orders", "trades", "positions", "config")}
    return said | {"verify": home.answer("verify")["ok"]}


def test_answers_with_a_daemon_and_without(held: Home, short: str) -> None:
    """Goal: the running daemon and the file it leaves say the same; so does a backup it made.

    Method: an account at the end of its bars with no entry resting, so that ending changes nothing.
    """
    copy = held.data.parent / "backup.db"
    with held.start("start", "--speed", "max", "--bars", short) as daemon:
        daemon.wait_for("state", state="idle")
        held.ask("config", "--set", "risk.max_open_positions=4")
        running = answers(held)
        assert held.ask("backup", str(copy)).code == 0
        assert not is_free(held)
        ended = held.ask("stop")
        assert is_free(held)
        assert (ended.code, ended.out) == (0, f"the daemon (pid {daemon.pid}) has stopped\n")
        assert daemon.ended().code == 0
    assert answers(held) == running
    assert len(running["positions"]["positions"]) == 2
    assert rows_of(copy) == rows_of(held.ledger)


def test_what_copies_left_behind(held: Home, short: str) -> None:
    """Goal: a copy that was cut short takes no room for good; backups and other files stay."""
    backups = held.folder / "backups"
    backups.mkdir()
    left = [held.folder / ".verify-1-120000.db", held.folder / ".verify-1-120000.db-journal"]
    left.append(backups / "trading-20240102T221500Z.db.partial")
    mine = [backups / "trading-20240102T221500Z.db", backups / "notes.partial"]
    for path in (*left, *mine):
        path.touch()
    held.replay("--bars", short)
    assert [path for path in (*left, *mine) if path.exists()] == mine


def rows_of(path: os.PathLike[str]) -> list[Any]:
    """Every fact and row that a ledger holds."""
    tables = ("order_event", "order_state", "trade", "settings_override")
    with closing(sqlite3.connect(path)) as driver:
        return [driver.execute(f"SELECT * FROM {table}").fetchall() for table in tables]


def test_an_override_is_in_force_at_once(home: Home) -> None:
    """Goal: a limit that is set while it trades binds the next signal, and the next daemon."""
    with home.start("start", "--speed", "3000", "--exit-at-end") as daemon:
        daemon.wait_for("filled", role="entry")
        assert home.ask("config", "--set", "risk.max_open_positions=1").code == 0
        shown = home.answer("config")["settings"]["risk.max_open_positions"]
        assert shown == {"value": 1, "origin": "ledger"}
        daemon.wait_for("signal_refused", rule="MAX_POSITIONS")
        assert home.ask("stop").code == 0
        daemon.ended()
    assert home.answer("config")["settings"]["risk.max_open_positions"] == shown
    with home.start("start", "--speed", "6000", "--exit-at-end") as daemon:
        daemon.wait_for("signal_refused", rule="MAX_POSITIONS")
        assert len(home.answer("status")["positions"]) <= 1
        assert home.ask("stop").code == 0
        daemon.ended()
    home.verified()


@pytest.mark.parametrize(
    ("key", "value", "parts"),
    [
        ("risk.max_open_positions", "500", ["is '500'", "a whole number from 1 to 20"]),
        pytest.param("risk.max_daily_loss_pct", "NaN", ["'NaN'", "from 0.01 to 0.1"], marks=SLOW),
        pytest.param("risk.no_such_limit", "1", ["cannot be set in the ledger"], marks=SLOW),
    ],
)
def test_an_override_by_hand(
    held: Home, short: str, key: str, value: str, parts: list[str]
) -> None:
    """Goal: a value beyond its bounds that somebody wrote into the file is not traded with; the
    message names key, value, bounds and the remedy, and the remedy helps.
    """
    with closing(sqlite3.connect(held.ledger)) as driver, driver:
        row = (key, value, "2024-11-27T17:00:00Z", None)
        driver.execute("INSERT INTO settings_override VALUES (?, ?, ?, ?)", row)
    remedy = f"`algo-trader config --unset {key}`"
    held.ask("start", "--bars", short).refused(2, key, remedy, *parts)
    differences = examine(held.ledger).differences
    assert differences == [f"settings_override {key}: no fact makes this row"]
    assert held.ask("config", "--unset", key).code == 0
    held.replay("--bars", short)
    held.verified()
