"""Notes on trades: an operator's words, kept apart from what is recorded."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from recorded import WHEN, record

from algo_trader.core.errors import ConfigError
from algo_trader.ledger.ledger import Ledger
from algo_trader.ledger.records import NOTE_MOST, NoteRecord


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    """A ledger with trades, whose wall clock stands still."""
    with Ledger.open(tmp_path / "trading.db", lambda: WHEN) as ledger:
        ledger.append(record().facts)
        yield ledger


def test_notes_come_back(ledger: Ledger) -> None:
    """Goal: notes are kept in order, each with its trade; the proof has no quarrel with them."""
    one, two = (trade.trade_id for trade in ledger.trades()[:2])
    at = "2024-01-02T14:30:00.000250Z"
    assert ledger.note(one, "  too early, 100 % sure \N{GRINNING FACE} ") == 1
    assert ledger.note(two, "gap") == 2
    assert ledger.note(one, "x" * NOTE_MOST) == 3
    assert ledger.notes(one) == [
        NoteRecord(1, one, "too early, 100 % sure \N{GRINNING FACE}", at),
        NoteRecord(3, one, "x" * NOTE_MOST, at),
    ]
    assert [note.number for note in ledger.notes()] == [1, 2, 3]
    assert ledger.verify() == []


@pytest.mark.parametrize(
    "words",
    ["", " \t ", "x" * (NOTE_MOST + 1), "a\nb", "a\x1b[2J", "a\0", "\u202ea", "\ud800", "a\u2028b"],
    ids=ascii,
)
def test_words_that_cannot_be_shown_are_refused(ledger: Ledger, words: str) -> None:
    """Goal: nothing that steers a terminal or turns a line around, none empty, none endless."""
    trade_id = ledger.trades()[0].trade_id
    with pytest.raises(ConfigError, match="a note"):
        ledger.note(trade_id, words)
    assert ledger.notes() == []


def test_no_such_trade(ledger: Ledger) -> None:
    """Goal: a note needs its trade, and the refusal leaves the ledger usable."""
    with pytest.raises(ConfigError, match="no trade 'nope'"):
        ledger.note("nope", "n")
    assert ledger.note(ledger.trades()[0].trade_id, "n") == 1
    assert not ledger.is_poisoned
