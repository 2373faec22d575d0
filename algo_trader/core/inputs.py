"""What a driver may tell the engine: the inputs of the details page, "How it is driven".

An input says what happened outside; the engine answers with facts to record and commands to send.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import NamedTuple, TypeAlias

from algo_trader.core.broker import AccountState, BrokerOrder, BrokerPosition
from algo_trader.core.events import Report
from algo_trader.core.types import Bar, ClientOrderId, ExitReason, Instant, Session, Symbol


class SessionOpens(NamedTuple):
    """A session of the exchange begins."""

    session: Session


class Clock(NamedTuple):
    """Market time has reached `now`; in a replay the minute that starts now is about to trade."""

    now: Instant


class Minute(NamedTuple):
    """The minute that began at `start` is over and these are its bars, by symbol; maybe none."""

    start: Instant
    bars: Sequence[Bar]


class Reports(NamedTuple):
    """A broker's answers or updates, in their order."""

    reports: Sequence[Report]


class CloseAll(NamedTuple):
    """Every position is to be closed and every resting entry canceled."""

    reason: ExitReason


class Halt(NamedTuple):
    """An operator wants no new risk until he resumes."""

    reason: str


class Resume(NamedTuple):
    """An operator clears the halt."""


class Pinned(NamedTuple):
    """The broker account that answered when the daemon connected."""

    account: AccountState


class Truths(NamedTuple):
    """The broker's own word on orders; None is its proof that it has no such order.

    A command for those that are `busy` is under way, of which this word may not know.
    """

    orders: Mapping[ClientOrderId, BrokerOrder | None]
    busy: frozenset[ClientOrderId] = frozenset()


class Strangers(NamedTuple):
    """Open orders at the broker that the book does not know."""

    orders: Sequence[BrokerOrder]


class Positions(NamedTuple):
    """The broker's own word on every position it holds for the account."""

    positions: Mapping[Symbol, BrokerPosition]


class PastDay(NamedTuple):
    """A session, or its beginning, as bars minute by minute from its open."""

    session: Session
    minutes: Sequence[Sequence[Bar]]


class History(NamedTuple):
    """What the market did before `now`: rebuild averages, candles and strategies from it.

    `days` ascend; the last may be the present session as far as it has come.
    """

    days: Sequence[PastDay]
    now: Instant


class Readiness(NamedTuple):
    """Whether new risk may be taken at all: reconciled, warmed up, streams fresh."""

    is_ready: bool


class CancelEntries(NamedTuple):
    """Nothing may rest that could open a position."""

    reason: str


class SettingChange(NamedTuple):
    """An operator overrides a setting; None ends the override. Checked before it comes here."""

    key: str
    value: str | None


class Balance(NamedTuple):
    """The broker's own word on the account's cash, when nothing is under way."""

    cash: Decimal


class Funds(NamedTuple):
    """What new orders may cost by the broker's own word, its resting orders taken off."""

    buying_power: Decimal


class Correction(NamedTuple):
    """A past minute as the market tells it now: corrected, late, or out of order.

    It changes the averages from the next candle on, and nothing that was decided.
    """

    bar: Bar


class TradingHalt(NamedTuple):
    """The exchange has stopped or resumed trading in a symbol."""

    symbol: Symbol
    is_halted: bool


class Prices(NamedTuple):
    """What held shares trade at by the broker's word, for symbols whose bars nobody brings."""

    prices: Mapping[Symbol, Decimal]


class Settle(NamedTuple):
    """Look at every holding once more: what is left to do may depend on time alone.

    `now` is the time, 0 for the one that is known.
    """

    now: Instant = 0


Input: TypeAlias = (
    SessionOpens
    | Clock
    | Minute
    | Reports
    | CloseAll
    | Halt
    | Resume
    | Pinned
    | Truths
    | Strangers
    | Positions
    | History
    | Readiness
    | CancelEntries
    | SettingChange
    | Balance
    | Funds
    | Correction
    | TradingHalt
    | Prices
    | Settle
)
