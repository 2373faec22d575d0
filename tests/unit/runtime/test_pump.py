"""The pump: record, then act; one question at a time about an order; silence is never a refusal.

Method: a real engine and intake; a broker and a ledger that answer when a test says so, and one log
in which records, commands and look-ups stand in the order in which they happened.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from decimal import Decimal

import pytest
from pump_kit import (
    ENTRY,
    LIVE,
    PATIENT,
    SESSION,
    STOP,
    Bench,
    accepted,
    filled,
    key_of,
    reach,
    running,
    turns,
)

from algo_trader.core import events as ev
from algo_trader.core.broker import BrokerOrder, BrokerStatus
from algo_trader.core.errors import (
    CoreError,
    StorageFailure,
    Unanswered,
)
from algo_trader.core.inputs import CancelEntries, CloseAll, Reports
from algo_trader.core.types import Action, BrokerOrderId, ExitReason
from algo_trader.ledger.errors import StorageError
from algo_trader.runtime.pump import InboxFull, PumpTerms
from algo_trader.strategies.base import MoveStop

DECIDED = "record SignalDecided Intended Submitting"
ENTRY_THERE = BrokerOrder(
    ENTRY, BrokerOrderId(f"b-{ENTRY}"), "X", Action.BUY, Decimal(113), BrokerStatus.OPEN
)


class Killed(BaseException):
    """Not an Exception."""


# -- record, then act --


def test_nothing_leaves_before_it_is_on_record() -> None:
    """Goal: the command waits for the commit of its facts. Method: a commit that takes long."""

    async def story() -> None:
        bench = Bench()
        async with running(bench):
            bench.gate = asyncio.Future()
            await bench.pass_minute()
            assert bench.log == []
            bench.gate.set_result(None)
            await turns()
            assert bench.log == [DECIDED, "Submit entry-1"]
            assert len(bench.facts) == bench.pump.facts_recorded == 3

    asyncio.run(story())


def test_what_waits_together_is_recorded_together() -> None:
    """Goal: one commit for all inputs that wait. Method: two reports put in one breath."""

    async def story() -> None:
        bench = Bench()
        async with running(bench):
            await reach(bench, "Submit entry-1")
            bench.pump.put(Reports([accepted(ENTRY)]))
            await bench.hear(Reports([filled(ENTRY, 113)]))
            wanted = "record Accepted Filled StopSet Intended Submitting"
            assert bench.log == [wanted, "Submit stop-1"]

    asyncio.run(story())


@pytest.mark.parametrize("error", [StorageError("disk full"), CoreError("a fact is refused")])
def test_what_cannot_be_recorded_ends_the_pump(error: Exception) -> None:
    """Goal: the engine has folded what the ledger has not: nothing leaves, the process must end."""

    async def story() -> None:
        bench = Bench()
        async with running(bench) as task:
            bench.gate = asyncio.Future()
            await bench.pass_minute()
            bench.gate.set_exception(error)
            await turns()
            assert task.exception() is error
            assert bench.log == []

    asyncio.run(story())


# -- one at a time --


def test_a_cancel_waits_for_the_answer_before_it() -> None:
    """Goal: one command in flight for an order; the next is recorded at once and leaves after."""

    async def story() -> None:
        bench = Bench()
        async with running(bench):
            await reach(bench, "Submit entry-1")
            await bench.hear(CancelEntries("END"))
            assert bench.log == ["record CancelRequested"]
            assert bench.pump.in_flight == [ENTRY]
            await bench.answer("Submit entry-1", (accepted(ENTRY),))
            assert sorted(bench.log[1:]) == ["Cancel entry-1", "record Accepted"]

    asyncio.run(story())


def test_commands_of_an_order_do_not_overtake() -> None:
    """Goal: a cancel of the new stop does not leave before the move that makes it.

    Method: the stop's acceptance is told by another channel than its answer; a move and a close are
    decided meanwhile.
    """

    async def story() -> None:
        bench = Bench(terms=LIVE)
        async with running(bench):
            await reach(bench, "Submit stop-1")
            await bench.hear(Reports([accepted(STOP)]))
            bench.strategies[0].wish = MoveStop(Decimal("9.50"))
            await bench.pass_minute()
            await bench.hear(CloseAll(ExitReason.OPERATOR))
            assert [word for word in bench.log if not word.startswith("record")] == []
            await bench.answer("Submit stop-1", (accepted(STOP),))
            moved = ev.OrderReplaced(
                at=SESSION.opens_at, order_id=STOP, replaced_by=key_of("stop", 2)
            )
            await bench.answer("Replace stop-1", (moved, accepted(key_of("stop", 2))))
            sent = [word for word in bench.log if not word.startswith("record")]
            assert sent == ["Replace stop-1", "Cancel stop-1", "Cancel stop-2"]

    asyncio.run(story())


@pytest.mark.parametrize(("terms", "seen"), [(PATIENT, [[1, 0], [1, 1]]), (LIVE, [[1, 1], [1, 1]])])
def test_the_next_candle(terms: PumpTerms, seen: list[list[int]]) -> None:
    """Goal: in virtual time the next candle sees the answer to the one before; live waits for none.

    Method: two symbols signal in one minute; which strategies were asked before and after the first
    answer.
    """

    async def story() -> None:
        bench = Bench("X", "Y", terms=terms)
        async with running(bench):
            await bench.pass_minute()
            assert [own.seen for own in bench.strategies] == seen[0]
            await bench.answer("Submit entry-1", (accepted(ENTRY),))
            assert [own.seen for own in bench.strategies] == seen[1]
            assert bench.log.count("Submit Y entry-1") == 1

    asyncio.run(story())


def test_settled_waits_for_every_answer() -> None:
    """Goal: a market's clock stands still until commands and look-ups have their answers."""

    async def story() -> None:
        bench = Bench()
        async with running(bench):
            bench.pump.put(bench.still_minute())
            waiting = asyncio.create_task(bench.pump.settled())
            for word, answer in (
                ("Submit entry-1", Unanswered("cut off")),
                ("look up entry-1", ENTRY_THERE),
            ):
                await turns()
                assert not waiting.done()
                await bench.answer(word, answer)
            assert waiting.done()

    asyncio.run(story())


# -- the end --


@pytest.mark.parametrize("error", [StorageFailure("disk"), CoreError("broken"), Killed()])
def test_an_error_of_our_own_ends_the_pump(error: BaseException) -> None:
    """Goal: no word about the order, nothing leaves any more. Method: two entries in flight and
    their cancels waiting; the first answer is an error that is not the broker's.
    """

    async def story() -> None:
        bench = Bench("X", "Y", terms=LIVE)
        async with running(bench) as task:
            await bench.pass_minute()
            await bench.hear(CancelEntries("END"))
            bench.log.clear()
            await bench.answer("Submit entry-1", error)
            assert task.done()
            assert task.exception() is error
            assert bench.log == []
            assert bench.pump.in_flight == []

    asyncio.run(story())


def test_a_full_inbox() -> None:
    """Goal: who puts is told, and an answer that finds no room ends the pump.

    Method: a commit that takes long while inputs gather and an answer comes.
    """

    async def story() -> None:
        bench = Bench(terms=replace(PATIENT, inbox_capacity=2))
        async with running(bench) as task:
            await reach(bench, "Submit entry-1")
            bench.gate = asyncio.Future()
            await bench.hear(CancelEntries("END"))
            for _ in range(2):
                bench.pump.put(Reports(()))
            with pytest.raises(InboxFull, match="2 inputs wait"):
                bench.pump.put(Reports(()))
            await bench.answer("Submit entry-1", (accepted(ENTRY),))
            bench.gate.set_result(None)
            await turns()
            assert isinstance(task.exception(), InboxFull)

    asyncio.run(story())
