"""What the daemon asks of the world: a broker, its market, and the way back in."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Protocol, TypeAlias

from algo_trader.core.broker import AccountState as AccountState
from algo_trader.core.broker import BrokerOrder as BrokerOrder
from algo_trader.core.broker import BrokerPosition as BrokerPosition
from algo_trader.core.broker import BrokerStatus as BrokerStatus
from algo_trader.core.broker import Execution as Execution
from algo_trader.core.commands import Command
from algo_trader.core.events import Report
from algo_trader.core.inputs import Input
from algo_trader.core.inputs import PastDay as PastDay
from algo_trader.core.types import ClientOrderId, Instant, Symbol, Word


class LineState(Word):
    """How a connection to the outside stands."""

    CONNECTING = "connecting"
    CONNECTED = "connected"
    LOST = "lost"
    """Gone, and tried again by itself."""
    REFUSED = "refused"
    """The other side will not have us: keys, plan, or another connection of the same account."""


TellLine: TypeAlias = Callable[[LineState, str], None]
"""Told each change of a connection's state, with the reason in words."""


class Inbox(Protocol):
    """The one way into the daemon's pump."""

    def put(self, item: Input) -> None:
        """Hand over an input; never waits, and raises if the pump has fallen behind for good."""
        ...

    async def settled(self) -> None:
        """Return when every input was processed and no command is in flight."""
        ...


class Broker(Protocol):
    """An account at a broker.

    Every method but `execute` is a question and may be asked again. Raises Unavailable when it
    certainly was not asked, Unanswered when the answer is missing.
    """

    async def account(self) -> AccountState:
        """The account now."""
        ...

    async def positions(self) -> Mapping[Symbol, BrokerPosition]:
        """Positions by symbol, none of them zero."""
        ...

    async def orders(self, known: Collection[ClientOrderId]) -> Sequence[BrokerOrder]:
        """Every open order, and those of `known` that the broker has, open or not."""
        ...

    async def order(self, order_id: ClientOrderId) -> BrokerOrder | None:
        """The order of that client_order_id, or None if the broker says that it has none."""
        ...

    async def execute(self, command: Command) -> Sequence[Report]:
        """Carry out a command; a refusal is a report.

        Unavailable: certainly nothing was sent. Unanswered, and any other error: it may have been.
        """
        ...


class Market(Protocol):
    """Where market time, bars and a broker's unasked updates come from."""

    @property
    def now(self) -> Instant:
        """Market time."""
        ...

    async def past(self) -> Sequence[PastDay]:
        """Bars before now, session by session, ascending; the last may be the present session.

        Unavailable or Unanswered if they cannot be had now.
        """
        ...

    async def run(self, inbox: Inbox) -> None:
        """Feed the inbox until there is nothing more to come."""
        ...
