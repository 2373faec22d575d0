"""The snapshot of what the facts fold to, for a start that does not fold them all."""

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

TABLE = """
CREATE TABLE fold_snapshot (
    seq INTEGER NOT NULL,
    rules TEXT NOT NULL,
    chain TEXT NOT NULL,
    state TEXT NOT NULL CONSTRAINT ck_state_object CHECK (state GLOB '{*}'),
    digest TEXT NOT NULL,
    written_at TEXT NOT NULL,
    PRIMARY KEY (seq),
    FOREIGN KEY(seq) REFERENCES order_event (seq) ON DELETE RESTRICT
) STRICT
"""


def upgrade() -> None:
    """Add the table, in the transaction Alembic was handed."""
    op.execute(" ".join(TABLE.split()))
    op.execute("PRAGMA user_version = 3")


def downgrade() -> None:
    """A ledger is not taken back: restore a backup."""
    raise NotImplementedError("restore a backup")
