"""Entries of every type: their prices, their size, what they reserve, and what is no such entry.

Method: the desk of test_inputs; a signal is given, the step it leads to is compared.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from test_entry_as_limit import CODE, LIMIT, WORDS, sent, signaled
from test_inputs import ENTRY, Desk

from algo_trader.core import events as ev
from algo_trader.core.errors import StrategyError
from algo_trader.core.types import Candle, OrderType, Side, TimeInForce
from algo_trader.engine import figures
from algo_trader.engine.judge import BAD_RISK
from algo_trader.strategies.base import Signal

LONG, SHORT = Side.LONG, Side.SHORT


def signal(side: Side, entry: str, stop: str, order: str, **more: str) -> Signal:
    """A signal with its prices as texts."""
    prices: dict[str, Any] = {name: Decimal(price) for name, price in more.items()}
    return Signal(side, Decimal(entry), Decimal(stop), None, OrderType(order), **prices)


def decided(given: Signal) -> tuple[Desk, list[ev.Fact]]:
    """A desk that was given the signal, and what it has recorded."""
    desk = Desk()
    desk.strategy.to_signal = lambda: given
    return desk, [fact for step in desk.pass_minute() for fact in step.facts]


def entry_of(desk: Desk) -> ev.OrderRequest:
    """The entry that rests."""
    return desk.book.order(ENTRY).request


@pytest.mark.parametrize(
    ("given", "limit", "stop"),
    [
        (signal(LONG, "11.001", "9", "stop"), None, "11.01"),
        (signal(LONG, "11.009", "9", "limit"), "11", None),
        (signal(LONG, "11.001", "9", "stop_limit", limit="11.109"), "11.1", "11.01"),
        (signal(LONG, "11.001", "9", "market"), None, None),
        (signal(SHORT, "9.009", "11", "stop"), None, "9"),
        (signal(SHORT, "9.001", "11", "limit"), "9.01", None),
        (signal(SHORT, "9.009", "11", "stop_limit", limit="8.991"), "9", "9"),
        (signal(SHORT, "9.001", "11", "market"), None, None),
    ],
)
def test_the_prices_of_an_entry(given: Signal, limit: str | None, stop: str | None) -> None:
    """Goal: each type has the prices it needs, on their ticks, a limit never worse than asked.

    Method: long and short signals off the tick, the prices worked out by hand.
    """
    request = entry_of(signaled(given))
    assert (request.type, request.time_in_force) == (given.order, TimeInForce.DAY)
    assert request.limit_price == (None if limit is None else Decimal(limit))
    assert request.stop_price == (None if stop is None else Decimal(stop))


@pytest.mark.parametrize(
    ("given", "per_share"),
    [
        (signal(LONG, "11", "9", "limit"), "2"),
        (signal(LONG, "11", "9", "stop_limit", limit="11.5"), "2.5"),
        (signal(LONG, "11", "9", "stop_limit", limit="10.5"), "2"),
        (signal(LONG, "9.5", "9", "market"), "1"),
        (signal(LONG, "11", "9", "market"), "2"),
        (signal(SHORT, "9", "11", "stop_limit", limit="8"), "3"),
    ],
)
def test_the_size_of_an_entry(given: Signal, per_share: str) -> None:
    """Goal: what is at risk is reckoned from the worst price at which the entry may fill.

    Method: the last close is 10: a market order fills near that, whatever the strategy expects.
    """
    desk, (said, *_) = decided(given)
    assert isinstance(said, ev.SignalDecided)
    assert said.sizing is not None
    limits = desk.engine.limits
    at_risk = min(limits.max_risk_per_trade_pct * 25_000, limits.max_risk_per_trade_abs)
    assert said.sizing.by_risk == at_risk // Decimal(per_share)
    dearest = max(price for price in (given.entry, given.limit, Decimal(10)) if price is not None)
    if given.order is OrderType.MARKET:
        assert said.sizing.by_position == limits.max_position_pct * 25_000 // dearest


@pytest.mark.parametrize(
    ("given", "price"),
    [
        (signal(LONG, "11", "9", "stop_limit", limit="11.5"), "11.5"),
        (signal(SHORT, "9", "11", "stop_limit", limit="8.5"), "9"),
        (signal(LONG, "9.5", "9", "limit"), "9.5"),
        (signal(LONG, "11", "9", "market"), "10"),
    ],
)
def test_what_a_resting_entry_reserves(given: Signal, price: str) -> None:
    """Goal: an entry of any type leaves the buying power a known number: it reserves the worse of
    its prices, a market order the last close, and without a close its planned stop.
    """
    desk = signaled(given)
    reserved = entry_of(desk).qty * Decimal(price)
    assert desk.engine.risk_view("Y").buying_power == desk.book.cash - reserved
    if given.order is OrderType.MARKET:
        view = figures.risk_view(desk.book, {}, "Y", is_ready=True)
        assert view.buying_power == desk.book.cash - entry_of(desk).qty * given.stop


@pytest.mark.parametrize(
    "given",
    [
        signal(LONG, "11", "10.5", "stop_limit", limit="10.4"),
        signal(SHORT, "9", "10", "stop_limit", limit="10"),
        signal(LONG, "11", "9", "stop_limit", limit="NaN"),
        signal(LONG, "11", "10.5", "market"),
        signal(LONG, "11", "9", "stop", target="11"),
        signal(LONG, "11", "9", "stop_limit", limit="11.5", target="11.5"),
        signal(LONG, "9.5", "9", "market", target="10"),
        signal(LONG, "11", "9", "stop", target="Infinity"),
        signal(SHORT, "9", "10", "limit", target="9"),
        signal(SHORT, "9", "10", "limit", target="0"),
    ],
)
def test_bad_risk(given: Signal) -> None:
    """Goal: the stop lies beyond every price at which the entry may fill, and the target too, on
    the other side. Method: each of them wrong by a little.
    """
    desk, facts = decided(given)
    assert not facts
    lane = desk.engine.lanes[0]
    ten = Decimal(10)
    candle = Candle("X", desk.now - 60, desk.now, ten, ten, ten, ten, 1, late=False)
    assert desk.engine.judge.consider(lane, candle, given, desk.now) == BAD_RISK


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (signal(LONG, "11", "9", "trailing_stop"), "one of stop, stop_limit, limit, market"),
        (signal(LONG, "11", "9", "stop")._replace(order="stap"), "one of stop, stop_limit"),  # type: ignore[arg-type]  # a mistake
        (signal(LONG, "11", "9", "stop", limit="11"), "a stop_limit order has a limit"),
        (signal(LONG, "11", "9", "stop_limit"), "a stop_limit order has a limit"),
        (signal(LONG, "11", "9", "limit")._replace(target=12.5), "gave the price 12.5"),  # type: ignore[arg-type]  # a mistake
    ],
)
def test_what_is_no_entry(given: Signal, words: str) -> None:
    """Goal: a type that opens no position and a limit too many or too few are the strategy's
    mistake, told with the remedy.
    """
    with pytest.raises(StrategyError, match=words):
        signaled(given)


def test_a_stop_limit_refused_for_the_market() -> None:
    """Goal: the second try of a stop-limit entry is the limit order it would have become."""
    desk = signaled(signal(LONG, "11", "9", "stop_limit", limit="11.02", target="12"))
    step = desk.hear(ev.OrderRefused(at=desk.now, order_id=ENTRY, code=CODE, message=WORDS))
    (request,) = sent(step)
    assert (request.order_id, request.type) == (LIMIT, OrderType.LIMIT)
    assert (request.limit_price, request.stop_price) == (Decimal("11.02"), None)
    assert desk.book.order(LIMIT).target == Decimal(12)
