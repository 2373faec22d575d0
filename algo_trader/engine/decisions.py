"""The decision record: what a strategy saw, decided and did, candle by candle, in words.

Owns the words of events and lines (command line page, `backtest --decisions`; details page, "Words
and units"). It decides nothing; whoever wants the lines hands the engine a sink.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias

from algo_trader.core.book import EXPIRED, Book
from algo_trader.core.events import (
    Fact,
    OrderCanceled,
    OrderExpired,
    OrderFilled,
    OrderIntended,
    OrderRefused,
    SignalDecided,
    StopSet,
)
from algo_trader.core.holding import Holding
from algo_trader.core.orders import Order
from algo_trader.core.types import Candle, OrderType, Role, Symbol, iso, text, text_or_none
from algo_trader.strategies.base import CandleLabel

Event: TypeAlias = dict[str, Any]

FLAT = "FLAT"
PENDING = "PENDING"
IN = "IN"


class DecisionLine(NamedTuple):
    """One candle of one strategy and symbol, after it was processed."""

    strategy: str
    candle: Candle
    indicators: Any
    label: CandleLabel
    signal: str
    events: list[Event]
    holding: Holding


Sink: TypeAlias = Callable[[DecisionLine], None]


def state_of(holding: Holding) -> str:
    """FLAT, PENDING while an entry rests, IN while shares are held."""
    if holding.qty:
        return IN
    return PENDING if holding.entry is not None else FLAT


def event_of(book: Book, fact: Fact) -> tuple[tuple[str, Symbol], Event] | None:
    """The event a fact makes, with the holding it belongs to; asked before the fact is folded."""
    if isinstance(fact, OrderFilled):
        order = book.order(fact.order_id)
        return _key(order), _filled(book, order, fact)
    if isinstance(fact, OrderIntended):
        if fact.role is not Role.ENTRY or fact.expires_at is None or fact.stop_loss is None:
            return None
        request = fact.request
        placed: Event = {
            "type": "ENTRY_PLACED",
            "side": fact.side,
            "entry_stop": text_or_none(request.stop_price or request.limit_price),
            "stop_loss": text(fact.stop_loss),
            "qty": text(request.qty),
            "expires": iso(fact.expires_at),
        }
        if request.type is not OrderType.STOP:
            placed["order"] = request.type
        if request.type is OrderType.STOP_LIMIT:
            placed["limit"] = text_or_none(request.limit_price)
        if fact.target is not None:
            placed["target"] = text(fact.target)
        return (fact.strategy, request.symbol), placed
    if isinstance(fact, OrderCanceled | OrderExpired | OrderRefused):
        return _entry_ended(book.order(fact.order_id), fact)
    if isinstance(fact, StopSet):
        before = book.holding(fact.strategy, fact.symbol)
        if before.stop_price is None:
            return None
        moved = {"type": "STOP_MOVED", "from": text(before.stop_price), "to": text(fact.price)}
        return (fact.strategy, fact.symbol), {**moved, "side": before.side}
    if isinstance(fact, SignalDecided) and fact.rule is not None:
        refused: Event = {"type": "REFUSED", "side": fact.side, "rule": fact.rule}
        if fact.limit is not None:
            refused["limit"] = fact.limit
        return (fact.strategy, fact.symbol), refused
    return None


def _key(order: Order) -> tuple[str, Symbol]:
    return (order.strategy, order.request.symbol)


def _filled(book: Book, order: Order, fact: OrderFilled) -> Event:
    event: Event = {"side": order.side, "price": text(fact.price), "qty": text(fact.qty)}
    if order.role is Role.ENTRY:
        return {"type": "ENTRY_FILLED", **event}
    if order.role is Role.STOP:
        return {"type": "STOPPED_OUT", **event}
    if order.role is Role.TARGET:
        return {"type": "EXIT_TARGET", **event}
    reason = book.holdings[_key(order)].exit_reason
    return {"type": f"EXIT_{(reason or 'strategy').upper()}", **event}


def _entry_ended(
    order: Order, fact: OrderCanceled | OrderExpired | OrderRefused
) -> tuple[tuple[str, Symbol], Event] | None:
    """An entry that ended without (all of) its fills."""
    if order.role is not Role.ENTRY or not order.is_live:
        return None
    if isinstance(fact, OrderRefused):
        event: Event = {"type": "ENTRY_CANCELED", "reason": "REJECTED", "detail": fact.message}
    elif isinstance(fact, OrderExpired) or order.cancel_reason in (EXPIRED, None):
        event = {"type": "ENTRY_EXPIRED"}
    else:
        event = {"type": "ENTRY_CANCELED", "reason": order.cancel_reason}
    return _key(order), {**event, "side": order.side}


def as_json(line: DecisionLine) -> dict[str, Any]:
    """The line as the JSON object of `backtest --decisions`."""
    candle, holding, indicators = line.candle, line.holding, line.indicators
    state = state_of(holding)
    entry = holding.entry
    stop = holding.stop_price if state == IN else entry.stop_loss if entry else None
    fast = getattr(indicators, "sma_fast", None)
    slow = getattr(indicators, "sma_slow", None)
    entry_stop = entry.request.stop_price if state == PENDING and entry else None
    side = holding.side if state == IN else entry.side if entry else None
    return {
        "symbol": candle.symbol,
        "candle_start": iso(candle.start),
        "open": text(candle.open),
        "high": text(candle.high),
        "low": text(candle.low),
        "close": text(candle.close),
        "volume": text(candle.volume),
        "late": candle.late,
        "sma_fast": None if fast is None else text(fast),
        "sma_slow": None if slow is None else text(slow),
        "class": line.label.colour,
        "strong": line.label.strong,
        "signal": line.signal,
        "events": line.events,
        "state": state,
        "side": side,
        "stop": None if stop is None else text(stop),
        "entry_stop": None if entry_stop is None else text(entry_stop),
    }
