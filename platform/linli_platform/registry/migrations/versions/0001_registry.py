"""Areas, gateways, devices, refusals, loss ledger."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "area",
        sa.Column("id", sa.String(63), nullable=False),
        sa.Column("parent", sa.String(63)),
        sa.Column("kind", sa.String(32), nullable=False),
        sa.Column("titles", sa.JSON, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_area"),
        sa.ForeignKeyConstraint(["parent"], ["area.id"], name="fk_area_parent_area"),
    )
    op.create_table(
        "gateway",
        sa.Column("id", sa.String(63), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("titles", sa.JSON, nullable=False),
        sa.Column("area", sa.String(63)),
        sa.Column("first_seen", sa.BigInteger),
        sa.Column("last_seen", sa.BigInteger),
        sa.Column("status", sa.JSON),
        sa.Column("status_at", sa.BigInteger),
        sa.PrimaryKeyConstraint("id", name="pk_gateway"),
        sa.ForeignKeyConstraint(["area"], ["area.id"], name="fk_gateway_area_area"),
    )
    op.create_table(
        "device",
        sa.Column("gateway", sa.String(63), nullable=False),
        sa.Column("id", sa.String(63), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("kind", sa.String(32), nullable=False),
        sa.Column("titles", sa.JSON, nullable=False),
        sa.Column("area", sa.String(63)),
        sa.Column("first_seen", sa.BigInteger),
        sa.PrimaryKeyConstraint("gateway", "id", name="pk_device"),
        sa.ForeignKeyConstraint(["gateway"], ["gateway.id"], name="fk_device_gateway_gateway"),
        sa.ForeignKeyConstraint(["area"], ["area.id"], name="fk_device_area_area"),
    )
    op.create_table(
        "refusal",
        sa.Column("gateway", sa.String(63), nullable=False),
        sa.Column("reason", sa.String(32), nullable=False),
        sa.Column("count", sa.BigInteger, nullable=False),
        sa.Column("first_at", sa.BigInteger, nullable=False),
        sa.Column("last_at", sa.BigInteger, nullable=False),
        sa.Column("example", sa.String(500), nullable=False),
        sa.PrimaryKeyConstraint("gateway", "reason", name="pk_refusal"),
    )
    op.create_table(
        "loss",
        sa.Column("id", sa.Integer, autoincrement=True, nullable=False),
        sa.Column("gateway", sa.String(63), nullable=False),
        sa.Column("epoch", sa.String(64), nullable=False),
        sa.Column("first", sa.BigInteger, nullable=False),
        sa.Column("last", sa.BigInteger, nullable=False),
        sa.Column("cause", sa.String(64), nullable=False),
        sa.Column("observed_from", sa.BigInteger),
        sa.Column("observed_to", sa.BigInteger),
        sa.Column("readings", sa.BigInteger),
        sa.Column("booked_at", sa.BigInteger, nullable=False),
        sa.Column("amended_at", sa.BigInteger),
        sa.PrimaryKeyConstraint("id", name="pk_loss"),
    )
    op.create_index("ix_loss_gateway_epoch_first", "loss", ["gateway", "epoch", "first"])


def downgrade() -> None:
    for table in ("loss", "refusal", "device", "gateway", "area"):
        op.drop_table(table)
