"""Frames of the data stream into bars, corrections, halts and words of the server.

Owns what a message must hold to be believed. Market data comes as floats; each becomes
Decimal(repr(x)) here and nowhere later, so that 171.3 is 171.3. Whatever is wrong with a message
costs that message alone: it is counted, told, and the others of its frame go on.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from decimal import Decimal
from typing import Any, NamedTuple, TypeAlias

import msgpack

from algo_trader.core.inputs import TradingHalt
from algo_trader.core.types import Bar, Instant, Symbol, Volume
from algo_trader.feeds.rows import DECIMALS_MOST, PRICE_BELOW, VOLUME_BELOW

TellBad: TypeAlias = Callable[[str, object], None]
"""Told each message that was not believed: what is wrong, and the message."""

NS = 1_000_000_000
MINUTE_NS = 60 * NS
PRICES_KEPT = 65_536
"""Floats whose Decimal is remembered: prices of a day repeat."""
HALTS = {"2": True, "H": True, "P": True, "3": False, "T": False}
"""Status codes that stop or resume trading; tapes A and B use the digits, C and O the letters.

P is a volatility pause. Q (quotes again, no trades yet) and all others change nothing.
"""
UNSOUND = "prices are not 0 < low <= open, close <= high, all of them finite"


class Word(NamedTuple):
    """What the server says about the connection: a success, an error's code, a subscription."""

    kind: str
    text: str
    code: int = 0
    bars: Sequence[Symbol] = ()


class Batch(NamedTuple):
    """What one frame held, each kind in its order."""

    bars: list[Bar]
    corrected: list[Bar]
    """Minutes that were told before, with the values they have now."""
    halts: list[TradingHalt]
    words: list[Word]


class Prices(dict[Any, Decimal]):
    """A market-data number to its Decimal, remembered: repr of a float is the slowest step.

    Equal keys are equal prices, so what is remembered is right whoever asked first. ValueError for
    more decimals than money is calculated with, TypeError for what is no number.
    """

    def __missing__(self, value: Any) -> Decimal:
        if type(value) is float:
            found = Decimal(repr(value))
        elif type(value) is int or type(value) is Decimal:
            found = Decimal(value)
        else:
            raise TypeError(f"{type(value).__name__} is no price")
        exponent = found.as_tuple().exponent
        if type(exponent) is not int or exponent < -DECIMALS_MOST:
            raise ValueError(f"not a finite number of at most {DECIMALS_MOST} decimal places")
        if len(self) >= PRICES_KEPT:
            self.clear()
        self[value] = found
        return found


class Reader:
    """Reads the frames of one subscription. `bad` counts by kind what was not believed."""

    def __init__(self, symbols: Sequence[Symbol], tell_bad: TellBad) -> None:
        self.bad: Counter[str] = Counter()
        self._known = {symbol: symbol for symbol in symbols}
        self._tell_bad = tell_bad
        self._prices = Prices()

    def read(self, frame: bytes | str) -> Batch:
        """What a frame holds; never raises."""
        batch = Batch([], [], [], [])
        for message in self._messages(frame):
            self._read(message, batch)
        return batch

    def _messages(self, frame: bytes | str) -> list[Any]:
        try:
            found = msgpack.unpackb(frame, timestamp=2)
        except Exception as error:  # noqa: BLE001 - a frame may hold anything
            self._refuse("frame", str(error) or type(error).__name__, frame)
            return list(salvaged(frame)) if isinstance(frame, bytes) else []
        if type(found) is list:
            return found
        if type(found) is dict:
            return [found]
        self._refuse("frame", "neither an array nor a message", found)
        return []

    def _read(self, message: Any, batch: Batch) -> None:
        try:
            kind = message["T"]
            if kind == "b":
                batch.bars.append(self._bar(message))
            elif kind == "u":
                batch.corrected.append(self._bar(message))
            elif kind == "s":
                is_halted = HALTS.get(message["sc"])
                if is_halted is not None:
                    batch.halts.append(TradingHalt(self._known[message["S"]], is_halted))
            elif kind == "error":
                batch.words.append(Word(kind, str(message["msg"]), int(message["code"])))
            elif kind == "success":
                batch.words.append(Word(kind, str(message["msg"])))
            elif kind == "subscription":
                batch.words.append(Word(kind, "", bars=tuple(message.get("bars") or ())))
        except Exception as error:  # noqa: BLE001 - a message may hold anything
            self._refuse("message", f"{type(error).__name__}: {error}", message)

    def _bar(self, message: Any) -> Bar:
        at, open_, high, low, close, volume = (
            message["t"],
            message["o"],
            message["h"],
            message["l"],
            message["c"],
            message["v"],
        )
        # NaN fails every comparison, infinity the last.
        if not (0 < low <= open_ <= high and low <= close <= high < PRICE_BELOW):
            raise ValueError(UNSOUND)
        if type(at) is not int or at % MINUTE_NS:
            raise ValueError("not on a whole minute")
        if type(volume) is not int:
            volume = whole_volume(volume)
        if not 0 <= volume < VOLUME_BELOW:
            raise ValueError("volume is negative or too large")
        prices = self._prices
        return Bar(
            self._known[message["S"]],
            at // NS,
            prices[open_],
            prices[high],
            prices[low],
            prices[close],
            volume,
        )

    def _refuse(self, kind: str, problem: str, message: object) -> None:
        self.bad[kind] += 1
        self._tell_bad(problem, message)


def whole_volume(value: Any) -> Volume:
    """A volume that did not come as an int; ValueError or TypeError for what is none."""
    if type(value) is float:
        return int(value) if value.is_integer() else Decimal(repr(value))
    if type(value) is Decimal:
        return int(value) if value == value.to_integral_value() else value
    if type(value) is int:
        return value
    raise TypeError(f"{type(value).__name__} is no volume")


def salvaged(frame: bytes) -> Iterator[Any]:
    """The messages of an array that can be read, where one of them spoils the whole."""
    try:
        head = _unpacker(frame)
        count = head.read_array_header()
        at = head.tell()
        for _ in range(count):
            here = _unpacker(frame[at:])
            here.skip()  # Looks at lengths alone, which a message that spoils may still have right.
            end = at + here.tell()
            try:
                message = _unpacker(frame[at:end]).unpack()
            except Exception:  # noqa: BLE001 - this is the one
                message = None
            if message is not None:
                yield message
            at = end
    except Exception:  # noqa: BLE001 - from here on nothing tells where a message begins
        return


def _unpacker(piece: bytes) -> Any:
    unpacker = msgpack.Unpacker(timestamp=2)
    unpacker.feed(piece)
    return unpacker


def bar_at(symbol: Symbol, start: Instant, row: Any, prices: Prices) -> Bar:
    """The bar of a REST row.

    LookupError, TypeError, ValueError or ArithmeticError for one that is none.
    """
    open_, high, low, close = (prices[row[name]] for name in ("o", "h", "l", "c"))
    if not (0 < low <= open_ <= high and low <= close <= high < PRICE_BELOW):
        raise ValueError(UNSOUND)
    volume = whole_volume(row["v"])
    if not 0 <= volume < VOLUME_BELOW:
        raise ValueError("volume is negative or too large")
    return Bar(symbol, start, open_, high, low, close, volume)
