"""What an account shows: orders, positions, itself, the stocks it may trade, its activities.

Nothing here changes anything. Answers are ready for JSON; errors are ApiFault.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from algo_trader.core.types import Symbol
from algo_trader.exchange import account_json as words
from algo_trader.exchange import activities as activity_words
from algo_trader.exchange.account_json import Yesterday
from algo_trader.exchange.blotter import Blotter
from algo_trader.exchange.errors import not_found
from algo_trader.exchange.ids import asset_id
from algo_trader.exchange.order_json import order_json
from algo_trader.venue.venue import Venue


class AccountView:
    """The readings of one account. `blocked` is why it may not trade, empty if it may."""

    account_number: str
    account_id: str
    created_at: float
    blocked: str
    symbols: tuple[Symbol, ...]
    venue: Venue
    blotter: Blotter
    yesterday: Yesterday

    # -- orders --

    def order(self, order_id: str, nested: bool = False) -> dict[str, Any]:
        """One order by its id."""
        return order_json(self.blotter.find(order_id), with_legs=nested)

    def order_by_client_id(self, client_order_id: str) -> dict[str, Any]:
        """One order by the client's name for it."""
        return order_json(self.blotter.find_by_client(client_order_id))

    def orders(
        self,
        status: str = "open",
        limit: int = 50,
        after: float | None = None,
        until: float | None = None,
        direction: str = "desc",
        nested: bool = False,
        symbols: Sequence[str] | None = None,
        side: str | None = None,
        before_order_id: str | None = None,
        after_order_id: str | None = None,
    ) -> list[dict[str, Any]]:
        """Orders by submission; status open, closed or all. Instants and ids are exclusive."""
        found = self.blotter.listing(
            status=status,
            limit=limit,
            after=after,
            until=until,
            is_descending=direction == "desc",
            nested=nested,
            symbols=symbols,
            side=side,
            before_order_id=before_order_id,
            after_order_id=after_order_id,
        )
        return [order_json(order, with_legs=nested) for order in found]

    # -- positions --

    def positions(self) -> list[dict[str, Any]]:
        """Every position, by symbol."""
        return [self.position(symbol) for symbol in sorted(self.venue.account.positions)]

    def position(self, symbol_or_asset_id: str) -> dict[str, Any]:
        """One position by symbol or asset id; ApiFault 404 if there is none."""
        symbol = self.symbol_of(symbol_or_asset_id)
        if symbol is None or not self.venue.account.qty(symbol):
            raise not_found("position does not exist")
        return words.position_json(self.venue, symbol, self.yesterday)

    # -- account and assets --

    def account(self) -> dict[str, Any]:
        """The account now."""
        return words.account_json(
            self.venue,
            self.yesterday,
            account_id=self.account_id,
            account_number=self.account_number,
            created_at=self.created_at,
            blocked=self.blocked,
        )

    def configurations(self) -> dict[str, Any]:
        """The account's settings."""
        return words.configurations_json(allow_short=self.venue.rules.allow_short)

    def assets(self) -> list[dict[str, Any]]:
        """Every stock that may be traded."""
        return [self.asset(symbol) for symbol in self.symbols]

    def asset(self, symbol_or_id: str) -> dict[str, Any]:
        """One stock by symbol or id; ApiFault 404 if it is not known."""
        symbol = self.symbol_of(symbol_or_id)
        if symbol is None:
            raise not_found(f"asset not found for {symbol_or_id}")
        return words.asset_json(symbol, is_shortable=self.venue.rules.allow_short)

    def activities(
        self,
        types: Sequence[str] | None = None,
        after: float | None = None,
        until: float | None = None,
        date: str | None = None,
        direction: str = "desc",
        page_size: int | None = None,
        page_token: str | None = None,
    ) -> list[dict[str, Any]]:
        """Activities by page; only FILL has rows."""
        return activity_words.page(
            self.blotter.executions,
            types=types,
            after=after,
            until=until,
            date=date,
            is_descending=direction == "desc",
            page_size=page_size,
            page_token=page_token,
        )

    def symbol_of(self, symbol_or_id: str) -> Symbol | None:
        """The symbol of a stock by symbol or asset id, None if it is not known."""
        for symbol in self.symbols:
            if symbol_or_id in (symbol, asset_id(symbol)):
                return symbol
        return None
