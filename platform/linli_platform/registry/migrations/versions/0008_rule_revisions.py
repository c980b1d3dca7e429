"""What rules were and are: each revision of each, what people changed of them, and which revision raised an alarm."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "rule_revision",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("rule", sa.String(120), nullable=False),
        sa.Column("area", sa.String(63), nullable=False),
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("actor", sa.String(120), nullable=False),
        sa.Column("parameter", sa.String(63), nullable=False),
        sa.Column("before", sa.Double),
        sa.Column("after", sa.Double),
        sa.Column("comment", sa.String(1000), nullable=False),
    )
    op.create_index("ix_rule_revision_rule", "rule_revision", ["rule", "area"])
    op.create_table(
        "rule_value",
        sa.Column("rule", sa.String(120), primary_key=True),
        sa.Column("area", sa.String(63), primary_key=True),
        sa.Column("parameter", sa.String(63), primary_key=True),
        sa.Column("value", sa.Double, nullable=False),
    )
    # Not a foreign key: SQLite would have to write the table anew to gain one.
    op.add_column("alarm", sa.Column("revision", sa.Integer))
    op.create_index("ix_alarm_change_at", "alarm_change", ["at"])


def downgrade() -> None:
    op.drop_index("ix_alarm_change_at", "alarm_change")
    op.drop_column("alarm", "revision")
    op.drop_table("rule_value")
    op.drop_index("ix_rule_revision_rule", "rule_revision")
    op.drop_table("rule_revision")
