"""An open file that is written whole or not at all, and that ends at the first storage error.

Owns what a failure means. A fact or a note that breaks a rule is refused: nothing is written, the
file goes on. Anything the disk or the driver says is StorageError, and poisons: the outcome of that
write is unknown, a smaller write after it might succeed and leave a hole, so every later call
raises at once and the process must end and read the file again.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from sqlalchemy import Select
from sqlalchemy.exc import DBAPIError

from algo_trader.core.errors import AlgoTraderError
from algo_trader.ledger.database import Database, translate
from algo_trader.ledger.errors import FactRefused, StorageError


class Store:
    """One file, open. `is_poisoned` says that storage failed and nothing works any more."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._driver = database.driver
        self._poison: StorageError | None = None

    @property
    def path(self) -> Path:
        """The file."""
        return self._database.path

    @property
    def is_poisoned(self) -> bool:
        """Whether a storage error has ended this ledger."""
        return self._poison is not None

    def snapshot(self, target: Path, between: Callable[[], None] | None = None) -> None:
        """Write a copy of the file; `target` must not exist. See backup for a safe one.

        Between its steps `between` is called, which may write: that is in the copy too. A failure
        is StorageError but no poison: it is the copy that could not be written.
        """
        self._check()
        self._database.snapshot(target, between)

    def close(self) -> None:
        """Close the file. Later calls raise."""
        if self._poison is None:
            self._poison = StorageError(f"{self.path} is closed")
        self._database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    # -- inside --

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        """The one way to write: a whole transaction, on the driver, without a pause.

        An error of ours raised inside takes the transaction back and leaves the file usable.
        """
        self._check()
        driver = self._driver
        try:
            driver.execute("BEGIN IMMEDIATE")
            yield driver
            driver.execute("COMMIT")
        except sqlite3.IntegrityError as error:
            self._roll_back()
            raise FactRefused(f"the ledger refused a fact: {error}") from error
        except AlgoTraderError:
            self._roll_back()
            raise
        except sqlite3.Error as error:
            raise self._end(error) from error
        except BaseException as error:
            # Interrupted between BEGIN and COMMIT: nobody may go on with half a transaction.
            self._end(error)
            raise

    def _roll_back(self) -> None:
        try:
            self._driver.execute("ROLLBACK")
        except sqlite3.Error as error:
            raise self._end(error) from error

    def _end(self, error: BaseException) -> StorageError:
        """Poison the file for good; the error to raise."""
        if isinstance(error, sqlite3.Error):
            reason = str(translate(error, self.path))
        else:
            reason = f"{self.path}: a transaction was cut short by {error!r}"
        self._poison = StorageError(reason)
        return self._poison

    def _check(self) -> None:
        if self._poison is not None:
            raise StorageError(f"this ledger has ended: {self._poison}") from self._poison

    @contextmanager
    def _guarded(self) -> Iterator[None]:
        """Refuse if poisoned; a driver's error while reading poisons as well."""
        self._check()
        try:
            yield
        except sqlite3.Error as error:
            raise self._end(error) from error
        except DBAPIError as error:  # SQLAlchemy's wrapping of the same.
            raise self._end(error.orig or error) from error

    def _read(self, statement: Select[Any]) -> list[Mapping[str, Any]]:
        with self._guarded(), self._database.transaction() as connection:
            return [dict(row) for row in connection.execute(statement).mappings()]
