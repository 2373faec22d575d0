"""Alpaca as core's Broker.

REST is the authority: what ends an order is its status, how much was filled its filled quantity.
The trade stream wakes us and brings executions early. An order that has ended is told of as ended
only when all its executions can be told with it, for what protects them is sized by then.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from functools import partial

from algo_trader.brokers.alpaca import reading
from algo_trader.brokers.alpaca.answers import Refusal, value_in
from algo_trader.brokers.alpaca.budget import RateBudget, Urgency
from algo_trader.brokers.alpaca.calls import Calls, Deadline
from algo_trader.brokers.alpaca.client import AlpacaClient, RestClient
from algo_trader.brokers.alpaca.clock import SteeredClock
from algo_trader.brokers.alpaca.commands import Commands
from algo_trader.brokers.alpaca.endpoints import Endpoints
from algo_trader.brokers.alpaca.finder import Finder
from algo_trader.brokers.alpaca.keys import Keys
from algo_trader.brokers.alpaca.orders import RestOrder
from algo_trader.brokers.alpaca.reading import BrokerTime
from algo_trader.brokers.alpaca.trade_update import TradeUpdate
from algo_trader.core.broker import AccountState, BrokerOrder, BrokerPosition, BrokerStatus
from algo_trader.core.commands import Command
from algo_trader.core.errors import Unanswered
from algo_trader.core.events import Report
from algo_trader.core.types import BrokerOrderId, ClientOrderId, Symbol

EXECUTE_S = 8.5
"""A command with its retries, and all that is asked about one order, takes no longer; the pump's
own patience is 10 seconds.
"""

SINGLE_QUESTIONS = 5
"""As many orders that are not open are asked for one by one; more of them by listing all orders."""



class AlpacaBroker:
    """One account at Alpaca, by REST. `clock` dates what is reported; `monotonic` is in seconds."""

    def __init__(
        self,
        client: RestClient,
        budget: RateBudget,
        clock: SteeredClock,
        *,
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        execute_s: float = EXECUTE_S,
    ) -> None:
        calls = Calls(client, budget, clock, sleep=sleep)
        self._client = client
        self._clock = clock
        self._finder = Finder(calls, clock, monotonic)
        self._limit = partial(Deadline, execute_s, monotonic)
        self._commands = Commands(calls, self._finder, clock, self._limit)

    @classmethod
    def open(
        cls, where: Endpoints, keys: Keys, budget: RateBudget, clock: SteeredClock
    ) -> AlpacaBroker:
        """The account that the keys belong to. Takes the better part of a second: the SDK is
        imported, and pandas with it. Nothing is sent.
        """
        return cls(AlpacaClient(where.trading, keys), budget, clock)

    @property
    def skew_s(self) -> float | None:
        """Seconds by which the broker's clock is ahead of ours, None until it was read."""
        return self._clock.skew_s

    async def close(self) -> None:
        """Cut off what is under way and end the threads."""
        await asyncio.to_thread(self._client.close)

    async def execute(self, command: Command) -> Sequence[Report]:
        """Carry out a command; a refusal is a report, and what is not proven is not reported."""
        return await self._commands.execute(command)

    def hear(self, update: TradeUpdate) -> ClientOrderId | None:
        """Remember an execution that the trade stream has told, and whose id is whose; our name
        for the order.
        """
        name = update.order_id
        if name is not None:
            name = self._finder.know(name, update.broker_id)
        if update.execution is not None:
            self._finder.fills.hear(update.broker_id, update.execution)
            self._finder.untold.hear(update.broker_id, update.execution.cum_qty)
        return name

    def is_mute(self, connected_at: float) -> bool:
        """Whether the trade stream, connected since that monotonic instant, has not told of fills
        that REST shows.
        """
        return self._finder.untold.is_mute(connected_at)

    async def account(self) -> AccountState:
        """The account now; `blocked` says in words why it may not open positions."""
        account = reading.account_of(await self._value("/account", Urgency.ENTRY))
        if account is None:
            raise Unanswered("GET /account: an account that cannot be read")
        return account

    async def positions(self) -> Mapping[Symbol, BrokerPosition]:
        """Positions by symbol, none of them zero."""
        positions = reading.positions_of(await self._value("/positions", Urgency.LOOKUP))
        if positions is None:
            raise Unanswered("GET /positions: positions that cannot be read")
        return positions

    async def read_clock(self) -> BrokerTime:
        """The broker's clock and session; steers ours by it."""
        answer = await self._finder.ask("/clock", None, Urgency.BACKGROUND)
        told = reading.time_of(value_in(answer, "GET /clock"))
        if told is None:
            raise Unanswered("GET /clock: a clock that cannot be read")
        self._clock.steer(told.now, answer.sent_at, answer.got_at)
        return told

    async def orders(self, known: Collection[ClientOrderId]) -> Sequence[BrokerOrder]:
        """Every open order, and those of `known` that are found, open or not.

        One of many that is missing may be older than the listing goes: `order` has the answer.
        """
        wanted = frozenset(known)
        found = self._kept(await self._finder.listing.open_orders(wanted))
        for order in list(found.values()):
            if order.status is BrokerStatus.REPLACED:  # Listed for the sake of a leg.
                found[order.broker_id] = await self._finder.current(order)
        missing = wanted - {order.order_id for order in found.values()}
        if len(missing) <= SINGLE_QUESTIONS:
            for order_id in sorted(missing):
                one = await self._finder.find(order_id)
                if not isinstance(one, Refusal):
                    found[one.broker_id] = one
        else:
            for order in self._kept(await self._finder.listing.past_orders(missing)).values():
                if order.order_id in missing:
                    order = await self._finder.current(order)
                found[order.broker_id] = order
        chosen = [
            order
            for order in found.values()
            if order.status is BrokerStatus.OPEN or order.order_id in wanted
        ]
        await self._finder.complete(chosen)
        return [self._finder.worded(order) for order in chosen]

    def _kept(self, found: Mapping[BrokerOrderId, RestOrder]) -> dict[BrokerOrderId, RestOrder]:
        return {broker_id: self._finder.keep(order) for broker_id, order in found.items()}

    async def order(self, order_id: ClientOrderId) -> BrokerOrder | None:
        """The order of that client_order_id; None on the broker's own word that it has none."""
        deadline = self._limit()
        found = await self._finder.find(order_id, deadline)
        if isinstance(found, Refusal):
            return None
        await self._finder.complete([found], deadline)
        return self._finder.worded(found)

    async def _value(self, path: str, urgency: Urgency) -> object:
        return value_in(await self._finder.ask(path, None, urgency), f"GET {path}")
