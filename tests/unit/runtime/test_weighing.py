"""A refusal of what was sent twice: no word on the first request.

Method: as in test_pump; a stop that was not answered is sent again, and then refused.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from decimal import Decimal

import pytest
from pump_kit import PATIENT, SESSION, STOP, Bench, reach, running, turns

from algo_trader.core import events as ev
from algo_trader.core.broker import BrokerOrder, BrokerStatus
from algo_trader.core.errors import Unanswered, Unavailable
from algo_trader.core.inputs import Truths
from algo_trader.core.orders import OrderState
from algo_trader.core.types import Action, BrokerOrderId

THERE = BrokerOrder(
    STOP, BrokerOrderId(f"b-{STOP}"), "X", Action.SELL, Decimal(113), BrokerStatus.OPEN
)
REFUSED = (
    ev.OrderRefused(
        at=SESSION.opens_at, order_id=STOP, code=40310000, message="insufficient qty available"
    ),
)


async def sent_twice(bench: Bench) -> None:
    """The stop was not answered, denied, and has left again."""
    await reach(bench, "Submit stop-1")
    await bench.answer("Submit stop-1", Unanswered("cut"))
    await bench.answer("look up stop-1", None)
    assert bench.log[-2:] == ["record Submitting", "Submit stop-1"]
    bench.log.clear()


def test_the_first_one_is_there() -> None:
    """Goal: the refusal is a consequence of the order: it is adopted, none is placed beside it."""

    async def story() -> None:
        bench = Bench()
        async with running(bench):
            await sent_twice(bench)
            await bench.answer("Submit stop-1", REFUSED)
            await bench.answer("look up stop-1", THERE)
            await bench.answer("look up stop-1", THERE)
            assert bench.log == [
                "look up stop-1",
                "record OutcomeUnknown",
                "look up stop-1",
                "record Accepted",
            ]
            assert bench.book.order(STOP).is_live

    asyncio.run(story())


def test_it_is_denied_and_appears_late() -> None:
    """Goal: denied, it is given up and another one is placed; when it appears after all it is
    live again.
    """

    async def story() -> None:
        bench = Bench()
        async with running(bench):
            await sent_twice(bench)
            await bench.answer("Submit stop-1", REFUSED)
            await bench.answer("look up stop-1", None)
            assert bench.log[1:] == ["record Abandoned Intended Submitting", "Submit stop-2"]
            assert bench.book.order(STOP).state is OrderState.SUBMIT_FAILED
            await bench.hear(Truths({STOP: THERE}))
            assert bench.book.order(STOP).is_live

    asyncio.run(story())


def test_before_proof_it_is_no_word_on_the_first() -> None:
    """Goal: the first request may be on its way as long as a request can be: nothing takes its
    place meanwhile, though it leaves again every few seconds, in case the market has come back;
    once the first cannot arrive any more, the next refusal is the last word.
    """

    async def story() -> None:
        bench = Bench(terms=replace(PATIENT, settle_s=30.0))

        async def deny_at(now_s: float) -> list[str]:
            """What follows when the broker denies the order at that time."""
            bench.now_s = now_s
            bench.pump.look_up()
            await turns()
            bench.log.clear()
            await bench.answer("look up stop-1", None)
            return bench.log

        async def refuse() -> list[str]:
            """What follows when it is refused, and denied."""
            await bench.answer("Submit stop-1", REFUSED)
            bench.log.clear()
            await bench.answer("look up stop-1", None)
            return bench.log

        again = ["record Submitting", "Submit stop-1"]
        async with running(bench):
            await reach(bench, "Submit stop-1")
            await bench.answer("Submit stop-1", Unanswered("cut"))
            await bench.answer("look up stop-1", None)
            assert await deny_at(2.0) == again
            for now_s in (2.0, 6.0, 12.0, 25.0):
                assert await refuse() == ["record OutcomeUnknown", "look up stop-1"]
                assert await deny_at(now_s + 0.1) == []
                assert await deny_at(now_s + 4.0) == again
            assert await refuse() == ["record OutcomeUnknown", "look up stop-1"]
            assert await deny_at(29.1) == []
            assert await deny_at(31.0) == again
            assert await refuse() == ["record Abandoned Intended Submitting", "Submit stop-2"]

    asyncio.run(story())


@pytest.mark.parametrize("error", [Unanswered("cut"), Unavailable("no line")])
def test_it_cannot_be_asked_about(error: Exception) -> None:
    """Goal: nobody knows, so it stays unknown. Method: the question fails."""

    async def story() -> None:
        bench = Bench()
        async with running(bench):
            await sent_twice(bench)
            await bench.answer("Submit stop-1", REFUSED)
            await bench.answer("look up stop-1", error)
            assert bench.log[1:] == ["record OutcomeUnknown", "look up stop-1"]

    asyncio.run(story())


def test_a_first_refusal_is_believed() -> None:
    """Goal: an order that was sent once is asked about by nobody."""

    async def story() -> None:
        bench = Bench()
        async with running(bench):
            await reach(bench, "Submit stop-1")
            await bench.answer("Submit stop-1", REFUSED)
            assert bench.log == ["record Refused Intended Submitting", "Submit stop-2"]

    asyncio.run(story())
