"""What the service of notices answers with, and what it hands over: plain rows, detached from any session."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from linli_core.alarm import Priority, State
from linli_core.instant import Instant
from linli_platform.notify.judge import Reason


class Kind(StrEnum):
    """What somebody is told of an alarm."""

    RAISED = "raised"
    REPEATED = "repeated"
    RESOLVED = "resolved"


class Fate(StrEnum):
    """What became of a notice.

    ``waiting`` to be handed over; ``held`` back, and told after all should the reason end while the alarm stands;
    ``sent``, that is handed over; ``dropped`` for a reason; ``failed`` for good.
    """

    WAITING = "waiting"
    HELD = "held"
    SENT = "sent"
    DROPPED = "dropped"
    FAILED = "failed"


class MessageState(StrEnum):
    """Where a message stands; ``handing`` from before it is handed over until it is known whether that was done."""

    OPEN = "open"
    HANDING = "handing"
    SENT = "sent"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Notice:
    """One line of the log: who was told what, or why not.

    Attributes:
        id: Its number.
        change, alarm: What happened, to which alarm.
        route, target: Over which route to whom; empty where no route was there.
        kind: What was told.
        number: Which repetition; 0 for the first time.
        fate: What became of it.
        reason, detail: Why it was not told, in one word and in a sentence.
        created_at, decided_at: When it came up; when that became of it.
        message: The message it went in, or is to go.
        attempts, error: How often that was tried, and what came of the last failed time.
        rule, subject, priority, title: Of the alarm.
    """

    id: int
    change: int
    alarm: int
    route: str
    target: str
    kind: Kind
    number: int
    fate: Fate
    reason: Reason | None
    detail: str
    created_at: Instant
    decided_at: Instant | None
    message: int | None
    attempts: int
    error: str
    rule: str
    subject: str
    priority: Priority
    title: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Line:
    """An alarm in a message, as it stands when the message is written."""

    alarm: int
    kinds: frozenset[Kind]
    rule: str
    gateway: str
    device: str
    point: str
    priority: Priority
    state: State
    title: Mapping[str, str]
    consequence: Mapping[str, str]
    response: Mapping[str, str]
    raised_at: Instant
    learnt_at: Instant
    returned_at: Instant | None
    acknowledged_by: str
    value: float | None
    text: str | None


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A message that is to be handed over now.

    Attributes:
        id: Its number: the same at every attempt, and in the text, so that a second one is known for what it is.
        target: To whom.
        attempt: Which attempt this is.
        doubtful: An earlier attempt may have come through all the same.
        lines: The most pressing alarms in it, as many as a person reads.
        alarms: How many there are in all.
        urgent: How many of them are of high priority.
    """

    id: int
    target: str
    attempt: int
    doubtful: bool
    lines: tuple[Line, ...]
    alarms: int
    urgent: int


@dataclass(frozen=True, slots=True)
class TargetState:
    """How a target fares.

    Attributes:
        id: Its name.
        waiting: Notices that wait for it.
        told_at: When something was last handed over.
        attempts, failing_since, error: Of the message that cannot be handed over; 0, ``None`` and empty if all is well.
    """

    id: str
    waiting: int
    told_at: Instant | None
    attempts: int
    failing_since: Instant | None
    error: str
