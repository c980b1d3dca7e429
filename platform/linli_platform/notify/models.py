"""The tables of notices, in the registry's database: the queue and the log are one."""

from sqlalchemy import BigInteger, ForeignKey, Index, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from linli_platform.registry.models import Base


class NoticeTable(Base):
    """That somebody is to be told of a change, was, or was not and why; one row per change, route and target."""

    __tablename__ = "notice"
    __table_args__ = (
        UniqueConstraint("change", "route", "target", "number", name="uq_notice_identity"),
        Index("ix_notice_state_target", "state", "target"),
        Index("ix_notice_alarm", "alarm"),
        Index("ix_notice_repeat_at", "repeat_at"),
        Index("ix_notice_message", "message"),
    )

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    change: Mapped[int] = mapped_column(ForeignKey("alarm_change.id"))
    alarm: Mapped[int] = mapped_column(ForeignKey("alarm.id"))
    route: Mapped[str] = mapped_column(String(63), default="")
    target: Mapped[str] = mapped_column(String(63), default="")
    kind: Mapped[str] = mapped_column(String(16))
    number: Mapped[int] = mapped_column(default=0)
    state: Mapped[str] = mapped_column(String(16))
    reason: Mapped[str] = mapped_column(String(32), default="")
    detail: Mapped[str] = mapped_column(String(300), default="")
    urgency: Mapped[int] = mapped_column(default=0)
    created_at: Mapped[int] = mapped_column(BigInteger)
    decided_at: Mapped[int | None] = mapped_column(BigInteger)
    repeat_at: Mapped[int | None] = mapped_column(BigInteger)
    message: Mapped[int | None] = mapped_column(ForeignKey("notice_message.id"))


class MessageTable(Base):
    """One message to one target: what is handed over at once. A target has at most one that is not settled."""

    __tablename__ = "notice_message"
    __table_args__ = (Index("ix_notice_message_state", "state", "target"),)

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    target: Mapped[str] = mapped_column(String(63))
    state: Mapped[str] = mapped_column(String(16))
    attempts: Mapped[int] = mapped_column(default=0)
    doubtful: Mapped[bool] = mapped_column(default=False)
    created_at: Mapped[int] = mapped_column(BigInteger)
    next_at: Mapped[int] = mapped_column(BigInteger)
    tried_at: Mapped[int | None] = mapped_column(BigInteger)
    error: Mapped[str] = mapped_column(String(300), default="")


class TargetTable(Base):
    """What is kept of a target over a restart: its pace."""

    __tablename__ = "notice_target"

    id: Mapped[str] = mapped_column(String(63), primary_key=True)
    due: Mapped[int] = mapped_column(BigInteger, default=0)
    told_at: Mapped[int | None] = mapped_column(BigInteger)


class SilenceTable(Base):
    """What nobody is told of for a while; ended, never deleted."""

    __tablename__ = "notice_silence"
    __table_args__ = (Index("ix_notice_silence_until", "until"),)

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    rule: Mapped[str] = mapped_column(String(120), default="")
    gateway: Mapped[str] = mapped_column(String(63), default="")
    device: Mapped[str] = mapped_column(String(63), default="")
    area: Mapped[str] = mapped_column(String(63), default="")
    route: Mapped[str] = mapped_column(String(63), default="")
    reason: Mapped[str] = mapped_column(String(1000))
    actor: Mapped[str] = mapped_column(String(120))
    starts_at: Mapped[int] = mapped_column(BigInteger)
    until: Mapped[int] = mapped_column(BigInteger)
    ended_at: Mapped[int | None] = mapped_column(BigInteger)
    ended_by: Mapped[str] = mapped_column(String(120), default="")


class MarkTable(Base):
    """How far the alarms' changes were taken in: what was written after it is still to be told."""

    __tablename__ = "notice_mark"

    name: Mapped[str] = mapped_column(String(63), primary_key=True)
    change: Mapped[int]
