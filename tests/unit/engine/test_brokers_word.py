"""What the exchange and the broker say of the whole account: halts, buying power, cash.

Method: the desk of test_inputs behind an intake; the risk rules' view and the facts are compared.
"""

from __future__ import annotations

from decimal import Decimal

import pytest
from test_inputs import BUY_AT_11, ENTRY, SESSION, STOP, Desk, kinds
from test_inputs import held as held
from test_inputs import pending as pending

from algo_trader.core import commands as cmd
from algo_trader.core import events as ev
from algo_trader.core import inputs
from algo_trader.core.broker import BrokerPosition
from algo_trader.core.errors import CoreError
from algo_trader.core.types import ClientOrderId, ExitReason
from algo_trader.engine.hands import Step
from algo_trader.engine.intake import Intake

CASH = Decimal(25_000)


def take(desk: Desk, item: inputs.Input) -> Step:
    return Intake(desk.engine).take(item)


def funds(desk: Desk, dollars: str) -> None:
    assert kinds(take(desk, inputs.Funds(Decimal(dollars)))) == []


def power(desk: Desk) -> Decimal:
    return desk.engine.risk_view("X").buying_power


def rule(step: Step) -> str | None:
    (fact,) = [fact for fact in step.facts if isinstance(fact, ev.SignalDecided)]
    return fact.rule


# -- trading halts --


def test_a_halted_symbol_takes_no_entry_until_it_resumes() -> None:
    """Goal: refused by its own name, and not afterwards; other symbols are not touched.

    Method: halt another symbol, this one twice, resume, signal each time.
    """
    desk = Desk()
    desk.strategy.to_signal = lambda: BUY_AT_11
    take(desk, inputs.TradingHalt("Y", True))
    for _ in range(2):
        assert kinds(take(desk, inputs.TradingHalt("X", True))) == []
    (_, step) = desk.pass_minute()
    assert (rule(step), step.commands) == ("TRADING_HALT", [])
    for _ in range(2):
        take(desk, inputs.TradingHalt("X", False))
    (_, step) = desk.pass_minute()
    assert rule(step) is None
    assert len(step.commands) == 1


def test_a_halt_leaves_positions_alone(held: Desk) -> None:
    """Goal: reducing orders never ask: an exit goes its way. Method: halt, close all."""
    take(held, inputs.TradingHalt("X", True))
    step = take(held, inputs.CloseAll(ExitReason.OPERATOR))
    assert step.commands == [cmd.Cancel(STOP)]


# -- shares of somebody else --


def test_a_symbol_with_foreign_shares_takes_no_entry_until_they_are_gone() -> None:
    """Goal: the broker nets them with ours, and neither could be closed; other symbols go on.

    Method: shares that nobody here has bought, a signal, the shares gone, a signal.
    """
    desk = Desk()
    desk.strategy.to_signal = lambda: BUY_AT_11
    desk.pass_minute()
    desk.hear(ev.OrderCanceled(at=desk.now, order_id=ENTRY))
    take(desk, inputs.Positions({"X": BrokerPosition("X", Decimal(-7), Decimal(10))}))
    assert desk.engine.risk_view("X").has_foreign_shares
    assert not desk.engine.risk_view("Y").has_foreign_shares
    take(desk, inputs.Resume())
    (_, step) = desk.pass_minute()
    assert (rule(step), step.commands) == ("FOREIGN_SHARES", [])
    take(desk, inputs.Positions({}))
    take(desk, inputs.Resume())
    (_, step) = desk.pass_minute()
    assert rule(step) is None


# -- buying power --


def test_the_brokers_word_holds_until_told_again() -> None:
    """Goal: what the broker says counts, not what our cash would buy. Method: less, more, less."""
    desk = Desk()
    assert power(desk) == CASH
    for dollars in ("400", "100000", "0"):
        funds(desk, dollars)
        assert power(desk) == Decimal(dollars)
    desk.strategy.to_signal = lambda: BUY_AT_11
    (_, step) = desk.pass_minute()
    assert rule(step) == "QTY_ZERO"


def test_what_we_did_since_is_taken_off(pending: Desk) -> None:
    """Goal: from the broker's last word on our own orders and fills count.

    Method: the entry is told as counted; it is canceled, and another is placed and filled.
    """
    funds(pending, "1000")
    assert power(pending) == 1000
    pending.hear(ev.OrderCanceled(at=pending.now, order_id=ENTRY))
    assert power(pending) == 1000 + 113 * 11
    pending.pass_minute()
    second = ClientOrderId("a-s-X-20240103T1431-entry-1")
    qty = pending.book.order(second).request.qty
    assert power(pending) == 1000 + 113 * 11 - qty * 11
    pending.accept(second)
    pending.fill(second, int(qty))
    assert power(pending) == 1000 + 113 * 11 - qty * 11


def test_a_word_from_before_our_order_is_passed_over() -> None:
    """Goal: while an entry has no id at the broker nobody knows whether it was counted.

    Method: funds told while it is on its way; the last word before holds, less the order.
    """
    desk = Desk()
    funds(desk, "2000")
    desk.strategy.to_signal = lambda: BUY_AT_11
    desk.pass_minute()
    cost = desk.book.order(ENTRY).request.qty * 11
    funds(desk, "2000")
    assert power(desk) == 2000 - cost
    desk.accept(ENTRY)
    funds(desk, "700")
    assert power(desk) == 700


def test_a_late_entry_without_an_id_is_waited_for(pending: Desk) -> None:
    """Goal: an unanswered entry of another symbol holds the word back as well. Method: the view
    of any symbol stays as it was.
    """
    funds(pending, "900")
    pending.hear(ev.OrderCanceled(at=pending.now, order_id=ENTRY))
    before = power(pending)
    pending.pass_minute()
    funds(pending, "5")
    assert power(pending) < before
    assert power(pending) != 5


def test_an_adjusted_cash_is_not_counted_twice() -> None:
    """Goal: the broker's buying power has a dividend in it already when its cash is taken over.

    Method: funds with 100 dollars more than ours, then the balance that explains them.
    """
    desk = Desk()
    funds(desk, "25100")
    take(desk, inputs.Balance(CASH + 100))
    assert desk.book.cash == CASH + 100
    assert power(desk) == CASH + 100


# -- cash --


@pytest.mark.parametrize("amount", ["12.34", "-0.01", "-25000"])
def test_the_brokers_cash_is_taken_over_once(amount: str) -> None:
    """Goal: a fact says by how much, the book follows, and the same word again is nothing.

    Method: a balance, told twice.
    """
    desk = Desk()
    theirs = CASH + Decimal(amount)
    step = take(desk, inputs.Balance(theirs))
    (fact,) = step.facts
    assert fact == ev.CashAdjusted(at=desk.engine.now, amount=Decimal(amount), cash=theirs)
    assert not step.commands
    assert desk.book.cash == desk.engine.equity() == theirs
    assert kinds(take(desk, inputs.Balance(theirs))) == []


def test_equal_cash_is_no_news() -> None:
    """Goal: the same dollars in other digits are the same. Method: trailing zeros."""
    assert kinds(take(Desk(), inputs.Balance(Decimal("25000.00")))) == []


def test_a_dividend_is_no_trade(held: Desk) -> None:
    """Goal: the day's result and its limit are of our trades. Method: cash comes and goes."""
    held.engine.on_minute(SESSION.opens_at + 60, [])
    before = held.engine.day_pnl()
    for amount in (Decimal(5000), Decimal(-9000)):
        take(held, inputs.Balance(held.book.cash + amount))
        assert held.engine.day_pnl() == before
    assert not held.book.day.tripped


def test_a_fact_that_does_not_add_up_is_refused() -> None:
    """Goal: a ledger of another history is noticed. Method: an amount that is not the difference.
    """
    desk = Desk()
    with pytest.raises(CoreError, match="are not"):
        desk.book.apply(ev.CashAdjusted(at=1, amount=Decimal(1), cash=CASH))
    assert desk.book.cash == CASH
