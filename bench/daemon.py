"""The daemon on the embedded exchange: how fast it starts, decides and replays, and what it takes.

    uv run python bench/daemon.py [--quick] [--cache DIR]

Real processes where a user meets them (start, status, a month's replay with its memory); the loop
inside this process where single minutes are timed (a decision's way, 500 symbols). What a minute
costs is mostly the disk's flush: what a bare append and flush takes on the same disk is said first.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from decimal import Decimal
from pathlib import Path
from statistics import median, quantiles
from typing import Any

from measure import Row, judge, table
from run import default_cache

HERE = Path(__file__).parent
PROGRAM = Path(sys.executable).with_name("algo-trader")
READY_TARGET_S = 2.0
STATUS_TARGET_MS = 80
DECISION_TARGET_MS = 10
MEMORY_TARGET_MB = 120
MANY = 500
MANY_TARGET_S = 1.0
MONTH = 21
QUARTER = 63
MEMORY = Path("/dev/shm")


def environment() -> dict[str, str]:
    """Of a user: no settings of ours, bytecode kept."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("ALGO_")}
    kept.pop("PYTHONDONTWRITEBYTECODE", None)
    return kept


def generated(cache: Path, symbols: int, sessions: int) -> Path:
    """A folder of CSV bars, made once."""
    folder = cache / "data" / f"daemon-{symbols}x{sessions}"
    if not folder.is_dir():
        part = folder.with_name(folder.name + ".part")
        shutil.rmtree(part, ignore_errors=True)
        command = (sys.executable, HERE / "generate.py", part, "--csv", "--symbols", str(symbols),
                   "--sessions", str(sessions))  # fmt: skip
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        part.rename(folder)
    return folder


@contextmanager
def daemon(data: Path, *words: str) -> Iterator[subprocess.Popen[str]]:
    """A running daemon, its log on stderr as JSON lines."""
    process = subprocess.Popen(
        [PROGRAM, "--data-dir", data, "start", *words],
        stderr=subprocess.PIPE, env=environment(), text=True,
    )  # fmt: skip
    try:
        yield process
    finally:
        process.terminate()
        process.communicate()


def events(process: subprocess.Popen[str]) -> Iterator[dict[str, Any]]:
    """The log's events as they come."""
    assert process.stderr is not None
    for line in process.stderr:
        yield json.loads(line)


def resident_mb(process: subprocess.Popen[str] | subprocess.Popen[bytes]) -> float:
    """Resident memory in MB of 10^6 bytes."""
    text = Path(f"/proc/{process.pid}/status").read_text()
    kilobytes = next(line.split()[1] for line in text.splitlines() if line.startswith("VmRSS"))
    return int(kilobytes) * 1024 / 1e6


def start_rows(folder: Path, times: int) -> list[Row]:
    """From the start of the process until it trades; the first start fills caches."""
    taken = []
    for _ in range(times + 1):
        began = time.perf_counter()
        with daemon(folder / "start", "--speed", "0.001") as process:
            next(e for e in events(process) if e.get("state") == "trading")
            taken.append(time.perf_counter() - began)
    first, *rest = taken
    return [
        judge("start to trading, s", median(rest), ".2f", most=READY_TARGET_S),
        judge("the very first time, s", first, ".2f"),
    ]


def status_rows(folder: Path, times: int) -> list[Row]:
    """`status --json` of a running daemon, over an empty program of the same interpreter."""
    asked: list[float] = []
    bare: list[float] = []
    status: list[Path | str] = [PROGRAM, "--data-dir", folder / "status", "status", "--json"]
    nothing: list[Path | str] = [sys.executable, "-c", "pass"]
    with daemon(folder / "status", "--speed", "0.001") as process:
        next(e for e in events(process) if e.get("state") == "trading")
        for _ in range(times):
            for command, into in ((status, asked), (nothing, bare)):
                began = time.perf_counter()
                subprocess.run(command, check=True, capture_output=True, env=environment())
                into.append(time.perf_counter() - began)
    over = (median(asked) - median(bare)) * 1e3
    return [judge("status over python -c pass, ms", over, ".0f", most=STATUS_TARGET_MS)]


def month_rows(folder: Path, bars: Path) -> list[Row]:
    """A month of five symbols at the highest speed: memory, its slope, sessions a minute."""
    marks: list[tuple[float, float]] = []
    bare_s = flush_s(folder)
    with daemon(folder / "month", "--bars", str(bars), "--speed", "max") as process:
        for event in events(process):
            if event["event"] == "session_opened" or event.get("state") == "idle":
                marks.append((time.perf_counter(), resident_mb(process)))
            if event.get("state") == "idle":
                break
    sessions = len(marks) - 1
    seconds = marks[-1][0] - marks[0][0]
    flushed = (bare_s + flush_s(folder)) / 2 * 390
    return [
        judge("resident at the end, MB", marks[-1][1], ".0f", most=MEMORY_TARGET_MB),
        judge("sessions replayed a minute", sessions / seconds * 60, ",.0f"),
        judge("a session over its 390 bare flushes", seconds / sessions / flushed, ".1f"),
    ]


def growth_rows(bars: Path) -> list[Row]:
    """A quarter of five symbols, files in memory: what a session adds once caches are full."""
    if not MEMORY.is_dir():
        return [Row("growth a session, MB", "n/a", "", None, "no file system in memory")]
    marks: list[float] = []
    with tempfile.TemporaryDirectory(dir=MEMORY) as folder:
        began = time.perf_counter()
        with daemon(Path(folder) / "data", "--bars", str(bars), "--speed", "max") as process:
            for event in events(process):
                if event["event"] == "session_opened":
                    marks.append(resident_mb(process))
                if event.get("state") == "idle":
                    break
        seconds = time.perf_counter() - began
    half = len(marks) // 2
    slope = (marks[-1] - marks[half]) / (len(marks) - 1 - half)
    return [
        judge("growth a session, second half, MB", slope, ".3f"),
        judge("sessions a minute without a disk", len(marks) / seconds * 60, ",.0f"),
    ]


async def replay(
    folder: Path, bars: Path, settings: dict[str, Any], watch: Callable[[Any], Any]
) -> Any:
    """One replay inside this process; `watch` wraps the daemon before it trades."""
    from datetime import UTC, datetime

    from algo_trader.config import Settings
    from algo_trader.feeds.bars import load_bars
    from algo_trader.feeds.calendar import load_sessions
    from algo_trader.feeds.tape import build_tape
    from algo_trader.ledger import migrate
    from algo_trader.runtime.supervisor import Kind, Supervisor
    from algo_trader.strategies import Velez
    from algo_trader.wiring.daemon import Replay, wire_embedded
    from algo_trader.wiring.trading import Trading, strategy_parameters

    chosen = Settings(**settings)
    sessions = load_sessions(None, today=datetime.now(UTC).date())
    tape = build_tape(load_bars([bars], None).bars, sessions)
    folder.mkdir(parents=True)
    migrate.upgrade(folder / "trading.db")
    wired, close = wire_embedded(
        chosen,
        Trading(
            name="velez", cls=Velez, parameters=strategy_parameters(Velez, chosen, {}),
            symbols=tape.symbols,
        ),
        Replay(
            account="bench", history=[], period=tape.days, fingerprint="", speed=None,
            exit_at_end=True,
        ),
        exchange_file=folder / "exchange.db",
        ledger_file=folder / "trading.db",
        log=lambda event, /, **fields: None,
        narrate=lambda book, facts: None,
    )  # fmt: skip
    await wired.prepare()
    watched = watch(wired)
    supervisor = Supervisor(lambda event, /, **fields: None)
    supervisor.add("pump", wired.pump.run, Kind.FATAL)

    async def trade() -> None:
        await wired.trade()
        supervisor.end()

    supervisor.add("trade", trade, Kind.DONE_OK)
    failure = await supervisor.run()
    await wired.parts.writer.close()
    close()
    if failure is not None:
        raise SystemExit(str(failure))
    return watched


def decision_rows(folder: Path, bars: Path) -> list[Row]:
    """From a completed candle to its order's leaving for the broker, durable on the way."""
    pump = asyncio.run(replay(folder / "decisions", bars, {}, lambda wired: wired.pump))
    taken = sorted(pump.decision_s)
    p99 = quantiles(taken, n=100)[98] * 1e3
    return [
        judge("candle to order, median, ms", median(taken) * 1e3, ".2f"),
        judge("candle to order, p99, ms", p99, ".2f", most=DECISION_TARGET_MS,
              note=f"{len(taken)} orders"),
    ]  # fmt: skip


class Minutes:
    """Times each published minute until everything it led to is settled."""

    def __init__(self, wired: Any) -> None:
        self.taken: list[float] = []
        self._put, self._settled = wired.put, wired.settled
        self._began: float | None = None
        wired.put, wired.settled = self.put, self.settled

    def put(self, item: Any) -> None:
        """Hand on; a minute's clock starts."""
        if type(item).__name__ == "Minute":
            self._began = time.perf_counter()
        self._put(item)

    async def settled(self) -> None:
        """Hand on; a minute's clock stops."""
        await self._settled()
        if self._began is not None:
            self.taken.append(time.perf_counter() - self._began)
            self._began = None


def many_rows(folder: Path, bars: Path) -> list[Row]:
    """500 symbols with a bar a minute each, one-minute candles: all decisions of a minute."""
    settings = {
        "velez": {"candle_interval_minutes": 1, "sma_slow": 100},
        "risk": {"max_open_positions": 20},
        "embedded": {"initial_cash": Decimal(1_000_000)},
    }
    minutes = asyncio.run(replay(folder / "many", bars, settings, Minutes)).taken
    return [
        judge(f"a minute of {MANY} symbols, median, s", median(minutes), ".3f"),
        judge("the slowest minute, s", max(minutes), ".3f", most=MANY_TARGET_S),
    ]


def flush_s(folder: Path, times: int = 400) -> float:
    """Seconds of a bare append and fdatasync on the same disk, on average."""
    taken = []
    with open(folder / "flush", "ab", buffering=0) as file:
        for _ in range(times):
            began = time.perf_counter()
            file.write(b"x" * 200)
            os.fdatasync(file.fileno())
            taken.append(time.perf_counter() - began)
    return sum(taken) / len(taken)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure each section and print its table as soon as it is there."""
    parser = argparse.ArgumentParser(description="Measure the daemon against its targets.")
    parser.add_argument("--quick", action="store_true", help="fewer repeats, no 500 symbols")
    parser.add_argument("--cache", type=Path, default=default_cache(), help="default: %(default)s")
    asked = parser.parse_args(arguments)
    cache: Path = asked.cache.resolve()
    (cache / "data").mkdir(mode=0o700, parents=True, exist_ok=True)
    times = 3 if asked.quick else 10
    load = os.getloadavg()[0]
    print(f"Python {platform.python_version()}, {os.cpu_count()} cores, load {load:.1f}")
    with tempfile.TemporaryDirectory(dir=cache) as made:
        folder = Path(made)
        bare = flush_s(folder)
        print(f"A bare append and flush takes {bare * 1e3:.2f} ms here")
        month = generated(cache, 5, MONTH)
        print(table("Start and status", start_rows(folder, times) + status_rows(folder, times)))
        print(table("A decision's way", decision_rows(folder, month)))
        rows = month_rows(folder, month)
        print(table("A month of five symbols from CSV, --speed max", rows))
        quarter = generated(cache, 5, QUARTER)
        print(table("A quarter of five symbols, files in memory", growth_rows(quarter)))
        if not asked.quick:
            many = generated(cache, MANY, 1)
            print(table("Many symbols", many_rows(folder, many)))


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        main()
