"""Where readings stay: the :class:`Store` interface and the rows that go in and come out.

Every call blocks. Async callers go through ``asyncio.to_thread``; implementations are safe to call from several
threads at once (one writer, many readers). Identity of a reading is (series, time): bringing one twice changes nothing.
Which of two *different* values for one identity stays is written down in ``docs/adr/0007-store.md``.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

import msgspec
import numpy as np
from numpy.typing import NDArray

from linli_core.completeness import Completeness
from linli_core.errors import LinliError
from linli_core.instant import MINUTE, Instant

if TYPE_CHECKING:
    from linli_platform.store.query import Measure, Scan, Steps, Windows

QUARANTINE_ROWS: Final = 1_000
QUARANTINE_BYTES: Final = 64 * 1024 * 1024
"""What the quarantine holds at most; the oldest messages go first, and stay in the loss ledger."""


MOST_READINGS: Final = 20_000_000
"""Readings of one scan: what more there is eats the memory of everybody."""

LATE: Final = 10 * MINUTE
"""A reading that comes longer after it was made is late: an outage lay between."""


class StoreError(LinliError):
    """The store cannot do what was asked; nothing of the call is kept. ``ingest`` retries."""


class StoreUnavailable(StoreError):
    """The store is locked, gone or damaged: opening it again may help, the call will not."""


class CannotDelete(StoreError):
    """The store's kind cannot take out what was asked for; nothing was taken out."""


class Fenced(StoreError):
    """The store has a later owner by now: this one's writes are refused, however often they are tried."""


class Deletion(StrEnum):
    """What of a series a store can take out."""

    RANGE = "range"
    SERIES = "series"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What stores do differently; all else is the same on each, and the contract suite sees to both.

    Attributes:
        resolution: Observation times are kept in steps of so many µs; those between are cut off.
        replaces: A better reading takes the place of a worse one. Otherwise the first stays, and the better one is
            counted as a conflict.
        digits: Significant digits of a number that are kept for certain; 17 are all that a float has.
        deletion: What :meth:`Store.delete` can take out.
        expires: The store may drop what is older than a time that was agreed when it was set up.
        rollups: What readings came to is kept beside them, and outlives those of a kind whose time is over.
    """

    resolution: int = 1
    replaces: bool = True
    digits: int = 17
    deletion: Deletion = Deletion.RANGE
    expires: bool = False
    rollups: bool = True


@dataclass(frozen=True, slots=True)
class Fence:
    """Under which ownership a commit is made; see :meth:`Store.fence`.

    Attributes:
        name: What is owned: a set of shards.
        term: Grows with each owner.
    """

    name: str
    term: int


class Aggregate(StrEnum):
    """What becomes of the readings of one step. BAD readings never count."""

    MEAN = "mean"
    MINIMUM = "min"
    MAXIMUM = "max"
    SUM = "sum"
    COUNT = "count"
    FIRST = "first"
    LAST = "last"


class SeriesInfo(msgspec.Struct, frozen=True, gc=False):
    """One point of one gateway's device, as the store knows it; there are tens of thousands, for good.

    Attributes:
        id: Small number, the key in ``reading``; never reused.
        gateway: Id of the gateway.
        device: Id of the device.
        name: Point name below the gateway: ``meter-1/energy_import.t1``.
        quantity: Name in the vocabulary.
    """

    id: int
    gateway: str
    device: str
    name: str
    quantity: str


class LatestRow(msgspec.Struct, frozen=True, gc=False):
    """The reading of a series with the greatest observation time, however late it or others came.

    Attributes:
        series: Which point.
        time: When it was observed (µs).
        value: Number in the vocabulary's unit; ``None`` if missing or text.
        text: The value if it is text.
        quality: ``linli_core.model.quality_code``.
        received_at: When the platform received it; ``None`` if recovered from a store that did not keep it.
        device_time: When it was by the device's own clock, where that told.
    """

    series: SeriesInfo
    time: Instant
    value: float | None
    text: str | None
    quality: int
    received_at: Instant | None
    device_time: Instant | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """One reading (``step=None``) or one step of a series.

    Attributes:
        time: Observation time, or the start of the step.
        value: The reading's number or the aggregate; ``None`` if nothing usable was there.
        text: The reading's text (only without a step).
        quality: The reading's quality code; for a step the best code among its usable readings, or the
            worst code of its BAD ones if there were no others.
        count: Usable readings in the step (1 or 0 without a step).
        bad: BAD readings in the step (told apart, never averaged).
        device_time: When the reading was by the device's own clock, where that told (only without a step).
        rollup: Length in µs of the rollup's windows that the step was put together from, as far as it was: 0 if it is
            from readings alone, a day for days of the zone.
    """

    time: Instant
    value: float | None
    text: str | None
    quality: int
    count: int
    bad: int
    device_time: Instant | None = None
    rollup: int = 0


@dataclass(slots=True)
class Batch:
    """Readings on their way into the store, as columns of one length.

    Attributes:
        series: int32, ids from :meth:`Store.series`.
        time: int64, µs.
        value: float64; NaN where the value is missing or text (a real NaN is refused on the wire).
        quality: uint8, ``quality_code``.
        texts: Text values by row number; most batches have none.
        received_at: When the platform took them in.
        device_times: What the devices' own clocks said, by row number; most batches have none.
    """

    series: NDArray[np.int32]
    time: NDArray[np.int64]
    value: NDArray[np.float64]
    quality: NDArray[np.uint8]
    received_at: Instant
    texts: Mapping[int, str] = field(default_factory=dict)
    device_times: Mapping[int, Instant] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.series)


class EventSort(NamedTuple):
    """What events of one sort have in common.

    Attributes:
        gateway: Who says them.
        type: ``linli.device.silent``…
        subject: What they are about; empty for the gateway itself.
    """

    gateway: str
    type: str
    subject: str


@dataclass(frozen=True, slots=True)
class EventRow:
    """One event (CloudEvents 1.0), stored once per (gateway, id).

    Attributes:
        gateway: Who said it.
        id: Unique within its gateway.
        time: When it happened.
        type: ``linli.device.silent``…
        subject: What it is about; empty for the gateway itself.
        body: The whole event as JSON.
        received_at: When the platform took it in.
    """

    gateway: str
    id: str
    time: Instant
    type: str
    subject: str
    body: str
    received_at: Instant


@dataclass(frozen=True, slots=True)
class Quarantined:
    """A message that was accounted for but could not be taken, wholly or in part: set aside whole, to be tried again.

    Attributes:
        gateway, epoch, seq: Which message.
        reason: Why, as the ledger has it: ``refused:unknown_unit``.
        payload: The message as it came.
        received_at: When.
        number: By which the store knows it; given by the store.
    """

    gateway: str
    epoch: str
    seq: int
    reason: str
    payload: bytes
    received_at: Instant
    number: int = 0


@dataclass(frozen=True, slots=True)
class CompleteDay:
    """How complete one day of one series is.

    Attributes:
        series: Id of the series.
        day: When the day begins.
        computed: When this was found, or found again.
    """

    series: int
    day: Instant
    completeness: Completeness
    computed: Instant


@dataclass(frozen=True, slots=True)
class Appended:
    """What one commit did.

    Attributes:
        new: Row numbers of the batch that were not in the store before, ascending.
        duplicates: Rows whose (series, time) was there with the same value.
        conflicts: Rows whose (series, time) was there with a different value; the store's rule decided.
        events: Row numbers of the events that were new.
    """

    new: NDArray[np.int64]
    duplicates: int
    conflicts: int
    events: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class DayCounts:
    """Readings of one day, counted.

    Attributes:
        readings: By series, how many there are, and how many of them are GOOD.
        through: Which late readings are among them; :meth:`Store.complete` wants to know.
    """

    readings: Mapping[int, tuple[int, int]]
    through: int


def of_gateways(marks: Mapping[str, bytes]) -> dict[str, bytes]:
    """Return the marks that are gateways' own; what else is written with them has a colon in its name."""
    return {name: body for name, body in marks.items() if ":" not in name}


class Store(Protocol):
    """A time-series store; see the module for the rules."""

    @property
    def capabilities(self) -> Capabilities:
        """What this kind of store can do and others cannot, or the other way round."""
        ...

    @property
    def is_exclusive(self) -> bool:
        """Tell whether no other process can have this store open: whoever had it is gone."""
        ...

    def series(self, gateway: str, name: str) -> SeriesInfo:
        """Return the series of a point name, made if new. ``ValueError`` if the name is no point name."""
        ...

    def find(self, gateway: str, name: str) -> SeriesInfo | None:
        """Return the series of a point name if it exists."""
        ...

    def get(self, series: int) -> SeriesInfo | None:
        """Return the series with this id if it exists."""
        ...

    def all_series(self) -> list[SeriesInfo]:
        """Return every series, by id."""
        ...

    def append(
        self,
        batch: Batch,
        marks: Mapping[str, bytes],
        *,
        events: Sequence[EventRow] = (),
        quarantined: Sequence[Quarantined] = (),
        fence: Fence | None = None,
    ) -> Appended:
        """Commit readings, events and marks together, durably; :class:`StoreError` if nothing of them was kept.

        A reading keeps its device time for as long as it stays; one that comes again with a device time, and says the
        same, brings it if none was known.

        Under a fence older than the newest it is :class:`Fenced`: told in the same transaction, so that an owner who
        slept through the loss of its lease changes nothing.
        """
        ...

    def fenced(self, name: str) -> int:
        """Return the newest term of a name, 0 if it never had an owner."""
        ...

    def fence(self, fence: Fence) -> None:
        """Refuse from now on, durably, commits under an older term of the same name; :class:`Fenced` if this is one."""
        ...

    def delete(self, series: Iterable[int], start: Instant, end: Instant) -> int:
        """Take readings with ``start <= time < end`` of series out for good; return how many there were.

        What is newest of a series then is what is left of it. :class:`CannotDelete` if this kind of store cannot.
        """
        ...

    def marks(self) -> dict[str, bytes]:
        """Return each gateway's mark as committed last."""
        ...

    def latest(self, series: Iterable[int] | None = None) -> list[LatestRow]:
        """Return the newest reading by observation time of the given series, or of all; no disk is touched."""
        ...

    def read(
        self,
        series: int,
        start: Instant,
        end: Instant,
        *,
        step: int | None = None,
        aggregate: Aggregate | None = None,
        limit: int = 10_000,
    ) -> list[Row]:
        """Return readings with ``start <= time < end`` in order of time, or one row for each step that holds any.

        Steps are µs long and aligned to the epoch. ``aggregate`` is ``mean`` where a step is given without one.
        With more than ``limit`` rows the first ``limit`` are returned.
        """
        ...

    def scan(
        self,
        series: Sequence[int],
        start: Instant,
        end: Instant,
        *,
        texts: bool = True,
        least: int = 0,
        limit: int = MOST_READINGS,
    ) -> "Scan":
        """Return the readings of series with ``start <= time < end``, by series in the order asked, then by time.

        Without ``texts`` readings that are text have no value. Only those are brought whose quality's code is ``least``
        or worse. With more than ``limit`` readings it is
        :class:`linli_platform.store.query.TooManyReadings`, and no memory is taken for them.
        """
        ...

    def steps(self, groups: Mapping[int, int], windows: "Windows", wanted: "frozenset[Measure]") -> "Steps":
        """Return what the usable numbers of groups of series come to in each window that holds any.

        Args:
            groups: Group by series; several series of one group are taken together.
            windows: Windows, one after the other.
            wanted: What is asked for.
        """
        ...

    def events(
        self,
        start: Instant,
        end: Instant,
        *,
        gateways: Collection[str] | None = None,
        types: Collection[str] | None = None,
        limit: int = 1_000,
    ) -> list[EventRow]:
        """Return events with ``start <= time < end``, newest first, of gateways and of types that begin so if given."""
        ...

    def event_sorts(self) -> list[EventSort]:
        """Return every sort of event there ever was."""
        ...

    def quarantine(
        self, *, gateway: str | None = None, number: int | None = None, limit: int = 100
    ) -> list[Quarantined]:
        """Return quarantined messages, newest first."""
        ...

    def discard(self, number: int) -> bool:
        """Take a message out of the quarantine; tell whether it was there."""
        ...

    def late_days(self) -> list[Instant]:
        """Return moments, one or more of each stretch of a quarter of an hour of which late readings came.

        They stay until :meth:`complete` has counted their day.
        """
        ...

    def count_readings(self, start: Instant, end: Instant) -> "DayCounts":
        """Return by series how many readings with ``start <= time < end`` there are."""
        ...

    def complete(
        self, start: Instant, end: Instant, expected: Mapping[int, int | None], counts: "DayCounts", now: Instant
    ) -> None:
        """Write how complete a day is, in place of what was written of it; late readings are counted once."""
        ...

    def completeness(self, series: Iterable[int], start: Instant, end: Instant) -> list[CompleteDay]:
        """Return the days with ``start <= day < end`` of series, by series and day."""
        ...

    def newest_complete(self) -> Instant | None:
        """Return the newest day of which completeness was written."""
        ...

    def probe(self) -> None:
        """Write something small, durably; :class:`StoreError` if that cannot be done either."""
        ...

    def count(self) -> int:
        """Return the number of readings held."""
        ...

    def count_distinct(self) -> int:
        """Return the number of distinct (series, time) held: equal to :meth:`count` or something is doubled."""
        ...

    def size_bytes(self) -> int:
        """Return the bytes on disk, write-ahead log included."""
        ...

    def checkpoint(self) -> None:
        """Bring the write-ahead log into the main file."""
        ...
