"""Reconciliation at a start: round after round until nothing new comes, and nothing believed twice.

Method: the bench of the pump's tests; the broker's books are written down by each test, some of
them with answers that change from question to question. What was recorded and sent is compared.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal

import pytest
from pump_kit import (
    ENTRY,
    PATIENT,
    STOP,
    Bench,
    Phone,
    accepted,
    running,
    word_of,
)

from algo_trader.core import commands as cmd
from algo_trader.core import events as ev
from algo_trader.core.broker import (
    AccountState,
    BrokerOrder,
    BrokerPosition,
    BrokerStatus,
    Execution,
)
from algo_trader.core.errors import SafetyRefusal, Unavailable
from algo_trader.core.types import Action, BrokerOrderId, ClientOrderId, Symbol
from algo_trader.runtime.pump import PumpTerms
from algo_trader.runtime.reconcile import ROUNDS, Unsettled, reconcile
from algo_trader.simulation.loop import now, run_virtually

SLOW = replace(PATIENT, settle_s=30.0)
"""A broker whose answers may lag behind."""

Story = Callable[["Office"], Awaitable[None]]


class Branch(Phone):
    """A broker that takes every order, and whose books may change while they are read.

    `hidden` orders and positions are left out of as many answers as is said.
    """

    def __init__(self) -> None:
        super().__init__([])
        self.hidden: dict[str, int] = {}
        self.questions = 0
        self.counted = 0

    async def execute(self, command: cmd.Command) -> Sequence[ev.Report]:
        """Take it, and say so."""
        self.log.append(word_of(command))
        if isinstance(command, cmd.Cancel):
            return (ev.OrderCanceled(at=1, order_id=command.order_id),)
        (request,) = cmd.placed_by(command)
        self.known[request.order_id] = there(request.order_id, int(request.qty))
        return (accepted(request.order_id),)

    async def order(self, order_id: ClientOrderId) -> BrokerOrder | None:
        """The order, unless it is hidden."""
        return None if self._hides(order_id) else self.known.get(order_id)

    async def orders(self, known: Collection[ClientOrderId]) -> Sequence[BrokerOrder]:
        """The open ones and the known, but those hidden."""
        self.questions += 1
        return [
            order
            for key, order in self.known.items()
            if (order.status is BrokerStatus.OPEN or key in known) and not self._hides(key)
        ]

    async def positions(self) -> Mapping[Symbol, BrokerPosition]:
        """All but those hidden."""
        self.questions += 1
        return {key: value for key, value in self.held.items() if not self._hides(key)}

    def _hides(self, key: str) -> bool:
        self.hidden[key] = self.hidden.get(key, 0) - 1
        return self.hidden[key] >= 0


class Office(Bench):
    """The bench with such a broker."""

    def __init__(self, branch: Branch, terms: PumpTerms) -> None:
        super().__init__(terms=terms, phone=branch)
        self.branch = branch

    async def own(self, filled: int = 113) -> None:
        """An entry of 113 shares, of which so many have filled at the broker unheard."""
        await self.pass_minute()
        self.strategies[0].is_eager = False
        status = BrokerStatus.FILLED if filled == 113 else BrokerStatus.OPEN
        if filled:
            self.branch.known[ENTRY] = there(ENTRY, 113, status, filled)
            self.branch.held["X"] = BrokerPosition("X", Decimal(filled), Decimal(11))
        self.log.clear()
        self.facts.clear()

    async def reconcile(self) -> list[str]:
        """What it recorded and sent, in short; the log begins anew."""
        await reconcile(self.pump, self.branch)
        found = list(self.log)
        self.log.clear()
        return found


def there(
    key: ClientOrderId, qty: int, status: BrokerStatus = BrokerStatus.OPEN, filled: int = 0
) -> BrokerOrder:
    """An order as the broker has it."""
    shares = Decimal(filled)
    executions = (Execution(9, shares, Decimal(11), shares, Decimal(0), "x"),) if filled else ()
    action = Action.BUY if "entry" in key else Action.SELL
    broker_id = BrokerOrderId(f"b-{key}")
    return BrokerOrder(key, broker_id, "X", action, Decimal(qty), status, executions)


def play(
    story: Story, make_branch: Callable[[], Branch] = Branch, terms: PumpTerms = PATIENT
) -> None:
    async def run() -> None:
        office = Office(make_branch(), terms)
        async with running(office):
            await story(office)

    run_virtually(run())


def test_what_agrees_is_left_alone() -> None:
    """Goal: a start that finds all as it was records nothing. Method: an entry that rests."""

    async def story(office: Office) -> None:
        await office.own(filled=0)
        assert await office.reconcile() == []

    play(story)


def test_a_fill_that_was_missed_is_covered_and_done_with() -> None:
    """Goal: found out, covered, and not found out again. Method: reconcile twice."""

    async def story(office: Office) -> None:
        await office.own()
        wanted = ["record Filled StopSet Intended Submitting", "Submit stop-1", "record Accepted"]
        assert await office.reconcile() == wanted
        assert await office.reconcile() == []
        assert office.book.halted is None

    play(story)


def test_a_missed_part_goes_through_all_its_rounds() -> None:
    """Goal: the rest is canceled, what there is gets its stop, in one reconciliation."""

    async def story(office: Office) -> None:
        await office.own(filled=60)
        log = await office.reconcile()
        assert [word for word in log if not word.startswith("record")] == [
            "Cancel entry-1",
            "Submit stop-1",
        ]
        assert office.book.order(STOP).request.qty == 60

    play(story)


@pytest.mark.parametrize(
    ("name", "wanted"),
    [("web-1", ["Discrepancy"]), ("a-s-X-20230103T1430-entry-1", ["Discrepancy", "Halted"])],
)
def test_strangers(name: str, wanted: list[str]) -> None:
    """Goal: an order that the ledger does not know is told of and left alone."""

    async def story(office: Office) -> None:
        key = ClientOrderId(name)
        office.branch.known[key] = there(key, 5)
        assert await office.reconcile() == [f"record {' '.join(wanted)}"]
        ended = ClientOrderId("web-2")
        office.branch.known = {ended: there(ended, 5, BrokerStatus.CANCELED)}
        assert await office.reconcile() == []

    play(story)


def test_foreign_shares_are_adopted_once() -> None:
    """Goal: an owner, a stop, and peace at the next start."""

    async def story(office: Office) -> None:
        office.branch.held["Z"] = BrokerPosition("Z", Decimal(7), Decimal(50))
        log = await office.reconcile()
        assert log[0] == "record Discrepancy SharesAdopted StopSet Intended Submitting"
        assert office.book.holding("external", "Z").stop_price == 49
        assert await office.reconcile() == []

    play(story)


@pytest.mark.parametrize(
    ("hidden", "times"),
    [("X", 1), (ENTRY, 1), (ENTRY, 2)],
    ids=["positions lag once", "orders lag once", "orders lag twice"],
)
def test_answers_that_lag_behind(hidden: str, times: int) -> None:
    """Goal: shares that an order of ours explains a moment later are neither adopted nor a reason
    to halt. Method: the fill shows in one list before it shows in the other.
    """

    async def story(office: Office) -> None:
        await office.own()
        office.branch.hidden[hidden] = times
        await office.reconcile()
        kinds = {type(fact).__name__ for fact in office.facts}
        assert not kinds & {"SharesAdopted", "Halted", "Discrepancy"}
        assert office.book.holding("s", "X").qty == 113

    play(story, terms=SLOW)


def test_an_order_that_is_not_listed_is_asked_for_by_name() -> None:
    """Goal: an accepted order missing from the list is no contradiction while it can be found."""

    async def story(office: Office) -> None:
        await office.own(filled=0)
        office.branch.hidden[ENTRY] = 3
        assert await office.reconcile() == []

    play(story, terms=SLOW)


def test_a_start_waits_no_longer_than_an_answer_lags_behind() -> None:
    """Goal: whatever is to be done at a start waits for an order that is not to be found: it is
    asked for again and again. Method: an order that shows at the third question after the list's.
    """

    async def story(office: Office) -> None:
        await office.own(filled=0)
        office.branch.hidden[ENTRY] = 4
        began = now()
        assert await office.reconcile() == []
        assert now() - began == 3.0

    play(story, terms=SLOW)


def test_an_order_that_is_gone_halts() -> None:
    """Goal: an accepted order that the broker denies for as long as its answers may lag behind is
    an operator's matter; said once.
    """

    async def story(office: Office) -> None:
        await office.own(filled=0)
        office.branch.known.clear()
        halted = "record Discrepancy Halted CancelRequested"
        began = now()
        assert await office.reconcile() == [halted, "Cancel entry-1", "record Canceled"]
        assert now() - began == 30.0
        assert await office.reconcile() == []

    play(story, terms=SLOW)


def test_another_account_is_refused() -> None:
    """Goal: nothing is asked of, sent to or recorded for an account that is not the ledger's."""

    async def run() -> None:
        office = Office(Branch(), PATIENT)
        office.branch.account_id = "b"
        task = asyncio.create_task(office.pump.run())
        work = asyncio.create_task(office.reconcile())
        await asyncio.wait({task})
        work.cancel()
        await asyncio.gather(work, return_exceptions=True)
        assert isinstance(task.exception(), SafetyRefusal)
        assert office.branch.questions == 0
        assert (office.log, office.facts) == ([], [])

    asyncio.run(run())


class Silent(Branch):
    """Nobody there."""

    async def account(self) -> AccountState:
        """No answer."""
        raise Unavailable("no line")


def test_a_broker_that_cannot_be_asked() -> None:
    """Goal: the error reaches whoever may try again. Method: the first question fails."""

    async def story(office: Office) -> None:
        with pytest.raises(Unavailable):
            await office.reconcile()
        assert office.log == []

    play(story, Silent)


class Growing(Branch):
    """Shares of one more symbol at every round: a difference counts when it is there twice."""

    async def positions(self) -> Mapping[Symbol, BrokerPosition]:
        """Those so far."""
        self.counted += 1
        symbol = f"Z{chr(64 + (self.counted + 1) // 2)}"
        self.held[symbol] = BrokerPosition(symbol, Decimal(7), Decimal(50))
        return dict(self.held)


def test_books_that_never_stand_still() -> None:
    """Goal: no trading on books that move under the eyes; it ends after so many rounds."""

    async def story(office: Office) -> None:
        with pytest.raises(Unsettled, match=f"{ROUNDS} rounds"):
            await office.reconcile()
        assert office.branch.counted == 2 * ROUNDS

    play(story, Growing)
