"""Whether a transition was learnt so late that it goes into the record and rings no bell, as its rule says."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for table in ("alarm", "alarm_change"):
        op.add_column(table, sa.Column("retrospective", sa.Boolean, nullable=False, server_default=sa.false()))
    # A quarter of an hour: what rules said that did not say otherwise, and what notices went by.
    op.execute(
        "UPDATE alarm_change SET retrospective = true"
        " WHERE event IN ('raise', 'return', 'return_latched') AND learnt_at - at >= 900000000"
    )
    op.execute(
        "UPDATE alarm SET retrospective = true WHERE raised_again_at IS NULL AND learnt_at - raised_at >= 900000000"
    )


def downgrade() -> None:
    for table in ("alarm", "alarm_change"):
        op.drop_column(table, "retrospective")
