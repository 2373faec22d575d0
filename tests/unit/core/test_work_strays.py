"""Late fills, shares nobody asked for, and ids across sessions: what must never be derived.

Method: small books built from facts, as in test_work; what is left to do is read off.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from decimal import Decimal

from test_work import AGAIN, ENTRY, NOW, book_of, canceled, fill, sent, wanted_at, working

from algo_trader.core import events as ev
from algo_trader.core.book import EXTERNAL
from algo_trader.core.types import (
    Action,
    ClientOrderId,
    DecisionId,
    OrderType,
    Role,
    Side,
    TimeInForce,
)
from algo_trader.core.work import CancelOrder, PlaceStop, remaining


def exit_refused(number: int, at: int, strategy: str = "s", symbol: str = "X") -> list[ev.Fact]:
    """The decision's `number`th order at market, refused."""
    key = ClientOrderId(f"d-exit-{number}")
    request = ev.OrderRequest(
        key, symbol, Action.SELL, OrderType.MARKET, TimeInForce.DAY, Decimal(10)
    )
    return [
        ev.OrderIntended(
            at=at, decision=DecisionId("d"), strategy=strategy, side=Side.LONG, role=Role.EXIT,
            request=request,
        ),
        ev.OrderSubmitting(at=at, order_id=key),
        ev.OrderRefused(at=at, order_id=key, code=1, message="no"),
    ]  # fmt: skip


def test_an_entry_gives_way_to_shares_of_one_before() -> None:
    """Goal: a late fill is covered at once, not when the entry that rests beside it has ended."""
    late = [
        *sent(ENTRY, Role.ENTRY),
        ev.OrderAbandoned(at=1, order_id=ENTRY, reason="absent"),
        *working(AGAIN, Role.ENTRY),
        fill(ENTRY, 10),
        wanted_at(9),
    ]
    book = book_of(late)
    holding = book.holding("s", "X")
    assert remaining(book, holding, NOW) == [CancelOrder(AGAIN, "PARTIAL_FILL")]
    for fact in (ev.CancelRequested(at=5, order_id=AGAIN, reason="PARTIAL_FILL"), canceled(AGAIN)):
        book.apply(fact)
    assert remaining(book, holding, NOW) == [PlaceStop(Decimal(10), Decimal(9))]


def stops_refused(count: int) -> Sequence[ev.Fact]:
    """Adopted shares whose stop was refused so often."""
    found: list[ev.Fact] = [
        ev.SharesAdopted(at=1, symbol="X", side=Side.LONG, qty=Decimal(10), price=Decimal(10)),
        ev.StopSet(at=1, strategy=EXTERNAL, symbol="X", price=Decimal(9)),
    ]
    for number in range(1, count + 1):
        key = ClientOrderId(f"x-stop-{number}")
        request = ev.OrderRequest(
            key, "X", Action.SELL, OrderType.STOP, TimeInForce.GTC, Decimal(10), None, Decimal(9)
        )
        found += [
            ev.OrderIntended(
                at=2, decision=DecisionId("x"), strategy=EXTERNAL, side=Side.LONG, role=Role.STOP,
                request=request,
            ),
            ev.OrderSubmitting(at=2, order_id=key),
            ev.OrderRefused(at=2, order_id=key, code=1, message="insufficient qty"),
        ]  # fmt: skip
    return found


def test_shares_of_others_are_never_sold_because_their_stop_was_refused() -> None:
    """Goal: an order of the owner's may stand in the way; selling too would open a short."""
    for count, wanted in ((1, [PlaceStop(Decimal(10), Decimal(9))]), (2, []), (3, [])):
        book = book_of(stops_refused(count))
        assert remaining(book, book.holding(EXTERNAL, "X"), NOW) == wanted


def test_no_number_comes_again_over_sessions() -> None:
    """Goal: a position whose exits are refused for days never gets an id twice."""
    book = book_of([*working(ENTRY, Role.ENTRY), fill(ENTRY, 10)])
    for day in range(1, 6):
        at = day * 86_400
        book.apply(
            ev.SessionOpened(at=at, session=date(2024, 1, 1 + day), equity=Decimal(1))
        )
        for _ in range(3):
            number = book.next_number(DecisionId("d"), Role.EXIT)
            for fact in exit_refused(number, at + 60):
                book.apply(fact)
    assert book.next_number(DecisionId("d"), Role.EXIT) == 16
