"""What is left to do, read off the book: one row a situation, built from facts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from decimal import Decimal

import pytest

from algo_trader.core import events as ev
from algo_trader.core.book import Book
from algo_trader.core.types import (
    Action,
    BrokerOrderId,
    ClientOrderId,
    DecisionId,
    ExitReason,
    OrderType,
    Role,
    Side,
    TimeInForce,
)
from algo_trader.core.work import CancelOrder, CloseOut, MoveStop, PlaceStop, Todo, remaining

ENTRY, STOP, MOVED, EXIT = map(ClientOrderId, ("entry", "stop", "moved", "exit"))
AGAIN = ClientOrderId("again")
EXPIRES_AT = 1_000
STOP_PRICE = Decimal(9)


def intended(key: ClientOrderId, role: Role, qty: int, price: Decimal | None) -> ev.Fact:
    request = ev.OrderRequest(
        key,
        "X",
        Action.BUY if role is Role.ENTRY else Action.SELL,
        OrderType.MARKET if price is None else OrderType.STOP,
        TimeInForce.DAY,
        Decimal(qty),
        None,
        price,
    )
    return ev.OrderIntended(
        at=0,
        decision=DecisionId("d"),
        strategy="s",
        side=Side.LONG,
        role=role,
        request=request,
        expires_at=EXPIRES_AT if role is Role.ENTRY else None,
    )


def sent(
    key: ClientOrderId, role: Role, qty: int = 10, price: Decimal | None = STOP_PRICE
) -> list[ev.Fact]:
    return [intended(key, role, qty, price), ev.OrderSubmitting(at=0, order_id=key)]


def working(
    key: ClientOrderId, role: Role, qty: int = 10, price: Decimal | None = STOP_PRICE
) -> list[ev.Fact]:
    accepted = ev.OrderAccepted(at=0, order_id=key, broker_id=BrokerOrderId(f"b-{key}"))
    return [*sent(key, role, qty, price), accepted]


def fill(key: ClientOrderId, qty: int, cum: int | None = None) -> ev.Fact:
    return ev.OrderFilled(
        at=5, order_id=key, qty=Decimal(qty), price=Decimal(10), cum_qty=Decimal(cum or qty)
    )


def asked(key: ClientOrderId, reason: str = "EXIT") -> ev.Fact:
    return ev.CancelRequested(at=5, order_id=key, reason=reason)


def canceled(key: ClientOrderId) -> ev.Fact:
    return ev.OrderCanceled(at=5, order_id=key)


def refused(key: ClientOrderId, at: int = 5) -> ev.Fact:
    return ev.OrderRefused(at=at, order_id=key, code=1, message="no")


def wanted_at(price: int | str) -> ev.Fact:
    return ev.StopSet(at=5, strategy="s", symbol="X", price=Decimal(price))


def leaving(reason: ExitReason = ExitReason.MAX_RUN) -> ev.Fact:
    return ev.ExitDecided(at=5, strategy="s", symbol="X", reason=reason)


def tripped(rule: str) -> ev.Fact:
    return ev.LimitTripped(at=5, rule=rule)


def took_place(
    key: ClientOrderId, old: ClientOrderId, filled: int, price: Decimal
) -> list[ev.Fact]:
    """A stop that was to take another's place, and did, after that one had filled some shares."""
    found = intended(key, Role.STOP, 10, price)
    assert isinstance(found, ev.OrderIntended)
    return [
        replace(found, replaces=old),
        ev.OrderSubmitting(at=5, order_id=key),
        fill(old, filled),
        ev.OrderReplaced(at=5, order_id=old, replaced_by=key),
        ev.OrderAccepted(at=5, order_id=key, broker_id=BrokerOrderId(f"b-{key}")),
    ]


RESTING = working(ENTRY, Role.ENTRY)
HELD = [*RESTING, fill(ENTRY, 10), wanted_at(9)]
COVERED = [*HELD, *working(STOP, Role.STOP)]
PARTLY = [*RESTING, fill(ENTRY, 6), wanted_at(9)]
FEW = [*RESTING, fill(ENTRY, 4), wanted_at(9)]
CANCEL_REST = [asked(ENTRY, "PARTIAL_FILL"), canceled(ENTRY)]

NOW = 10
"""After every fact, after a pause for a retry, before the entry expires."""

CASES: dict[str, tuple[Sequence[ev.Fact], int, list[Todo]]] = {
    "nothing was ever done": ([], NOW, []),
    # entries
    "an entry rests": (RESTING, NOW, []),
    "an entry rests a second before its end": (RESTING, EXPIRES_AT - 1, []),
    "an entry's time is up": (RESTING, EXPIRES_AT, [CancelOrder(ENTRY, "EXPIRED")]),
    "an unanswered entry's time is up": (
        sent(ENTRY, Role.ENTRY),
        EXPIRES_AT,
        [CancelOrder(ENTRY, "EXPIRED")],
    ),
    "an entry never sent is not canceled": (
        [intended(ENTRY, Role.ENTRY, 10, STOP_PRICE)],
        EXPIRES_AT,
        [],
    ),
    "the cancel is on its way": ([*RESTING, asked(ENTRY)], EXPIRES_AT, []),
    "the cancel was refused and is tried again": (
        [*RESTING, asked(ENTRY), ev.CancelRefused(at=5, order_id=ENTRY, code=1, message="")],
        EXPIRES_AT,
        [CancelOrder(ENTRY, "EXPIRED")],
    ),
    "the cancel was refused just now": (
        [
            *RESTING,
            tripped("DAILY_LOSS"),
            asked(ENTRY),
            ev.CancelRefused(at=5, order_id=ENTRY, code=1, message=""),
        ],
        5,
        [],
    ),
    "the daily loss forbids the entry": (
        [*RESTING, tripped("DAILY_LOSS")],
        NOW,
        [CancelOrder(ENTRY, "DAILY_LOSS")],
    ),
    "losses in a row leave it alone": ([*RESTING, tripped("CONSECUTIVE_LOSSES")], NOW, []),
    # the first partial fill
    "a part has filled: first the rest goes": (
        PARTLY,
        NOW,
        [CancelOrder(ENTRY, "PARTIAL_FILL")],
    ),
    "no stop while the rest may rest": ([*PARTLY, asked(ENTRY, "PARTIAL_FILL")], NOW, []),
    "the rest is gone: cover": ([*PARTLY, *CANCEL_REST], NOW, [PlaceStop(Decimal(6), STOP_PRICE)]),
    "the rest filled after all: cover all": (
        [*PARTLY, asked(ENTRY, "PARTIAL_FILL"), fill(ENTRY, 4, 10)],
        NOW,
        [PlaceStop(Decimal(10), STOP_PRICE)],
    ),
    "a fill crossed the cancel: cover the sum": (
        [*PARTLY, *CANCEL_REST, *working(STOP, Role.STOP, 6), fill(ENTRY, 2, 8)],
        NOW,
        [MoveStop(STOP, Decimal(8), STOP_PRICE)],
    ),
    "four of ten are too few for a stop": (
        [*FEW, *CANCEL_REST],
        NOW,
        [CloseOut(Decimal(4), ExitReason.STRATEGY)],
    ),
    "five of ten are not": (
        [*RESTING, fill(ENTRY, 5), wanted_at(9), *CANCEL_REST],
        NOW,
        [PlaceStop(Decimal(5), STOP_PRICE)],
    ),
    "four of four are a position": (
        [*working(ENTRY, Role.ENTRY, 4), fill(ENTRY, 4), wanted_at(9)],
        NOW,
        [PlaceStop(Decimal(4), STOP_PRICE)],
    ),
    # cover
    "held and uncovered": (HELD, NOW, [PlaceStop(Decimal(10), STOP_PRICE)]),
    "held before a stop is wanted anywhere": ([*RESTING, fill(ENTRY, 10)], NOW, []),
    "held and covered": (COVERED, NOW, []),
    "the stop is not yet acknowledged": ([*HELD, *sent(STOP, Role.STOP)], NOW, []),
    "the stop is wanted elsewhere": (
        [*COVERED, wanted_at("9.50")],
        NOW,
        [MoveStop(STOP, Decimal(10), Decimal("9.50"))],
    ),
    "a move waits for the first answer": (
        [*HELD, *sent(STOP, Role.STOP), wanted_at("9.50")],
        NOW,
        [],
    ),
    "a move is on its way": (
        [*COVERED, wanted_at("9.50"), *sent(MOVED, Role.STOP, 10, Decimal("9.50"))],
        NOW,
        [],
    ),
    "the move is done": (
        [
            *COVERED,
            wanted_at("9.50"),
            *working(MOVED, Role.STOP, 10, Decimal("9.50")),
            ev.OrderReplaced(at=5, order_id=STOP, replaced_by=MOVED),
        ],
        NOW,
        [],
    ),
    "the stop has filled in part": ([*COVERED, fill(STOP, 4)], NOW, []),
    "a stop covers what the one before it has not filled": (
        [*COVERED, wanted_at("9.50"), *took_place(MOVED, STOP, 4, Decimal("9.50"))],
        NOW,
        [],
    ),
    "and is placed anew rather than moved, for its size counts what that one filled": (
        [
            *COVERED,
            wanted_at("9.50"),
            *took_place(MOVED, STOP, 4, Decimal("9.50")),
            wanted_at("9.70"),
        ],
        NOW,
        [CancelOrder(MOVED, "MOVED")],
    ),
    "the broker canceled the stop": (
        [*COVERED, canceled(STOP)],
        NOW,
        [PlaceStop(Decimal(10), STOP_PRICE)],
    ),
    "the stop expired": (
        [*COVERED, ev.OrderExpired(at=5, order_id=STOP)],
        NOW,
        [PlaceStop(Decimal(10), STOP_PRICE)],
    ),
    # refusals
    "the stop was refused just now": ([*HELD, *sent(STOP, Role.STOP), refused(STOP)], 5, []),
    "the stop was refused a second ago": (
        [*HELD, *sent(STOP, Role.STOP), refused(STOP)],
        6,
        [PlaceStop(Decimal(10), STOP_PRICE)],
    ),
    "the stop was refused twice: close": (
        [*HELD, *sent(STOP, Role.STOP), refused(STOP), *sent(MOVED, Role.STOP), refused(MOVED)],
        NOW,
        [CloseOut(Decimal(10), ExitReason.STRATEGY)],
    ),
    "a refused entry is not tried again": ([*sent(ENTRY, Role.ENTRY), refused(ENTRY)], NOW, []),
    "a refused move leaves the old stop, however often": (
        [
            *COVERED,
            wanted_at("9.50"),
            *sent(MOVED, Role.STOP, 10, Decimal("9.50")),
            refused(MOVED),
            *sent(AGAIN, Role.STOP, 10, Decimal("9.50")),
            refused(AGAIN),
        ],
        NOW,
        [MoveStop(STOP, Decimal(10), Decimal("9.50"))],
    ),
    "two stops promise the shares twice: the second goes": (
        [*COVERED, *working(MOVED, Role.STOP)],
        NOW,
        [CancelOrder(MOVED, "COVERED")],
    ),
    # exits
    "an exit waits for the entry's rest to go": (
        [*PARTLY, leaving()],
        NOW,
        [CancelOrder(ENTRY, "PARTIAL_FILL")],
    ),
    "and closes when it has": (
        [*PARTLY, leaving(), *CANCEL_REST],
        NOW,
        [CloseOut(Decimal(6), ExitReason.MAX_RUN)],
    ),
    "an exit first cancels the stop": ([*COVERED, leaving()], NOW, [CancelOrder(STOP, "EXIT")]),
    "and waits for the proof": ([*COVERED, leaving(), asked(STOP)], NOW, []),
    "then closes": (
        [*COVERED, leaving(), asked(STOP), canceled(STOP)],
        NOW,
        [CloseOut(Decimal(10), ExitReason.MAX_RUN)],
    ),
    "the stop filled meanwhile": ([*COVERED, leaving(), asked(STOP), fill(STOP, 10)], NOW, []),
    "a part of the stop filled meanwhile": (
        [*COVERED, leaving(), asked(STOP), fill(STOP, 4), canceled(STOP)],
        NOW,
        [CloseOut(Decimal(6), ExitReason.MAX_RUN)],
    ),
    "the close is on its way": (
        [*HELD, leaving(), *sent(EXIT, Role.EXIT, 10, None)],
        NOW,
        [],
    ),
    "a stop that was given up and comes late beside the close goes": (
        [
            *HELD,
            *sent(STOP, Role.STOP),
            ev.OrderAbandoned(at=5, order_id=STOP, reason="absent"),
            leaving(),
            *sent(EXIT, Role.EXIT, 10, None),
            ev.OrderAccepted(at=5, order_id=STOP, broker_id=BrokerOrderId("b-stop")),
        ],
        NOW,
        [CancelOrder(STOP, "LATE")],
    ),
    "the close was refused just now": (
        [*HELD, leaving(), *sent(EXIT, Role.EXIT, 10, None), refused(EXIT)],
        5,
        [],
    ),
    "the close was refused before": (
        [*HELD, leaving(), *sent(EXIT, Role.EXIT, 10, None), refused(EXIT)],
        6,
        [CloseOut(Decimal(10), ExitReason.MAX_RUN)],
    ),
    "the close expired half filled": (
        [
            *HELD,
            leaving(),
            *working(EXIT, Role.EXIT, 10, None),
            fill(EXIT, 5),
            ev.OrderExpired(at=5, order_id=EXIT),
        ],
        NOW,
        [CloseOut(Decimal(5), ExitReason.MAX_RUN)],
    ),
    # flat
    "flat again": ([*COVERED, fill(STOP, 10)], NOW, []),
    "a flat holding keeps no stop": (
        [*COVERED, *working(EXIT, Role.EXIT, 10, None), fill(EXIT, 10)],
        NOW,
        [CancelOrder(STOP, "NO_POSITION")],
    ),
    "nor asks twice": (
        [*COVERED, *working(EXIT, Role.EXIT, 10, None), fill(EXIT, 10), asked(STOP)],
        NOW,
        [],
    ),
}


def book_of(facts: Sequence[ev.Fact]) -> Book:
    book = Book()
    book.apply(ev.AccountPinned(at=0, account="a", cash=Decimal(1_000)))
    book.apply(ev.SessionOpened(at=0, session=date(2024, 1, 3), equity=Decimal(1_000)))
    for fact in facts:
        book.apply(fact)
    return book


@pytest.mark.parametrize(("facts", "now", "wanted"), CASES.values(), ids=list(CASES))
def test_what_is_left_to_do(facts: Sequence[ev.Fact], now: int, wanted: list[Todo]) -> None:
    """Goal: the next step follows from the book alone. Method: fold the facts, ask; asking twice
    gives the same, for asking does nothing.
    """
    book = book_of(facts)
    holding = book.holding("s", "X")
    assert remaining(book, holding, now) == wanted
    assert remaining(book, holding, now) == wanted


def test_an_entry_that_appears_late_is_adopted_and_canceled() -> None:
    """Goal: an order we had given up on never rests unseen beside another entry.

    Method: give up on one entry, place a second, then let the first appear at the broker.
    """
    book = book_of(
        [
            *sent(ENTRY, Role.ENTRY),
            ev.OutcomeUnknown(at=2, order_id=ENTRY, detail="timeout"),
            ev.OrderAbandoned(at=40, order_id=ENTRY, reason="absent"),
            *working(AGAIN, Role.ENTRY),
            ev.OrderAccepted(at=60, order_id=ENTRY, broker_id=BrokerOrderId("b")),
        ]
    )
    holding = book.holding("s", "X")
    assert holding.entry is book.order(AGAIN)
    assert book.resting == 2
    assert remaining(book, holding, 70) == [CancelOrder(ENTRY, "LATE")]
