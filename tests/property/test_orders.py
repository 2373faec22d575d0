"""The order state machine: nine states, one table, nothing half done.

The table below is written from the plan's list of transitions and from what brokers do beyond it
(a fill before its acknowledgement or after a cancel, a late order); the program's own table is not
looked at. `.` is illegal, `=` an echo, otherwise the state that follows.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from algo_trader.core.errors import CoreError, IllegalTransition
from algo_trader.core.events import (
    CancelRefused,
    CancelRequested,
    CancelUnanswered,
    OrderAbandoned,
    OrderAccepted,
    OrderCanceled,
    OrderExpired,
    OrderFact,
    OrderFilled,
    OrderIntended,
    OrderRefused,
    OrderReplaced,
    OrderRequest,
    OrderSubmitting,
    OutcomeUnknown,
)
from algo_trader.core.orders import (
    LIVE,
    TRANSITIONS,
    Order,
    OrderState,
    advance,
    is_echo,
    uncounted,
)
from algo_trader.core.types import (
    Action,
    BrokerOrderId,
    ClientOrderId,
    DecisionId,
    OrderType,
    Role,
    Side,
    TimeInForce,
)

ID = ClientOrderId("a-s-X-1-entry-1")
QTY = Decimal(10)
NINE = {
    "PENDING_SUBMIT",
    "SUBMITTED",
    "ACCEPTED",
    "PARTIALLY_FILLED",
    "FILLED",
    "CANCELED",
    "EXPIRED",
    "REJECTED",
    "SUBMIT_FAILED",
}

EXPECTED = """
from             submitting accepted refused unknown abandoned ask_cancel no_cancel lost_cancel part last canceled expired replaced
PENDING_SUBMIT   SUB        .        .       .       FAIL      .          .         .           .    .    .        .       .
SUBMITTED        SUB        ACC      REJ     SUB     FAIL      SUB        SUB       SUB         PART FILL CANC     EXP     CANC
ACCEPTED         .          =        REJ     =       .         ACC        ACC       ACC         PART FILL CANC     EXP     CANC
PARTIALLY_FILLED .          PART     .       =       .         PART       PART      PART        PART FILL CANC     EXP     CANC
FILLED           .          FILL     .       =       .         .          FILL      FILL        FILL FILL .        .       .
CANCELED         .          CANC     .       =       .         .          CANC      CANC        CANC FILL =        .       .
EXPIRED          .          EXP      .       =       .         .          EXP       EXP         EXP  FILL .        =       .
REJECTED         .          REJ      =       =       .         .          REJ       REJ         PART FILL .        .       .
SUBMIT_FAILED    .          ACC      .       =       .         .          FAIL      FAIL        PART FILL CANC     EXP     CANC
"""  # noqa: E501 - a table reads better whole

SHORT_NAMES = {
    "SUB": "SUBMITTED",
    "ACC": "ACCEPTED",
    "PART": "PARTIALLY_FILLED",
    "FILL": "FILLED",
    "CANC": "CANCELED",
    "EXP": "EXPIRED",
    "REJ": "REJECTED",
    "FAIL": "SUBMIT_FAILED",
}


def read_table() -> dict[tuple[str, str], str]:
    """The legal and echo cells of EXPECTED by (state, kind of fact)."""
    head, *rows = [line.split() for line in EXPECTED.strip().splitlines()]
    cells = {}
    for state, *row in rows:
        for kind, cell in zip(head[1:], row, strict=True):
            if cell != ".":
                cells[state, kind] = SHORT_NAMES.get(cell, cell)
    return cells


TABLE = read_table()
KINDS = EXPECTED.split()[1:14]


def filled(qty: int, cum: int, price: str = "3.07") -> OrderFilled:
    return OrderFilled(
        at=1, order_id=ID, qty=Decimal(qty), price=Decimal(price), cum_qty=Decimal(cum)
    )


def accepted(broker_id: str = "B-1") -> OrderAccepted:
    return OrderAccepted(at=1, order_id=ID, broker_id=BrokerOrderId(broker_id))


MAKE: dict[str, Callable[[], OrderFact]] = {
    "submitting": lambda: OrderSubmitting(at=1, order_id=ID),
    "accepted": accepted,
    "refused": lambda: OrderRefused(at=1, order_id=ID, code=1, message="no"),
    "unknown": lambda: OutcomeUnknown(at=1, order_id=ID, detail="timeout"),
    "abandoned": lambda: OrderAbandoned(at=1, order_id=ID, reason="absent"),
    "ask_cancel": lambda: CancelRequested(at=1, order_id=ID, reason="EXPIRED"),
    "no_cancel": lambda: CancelRefused(at=1, order_id=ID, code=2, message="too late"),
    "lost_cancel": lambda: CancelUnanswered(at=1, order_id=ID, detail="timeout"),
    "canceled": lambda: OrderCanceled(at=1, order_id=ID),
    "expired": lambda: OrderExpired(at=1, order_id=ID),
    "replaced": lambda: OrderReplaced(at=1, order_id=ID, replaced_by=ClientOrderId("next")),
}

ROADS: dict[str, list[str]] = {
    "PENDING_SUBMIT": [],
    "SUBMITTED": ["submitting"],
    "ACCEPTED": ["submitting", "accepted"],
    "PARTIALLY_FILLED": ["submitting", "part"],
    "FILLED": ["submitting", "last"],
    "CANCELED": ["submitting", "canceled"],
    "EXPIRED": ["submitting", "expired"],
    "REJECTED": ["submitting", "refused"],
    "SUBMIT_FAILED": ["submitting", "abandoned"],
}
"""A way into each state; into the filled ones without an acknowledgement, which may yet come."""


def new_order(qty: Decimal = QTY) -> Order:
    request = OrderRequest(
        ID, "X", Action.BUY, OrderType.STOP, TimeInForce.DAY, qty, None, Decimal("3.07")
    )
    return Order(
        OrderIntended(
            at=0,
            decision=DecisionId("a-s-X-1"),
            strategy="s",
            side=Side.LONG,
            role=Role.ENTRY,
            request=request,
            expires_at=600,
            stop_loss=Decimal(3),
        )
    )


def picture(order: Order) -> dict[str, Any]:
    """A copy of every field of the order, so that any change shows."""
    return {name: copy(getattr(order, name)) for name in Order.__slots__}


def fact_of(kind: str, order: Order) -> OrderFact:
    """A fact of this kind; executions of a size that leaves shares open, or none."""
    if kind not in ("part", "last"):
        return MAKE[kind]()
    qty = 3 if kind == "part" else int(order.qty_open) or 1
    return filled(qty, int(order.qty_filled) + qty)


def order_in(state: str) -> Order:
    order = new_order()
    for kind in ROADS[state]:
        advance(order, fact_of(kind, order))
    assert order.state.name == state
    return order


def test_there_are_nine_states() -> None:
    """Goal: the nine names of the plan, no more. Method: compare the enum and the table's rows."""
    assert {state.name for state in OrderState} == NINE
    assert {state.name for state in TRANSITIONS} == NINE
    assert {state.name for state in LIVE} == {
        "PENDING_SUBMIT",
        "SUBMITTED",
        "ACCEPTED",
        "PARTIALLY_FILLED",
    }


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("state", sorted(NINE))
def test_cell(state: str, kind: str) -> None:
    """Goal: every cell does what the plan and the brokers' oddities say, and no other cell exists.

    Method: bring an order into the state, offer the fact, look the outcome up in EXPECTED.
    """
    order = order_in(state)
    before = picture(order)
    fact = fact_of(kind, order)
    wanted = TABLE.get((state, kind))
    if wanted is None:
        assert not is_echo(order, fact)
        with pytest.raises(IllegalTransition, match=r"is not possible$"):
            advance(order, fact)
        assert picture(order) == before
    elif wanted == "=":
        assert is_echo(order, fact)
        assert advance(order, fact) is order
        assert picture(order) == before
    else:
        assert not is_echo(order, fact)
        assert advance(order, fact) is order
        assert order.state.name == wanted
        assert order.is_live == (order.state in LIVE)


@pytest.mark.parametrize(
    ("state", "kinds"),
    [
        ("REJECTED", ["part", "last"]),
        ("FILLED", []),
        ("CANCELED", ["last"]),
        ("EXPIRED", ["last"]),
        ("SUBMIT_FAILED", ["accepted", "part", "last", "canceled", "expired", "replaced"]),
    ],
)
def test_terminal_states_are_left_only_by_the_rows_that_say_why(
    state: str, kinds: list[str]
) -> None:
    """Goal: an ended order stays ended, but for a crossing fill or a late order.

    Method: offer every kind of fact, note which change the state.
    """
    leaving = []
    for kind in KINDS:
        order = order_in(state)
        try:
            advance(order, fact_of(kind, order))
        except IllegalTransition:
            continue
        if order.state.name != state:
            leaving.append(kind)
    assert sorted(leaving) == sorted(kinds)


@pytest.mark.parametrize(
    ("kinds", "field", "value"),
    [
        (["submitting", "unknown"], "is_unknown", True),
        (["submitting", "unknown"], "last_error", "timeout"),
        (["submitting", "unknown", "accepted"], "is_unknown", False),
        (["submitting", "unknown", "part"], "is_unknown", False),
        (["submitting", "part", "accepted"], "broker_id", "B-1"),
        (["submitting", "last", "accepted"], "broker_id", "B-1"),
        (["submitting", "refused"], "last_error", "no"),
        (["submitting", "accepted", "ask_cancel"], "cancel_reason", "EXPIRED"),
        (["submitting", "accepted", "ask_cancel", "no_cancel"], "cancel_reason", None),
        (["submitting", "accepted", "ask_cancel", "lost_cancel"], "cancel_reason", None),
        (["submitting", "unknown", "submitting"], "is_unknown", True),
        (["submitting", "accepted", "replaced"], "replaced_by", "next"),
        (["submitting", "part", "part"], "qty_filled", Decimal(6)),
        (["submitting", "part", "part"], "qty_open", Decimal(4)),
        (["submitting", "part", "part"], "avg_fill_price", Decimal("3.07")),
        (["submitting"], "avg_fill_price", None),
    ],
)
def test_what_a_fact_leaves_in_the_order(kinds: list[str], field: str, value: object) -> None:
    """Goal: each fact is remembered where it is looked for. Method: a table of sequences."""
    order = new_order()
    for kind in kinds:
        advance(order, fact_of(kind, order))
    assert getattr(order, field) == value


# -- random sequences --

executions = st.lists(st.integers(1, 6), min_size=1, max_size=5)
"""Sizes of an order's executions as the broker made them; more than the order holds at times."""


@st.composite
def reports(draw: st.DrawFn) -> tuple[int, list[OrderFact]]:
    """An order's size, and any facts in any order: fills doubled, reordered and too many."""
    sizes = draw(executions)
    fills, cum = [], 0
    for size in sizes:
        cum += size
        fills.append(filled(size, cum))
    over = draw(st.integers(0, 3))
    anything = st.one_of(
        st.sampled_from(fills),
        st.sampled_from([kind for kind in KINDS if kind in MAKE]).map(lambda kind: MAKE[kind]()),
    )
    facts = draw(st.lists(anything, max_size=20))
    if draw(st.booleans()):
        facts = [MAKE["submitting"](), *facts]
    return max(1, cum - over), facts


class Oracle:
    """What an order must be, kept by EXPECTED and by a set of executions alone."""

    def __init__(self, qty: int) -> None:
        self.qty = qty
        self.state = "PENDING_SUBMIT"
        self.executions: dict[Decimal, Decimal] = {}
        self.broker_id: str | None = None
        self.replaced = False
        self.ended = ""

    @property
    def qty_filled(self) -> Decimal:
        return sum(self.executions.values(), Decimal(0))

    def kind_of(self, fact: OrderFact) -> str:
        if isinstance(fact, OrderFilled):
            return "part" if self.qty_filled + fact.qty < self.qty else "last"
        (kind,) = [name for name, make in MAKE.items() if type(make()) is type(fact)]
        return kind

    def is_echo(self, fact: OrderFact) -> bool:
        match fact:
            case OrderFilled():
                return fact.cum_qty in self.executions
            case OrderAccepted():
                return self.broker_id == fact.broker_id
            case OutcomeUnknown():  # It has an answer already.
                is_answered = self.broker_id is not None or bool(self.executions)
                return is_answered or OrderState[self.state] not in LIVE
            case OrderCanceled():
                return self.ended == "CANCELED"
            case OrderExpired():
                return self.ended == "EXPIRED"
            case OrderReplaced():
                return self.replaced
        return TABLE.get((self.state, self.kind_of(fact))) == "="

    def take(self, fact: OrderFact) -> bool:
        """Move as the fact says; False if that is illegal."""
        state = TABLE.get((self.state, self.kind_of(fact)))
        if state is None or state == "=":
            return False
        self.state = state
        if state in ("CANCELED", "EXPIRED"):
            self.ended = state
        match fact:
            case OrderFilled():
                self.executions[fact.cum_qty] = fact.qty
            case OrderAccepted():
                self.broker_id = fact.broker_id
            case OrderReplaced():
                self.replaced = True
        return True


@settings(max_examples=400, deadline=None)
@given(case=reports())
def test_any_facts_in_any_order(case: tuple[int, list[OrderFact]]) -> None:
    """Goal: never a tenth state; a fact is an echo, a row of the table, or raises and changes
    nothing; the filled quantity is the sum of the distinct fills.

    Method: follow a random sequence with an oracle built on the table of this file.
    """
    qty, facts = case
    order, oracle = new_order(Decimal(qty)), Oracle(qty)
    for fact in facts:
        before = picture(order)
        if oracle.is_echo(fact):
            assert is_echo(order, fact)
            assert advance(order, fact) is order
            assert picture(order) == before
        elif oracle.take(fact):
            assert advance(order, fact) is order
        else:
            with pytest.raises(IllegalTransition):
                advance(order, fact)
            assert picture(order) == before
        assert order.state.name in NINE
        assert order.state.name == oracle.state
        assert order.is_live == (order.state in LIVE)
        assert order.qty_filled == oracle.qty_filled
        assert order.filled_value == oracle.qty_filled * Decimal("3.07")
        assert order.qty_open == qty - oracle.qty_filled


@settings(max_examples=200, deadline=None)
@given(case=reports())
def test_what_was_just_said_says_nothing_new(case: tuple[int, list[OrderFact]]) -> None:
    """Goal: a report brought twice in a row changes nothing the second time.

    Method: offer every report of a random sequence twice, compare all fields. The facts that we
    write ourselves when we act (submitting, abandoning) are never doubled.
    """
    qty, facts = case
    order = new_order(Decimal(qty))
    for fact in facts:
        try:
            advance(order, fact)
        except IllegalTransition:
            continue
        if isinstance(fact, OrderSubmitting | OrderAbandoned):
            continue
        before = picture(order)
        assert advance(order, fact) is order
        assert picture(order) == before


@settings(max_examples=200, deadline=None)
@given(sizes=executions, chance=st.randoms(use_true_random=False))
def test_fills_may_come_in_any_order(sizes: list[int], chance: Any) -> None:
    """Goal: reordered and doubled fills end where those in order end (FILLED, each counted once).

    Method: shuffle the executions of a completely filled order, each told one to three times.
    """
    qty = sum(sizes)
    cums = [sum(sizes[: at + 1]) for at in range(len(sizes))]
    told = [filled(size, cum) for size, cum in zip(sizes, cums, strict=True)]
    told = [fact for fact in told for _ in range(chance.randint(1, 3))]
    chance.shuffle(told)
    order = advance(new_order(Decimal(qty)), MAKE["submitting"]())
    for fact in told:
        if order.state is OrderState.FILLED:
            assert is_echo(order, fact)
        advance(order, fact)
    assert order.state is OrderState.FILLED
    assert order.qty_filled == qty
    assert order.avg_fill_price == Decimal("3.07")


@pytest.mark.parametrize(
    ("told", "again"),
    [
        ([(3, 3), (4, 7)], (4, 7)),
        ([(3, 3), (4, 7)], (3, 3)),
        ([(7, 7)], (4, 7)),
        ([(7, 7)], (3, 3)),
        ([(7, 7)], (2, 5)),
    ],
)
def test_shares_told_again_count_once(told: list[tuple[int, int]], again: tuple[int, int]) -> None:
    """Goal: a fill inside one that was counted says nothing new, whoever cut it up.

    Method: fills as (shares, cumulative), then one of them again or a part of one.
    """
    order = advance(new_order(), MAKE["submitting"]())
    for qty, cum in told:
        advance(order, filled(qty, cum))
    before = picture(order)
    assert is_echo(order, filled(*again))
    advance(order, filled(*again))
    assert picture(order) == before


@pytest.mark.parametrize(
    ("told", "other"),
    [([(5, 5)], (4, 7)), ([(5, 8)], (4, 4)), ([(5, 8)], (9, 9)), ([(2, 5)], (6, 6))],
)
def test_fills_that_contradict_each_other_are_illegal(
    told: list[tuple[int, int]], other: tuple[int, int]
) -> None:
    """Goal: no share is counted twice and none guessed. Method: fills that overlap in part."""
    order = advance(new_order(), MAKE["submitting"]())
    for qty, cum in told:
        advance(order, filled(qty, cum))
    before = picture(order)
    with pytest.raises(IllegalTransition, match="overlaps"):
        advance(order, filled(*other))
    assert picture(order) == before


@given(
    cuts=st.sets(st.integers(1, 9), max_size=4),
    counted=st.sets(st.integers(0, 4)),
    cents=st.lists(st.integers(900, 1100), min_size=5, max_size=5),
    whole=st.booleans(),
)
def test_executions_told_as_one_are_what_is_missing_of_them(
    cuts: set[int], counted: set[int], cents: list[int], *, whole: bool
) -> None:
    """Goal: what is told as one, at its average price, makes up what was not counted: the shares in
    any case, the money where the average is of the whole order.

    Method: an order filled in pieces, some of them counted; then all of it, or all but the first
    piece, as one.
    """
    order = advance(new_order(), MAKE["submitting"]())
    ends = [*sorted(cuts), 10]
    pieces = [
        filled(end - begin, end, str(Decimal(price) / 100))
        for begin, end, price in zip([0, *ends], ends, cents, strict=False)
    ]
    for number, piece in enumerate(pieces):
        if number in counted:
            advance(order, piece)
    told = pieces if whole or len(pieces) == 1 else pieces[1:]
    qty = sum((piece.qty for piece in told), start=Decimal(0))
    value = sum((piece.qty * piece.price for piece in told), start=Decimal(0))
    missing = uncounted(order, filled(int(qty), 10, str(value / qty)))
    for piece in missing:
        advance(order, piece)
    first = Decimal(0) if told == pieces or 0 in counted else pieces[0].qty
    assert order.qty_filled == 10 - first
    if told == pieces:
        right = sum((piece.qty * piece.price for piece in pieces), start=Decimal(0))
        assert abs(order.filled_value - right) < Decimal("0.0001")


def test_a_price_worked_out_of_an_average_is_one() -> None:
    """Goal: however wrong the average is, what is booked has a price. Method: nine of ten shares
    counted at 10, and all ten told at 5.
    """
    order = advance(new_order(), MAKE["submitting"]())
    advance(order, filled(9, 9, "10"))
    (rest,) = uncounted(order, filled(10, 10, "5"))
    assert (rest.qty, rest.cum_qty) == (Decimal(1), Decimal(10))
    assert rest.price > 0


@pytest.mark.parametrize("state", sorted(NINE - {"PENDING_SUBMIT", "SUBMITTED", "SUBMIT_FAILED"}))
def test_a_broker_id_is_for_life(state: str) -> None:
    """Goal: an acknowledgement with another id is illegal wherever the order stands.

    Method: acknowledge, go on into the state, acknowledge as somebody else.
    """
    order = advance(new_order(), MAKE["submitting"]())
    advance(order, accepted("B-1"))
    for kind in ROADS[state][1:]:
        advance(order, fact_of(kind, order))
    before = picture(order)
    with pytest.raises(IllegalTransition):
        advance(order, accepted("B-2"))
    assert picture(order) == before


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("qty", Decimal(0)),
        ("qty", Decimal(-1)),
        ("qty", Decimal("NaN")),
        ("qty", 1.5),
        ("price", Decimal("Infinity")),
        ("price", Decimal(0)),
        ("price", None),
        ("cum_qty", Decimal(1)),
        ("cum_qty", Decimal("NaN")),
        ("commission", 0.35),
    ],
)
def test_an_impossible_fill_cannot_be_built(field: str, value: Any) -> None:
    """Goal: a fill is finite, above zero and agrees with itself. Method: a table of what is not."""
    good: dict[str, Any] = {"qty": Decimal(2), "price": Decimal(3), "cum_qty": Decimal(2)}
    OrderFilled(at=1, order_id=ID, **good)
    with pytest.raises(CoreError):
        OrderFilled(at=1, order_id=ID, **{**good, field: value})
