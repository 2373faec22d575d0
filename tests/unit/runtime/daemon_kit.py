"""A whole daemon in a test: a broker and a market across a line, a ledger that is a list.

The clock that also runs while the machine sleeps is the loop's, so that a life passes in virtual
time; `Market.past` and every question to the broker are in one log, in the order they came.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from decimal import Decimal
from typing import Any, cast

from pump_kit import LIVE, SESSION, Eager
from test_remote import Far

from algo_trader.core import events as ev
from algo_trader.core.book import Book
from algo_trader.core.broker import BrokerPosition
from algo_trader.core.errors import BrokerError
from algo_trader.core.inputs import PastDay
from algo_trader.core.ports import Inbox, LineState
from algo_trader.core.types import Instant, Session, Symbol
from algo_trader.engine.engine import Engine
from algo_trader.engine.intake import Intake
from algo_trader.engine.lane import Lane
from algo_trader.ledger.writer import Writer
from algo_trader.risk.limits import RiskLimits
from algo_trader.runtime.daemon import Daemon, Parts
from algo_trader.runtime.gate import Gate
from algo_trader.runtime.lines import Lines
from algo_trader.runtime.remote import RemoteTerms
from algo_trader.simulation.loop import now as loop_now


class Notebook:
    """The ledger's writer: facts in a list. It folds what it was given at first."""

    def __init__(self, facts: Sequence[ev.Fact] = ()) -> None:
        self.facts = list(facts)
        self.ended = threading.Event()

    async def start(self) -> None:
        """Nothing to open."""

    async def run(self, closure: Callable[[Notebook], object]) -> object:
        """The closure's answer."""
        return closure(self)

    async def append(self, facts: Sequence[ev.Fact]) -> None:
        """Keep them."""
        self.facts += facts

    async def close(self) -> None:
        """The end."""
        self.ended.set()

    def fold(self) -> Book:
        """A book of all facts."""
        book = Book()
        for fact in self.facts:
            book.apply(fact)
        return book

    def count(self) -> int:
        """How many there are."""
        return len(self.facts)


class Logged(Far):
    """The far broker; questions and commands go to one log of the whole daemon."""

    def __init__(self, log: list[str]) -> None:
        super().__init__()
        self.log = log

    def _ask(self, name: str) -> None:
        if not self.log or self.log[-1] != name:
            self.log.append(name)
        super()._ask(name)


class Street:
    """core's Market: `past` fails while `error` is set; trading waits to be cancelled.

    Its clock is `began` plus the loop's time.
    """

    def __init__(self, log: list[str]) -> None:
        self.log = log
        self.error: BrokerError | None = None
        self.began: Instant = SESSION.opens_at + 60
        self.days: list[PastDay] = []

    @property
    def now(self) -> Instant:
        """Market time."""
        return self.began + int(asyncio.get_running_loop().time())

    async def past(self) -> Sequence[PastDay]:
        """What was put in."""
        self.log.append("past")
        if self.error is not None:
            raise self.error
        return self.days

    async def run(self, inbox: Inbox) -> None:
        """Nothing happens."""
        self.log.append("trading")
        await asyncio.Event().wait()


class Shop:
    """The daemon with all of this around it."""

    def __init__(
        self,
        facts: Sequence[ev.Fact] = (),
        streams: Sequence[tuple[str, Callable[[], Coroutine[Any, Any, None]]]] = (),
    ) -> None:
        self.log: list[str] = []
        self.events: list[tuple[str, dict[str, object]]] = []
        self.far = Logged(self.log)
        self.street = Street(self.log)
        self.notebook = Notebook(facts)
        self.strategy = Eager("X")
        self.strategy.is_eager = False
        self.session: Session | None = SESSION
        self.door = Gate(self.note)
        self.daemon = Daemon(
            Parts(
                broker_name="far",
                broker=self.far,
                market=self.street,
                writer=cast(Writer, self.notebook),
                make_engine=self._make_engine,
                make_intake=Intake,
                terms=LIVE,
                ends_with_market=False,
                log=self.note,
                narrate=lambda book, facts: None,
                gate=self.door,
                lines=Lines(self.door, self.note),
                monotonic=loop_now,
                standing=loop_now,
                remote=RemoteTerms(
                    sweep_every_s=5.0,
                    compare_every_s=300.0,
                    streams=streams,
                    read_skew=self._read_skew,
                    now=lambda: self.street.now,
                    session=lambda: self.session,
                ),
            )
        )

    def _make_engine(self, book: Book) -> Engine:
        lane = Lane("s", self.strategy, book.holding("s", "X"))
        return Engine(book, [lane], RiskLimits(), patience_s=90)

    async def _read_skew(self) -> float:
        return 0.0

    def note(self, event: str, /, **fields: object) -> None:
        """The log."""
        self.events.append((event, fields))

    def noted(self, event: str) -> list[dict[str, object]]:
        """The fields of all events of that name."""
        return [fields for name, fields in self.events if name == event]

    def kinds(self) -> list[str]:
        """The facts so far, in short."""
        return [type(fact).__name__ for fact in self.notebook.facts]

    def hold(self, symbol: Symbol, qty: int, price: Decimal | None = None) -> None:
        """The broker holds shares, bought at 11, whose price it tells or not."""
        self.far.held[symbol] = BrokerPosition(symbol, Decimal(qty), Decimal(11), price)

    async def run(self, story: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """The story, with the daemon's standing tasks and trading beside it."""
        await self.daemon.prepare()
        self.daemon.hear_trade_stream(LineState.CONNECTED)
        remote = self.daemon.remote
        assert remote is not None
        works = [self.daemon.pump.run(), self.daemon.heartbeat(), self.daemon.trade()]
        works += [work() for _, work in remote.tasks()]
        tasks = [asyncio.create_task(work) for work in works]
        try:
            await story()
            for task in tasks:
                if task.done():
                    task.result()
            assert not any(task.done() for task in tasks)
        finally:
            for task in tasks:
                task.cancel()
            with suppress(asyncio.CancelledError):
                await asyncio.gather(*tasks, return_exceptions=True)
