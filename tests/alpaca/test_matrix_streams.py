"""One test per row of what can go wrong on the streams: fills that are not told as they were, bars
that do not come as they should, and what others do with the account.

The rows concern one symbol each and share one life of the daemon (matrix.py).
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

import pytest
from matrix import BAR, EVENT, Matrix, bare_s, is_covered, is_covered_in_time, only
from plots import plot
from prober import BUY
from rehearsal import Life

matrix = Matrix()
FILL = {"on": EVENT, "event": "fill"}
MINUTE = {"on": "market:minute", "nth": 9, "symbol": None}
"""By then every symbol has its position, and what comes now disturbs no entry."""
FOREIGN = ("FOREIGN", "MANUAL")


@pytest.fixture(scope="module")
def life(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Life]:
    """The life of all rows."""
    place = tmp_path_factory.mktemp("streams")
    with matrix.living(place, cover_s=7, but=FOREIGN) as running:
        yield running


# -- fills --


@matrix.row("DROPPED", plot(), {**FILL, "do": "drop_event"})
def test_fill_that_is_not_told(life: Life) -> None:
    """Goal: a fill that the stream swallows is found over REST in time.

    Method: the entry's fill is not told; the sweep finds it, and the shares are covered.
    """
    is_covered_in_time(life, "DROPPED", seconds=6)
    life.known("DROPPED")


@matrix.row("SILENT", plot(plunge=5), {**FILL, "do": "drop_event", "side": "sell"})
def test_fill_of_a_stop_that_is_not_told(life: Life) -> None:
    """Goal: the daemon does not go on believing in shares that a stop has sold.

    Method: the price falls through the stop, its fill is not told; the sweep finds the trade.
    """
    trade = life.sold("SILENT")
    assert trade["exit_reason"] == "stop_loss"
    life.known("SILENT")


@matrix.row("TWICE", plot(), {**FILL, "do": "duplicate", "copies": 3})
def test_fill_told_four_times(life: Life) -> None:
    """Goal: an execution counts once, however often it is told.

    Method: the entry's fill is told four times; position and stop are of its size.
    """
    is_covered_in_time(life, "TWICE")
    life.known("TWICE")
    assert len(life.log("filled", symbol="TWICE")) == 1


@matrix.row("REORDER", plot(), {"on": EVENT, "do": "reorder", "event": "new"})
def test_events_out_of_order(life: Life) -> None:
    """Goal: events in another order lead to the same place.

    Method: "new" is told after the event behind it, which is the fill.
    """
    is_covered_in_time(life, "REORDER")
    assert life.fired("reorder", symbol="REORDER")


@matrix.row("ODD", plot(), {**FILL, "do": "unknown_enum"})
def test_event_with_a_status_nobody_knows(life: Life) -> None:
    """Goal: a fill is a fill, whatever status its order is said to have.

    Method: the order inside the fill's event has the status "quantum_held".
    """
    is_covered_in_time(life, "ODD")
    assert life.fired("unknown_enum", symbol="ODD")


@matrix.row("NEWEVENT", plot(), {**FILL, "do": "unknown_enum", "field": "event.event"})
def test_event_nobody_knows(life: Life) -> None:
    """Goal: an event of an unknown kind costs no more than its news: REST tells it.

    Method: the fill is told as "quantum_held".
    """
    is_covered_in_time(life, "NEWEVENT", seconds=6)
    assert life.fired("unknown_enum", symbol="NEWEVENT")


@matrix.row(
    "BARE",
    plot(),
    {**FILL, "do": "missing_fields", "fields": ["event.execution_id", "event.timestamp", "legs"]},
)
def test_event_without_some_of_its_fields(life: Life) -> None:
    """Goal: a fill without execution id or time is one all the same, and counts once.

    Method: the entry's fill lacks them; REST has them.
    """
    is_covered_in_time(life, "BARE", seconds=6)
    life.known("BARE")
    assert len(life.log("filled", symbol="BARE")) == 1


@matrix.row("BROKEN", plot(), {**FILL, "do": "malformed_frame"})
def test_frame_that_cannot_be_read(life: Life) -> None:
    """Goal: a frame that is no JSON loses one event and no connection.

    Method: half a frame comes instead of the entry's fill.
    """
    is_covered_in_time(life, "BROKEN", seconds=6)
    assert life.fired("malformed_frame", symbol="BROKEN")
    assert life.status()["trade_stream"]["reconnects"] == 0


@matrix.row("BIG", plot(), {**FILL, "do": "big_frame", "bytes": 1_500_000})
def test_frame_of_more_than_a_mebibyte(life: Life) -> None:
    """Goal: large frames are read; they do not end the connection.

    Method: the entry's fill comes in a frame of 1.5 MB, and is heard at once.
    """
    is_covered_in_time(life, "BIG", seconds=2)
    assert life.fired("big_frame", symbol="BIG")
    assert life.status()["trade_stream"]["reconnects"] == 0


@matrix.row(
    "VANISHED", plot(), {**MINUTE, "do": "silent_cancel", "order": "*-VANISHED-*-stop-1"}
)
def test_stop_that_ends_without_a_word(life: Life) -> None:
    """Goal: the broker may cancel a stop and tell nobody; it is found missing and placed again.

    Method: the stop is canceled at the exchange in silence; another one is there within the five
    seconds of a sweep and what it takes to place it.
    """
    life.until("it vanished", lambda: life.fired("silent_cancel"))
    is_covered(life, "VANISHED")
    assert [row["status"] for row in life.rows("VANISHED", "stop")] == ["canceled", "new"]
    assert bare_s(life, "VANISHED") < 6


@matrix.row("MYCANCEL", plot())
def test_stop_canceled_by_its_owner(life: Life) -> None:
    """Goal: a stop that somebody cancels in the broker's app is placed again at once.

    Method: the stop is canceled by hand, which the stream tells; shares are bare for no second.
    """
    first = life.covered("MYCANCEL")
    life.exchange.fault(do="manual_cancel", order=first["client_order_id"])
    life.until("another stop", lambda: life.covered("MYCANCEL")["id"] != first["id"])
    assert bare_s(life, "MYCANCEL") < 1


# -- bars --

SIGNAL = {"on": BAR, "nth": 2}
"""The bar that signals is the symbol's second."""


@matrix.row("DOUBLE", plot(), {**SIGNAL, "do": "duplicate_bar", "copies": 3})
def test_bar_told_four_times(life: Life) -> None:
    """Goal: a bar counts once.

    Method: the bar that signals comes four times; one signal, one entry.
    """
    is_covered_in_time(life, "DOUBLE")
    only(life.log("signal_taken", symbol="DOUBLE"))


@matrix.row("BEHIND", plot(), {**SIGNAL, "do": "out_of_order_bar"})
def test_bar_behind_the_next_one(life: Life) -> None:
    """Goal: bars are taken in the order of their minutes, not in that of their coming.

    Method: the bar that signals comes a minute late, behind the next one, which is within the 90
    seconds that a window waits: it signals, once, and as itself.
    """
    is_covered(life, "BEHIND")
    signal = only(life.log("signal_taken", symbol="BEHIND"))
    assert signal["decision"].endswith("T1431")
    assert signal["entry"] == "20.01"


@matrix.row("TARDY", plot(again=6), {**SIGNAL, "do": "late_bar", "minutes": 3})
def test_bar_that_comes_when_its_window_is_closed(life: Life) -> None:
    """Goal: a late bar goes into history and is no signal.

    Method: the bar that signals comes three minutes late; only a later one is traded on.
    """
    is_covered(life, "TARDY")
    assert life.log("bar_corrected", symbol="TARDY", bar_at="2024-01-03T14:31:00Z")
    assert only(life.log("signal_taken", symbol="TARDY"))["entry"] == "20.06"


@matrix.row("MISSING", plot(again=6), {**SIGNAL, "do": "drop_bar"})
def test_bar_that_never_comes(life: Life) -> None:
    """Goal: a bar that the stream loses is asked for over REST, and is no signal by then.

    Method: the bar that signals is never sent; 90 seconds after its end it is in history, and only
    a later one is traded on.
    """
    is_covered(life, "MISSING")
    assert life.log("bar_corrected", symbol="MISSING", bar_at="2024-01-03T14:31:00Z")
    assert only(life.log("signal_taken", symbol="MISSING"))["entry"] == "20.06"


@matrix.row(
    "REVISED",
    plot(),
    {**SIGNAL, "do": "corrected_bar", "set": {"high": 20.5, "volume": BUY}},
)
def test_bar_that_is_corrected(life: Life) -> None:
    """Goal: a corrected bar is recorded and changes no decision that was made on it.

    Method: the high of the bar that signaled is corrected half a minute later: one signal, one
    entry, at the old price.
    """
    life.told("bar_corrected", symbol="REVISED")
    is_covered(life, "REVISED")
    assert only(life.log("signal_taken", symbol="REVISED"))["entry"] == "20.01"


@matrix.row("NOSIGNAL", plot(None), {**SIGNAL, "do": "corrected_bar", "set": {"volume": BUY}})
def test_correction_that_would_have_signaled(life: Life) -> None:
    """Goal: a correction is never a signal.

    Method: a bar without a mark is corrected into one that has it; no order leaves.
    """
    life.told("bar_corrected", symbol="NOSIGNAL")
    assert not life.log("signal_taken", symbol="NOSIGNAL")
    assert not life.posts("NOSIGNAL")


@matrix.row("NONSENSE", plot(again=6), {**SIGNAL, "do": "bad_bar", "set": {"high": -1.0}})
def test_bar_with_impossible_prices(life: Life) -> None:
    """Goal: a bar that cannot be is told of and not traded on; the stream goes on.

    Method: the high of the bar that signals is negative; only a later one is traded on.
    """
    is_covered(life, "NONSENSE")
    assert only(life.log("signal_taken", symbol="NONSENSE"))["entry"] == "20.06"
    refused = [line["message"] for line in life.log("market_data_refused")]
    assert any("NONSENSE" in message for message in refused)


@matrix.row("POISON", plot(), {**SIGNAL, "do": "poisoned_batch"})
def test_message_nobody_can_read_among_bars(life: Life) -> None:
    """Goal: one bad message in a frame costs none of those behind it.

    Method: a poisoned message comes right before the bar that signals.
    """
    is_covered(life, "POISON")
    assert only(life.log("signal_taken", symbol="POISON"))["decision"].endswith("T1431")


@matrix.row("HALTED", plot(again=6))
def test_halt_of_a_symbol(life: Life) -> None:
    """Goal: a halt ends nothing that protects: the stop stays as it is, without a word sent.

    Method: a symbol is halted while a stop rests, and resumes.
    """
    stop = life.covered("HALTED")
    asked = len(life.posts("HALTED"))
    life.exchange.fault(do="halt_symbol", of="HALTED")
    life.told("trading_halted", symbol="HALTED")
    life.exchange.fault(do="resume_symbol", of="HALTED")
    life.told("trading_resumed", symbol="HALTED")
    assert life.covered("HALTED")["id"] == stop["id"]
    assert len(life.posts("HALTED")) == asked


# -- what others do --


RESTS = {"symbol": "FOREIGN", "side": "buy", "qty": "3", "type": "limit", "limit_price": "15"}


@matrix.row(
    "FOREIGN",
    plot(None),
    {**MINUTE, "do": "foreign_order", "body": {**RESTS, "time_in_force": "day"}},
)
def test_order_of_somebody_else(life: Life) -> None:
    """Goal: an order that is not ours is told of and left alone.

    Method: somebody rests a limit order in the broker's app.
    """
    life.until(
        "an objection",
        lambda: [line for line in life.log("discrepancy") if "buy 3 FOREIGN" in line["reason"]],
    )
    assert only(life.rows("FOREIGN"))["status"] == "new"


@matrix.row("MANUAL", plot(None))
def test_shares_somebody_else_bought(life: Life) -> None:
    """Goal: shares that no order of ours explains get a stop and an alert, and are left alone.

    Method: somebody buys in the broker's app; the daemon is made to compare its books, by a
    trade stream that breaks and comes back.
    """
    life.exchange.fault(do="manual_trade", of="MANUAL", action="buy", qty=10)
    life.exchange.fault(do="close", stream="trade")
    adopted = life.told("shares_adopted", symbol="MANUAL")
    assert adopted["qty"] == "10"
    stop = life.covered("MANUAL")
    assert Decimal(stop["stop_price"]) == Decimal("19.6")
