"""The daemon on Alpaca's protocol: how fast it answers bars and fills, and comes back.

    uv run python bench/alpaca.py [--quick]

The unmodified daemon and `exchange serve` as two processes on this machine, five symbols and a
strategy that trades all the time. Times are the exchange's, taken from its journal: from the bars'
leaving to the order's arrival, from a fill's leaving to its stop's arrival, from a dropped
connection to the next. Both processes share two cores with each other.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from statistics import median, quantiles
from typing import Any
from urllib.request import Request, urlopen

from daemon import environment, generated, resident_mb
from measure import Row, table
from run import default_cache

PROGRAM = Path(sys.executable).with_name("algo-trader")
OFTEN = Path(__file__).with_name("often.py")
SYMBOLS = 5
SPEED = 120
ANSWER_TARGET_MS = 25
BACK_TARGET_S = 5
MEMORY_TARGET_MB = 200
STEADY_S = 12.0
"""Between two drops: a stream that is dropped more often is tried again more slowly."""
PATIENCE_S = 30.0


def main() -> int:
    """Measure everything and print the table."""
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=raw)
    parser.add_argument("--quick", action="store_true", help="two drops instead of eight")
    quick = parser.parse_args().quick
    with tempfile.TemporaryDirectory() as name:
        rows = measured(Path(name), rounds=2 if quick else 8)
    print(f"{platform.platform()}, Python {platform.python_version()}, {os.cpu_count()} cores")
    print(table("On Alpaca's protocol", rows))
    return 0


def measured(folder: Path, rounds: int) -> list[Row]:
    """The figures of one rehearsal."""
    bars = generated(default_cache(), SYMBOLS, 3)
    symbols = ",".join(sorted(file.name.split(".")[0] for file in bars.glob("*.csv*")))
    with exchange(folder, bars) as url, daemon(folder, symbols) as process:
        until(lambda: status(folder).get("state") == "trading")
        for _ in range(rounds):
            time.sleep(STEADY_S)
            for stream in ("data", "trade"):
                drop(url, stream)
            until(lambda: is_whole(folder))
        memory_mb = resident_mb(process)
        facts = status(folder)["ledger"]["facts"]
    seen = [json.loads(line) for line in (folder / "journal.jsonl").open()]
    answers, covers, gaps = answer_times(seen), cover_times(seen), gap_times(seen)
    return [
        judged("bar sent to entry received, p99", answers, 1000, ANSWER_TARGET_MS, "ms"),
        judged("fill sent to stop received, p99", covers, 1000, None, "ms"),
        Row(
            "reconnect after a dropped socket, median",
            f"{median(gaps):.2f} s",
            f"{BACK_TARGET_S} s",
            median(gaps) < BACK_TARGET_S,
            f"longest {max(gaps):.2f} s of {len(gaps)}",
        ),
        Row(
            "memory with five symbols",
            f"{memory_mb:.0f} MB",
            f"{MEMORY_TARGET_MB} MB",
            memory_mb < MEMORY_TARGET_MB,
            f"after {facts} facts",
        ),
    ]


def judged(
    name: str, values: list[float], factor: float, target: float | None, unit: str
) -> Row:
    """A row with the 99th percentile, and the median beside it; without a target it is reported."""
    p99 = quantiles(values, n=100)[98] * factor
    note = f"median {median(values) * factor:.1f} {unit} of {len(values)}"
    wanted = "" if target is None else f"{target:g} {unit}"
    return Row(name, f"{p99:.1f} {unit}", wanted, None if target is None else p99 < target, note)


def answer_times(seen: list[dict[str, Any]]) -> list[float]:
    """Seconds from the newest bars' leaving to each entry's arrival."""
    found, sent = [], None
    for event in seen:
        if event["kind"] == "bars":
            sent = event["real"]
        elif is_order(event, "-entry-") and sent is not None:
            found.append(event["real"] - sent)
    return found


def cover_times(seen: list[dict[str, Any]]) -> list[float]:
    """Seconds from an entry's last fill to the first stop of its decision."""
    filled: dict[str, float] = {}
    found = []
    for event in seen:
        if event["kind"] == "update" and event["data"]["event"] == "fill":
            decision, role, _ = event["data"]["order"]["client_order_id"].rpartition("-entry-")
            if role:
                filled[decision] = event["real"]
        elif is_order(event, "-stop-"):
            decision = event["body"]["client_order_id"].rpartition("-stop-")[0]
            if decision in filled:
                found.append(event["real"] - filled.pop(decision))
    return found


def gap_times(seen: list[dict[str, Any]]) -> list[float]:
    """Seconds between the end of a stream's connection and its next."""
    gone: dict[str, float] = {}
    found = []
    for event in seen:
        if event["kind"] not in ("connected", "disconnected"):
            continue
        stream = event["line"].rpartition("-")[0]
        if event["kind"] == "disconnected":
            gone[stream] = event["real"]
        elif stream in gone:
            found.append(event["real"] - gone.pop(stream))
    return found


def is_order(event: Mapping[str, Any], role: str) -> bool:
    """Whether a new order of that role has arrived."""
    return (
        event["kind"] == "request"
        and event["method"] == "POST"
        and event["path"] == "/v2/orders"
        and role in event["body"]["client_order_id"]
    )


@contextmanager
def exchange(folder: Path, bars: Path) -> Iterator[str]:
    """The exchange in a process; its URL."""
    command: list[str | Path] = [
        PROGRAM, "exchange", "serve", "--bars", bars, "--speed", str(SPEED), "--wait-for-clients",
        "--env-file", folder / ".env", "--journal", folder / "journal.jsonl", "--cash", "1000000",
        "--set", "costs.slippage_per_share=0",
    ]  # fmt: skip
    with subprocess.Popen(
        command, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        try:
            assert process.stdout is not None
            yield process.stdout.readline().split()[-1]
        finally:
            process.send_signal(signal.SIGINT)


@contextmanager
def daemon(folder: Path, symbols: str) -> Iterator[subprocess.Popen[bytes]]:
    """The daemon in a process."""
    until((folder / ".env").is_file)
    command: list[str | Path] = [
        PROGRAM, "--data-dir", folder / "data", "start", "--strategy", f"{OFTEN}:Often",
        "--set", "max_open_positions=20", "--set", "consecutive_loss_pause=10",
        "--set", "max_daily_loss_pct=0.1",
    ]  # fmt: skip
    with (folder / "daemon.log").open("wb") as log, subprocess.Popen(
        command, cwd=folder, env={**environment(), "ALGO_WATCHLIST": symbols}, stderr=log
    ) as process:  # fmt: skip
        try:
            yield process
        finally:
            process.send_signal(signal.SIGTERM)


def status(folder: Path) -> dict[str, Any]:
    """What the daemon says of itself; nothing while it starts."""
    command: list[str | Path] = [PROGRAM, "--data-dir", folder / "data", "status", "--json"]
    done = subprocess.run(command, env=environment(), capture_output=True, check=False)
    found: dict[str, Any] = json.loads(done.stdout) if done.returncode == 0 else {}
    return found


def is_whole(folder: Path) -> bool:
    """Whether both streams are there and nothing keeps entries closed."""
    told = status(folder)
    return bool(told) and not told["entries_closed_because"]


def drop(url: str, stream: str) -> None:
    """Have the exchange reset a stream's connection."""
    with urlopen(
        Request(
            f"{url}/_control/fault",
            data=json.dumps({"do": "reset", "stream": stream}).encode(),
            headers={"APCA-API-KEY-ID": "local-key", "APCA-API-SECRET-KEY": "local-secret"},
        )
    ) as answer:
        answer.read()


def until(condition: Callable[[], object]) -> None:
    """Wait for something of another process's."""
    end = time.monotonic() + PATIENCE_S
    while not condition():
        if time.monotonic() > end:
            raise SystemExit("the other process did not come so far in time")
        time.sleep(0.05)


if __name__ == "__main__":
    sys.exit(main())
