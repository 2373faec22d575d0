"""Alpaca's account, positions and clock, read with tolerance."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from algo_trader.brokers.alpaca.wire import body_of, decimal_of, epoch_of, plain, rows_of, text_of
from algo_trader.core.broker import AccountState, BrokerPosition
from algo_trader.core.types import ZERO, Symbol

_BLOCKS = (
    ("trading_blocked", "trading is blocked"),
    ("account_blocked", "the account is blocked"),
    ("trade_suspended_by_user", "trading is suspended by its owner"),
)


class BrokerTime(NamedTuple):
    """The broker's clock in seconds since the epoch; the rest is None where it is not said."""

    now: float
    is_open: bool | None
    next_close: float | None


def account_of(value: object) -> AccountState | None:
    """The account, or None without its id, cash and buying power."""
    body = body_of(value)
    if body is None:
        return None
    name = text_of(body, "account_number") or text_of(body, "id")
    cash, buying_power = decimal_of(body, "cash"), decimal_of(body, "buying_power")
    if name is None or cash is None or buying_power is None:
        return None
    status = text_of(body, "status") or "unknown"
    reasons = [words for flag, words in _BLOCKS if body.get(flag) not in (None, False)]
    if status != "ACTIVE":
        reasons.append(f"the account's status is {plain(status)}")
    return AccountState(name, cash, buying_power, decimal_of(body, "equity"), ", ".join(reasons))


def positions_of(value: object) -> Mapping[Symbol, BrokerPosition] | None:
    """Positions by symbol, or None if one cannot be read: a list with a gap would say flat."""
    rows = rows_of(value)
    if rows is None or not isinstance(value, list) or len(rows) < len(value):
        return None
    found: dict[Symbol, BrokerPosition] = {}
    for row in rows:
        symbol, qty = text_of(row, "symbol"), decimal_of(row, "qty")
        if symbol is None or qty is None:
            return None
        if row.get("side") == "short":
            qty = -abs(qty)
        if qty:
            price = decimal_of(row, "avg_entry_price") or ZERO
            current = decimal_of(row, "current_price")
            found[symbol] = BrokerPosition(symbol, qty, price, current)
    return found


def time_of(value: object) -> BrokerTime | None:
    """The clock, or None if it does not say what time it is."""
    body = body_of(value)
    now = None if body is None else epoch_of(body, "timestamp")
    if body is None or now is None:
        return None
    is_open = body.get("is_open")
    return BrokerTime(
        now,
        is_open if isinstance(is_open, bool) else None,
        epoch_of(body, "next_close"),
    )
