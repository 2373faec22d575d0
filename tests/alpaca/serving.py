"""An exchange for tests: in this process, on a free port, in a thread with a loop of its own.

    with serving(day({"AA": ["10", "10.5", "11"]})) as exchange:
        client = exchange.trading_client()
        exchange.step(3)

Without a speed virtual time stands until `step` or `step_to` plays it; nothing ever sleeps.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any, TypeVar

from algo_trader.core.session import SessionTable
from algo_trader.core.types import MINUTE, Bar, Instant, Session
from algo_trader.exchange.assembly import Replayed, assemble
from algo_trader.exchange.fault_script import rule_of
from algo_trader.exchange.keys import Keys
from algo_trader.exchange.server import Endpoints, Exchange, ServerTerms
from algo_trader.feeds.tape import Tape, build_tape
from algo_trader.venue.costs import Costs
from algo_trader.venue.rules import VenueRules

KEY_ID, SECRET = "test-key", "canary-secret-9c1f"
DEADLINE_S = 10.0
FIRST_OPEN = 1_704_205_800  # 2024-01-02 09:30 in New York
DAY_S = 86_400
SESSIONS = SessionTable(
    [
        Session(
            date.fromordinal(date(2024, 1, 2).toordinal() + number),
            FIRST_OPEN + number * DAY_S,
            FIRST_OPEN + number * DAY_S + minutes * MINUTE,
        )
        for number, minutes in ((0, 390), (1, 390), (2, 210), (3, 390), (6, 390))
    ]
)
"""Five sessions; the third is a short one, and a weekend is in between."""

Value = TypeVar("Value")


def day(closes: Mapping[str, Sequence[str]], number: int = 0, volume: int = 1000) -> list[Bar]:
    """A session's bars: each opens at the close before, `number` says which session."""
    opens_at = list(SESSIONS)[number].opens_at
    bars: list[Bar] = []
    for symbol, prices in closes.items():
        before = Decimal(prices[0])
        for minute, words in enumerate(prices):
            close = Decimal(words)
            high, low = max(before, close), min(before, close)
            start = opens_at + minute * MINUTE
            bars.append(Bar(symbol, start, before, high, low, close, volume))
            before = close
    return bars


def tape_of(bars: Iterable[Bar], sessions: SessionTable = SESSIONS) -> Tape:
    """A tape of bars in any order."""
    by_symbol: dict[str, list[Bar]] = {}
    for bar in sorted(bars, key=lambda bar: bar.start):
        by_symbol.setdefault(bar.symbol, []).append(bar)
    return build_tape(by_symbol, sessions)


def eventually(
    ask: Callable[[], Value], deadline_s: float = DEADLINE_S, interval_s: float = 0.01
) -> Value:
    """The first answer that is true; AssertionError after the deadline."""
    until = time.monotonic() + deadline_s
    while True:
        found = ask()
        if found:
            return found
        assert time.monotonic() < until, f"not so after {deadline_s} s"
        time.sleep(interval_s)


@dataclass
class Serving:
    """A running exchange."""

    exchange: Exchange
    urls: Endpoints
    loop: asyncio.AbstractEventLoop

    @property
    def key_id(self) -> str:
        """The key id clients must give."""
        return KEY_ID

    @property
    def secret(self) -> str:
        """The secret clients must give."""
        return SECRET

    @property
    def now(self) -> float:
        """Virtual time."""
        return self.exchange.now()

    def step(self, steps: int = 1) -> int:
        """Play the next steps of the floor: open, then match, entry bar and publish each minute."""
        asked = asyncio.run_coroutine_threadsafe(self.exchange.step(steps), self.loop)
        return asked.result(DEADLINE_S)

    def step_to(self, instant: Instant | float) -> None:
        """Play every step that is due until this instant."""
        asked = asyncio.run_coroutine_threadsafe(self.exchange.step_until(instant), self.loop)
        asked.result(DEADLINE_S)

    def step_minutes(self, minutes: int) -> None:
        """Go on by whole minutes of the session."""
        self.step_to(self.now // MINUTE * MINUTE + minutes * MINUTE)

    def fault(self, **words: Any) -> None:
        """Inject one fault by hand; on = "now" if no point is named."""
        rule = rule_of(words, "fault", may_be_now=True)
        self.do(lambda: self.exchange.inject(rule))

    def do(self, deed: Callable[[], Value]) -> Value:
        """Call something in the exchange's own thread."""

        async def call() -> Value:
            return deed()

        return asyncio.run_coroutine_threadsafe(call(), self.loop).result(DEADLINE_S)

    def journal(self, kind: str | None = None) -> list[dict[str, Any]]:
        """What the exchange saw and did so far."""
        return self.do(lambda: self.exchange.journal.entries(kind))

    def state(self) -> dict[str, Any]:
        """Connections, rules and virtual time."""
        return self.do(self.exchange.state)


@contextmanager
def serving(
    bars: Iterable[Bar] | Tape,
    *,
    first: date | None = None,
    last: date | None = None,
    speed: float | None = None,
    cash: Decimal = Decimal(25000),
    faults: Iterable[Mapping[str, Any]] = (),
    rate: int = 0,
    connections: int = 1,
    waits_for_clients: bool = False,
    has_recent_sip: bool = True,
    symbols_most: int = 0,
    auth_wait_s: float = 10.0,
    account: str = "PA0TEST",
    costs: Costs | None = None,
    rules: VenueRules | None = None,
    sessions: SessionTable = SESSIONS,
    journal_file: Path | None = None,
    port: int = 0,
) -> Iterator[Serving]:
    """An exchange that serves these bars. With a speed it plays; without one it is stepped.

    Sessions before `first` are the history. `faults` are entries as in a fault script.
    """
    tape = bars if isinstance(bars, Tape) else tape_of(bars, sessions)
    history, period = tape.between(first, last)
    replayed = Replayed(
        history=history,
        period=period,
        symbols=tape.symbols,
        sessions=sessions,
        costs=costs or Costs(),
        rules=rules or VenueRules(),
        account=account,
        cash=cash,
        speed=speed,
    )
    terms = ServerTerms(
        keys=Keys(KEY_ID, SECRET),
        port=port,
        rate_per_minute=rate,
        connections=connections,
        symbols_most=symbols_most,
        auth_wait_s=auth_wait_s,
        has_recent_sip=has_recent_sip,
        waits_for_clients=waits_for_clients,
    )
    script = [rule_of(entry, f"fault {n}") for n, entry in enumerate(faults, start=1)]
    ready: list[Serving] = []
    failures: list[BaseException] = []
    is_ready = threading.Event()

    async def live() -> None:
        exchange = assemble(replayed, terms, rules=script, journal_file=journal_file)
        loop = asyncio.get_running_loop()
        ended = asyncio.Event()
        ready.append(Serving(exchange, await exchange.start(), loop))
        playing = None if speed is None else asyncio.create_task(exchange.play())
        enders.append(lambda: loop.call_soon_threadsafe(ended.set))
        is_ready.set()
        await ended.wait()
        if playing is not None:
            playing.cancel()
            ends = await asyncio.gather(playing, return_exceptions=True)
            failures.extend(end for end in ends if isinstance(end, Exception))
        await exchange.stop()

    def run() -> None:
        try:
            asyncio.run(live())
        except BaseException as error:  # noqa: BLE001 - told to the test below
            failures.append(error)
            is_ready.set()

    enders: list[Callable[[], Any]] = []
    thread = threading.Thread(target=run, name="exchange")
    thread.start()
    assert is_ready.wait(DEADLINE_S)
    try:
        if failures:
            raise failures[0]
        yield ready[0]
    finally:
        for end in enders:
            end()
        thread.join(DEADLINE_S)
    assert not thread.is_alive(), "the exchange did not stop"
    if failures:
        raise failures[0]
