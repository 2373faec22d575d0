"""What an operator, a restart and the broker's own books tell the engine, one input at a time.

Method: the desk of test_inputs, with an intake before it; the facts and commands of the step are
compared in short.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal

import pytest
from test_inputs import BUY_AT_11, ENTRY, SESSION, STOP, Desk, still
from test_inputs import held as held
from test_inputs import pending as pending

from algo_trader.core import commands as cmd
from algo_trader.core import events as ev
from algo_trader.core import inputs, work
from algo_trader.core.book import EXTERNAL
from algo_trader.core.broker import (
    AccountState,
    BrokerOrder,
    BrokerPosition,
    BrokerStatus,
    Execution,
)
from algo_trader.core.errors import SafetyRefusal
from algo_trader.core.types import Action, BrokerOrderId, ClientOrderId, ExitReason, OrderType
from algo_trader.engine.hands import Step
from algo_trader.engine.intake import Intake
from algo_trader.strategies.base import Exit, MoveStop

MOVED = ClientOrderId("a-s-X-20240103T1430-stop-2")


def said(step: Step) -> str:
    """Facts and commands in short, without the words that all facts of orders share."""
    words = [type(fact).__name__.removeprefix("Order") for fact in step.facts]
    for command in step.commands:
        name = type(command).__name__.lower()
        if isinstance(command, cmd.Cancel | cmd.Replace):
            key = command.order_id
        else:
            key = cmd.placed_by(command)[0].order_id
        words.append(f"{name}:{key.removeprefix('a-s-X-20240103T1430-')}")
    return " ".join(words)


def take(desk: Desk, item: inputs.Input) -> Step:
    return Intake(desk.engine).take(item)


def truth(
    key: ClientOrderId,
    status: BrokerStatus = BrokerStatus.OPEN,
    filled: int = 0,
    qty: int = 113,
) -> BrokerOrder:
    """One of the desk's orders as the broker has it."""
    price = Decimal(11 if key == ENTRY else 9)
    shares = Decimal(filled)
    executions = (Execution(9, shares, price, shares, Decimal(0), "x"),) if filled else ()
    action = Action.BUY if key == ENTRY else Action.SELL
    broker_id = BrokerOrderId(f"b-{key}")
    return BrokerOrder(key, broker_id, "X", action, Decimal(qty), status, executions)


def truths(desk: Desk, *orders: BrokerOrder) -> str:
    return said(take(desk, inputs.Truths({order.order_id: order for order in orders})))


def absent(desk: Desk, key: ClientOrderId) -> str:
    return said(take(desk, inputs.Truths({key: None})))


def unknown(desk: Desk, key: ClientOrderId) -> None:
    desk.hear(ev.OutcomeUnknown(at=desk.now, order_id=key, detail="timeout"))


# -- an operator --


def test_a_halt_cancels_what_rests_and_stops_signals(pending: Desk) -> None:
    """Goal: no new risk from the very step on, until an operator resumes.

    Method: halt twice, answer the cancel, let the strategy signal, resume twice, let it signal.
    """
    halt = inputs.Halt("maintenance")
    assert said(take(pending, halt)) == "Halted CancelRequested cancel:entry-1"
    assert pending.book.order(ENTRY).cancel_reason == "HALTED"
    assert said(take(pending, halt)) == ""
    pending.hear(ev.OrderCanceled(at=pending.now, order_id=ENTRY))
    (*_, step) = pending.pass_minute()
    (fact,) = step.facts
    assert isinstance(fact, ev.SignalDecided)
    assert fact.rule == "HALTED"
    assert said(take(pending, inputs.Resume())) == "Resumed"
    assert said(take(pending, inputs.Resume())) == ""
    (*_, step) = pending.pass_minute()
    assert said(step).startswith("SignalDecided Intended Submitting submit:")


def test_a_halt_leaves_a_position_its_stop(held: Desk) -> None:
    """Goal: a halt stops new risk, not protection: the stop stays and may be moved."""
    assert said(take(held, inputs.Halt("maintenance"))) == "Halted"
    held.strategy.to_manage = lambda: MoveStop(Decimal("9.50"))
    (*_, step) = held.pass_minute()
    assert said(step) == "StopSet Intended Submitting replace:stop-1"


def test_close_all(held: Desk) -> None:
    """Goal: every position is to go, each asked once."""
    everything = inputs.CloseAll(ExitReason.OPERATOR)
    assert said(take(held, everything)) == "ExitDecided CancelRequested cancel:stop-1"
    assert said(take(held, everything)) == ""


def test_nothing_may_rest(pending: Desk) -> None:
    """Goal: the resting entry is canceled, for the reason given, once."""
    nothing = inputs.CancelEntries("SHUTDOWN")
    assert said(take(pending, nothing)) == "CancelRequested cancel:entry-1"
    assert pending.book.order(ENTRY).cancel_reason == "SHUTDOWN"
    assert said(take(pending, nothing)) == ""


def test_readiness(pending: Desk) -> None:
    """Goal: while not ready a signal is refused, by that name, and is not afterwards."""
    take(pending, inputs.CancelEntries("SHUTDOWN"))
    pending.hear(ev.OrderCanceled(at=pending.now, order_id=ENTRY))
    rules = []
    for is_ready in (False, True):
        assert said(take(pending, inputs.Readiness(is_ready))) == ""
        (*_, step) = pending.pass_minute()
        rules += [fact.rule for fact in step.facts if isinstance(fact, ev.SignalDecided)]
    assert rules == ["NOT_READY", None]


# -- the account --


def test_a_ledger_belongs_to_one_account() -> None:
    """Goal: pinned at the first start, the same is welcome, another is refused without a trace."""
    desk = Desk()
    desk.book.account = ""
    ours = AccountState("a", Decimal(100), Decimal(100))
    assert said(take(desk, inputs.Pinned(ours))) == "AccountPinned"
    assert said(take(desk, inputs.Pinned(ours))) == ""
    with pytest.raises(SafetyRefusal, match=r"belongs to the broker account a, but .* for b"):
        take(desk, inputs.Pinned(ours._replace(account="b")))
    assert desk.engine.hands.step().facts == ()


# -- the broker's word on our orders --


def test_what_was_missed_is_followed_up(pending: Desk) -> None:
    """Goal: a fill that is found out of late is covered in the same step; told again, nothing."""
    filled = truth(ENTRY, BrokerStatus.FILLED, 113)
    assert truths(pending, filled) == "Filled StopSet Intended Submitting submit:stop-1"
    assert truths(pending, filled) == ""


def test_an_order_of_long_ago_is_nobodys(pending: Desk) -> None:
    """Goal: an answer about an order that was forgotten meanwhile is no news."""
    assert truths(pending, truth(ClientOrderId("a-s-X-19990103T1430-entry-1"))) == ""


def test_a_cancel_that_did_not_arrive_leaves_again(pending: Desk) -> None:
    """Goal: the broker has the order open: the cancel is on record again and goes at once; an order
    that nobody wants to cancel is left alone.
    """
    assert truths(pending, truth(ENTRY)) == ""
    take(pending, inputs.CancelEntries("SHUTDOWN"))
    assert truths(pending, truth(ENTRY)) == "CancelRequested cancel:entry-1"
    assert pending.book.order(ENTRY).cancel_reason == "SHUTDOWN"
    assert truths(pending, truth(ENTRY, BrokerStatus.CANCELED)) == "Canceled"
    assert truths(pending, truth(ENTRY)) == ""


def test_news_and_a_lost_cancel_ask_once(pending: Desk) -> None:
    """Goal: one cancel, although the same answer tells of a fill that asks for it as well."""
    assert truths(pending, truth(ENTRY, filled=60)) == (
        "Filled StopSet CancelRequested cancel:entry-1"
    )


def test_an_absent_entry_is_given_up() -> None:
    """Goal: an entry that the broker never had is not sent again."""
    desk = Desk()
    desk.strategy.to_signal = lambda: BUY_AT_11
    desk.pass_minute()
    unknown(desk, ENTRY)
    assert absent(desk, ENTRY) == "Abandoned"
    assert absent(desk, ENTRY) == ""


def test_an_absent_stop_is_sent_again(pending: Desk) -> None:
    """Goal: under the same id, on record as leaving once more."""
    pending.fill(ENTRY, 113)
    unknown(pending, STOP)
    assert absent(pending, STOP) == "Submitting submit:stop-1"


@pytest.mark.parametrize(
    ("is_old_live", "wanted"),
    [(True, "Submitting replace:stop-1"), (False, "Submitting submit:stop-2")],
)
def test_an_absent_move_is_sent_again(held: Desk, is_old_live: bool, wanted: str) -> None:
    """Goal: as a move while the old stop is there, as a stop of its own where it is not."""
    held.strategy.to_manage = lambda: MoveStop(Decimal("9.50"))
    held.pass_minute()
    unknown(held, MOVED)
    if not is_old_live:
        held.hear(ev.OrderCanceled(at=held.now, order_id=STOP))
    assert absent(held, MOVED) == wanted


def test_an_absent_stop_of_a_position_that_is_to_go(pending: Desk) -> None:
    """Goal: a decided exit does not wait for the proof that a stop never was: it is sent again
    under its id, canceled, and the position is sold; meanwhile it is covered.
    """
    pending.fill(ENTRY, 113)
    unknown(pending, STOP)
    pending.strategy.to_manage = lambda: Exit(ExitReason.MAX_RUN)
    (*_, step) = pending.pass_minute()
    assert said(step) == "ExitDecided CancelRequested cancel:stop-1"
    assert absent(pending, STOP) == "Submitting submit:stop-1"
    assert truths(pending, truth(STOP)) == "Accepted CancelRequested cancel:stop-1"
    gone = truth(STOP, BrokerStatus.CANCELED)
    assert truths(pending, gone) == "Canceled Intended Submitting submit:exit-1"


@pytest.mark.parametrize(
    "found",
    [
        None,
        truth(STOP, qty=112),
        truth(STOP)._replace(symbol="Y"),
        truth(STOP)._replace(action=Action.BUY),
    ],
)
def test_a_contradiction_halts(held: Desk, found: BrokerOrder | None) -> None:
    """Goal: an accepted order that is gone, or another one under its id, is an operator's matter:
    recorded once, no new risk, no order sent or canceled because of it.
    """
    item = inputs.Truths({STOP: found})
    assert said(take(held, item)) == "Discrepancy Halted"
    assert said(take(held, item)) == ""


# -- what is not ours --


def test_strangers_are_reported_and_left_alone(held: Desk) -> None:
    """Goal: a foreign order is a remark, one of our name ends new risk; none is canceled."""
    foreign = truth(ClientOrderId("web-1"))
    lost = truth(ClientOrderId("a-s-X-20240102T1430-entry-1"))
    assert said(take(held, inputs.Strangers([foreign]))) == "Discrepancy"
    # What was said before this session is not said again.
    assert said(take(held, inputs.Strangers([foreign, lost]))) == "Discrepancy Halted"


def positions(
    desk: Desk, shares: Mapping[str, int] | Mapping[str, int | str], price: int | str = 50
) -> Step:
    found = {
        symbol: BrokerPosition(symbol, Decimal(qty), Decimal(price))
        for symbol, qty in shares.items()
    }
    return take(desk, inputs.Positions(found))


def test_foreign_shares_of_a_fraction_too_are_covered_and_closed_in_whole_ones(held: Desk) -> None:
    """Goal: a broker takes no stop over a fraction, and what it does not take protects nothing.

    Method: 10.5 shares are found; half a share more is bought; everything is closed; at last half a
    share is left, under a stop of ten.
    """
    symbol = "VOO"
    (placed,) = positions(held, {"X": 113, symbol: "10.5"}).commands
    assert isinstance(placed, cmd.Submit)
    stop = placed.request
    assert (stop.type, str(stop.qty)) == (OrderType.STOP, "10")
    held.accept(stop.order_id)
    holding = held.book.holding(EXTERNAL, symbol)
    assert work.uncovered(holding) == 0
    assert not positions(held, {"X": 113, symbol: "10.9"}).commands
    assert work.uncovered(holding) == 0
    asked = positions(held, {"X": 113, symbol: "0.9"}).commands
    assert list(asked) == [cmd.Cancel(stop.order_id)]
    at = held.now
    held.hear(ev.OrderCanceled(at=at, order_id=stop.order_id))
    assert not take(held, inputs.Settle()).commands
    assert work.uncovered(holding) == 0


def test_foreign_shares_without_a_price_to_stop_at_are_told_of(held: Desk) -> None:
    """Goal: worthless shares keep nobody from trading on, and are not passed over in silence.

    Method: shares of a delisted company are found, twice.
    """
    assert said(take(held, inputs.Prices({"ZZZ": Decimal("0.0001")}))) == ""
    found = positions(held, {"X": 113, "ZZZ": 100}, "0.5")
    assert said(found) == "Discrepancy SharesAdopted Discrepancy"
    assert not found.commands
    assert work.uncovered(held.book.holding(EXTERNAL, "ZZZ")) == 100
    assert said(take(held, inputs.Strangers([]))) == ""


@pytest.mark.parametrize(
    ("qty", "mark", "action", "stop"),
    [
        (7, None, "sell", "49.00"),
        (7, "40", "sell", "39.20"),
        (7, "60", "sell", "49.00"),
        (-7, None, "buy", "51.00"),
        (-7, "60", "buy", "61.20"),
    ],
)
def test_foreign_shares_get_an_owner_and_a_stop(
    held: Desk, qty: int, mark: str | None, action: str, stop: str
) -> None:
    """Goal: two per cent beyond entry or market, whichever is further from the market; once.

    Method: long and short shares of a symbol that nobody trades, with and without a last price.
    """
    if mark is not None:
        held.engine.on_minute(held.now, [replace(still(held.now, mark), symbol="Z")])
    step = positions(held, {"X": 113, "Z": qty})
    assert said(step).startswith("Discrepancy SharesAdopted StopSet Intended Submitting submit:")
    (command,) = step.commands
    assert isinstance(command, cmd.Submit)
    request = command.request
    assert f"{request.action} {request.qty} {request.symbol}" == f"{action} 7 Z"
    assert request.stop_price == Decimal(stop)
    assert said(positions(held, {"X": 113, "Z": qty})) == ""


@pytest.mark.parametrize(
    ("shares", "wanted"),
    [
        ({"X": 112}, "SharesGone Halted Intended Submitting replace:stop-1"),
        ({"X": 114}, "SharesAdopted StopSet Intended Submitting Halted submit:"),
        (
            {"X": -113},
            "SharesGone SharesAdopted StopSet Intended Submitting Halted CancelRequested submit:",
        ),
        ({}, "SharesGone Halted CancelRequested cancel:stop-1"),
    ],
)
def test_a_contradicted_position_halts(
    held: Desk, shares: dict[str, int], wanted: str
) -> None:
    """Goal: what is gone needs no stop, which would open the opposite; what is there beyond ours
    gets one; an operator decides how to go on; said once.
    """
    assert said(positions(held, shares)).startswith(f"Discrepancy {wanted}")
    assert said(positions(held, shares)) == ""


# -- the way back --


def test_settling_does_what_is_left(pending: Desk) -> None:
    """Goal: what time has made due is done by a look alone. Method: an entry past its time."""
    assert said(take(pending, inputs.Settle())) == ""
    pending.engine.now = SESSION.opens_at + 4 * 60
    assert said(take(pending, inputs.Settle())) == "CancelRequested cancel:entry-1"
