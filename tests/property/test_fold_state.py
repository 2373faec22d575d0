"""What a fold has come to, written and read back, goes on as if nothing had happened.

Method: random legal histories (a street's of every kind of fill, an engine's, and one by hand with
what neither says) are folded twice: once in one piece, once with the state written and read back
at every single fact. Texts, rows and books are compared after each.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from recorded import OPENS_AT, Script, record
from test_book import fold, picture, seeds, street

from algo_trader.core import events as ev
from algo_trader.core.book import Book
from algo_trader.core.day import Day
from algo_trader.core.errors import CoreError
from algo_trader.core.holding import Holding
from algo_trader.core.orders import Order
from algo_trader.core.pnl import Trade
from algo_trader.core.types import BrokerOrderId, ClientOrderId, ExitReason, Role, Side, text
from algo_trader.ledger import fold_state as state
from algo_trader.ledger.errors import FactRefused
from algo_trader.ledger.fold_state import dump, load
from algo_trader.ledger.projection import Line, Projector

AT = "2024-01-02T14:30:00.000000Z"


def folded(facts: Sequence[ev.Fact]) -> Projector:
    """All of them, in one piece."""
    projector = Projector()
    for fact in facts:
        projector.fold(fact, AT)
    projector.take()
    return projector


def storable(facts: Sequence[ev.Fact]) -> list[ev.Fact]:
    """Those that a ledger takes: it refuses an intent or a fill that it has already."""
    taken: list[ev.Fact] = []
    projector = Projector()
    for fact in facts:
        try:
            projector.fold(fact, AT)
        except FactRefused:
            projector = folded(taken)
        else:
            taken.append(fact)
    return taken


def goes_on(facts: Sequence[ev.Fact]) -> None:
    """A fold that is written and read at every fact is the fold in one piece, row by row."""
    whole, broken = Projector(), Projector()
    for fact in facts:
        whole.fold(fact, AT)
        broken.fold(fact, AT)
        assert whole.take() == broken.take()
        said = dump(whole)
        broken = load(said)
        assert dump(broken) == said
        assert plain(broken) == plain(whole)
        assert_one_object_each(broken)


def plain(projector: Projector) -> Any:
    """All it knows, as values that compare; what is not equal to itself as text."""
    lines = {
        key: {name: getattr(line, name) for name in Line.__slots__ if name != "order"}
        for key, line in projector.lines.items()
    }
    orders = (list(projector.book.orders), list(projector.book.active), list(projector.lines))
    rest = (projector.seq, projector.session, projector.entries, projector.overrides)
    return canonical(picture(projector.book)), lines, orders, rest


def canonical(thing: Any) -> Any:
    """With numbers as text: equal ones may have other zeros at their end."""
    if isinstance(thing, Decimal):
        return text(thing)
    if isinstance(thing, dict):
        return {key: canonical(value) for key, value in thing.items()}
    if isinstance(thing, list | tuple):
        return [canonical(value) for value in thing]
    return thing


def assert_one_object_each(projector: Projector) -> None:
    """An order is the same object wherever it hangs, and so is a holding."""
    book = projector.book
    for holding in book.holdings.values():
        for order in _orders_of(holding):
            assert book.orders[order.order_id] is order
    assert all(book.holdings[key] is holding for key, holding in book.active.items())
    assert all(line.order is book.orders[key] for key, line in projector.lines.items())


def _orders_of(holding: Holding) -> Iterator[Order]:
    if holding.entry is not None:
        yield holding.entry
    for name in state.HELD_ORDERS:
        yield from getattr(holding, name)


def by_hand() -> list[ev.Fact]:
    """What streets and engines do not say: words of any kind, a pair, shares of nobody, a halt."""
    nasty = "half a pair \ud800 and\0more"
    late, stop, target = Script(), Script("acct-s-AA-1-stop-1"), Script("acct-s-AA-1-target-1")
    paired = replace(stop.intended(Role.STOP), pair=target.order_id)
    profit = replace(target.intended(Role.TARGET), pair=stop.order_id)
    return [
        ev.AccountPinned(at=OPENS_AT, account="acct", cash=Decimal("10000.5000")),
        ev.SessionOpened(at=OPENS_AT, session=date(2024, 1, 2), equity=Decimal("NaN")),
        ev.SettingChanged(at=OPENS_AT, key="risk.x", value="1"),
        ev.SettingChanged(at=OPENS_AT, key="risk.y", value="2"),
        ev.SettingChanged(at=OPENS_AT, key="risk.x", value=None),
        late.intended(),
        late.submitting(),
        ev.OutcomeUnknown(at=OPENS_AT, order_id=late.order_id, detail=nasty),
        ev.OrderAbandoned(at=OPENS_AT, order_id=late.order_id, reason="absent"),
        ev.OrderAccepted(
            at=OPENS_AT + 1, order_id=late.order_id, broker_id=BrokerOrderId("b\ud800")
        ),
        late.filled(4, 4, "100.10"),
        ev.StopSet(at=OPENS_AT + 1, strategy="s", symbol="AA", price=Decimal("99.50")),
        ev.TargetSet(at=OPENS_AT + 1, strategy="s", symbol="AA", price=Decimal("1E+3")),
        late.filled(6, 10, "100.20"),
        profit,
        paired,
        target.submitting(),
        stop.submitting(),
        ev.CancelRequested(at=OPENS_AT + 2, order_id=stop.order_id, reason="EXIT"),
        ev.CancelRefused(at=OPENS_AT + 2, order_id=stop.order_id, code=1, message=nasty),
        target.filled(3, 3, "1000"),
        ev.SharesAdopted(
            at=OPENS_AT + 3, symbol="AA", side=Side.SHORT, qty=Decimal(5), price=Decimal(7)
        ),
        ev.SharesGone(
            at=OPENS_AT + 3, symbol="AA", side=Side.SHORT, qty=Decimal(2), price=Decimal(9)
        ),
        ev.ExitDecided(at=OPENS_AT + 3, strategy="s", symbol="AA", reason=ExitReason.OPERATOR),
        ev.LimitTripped(at=OPENS_AT + 3, rule="DAILY_LOSS"),
        ev.Halted(at=OPENS_AT + 3, reason=nasty),
        ev.Discrepancy(at=OPENS_AT + 3, order_id=None, detail=nasty),
        ev.Discrepancy(at=OPENS_AT + 3, order_id=ClientOrderId("no-such-1"), detail="b"),
        ev.SessionOpened(at=OPENS_AT + 86_400, session=date(2024, 1, 3), equity=Decimal(1)),
        stop.filled(1, 1, "98"),
        ev.Resumed(at=OPENS_AT + 86_400),
        ev.SessionOpened(at=OPENS_AT + 172_800, session=date(2024, 1, 4), equity=Decimal(1)),
    ]


@settings(deadline=None, max_examples=60)
@given(seed=seeds, is_wild=st.booleans())
def test_a_streets_fold_goes_on(seed: int, is_wild: bool) -> None:
    """Goal: late, crossed, partial and stray fills, whatever the order's age."""
    facts = storable(street(seed, is_wild=is_wild).facts)
    assert facts
    goes_on(facts)


@pytest.mark.parametrize("seed", [1, 2])
def test_an_engines_fold_goes_on(seed: int) -> None:
    """Goal: over sessions, with trades, moved stops and everything an engine records."""
    goes_on(record(seed, days=3, minutes=20).facts)


def test_what_is_written_by_hand_goes_on() -> None:
    """Goal: words that are no Unicode, numbers with their zeros, pairs, halts, settings."""
    goes_on(by_hand())


@settings(deadline=None, max_examples=40)
@given(seed=seeds)
def test_every_cut_leads_to_the_same_book(seed: int) -> None:
    """Goal: fold(state at k, facts after k) == fold(all) for every k. Method: literally so."""
    facts = storable(street(seed, actions=15, is_wild=True).facts)
    whole = folded(facts)
    wanted, rows = dump(whole), picture(fold(facts))
    for k in range(len(facts) + 1):
        resumed = load(dump(folded(facts[:k])))
        for fact in facts[k:]:
            resumed.fold(fact, AT)
        resumed.take()
        assert dump(resumed) == wanted
        assert picture(resumed.book) == rows


def test_the_tables_name_every_attribute() -> None:
    """Goal: an attribute added to a class cannot be forgotten. Method: classes against tables."""
    assert set(Order.__slots__) == state.ORDER.keys()
    assert set(Holding.__slots__) == {*state.HOLDING, *state.HELD_ORDERS, "entry"}
    assert {*vars(Book())} == {*state.BOOK, *state.BOOK_PARTS, "_fold"}
    assert set(Day.__slots__) == {*state.DAY, "trades"}
    assert set(ev.OrderRequest._fields) == state.REQUEST.keys()
    assert set(Trade._fields) == state.TRADE.keys()
    assert set(Line.__slots__) == {*state.LINE, "order"}
    waiting = {"_events", "_new", "_changed", "_trades", "_settings"}  # Handed over by take.
    assert {*vars(Projector())} == {*state.PROJECTOR, "book", "lines", "entries", *waiting}


def test_the_text_is_plain_ascii_without_floats() -> None:
    """Goal: any tool can show it, and no number ever passes through a float."""
    said = dump(folded(by_hand()))
    assert said.isascii()
    assert said.startswith("{")
    assert said.endswith("}")
    json.loads(said, parse_float=lambda literal: pytest.fail(f"float {literal}"))


def test_equal_folds_have_one_text() -> None:
    """Goal: a snapshot by whoever recorded the facts is that of whoever reads them back. Method:
    the same fact with other zeros at the end of its numbers.
    """
    cash = [Decimal("100"), Decimal("100.00"), Decimal("1E+2")]
    pinned = [ev.AccountPinned(at=OPENS_AT, account="a", cash=amount) for amount in cash]
    assert len({dump(folded([fact])) for fact in pinned}) == 1


@pytest.mark.parametrize("said", ["", "[]", "{}", '{"seq":1}', "null"])
def test_another_text_is_an_error(said: str) -> None:
    """Goal: what dump did not write is none of the errors that nobody expects."""
    with pytest.raises((ValueError, TypeError, KeyError, AttributeError, ArithmeticError)):
        load(said)


def test_by_hand_is_legal() -> None:
    """Goal: the history above says what it is meant to. Method: look at what it comes to."""
    book = folded(by_hand()[:-4]).book
    assert book.halted is not None
    assert book.day.tripped == {"DAILY_LOSS"}
    assert book.targets == 1
    assert book.positions == 2
    with pytest.raises(CoreError):
        book.apply(ev.AccountPinned(at=OPENS_AT, account="other", cash=Decimal(1)))
