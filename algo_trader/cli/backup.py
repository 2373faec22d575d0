"""`algo-trader backup`: a verified copy of the ledger, daemon running or not."""

from __future__ import annotations

import os
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import click

from algo_trader.cli.client import ask
from algo_trader.cli.main import Globals
from algo_trader.cli.records import folder_in_force
from algo_trader.core.errors import ConfigError
from algo_trader.runtime.errors import NoDaemon

BACKUP_TIMEOUT_S = 600.0


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False), required=False)
@click.pass_obj
def command(options: Globals, file: Path | None) -> None:
    """Write a copy of the ledger to FILE, prove it right, and only then give it its name.

    Without FILE it goes to the folder `backups` beside the ledger, named by date and time (UTC).
    An older backup in its place is replaced, any other file is not, a ledger least of all.

    \b
    Example, offline, on what a daemon left in ./data:
      algo-trader --data-dir data backup before-upgrade.db
    """
    from algo_trader.ledger.backup import backup, backup_name, require_replaceable

    os.umask(0o077)  # As private as the ledger itself.
    if file is not None:
        if not file.name:
            raise ConfigError("FILE is empty: name a file, or leave it out")
        file = Path(os.path.abspath(file))  # The daemon stands elsewhere.
        require_replaceable(file)
    try:
        asked = {"path": None if file is None else str(file)}
        written = ask(options.data_dir, "POST", "/backup", asked, BACKUP_TIMEOUT_S)["path"]
    except NoDaemon:
        folder = folder_in_force(options)
        from algo_trader.ledger.database import connect

        target = file
        if target is None:
            folder.backups.mkdir(mode=0o700, exist_ok=True)
            target = folder.backups / backup_name("trading", datetime.now(UTC))
        with closing(connect(folder.ledger, may_be_older=True, check=False)) as ledger:
            written = backup(ledger, target)  # Checks the copy, and so what it was made from.
    click.echo(f"wrote {written}")
