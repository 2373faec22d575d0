"""The end of a daemon: by signal, by a second signal, and what a stopped process comes back to.

After each: the ledger verifies, books and ledger agree, what is held has its stops.
"""

from __future__ import annotations

import signal
import time
from pathlib import Path

import pytest
from books_oracle import agree
from living import Daemon, Home, until

SOON_S = 10
SAME_REQUEST_S = 1.0
"""Signals closer together than this are one request."""
TRADE = ("start", "--speed", "600")


def state_of(daemon: Daemon) -> str:
    """The letter the system has for the process."""
    return Path(f"/proc/{daemon.pid}/stat").read_text().rpartition(")")[2].split()[0]


@pytest.mark.parametrize(
    "number",
    [
        signal.SIGTERM,
        pytest.param(signal.SIGINT, marks=pytest.mark.slow),
    ],
    ids=["TERM", "INT"],
)
def test_a_signal_ends_it_in_good_order(home: Home, short: str, number: signal.Signals) -> None:
    """Goal: exit 0 soon, resting entries canceled, positions and their stops stay.

    Method: the end of the short bars, where there are two positions and one resting entry.
    """
    with home.start("start", "--speed", "max", "--bars", short) as daemon:
        daemon.wait_for("state", state="idle")
        before = home.answer("status")
        daemon.signal(number)
        ended = daemon.ended(SOON_S)
    assert (ended.code, ended.said) == (0, [])
    entries = [order for order in before["open_orders"] if order["role"] == "entry"]
    assert len(entries) == 1
    canceled = {line["order_id"] for line in ended.log if line["event"] == "canceled"}
    assert entries[0]["order_id"] in canceled
    assert ended.log[-1]["event"] == "ended"
    agreed = agree(home.folder)
    assert set(agreed.positions) == {held["symbol"] for held in before["positions"]}
    assert len(agreed.positions) == 2
    assert home.answer("orders")["orders"][-1]["state"] in ("canceled", "accepted")
    home.verified()


def test_a_signal_while_it_trades_and_again_within_the_moment(home: Home) -> None:
    """Goal: a signal that a service manager sends twice is one request; a later start goes on."""
    with home.start(*TRADE) as daemon:
        daemon.wait_for("filled", role="entry")
        daemon.signal(signal.SIGTERM)
        daemon.signal(signal.SIGTERM)
        daemon.signal(signal.SIGINT)
        ended = daemon.ended(SOON_S)
    assert (ended.code, ended.said) == (0, [])
    agreed = agree(home.folder)
    assert agreed.positions
    assert agreed.fills == agreed.trades * 2 + len(agreed.positions)
    home.verified()


def test_a_second_signal_ends_it_at_once(home: Home) -> None:
    """Goal: no waiting for a slow broker, and nothing is lost by it.

    Method: an order is under way for seconds when the first signal comes.
    """
    home.environ["ALGO_EMBEDDED__LATENCY_MS"] = "8000"
    with home.start(*TRADE) as daemon:
        daemon.wait_for("order_sent", role="entry")
        daemon.signal(signal.SIGTERM)
        daemon.wait_for("state", state="shutting_down")
        heard_at = time.monotonic()
        until("a moment has passed", lambda: time.monotonic() - heard_at > SAME_REQUEST_S)
        assert daemon.is_alive
        daemon.signal(signal.SIGTERM)
        assert daemon.ended(SAME_REQUEST_S * 2).code == 1
    del home.environ["ALGO_EMBEDDED__LATENCY_MS"]
    home.replay("--to", "2024-11-27")
    assert agree(home.folder).trades
    home.verified()


def test_a_process_that_was_suspended_goes_on(home: Home) -> None:
    """Goal: SIGSTOP and SIGCONT cost time and nothing else. `stop` tells that it had no answer, and
    is heard when the process goes on.
    """
    with home.start(*TRADE) as daemon:
        for _ in range(2):
            daemon.wait_for("filled", role="entry")
            daemon.signal(signal.SIGSTOP)
            until("it is suspended", lambda: state_of(daemon) == "T")
            daemon.signal(signal.SIGCONT)
        daemon.signal(signal.SIGSTOP)
        late = home.ask("stop", "--timeout", "0.3")
        late.refused(1, f"(pid {daemon.pid})", "could not be asked within 0.3 s")
        daemon.signal(signal.SIGCONT)
        assert daemon.ended(SOON_S).code == 0
    agree(home.folder)
    home.verified()


def test_a_terminal_that_goes_away(home: Home, short: str) -> None:
    """Goal: SIGHUP is a request like any other, and none where it is ignored, as under nohup."""
    nohup = ("sh", "-c", 'trap "" HUP; exec "$@"', "sh")
    with home.start("start", "--speed", "max", "--bars", short, by=nohup) as daemon:
        daemon.wait_for("state", state="idle")
        daemon.signal(signal.SIGHUP)
        assert home.answer("status")["state"] == "idle"
        assert home.ask("stop").code == 0
    with home.start("start", "--speed", "max", "--bars", short) as daemon:
        daemon.wait_for("state", state="idle")
        daemon.signal(signal.SIGHUP)
        assert daemon.ended(SOON_S).code == 0
    home.verified()


def test_the_start_is_cut_short(home: Home, short: str) -> None:
    """Goal: a signal before anything trades ends it as well, and the next start is none the worse.
    """
    with home.start(*TRADE, "--bars", short) as daemon:
        until("it has the lock", (home.data / "daemon.lock").exists)
        daemon.signal(signal.SIGTERM)
        ended = daemon.ended(SOON_S)
    assert ended.code in (0, 128 + signal.SIGTERM)
    home.replay("--bars", short)
    home.verified()
