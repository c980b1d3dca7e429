"""The alarms' tables, in the registry's database."""

from sqlalchemy import JSON, BigInteger, ForeignKey, Index, String, Text, false, text
from sqlalchemy.orm import Mapped, mapped_column

from linli_platform.registry.models import Base


class AlarmTable(Base):
    """One alarm from its first raise until it is normal again; (rule, subject) has one that is not, at most."""

    __tablename__ = "alarm"
    __table_args__ = (
        Index(
            "uq_alarm_active",
            "rule",
            "subject",
            unique=True,
            sqlite_where=text("state <> 'normal'"),
            postgresql_where=text("state <> 'normal'"),
        ),
        Index("ix_alarm_raised_at", "raised_at"),
    )

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    rule: Mapped[str] = mapped_column(String(120))
    subject: Mapped[str] = mapped_column(String(300))
    gateway: Mapped[str] = mapped_column(String(63))
    device: Mapped[str] = mapped_column(String(63), default="")
    point: Mapped[str] = mapped_column(String(200), default="")
    category: Mapped[str] = mapped_column(String(16))
    priority: Mapped[str] = mapped_column(String(16))
    title: Mapped[dict[str, str]] = mapped_column(JSON)
    consequence: Mapped[dict[str, str]] = mapped_column(JSON)
    response: Mapped[dict[str, str]] = mapped_column(JSON)
    clause: Mapped[str] = mapped_column(String(200), default="")
    state: Mapped[str] = mapped_column(String(32))
    raised_at: Mapped[int] = mapped_column(BigInteger)
    learnt_at: Mapped[int] = mapped_column(BigInteger)
    raised_again_at: Mapped[int | None] = mapped_column(BigInteger)
    times_raised: Mapped[int] = mapped_column(default=1)
    returned_at: Mapped[int | None] = mapped_column(BigInteger)
    acknowledged_at: Mapped[int | None] = mapped_column(BigInteger)
    acknowledged_by: Mapped[str] = mapped_column(String(120), default="")
    comment: Mapped[str] = mapped_column(String(1000), default="")
    assigned_to: Mapped[str] = mapped_column(String(120), default="")
    value: Mapped[float | None]
    text: Mapped[str | None] = mapped_column(String(200))
    retrospective: Mapped[bool] = mapped_column(default=False, server_default=false())
    revision: Mapped[int | None]


class AlarmChangeTable(Base):
    """Every transition of every alarm: what, when it was so, when it was learnt, by whom and why. Never updated."""

    __tablename__ = "alarm_change"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    alarm: Mapped[int] = mapped_column(ForeignKey("alarm.id"), index=True)
    event: Mapped[str] = mapped_column(String(32))
    before: Mapped[str] = mapped_column(String(32))
    after: Mapped[str] = mapped_column(String(32))
    at: Mapped[int] = mapped_column(BigInteger, index=True)
    learnt_at: Mapped[int] = mapped_column(BigInteger)
    value: Mapped[float | None]
    text: Mapped[str | None] = mapped_column(String(200))
    actor: Mapped[str] = mapped_column(String(120), default="")
    comment: Mapped[str] = mapped_column(String(1000), default="")
    retrospective: Mapped[bool] = mapped_column(default=False, server_default=false())


class AlarmMemoryTable(Base):
    """What the engine must remember of each (rule, subject) over a restart, as JSON."""

    __tablename__ = "alarm_memory"

    rule: Mapped[str] = mapped_column(String(120), primary_key=True)
    subject: Mapped[str] = mapped_column(String(300), primary_key=True)
    memory: Mapped[bytes]


class RuleRevisionTable(Base):
    """What a rule became, everywhere or in an area; never updated, never deleted."""

    __tablename__ = "rule_revision"
    __table_args__ = (Index("ix_rule_revision_rule", "rule", "area"),)

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    rule: Mapped[str] = mapped_column(String(120))
    area: Mapped[str] = mapped_column(String(63), default="")
    source: Mapped[str] = mapped_column(Text)
    at: Mapped[int] = mapped_column(BigInteger)
    actor: Mapped[str] = mapped_column(String(120), default="")
    parameter: Mapped[str] = mapped_column(String(63), default="")
    before: Mapped[float | None]
    after: Mapped[float | None]
    comment: Mapped[str] = mapped_column(String(1000), default="")


class RuleValueTable(Base):
    """A value that people gave a parameter of a rule, everywhere or in an area."""

    __tablename__ = "rule_value"

    rule: Mapped[str] = mapped_column(String(120), primary_key=True)
    area: Mapped[str] = mapped_column(String(63), primary_key=True)
    parameter: Mapped[str] = mapped_column(String(63), primary_key=True)
    value: Mapped[float]


class HidingTable(Base):
    """What alarms are hidden by whom, why and until when; ended, never deleted."""

    __tablename__ = "alarm_hiding"
    __table_args__ = (Index("ix_alarm_hiding_until", "until"),)

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    kind: Mapped[str] = mapped_column(String(32))
    rule: Mapped[str] = mapped_column(String(120), default="")
    subject: Mapped[str] = mapped_column(String(300))
    reason: Mapped[str] = mapped_column(String(1000))
    actor: Mapped[str] = mapped_column(String(120))
    starts_at: Mapped[int] = mapped_column(BigInteger)
    until: Mapped[int] = mapped_column(BigInteger)
    ended_at: Mapped[int | None] = mapped_column(BigInteger)
    ended_by: Mapped[str] = mapped_column(String(120), default="")
