"""Facts in words: every kind has its event, with symbol and decision, and every trade is told once.

Method: a real run, step by step as a daemon records it, and by hand what such a run does not bring.
"""

from __future__ import annotations

from collections import Counter
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from recorded import OPENS_AT, Script, record

from algo_trader.core import events as ev
from algo_trader.core.book import Book
from algo_trader.core.types import BrokerOrderId, ClientOrderId, DecisionId, ExitReason, Role, Side
from algo_trader.ledger.codec import KINDS
from algo_trader.runtime.logs import EVENT_LEVELS, LEVELS
from algo_trader.runtime.narration import Narrator, describe, describe_trade

ORDER = Script()
KEY = ORDER.order_id


class Events:
    """What was told."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, dict[str, Any]]] = []

    def __call__(self, event: str, /, **fields: object) -> None:
        """Take an event."""
        self.seen.append((event, fields))


def opened() -> Book:
    """A book with an account, a session and one intended order."""
    book = Book()
    book.apply(ev.AccountPinned(at=OPENS_AT, account="acct", cash=Decimal(10_000)))
    day = date(2024, 1, 2)
    book.apply(ev.SessionOpened(at=OPENS_AT, session=day, equity=Decimal(10_000)))
    book.apply(ORDER.intended())
    return book


FACTS: list[tuple[ev.Fact, str, dict[str, Any]]] = [
    (ev.OrderAccepted(at=1, order_id=KEY, broker_id=BrokerOrderId("b")), "order_accepted",
     {"broker_id": "b"}),
    (ev.OrderRefused(at=1, order_id=KEY, code=403, message="no"), "order_refused",
     {"code": 403, "reason": "no"}),
    (ev.OutcomeUnknown(at=1, order_id=KEY, detail="silence"), "outcome_unknown",
     {"reason": "silence"}),
    (ev.CancelRequested(at=1, order_id=KEY, reason="EXPIRED"), "cancel_sent",
     {"reason": "EXPIRED"}),
    (ev.CancelRefused(at=1, order_id=KEY, code=422, message="no"), "cancel_refused",
     {"code": 422, "reason": "no"}),
    (ev.CancelUnanswered(at=1, order_id=KEY, detail="silence"), "cancel_unanswered",
     {"reason": "silence"}),
    (ev.OrderCanceled(at=1, order_id=KEY), "canceled", {}),
    (ev.OrderExpired(at=1, order_id=KEY), "expired", {}),
    (ev.OrderReplaced(at=1, order_id=KEY, replaced_by=ClientOrderId("x")), "replaced",
     {"replaced_by": "x"}),
    (ev.OrderAbandoned(at=1, order_id=KEY, reason="absent"), "abandoned", {"reason": "absent"}),
    (ORDER.filled(3, 3), "filled",
     {"qty": Decimal(3), "price": Decimal(100), "cum_qty": Decimal(3)}),
]  # fmt: skip


@pytest.mark.parametrize(("fact", "name", "own"), FACTS, ids=[name for _, name, _ in FACTS])
def test_facts_of_an_order(fact: ev.OrderFact, name: str, own: dict[str, Any]) -> None:
    """Goal: the order is looked up: symbol, decision and role stand in each of its events."""
    told = describe(opened(), fact)
    assert told == (
        name,
        {"at": fact.at, "symbol": "AA", "decision": ORDER.decision, "order_id": KEY,
         "role": "entry", **own},
    )  # fmt: skip


def test_an_order_is_told_when_it_leaves() -> None:
    """Goal: its terms, once; the intent before it is no event of its own."""
    book = opened()
    assert describe(book, ORDER.intended()) is None
    assert describe(book, ORDER.submitting()) == (
        "order_sent",
        {
            "at": OPENS_AT,
            "symbol": "AA",
            "decision": ORDER.decision,
            "order_id": KEY,
            "role": "entry",
            "action": "buy",
            "type": "stop",
            "qty": Decimal(10),
            "price": Decimal(100),
            "stop": Decimal("99.5"),
        },
    )


def test_an_order_long_forgotten() -> None:
    """Goal: news of it is told by its id alone."""
    fact = ev.OrderCanceled(at=1, order_id=ClientOrderId("old"))
    assert describe(opened(), fact) == ("canceled", {"at": 1, "order_id": "old"})


def test_signals() -> None:
    """Goal: taken or refused, with the rule and the limit that bound it."""
    terms: dict[str, Any] = {
        "at": 1,
        "decision": DecisionId("d"),
        "strategy": "s",
        "symbol": "AA",
        "side": Side.LONG,
        "entry": Decimal(100),
        "stop": Decimal(99),
    }
    sizing = ev.Sizing(Decimal(9), Decimal(8), Decimal(7), Decimal(7), "by_cash")
    taken = ev.SignalDecided(**terms, expires_at=60, rule=None, sizing=sizing)
    more = {"qty": Decimal(7), "limit": "by_cash"}
    assert describe(Book(), taken) == ("signal_taken", {**terms, **more})
    refused = ev.SignalDecided(**terms, expires_at=60, rule="QTY_ZERO", limit="by_cash")
    more = {"rule": "QTY_ZERO", "limit": "by_cash"}
    assert describe(Book(), refused) == ("signal_refused", {**terms, **more})


def test_facts_of_a_holding_and_of_the_day() -> None:
    """Goal: the decision comes from the holding; what belongs to no order says what it is about."""
    book = opened()
    book.apply(ORDER.submitting())
    book.apply(ORDER.filled(10, 10))
    held = {"symbol": "AA", "decision": ORDER.decision, "strategy": "s"}
    some: list[tuple[ev.Fact, str, dict[str, Any]]] = [
        (ev.StopSet(at=1, strategy="s", symbol="AA", price=Decimal(99)), "stop_set",
         {**held, "price": Decimal(99)}),
        (ev.TargetSet(at=1, strategy="s", symbol="AA", price=Decimal(120)), "target_set",
         {**held, "price": Decimal(120)}),
        (ev.StopDeclined(at=1, strategy="s", symbol="AA"), "stop_declined", held),
        (ev.StopEdited(at=1, order_id=KEY, broker_id=BrokerOrderId("b-2"), qty=Decimal(7),
                       price=Decimal(98)),
         "stop_edited",
         {"symbol": "AA", "decision": ORDER.decision, "order_id": KEY, "role": Role.ENTRY,
          "qty": Decimal(7), "price": Decimal(98), "broker_id": "b-2"}),
        (ev.ExitDecided(at=1, strategy="s", symbol="AA", reason=ExitReason.MAX_RUN),
         "exit_decided", {**held, "reason": "max_run"}),
        (ev.SharesGone(at=1, symbol="ZZ", side=Side.LONG, qty=Decimal(5), price=Decimal(9)),
         "shares_gone",
         {"symbol": "ZZ", "side": Side.LONG, "qty": Decimal(5), "price": Decimal(9)}),
        (ev.SharesAdopted(at=1, symbol="ZZ", side=Side.LONG, qty=Decimal(5), price=Decimal(9)),
         "shares_adopted", {"symbol": "ZZ", "side": "long", "qty": Decimal(5),
                            "price": Decimal(9)}),
        (ev.LimitTripped(at=1, rule="DAILY_LOSS"), "limit_tripped", {"rule": "DAILY_LOSS"}),
        (ev.Halted(at=1, reason="why"), "halted", {"reason": "why"}),
        (ev.Resumed(at=1), "resumed", {}),
        (ev.Discrepancy(at=1, order_id=KEY, detail="odd"), "discrepancy",
         {"symbol": "AA", "decision": ORDER.decision, "order_id": KEY, "reason": "odd"}),
        (ev.Discrepancy(at=1, order_id=None, detail="odd"), "discrepancy", {"reason": "odd"}),
        (ev.SessionOpened(at=1, session=date(2024, 1, 3), equity=Decimal(1)), "session_opened",
         {"session": date(2024, 1, 3), "equity": Decimal(1)}),
        (ev.AccountPinned(at=1, account="a", cash=Decimal(1)), "account_pinned",
         {"account": "a", "cash": Decimal(1)}),
        (ev.CashAdjusted(at=1, amount=Decimal(2), cash=Decimal(9)), "cash_adjusted",
         {"amount": Decimal(2), "cash": Decimal(9)}),
        (ev.BarCorrected(at=1, symbol="AA", start=60, open=Decimal(1), high=Decimal(3),
                         low=Decimal(1), close=Decimal(2), volume=Decimal(5)), "bar_corrected",
         {"symbol": "AA", "bar_at": 60, "close": Decimal(2)}),
        (ev.SettingChanged(at=1, key="risk.x", value=None), "setting_changed",
         {"key": "risk.x", "value": None}),
    ]  # fmt: skip
    for fact, name, fields in some:
        assert describe(book, fact) == (name, {"at": 1, **fields})
    told = {type(fact) for fact, *_ in (*some, *FACTS)}
    silent = {ev.OrderIntended}
    elsewhere = {ev.SignalDecided, ev.OrderSubmitting}
    assert told | silent | elsewhere == set(KINDS.values())


def test_a_whole_run_is_told() -> None:
    """Goal: each fact but an intent is one event; each trade is told once, after its fill, with its
    P&L; one decision leads from the signal to it.
    """
    run, book, events = record(), Book(), Events()
    narrate = Narrator(events)
    for step in run.steps:
        for fact in step:
            book.apply(fact)
        narrate(book, step)
    closed = [fields for name, fields in events.seen if name == "trade_closed"]
    assert closed == [describe_trade(trade)[1] for trade in run.trades]
    kinds = Counter(type(fact).__name__ for fact in run.facts)
    assert len(events.seen) == len(run.facts) - kinds["OrderIntended"] + len(run.trades)
    for trade in run.trades:
        chain = [
            name
            for name, fields in events.seen
            if fields.get("decision") == trade.decision and fields["symbol"] == trade.symbol
        ]
        assert chain[:2] == ["signal_taken", "order_sent"]
        assert chain.count("trade_closed") == 1
        assert chain.index("filled") < chain.index("trade_closed")


def test_trades_of_before_are_not_told_again() -> None:
    """Goal: a process that has come back tells what is new. Method: a book with trades already."""
    run, book, events = record(), Book(), Events()
    count = 400
    for step in run.steps[:count]:
        for fact in step:
            book.apply(fact)
    known = len(book.day.trades)
    assert known
    narrate = Narrator(events)
    for step in run.steps[count : count + 60]:
        for fact in step:
            book.apply(fact)
        narrate(book, step)
    told = [fields["at"] for name, fields in events.seen if name == "trade_closed"]
    assert told == [trade.exit_at for trade in book.day.trades[known:]]


def test_a_fill_that_closes_and_opens_tells_one_trade() -> None:
    """Goal: shares beyond what was held go to their own owner, and are no second trade."""
    book, events = opened(), Events()
    stop = Script("acct-s-AA-1-stop-1", 10)
    facts = [
        ORDER.submitting(),
        ORDER.filled(10, 10),
        stop.intended(Role.STOP),
        stop.submitting(),
        stop.filled(12, 12, "99"),
    ]
    for fact in facts:
        book.apply(fact)
    Narrator(events)(book, facts)
    closed = [fields for name, fields in events.seen if name == "trade_closed"]
    assert [fields["pnl"] for fields in closed] == [Decimal(-10)]


def test_levels_are_levels() -> None:
    """Goal: what an operator must see stands out."""
    assert set(EVENT_LEVELS.values()) <= set(LEVELS)
    assert EVENT_LEVELS["halted"] == EVENT_LEVELS["uncovered"] == "critical"
    for name in ("order_refused", "outcome_unknown", "discrepancy", "signal_refused"):
        assert EVENT_LEVELS[name] == "warning"
