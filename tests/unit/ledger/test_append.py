"""Appending: all or nothing, folded back exactly, refused or poisoned but never half."""

from __future__ import annotations

import sqlite3
from datetime import date
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from recorded import OPENS_AT, WHEN, Script, record

from algo_trader.core import events as ev
from algo_trader.core.book import Book
from algo_trader.core.day import Day
from algo_trader.core.errors import CoreError
from algo_trader.core.holding import Holding
from algo_trader.core.orders import Order, OrderState
from algo_trader.core.types import BrokerOrderId, ClientOrderId, ExitReason, Role
from algo_trader.ledger.errors import FactRefused, StorageError
from algo_trader.ledger.ledger import Ledger


@pytest.fixture
def ledger(tmp_path: Path) -> Any:
    """An empty ledger whose wall clock stands still."""
    with Ledger.open(tmp_path / "trading.db", lambda: WHEN) as ledger:
        yield ledger


def image(value: Any) -> Any:
    """A book, and what hangs on it, as plain values that compare."""
    if isinstance(value, Book):
        return {k: image(v) for k, v in vars(value).items() if k != "_fold"}
    if isinstance(value, Order | Holding | Day):
        named = {name: getattr(value, name) for name in value.__slots__}
        return {k: image(v) for k, v in named.items()}
    if isinstance(value, dict):
        # A holding that was asked for but never touched says nothing.
        return {k: image(v) for k, v in value.items()}
    if isinstance(value, list):
        return [image(v) for v in value]
    return value


def dump(ledger: Ledger) -> dict[str, list[Any]]:
    """Every row."""
    driver = ledger._driver
    tables = ("order_event", "order_state", "trade")
    return {name: driver.execute(f"SELECT * FROM {name} ORDER BY 1").fetchall() for name in tables}


def opening() -> list[ev.Fact]:
    """An account and a session."""
    return [
        ev.AccountPinned(at=OPENS_AT, account="acct", cash=Decimal(10_000)),
        ev.SessionOpened(at=OPENS_AT, session=date(2024, 1, 2), equity=Decimal(10_000)),
    ]


@pytest.mark.parametrize("seed", [1, 2])
def test_fold_equals_the_engines_book(ledger: Ledger, seed: int) -> None:
    """Goal: what comes back is what the engine believes. Method: a real run, step by step."""
    run = record(seed)
    for step in run.steps:
        ledger.append(step)
    assert len(run.trades) > 20
    assert list(ledger.facts()) == run.facts
    assert image(ledger.fold()) == image(run.book)
    assert [record.trade for record in ledger.trades()] == run.trades
    assert ledger.verify() == []


def test_reopened_ledger_goes_on(tmp_path: Path) -> None:
    """Goal: a new process appends as the old one would have. Method: reopen before every step of
    a stretch, compare with one that never closed.
    """
    steps = record().steps
    one = Ledger.open(tmp_path / "one.db", lambda: WHEN)
    for step in steps[:120]:
        one.append(step)
    one.close()
    for step in steps[120:140]:
        with Ledger.open(tmp_path / "one.db", lambda: WHEN) as one:
            one.append(step)
    with Ledger.open(tmp_path / "two.db", lambda: WHEN) as two:
        two.append([fact for step in steps[:140] for fact in step])
        with Ledger.open(tmp_path / "one.db") as one:
            assert dump(one) == dump(two)


@given(cuts=st.sets(st.integers(1, 1_000), max_size=12))
@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_rows_do_not_depend_on_the_grouping(tmp_path: Path, cuts: set[int]) -> None:
    """Goal: facts alone make the rows, however they were parted into transactions."""
    facts = record().facts[:1_000]
    dumps = []
    for name, edges in (("parted", [0, *sorted(cuts), 1_000]), ("whole", [0, 1_000])):
        path = tmp_path / f"{name}.db"
        path.unlink(missing_ok=True)
        with Ledger.open(path, lambda: WHEN) as ledger:
            for start, end in pairwise(edges):
                ledger.append(facts[start:end])
            dumps.append(dump(ledger))
            assert ledger.verify() == []
    assert dumps[0] == dumps[1]


def test_rows_read_as_planned(ledger: Ledger) -> None:
    """Goal: the readable columns say what happened, fact by fact."""
    order = Script()
    key = order.order_id
    accepted = ev.OrderAccepted(at=OPENS_AT, order_id=key, broker_id=BrokerOrderId("b-1"))
    canceled = ev.CancelRequested(at=OPENS_AT + 9, order_id=key, reason="PARTIAL_FILL")
    ledger.append(opening())
    ledger.append([order.intended(), order.submitting()])
    ledger.append([accepted, order.filled(4, 4, "100.50"), canceled])
    ledger.append([ev.OrderCanceled(at=OPENS_AT + 9, order_id=key)])
    rows = ledger._driver.execute(
        "SELECT seq, at, session, client_order_id, event_type, old_state, new_state, qty_filled,"
        " cum_qty, fill_price, broker_id, detail FROM order_event WHERE seq > 1"
    ).fetchall()
    at, day = "2024-01-02T14:30:00Z", "2024-01-02"
    none = (None,) * 9
    assert rows == [
        (2, at, day, *none),
        (3, at, day, key, "intended", None, "pending_submit", *none[:5]),
        (4, at, day, key, "submitted", "pending_submit", "submitted", *none[:5]),
        (5, at, day, key, "accepted", "submitted", "accepted", *none[:3], "b-1", None),
        (6, at, day, key, "partial_fill", "accepted", "partially_filled", "4", "4", "100.5",
         "b-1", None),
        (7, "2024-01-02T14:30:09Z", day, key, "cancel_requested", "partially_filled",
         "partially_filled", *none[:3], "b-1", "PARTIAL_FILL"),
        (8, "2024-01-02T14:30:09Z", day, key, "canceled", "partially_filled", "canceled",
         *none[:3], "b-1", None),
    ]  # fmt: skip
    (found,) = ledger.orders()
    assert (found.seq, found.order_id, found.state) == (3, key, OrderState.CANCELED)
    assert (found.qty, found.qty_filled) == (Decimal(10), Decimal(4))
    assert found.avg_fill_price == Decimal("100.5")
    assert (found.version, found.submit_attempts, found.cancel_reason) == (5, 1, "PARTIAL_FILL")
    assert (found.created_at, found.updated_at) == (OPENS_AT, OPENS_AT + 9)
    stamp = ledger._driver.execute("SELECT DISTINCT recorded_at FROM order_event").fetchall()
    assert stamp == [("2024-01-02T14:30:00.000250Z",)]


def test_hard_luck_is_recorded_too(ledger: Ledger) -> None:
    """Goal: refusals, silence, absence, halts and contradictions have rows that verify."""
    silent, refused, absent = (Script(f"acct-s-{n}-1-entry-1") for n in ("AA", "BB", "CC"))
    ledger.append(opening())
    for order, symbol in ((silent, "AA"), (refused, "BB"), (absent, "CC")):
        ledger.append([order.intended(symbol=symbol), order.submitting()])
    at, nasty = OPENS_AT + 5, "no \x00 answer \ud800\n"
    ledger.append(
        [
            ev.OutcomeUnknown(at=at, order_id=silent.order_id, detail=nasty),
            ev.OrderRefused(at=at, order_id=refused.order_id, code=42210000, message="wash"),
            ev.OrderAbandoned(at=at, order_id=absent.order_id, reason="absent"),
            ev.Discrepancy(at=at, order_id=silent.order_id, detail="odd"),
            ev.Discrepancy(at=at, order_id=ClientOrderId("not ours"), detail="whose?"),
            ev.Discrepancy(at=at, order_id=None, detail="unknown order"),
            ev.LimitTripped(at=at, rule="DAILY_LOSS"),
            ev.Halted(at=at, reason="operator"),
            ev.Resumed(at=at),
        ]
    )
    states = {order.order_id: (order.state, order.last_error) for order in ledger.orders()}
    assert states == {
        silent.order_id: (OrderState.SUBMITTED, "no \\x00 answer \\ud800\n"),
        refused.order_id: (OrderState.REJECTED, "wash"),
        absent.order_id: (OrderState.SUBMIT_FAILED, None),
    }
    assert [order.order_id for order in ledger.orders(is_live=True)] == [silent.order_id]
    assert ledger.fold().orders[silent.order_id].last_error == nasty
    assert ledger.verify() == []


def test_what_somebody_else_does_to_a_stop(ledger: Ledger) -> None:
    """Goal: an edited stop has its new size and price in its row, a declined one stays declined;
    both come back by the fold, and the rows verify. A resume ends it.
    """
    entry, stop = Script(), Script("acct-s-AA-1-stop-1")
    ledger.append([*opening(), entry.intended(), entry.submitting(), entry.filled(10, 10)])
    theirs = BrokerOrderId("b-theirs")
    at = OPENS_AT + 5
    ledger.append(
        [
            ev.StopSet(at=at, strategy="s", symbol="AA", price=Decimal(100)),
            stop.intended(Role.STOP),
            stop.submitting(),
            ev.OrderAccepted(at=at, order_id=stop.order_id, broker_id=BrokerOrderId("b-1")),
        ]
    )
    edit = ev.StopEdited(
        at=at, order_id=stop.order_id, broker_id=theirs, qty=Decimal(7), price=Decimal("98.5")
    )
    ledger.append([edit, ev.StopDeclined(at=at, strategy="s", symbol="AA")])
    (row,) = [order for order in ledger.orders() if order.order_id == stop.order_id]
    assert (row.qty, row.stop_price, row.broker_id) == (Decimal(7), Decimal("98.5"), theirs)
    held = ledger.fold().holding("s", "AA")
    assert (held.stop_price, held.stop_taken_at) == (Decimal("98.5"), at)
    assert held.is_left_bare
    with pytest.raises(CoreError, match="no working stop"):
        ledger.append(
            [
                ev.StopEdited(
                    at=at,
                    order_id=entry.order_id,
                    broker_id=theirs,
                    qty=Decimal(7),
                    price=Decimal(1),
                )
            ]
        )
    ledger.append([ev.Resumed(at=at + 1)])
    assert not ledger.fold().holding("s", "AA").is_left_bare
    assert ledger.verify() == []


def test_orders_of_one_position_know_their_entry(ledger: Ledger) -> None:
    """Goal: parent_id leads from stops and exits to the entry, replaces along the chain."""
    for step in record().steps:
        ledger.append(step)
    orders = {order.order_id: order for order in ledger.orders()}
    moved = [order for order in orders.values() if order.replaces is not None]
    assert moved
    for order in orders.values():
        if order.role is Role.ENTRY:
            assert order.parent_id is None
        else:
            assert order.parent_id is not None
            assert orders[order.parent_id].decision == order.decision
    for order in moved:
        assert order.replaces is not None
        assert orders[order.replaces].replaced_by == order.order_id


def test_lists_are_narrowed(ledger: Ledger) -> None:
    """Goal: symbol, since and limit pick what they say, the latest ones, oldest first."""
    run = record()
    ledger.append(run.facts)
    second_day = date(2024, 1, 3)
    in_bb = [trade for trade in run.trades if trade.symbol == "B.B"]
    later = [trade for trade in run.trades if trade.exit_at >= OPENS_AT + 40_000]
    assert [r.trade for r in ledger.trades(symbol="B.B")] == in_bb
    assert [r.trade for r in ledger.trades(since=second_day)] == later
    assert [r.trade for r in ledger.trades(limit=3)] == run.trades[-3:]
    orders = ledger.orders()
    assert ledger.orders(limit=5) == orders[-5:]
    assert ledger.orders(symbol="AA") == [order for order in orders if order.symbol == "AA"]
    assert ledger.orders(since=second_day) == [
        order for order in orders if order.created_at >= OPENS_AT + 40_000
    ]


def test_fold_costs_the_same_whatever_was_before(ledger: Ledger) -> None:
    """Goal: the projector lets go of what the book lets go of."""
    ledger.append(record(3, days=4, minutes=20).facts)
    projector = ledger._projector
    assert projector is not None
    assert projector.lines.keys() == projector.book.orders.keys()
    assert len(ledger.orders()) > len(projector.lines)


def refusals() -> list[Any]:
    """Steps that break a rule, each with the reason told."""
    first, again, other = Script(), Script(qty=11), Script("acct-s-BB-1-entry-1")
    key = first.order_id
    return [
        pytest.param([first.intended()], "intended before", id="the same intent"),
        pytest.param([again.intended()], "intended before", id="same id, other terms"),
        pytest.param([other.intended(symbol="BB")] * 2, "intended before", id="twice at once"),
        pytest.param([first.filled(3, 3)], "counted before", id="the same fill"),
        pytest.param([first.filled(1, 4), first.filled(1, 4)], "counted before", id="fill twice"),
        pytest.param([first.submitting()], "not possible", id="illegal"),
        pytest.param([other.submitting()], "never intended", id="unheard of"),
        pytest.param([ev.AccountPinned(at=1, account="x", cash=Decimal(1))], "acct", id="account"),
        pytest.param([ev.Fact(at=1)], "rule|KINDS", id="no kind"),
        pytest.param(
            [ev.OrderCanceled(at=1, order_id=key), first.intended()], "before", id="late in a step"
        ),
    ]


@pytest.mark.parametrize(("step", "reason"), refusals())
def test_refused_step_leaves_nothing(ledger: Ledger, step: list[ev.Fact], reason: str) -> None:
    """Goal: a step with one bad fact leaves no row, and the ledger goes on."""
    order = Script()
    ledger.append([*opening(), order.intended(), order.submitting(), order.filled(3, 3)])
    before = dump(ledger)
    with pytest.raises((CoreError, TypeError), match=reason):
        ledger.append(step)
    assert dump(ledger) == before
    assert not ledger.is_poisoned
    ledger.append([order.filled(2, 5)])
    assert ledger.orders()[0].qty_filled == 5
    assert ledger.verify() == []


def test_id_of_a_past_session_stays_taken(ledger: Ledger) -> None:
    """Goal: uniqueness reaches further back than the book remembers. Method: three sessions on."""
    order = Script()
    ledger.append([*opening(), order.intended(), order.submitting()])
    ledger.append([ev.OrderRefused(at=OPENS_AT, order_id=order.order_id, code=1, message="no")])
    for day in (3, 4, 5):
        at = OPENS_AT + day * 86_400
        ledger.append(
            [ev.SessionOpened(at=at, session=date(2024, 1, day), equity=Decimal(10_000))]
        )
    assert order.order_id not in ledger.fold().orders
    before = dump(ledger)
    halted = ev.Halted(at=OPENS_AT + 600_000, reason="x")
    with pytest.raises(FactRefused, match="intended before"):
        ledger.append([halted, order.intended(at=OPENS_AT + 600_000)])
    assert dump(ledger) == before
    ledger.append([halted])
    with Ledger.open(_closed(ledger)) as again:
        assert again.count() == len(before["order_event"]) + 1
        assert again.verify() == []


def _closed(ledger: Ledger) -> Path:
    """The path of the ledger, which is closed."""
    ledger.close()
    return ledger.path


def test_full_disk_poisons(ledger: Ledger) -> None:
    """Goal: after SQLITE_FULL nothing is written, not even what would fit. Method: a page limit."""
    ledger.append(record().steps[0])
    pages = ledger._driver.execute("PRAGMA page_count").fetchone()[0]
    ledger._driver.execute(f"PRAGMA max_page_count = {pages}")
    reason = "x" * 50_000
    with pytest.raises(StorageError, match="SQLITE_FULL"):
        ledger.append([ev.Halted(at=OPENS_AT, reason=reason)])
    assert ledger.is_poisoned
    ledger._driver.execute(f"PRAGMA max_page_count = {pages + 1000}")
    for call in (
        lambda: ledger.append([ev.Resumed(at=OPENS_AT)]),
        lambda: ledger.append([]),
        ledger.count,
        ledger.fold,
        ledger.orders,
        ledger.trades,
        ledger.verify,
        lambda: list(ledger.facts()),
    ):
        with pytest.raises(StorageError, match=r"ended.*SQLITE_FULL"):
            call()
    path = ledger.path
    ledger.close()
    with Ledger.open(path) as again:
        assert list(again.facts()) == record().steps[0]
        assert again.verify() == []


def test_lost_connection_poisons(ledger: Ledger) -> None:
    """Goal: any error of the driver ends the ledger, on reading too."""
    ledger._driver.close()
    with pytest.raises(StorageError):
        ledger.trades()
    assert ledger.is_poisoned
    with pytest.raises(StorageError, match="ended"):
        ledger.append(opening())


def test_interruption_poisons(ledger: Ledger) -> None:
    """Goal: an exception between BEGIN and COMMIT leaves no one to go on. Method: a function that
    SQLite calls while it works, and that raises.
    """
    ledger.append(opening())
    ledger._driver.set_progress_handler(lambda: 1, 1)
    with pytest.raises(StorageError, match="SQLITE_INTERRUPT"):
        ledger.append([ev.Halted(at=OPENS_AT, reason="x")])
    ledger._driver.set_progress_handler(None, 0)
    with pytest.raises(StorageError, match="ended"):
        ledger.count()


def test_closed_ledger_says_so(ledger: Ledger) -> None:
    """Goal: use after close is an error with the file's name."""
    ledger.close()
    with pytest.raises(StorageError, match=r"trading\.db is closed"):
        ledger.append(opening())


def test_only_its_thread_may_use_it(ledger: Ledger) -> None:
    """Goal: a call from another thread is caught, not raced. Method: the driver's own check."""
    from threading import Thread

    caught: list[BaseException] = []

    def call() -> None:
        try:
            ledger.count()
        except StorageError as error:
            caught.append(error)

    thread = Thread(target=call)
    thread.start()
    thread.join()
    assert len(caught) == 1
    assert isinstance(caught[0].__cause__, sqlite3.ProgrammingError)


def test_exit_reason_is_a_word_of_the_trade(ledger: Ledger) -> None:
    """Goal: the trade row says why it ended, as the book does."""
    ledger.append(record().facts)
    reasons = {found.trade.exit_reason for found in ledger.trades()}
    assert reasons >= {ExitReason.STOP_LOSS, ExitReason.STRATEGY, ExitReason.END_OF_DATA}
