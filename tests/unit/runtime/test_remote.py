"""What stands beside the pump of a remote broker: comparing, sweeping, watching.

Method: the bench of the pump's tests on a loop in virtual time, so that pauses are gone through and
not waited for; a broker across a line that a test can cut, and whose books it can change unheard.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import AsyncExitStack
from decimal import Decimal

import pytest
from pump_kit import CASH, ENTRY, LIVE, STOP, Bench, Phone, accepted, running, word_of

from algo_trader.core import commands as cmd
from algo_trader.core import events as ev
from algo_trader.core.broker import (
    AccountState,
    BrokerOrder,
    BrokerPosition,
    BrokerStatus,
    Execution,
)
from algo_trader.core.errors import BrokerError, Unanswered, Unavailable
from algo_trader.core.inputs import CancelEntries, Readiness
from algo_trader.core.ports import LineState
from algo_trader.core.types import Action, BrokerOrderId, ClientOrderId, Symbol
from algo_trader.runtime.gate import Gate
from algo_trader.runtime.remote import (
    ACCOUNT,
    ACCOUNT_STALE_S,
    CLOCK,
    RECONCILE,
    STREAM_WAIT_S,
    Remote,
    RemoteTerms,
)
from algo_trader.simulation.loop import now, run_virtually

WEB = ClientOrderId("web-1")


class Far(Phone):
    """A broker that takes every order at once, over a line that may be down.

    `down` names the questions that fail; `asked` counts them with their times; `slow_s` is how long
    an answer about orders takes; a pending cancel is taken and not done.
    """

    def __init__(self) -> None:
        super().__init__([])
        self.down: dict[str, BrokerError] = {}
        self.asked: dict[str, list[float]] = {}
        self.blocked = ""
        self.buying_power = CASH
        self.slow_s = 0.0
        self.is_cancel_pending = False
        self.at_account: Callable[[], None] = lambda: None

    def times(self, name: str) -> int:
        """How often that was asked since the test last looked."""
        return len(self.asked.pop(name, []))

    async def execute(self, command: cmd.Command) -> Sequence[ev.Report]:
        """Take it, and say so."""
        self.log.append(word_of(command))
        if isinstance(command, cmd.Cancel):
            if self.is_cancel_pending:
                return ()
            self.become(command.order_id, BrokerStatus.CANCELED)
            return (ev.OrderCanceled(at=1, order_id=command.order_id),)
        (request,) = cmd.placed_by(command)
        self.known[request.order_id] = there(request.order_id, request.qty)
        return (accepted(request.order_id),)

    def become(self, key: ClientOrderId, status: BrokerStatus) -> None:
        """The order ends here, unheard."""
        self.known[key] = self.known[key]._replace(status=status)

    def fill(self, key: ClientOrderId) -> None:
        """The whole order is filled here, unheard."""
        order = self.known[key]
        done = Execution(9, order.qty, Decimal(11), order.qty, Decimal(0), f"x-{key}")
        self.known[key] = order._replace(status=BrokerStatus.FILLED, executions=(done,))
        self.held["X"] = BrokerPosition("X", order.qty, Decimal(11))

    def _ask(self, name: str) -> None:
        self.asked.setdefault(name, []).append(now())
        if name in self.down:
            raise self.down[name]

    async def order(self, order_id: ClientOrderId) -> BrokerOrder | None:
        """The order."""
        self._ask("order")
        return self.known.get(order_id)

    async def orders(self, known: Collection[ClientOrderId]) -> Sequence[BrokerOrder]:
        """The open ones and the known."""
        self._ask("orders")
        found = [
            order
            for key, order in self.known.items()
            if order.status is BrokerStatus.OPEN or key in known
        ]
        await asyncio.sleep(self.slow_s)
        return found

    async def positions(self) -> Mapping[Symbol, BrokerPosition]:
        """What it holds."""
        self._ask("positions")
        return dict(self.held)

    async def account(self) -> AccountState:
        """The account."""
        self._ask("account")
        self.at_account()
        cash = (await super().account()).cash
        return AccountState("a", cash, self.buying_power, cash, self.blocked)


def there(key: ClientOrderId, qty: Decimal, symbol: str = "X") -> BrokerOrder:
    """An open order as the broker has it."""
    action = Action.SELL if "stop" in key or "exit" in key else Action.BUY
    return BrokerOrder(key, BrokerOrderId(f"b-{key}"), symbol, action, qty, BrokerStatus.OPEN)


class Office(Bench):
    """The bench, with such a broker and what stands beside the pump."""

    def __init__(self) -> None:
        self.far = Far()
        super().__init__(terms=LIVE, phone=self.far)
        self.events: list[tuple[str, dict[str, object]]] = []
        self.door = Gate(self.note)
        self.skew: float | BrokerError = 0.0
        self.engine.is_ready = False
        terms = RemoteTerms(
            streams=[], read_skew=self._read_skew, sweep_every_s=5.0, compare_every_s=300.0
        )
        self.remote = Remote(terms, self.far, self.pump, self.door, self.note, now)
        self.door.listen(lambda is_open: self.pump.put(Readiness(is_open)))

    def note(self, event: str, /, **fields: object) -> None:
        """The log."""
        self.events.append((event, fields))

    def noted(self, event: str) -> list[dict[str, object]]:
        """The fields of all events of that name."""
        return [fields for name, fields in self.events if name == event]

    async def _read_skew(self) -> float:
        if isinstance(self.skew, BrokerError):
            raise self.skew
        return self.skew

    async def start(self) -> None:
        """The stream is there, the books have been compared."""
        self.remote.hear_stream(LineState.CONNECTED)
        await self.remote.begin()
        await self.pump.settled()

    async def rest(self) -> None:
        """An entry rests."""
        self.pump.put(self.still_minute())
        await self.pump.settled()
        self.strategies[0].is_eager = False
        assert self.book.order(ENTRY).broker_id is not None
        self.far.asked.clear()
        self.log.clear()
        self.facts.clear()

    def kinds(self) -> list[str]:
        """What was recorded since, in short; the list begins anew."""
        found = [type(fact).__name__ for fact in self.facts]
        self.facts.clear()
        return found


Story = Callable[[Office], Awaitable[None]]


def play(story: Story, *tasks: str) -> None:
    """The story, with those of the standing tasks that are named, or all."""

    async def run() -> None:
        office = Office()
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(running(office))
            standing = [
                asyncio.create_task(work())
                for name, work in office.remote.tasks()
                if name in tasks or not tasks
            ]
            try:
                await story(office)
                assert not any(task.done() for task in standing)
            finally:
                for task in standing:
                    task.cancel()
                await asyncio.gather(*standing, return_exceptions=True)

    run_virtually(run())


# -- the first comparison --


@pytest.mark.parametrize(("stream_at", "compared_at"), [(3.0, 3.0), (None, STREAM_WAIT_S)])
def test_the_first_comparison_waits_for_the_stream(
    stream_at: float | None, compared_at: float
) -> None:
    """Goal: not before the stream, unless that does not come: positions want their stops.

    Method: the stream after three seconds, or never; when the broker was first asked.
    """

    async def story(office: Office) -> None:
        assert list(office.door.reasons) == [RECONCILE]
        work = asyncio.create_task(office.remote.begin())
        if stream_at is not None:
            await asyncio.sleep(stream_at)
            office.remote.hear_stream(LineState.CONNECTED)
        await work
        await office.pump.settled()
        assert office.far.asked["orders"][0] == compared_at
        assert office.door.is_open
        assert office.engine.is_ready

    play(story, "comparing")


def test_a_stream_that_comes_late_is_compared_after() -> None:
    """Goal: what was not told before it came is asked for. Method: it comes at 20 s."""

    async def story(office: Office) -> None:
        await office.remote.begin()
        await asyncio.sleep(STREAM_WAIT_S)
        office.far.asked.clear()
        office.remote.hear_stream(LineState.CONNECTED)
        assert not office.door.is_open
        await asyncio.sleep(0.1)
        assert office.far.times("orders")
        assert office.door.is_open

    play(story, "comparing")


@pytest.mark.parametrize("name", ["account", "orders", "positions"])
@pytest.mark.parametrize("error", [Unavailable("no line"), Unanswered("cut"), BrokerError("odd")])
def test_a_comparison_that_fails_is_tried_again(name: str, error: BrokerError) -> None:
    """Goal: with pauses that double up to half a minute, until it works; no entry before.

    Method: any question fails for two minutes.
    """

    async def story(office: Office) -> None:
        office.far.down[name] = error
        work = asyncio.create_task(office.start())
        await asyncio.sleep(120)
        assert office.far.asked[name] == [0, 1, 3, 7, 15, 31, 61, 91]
        pauses = [fields["again_in_s"] for fields in office.noted("reconcile_failed")]
        assert pauses == [1, 2, 4, 8, 16, 30, 30, 30]
        assert list(office.door.reasons) == [RECONCILE]
        office.far.down.clear()
        await work
        assert office.door.is_open
        assert now() == 121

    play(story, "comparing")


def test_a_stream_lost_during_the_first_comparison() -> None:
    """Goal: the gate opens after the second comparison, not after the first, which may have read
    books that changed unheard. Method: the stream goes and comes back while orders are read.
    """

    async def story(office: Office) -> None:
        office.far.slow_s = 4.0
        office.remote.hear_stream(LineState.CONNECTED)
        work = asyncio.create_task(office.remote.begin())
        await asyncio.sleep(1)
        office.remote.hear_stream(LineState.LOST)
        office.remote.hear_stream(LineState.CONNECTED)
        await work
        await asyncio.sleep(0)
        assert not office.door.is_open
        await asyncio.sleep(60)
        assert office.door.is_open

    play(story, "comparing")


# -- after a gap --


def test_after_a_gap_the_books_are_compared_again() -> None:
    """Goal: entries wait from the reconnect on until what was not told is known and covered.

    Method: the entry fills while the stream is away.
    """

    async def story(office: Office) -> None:
        await office.start()
        await office.rest()
        office.remote.hear_stream(LineState.LOST)
        assert office.door.is_open, "the line itself closes it"
        office.far.fill(ENTRY)
        office.remote.hear_stream(LineState.CONNECTED)
        assert list(office.door.reasons) == [RECONCILE]
        await asyncio.sleep(60)
        assert office.door.is_open
        assert office.log == [
            "record Filled StopSet Intended Submitting",
            "Submit stop-1",
            "record Accepted",
        ]
        assert office.engine.is_ready

    play(story, "comparing")


def test_a_gap_within_a_comparison_is_compared_again() -> None:
    """Goal: a second gap while the first one's books are read wants a comparison of its own, and
    the gate stays closed in between. Method: the readings take long.
    """

    async def story(office: Office) -> None:
        await office.start()
        office.far.slow_s = 1.0
        opened: list[float] = []
        office.door.listen(lambda is_open: opened.append(now()) if is_open else None)
        office.remote.hear_stream(LineState.CONNECTED)
        await asyncio.sleep(0.5)
        office.far.asked.clear()
        office.remote.hear_stream(LineState.CONNECTED)
        await asyncio.sleep(100)
        assert len(opened) == 1
        # What was asked after the second gap: the rest of the first comparison, then a whole one.
        assert opened[0] >= office.far.asked["positions"][1]
        assert office.door.is_open

    play(story, "comparing")


def test_a_comparison_without_a_reason() -> None:
    """Goal: every five minutes the books are compared, and entries do not wait for it.

    Method: a quarter of an hour in which nothing happens.
    """

    async def story(office: Office) -> None:
        await office.start()
        office.far.asked.clear()
        told: list[bool] = []
        office.door.listen(told.append)
        await asyncio.sleep(901)
        assert office.far.asked["positions"] == [300, 600, 900]
        assert told == []
        assert office.facts == []

    play(story, "comparing")


def test_wanting_twice_is_wanting_once() -> None:
    """Goal: many reasons in one moment are one comparison. Method: ten, in one breath."""

    async def story(office: Office) -> None:
        await office.start()
        office.far.asked.clear()
        for number in range(10):
            office.remote.want_comparison(f"reason {number}")
        await asyncio.sleep(10)
        assert office.far.times("positions") == 1
        assert office.door.is_open

    play(story, "comparing")


def test_a_fill_while_the_cash_is_read_is_no_gift() -> None:
    """Goal: cash that a fill has moved, which was not told yet, is not taken for a transfer.

    Method: the resting entry fills at the very moment in which the account is asked for, for each
    of the questions about the account in turn.
    """
    for number in range(4):

        async def story(office: Office, number: int = number) -> None:
            await office.start()
            await office.rest()
            left = [number]

            def fill() -> None:
                left[0] -= 1
                if left[0] == -1:
                    office.far.fill(ENTRY)

            office.far.at_account = fill
            office.remote.want_comparison("a test")
            await asyncio.sleep(60)
            office.remote.want_comparison("a test")
            await asyncio.sleep(60)
            assert "CashAdjusted" not in office.kinds()

        play(story, "comparing")


# -- sweeping --


def test_a_sweep_finds_what_was_never_told() -> None:
    """Goal: a cancel, an expiry or a fill of which the stream said nothing is known in 5 s.

    Method: each of them at the broker alone.
    """
    for status, wanted in (
        (BrokerStatus.CANCELED, ["OrderCanceled"]),
        (BrokerStatus.EXPIRED, ["OrderExpired"]),
        (BrokerStatus.REJECTED, ["OrderRefused"]),
        (BrokerStatus.FILLED, ["OrderFilled", "StopSet", "OrderIntended", "OrderSubmitting"]),
    ):

        async def story(
            office: Office, status: BrokerStatus = status, wanted: list[str] = wanted
        ) -> None:
            await office.start()
            await office.rest()
            if status is BrokerStatus.FILLED:
                office.far.fill(ENTRY)
            else:
                office.far.become(ENTRY, status)
            await asyncio.sleep(5.5)
            assert office.kinds()[: len(wanted)] == wanted

        play(story, "sweep")


def test_a_sweep_finds_a_stranger() -> None:
    """Goal: told once, left alone. Method: an open order that somebody placed by hand."""

    async def story(office: Office) -> None:
        await office.start()
        await office.rest()
        office.far.known[WEB] = there(WEB, Decimal(5), "Z")
        await asyncio.sleep(21)
        assert office.kinds() == ["Discrepancy"]
        assert office.log == ["record Discrepancy"]

    play(story, "sweep")


def test_no_sweep_without_an_order() -> None:
    """Goal: the budget of requests is not spent on nothing. Method: a minute without orders."""

    async def story(office: Office) -> None:
        await office.start()
        office.far.asked.clear()
        await asyncio.sleep(60)
        assert office.far.times("orders") == 0
        await office.rest()
        await asyncio.sleep(60.5)
        assert office.far.times("orders") == 12

    play(story, "sweep")


def test_a_sweep_leaves_a_cancel_its_time() -> None:
    """Goal: what is being canceled is not canceled again and again. Method: a pending cancel."""

    async def story(office: Office) -> None:
        await office.start()
        await office.rest()
        office.far.is_cancel_pending = True
        office.pump.put(CancelEntries("END"))
        await asyncio.sleep(31)
        assert office.log.count("Cancel entry-1") == 1

    play(story, "sweep")


def test_sweeps_go_on_beside_a_comparison() -> None:
    """Goal: one that takes long keeps nobody from hearing of a fill. Method: a slow comparison."""

    async def story(office: Office) -> None:
        await office.start()
        await office.rest()
        office.far.slow_s = 12.0
        office.remote.want_comparison("a test")
        await asyncio.sleep(11)
        assert office.far.times("orders") == 2

    play(story, "sweep", "comparing")


def test_a_sweep_that_fails_is_followed_by_the_next() -> None:
    """Goal: a broker that is away for a while ends nothing. Method: half a minute without it."""

    async def story(office: Office) -> None:
        await office.start()
        await office.rest()
        office.far.down["orders"] = Unavailable("no line")
        await asyncio.sleep(31)
        assert len(office.noted("sweep_failed")) == 6
        office.far.become(ENTRY, BrokerStatus.CANCELED)
        office.far.down.clear()
        await asyncio.sleep(5)
        assert office.kinds() == ["OrderCanceled"]

    play(story, "sweep")


def test_an_order_that_is_not_listed_is_asked_for_by_name() -> None:
    """Goal: an accepted order missing from a list is no contradiction. Method: hidden for long."""

    async def story(office: Office) -> None:
        await office.start()
        await office.rest()
        hidden = office.far.known.pop(ENTRY)
        await asyncio.sleep(21)
        assert office.far.times("order") == 4
        assert office.kinds() == []
        office.far.known[ENTRY] = hidden
        office.far.fill(ENTRY)
        await asyncio.sleep(5)
        assert office.book.holding("s", "X").qty == 113

    play(story, "sweep")


def test_a_slow_answer_of_a_sweep_is_older_than_what_was_heard() -> None:
    """Goal: an answer that was made before a fill does not undo it, nor place anything twice.

    Method: the fill is told while the answer about orders is on its way.
    """

    async def story(office: Office) -> None:
        await office.start()
        await office.rest()
        office.far.slow_s = 3.0
        await asyncio.sleep(6)
        office.far.fill(ENTRY)
        office.pump.wake([ENTRY])
        await asyncio.sleep(30)
        assert office.log.count("Submit stop-1") == 1
        assert office.book.order(STOP).is_live
        assert office.book.halted is None

    play(story, "sweep")


# -- the account --


def test_a_blocked_account() -> None:
    """Goal: no entries while the broker has blocked it, told once as critical; the reason is the
    broker's. Method: blocked for two minutes.
    """

    async def story(office: Office) -> None:
        await office.start()
        office.far.blocked = "trading_blocked"
        await asyncio.sleep(120)
        assert office.door.reasons == {ACCOUNT: "trading_blocked"}
        (said,) = office.noted("entries_closed")
        assert said["level"] == "critical"
        office.far.blocked = ""
        await asyncio.sleep(31)
        assert office.door.is_open
        assert office.engine.is_ready

    play(story, "account")


def test_a_stale_account() -> None:
    """Goal: after five minutes without a word of it entries wait; its age is shown all the while.

    Method: the account cannot be asked for; then it can.
    """

    async def story(office: Office) -> None:
        await office.start()
        await asyncio.sleep(0)
        office.far.down["account"] = Unavailable("no line")
        await asyncio.sleep(ACCOUNT_STALE_S)
        assert office.door.is_open
        assert office.remote.account_age_s == ACCOUNT_STALE_S
        await asyncio.sleep(31)
        assert list(office.door.reasons) == [ACCOUNT]
        office.far.down.clear()
        await asyncio.sleep(31)
        assert office.door.is_open
        assert office.remote.account_age_s < 31

    play(story, "account")


def test_buying_power_follows_the_account() -> None:
    """Goal: asked every half minute, and at once when something has changed; many changes are one
    question. Method: another word each time.
    """

    async def story(office: Office) -> None:
        await office.start()
        await asyncio.sleep(1)
        office.far.asked.clear()
        office.far.buying_power = Decimal(700)
        for _ in range(10):
            office.remote.want_account()
        await asyncio.sleep(2)
        assert office.engine.risk_view("X").buying_power == 700
        office.far.buying_power = Decimal(600)
        await asyncio.sleep(28)
        assert office.engine.risk_view("X").buying_power == 700
        await asyncio.sleep(4)
        assert office.engine.risk_view("X").buying_power == 600
        assert office.far.times("account") == 2
        assert office.remote.account is not None

    play(story, "account")


# -- the clock --


@pytest.mark.parametrize(
    ("skew_s", "is_open"),
    [(0.0, True), (2.0, True), (-2.0, True), (2.1, False), (-2.1, False), (3600.0, False)],
)
def test_a_clock_that_is_wrong(skew_s: float, is_open: bool) -> None:
    """Goal: over two seconds either way entries wait, critical; until it is right again.

    Method: a skew, silence of the broker about its time, then no skew.
    """

    async def story(office: Office) -> None:
        await office.start()
        office.skew = skew_s
        await asyncio.sleep(61)
        assert office.door.is_open is is_open
        assert office.remote.skew_s == skew_s
        office.skew = Unanswered("cut")
        await asyncio.sleep(60)
        assert office.door.is_open is is_open
        if not is_open:
            assert list(office.door.reasons) == [CLOCK]
            assert [said["level"] for said in office.noted("entries_closed")] == ["critical"]
        office.skew = 0.5
        await asyncio.sleep(60)
        assert office.door.is_open

    play(story, "clock")


def test_one_reason_of_several() -> None:
    """Goal: with all tasks at work the gate opens when the last reason has gone.

    Method: a blocked account, a wrong clock and a gap at once; they go one by one.
    """

    async def story(office: Office) -> None:
        await office.start()
        await office.rest()
        office.far.blocked, office.skew = "account_blocked", 9.0
        office.far.down["positions"] = Unavailable("no line")
        office.remote.hear_stream(LineState.CONNECTED)
        await asyncio.sleep(90)
        assert set(office.door.reasons) == {RECONCILE, ACCOUNT, CLOCK}
        office.far.down.clear()
        await asyncio.sleep(40)
        assert set(office.door.reasons) == {ACCOUNT, CLOCK}
        office.far.blocked = ""
        await asyncio.sleep(40)
        assert set(office.door.reasons) == {CLOCK}
        assert not office.engine.is_ready
        office.skew = 0.0
        await asyncio.sleep(61)
        assert office.door.is_open
        assert office.engine.is_ready

    play(story)
