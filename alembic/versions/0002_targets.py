"""More words: stop-limit entries, orders that take a profit, trades that ended so.

SQLite cannot change a CHECK, so three tables are made anew from their own text, with their rows,
indexes and triggers. References are checked after it, and so is the shape of the whole file.
"""

from typing import Any

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_ENDED = ("exit_reason = 'stop_loss' OR", "exit_reason = 'stop_loss' OR exit_reason = 'target' OR")
WORDS = {
    "order_state": (
        ("role = 'exit')", "role = 'exit' OR role = 'target')"),
        ("order_type = 'stop')", "order_type = 'stop' OR order_type = 'stop_limit')"),
    ),
    "trade": (_ENDED,),
    "backtest_trade": (_ENDED,),
}
"""Of each table the text that is replaced and the text in its place."""


def upgrade() -> None:
    """Widen the words, in the transaction Alembic was handed."""
    driver = op.get_bind()
    for table, changes in WORDS.items():
        _make_anew(driver, table, changes)
    driver.exec_driver_sql("PRAGMA user_version = 2")


def downgrade() -> None:
    """A ledger is not taken back: restore a backup."""
    raise NotImplementedError("restore a backup")


def _make_anew(driver: Any, table: str, changes: tuple[tuple[str, str], ...]) -> None:
    """The table with another text. `driver` has its foreign keys off: nothing follows the drop."""
    texts = driver.exec_driver_sql(
        "SELECT sql FROM sqlite_schema WHERE tbl_name = ? AND sql IS NOT NULL"
        " ORDER BY type = 'table' DESC, type = 'index' DESC, name",
        (table,),
    )
    made, *rest = [" ".join(text.split()) for (text,) in texts.fetchall()]
    for before, after in changes:
        if made.count(before) != 1:
            raise ValueError(f"{table} is not the table of version 1: {before}")
        made = made.replace(before, after)
    info = driver.exec_driver_sql(f"PRAGMA table_xinfo({table})").fetchall()
    columns = ", ".join(name for _, name, *_, hidden in info if not hidden)
    last = driver.exec_driver_sql("SELECT seq FROM sqlite_sequence WHERE name = ?", (table,))
    numbers = last.fetchall()
    for statement in (
        f"CREATE TEMP TABLE kept AS SELECT {columns} FROM main.{table}",
        f"DROP TABLE main.{table}",
        made,
        f"INSERT INTO main.{table} ({columns}) SELECT {columns} FROM temp.kept",
        "DROP TABLE temp.kept",
        *rest,
    ):
        driver.exec_driver_sql(statement)
    for (number,) in numbers:  # Numbers are not given twice, also those of rows that are gone.
        driver.exec_driver_sql("DELETE FROM sqlite_sequence WHERE name = ?", (table,))
        driver.exec_driver_sql("INSERT INTO sqlite_sequence VALUES (?, ?)", (table, number))
