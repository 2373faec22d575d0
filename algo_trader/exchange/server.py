"""The exchange on loopback: REST, both streams and the tester's door on one port.

Owns how the parts hang together and their life. What an order may do is the desk's business, when
the market moves is the floor's; both are driven from the one event loop that serves the clients.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aiohttp import web

from algo_trader.core.errors import ConfigError
from algo_trader.core.session import SessionTable
from algo_trader.core.types import MINUTE, Bar, Instant, Session, Symbol
from algo_trader.exchange.asking import Answer, Ask, Route
from algo_trader.exchange.budget import RequestBudget
from algo_trader.exchange.control import Control
from algo_trader.exchange.data_stream import AUTH_WAIT_S, DataStream
from algo_trader.exchange.days import DaysSoFar
from algo_trader.exchange.deeds import Deeds
from algo_trader.exchange.desk import Desk
from algo_trader.exchange.door import Door
from algo_trader.exchange.errors import ApiFault
from algo_trader.exchange.fault_book import NOBODY, FaultBook, Rule, Subject, subject_of
from algo_trader.exchange.fault_words import (
    MARKET_CLOSE,
    MARKET_FILL,
    MARKET_MINUTE,
    MARKET_OPEN,
    NOW,
)
from algo_trader.exchange.floor import Floor
from algo_trader.exchange.journal import Journal
from algo_trader.exchange.keys import Keys
from algo_trader.exchange.rest_data import DataRoutes, DataTerms
from algo_trader.exchange.rest_faults import RestFaults
from algo_trader.exchange.rest_trading import TradingRoutes
from algo_trader.exchange.trade_stream import TradeStream
from algo_trader.exchange.wire import rfc3339

LINE_FAULTS = ("mute", "no_pongs", "close", "reset")
FILLS = ("fill", "partial_fill")
REQUEST_MOST = 1024 * 1024
END_WAIT_S = 2.0
LINGER_S = 300
CORRECTIONS_AFTER_S = 30
"""Seconds after the minute mark at which corrected bars go out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerTerms:
    """Where the exchange listens, whom it serves and how much of what.

    `rate_per_minute` requests a virtual minute on each host, `connections` to each stream at a
    time, `symbols_most` on a data connection; 0 is no limit. Who does not authenticate on the data
    stream within `auth_wait_s` real seconds is sent away. With `waits_for_clients` virtual time
    stands until somebody has read the clock, and again at the open until somebody has subscribed to
    bars.
    """

    host: str = "127.0.0.1"
    port: int = 0
    keys: Keys
    rate_per_minute: int = 200
    connections: int = 1
    symbols_most: int = 0
    auth_wait_s: float = AUTH_WAIT_S
    has_recent_sip: bool = True
    waits_for_clients: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoints:
    """The addresses to use."""

    trading: str
    data: str
    trade_stream: str
    data_stream: str


class Exchange:
    """A desk and a floor, served. Virtual time stops a while after the last close, `ends_at`."""

    def __init__(
        self,
        desk: Desk,
        floor: Floor,
        sessions: SessionTable,
        terms: ServerTerms,
        *,
        ends_at: float,
        rules: Iterable[Rule] = (),
        journal_file: Path | None = None,
    ) -> None:
        self._desk = desk
        self._floor = floor
        self._terms = terms
        self._ends_at = ends_at + LINGER_S
        self.journal = Journal(self.now, terms.keys.secret, journal_file)
        self._faults = FaultBook(rules, self._fault_fired)
        self._stopping = asyncio.Event()
        self._subscribed = asyncio.Event()
        self._awake = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._days = DaysSoFar()
        tell, now = self.journal.add, self.now
        self._trade = TradeStream(terms.keys, self._faults, tell, now, terms.connections)
        self._data = DataStream(
            terms.keys,
            self._faults,
            tell,
            now,
            connections=terms.connections,
            symbols_most=terms.symbols_most,
            auth_wait_s=terms.auth_wait_s,
        )
        self._deeds = Deeds(desk, floor, now, self._data.publish_status)
        self._rest_faults = RestFaults(desk, self._deeds, now, self._stopping, self._spawn)
        self._door = Door(
            keys=terms.keys,
            desk=desk,
            faults=self._faults,
            rest_faults=self._rest_faults,
            tell=tell,
            now=now,
            stopping=self._stopping,
        )
        self._sessions = sessions
        self._runner: web.AppRunner | None = None
        desk.on_update = self._updated
        floor.on_bars = self._bars
        floor.on_session = self._session
        self._data.on_subscribed = self._client_is_ready

    # -- life --

    async def start(self) -> Endpoints:
        """Listen. Raises ConfigError if the port cannot be had."""
        app = web.Application(client_max_size=REQUEST_MOST)
        trading = RequestBudget(self._terms.rate_per_minute)
        data = RequestBudget(self._terms.rate_per_minute)
        routes = TradingRoutes(self._desk, self._sessions, self._awake.set).routes()
        self._add(app, routes, trading)
        visible = _Visible(self._floor, self._data.hidden)
        data_terms = DataTerms(has_recent_sip=self._terms.has_recent_sip)
        self._add(app, DataRoutes(visible, data_terms).routes(), data)
        app.router.add_get("/stream", self._trade.serve)
        app.router.add_get("/v2/{feed:iex|sip|delayed_sip|test}", self._data.serve)
        for method, path, deed in Control(self, self.journal).deeds():
            app.router.add_route(method, path, self._controlled(deed))
        self._add(app, [Route("*", "/{rest:.*}", _no_endpoint)], trading)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=END_WAIT_S)
        await self._runner.setup()
        site = web.TCPSite(self._runner, self._terms.host, self._terms.port)
        try:
            await site.start()
        except OSError as error:
            await self._runner.cleanup()
            raise ConfigError(
                f"--port {self._terms.port}: {error.strerror or error}: choose another, or 0"
            ) from error
        host, port = self._runner.addresses[0][:2]
        place = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        self._rest_faults.note_positions()
        return Endpoints(
            trading=f"http://{place}",
            data=f"http://{place}",
            trade_stream=f"ws://{place}/stream",
            data_stream=f"ws://{place}/v2/iex",
        )

    async def play(self) -> None:
        """Play the floor to its end; if that is waited for, from when a client wants bars on."""
        if self._terms.waits_for_clients:
            # A client that has read the clock takes it to run.
            await self._awake.wait()
            self._floor.begin()
            await self._subscribed.wait()
        self._floor.begin()
        while (due := self._floor.next_due) is not None:
            await self._floor.clock.sleep_until(due)
            self._play_one()
        self.journal.add("played")

    def _client_is_ready(self) -> None:
        self._awake.set()
        self._subscribed.set()

    async def stop(self) -> None:
        """Close every connection and the port."""
        self._stopping.set()
        await asyncio.gather(self._trade.close(), self._data.close())
        if self._runner is not None:
            await self._runner.cleanup()
        for task in list(self._tasks):
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
        self.journal.close()

    def _spawn(self, deed: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(self._guarded(deed))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _guarded(self, deed: Coroutine[Any, Any, None]) -> None:
        try:
            await deed
        except ApiFault as fault:
            self.journal.add("fault_failed", message=fault.message)

    def _add(self, app: web.Application, routes: Iterable[Route], budget: RequestBudget) -> None:
        for route in routes:
            handler = self._door.handler(route, budget)
            app.router.add_route(route.method, route.pattern, handler)

    def _controlled(
        self, deed: Callable[[Ask], Awaitable[Answer]]
    ) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        return self._door.unbudgeted(deed)

    def now(self) -> float:
        """Virtual time."""
        return min(self._floor.now(), self._ends_at)

    def _play_one(self) -> bool:
        """Play a step of the floor; false if there is none left."""
        due = self._floor.next_due
        has_played = self._floor.step()
        if due is not None and due % MINUTE == CORRECTIONS_AFTER_S:
            self._data.publish_corrections()
        return has_played

    # -- what the desk and the floor tell --

    def _updated(self, data: dict[str, Any]) -> None:
        order = data["order"]
        self._rest_faults.note_order(order["id"])
        self.journal.add("update", silent=self._deeds.is_silent, data=data)
        if data["event"] in FILLS:
            self._deeds.note_execution(order["id"], data["execution_id"], data["qty"])
            asyncio.get_running_loop().call_soon(self._filled, subject_of(order, data["event"]))
        if not self._deeds.is_silent:
            self._trade.publish(data)

    def _filled(self, subject: Subject) -> None:
        self._rest_faults.note_positions()
        self._at(MARKET_FILL, subject)

    def _bars(self, bars: Sequence[Bar], now: float) -> None:
        """Publish the bars of the minute that is over."""
        self._at(MARKET_MINUTE)
        self.journal.add("bars", count=len(bars), start=bars[0].start if bars else None)
        self._data.publish(bars, self._days.add(bars))

    def _session(self, session: Session, is_open: bool) -> None:
        self.journal.add("session", date=session.date.isoformat(), is_open=is_open)
        if is_open:
            self._days.begin(session)
        self._at(MARKET_OPEN if is_open else MARKET_CLOSE)

    # -- faults --

    def _at(self, point: str, subject: Subject = NOBODY) -> None:
        """Carry out the rules of a point of the market."""
        for rule in self._faults.all_at(point, subject, self.now()):
            try:
                self._do(rule, subject)
            except ApiFault as fault:
                self.journal.add("fault_failed", place=rule.place, message=fault.message)

    def _do(self, rule: Rule, subject: Subject) -> None:
        if rule.do in LINE_FAULTS:
            (self._trade if rule.args["stream"] == "trade" else self._data).misbehave(rule)
        else:
            self._deeds.do(rule, subject)

    def _fault_fired(self, rule: Rule, point: str, subject: Subject) -> None:
        self.journal.add(
            "fault", place=rule.place, point=point, do=rule.do, about=subject._asdict()
        )

    # -- the tester's door --

    def inject(self, rule: Rule) -> None:
        """Put a rule in force, or carry it out now. Raises ApiFault."""
        if rule.on != NOW:
            self._faults.add(rule)
            return
        self._fault_fired(rule, NOW, NOBODY)
        self._do(rule, NOBODY)
        rule.fired += 1

    def clear_faults(self) -> None:
        """Take every rule out of force."""
        self._faults.clear()

    async def step(self, steps: int) -> int:
        """Play the next steps of the floor; how many there were."""
        for done in range(steps):
            if not self._play_one():
                return done
            await asyncio.sleep(0)  # What was told reaches the lines before the next step.
        return steps

    async def step_until(self, instant: float) -> None:
        """Play every step that is due until this instant, and put the clock there."""
        while (due := self._floor.next_due) is not None and due <= instant:
            await self.step(1)
        self._floor.clock.set(instant)

    def state(self) -> dict[str, Any]:
        """Virtual time, connections, rules in force."""
        return {
            "now": rfc3339(self.now()),
            "trade_connections": len(self._trade.lines),
            "listening": self._trade.listening,
            "data_connections": len(self._data.lines),
            "subscribers": self._data.subscribers,
            "journal": len(self.journal),
            "faults": [rule.state() for rule in self._faults.rules],
        }


def _no_endpoint(ask: Ask) -> Answer:
    raise ApiFault(404, 40410000, "endpoint not found.")


class _Visible:
    """The floor's history without the bars that a fault script hides."""

    def __init__(self, floor: Floor, hidden: set[tuple[Symbol, Instant]]) -> None:
        self._floor = floor
        self._hidden = hidden

    def history(
        self, symbols: Sequence[Symbol], start: Instant, end: Instant
    ) -> Mapping[Symbol, Sequence[Bar]]:
        """What a client may read."""
        found = self._floor.history(symbols, start, end)
        if not self._hidden:
            return found
        return {
            symbol: [bar for bar in bars if (symbol, bar.start) not in self._hidden]
            for symbol, bars in found.items()
        }
