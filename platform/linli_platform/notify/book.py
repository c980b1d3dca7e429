"""The log of notices, how targets fare, and silences: what people ask for and say."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from sqlalchemy import ColumnElement, delete, func, select
from sqlalchemy.orm import Session, sessionmaker

from linli_core.alarm import Priority
from linli_core.instant import DAY, Instant
from linli_platform.alarms.models import AlarmTable
from linli_platform.notify.judge import Reason, Silence
from linli_platform.notify.models import MessageTable, NoticeTable, SilenceTable, TargetTable
from linli_platform.notify.rows import Fate, Kind, MessageState, Notice, TargetState

_PORTION: Final = 500


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which notices are asked for; ``None`` and empty stand for any. ``before``: smaller numbers only."""

    alarm: int | None = None
    target: str = ""
    fate: Fate | None = None
    before: int | None = None


class NoticeBook:
    """What people ask for and say of notices; every call is one short transaction and blocks."""

    def __init__(self, sessions: sessionmaker[Session], targets: Iterable[str]) -> None:
        self._sessions = sessions
        self._targets = tuple(targets)

    def find(self, wanted: Wanted, limit: int) -> list[Notice]:
        """Return lines of the log, newest first."""
        conditions: list[ColumnElement[bool]] = []
        if wanted.alarm is not None:
            conditions.append(NoticeTable.alarm == wanted.alarm)
        if wanted.target:
            conditions.append(NoticeTable.target == wanted.target)
        if wanted.fate is not None:
            conditions.append(NoticeTable.state == wanted.fate)
        if wanted.before is not None:
            conditions.append(NoticeTable.id < wanted.before)
        query = (
            select(NoticeTable, AlarmTable, MessageTable)
            .join(AlarmTable, AlarmTable.id == NoticeTable.alarm)
            .outerjoin(MessageTable, MessageTable.id == NoticeTable.message)
            .where(*conditions)
            .order_by(NoticeTable.id.desc())
            .limit(limit)
        )
        with self._sessions() as session:
            return [_notice(*row) for row in session.execute(query)]

    def targets(self) -> list[TargetState]:
        """Return how each target fares."""
        with self._sessions() as session:
            counted = session.execute(
                select(NoticeTable.target, func.count())
                .where(NoticeTable.state == Fate.WAITING)
                .group_by(NoticeTable.target)
            ).all()
            waiting = {row[0]: row[1] for row in counted}
            told = {row.id: row.told_at for row in session.scalars(select(TargetTable))}
            failing = {
                row.target: row
                for row in session.scalars(
                    select(MessageTable).where(
                        MessageTable.state.in_((MessageState.OPEN, MessageState.HANDING)), MessageTable.error != ""
                    )
                )
            }
            return [_target(name, waiting.get(name, 0), told.get(name), failing.get(name)) for name in self._targets]

    # Silences

    def silence(self, wanted: Silence) -> Silence:
        """Write a silence down; return it with its number."""
        with self._sessions.begin() as session:
            row = SilenceTable(
                rule=wanted.rule,
                gateway=wanted.gateway,
                device=wanted.device,
                area=wanted.area,
                route=wanted.route,
                reason=wanted.reason,
                actor=wanted.actor,
                starts_at=wanted.starts_at,
                until=wanted.until,
                ended_by="",
            )
            session.add(row)
            session.flush()
            return silence_of(row)

    def end_silence(self, number: int, now: Instant, actor: str) -> Silence | None:
        """End a silence before its time; ``None`` if there is none, or it is over."""
        with self._sessions.begin() as session:
            row = session.get(SilenceTable, number)
            if row is None or row.ended_at is not None or row.until <= now:
                return None
            row.ended_at, row.ended_by = now, actor
            return silence_of(row)

    def silences(self, now: Instant) -> list[Silence]:
        """Return silences that are, or are to be, the next to end first."""
        query = select(SilenceTable).where(SilenceTable.until > now, SilenceTable.ended_at.is_(None))
        with self._sessions() as session:
            return [silence_of(row) for row in session.scalars(query.order_by(SilenceTable.until))]

    def forget(self, before: Instant) -> int:
        """Take out settled notices and messages that are older; return how many notices."""
        settled = (Fate.SENT, Fate.DROPPED, Fate.FAILED)
        with self._sessions.begin() as session:
            old = (
                select(NoticeTable.id)
                .where(NoticeTable.created_at < before, NoticeTable.state.in_(settled), NoticeTable.repeat_at.is_(None))
                .limit(_PORTION)
            )
            numbers = session.scalars(old).all()
            session.execute(delete(NoticeTable).where(NoticeTable.id.in_(numbers)))
            session.execute(
                delete(MessageTable).where(
                    MessageTable.created_at < before - DAY,
                    MessageTable.state.in_((MessageState.SENT, MessageState.FAILED)),
                    ~select(NoticeTable.id).where(NoticeTable.message == MessageTable.id).exists(),
                )
            )
            return len(numbers)


def _notice(row: NoticeTable, alarm: AlarmTable, message: MessageTable | None) -> Notice:
    return Notice(
        id=row.id,
        change=row.change,
        alarm=row.alarm,
        route=row.route,
        target=row.target,
        kind=Kind(row.kind),
        number=row.number,
        fate=Fate(row.state),
        reason=Reason(row.reason) if row.reason else None,
        detail=row.detail,
        created_at=row.created_at,
        decided_at=row.decided_at,
        message=row.message,
        attempts=0 if message is None else message.attempts,
        error="" if message is None else message.error,
        rule=alarm.rule,
        subject=alarm.subject,
        priority=Priority(alarm.priority),
        title=alarm.title,
    )


def _target(name: str, waiting: int, told_at: Instant | None, failing: MessageTable | None) -> TargetState:
    if failing is None:
        return TargetState(name, waiting, told_at, 0, None, "")
    return TargetState(name, waiting, told_at, failing.attempts, failing.created_at, failing.error)


def silence_of(row: SilenceTable) -> Silence:
    """Return a silence as it is kept."""
    return Silence(
        id=row.id,
        rule=row.rule,
        gateway=row.gateway,
        device=row.device,
        area=row.area,
        route=row.route,
        reason=row.reason,
        actor=row.actor,
        starts_at=row.starts_at,
        until=row.until,
        ended_at=row.ended_at,
        ended_by=row.ended_by,
    )
