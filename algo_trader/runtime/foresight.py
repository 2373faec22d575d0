"""What reconciliation would record and do now, with nothing recorded and nothing sent.

Owns no rule of its own: it is the reconciliation of a start, its pump and its engine, on a book
folded from the ledger. Facts end in a list, commands too, and the broker is asked questions only.
What would follow from the answers to those commands is not foreseen.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from decimal import Decimal
from typing import NamedTuple

from algo_trader.core import commands as cmd
from algo_trader.core import events as ev
from algo_trader.core.book import Book
from algo_trader.core.broker import AccountState, BrokerOrder, BrokerPosition
from algo_trader.core.errors import Unavailable
from algo_trader.core.ports import Broker
from algo_trader.core.types import ClientOrderId, Instant, Symbol
from algo_trader.engine.engine import Engine
from algo_trader.engine.intake import Intake
from algo_trader.risk.limits import RiskLimits
from algo_trader.runtime.pump import Pump, PumpTerms
from algo_trader.runtime.reconcile import reconcile


class Foreseen(NamedTuple):
    """What would be recorded, and sent, in order."""

    records: Sequence[ev.Fact]
    commands: Sequence[cmd.Command]

    @property
    def agrees(self) -> bool:
        """Whether ledger and broker are of one mind."""
        return not (self.records or self.commands)


class Onlooker:
    """A broker that is asked and never told anything: commands are kept."""

    def __init__(self, broker: Broker) -> None:
        self.commands: list[cmd.Command] = []
        self._broker = broker
        self._unsent: set[ClientOrderId] = set()

    async def account(self) -> AccountState:
        """The broker's word."""
        return await self._broker.account()

    async def positions(self) -> Mapping[Symbol, BrokerPosition]:
        """The broker's word."""
        return await self._broker.positions()

    async def orders(self, known: Collection[ClientOrderId]) -> Sequence[BrokerOrder]:
        """The broker's word on those that it may know."""
        return await self._broker.orders([key for key in known if key not in self._unsent])

    async def order(self, order_id: ClientOrderId) -> BrokerOrder | None:
        """The broker's word, unless the order is one that would only now be sent."""
        if order_id in self._unsent:
            raise Unavailable(f"{order_id} was not sent")
        return await self._broker.order(order_id)

    async def execute(self, command: cmd.Command) -> Sequence[ev.Report]:
        """Nothing leaves, and nothing is answered."""
        self.commands.append(command)
        self._unsent.update(request.order_id for request in cmd.placed_by(command))
        return ()


async def foresee(
    book: Book,
    broker: Broker,
    now: Callable[[], Instant],
    stop_pct: Decimal,
    grace_s: float,
    *,
    is_open: bool = True,
) -> Foreseen:
    """Reconcile without consequences; `book` is then as it would be. While the market is not open,
    stops that work are neither moved nor taken away.

    Raises BrokerError when the broker cannot be asked, SafetyRefusal for another account. An order
    that the broker denies counts as absent at once, positions that differ must do so twice,
    `grace_s` apart.
    """
    onlooker = Onlooker(broker)
    engine = Engine(book, [], RiskLimits())
    engine.now = now()
    engine.is_ready = False
    if not is_open:
        engine.hands.rests_from = engine.now
    records: list[ev.Fact] = []

    async def keep(facts: Sequence[ev.Fact]) -> None:
        records.extend(facts)

    terms = PumpTerms(is_lockstep=False, settle_s=0, grace_s=grace_s)
    pump = Pump(engine, Intake(engine, stop_pct), onlooker, keep, terms, lambda facts: None)
    running = asyncio.create_task(pump.run())
    comparing = asyncio.create_task(
        reconcile(pump, onlooker, now, goes_on=lambda: not onlooker.commands)
    )
    try:
        await asyncio.wait((running, comparing), return_when=asyncio.FIRST_COMPLETED)
        for task in (running, comparing):  # A pump that has ended says why.
            if task.done():
                task.result()
    finally:
        for task in (running, comparing):
            task.cancel()
            with suppress(asyncio.CancelledError, Exception):
                await task
    return Foreseen(records, onlooker.commands)
