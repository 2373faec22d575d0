"""Which account of the embedded exchange a start goes on with, and whether its files are whole.

Owns the names of those accounts, and what is refused because the ledger and the exchange's books
are not of one history: one of them is gone, or the books end before the ledger does. To go on would
forget losses, halts and limits that are in force, or trade on positions that nobody holds.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from algo_trader.core.errors import SafetyRefusal, StorageFailure
from algo_trader.core.types import Instant, iso
from algo_trader.feeds.tape import TapeDay
from algo_trader.ledger import migrate
from algo_trader.ledger.backup import account_in
from algo_trader.ledger.ledger import Ledger
from algo_trader.runtime.paths import AccountFolder, account_folder

BROKER = "embedded"
ROOM_LEAST = 1_000_000
"""Bytes free on the disk below which nothing is begun: the files' first minutes would not fit."""
ANEW = "open a new account with --reset-exchange"
_ACCOUNT = re.compile(r"embedded-local([1-9][0-9]{0,8})")


class Kept(NamedTuple):
    """What a ledger says before a start: its overrides, the market time of its last fact if an
    account was ever at it, and the backup made of it if it was upgraded.
    """

    overrides: dict[str, str]
    until: Instant | None
    backup: Path | None


def require_room(data_dir: Path) -> None:
    """Raise StorageFailure where the disk is full, or as good as that."""
    free = shutil.disk_usage(data_dir).free
    if free < ROOM_LEAST:
        raise StorageFailure(
            f"the disk of the data directory {data_dir} is full ({free:,} bytes are free): make "
            "room, then start again; nothing was written"
        )


def account_of(data_dir: Path, *, is_reset: bool, force: bool) -> AccountFolder:
    """The folder of the account that goes on, or the name of one for a new account.

    A new account gets a new name and a new ledger: order ids are made of account and candle, so one
    name for both would make the same decision twice the same order.
    """
    names = sorted(os.listdir(data_dir))  # A folder counts without its ledger too.
    numbers = [int(found[1]) for name in names if (found := _ACCOUNT.fullmatch(name))]
    number = max(numbers, default=1)
    folder = account_folder(data_dir, BROKER, f"local{number}")
    if not (is_reset and numbers):
        return folder
    if not force and folder.ledger.exists():
        _require_flat(folder)
    return account_folder(data_dir, BROKER, f"local{number + 1}")


def kept(folder: AccountFolder) -> Kept:
    """Read the ledger, brought to this program's version; makes nothing where there is none.

    SafetyRefusal if it or the exchange's books are gone.
    """
    has_books = _is_there(folder.exchange)
    if has_books:
        require_ledger(folder)
    elif not folder.ledger.exists():
        return Kept({}, None, None)
    backup = migrate.upgrade(folder.ledger)
    with Ledger.open(folder.ledger, check=False) as ledger:
        overrides, until = ledger.overrides(), ledger.last_at()
    if account_in(folder.ledger) is None:
        return Kept(overrides, None, backup)
    require_books(folder)
    return Kept(overrides, until, backup)


def require_ledger(folder: AccountFolder) -> None:
    """SafetyRefusal if the ledger beside an exchange's books is gone."""
    if not folder.ledger.exists():
        raise _lost_ledger(folder, "is missing")


def require_books(folder: AccountFolder) -> None:
    """SafetyRefusal if the exchange's books are gone from beside a ledger with facts."""
    if folder.ledger.exists() and not _is_there(folder.exchange):
        if account_in(folder.ledger) is None:
            return
        raise SafetyRefusal(
            f"the exchange's books {folder.exchange} are missing, and the ledger beside them has "
            f"been traded with: put them back, or {ANEW}"
        )


def make(folder: AccountFolder) -> None:
    """The folder and its ledger, unless they are there: always before the exchange's books."""
    folder.path.mkdir(mode=0o700, exist_ok=True)
    if not folder.ledger.exists():
        migrate.upgrade(folder.ledger)


def require_one_history(
    folder: AccountFolder, now: Instant, period: Sequence[TapeDay], until: Instant | None
) -> None:
    """SafetyRefusal unless ledger and books can be of one history; `now` is the exchange's time."""
    sessions = [day.session for day in period]
    if until is None:
        if now not in [session.opens_at for session in sessions]:  # Not as it was begun.
            raise _lost_ledger(folder, "holds nothing")
        return
    limit = now
    if not any(session.opens_at <= now < session.closes_at for session in sessions):
        # Between sessions: the next one's opening is recorded before the books move.
        limit = min((s.opens_at for s in sessions if s.opens_at >= now), default=now)
    if until > limit:
        raise SafetyRefusal(
            f"the exchange's books {folder.exchange} end at {iso(now)}, the ledger beside them at "
            f"{iso(until)}: they are not of one history; put back the later books, or {ANEW}"
        )


def _require_flat(folder: AccountFolder) -> None:
    migrate.upgrade(folder.ledger)
    with Ledger.open(folder.ledger, check=False) as ledger:
        held = [f"{h.side} {h.qty} {h.symbol}" for h in ledger.fold().in_order() if h.qty]
    if held:
        raise SafetyRefusal(
            f"--reset-exchange: the ledger in {folder.path} has open positions "
            f"({', '.join(held)}): close them first, or add --force"
        )


def _is_there(path: Path) -> bool:
    """Whether the file exists and was ever written: an empty one is of a start cut short."""
    try:
        return path.stat().st_size > 0
    except FileNotFoundError:
        return False


def _lost_ledger(folder: AccountFolder, how: str) -> SafetyRefusal:
    return SafetyRefusal(
        f"the ledger {folder.ledger} {how}, and the exchange's books beside it are there: put a "
        f"backup in its place with `algo-trader restore`, or {ANEW}"
    )
