"""The account, its positions and the stocks it may trade, as the API shows them.

No margin: the multiplier is 1 and buying power is what the venue counts.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from algo_trader.core.types import ZERO, Action, Symbol, text
from algo_trader.exchange.ids import asset_id
from algo_trader.exchange.wire import rfc3339
from algo_trader.venue.venue import Venue

_FRACTION = Decimal("0.00000001")
_EXCHANGE = "NASDAQ"


@dataclass(slots=True)
class Yesterday:
    """How things stood when the session before ended: equity, closes, shares held over night."""

    equity: Decimal
    closes: dict[Symbol, Decimal] = field(default_factory=dict)
    qty: dict[Symbol, Decimal] = field(default_factory=dict)


def mark_of(venue: Venue, symbol: Symbol) -> Decimal:
    """The last price of a stock; what was paid for it where there is none."""
    bar = venue.last_bar.get(symbol)
    return bar.close if bar is not None else venue.account.avg_entry.get(symbol, ZERO)


def equity_of(venue: Venue) -> Decimal:
    """Cash and the worth of every position."""
    return venue.account.cash + sum(
        (qty * mark_of(venue, symbol) for symbol, qty in venue.account.positions.items()), ZERO
    )


def account_json(
    venue: Venue,
    yesterday: Yesterday,
    *,
    account_id: str,
    account_number: str,
    created_at: float,
    blocked: str,
) -> dict[str, Any]:
    """The account; no field of the abolished rules on day trading."""
    worths = [qty * mark_of(venue, symbol) for symbol, qty in venue.account.positions.items()]
    long_worth = sum((worth for worth in worths if worth > 0), ZERO)
    short_worth = sum((worth for worth in worths if worth < 0), ZERO)
    equity, power = text(equity_of(venue)), text(max(venue.buying_power, ZERO))
    margin = text(long_worth - short_worth)
    return {
        "id": account_id,
        "account_number": account_number,
        "status": "ACTIVE",
        "crypto_status": "INACTIVE",
        "currency": "USD",
        "cash": text(venue.account.cash),
        "buying_power": power,
        "regt_buying_power": power,
        "non_marginable_buying_power": power,
        "options_buying_power": "0",
        "equity": equity,
        "last_equity": text(yesterday.equity),
        "portfolio_value": equity,
        "long_market_value": text(long_worth),
        "short_market_value": text(short_worth),
        "position_market_value": margin,
        "initial_margin": margin,
        "maintenance_margin": margin,
        "last_maintenance_margin": "0",
        "sma": "0",
        "multiplier": "1",
        "accrued_fees": "0",
        "pending_transfer_in": "0",
        "pending_transfer_out": "0",
        "pending_reg_taf_fees": "0",
        "intraday_adjustments": "0",
        "balance_asof": rfc3339(created_at)[:10],
        "created_at": rfc3339(created_at),
        "trading_blocked": bool(blocked),
        "transfers_blocked": False,
        "account_blocked": False,
        "trade_suspended_by_user": False,
        "shorting_enabled": venue.rules.allow_short,
        "options_approved_level": 0,
        "options_trading_level": 0,
    }


def position_json(venue: Venue, symbol: Symbol, yesterday: Yesterday) -> dict[str, Any]:
    """A position that is there; quantity and worth of a short one are negative."""
    qty, entry = venue.account.qty(symbol), venue.account.avg_entry[symbol]
    mark = mark_of(venue, symbol)
    before = yesterday.closes.get(symbol, mark)
    base = before if yesterday.qty.get(symbol, ZERO) * qty > 0 else entry
    held = venue.books.reserved_qty(symbol, Action.SELL if qty > 0 else Action.BUY)
    free = max(abs(qty) - held, ZERO)
    gain, gain_today = (mark - entry) * qty, (mark - base) * qty
    return {
        "asset_id": asset_id(symbol),
        "symbol": symbol,
        "exchange": _EXCHANGE,
        "asset_class": "us_equity",
        "asset_marginable": True,
        "qty": text(qty),
        "qty_available": text(free if qty > 0 else -free),
        "avg_entry_price": text(entry),
        "side": "long" if qty > 0 else "short",
        "market_value": text(mark * qty),
        "cost_basis": text(entry * qty),
        "unrealized_pl": text(gain),
        "unrealized_plpc": _ratio(gain, abs(entry * qty)),
        "unrealized_intraday_pl": text(gain_today),
        "unrealized_intraday_plpc": _ratio(gain_today, abs(base * qty)),
        "current_price": text(mark),
        "lastday_price": text(before),
        "change_today": _ratio(mark - before, before),
    }


def asset_json(symbol: Symbol, *, is_shortable: bool) -> dict[str, Any]:
    """A stock that may be traded, in whole shares."""
    return {
        "id": asset_id(symbol),
        "class": "us_equity",
        "exchange": _EXCHANGE,
        "symbol": symbol,
        "name": f"{symbol} Common Stock",
        "status": "active",
        "tradable": True,
        "marginable": True,
        "shortable": is_shortable,
        "easy_to_borrow": is_shortable,
        "borrow_status": "easy_to_borrow" if is_shortable else "hard_to_borrow",
        "fractionable": False,
        "margin_requirement_long": "100",
        "margin_requirement_short": "100",
        "maintenance_margin_requirement": 100,
        "attributes": [],
    }


def configurations_json(*, allow_short: bool) -> dict[str, Any]:
    """The account's settings."""
    return {
        "no_shorting": not allow_short,
        "suspend_trade": False,
        "fractional_trading": False,
        "max_margin_multiplier": "1",
        "trade_confirm_email": "none",
        "ptp_no_exception_entry": False,
        "max_options_trading_level": 0,
        "disable_overnight_trading": True,
    }


def _ratio(part: Decimal, whole: Decimal) -> str:
    return text((part / whole).quantize(_FRACTION)) if whole else "0"
