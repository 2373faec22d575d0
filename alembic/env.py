"""How Alembic runs here: on a given connection, inside the transaction of whoever gave it.

The program hands its connection over (algo_trader/ledger/migrate.py). By hand, the file is named
with `-x path=FILE` and opened in the same way, with the same pragmas and an explicit BEGIN, so that
DDL is inside the transaction too. Batch mode is not used: recreating a table drops its triggers.
"""

from pathlib import Path
from typing import Any

from alembic import context


def run(connection: Any) -> None:
    """Run the revisions asked for on `connection`, which is in a transaction."""
    context.configure(
        connection=connection,
        transactional_ddl=True,
        transaction_per_migration=False,
        render_as_batch=False,
    )
    with context.begin_transaction():
        context.run_migrations()


def by_hand() -> None:
    """Open the file named on the command line and run in one transaction of its own."""
    from algo_trader.ledger.database import connect

    path = context.get_x_argument(as_dictionary=True).get("path")
    if path is None:
        raise SystemExit("name the file: alembic -x path=FILE ...")
    database = connect(Path(path), may_be_older=True)
    try:
        with database.transaction() as connection:
            run(connection)
    finally:
        database.close()


given = context.config.attributes.get("connection")
if given is None:
    by_hand()
else:
    run(given)
