"""The broker's own books: cash and net positions. No leverage; short proceeds are not spendable."""

from __future__ import annotations

from decimal import Decimal

from algo_trader.core.types import ZERO, Action, Symbol


class Account:
    """Cash in dollars; per symbol signed shares, their average entry price, short proceeds."""

    __slots__ = ("avg_entry", "cash", "positions", "short_proceeds")

    def __init__(self, cash: Decimal) -> None:
        self.cash = cash
        self.positions: dict[Symbol, Decimal] = {}
        self.avg_entry: dict[Symbol, Decimal] = {}
        self.short_proceeds: dict[Symbol, Decimal] = {}

    def qty(self, symbol: Symbol) -> Decimal:
        """Shares held, negative for a short position."""
        return self.positions.get(symbol, ZERO)

    def fill(
        self, symbol: Symbol, action: Action, qty: Decimal, price: Decimal, commission: Decimal
    ) -> None:
        """Book one execution."""
        before = self.qty(symbol)
        value = qty * price
        if action is Action.BUY:
            after = before + qty
            self.cash -= value + commission
        else:
            after = before - qty
            self.cash += value - commission
        self._book_short(symbol, before, after, price)
        if not after:
            self.positions.pop(symbol, None)
            self.avg_entry.pop(symbol, None)
            return
        self.positions[symbol] = after
        if before * after <= 0:  # Opened, or turned around: nothing of the old shares is left.
            self.avg_entry[symbol] = price
        elif abs(after) > abs(before):
            entered = self.avg_entry[symbol] * abs(before) + value
            self.avg_entry[symbol] = entered / abs(after)

    def _book_short(self, symbol: Symbol, before: Decimal, after: Decimal, price: Decimal) -> None:
        """Keep the proceeds of the shares that are short, by their average price."""
        if after >= 0:
            self.short_proceeds.pop(symbol, None)
        elif after < before:
            sold_short = min(before, ZERO) - after
            kept = self.short_proceeds.get(symbol, ZERO)
            self.short_proceeds[symbol] = kept + sold_short * price
        else:
            self.short_proceeds[symbol] *= after / before

    def spendable(self, marks: dict[Symbol, Decimal]) -> Decimal:
        """Cash less short proceeds and the cost to cover at the last closes, before orders."""
        free = self.cash
        for symbol, proceeds in self.short_proceeds.items():
            free -= proceeds - self.positions[symbol] * marks[symbol]
        return free
