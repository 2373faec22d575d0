"""Frames of the data stream: what is believed, and that one bad message costs only itself.

Goal: exact decimals, quarantine of what is no bar, no frame that raises. Method: frames packed as
the server packs them, with one thing wrong in each.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgpack
import pytest
from feed_kit import OPENS, SYMBOLS, bar, wire
from hypothesis import given
from hypothesis import strategies as st

from algo_trader.core.inputs import TradingHalt
from algo_trader.core.types import Bar
from algo_trader.feeds.alpaca.messages import PRICES_KEPT, Prices, Reader, Word

NAN, INF = float("nan"), float("inf")


class Bad:
    """What was not believed."""

    def __init__(self) -> None:
        self.problems: list[str] = []

    def __call__(self, problem: str, message: object) -> None:
        """Take one."""
        self.problems.append(problem)


def reader() -> tuple[Reader, Bad]:
    """A reader of AAPL and SPY."""
    bad = Bad()
    return Reader(SYMBOLS, bad), bad


def test_floats_become_the_decimals_they_are_written_as() -> None:
    """Goal: 171.3 is 171.3 and never 171.30000000000001136868; volumes stay whole. Method: prices
    whose binary value has a long tail.
    """
    read, bad = reader()
    given_: dict[str, Any] = {"o": 171.3, "h": 171.31, "l": 0.1, "c": 171.29, "v": 1234}
    frame = msgpack.packb([wire(bar(1), **given_)])
    expected = Bar(
        "AAPL", OPENS[2] + 60, Decimal("171.3"), Decimal("171.31"), Decimal("0.1"),
        Decimal("171.29"), 1234,
    )  # fmt: skip
    found = read.read(frame).bars
    assert found == [expected]
    assert type(found[0].volume) is int
    assert str(found[0].open) == "171.3"
    assert not bad.problems


def test_whole_prices_and_fractional_volumes() -> None:
    """Goal: an int where a float is usual, 100.0 shares and 0.5 shares are all taken exactly."""
    read, _ = reader()
    whole: dict[str, Any] = {"o": 100, "h": 101, "l": 99, "c": 100}
    frame = msgpack.packb([wire(bar(1), **whole, v=100.0), wire(bar(2), **whole, v=0.5)])
    first, second = read.read(frame).bars
    assert first.open == 100
    assert (first.volume, second.volume) == (100, Decimal("0.5"))
    assert type(first.volume) is int


BROKEN: dict[str, object] = {
    "NaN": wire(bar(1), c=NAN),
    "all NaN": wire(bar(1), o=NAN, h=NAN, l=NAN, c=NAN),
    "infinite": wire(bar(1), h=INF),
    "null": wire(bar(1), o=None),
    "zero": wire(bar(1), l=0.0),
    "negative": wire(bar(1), l=-1.0),
    "open above high": wire(bar(1), o=100.6),
    "close below low": wire(bar(1), c=100.4),
    "high below low": wire(bar(1), h=100.4, o=100.4, c=100.4),
    "too fine": wire(bar(1), l=1e-16),
    "too large": wire(bar(1), h=1e12),
    "text price": wire(bar(1), o="100.5"),
    "list price": wire(bar(1), o=[1]),
    "negative volume": wire(bar(1), v=-1),
    "NaN volume": wire(bar(1), v=NAN),
    "null volume": wire(bar(1), v=None),
    "true volume": wire(bar(1), v=True),
    "not on a minute": wire(bar(1), t=msgpack.Timestamp(OPENS[2] + 61)),
    "a nanosecond late": wire(bar(1), t=msgpack.Timestamp(OPENS[2] + 60, 1)),
    "text time": wire(bar(1), t="2024-07-02T13:31:00Z"),
    "float time": wire(bar(1), t=float(OPENS[2])),
    "unknown symbol": wire(bar(1, "MSFT")),
    "list symbol": wire(bar(1), S=["AAPL"]),
    "no prices": {"T": "b", "S": "AAPL"},
    "no kind": {"S": "AAPL"},
    "no message": 7,
    "null message": None,
    "an error without a code": {"T": "error", "msg": "?"},
    "a status without a code": {"T": "s", "S": "AAPL"},
    "a halt of an unknown symbol": {"T": "s", "S": "MSFT", "sc": "H"},
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_poisoned_message_costs_itself_alone(name: str) -> None:
    """Goal: D6 and "batch with one poisoned message": it is counted and told, the others of its
    frame are fed. Method: it stands between two good bars.
    """
    read, bad = reader()
    frame = msgpack.packb([wire(bar(1)), BROKEN[name], wire(bar(2, "SPY"))])
    assert read.read(frame).bars == [bar(1), bar(2, "SPY")]
    assert len(bad.problems) == sum(read.bad.values()) == 1


POISON = {
    "text that is no UTF-8": b"\x81\xa1S\xa2\xff\xfe",
    "a timestamp of three bytes": b"\x81\xa1t\xc7\x03\xff\x00\x00\x00",
    "a number as key": b"\x81\x01\x02",
}


@pytest.mark.parametrize("name", POISON)
def test_a_message_that_spoils_the_decoding_of_its_frame(name: str) -> None:
    """Goal: what the decoder refuses as a whole is read message by message. Method: raw bytes
    between two good bars.
    """
    read, bad = reader()
    packed = [msgpack.packb(wire(bar(1))), POISON[name], msgpack.packb(wire(bar(2)))]
    assert read.read(b"\x93" + b"".join(packed)).bars == [bar(1), bar(2)]
    assert len(bad.problems) == 1


@pytest.mark.parametrize(
    "frame",
    [b"", b"\xc1", b"[]", "[]", b"\x93\x01", b"\x07", b"\xc0", b"\xdd\xff\xff\xff\xff"],
    ids=repr,
)  # fmt: skip
def test_a_malformed_frame_is_counted_and_passed_over(frame: bytes | str) -> None:
    """Goal: "malformed frame": no error, nothing fed."""
    read, bad = reader()
    assert read.read(frame).bars == []
    assert bad.problems


def test_what_came_before_a_frame_was_cut_is_kept() -> None:
    """Goal: a frame cut in its second message still gives the first."""
    read, bad = reader()
    frame = msgpack.packb([wire(bar(1)), wire(bar(2))])
    assert read.read(frame[:-20]).bars == [bar(1)]
    assert len(bad.problems) == 1


@given(st.binary(max_size=200))
def test_no_bytes_raise(noise: bytes) -> None:
    """Goal: whatever comes, reading returns. Method: random bytes, alone and behind a good bar."""
    read, _ = reader()
    read.read(noise)
    read.read(b"\x92" + msgpack.packb(wire(bar(1))) + noise)


@pytest.mark.parametrize(
    ("code", "is_halted"),
    [("2", True), ("3", False), ("H", True), ("P", True), ("T", False), ("Q", None), ("5", None),
     ("E", None), ("F", None), ("new", None)],
)  # fmt: skip
def test_halt_codes(code: str, is_halted: bool | None) -> None:
    """Goal: codes of all tapes that stop or resume trading; others change nothing."""
    read, bad = reader()
    frame = msgpack.packb([{"T": "s", "S": "SPY", "sc": code, "sm": "", "rc": "", "z": "C"}])
    expected = [] if is_halted is None else [TradingHalt("SPY", is_halted)]
    assert read.read(frame).halts == expected
    assert not bad.problems


def test_corrected_bars_words_and_unknown_kinds() -> None:
    """Goal: updatedBars apart from bars; errors and subscriptions as words; new kinds ignored."""
    read, bad = reader()
    frame = msgpack.packb(
        [
            wire(bar(1), "u"),
            {"T": "error", "code": 406, "msg": "connection limit exceeded"},
            {"T": "subscription", "bars": ["AAPL"], "lulds": []},
            wire(bar(1), "d"),
            {"T": "x-new", "S": "AAPL"},
        ]
    )
    found = read.read(frame)
    assert (found.bars, found.corrected) == ([], [bar(1)])
    assert found.words == [
        Word("error", "connection limit exceeded", 406),
        Word("subscription", "", bars=("AAPL",)),
    ]
    assert not bad.problems


@given(st.floats(min_value=1e-4, max_value=1e6))
def test_remembered_prices_are_right(value: float) -> None:
    """Goal: the table gives what Decimal(repr(x)) gives, first time and later."""
    prices = Prices()
    expected = Decimal(repr(value))
    if -int(expected.as_tuple().exponent) > 15:
        with pytest.raises(ValueError, match="decimal places"):
            prices[value]
        return
    assert prices[value] == prices[value] == expected


def test_the_table_of_prices_is_bounded() -> None:
    """Goal: a year of prices does not fill the memory."""
    prices = Prices()
    for cents in range(PRICES_KEPT + 10):
        assert prices[cents / 100] == Decimal(cents) / 100
    assert len(prices) <= PRICES_KEPT
