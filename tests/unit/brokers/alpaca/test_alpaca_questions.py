"""What Alpaca is asked: orders, executions, account, positions and clock."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any

import pytest
from rest_kit import (
    BY_CLIENT_ID,
    CLOSE,
    FILLS,
    HTML,
    LIST,
    NO_ORDER,
    NOW,
    Asked,
    Reply,
    Rig,
    entry,
    fill_json,
    order_json,
    request,
    rig,
)

from algo_trader.brokers.alpaca.listing import PAST_PAGES
from algo_trader.brokers.alpaca.statuses import ENDED, OPEN
from algo_trader.brokers.alpaca.trade_update import TradeUpdate
from algo_trader.core.broker import BrokerOrder, BrokerStatus, Execution
from algo_trader.core.commands import Cancel
from algo_trader.core.errors import Unanswered, Unavailable
from algo_trader.core.events import OrderCanceled, OrderFilled
from algo_trader.core.truth import reports_of
from algo_trader.core.types import Action, BrokerOrderId, ClientOrderId, OrderType

OF = request()
NEXT = "acct-velez-AA-1-stop-2"


def found(at: Rig, of: ClientOrderId = OF.order_id) -> BrokerOrder:
    """An order that must be there."""
    one = at.do(at.broker.order(of))
    assert one is not None
    return one


def heard(cum: str, qty: str, price: str) -> TradeUpdate:
    """A fill told by the stream."""
    execution = Execution(
        NOW, Decimal(qty), Decimal(price), Decimal(cum), Decimal(0), f"stream-{cum}"
    )
    return TradeUpdate("fill", OF.order_id, BrokerOrderId("b-1"), execution)


def spans(order: BrokerOrder) -> list[tuple[str, str, str]]:
    """Quantity, price and cumulative quantity of its executions."""
    return [(str(e.qty), str(e.price), str(e.cum_qty)) for e in order.executions]


@pytest.mark.parametrize("word", sorted([*ENDED, *OPEN, "levitating", ""]))
def test_every_status_is_open_unless_it_is_an_end(word: str) -> None:
    """Goal: five words end an order, every other one, unknown ones too, leaves it open."""
    with rig() as at:
        at.server.script(BY_CLIENT_ID, Reply(200, order_json(OF, status=word, filled_qty="0")))
        one = found(at)
        is_whole = word != "filled"
        assert one.status is (ENDED.get(word, BrokerStatus.OPEN) if is_whole else ENDED[word])
        assert bool(one.detail) is (word in ("levitating", ""))


def test_only_the_brokers_own_word_is_a_no() -> None:
    """Goal: None comes of the structured 404 alone; any other 404, an answer about another order,
    an unreadable one and a lost one are no answer.
    """
    with rig() as at:
        at.server.script(BY_CLIENT_ID, NO_ORDER)
        assert at.do(at.broker.order(OF.order_id)) is None
        for reply in (
            Reply(404, HTML),
            Reply(404, {"message": "no route"}),
            Reply(404, {"code": 40410000}),
            Reply(200, order_json(request("another"))),
            Reply(200, {"client_order_id": OF.order_id}),
            Reply(200, HTML),
        ):
            at.server.script(BY_CLIENT_ID, reply)
            with pytest.raises(Unanswered):
                at.do(at.broker.order(OF.order_id))
        at.server.script(BY_CLIENT_ID, CLOSE)
        with pytest.raises(Unanswered):
            at.do(at.broker.order(OF.order_id))
        assert at.naps.taken == [1.0, 1.0]


def test_executions_come_from_activities() -> None:
    """Goal: the executions of what the order says was filled, ascending, exact, each once.

    Method: activities out of order, doubled, of other orders and one that is unreadable.
    """
    with rig() as at:
        at.server.script(
            BY_CLIENT_ID,
            Reply(200, order_json(OF, status="filled", filled_qty="10", filled_avg_price="9.47")),
        )
        rows = [
            fill_json("10", "6", "9.4501"),
            fill_json("4", "4", "9.50"),
            fill_json("4", "4", "9.50", key="again"),
            fill_json("9", "9", "1", broker_id="b-9"),
            {"order_id": "b-1", "qty": "1"},
        ]
        at.server.script(FILLS, Reply(200, rows))
        one = found(at)
        assert one.status is BrokerStatus.FILLED
        assert spans(one) == [("4", "9.50", "4"), ("6", "9.4501", "10")]
        assert one.executions[0].at == NOW + 14
        assert found(at) == one
        assert at.server.count(FILLS) == 1


def test_executions_come_from_the_stream() -> None:
    """Goal: what the stream told is not asked for again, and is told whether REST says so yet or
    not; the order ends when REST says so. What the stream told behind a gap waits for it.
    """
    all_of_it = [("4", "9.50", "4"), ("6", "9.45", "10")]
    with rig() as at:
        none = order_json(OF)
        partly = order_json(OF, status="partially_filled", filled_qty="4")
        wholly = order_json(OF, status="filled", filled_qty="10")
        at.server.script(BY_CLIENT_ID, *(Reply(200, body) for body in (none, none, partly, wholly)))
        at.broker.hear(heard("10", "6", "9.45"))
        assert spans(found(at)) == []
        at.broker.hear(heard("4", "4", "9.50"))
        at.broker.hear(heard("4", "4", "9.50"))
        for status in (BrokerStatus.OPEN, BrokerStatus.OPEN, BrokerStatus.FILLED):
            one = found(at)
            assert (one.status, spans(one)) == (status, all_of_it)
        at.server.script(LIST, Reply(200, [none]))
        (one,) = at.do(at.broker.orders(()))
        assert (one.status, spans(one)) == (BrokerStatus.OPEN, all_of_it)
        assert at.server.count(FILLS) == 0


def test_a_gap_before_what_the_stream_told_first() -> None:
    """Goal: shares before those that the stream told are made up even if REST has come no further
    than into the middle of these, and none count twice.
    """
    with rig() as at:
        at.broker.hear(heard("10", "6", "9.45"))
        body = order_json(
            OF, status="partially_filled", filled_qty="5", filled_avg_price="9.49"
        )
        at.server.script(BY_CLIENT_ID, Reply(200, body))
        at.server.script(FILLS, Reply(200, []))
        assert spans(found(at)) == []
        at.extra_s += 2.5
        assert spans(found(at)) == [("4", "9.50", "4"), ("6", "9.45", "10")]


@pytest.mark.parametrize(
    ("told", "average", "wanted"),
    [
        ([], "9.50", [("10", "9.50", "10")]),
        ([("4", "4", "9.50")], "9.47", [("4", "9.50", "4"), ("6", "9.45", "10")]),
        ([("10", "6", "9.45")], "9.470000", [("4", "9.50", "4"), ("6", "9.45", "10")]),
        ([("4", "4", "9.50")], "9.48333", [("4", "9.50", "4"), ("6", "9.472217", "10")]),
    ],
)
def test_a_gap_is_made_up_from_the_average(
    told: list[tuple[str, str, str]], average: str, wanted: list[tuple[str, str, str]]
) -> None:
    """Goal: shares that nobody tells of are one execution at the price that makes the average
    right, but only after two seconds; until then the order has not ended. What comes late for the
    same shares is not counted again.
    """
    with rig() as at:
        body = order_json(OF, status="filled", filled_qty="10", filled_avg_price=average)
        at.server.script(BY_CLIENT_ID, Reply(200, body))
        at.server.script(FILLS, Reply(200, []))
        for row in told:
            at.broker.hear(heard(*row))
        before = found(at)
        assert before.status is BrokerStatus.OPEN
        assert len(before.executions) == len(told)
        at.extra_s += 2.5
        after = found(at)
        assert after.status is BrokerStatus.FILLED
        assert spans(after) == wanted
        at.broker.hear(heard("10", "10", "1"))
        at.broker.hear(heard("7", "3", "1"))
        assert found(at) == after


@pytest.mark.parametrize(
    ("before", "wanted"),
    [
        ("4", [("6", "9.45", "10")]),
        ("0", [("4", "9.50", "4"), ("6", "9.45", "10")]),
    ],
)
def test_what_the_order_before_had_filled_is_not_its_own(
    before: str, wanted: list[tuple[str, str, str]]
) -> None:
    """Goal: an order that took another's place may begin with the shares which that one had filled:
    no execution is made up for those; where that one had filled none, one is.
    """
    with rig() as at:
        body = order_json(
            OF, status="filled", filled_qty="10", filled_avg_price="9.47", replaces="b-0"
        )
        old = order_json(
            request("before"), "b-0", status="replaced", replaced_by="b-1", filled_qty=before
        )
        at.server.script(BY_CLIENT_ID, Reply(200, body))
        at.server.script("GET /v2/orders/b-0", Reply(200, old))
        at.server.script(FILLS, Reply(200, []))
        at.broker.hear(heard("10", "6", "9.45"))
        assert found(at).status is BrokerStatus.OPEN
        at.extra_s += 2.5
        one = found(at)
        assert (one.status, spans(one)) == (BrokerStatus.FILLED, wanted)
        reports = [type(each) for each in reports_of(one, 0)]
        assert reports == [OrderFilled] * len(wanted) + [OrderCanceled] * (before != "0")


def test_an_order_filled_without_a_price_waits() -> None:
    """Goal: an average that is missing or absurd makes no execution and raises nothing."""
    with rig() as at:
        at.server.script(FILLS, Reply(200, []))
        absurd: list[Any] = [None, "0", "-1", "NaN", "1e999999", "x", {}]
        for average in absurd:
            body = order_json(OF, status="filled", filled_qty="10", filled_avg_price=average)
            at.server.script(BY_CLIENT_ID, Reply(200, body))
            found(at)
            at.extra_s += 3
            one = found(at)
            assert (one.status, one.executions) == (BrokerStatus.OPEN, ())


def test_a_mute_stream_is_noticed() -> None:
    """Goal: a fill that REST shows and the stream does not tell within ten seconds is its silence,
    but not one from before the stream was connected, nor one that it did tell.

    Method: an order seen without and with its fill, streams connected before and in between.
    """
    none = Reply(200, order_json(OF))
    some = Reply(200, order_json(OF, status="filled", filled_qty="10", filled_avg_price="9.5"))
    with rig() as at:
        at.server.script(FILLS, Reply(200, [fill_json("10", "10", "9.50")]))
        at.server.script(BY_CLIENT_ID, none, none, some)
        found(at)
        at.extra_s += 30
        found(at)
        at.extra_s += 5
        assert found(at).executions
        assert not at.broker.is_mute(20.0)
        at.extra_s += 11
        assert at.broker.is_mute(20.0)
        assert not at.broker.is_mute(32.0)
        at.broker.hear(heard("10", "10", "9.50"))
        assert not at.broker.is_mute(20.0)


def test_activities_page_by_page() -> None:
    """Goal: rows behind the first page are found, by the last row's id."""
    with rig() as at:
        body = order_json(OF, status="filled", filled_qty="10", filled_avg_price="9.50")
        at.server.script(BY_CLIENT_ID, Reply(200, body))
        others = [fill_json(str(n), "1", "5", broker_id="b-7") for n in range(1, 101)]
        at.server.script(
            FILLS, Reply(200, others), Reply(200, [fill_json("10", "10", "9.50")])
        )
        assert spans(found(at)) == [("10", "9.50", "10")]
        queries = [each.query for each in at.server.asked if each.what == FILLS]
        assert queries[1]["page_token"] == others[-1]["id"]
        assert queries[0]["after"].startswith("2024-01-02T14:29:55")


@pytest.mark.parametrize("bad", [Reply(502, HTML), CLOSE, Reply(429), Reply(401)])
def test_activities_that_cannot_be_had(bad: Reply) -> None:
    """Goal: an order is told of with the executions that are known, and not as ended, if the others
    cannot be asked for; after a while they are made up.
    """
    with rig() as at:
        at.broker.hear(heard("4", "4", "9.50"))
        body = order_json(OF, status="filled", filled_qty="10", filled_avg_price="9.47")
        at.server.script(BY_CLIENT_ID, Reply(200, body))
        at.server.script(FILLS, lambda asked: Reply(200, []), bad)
        assert found(at).status is BrokerStatus.OPEN
        one = found(at)
        assert (one.status, spans(one)) == (BrokerStatus.OPEN, [("4", "9.50", "4")])
        at.extra_s += 10
        assert found(at).status is BrokerStatus.FILLED


def test_what_is_asked_about_one_order_ends_in_time() -> None:
    """Goal: the order, its executions and its successor are asked for within eight and a half
    seconds in all; what cannot be had by then is left out.

    Method: an answer that takes seven seconds, then activities and a successor that fail.
    """
    body = order_json(
        OF, status="replaced", replaced_by="b-2", filled_qty="4", filled_avg_price="9.50"
    )
    with rig() as at:

        def slow(asked: Asked) -> Reply:
            at.extra_s += 7
            return Reply(200, body)

        at.server.script(BY_CLIENT_ID, slow)
        at.server.script(FILLS, Reply(502, HTML))
        at.server.script("GET /v2/orders/b-2", Reply(502, HTML))
        one = found(at)
        assert (one.status, one.executions, one.replaced_by) == (BrokerStatus.OPEN, (), None)
        assert at.monotonic() <= 8.5
        assert at.server.count(FILLS) == 1


def test_a_replaced_order_names_its_successor() -> None:
    """Goal: the successor is named by the client's id, asked for once; None if it cannot be told.
    """
    with rig() as at:
        body = order_json(OF, status="replaced", replaced_by="b-2")
        at.server.script(BY_CLIENT_ID, Reply(200, body))
        assert found(at).replaced_by is None
        at.server.script("GET /v2/orders/b-2", Reply(200, order_json(request(NEXT), "b-2")))
        assert found(at).replaced_by == NEXT
        assert found(at).replaced_by == NEXT
        assert at.server.count("GET /v2/orders/b-2") == 2


EDITED = [f"7b8c0d1e-0000-4000-8000-00000000000{n}" for n in range(3)]
"""Names that Alpaca makes up."""


def test_an_order_that_somebody_else_has_edited_goes_on_under_our_name() -> None:
    """Goal: an edit in the broker's app, and one of that, are the same order with another size and
    price: found by name, in the list, and by the stream's events.

    Method: a stop replaced twice, each time by one with a made-up name.
    """
    with rig() as at:
        first = order_json(OF, status="replaced", replaced_by="b-2")
        second = order_json(request(EDITED[0]), "b-2", status="replaced", replaced_by="b-3")
        third = order_json(
            request(EDITED[1], stop_price=Decimal("8.25"), qty=Decimal(7)), "b-3", replaces="b-2"
        )
        at.server.script(BY_CLIENT_ID, Reply(200, first))
        at.server.script("GET /v2/orders/b-2", Reply(200, second))
        at.server.script("GET /v2/orders/b-3", Reply(200, third))
        one = found(at)
        assert (one.order_id, one.broker_id, one.status) == (OF.order_id, "b-3", BrokerStatus.OPEN)
        assert (one.qty, one.stop_price) == (Decimal(7), Decimal("8.25"))
        assert one.is_edited
        at.server.script(LIST, Reply(200, [third]))
        (listed,) = at.do(at.broker.orders([OF.order_id]))
        assert listed == one
        update = TradeUpdate("new", ClientOrderId(EDITED[1]), BrokerOrderId("b-3"), None)
        assert at.broker.hear(update) == OF.order_id
        at.broker.hear(TradeUpdate("replaced", OF.order_id, BrokerOrderId("b-1"), None))
        at.server.script("DELETE /v2/orders/b-3", Reply(204))
        at.server.script("GET /v2/orders/b-3", Reply(200, third | {"status": "canceled"}))
        (ended,) = at.do(at.broker.execute(Cancel(OF.order_id)))
        assert isinstance(ended, OrderCanceled)
        assert at.server.count("DELETE /v2/orders/b-3") == 1


def test_an_edited_order_is_found_in_the_list_at_first_sight() -> None:
    """Goal: after a restart an edited stop is no stranger. Method: the list, then our name."""
    with rig() as at:
        third = order_json(request(EDITED[1], stop_price=Decimal("8.25")), "b-3", replaces="b-1")
        at.server.script(LIST, Reply(200, [third]))
        replaced = order_json(OF, status="replaced", replaced_by="b-3")
        at.server.script(BY_CLIENT_ID, Reply(200, replaced))
        at.server.script("GET /v2/orders/b-3", Reply(200, third))
        (one,) = at.do(at.broker.orders([OF.order_id]))
        assert (one.order_id, one.stop_price, one.is_edited) == (OF.order_id, Decimal("8.25"), True)


@pytest.mark.parametrize("name", [EDITED[0], "my-tool-7", "other"])
def test_whoever_edits_it(name: str) -> None:
    """Goal: an edit with another program, which names it, is an edit too: told by the stream first
    or not, and asked about twice.
    """
    for is_told in (False, True):
        with rig() as at:
            body = order_json(OF, status="replaced", replaced_by="b-2")
            at.server.script(BY_CLIENT_ID, Reply(200, body))
            theirs = order_json(request(name, stop_price=Decimal("8.25")), "b-2", replaces="b-1")
            at.server.script("GET /v2/orders/b-2", Reply(200, theirs))
            if is_told:
                at.broker.hear(TradeUpdate("new", ClientOrderId(name), BrokerOrderId("b-2"), None))
            for _ in range(2):
                one = found(at)
                assert (one.order_id, one.broker_id, one.is_edited) == (OF.order_id, "b-2", True)
            at.server.script(LIST, Reply(200, [theirs]))
            assert [each.order_id for each in at.do(at.broker.orders([OF.order_id]))] == [
                OF.order_id
            ]


def test_the_other_exit_of_a_pair_is_no_edit() -> None:
    """Goal: a target that Alpaca calls replaced by its triggered stop has not sold what that sold.

    Method: a limit order replaced by a stop with a made-up name, which is filled.
    """
    target = request("acct-velez-AA-1-target-1", type=OrderType.LIMIT, limit_price=Decimal(12))
    target = target._replace(stop_price=None)
    with rig() as at:
        body = order_json(target, status="replaced", replaced_by="b-2")
        at.server.script(BY_CLIENT_ID, Reply(200, body))
        leg = order_json(request(EDITED[0]), "b-2", status="filled", filled_qty="10")
        at.server.script("GET /v2/orders/b-2", Reply(200, leg))
        one = found(at, target.order_id)
        assert (one.status, one.broker_id, one.executions) == (BrokerStatus.REPLACED, "b-1", ())
        assert one.replaced_by == "acct-velez-AA-1-stop-1"


def test_the_stop_that_took_its_target_s_place_may_have_been_edited() -> None:
    """Goal: what a target was replaced by, its triggered stop, is that stop, whatever somebody has
    made of it before.

    Method: target and stop name the same successor; the target is asked about first.
    """
    target = request("acct-velez-AA-1-target-1", type=OrderType.LIMIT, limit_price=Decimal(12))
    target = target._replace(stop_price=None)
    stop_id = ClientOrderId("acct-velez-AA-1-stop-1")
    with rig() as at:
        leg = order_json(request(EDITED[0]), "b-2", status="replaced", replaced_by="b-3")
        leg["order_class"] = "oco"
        edited = order_json(request(EDITED[1], stop_price=Decimal("8.25")), "b-3", replaces="b-2")
        body = order_json(target, status="replaced", replaced_by="b-3")
        body |= {"order_class": "oco", "legs": [leg]}
        at.server.script("GET /v2/orders/b-1", Reply(200, body))
        at.server.script("GET /v2/orders/b-2", Reply(200, leg))
        at.server.script("GET /v2/orders/b-3", Reply(200, edited))

        def named(asked: Asked) -> Reply:
            is_target = asked.query["client_order_id"] == target.order_id
            return Reply(200, body) if is_target else NO_ORDER

        at.server.script(BY_CLIENT_ID, named)
        assert found(at, target.order_id).status is BrokerStatus.REPLACED
        one = found(at, stop_id)
        assert (one.order_id, one.broker_id, one.is_edited) == (stop_id, "b-3", True)
        assert found(at, target.order_id).replaced_by == stop_id


def test_an_edit_of_what_had_begun_to_fill_goes_on_with_its_fills() -> None:
    """Goal: where the successor counts on, it is one order under our name with the executions of
    both; the first's are asked for as well.

    Method: four of ten filled, edited, three more filled, by the activities of both.
    """
    with rig() as at:
        first = order_json(
            OF, status="replaced", replaced_by="b-2", filled_qty="4", filled_avg_price="9.5"
        )
        second = order_json(
            request(EDITED[0]), "b-2", replaces="b-1", filled_qty="7", filled_avg_price="9.4"
        )
        at.server.script(BY_CLIENT_ID, Reply(200, first))
        at.server.script("GET /v2/orders/b-1", Reply(200, first))
        at.server.script("GET /v2/orders/b-2", Reply(200, second))
        rows = [fill_json("4", "4", "9.5"), fill_json("7", "3", "9.3", broker_id="b-2")]
        at.server.script(FILLS, Reply(200, rows))
        one = found(at)
        assert (one.order_id, one.broker_id, one.is_edited) == (OF.order_id, "b-2", True)
        assert spans(one) == [("4", "9.5", "4"), ("3", "9.3", "7")]


def test_a_pair_listed_for_its_leg_names_what_has_taken_the_target_s_place() -> None:
    """Goal: a target that has ended is told of with its successor, also where the list of open
    orders brings it, because its stop works on.
    """
    target = request("acct-velez-AA-1-target-1", type=OrderType.LIMIT, limit_price=Decimal(12))
    target = target._replace(stop_price=None)
    with rig() as at:
        leg = order_json(request(EDITED[0]), "b-2")
        body = order_json(target, status="replaced", replaced_by="b-2")
        at.server.script(LIST, Reply(200, [body | {"order_class": "oco", "legs": [leg]}]))
        at.server.script("GET /v2/orders/b-2", Reply(200, leg))
        found_ones = at.do(at.broker.orders([target.order_id]))
        told = {each.order_id: each for each in found_ones}[target.order_id]
        assert (told.status, told.replaced_by) == (
            BrokerStatus.REPLACED,
            "acct-velez-AA-1-stop-1",
        )


@pytest.mark.parametrize(("name", "filled_qty"), [(NEXT, "0"), (EDITED[0], "4")])
def test_what_is_no_edit_of_somebody_else(name: str, filled_qty: str) -> None:
    """Goal: our own replacement is another order; so is one in the place of a partly filled order
    that counts its fills from nought.
    """
    with rig() as at:
        body = order_json(
            OF,
            status="replaced",
            replaced_by="b-2",
            filled_qty=filled_qty,
            filled_avg_price=None if filled_qty == "0" else "9.5",
        )
        at.server.script(BY_CLIENT_ID, Reply(200, body))
        at.server.script("GET /v2/orders/b-2", Reply(200, order_json(request(name), "b-2")))
        at.server.script(FILLS, Reply(200, [fill_json("4", "4", "9.5")]))
        one = found(at)
        assert (one.status, one.broker_id) == (BrokerStatus.REPLACED, "b-1")
        assert not one.is_edited
        assert one.replaced_by == name


class Shelf:
    """Orders by time, newest first, given out in pages of `most` as Alpaca does."""

    def __init__(self, count: int, most: int, per_second: int = 10) -> None:
        self.most = most
        self.rows = [
            order_json(
                entry(f"o-{n}"),
                f"b-{n}",
                submitted_at=f"2024-01-02T{14 + n // per_second // 3600:02}:"
                f"{n // per_second // 60 % 60:02}:{n // per_second % 60:02}.{n % per_second:03}Z",
                status="new" if n % 2 else "canceled",
            )
            for n in reversed(range(count))
        ]

    def __call__(self, asked: Asked) -> Reply:
        """A page of what is older than `until`."""
        until = asked.query.get("until")
        rows = self.rows
        if asked.query["status"] == "open":
            rows = [row for row in rows if row["status"] == "new"]
        if until is not None:
            latest = datetime.fromisoformat(until)
            rows = [row for row in rows if datetime.fromisoformat(row["submitted_at"]) < latest]
        assert asked.query["direction"] == "desc"
        return Reply(200, rows[: min(self.most, int(asked.query["limit"]))])


@pytest.mark.parametrize(("most", "per_second"), [(500, 10), (50, 10), (50, 80), (500, 500)])
def test_a_list_longer_than_a_page(most: int, per_second: int) -> None:
    """Goal: every open order is found, each once, whatever the size of the pages; known ones that
    have ended come too. Method: 590 orders, pages cut short, many orders in one second.
    """
    with rig() as at:
        at.server.script(LIST, Shelf(590, most, per_second))
        ended = order_json(entry("o-0"), "b-0", status="canceled")
        at.server.script(BY_CLIENT_ID, Reply(200, ended))
        orders = at.do(at.broker.orders([ClientOrderId("o-0"), ClientOrderId("o-1")]))
        names = [order.order_id for order in orders]
        assert len(names) == len(set(names))
        assert set(names) == {f"o-{n}" for n in range(590) if n % 2} | {"o-0"}


def test_many_known_orders_are_found_by_listing_all() -> None:
    """Goal: with many orders that are not open, all are listed until they have been seen; one that
    never existed does not make the listing endless.
    """
    with rig() as at:
        at.server.script(LIST, Shelf(300, 50))
        known = [ClientOrderId(f"o-{n}") for n in range(150, 170)]
        orders = at.do(at.broker.orders([*known, ClientOrderId("never")]))
        assert set(known) <= {order.order_id for order in orders}
        assert at.server.count(BY_CLIENT_ID) == 0
        listed = [each.query["status"] for each in at.server.asked if each.what == LIST]
        assert listed.count("all") == PAST_PAGES


def test_strange_rows_do_not_spoil_a_list() -> None:
    """Goal: orders of others that cannot be read are passed over, legs are orders of their own; an
    unreadable order of ours spoils the answer.
    """
    leg = order_json(request("leg"), "b-2", status="held")
    rows: list[Any] = [
        order_json(OF, legs=[leg, None, 7]),
        {"id": "b-3", "client_order_id": "mleg", "symbol": "", "side": None, "qty": "1"},
        order_json(entry("dollars"), "b-4", qty=None, notional="100", filled_qty="0.5"),
        None,
    ]
    with rig() as at:
        at.server.script(LIST, Reply(200, rows))
        at.server.script(FILLS, Reply(200, []))
        orders = {order.order_id: order for order in at.do(at.broker.orders(()))}
        assert set(orders) == {OF.order_id, "leg", "dollars"}
        with pytest.raises(Unanswered, match="mleg"):
            at.do(at.broker.orders([ClientOrderId("mleg")]))
        for bad in (Reply(200, {}), Reply(200, HTML), Reply(204)):
            at.server.script(LIST, bad)
            with pytest.raises(Unanswered):
                at.do(at.broker.orders(()))


def test_the_order_in_our_words() -> None:
    """Goal: side, quantity and ids are the broker's."""
    with rig() as at:
        at.server.script(BY_CLIENT_ID, Reply(200, order_json(OF)))
        one = found(at)
        assert one == BrokerOrder(
            OF.order_id,
            BrokerOrderId("b-1"),
            "AA",
            Action.SELL,
            Decimal(10),
            BrokerStatus.OPEN,
            stop_price=Decimal("9.50"),
        )


def test_the_account() -> None:
    """Goal: money is exact, and what keeps an account from trading is said in words."""
    body: dict[str, Any] = {
        "id": "uuid",
        "account_number": "PA123",
        "status": "ACTIVE",
        "cash": "10000.123456789",
        "buying_power": "20000.10",
        "equity": 10000.5,
        "trading_blocked": False,
    }
    with rig() as at:
        path = "GET /v2/account"
        at.server.script(path, Reply(200, body))
        account = at.do(at.broker.account())
        assert account == (
            "PA123",
            Decimal("10000.123456789"),
            Decimal("20000.10"),
            Decimal("10000.5"),
            "",
        )
        blocks = {"trading_blocked": True, "status": "ACCOUNT_CLOSED_PENDING"}
        at.server.script(path, Reply(200, body | blocks))
        blocked = at.do(at.broker.account()).blocked
        assert "trading is blocked" in blocked
        assert "ACCOUNT_CLOSED_PENDING" in blocked
        for bad in (Reply(200, {}), Reply(200, [body]), Reply(500, HTML), Reply(200, HTML)):
            at.server.script(path, bad)
            with pytest.raises(Unanswered):
                at.do(at.broker.account())


def test_positions() -> None:
    """Goal: short positions are below zero whatever the sign of their quantity, empty ones absent;
    a list with an unreadable position is no answer.
    """
    rows: list[dict[str, Any]] = [
        {"symbol": "AA", "qty": "10", "side": "long", "avg_entry_price": "9.99"},
        {"symbol": "BB", "qty": "-5", "side": "short", "avg_entry_price": "1.5"},
        {"symbol": "CC", "qty": "5", "side": "short", "avg_entry_price": "1.5"},
        {"symbol": "DD", "qty": "0", "side": "long"},
    ]
    with rig() as at:
        path = "GET /v2/positions"
        at.server.script(path, Reply(200, rows))
        positions = at.do(at.broker.positions())
        assert {symbol: int(held.qty) for symbol, held in positions.items()} == {
            "AA": 10,
            "BB": -5,
            "CC": -5,
        }
        spoilt: list[Any] = [[*rows, {"symbol": "EE"}], [*rows, None], {}, None]
        for bad in spoilt:
            at.server.script(path, Reply(200, bad))
            with pytest.raises(Unanswered):
                at.do(at.broker.positions())


def test_a_question_is_asked_again() -> None:
    """Goal: a question that met trouble is asked three times and then raises; keys are not."""
    with rig() as at:
        path = "GET /v2/positions"
        at.server.script(path, Reply(502, HTML), CLOSE, Reply(200, []))
        assert dict(at.do(at.broker.positions())) == {}
        at.server.script(path, Reply(502, HTML))
        with pytest.raises(Unanswered):
            at.do(at.broker.positions())
        assert at.server.count(path) == 6
        at.server.script(path, Reply(401, HTML))
        with pytest.raises(Unavailable):
            at.do(at.broker.positions())
        assert at.server.count(path) == 7


def test_the_clock() -> None:
    """Goal: the broker's time with its offset, and how far it is ahead of ours."""
    body = {
        "timestamp": "2024-01-02T09:30:05.5-05:00",
        "is_open": True,
        "next_open": "2024-01-03T09:30:00-05:00",
        "next_close": "2024-01-02T16:00:00-05:00",
    }
    with rig() as at:
        assert at.broker.skew_s is None
        at.server.script("GET /v2/clock", Reply(200, body))
        told = at.do(at.broker.read_clock())
        assert told == (NOW + 5.5, True, NOW + 6.5 * 3600)
        assert at.broker.skew_s == pytest.approx(5.5, abs=0.5)
        at.server.script("GET /v2/clock", Reply(200, {"timestamp": "soon"}))
        with pytest.raises(Unanswered):
            at.do(at.broker.read_clock())
