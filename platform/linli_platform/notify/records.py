"""Notices in the database: what the alarms' changes ask for is put down in one transaction with how far they were read.

Theory of operation: the alarms' own record of changes is the source; ``notice_mark`` says up to which change it was
taken in. So whatever is killed when, each change comes in once (and (change, route, target, number) is unique besides).
A message is marked ``handing`` before it is handed over and ``sent`` after. One that a killed process left ``handing``
may have come through or not: it is handed over again under the same number and says so. That is one repetition at most
per target and kill, since a target has one message under way at a time.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from sqlalchemy import Connection, Row, bindparam, case, delete, func, insert, or_, select, update
from sqlalchemy.orm import Session, sessionmaker

from linli_core.alarm import CONDITION_HOLDS, Category, Event, Priority, State
from linli_core.instant import MINUTE, Instant
from linli_platform.alarms.models import AlarmChangeTable, AlarmTable
from linli_platform.notify.book import silence_of
from linli_platform.notify.judge import HAUNTS, Alarm, Reason, Scene, Silence
from linli_platform.notify.models import MarkTable, MessageTable, NoticeTable, SilenceTable, TargetTable
from linli_platform.notify.pace import Pace, back_off
from linli_platform.notify.routes import Routes, Target, length, matches
from linli_platform.notify.rows import Fate, Kind, Line, MessageState, Outgoing

CHANGES: Final = 500
"""Changes taken in by one transaction: a flood must not keep the database from others."""

LINES: Final = 20
"""Alarms named in one message; a person reads no more, and the page has them all."""

_ATTEMPTS: Final = 5
"""So often a message is tried at least, whatever the clock says: it may have jumped."""

PATIENCE: Final = MINUTE
"""So long an alarm of the past is held back: the backlog it came with may say in the next moment that it is over."""

_LOOKED_AT: Final = 1_000
_TEXT: Final = 300
_MARK: Final = "alarm_change"
_URGENCY: Final = {Priority.HIGH: 2, Priority.MEDIUM: 1, Priority.LOW: 0}
_ENDS: Final = {Event.RETURN: Reason.OVER, Event.RESET: Reason.OVER, Event.ACKNOWLEDGE: Reason.ACKNOWLEDGED}
_ALARM: Final = (
    AlarmTable.id,
    AlarmTable.rule,
    AlarmTable.subject,
    AlarmTable.gateway,
    AlarmTable.device,
    AlarmTable.category,
    AlarmTable.priority,
    AlarmTable.state,
)
"""What decides who is told; texts and values are read when a message is written."""

_TOLD: Final = (Fate.WAITING, Fate.SENT)


# Statements that every alarm waits for, made once: SQLAlchemy takes longer to make one than SQLite to carry it out.

_NEW_CHANGES: Final = (
    select(
        AlarmChangeTable.id,
        AlarmChangeTable.event,
        AlarmChangeTable.retrospective,
        AlarmChangeTable.learnt_at - AlarmChangeTable.at,
        *_ALARM,
    )
    .join(AlarmTable, AlarmTable.id == AlarmChangeTable.alarm)
    .where(AlarmChangeTable.id > select(MarkTable.change).where(MarkTable.name == _MARK).scalar_subquery())
    .order_by(AlarmChangeTable.id)
    .limit(CHANGES)
)
_MOVE_MARK: Final = update(MarkTable).where(MarkTable.name == _MARK).values(change=bindparam("upto"))
_LOOSE: Final = (NoticeTable.state == Fate.WAITING, NoticeTable.message.is_(None))
"""What waits and is in no message yet."""

_WAITING: Final = select(NoticeTable.target, func.max(NoticeTable.urgency)).where(*_LOOSE).group_by(NoticeTable.target)
_OPEN: Final = select(MessageTable.__table__).where(MessageTable.state == MessageState.OPEN)
_GATHER: Final = (
    update(NoticeTable).where(*_LOOSE, NoticeTable.target == bindparam("of")).values(message=bindparam("into"))
)
_BEGIN: Final = insert(MessageTable).values(state=MessageState.HANDING, attempts=1, doubtful=False, error="")
_AGAIN: Final = update(MessageTable).where(MessageTable.id == bindparam("which")).values(state=MessageState.HANDING)
_EMPTY: Final = (
    update(MessageTable)
    .where(MessageTable.id == bindparam("which"))
    .values(state=MessageState.FAILED, error="nothing is left to tell")
)
_DUE: Final = select(TargetTable.due).where(TargetTable.id == bindparam("which"))
_SPEND: Final = update(TargetTable).where(TargetTable.id == bindparam("which"))
_MOST_URGENT: Final = func.max(NoticeTable.urgency)
_BEST: Final = (
    select(
        NoticeTable.alarm,
        func.count().over(),
        func.sum(case((func.max(NoticeTable.urgency) == _URGENCY[Priority.HIGH], 1), else_=0)).over(),
    )
    .where(NoticeTable.message == bindparam("message"))
    .group_by(NoticeTable.alarm)
    .order_by(_MOST_URGENT.desc(), func.max(NoticeTable.id).desc())
    .limit(LINES)
)
"""The most pressing alarms of a message; and of each how many there are in all, and how many of high priority."""

_TOLD_OF: Final = (
    select(AlarmTable.__table__, NoticeTable.kind)
    .join(NoticeTable, NoticeTable.alarm == AlarmTable.id)
    .where(NoticeTable.message == bindparam("message"), AlarmTable.id.in_(bindparam("alarms", expanding=True)))
)
_OF_MESSAGE: Final = (NoticeTable.message == bindparam("told"), NoticeTable.state == Fate.WAITING)
_TOLD_ROUTE: Final = (
    update(NoticeTable)
    .where(*_OF_MESSAGE, NoticeTable.route == bindparam("over"), NoticeTable.kind != Kind.RESOLVED)
    .values(repeat_at=bindparam("again"))
)
_TOLD_ALL: Final = update(NoticeTable).where(*_OF_MESSAGE).values(state=Fate.SENT, decided_at=bindparam("at"))


@dataclass(frozen=True, slots=True)
class Work:
    """What one round came to: messages to hand over, and whether more changes wait."""

    messages: tuple[Outgoing, ...]
    more: bool


class NoticeRecords:
    """The notices' tables; every call is one short transaction and blocks."""

    def __init__(self, sessions: sessionmaker[Session], routes: Routes) -> None:
        self._sessions = sessions
        self._routes = {route.id: route for route in routes.routes}
        self._targets = {target.id: target for target in routes.targets}
        self._looked_to = 0
        self._silences: tuple[Silence, ...] = ()
        self._paces = {
            target.id: Pace(target.burst, length(target.every, "every")) for target in self._targets.values()
        }
        self._repeats = {route.id: length(route.repeat, "repeat") for route in self._routes.values() if route.repeat}

    def begin(self, now: Instant) -> int:
        """Take up after a start: return how many messages were under way when the last process ended.

        Where nobody was told of anything until now, only what happens from now on is told.
        """
        with self._sessions.begin() as session:
            if not self._targets:
                session.execute(delete(MarkTable))
            elif session.get(MarkTable, _MARK) is None:
                newest = session.scalar(select(func.max(AlarmChangeTable.id))) or 0
                session.add(MarkTable(name=_MARK, change=newest))
            interrupted = session.scalars(select(MessageTable).where(MessageTable.state == MessageState.HANDING)).all()
            for message in interrupted:
                message.state, message.doubtful, message.next_at = MessageState.OPEN, True, now
                message.error = "the platform ended while it was handed over"
            self._give_up_strangers(session, now)
            return len(interrupted)

    def _give_up_strangers(self, session: Session, now: Instant) -> None:
        """Give up messages to targets that the file does not name any more."""
        strangers = session.scalars(
            select(MessageTable).where(
                MessageTable.state == MessageState.OPEN, MessageTable.target.not_in(list(self._targets))
            )
        )
        for message in strangers:
            message.state = MessageState.FAILED
            session.execute(
                update(NoticeTable)
                .where(NoticeTable.message == message.id, NoticeTable.state == Fate.WAITING)
                .values(state=Fate.DROPPED, reason=Reason.ROUTE_GONE, decided_at=now)
            )

    # Taking in

    def work(self, scene: Scene, idle: Iterable[str], *, look: bool) -> Work:
        """Take in what changed, and return what is to be handed over to targets that are idle.

        Args:
            scene: What there is now; silences and standing alarms are added here.
            idle: Targets to whom nothing is being handed over.
            look: Look again at silences, at what is held back, and at what is to be repeated.
        """
        with self._sessions.begin() as session:
            if look:
                silences = session.scalars(
                    select(SilenceTable).where(SilenceTable.until > scene.now, SilenceTable.ended_at.is_(None))
                )
                self._silences = tuple(silence_of(row) for row in silences)
            scene = self._completed(session, scene)
            more = self._take_in(session, scene)
            if look:
                self._look(session, scene)
                self._repeat(session, scene)
                session.flush()
            return Work(tuple(self._form(session.connection(), scene.now, idle)), more)

    def _completed(self, session: Session, scene: Scene) -> Scene:
        scene = replace(scene, silences=self._silences)
        if not scene.inhibitions:
            return scene
        holds = AlarmTable.state.in_(CONDITION_HOLDS)
        rules = session.scalars(select(AlarmTable.rule).where(holds).distinct())
        wanted = [rule for rule in rules if any(matches(rule, each.by) for each in scene.inhibitions)]
        standing = session.execute(select(*_ALARM).where(holds, AlarmTable.rule.in_(wanted)).limit(1_000))
        return replace(scene, standing=tuple(_alarm(facts) for facts in standing))

    def _take_in(self, session: Session, scene: Scene) -> bool:
        changes = session.connection().execute(_NEW_CHANGES).all()
        if not changes:
            return False
        new: list[dict[str, Any]] = []
        for change, event, retrospective, delay, *facts in changes:
            if event == Event.RAISE:
                new += self._raised(scene, change, _alarm(facts), delay if retrospective else None)
            elif event in _ENDS or event == Event.RETURN_LATCHED:
                _insert(session, new)
                new = self._ended(session, scene, change, _alarm(facts), Event(event))
        _insert(session, new)
        session.connection().execute(_MOVE_MARK, {"upto": changes[-1][0]})
        return len(changes) == CHANGES

    def _raised(self, scene: Scene, change: int, alarm: Alarm, delay: Instant | None) -> list[dict[str, Any]]:
        """Return who is told of an alarm; ``delay`` is how late it was learnt where that makes it one of the past."""
        found = []
        late = None if delay is None else (Reason.RETROSPECTIVE, f"learnt {delay // MINUTE} min later")
        for route in self._routes.values():
            if scene.concerns(route, alarm):
                verdict = scene.judge(route, alarm) or late
                found += [_new(scene.now, change, alarm, Kind.RAISED, (route.id, to), verdict) for to in route.to]
        if not found:
            lost = _new(scene.now, change, alarm, Kind.RAISED, ("", ""), (Reason.NO_ROUTE, ""))
            found.append({**lost, "state": Fate.DROPPED})
        return found

    def _ended(self, session: Session, scene: Scene, change: int, alarm: Alarm, event: Event) -> list[dict[str, Any]]:
        """Return who is told that it is over; nobody is told of its beginning any more who was not yet to be."""
        of_it = NoticeTable.alarm == alarm.id
        if (reason := _ENDS.get(event)) is not None:
            session.execute(update(NoticeTable).where(of_it, NoticeTable.repeat_at.is_not(None)).values(repeat_at=None))
            session.execute(
                update(NoticeTable)
                .where(of_it, NoticeTable.state == Fate.HELD)
                .values(state=Fate.DROPPED, reason=reason, detail="", decided_at=scene.now)
            )
        if event not in {Event.RETURN, Event.RETURN_LATCHED}:
            return []
        told = session.execute(
            select(NoticeTable.route, NoticeTable.target)
            .where(of_it, NoticeTable.kind != Kind.RESOLVED, NoticeTable.state.in_(_TOLD))
            .distinct()
        ).all()
        found = []
        for name, target in told:
            route = self._routes.get(name)
            if route is None or not route.resolved or target not in self._targets:
                continue
            verdict = scene.judge(route, alarm)
            if verdict is not None and verdict[0] is Reason.HOURS:
                verdict = None  # whoever was told that it began is told that it is over
            row = _new(scene.now, change, alarm, Kind.RESOLVED, (name, target), verdict)
            found.append(row if verdict is None else {**row, "state": Fate.DROPPED})
        return found

    # Looking again

    def _look(self, session: Session, scene: Scene) -> None:
        """Tell what was held back and need not be any longer; hold back what waits and was hidden or silenced since."""
        open_ones = session.execute(
            select(NoticeTable, *_ALARM)
            .join(AlarmTable, AlarmTable.id == NoticeTable.alarm)
            .where(
                or_(
                    NoticeTable.state == Fate.HELD,
                    (NoticeTable.state == Fate.WAITING) & NoticeTable.message.is_(None),
                ),
                NoticeTable.kind != Kind.RESOLVED,
                NoticeTable.id > self._looked_to,
            )
            .order_by(NoticeTable.id)
            .limit(_LOOKED_AT)
        ).all()
        # A portion each time, then from the beginning again: thousands that wait must not take every look whole.
        self._looked_to = open_ones[-1][0].id if len(open_ones) == _LOOKED_AT else 0
        for notice, *facts in open_ones:
            route = self._routes.get(notice.route)
            alarm = _alarm(facts)
            if route is None or notice.target not in route.to:
                _settle(notice, Fate.DROPPED, (Reason.ROUTE_GONE, ""), scene.now)
                continue
            verdict = scene.judge(route, alarm)
            if notice.state == Fate.HELD and alarm.state not in HAUNTS:
                seen = alarm.state in {State.ACKNOWLEDGED, State.LATCHED_ACKNOWLEDGED}
                _settle(notice, Fate.DROPPED, (Reason.ACKNOWLEDGED if seen else Reason.OVER, ""), scene.now)
            elif notice.reason == Reason.RETROSPECTIVE and 0 <= scene.now - notice.created_at < PATIENCE:
                continue
            elif verdict is None:
                if notice.state == Fate.HELD:
                    _settle(notice, Fate.WAITING, None, None)
            elif notice.state == Fate.HELD or verdict[0] is not Reason.HOURS:
                _settle(notice, Fate.HELD, verdict, None)

    def _repeat(self, session: Session, scene: Scene) -> None:
        due = session.execute(
            select(NoticeTable, *_ALARM)
            .join(AlarmTable, AlarmTable.id == NoticeTable.alarm)
            # Told in the future: the clock was set back, and "so long after" means nothing any more.
            .where(
                NoticeTable.repeat_at.is_not(None),
                or_(NoticeTable.repeat_at <= scene.now, NoticeTable.decided_at > scene.now),
            )
            .order_by(NoticeTable.repeat_at)
            .limit(CHANGES)
        ).all()
        new = []
        for notice, *facts in due:
            alarm, route = _alarm(facts), self._routes.get(notice.route)
            repeat = self._repeats.get(notice.route)
            gone = route is None or repeat is None or notice.target not in route.to
            if gone or alarm.state not in HAUNTS:
                notice.repeat_at = None
            elif route is not None and scene.judge(route, alarm) is None:
                notice.repeat_at = None
                again = _new(scene.now, notice.change, alarm, Kind.REPEATED, (notice.route, notice.target), None)
                new.append({**again, "number": notice.number + 1})
            elif repeat is not None:
                notice.repeat_at, notice.decided_at = scene.now + repeat, min(notice.decided_at or 0, scene.now)
        _insert(session, new)

    # Messages

    def _form(self, connection: Connection, now: Instant, idle: Iterable[str]) -> list[Outgoing]:
        waiting = {target: int(urgency) for target, urgency in connection.execute(_WAITING)}
        underway = {message.target: message for message in connection.execute(_OPEN)}
        found = []
        for target in idle:
            message = underway.get(target)
            if message is None:
                urgent = waiting.get(target) == _URGENCY[Priority.HIGH]
                if target not in waiting or not self._may_begin(connection, now, target, urgent=urgent):
                    continue
                begun = connection.execute(
                    _BEGIN, {"target": target, "created_at": now, "next_at": now, "tried_at": now}
                )
                (number,), attempt, doubtful = begun.inserted_primary_key or (0,), 1, False
            elif message.next_at <= now or (message.tried_at or 0) > now:
                number, attempt, doubtful = message.id, message.attempts + 1, message.doubtful
                connection.execute(_AGAIN, {"which": number, "tried_at": now, "attempts": attempt})
            else:
                continue
            if target in waiting:
                connection.execute(_GATHER, {"of": target, "into": number})
            outgoing = _outgoing(connection, Outgoing(number, target, attempt, doubtful, (), 0, 0))
            if outgoing.lines:
                found.append(outgoing)
            else:
                connection.execute(_EMPTY, {"which": number})
        return found

    def _may_begin(self, connection: Connection, now: Instant, target: str, *, urgent: bool) -> bool:
        """Tell whether a message may begin now; by the target's pace what waits may have to be gathered."""
        kept = connection.scalar(_DUE, {"which": target})
        pace = self._paces[target]
        if not pace.allows(kept or 0, now, urgent=urgent):
            return False
        due = pace.spent(kept or 0, now)
        if kept is None:
            connection.execute(insert(TargetTable), {"id": target, "due": due})
        else:
            connection.execute(_SPEND, {"which": target, "due": due})
        return True

    def delivered(self, number: int, now: Instant) -> None:
        """Write down that a message was handed over."""
        with self._sessions.begin() as session:
            message = session.get_one(MessageTable, number)
            message.state, message.error = MessageState.SENT, ""
            for name, repeat in self._repeats.items():
                session.connection().execute(_TOLD_ROUTE, {"told": number, "over": name, "again": now + repeat})
            session.connection().execute(_TOLD_ALL, {"told": number, "at": now})
            kept = session.get(TargetTable, message.target)
            if kept is not None:
                kept.told_at = now

    def refused(self, number: int, now: Instant, error: str, *, doubtful: bool) -> bool:
        """Write down that an attempt failed; tell whether the message is given up."""
        with self._sessions.begin() as session:
            message = session.get_one(MessageTable, number)
            message.error, message.doubtful = error[:_TEXT], message.doubtful or doubtful
            target: Target = self._targets[message.target]
            old = now - message.created_at >= length(target.give_up, "give_up")
            if not old or message.attempts < _ATTEMPTS:
                message.state, message.next_at = MessageState.OPEN, now + back_off(message.attempts)
                # What of it is hidden or silenced until the next attempt does not go with that.
                session.execute(
                    update(NoticeTable)
                    .where(NoticeTable.message == number, NoticeTable.state == Fate.WAITING)
                    .values(message=None)
                )
                return False
            message.state = MessageState.FAILED
            session.execute(
                update(NoticeTable)
                .where(NoticeTable.message == number, NoticeTable.state == Fate.WAITING)
                .values(state=Fate.FAILED, reason=Reason.GAVE_UP, detail=error[:_TEXT], decided_at=now)
            )
            return True


def _insert(session: Session, rows: Sequence[Mapping[str, Any]]) -> None:
    if rows:
        session.connection().execute(insert(NoticeTable), list(rows))


def _new(
    now: Instant, change: int, alarm: Alarm, kind: Kind, way: tuple[str, str], verdict: tuple[Reason, str] | None
) -> dict[str, Any]:
    reason, detail = ("", "") if verdict is None else verdict
    return {
        "change": change,
        "alarm": alarm.id,
        "route": way[0],
        "target": way[1],
        "kind": kind,
        "number": 0,
        "state": Fate.WAITING if verdict is None else Fate.HELD,
        "reason": reason,
        "detail": detail[:_TEXT],
        "urgency": _URGENCY[alarm.priority],
        "created_at": now,
        "decided_at": None if verdict is None else now,
    }


def _settle(notice: NoticeTable, fate: Fate, verdict: tuple[Reason, str] | None, now: Instant | None) -> None:
    reason, detail = ("", "") if verdict is None else verdict
    notice.state, notice.reason, notice.detail = fate, reason, detail[:_TEXT]
    notice.decided_at = now if now is not None or fate is Fate.WAITING else notice.decided_at


def _outgoing(connection: Connection, message: Outgoing) -> Outgoing:
    """Return a message with what is in it."""
    best = connection.execute(_BEST, {"message": message.id}).all()
    numbers = [number for number, _, _ in best]
    kinds: dict[int, set[Kind]] = {}
    alarms: dict[int, Row[Any]] = {}
    for row in connection.execute(_TOLD_OF, {"message": message.id, "alarms": numbers}) if best else ():
        alarms[row.id] = row
        kinds.setdefault(row.id, set()).add(Kind(row.kind))
    return replace(
        message,
        lines=tuple(_line(alarms[number], kinds[number]) for number in numbers),
        alarms=best[0][1] if best else 0,
        urgent=best[0][2] if best else 0,
    )


def _line(row: Row[Any], kinds: Iterable[Kind]) -> Line:
    return Line(
        alarm=row.id,
        kinds=frozenset(kinds),
        rule=row.rule,
        gateway=row.gateway,
        device=row.device,
        point=row.point,
        priority=Priority(row.priority),
        state=State(row.state),
        title=row.title,
        consequence=row.consequence,
        response=row.response,
        raised_at=row.raised_again_at or row.raised_at,
        learnt_at=row.learnt_at,
        returned_at=row.returned_at,
        acknowledged_by=row.acknowledged_by,
        value=row.value,
        text=row.text,
    )


def _alarm(facts: Sequence[Any]) -> Alarm:
    """Return an alarm from the columns of :data:`_ALARM`."""
    number, rule, subject, gateway, device, category, priority, state = facts
    return Alarm(number, rule, subject, gateway, device, Category(category), Priority(priority), State(state))
