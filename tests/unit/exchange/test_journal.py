"""The journal, the request budget and the words on the wire."""

from __future__ import annotations

import json
import math
from decimal import Decimal
from pathlib import Path

import msgpack
import pytest

from algo_trader.core.errors import ConfigError
from algo_trader.core.types import Bar
from algo_trader.exchange import wire
from algo_trader.exchange.budget import RequestBudget
from algo_trader.exchange.journal import Journal
from algo_trader.exchange.keys import Keys

OPENS_AT = 1_704_205_800
SECRET = 'canary"\\secret'
BAR = Bar("AA", OPENS_AT, Decimal("10.10"), Decimal("10.3"), Decimal("0.1"), Decimal("10.2"), 1234)


def test_entries_are_numbered_and_the_secret_never_gets_in(tmp_path: Path) -> None:
    """Goal: memory and file hold the same, in order, without the secret in any spelling.
    Method: entries that carry it in several places.
    """
    file = tmp_path / "journal.jsonl"
    journal = Journal(lambda: OPENS_AT + 0.5, SECRET, file)
    journal.add("request", body={"secret": SECRET, "deep": [f"x{SECRET}y"]})
    journal.add("answer", status=200, price=Decimal("10.10"))
    journal.close()
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    assert lines == journal.entries()
    assert [line["n"] for line in lines] == [1, 2]
    assert lines[0]["at"] == "2024-01-02T14:30:00.5Z"
    assert lines[0]["body"] == {"secret": "***", "deep": ["x***y"]}
    assert lines[1]["price"] == "10.1"
    assert "canary" not in file.read_text()
    assert [entry["kind"] for entry in journal.entries(after=1)] == ["answer"]
    assert journal.entries("request") == lines[:1]


def test_a_journal_that_cannot_be_written_is_bad_input(tmp_path: Path) -> None:
    """Goal: one error that names the option. Method: a folder as the file."""
    with pytest.raises(ConfigError, match="--journal"):
        Journal(lambda: 0.0, SECRET, tmp_path)


def test_the_budget_is_of_virtual_minutes() -> None:
    """Goal: so many requests a virtual minute; while time stands, a real minute frees them too.
    Method: both clocks by hand.
    """
    real = [0.0]
    budget = RequestBudget(2, lambda: real[0])
    assert [budget.take(OPENS_AT) for _ in range(3)] == [True, True, False]
    assert budget.headers() == {
        "X-RateLimit-Limit": "2",
        "X-RateLimit-Remaining": "0",
        "X-RateLimit-Reset": str(OPENS_AT + 60),
    }
    assert budget.take(OPENS_AT + 60)
    assert [budget.take(OPENS_AT + 61) for _ in range(2)] == [True, False]
    real[0] = 60.0
    assert budget.take(OPENS_AT + 62)
    free = RequestBudget(0)
    assert all(free.take(OPENS_AT) for _ in range(1000))
    assert free.headers() == {}


def test_keys_are_told_apart_and_never_shown() -> None:
    """Goal: right, wrong and no keys are three answers, and no text shows them.
    Method: the headers of each.
    """
    keys = Keys("id", SECRET)
    right = {"APCA-API-KEY-ID": "id", "APCA-API-SECRET-KEY": SECRET}
    assert keys.admit(right) is True
    assert keys.admit({**right, "APCA-API-SECRET-KEY": "other"}) is False
    assert keys.admit({}) is None
    assert keys.admit({"Authorization": "Basic !!!"}) is False
    assert SECRET not in repr(keys)


@pytest.mark.parametrize(
    ("words", "is_end", "expected"),
    [
        ("2024-01-02T14:30:00Z", False, OPENS_AT),
        ("2024-01-02T09:30:00-05:00", False, OPENS_AT),
        ("2024-01-02T14:30:00+00:00", False, OPENS_AT),
        ("2024-01-02T14:30:00 00:00", False, OPENS_AT),
        ("2024-01-02T14:30:00", False, OPENS_AT),
        ("2024-01-02", False, 1_704_153_600),
        ("2024-01-02", True, 1_704_239_999),
    ],
)
def test_instants_are_read_as_clients_write_them(words: str, is_end: bool, expected: float) -> None:
    """Goal: RFC 3339 with any offset, with a plus that a query turned to a space, and dates."""
    assert wire.instant_of(words, is_end=is_end) == expected


def test_instants_and_booleans_without_sense() -> None:
    """Goal: other words are errors, spellings of booleans are not."""
    for words in ("yesterday", "2024-13-01", ""):
        with pytest.raises(ValueError, match=r".*"):
            wire.instant_of(words)
    assert [wire.truth(word) for word in ("True", "false", "1", "", True)] == [
        True, False, True, False, True,
    ]  # fmt: skip
    with pytest.raises(ValueError, match="perhaps"):
        wire.truth("perhaps")


def test_bars_go_out_exact_and_come_back_exact() -> None:
    """Goal: a price survives both formats: Decimal(repr()) of what is read is what the bar holds.
    Method: pack and read, write as text and read.
    """
    message = wire.bar_message("b", BAR)
    packed = msgpack.unpackb(wire.packed(message))
    assert packed["t"] == msgpack.Timestamp(OPENS_AT, 0)
    assert [Decimal(repr(packed[name])) for name in "ohlc"] == [
        BAR.open, BAR.high, BAR.low, BAR.close,
    ]  # fmt: skip
    assert packed["v"] == 1234
    text = json.loads(wire.dumps(wire.as_text(message)))
    assert text["t"] == "2024-01-02T14:30:00Z"
    assert Decimal(repr(text["l"])) == BAR.low
    assert math.isclose(text["vw"], (10.3 + 0.1 + 10.2) / 3, abs_tol=1e-4)
