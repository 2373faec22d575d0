"""The ports of one incarnation, with a fuse in each: ledger, exchange's books, broker, market.

Behind them is the real thing. `Line` is the way to the broker, on which requests and answers are
lost, late and doubled as the plan of faults says.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from sim_world import Fault, World, role_of

from algo_trader.brokers.embedded.books import Books, Place
from algo_trader.brokers.embedded.exchange import EmbeddedExchange
from algo_trader.brokers.embedded.file import connect
from algo_trader.core import commands as cmd
from algo_trader.core import events as ev
from algo_trader.core.broker import AccountState, BrokerOrder, BrokerPosition
from algo_trader.core.errors import Unanswered, Unavailable
from algo_trader.core.types import ClientOrderId, Role, Symbol
from algo_trader.ledger.ledger import Ledger
from algo_trader.ledger.writer import Result, Writer
from algo_trader.simulation.fuse import Crash, Fuse
from algo_trader.simulation.loop import now
from algo_trader.venue.venue import Venue

Answer = TypeVar("Answer")


class DirectWriter(Writer):
    """The ledger without a thread of its own; an append takes a few turns of the loop."""

    def __init__(self, ledger: Ledger, fuse: Fuse, world: World) -> None:
        super().__init__(lambda: ledger)
        self._ledger = ledger
        self._fuse = fuse
        self._world = world

    async def start(self) -> None:
        """It is open."""

    async def append(self, facts: Sequence[ev.Fact]) -> None:
        """Commit, between two boundaries."""
        await asyncio.sleep(0)
        self._fuse.touch(f"before the commit of {_kinds(facts)}")
        self._ledger.append(facts)
        self._world.note_durable(facts)
        self._fuse.touch(f"after the commit of {_kinds(facts)}")
        await asyncio.sleep(0)

    async def run(self, closure: object) -> Result:
        """The closure's result."""
        assert callable(closure)
        result: Result = closure(self._ledger)
        return result


class FusedBooks(Books):
    """The exchange's books; every commit lies between two boundaries."""

    def __init__(self, path: Path, fuse: Fuse, world: World) -> None:
        super().__init__(path, connect(path))
        self._fuse = fuse
        self._world = world

    def move(self, place: Place) -> None:
        """Commit where the replay stands."""
        self._fuse.touch("before the exchange's move")
        super().move(place)
        self._fuse.touch("after the exchange's move")

    def book(
        self,
        place: Place,
        venue: Venue,
        reports: Sequence[ev.Report],
        requests: Sequence[ev.OrderRequest] = (),
    ) -> None:
        """Commit what the venue has reported."""
        self._fuse.touch(f"before the exchange's commit of {_kinds(reports)}")
        super().book(place, venue, reports, requests)
        for report in reports:
            order = self.order(report.order_id)
            if order is not None:
                self._world.versions.setdefault(order.order_id, []).append((now(), order))
        self._fuse.touch(f"after the exchange's commit of {_kinds(reports)}")


class Line:
    """core's Broker: the way to the exchange and back."""

    def __init__(self, exchange: EmbeddedExchange, fuse: Fuse, world: World) -> None:
        self._exchange = exchange
        self._fuse = fuse
        self._world = world
        self._carriers = [asyncio.create_task(self._carry(*item)) for item in world.on_the_wire]

    # -- requests --

    async def execute(self, command: cmd.Command) -> Sequence[ev.Report]:
        """Carry out a command, if it arrives."""
        word = f"{type(command).__name__} of {_role(command)}"
        self._fuse.touch(f"before {word}")
        self._world.note_sent(command)
        await asyncio.sleep(0)
        reports = await self._deliver(command)
        await asyncio.sleep(0)
        self._fuse.touch(f"after {word}")
        return reports

    async def _deliver(self, command: cmd.Command) -> Sequence[ev.Report]:
        plan, world = self._world.plan, self._world
        if plan is None:
            return await self._exchange.execute(command)
        sort, order_id = type(command).__name__, _order_of(command)
        world.attempts[sort, order_id] += 1
        attempt = world.attempts[sort, order_id]
        fault = plan.fault(sort, order_id, attempt, self._exchange.now)
        if fault is Fault.REFUSED and not await self._may_refuse(command):
            fault = Fault.NONE
        world.faults[f"{sort} {fault}"] += 1
        chance = plan.chance("delivery", sort, order_id, attempt)
        match fault:
            case Fault.NONE:
                return await self._exchange.execute(command)
            case Fault.UNSENT:
                raise Unavailable("the line is down")
            case Fault.REFUSED:
                return self._refusal(command)
            case Fault.NO_REPLY:
                await self._exchange.execute(command)
            case Fault.TWICE:
                await self._exchange.execute(command)
                return await self._exchange.execute(command)
            case Fault.LATE:
                # It is seen before a request's longest life is over, even if answers lag behind.
                due = now() + chance.uniform(0.1, plan.settle_s - plan.lag_s - 1)
                world.on_the_wire.append((due, command))
                self._carriers.append(asyncio.create_task(self._carry(due, command)))
        if chance.random() < 0.5:
            raise Unanswered("the answer is missing")
        await asyncio.Event().wait()
        raise AssertionError("silence has no end")

    async def _carry(self, due: float, command: cmd.Command) -> None:
        """Bring a late request to the broker; its answer reaches nobody."""
        await asyncio.sleep(due - now())
        if (due, command) in self._world.on_the_wire:
            self._world.on_the_wire.remove((due, command))
            try:
                await self._exchange.execute(command)
            except Unanswered:
                self._world.faults["late and a duplicate"] += 1
            except Crash:
                pass  # Of the broker's process, which is ours: its fuse tells.

    async def _may_refuse(self, command: cmd.Command) -> bool:
        """A broker refuses stops, moves and cancels; an order that it has it knows to be there."""
        if isinstance(command, cmd.Cancel):
            return True
        is_there = await self._exchange.order(_order_of(command)) is not None
        return _role(command) is Role.STOP and not is_there

    def _refusal(self, command: cmd.Command) -> Sequence[ev.Report]:
        at, why = self._exchange.now, "not now"
        if isinstance(command, cmd.Cancel):
            return (ev.CancelRefused(at=at, order_id=command.order_id, code=1, message=why),)
        return [
            ev.OrderRefused(at=at, order_id=request.order_id, code=1, message=why)
            for request in cmd.placed_by(command)
        ]

    # -- questions --

    async def account(self) -> AccountState:
        """The account now."""
        self._ask("account")
        return await self._told("account", await self._exchange.account())

    async def positions(self) -> Mapping[Symbol, BrokerPosition]:
        """Positions by symbol."""
        self._ask("positions")
        return await self._told("positions", await self._exchange.positions())

    async def orders(self, known: Collection[ClientOrderId]) -> Sequence[BrokerOrder]:
        """Open orders and those of `known`, as they were a while ago."""
        self._ask("orders")
        found = await self._exchange.orders(known)
        seen = [self._lagging(order) for order in found]
        return await self._told("orders", [order for order in seen if order is not None])

    async def order(self, order_id: ClientOrderId) -> BrokerOrder | None:
        """The order of that id, as it was a while ago."""
        self._ask("order")
        found = await self._exchange.order(order_id)
        return await self._told("order", None if found is None else self._lagging(found))

    def _ask(self, question: str) -> None:
        self._fuse.touch(f"before asking for {question}")
        plan, world = self._world.plan, self._world
        if plan is None or not plan.deaf_pct or self._exchange.now >= plan.until:
            return
        world.attempts["question", question] += 1
        attempt = world.attempts["question", question]
        if plan.chance("deaf", question, attempt).random() * 100 < plan.deaf_pct:
            world.faults["question without answer"] += 1
            raise Unanswered(f"no answer to the question for {question}")

    async def _told(self, question: str, answer: Answer) -> Answer:
        await asyncio.sleep(0)
        self._fuse.touch(f"after asking for {question}")
        return answer

    def _lagging(self, order: BrokerOrder) -> BrokerOrder | None:
        plan = self._world.plan
        if plan is None or not plan.lag_s:
            return order
        seen = [
            version
            for since, version in self._world.versions[order.order_id]
            if since <= now() - plan.lag_s
        ]
        self._world.faults["stale answer"] += not seen or seen[-1] != order
        return seen[-1] if seen else None


def _order_of(command: cmd.Command) -> ClientOrderId:
    """The order a command is about, of a pair the stop."""
    if isinstance(command, cmd.Cancel):
        return command.order_id
    return cmd.placed_by(command)[-1].order_id


def _role(command: cmd.Command) -> Role:
    return role_of(_order_of(command))


def _kinds(facts: Sequence[ev.Fact]) -> str:
    return ", ".join(dict.fromkeys(type(fact).__name__ for fact in facts))
