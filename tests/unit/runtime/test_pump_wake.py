"""News on another channel: the pump asks the broker about the order, once, and never too early.

Method: as in test_pump.
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
    STOP,
    Bench,
    accepted,
    reach,
    running,
    turns,
)

from algo_trader.core.broker import BrokerOrder, BrokerStatus, Execution
from algo_trader.core.errors import BrokerError, Unanswered
from algo_trader.core.inputs import CancelEntries
from algo_trader.core.types import Action, BrokerOrderId, ClientOrderId
from algo_trader.runtime.pump import PumpTerms

FILLED = BrokerOrder(
    ENTRY,
    BrokerOrderId(f"b-{ENTRY}"),
    "X",
    Action.BUY,
    Decimal(113),
    BrokerStatus.FILLED,
    (Execution(9, Decimal(113), Decimal(11), Decimal(113), Decimal(0), "x"),),
)
ASK = "look up entry-1"


class Killed(BaseException):
    """Not even an Exception."""


async def resting(bench: Bench) -> None:
    """An accepted entry; the log begins anew."""
    await reach(bench, "Submit entry-1")
    await bench.answer("Submit entry-1", (accepted(ENTRY),))
    bench.log.clear()


@pytest.mark.parametrize("terms", [PATIENT, LIVE])
def test_a_fill_that_is_hinted_at_is_covered(terms: PumpTerms) -> None:
    """Goal: the hint itself is worth nothing, the broker's answer all. Method: wake, answer."""

    async def story() -> None:
        bench = Bench(terms=terms)
        async with running(bench):
            await resting(bench)
            bench.pump.wake([ENTRY])
            await turns()
            assert bench.log == [ASK]
            await bench.answer(ASK, FILLED)
            assert bench.log[1:] == ["record Filled StopSet Intended Submitting", "Submit stop-1"]

    asyncio.run(story())


def test_an_order_in_flight_is_asked_about_after_its_answer() -> None:
    """Goal: never beside a command of the same order, and not forgotten either.

    Method: wake while the entry is on its way; then its answer.
    """

    async def story() -> None:
        bench = Bench()
        async with running(bench):
            await reach(bench, "Submit entry-1")
            for _ in range(3):
                bench.pump.wake([ENTRY])
            await turns()
            assert bench.log == []
            await bench.answer("Submit entry-1", (accepted(ENTRY),))
            assert bench.log.count(ASK) == 1

    asyncio.run(story())


def test_a_command_that_waits_goes_first() -> None:
    """Goal: a cancel that waits for its turn is not held up by a question.

    Method: cancel and wake while the entry is on its way.
    """

    async def story() -> None:
        bench = Bench()
        async with running(bench):
            await reach(bench, "Submit entry-1")
            await bench.hear(CancelEntries("END"))
            bench.pump.wake([ENTRY])
            await bench.answer("Submit entry-1", (accepted(ENTRY),))
            assert [word for word in bench.log if not word.startswith("record")] == [
                "Cancel entry-1"
            ]
            await bench.answer("Cancel entry-1", ())
            assert bench.log[-1] == ASK

    asyncio.run(story())


def test_many_hints_are_one_question_and_one_more() -> None:
    """Goal: hints of one moment coalesce; those that come while the question is out make one more,
    for its answer may be older than they are. Method: ten, ten, then the answers.
    """

    async def story() -> None:
        bench = Bench()
        async with running(bench):
            await resting(bench)
            for _ in range(10):
                bench.pump.wake([ENTRY, ENTRY])
            await turns()
            assert bench.log == [ASK]
            for _ in range(10):
                bench.pump.wake([ENTRY])
            await turns()
            assert bench.log == [ASK]
            there = replace_status(BrokerStatus.OPEN)
            await bench.answer(ASK, there)
            assert bench.log == [ASK, ASK]
            await bench.answer(ASK, there)
            assert bench.log == [ASK, ASK]

    asyncio.run(story())


def replace_status(status: BrokerStatus) -> BrokerOrder:
    """The entry, without a fill."""
    return FILLED._replace(status=status, executions=())


def test_of_orders_that_are_not_ours() -> None:
    """Goal: a stranger's news asks nothing and keeps nothing. Method: an unknown id beside ours."""

    async def story() -> None:
        bench = Bench()
        async with running(bench):
            await resting(bench)
            bench.pump.wake([ClientOrderId("web-1"), STOP])
            await turns()
            assert bench.log == []
            assert bench.pump.in_flight == []
            bench.pump.wake([ClientOrderId("web-1"), ENTRY])
            await turns()
            assert bench.log == [ASK]

    asyncio.run(story())


@pytest.mark.parametrize("answer", [None, Unanswered("cut"), BrokerError("odd"), TimeoutError()])
def test_a_question_without_an_answer_changes_nothing(answer: object) -> None:
    """Goal: neither silence nor a first denial says anything of an accepted order.

    Method: wake, answer so, wake again.
    """

    async def story() -> None:
        bench = Bench(terms=replace(PATIENT, settle_s=30.0))
        async with running(bench):
            await resting(bench)
            for _ in range(2):
                bench.pump.wake([ENTRY])
                await turns()
                await bench.answer(ASK, answer)
            assert bench.log == [ASK, ASK]
            assert bench.book.order(ENTRY).is_live
            assert bench.book.halted is None

    asyncio.run(story())


def test_settled_waits_for_the_question() -> None:
    """Goal: what waits for peace waits for what was hinted at. Method: wake, then settled."""

    async def story() -> None:
        bench = Bench()
        async with running(bench):
            await resting(bench)
            await bench.pump.settled()
            bench.pump.wake([ENTRY])
            waiting = asyncio.create_task(bench.pump.settled())
            await turns()
            assert not waiting.done()
            await bench.answer(ASK, FILLED)
            assert not waiting.done(), "the stop is on its way"
            await bench.answer("Submit stop-1", (accepted(STOP),))
            assert waiting.done()

    asyncio.run(story())


def test_before_the_first_send_is_recorded() -> None:
    """Goal: an order that is not yet recorded has not left, and its absence proves nothing.

    Method: wake while the commit takes long; the broker denies the order; then it leaves.
    """

    async def story() -> None:
        bench = Bench()
        async with running(bench):
            bench.gate = asyncio.Future()
            await bench.pass_minute()
            bench.strategies[0].is_eager = False
            bench.pump.wake([ENTRY])
            await turns()
            bench.gate.set_result(None)
            await turns()
            if ASK in bench.log:
                await bench.answer(ASK, None)
            assert bench.log.count("Submit entry-1") == 1
            assert bench.book.order(ENTRY).is_live

    asyncio.run(story())


def test_nothing_is_asked_after_the_end() -> None:
    """Goal: a pump that has failed asks nothing more. Method: an answer that ends it, a wake."""

    async def story() -> None:
        bench = Bench("X", "Y", terms=LIVE)
        async with running(bench) as task:
            await bench.pass_minute()
            bench.log.clear()
            await bench.answer("Submit entry-1", Killed())
            assert task.done()
            assert isinstance(task.exception(), Killed)
            bench.pump.wake([ENTRY])
            await turns()
            assert bench.log == []

    asyncio.run(story())
