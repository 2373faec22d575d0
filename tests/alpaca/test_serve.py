"""`exchange serve` as a process, and the tester's door over HTTP."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import requests
from raw import bars_wire
from sdk import trading
from serving import FIRST_OPEN, Serving, day, eventually, serving

SAMPLE = str(Path(__file__).parents[2] / "data" / "sample")
CANARY = "canary-7f3a"


@contextmanager
def served(folder: Path, *words: str) -> Iterator[tuple[subprocess.Popen[str], dict[str, str]]]:
    """The process and the addresses it printed."""
    (folder / "none.env").write_text("")
    command = [
        sys.executable, "-m", "algo_trader", "--data-dir", str(folder / "data"),
        "--env-file", str(folder / "none.env"), "exchange", "serve", "--bars", SAMPLE, *words,
    ]  # fmt: skip
    environ = {name: value for name, value in os.environ.items() if not name.startswith("ALGO_")}
    environ |= {"ALGO_EXCHANGE_KEY_ID": "given", "ALGO_EXCHANGE_SECRET": CANARY}
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environ
    )
    try:
        assert process.stdout is not None
        lines = [process.stdout.readline().rstrip() for _ in range(4)]
        yield process, {line[:14].strip(): line[14:] for line in lines}
    finally:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_in_good_order(tmp_path: Path, number: signal.Signals) -> None:
    """Goal: it prints four addresses, answers those with its keys, and a signal is exit 0; the
    secret is in none of its words. Method: the command line as a user runs it.
    """
    env_file, journal = tmp_path / "here.env", tmp_path / "journal.jsonl"
    words = ["--env-file", str(env_file), "--journal", str(journal), "--wait-for-clients"]
    with served(tmp_path, *words) as (process, urls):
        assert list(urls) == ["trading", "data", "trade stream", "data stream"]
        headers = {"APCA-API-KEY-ID": "given", "APCA-API-SECRET-KEY": CANARY}
        clock = requests.get(f"{urls['trading']}/v2/clock", headers=headers, timeout=10)
        assert clock.json()["is_open"] is False
        assert requests.get(f"{urls['data']}/v2/clock", timeout=10).status_code == 401
        eventually(env_file.is_file)
        assert f"ALGO_BROKER__TRADING_URL={urls['trading']}" in env_file.read_text()
        process.send_signal(number)
        out, err = process.communicate(timeout=20)
        assert process.returncode == 0, err
    assert "Traceback" not in err
    assert CANARY not in out + err + journal.read_text()
    assert '"kind":"request"' in journal.read_text()


def test_it_ends_with_the_bars_if_asked(tmp_path: Path) -> None:
    """Goal: a session can be replayed to its end without a signal. Method: at the most speed."""
    with served(tmp_path, "--speed", "max", "--exit-at-end", "--to", "2024-11-27") as (process, _):
        _, err = process.communicate(timeout=60)
        assert process.returncode == 0, err
        assert "exchange closed" in err


def test_a_port_that_is_taken_is_bad_input(tmp_path: Path) -> None:
    """Goal: exit 2 and a remedy. Method: the port of another exchange."""
    with serving(day({"AA": ["10"]})) as exchange:
        port = exchange.urls.trading.rpartition(":")[2]
        (tmp_path / "none.env").write_text("")
        done = subprocess.run(
            [sys.executable, "-m", "algo_trader", "--data-dir", str(tmp_path), "--env-file",
             str(tmp_path / "none.env"), "exchange", "serve", "--bars", SAMPLE, "--port", port],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
    assert done.returncode == 2
    assert f"--port {port}" in done.stderr
    assert "Traceback" not in done.stderr


# -- the tester's door --


@pytest.fixture
def exchange() -> Iterator[Serving]:
    """A market that has just opened."""
    with serving(day({"AA": ["10", "11", "12"]})) as running:
        running.step_to(FIRST_OPEN)
        yield running


def ask(exchange: Serving, method: str, path: str, **words: Any) -> requests.Response:
    """A request to the tester's door with the keys."""
    headers = {"APCA-API-KEY-ID": exchange.key_id, "APCA-API-SECRET-KEY": exchange.secret}
    url = f"{exchange.urls.trading}/_control/{path}"
    return requests.request(method, url, headers=headers, timeout=10, **words)


def test_faults_are_injected_read_and_cleared(exchange: Serving) -> None:
    """Goal: a fault can be put in force by hand, seen in the state, and taken away.
    Method: one for the clock, met once, then cleared.
    """
    entry = {"on": "clock", "do": "clock_skew", "seconds": 5, "times": 0}
    assert ask(exchange, "POST", "fault", json=entry).status_code == 200
    client = trading(exchange)
    assert client.get_clock().timestamp.timestamp() == exchange.now + 5
    rules = ask(exchange, "GET", "state").json()["faults"]
    assert [(rule["do"], rule["fired"]) for rule in rules] == [("clock_skew", 1)]
    assert ask(exchange, "DELETE", "faults").status_code == 204
    assert client.get_clock().timestamp.timestamp() == exchange.now


@pytest.mark.parametrize(
    ("entry", "status"),
    [
        ({"do": "levitate"}, 422),
        ({"do": "manual_cancel", "order": "nobody-*"}, 404),
        ([], 400),
    ],
)
def test_what_cannot_be_injected_is_told(exchange: Serving, entry: Any, status: int) -> None:
    """Goal: a wrong entry, and one that finds no order, are answered with a message."""
    answer = ask(exchange, "POST", "fault", json=entry)
    assert answer.status_code == status
    assert answer.json()["message"]


def test_time_is_driven_and_the_journal_read_by_hand(exchange: Serving) -> None:
    """Goal: steps can be played over HTTP, and the journal tells what happened since.
    Method: three steps are one minute; read only the entries after the last one known.
    """
    with bars_wire(exchange) as wire:
        known = ask(exchange, "GET", "state").json()["journal"]
        assert ask(exchange, "POST", "step", json={"steps": 3}).json() == {"steps": 3}
        assert wire.read()[0]["S"] == "AA"
    entries = ask(exchange, "GET", "journal", params={"after": known, "kind": "bars"}).json()
    assert [entry["count"] for entry in entries] == [1]
    assert ask(exchange, "POST", "step", json={"steps": "many"}).status_code == 422
    assert ask(exchange, "POST", "step", data="{").status_code == 400


def test_the_testers_door_needs_the_keys(exchange: Serving) -> None:
    """Goal: nobody without the keys drives the exchange. Method: no keys, then wrong ones."""
    url = f"{exchange.urls.trading}/_control/state"
    assert requests.get(url, timeout=10).status_code == 401
    wrong = {"APCA-API-KEY-ID": exchange.key_id, "APCA-API-SECRET-KEY": "wrong"}
    assert requests.get(url, headers=wrong, timeout=10).status_code == 403
