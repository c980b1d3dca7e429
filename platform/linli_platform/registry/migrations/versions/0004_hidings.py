"""What is hidden by whom until when; who an alarm is given to."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "alarm_hiding",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("kind", sa.String(32), nullable=False),
        sa.Column("rule", sa.String(120), nullable=False),
        sa.Column("subject", sa.String(300), nullable=False),
        sa.Column("reason", sa.String(1000), nullable=False),
        sa.Column("actor", sa.String(120), nullable=False),
        sa.Column("starts_at", sa.BigInteger, nullable=False),
        sa.Column("until", sa.BigInteger, nullable=False),
        sa.Column("ended_at", sa.BigInteger),
        sa.Column("ended_by", sa.String(120), nullable=False),
    )
    op.create_index("ix_alarm_hiding_until", "alarm_hiding", ["until"])
    op.add_column("alarm", sa.Column("assigned_to", sa.String(120), nullable=False, server_default=""))
    # It was never written: what hides an alarm is asked for when the alarm is shown.
    op.drop_column("alarm", "suppression")


def downgrade() -> None:
    op.add_column("alarm", sa.Column("suppression", sa.String(32)))
    op.drop_column("alarm", "assigned_to")
    op.drop_table("alarm_hiding")
