"""One test per row of what can go wrong with orders at a broker: requests, answers, refusals.

The rows concern one symbol each, so they share one life of the daemon (matrix.py). The rest of the
matrix: test_matrix_streams.py has what is told of fills and bars, test_matrix_lines.py and
test_matrix_silence.py whole connections, test_matrix_account.py the account, and
test_matrix_patience.py what takes as long as a request may live.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

import pytest
from matrix import DELETE, PATCH, POST, Matrix, bare_s, is_covered_in_time, only
from plots import plot
from rehearsal import Life

matrix = Matrix()


@pytest.fixture(scope="module")
def life(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Life]:
    """The life of all rows."""
    with matrix.living(tmp_path_factory.mktemp("orders"), cover_s=5) as running:
        yield running


# -- entries --


@matrix.row("LOST", plot(), {"on": POST, "do": "execute_then_drop", "role": "entry"})
def test_answer_lost_after_the_order_was_taken(life: Life) -> None:
    """Goal: a connection that is closed without an answer leaves an order live: it is adopted.

    Method: the answer to the entry is dropped; it is looked up, fills once and gets its stop, and
    no second entry leaves.
    """
    is_covered_in_time(life, "LOST")
    assert life.log("outcome_unknown", symbol="LOST")
    only(life.rows("LOST", "entry"))
    only(life.posts("LOST", "entry"))


@matrix.row("STOPLOST", plot(), {"on": POST, "do": "execute_then_drop", "role": "stop"})
def test_answer_lost_to_a_stop(life: Life) -> None:
    """Goal: a stop whose answer was lost is adopted, not placed a second time.

    Method: the answer to the stop is dropped; one stop is at the exchange, and the daemon knows it.
    """
    is_covered_in_time(life, "STOPLOST")
    life.told("outcome_unknown", symbol="STOPLOST", role="stop")
    life.told("order_accepted", symbol="STOPLOST", role="stop")
    only(life.rows("STOPLOST", "stop"))


@matrix.row("LATE", plot(), {"on": POST, "do": "late_accept", "role": "entry", "after_s": 1.2})
def test_order_that_appears_after_it_was_denied(life: Life) -> None:
    """Goal: one "no such order" is no proof: an order that appears later is adopted.

    Method: the connection breaks and the order is taken 1.2 s after; look-ups before that find
    nothing, those after adopt it, and its fill is covered.
    """
    is_covered_in_time(life, "LATE")
    assert life.log("outcome_unknown", symbol="LATE")
    only(life.rows("LATE", "entry"))
    only(life.posts("LATE", "entry"))


@matrix.row("GATEWAY", plot(), {"on": POST, "do": "execute_then_504", "role": "entry"})
def test_gateway_timeout_after_the_order_was_taken(life: Life) -> None:
    """Goal: 504 says nothing: the order is looked up, and neither sent again nor given up.

    Method: the entry is taken and answered with 504; one request, one order, one stop.
    """
    is_covered_in_time(life, "GATEWAY")
    assert life.log("outcome_unknown", symbol="GATEWAY")
    only(life.posts("GATEWAY", "entry"))


@matrix.row("CAPTIVE", plot(), {"on": POST, "do": "non_json_200", "execute": True, "role": "entry"})
def test_good_status_with_a_page_instead_of_an_order(life: Life) -> None:
    """Goal: 200 with HTML is no acceptance and no refusal.

    Method: the entry is taken, the answer is a login page; the order is looked up and adopted.
    """
    is_covered_in_time(life, "CAPTIVE")
    assert life.log("outcome_unknown", symbol="CAPTIVE")
    only(life.posts("CAPTIVE", "entry"))


@matrix.row("CUT", plot(), {"on": POST, "do": "cut_body", "bytes": 50, "role": "entry"})
def test_answer_cut_short(life: Life) -> None:
    """Goal: half an answer is none.

    Method: 50 bytes of the answer to the entry arrive; the order is looked up and adopted.
    """
    is_covered_in_time(life, "CUT")
    assert life.log("outcome_unknown", symbol="CUT")
    only(life.posts("CUT", "entry"))


@matrix.row("FASTFILL", plot(), {"on": POST, "do": "drip", "for_s": 0.002, "role": "entry"})
def test_fill_told_before_the_answer(life: Life) -> None:
    """Goal: a fill may outrun the answer to its order.

    Method: the answer to the entry drips in for seconds while the market fills it; the fill counts
    once and is covered in time.
    """
    is_covered_in_time(life, "FASTFILL")
    assert life.fired("drip", symbol="FASTFILL")
    life.known("FASTFILL")


@matrix.row("ENUM", plot(), {"on": POST, "do": "unknown_enum", "role": "entry"})
def test_status_nobody_knows(life: Life) -> None:
    """Goal: a status that is in no document does not lose an order.

    Method: the answer to the entry says "quantum_held"; it goes on to be filled and covered.
    """
    is_covered_in_time(life, "ENUM")
    assert life.fired("unknown_enum", symbol="ENUM")
    only(life.posts("ENUM", "entry"))


@matrix.row(
    "FEWER",
    plot(),
    {"on": POST, "do": "missing_fields", "fields": ["legs", "asset_id", "source", "hwm"]},
)
def test_fields_that_are_gone(life: Life) -> None:
    """Goal: deprecated fields may vanish from answers.

    Method: the answer to the entry lacks four of them; nothing else is different.
    """
    is_covered_in_time(life, "FEWER")
    assert not life.log("outcome_unknown", symbol="FEWER")


@matrix.row(
    "ECHO", plot(), {"on": POST, "do": "wrong_echo", "role": "entry", "set": {"qty": "7"}}
)
def test_answer_about_another_size(life: Life) -> None:
    """Goal: an answer that is not about the order that was sent is no acceptance.

    Method: the answer to the entry says qty 7; asked again the exchange tells the truth.
    """
    is_covered_in_time(life, "ECHO")
    assert life.log("outcome_unknown", symbol="ECHO")
    only(life.posts("ECHO", "entry"))


@matrix.row(
    "LAG",
    plot(),
    {"on": POST, "do": "execute_then_drop", "role": "entry"},
    {
        "on": "rest:GET /v2/orders:by_client_order_id", "do": "lag_lookups", "for_s": 1.0,
        "times": 0, "symbol": None, "client_order_id": "*-LAG-*",
    },
)  # fmt: skip
def test_look_ups_that_lag_behind(life: Life) -> None:
    """Goal: an order that look-ups deny for a while is not given up.

    Method: the answer to the entry is lost, and look-ups deny it for a second.
    """
    is_covered_in_time(life, "LAG")
    assert life.fired("lag_lookups")
    only(life.posts("LAG", "entry"))


@matrix.row("REJECTED", plot(), {"on": POST, "do": "reject_later", "role": "entry", "after_s": 0.1})
def test_entry_rejected_after_its_200(life: Life) -> None:
    """Goal: an order that was accepted may still be rejected; that is its end.

    Method: the venue rejects the entry; it is refused in the ledger and not sent again.
    """
    life.told("order_refused", symbol="REJECTED", role="entry")
    assert life.shares("REJECTED") == 0
    assert only(life.rows("REJECTED", "entry"))["status"] == "rejected"


@matrix.row("STOPREJ", plot(), {"on": POST, "do": "reject_later", "role": "stop", "after_s": 0.1})
def test_stop_rejected_after_its_200(life: Life) -> None:
    """Goal: a stop that the venue rejects later leaves shares bare; another one is placed.

    Method: the first stop is rejected behind its 200; a second one covers within seconds.
    """
    life.told("order_refused", symbol="STOPREJ", role="stop")
    is_covered_in_time(life, "STOPREJ")
    assert [row["status"] for row in life.rows("STOPREJ", "stop")] == ["rejected", "new"]


@matrix.row(
    "WASH",
    plot(),
    {
        "on": POST, "do": "refuse", "role": "stop", "times": 1, "status": 403, "code": 40310000,
        "message": "potential wash trade detected. use complex orders",
    },
)  # fmt: skip
def test_stop_refused_once(life: Life) -> None:
    """Goal: a stop that is refused is tried again.

    Method: the first stop is refused as a wash trade; the second one is taken.
    """
    life.told("order_refused", symbol="WASH", role="stop")
    is_covered_in_time(life, "WASH")


@matrix.row(
    "NOSTOP",
    plot(),
    {
        "on": POST, "do": "refuse", "role": "stop", "times": 0, "status": 422, "code": 42210000,
        "message": "stop orders are not accepted for this asset",
    },
)  # fmt: skip
def test_stop_refused_for_good(life: Life) -> None:
    """Goal: shares that cannot have a stop are not kept.

    Method: every stop is refused; after the second the position is closed at market.
    """
    trade = life.sold("NOSTOP")
    assert trade["exit_reason"] == "strategy"
    assert len(life.posts("NOSTOP", "stop")) == 2
    only(life.rows("NOSTOP", "exit"))
    assert bare_s(life, "NOSTOP") < 5


@matrix.row("PARTIAL", plot(), {"on": POST, "do": "partial_fill", "qty": 100, "role": "entry"})
def test_partial_fill_of_the_entry(life: Life) -> None:
    """Goal: the rest of a partly filled entry is canceled, what was filled is covered.

    Method: 100 shares are filled at once; the rest is canceled, the stop is for 100.
    """
    stop = life.covered("PARTIAL")
    assert stop["qty"] == "100"
    entry = only(life.rows("PARTIAL", "entry"))
    assert (entry["status"], entry["filled_qty"]) == ("canceled", "100")


@matrix.row(
    "CROSSED",
    plot(sell=4),
    {"on": DELETE, "do": "cancel_crossed_by_fill", "side": "sell"},
)
def test_fill_that_crosses_a_cancel(life: Life) -> None:
    """Goal: 204 to a cancel proves nothing: the stop may be filled all the same.

    Method: the exit cancels the stop, which is filled behind the 204; no second sale leaves.
    """
    trade = life.sold("CROSSED")
    assert trade["qty"] == only(life.rows("CROSSED", "entry"))["qty"]
    assert only(life.rows("CROSSED", "stop"))["status"] == "filled"
    assert not life.rows("CROSSED", "exit")


@matrix.row(
    "STUBBORN",
    plot(sell=4),
    {
        "on": DELETE, "do": "refuse", "side": "sell", "status": 422, "code": 42210000,
        "message": "order is not cancelable",
    },
)  # fmt: skip
def test_cancel_refused(life: Life) -> None:
    """Goal: a refused cancel is read off the order's status, and tried again while it is open.

    Method: the first cancel of the stop is refused with 422; the position is sold in the end,
    once, and only after the stop has gone.
    """
    life.told("cancel_refused", symbol="STUBBORN")
    trade = life.sold("STUBBORN")
    assert trade["qty"] == only(life.rows("STUBBORN", "exit"))["qty"]
    assert only(life.rows("STUBBORN", "stop"))["status"] == "canceled"


@matrix.row("UNHEARD", plot(sell=4), {"on": DELETE, "do": "execute_then_drop", "side": "sell"})
def test_answer_lost_to_a_cancel(life: Life) -> None:
    """Goal: a cancel without an answer ends as the order's status says.

    Method: the stop's cancel is carried out, its answer lost; the position is sold, once.
    """
    trade = life.sold("UNHEARD")
    assert trade["qty"] == only(life.rows("UNHEARD", "exit"))["qty"]


@matrix.row("NOMOVE", plot(higher=4), {"on": PATCH, "do": "replace_rejected", "for_s": 0.3})
def test_replace_rejected_after_its_200(life: Life) -> None:
    """Goal: when a replacement is rejected the old stop still stands, and is moved again.

    Method: the move to 19.55 is taken and then rejected; shares stay covered all the time, and in
    the end by a stop at 19.55.
    """
    life.until(
        "the stop moved", lambda: Decimal(life.covered("NOMOVE")["stop_price"]) == Decimal("19.55")
    )
    is_covered_in_time(life, "NOMOVE", seconds=1)
