"""Which ledger a start at Alpaca goes on with: that of the account the keys answer for.

Owns the refusal of another account than the one known: a paper account that was reset, or keys of
somebody else, must not look like an account without positions.
"""

from __future__ import annotations

import os
from pathlib import Path

from algo_trader.core.errors import SafetyRefusal
from algo_trader.core.types import Instant, iso
from algo_trader.ledger import migrate
from algo_trader.ledger.ledger import Ledger
from algo_trader.runtime.paths import AccountFolder, account_folder, accounts

BROKER = "alpaca"
AHEAD_S = 300
"""A ledger may be ahead of the market's time by so much, for clocks are read roughly."""
PAPER_PREFIX = "PA"
"""Of the numbers of Alpaca's paper accounts."""


def account_of(data_dir: Path, account: str, *, is_new: bool) -> AccountFolder:
    """The account's folder; SafetyRefusal if the data directory knows another of the same kind.

    A paper and a live account may lie side by side.
    """
    folder = account_folder(data_dir, BROKER, account)
    others = [
        known.name.removeprefix(f"{BROKER}-")
        for known in accounts(data_dir)
        if known.name.startswith(f"{BROKER}-") and known.name != folder.name
    ]
    if is_new and folder.ledger.exists():
        raise SafetyRefusal(
            f"--new-account: this data directory knows the Alpaca account {account} already, and "
            "its ledger must not be forgotten: leave --new-account out, or use another --data-dir"
        )
    same_kind = [known for known in others if _is_paper(known) == _is_paper(account)]
    if same_kind and not is_new and not folder.ledger.exists():
        raise SafetyRefusal(
            f"this data directory knows the Alpaca account {same_kind[0]}, and the keys answer for "
            f"{account}: was the paper account reset, or are these other keys? Use another "
            "--data-dir, or say --new-account to begin a ledger for it here"
        )
    return folder


def open_ledger(folder: AccountFolder, now: Instant) -> tuple[dict[str, str], Path | None]:
    """Make the folder and bring its ledger to this program's version: the overrides it keeps, and
    the backup that was made if it was upgraded.

    SafetyRefusal if the ledger is of a time after `now`, the market's: what was decided then would
    be decided again under the same names.
    """
    os.makedirs(folder.path, mode=0o700, exist_ok=True)
    backup = migrate.upgrade(folder.ledger)
    with Ledger.open(folder.ledger, check=False) as ledger:
        require_past(folder, ledger.last_at(), now)
        return ledger.overrides(), backup


def require_past(folder: AccountFolder, until: Instant | None, now: Instant) -> None:
    """SafetyRefusal if the ledger's last fact is of a time after `now`, the broker's."""
    if until is not None and until > now + AHEAD_S:
        raise SafetyRefusal(
            f"the ledger {folder.ledger} ends at {iso(until)}, and it is {iso(now)} at the "
            "broker: an exchange that replays the past once more wants a --data-dir of its own "
            "for each time; for a wrong clock, set it right"
        )


def _is_paper(account: str) -> bool:
    return account.startswith(PAPER_PREFIX)
