"""What a ledger answers about orders, trades and positions, as the objects that are printed.

The same answer whoever asks: the command line reads a file that nobody holds, a daemon answers for
its own (on the ledger's thread). Money, prices and quantities are canonical text, times ISO-8601 in
UTC. Imports no database: whoever only passes an answer on need not load one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from algo_trader.core.book import Book
from algo_trader.core.errors import ConfigError
from algo_trader.core.holding import Holding
from algo_trader.core.pnl import trade_json
from algo_trader.core.types import Symbol, is_symbol, iso, text, text_or_none

if TYPE_CHECKING:  # It brings the database.
    from algo_trader.ledger.ledger import Ledger
    from algo_trader.ledger.records import OrderRecord

LIMIT_MOST = 2**31 - 1


class Filters(NamedTuple):
    """Which rows are wanted: of a symbol, since a date, the latest so many; None for all.

    `since` is a session date, compared with the UTC date of the order's intent, the trade's exit or
    the position's opening. A regular session lies within the UTC date of its name; what happens
    after 19:00 (in summer 20:00) of New York counts with the next.
    """

    symbol: Symbol | None = None
    since: date | None = None
    limit: int | None = None

    def as_json(self) -> dict[str, Any]:
        """The body of a request; `filters` reads it."""
        since = None if self.since is None else self.since.isoformat()
        return {"symbol": self.symbol, "since": since, "limit": self.limit}


def filters(said: Mapping[str, Any]) -> Filters:
    """The filters of a request's body; ConfigError names what is wrong with it."""
    unknown = said.keys() - set(Filters._fields)
    if unknown:
        raise ConfigError(f"unknown fields {sorted(unknown)}; known: {', '.join(Filters._fields)}")
    symbol, since, limit = (said.get(name) for name in Filters._fields)
    if symbol is not None and not (isinstance(symbol, str) and is_symbol(symbol)):
        raise ConfigError(
            f"symbol is {symbol!r}, not a stock symbol: capitals, digits and dots, such as AAPL"
        )
    if limit is not None and not (type(limit) is int and 1 <= limit <= LIMIT_MOST):
        raise ConfigError(f"limit is {limit!r}: give a whole number from 1")
    try:
        day = None if since is None else date.fromisoformat(since)
    except (TypeError, ValueError):
        raise ConfigError(f"since is {since!r}: write a date as 2024-01-31") from None
    return Filters(symbol, day, limit)


def answer(ledger: Ledger, kind: str, wanted: Filters) -> dict[str, list[dict[str, Any]]]:
    """The answer of a kind in KINDS: one object with the kind as its key."""
    return KINDS[kind](ledger, wanted)


def orders(ledger: Ledger, wanted: Filters) -> dict[str, list[dict[str, Any]]]:
    """The orders, in order of intent."""
    return {"orders": [_order(found) for found in ledger.orders(*wanted)]}


def trades(ledger: Ledger, wanted: Filters) -> dict[str, list[dict[str, Any]]]:
    """The trades, in order of closing: the objects of `backtest --json` and their strategy."""
    found = (record.trade for record in ledger.trades(*wanted))
    return {"trades": [{**trade_json(trade), "strategy": trade.strategy} for trade in found]}


def positions(ledger: Ledger, wanted: Filters) -> dict[str, list[dict[str, Any]]]:
    """The open positions, by symbol, then strategy. Of more than the limit, the last opened."""
    return {"positions": held(ledger.own_book(), wanted)}


def held(
    book: Book,
    wanted: Filters = Filters(),  # noqa: B008 - it is frozen
) -> list[dict[str, Any]]:
    """The open positions of a book; `cover` are the stops that protect one, working or sent."""
    found: Iterable[Holding] = (
        holding
        for holding in book.in_order()
        if holding.qty
        and wanted.symbol in (None, holding.symbol)
        and (wanted.since is None or _utc_date(holding.opened_at) >= wanted.since)
    )
    if wanted.limit is not None:
        latest = sorted(found, key=lambda holding: holding.opened_at)[-wanted.limit :]
        found = sorted(latest, key=lambda holding: (holding.symbol, holding.strategy))
    return [_position(holding) for holding in found]


KINDS: Mapping[str, Callable[[Ledger, Filters], dict[str, list[dict[str, Any]]]]] = {
    "orders": orders,
    "trades": trades,
    "positions": positions,
}
"""What can be asked for, by name."""


def _order(order: OrderRecord) -> dict[str, Any]:
    return {
        "order_id": order.order_id,
        "broker_id": order.broker_id,
        "decision": order.decision,
        "strategy": order.strategy,
        "symbol": order.symbol,
        "side": order.side,
        "role": order.role,
        "action": order.action,
        "type": order.type,
        "time_in_force": order.time_in_force,
        "qty": text(order.qty),
        "limit_price": text_or_none(order.limit_price),
        "stop_price": text_or_none(order.stop_price),
        "stop_loss": text_or_none(order.stop_loss),
        "expires_at": None if order.expires_at is None else iso(order.expires_at),
        "state": order.state,
        "qty_filled": text(order.qty_filled),
        "avg_fill_price": text_or_none(order.avg_fill_price),
        "parent_id": order.parent_id,
        "replaces": order.replaces,
        "replaced_by": order.replaced_by,
        "cancel_reason": order.cancel_reason,
        "submit_attempts": order.submit_attempts,
        "last_error": order.last_error,
        "created_at": iso(order.created_at),
        "updated_at": iso(order.updated_at),
    }


def _position(holding: Holding) -> dict[str, Any]:
    return {
        "strategy": holding.strategy,
        "symbol": holding.symbol,
        "side": holding.side,
        "qty": text(holding.qty),
        "avg_entry_price": text(holding.avg_entry_price),
        "stop_price": text_or_none(holding.stop_price),
        "opened_at": iso(holding.opened_at),
        "cover": [
            {
                "order_id": stop.order_id,
                "qty": text(stop.qty_open),
                "stop_price": text_or_none(stop.request.stop_price),
                "state": stop.state,
            }
            for stop in holding.stops
        ],
    }


def _utc_date(instant: int) -> date:
    return datetime.fromtimestamp(instant, UTC).date()
