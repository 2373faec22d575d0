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
    """Entry and stop on valid prices, rounded away from the market so that no buffer shrinks."""
    if signal.side is Side.LONG:
        return signal._replace(entry=ceil_to_tick(signal.entry), stop=floor_to_tick(signal.stop))
    return signal._replace(entry=floor_to_tick(signal.entry), stop=ceil_to_tick(signal.stop))


def is_bad_risk(signal: Signal) -> bool:
    """BAD_RISK of the strategy page, section 4: the stop must lie beyond the entry, above zero."""
    entry, stop = signal.entry, signal.stop
    if not (entry.is_finite() and stop.is_finite()):
        return True
    return not (0 < stop < entry if signal.side is Side.LONG else 0 < entry < stop)


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
        sizing = size(
            limits,
            equity=view.equity,
            buying_power=view.buying_power,
            price=signal.entry,
            risk_per_share=abs(signal.entry - signal.stop),
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
    )
    if rule is not None or sizing is None:
        return Decision(record, None)
    return Decision(record, _entry(record, sizing.qty))


def as_limit(refused: Order, number: int, now: Instant, cap_pct: Decimal) -> OrderIntended:
    """The same entry as a limit order: the market is at its stop price already, or beyond.

    Rule (details page, "At a broker"): once, at most `cap_pct` per cent worse than the stop price,
    with the same expiry.
    """
    old = refused.request
    stop = old.stop_price
    assert stop is not None
    if refused.side is Side.LONG:
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
    )


def _entry(record: SignalDecided, qty: Decimal) -> OrderIntended:
    request = OrderRequest(
        order_id(record.decision, Role.ENTRY, 1),
        record.symbol,
        opening_action(record.side),
        OrderType.STOP,
        TimeInForce.DAY,
        qty,
        None,
        record.entry,
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
    )
