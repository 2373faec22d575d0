"""`algo-trader restore`: a backup takes the ledger's place, and the ledger is moved aside."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

import click

from algo_trader.cli.main import Globals
from algo_trader.core.errors import ConfigError, CoreError
from algo_trader.ledger.errors import StorageError
from algo_trader.runtime.errors import SecondDaemon
from algo_trader.runtime.lock import DaemonLock, holder
from algo_trader.runtime.paths import AccountFolder, lock_file


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.pass_obj
def command(options: Globals, file: Path) -> None:
    """Put the backup FILE in the place of the ledger of its account. No daemon may be running.

    FILE is proved right first, and stays. The ledger that was there is moved aside, not deleted.
    Orders sent since the backup are missing in it: the next start compares it with the broker.

    \b
    Example, offline, on what a daemon left in ./data:
      algo-trader --data-dir data restore before-upgrade.db
    """
    os.umask(0o077)  # As private as the ledger that was there.
    if not file.is_file():
        what = "is no file" if file.exists() else "does not exist"
        raise ConfigError(f"{file} {what}: name a file that `algo-trader backup` wrote")
    from algo_trader.ledger.backup import account_in, is_ledger, restore

    if not is_ledger(file):
        raise ConfigError(f"{file} is no ledger: name a file that `algo-trader backup` wrote")
    account = account_in(file)
    if account is None:
        raise ConfigError(f"{file} belongs to no account: nothing was ever traded in it")
    if not options.data_dir.is_dir():
        raise _homeless(options.data_dir, account, file)
    pid = holder(lock_file(options.data_dir))
    if pid is not None:
        raise SecondDaemon(
            f"a daemon (pid {pid or 'unknown'}) is running in {options.data_dir}: end it with "
            "`algo-trader stop` first"
        )
    with DaemonLock(lock_file(options.data_dir)):  # None may start meanwhile.
        folder = _folder_of(options.data_dir, account, file)
        if folder.ledger.exists() and file.samefile(folder.ledger):
            raise ConfigError(f"{file} is the ledger itself: name a backup")
        aside = restore(file, folder.ledger)
    click.echo(f"restored {folder.ledger} from {file}")
    if aside is not None:
        click.echo(f"the ledger that was there is now {aside}")


def _folder_of(data_dir: Path, account: str, file: Path) -> AccountFolder:
    """The account's folder, its ledger missing or beyond reading included."""
    found = [
        folder
        for folder in map(AccountFolder, sorted(data_dir.iterdir()))
        if folder.path.is_dir() and _account_of(folder) == account
    ]
    if len(found) == 1:
        return found[0]
    if found:
        names = ", ".join(folder.path.name for folder in found)
        raise ConfigError(
            f"{file} is of account {account}, and so are {names} in {data_dir}: copy it to the "
            "right one as trading.db, with no -wal file beside it"
        )
    raise _homeless(data_dir, account, file)


def _homeless(data_dir: Path, account: str, file: Path) -> ConfigError:
    return ConfigError(
        f"{file} is of account {account}, which has no folder in {data_dir}: name another "
        f"--data-dir, or make the folder <broker>-{account} in it first"
    )


def _account_of(folder: AccountFolder) -> str:
    """By its ledger or, where that cannot tell, by its name."""
    from algo_trader.ledger.backup import account_in

    if folder.ledger.exists():
        with suppress(ConfigError, CoreError, StorageError):
            account = account_in(folder.ledger)
            if account is not None:
                return account
    return folder.path.name.partition("-")[2]
