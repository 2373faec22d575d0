"""The checks on a signal: each alone, in their order, and when the breakers open."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from itertools import combinations

import pytest

from algo_trader.core.events import Sizing
from algo_trader.core.types import Candle, Side
from algo_trader.engine.desk import decide
from algo_trader.risk.breaker import daily_loss_floor, daily_loss_reached, losses_in_a_row_reached
from algo_trader.risk.limits import RiskLimits
from algo_trader.risk.rules import RULES, RiskView, first_refusal
from algo_trader.strategies.base import Signal

LIMITS = RiskLimits()
GOOD = RiskView(
    halted=False,
    ready=True,
    has_unknown_order=False,
    tripped=frozenset(),
    open_positions=0,
    resting_entries=0,
    session_equity=Decimal(25_000),
    equity=Decimal(25_000),
    buying_power=Decimal(25_000),
)

BREAKS: Mapping[str, Mapping[str, object]] = {
    "HALTED": {"halted": True},
    "NOT_READY": {"ready": False},
    "TRADING_HALT": {"is_symbol_halted": True},
    "UNKNOWN_ORDER": {"has_unknown_order": True},
    "FOREIGN_SHARES": {"has_foreign_shares": True},
    "DAILY_LOSS": {"tripped": {"DAILY_LOSS"}},
    "CONSECUTIVE_LOSSES": {"tripped": {"CONSECUTIVE_LOSSES"}},
    "MAX_POSITIONS": {"open_positions": 3, "resting_entries": 2},
}
"""Each reason in the rules' order, with what brings it about."""


def broken(*names: str) -> RiskView:
    """A view in which all these reasons hold."""
    view = GOOD
    for name in names:
        change = dict(BREAKS[name])
        if "tripped" in change:
            change["tripped"] = {*view.tripped, name}
        view = view._replace(**change)  # type: ignore[arg-type]  # fields by name
    return view


def sized(by_risk: int, by_position: int, by_cash: int, qty: int, limit: str) -> Sizing:
    return Sizing(Decimal(by_risk), Decimal(by_position), Decimal(by_cash), Decimal(qty), limit)


def test_the_order_of_the_rules() -> None:
    """Goal: the order of the risk page. Method: the names as they stand."""
    assert [rule.name for rule in RULES] == list(BREAKS)


def test_nothing_to_refuse() -> None:
    """Goal: a healthy account passes. Method: the view all others are made from."""
    assert first_refusal(GOOD, LIMITS) is None


@pytest.mark.parametrize("name", list(BREAKS))
def test_each_rule_alone(name: str) -> None:
    """Goal: one reason, one refusal; no other rule looks at it. Method: one thing at a time."""
    view = broken(name)
    assert [rule.name for rule in RULES if rule.refuses(view, LIMITS)] == [name]
    assert first_refusal(view, LIMITS) == name


@pytest.mark.parametrize(("first", "second"), list(combinations(BREAKS, 2)))
def test_the_first_reason_is_named(first: str, second: str) -> None:
    """Goal: of several reasons the first in order is the answer. Method: every pair."""
    assert first_refusal(broken(first, second), LIMITS) == first
    assert first_refusal(broken(second, first), LIMITS) == first


def test_all_reasons_at_once() -> None:
    """Goal: a halt comes before everything. Method: break all."""
    assert first_refusal(broken(*BREAKS), LIMITS) == "HALTED"


@pytest.mark.parametrize(
    "change",
    [
        {"session_equity": None},
        {"session_equity": Decimal("NaN")},
        {"session_equity": Decimal("-Infinity")},
        {"equity": Decimal("NaN")},
        {"equity": Decimal("Infinity")},
        {"buying_power": Decimal("NaN")},
        {"buying_power": Decimal("Infinity")},
    ],
)
def test_an_unknown_figure_is_not_ready(change: dict[str, Decimal | None]) -> None:
    """Goal: missing or not finite is unknown, and unknown means no new risk. Method: a table."""
    assert first_refusal(GOOD._replace(**change), LIMITS) == "NOT_READY"  # type: ignore[arg-type]  # fields by name


@pytest.mark.parametrize(
    ("positions", "resting", "is_refused"),
    [(0, 0, False), (4, 0, False), (0, 4, False), (5, 0, True), (0, 5, True), (3, 2, True)],
)
def test_places(positions: int, resting: int, is_refused: bool) -> None:
    """Goal: positions and resting entries share the places. Method: around the default of five."""
    view = GOOD._replace(open_positions=positions, resting_entries=resting)
    assert (first_refusal(view, LIMITS) == "MAX_POSITIONS") == is_refused


def test_other_breakers_refuse_nothing() -> None:
    """Goal: only the two breakers named refuse. Method: another name is open."""
    assert first_refusal(GOOD._replace(tripped={"SOMETHING"}), LIMITS) is None


CANDLE = Candle(
    "X",
    1_704_292_200,
    1_704_292_320,
    Decimal(50),
    Decimal(51),
    Decimal(49),
    Decimal(50),
    Decimal(9),
    late=False,
)


@pytest.mark.parametrize("name", list(BREAKS))
def test_a_refused_signal_makes_no_order(name: str) -> None:
    """Goal: the desk records the reason and gives no order. Method: each reason once."""
    made = decide(
        Signal(Side.LONG, Decimal(50), Decimal("49.50")),
        CANDLE,
        broken(name),
        LIMITS,
        account="a",
        strategy="s",
        now=1_704_292_320,
        expires_at=1_704_292_440,
    )
    assert made.order is None
    assert (made.record.rule, made.record.limit, made.record.sizing) == (name, None, None)


@pytest.mark.parametrize(
    ("power", "limit"),
    [(Decimal(49), "by_cash"), (Decimal(0), "by_cash"), (Decimal(-100), "by_cash")],
)
def test_no_whole_share_is_the_last_reason(power: Decimal, limit: str) -> None:
    """Goal: QTY_ZERO names the limit that binds and shows the sizing. Method: too little cash."""
    made = decide(
        Signal(Side.LONG, Decimal(50), Decimal("49.50")),
        CANDLE,
        GOOD._replace(buying_power=power),
        LIMITS,
        account="a",
        strategy="s",
        now=1_704_292_320,
        expires_at=1_704_292_440,
    )
    assert made.order is None
    assert (made.record.rule, made.record.limit) == ("QTY_ZERO", limit)
    assert made.record.sizing == sized(500, 25, 0, 0, limit)


def test_an_order_is_a_function_of_the_decision() -> None:
    """Goal: the plan's example through the desk; ids derive from account, strategy, symbol and
    candle, so that deciding twice is deciding once. Method: decide twice.
    """
    first, second = (
        decide(
            Signal(Side.LONG, Decimal(50), Decimal("49.50")),
            CANDLE,
            GOOD,
            LIMITS,
            account="a",
            strategy="s",
            now=1_704_292_320,
            expires_at=1_704_292_440,
        )
        for _ in range(2)
    )
    assert first == second
    assert first.record.sizing == sized(500, 25, 500, 25, "by_position")
    assert first.order is not None
    assert first.order.request.qty == 25
    assert first.order.request.order_id == "a-s-X-20240103T1430-entry-1"
    assert first.order.decision == first.record.decision == "a-s-X-20240103T1430"


# -- breakers --


@pytest.mark.parametrize(
    ("pct", "equity", "floor"),
    [
        ("0.03", Decimal(25_000), Decimal(-750)),
        ("0.01", Decimal(0), Decimal(0)),
        ("0.03", None, None),
        ("0.03", Decimal("NaN"), None),
        ("0.03", Decimal("Infinity"), None),
    ],
)
def test_daily_loss_floor(pct: str, equity: Decimal | None, floor: Decimal | None) -> None:
    """Goal: the loss at which the day ends, from the session's equity. Method: a table."""
    limits = RiskLimits(max_daily_loss_pct=Decimal(pct))
    assert daily_loss_floor(limits, equity) == floor


@pytest.mark.parametrize(
    ("pnl", "is_reached"),
    [
        ("-749.99", False),
        ("-750.00", True),
        ("-750.01", True),
        ("1000", False),
        ("NaN", False),
        ("-Infinity", False),
    ],
)
def test_daily_loss_reached(pnl: str, is_reached: bool) -> None:
    """Goal: at the limit the breaker opens; what is unknown is no proof of a loss.

    Method: around a floor of -750.
    """
    assert daily_loss_reached(Decimal(-750), Decimal(pnl)) == is_reached
    assert not daily_loss_reached(None, Decimal(pnl))


@pytest.mark.parametrize(("streak", "is_reached"), [(0, False), (2, False), (3, True), (4, True)])
def test_losses_in_a_row(streak: int, is_reached: bool) -> None:
    """Goal: the third loss in a row opens the breaker by default. Method: around it."""
    assert losses_in_a_row_reached(LIMITS, loss_streak=streak) == is_reached
