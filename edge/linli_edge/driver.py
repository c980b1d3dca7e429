"""What a driver is, and how the edge finds one.

A driver is the policy of one link: which polls there are and how to carry one out. *When* a poll is due, what
becomes of a silent device and how late the line runs is the link's business (:mod:`linli_edge.link`), the same for
every protocol.

Drivers are found by entry point (group ``linli.drivers``), so others can add theirs from a package of their own.
An import that fails names the driver and the remedy; it is never swallowed.
"""

import difflib
from collections import deque
from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field, fields
from importlib.metadata import EntryPoint, entry_points
from statistics import median
from typing import Any, Final, Protocol, Self, runtime_checkable

from linli_core.errors import ConfigError, DriverUnavailable, UnknownDriver, WriteRefusal, WriteRefused
from linli_core.instant import Instant
from linli_core.model import Point, Reading, Value
from linli_edge.profiles import Profile, Shelf
from linli_edge.transport import Transport

GROUP: Final = "linli.drivers"

_REMEMBERED: Final = 31
"""Answer times that are kept of each device."""

Clock = Callable[[], Instant]
"""Returns the present instant; injected, so that tests move time instead of waiting for it."""


@dataclass(frozen=True, slots=True)
class PlannedPoll:
    """One round of requests to one device that the link repeats.

    Attributes:
        key: Unique on the link, stable over restarts (``meter-1`` or ``meter-1#2``).
        device: Id of the device; polls of one device share its time budget and its breaker.
        interval: Microseconds from one due time to the next.
        points: What the poll yields when all goes well; BAD readings are made from it when it does not. Empty
            where only the answer tells (M-Bus before the first telegram).
        priority: Lower goes first when the line cannot carry everything.
        cost: Microseconds of line time one poll is expected to take when the device answers; ``None`` where only
            measuring tells. It feeds ``linli-edge check`` and the first minute of the overload watch.
        patient: Whether a request that nothing answers is worth repeating at once. The scheduler says no where the
            device has not answered lately: one attempt tells as much, and the others wait for less.
    """

    key: str
    device: str
    interval: int
    points: tuple[Point, ...] = ()
    priority: int = 1
    cost: int | None = None
    patient: bool = True
    heard: bool = False


class Driver(Protocol):
    """Policy of one link: its polls, and how to carry one out."""

    @property
    def plan(self) -> Sequence[PlannedPoll]:
        """The polls of this link; read once, after opening."""
        ...

    async def poll(self, planned: PlannedPoll) -> list[Reading]:
        """Carry out one poll and return its readings, stamped when the answer came.

        A point the device answers with an error or a "not implemented" code is a BAD reading in the list.

        Raises:
            LinkError: Nothing (usable) came back: the link makes the BAD readings.
            ProtocolError: What came back is no answer of this protocol.
            DeviceError: The device refused the whole poll.
        """
        ...


@dataclass(slots=True)
class UnitCounters:
    """What one device did with the requests to it, since the driver was opened.

    A request ends as one of ``answers``, ``timeouts``, ``checksum`` or ``malformed``; an answer may be a refusal.

    Attributes:
        requests: Frames sent to it, repetitions included.
        answers: Requests that were answered, those ``refused`` included.
        refused: Answers by which the device said no.
        timeouts: Requests that nothing (usable) answered.
        checksum: Answers with a wrong checksum.
        malformed: Answers that the protocol does not allow, their checksum right.
        late: Answers, or pieces of them, that came when nobody waited any more.
        foreign: Frames of another device, or to another request, while this one was asked.
        noise: Runs of bytes that belong to no frame, while this one was asked.
        took: Microseconds from a request's first byte to its answer's last one, of the latest answers.
    """

    requests: int = 0
    answers: int = 0
    refused: int = 0
    timeouts: int = 0
    checksum: int = 0
    malformed: int = 0
    late: int = 0
    foreign: int = 0
    noise: int = 0
    took: deque[int] = field(default_factory=lambda: deque(maxlen=_REMEMBERED), repr=False, compare=False)

    @property
    def median(self) -> int | None:
        """The median of the latest answers' microseconds; ``None`` before the first."""
        return round(median(self.took)) if self.took else None

    def answered(self, took: int) -> None:
        """Note an answer that took so many microseconds."""
        self.answers += 1
        self.took.append(took)

    def as_dict(self) -> dict[str, int]:
        """Return the running totals by name."""
        return {entry.name: getattr(self, entry.name) for entry in fields(self) if entry.name != "took"}

    def add(self, other: Self) -> None:
        """Add what another has counted."""
        for name, count in other.as_dict().items():
            setattr(self, name, getattr(self, name) + count)
        self.took.extend(other.took)


@runtime_checkable
class Counting(Protocol):
    """A driver that counts what happens to single requests; of others the link counts whole polls."""

    def counters(self) -> Mapping[str, UnitCounters]:
        """Return the counters of each device, by its id, since the driver was opened."""
        ...


@dataclass(frozen=True, slots=True)
class WriteRequest:
    """One value to be written into one device, once.

    Attributes:
        id: Names the request; unique, so that it runs once at most.
        point_name: Which point: its name below the gateway (``cold-room-1/temperature_setpoint``).
        value: What it shall hold, in the vocabulary's unit; for a relay or valve ``True`` closes the contact or
            opens the valve, so that supply flows.
        expires_at: When it is too late to begin.
        by: Who asked for it, for the record.
    """

    id: str
    point_name: str
    value: Value
    expires_at: Instant
    by: str

    @property
    def device(self) -> str:
        """Id of the device."""
        return self.point_name.partition("/")[0]

    def in_time(self, now: Instant) -> None:
        """Refuse what is too late. To be asked when the line is ready and only the sending is left: it takes time."""
        if now > self.expires_at:
            raise WriteRefused(WriteRefusal.EXPIRED, "it expired before it could be sent")


@dataclass(frozen=True, slots=True)
class WriteOutcome:
    """What came of a write that was begun.

    Attributes:
        ok: Whether the device was read afterwards and holds what was asked for (as far as its register can say it).
        before: What it held before; ``None`` where that could not be read.
        after: What was read back; ``None`` where nothing could be.
        error: What went wrong, for people; empty if nothing did.
    """

    ok: bool
    before: Value = None
    after: Value = None
    error: str = ""


@runtime_checkable
class Writing(Protocol):
    """A driver whose devices can be written to. Who may write what is the gateway's business, not the driver's."""

    async def write(self, request: WriteRequest) -> WriteOutcome:
        """Write one value, read it back, and tell both. Send the write itself once only: never repeat it.

        The last thing before it is sent is :meth:`WriteRequest.in_time`.

        A device that takes the value but holds another afterwards is an outcome that is not ``ok``; so is one whose
        answer to the write or to the reading back stayed away: what it did is unknown, and ``error`` says so.

        Raises:
            WriteRefused: Nothing was sent: no such point, not writable, no such value, expired.
            DeviceError: The device refused.
            LinkError: The line broke.
        """
        ...


@dataclass(frozen=True, slots=True)
class DriverSpec:
    """What an entry point in group ``linli.drivers`` must name.

    Attributes:
        name: The ``driver = "…"`` of a link.
        parse: Turns the link's TOML table into the driver's own configuration; raises ``ConfigError``; touches
            nothing outside the process. The second argument is where the table stands (``links[0]``).
        open: Opens the link: ``async with spec.open(config, clock) as driver``.
        plan: The polls as far as the configuration alone tells, without opening anything. They let a line that
            never came up report its points as BAD, and ``linli-edge check`` count them. ``None`` where only the
            devices know.
        guest: Makes the driver on a line that somebody else has opened and that devices of other protocols share
            (:mod:`linli_edge.drivers.shared_bus`). While one of its polls or writes runs the line is its own, set as
            ``config.transport`` says; before its requests it must throw away what is still coming in, which may be
            another protocol's. ``None`` if it cannot share.
        profiles: Its device profiles (:mod:`linli_edge.profiles`); ``None`` if it has none.
        moduli: Returns, by point name, the values at which a cumulative register begins again at zero, as far as the
            configuration tells; ``None`` where nothing does.
        serve: What runs beside the link as long as the gateway does, whether the line is open or not: a server that
            hands on what was read. It returns where the configuration asks for none, and raises nothing. ``None``: the
            driver has no such thing.
        served: What that server will hand on, and to whom, for ``linli-edge check``; ``None`` where there is none.
    """

    name: str
    parse: Callable[[Mapping[str, object], str], Any]
    open: Callable[[Any, Clock], AbstractAsyncContextManager[Driver]]
    plan: Callable[[Any], Sequence[PlannedPoll]] | None = None
    guest: Callable[[Any, Transport, Clock], Driver] | None = None
    profiles: Shelf[Profile] | None = None
    moduli: Callable[[Any], Mapping[str, tuple[float, ...]]] | None = None
    serve: Callable[[Any], Coroutine[Any, Any, None]] | None = None
    served: Callable[[Any], "Served | None"] | None = None


@dataclass(frozen=True, slots=True)
class Served:
    """What a link hands on to others.

    Attributes:
        place: Where it listens: ``127.0.0.1:1502``.
        what: In words: ``units 1, 2 over Modbus TCP, nothing older than 1 min``.
        warnings: What is probably not meant.
    """

    place: str
    what: str
    warnings: tuple[str, ...] = ()


def catalogue() -> dict[str, EntryPoint]:
    """Return the installed drivers by name, none of them imported yet."""
    found: dict[str, EntryPoint] = {}
    for point in entry_points(group=GROUP):
        if point.name in found and found[point.name].value != point.value:
            raise ConfigError(
                f"entry points {GROUP}",
                f"driver {point.name!r} is offered by {found[point.name].value!r} and by {point.value!r}",
                "uninstall one of the two packages",
            )
        found[point.name] = point
    return found


def load(name: str, where: str, drivers: Mapping[str, EntryPoint] | None = None) -> DriverSpec:
    """Import one driver and return its spec; ``where`` is the place in the configuration that asked for it."""
    known = catalogue() if drivers is None else drivers
    try:
        point = known[name]
    except KeyError:
        near = difflib.get_close_matches(name, known)
        hint = f"did you mean {near[0]!r}?" if near else f"installed: {', '.join(sorted(known)) or 'none'}"
        raise UnknownDriver(where, f"no driver is called {name!r}", hint) from None
    try:
        spec = point.load()
    except ImportError as exc:
        raise DriverUnavailable(
            where, f"driver {name!r} is installed, but {exc}", "try: pip install 'linli[edge]'"
        ) from exc
    if not isinstance(spec, DriverSpec):
        raise DriverUnavailable(
            where, f"entry point {point.value!r} of driver {name!r} is no DriverSpec", "tell the package's maintainer"
        )
    return spec
