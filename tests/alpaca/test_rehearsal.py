"""The daemon as a process, at the exchange as a process: the backtest's decisions and trades.

Prices are the same to the cent; only the times of fills differ. A backtest dates a fill by the
start of its bar's minute. The exchange lets the bar meet the orders that rest half a minute later,
and an order at market, sent once the candle is over, is filled when it comes.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from living import BUSY, PROGRAM, SAMPLE, Daemon, Home, cut_sample, until
from rehearsal import exchange_process, journal_of, status_of

REAL = os.environ.get("ALGO_REAL_DATA")
FILLED_AFTER_S = 90
"""A fill is dated at most so much later than by the backtest: market orders wait for the minute's
end, and are there before the next bar meets what rests."""


class Deal(NamedTuple):
    """A trade, less its times."""

    symbol: str
    side: str
    qty: str
    entry_price: str
    exit_price: str
    reason: str
    pnl: str


class Asked(NamedTuple):
    """What a signal led to: an entry, or the rule that was in its way."""

    symbol: str
    candle: str
    side: str
    entry: Decimal | None
    stop: Decimal | None
    qty: str | None
    rule: str | None


def backtested(
    arguments: Sequence[str], place: Path, environ: dict[str, str]
) -> tuple[list[dict[str, Any]], list[Asked]]:
    """The trades of a backtest, and its signals."""
    file = place / "decisions.jsonl"
    own = {key: value for key, value in os.environ.items() if not key.startswith("ALGO_")}
    done = subprocess.run(
        [
            PROGRAM, "--data-dir", str(place / "backtests"), "backtest", *arguments,
            "--no-save", "--json", "--decisions", str(file),
        ],
        env={**own, **environ}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    return json.loads(done.stdout)["trades"], [
        Asked(
            line["symbol"], line["candle_start"], event["side"],
            Decimal(event["entry_stop"]) if "entry_stop" in event else None,
            Decimal(event["stop_loss"]) if "stop_loss" in event else None,
            event.get("qty"), event.get("rule"),
        )
        for line in lines
        for event in line["events"]
        if event["type"] in ("ENTRY_PLACED", "REFUSED")
    ]  # fmt: skip


def told(log: Sequence[dict[str, Any]]) -> list[Asked]:
    """The signals of a daemon, by its log."""
    found = []
    for line in log:
        if line["event"] in ("signal_taken", "signal_refused"):
            stamp = line["decision"].rpartition("-")[2]
            candle = datetime.strptime(stamp + "+0000", "%Y%m%dT%H%M%z")
            rule = line.get("rule")
            found.append(
                Asked(
                    line["symbol"], candle.strftime("%Y-%m-%dT%H:%M:%SZ"), line["side"],
                    None if rule else Decimal(line["entry"]),
                    None if rule else Decimal(line["stop"]),
                    line.get("qty"), rule,
                )
            )  # fmt: skip
    return found


def rehearsed(
    place: Path,
    bars: Path,
    day: str,
    speed: int,
    symbols: Sequence[str],
    environ: dict[str, str],
    last_minute: str,
    patience_s: float,
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The trades and the log of a daemon that has followed the day until this minute's bar."""
    arguments = ["--bars", str(bars), "--from", day, "--to", day, "--speed", str(speed)]
    more = ["--journal", str(place / "journal.jsonl"), "--wait-for-clients"]
    process, file = exchange_process(place, *arguments, *more)
    with process:
        until("an exchange", lambda: file.exists() and "SPEED" in file.read_text())
        settings = {**environ, "ALGO_WATCHLIST": ",".join(symbols)}
        home = Home(place / "data", settings)
        with home.start("--env-file", str(file), "start") as daemon:
            daemon.wait_for("session_opened")
            until("the last bar", lambda: has_seen(daemon, home, last_minute), patience_s)
            trades = home.answer("trades")["trades"]
            home.ask("stop")
            ended = daemon.ended()
        assert ended.code == 0
        proof = home.answer("verify")
        assert proof["ok"], proof
    return trades, ended.log


def has_seen(daemon: Daemon, home: Home, minute: str) -> bool:
    """Whether the daemon has worked off the bar of this minute, and nothing is on its way."""
    assert daemon.is_alive, daemon.lines[-5:]
    status = status_of(home)
    last = status.get("feed", {}).get("last_bar_at")
    return bool(last and last >= minute and not status["unknown_orders"])


def deals(trades: Sequence[dict[str, Any]]) -> list[Deal]:
    """Trades as they are compared."""
    return [
        Deal(
            trade["symbol"], trade["side"], trade["qty"], trade["entry_price"],
            trade["exit_price"], trade["exit_reason"], trade["pnl"],
        )
        for trade in trades
    ]  # fmt: skip


def seconds_apart(ours: str, theirs: str) -> float:
    """Seconds from one moment to another."""
    return (datetime.fromisoformat(ours) - datetime.fromisoformat(theirs)).total_seconds()


def agree(
    trades: list[dict[str, Any]],
    log: list[dict[str, Any]],
    expected: list[dict[str, Any]],
    asked: list[Asked],
) -> None:
    """The same signals, quantities, prices and reasons; fills are dated within their minute."""
    assert told(log) == asked
    assert deals(trades) == deals(expected)
    for ours, theirs in zip(trades, expected, strict=True):
        for name in ("entry_at", "exit_at"):
            assert 0 <= seconds_apart(ours[name], theirs[name]) <= FILLED_AFTER_S, (ours, theirs)


def test_part_of_a_session_of_the_sample(tmp_path: Path) -> None:
    """Goal: against the exchange the daemon decides and trades as the backtest does.

    Method: the bundled sample under settings that trade almost every minute, warm from the days
    before, the first 45 minutes of its second session at 300 times real time.
    """
    day, before = "2024-11-29", "2024-11-29T15:15:00Z"
    bars = cut_sample(tmp_path / "bars", before)
    symbols = sorted(path.stem for path in SAMPLE.glob("*.csv"))
    arguments = [*symbols, "--bars", str(bars), "--from", day, "--to", day]
    expected, asked = backtested(arguments, tmp_path, BUSY)
    trades, log = rehearsed(
        tmp_path, bars, day, 300, symbols, BUSY, "2024-11-29T15:14:00Z", patience_s=60
    )
    # What is open at the end of the bars a backtest closes; a market goes on.
    closed = [trade for trade in expected if trade["exit_reason"] != "end_of_data"]
    assert len(closed) >= 5
    agree(trades, log, closed, asked)


@pytest.mark.slow
@pytest.mark.skipif(REAL is None, reason="ALGO_REAL_DATA names no folder of real bars")
def test_whole_session_of_real_bars(tmp_path: Path) -> None:
    """Goal: a whole real session, warm from the days before, is traded as the backtest trades it.

    Method: AAPL on 2024-01-09 at 300 times real time. No price differs; no order came twice.
    """
    day = "2024-01-09"
    bars = Path(REAL or "") / "bars_1min" / "AAPL_2024-01_02_alpaca.csv.gz"
    environ = {"ALGO_RISK__CONSECUTIVE_LOSS_PAUSE": "10"}
    arguments = ["AAPL", "--bars", str(bars), "--from", day, "--to", day]
    expected, asked = backtested(arguments, tmp_path, environ)
    assert len(expected) > 2
    trades, log = rehearsed(
        tmp_path, bars, day, 300, ["AAPL"], environ, "2024-01-09T20:59:00Z", patience_s=120
    )
    agree(trades, log, expected, asked)
    posted = [
        entry["body"]["client_order_id"]
        for entry in journal_of(tmp_path / "journal.jsonl")
        if entry["kind"] == "request" and entry["method"] == "POST"
    ]
    assert len(posted) == len(set(posted))
