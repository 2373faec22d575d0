"""The supervisor of the daemon's tasks.

Goal: no task ends unseen, none is left behind, restarts keep to their times. Method: a clock that
moves when told; tasks that fail, return, or will not be cancelled.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from algo_trader.core.errors import CoreError
from algo_trader.ledger.errors import StorageError
from algo_trader.runtime.supervisor import Backoff, Failure, Kind, Supervisor

GRACE_S = 5.0


class Time:
    """A clock and its sleep, moved by hand."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.slept: list[float] = []
        self._waiting: list[tuple[float, asyncio.Future[None]]] = []

    def clock(self) -> float:
        """Seconds."""
        return self.now

    async def sleep(self, seconds: float) -> None:
        """Until the clock was moved so far."""
        self.slept.append(seconds)
        woken = asyncio.get_running_loop().create_future()
        self._waiting.append((self.now + seconds, woken))
        await woken

    async def move(self, seconds: float) -> None:
        """Let time pass, and everybody do what is due."""
        self.now += seconds
        for until, woken in self._waiting:
            if until <= self.now and not woken.done():
                woken.set_result(None)
        await settle()


class Events:
    """What was logged."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, dict[str, Any]]] = []

    def __call__(self, event: str, /, **fields: object) -> None:
        """Take an event."""
        self.seen.append((event, fields))

    def of(self, event: str) -> list[Any]:
        """The names of the tasks it was logged for."""
        return [fields.get("name") for seen, fields in self.seen if seen == event]


async def settle() -> None:
    """Let every task run until it waits for something."""
    for _ in range(50):
        await asyncio.sleep(0)


async def for_ever() -> None:
    """A task that goes on until cancelled."""
    await asyncio.get_running_loop().create_future()


def failing(*errors: BaseException | None) -> Callable[[], Coroutine[Any, Any, None]]:
    """A task that raises each in turn (None: returns), then goes on for ever."""
    left = list(errors)

    async def task() -> None:
        if not left:
            await for_ever()
        error = left.pop(0)
        if error is not None:
            raise error

    return task


class Run:
    """A supervisor under way, in a loop of the test."""

    def __init__(self, backoff: Backoff | None = None) -> None:
        self.time = Time()
        self.events = Events()
        self.supervisor = Supervisor(
            self.events,
            clock=self.time.clock,
            sleep=self.time.sleep,
            backoff=backoff or Backoff(),
            grace_s=GRACE_S,
        )

    def go(self, test: Callable[[asyncio.Task[Failure | None]], Coroutine[Any, Any, None]]) -> None:
        """Run the test beside the supervisor; no task may be left."""

        async def main() -> None:
            running = asyncio.create_task(self.supervisor.run())
            await settle()
            await test(running)
            self.supervisor.end()
            await asyncio.wait({running})
            left = asyncio.all_tasks() - {asyncio.current_task()}
            assert left == set()

        asyncio.run(main())


@pytest.mark.parametrize("error", [None, RuntimeError("gone")], ids=["returns", "raises"])
def test_the_end_of_a_fatal_task_ends_all(error: Exception | None) -> None:
    """Goal: the silent death of a core task is none."""
    run = Run()
    run.supervisor.add("other", for_ever, Kind.RESTARTED)
    run.supervisor.add("pump", failing(error), Kind.FATAL)

    async def test(running: asyncio.Task[Failure | None]) -> None:
        failure = await running
        assert failure == Failure("pump", error)
        assert str(failure) in ("task pump returned", "task pump raised RuntimeError: gone")
        assert run.events.seen == [("task_failed", {"name": "pump", "error": error})]

    run.go(test)


@pytest.mark.parametrize("kind", list(Kind))
@pytest.mark.parametrize("error", [CoreError("broken"), StorageError("disk"), BaseException()])
def test_what_no_restart_mends(kind: Kind, error: BaseException) -> None:
    """Goal: a broken invariant or a failed disk ends the process, whichever task met it."""
    run = Run()
    run.supervisor.add("task", failing(error), kind)

    async def test(running: asyncio.Task[Failure | None]) -> None:
        assert await running == Failure("task", error)

    run.go(test)


def test_the_first_failure_counts() -> None:
    """Goal: what comes of the first is not taken for the reason."""
    first, second = RuntimeError("first"), RuntimeError("second")

    async def falls_over() -> None:
        try:
            await for_ever()
        finally:
            raise CoreError("as it ends")

    run = Run()
    run.supervisor.add("early", falls_over, Kind.FATAL)
    run.supervisor.add("a", failing(first), Kind.FATAL)
    run.supervisor.add("b", failing(second), Kind.FATAL)

    async def test(running: asyncio.Task[Failure | None]) -> None:
        assert await running == Failure("a", first)
        assert run.events.of("task_failed_at_end") == ["b", "early"]

    run.go(test)


def test_a_broken_invariant_found_while_ending() -> None:
    """Goal: an end in good order is not told where it was none."""
    broken = CoreError("found late")

    async def task() -> None:
        try:
            await for_ever()
        finally:
            raise broken

    run = Run()
    run.supervisor.add("task", task, Kind.RESTARTED)

    async def test(running: asyncio.Task[Failure | None]) -> None:
        run.supervisor.end()
        assert await running == Failure("task", broken)

    run.go(test)


@pytest.mark.parametrize("kind", [Kind.RESTARTED, Kind.DONE_OK])
def test_restarts_wait_longer_each_time(kind: Kind) -> None:
    """Goal: 1 s, then 2 s, exactly; the third failure within 5 minutes asks for a shutdown."""
    run = Run()
    errors = [OSError("one"), OSError("two"), OSError("three")]
    run.supervisor.add("stream", failing(*errors), kind)
    run.supervisor.add("other", for_ever, Kind.FATAL)

    async def test(running: asyncio.Task[Failure | None]) -> None:
        supervisor = run.supervisor
        assert run.time.slept == [1]
        await run.time.move(0.99)
        assert run.events.of("task_failed") == ["stream"]
        await run.time.move(0.01)
        assert run.time.slept == [1, 2]
        assert not supervisor.stop_requested.is_set()
        await run.time.move(2)
        assert supervisor.stop_requested.is_set()
        assert supervisor.stop_reason == (
            "task stream failed 3 times within 300 s, at last it raised OSError: three"
        )
        assert run.events.of("task_gave_up") == ["stream"]
        assert not running.done()  # The shutdown needs the others.
        supervisor.request_stop("SIGTERM")
        assert "SIGTERM" not in supervisor.stop_reason
        supervisor.end()
        assert await running is None

    run.go(test)


def test_a_restarted_task_may_not_return() -> None:
    """Goal: a stream that ends without a word is started again."""
    run = Run()
    run.supervisor.add("stream", failing(None), Kind.RESTARTED)

    async def test(_: asyncio.Task[Failure | None]) -> None:
        assert run.events.seen[0] == ("task_failed", {"name": "stream", "error": None})
        assert run.time.slept == [1]

    run.go(test)


def test_failures_far_apart_are_not_often() -> None:
    """Goal: 2 in 5 minutes are borne for ever, with waits that grow to 30 s and no more."""
    run = Run()
    gate: list[asyncio.Future[None]] = []

    async def fails_when_told() -> None:
        gate.append(asyncio.get_running_loop().create_future())
        await gate[-1]
        raise OSError("again")

    run.supervisor.add("stream", fails_when_told, Kind.RESTARTED)

    async def test(_: asyncio.Task[Failure | None]) -> None:
        for _number in range(8):
            await run.time.move(160)
            gate[-1].set_result(None)
            await settle()
            await run.time.move(30)
        assert run.time.slept == [1, 2, 4, 8, 16, 30, 30, 30]
        await run.time.move(301)
        gate[-1].set_result(None)
        await settle()
        assert run.time.slept[-1] == 1  # A long good run begins anew.
        assert not run.supervisor.stop_requested.is_set()

    run.go(test)


@pytest.mark.parametrize(("apart", "is_often"), [(150.0, True), (150.1, False)])
def test_the_window_to_the_second(apart: float, is_often: bool) -> None:
    """Goal: three failures within 300 s are too many, within a little more they are not."""
    run = Run(Backoff(first_s=apart, factor=1.0, most_s=apart))
    run.supervisor.add("stream", failing(*[OSError()] * 3), Kind.RESTARTED)

    async def test(_: asyncio.Task[Failure | None]) -> None:
        await run.time.move(apart)
        await run.time.move(apart)
        assert run.events.of("task_failed") == ["stream"] * 3
        assert run.supervisor.stop_requested.is_set() is is_often

    run.go(test)


def test_done_is_done() -> None:
    """Goal: work that may end ends alone; when all is done, so is the supervisor."""
    run = Run()
    run.supervisor.add("feed", failing(None), Kind.DONE_OK)
    run.supervisor.add("import", failing(OSError("once"), None), Kind.DONE_OK)

    async def test(running: asyncio.Task[Failure | None]) -> None:
        assert run.events.of("task_done") == ["feed"]
        assert not running.done()
        await run.time.move(1)
        assert await running is None
        assert run.events.of("task_done") == ["feed", "import"]

    run.go(test)


def test_without_tasks_it_is_over_at_once() -> None:
    """Goal: nothing to watch is nothing to wait for."""
    run = Run()

    async def test(running: asyncio.Task[Failure | None]) -> None:
        assert await running is None

    run.go(test)


def test_a_task_that_is_added_later() -> None:
    """Goal: watched like the others; a name is given once."""
    run = Run()
    run.supervisor.add("first", for_ever, Kind.FATAL)

    async def test(running: asyncio.Task[Failure | None]) -> None:
        with pytest.raises(ValueError, match="first"):
            run.supervisor.add("first", for_ever, Kind.FATAL)
        run.supervisor.add("later", failing(None), Kind.FATAL)
        assert await running == Failure("later", None)
        run.supervisor.add("too late", for_ever, Kind.FATAL)

    run.go(test)


def test_cancelling_it_ends_the_tasks() -> None:
    """Goal: however it ends, no task outlives it, not even one that waits for its restart."""
    run = Run()
    cancelled: list[str] = []

    async def task() -> None:
        try:
            await for_ever()
        except asyncio.CancelledError:
            cancelled.append("task")
            raise

    run.supervisor.add("task", task, Kind.FATAL)
    run.supervisor.add("waits", failing(OSError()), Kind.RESTARTED)

    async def test(running: asyncio.Task[Failure | None]) -> None:
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        assert cancelled == ["task"]

    run.go(test)


def test_a_task_that_cancels_itself_has_ended() -> None:
    """Goal: a CancelledError that we did not cause is an end like any other."""
    run = Run()
    run.supervisor.add("pump", failing(asyncio.CancelledError()), Kind.FATAL)

    async def test(running: asyncio.Task[Failure | None]) -> None:
        failure = await running
        assert failure is not None
        assert isinstance(failure.error, asyncio.CancelledError)

    run.go(test)


def test_a_task_that_another_cancels_while_it_waits() -> None:
    """Goal: it cannot vanish between two runs either."""
    run = Run()
    run.supervisor.add("stream", failing(OSError()), Kind.RESTARTED)

    async def test(running: asyncio.Task[Failure | None]) -> None:
        [waiting] = [task for task in asyncio.all_tasks() if task.get_name() == "stream"]
        waiting.cancel()
        failure = await running
        assert failure is not None
        assert failure.name == "stream"

    run.go(test)


def stubborn(times: int) -> Callable[[], Coroutine[Any, Any, None]]:
    """A task that goes on after so many cancellations."""

    async def task() -> None:
        for _ in range(times):
            try:
                await for_ever()
            except asyncio.CancelledError:
                continue
        await for_ever()

    return task


def test_a_task_that_swallows_cancellation_is_reported() -> None:
    """Goal: named once its grace is over, and cancelled again until it ends."""
    run = Run()
    run.supervisor.add("deaf", stubborn(1), Kind.RESTARTED)
    run.supervisor.add("good", for_ever, Kind.RESTARTED)

    async def test(running: asyncio.Task[Failure | None]) -> None:
        run.supervisor.end()
        await settle()
        assert run.events.seen == []
        await run.time.move(GRACE_S)
        assert run.events.of("task_ignores_cancel") == ["deaf"]
        assert await running is None
        assert run.events.of("task_abandoned") == []

    run.go(test)


def test_a_task_that_swallows_it_again_and_again() -> None:
    """Goal: the daemon ends all the same, and says what it left."""
    run = Run()
    run.supervisor.add("deaf", stubborn(3), Kind.RESTARTED)

    async def test(running: asyncio.Task[Failure | None]) -> None:
        run.supervisor.end()
        await settle()
        for _number in range(3):
            await run.time.move(GRACE_S)
        assert await running is None
        assert run.events.of("task_ignores_cancel") == ["deaf"] * 3
        assert run.events.of("task_abandoned") == ["deaf"]
        [left] = [task for task in asyncio.all_tasks() if task.get_name() == "deaf"]
        left.cancel()
        await asyncio.wait({left})

    run.go(test)


def test_a_task_that_returns_when_cancelled_is_not_started_again() -> None:
    """Goal: an end is an end, also for what would be restarted."""
    starts: list[int] = []

    async def task() -> None:
        starts.append(1)
        try:
            await for_ever()
        except asyncio.CancelledError:
            return

    run = Run()
    run.supervisor.add("polite", task, Kind.RESTARTED)

    async def test(running: asyncio.Task[Failure | None]) -> None:
        run.supervisor.end()
        assert await running is None
        assert starts == [1]
        assert run.events.seen == []

    run.go(test)
