"""An exchange as a process that lives on, and daemons as processes that do not.

    with World(place, seed=1) as world:
        life = world.start()
        world.wait_ready(life)
        world.hit(life)                # kill -9
        findings = world.judged()

Everything is seen from outside: the exchange's journal and its answers, the daemon's log, exit code
and ledger file.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

from kill_books import MarketBook, read_ledger
from kill_market import SYMBOLS, write_bars
from kill_oracle import Span, judge, quiet_findings

ACCOUNT = "PA0KILL"
CASH = Decimal(100_000)
SPEED = 300
POLL_S = 0.002
PATIENCE_S = 60.0
PROOF_S = 60.0
"""A daemon asks for half a minute until it believes that an order was never there."""
ANSWERS = ("abandoned", "order_accepted", "order_refused", "filled", "canceled", "replaced")
QUIET_S = 0.4
"""Real seconds without a request or an update after which nothing is under way."""
HEARS_S = 0.25
"""Within so long a daemon on a busy machine has on record what it was told."""
STRATEGY = f"{Path(__file__).with_name('kill_strategy.py')}:Restless"
MANNERS = {
    "plain": (),
    "refuses": ("embedded.refuse_pct=10",),
    "parts": ("embedded.partial_fill_pct=40",),
}
"""What an exchange does at random, by its seed."""
SETTINGS = {
    "ALGO_WATCHLIST": ",".join(SYMBOLS),
    "ALGO_RISK__MAX_OPEN_POSITIONS": "20",
    "ALGO_RISK__CONSECUTIVE_LOSS_PAUSE": "10",
    "ALGO_RISK__MAX_DAILY_LOSS_PCT": "0.1",
    "ALGO_LOG__FORMAT": "json",
}
HEADERS = {"APCA-API-KEY-ID": "local-key", "APCA-API-SECRET-KEY": "local-secret"}


class TooLate(Exception):
    """Something that should have come did not."""


class Tail:
    """The new JSON lines of a file that grows."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._offset = 0
        self._rest = b""

    def read(self) -> list[dict[str, Any]]:
        """What was added since; lines that are no JSON are left out."""
        try:
            with self._file.open("rb") as stream:
                stream.seek(self._offset)
                added = stream.read()
        except FileNotFoundError:
            return []
        self._offset += len(added)
        *lines, self._rest = (self._rest + added).split(b"\n")
        return [json.loads(line) for line in lines if line.startswith(b"{")]


class Life:
    """One process of the daemon, and its log so far."""

    def __init__(self, process: subprocess.Popen[bytes], file: Path, span: Span) -> None:
        self.process = process
        self.file = file
        self.span = span
        self.log: list[dict[str, Any]] = []
        self._tail = Tail(file)

    @property
    def is_alive(self) -> bool:
        """Whether it has not ended."""
        return self.process.poll() is None

    def look(self) -> list[dict[str, Any]]:
        """Read on in its log; the new lines."""
        new = self._tail.read()
        self.log += new
        for line in new:
            if line.get("state") == "trading" and self.span.ready_at is None:
                self.span.ready_at = time.time()
            if line["event"] == "uncovered":
                self.span.has_alerted = True
        return new

    def said(self) -> str:
        """What it wrote that is no log."""
        lines = self.file.read_text(errors="replace").splitlines()
        return "\n".join(line for line in lines if not line.startswith("{"))


class World:
    """An account at an exchange, its data directory, and the lives that traded it."""

    def __init__(
        self, place: Path, seed: int, *, sessions: int = 3, manner: str = "plain",
        speed: int = SPEED,
    ) -> None:  # fmt: skip
        self.place = place
        self.data = place / "data"
        self.ledger = self.data / f"alpaca-{ACCOUNT}" / "trading.db"
        self.market = MarketBook()
        self.lives: list[Life] = []
        self.digests: list[str] = []
        self.unanswered: set[str] = set()
        self.comparisons = {"orders": 0, "executions": 0, "facts": 0, "quiet": 0}
        self._tail = Tail(place / "journal.jsonl")
        days = write_bars(place / "bars", seed, sessions + 1)
        self.speed = speed
        self._exchange = self._serve(days[1].isoformat(), seed, manner, speed)
        try:
            self._url = self._wait_for_exchange()
        except TooLate:
            self.__exit__()
            raise

    # -- the exchange --

    def _serve(
        self, first: str, seed: int, manner: str, speed: int
    ) -> subprocess.Popen[bytes]:
        settings = (*MANNERS[manner], f"embedded.seed={seed}")
        words = [word for each in settings for word in ("--set", each)]
        command = [
            sys.executable, "-m", "algo_trader", "exchange", "serve",
            "--bars", str(self.place / "bars"), "--from", first, "--speed", str(speed),
            "--rate", "0", "--cash", str(CASH), "--account", ACCOUNT, "--wait-for-clients",
            "--journal", str(self.place / "journal.jsonl"),
            "--env-file", str(self.place / "exchange.env"), *words,
        ]  # fmt: skip
        with (self.place / "exchange.log").open("wb") as log:
            return subprocess.Popen(
                command, cwd=self.place, env=_environment({}), stdout=log, stderr=log
            )

    def _wait_for_exchange(self) -> str:
        file = self.place / "exchange.env"
        self.until("an exchange", lambda: file.exists() and "SPEED" in file.read_text())
        lines = file.read_text().splitlines()
        return next(line for line in lines if "TRADING_URL=" in line).partition("=")[2]

    def ask(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
        """The exchange's answer, to a client or at the tester's door."""
        request = urllib.request.Request(
            self._url + path, method=method, headers=HEADERS,
            data=None if body is None else json.dumps(body).encode(),
        )  # fmt: skip
        with urllib.request.urlopen(request, timeout=10) as answer:
            content = answer.read()
        return json.loads(content) if content else None

    def inject(self, **fault: Any) -> None:
        """Put a fault in force, or carry it out now."""
        self.ask("POST", "/_control/fault", fault)

    def clear_faults(self) -> None:
        """No fault is in force any more."""
        self.ask("DELETE", "/_control/faults")

    def stand(self, is_standing: bool) -> None:
        """Let nothing happen on the market, or let it go on."""
        for symbol in SYMBOLS:
            self.inject(do="halt_symbol" if is_standing else "resume_symbol", of=symbol)

    def look(self) -> list[dict[str, Any]]:
        """Read on in the exchange's journal; the new entries."""
        new = self._tail.read()
        for entry in new:
            self.market.add(entry)
        return new

    # -- daemons --

    def command(self, *arguments: str) -> list[str]:
        """The program's command line on this data directory."""
        return [
            sys.executable, "-m", "algo_trader", "--env-file", str(self.place / "exchange.env"),
            "--data-dir", str(self.data), *arguments,
        ]  # fmt: skip

    def start(self, by: Sequence[str] = (), more: Mapping[str, str] | None = None) -> Life:
        """Begin a daemon, `by` what stands in front of it. It leads a group of processes."""
        file = self.place / f"life-{len(self.lives) + 1:04}.log"
        command = [*by, *self.command("start", "--broker", "alpaca", "--strategy", STRATEGY)]
        with file.open("wb") as log:
            process = subprocess.Popen(
                command, cwd=self.place, env=_environment({**SETTINGS, **(more or {})}),
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
        life = Life(process, file, Span(time.time()))
        self.lives.append(life)
        return life

    def wait_ready(self, life: Life, patience_s: float = PATIENCE_S) -> bool:
        """Wait until it trades; False if it has ended before."""

        def seen() -> bool:
            life.look()
            return life.span.ready_at is not None or not life.is_alive

        self.until("a daemon that trades", seen, patience_s)
        return life.span.ready_at is not None

    def hit(self, life: Life) -> int:
        """kill -9, if it has not ended; its exit code."""
        if life.is_alive:
            os.killpg(life.process.pid, signal.SIGKILL)
        code = life.process.wait(PATIENCE_S)
        if life.span.ended_at is None:
            life.span.ended_at = time.time()
        life.look()
        self.look()
        return code

    def stopped(self, life: Life, patience_s: float = PATIENCE_S) -> int:
        """Its end by SIGTERM; its exit code."""
        life.process.terminate()
        try:
            life.process.wait(patience_s)
        except subprocess.TimeoutExpired as error:
            raise TooLate("it has not ended in good order") from error
        return self.hit(life)

    # -- waiting and judging --

    def until(self, what: str, holds: Callable[[], Any], patience_s: float = PATIENCE_S) -> Any:
        """The first true answer of `holds`. Raises TooLate."""
        ends = time.monotonic() + patience_s
        while not (found := holds()):
            if time.monotonic() > ends:
                raise TooLate(f"{what}: not within {patience_s:g} s")
            time.sleep(POLL_S)
        return found

    def wait_quiet(self, life: Life, patience_s: float = PATIENCE_S) -> None:
        """Wait until nothing is under way and every position has its stop. Not to be so is for the
        oracle to tell."""

        def is_quiet() -> bool:
            self.look()
            life.look()
            is_covered = not self.market.open_bare()
            is_still = time.time() - max(self.market.last_change, since) > QUIET_S
            return (is_covered and is_still) or not life.is_alive

        since = time.time()
        try:
            self.until("nothing under way", is_quiet, patience_s)
        except TooLate:
            return

    def was_still(self, life: Life) -> bool:
        """Whether nothing has happened at the exchange just before its end, of which it may not
        have heard yet.
        """
        self.look()
        return self.market.last_change < (life.span.ended_at or 0.0) - HEARS_S

    def wait_answered(self, life: Life) -> None:
        """Wait until it knows what became of the orders that had no answer when it began."""

        def is_known() -> bool:
            life.look()
            self.look()
            told = {line.get("order_id") for line in life.log if line["event"] in ANSWERS}
            return self.unanswered <= told or not life.is_alive

        self.until(f"answers about {sorted(self.unanswered)}", is_known, PROOF_S)

    def judged(self, *, is_quiet: bool = False, is_settled: bool = False) -> list[str]:
        """The findings about everything so far; no daemon runs."""
        self.look()
        book = read_ledger(self.ledger, self.place)
        last = self.lives[-1]
        known_until = last.span.began_at if last.span.ready_at is not None else 0.0
        if is_quiet:
            known_until = time.time()
        spans = [life.span for life in self.lives]
        found = judge(
            self.market, book, self.digests, spans, known_until=known_until, is_quiet=is_quiet,
            settled=self.unanswered if is_settled else (),
        )  # fmt: skip
        if is_quiet:
            orders = self.ask("GET", "/v2/orders?status=open&limit=500&nested=true")
            positions = self.ask("GET", "/v2/positions")
            account = self.ask("GET", "/v2/account")
            found += quiet_findings(self.market, book, account, positions, orders, CASH)
            self.comparisons["quiet"] += 1
        self.digests, self.unanswered = book.digests, book.unanswered
        self.comparisons |= {
            "orders": len(self.market.orders),
            "executions": len(self.market.executions),
            "facts": len(book.digests),
        }
        return list(dict.fromkeys(found))

    # -- life --

    def __enter__(self) -> World:
        return self

    def __exit__(self, *_: object) -> None:
        for life in self.lives:
            if life.is_alive:
                self.hit(life)
        self._exchange.kill()
        self._exchange.wait()


def _environment(settings: Mapping[str, str]) -> dict[str, str]:
    own = {name: value for name, value in os.environ.items() if not name.startswith("ALGO_")}
    return {**own, **settings}


def traced(calls: str, fault: str, *paths: Path) -> Iterator[str]:
    """The words of strace in front of a command: let a fault happen at system calls."""
    yield from ("strace", "-f", "--seccomp-bpf", "-qq", "-o", "/dev/null", "-e", f"trace={calls}")
    yield from ("-e", f"inject={calls}:{fault}")
    for path in paths:
        yield from ("-P", str(path))


def may_trace() -> bool:
    """Whether strace is there and allowed."""
    try:
        done = subprocess.run(
            [*traced("fdatasync", "error=EIO"), "true"], capture_output=True, timeout=10
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0


