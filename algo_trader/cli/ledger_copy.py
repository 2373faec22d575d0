"""A copy of an account's files to look at, so that the originals stay as they are to the byte.

Owns that no daemon writes to them meanwhile.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from algo_trader.core.errors import AlgoTraderError, StorageFailure
from algo_trader.runtime.errors import SecondDaemon
from algo_trader.runtime.lock import holder
from algo_trader.runtime.paths import AccountFolder, lock_file

WAL = "-wal"


@contextmanager
def copied(data_dir: Path, folder: AccountFolder) -> Iterator[AccountFolder]:
    """The folder's ledger and exchange's books, as far as there are any, in a place of their own.

    SecondDaemon if a daemon runs, or has started meanwhile.
    """
    require_no_daemon(data_dir)
    with TemporaryDirectory(prefix="algo-trader-") as place:
        copy = AccountFolder(Path(place))
        try:
            for file, target in (
                (folder.ledger, copy.ledger),
                (folder.exchange, copy.exchange),
            ):
                for ending in ("", WAL):  # What is in the WAL alone is part of it.
                    source = file.with_name(file.name + ending)
                    if source.exists():
                        shutil.copyfile(source, target.with_name(target.name + ending))
        except OSError as error:
            raise StorageFailure(
                f"{folder.path} could not be copied to {place}: {error.strerror}: make room there, "
                "or name another place by TMPDIR"
            ) from error
        require_no_daemon(data_dir)
        try:
            yield copy
        except AlgoTraderError as error:  # About the original: the copy is gone by then.
            words = [str(word).replace(str(copy.path), str(folder.path)) for word in error.args]
            raise type(error)(*words) from error


def require_no_daemon(data_dir: Path) -> None:
    """SecondDaemon while a daemon has the data directory."""
    pid = holder(lock_file(data_dir))
    if pid is not None:
        raise SecondDaemon(
            f"a daemon (pid {pid or 'unknown'}) is running in {data_dir} and compares its books "
            "with the broker's by itself: `algo-trader status` tells what it found"
        )
