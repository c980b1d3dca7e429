"""What a device is marked as, for rules to choose by."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("device", sa.Column("tags", sa.JSON, nullable=False, server_default="[]"))


def downgrade() -> None:
    op.drop_column("device", "tags")
