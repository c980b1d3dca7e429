"""Alarms in the database: changes are written with the engine's memory in one transaction, or not at all."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec
from sqlalchemy import ColumnElement, bindparam, delete, func, insert, literal_column, select, tuple_
from sqlalchemy.orm import Session, sessionmaker

from linli_core.alarm import (
    CONDITION_HOLDS,
    AlarmChange,
    Category,
    Event,
    Hiding,
    Key,
    Memory,
    Note,
    Priority,
    Rule,
    State,
    Suppression,
)
from linli_core.alarm.health import Moment
from linli_core.errors import LinliError
from linli_core.instant import Instant
from linli_core.model import Value
from linli_platform.alarms.models import AlarmChangeTable, AlarmMemoryTable, AlarmTable, HidingTable
from linli_platform.alarms.rows import AlarmRow, ChangeRow, Sort, Told

_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(Memory)
_RAISES = frozenset({Event.RAISE})
_RETURNS = frozenset({Event.RETURN, Event.RETURN_LATCHED})
_TEXT = 200
_MARK: Final = ("", "")
"""The memory of no rule: until when all that was judged is written."""
_UNSETTLED = AlarmTable.state != literal_column(f"'{State.NORMAL}'")
"""As the index of them says it: a parameter in its place, and no index would be used."""

# Made once: every alarm waits for them, and SQLAlchemy takes longer to make one than SQLite to carry it out.
_ACTIVE = select(AlarmTable).where(
    _UNSETTLED, tuple_(AlarmTable.rule, AlarmTable.subject).in_(bindparam("keys", expanding=True))
)
_FORGET = delete(AlarmMemoryTable).where(
    AlarmMemoryTable.rule == bindparam("rule"), AlarmMemoryTable.subject == bindparam("subject")
)
_HIDING = Hiding.__struct_fields__
_NOTES = frozenset(Note)


class AlarmRecordError(LinliError):
    """The database holds another alarm than the engine remembers."""


@dataclass(frozen=True, slots=True)
class Filter:
    """Which alarms are asked for; ``None`` and empty stand for any.

    Attributes:
        active: True for alarms not settled yet, False for settled ones.
        before: Only alarms with a smaller number: the next page.
        since: Only alarms raised at or after this instant.
        gateways: Only alarms of these.
    """

    active: bool | None = None
    category: Category | None = None
    priority: Priority | None = None
    gateway: str = ""
    device: str = ""
    since: Instant | None = None
    before: int | None = None
    gateways: frozenset[str] | None = None


class AlarmRecords:
    """The alarm tables' questions and answers; every call is one short transaction and blocks.

    Args:
        sessions: Of the registry's database.
        rules: The rules in force.
        revision: Returns the revision of a rule that is in force for a subject.
    """

    def __init__(
        self,
        sessions: sessionmaker[Session],
        rules: Mapping[str, Rule],
        revision: Callable[[str, str], int | None] = lambda _rule, _subject: None,
    ) -> None:
        self._sessions = sessions
        self._rules = rules
        self._revision = revision

    def load(self) -> list[Memory]:
        """Return what the engine remembered, with each state as the alarm's own row has it."""
        with self._sessions() as session:
            memories = {
                (row.rule, row.subject): _decoder.decode(row.memory)
                for row in session.scalars(select(AlarmMemoryTable).where(AlarmMemoryTable.rule != _MARK[0]))
            }
            active = {
                (row.rule, row.subject): State(row.state)
                for row in session.scalars(select(AlarmTable).where(_UNSETTLED))
            }
        for key in active:
            memories.setdefault(key, Memory(*key))
        for key, memory in memories.items():
            # The alarms' own rows are the record: a memory written ahead of its change gives way.
            state = active.get(key, State.NORMAL)
            if memory.state is not state:
                memory.state, memory.raised, memory.since, memory.past = state, state in CONDITION_HOLDS, None, None
                memory.journal = None
                if memory.kept is None:
                    # What is read again is judged anew, and not as old news.
                    memory.last_at, memory.held = None, False
        return list(memories.values())

    def mark(self) -> Instant | None:
        """Return until when all that was judged is written, ``None`` where nothing ever was."""
        with self._sessions() as session:
            row = session.get(AlarmMemoryTable, _MARK)
            return None if row is None else _decoder.decode(row.memory).last_at

    def write(
        self,
        changes: Sequence[AlarmChange],
        memories: Iterable[bytes],
        keys: Iterable[Key],
        mark: Instant | None = None,
    ) -> list[AlarmRow]:
        """Write changes, oldest first, and the engine's memories; return each alarm that moved as it now is.

        Args:
            changes: The transitions.
            memories: Memories as :func:`encode_memory` made them.
            keys: Their identities, in the same order.
            mark: Until when all that was judged is written with them, if it is.
        """
        with self._sessions.begin() as session:
            rows = self._moved(session, changes)
            if changes:
                lines = [_change(change, row) for change, row in zip(changes, rows, strict=True)]
                session.connection().execute(insert(AlarmChangeTable), lines)
            _remember(session, keys, memories)
            if mark is not None:
                _remember(session, [_MARK], [encode_memory(Memory("", "", last_at=mark))])
            # What is said of one that was settled moves nothing: another of its identity may stand.
            moved = {row.id: row for change, row in zip(changes, rows, strict=True) if change.of is None}
            return [_row(row) for row in moved.values()]

    def _moved(self, session: Session, changes: Sequence[AlarmChange]) -> list[AlarmTable]:
        """Bring the alarms to where the changes take them, all at once; return the alarm of each change.

        In turns: a new alarm must be in the table before it is moved, and the one before it of the same identity must
        have been settled there.
        """
        active = _active(session, {(change.rule, change.subject) for change in changes})
        found: dict[int, AlarmTable] = {}
        left = list(range(len(changes)))
        while left:
            new: dict[Key, int] = {}
            settled: set[Key] = set()
            waiting = []
            for place in left:
                change = changes[place]
                key = (change.rule, change.subject)
                row = active.get(key)
                if row is not None and change.of is not None and row.raised_at > change.of:
                    found[place] = _last(session, key, change.of) or row  # of one that was settled, and another stands
                elif row is not None:
                    found[place] = row
                    _move(row, change)
                    if change.after is State.NORMAL:
                        settled.add(key)
                        del active[key]
                elif key in new or key in settled:
                    waiting.append(place)
                elif change.event in _NOTES and (last := _last(session, key, change.of)) is not None:
                    found[place] = last  # what is said of an alarm that is settled stands beside it
                else:
                    new[key] = place
            session.flush()
            if new:
                session.connection().execute(insert(AlarmTable), [self._new(changes[place]) for place in new.values()])
                active |= _active(session, new)
                found |= {place: active[key] for key, place in new.items()}
            left = waiting
        return [found[place] for place in range(len(changes))]

    def _new(self, change: AlarmChange) -> dict[str, Any]:
        if change.event not in _RAISES:
            raise AlarmRecordError(f"{change.rule} on {change.subject}: {change.event} without an active alarm")
        rule = self._rules[change.rule]
        gateway, _, below = change.subject.partition("/")
        device, _, quantity = below.partition("/")
        number, text = _split(change.value)
        return {
            "rule": rule.id,
            "subject": change.subject,
            "gateway": gateway,
            "device": device,
            "point": below if quantity else "",
            "category": rule.category,
            "priority": rule.priority,
            "title": msgspec.to_builtins(rule.title),
            "consequence": msgspec.to_builtins(rule.consequence),
            "response": msgspec.to_builtins(rule.response),
            "clause": rule.clause,
            "state": change.after,
            "raised_at": change.at,
            "learnt_at": change.learnt_at,
            "value": number,
            "text": text,
            "retrospective": change.retrospective,
            "revision": self._revision(rule.id, change.subject),
        }

    def close_orphans(self, orphans: Iterable[Memory], now: Instant, comment: str) -> list[AlarmRow]:
        """Settle alarms whose rule or device is there no more, with a record of it; return those that were open."""
        closed = []
        with self._sessions.begin() as session:
            for orphan in orphans:
                key = (orphan.rule, orphan.subject)
                for row in session.scalars(
                    select(AlarmTable).where(tuple_(AlarmTable.rule, AlarmTable.subject) == key, _UNSETTLED)
                ):
                    session.add(
                        AlarmChangeTable(
                            alarm=row.id,
                            event=Event.RESET,
                            before=row.state,
                            after=State.NORMAL,
                            at=now,
                            learnt_at=now,
                            actor="",
                            comment=comment,
                        )
                    )
                    row.state = State.NORMAL
                    row.returned_at = row.returned_at or now
                    closed.append(_row(row))
                session.execute(
                    delete(AlarmMemoryTable).where(tuple_(AlarmMemoryTable.rule, AlarmMemoryTable.subject) == key)
                )
        return closed

    def find(self, wanted: Filter, limit: int) -> list[AlarmRow]:
        """Return alarms, newest first."""
        conditions: list[ColumnElement[bool]] = []
        if wanted.active is not None:
            conditions.append(_UNSETTLED if wanted.active else AlarmTable.state == State.NORMAL)
        if wanted.category is not None:
            conditions.append(AlarmTable.category == wanted.category)
        if wanted.priority is not None:
            conditions.append(AlarmTable.priority == wanted.priority)
        if wanted.gateway:
            conditions.append(AlarmTable.gateway == wanted.gateway)
        if wanted.gateways is not None:
            conditions.append(AlarmTable.gateway.in_(wanted.gateways))
        if wanted.device:
            conditions.append(AlarmTable.device == wanted.device)
        if wanted.since is not None:
            conditions.append(AlarmTable.raised_at >= wanted.since)
        if wanted.before is not None:
            conditions.append(AlarmTable.id < wanted.before)
        query = select(AlarmTable).where(*conditions).order_by(AlarmTable.id.desc()).limit(limit)
        with self._sessions() as session:
            return [_row(row) for row in session.scalars(query)]

    def get(self, alarm: int) -> AlarmRow | None:
        """Return one alarm."""
        with self._sessions() as session:
            row = session.get(AlarmTable, alarm)
            return None if row is None else _row(row)

    def history(self, alarm: int) -> tuple[AlarmRow, list[ChangeRow]] | None:
        """Return one alarm and its history, oldest first: in one statement, so that the two belong to each other."""
        query = (
            select(AlarmTable, AlarmChangeTable)
            .outerjoin(AlarmChangeTable, AlarmChangeTable.alarm == AlarmTable.id)
            .where(AlarmTable.id == alarm)
            .order_by(AlarmChangeTable.id)
        )
        with self._sessions() as session:
            found = session.execute(query).all()
            return (_row(found[0][0]), [_change_row(change) for _, change in found if change]) if found else None

    def totals(self) -> dict[Event, int]:
        """Return how often each event happened since the database began."""
        with self._sessions() as session:
            rows = session.execute(select(AlarmChangeTable.event, func.count()).group_by(AlarmChangeTable.event))
            return {Event(event): number for event, number in rows if event not in _NOTES}

    def moments(self, start: Instant, end: Instant, gateways: Collection[str] | None, limit: int) -> list[Moment]:
        """Return the transitions before ``end`` of the alarms that lived in a period, of these gateways if given."""
        lived = select(AlarmChangeTable.alarm).where(AlarmChangeTable.at >= start, AlarmChangeTable.at < end)
        query = (
            select(AlarmChangeTable, AlarmTable.rule, AlarmTable.subject, AlarmTable.priority)
            .join(AlarmTable, AlarmTable.id == AlarmChangeTable.alarm)
            .where(AlarmChangeTable.at < end, AlarmChangeTable.event.not_in(_NOTES))
            .where(AlarmTable.id.in_(lived) | (_UNSETTLED & (AlarmTable.raised_at < end)))
            .order_by(AlarmChangeTable.at, AlarmChangeTable.id)
            .limit(limit)
        )
        if gateways is not None:
            query = query.where(AlarmTable.gateway.in_(gateways))
        with self._sessions() as session:
            return [
                Moment(
                    alarm=change.alarm,
                    rule=rule,
                    subject=subject,
                    priority=Priority(priority),
                    event=Event(change.event),
                    at=change.at,
                    learnt_at=change.learnt_at,
                )
                for change, rule, subject, priority in session.execute(query)
            ]

    def kinds(self) -> list[Sort]:
        """Return every sort of alarm there ever was."""
        columns = (AlarmTable.rule, AlarmTable.category, AlarmTable.priority)
        query = select(*columns, AlarmTable.gateway, AlarmTable.device, AlarmTable.point).distinct()
        with self._sessions() as session:
            return [Sort(*row) for row in session.execute(query)]

    def told(self, start: Instant, end: Instant, gateways: Collection[str] | None, limit: int) -> list[Told]:
        """Return what happened to alarms, of these gateways if given, within ``start <= t < end``, newest first."""
        query = (
            select(AlarmChangeTable, AlarmTable)
            .join(AlarmTable, AlarmTable.id == AlarmChangeTable.alarm)
            .where(AlarmChangeTable.at >= start, AlarmChangeTable.at < end)
            .order_by(AlarmChangeTable.at.desc(), AlarmChangeTable.id.desc())
            .limit(limit)
        )
        if gateways is not None:
            query = query.where(AlarmTable.gateway.in_(gateways))
        with self._sessions() as session:
            return [
                Told(
                    sort=Sort(alarm.rule, alarm.category, alarm.priority, alarm.gateway, alarm.device, alarm.point),
                    alarm=alarm.id,
                    subject=alarm.subject,
                    title=alarm.title,
                    change=_change_row(change),
                )
                for change, alarm in session.execute(query)
            ]

    def note(
        self, alarm: int, note: Note, now: Instant, *, actor: str, comment: str, assign: str | None = None
    ) -> None:
        """Write something down of an alarm that does not move it; ``assign`` says who is to see to it from now on."""
        with self._sessions.begin() as session:
            row = session.get_one(AlarmTable, alarm)
            if assign is not None:
                row.assigned_to = assign
            session.add(
                AlarmChangeTable(
                    alarm=alarm,
                    event=note,
                    before=row.state,
                    after=row.state,
                    at=now,
                    learnt_at=now,
                    actor=actor,
                    comment=comment,
                )
            )

    def hide(self, hiding: Hiding) -> Hiding:
        """Write down what is hidden; return it with its number."""
        row = HidingTable(**{name: getattr(hiding, name) for name in _HIDING if name != "id"})
        with self._sessions.begin() as session:
            session.add(row)
            session.flush()
            return _hiding(row)

    def end_hiding(self, number: int, now: Instant, actor: str) -> Hiding | None:
        """End what is not over yet; ``None`` where there is no such thing."""
        with self._sessions.begin() as session:
            row = session.get(HidingTable, number)
            if row is None or row.ended_at is not None or row.until <= now:
                return None
            row.ended_at, row.ended_by = now, actor
            return _hiding(row)

    def hidings(self, since: Instant, limit: int = 10_000) -> list[Hiding]:
        """Return what is hidden, or is to be, or was until after an instant; the latest first."""
        query = select(HidingTable).where(HidingTable.until > since).order_by(HidingTable.id.desc()).limit(limit)
        with self._sessions() as session:
            return [_hiding(row) for row in session.scalars(query) if row.ended_at is None or row.ended_at > since]


def encode_memory(memory: Memory) -> bytes:
    """Return a memory as it is kept; the engine may change the original afterwards."""
    return _encoder.encode(memory)


def _move(row: AlarmTable, change: AlarmChange) -> None:
    row.state = change.after
    if change.event in _RAISES:
        row.times_raised += 1
        row.raised_again_at = change.at
        row.returned_at = None
        row.value, row.text = _split(change.value)
        row.retrospective = change.retrospective
    elif change.event in _RETURNS:
        row.returned_at = change.at
    elif change.event is Event.ACKNOWLEDGE:
        row.acknowledged_at, row.acknowledged_by, row.comment = change.at, change.actor, change.comment


def _active(session: Session, keys: Collection[Key]) -> dict[Key, AlarmTable]:
    """Return the alarms of some identities that are not settled."""
    if not keys:
        return {}
    return {(row.rule, row.subject): row for row in session.scalars(_ACTIVE, {"keys": sorted(keys)})}


def _last(session: Session, key: Key, of: Instant | None) -> AlarmTable | None:
    """Return the newest alarm of an identity, settled or not; of those raised by an instant, where there is one."""
    query = select(AlarmTable).where(AlarmTable.rule == key[0], AlarmTable.subject == key[1]).limit(1)
    if of is not None:
        then = query.where(AlarmTable.raised_at <= of).order_by(AlarmTable.raised_at.desc(), AlarmTable.id.desc())
        if (row := session.scalars(then).first()) is not None:
            return row
    return session.scalars(query.order_by(AlarmTable.id.desc())).first()


def _change(change: AlarmChange, alarm: AlarmTable) -> dict[str, Any]:
    number, text = _split(change.value)
    before, after = change.before, change.after
    if change.of is not None and alarm.state == State.NORMAL:
        before = after = State.NORMAL  # the identity may have another alarm by now
    return {
        "alarm": alarm.id,
        "event": change.event,
        "before": before,
        "after": after,
        "at": change.at,
        "learnt_at": change.learnt_at,
        "value": number,
        "text": text,
        "actor": change.actor,
        "comment": change.comment,
        "retrospective": change.retrospective,
    }


def _remember(session: Session, keys: Iterable[Key], memories: Iterable[bytes]) -> None:
    """Put memories in the place of those that were there."""
    rows = [{"rule": key[0], "subject": key[1], "memory": memory} for key, memory in zip(keys, memories, strict=True)]
    if rows:
        session.connection().execute(_FORGET, rows)
        session.connection().execute(insert(AlarmMemoryTable), rows)


def _split(value: Value) -> tuple[float | None, str | None]:
    if value is None:
        return None, None
    if isinstance(value, str):
        return None, value[:_TEXT]
    return float(value), None


def _row(row: AlarmTable) -> AlarmRow:
    return AlarmRow(
        id=row.id,
        rule=row.rule,
        subject=row.subject,
        gateway=row.gateway,
        device=row.device,
        point=row.point,
        category=Category(row.category),
        priority=Priority(row.priority),
        title=row.title,
        consequence=row.consequence,
        response=row.response,
        clause=row.clause,
        state=State(row.state),
        raised_at=row.raised_at,
        learnt_at=row.learnt_at,
        raised_again_at=row.raised_again_at,
        times_raised=row.times_raised,
        returned_at=row.returned_at,
        acknowledged_at=row.acknowledged_at,
        acknowledged_by=row.acknowledged_by,
        comment=row.comment,
        assigned_to=row.assigned_to,
        value=row.value,
        text=row.text,
        retrospective=row.retrospective,
        revision=row.revision,
    )


def _change_row(row: AlarmChangeTable) -> ChangeRow:
    return ChangeRow(
        event=Note(row.event) if row.event in _NOTES else Event(row.event),
        before=State(row.before),
        after=State(row.after),
        at=row.at,
        learnt_at=row.learnt_at,
        value=row.value,
        text=row.text,
        actor=row.actor,
        comment=row.comment,
        retrospective=row.retrospective,
    )


def _hiding(row: HidingTable) -> Hiding:
    return Hiding(**{name: getattr(row, name) for name in _HIDING if name != "kind"}, kind=Suppression(row.kind))
