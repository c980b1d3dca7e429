"""A number that grows with every change of where something is or what it is called, whoever makes it.

By triggers, so that no statement can forget it. What is written every few seconds, when gateways were heard of and what
they last told, is no such change.
"""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

_WATCHED = {
    "area": "parent, kind, titles",
    "gateway": "state, titles, area",
    "device": "state, kind, tags, titles, area",
}


def upgrade() -> None:
    op.create_table(
        "place_revision",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("number", sa.BigInteger, nullable=False),
    )
    op.execute("INSERT INTO place_revision VALUES (1, 0)")
    for table, columns in _WATCHED.items():
        for name, event in {"new": "INSERT", "gone": "DELETE", "other": f"UPDATE OF {columns}"}.items():
            counted = "BEGIN UPDATE place_revision SET number = number + 1; END"
            op.execute(f"CREATE TRIGGER place_revision_{table}_{name} AFTER {event} ON {table} {counted}")


def downgrade() -> None:
    for table in _WATCHED:
        for name in ("new", "gone", "other"):
            op.execute(f"DROP TRIGGER place_revision_{table}_{name}")
    op.drop_table("place_revision")
