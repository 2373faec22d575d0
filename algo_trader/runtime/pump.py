"""The pump: the only task that records and acts.

Inputs come through one bounded inbox. A step takes all that waits, lets the engine answer, commits
the facts of the step in one transaction and only then sends its commands: record, then act. At most
one command is in flight per order, each with a timeout. Silence is never a refusal: what has no
answer is recorded as unknown and looked up at the broker until the broker has told.

With `is_lockstep` (virtual time) the next candle waits until every answer to the one before was
fed, and `settled` lets the market's clock wait for it; live time waits for nobody.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TypeAlias

from algo_trader.core import commands as cmd
from algo_trader.core import events as ev
from algo_trader.core import work
from algo_trader.core.errors import (
    BrokerError,
    CoreError,
    StrategyError,
)
from algo_trader.core.inputs import Input, Reports, Settle, Truths
from algo_trader.core.ports import Broker
from algo_trader.core.types import ClientOrderId
from algo_trader.engine.engine import Engine
from algo_trader.engine.hands import Step
from algo_trader.engine.intake import Intake
from algo_trader.runtime.lookups import Lookups
from algo_trader.runtime.outcomes import carried_out

DOUBTFUL = (ev.OutcomeUnknown, ev.CancelUnanswered, ev.CancelRefused, ev.OrderAccepted)
"""Facts after which an order may have to be asked about (work.unanswered says which)."""

COMMAND_TIMEOUT_S = 10.0

Append: TypeAlias = Callable[[Sequence[ev.Fact]], Awaitable[None]]
Tell: TypeAlias = Callable[[Sequence[ev.Fact]], None]
Ask: TypeAlias = Callable[[], Awaitable[Input | None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class PumpTerms:
    """How the pump deals with a broker.

    `command_timeout_s` seconds of silence make an outcome unknown. `settle_s` is the longest life a
    request can have: only after it is the broker's "no such order" believed. Positions that differ
    must do so twice, `grace_s` apart.
    """

    is_lockstep: bool
    command_timeout_s: float = COMMAND_TIMEOUT_S
    settle_s: float = 30.0
    grace_s: float = 5.0
    inbox_capacity: int = 10_000


class InboxFull(CoreError):
    """The pump cannot keep up: going on would trade on the past."""


class Pump:
    """Feeds one engine, keeps its facts, carries out its commands.

    `facts_recorded` counts facts of this process; `commit_s` and `decision_s` hold the latest
    durations, in seconds, of commits and from a completed candle to its order's leaving. `mistake`
    is the first one of a user's strategy: fills are still followed, nothing is asked of it.
    """

    def __init__(
        self,
        engine: Engine,
        intake: Intake,
        broker: Broker,
        append: Append,
        terms: PumpTerms,
        tell: Tell,
        clock: Callable[[], float] = time.monotonic,
        tell_mistake: Callable[[StrategyError], None] = lambda error: None,
    ) -> None:
        self.engine = engine
        self.terms = terms
        self.facts_recorded = 0
        self.commit_s: deque[float] = deque(maxlen=1000)
        self.decision_s: deque[float] = deque(maxlen=1000)
        self._intake = intake
        self._broker = broker
        self._append = append
        self._tell = tell
        self._inbox: asyncio.Queue[Input] = asyncio.Queue(terms.inbox_capacity)
        self._facts: list[ev.Fact] = []
        self._commands: list[cmd.Command] = []
        self._in_flight: dict[ClientOrderId, asyncio.Task[None]] = {}
        self._behind: list[cmd.Command] = []
        self._lookups = Lookups(terms.settle_s, clock)
        self._idle = asyncio.Event()
        self._failure: BaseException | None = None
        self._askers: list[tuple[Input, asyncio.Future[None]]] = []
        self._tell_mistake = tell_mistake
        self.mistake: StrategyError | None = None
        self._decided_at = 0.0
        self._woken: set[ClientOrderId] = set()

    # -- the way in --

    def put(self, item: Input) -> None:
        """Hand over an input; InboxFull if too many wait."""
        self._idle.clear()
        try:
            self._inbox.put_nowait(item)
        except asyncio.QueueFull:
            raise InboxFull(
                f"{self.terms.inbox_capacity} inputs wait for the pump: it has fallen behind"
            ) from None

    async def ask(self, item: Input) -> None:
        """Hand over an input; returns when what it led to is recorded, busy or not."""
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._askers.append((item, done))
        self.put(Settle())  # Wakes the loop.
        await done

    async def settled(self) -> None:
        """Return when every input was processed and no command is in flight."""
        while not self._is_settled():
            self._idle.clear()
            await self._idle.wait()

    @property
    def in_flight(self) -> list[ClientOrderId]:
        """Orders that wait for an answer of the broker at this moment."""
        return list(self._in_flight)

    # -- the loop --

    async def run(self) -> None:
        """Until cancelled, or until something fails that must end the process."""
        try:
            while True:
                item = await self._inbox.get()
                if self._failure is not None:
                    raise self._failure
                self._take(item)
                while not self._inbox.empty():
                    self._take(self._inbox.get_nowait())
                askers, self._askers = self._askers, []
                for asked, _ in askers:
                    self._take(asked)
                await self._work_off()
                for _, done in askers:
                    if not done.done():
                        done.set_result(None)
        finally:
            for task in dict.fromkeys(self._in_flight.values()):
                task.cancel()

    def _take(self, item: Input) -> None:
        if isinstance(item, Truths):
            item = item._replace(busy=frozenset(self._busy()))
        self._guard(self._intake.take, item)

    def _guard(self, answer: Callable[..., Step], *given: Input) -> None:
        """An answer of the engine. A mistake of the strategy's must not lose a fill: what it did
        not keep from being decided is recorded and sent, and from then on nothing is asked of it.
        """
        try:
            self._gather(answer(*given))
        except StrategyError as error:
            self.engine.is_ready = False
            self._gather(self.engine.hands.step())
            if self.mistake is None:
                self.mistake = error
                self._tell_mistake(error)

    def _gather(self, step: Step) -> None:
        self._facts += step.facts
        self._commands += step.commands

    async def _work_off(self) -> None:
        """Due candles, the step's facts, its commands; until only answers are awaited."""
        engine = self.engine
        while True:
            self._decide()
            if self._facts:
                await self._record()
            for command in self._commands:
                self._send(command)
            self._commands = []
            if not engine.due or (self.terms.is_lockstep and self._in_flight):
                break
        if self._facts:
            raise CoreError("facts of a step were left behind")
        if self._is_settled():
            if engine.has_line:
                engine.settled()
            self._idle.set()

    def _decide(self) -> None:
        engine, is_lockstep = self.engine, self.terms.is_lockstep
        while True:
            is_waiting = is_lockstep and (self._commands or self._in_flight)
            if engine.has_line and not is_waiting:
                engine.settled()
            if self.mistake is not None:
                engine.due.clear()
            if is_waiting or not engine.due:
                return
            if not self._facts:
                self._decided_at = time.perf_counter()
            self._guard(engine.on_candle_due)

    async def _record(self) -> None:
        facts, self._facts = self._facts, []
        began = time.perf_counter()
        await self._append(facts)
        self.commit_s.append(time.perf_counter() - began)
        self.facts_recorded += len(facts)
        self._tell(facts)
        doubtful = [fact.order_id for fact in facts if isinstance(fact, DOUBTFUL)]
        for order_id in doubtful:
            self._lookups.hurry(order_id)
        if doubtful:
            self.look_up()

    def _is_settled(self) -> bool:
        return self._inbox.empty() and not (
            self._in_flight or self._facts or self._commands or self.engine.due
        )

    # -- the way out --

    def _send(self, command: cmd.Command) -> None:
        """Send a command, or let it wait until the order's last one has its answer."""
        if self._failure is not None:
            return  # Nothing leaves after what must end the process.
        ids = _orders_of(command)
        waiting = {order_id for other in self._behind for order_id in _orders_of(other)}
        if any(order_id in self._in_flight or order_id in waiting for order_id in ids):
            self._behind.append(command)
            return
        if isinstance(command, cmd.Submit | cmd.SubmitPair):
            self.decision_s.append(time.perf_counter() - self._decided_at)
        for request in cmd.placed_by(command):
            self._lookups.begin_anew(request.order_id)
        self._start(ids, partial(self._carry_out, command))

    def _start(self, ids: Sequence[ClientOrderId], ask: Ask) -> None:
        task = asyncio.create_task(self._ask(ids, ask))
        for order_id in ids:
            self._in_flight[order_id] = task

    async def _ask(self, ids: Sequence[ClientOrderId], ask: Ask) -> None:
        """Wait for an answer, free the orders it belongs to, hand it in."""
        answer: Input | None = None
        try:
            answer = await ask()
        except asyncio.CancelledError:
            raise
        except BaseException as error:  # noqa: BLE001 - the pump ends with it.
            self._failure = error
        finally:
            for order_id in ids:
                self._in_flight.pop(order_id, None)
        try:
            self.put(answer if answer is not None else Reports(()))
        except InboxFull as error:
            self._failure = error  # The pump meets it at the next of all that waits.
        behind, self._behind = self._behind, []
        for command in behind:
            self._send(command)
        self._ask_about_woken()

    async def _carry_out(self, command: cmd.Command) -> Input:
        timeout_s = self.terms.command_timeout_s
        return Reports(
            await carried_out(self.engine, self._broker, self._lookups, command, timeout_s)
        )

    # -- what has no answer --

    def wake(self, order_ids: Iterable[ClientOrderId]) -> None:
        """News of these orders has come on another channel: ask the broker about them at once."""
        self._woken.update(order_ids)
        self._ask_about_woken()

    def _ask_about_woken(self) -> None:
        for order_id in sorted(self._woken - self._in_flight.keys()):
            self._woken.remove(order_id)
            if order_id in self.engine.book.orders and self._failure is None:
                self._start((order_id,), partial(self._look_up, order_id))

    def look_up(self) -> None:
        """Ask the broker about every order whose answer is missing, each in its own time."""
        missing = work.unanswered(self.engine.book)
        for order in self._lookups.due(missing, self._busy()):
            self._start((order.order_id,), partial(self._look_up, order.order_id))

    def _busy(self) -> set[ClientOrderId]:
        """Orders that are in flight, or whose command is recorded and not on its way yet."""
        busy = set(self._in_flight)
        for command in (*self._commands, *self._behind):
            busy.update(_orders_of(command))
        return busy

    async def _look_up(self, order_id: ClientOrderId) -> Input | None:
        try:
            async with asyncio.timeout(self.terms.command_timeout_s):
                truth = await self._broker.order(order_id)
        except (BrokerError, TimeoutError):
            return None  # Asked again at a later heartbeat.
        if truth is None and not self._lookups.is_proof(order_id):
            order = self.engine.book.orders.get(order_id)
            # The same id again can make no second order, so a stop need not wait for the proof.
            is_safe = order is not None and work.may_repeat(self.engine.book, order)
            if not (is_safe and self._lookups.is_repeatable(order_id)):
                return None
        return Truths({order_id: truth})


def _orders_of(command: cmd.Command) -> tuple[ClientOrderId, ...]:
    if isinstance(command, cmd.Submit):
        return (command.request.order_id,)
    if isinstance(command, cmd.Cancel):
        return (command.order_id,)
    if isinstance(command, cmd.SubmitPair):
        return (command.target.order_id, command.stop.order_id)
    return (command.order_id, command.request.order_id)
