"""The relational state as SQLAlchemy tables; other parts add theirs on the same :class:`Base`."""

from typing import Any

from sqlalchemy import JSON, BigInteger, ForeignKey, Index, MetaData, String
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class Base(DeclarativeBase):
    """Root of every table; constraints get predictable names, so that a migration can name them."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(column_0_N_label)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
            "pk": "pk_%(table_name)s",
        }
    )


class AreaTable(Base):
    """A place in the tree: community, building, dwelling, common area."""

    __tablename__ = "area"

    id: Mapped[str] = mapped_column(String(63), primary_key=True)
    parent: Mapped[str | None] = mapped_column(ForeignKey("area.id"))
    kind: Mapped[str] = mapped_column(String(32))
    titles: Mapped[dict[str, str]] = mapped_column(JSON, default=dict)


class PlaceRevisionTable(Base):
    """How often anything was moved or called otherwise; triggers count (migration 0009)."""

    __tablename__ = "place_revision"

    id: Mapped[int] = mapped_column(primary_key=True)
    number: Mapped[int] = mapped_column(BigInteger)


class GatewayTable(Base):
    """A gateway, whether it was declared or only heard of."""

    __tablename__ = "gateway"

    id: Mapped[str] = mapped_column(String(63), primary_key=True)
    state: Mapped[str] = mapped_column(String(16))
    titles: Mapped[dict[str, str]] = mapped_column(JSON, default=dict)
    area: Mapped[str | None] = mapped_column(ForeignKey("area.id"))
    first_seen: Mapped[int | None] = mapped_column(BigInteger)
    last_seen: Mapped[int | None] = mapped_column(BigInteger)
    status: Mapped[dict[str, Any] | None] = mapped_column(JSON)
    status_at: Mapped[int | None] = mapped_column(BigInteger)


class DeviceTable(Base):
    """A device of a gateway."""

    __tablename__ = "device"

    gateway: Mapped[str] = mapped_column(ForeignKey("gateway.id"), primary_key=True)
    id: Mapped[str] = mapped_column(String(63), primary_key=True)
    state: Mapped[str] = mapped_column(String(16))
    kind: Mapped[str] = mapped_column(String(32), default="")
    tags: Mapped[list[str]] = mapped_column(JSON, default=list)
    titles: Mapped[dict[str, str]] = mapped_column(JSON, default=dict)
    area: Mapped[str | None] = mapped_column(ForeignKey("area.id"))
    first_seen: Mapped[int | None] = mapped_column(BigInteger)


class RefusalTable(Base):
    """How often each gateway's messages were refused, by reason; an unknown sender counts under an empty id."""

    __tablename__ = "refusal"

    gateway: Mapped[str] = mapped_column(String(63), primary_key=True)
    reason: Mapped[str] = mapped_column(String(32), primary_key=True)
    count: Mapped[int] = mapped_column(BigInteger, default=0)
    first_at: Mapped[int] = mapped_column(BigInteger)
    last_at: Mapped[int] = mapped_column(BigInteger)
    example: Mapped[str] = mapped_column(String(500), default="")


class LossTable(Base):
    """The loss ledger: what will never come, or came and could not be taken."""

    __tablename__ = "loss"
    __table_args__ = (Index("ix_loss_gateway_epoch_first", "gateway", "epoch", "first"),)

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    gateway: Mapped[str] = mapped_column(String(63))
    epoch: Mapped[str] = mapped_column(String(64))
    first: Mapped[int] = mapped_column(BigInteger)
    last: Mapped[int] = mapped_column(BigInteger)
    cause: Mapped[str] = mapped_column(String(64))
    observed_from: Mapped[int | None] = mapped_column(BigInteger)
    observed_to: Mapped[int | None] = mapped_column(BigInteger)
    readings: Mapped[int | None] = mapped_column(BigInteger)
    booked_at: Mapped[int] = mapped_column(BigInteger)
    amended_at: Mapped[int | None] = mapped_column(BigInteger)


class LeaseTable(Base):
    """Who works on a set of shards. ``beat`` grows while the holder lives; others judge it by clocks of their own."""

    __tablename__ = "lease"

    name: Mapped[str] = mapped_column(String(63), primary_key=True)
    holder: Mapped[str] = mapped_column(String(200))
    term: Mapped[int] = mapped_column(BigInteger)
    beat: Mapped[int] = mapped_column(BigInteger)
