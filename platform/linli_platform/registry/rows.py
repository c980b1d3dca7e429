"""What the registry answers with: plain rows, detached from any session."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from linli_core.errors import RefusalReason
from linli_core.instant import Instant
from linli_core.wire.messages import Status

Titles = Mapping[str, str]
"""Text by language: ``{"zh": …, "en": …}``; may be empty."""


class State(StrEnum):
    """Life of a gateway or device: heard of, put to work, out."""

    PENDING = "pending"
    ACTIVE = "active"
    RETIRED = "retired"


@dataclass(frozen=True, slots=True)
class Area:
    """A place; ``parent`` is ``None`` at the root of the tree."""

    id: str
    parent: str | None
    kind: str
    titles: Titles = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Gateway:
    """A gateway.

    Attributes:
        last_seen: When its last message came (kept to a few seconds).
        status: Its last ``status`` message, the last will included; ``None`` if none came yet.
        status_at: When that came, or was sent if the broker had kept it.
    """

    id: str
    state: State
    titles: Titles = field(default_factory=dict)
    area: str | None = None
    first_seen: Instant | None = None
    last_seen: Instant | None = None
    status: Status | None = None
    status_at: Instant | None = None


@dataclass(frozen=True, slots=True)
class Device:
    """A device of a gateway. ``kind`` and ``tags`` are free: ``electricity_meter``, ``fire-water``, as declared."""

    gateway: str
    id: str
    state: State
    kind: str = ""
    titles: Titles = field(default_factory=dict)
    area: str | None = None
    first_seen: Instant | None = None
    tags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Refusal:
    """How often messages or records of one gateway were refused for one reason.

    Attributes:
        gateway: The gateway of the topic; empty where the topic names none.
        example: The newest refusal's text, where and what.
    """

    gateway: str
    reason: RefusalReason
    count: int
    first_at: Instant
    last_at: Instant
    example: str


@dataclass(frozen=True, slots=True)
class Loss:
    """One entry of the loss ledger: messages ``first … last`` of a gateway's log never reached the store.

    Attributes:
        cause: The gateway's word (``space``, ``age``, ``corruption``…) or ``refused:<reason>``.
        observed_from, observed_to, readings: What they held, as far as known.
        booked_at: When the platform learnt of it.
        amended_at: When the entry was last widened or shortened (messages given up may still arrive).
    """

    gateway: str
    epoch: str
    first: int
    last: int
    cause: str
    observed_from: Instant | None = None
    observed_to: Instant | None = None
    readings: int | None = None
    booked_at: Instant = 0
    amended_at: Instant | None = None
