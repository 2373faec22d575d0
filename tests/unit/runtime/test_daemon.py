"""One life of the daemon at a broker across a line: the order of its start, fills, gate and end.

Method: daemon_kit; the loop is virtual, so that minutes of failing questions take no time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any, cast

import pytest
from daemon_kit import Shop
from pump_kit import ENTRY, SESSION, STOP, accepted, filled, key_of
from test_remote import there

from algo_trader.core import commands as cmd
from algo_trader.core import events as ev
from algo_trader.core.broker import BrokerStatus, Execution
from algo_trader.core.errors import CoreError, Unavailable
from algo_trader.core.inputs import Minute
from algo_trader.core.ports import LineState
from algo_trader.core.types import (
    Action,
    Bar,
    ClientOrderId,
    DecisionId,
    ExitReason,
    OrderType,
    Role,
    Side,
    TimeInForce,
)
from algo_trader.runtime import life as life_file
from algo_trader.runtime.cautions import PRICES, UNCOVERED
from algo_trader.runtime.daemon import SHUTDOWN, START
from algo_trader.runtime.housekeeping import Housekeeping
from algo_trader.runtime.remote import RECONCILE
from algo_trader.runtime.supervisor import Backoff, Supervisor
from algo_trader.simulation.loop import now, run_virtually

SHARES = Decimal(113)
Story = Callable[[], Awaitable[None]]


def intended(key: ClientOrderId, role: Role, action: Action, price: int) -> ev.Fact:
    """A stop order over 113 shares, entry or protection."""
    is_entry = role is Role.ENTRY
    until = TimeInForce.DAY if is_entry else TimeInForce.GTC
    return ev.OrderIntended(
        at=SESSION.opens_at,
        decision=DecisionId("a-s-X-20240103T1430"),
        strategy="s",
        side=Side.LONG,
        role=role,
        request=ev.OrderRequest(
            key, "X", action, OrderType.STOP, until, SHARES, None, Decimal(price)
        ),
        expires_at=SESSION.opens_at + 240 if is_entry else None,
        stop_loss=Decimal(9) if is_entry else None,
    )


RESTING: Sequence[ev.Fact] = (
    ev.AccountPinned(at=SESSION.opens_at, account="a", cash=Decimal(25_000)),
    ev.SessionOpened(at=SESSION.opens_at, session=SESSION.date, equity=Decimal(25_000)),
    intended(ENTRY, Role.ENTRY, Action.BUY, 11),
    ev.OrderSubmitting(at=SESSION.opens_at, order_id=ENTRY),
    accepted(ENTRY),
)
HELD: Sequence[ev.Fact] = (
    *RESTING,
    filled(ENTRY, 113),
    ev.StopSet(at=SESSION.opens_at, strategy="s", symbol="X", price=Decimal(9)),
    intended(STOP, Role.STOP, Action.SELL, 9),
    ev.OrderSubmitting(at=SESSION.opens_at, order_id=STOP),
    accepted(STOP),
)


def resting_shop() -> Shop:
    """An entry rests since the life before."""
    shop = Shop(RESTING)
    shop.far.known[ENTRY] = there(ENTRY, SHARES)
    return shop


def held_shop() -> Shop:
    """A position with its stop since the life before."""
    shop = Shop(HELD)
    shop.far.known[ENTRY] = there(ENTRY, SHARES)
    shop.far.fill(ENTRY)
    shop.far.known[STOP] = there(STOP, SHARES)
    shop.hold("X", 113, price=Decimal(11))
    return shop


def play(shop: Shop, story: Callable[[], Any]) -> None:
    """The story in virtual time."""
    run_virtually(shop.run(story))


# -- the order of a start --


def test_the_books_are_compared_before_bars_are_asked_for() -> None:
    """Goal: positions want their stops first. Method: foreign shares; bars that fail for a minute.
    """
    shop = Shop()
    shop.hold("Z", 7)
    shop.street.error = Unavailable("no bars")

    async def story() -> None:
        await asyncio.sleep(60)
        first = shop.log.index("past")
        assert {"account", "orders", "positions"} <= set(shop.log[:first])
        assert any(word.startswith("Submit") for word in shop.log[:first])
        assert START in shop.door.reasons
        assert len(shop.noted("warm_up_failed")) == 12
        shop.street.error = None
        await asyncio.sleep(6)
        assert shop.log[-1] != "past"
        assert "trading" in shop.log
        assert START not in shop.door.reasons

    play(shop, story)


def test_a_position_ends_by_the_clock_though_bars_cannot_be_had() -> None:
    """Goal: the day's end does not wait for a warm-up. Method: two minutes before the close bars
    fail and go on failing; the stop is canceled and the shares are sold.
    """
    shop = held_shop()
    shop.street.error = Unavailable("no bars")
    shop.street.began = SESSION.closes_at - 150

    async def story() -> None:
        await asyncio.sleep(30)
        assert "ExitDecided" not in shop.kinds()
        await asyncio.sleep(90)
        (decided,) = [fact for fact in shop.notebook.facts if isinstance(fact, ev.ExitDecided)]
        assert decided.reason is ExitReason.END_OF_DAY
        assert "trading" not in shop.log
        sent = [word for word in shop.log if word.startswith(("Cancel", "Submit"))]
        assert list(dict.fromkeys(sent)) == ["Cancel stop-1", "Submit exit-1"]

    play(shop, story)


def test_outside_a_session_none_is_opened() -> None:
    """Goal: a start at night opens no day. Method: no session now."""
    shop = Shop()
    shop.session = None

    async def story() -> None:
        await asyncio.sleep(30)
        assert "trading" in shop.log
        assert "SessionOpened" not in shop.kinds()

    play(shop, story)


def test_time_passes_while_the_books_are_compared() -> None:
    """Goal: what has become due while the broker could not be asked is done by the comparison
    itself. Method: an entry whose time runs out meanwhile; its cancel leaves before bars are asked.
    """
    shop = resting_shop()
    shop.far.down["positions"] = Unavailable("no line")

    async def story() -> None:
        await asyncio.sleep(300)
        assert "Cancel entry-1" not in shop.log
        shop.far.down.clear()
        await asyncio.sleep(31)
        assert shop.log.index("Cancel entry-1") < shop.log.index("past")

    play(shop, story)


# -- shares sold in the broker's own app --


def test_shares_that_went_while_nobody_was_there() -> None:
    """Goal: their stop, which would open the opposite, goes before bars are asked for; no entry
    until an operator has looked; the strategy is not told of a position that it never had.

    Method: a position of the life before; the broker holds none, and has our stop still.
    """
    shop = held_shop()
    shop.far.held.clear()

    async def story() -> None:
        await asyncio.sleep(10)
        assert shop.log.index("Cancel stop-1") < shop.log.index("past")
        assert shop.kinds().count("SharesGone") == 1
        assert shop.daemon.engine.book.halted is not None
        assert not shop.daemon.engine.book.active
        assert not any(word.startswith("Submit") for word in shop.log)

    play(shop, story)


def test_a_stop_that_was_taken_away_and_shares_that_were_sold() -> None:
    """Goal: a cancel that is not ours makes us look at once; the stop that answered it goes again,
    and nothing is sold a second time.

    Method: somebody cancels the stop and sells all; the stream tells of the cancel alone.
    """
    shop = held_shop()

    async def story() -> None:
        await asyncio.sleep(2)
        shop.far.become(STOP, BrokerStatus.CANCELED)
        shop.far.held.clear()
        shop.daemon.wake(STOP)
        await asyncio.sleep(10)
        sent = [word for word in shop.log if word.startswith(("Submit", "Cancel"))]
        assert sent == ["Submit stop-2", "Cancel stop-2"]
        assert shop.kinds().count("SharesGone") == 1
        assert not shop.daemon.engine.book.active
        assert RECONCILE not in shop.door.reasons

    play(shop, story)


# -- orders told by the stream --


@pytest.mark.parametrize("is_given_up", [False, True])
def test_an_order_that_arrives_after_all_is_met_at_once(is_given_up: bool) -> None:
    """Goal: an order whose request had no answer, or that was given up, cannot fill unknown.

    Method: no question is answered for a while, and they have become rare when the stream tells of
    it; what was given up is canceled.
    """
    silent = ev.OutcomeUnknown(at=SESSION.opens_at, order_id=ENTRY, detail="no answer")
    lost = ev.OrderAbandoned(at=SESSION.opens_at, order_id=ENTRY, reason="absent")
    shop = Shop([*RESTING[:-1], silent, *([lost] if is_given_up else [])])
    shop.far.down["order"] = Unavailable("no line")

    async def story() -> None:
        await asyncio.sleep(4)
        order = shop.daemon.engine.book.order(ENTRY)
        assert order.broker_id is None
        assert order.is_live is not is_given_up
        shop.far.known[ENTRY] = there(ENTRY, SHARES)
        shop.far.down.clear()
        shop.daemon.hear_arrival(ENTRY)
        await asyncio.sleep(0.1)
        assert order.broker_id is not None
        assert ("Cancel entry-1" in shop.log) is is_given_up

    play(shop, story)


def test_an_order_that_was_answered_is_no_news() -> None:
    """Goal: no question for what is known. Method: the stream tells of the order once more."""
    shop = resting_shop()

    async def story() -> None:
        await asyncio.sleep(2.5)
        asked = len(shop.far.asked.get("order", ()))
        shop.daemon.hear_arrival(ENTRY)
        shop.daemon.hear_arrival(ClientOrderId("web-1"))
        await asyncio.sleep(0.1)
        assert len(shop.far.asked.get("order", ())) == asked

    play(shop, story)


# -- fills told by the stream --


def told(qty: int = 113, cum: int | None = None) -> Execution:
    """An execution of the entry, with the id that the broker's books give it too."""
    shares = Decimal(cum or qty)
    return Execution(
        SESSION.opens_at + 70, Decimal(qty), Decimal(11), shares, Decimal(0), f"x-{ENTRY}"
    )


def test_a_fill_that_is_told_counts_at_once() -> None:
    """Goal: the stop leaves though no question to the broker can be asked; when it can, the same
    execution is no second one.

    Method: the stream tells while the line for questions is down; told twice; a minute later it
    works again.
    """
    shop = resting_shop()

    async def story() -> None:
        await asyncio.sleep(2)
        shop.far.fill(ENTRY)
        for name in ("order", "orders", "positions", "account"):
            shop.far.down[name] = Unavailable("no line")
        for _ in range(2):
            shop.daemon.hear_fill(ENTRY, told())
        await asyncio.sleep(0.01)
        assert shop.daemon.engine.book.holding("s", "X").qty == 113
        assert shop.log.count("Submit stop-1") == 1
        await asyncio.sleep(60)
        shop.far.down.clear()
        shop.daemon.compare_again("a test")
        await asyncio.sleep(60)
        assert shop.kinds().count("OrderFilled") == 1
        assert shop.daemon.engine.book.cash == 25_000 - 113 * 11
        assert shop.log.count("Submit stop-1") == 1
        assert "Discrepancy" not in shop.kinds()
        assert RECONCILE not in shop.door.reasons

    play(shop, story)


def test_a_fill_of_an_order_that_nobody_knows() -> None:
    """Goal: no entries until the books are compared, and what was bought is found and covered; no
    halt by the telling alone.

    Method: an execution under a foreign id; the broker holds its shares.
    """
    shop = Shop()

    async def story() -> None:
        await asyncio.sleep(2)
        assert shop.door.is_open
        shop.hold("Z", 7, price=Decimal(12))
        shop.daemon.hear_fill(ClientOrderId("web-1"), told(7))
        assert list(shop.door.reasons) == [RECONCILE]
        await asyncio.sleep(10)
        assert shop.door.is_open
        assert shop.kinds().count("SharesAdopted") == 1
        assert "OrderFilled" not in shop.kinds()
        assert sum(word.startswith("Submit") for word in shop.log) == 1

    play(shop, story)


# -- what keeps entries back --


def test_shares_without_a_stop_keep_entries_back() -> None:
    """Goal: after three seconds, critical; the gate opens again when a stop works.

    Method: a position's stop is gone and nothing can be sent for a while.
    """
    shop = held_shop()

    async def story() -> None:
        await asyncio.sleep(2)
        assert shop.door.is_open
        execute = shop.far.execute

        async def nothing(command: cmd.Command) -> Sequence[ev.Report]:
            raise Unavailable("no line")

        shop.far.execute = nothing  # type: ignore[method-assign]  # scripted
        shop.far.become(STOP, BrokerStatus.CANCELED)
        shop.daemon.wake(STOP)
        await asyncio.sleep(1)
        assert UNCOVERED not in shop.door.reasons
        await asyncio.sleep(5)
        assert UNCOVERED in shop.door.reasons
        assert not shop.daemon.engine.is_ready
        (said,) = [said for said in shop.noted("entries_closed") if said["cause"] == UNCOVERED]
        assert said["level"] == "critical"
        shop.far.execute = execute  # type: ignore[method-assign]  # scripted
        await asyncio.sleep(5)
        assert shop.door.is_open
        assert shop.daemon.engine.is_ready

    play(shop, story)


def test_a_position_without_a_price_keeps_entries_back() -> None:
    """Goal: what cannot be valued cannot be risked beside; the symbol is named; a price opens.

    Method: foreign shares of a symbol without bars, first without, then with the broker's price.
    """
    shop = Shop()
    shop.hold("Z", 7)

    async def story() -> None:
        await asyncio.sleep(10)
        assert list(shop.door.reasons) == [PRICES]
        assert "Z" in shop.door.reasons[PRICES]
        shop.hold("Z", 7, price=Decimal(12))
        shop.daemon.compare_again("a test")
        await asyncio.sleep(10)
        assert shop.door.is_open
        assert shop.daemon.engine.marks["Z"] == 12

    play(shop, story)


# -- the end --


def eager_minute(shop: Shop) -> None:
    """The strategy's candle, which it buys."""
    shop.strategy.is_eager = True
    ten = Decimal(10)
    start = SESSION.opens_at
    shop.daemon.put(Minute(start, [Bar("X", start, ten, ten, ten, ten, 1)]))


@pytest.mark.parametrize("slow_s", [0.5, 3.0])
def test_the_end_waits_for_a_stop_that_is_under_way(slow_s: float) -> None:
    """Goal: a fill at the last moment is covered before the process ends.

    Method: the fill comes with the request to end, the broker takes its time with the stop.
    """
    shop = resting_shop()

    async def story() -> None:
        await asyncio.sleep(2)
        execute = shop.far.execute

        async def slowly(command: cmd.Command) -> Sequence[ev.Report]:
            await asyncio.sleep(slow_s)
            return await execute(command)

        shop.far.execute = slowly  # type: ignore[method-assign]  # scripted
        shop.far.fill(ENTRY)
        shop.daemon.hear_fill(ENTRY, told())
        await shop.daemon.shut_down()
        assert shop.daemon.engine.book.order(STOP).broker_id is not None
        assert shop.noted("uncovered_at_shutdown") == []

    play(shop, story)


def test_the_end_waits_for_a_stop_that_did_not_leave_at_first() -> None:
    """Goal: a stop that is placed anew after a second belongs to the end, too.

    Method: the first try finds no line, the second does.
    """
    shop = resting_shop()

    async def story() -> None:
        await asyncio.sleep(2)
        execute = shop.far.execute
        failed: list[cmd.Command] = []

        async def once_unsent(command: cmd.Command) -> Sequence[ev.Report]:
            if not failed:
                failed.append(command)
                raise Unavailable("no line")
            return await execute(command)

        shop.far.execute = once_unsent  # type: ignore[method-assign]  # scripted
        shop.far.fill(ENTRY)
        shop.daemon.hear_fill(ENTRY, told())
        began = now()
        await shop.daemon.shut_down()
        assert shop.daemon.engine.book.order(key_of("stop", 2)).broker_id is not None
        assert shop.noted("uncovered_at_shutdown") == []
        assert now() - began < 10

    play(shop, story)


def test_shares_that_stay_bare_do_not_keep_the_process() -> None:
    """Goal: the end comes within its time, and says so. Method: no stop can be sent at all."""
    shop = resting_shop()

    async def story() -> None:
        await asyncio.sleep(2)

        async def nothing(command: cmd.Command) -> Sequence[ev.Report]:
            raise Unavailable("no line")

        shop.far.execute = nothing  # type: ignore[method-assign]  # scripted
        shop.far.fill(ENTRY)
        shop.daemon.hear_fill(ENTRY, told())
        began = now()
        await shop.daemon.shut_down()
        assert now() - began < 15
        (said,) = shop.noted("uncovered_at_shutdown")
        assert said["level"] == "critical"

    play(shop, story)


class NoHousekeeping:
    """Nothing to clear."""

    def clear(self) -> None:
        """Nothing."""

    async def run(self) -> None:
        """For ever."""
        await asyncio.Event().wait()


def test_a_task_that_keeps_failing_ends_the_life_in_good_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Goal: what rests is canceled first, then the process ends by an error that asks for another
    start, and names the task.

    Method: a stream that fails whenever it is started, with the pauses of the supervisor left out.
    """
    monkeypatch.setattr(
        life_file, "Supervisor", lambda log: Supervisor(log, backoff=Backoff(first_s=0.0))
    )
    shop: Shop

    async def broken() -> None:
        while RECONCILE in shop.door.reasons or START in shop.door.reasons:
            await asyncio.sleep(0)
        raise ValueError("no such frame")

    shop = Shop(RESTING, streams=[("trade_stream", broken)])
    shop.far.known[ENTRY] = there(ENTRY, SHARES)

    async def lives() -> None:
        shop.street.began = SESSION.opens_at + 60 - int(asyncio.get_running_loop().time())
        work = asyncio.create_task(
            life_file.live(
                shop.daemon,
                lambda daemon: {},
                cast(Housekeeping, NoHousekeeping()),
                socket=tmp_path / "s",
                log=shop.note,
            )
        )
        while not hasattr(shop.daemon, "pump"):
            await asyncio.sleep(0)
        shop.daemon.hear_trade_stream(LineState.CONNECTED)
        await work

    with pytest.raises(CoreError, match="task trade_stream failed 3 times") as raised:
        asyncio.run(lives())
    assert raised.type is CoreError
    assert "Cancel entry-1" in shop.log
    reasons = [f.reason for f in shop.notebook.facts if isinstance(f, ev.CancelRequested)]
    assert reasons == [SHUTDOWN]
    assert shop.noted("ended")


def test_the_entry_that_rests_at_the_end_is_canceled() -> None:
    """Goal: an order that opens a position does not outlive the process. Method: a whole story."""
    shop = Shop()

    async def story() -> None:
        shop.street.began = SESSION.opens_at + 60
        await asyncio.sleep(2)
        eager_minute(shop)
        await asyncio.sleep(1)
        assert shop.daemon.engine.book.resting == 1
        await shop.daemon.shut_down()
        assert shop.daemon.engine.book.resting == 0

    play(shop, story)
