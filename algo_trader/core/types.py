"""The words everything else is said in: instants, ids, sides, order terms, bars and candles.

Instants are whole seconds since 1970-01-01T00:00:00Z (`Instant`). A count of seconds cannot be
naive and costs a bar nothing; `iso` and `utc` turn it into text or an aware datetime at the edges.
Prices, quantities and money are `Decimal`; a float never enters.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import NamedTuple, NewType, TypeAlias, TypeVar, dataclass_transform

Instant: TypeAlias = int
"""Whole seconds since the epoch, UTC."""

Symbol: TypeAlias = str
Volume: TypeAlias = int | Decimal
"""Shares traded: an int where it is whole, as nearly always."""
ClientOrderId = NewType("ClientOrderId", str)
"""Our name for an order: account-strategy-symbol-candle-role-n, a function of the decision."""
BrokerOrderId = NewType("BrokerOrderId", str)
DecisionId = NewType("DecisionId", str)
"""account-strategy-symbol-candle: one signal, its orders, fills and trade (the correlation id)."""

SYMBOL_PATTERN = re.compile(r"[A-Z][A-Z0-9.]{0,9}")
MINUTE = 60
ZERO = Decimal(0)
HUNDRED = Decimal(100)


class Word(StrEnum):
    """A word of a fixed vocabulary, hashed as the plain string it is (Enum's own hash is slow)."""

    __hash__ = str.__hash__


class Side(Word):
    """The side of the position an order serves; a long position's stop is still LONG."""

    LONG = "long"
    SHORT = "short"


class Action(Word):
    """What an order does at the broker."""

    BUY = "buy"
    SELL = "sell"


class Role(Word):
    """Why an order exists."""

    ENTRY = "entry"
    STOP = "stop"
    EXIT = "exit"
    TARGET = "target"


class OrderType(Word):
    """How an order is priced."""

    MARKET = "market"
    LIMIT = "limit"
    STOP = "stop"
    STOP_LIMIT = "stop_limit"
    TRAILING_STOP = "trailing_stop"


class TimeInForce(Word):
    """How long an order rests: to the session's close, until canceled, or not at all.

    IOC fills at once and its rest is canceled; FOK fills at once and whole, or not.
    """

    DAY = "day"
    GTC = "gtc"
    IOC = "ioc"
    FOK = "fok"


class ExitReason(Word):
    """Why a position was closed, as written in trades."""

    STOP_LOSS = "stop_loss"
    TARGET = "target"
    MAX_RUN = "max_run"
    END_OF_DAY = "end_of_day"
    STRATEGY = "strategy"
    OPERATOR = "operator"
    END_OF_DATA = "end_of_data"


Record = TypeVar("Record")


@dataclass_transform(frozen_default=True)
def record(cls: type[Record]) -> type[Record]:
    """A slotted record that the type checker holds immutable; its fields are read at full speed."""
    return dataclass(slots=True)(cls)


@record
class Bar:
    """One minute of trading. `start` is the minute's first second; a bar of volume 0 is a bar."""

    symbol: Symbol
    start: Instant
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Volume


class Candle(NamedTuple):
    """The bars of one window [start, end) of a session; `late` if its last minute is missing."""

    symbol: Symbol
    start: Instant
    end: Instant
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Volume
    late: bool

    @property
    def timestamp(self) -> datetime:
        """Start of the window as an aware UTC datetime."""
        return utc(self.start)


class Session(NamedTuple):
    """One trading session of the exchange: regular hours only, half-days included."""

    date: date
    opens_at: Instant
    closes_at: Instant

    @property
    def minutes(self) -> int:
        """Length of the session in minutes."""
        return (self.closes_at - self.opens_at) // MINUTE


def utc(instant: Instant) -> datetime:
    """The instant as an aware UTC datetime."""
    return datetime.fromtimestamp(instant, UTC)


def iso(instant: Instant) -> str:
    """The instant as ISO-8601 text in UTC, such as 2024-01-02T14:30:00Z."""
    return utc(instant).strftime("%Y-%m-%dT%H:%M:%SZ")


def text(value: Decimal | int) -> str:
    """The one text of a number: plain notation, no exponent, no trailing zeros."""
    if isinstance(value, int):
        return str(value)
    plain = format(value, "f")
    if "." in plain:
        plain = plain.rstrip("0").rstrip(".")
    return "0" if plain == "-0" else plain


def text_or_none(value: Decimal | None) -> str | None:
    """`text`, with None for a figure that is undefined."""
    return None if value is None else text(value)


def is_symbol(value: str) -> bool:
    """Whether `value` may name a stock: a capital, then up to nine capitals, digits or dots."""
    return SYMBOL_PATTERN.fullmatch(value) is not None


def opening_action(side: Side) -> Action:
    """The action that opens or adds to a position of this side."""
    return Action.BUY if side is Side.LONG else Action.SELL


def closing_action(side: Side) -> Action:
    """The action that reduces a position of this side."""
    return Action.SELL if side is Side.LONG else Action.BUY
