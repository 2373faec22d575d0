"""The account in an exchange's file, asked about while no exchange runs: core's Broker without a
market. It takes no commands.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from algo_trader.brokers.embedded.books import Books
from algo_trader.brokers.embedded.errors import ExchangeRefused
from algo_trader.core.broker import AccountState, BrokerOrder, BrokerPosition
from algo_trader.core.commands import Command
from algo_trader.core.errors import Unavailable
from algo_trader.core.events import Report
from algo_trader.core.types import ClientOrderId, Instant, Symbol


class KeptAccount:
    """What the books hold. ExchangeRefused if they hold no account."""

    def __init__(self, books: Books) -> None:
        saved = books.load()
        if saved is None:
            raise ExchangeRefused(f"{books.path} holds no account: `algo-trader start` opens one")
        self._books = books
        self._account_id = saved.account_id
        self._account = saved.account
        self.now: Instant = saved.place.now
        """Virtual time at which the exchange stands."""

    async def account(self) -> AccountState:
        """The account; its cash stands for its buying power."""
        cash = self._account.cash
        return AccountState(self._account_id, cash, cash)

    async def positions(self) -> Mapping[Symbol, BrokerPosition]:
        """Positions by symbol, none of them zero."""
        return {
            symbol: BrokerPosition(symbol, qty, self._account.avg_entry[symbol])
            for symbol, qty in self._account.positions.items()
        }

    async def orders(self, known: Collection[ClientOrderId]) -> Sequence[BrokerOrder]:
        """Every open order, and those of `known` that were accepted here, open or not."""
        return self._books.orders(known)

    async def order(self, order_id: ClientOrderId) -> BrokerOrder | None:
        """The order of that id, or None if there is none."""
        return self._books.order(order_id)

    async def execute(self, command: Command) -> Sequence[Report]:
        """Unavailable: nobody is there to carry it out."""
        raise Unavailable("the exchange is not running")
