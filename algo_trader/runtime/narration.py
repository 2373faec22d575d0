"""Facts in the words of the log: what happened to which symbol, under which decision.

`decision` is the one correlation id, from a signal to the trade that it led to.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

from algo_trader.core import events as ev
from algo_trader.core.book import EXTERNAL, Book
from algo_trader.core.pnl import Trade
from algo_trader.core.types import OrderType, Role
from algo_trader.runtime import Log

Told: TypeAlias = tuple[str, dict[str, Any]]
"""An event's name and its fields."""


class Narrator:
    """Tells the log about facts once they are recorded and in the book, and about each trade that
    they completed.
    """

    def __init__(self, log: Log) -> None:
        self._log = log
        self._closed: set[Trade] = set()
        """Trades of the session that were told."""

    def __call__(self, book: Book, facts: Sequence[ev.Fact]) -> None:
        """Tell the facts of one step."""
        for fact in facts:
            if isinstance(fact, ev.SessionOpened):
                self._closed.clear()
            told = describe(book, fact)
            if told is not None:
                self._log(told[0], **told[1])
            if isinstance(fact, ev.OrderFilled):
                for trade in _closed_by(book, fact):
                    if trade not in self._closed:
                        self._closed.add(trade)
                        name, fields = describe_trade(trade)
                        self._log(name, **fields)


def describe(book: Book, fact: ev.Fact) -> Told | None:
    """The event of a fact that is in the book, None for what another event tells."""
    told = _order_event(fact) if isinstance(fact, ev.OrderFact) else _other_event(book, fact)
    if told is None:
        return None
    name, fields = told
    if isinstance(fact, ev.OrderFact):
        fields = {**_order_fields(book, fact), **fields}
    return name, {"at": fact.at, **fields}


def describe_trade(trade: Trade) -> Told:
    """The event of a trade's closing."""
    return "trade_closed", {
        "at": trade.exit_at,
        "symbol": trade.symbol,
        "decision": trade.decision,
        "strategy": trade.strategy,
        "side": trade.side,
        "qty": trade.qty,
        "pnl": trade.pnl,
        "pnl_pct": trade.pnl_pct,
        "entry_price": trade.entry_price,
        "exit_price": trade.exit_price,
        "reason": trade.exit_reason,
        "duration_s": trade.duration_s,
    }


def _closed_by(book: Book, fact: ev.OrderFilled) -> list[Trade]:
    """The session's trades that a fill may have completed: of its symbol and second."""
    order = book.orders.get(fact.order_id)
    if order is None:
        return []
    return [
        trade
        for trade in book.day.trades
        if trade.exit_at == fact.at
        and trade.symbol == order.request.symbol
        and trade.strategy in (order.strategy, EXTERNAL)
    ]


def _order_fields(book: Book, fact: ev.OrderFact) -> dict[str, Any]:
    """What every event of an order tells; of an order long forgotten only its id is known."""
    order = book.orders.get(fact.order_id)
    if order is None:
        return {"order_id": fact.order_id}
    request = order.request
    fields: dict[str, Any] = {
        "symbol": request.symbol,
        "decision": order.decision,
        "order_id": fact.order_id,
        "role": order.role,
    }
    if isinstance(fact, ev.OrderSubmitting):
        price = request.stop_price if request.stop_price is not None else request.limit_price
        fields |= {"action": request.action, "type": request.type, "qty": request.qty}
        fields |= {} if price is None else {"price": price}
        if request.type is OrderType.STOP_LIMIT:
            fields |= {"limit": request.limit_price}
        fields |= {} if order.replaces is None else {"replaces": order.replaces}
        if order.role is Role.ENTRY:
            fields |= {"stop": order.stop_loss}
            fields |= {} if order.target is None else {"target": order.target}
    return fields


def _order_event(fact: ev.OrderFact) -> Told | None:
    match fact:
        case ev.OrderSubmitting():
            return "order_sent", {}
        case ev.OrderAccepted():
            return "order_accepted", {"broker_id": fact.broker_id}
        case ev.OrderRefused():
            return "order_refused", {"code": fact.code, "reason": fact.message}
        case ev.OutcomeUnknown():
            return "outcome_unknown", {"reason": fact.detail}
        case ev.OrderFilled():
            fields = {"qty": fact.qty, "price": fact.price, "cum_qty": fact.cum_qty}
            return "filled", fields | ({"commission": fact.commission} if fact.commission else {})
        case ev.CancelRequested():
            return "cancel_sent", {"reason": fact.reason}
        case ev.CancelRefused():
            return "cancel_refused", {"code": fact.code, "reason": fact.message}
        case ev.CancelUnanswered():
            return "cancel_unanswered", {"reason": fact.detail}
        case ev.OrderCanceled():
            return "canceled", {}
        case ev.OrderExpired():
            return "expired", {}
        case ev.OrderReplaced():
            return "replaced", {"replaced_by": fact.replaced_by}
        case ev.OrderAbandoned():
            return "abandoned", {"reason": fact.reason}
        case ev.StopEdited():
            fields = {"qty": fact.qty, "price": fact.price}
            return "stop_edited", {**fields, "broker_id": fact.broker_id}
    return None


def _other_event(book: Book, fact: ev.Fact) -> Told | None:
    match fact:
        case ev.SignalDecided():
            return _signal(fact)
        case ev.StopSet():
            return "stop_set", {**_holding_fields(book, fact), "price": fact.price}
        case ev.TargetSet():
            return "target_set", {**_holding_fields(book, fact), "price": fact.price}
        case ev.StopDeclined():
            return "stop_declined", _holding_fields(book, fact)
        case ev.ExitDecided():
            return "exit_decided", {**_holding_fields(book, fact), "reason": fact.reason}
        case ev.SharesAdopted():
            fields = {"symbol": fact.symbol, "side": fact.side, "qty": fact.qty}
            return "shares_adopted", {**fields, "price": fact.price}
        case ev.SharesGone():
            fields = {"symbol": fact.symbol, "side": fact.side, "qty": fact.qty}
            return "shares_gone", {**fields, "price": fact.price}
        case ev.CashAdjusted():
            return "cash_adjusted", {"amount": fact.amount, "cash": fact.cash}
        case ev.BarCorrected():
            fields = {"symbol": fact.symbol, "bar_at": fact.start, "close": fact.close}
            return "bar_corrected", fields
        case ev.LimitTripped():
            return "limit_tripped", {"rule": fact.rule}
        case ev.Halted():
            return "halted", {"reason": fact.reason}
        case ev.Resumed():
            return "resumed", {}
        case ev.Discrepancy():
            return "discrepancy", _discrepancy(book, fact)
        case ev.SessionOpened():
            return "session_opened", {"session": fact.session, "equity": fact.equity}
        case ev.AccountPinned():
            return "account_pinned", {"account": fact.account, "cash": fact.cash}
        case ev.SettingChanged():
            return "setting_changed", {"key": fact.key, "value": fact.value}
    return None


def _signal(fact: ev.SignalDecided) -> Told:
    fields: dict[str, Any] = {
        "symbol": fact.symbol,
        "decision": fact.decision,
        "strategy": fact.strategy,
        "side": fact.side,
        "entry": fact.entry,
        "stop": fact.stop,
    }
    if fact.order is not OrderType.STOP:
        fields["type"] = fact.order
    if fact.target is not None:
        fields["target"] = fact.target
    if fact.rule is not None:
        limit = {} if fact.limit is None else {"limit": fact.limit}
        return "signal_refused", {**fields, "rule": fact.rule, **limit}
    sizing = {} if fact.sizing is None else {"qty": fact.sizing.qty, "limit": fact.sizing.limit}
    return "signal_taken", {**fields, **sizing}


def _holding_fields(book: Book, fact: ev.HoldingFact) -> dict[str, Any]:
    holding = book.holdings.get((fact.strategy, fact.symbol))
    decision = {} if holding is None else {"decision": holding.decision}
    return {"symbol": fact.symbol, **decision, "strategy": fact.strategy}


def _discrepancy(book: Book, fact: ev.Discrepancy) -> dict[str, Any]:
    if fact.order_id is None:
        return {"reason": fact.detail}
    order = book.orders.get(fact.order_id)
    known = {}
    if order is not None:
        known = {"symbol": order.request.symbol, "decision": order.decision}
    return {**known, "order_id": fact.order_id, "reason": fact.detail}
