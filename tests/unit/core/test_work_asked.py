"""What is to be asked at the broker, what its "no such order" means, and what is not covered.

Method: one row a situation, built from facts, as in test_work.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal

import pytest
from test_work import (
    AGAIN,
    COVERED,
    ENTRY,
    EXIT,
    HELD,
    MOVED,
    PARTLY,
    RESTING,
    STOP,
    asked,
    book_of,
    canceled,
    fill,
    intended,
    leaving,
    refused,
    sent,
    wanted_at,
    working,
)

from algo_trader.core import events as ev
from algo_trader.core.types import BrokerOrderId, ClientOrderId, Role
from algo_trader.core.work import Missing, missing, remaining, unanswered, uncovered

Facts = Sequence[ev.Fact]
TARGET = ClientOrderId("target")


def moving(key: ClientOrderId = MOVED, price: int = 10) -> list[ev.Fact]:
    """The stop is on its way to another price."""
    found = intended(key, Role.STOP, 10, Decimal(price))
    assert isinstance(found, ev.OrderIntended)
    found = replace(found, replaces=STOP)
    return [wanted_at(price), found, ev.OrderSubmitting(at=5, order_id=key)]


def in_pair() -> list[ev.Fact]:
    """A stop and a target that the broker has, each the other's pair."""
    facts: list[ev.Fact] = []
    for key, role, pair in ((TARGET, Role.TARGET, STOP), (STOP, Role.STOP, TARGET)):
        found = intended(key, role, 10, Decimal(9))
        assert isinstance(found, ev.OrderIntended)
        facts += [replace(found, pair=pair), ev.OrderSubmitting(at=4, order_id=key), accepted(key)]
    return facts


def moved_in_pair() -> list[ev.Fact]:
    """The stop of the pair is on its way to another price."""
    wanted, found, sending = moving()
    assert isinstance(found, ev.OrderIntended)
    return [wanted, replace(found, pair=TARGET), sending]


def accepted(key: ClientOrderId) -> ev.Fact:
    return ev.OrderAccepted(at=5, order_id=key, broker_id=BrokerOrderId(f"b-{key}"))


def silent(key: ClientOrderId) -> ev.Fact:
    return ev.CancelUnanswered(at=5, order_id=key, detail="timeout")


def not_taken(key: ClientOrderId) -> ev.Fact:
    return ev.CancelRefused(at=5, order_id=key, code=1, message="it has ended")


def replaced() -> ev.Fact:
    return ev.OrderReplaced(at=5, order_id=STOP, replaced_by=MOVED)


TO_ASK: dict[str, tuple[Facts, list[ClientOrderId]]] = {
    "nothing was ever done": ([], []),
    "an order never sent": ([intended(ENTRY, Role.ENTRY, 10, None)], []),
    "an entry on its way": (sent(ENTRY, Role.ENTRY), [ENTRY]),
    "an entry that rests": (RESTING, []),
    "a stop on its way": ([*HELD, *sent(STOP, Role.STOP)], [STOP]),
    "a stop that works": (COVERED, []),
    "an exit on its way": ([*HELD, *sent(EXIT, Role.EXIT, 10, None)], [EXIT]),
    "a cancel on its way": ([*PARTLY, asked(ENTRY)], [ENTRY]),
    "a cancel that has its answer": ([*PARTLY, asked(ENTRY), canceled(ENTRY)], []),
    "a cancel without an answer": ([*PARTLY, asked(ENTRY), silent(ENTRY)], [ENTRY]),
    "a refused cancel: it may have ended": ([*PARTLY, asked(ENTRY), not_taken(ENTRY)], [ENTRY]),
    "a move on its way": ([*COVERED, *moving()], [MOVED]),
    "a move that works, its old stop untold of": ([*COVERED, *moving(), accepted(MOVED)], [STOP]),
    "a move that works": ([*COVERED, *moving(), replaced(), accepted(MOVED)], []),
    "a move that was refused": ([*COVERED, *moving(), refused(MOVED)], []),
    "a move that was given up, and has taken the old stop's place all the same": (
        [
            *COVERED,
            *moving(),
            ev.OrderAbandoned(at=5, order_id=MOVED, reason="absent"),
            replaced(),
        ],
        [MOVED],
    ),
    "a move that the broker rejected when it had taken the old stop's place": (
        [*COVERED, *moving(), refused(MOVED), replaced()],
        [],
    ),
    "filled before its answer": ([*sent(ENTRY, Role.ENTRY), fill(ENTRY, 10)], [ENTRY]),
    "canceled before its answer": ([*sent(ENTRY, Role.ENTRY), canceled(ENTRY)], [ENTRY]),
    "filled, and answered of late": (
        [*sent(ENTRY, Role.ENTRY), fill(ENTRY, 10), accepted(ENTRY)],
        [],
    ),
    "refused": ([*sent(ENTRY, Role.ENTRY), refused(ENTRY)], []),
    "an execution that was not told of": ([*COVERED, fill(STOP, 3, 7)], [STOP]),
    "nor of an order that has ended": ([*COVERED, fill(STOP, 3, 7), canceled(STOP)], [STOP]),
    "until it is": ([*COVERED, fill(STOP, 3, 7), canceled(STOP), fill(STOP, 4)], []),
    "in part before its answer": ([*sent(ENTRY, Role.ENTRY), fill(ENTRY, 4)], [ENTRY]),
    "a late entry": (
        [
            *sent(ENTRY, Role.ENTRY),
            ev.OrderAbandoned(at=5, order_id=ENTRY, reason="absent"),
            *working(AGAIN, Role.ENTRY),
            accepted(ENTRY),
            asked(ENTRY),
        ],
        [ENTRY],
    ),
}


@pytest.mark.parametrize(("facts", "wanted"), TO_ASK.values(), ids=list(TO_ASK))
def test_what_is_to_be_asked(facts: Facts, wanted: list[ClientOrderId]) -> None:
    """Goal: no order is left alone whose truth may be another than ours."""
    assert [order.order_id for order in unanswered(book_of(facts))] == wanted


def test_a_working_move_waits_for_the_old_stop_to_end() -> None:
    """Goal: of two stops the broker tells of, the newer is not taken for one too many.

    Method: the move is accepted before the end of the old stop is told; nothing is to do until it
    is, and nothing after it.
    """
    facts: Facts = [*COVERED, *moving(), accepted(MOVED)]
    book = book_of(facts)
    assert remaining(book, book.holding("s", "X"), 10) == []
    book.apply(replaced())
    assert remaining(book, book.holding("s", "X"), 10) == []


ABSENT: dict[str, tuple[Facts, ClientOrderId, Missing]] = {
    "an entry": (sent(ENTRY, Role.ENTRY), ENTRY, Missing.GIVE_UP),
    "a stop": ([*HELD, *sent(STOP, Role.STOP)], STOP, Missing.SEND_AGAIN),
    "a stop of another size than is held": (
        [*HELD, *sent(STOP, Role.STOP, 9)],
        STOP,
        Missing.GIVE_UP,
    ),
    "a stop at another price than is wanted": (
        [*HELD, *sent(STOP, Role.STOP), wanted_at(10)],
        STOP,
        Missing.SEND_AGAIN,
    ),
    "a stop of a position that is to go": (
        [*HELD, *sent(STOP, Role.STOP), leaving()],
        STOP,
        Missing.SEND_AGAIN,
    ),
    "a stop that was to be canceled": (
        [*HELD, *sent(STOP, Role.STOP), asked(STOP)],
        STOP,
        Missing.SEND_AGAIN,
    ),
    "a stop of no position": (
        [*COVERED, *moving(), fill(STOP, 10)],
        MOVED,
        Missing.GIVE_UP,
    ),
    "a stop whose target was filled": (
        [*HELD, *in_pair(), *moved_in_pair(), fill(TARGET, 10)],
        MOVED,
        Missing.GIVE_UP,
    ),
    "a stop whose place in the pair has gone, with a target that may hold the shares": (
        [*HELD, *in_pair(), *moved_in_pair(), canceled(STOP)],
        MOVED,
        Missing.GIVE_UP,
    ),
    "a stop that took its place in the pair": (
        [*HELD, *in_pair(), *moved_in_pair()],
        MOVED,
        Missing.SEND_AGAIN,
    ),
    "a move": ([*COVERED, *moving()], MOVED, Missing.SEND_AGAIN),
    "an exit": (
        [*HELD, leaving(), *sent(EXIT, Role.EXIT, 10, None)],
        EXIT,
        Missing.SEND_AGAIN,
    ),
    "an exit of more than is left": (
        [*COVERED, *sent(EXIT, Role.EXIT, 10, None), fill(STOP, 4)],
        EXIT,
        Missing.GIVE_UP,
    ),
    "what was accepted once": (COVERED, STOP, Missing.CONTRADICTION),
    "what has filled in part": (
        [*sent(ENTRY, Role.ENTRY), fill(ENTRY, 4)],
        ENTRY,
        Missing.CONTRADICTION,
    ),
    "what has ended": ([*PARTLY, canceled(ENTRY)], ENTRY, Missing.NOTHING),
}


@pytest.mark.parametrize(("facts", "key", "wanted"), ABSENT.values(), ids=list(ABSENT))
def test_what_absence_means(facts: Facts, key: ClientOrderId, wanted: Missing) -> None:
    """Goal: an entry is too late; what reduces leaves again while it covers what is held, if only
    to be moved or canceled then; what the broker had cannot be absent.
    """
    book = book_of(facts)
    assert missing(book, book.order(key)) is wanted


@pytest.mark.parametrize(
    ("facts", "wanted"),
    [
        ([], 0),
        (RESTING, 0),
        (PARTLY, 6),
        (HELD, 10),
        ([*HELD, *sent(STOP, Role.STOP)], 10),
        (COVERED, 0),
        ([*COVERED, asked(STOP)], 0),
        ([*COVERED, fill(STOP, 4)], 0),
        ([*COVERED, canceled(STOP)], 10),
        ([*HELD, *working(STOP, Role.STOP, 7)], 3),
    ],
)
def test_uncovered_shares(facts: Facts, wanted: int) -> None:
    """Goal: what counts is what the broker has confirmed."""
    assert uncovered(book_of(facts).holding("s", "X")) == wanted
