"""What a start would record and send: foreseen by the same reconciliation, without consequences.

Method: a book folded from a run's facts, and a broker whose books differ in one thing; what is
foreseen is compared with what a real reconciliation of the same two then does first.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from decimal import Decimal

import pytest
from pump_kit import ENTRY, PATIENT, SESSION, STOP, accepted, filled, key_of, running
from test_reconciliation import Branch, Office, there

from algo_trader.core import commands as cmd
from algo_trader.core import events as ev
from algo_trader.core.book import Book
from algo_trader.core.broker import BrokerPosition, BrokerStatus
from algo_trader.core.errors import SafetyRefusal, Unanswered, Unavailable
from algo_trader.core.inputs import Reports
from algo_trader.core.types import ClientOrderId, ExitReason
from algo_trader.runtime.foresight import Foreseen, foresee

PCT = Decimal(2)


class Counter(Branch):
    """A branch that is only to be asked."""

    async def execute(self, command: cmd.Command) -> Sequence[ev.Report]:
        """Fails: nothing may be sent."""
        raise AssertionError(f"{command} was sent")


class Deaf(Branch):
    """A branch that answers to no stop."""

    async def execute(self, command: cmd.Command) -> Sequence[ev.Report]:
        """Fails, but for entries."""
        if isinstance(command, cmd.Submit) and "stop" in command.request.order_id:
            raise Unanswered("silence")
        return await super().execute(command)

    async def order(self, order_id: ClientOrderId) -> None:
        """Fails."""
        raise Unanswered("silence")


def held_book(branch: Branch | None = None) -> Book:
    """113 shares under a working stop, as a ledger has them."""
    book = Book()

    async def run() -> None:
        office = Office(branch or Branch(), PATIENT)
        facts: list[ev.Fact] = []
        office.pump._tell = facts.extend
        async with running(office):
            await office.pass_minute()
            office.strategies[0].is_eager = False
            await office.hear(Reports([accepted(ENTRY), filled(ENTRY, 113)]))
        book.apply(ev.AccountPinned(at=SESSION.opens_at, account="a", cash=Decimal(25_000)))
        opened = ev.SessionOpened(at=SESSION.opens_at, session=SESSION.date, equity=Decimal(25_000))
        for fact in (opened, *facts):
            book.apply(fact)

    asyncio.run(run())
    return book


def counter() -> Counter:
    """The broker of that book."""
    branch = Counter()
    branch.known = {
        ENTRY: there(ENTRY, 113, BrokerStatus.FILLED, 113),
        STOP: there(STOP, 113),
    }
    branch.held = {"X": BrokerPosition("X", Decimal(113), Decimal(11))}
    return branch


def foreseen(book: Book, branch: Branch) -> Foreseen:
    return asyncio.run(foresee(book, branch, lambda: SESSION.opens_at + 600, PCT, 0))


def kinds(found: Foreseen) -> list[str]:
    return [type(fact).__name__ for fact in found.records]


def test_books_that_agree() -> None:
    """Goal: nothing at all."""
    found = foreseen(held_book(), counter())
    assert found == Foreseen([], [])
    assert found.agrees


def test_a_stop_that_is_gone() -> None:
    """Goal: its end, the alert and the new stop, which is not sent; nothing is foreseen twice."""
    branch = counter()
    branch.known[STOP] = there(STOP, 113, BrokerStatus.CANCELED)
    found = foreseen(held_book(), branch)
    assert kinds(found) == ["OrderCanceled", "Discrepancy", "OrderIntended", "OrderSubmitting"]
    (command,) = found.commands
    assert isinstance(command, cmd.Submit)
    assert command.request.order_id == key_of("stop", 2)
    assert not found.agrees


@pytest.mark.parametrize("is_open", [True, False])
def test_an_exit_while_the_market_is_closed(is_open: bool) -> None:
    """Goal: told is what a start would send, and that leaves a stop that protects until the open.

    Method: a position whose exit was decided, with its stop, in session and out of it.
    """
    book = held_book()
    at = SESSION.opens_at + 300
    book.apply(ev.ExitDecided(at=at, strategy="s", symbol="X", reason=ExitReason.OPERATOR))
    found = asyncio.run(foresee(book, counter(), lambda: at, PCT, 0, is_open=is_open))
    assert found.commands == ([cmd.Cancel(STOP)] if is_open else [])


def test_shares_that_are_gone() -> None:
    """Goal: facts, the cancel of the stop, once, and the halt."""
    branch = counter()
    branch.held = {}
    found = foreseen(held_book(), branch)
    assert kinds(found)[:3] == ["Discrepancy", "SharesGone", "Halted"]
    assert kinds(found).count("CancelRequested") == 1
    assert found.commands == [cmd.Cancel(STOP)]


def test_an_order_without_an_answer_counts_as_absent_at_once() -> None:
    """Goal: what a start does after half a minute of denials is told without waiting for it.

    Method: a stop that nobody answered, and that the broker does not have.
    """
    branch = counter()
    del branch.known[STOP]
    found = foreseen(held_book(Deaf()), branch)
    assert kinds(found) == ["OrderSubmitting"]
    (command,) = found.commands
    assert isinstance(command, cmd.Submit)
    assert command.request.order_id == STOP


def test_a_ledger_that_is_new() -> None:
    """Goal: positions without a ledger are adopted, covered, and a halt names the remedy.

    Method: an empty book, a broker with shares and none of our orders.
    """
    branch = counter()
    branch.known = {}
    found = foreseen(Book(), branch)
    assert kinds(found)[0] == "AccountPinned"
    halted = [fact for fact in found.records if isinstance(fact, ev.Halted)]
    assert "algo-trader restore" in halted[0].reason
    assert "algo-trader resume" in halted[0].reason
    (command,) = found.commands
    assert isinstance(command, cmd.Submit)
    assert command.request.qty == 113


def test_orders_that_a_ledger_has_forgotten() -> None:
    """Goal: a backup from before the trade: the order of ours that rests is left as it is, no
    second one is placed beside it, and the halt says what to do.
    """
    branch = counter()
    branch.known = {STOP: there(STOP, 113)}
    book = Book()
    book.apply(ev.AccountPinned(at=1, account="a", cash=Decimal(25_000)))
    found = foreseen(book, branch)
    assert not found.commands
    (halted,) = [fact for fact in found.records if isinstance(fact, ev.Halted)]
    assert f"does not know: {STOP}" in halted.reason
    assert "cancel them at the broker" in halted.reason
    assert "algo-trader resume" in halted.reason


def test_another_account() -> None:
    """Goal: refused, as at a start."""
    branch = counter()
    branch.account_id = "b"
    with pytest.raises(SafetyRefusal, match="belongs to the broker account a"):
        foreseen(held_book(), branch)


def test_a_broker_that_cannot_be_asked() -> None:
    """Goal: the error comes out, and nothing hangs."""

    class Silent(Counter):
        async def positions(self) -> dict[str, BrokerPosition]:
            raise Unavailable("no line")

    with pytest.raises(Unavailable):
        foreseen(held_book(), Silent())


def test_it_is_what_a_start_does() -> None:
    """Goal: no second set of rules: the first facts and commands of a real reconciliation of the
    same books are the same. Method: a stop that is gone.
    """

    async def real() -> list[str]:
        branch = Branch()
        office = Office(branch, PATIENT)
        async with running(office):
            await office.pass_minute()
            office.strategies[0].is_eager = False
            await office.hear(Reports([accepted(ENTRY), filled(ENTRY, 113)]))
            branch.known |= counter().known
            branch.known[STOP] = there(STOP, 113, BrokerStatus.CANCELED)
            branch.held = counter().held
            office.log.clear()
            return await office.reconcile()

    words = asyncio.run(real())
    assert words[:2] == ["record Canceled Discrepancy Intended Submitting", "Submit stop-2"]
