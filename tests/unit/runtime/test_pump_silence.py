"""A broker that does not answer: nothing is taken for a refusal, everything is looked into.

Method: as in test_pump.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from decimal import Decimal

import pytest
from pump_kit import (
    ENTRY,
    HASTY,
    PATIENT,
    SESSION,
    Bench,
    canceled,
    reach,
    running,
    turns,
)

from algo_trader.core import events as ev
from algo_trader.core.broker import BrokerOrder, BrokerStatus
from algo_trader.core.errors import BrokerError, Unanswered, Unavailable
from algo_trader.core.inputs import Clock
from algo_trader.core.types import Action, BrokerOrderId

DECIDED = "record SignalDecided Intended Submitting"
ENTRY_THERE = BrokerOrder(
    ENTRY, BrokerOrderId(f"b-{ENTRY}"), "X", Action.BUY, Decimal(113), BrokerStatus.OPEN
)


@pytest.mark.parametrize(
    ("word", "error", "wanted"),
    [
        ("Submit entry-1", Unanswered("cut"), "record OutcomeUnknown|look up entry-1"),
        ("Submit entry-1", BrokerError("odd"), "record OutcomeUnknown|look up entry-1"),
        ("Submit entry-1", ValueError("no JSON"), "record OutcomeUnknown|look up entry-1"),
        ("Submit entry-1", TimeoutError(), "record OutcomeUnknown|look up entry-1"),
        ("Submit entry-1", Unavailable("no line"), "record Abandoned"),
        ("Submit stop-1", Unanswered("cut"), "record OutcomeUnknown|look up stop-1"),
        ("Submit stop-1", Unavailable("no line"), "record Abandoned"),
        ("Replace stop-1", Unanswered("cut"), "record OutcomeUnknown|look up stop-2"),
        ("Replace stop-1", Unavailable("no line"), "record Abandoned"),
        ("Cancel entry-1", Unanswered("cut"), "record CancelUnanswered|look up entry-1"),
        ("Cancel entry-1", KeyError("status"), "record CancelUnanswered|look up entry-1"),
        ("Cancel entry-1", Unavailable("no line"), "record CancelUnanswered|look up entry-1"),
    ],
)
def test_no_usable_answer(word: str, error: Exception, wanted: str) -> None:
    """Goal: whatever goes wrong after a send is unknown, and asked about at once; only an order
    that certainly did not leave is given up.
    """

    async def story() -> None:
        bench = Bench()
        async with running(bench):
            await reach(bench, word)
            await bench.answer(word, error)
            assert "|".join(bench.log) == wanted

    asyncio.run(story())


def test_silence_ends_at_its_time() -> None:
    """Goal: a broker that says nothing does not hold the pump up; a look-up it does not answer is
    repeated at a later heartbeat.
    """

    async def story() -> None:
        bench = Bench(terms=HASTY)
        async with running(bench):
            await bench.pass_minute()
            assert bench.log == [
                DECIDED,
                "Submit entry-1",
                "record OutcomeUnknown",
                "look up entry-1",
            ]
            bench.pump.look_up()
            await turns()
            assert len(bench.log) == 4
            bench.now_s = 1.0
            bench.pump.look_up()
            await turns()
            assert bench.log[4:] == ["look up entry-1"]

    asyncio.run(story())


def test_a_cancel_without_an_answer_is_asked_again() -> None:
    """Goal: the broker has the order still: the next minute asks once more."""

    async def story() -> None:
        bench = Bench()
        async with running(bench):
            await reach(bench, "Cancel entry-1")
            await bench.answer("Cancel entry-1", Unanswered("cut"))
            await bench.answer("look up entry-1", ENTRY_THERE)
            assert bench.log == ["record CancelUnanswered", "look up entry-1"]
            await bench.hear(Clock(SESSION.opens_at + 120))
            assert bench.log[2:] == ["record CancelRequested", "Cancel entry-1"]
            await bench.answer("Cancel entry-1", (canceled(ENTRY),))
            assert bench.log[4:] == ["record Canceled Intended Submitting", "Submit stop-1"]

    asyncio.run(story())


def test_a_refused_cancel_is_looked_into() -> None:
    """Goal: an order that cannot be canceled may have ended: its own status tells."""

    async def story() -> None:
        bench = Bench()
        async with running(bench):
            await reach(bench, "Cancel entry-1")
            refusal = ev.CancelRefused(
                at=SESSION.opens_at + 60, order_id=ENTRY, code=1, message="already canceled"
            )
            await bench.answer("Cancel entry-1", (refusal,))
            assert bench.log == ["record CancelRefused", "look up entry-1"]
            gone = ENTRY_THERE._replace(status=BrokerStatus.CANCELED)
            await bench.answer("look up entry-1", gone)
            assert bench.log[2:] == ["record Canceled Intended Submitting", "Submit stop-1"]

    asyncio.run(story())


def test_absence_is_believed_in_time_only() -> None:
    """Goal: a no before the longest life of the request is over changes nothing; one after it sends
    the stop again, and that request has a whole life of its own.
    """

    async def story() -> None:
        bench = Bench(terms=replace(PATIENT, settle_s=30.0))
        async with running(bench):
            await reach(bench, "Submit stop-1")
            await bench.answer("Submit stop-1", Unanswered("cut"))
            await bench.answer("look up stop-1", None)
            bench.log.clear()
            bench.now_s = 31.0
            bench.pump.look_up()
            await turns()
            await bench.answer("look up stop-1", None)
            assert bench.log == ["look up stop-1", "record Submitting", "Submit stop-1"]
            bench.log.clear()
            await bench.answer("Submit stop-1", Unanswered("cut"))
            await bench.answer("look up stop-1", None)
            assert bench.log == ["record OutcomeUnknown", "look up stop-1"]

    asyncio.run(story())
