"""What a sweep and a comparison ask and tell, and what keeps entries back meanwhile.

Method: the office of test_remote in virtual time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from dataclasses import replace
from decimal import Decimal

import pytest
from pump_kit import ENTRY, SESSION, STOP, key_of
from test_remote import WEB, Far, Office, play, there

from algo_trader.core import commands as cmd
from algo_trader.core import events as ev
from algo_trader.core.book import EXTERNAL
from algo_trader.core.broker import BrokerOrder, BrokerPosition, BrokerStatus
from algo_trader.core.errors import BrokerError, Unanswered, Unavailable
from algo_trader.core.inputs import Clock
from algo_trader.core.types import ClientOrderId
from algo_trader.runtime.remote import CALENDAR, RECONCILE, SWEEP, SWEEP_STALE_S
from algo_trader.simulation.loop import now

# -- open orders that cannot be asked about --


@pytest.mark.parametrize("error", [Unavailable("no line"), Unanswered("cut"), BrokerError("odd")])
def test_sweeps_that_fail_for_long_keep_entries_back(error: BrokerError) -> None:
    """Goal: after more than twelve seconds without an answer about open orders, not before; one
    answer opens again.

    Method: an entry rests, the question fails for half a minute.
    """

    async def story(office: Office) -> None:
        await office.start()
        await office.rest()
        await asyncio.sleep(5.5)
        office.far.down["orders"] = error
        await asyncio.sleep(SWEEP_STALE_S - 1)
        assert office.door.is_open
        await asyncio.sleep(6)
        assert list(office.door.reasons) == [SWEEP]
        assert str(error) in office.door.reasons[SWEEP]
        assert not office.engine.is_ready
        office.far.down.clear()
        await asyncio.sleep(5)
        assert office.door.is_open
        assert office.engine.is_ready

    play(story, "sweep")


def test_nothing_to_ask_about_opens_again() -> None:
    """Goal: a gate that failing sweeps have closed does not stay closed when the order has ended.

    Method: the entry's end is heard on the stream while the question fails.
    """

    async def story(office: Office) -> None:
        await office.start()
        await office.rest()
        office.far.down["orders"] = Unavailable("no line")
        await asyncio.sleep(30)
        assert SWEEP in office.door.reasons
        office.far.become(ENTRY, BrokerStatus.CANCELED)
        office.pump.wake([ENTRY])
        await asyncio.sleep(6)
        assert office.door.is_open

    play(story, "sweep")


def test_an_hour_without_orders_is_no_silence() -> None:
    """Goal: the first sweep that fails after a long time without orders does not close the gate."""

    async def story(office: Office) -> None:
        await office.start()
        await asyncio.sleep(3600)
        await office.rest()
        office.far.down["orders"] = Unavailable("no line")
        await asyncio.sleep(9)
        assert office.door.is_open

    play(story, "sweep")


# -- broker and calendar --


def test_a_broker_of_another_mind_about_the_session() -> None:
    """Goal: while broker and calendar differ no entry leaves, critical, in the words of the check;
    agreement opens again.

    Method: a disagreement for two minutes.
    """

    async def story(office: Office) -> None:
        said = ["the broker says closed"]
        office.remote.terms = replace(office.remote.terms, disagreement=lambda: said[0])
        await office.start()
        await asyncio.sleep(61)
        assert office.door.reasons == {CALENDAR: "the broker says closed"}
        (closed,) = office.noted("entries_closed")
        assert closed["level"] == "critical"
        said[0] = ""
        await asyncio.sleep(61)
        assert office.door.is_open
        assert office.engine.is_ready

    play(story, "clock")


# -- orders that come late --


class Losing(Far):
    """Takes an entry, says that it has not, and shows it later."""

    async def execute(self, command: cmd.Command) -> Sequence[ev.Report]:
        """Entries are lost on the way back."""
        if isinstance(command, cmd.Submit) and "entry" in command.request.order_id:
            order_id = command.request.order_id
            return (ev.OrderAbandoned(at=SESSION.opens_at, order_id=order_id, reason="absent"),)
        return await super().execute(command)


def test_an_entry_that_was_given_up_and_is_there() -> None:
    """Goal: canceled at the first look that shows it; the one that works is left alone.

    Method: an entry proved absent appears open at the broker while another order is looked at.
    """

    async def story(office: Office) -> None:
        await office.start()
        office.far.__class__ = Losing
        office.pump.put(office.still_minute())
        await office.pump.settled()
        assert not office.book.order(ENTRY).is_live
        office.far.__class__ = Far
        office.pump.put(office.still_minute())
        await office.pump.settled()
        working = list(office.book.orders)[-1]
        assert office.book.order(working).is_live
        office.far.known[ENTRY] = there(ENTRY, office.book.order(ENTRY).request.qty)
        office.log.clear()
        await asyncio.sleep(5.5)
        assert "Cancel entry-1" in office.log
        assert office.far.known[ENTRY].status is BrokerStatus.CANCELED
        assert office.far.known[working].status is BrokerStatus.OPEN
        assert office.book.order(working).is_live

    play(story, "sweep")


# -- what a comparison asks for --


def test_a_refused_order_is_not_asked_for() -> None:
    """Goal: the broker is not searched for what it never took. Method: an entry is refused, one
    works; the ids of the next comparison's question.
    """

    async def story(office: Office) -> None:
        await office.start()
        refused: list[ClientOrderId] = []
        asked: list[set[ClientOrderId]] = []
        execute, orders = office.far.execute, office.far.orders

        async def refuse(command: cmd.Command) -> Sequence[ev.Report]:
            assert isinstance(command, cmd.Submit)
            refused.append(command.request.order_id)
            return (
                ev.OrderRefused(
                    at=SESSION.opens_at, order_id=command.request.order_id, code=1, message="no"
                ),
            )

        async def note(known: Collection[ClientOrderId]) -> Sequence[BrokerOrder]:
            asked.append(set(known))
            return await orders(known)

        office.far.execute = refuse  # type: ignore[method-assign]  # scripted
        office.pump.put(office.still_minute())
        await office.pump.settled()
        office.far.execute = execute  # type: ignore[method-assign]  # scripted
        office.pump.put(office.still_minute())
        await office.pump.settled()
        office.far.orders = note  # type: ignore[method-assign]  # scripted
        working = list(office.book.orders)[-1]
        assert refused == [ENTRY]
        office.remote.want_comparison("a test")
        await asyncio.sleep(10)
        assert {frozenset(ids) for ids in asked} == {frozenset([working])}

    play(story, "comparing")


def test_sweeps_tell_fills_while_a_comparison_cannot_end() -> None:
    """Goal: a comparison that fails again and again keeps nobody from hearing of a fill.

    Method: positions cannot be read for minutes; the entry fills unheard.
    """

    async def story(office: Office) -> None:
        await office.start()
        await office.rest()
        office.far.down["positions"] = Unavailable("no line")
        office.remote.want_comparison("a test")
        await asyncio.sleep(100)
        office.far.fill(ENTRY)
        began = now()
        while not office.book.orders.get(STOP):
            await asyncio.sleep(0.5)
        assert now() - began < 6
        assert RECONCILE in office.door.reasons

    play(story, "sweep", "comparing")


# -- foreign orders --


def test_a_foreign_order_is_gone_and_its_shares_are_covered() -> None:
    """Goal: a sweep that shows no foreign order any more tells so, and the shares get their stop.

    Method: a stop of ours rests; a foreign order has filled in part and is canceled.
    """

    async def story(office: Office) -> None:
        await office.start()
        await office.rest()
        office.far.fill(ENTRY)
        office.pump.wake([ENTRY])
        office.far.known[WEB] = there(WEB, Decimal(10), "Z")
        office.far.held["Z"] = BrokerPosition("Z", Decimal(6), Decimal(20), Decimal(20))
        office.remote.want_comparison("a test")
        await asyncio.sleep(12)
        held = office.book.holding(EXTERNAL, "Z")
        assert held.qty == 6
        assert not held.stops
        office.far.become(WEB, BrokerStatus.CANCELED)
        await asyncio.sleep(6)
        (stop,) = held.stops
        assert stop.request.qty == 6
        assert WEB not in office.book.orders

    play(story, "sweep", "comparing")


def test_bare_foreign_shares_are_looked_at_without_an_order_of_ours() -> None:
    """Goal: their cover does not wait for the next comparison when nothing of ours rests.

    Method: the same, with no order of ours at all.
    """

    async def story(office: Office) -> None:
        await office.start()
        office.far.known[WEB] = there(WEB, Decimal(10), "Z")
        office.far.held["Z"] = BrokerPosition("Z", Decimal(6), Decimal(20), Decimal(20))
        office.remote.want_comparison("a test")
        await asyncio.sleep(12)
        held = office.book.holding(EXTERNAL, "Z")
        assert held.qty == 6
        assert not held.stops
        office.far.become(WEB, BrokerStatus.CANCELED)
        await asyncio.sleep(6)
        assert len(held.stops) == 1
        office.far.asked.clear()
        await asyncio.sleep(60)
        assert office.far.times("orders") == 12, "our stop is looked at from now on"

    play(story, "sweep", "comparing")


# -- what never left, and what may have --


def clock(office: Office, seconds: int) -> None:
    """The heartbeat's clock, so many seconds after the open's first minute."""
    office.pump.put(Clock(SESSION.opens_at + 60 + seconds))


def test_a_stop_that_never_left_has_a_new_number() -> None:
    """Goal: placed anew after 1 s, 2 s at most between tries. Method: no line for four tries."""

    async def story(office: Office) -> None:
        await office.start()
        await office.rest()
        tries: list[tuple[int, ClientOrderId]] = []
        execute = office.far.execute
        second = 0

        async def unsent(command: cmd.Command) -> Sequence[ev.Report]:
            assert isinstance(command, cmd.Submit)
            tries.append((second, command.request.order_id))
            if len(tries) > 4:
                return await execute(command)
            raise Unavailable("no line")

        office.far.execute = unsent  # type: ignore[method-assign]  # scripted
        office.far.fill(ENTRY)
        office.pump.wake([ENTRY])
        await office.pump.settled()
        for second in range(1, 20):
            clock(office, second)
            await office.pump.settled()
        assert tries == [
            (0, STOP),
            (1, key_of("stop", 2)),
            (3, key_of("stop", 3)),
            (5, key_of("stop", 4)),
            (7, key_of("stop", 5)),
        ]
        assert office.book.order(key_of("stop", 5)).broker_id is not None

    play(story, "comparing")


def test_a_stop_that_may_have_left_keeps_its_number() -> None:
    """Goal: sent again under its id, so that there can never be two; a second try that certainly
    did not leave does not make it one that never left.

    Method: no answer at first, then no line, then the broker takes it; it never had the first.
    """

    async def story(office: Office) -> None:
        await office.start()
        await office.rest()
        tries: list[ClientOrderId] = []
        execute = office.far.execute

        async def doubtful(command: cmd.Command) -> Sequence[ev.Report]:
            assert isinstance(command, cmd.Submit)
            tries.append(command.request.order_id)
            if len(tries) == 1:
                raise Unanswered("cut")
            if len(tries) == 2:
                raise Unavailable("no line")
            return await execute(command)

        office.far.execute = doubtful  # type: ignore[method-assign]  # scripted
        office.far.fill(ENTRY)
        office.pump.wake([ENTRY])
        await office.pump.settled()
        for second in range(1, 20):
            office.now_s += 1.0
            clock(office, second)
            office.pump.look_up()
            await office.pump.settled()
        assert set(tries) == {STOP}
        assert 3 <= len(tries) <= 4
        assert office.book.order(STOP).broker_id is not None
        assert "OrderAbandoned" not in office.kinds()

    play(story, "comparing")
