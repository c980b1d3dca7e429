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

from sqlalchemy import delete, func, insert, or_, select, update
from sqlalchemy.orm import Session, sessionmaker

from linli_core.alarm import CONDITION_HOLDS, Category, Event, Priority, State
from linli_core.instant import MINUTE, Instant
from linli_platform.alarms.models import AlarmChangeTable, AlarmTable
from linli_platform.notify.book import silence_of
from linli_platform.notify.judge import HAUNTS, Alarm, Reason, Scene
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

LATE: Final = 15 * MINUTE
"""What is learnt so long after it was so is of the past, as long as nothing says that it still is."""

PATIENCE: Final = MINUTE
"""So long such an alarm is held back: the backlog it came with may say in the next moment that it is over."""

_LOOKED_AT: Final = 1_000
_TEXT: Final = 300
_MARK: Final = "alarm_change"
_URGENCY: Final = {Priority.HIGH: 2, Priority.MEDIUM: 1, Priority.LOW: 0}
_ENDS: Final = {Event.RETURN: Reason.OVER, Event.RESET: Reason.OVER, Event.ACKNOWLEDGE: Reason.ACKNOWLEDGED}
_TOLD: Final = (Fate.WAITING, Fate.SENT)


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
            look: Look again at what is held back, and at what is to be repeated.
        """
        with self._sessions.begin() as session:
            scene = self._completed(session, scene)
            more = self._take_in(session, scene)
            if look:
                self._look(session, scene)
            self._repeat(session, scene)
            return Work(tuple(self._form(session, scene.now, idle)), more)

    def _completed(self, session: Session, scene: Scene) -> Scene:
        silences = session.scalars(
            select(SilenceTable).where(SilenceTable.until > scene.now, SilenceTable.ended_at.is_(None))
        )
        scene = replace(scene, silences=tuple(silence_of(row) for row in silences))
        if not scene.inhibitions:
            return scene
        holds = AlarmTable.state.in_(CONDITION_HOLDS)
        rules = session.scalars(select(AlarmTable.rule).where(holds).distinct())
        wanted = [rule for rule in rules if any(matches(rule, each.by) for each in scene.inhibitions)]
        standing = session.scalars(select(AlarmTable).where(holds, AlarmTable.rule.in_(wanted)).limit(1_000))
        return replace(scene, standing=tuple(_alarm(row) for row in standing))

    def _take_in(self, session: Session, scene: Scene) -> bool:
        mark = session.get_one(MarkTable, _MARK)
        changes = session.execute(
            select(
                AlarmChangeTable.id,
                AlarmChangeTable.alarm,
                AlarmChangeTable.event,
                AlarmChangeTable.learnt_at - AlarmChangeTable.at,
            )
            .where(AlarmChangeTable.id > mark.change)
            .order_by(AlarmChangeTable.id)
            .limit(CHANGES)
        ).all()
        if not changes:
            return False
        wanted = {alarm for _, alarm, _, _ in changes}
        alarms = {row.id: _alarm(row) for row in session.scalars(select(AlarmTable).where(AlarmTable.id.in_(wanted)))}
        new: list[dict[str, Any]] = []
        for change, number, event, delay in changes:
            if event == Event.RAISE:
                new += self._raised(scene, change, alarms[number], delay)
            elif event in _ENDS or event == Event.RETURN_LATCHED:
                _insert(session, new)
                new = self._ended(session, scene, change, alarms[number], Event(event))
        _insert(session, new)
        mark.change = changes[-1].id
        return len(changes) == CHANGES

    def _raised(self, scene: Scene, change: int, alarm: Alarm, delay: Instant) -> list[dict[str, Any]]:
        found = []
        late = (Reason.RETROSPECTIVE, f"learnt {delay // MINUTE} min later") if delay >= LATE else None
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
            select(NoticeTable, AlarmTable)
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
        for notice, row in open_ones:
            route = self._routes.get(notice.route)
            alarm = _alarm(row)
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
            select(NoticeTable, AlarmTable)
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
        for notice, row in due:
            alarm, route = _alarm(row), self._routes.get(notice.route)
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

    def _form(self, session: Session, now: Instant, idle: Iterable[str]) -> list[Outgoing]:
        waiting = {
            target: (count, urgency)
            for target, count, urgency in session.execute(
                select(NoticeTable.target, func.count(), func.max(NoticeTable.urgency))
                .where(NoticeTable.state == Fate.WAITING, NoticeTable.message.is_(None))
                .group_by(NoticeTable.target)
            )
        }
        underway = {
            message.target: message
            for message in session.scalars(select(MessageTable).where(MessageTable.state == MessageState.OPEN))
        }
        found = []
        for target in idle:
            message = underway.get(target)
            if message is None and target in waiting:
                message = self._begun(session, now, target, urgent=waiting[target][1] == _URGENCY[Priority.HIGH])
            if message is None or not (message.next_at <= now or (message.tried_at or 0) > now):
                continue
            session.execute(
                update(NoticeTable)
                .where(NoticeTable.state == Fate.WAITING, NoticeTable.message.is_(None), NoticeTable.target == target)
                .values(message=message.id)
            )
            outgoing = _outgoing(session, message)
            if not outgoing.lines:
                message.state, message.error = MessageState.FAILED, "nothing is left to tell"
                continue
            message.state, message.tried_at = MessageState.HANDING, now
            message.attempts += 1
            found.append(replace(outgoing, attempt=message.attempts))
        return found

    def _begun(self, session: Session, now: Instant, target: str, *, urgent: bool) -> MessageTable | None:
        """Begin a message, unless the target's pace says that what waits is to be gathered."""
        kept = session.get(TargetTable, target)
        if kept is None:
            kept = TargetTable(id=target, due=0)
            session.add(kept)
        pace = self._paces[target]
        if not pace.allows(kept.due, now, urgent=urgent):
            return None
        kept.due = pace.spent(kept.due, now)
        message = MessageTable(
            target=target, state=MessageState.OPEN, attempts=0, doubtful=False, created_at=now, next_at=now, error=""
        )
        session.add(message)
        session.flush()
        return message

    def delivered(self, number: int, now: Instant) -> None:
        """Write down that a message was handed over."""
        with self._sessions.begin() as session:
            message = session.get_one(MessageTable, number)
            message.state, message.error = MessageState.SENT, ""
            of_it = (NoticeTable.message == number, NoticeTable.state == Fate.WAITING)
            for name, repeat in self._repeats.items():
                session.execute(
                    update(NoticeTable)
                    .where(*of_it, NoticeTable.route == name, NoticeTable.kind != Kind.RESOLVED)
                    .values(repeat_at=now + repeat)
                )
            session.execute(update(NoticeTable).where(*of_it).values(state=Fate.SENT, decided_at=now))
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
        session.execute(insert(NoticeTable), list(rows))


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


def _outgoing(session: Session, message: MessageTable) -> Outgoing:
    of_it = NoticeTable.message == message.id
    best = session.execute(
        select(NoticeTable.alarm)
        .where(of_it)
        .group_by(NoticeTable.alarm)
        .order_by(func.max(NoticeTable.urgency).desc(), func.max(NoticeTable.id).desc())
        .limit(LINES)
    )
    numbers = [number for (number,) in best]
    kinds: dict[int, set[Kind]] = {}
    for alarm, kind in session.execute(
        select(NoticeTable.alarm, NoticeTable.kind).where(of_it, NoticeTable.alarm.in_(numbers))
    ):
        kinds.setdefault(alarm, set()).add(Kind(kind))
    alarms = {row.id: row for row in session.scalars(select(AlarmTable).where(AlarmTable.id.in_(numbers)))}
    distinct = select(func.count(NoticeTable.alarm.distinct())).where(of_it)
    urgent = NoticeTable.urgency == _URGENCY[Priority.HIGH]
    return Outgoing(
        id=message.id,
        target=message.target,
        attempt=message.attempts,
        doubtful=message.doubtful,
        lines=tuple(_line(alarms[number], kinds[number]) for number in numbers),
        alarms=session.scalar(distinct) or 0,
        urgent=session.scalar(distinct.where(urgent)) or 0,
    )


def _line(row: AlarmTable, kinds: Iterable[Kind]) -> Line:
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


def _alarm(row: AlarmTable) -> Alarm:
    return Alarm(
        id=row.id,
        rule=row.rule,
        subject=row.subject,
        gateway=row.gateway,
        device=row.device,
        category=Category(row.category),
        priority=Priority(row.priority),
        state=State(row.state),
    )
