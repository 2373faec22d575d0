"""An account trades the bars it began with; another one begins beside it."""

from __future__ import annotations

from pathlib import Path

from books_oracle import agree
from living import REPLAY, Home, cut_sample


def test_other_bars_for_the_same_account(held: Home, place: Path) -> None:
    """Goal: refused by name with the remedy; the remedy is refused while positions are open, and
    with --force begins an account beside the old one, which stays as it is.
    """
    other = str(cut_sample(place / "other", "2024-11-27T16:30:00Z"))
    before = [path.read_bytes() for path in (held.ledger, held.exchange)]
    anew = (*REPLAY, "--bars", other, "--reset-exchange")
    held.ask(*REPLAY, "--bars", other).refused(2, "--bars", str(held.exchange), "--reset-exchange")
    held.ask(*anew).refused(4, "open positions (", "SYNB", "SYNC", "--force")
    held.ask("start", "--bars", str(place / "none"), "--reset-exchange", "--force").refused(2)
    assert not (held.data / "embedded-local2").exists()
    assert held.ask(*anew, "--force").code == 0
    assert [path.read_bytes() for path in (held.ledger, held.exchange)] == before
    assert agree(held.data / "embedded-local2").trades
