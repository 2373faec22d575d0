"""Watches the daemon's tasks: none ends unseen, and what may be started again is.

A task whose end means that the daemon cannot go on takes the process with it; one that talks to
the outside is restarted, and if it keeps failing a graceful shutdown is asked for: stops rest at
the broker, so an orderly end is safer than a daemon that no longer hears its fills.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine
from enum import StrEnum
from typing import Any, NamedTuple

from algo_trader.core.errors import CoreError, StorageFailure
from algo_trader.runtime import Log

Factory = Callable[[], Coroutine[Any, Any, object]]
"""Makes a fresh coroutine of the task, at every start."""

FATAL_ERRORS = (CoreError, StorageFailure)
"""What no restart mends: the process must end and read its files again."""
CANCEL_ROUNDS = 3


class Kind(StrEnum):
    """What the end of a task means."""

    FATAL = "fatal"
    """Any end, by return or exception, ends the process."""
    RESTARTED = "restarted"
    """Meant to run for ever: after any end it is started again, until it fails too often."""
    DONE_OK = "done_ok"
    """As RESTARTED, but it may return: then its work is done."""


class Failure(NamedTuple):
    """Why the process must end: the task and what it raised, None if it just returned."""

    name: str
    error: BaseException | None

    def __str__(self) -> str:
        return f"task {self.name} {_how(self.error)}"


class Backoff(NamedTuple):
    """Seconds until a restart: the first, times `factor` at each further one, `most_s` at most.

    A run longer than `window_s` begins anew. `failures` within `window_s` are too many.
    """

    first_s: float = 1.0
    factor: float = 2.0
    most_s: float = 30.0
    failures: int = 3
    window_s: float = 300.0

    def delay_s(self, failures_in_a_row: int) -> float:
        """The wait after so many failures, at least one."""
        delay = self.first_s
        for _ in range(failures_in_a_row - 1):
            delay = min(delay * self.factor, self.most_s)
        return delay


BACKOFF = Backoff()


class Supervisor:
    """Runs named tasks until one ends fatally, `end` is called, or all are done.

    Events go to `log`: task_failed (name, error; None if it returned), task_restarts (name, in_s),
    task_gave_up (name), task_done (name), task_failed_at_end (name, error), task_ignores_cancel
    (name), task_abandoned (name), stop_requested (reason). `clock` is monotonic, in seconds;
    `grace_s` is what a cancelled task has to end before it is reported and cancelled again.
    """

    def __init__(
        self,
        log: Log,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        backoff: Backoff = BACKOFF,
        grace_s: float = 5.0,
    ) -> None:
        self._log = log
        self._clock = clock
        self._sleep = sleep
        self._backoff = backoff
        self._grace_s = grace_s
        self._added: list[tuple[str, Factory, Kind]] = []
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._over = asyncio.Event()
        self._is_running = False
        self._failure: Failure | None = None
        self.stop_requested = asyncio.Event()
        """Set when a graceful shutdown is wanted; somebody else performs it and calls `end`."""
        self.stop_reason: str | None = None
        """Why it is wanted, of several the first; None until then."""

    def add(self, name: str, factory: Factory, kind: Kind) -> None:
        """Have a task run: at the beginning of `run`, or at once if that has begun.

        ValueError for a name that was there before. Has no effect once the end has begun.
        """
        if any(name == known for known, _, _ in self._added):
            raise ValueError(f"there is a task {name} already")
        self._added.append((name, factory, kind))
        if self._is_running and not self._over.is_set():
            self._launch(name, factory, kind)

    def request_stop(self, reason: str) -> None:
        """Ask for a graceful shutdown; tasks go on until `end`. Again has no effect."""
        if self.stop_reason is None:
            self.stop_reason = reason
            self._log("stop_requested", reason=reason)
            self.stop_requested.set()

    def end(self) -> None:
        """Cancel what runs and let `run` return. Again has no effect."""
        self._over.set()

    async def run(self) -> Failure | None:
        """Run all tasks; when it returns none is left.

        The failure of a fatal task (a CoreError or StorageFailure makes any task fatal), or None
        after `end` and when all tasks are done. Cancelling it ends the tasks too.
        """
        self._is_running = True
        for name, factory, kind in self._added:
            self._launch(name, factory, kind)
        try:
            if self._tasks:
                await self._over.wait()
        finally:
            self._over.set()
            await self._end_all()
        return self._failure

    def _launch(self, name: str, factory: Factory, kind: Kind) -> None:
        task = asyncio.create_task(self._keep(name, factory, kind), name=name)
        self._tasks[name] = task
        task.add_done_callback(lambda task: self._ended(name, task))

    def _ended(self, name: str, task: asyncio.Task[None]) -> None:
        del self._tasks[name]
        error = asyncio.CancelledError() if task.cancelled() else task.exception()
        if error is not None and not self._over.is_set():  # Cancelled by others, or a log raised.
            self._fail(Failure(name, error))
        if not self._tasks:
            self._over.set()

    async def _keep(self, name: str, factory: Factory, kind: Kind) -> None:
        """Run the task, and again as often as its kind and its failures allow."""
        failed_at: deque[float] = deque(maxlen=self._backoff.failures)
        in_a_row = 0
        while True:
            began_at = self._clock()
            error = await self._attempt(factory)
            if self._over.is_set():
                self._ended_late(name, error)
                return
            if error is None and kind is Kind.DONE_OK:
                self._log("task_done", name=name)
                return
            self._log("task_failed", name=name, error=error)
            if kind is Kind.FATAL or _is_fatal(error):
                self._fail(Failure(name, error))
                return
            now = self._clock()
            failed_at.append(now)
            is_often = len(failed_at) == self._backoff.failures
            if is_often and now - failed_at[0] <= self._backoff.window_s:
                self._log("task_gave_up", name=name)
                self.request_stop(
                    f"task {name} failed {len(failed_at)} times within"
                    f" {self._backoff.window_s:g} s, at last it {_how(error)}"
                )
                return
            in_a_row = 1 if now - began_at > self._backoff.window_s else in_a_row + 1
            delay_s = self._backoff.delay_s(in_a_row)
            self._log("task_restarts", name=name, in_s=delay_s)
            await self._sleep(delay_s)

    async def _attempt(self, factory: Factory) -> BaseException | None:
        """One run of the task: what it raised, None if it returned."""
        try:
            await factory()
        except (KeyboardInterrupt, SystemExit):
            raise
        except asyncio.CancelledError as error:
            if self._over.is_set():
                raise
            return error  # Not by us: a task that cancelled itself has ended all the same.
        except BaseException as error:  # noqa: BLE001 - no task ends unseen
            return error
        return None

    def _ended_late(self, name: str, error: BaseException | None) -> None:
        if error is None:
            return
        self._log("task_failed_at_end", name=name, error=error)
        if _is_fatal(error):
            self._fail(Failure(name, error))

    def _fail(self, failure: Failure) -> None:
        """Keep the first failure; what comes after it may be its consequence."""
        self._failure = self._failure or failure
        self._over.set()

    async def _end_all(self) -> None:
        """Cancel all tasks and wait; one that goes on is reported, cancelled again, given up."""
        for _ in range(CANCEL_ROUNDS):
            left = self._unfinished()
            if not left:
                return
            for task in left.values():
                task.cancel()
            await self._wait(set(left.values()))
            for name in self._unfinished():
                self._log("task_ignores_cancel", name=name)
        for name in self._unfinished():
            self._log("task_abandoned", name=name)

    def _unfinished(self) -> dict[str, asyncio.Task[None]]:
        return {name: task for name, task in self._tasks.items() if not task.done()}

    async def _wait(self, tasks: set[asyncio.Task[None]]) -> None:
        """Until all tasks have ended, but no longer than the grace."""
        patience = asyncio.ensure_future(self._sleep(self._grace_s))
        try:
            while tasks and not patience.done():
                await asyncio.wait({*tasks, patience}, return_when=asyncio.FIRST_COMPLETED)
                tasks = {task for task in tasks if not task.done()}
        finally:
            patience.cancel()
            await asyncio.wait({patience})


def _is_fatal(error: BaseException | None) -> bool:
    """Whether no task may go on after this: a broken invariant, or no plain exception at all."""
    if error is None or isinstance(error, asyncio.CancelledError):
        return False
    return isinstance(error, FATAL_ERRORS) or not isinstance(error, Exception)


def _how(error: BaseException | None) -> str:
    return "returned" if error is None else f"raised {type(error).__name__}: {error}"
