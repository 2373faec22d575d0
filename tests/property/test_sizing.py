"""Sizing never exceeds a limit, and numbers that are not numbers mean no new risk."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from algo_trader.core import events as ev
from algo_trader.core.book import Book
from algo_trader.core.types import (
    Action,
    Candle,
    ClientOrderId,
    DecisionId,
    OrderType,
    Role,
    Side,
    TimeInForce,
)
from algo_trader.engine.desk import Decision, decide
from algo_trader.engine.engine import Engine
from algo_trader.engine.lane import Lane
from algo_trader.risk.limits import RiskLimits
from algo_trader.risk.rules import RiskView, first_refusal
from algo_trader.risk.sizing import size
from algo_trader.strategies import Velez
from algo_trader.strategies.base import Signal

NAN, INFINITY = Decimal("NaN"), Decimal("Infinity")
BROKEN = (NAN, INFINITY, -INFINITY)


def decimals(least: str, most: str, places: int) -> st.SearchStrategy[Decimal]:
    return st.decimals(Decimal(least), Decimal(most), places=places)


money = st.one_of(decimals("-1e9", "1e12", 2), decimals("-1", "1000", 6))
prices = st.one_of(decimals("0.01", "1e6", 2), decimals("0.0001", "2", 4))
limits_of_all_kinds = st.builds(
    RiskLimits,
    max_risk_per_trade_pct=decimals("0.001", "0.05", 4),
    max_risk_per_trade_abs=decimals("10", "5000", 2),
    max_position_pct=decimals("0.01", "0.25", 3),
    max_open_positions=st.integers(1, 20),
)


def whole(number: Decimal) -> bool:
    return number == number.to_integral_value()


@settings(max_examples=500, deadline=None)
@given(limits=limits_of_all_kinds, equity=money, power=money, price=prices, risk=prices)
def test_size_exceeds_no_limit_and_wastes_no_share(
    limits: RiskLimits, equity: Decimal, power: Decimal, price: Decimal, risk: Decimal
) -> None:
    """Goal: whole shares, the most that risk, position and cash each allow, never one more.

    Method: cross-multiplied in fractions: qty fits every limit, and qty + 1 does not fit the limit
    that is named, which is the first of the smallest.
    """
    sizing = size(limits, equity=equity, buying_power=power, price=price, risk_per_share=risk)
    at_risk = min(
        Fraction(limits.max_risk_per_trade_pct) * Fraction(equity),
        Fraction(limits.max_risk_per_trade_abs),
    )
    allowed = {
        "by_risk": (sizing.by_risk, at_risk, risk),
        "by_position": (
            sizing.by_position,
            Fraction(limits.max_position_pct) * Fraction(equity),
            price,
        ),
        "by_cash": (sizing.by_cash, Fraction(power), price),
    }
    for shares, dollars, each in allowed.values():
        assert shares >= 0
        assert whole(shares)
        assert int(shares) * Fraction(each) <= max(dollars, Fraction(0))
        assert (int(shares) + 1) * Fraction(each) > dollars
    assert sizing.qty == min(shares for shares, _, _ in allowed.values())
    smallest = [name for name, (shares, _, _) in allowed.items() if shares == sizing.qty]
    assert sizing.limit == smallest[0]


def test_example_of_the_plan() -> None:
    """Goal: 25,000 of equity, 1 % and 0.50 of risk a share give 500 by risk; at a price of 50 the
    position limit of 5 % then leaves 25. Method: the defaults, by hand.
    """
    sizing = size(
        RiskLimits(),
        equity=Decimal(25_000),
        buying_power=Decimal(25_000),
        price=Decimal(50),
        risk_per_share=Decimal("0.50"),
    )
    assert list(map(int, sizing[:4])) == [500, 25, 500, 25]
    assert sizing.limit == "by_position"


@pytest.mark.parametrize(
    ("equity", "power", "price", "risk", "qty", "limit"),
    [
        ("25000", "25000", "50", "0.50", 25, "by_position"),
        ("25000", "1249.99", "50", "0.50", 24, "by_cash"),
        ("25000", "25000", "50", "10.01", 24, "by_risk"),
        ("25000", "25000", "50", "10.00", 25, "by_risk"),  # equal: the first is named
        ("25000", "25000", "1250", "1", 1, "by_position"),
        ("25000", "25000", "1250.01", "1", 0, "by_position"),
        ("25000", "0", "50", "0.50", 0, "by_cash"),
        ("25000", "-1", "50", "0.50", 0, "by_cash"),
        ("-25000", "25000", "50", "0.50", 0, "by_risk"),
        ("25000", "25000", "50", "250.01", 0, "by_risk"),
        ("1000000", "1000000", "50", "1", 500, "by_risk"),  # 500 dollars absolute, not 10,000
    ],
)
def test_size(equity: str, power: str, price: str, risk: str, qty: int, limit: str) -> None:
    """Goal: the limits at their edges. Method: a table worked out by hand with the defaults."""
    sizing = size(
        RiskLimits(),
        equity=Decimal(equity),
        buying_power=Decimal(power),
        price=Decimal(price),
        risk_per_share=Decimal(risk),
    )
    assert sizing.qty == qty
    assert sizing.limit == limit


# -- broken numbers --

CANDLE = Candle("X", 0, 120, Decimal(10), Decimal(11), Decimal(9), Decimal(10), 5, late=False)


def view(**known: object) -> RiskView:
    fields: dict[str, object] = {
        "halted": False,
        "ready": True,
        "has_unknown_order": False,
        "tripped": frozenset(),
        "open_positions": 0,
        "resting_entries": 0,
        "session_equity": Decimal(25_000),
        "equity": Decimal(25_000),
        "buying_power": Decimal(25_000),
    }
    return RiskView(**{**fields, **known})  # type: ignore[arg-type]  # drawn fields


def decided(seen: RiskView, entry: Decimal = Decimal(11), stop: Decimal = Decimal(10)) -> Decision:
    return decide(
        Signal(Side.LONG if stop < entry else Side.SHORT, entry, stop),
        CANDLE,
        seen,
        RiskLimits(),
        account="a",
        strategy="s",
        now=120,
        expires_at=240,
    )


@settings(max_examples=200, deadline=None)
@given(
    session_equity=st.one_of(st.none(), st.sampled_from(BROKEN), money),
    equity=st.one_of(st.sampled_from(BROKEN), money),
    power=st.one_of(st.sampled_from(BROKEN), money),
    ready=st.booleans(),
)
def test_what_is_unknown_means_no_new_risk(
    session_equity: Decimal | None, equity: Decimal, power: Decimal, ready: bool
) -> None:
    """Goal: a figure that is missing or not finite is NOT_READY, never an exception, never an
    order. Method: any mix of good and broken figures through rules and desk.
    """
    seen = view(ready=ready, session_equity=session_equity, equity=equity, buying_power=power)
    is_known = ready and session_equity is not None and session_equity.is_finite()
    is_known = is_known and equity.is_finite() and power.is_finite()
    assert (first_refusal(seen, RiskLimits()) == "NOT_READY") == (not is_known)
    record, order = decided(seen)
    if not is_known:
        assert (record.rule, record.sizing, order) == ("NOT_READY", None, None)
    else:
        assert record.rule in (None, "QTY_ZERO")
        assert (order is None) == (record.rule is not None)


@settings(max_examples=300, deadline=None)
@given(equity=money, power=money, entry=prices, stop=prices)
def test_the_desk_orders_what_was_sized(
    equity: Decimal, power: Decimal, entry: Decimal, stop: Decimal
) -> None:
    """Goal: an order only for a whole share or more, within position, risk and cash; else QTY_ZERO
    with the limit. Method: any finite account and prices, long and short.
    """
    if entry == stop:
        return
    record, order = decided(view(equity=equity, buying_power=power), entry, stop)
    assert record.sizing is not None
    if order is None:
        assert (record.rule, record.limit) == ("QTY_ZERO", record.sizing.limit)
        assert record.sizing.qty == 0
        return
    qty = order.request.qty
    assert record.rule is record.limit is None
    assert qty == record.sizing.qty >= 1
    assert qty * entry <= Decimal("0.05") * equity
    assert qty * entry <= power
    assert qty * abs(entry - stop) <= min(Decimal("0.01") * equity, Decimal(500))
    assert order.request.action is (Action.BUY if stop < entry else Action.SELL)
    assert (order.request.stop_price, order.stop_loss) == (entry, stop)


# -- an engine whose marks are missing or broken --


def engine_holding(shares: dict[str, int]) -> Engine:
    """An engine whose book holds these shares, negative for short, bought at 10; no marks yet."""
    book = Book()
    lanes = [Lane("velez", Velez(s), book.holding("velez", s)) for s in shares]
    engine = Engine(book, lanes, RiskLimits())
    engine.open_account("a", Decimal(25_000), 0)
    for symbol, signed in shares.items():
        if not signed:
            continue
        key = ClientOrderId(f"{symbol}-entry")
        request = ev.OrderRequest(
            key,
            symbol,
            Action.BUY if signed > 0 else Action.SELL,
            OrderType.MARKET,
            TimeInForce.DAY,
            Decimal(abs(signed)),
        )
        for fact in (
            ev.OrderIntended(
                at=0,
                decision=DecisionId(symbol),
                strategy="velez",
                side=Side.LONG if signed > 0 else Side.SHORT,
                role=Role.ENTRY,
                request=request,
            ),
            ev.OrderSubmitting(at=0, order_id=key),
            ev.OrderFilled(
                at=0, order_id=key, qty=request.qty, price=Decimal(10), cum_qty=request.qty
            ),
            ev.StopSet(at=0, strategy="velez", symbol=symbol, price=Decimal(9)),
        ):
            book.apply(fact)
    return engine


@pytest.mark.parametrize(
    ("shares", "marks"),
    [
        ({"A": 10, "X": 0}, {}),
        ({"A": -10, "X": 0}, {}),
        ({"A": 10, "B": -10, "X": 0}, {"A": Decimal(10)}),
        ({"A": 10, "B": -10, "X": 0}, {"B": Decimal(10)}),
        ({"A": 10, "X": 0}, {"A": NAN}),
        ({"A": 10, "X": 0}, {"A": INFINITY}),
        ({"A": -10, "X": 0}, {"A": INFINITY}),
        ({"A": 10, "B": 10, "X": 0}, {"A": INFINITY, "B": NAN}),
    ],
)
def test_a_missing_mark_is_not_ready(shares: dict[str, int], marks: dict[str, Decimal]) -> None:
    """Goal: while a close of a held stock is missing or not finite, nothing new is risked and
    nothing raises. Method: books with positions, engines without their marks.
    """
    engine = engine_holding(shares)
    engine.book.day.equity = Decimal(25_000)
    engine.marks.update(marks)
    seen = engine.risk_view("X")
    assert first_refusal(seen, engine.limits) == "NOT_READY"
    assert not engine.equity().is_finite()
    assert not engine.day_pnl().is_finite()


def test_known_marks_are_ready() -> None:
    """Goal: the counterpart: with every close there, equity and buying power are the rule's.

    Method: 10 shares long at 12 and 10 short at 9: short proceeds and the cost to cover are not
    spendable.
    """
    engine = engine_holding({"A": 10, "B": -10, "X": 0})
    engine.book.day.equity = Decimal(25_000)
    engine.marks.update({"A": Decimal(12), "B": Decimal(9)})
    seen = engine.risk_view("X")
    assert first_refusal(seen, engine.limits) is None
    assert engine.book.cash == 25_000
    assert seen.equity == engine.equity() == 25_000 + 120 - 90
    assert seen.buying_power == 25_000 - 100 - 90
    assert engine.day_pnl() == 20 + 10
    assert (seen.open_positions, seen.resting_entries) == (2, 0)
