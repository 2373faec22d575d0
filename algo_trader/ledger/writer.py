"""One thread that owns the ledger, and asyncio's way to it.

Owns who may touch the connection: only this thread, which opens it, runs whole closures in the
order they came and closes it. There is no way to await half a transaction, and an awaiting task
that is cancelled takes nothing back: its closure runs to the end and the outcome is in the file.
Copies of the file are made in steps, with other work between them: trading does not wait.

With `is_grouping`, appends that wait together are committed together and acknowledged after it.
If the group is refused, nothing of it was written, and they are appended one by one, so that only
the one at fault fails.

It also sees to the snapshots of the fold: when asked (after the close), at the end of a life, and
between jobs when very many facts have come since the last one. No fact hangs on a snapshot, so one
that cannot be written is told of and not tried again.

Tests and simulations call the Ledger directly instead.
"""

from __future__ import annotations

import asyncio
import decimal
import queue
import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from algo_trader.core.errors import CoreError
from algo_trader.core.events import Fact
from algo_trader.ledger.errors import StorageError
from algo_trader.ledger.ledger import Ledger

Result = TypeVar("Result")

KEPT_AT_END = 1_000
"""At the end of a life a snapshot is written if a start would have to fold so many facts."""
KEPT_BETWEEN = 20_000
"""While it lives, if it would be so many: more than a day of trading brings, since what comes next
waits some 30 ms. It comes to this in fast replays.
"""


class _Job(NamedTuple):
    """A closure, the facts of an append, or where a copy goes; none of them means the end."""

    future: Future[Any]
    closure: Callable[[Ledger], Any] | None = None
    facts: Sequence[Fact] | None = None
    copy: Path | None = None

    @property
    def is_end(self) -> bool:
        return self.closure is None and self.facts is None and self.copy is None


class Writer:
    """The ledger's thread. `ended` is set when it has ended, for whatever reason."""

    def __init__(
        self, opener: Callable[[], Ledger], *, capacity: int = 1024, is_grouping: bool = False
    ) -> None:
        self._opener = opener
        self._jobs: queue.Queue[_Job] = queue.Queue(capacity)
        self._later: deque[_Job] = deque()
        self._is_grouping = is_grouping
        self._gate = threading.Lock()
        self._opened: Future[None] = Future()
        self._keeps_folds = True
        self._thread = threading.Thread(target=self._work, name="ledger", daemon=True)
        self.ended = threading.Event()

    async def start(self) -> None:
        """Open the ledger; raises what the opener raises."""
        self._thread.start()
        await asyncio.shield(asyncio.wrap_future(self._opened))

    async def append(self, facts: Sequence[Fact]) -> None:
        """Ledger.append, durable when this returns. `facts` must not be changed afterwards."""
        await self._await(_Job(Future(), facts=facts))

    async def run(self, closure: Callable[[Ledger], Result]) -> Result:
        """The result of `closure(ledger)`, run on the thread. It may not hand out an iterator."""
        result: Result = await self._await(_Job(Future(), closure=closure))
        return result

    async def copy(self, target: Path) -> None:
        """Ledger.snapshot; what is asked for meanwhile is done between its steps."""
        await self._await(_Job(Future(), copy=target))

    async def keep_fold(self) -> None:
        """Write a snapshot of the fold if anything is new; a failure is told of, not raised."""
        await self.run(lambda ledger: self._keep_fold(ledger, 0))

    async def close(self) -> None:
        """Finish what waits, close the file, end the thread."""
        if not self.ended.is_set():
            await self._await(_Job(Future()))
        await asyncio.to_thread(self._thread.join)

    async def _await(self, job: _Job) -> Any:
        with self._gate:
            if self.ended.is_set():
                raise StorageError("the ledger's writer has ended")
            try:
                job.future.set_running_or_notify_cancel()  # From here on nobody can cancel it.
                self._jobs.put_nowait(job)
            except queue.Full:
                raise StorageError("the ledger's queue is full: it cannot keep up") from None
        return await asyncio.shield(asyncio.wrap_future(job.future))

    # -- on the thread --

    def _work(self) -> None:
        # A new thread has the default decimal context: the precision the engine folds with, but
        # not the trap for floats.
        decimal.getcontext().traps[decimal.FloatOperation] = True
        last: Future[Any] | None = None
        try:
            try:
                ledger = self._opener()
            except BaseException as error:  # noqa: BLE001 - start() raises it.
                self._end()  # Before anyone hears of it, so that a close that follows is nothing.
                self._opened.set_exception(error)
                return
            self._opened.set_result(None)
            try:
                last = self._serve(ledger)
                self._keep_fold(ledger, KEPT_AT_END)
            finally:
                ledger.close()
        finally:
            self._end()
            if last is not None:
                last.set_result(None)

    def _serve(self, ledger: Ledger) -> Future[Any]:
        """Run jobs until the end is asked for; the future of who asked."""
        while True:
            job: _Job | None = self._later.popleft() if self._later else self._jobs.get()
            while job is not None:
                if job.is_end:
                    return job.future
                job = self._do(ledger, job)
            self._keep_fold(ledger, KEPT_BETWEEN)

    def _do(self, ledger: Ledger, job: _Job) -> _Job | None:
        """Do a job; the one after it, if that was taken from the queue already."""
        copy, closure = job.copy, job.closure
        if copy is not None:
            _settle(job.future, lambda: ledger.snapshot(copy, lambda: self._between(ledger)))
        elif closure is not None:
            _settle(job.future, lambda: closure(ledger))
        else:
            group: list[_Job] = []
            after = self._gather(job, group)
            self._append(ledger, group)
            return after
        return None

    def _between(self, ledger: Ledger) -> None:
        """Between two steps of a copy: what waits, but for another copy and the end."""
        while not self._jobs.empty():
            job: _Job | None = self._jobs.get_nowait()
            while job is not None:
                if job.copy is not None or job.is_end:
                    self._later.append(job)
                    break
                job = self._do(ledger, job)
        if ledger.is_poisoned:
            raise StorageError(f"{ledger.path} has ended: it is not copied")

    def _keep_fold(self, ledger: Ledger, least: int) -> None:
        """A snapshot, if it would stand for so many facts more than the last one."""
        if self._keeps_folds and ledger.unkept >= least:
            try:
                ledger.keep_fold()
            except Exception as error:  # noqa: BLE001 - told; a ledger that it ended says so itself.
                self._keeps_folds = False
                ledger.tell("snapshot_failed", level="error", error=error)

    def _gather(self, job: _Job, group: list[_Job]) -> _Job | None:
        """Put `job` and the appends that wait behind it into `group`; the job after them."""
        group.append(job)
        while self._is_grouping:
            try:
                job = self._jobs.get_nowait()
            except queue.Empty:
                return None
            if job.facts is None:
                return job
            group.append(job)
        return None

    def _append(self, ledger: Ledger, group: list[_Job]) -> None:
        if len(group) > 1:
            try:
                ledger.append([fact for job in group for fact in job.facts or ()])
            except (CoreError, TypeError):
                pass  # Refused as a whole and nothing written: find the one at fault.
            except BaseException as error:  # noqa: BLE001 - handed to all who wait.
                for job in group:
                    job.future.set_exception(error)
                return
            else:
                for job in group:
                    job.future.set_result(None)
                return
        for job in group:
            _settle(job.future, lambda facts=job.facts or (): ledger.append(facts))  # type: ignore[misc]  # mypy cannot type a lambda's default

    def _end(self) -> None:
        """Let nobody wait for an answer that will not come."""
        with self._gate:
            self.ended.set()
            while True:
                try:
                    job = self._later.popleft() if self._later else self._jobs.get_nowait()
                except queue.Empty:
                    return
                job.future.set_exception(StorageError("the ledger's writer has ended"))


def _settle(future: Future[Any], work: Callable[[], Any]) -> None:
    """Put the result of `work` into the future, or what it raised."""
    try:
        future.set_result(work())
    except BaseException as error:  # noqa: BLE001 - it belongs to who awaits.
        future.set_exception(error)
