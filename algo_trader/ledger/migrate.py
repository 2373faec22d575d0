"""Bringing a file to this program's version at start.

Owns the order of steps: an empty file is created; one of this version is left alone; an older one
is backed up, proved, and upgraded in a single transaction in which the result is compared with the
shape this program wants; a newer one is refused. A crash at any point leaves the old version or
the new one, never something between.

The migrations are Alembic revisions, hand-written SQL in alembic/ of the checkout, which a wheel
carries inside this package as `migrations`. No table is ever recreated by "batch mode": that drops
triggers without a word. Alembic is imported only when there is something to upgrade.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import NamedTuple

from algo_trader.ledger import shape
from algo_trader.ledger.backup import backup
from algo_trader.ledger.database import (
    BUSY_TIMEOUT_MS,
    Database,
    application_version,
    connect,
    told,
)
from algo_trader.ledger.errors import LedgerCorrupt
from algo_trader.ledger.verify import damage, shape_differences


class Target(NamedTuple):
    """Where an upgrade leads: the version, the revisions that lead there, the shape there."""

    version: int
    scripts: Path
    shape: dict[str, str]


def scripts() -> Path:
    """The folder of the migrations: inside the installed package, else in the checkout."""
    installed = Path(__file__).with_name("migrations")
    return installed if installed.is_dir() else Path(__file__).parents[2] / "alembic"


def upgrade(
    path: Path,
    application_id: int = shape.LEDGER_ID,
    target: Target | None = None,
    *,
    busy_timeout_ms: int = BUSY_TIMEOUT_MS,
) -> Path | None:
    """Create the file or bring it to this program's version; the backup made, if one was.

    Raises as connect does; LedgerCorrupt if the upgraded file is not as it should be, in which case
    the file is left as it was.
    """
    wanted = shape.VERSION if target is None else target.version
    database = connect(
        path,
        application_id=application_id,
        may_create=True,
        may_be_older=True,
        busy_timeout_ms=busy_timeout_ms,
    )
    try:
        version = application_version(database.driver)
        if version == wanted:
            return None
        if target is None:
            target = Target(wanted, scripts(), shape.expected())
        copy = path.with_name(f"{path.name}.before-version-{wanted}")
        backup(database, copy)
        with told(path):
            _run(database, target)
        return copy
    finally:
        database.close()


def _run(database: Database, target: Target) -> None:
    driver = database.driver
    # Outside of a transaction, where alone it has an effect; references are checked below.
    driver.execute("PRAGMA foreign_keys = OFF")
    with database.transaction() as connection:
        from alembic.command import upgrade as run_revisions
        from alembic.config import Config

        config = Config(attributes={"connection": connection})
        config.set_main_option("script_location", str(target.scripts).replace("%", "%%"))
        run_revisions(config, "head")
        _require_upgraded(driver, target)
    driver.execute("PRAGMA foreign_keys = ON")


def _require_upgraded(driver: sqlite3.Connection, target: Target) -> None:
    """Checked inside the transaction: raising takes the upgrade back."""
    found = damage(driver)
    version = application_version(driver)
    if version != target.version:
        found.append(f"its version is {version}, not {target.version}")
    found.extend(shape_differences(shape.fingerprint(driver), target.shape))
    if found:
        raise LedgerCorrupt(f"the upgrade was taken back: {'; '.join(found[:3])}")
