"""What a watch remembers, as plain data that survives a restart, and how an alarm moves."""

from enum import IntEnum
from typing import Final

import msgspec

from linli_core.alarm.rule import Rule
from linli_core.alarm.states import Event, Note, State, advance
from linli_core.instant import Instant
from linli_core.model import Value

_LEARNT: Final = frozenset({Event.RAISE, Event.RETURN, Event.RETURN_LATCHED})


class AlarmChange(msgspec.Struct, frozen=True):
    """One transition of one alarm.

    Attributes:
        rule: Id of the rule.
        subject: ``gateway``, ``gateway/device`` or ``gateway/device/point``.
        event: What happened.
        before: The state it was in.
        after: The state it is in.
        at: When it was so, by the readings (event time).
        learnt_at: When the engine concluded it.
        value: The reading that settled it, ``None`` for an absence or a person's act.
        actor: Who did it, empty for the engine.
        comment: What that person said.
        retrospective: Whether it was learnt so long after it was so that it goes into the record and rings no bell.
        of: When the alarm was raised that a note is about, ``None`` where that is the newest of its identity.
    """

    rule: str
    subject: str
    event: Event | Note
    before: State
    after: State
    at: Instant
    learnt_at: Instant
    value: Value = None
    actor: str = ""
    comment: str = ""
    retrospective: bool = False
    of: Instant | None = None


class Segment(msgspec.Struct, array_like=True):
    """A piece of a while: what was added up in it.

    Attributes:
        start: When it begins.
        covered: For how much of it readings speak, µs.
        total: What was added up, times µs.
        square: The same of the squares.
        low, high: The least and the greatest reading.
        first_at, first: The first reading.
    """

    start: Instant
    covered: Instant = 0
    total: float = 0.0
    square: float = 0.0
    low: float | None = None
    high: float | None = None
    first_at: Instant | None = None
    first: float | None = None


class Point(msgspec.Struct, array_like=True):
    """The newest reading of one of several points."""

    at: Instant
    value: bool | float | str | None = None


class Edge(msgspec.Struct, array_like=True):
    """The readings of a counter that lie closest to an edge between two periods.

    Attributes:
        before_at, before: The last one up to it.
        after_at, after: The first one from it on.
    """

    before_at: Instant
    before: float
    after_at: Instant
    after: float


class Kept(msgspec.Struct, omit_defaults=True):
    """What a figure or a pattern is made of.

    Attributes:
        upto: Until when it is added up.
        value: The value that holds since the newest reading, ``None`` if that was unusable.
        segments: The while, oldest first.
        points: The newest reading of each of several points.
        times: When the events of a pattern happened, by event, oldest first.
        history: Figures of earlier weeks by hour of the week, oldest first.
        firsts: The oldest reading of each of several points.
        edges: What several points counted at the edges of periods, by point and edge.
        verdicts: Whether a period was amiss, of those that can still be judged anew.
        was_amiss: Whether the period before them was.
        settled: The last period that is not judged any more, as a meter of it was taken out.
        count: How many in a row.
    """

    upto: Instant | None = None
    value: float | None = None
    segments: list[Segment] = []
    points: dict[str, Point] = {}
    times: dict[str, list[Instant]] = {}
    history: dict[int, list[float]] = {}
    firsts: dict[str, Point] = {}
    edges: dict[str, dict[int, Edge]] = {}
    verdicts: dict[int, bool] = {}
    was_amiss: bool = False
    settled: int = 0
    count: int = 0


class Side(IntEnum):
    """Where a value is, seen from its limit."""

    BACK = -1
    BETWEEN = 0
    """In the dead band, which settles nothing."""

    BEYOND = 1


class Judged(msgspec.Struct, array_like=True):
    """What a watch had concluded at some time, without what people know of it: from there it can be judged anew."""

    raised: bool
    since: Instant | None
    last_at: Instant | None
    held: bool
    value: bool | float | str | None
    begun_at: Instant | None
    raised_at: Instant | None
    edge_at: Instant | None
    kept: Kept


class Entry(msgspec.Struct, array_like=True):
    """A reading that is remembered as it came.

    Attributes:
        at: Its event time.
        value: What it says, ``None`` where that is nothing.
        series: Of which of several points it is.
        names: What the condition calls that point.
    """

    at: Instant
    value: bool | float | str | None
    series: str = ""
    names: tuple[str, ...] = ()


class Checkpoint(msgspec.Struct, array_like=True):
    """A watch as it was when all up to an instant was judged.

    Attributes:
        at: The instant.
        judged: A :class:`Judged`, packed.
    """

    at: Instant
    judged: bytes


class Span(msgspec.Struct, array_like=True):
    """From when to when a condition held.

    Attributes:
        begun: When it was raised.
        over: When it returned, ``None`` while it has not.
        value: The value it was raised by.
        said: When people were told that it was raised, where that is later.
    """

    begun: Instant
    over: Instant | None = None
    value: bool | float | str | None = None
    said: Instant | None = None

    @property
    def said_at(self) -> Instant:
        """When it was raised as far as people know: nothing they are told of it later may lie before that."""
        return self.begun if self.said is None else self.said


class Journal(msgspec.Struct, omit_defaults=True):
    """The newest readings of a watch, and where it stood before them, so that what comes late is judged in its place.

    Attributes:
        entries: The readings since the first checkpoint, in order of event time.
        checkpoints: Where the watch stood, oldest first.
        upto: As far as the clock has concluded something.
        hole_at: The last reading before a long silence: what is missing there may still come.
        stale_at: Event time of the earliest reading that came late and is not judged yet.
        stale_since: When the first of them came.
        stale: How many they are.
        told: The alarms that people were told of, oldest first, without those that were denied.
        untold: Alarms of the past that are told when the one that stands is over.
        written_at: Until when this was last written.
    """

    entries: list[Entry] = []
    checkpoints: list[Checkpoint] = []
    upto: Instant | None = None
    hole_at: Instant | None = None
    stale_at: Instant | None = None
    stale_since: Instant = 0
    stale: int = 0
    told: list[Span] = []
    untold: list[Span] = []
    written_at: Instant = 0


class Piece(msgspec.Struct, array_like=True):
    """Readings in a row that lie on one side.

    Attributes:
        first, last: Event time of the first and of the newest.
        side: The side.
        value: The newest one's.
    """

    first: Instant
    last: Instant
    side: Side
    value: bool | float | str | None = None


class Past(msgspec.Struct, omit_defaults=True):
    """A run of readings that came late, older than others of their point.

    Attributes:
        heard_at: When the newest of them came.
        pieces: What they say, in order of event time.
        begun_at: Since when they lie beyond that raised the alarm which stands by them, ``None`` if none does.
    """

    heard_at: Instant
    pieces: list[Piece] = []
    begun_at: Instant | None = None


class Memory(msgspec.Struct, omit_defaults=True):
    """Everything a watch must remember over a restart.

    Attributes:
        rule: Id of the rule.
        subject: The subject.
        state: Where the alarm stands.
        raised: Whether the condition was concluded to hold.
        since: Since when the readings say the opposite of ``raised``, in event time.
        last_at: Event time of the newest reading taken.
        known_at: When the subject of an absence became known.
        lag: How far behind ``now`` that reading arrived.
        held: Whether the newest reading was BAD, so that the clock concludes nothing.
        value: The newest usable value.
        interval: The subject's own interval as far as learnt, µs.
        gaps: How many gaps it was learnt from, at most two.
        begun_at: Since when the readings said so that raised it; of a silence, since when it is over.
        raised_at: When it was last raised, by the readings.
        edge_at: When the rule's schedule opens or closes next, as far as it was followed.
        usable_at: Event time of the newest usable reading, while the newest of all is not.
        silences: Times longer than the on-delay between two usable readings, oldest first: only there can what comes
            late have lasted long enough.
        excursions: From when to when readings lay beyond, too shortly for an alarm, oldest first.
        told: From when to when the condition was so that alarms were raised for, oldest first.
        past: What late readings tell of an earlier time.
        kept: What a figure or a pattern was made of so far.
        journal: The newest readings it was made of.
    """

    rule: str
    subject: str
    state: State = State.NORMAL
    raised: bool = False
    since: Instant | None = None
    last_at: Instant | None = None
    known_at: Instant | None = None
    lag: Instant = 0
    held: bool = False
    value: bool | float | str | None = None
    interval: Instant | None = None
    gaps: int = 0
    begun_at: Instant | None = None
    raised_at: Instant | None = None
    edge_at: Instant | None = None
    usable_at: Instant | None = None
    silences: list[tuple[Instant, Instant]] = []
    excursions: list[tuple[Instant, Instant]] = []
    told: list[tuple[Instant, Instant]] = []
    past: Past | None = None
    kept: Kept | None = None
    journal: Journal | None = None

    def keep(self) -> Kept:
        """Return what a figure or a pattern is made of; from now on there is one."""
        if self.kept is None:
            self.kept = Kept()
        return self.kept


def move(
    rule: Rule,
    memory: Memory,
    event: Event | Note,
    at: Instant,
    now: Instant,
    *,
    value: Value = None,
    actor: str = "",
    comment: str = "",
    of: Instant | None = None,
) -> AlarmChange | None:
    """Apply an event by the table; return the change, or ``None`` where the table refuses it. A note moves nothing."""
    before = memory.state
    after = before if isinstance(event, Note) else advance(before, event)
    if after is None:
        return None
    memory.state = after
    is_late = event in _LEARNT and now - at >= rule.retrospective
    return AlarmChange(rule.id, memory.subject, event, before, after, at, now, value, actor, comment, is_late, of)
