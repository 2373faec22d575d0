"""The documented way back: a daemon is killed, its ledger damaged, a backup restored; it goes on.

Method: the commands of docs/daemon.md on real processes; the exchange's books are held against the
ledger by an oracle that shares no code with the daemon.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from books_oracle import agree
from living import REPLAY, Home
from test_damaged_files import PAGE, flip

from algo_trader.ledger.verify import examine


def damage(path: Path) -> None:
    """Break the heads of all pages of the second half; some of them are in no WAL."""
    size = path.stat().st_size
    for at in range(size // 2 // PAGE * PAGE, size, PAGE):
        flip(path, at)


def written(said: str) -> Path:
    """The file that `backup` says it wrote."""
    path = Path(said.strip().removeprefix("wrote "))
    assert examine(path).differences == []
    return path


def restored(home: Home, backup: Path, *start: str) -> Path:
    """The ledger is refused, named by verify, and gives way to the backup; where it is now."""
    books = home.exchange.read_bytes()
    home.ask(*start).refused(75, str(home.ledger), "restore a backup")
    assert home.ask("verify").code == 1
    kept = backup.read_bytes()
    ended = home.ask("restore", str(backup))
    assert (ended.code, ended.said) == (0, []), ended
    aside = Path(ended.out.strip().rpartition(" is now ")[2])
    assert aside.exists()
    assert backup.read_bytes() == kept
    assert home.exchange.read_bytes() == books
    assert home.ask("verify").code == 0
    return aside


def test_back_to_the_last_fact(held: Home, short: str) -> None:
    """Goal: where nothing was traded after the backup nothing is lost: positions and their stops
    are as they were, and the account trades to the end of its bars.
    """
    start = ("start", "--speed", "max", "--bars", short)
    with held.start(*start) as daemon:
        daemon.wait_for("state", state="idle")
        before = held.answer("positions")
        backup = written(held.ask("backup").out)
        daemon.kill()
    assert backup.parent == held.folder / "backups"
    damage(held.ledger)
    restored(held, backup, *start)
    assert held.answer("positions") == before
    assert len(before["positions"]) == 2
    held.replay("--bars", short)
    held.verified()
    assert agree(held.folder).positions == {}


@pytest.mark.parametrize("closed", [1, pytest.param(5, marks=pytest.mark.slow)])
def test_back_to_an_older_day(home: Home, closed: int) -> None:
    """Goal: what was traded after the backup is missing in it: the daemon finds the account other
    than it believes and says so; the documented way out at the embedded exchange is a new account.
    """
    start = ("start", "--speed", "6000")
    with home.start(*start) as daemon:
        daemon.wait_for("filled", role="entry")
        backup = written(home.ask("backup").out)
        for _ in range(closed):
            daemon.wait_for("trade_closed")
        daemon.kill()
    damage(home.ledger)
    restored(home, backup, *start)
    with home.start(*start) as daemon:
        daemon.wait_for("state", state="trading")
        said = {line["event"] for line in daemon.lines}
        assert said & {"cash_adjusted", "shares_gone", "shares_adopted", "discrepancy"}, said
        assert home.ask("stop").code == 0
        assert daemon.ended().code == 0
    home.verified()
    assert home.ask(*REPLAY, "--reset-exchange", "--force").code == 0
    assert agree(home.data / "embedded-local2").positions == {}
