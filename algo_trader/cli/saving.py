"""Keeping a run in backtests.db: asked about before any work, done after the answer."""

from __future__ import annotations

import os
from pathlib import Path

from algo_trader.backtest.result import BacktestResult
from algo_trader.cli.main import Globals
from algo_trader.cli.output import tell
from algo_trader.core.errors import AlgoTraderError, ConfigError
from algo_trader.ledger.errors import LedgerCorrupt, StorageError

FILE_NAME = "backtests.db"
REMEDY = "or use --no-save"


def store_of(options: Globals) -> Path:
    """Where runs are kept."""
    return options.data_dir / FILE_NAME


def require_store(options: Globals) -> None:
    """Before any work: the run can be kept, in a file there is or in one to come.

    An older file is upgraded. ConfigError or, where a file is damaged or the disk fails,
    StorageError says how to go on.
    """
    path = store_of(options)
    problem = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if not os.access(path.parent, os.W_OK):
            problem = "the folder cannot be written"
        elif (path.exists() or path.is_symlink()) and not path.is_file():
            problem = "it is not a regular file"
    except OSError as error:
        problem = error.strerror
    if problem is not None:
        raise ConfigError(
            f"cannot keep the run in {path}: {problem}; name another --data-dir, {REMEDY}"
        )
    if not path.exists():
        return
    from algo_trader.ledger.backtests import prepare

    try:
        prepare(path)
    except ConfigError as error:
        raise ConfigError(f"cannot keep the run: {error}, {REMEDY}") from error
    except (LedgerCorrupt, StorageError) as error:
        raise StorageError(
            f"cannot keep the run: {error}, or move the file away, {REMEDY}"
        ) from error


def keep(options: Globals, result: BacktestResult) -> None:
    """Store the run with its trades; StorageError if it cannot be, whatever the reason."""
    from algo_trader.ledger.backtests import save

    path = store_of(options)
    try:
        number = save(path, result)
    except (AlgoTraderError, OSError) as error:
        raise StorageError(
            f"the run was not kept: {error}; its answer and the files asked for are complete"
        ) from error
    tell(options, f"kept as run {number} in {path}")
