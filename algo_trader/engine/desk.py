"""The desk: a strategy's signal and the state of the account into an entry order, or a refusal.

The only maker of entry orders, so that an unchecked one has no way out. Pure: it records nothing.
"""

from __future__ import annotations

from decimal import Decimal
from typing import NamedTuple

from algo_trader.core.events import OrderIntended, OrderRequest, SignalDecided, Sizing
from algo_trader.core.orders import Order
from algo_trader.core.prices import ceil_to_tick, floor_to_tick
from algo_trader.core.types import (
    HUNDRED,
    Candle,
    ClientOrderId,
    DecisionId,
    Instant,
    OrderType,
    Role,
    Side,
    TimeInForce,
    opening_action,
    utc,
)
from algo_trader.risk.limits import RiskLimits
from algo_trader.risk.rules import QTY_ZERO, RiskView, first_refusal
from algo_trader.risk.sizing import size
from algo_trader.strategies.base import Signal


class Decision(NamedTuple):
    """What the desk made of a signal: always a record, an order only when it was taken."""

    record: SignalDecided
    order: OrderIntended | None


def decision_id(account: str, strategy: str, candle: Candle) -> DecisionId:
    """The name of a decision: a function of who decides about which candle."""
    start = utc(candle.start).isoformat()[:16].replace("-", "").replace(":", "")
    return DecisionId(f"{account}-{strategy}-{candle.symbol}-{start}")


def order_id(decision: DecisionId, role: Role, number: int) -> ClientOrderId:
    """The client order id: deciding twice gives the same id, so it is deciding once."""
    return ClientOrderId(decision + "-" + role + f"-{number}")


def on_tick(signal: Signal) -> Signal:
    """Every price on its tick, rounded away from the market so that no buffer shrinks, and to the
    better side where it is a limit.
    """
    if signal.side is Side.LONG:
        dearer, cheaper = ceil_to_tick, floor_to_tick
    else:
        dearer, cheaper = floor_to_tick, ceil_to_tick
    is_limit = signal.order is OrderType.LIMIT
    rounded = signal._replace(
        entry=(cheaper if is_limit else dearer)(signal.entry), stop=cheaper(signal.stop)
    )
    if signal.limit is None and signal.target is None:
        return rounded
    limit, target = signal.limit, signal.target
    return rounded._replace(
        limit=None if limit is None else cheaper(limit),
        target=None if target is None else dearer(target),
    )


def is_bad_risk(signal: Signal, close: Decimal) -> bool:
    """BAD_RISK of the strategy page, section 4: the stop must lie beyond the entry, above zero.

    A stop-limit entry may fill anywhere between its two prices, a market entry fills near the last
    `close`. A target must lie beyond the entry on the other side.
    """
    entry, stop, target = signal.entry, signal.stop, signal.target
    if not (entry.is_finite() and stop.is_finite()):
        return True
    lowest = highest = entry
    other = _other_price(signal, close)
    if other is not None:
        if not other.is_finite():
            return True
        lowest, highest = min(entry, other), max(entry, other)
    if target is not None and not target.is_finite():
        return True
    if signal.side is Side.LONG:
        return not (0 < stop < lowest) or (target is not None and target <= highest)
    return not (lowest > 0 and highest < stop) or (
        target is not None and not 0 < target < lowest
    )


def _other_price(signal: Signal, close: Decimal) -> Decimal | None:
    """Where else than at its entry price a signal may be filled."""
    return close if signal.order is OrderType.MARKET else signal.limit


def _worst(signal: Signal, close: Decimal) -> tuple[Decimal, Decimal]:
    """The most a share may cost, and the most it may lose down to its stop."""
    entry, other = signal.entry, _other_price(signal, close)
    risk = abs(entry - signal.stop)
    if other is None:
        return entry, risk
    return max(entry, other), max(risk, abs(other - signal.stop))


def decide(
    signal: Signal,
    candle: Candle,
    view: RiskView,
    limits: RiskLimits,
    *,
    account: str,
    strategy: str,
    now: Instant,
    expires_at: Instant,
) -> Decision:
    """Check and size a signal whose prices are on their ticks."""
    rule = first_refusal(view, limits)
    sizing: Sizing | None = None
    limit: str | None = None
    if rule is None:
        price, risk_per_share = _worst(signal, candle.close)
        sizing = size(
            limits,
            equity=view.equity,
            buying_power=view.buying_power,
            price=price,
            risk_per_share=risk_per_share,
        )
        if sizing.qty < 1:
            rule, limit = QTY_ZERO, sizing.limit
    decision = decision_id(account, strategy, candle)
    record = SignalDecided(
        at=now,
        decision=decision,
        strategy=strategy,
        symbol=candle.symbol,
        side=signal.side,
        entry=signal.entry,
        stop=signal.stop,
        expires_at=expires_at,
        rule=rule,
        limit=limit,
        sizing=sizing,
        order=signal.order,
        entry_limit=signal.limit,
        target=signal.target,
    )
    if rule is not None or sizing is None:
        return Decision(record, None)
    return Decision(record, _entry(record, sizing.qty))


def as_limit(refused: Order, number: int, now: Instant, cap_pct: Decimal) -> OrderIntended:
    """The same entry as a limit order: the market is at its stop price already, or beyond.

    Rule (details page, "At a broker"): once, at most `cap_pct` per cent worse than the stop price,
    with the same expiry. A stop-limit order has its own limit.
    """
    old = refused.request
    stop = old.stop_price
    assert stop is not None
    if old.limit_price is not None:
        limit = old.limit_price
    elif refused.side is Side.LONG:
        limit = floor_to_tick(stop * (HUNDRED + cap_pct) / HUNDRED)
    else:
        limit = ceil_to_tick(stop * (HUNDRED - cap_pct) / HUNDRED)
    request = old._replace(
        order_id=order_id(refused.decision, Role.ENTRY, number),
        type=OrderType.LIMIT,
        limit_price=limit,
        stop_price=None,
    )
    return OrderIntended(
        at=now,
        decision=refused.decision,
        strategy=refused.strategy,
        side=refused.side,
        role=Role.ENTRY,
        request=request,
        expires_at=refused.expires_at,
        stop_loss=refused.stop_loss,
        target=refused.target,
    )


def _entry(record: SignalDecided, qty: Decimal) -> OrderIntended:
    kind = record.order
    has_stop = kind is OrderType.STOP or kind is OrderType.STOP_LIMIT
    request = OrderRequest(
        order_id(record.decision, Role.ENTRY, 1),
        record.symbol,
        opening_action(record.side),
        kind,
        TimeInForce.DAY,
        qty,
        record.entry if kind is OrderType.LIMIT else record.entry_limit,
        record.entry if has_stop else None,
    )
    return OrderIntended(
        at=record.at,
        decision=record.decision,
        strategy=record.strategy,
        side=record.side,
        role=Role.ENTRY,
        request=request,
        expires_at=record.expires_at,
        stop_loss=record.stop,
        target=record.target,
    )
