"""The ledger's thread: whole closures in order, cancellation takes nothing back, errors arrive."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest
from recorded import OPENS_AT, Script, record

from algo_trader.core import events as ev
from algo_trader.ledger import database
from algo_trader.ledger import writer as writer_file
from algo_trader.ledger.errors import FactRefused, LedgerRefused, StorageError
from algo_trader.ledger.ledger import Ledger
from algo_trader.ledger.verify import verify_file
from algo_trader.ledger.writer import Writer


def run(main: Coroutine[Any, Any, None]) -> None:
    """Run to the end, or fail loudly instead of hanging."""
    asyncio.run(asyncio.wait_for(main, 30))


def opener(path: Path) -> Callable[[], Ledger]:
    """Opens the ledger on the writer's thread."""
    return lambda: Ledger.open(path)


def halted(number: int) -> ev.Halted:
    """A fact that is told apart by its number."""
    return ev.Halted(at=OPENS_AT, reason=str(number))


def numbers(path: Path) -> list[int]:
    """The numbers of the facts in a closed file."""
    with Ledger.open(path) as ledger:
        assert ledger.verify() == []
        return [int(fact.reason) for fact in ledger.facts() if isinstance(fact, ev.Halted)]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the ledger is to be."""
    return tmp_path / "trading.db"


@pytest.mark.parametrize("is_grouping", [False, True])
def test_everything_awaited_is_in_the_file(path: Path, is_grouping: bool) -> None:
    """Goal: a real run through the writer verifies, and reads see what was awaited."""
    steps = record().steps[:200]

    async def main() -> None:
        writer = Writer(opener(path), is_grouping=is_grouping)
        await writer.start()
        done = 0
        for step in steps:
            await writer.append(step)
            done += len(step)
            assert await writer.run(Ledger.count) == done
        assert await writer.run(Ledger.verify) == []
        await writer.close()
        assert writer.ended.is_set()

    run(main())
    with Ledger.open(path) as ledger:
        assert list(ledger.facts()) == [fact for step in steps for fact in step]


@pytest.mark.parametrize("is_grouping", [False, True])
def test_order_is_that_of_the_calls(path: Path, is_grouping: bool) -> None:
    """Goal: many at once come in the order in which they were asked for."""

    async def main() -> None:
        writer = Writer(opener(path), is_grouping=is_grouping)
        await writer.start()
        await asyncio.gather(*(writer.append([halted(n)]) for n in range(300)))
        await writer.close()

    run(main())
    assert numbers(path) == list(range(300))


def held(writer: Writer) -> tuple[threading.Event, asyncio.Task[None]]:
    """Keep the thread busy until the event is set, so that jobs wait together."""
    gate = threading.Event()

    def wait(_: Ledger) -> None:
        gate.wait(20)

    return gate, asyncio.create_task(writer.run(wait))


def test_waiting_appends_share_a_commit(path: Path) -> None:
    """Goal: a group is one transaction. Method: appends that wait; the wall clock is read once."""

    async def main() -> None:
        writer = Writer(opener(path), is_grouping=True)
        await writer.start()
        gate, busy = held(writer)
        await asyncio.sleep(0)
        group = [asyncio.create_task(writer.append([halted(n)])) for n in range(50)]
        await asyncio.sleep(0)
        gate.set()
        await asyncio.gather(busy, *group)
        stamps = await writer.run(
            lambda ledger: ledger._driver.execute(
                "SELECT count(DISTINCT recorded_at) FROM order_event"
            ).fetchone()
        )
        assert stamps == (1,)
        await writer.close()

    run(main())
    assert numbers(path) == list(range(50))


def test_one_bad_append_fails_alone(path: Path) -> None:
    """Goal: of a refused group only the one at fault fails, the order of the rest is kept."""

    async def main() -> None:
        writer = Writer(opener(path), is_grouping=True)
        await writer.start()
        gate, busy = held(writer)
        await asyncio.sleep(0)
        steps: list[list[ev.Fact]] = [[halted(0)], [Script().submitting()], [halted(2)]]
        group = [asyncio.create_task(writer.append(step)) for step in steps]
        await asyncio.sleep(0)
        gate.set()
        results = await asyncio.gather(busy, *group, return_exceptions=True)
        assert [type(result).__name__ for result in results[1:]] == [
            "NoneType",
            "CoreError",
            "NoneType",
        ]
        await writer.close()

    run(main())
    assert numbers(path) == [0, 2]


def test_cancelled_append_is_written_all_the_same(path: Path) -> None:
    """Goal: cancellation cannot leave half a transaction or drop one that was asked for."""

    async def main() -> None:
        writer = Writer(opener(path))
        await writer.start()
        gate, busy = held(writer)
        await asyncio.sleep(0)
        tasks = [asyncio.create_task(writer.append([halted(n)])) for n in range(3)]
        await asyncio.sleep(0)
        tasks[1].cancel()
        gate.set()
        results = await asyncio.gather(busy, *tasks, return_exceptions=True)
        assert isinstance(results[2], asyncio.CancelledError)
        await writer.close()

    run(main())
    assert numbers(path) == [0, 1, 2]


def test_errors_reach_who_awaits(path: Path) -> None:
    """Goal: what a closure raises is raised there, and the thread lives on."""

    async def main() -> None:
        writer = Writer(opener(path))
        await writer.start()
        order = Script()
        await writer.append([order.intended()])
        with pytest.raises(FactRefused):
            await writer.append([order.intended()])
        with pytest.raises(ZeroDivisionError):
            await writer.run(lambda _: 1 // 0)
        await writer.append([halted(1)])
        await writer.close()

    run(main())
    assert numbers(path) == [1]


def test_storage_error_ends_all_that_wait(path: Path) -> None:
    """Goal: after the first storage error every waiting and every later call fails."""

    async def main() -> None:
        writer = Writer(opener(path), is_grouping=True)
        await writer.start()
        await writer.append([halted(1)])
        await writer.run(lambda ledger: ledger._driver.close())
        gate, busy = held(writer)
        await asyncio.sleep(0)
        tasks = [asyncio.create_task(writer.append([halted(n)])) for n in (2, 3)]
        await asyncio.sleep(0)
        gate.set()
        results = await asyncio.gather(busy, *tasks, return_exceptions=True)
        assert [type(result) for result in results[1:]] == [StorageError, StorageError]
        with pytest.raises(StorageError, match="ended"):
            await writer.append([halted(4)])
        await writer.close()

    run(main())
    assert numbers(path) == [1]


def test_opening_error_is_raised_by_start(path: Path) -> None:
    """Goal: a refused file is told at once, and the writer takes nothing."""
    path.write_text("no database at all, " * 50)

    async def main() -> None:
        writer = Writer(opener(path))
        with pytest.raises(LedgerRefused):
            await writer.start()
        with pytest.raises(StorageError, match="ended"):
            await writer.append([halted(1)])
        await writer.close()

    run(main())


def test_full_queue_is_fatal_not_slow(path: Path) -> None:
    """Goal: a bounded queue that is full refuses at once."""

    async def main() -> None:
        writer = Writer(opener(path), capacity=2)
        await writer.start()
        gate, busy = held(writer)
        await writer_has_taken(writer)
        tasks = [asyncio.create_task(writer.append([halted(n)])) for n in range(4)]
        await asyncio.sleep(0)
        gate.set()
        results = await asyncio.gather(busy, *tasks, return_exceptions=True)
        assert [isinstance(result, StorageError) for result in results] == [
            False,
            False,
            False,
            True,
            True,
        ]
        await writer.close()

    run(main())
    assert numbers(path) == [0, 1]


async def writer_has_taken(writer: Writer) -> None:
    """Until the thread has taken what was queued."""
    await asyncio.sleep(0)
    while not writer._jobs.empty():
        await asyncio.sleep(0)


def test_calls_after_close_are_refused(path: Path) -> None:
    """Goal: nobody waits for a thread that has ended; closing twice is nothing."""

    async def main() -> None:
        writer = Writer(opener(path))
        await writer.start()
        await writer.close()
        await writer.close()
        with pytest.raises(StorageError, match="ended"):
            await writer.run(Ledger.count)

    run(main())


def snapshots(path: Path) -> list[int]:
    """The facts that snapshots of the fold are of."""
    with Ledger.open(path) as ledger:
        assert ledger.verify() == []
        return [seq for (seq,) in ledger._driver.execute("SELECT seq FROM fold_snapshot")]


def test_the_end_of_a_long_life_keeps_the_fold(path: Path, monkeypatch: Any) -> None:
    """Goal: the next start need not fold it again; a short life is not worth it."""
    monkeypatch.setattr(writer_file, "KEPT_AT_END", 4)

    async def life(count: int) -> None:
        writer = Writer(opener(path))
        await writer.start()
        await writer.run(lambda ledger: ledger.fold())
        for number in range(count):
            await writer.append([halted(number)])
        await writer.close()

    for count, wanted in ((3, []), (4, [7]), (3, [7]), (1, [11])):
        run(life(count))
        assert snapshots(path) == wanted


def test_a_very_long_life_keeps_it_between(path: Path, monkeypatch: Any) -> None:
    """Goal: a crash after days of fast replay does not cost a fold of all of them."""
    monkeypatch.setattr(writer_file, "KEPT_BETWEEN", 10)

    async def main() -> None:
        writer = Writer(opener(path))
        await writer.start()
        for number in range(25):
            await writer.append([halted(number)])
        found = await writer.run(lambda ledger: ledger.unkept)
        assert found == 5
        await writer.keep_fold()
        assert await writer.run(lambda ledger: ledger.unkept) == 0
        await writer.close()

    run(main())
    assert snapshots(path) == [25]


def test_a_snapshot_that_fails_is_told_once(path: Path, monkeypatch: Any) -> None:
    """Goal: no fact hangs on it, and it is not tried at every fact. Method: a table that takes no
    row.
    """
    monkeypatch.setattr(writer_file, "KEPT_BETWEEN", 2)
    told: list[str] = []

    def tell(event: str, /, **fields: object) -> None:
        told.append(event)

    async def main() -> None:
        writer = Writer(lambda: Ledger.open(path, tell=tell))
        await writer.start()
        await writer.run(
            lambda ledger: ledger._driver.execute(
                "CREATE TEMP TRIGGER nope BEFORE INSERT ON fold_snapshot"
                " BEGIN SELECT RAISE(ABORT, 'no'); END"
            )
        )
        for number in range(6):
            await writer.append([halted(number)])
        await writer.keep_fold()
        await writer.close()

    run(main())
    assert told.count("snapshot_failed") == 1
    assert numbers(path) == list(range(6))
    assert snapshots(path) == []


def test_a_copy_does_not_hold_up_what_comes(path: Path, tmp_path: Path, monkeypatch: Any) -> None:
    """Goal: facts are durable while a copy is under way, and are in it or not, whole and in order.
    Method: one page a step; append, ask and ask for another copy while the first is made.
    """
    monkeypatch.setattr(database, "STEP", 1)
    steps = record().steps
    copies = [tmp_path / "one.db", tmp_path / "two.db"]
    order: list[str] = []

    async def main() -> None:
        writer = Writer(opener(path), is_grouping=True)
        await writer.start()
        await writer.append([fact for step in steps[:300] for fact in step])

        async def made(copy: Path) -> None:
            await writer.copy(copy)
            order.append(copy.name)

        copying = [asyncio.create_task(made(copy)) for copy in copies]
        await asyncio.sleep(0)  # Both are in the queue.
        for number, step in enumerate(steps[300:310]):
            await writer.append(step)
            order.append(f"step {number}")
        assert await writer.run(Ledger.count) == sum(map(len, steps[:310]))
        order.append("asked")
        await asyncio.gather(*copying)
        await writer.close()

    run(main())
    assert order.index("step 0") < order.index("one.db") < order.index("two.db")
    whole = [fact for step in steps[:310] for fact in step]
    for copy in copies:
        assert verify_file(copy) == []
        with Ledger.open(copy) as ledger:
            found = list(ledger.facts())
            assert found == whole[: len(found)]
            assert len(found) > sum(map(len, steps[:300]))


def test_the_end_waits_for_a_copy(path: Path, tmp_path: Path, monkeypatch: Any) -> None:
    """Goal: close finishes what waits. Method: ask for the end while a copy is made."""
    monkeypatch.setattr(database, "STEP", 1)

    async def main() -> None:
        writer = Writer(opener(path))
        await writer.start()
        await writer.append(record().facts)
        copying = asyncio.create_task(writer.copy(tmp_path / "copy.db"))
        await asyncio.sleep(0)
        await writer.close()
        await copying

    run(main())
    assert verify_file(tmp_path / "copy.db") == []


def test_a_copy_of_a_ledger_that_ends_is_given_up(
    path: Path, tmp_path: Path, monkeypatch: Any
) -> None:
    """Goal: what a failed disk has left is not called a copy. Method: the ledger ends between two
    steps.
    """
    with Ledger.open(path) as ledger:
        ledger.append(record().facts)

    def end(ledger: Ledger) -> None:
        ledger._end(KeyboardInterrupt())

    async def main() -> None:
        writer = Writer(opener(path))
        await writer.start()
        copying = asyncio.create_task(writer.copy(tmp_path / "copy.db"))
        ending = asyncio.create_task(writer.run(end))
        with pytest.raises(StorageError, match="has ended"):
            await copying
        await ending
        await writer.close()

    monkeypatch.setattr(database, "STEP", 1)
    run(main())
