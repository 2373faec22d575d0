"""The codec: whatever a fact holds comes back from its payload, and nothing else gets in.

Method: facts of every kind are drawn field by field from their annotations, so that a kind or a
field that is added later is drawn too, or fails here.
"""

from __future__ import annotations

import json
from dataclasses import fields
from datetime import date
from decimal import Decimal
from enum import Enum
from types import UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

import pytest
from hypothesis import given
from hypothesis import strategies as st

from algo_trader.core import events as ev
from algo_trader.core.types import ClientOrderId, text
from algo_trader.ledger.codec import KINDS, decode, encode
from algo_trader.ledger.errors import LedgerCorrupt

BASES = {ev.Fact, ev.OrderFact, ev.HoldingFact}
"""What other facts are made of; none of them is recorded itself."""

numbers = st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**30), max_value=10**30)
words = st.text(st.characters(codec=None), max_size=20)
"""Any text, halves of surrogate pairs and NUL included: a broker may say anything."""


def values(hint: Any) -> st.SearchStrategy[Any]:
    """Values of a field with this annotation."""
    if get_origin(hint) in (Union, UnionType):
        return st.one_of(
            *(st.none() if part is type(None) else values(part) for part in get_args(hint))
        )
    base = getattr(hint, "__supertype__", hint)
    if base is str:
        return words
    if base is int:
        return st.integers(-(2**40), 2**40)
    if base is Decimal:
        return numbers
    if base is date:
        return st.dates()
    if isinstance(base, type) and issubclass(base, Enum):
        return st.sampled_from(list(base))
    hints = get_type_hints(base)
    return st.builds(base, **{name: values(hint) for name, hint in hints.items()})


def facts_of(cls: type[ev.Fact]) -> st.SearchStrategy[ev.Fact]:
    """Facts of one kind, valid ones."""
    hints = get_type_hints(cls)
    drawn = {field.name: values(hints[field.name]) for field in fields(cls)}
    if cls is ev.OrderFilled:
        shares = st.decimals("0.001", 10**6, places=3)
        drawn |= {"qty": shares, "price": shares, "cum_qty": shares.map(lambda qty: qty + 10**6)}
    return st.builds(cls, **drawn)


def all_facts(cls: type[ev.Fact] = ev.Fact) -> set[type[ev.Fact]]:
    """Every class of facts there is."""
    return {cls}.union(*(all_facts(sub) for sub in cls.__subclasses__()))


def own(found: set[type[ev.Fact]]) -> set[type[ev.Fact]]:
    """Without the classes that slots or a test made besides."""
    return {cls for cls in found if getattr(ev, cls.__name__, None) is cls}


def test_every_fact_has_a_codec() -> None:
    """Goal: a new Fact cannot be forgotten. Method: the subclasses against the table."""
    assert own(all_facts()) - BASES == set(KINDS.values())


@pytest.mark.parametrize("cls", KINDS.values(), ids=lambda cls: cls.__name__)
@given(data=st.data())
def test_fact_comes_back_as_it_was(cls: type[ev.Fact], data: st.DataObject) -> None:
    """Goal: encode then decode is the identity, to the type of every value."""
    fact = data.draw(facts_of(cls))
    payload = encode(fact)
    again = decode(cls.__name__, payload)
    assert again == fact
    for field in fields(cls):
        assert type(getattr(again, field.name)) is type(getattr(fact, field.name))
    assert encode(again) == payload


@pytest.mark.parametrize("cls", KINDS.values(), ids=lambda cls: cls.__name__)
@given(data=st.data())
def test_payload_is_canonical(cls: type[ev.Fact], data: st.DataObject) -> None:
    """Goal: one fact, one text: sorted keys, no spaces, no bare fraction."""
    payload = encode(data.draw(facts_of(cls)))
    said = json.loads(payload, parse_float=lambda literal: pytest.fail(f"float {literal}"))
    assert payload == json.dumps(said, sort_keys=True, separators=(",", ":"))


@given(number=numbers)
def test_number_keeps_every_digit(number: Decimal) -> None:
    """Goal: no rounding anywhere, and one text per value."""
    fact = ev.AccountPinned(at=0, account="a", cash=number)
    again = decode("AccountPinned", encode(fact))
    assert isinstance(again, ev.AccountPinned)
    assert again.cash == number
    assert text(again.cash) == text(number)


def test_equity_that_is_not_a_number_is_kept() -> None:
    """Goal: a session may open before a close is known; its NaN comes back as one."""
    fact = ev.SessionOpened(at=0, session=date(2024, 1, 2), equity=Decimal("NaN"))
    again = decode("SessionOpened", encode(fact))
    assert isinstance(again, ev.SessionOpened)
    assert again.equity.is_nan()


def test_field_added_later_takes_its_default() -> None:
    """Goal: an old payload without a field that has a default is read."""
    old = '{"at":1,"cum_qty":"2","order_id":"o","price":"3","qty":"2"}'
    fact = decode("OrderFilled", old)
    assert isinstance(fact, ev.OrderFilled)
    assert (fact.commission, fact.execution_id) == (Decimal(0), "")


GOOD = encode(
    ev.OrderFilled(
        at=1,
        order_id=ClientOrderId("o"),
        qty=Decimal(2),
        price=Decimal("10.25"),
        cum_qty=Decimal(2),
    )
)


@pytest.mark.parametrize(
    ("kind", "payload"),
    [
        ("Unheard", "{}"),
        ("OrderFilled", ""),
        ("OrderFilled", "[]"),
        ("OrderFilled", GOOD.replace('"10.25"', "10.25")),
        ("OrderFilled", GOOD.replace('"10.25"', "10")),
        ("OrderFilled", GOOD.replace('"10.25"', '"10.250"')),
        ("OrderFilled", GOOD.replace('"10.25"', '"1E+1"')),
        ("OrderFilled", GOOD.replace('"10.25"', '"ten"')),
        ("OrderFilled", GOOD.replace('"10.25"', "null")),
        ("OrderFilled", GOOD.replace('"at":1', '"at":"1"')),
        ("OrderFilled", GOOD.replace('"at":1', '"at":true')),
        ("OrderFilled", GOOD.replace('"at":1,', "")),
        ("OrderFilled", GOOD.replace('"at":1', '"at":1,"extra":1')),
        ("OrderFilled", GOOD.replace('"qty":"2"', '"qty":"3"')),
        ("SessionOpened", '{"at":1,"equity":"1","session":"yesterday"}'),
        ("ExitDecided", '{"at":1,"reason":"mood","strategy":"s","symbol":"A"}'),
    ],
)
def test_payload_of_another_hand_is_refused(kind: str, payload: str) -> None:
    """Goal: what encode did not write is named as corrupt, never guessed at."""
    with pytest.raises(LedgerCorrupt):
        decode(kind, payload)


def test_unlisted_class_is_refused() -> None:
    """Goal: a fact without a codec cannot be stored by accident."""
    with pytest.raises(TypeError, match="KINDS"):
        encode(ev.Fact(at=1))
