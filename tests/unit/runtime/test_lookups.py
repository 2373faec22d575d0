"""When an order without an answer is asked about, and when "no such order" is believed.

Method: a clock that is set by hand; what is due is noted at each of its times.
"""

from __future__ import annotations

from decimal import Decimal

import pytest

from algo_trader.core.events import OrderIntended, OrderRequest
from algo_trader.core.orders import Order
from algo_trader.core.types import (
    Action,
    ClientOrderId,
    DecisionId,
    OrderType,
    Role,
    Side,
    TimeInForce,
)
from algo_trader.runtime.lookups import Lookups

SETTLE_S = 30.0
A, B = ClientOrderId("a-s-A-1-stop-1"), ClientOrderId("a-s-B-1-stop-1")


def order(key: ClientOrderId) -> Order:
    request = OrderRequest(key, "A", Action.SELL, OrderType.MARKET, TimeInForce.DAY, Decimal(1))
    return Order(
        OrderIntended(
            at=0,
            decision=DecisionId("a-s-A-1"),
            strategy="s",
            side=Side.LONG,
            role=Role.STOP,
            request=request,
        )
    )


class Watch:
    """Look-ups on a clock that stands still until it is set."""

    def __init__(self, settle_s: float = SETTLE_S) -> None:
        self.now = 1_000.0
        self.lookups = Lookups(settle_s, lambda: self.now)

    def due(self, *missing: ClientOrderId, busy: tuple[ClientOrderId, ...] = ()) -> list[str]:
        return [found.order_id for found in self.lookups.due([order(key) for key in missing], busy)]

    def times(self, seconds: float, step_s: float = 0.5) -> list[float]:
        """The moments from now on at which A is asked about, looked at every half second."""
        began, found = self.now, []
        while self.now - began <= seconds:
            if self.due(A):
                found.append(self.now - began)
            self.now += step_s
        return found


def test_pauses_double_up_to_half_a_minute() -> None:
    """Goal: soon at first, never more than a question every thirty seconds for an order."""
    wanted = [0, 0.5, 1.5, 3.5, 7.5, 15.5, 31.5, 61.5, 91.5, 121.5]
    assert Watch().times(130) == wanted


def test_a_slow_heart_asks_at_every_beat_it_has() -> None:
    """Goal: pauses count from the question asked, none is made up for. Method: a beat a second."""
    assert Watch().times(20, step_s=1) == [0, 1, 2, 4, 8, 16]


def test_what_is_in_flight_is_not_asked_about() -> None:
    """Goal: one question at a time; its life begins when it is missed, not while it flies."""
    watch = Watch()
    assert watch.due(A, B, busy=(A,)) == [B]
    watch.now += SETTLE_S
    assert watch.due(A, busy=(A,)) == []
    assert watch.due(A) == [A]
    assert not watch.lookups.is_proof(A)


def test_an_answer_ends_it() -> None:
    """Goal: an order that is missed a second time begins anew."""
    watch = Watch()
    watch.times(20)
    assert watch.due() == []
    assert watch.due(A) == [A]
    assert not watch.lookups.is_proof(A)
    assert watch.times(3) == [0.5, 1.5]


@pytest.mark.parametrize(
    ("settle_s", "asked_s", "answered_s", "is_proof"),
    [
        (0.0, 0.0, 0.0, True),
        (SETTLE_S, 0.0, 0.0, False),
        (SETTLE_S, SETTLE_S - 0.1, SETTLE_S - 0.1, False),
        (SETTLE_S, SETTLE_S - 0.1, SETTLE_S + 9, False),
        (SETTLE_S, SETTLE_S, SETTLE_S, True),
        (SETTLE_S, SETTLE_S, SETTLE_S + 9, True),
    ],
)
def test_what_is_proof(settle_s: float, asked_s: float, answered_s: float, is_proof: bool) -> None:
    """Goal: the broker's no counts if it was asked after the longest life of a request; that the
    answer took long makes it no better.
    """
    watch = Watch(settle_s)
    watch.due(A)
    watch.now += asked_s
    watch.due(A)
    watch.now += answered_s - asked_s
    assert watch.lookups.is_proof(A) is is_proof


def test_nobody_asked_nothing_proved() -> None:
    """Goal: an order that is not being asked about is not absent."""
    assert not Watch(0).lookups.is_proof(A)


def test_a_request_that_leaves_again_has_a_life_of_its_own() -> None:
    """Goal: the absence of the first request proves nothing about the second."""
    watch = Watch()
    watch.times(40)
    assert watch.lookups.is_proof(A)
    watch.lookups.begin_anew(A)
    assert not watch.lookups.is_proof(A)
    assert watch.times(2) == [0, 0.5, 1.5]
    assert not watch.lookups.is_proof(A)


def test_news_hurry() -> None:
    """Goal: what was just heard of an order is looked into at once; its proof does not wait longer.

    Method: long pauses already; news; the pace of the first seconds, the proof of the first minute.
    """
    watch = Watch()
    watch.times(33)
    assert watch.due(A) == []
    watch.lookups.hurry(A)
    watch.lookups.hurry(B)
    assert watch.times(3) == [0, 0.5, 1.5]
    assert watch.lookups.is_proof(A)
