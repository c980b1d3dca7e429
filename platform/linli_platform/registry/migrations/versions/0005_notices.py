"""Who was told of what, who is to be, and why somebody was not."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "notice_message",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("target", sa.String(63), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("doubtful", sa.Boolean, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("next_at", sa.BigInteger, nullable=False),
        sa.Column("tried_at", sa.BigInteger),
        sa.Column("error", sa.String(300), nullable=False),
    )
    op.create_index("ix_notice_message_state", "notice_message", ["state", "target"])
    op.create_table(
        "notice",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("change", sa.Integer, sa.ForeignKey("alarm_change.id"), nullable=False),
        sa.Column("alarm", sa.Integer, sa.ForeignKey("alarm.id"), nullable=False),
        sa.Column("route", sa.String(63), nullable=False),
        sa.Column("target", sa.String(63), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("reason", sa.String(32), nullable=False),
        sa.Column("detail", sa.String(300), nullable=False),
        sa.Column("urgency", sa.Integer, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("decided_at", sa.BigInteger),
        sa.Column("repeat_at", sa.BigInteger),
        sa.Column("message", sa.Integer, sa.ForeignKey("notice_message.id")),
        sa.UniqueConstraint("change", "route", "target", "number", name="uq_notice_identity"),
    )
    op.create_index("ix_notice_state_target", "notice", ["state", "target"])
    op.create_index("ix_notice_alarm", "notice", ["alarm"])
    op.create_index("ix_notice_repeat_at", "notice", ["repeat_at"])
    op.create_index("ix_notice_message", "notice", ["message"])
    op.create_table(
        "notice_target",
        sa.Column("id", sa.String(63), primary_key=True),
        sa.Column("due", sa.BigInteger, nullable=False),
        sa.Column("told_at", sa.BigInteger),
    )
    op.create_table(
        "notice_silence",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("rule", sa.String(120), nullable=False),
        sa.Column("gateway", sa.String(63), nullable=False),
        sa.Column("device", sa.String(63), nullable=False),
        sa.Column("area", sa.String(63), nullable=False),
        sa.Column("route", sa.String(63), nullable=False),
        sa.Column("reason", sa.String(1000), nullable=False),
        sa.Column("actor", sa.String(120), nullable=False),
        sa.Column("starts_at", sa.BigInteger, nullable=False),
        sa.Column("until", sa.BigInteger, nullable=False),
        sa.Column("ended_at", sa.BigInteger),
        sa.Column("ended_by", sa.String(120), nullable=False),
    )
    op.create_index("ix_notice_silence_until", "notice_silence", ["until"])
    op.create_table(
        "notice_mark",
        sa.Column("name", sa.String(63), primary_key=True),
        sa.Column("change", sa.Integer, nullable=False),
    )


def downgrade() -> None:
    for table in ("notice_mark", "notice_silence", "notice_target", "notice", "notice_message"):
        op.drop_table(table)
