"""Alarms, their changes, and what the engine remembers."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "alarm",
        sa.Column("id", sa.Integer, autoincrement=True, nullable=False),
        sa.Column("rule", sa.String(120), nullable=False),
        sa.Column("subject", sa.String(300), nullable=False),
        sa.Column("gateway", sa.String(63), nullable=False),
        sa.Column("device", sa.String(63), nullable=False),
        sa.Column("point", sa.String(200), nullable=False),
        sa.Column("category", sa.String(16), nullable=False),
        sa.Column("priority", sa.String(16), nullable=False),
        sa.Column("title", sa.JSON, nullable=False),
        sa.Column("consequence", sa.JSON, nullable=False),
        sa.Column("response", sa.JSON, nullable=False),
        sa.Column("clause", sa.String(200), nullable=False),
        sa.Column("state", sa.String(32), nullable=False),
        sa.Column("suppression", sa.String(32)),
        sa.Column("raised_at", sa.BigInteger, nullable=False),
        sa.Column("learnt_at", sa.BigInteger, nullable=False),
        sa.Column("raised_again_at", sa.BigInteger),
        sa.Column("times_raised", sa.Integer, nullable=False),
        sa.Column("returned_at", sa.BigInteger),
        sa.Column("acknowledged_at", sa.BigInteger),
        sa.Column("acknowledged_by", sa.String(120), nullable=False),
        sa.Column("comment", sa.String(1000), nullable=False),
        sa.Column("value", sa.Double),
        sa.Column("text", sa.String(200)),
        sa.PrimaryKeyConstraint("id", name="pk_alarm"),
    )
    op.create_index(
        "uq_alarm_active",
        "alarm",
        ["rule", "subject"],
        unique=True,
        sqlite_where=sa.text("state <> 'normal'"),
        postgresql_where=sa.text("state <> 'normal'"),
    )
    op.create_index("ix_alarm_raised_at", "alarm", ["raised_at"])
    op.create_table(
        "alarm_change",
        sa.Column("id", sa.Integer, autoincrement=True, nullable=False),
        sa.Column("alarm", sa.Integer, nullable=False),
        sa.Column("event", sa.String(32), nullable=False),
        sa.Column("before", sa.String(32), nullable=False),
        sa.Column("after", sa.String(32), nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("learnt_at", sa.BigInteger, nullable=False),
        sa.Column("value", sa.Double),
        sa.Column("text", sa.String(200)),
        sa.Column("actor", sa.String(120), nullable=False),
        sa.Column("comment", sa.String(1000), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_alarm_change"),
        sa.ForeignKeyConstraint(["alarm"], ["alarm.id"], name="fk_alarm_change_alarm_alarm"),
    )
    op.create_index("ix_alarm_change_alarm", "alarm_change", ["alarm"])
    op.create_table(
        "alarm_memory",
        sa.Column("rule", sa.String(120), nullable=False),
        sa.Column("subject", sa.String(300), nullable=False),
        sa.Column("memory", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("rule", "subject", name="pk_alarm_memory"),
    )


def downgrade() -> None:
    for table in ("alarm_memory", "alarm_change", "alarm"):
        op.drop_table(table)
