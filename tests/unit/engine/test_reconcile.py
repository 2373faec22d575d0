"""A broker's order or positions against ours: the reports that are missing, the differences.

Method: one row a situation; the order is made from facts, the truth is written down. Applying what
was found and asking again must find nothing but echoes.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

import pytest

from algo_trader.core import events as ev
from algo_trader.core.book import Book
from algo_trader.core.broker import BrokerOrder, BrokerPosition, BrokerStatus, Execution
from algo_trader.core.orders import Order, advance, is_echo
from algo_trader.core.types import (
    Action,
    BrokerOrderId,
    ClientOrderId,
    DecisionId,
    OrderType,
    Role,
    Side,
    TimeInForce,
)
from algo_trader.engine.reconcile import (
    Difference,
    contradiction,
    is_spent,
    missing_reports,
    position_differences,
)

KEY, NEXT = ClientOrderId("a-s-X-1-stop-1"), ClientOrderId("a-s-X-1-stop-2")
THEIRS = BrokerOrderId("b-1")
REQUEST = ev.OrderRequest(
    KEY, "X", Action.SELL, OrderType.STOP, TimeInForce.GTC, Decimal(10), None, Decimal(9)
)
S = BrokerStatus


def order(*facts: ev.OrderFact) -> Order:
    """A stop over ten shares that is on its way, after these facts."""
    found = Order(
        ev.OrderIntended(
            at=0,
            decision=DecisionId("a-s-X-1"),
            strategy="s",
            side=Side.LONG,
            role=Role.STOP,
            request=REQUEST,
        )
    )
    for fact in (ev.OrderSubmitting(at=0, order_id=KEY), *facts):
        advance(found, fact)
    return found


def accepted() -> ev.OrderFact:
    return ev.OrderAccepted(at=1, order_id=KEY, broker_id=THEIRS)


def fill(qty: int, cum: int) -> ev.OrderFact:
    return ev.OrderFilled(
        at=2, order_id=KEY, qty=Decimal(qty), price=Decimal(9), cum_qty=Decimal(cum)
    )


def canceling() -> ev.OrderFact:
    return ev.CancelRequested(at=2, order_id=KEY, reason="EXIT")


def done(qty: int, cum: int) -> Execution:
    costs = Decimal("0.03")
    return Execution(5, Decimal(qty), Decimal("8.99"), Decimal(cum), costs, f"x-{cum}")


def truth(status: BrokerStatus, *executions: Execution) -> BrokerOrder:
    """The stop as the broker has it."""
    replaced_by = NEXT if status is S.REPLACED else None
    qty = Decimal(10)
    return BrokerOrder(
        KEY, THEIRS, "X", Action.SELL, qty, status, executions, replaced_by, "too late"
    )


CASES: dict[str, tuple[Sequence[ev.OrderFact], BrokerOrder, str]] = {
    "open and unheard of": ([], truth(S.OPEN), "Accepted"),
    "open and known": ([accepted()], truth(S.OPEN), ""),
    "open, a cancel asked for": ([accepted(), canceling()], truth(S.OPEN), ""),
    "filled and unheard of": ([], truth(S.FILLED, done(10, 10)), "Accepted Filled:10"),
    "filled in pieces": (
        [accepted()],
        truth(S.FILLED, done(4, 4), done(6, 10)),
        "Filled:4 Filled:6",
    ),
    "the first piece is known": (
        [accepted(), fill(4, 4)],
        truth(S.FILLED, done(4, 4), done(6, 10)),
        "Filled:6",
    ),
    "both pieces are known as one": (
        [accepted(), fill(10, 10)],
        truth(S.FILLED, done(4, 4), done(6, 10)),
        "",
    ),
    "the fill outran the answer": ([fill(10, 10)], truth(S.FILLED, done(10, 10)), "Accepted"),
    "canceled": ([accepted(), canceling()], truth(S.CANCELED), "Canceled"),
    "canceled after a piece": (
        [accepted(), canceling()],
        truth(S.CANCELED, done(4, 4)),
        "Filled:4 Canceled",
    ),
    "canceled, and known": (
        [accepted(), ev.OrderCanceled(at=3, order_id=KEY)],
        truth(S.CANCELED),
        "",
    ),
    "a piece that crossed the cancel": (
        [accepted(), ev.OrderCanceled(at=3, order_id=KEY)],
        truth(S.CANCELED, done(4, 4)),
        "Filled:4",
    ),
    "expired": ([accepted()], truth(S.EXPIRED), "Expired"),
    "replaced": ([accepted()], truth(S.REPLACED), f"Replaced:{NEXT}"),
    "rejected": ([], truth(S.REJECTED), "Refused:too late"),
    "rejected after its acceptance": ([accepted()], truth(S.REJECTED), "Refused:too late"),
    "given up, and there after all": (
        [ev.OrderAbandoned(at=3, order_id=KEY, reason="absent")],
        truth(S.OPEN),
        "Accepted",
    ),
}


def said(report: ev.Report) -> str:
    """A report in short."""
    word = type(report).__name__.removeprefix("Order")
    match report:
        case ev.OrderFilled():
            return f"{word}:{report.qty}"
        case ev.OrderReplaced():
            return f"{word}:{report.replaced_by}"
        case ev.OrderRefused():
            return f"{word}:{report.message}"
    return word


@pytest.mark.parametrize(("facts", "found", "wanted"), CASES.values(), ids=list(CASES))
def test_missing_reports(facts: Sequence[ev.OrderFact], found: BrokerOrder, wanted: str) -> None:
    """Goal: what leads from ours to theirs, and nothing twice."""
    ours = order(*facts)
    news = [report for report in missing_reports(ours, found, now=7) if not is_echo(ours, report)]
    assert " ".join(map(said, news)) == wanted
    for report in news:
        advance(ours, report)
    again = missing_reports(ours, found, now=8)
    assert [report for report in again if not is_echo(ours, report)] == []


def test_an_execution_comes_with_its_time_costs_and_id() -> None:
    """Goal: a fill heard of late is the fill it was. Method: one execution, looked at whole."""
    (_, report) = missing_reports(order(), truth(S.FILLED, done(10, 10)), now=7)
    assert report == ev.OrderFilled(
        at=5,
        order_id=KEY,
        qty=Decimal(10),
        price=Decimal("8.99"),
        cum_qty=Decimal(10),
        commission=Decimal("0.03"),
        execution_id="x-10",
    )


@pytest.mark.parametrize(
    ("changed", "wanted"),
    [
        ({}, None),
        ({"status": S.FILLED, "broker_id": BrokerOrderId("other")}, None),
        ({"symbol": "Y"}, "symbol Y, ours X"),
        ({"action": Action.BUY}, "action buy, ours sell"),
        ({"qty": Decimal(11)}, "qty 11, ours 10"),
        ({"qty": Decimal("10.00")}, None),
    ],
)
def test_contradictions(changed: dict[str, object], wanted: str | None) -> None:
    """Goal: an order under our id that is not ours is told, numbers compared as numbers."""
    found = contradiction(order(), truth(S.OPEN)._replace(**changed))  # type: ignore[arg-type]  # fields by name
    assert found == (None if wanted is None else f"the broker's order {KEY} has {wanted}")


@pytest.mark.parametrize(
    ("ours", "theirs", "wanted"),
    [
        ({}, {}, []),
        ({"X": 10}, {"X": 10}, []),
        ({"X": 10}, {}, [Difference("X", Decimal(10), Decimal(0), Decimal(0))]),
        ({}, {"X": -3}, [Difference("X", Decimal(0), Decimal(-3), Decimal(50))]),
        (
            {"X": 10, "Y": 1},
            {"X": 9, "Y": 1, "A": 2},
            [
                Difference("A", Decimal(0), Decimal(2), Decimal(50)),
                Difference("X", Decimal(10), Decimal(9), Decimal(50)),
            ],
        ),
    ],
)
def test_position_differences(
    ours: dict[str, int], theirs: dict[str, int], wanted: list[Difference]
) -> None:
    """Goal: signed shares, by symbol, only where they differ."""
    book = Book()
    book.apply(ev.AccountPinned(at=0, account="a", cash=Decimal(1_000)))
    for symbol, qty in ours.items():
        side = Side.LONG if qty > 0 else Side.SHORT
        book.apply(
            ev.SharesAdopted(
                at=0, symbol=symbol, side=side, qty=abs(Decimal(qty)), price=Decimal(50)
            )
        )
    positions = {
        symbol: BrokerPosition(symbol, Decimal(qty), Decimal(50)) for symbol, qty in theirs.items()
    }
    assert position_differences(book, positions) == wanted


TARGET = ClientOrderId("a-s-X-1-target-1")


def paired(*facts: ev.OrderFact) -> Book:
    """A target and a stop over ten shares each, and these facts."""
    book = Book()
    book.apply(ev.AccountPinned(at=0, account="a", cash=Decimal(1_000)))
    for key, role, other in ((TARGET, Role.TARGET, KEY), (KEY, Role.STOP, TARGET)):
        book.apply(
            ev.OrderIntended(
                at=0,
                decision=DecisionId("a-s-X-1"),
                strategy="s",
                side=Side.LONG,
                role=role,
                request=REQUEST._replace(order_id=key),
                pair=other,
            )
        )
        book.apply(ev.OrderSubmitting(at=0, order_id=key))
    for fact in facts:
        book.apply(fact)
    return book


GONE = ev.OrderCanceled(at=3, order_id=TARGET)


@pytest.mark.parametrize(
    ("facts", "stop", "target", "wanted"),
    [
        ([fill(4, 4), GONE], S.FILLED, S.CANCELED, True),
        ([fill(4, 4), GONE], S.OPEN, S.CANCELED, False),
        ([fill(4, 4), GONE], S.FILLED, S.OPEN, False),
        ([fill(4, 4), GONE], S.FILLED, None, False),
        ([fill(4, 4)], S.FILLED, S.CANCELED, False),
        ([fill(3, 3), GONE], S.FILLED, S.CANCELED, False),
    ],
)
def test_a_stop_that_has_no_shares_left_is_spent(
    facts: Sequence[ev.OrderFact], stop: BrokerStatus, target: BrokerStatus | None, wanted: bool
) -> None:
    """Goal: an execution of the target that was taken back leaves the stop as small as it was made;
    filled, it covers nothing. Only when all that either did is known.

    Method: a stop over ten shares that has four at the broker, which are filled or not.
    """
    book = paired(*facts)
    ours = truth(stop, done(4, 4))._replace(qty=Decimal(4))
    truths = {KEY: ours}
    if target is not None:
        truths[TARGET] = truth(target)._replace(order_id=TARGET)
    assert is_spent(book.order(KEY), truths, book) is wanted
