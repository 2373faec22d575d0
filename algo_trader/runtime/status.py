"""What the daemon is doing now, as the JSON document of `status --json`.

Reads; changes nothing. Money, prices and quantities are text, times ISO-8601 UTC, unknown is null.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from decimal import Decimal
from enum import StrEnum
from typing import Any

from algo_trader.core import work
from algo_trader.core.broker import AccountState, BrokerOrder
from algo_trader.core.holding import Holding
from algo_trader.core.orders import Order
from algo_trader.core.types import Instant, Session, Side, iso, text
from algo_trader.engine.engine import Engine
from algo_trader.engine.lane import Lane
from algo_trader.runtime.cover import uncovered


class State(StrEnum):
    """Where the daemon stands."""

    STARTING = "starting"
    RECONCILING = "reconciling"
    WARMING_UP = "warming_up"
    TRADING = "trading"
    IDLE = "idle"
    HALTED = "halted"
    SHUTTING_DOWN = "shutting_down"


def figure(value: Decimal | None) -> str | None:
    """The text of a figure; null where it is unknown."""
    return None if value is None or not value.is_finite() else text(value)


def moment(instant: Instant | None) -> str | None:
    """The text of an instant, or null."""
    return None if instant is None else iso(instant)


def account(state: AccountState | None) -> dict[str, Any]:
    """The broker account as last told."""
    if state is None:
        return {}
    return {
        "id": state.account,
        "cash": text(state.cash),
        "buying_power": figure(state.buying_power),
        "equity": figure(state.equity),
        "blocked": state.blocked or None,
    }


def market(session: Session | None, now: Instant) -> dict[str, Any]:
    """The session that market time is in or was in last."""
    if session is None:
        return {"is_open": False, "session": None, "opens_at": None, "closes_at": None}
    return {
        "is_open": session.opens_at <= now < session.closes_at,
        "session": session.date.isoformat(),
        "opens_at": iso(session.opens_at),
        "closes_at": iso(session.closes_at),
    }


def strategies(lanes: Sequence[Lane]) -> list[dict[str, Any]]:
    """Each strategy on each symbol."""
    return [_strategy(lane) for lane in lanes]


def _strategy(lane: Lane) -> dict[str, Any]:
    last = lane.last_indicators
    if not lane.is_warm:
        standing = "warming_up"
    elif lane.holding.qty:
        standing = "in_position"
    elif lane.holding.entry is not None:
        standing = "entry_resting"
    else:
        standing = "watching"
    return {
        "name": lane.name,
        "symbol": lane.symbol,
        "status": standing,
        "bar_count": lane.candles,
        "sma_fast": figure(getattr(last, "sma_fast", None)),
        "sma_slow": figure(getattr(last, "sma_slow", None)),
    }


def positions(engine: Engine) -> list[dict[str, Any]]:
    """Every position, with its stop and what it is worth."""
    return [_position(engine, held) for held in engine.book.in_order() if held.qty]


def _position(engine: Engine, held: Holding) -> dict[str, Any]:
    mark = engine.marks.get(held.symbol)
    per_share = None if mark is None else mark - held.avg_entry_price
    if per_share is not None and held.side is Side.SHORT:
        per_share = -per_share
    return {
        "strategy": held.strategy,
        "symbol": held.symbol,
        "side": held.side,
        "qty": text(held.qty),
        "avg_entry_price": text(held.avg_entry_price),
        "stop_price": figure(held.stop_price),
        "target_price": figure(held.target_price),
        "opened_at": iso(held.opened_at),
        "last_price": figure(mark),
        "unrealized": None if per_share is None else figure(per_share * held.qty),
        "uncovered": text(work.uncovered(held)),
        "is_left_bare": held.is_left_bare,
    }


def open_orders(engine: Engine) -> list[dict[str, Any]]:
    """The orders that are live, as far as we know."""
    return [_order(order) for order in engine.book.orders.values() if order.is_live]


def unknown_orders(engine: Engine, in_flight: Collection[str]) -> list[dict[str, Any]]:
    """The orders whose answer is missing, but for those that wait for it at this moment."""
    found = work.unanswered(engine.book)
    return [_order(order) for order in found if order.order_id not in in_flight]


def foreign_orders(strangers: Iterable[BrokerOrder]) -> list[dict[str, Any]]:
    """Open orders at the broker that are not ours, or that the ledger does not know any more."""
    return [
        {
            "order_id": order.order_id,
            "broker_id": order.broker_id,
            "symbol": order.symbol,
            "action": order.action,
            "qty": text(order.qty),
            "stop_price": figure(order.stop_price),
        }
        for order in strangers
    ]


def _order(order: Order) -> dict[str, Any]:
    request = order.request
    return {
        "order_id": order.order_id,
        "broker_id": order.broker_id,
        "strategy": order.strategy,
        "symbol": request.symbol,
        "role": order.role,
        "action": request.action,
        "type": request.type,
        "qty": text(request.qty),
        "filled": text(order.qty_filled),
        "stop_price": figure(request.stop_price),
        "limit_price": figure(request.limit_price),
        "state": order.state,
        "expires_at": moment(order.expires_at),
    }


def uncovered_shares(engine: Engine) -> str:
    """Shares of all positions that no working stop covers."""
    return text(uncovered(engine.book))


def pnl(engine: Engine) -> dict[str, Any]:
    """The session's figures."""
    realized = engine.book.day.realized
    total = engine.day_pnl()
    return {
        "realized_today": text(realized),
        "unrealized": figure(total - realized),
        "equity": figure(engine.equity()),
    }


def risk(engine: Engine) -> dict[str, Any]:
    """What is left of the limits, and what stands in the way of new risk."""
    book = engine.book
    floor = engine.daily_loss_floor
    left = None if floor is None else engine.day_pnl() - floor
    return {
        "daily_loss_left": figure(left),
        "consecutive_losses": book.day.loss_streak,
        "halted_because": book.halted,
        "tripped": sorted(book.day.tripped),
        "is_ready": engine.is_ready,
    }
