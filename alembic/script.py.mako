"""${message}."""

from alembic import op

revision = ${repr(up_revision)}
down_revision = ${repr(down_revision)}
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Hand-written SQL. Name every CHECK; recreate no table; set user_version at the end."""
    op.execute("PRAGMA user_version = ...")


def downgrade() -> None:
    """A ledger is not taken back: restore the backup that was made before the upgrade."""
    raise NotImplementedError("restore the backup made before the upgrade")
