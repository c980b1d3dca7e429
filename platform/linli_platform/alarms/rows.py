"""What the alarm service answers with: plain rows, detached from any session."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from linli_core.alarm import Category, Event, Hiding, Note, Priority, State
from linli_core.instant import Instant


@dataclass(frozen=True, slots=True)
class AlarmRow:
    """One alarm.

    Attributes:
        id: Number of the alarm.
        rule, subject: Its identity; ``subject`` is ``gateway[/device[/quantity…]]``.
        gateway, device, point: The subject, taken apart; empty where the alarm is about more than that.
        category, priority: From the rule as it was when the alarm was raised.
        title, consequence, response, clause: What a person is told, as it was when the alarm was raised.
        state: Where it stands.
        hiding: Why it is kept from people's eyes, by whom and until when; ``None`` if it is not.
        raised_at: When its condition first came true, by the readings.
        learnt_at: When the platform learnt so.
        raised_again_at: When it last came back after having returned unacknowledged.
        times_raised: How often it was raised before it was settled.
        returned_at: When its condition last ended, ``None`` while it holds.
        acknowledged_at, acknowledged_by, comment: The newest acknowledgement.
        assigned_to: Who is to see to it, empty for nobody yet.
        value, text: The reading that raised it.
        revision: The revision of its rule that raised it; ``None`` for an alarm older than these.
        retrospective: Whether its newest raise was learnt so late that it is of the past: it rings no bell by itself.
    """

    id: int
    rule: str
    subject: str
    gateway: str
    device: str
    point: str
    category: Category
    priority: Priority
    title: Mapping[str, str]
    consequence: Mapping[str, str]
    response: Mapping[str, str]
    clause: str
    state: State
    raised_at: Instant
    learnt_at: Instant
    raised_again_at: Instant | None
    times_raised: int
    returned_at: Instant | None
    acknowledged_at: Instant | None
    acknowledged_by: str
    comment: str
    assigned_to: str
    value: float | None
    text: str | None
    retrospective: bool
    revision: int | None
    hiding: Hiding | None = None


@dataclass(frozen=True, slots=True)
class ChangeRow:
    """One transition of an alarm, or what else was written down of it: when it was so, when learnt, by whom and why.

    What is ``retrospective`` was learnt so late, by its rule, that it goes into the record and rings no bell.
    """

    event: Event | Note
    before: State
    after: State
    at: Instant
    learnt_at: Instant
    value: float | None
    text: str | None
    actor: str
    comment: str
    retrospective: bool


class Sort(NamedTuple):
    """What alarms are told apart by, where they are counted and drawn."""

    rule: str
    category: str
    priority: str
    gateway: str
    device: str
    point: str


@dataclass(frozen=True, slots=True)
class Told:
    """Something that happened to an alarm, with what is to be known of that.

    Attributes:
        sort: Of which sort it is.
        alarm: Its number.
        subject: What it is about.
        title: What a person is told.
        change: What happened.
    """

    sort: Sort
    alarm: int
    subject: str
    title: Mapping[str, str]
    change: ChangeRow
