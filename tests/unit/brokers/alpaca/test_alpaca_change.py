"""Cancels and replaces at Alpaca: the answer proves little, the status of the order does."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any

import pytest
from rest_kit import (
    BY_CLIENT_ID,
    CLOSE,
    FILLS,
    HTML,
    NO_ORDER,
    POST,
    Asked,
    Reply,
    Rig,
    fill_json,
    order_json,
    refusal,
    request,
    rig,
)

from algo_trader.brokers.alpaca.pairs import flat
from algo_trader.core.commands import Cancel, Replace, Submit, SubmitPair
from algo_trader.core.errors import Unanswered
from algo_trader.core.events import (
    CancelRefused,
    OrderAccepted,
    OrderCanceled,
    OrderExpired,
    OrderFilled,
    OrderRefused,
    OrderReplaced,
    Report,
)
from algo_trader.core.types import OrderType

OLD, NEW = request("acct-velez-AA-1-stop-1"), request("acct-velez-AA-1-stop-2")
DELETE, PATCH, GET = "DELETE /v2/orders/b-1", "PATCH /v2/orders/b-1", "GET /v2/orders/b-1"
DONE = Reply(204)
NOT_OPEN = refusal(422, 40010001, "unable to replace order, order is not open")
TOO_LATE = refusal(422, 42210000, 'order is already in "filled" state')


def kinds(reports: Sequence[Report]) -> list[type]:
    """The kinds of some reports."""
    return [type(report) for report in reports]


def begun(at: Rig) -> None:
    """The old order is at the broker."""
    at.server.script(POST, Reply(200, order_json(OLD)))
    at.do(at.broker.execute(Submit(OLD)))


def cancel(at: Rig) -> Sequence[Report]:
    """Cancel the old order."""
    return at.do(at.broker.execute(Cancel(OLD.order_id)))


def replace(at: Rig) -> Sequence[Report]:
    """Put the new order in the old one's place."""
    return at.do(at.broker.execute(Replace(OLD.order_id, NEW)))


def shown(**changes: Any) -> Reply:
    """The old order as the broker shows it."""
    return Reply(200, order_json(OLD, **changes))


@pytest.mark.parametrize("status", ["pending_cancel", "new", "held", "who knows"])
def test_a_cancel_that_was_taken_proves_nothing(status: str) -> None:
    """Goal: a 204 is reported as nothing while the order's status is not an end."""
    with rig() as at:
        begun(at)
        at.server.script(DELETE, DONE)
        at.server.script(GET, shown(status=status))
        assert list(cancel(at)) == []


@pytest.mark.parametrize(
    ("status", "kind"), [("canceled", OrderCanceled), ("expired", OrderExpired)]
)
@pytest.mark.parametrize("answer", [DONE, TOO_LATE, NO_ORDER])
def test_the_status_says_how_it_ended(status: str, kind: type, answer: Reply) -> None:
    """Goal: whatever the cancel was answered with, the end is what the status says."""
    with rig() as at:
        begun(at)
        at.server.script(DELETE, answer)
        at.server.script(GET, shown(status=status))
        assert kinds(cancel(at)) == [kind]


def test_a_fill_that_outran_the_cancel() -> None:
    """Goal: a fill before the cancel is reported, in full and first. Method: partly filled and
    canceled, then wholly filled.
    """
    with rig() as at:
        begun(at)
        at.server.script(DELETE, DONE, TOO_LATE)
        partly = shown(status="canceled", filled_qty="4", filled_avg_price="9.50")
        wholly = shown(status="filled", filled_qty="10", filled_avg_price="9.47")
        at.server.script(GET, partly, wholly)
        first, last = fill_json("4", "4", "9.50"), fill_json("10", "6", "9.45")
        at.server.script(FILLS, Reply(200, [first]), Reply(200, [last, first]))
        assert kinds(cancel(at)) == [OrderFilled, OrderCanceled]
        fills = [each for each in cancel(at) if isinstance(each, OrderFilled)]
        assert [(each.qty, each.price, each.cum_qty) for each in fills] == [
            (Decimal(4), Decimal("9.50"), Decimal(4)),
            (Decimal(6), Decimal("9.45"), Decimal(10)),
        ]


def test_an_end_waits_for_its_fills() -> None:
    """Goal: an order that was canceled with shares filled is not reported as ended before the
    execution can be told; after two seconds it is made up from the average.
    """
    with rig() as at:
        begun(at)
        at.server.script(DELETE, DONE)
        at.server.script(GET, shown(status="canceled", filled_qty="4", filled_avg_price="9.50"))
        at.server.script(FILLS, Reply(200, []))
        assert list(cancel(at)) == []
        at.extra_s += 2.5
        reports = cancel(at)
        assert kinds(reports) == [OrderFilled, OrderCanceled]


def test_a_rejected_order_keeps_its_executions() -> None:
    """Goal: a rejection does not undo what was filled: the executions are reported, and the rest is
    canceled; without executions it is a refusal; what filled wholly has no other end.
    """
    with rig() as at:
        begun(at)
        at.server.script(DELETE, DONE)
        at.server.script(
            GET,
            shown(status="rejected"),
            shown(status="rejected", filled_qty="4", filled_avg_price="9.50"),
            shown(status="rejected", filled_qty="10", filled_avg_price="9.50"),
        )
        rows = [fill_json("4", "4", "9.50"), fill_json("10", "6", "9.50")]
        at.server.script(FILLS, Reply(200, rows[:1]), Reply(200, rows))
        assert kinds(cancel(at)) == [OrderRefused]
        assert kinds(cancel(at)) == [OrderFilled, OrderCanceled]
        assert kinds(cancel(at)) == [OrderFilled, OrderFilled]


def test_a_cancel_that_was_refused() -> None:
    """Goal: refused with the broker's code and text if the order still works."""
    with rig() as at:
        begun(at)
        at.server.script(DELETE, refusal(422, 42210000, "order is not cancelable"))
        at.server.script(GET, shown(status="pending_replace"))
        (report,) = cancel(at)
        assert isinstance(report, CancelRefused)
        assert (report.code, report.message) == (42210000, "order is not cancelable")


def test_a_cancel_of_an_order_of_which_nothing_is_known() -> None:
    """Goal: after a restart the broker's id is looked up; an order that is not there is refused."""
    with rig() as at:
        no_pair = NO_ORDER  # A stop may be the leg of a target, under another name.
        at.server.script(BY_CLIENT_ID, NO_ORDER, no_pair, shown())
        assert kinds(cancel(at)) == [CancelRefused]
        at.server.script(DELETE, DONE)
        at.server.script(GET, shown(status="canceled"))
        assert kinds(cancel(at)) == [OrderCanceled]
        assert at.server.asked[-1].what == GET


@pytest.mark.parametrize("bad", [CLOSE, Reply(503, HTML), Reply(429)])
def test_a_cancel_is_asked_for_again(bad: Reply) -> None:
    """Goal: a cancel goes on after a lost answer, a server's trouble and a 429."""
    with rig() as at:
        begun(at)
        at.server.script(DELETE, bad, bad, bad, DONE)
        at.server.script(GET, shown(status="canceled"))
        assert kinds(cancel(at)) == [OrderCanceled]
        assert at.naps.taken == [1.0, 1.0, 1.0]


def test_a_cancel_without_an_answer() -> None:
    """Goal: after four tries a cancel is Unanswered, and so is one whose status cannot be read."""
    with rig() as at:
        begun(at)
        at.server.script(DELETE, CLOSE)
        with pytest.raises(Unanswered):
            cancel(at)
        assert at.server.count(DELETE) == 4
        at.server.script(DELETE, CLOSE, Reply(401))  # The first of the two may have arrived.
        with pytest.raises(Unanswered):
            cancel(at)
        at.server.script(DELETE, DONE)
        at.server.script(GET, Reply(401))
        with pytest.raises(Unanswered):
            cancel(at)


def test_a_replaced_order() -> None:
    """Goal: the old order's end comes before the new one's beginning; what is sent is exact."""
    with rig() as at:
        begun(at)
        at.server.script(PATCH, Reply(200, order_json(NEW, "b-2", replaces="b-1")))
        at.server.script(GET, shown(status="replaced", replaced_by="b-2"))
        reports = replace(at)
        assert kinds(reports) == [OrderReplaced, OrderAccepted]
        assert isinstance(reports[0], OrderReplaced)
        assert (reports[0].order_id, reports[0].replaced_by) == (OLD.order_id, NEW.order_id)
        sent = next(each for each in at.server.asked if each.what == PATCH)
        assert sent.body == {
            "qty": "10",
            "time_in_force": "gtc",
            "client_order_id": NEW.order_id,
            "stop_price": "9.5",
        }


@pytest.mark.parametrize(
    ("then", "wanted"),
    [
        (shown(status="pending_replace"), [OrderAccepted]),
        (CLOSE, [OrderAccepted]),
        (shown(status="canceled"), [OrderCanceled, OrderAccepted]),
    ],
)
def test_a_replace_that_was_only_taken(then: Reply, wanted: list[type]) -> None:
    """Goal: a 200 proves that the new order was taken, and nothing of the old one."""
    with rig() as at:
        begun(at)
        at.server.script(PATCH, Reply(200, order_json(NEW, "b-2")))
        at.server.script(GET, then)
        assert kinds(replace(at)) == wanted


def test_a_replace_is_told_of_in_time() -> None:
    """Goal: what is asked after a replace was taken shares the command's eight and a half seconds:
    the word on the new order is not lost in waiting for the old one's executions.

    Method: answers that take five and two seconds, then activities that fail.
    """
    with rig() as at:
        begun(at)

        def slow(seconds: float, body: Any) -> Callable[[Asked], Reply]:
            def answer(asked: Asked) -> Reply:
                at.extra_s += seconds
                return Reply(200, body)

            return answer

        old = order_json(OLD, status="canceled", filled_qty="4", filled_avg_price="9.50")
        at.server.script(PATCH, slow(5, order_json(NEW, "b-2")))
        at.server.script(GET, slow(2, old))
        at.server.script(FILLS, Reply(502, HTML))
        assert kinds(replace(at)) == [OrderAccepted]
        assert at.monotonic() <= 8.5
        assert at.server.count(FILLS) == 1


def test_a_replace_that_was_refused() -> None:
    """Goal: refused with code and text, if the new order is not there."""
    with rig() as at:
        begun(at)
        at.server.script(PATCH, refusal(422, 40010001, "stop price must be less than 11"))
        at.server.script(BY_CLIENT_ID, NO_ORDER)
        (report,) = replace(at)
        assert isinstance(report, OrderRefused)
        assert (report.order_id, report.code) == (NEW.order_id, 40010001)


@pytest.mark.parametrize("is_behind", [False, True])
def test_a_replace_that_was_sent_twice(is_behind: bool) -> None:
    """Goal: the refusal of a replace is not believed if the new order is there: the first request
    was taken and its answer lost. That the old order has ended is none, whatever a look-up says.
    """
    with rig() as at:
        begun(at)
        at.server.script(PATCH, NOT_OPEN)
        there = Reply(200, order_json(NEW, "b-2"))
        at.server.script(BY_CLIENT_ID, NO_ORDER if is_behind else there)
        with pytest.raises(Unanswered, match="look the order up"):
            replace(at)


def test_a_replace_without_an_answer_is_not_repeated() -> None:
    """Goal: a lost answer to a replace is Unanswered at once; an unknown old order is a refusal."""
    with rig() as at:
        begun(at)
        at.server.script(PATCH, CLOSE)
        with pytest.raises(Unanswered):
            replace(at)
        assert at.server.count(PATCH) == 1
    with rig() as at:
        at.server.script(BY_CLIENT_ID, NO_ORDER)
        assert kinds(replace(at)) == [OrderRefused]
        assert at.server.count(PATCH) == 0


MADE_UP = "6c0b4d27-7f0f-4d3c-9d6e-0c1e8a3a54b1"


def the_pair() -> SubmitPair:
    """A stop at 9.50 and a target at 12 over ten shares."""
    key = "acct-velez-AA-1-target-1"
    target = request(key, type=OrderType.LIMIT, stop_price=None, limit_price=Decimal("12.00"))
    return SubmitPair(request(), target)


def taken(pair: SubmitPair, *, leg_qty: str = "10") -> Reply:
    """The answer to a pair: the stop is a leg, under a name that Alpaca has made up."""
    leg = order_json(
        pair.stop,
        "b-leg",
        client_order_id=MADE_UP,
        status="held",
        order_class="oco",
        qty=leg_qty,
    )
    return Reply(200, order_json(pair.target, "b-parent", order_class="oco", legs=[leg]))


def test_a_pair_is_one_request() -> None:
    """Goal: an OCO under the target's name; its leg is our stop from then on, and is moved without
    a word about its size. Method: what the server got, and what the reports say.
    """
    pair = the_pair()
    with rig() as at:
        at.server.script(POST, taken(pair))
        reports = at.do(at.broker.execute(pair))
        assert [(type(each), each.order_id) for each in reports] == [
            (OrderAccepted, pair.target.order_id),
            (OrderAccepted, pair.stop.order_id),
        ]
        assert at.server.asked[-1].body == {
            "symbol": "AA",
            "qty": "10",
            "side": "sell",
            "type": "limit",
            "time_in_force": "gtc",
            "client_order_id": "acct-velez-AA-1-target-1",
            "limit_price": "12",
            "order_class": "oco",
            "take_profit": {"limit_price": "12"},
            "stop_loss": {"stop_price": "9.5"},
        }
        new = request("acct-velez-AA-1-stop-2", stop_price=Decimal("9.80"))
        moved = order_json(new, "b-new", order_class="oco", status="held")
        at.server.script("PATCH /v2/orders/b-leg", Reply(200, moved))
        old = order_json(
            pair.stop, "b-leg", client_order_id=MADE_UP, status="replaced", replaced_by="b-new"
        )
        at.server.script("GET /v2/orders/b-leg", Reply(200, old))
        reports = at.do(at.broker.execute(Replace(pair.stop.order_id, new)))
        assert kinds(reports) == [OrderReplaced, OrderAccepted]
        assert reports[0].order_id == pair.stop.order_id
        patched = next(each for each in at.server.asked if each.what.startswith("PATCH"))
        assert patched.body == {"client_order_id": new.order_id, "stop_price": "9.8"}


def test_a_pair_without_its_stop_is_no_answer() -> None:
    """Goal: an answer that does not show the stop that was sent proves nothing of it."""
    pair = the_pair()
    with rig() as at:
        at.server.script(POST, taken(pair, leg_qty="9"))
        with pytest.raises(Unanswered, match="look acct-velez-AA-1-stop-1 up"):
            at.do(at.broker.execute(pair))


def test_a_pair_that_is_refused() -> None:
    """Goal: a refusal is of both, the target first, with the broker's words."""
    pair = the_pair()
    with rig() as at:
        at.server.script(POST, refusal(422, 42210000, "oco orders must be exit orders"))
        reports = at.do(at.broker.execute(pair))
        assert [each.order_id for each in reports] == [pair.target.order_id, pair.stop.order_id]
        assert kinds(reports) == [OrderRefused, OrderRefused]


def test_a_stop_that_was_triggered_while_nobody_was_there() -> None:
    """Goal: a triggered stop stands in its target's place, under a made-up name; a broker that has
    not sent the pair itself knows it as our stop, and as what replaced the target.
    """
    pair = the_pair()
    leg = order_json(
        pair.stop, "b-leg", client_order_id=MADE_UP, order_class="oco", replaces="b-parent"
    )
    target = order_json(
        pair.target, "b-parent", order_class="oco", status="replaced", replaced_by="b-leg",
        legs=[leg],
    )  # fmt: skip
    by_id = {"b-leg": Reply(200, leg), "b-parent": Reply(200, target)}
    with rig() as at:
        at.server.script(BY_CLIENT_ID, NO_ORDER, Reply(200, target))
        for name, answer in by_id.items():
            at.server.script(f"GET /v2/orders/{name}", answer)
        stop = at.do(at.broker.order(pair.stop.order_id))
        assert stop is not None
        assert (stop.order_id, stop.broker_id) == (pair.stop.order_id, "b-leg")
    with rig() as at:
        at.server.script(BY_CLIENT_ID, Reply(200, target))
        for name, answer in by_id.items():
            at.server.script(f"GET /v2/orders/{name}", answer)
        found = at.do(at.broker.order(pair.target.order_id))
        assert found is not None
        assert found.replaced_by == pair.stop.order_id
    assert [row["client_order_id"] for row in flat(target)] == [
        pair.target.order_id,
        pair.stop.order_id,
    ]
