"""Bringing readings out of the store into a file, in stretches of time that fit the memory.

Theory of operation. A stretch that holds more readings than :data:`AT_ONCE` is halved until none does; what lies in it
is asked for at once, of all series, and written. So it works on every kind of store, however much that holds. The file
is written under another name and put in its place when it is whole.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol, Self

from linli_core.instant import Instant
from linli_core.vocabulary import vocabulary
from linli_platform.exchange import ExchangeError
from linli_platform.store import SeriesInfo, Store
from linli_platform.store.query import Scan

AT_ONCE: Final = 500_000
"""Readings in memory at a time."""

_MODE: Final = 0o600
"""Readings tell how people live."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which readings are brought out.

    Attributes:
        start, end: ``start <= time < end``.
        gateways, devices, points, quantities: Only of these, where any are named.
    """

    start: Instant
    end: Instant
    gateways: frozenset[str] = frozenset()
    devices: frozenset[str] = frozenset()
    points: frozenset[str] = frozenset()
    quantities: frozenset[str] = frozenset()

    def series(self, store: Store) -> list[SeriesInfo]:
        """Return the series, by gateway and name."""
        chosen = [
            info
            for info in store.all_series()
            if (not self.gateways or info.gateway in self.gateways)
            and (not self.devices or info.device in self.devices)
            and (not self.points or info.name in self.points)
            and (not self.quantities or info.quantity in self.quantities)
        ]
        return sorted(chosen, key=lambda info: (info.gateway, info.name))


class Sink(AbstractContextManager["Sink"], Protocol):
    """Writes readings into a file; what was written is whole once the block is left without an error."""

    def write(self, infos: dict[int, SeriesInfo], scan: Scan) -> None:
        """Write readings."""
        ...


def stretches(
    store: Store, series: frozenset[int], start: Instant, end: Instant
) -> Iterator[tuple[Instant, Instant, int]]:
    """Return the stretches of time that hold any reading of series, and how many; none holds too many to be asked."""
    waiting = [(start, end)]
    while waiting:
        first, last = waiting.pop()
        counts = store.count_readings(first, last).readings
        count = sum(found[0] for number, found in counts.items() if number in series)
        if count > AT_ONCE and last - first > 1:
            middle = (first + last) // 2
            waiting += [(middle, last), (first, middle)]  # the earlier one is taken next
        elif count:
            yield first, last, count


def run(
    store: Store, wanted: Wanted, sink: Sink, progress: Callable[[int, int], None] = lambda _written, _time: None
) -> int:
    """Write what is wanted; return how many readings that were.

    Args:
        store: Open.
        wanted: Which readings.
        sink: Where to.
        progress: Called with the readings written so far, and up to which time.
    """
    chosen = wanted.series(store)
    infos = {info.id: info for info in chosen}
    order = [info.id for info in chosen]
    written = 0
    heads = [row.time for row in store.latest(order)]
    end = min(wanted.end, max(heads, default=wanted.start) + 1)
    with sink:
        for first, last, count in stretches(store, frozenset(order), wanted.start, end):
            scan = store.scan(order, first, last, limit=max(count, AT_ONCE) * 2)
            sink.write(infos, scan)
            written += len(scan)
            progress(written, last)
    return written


def unit_of(info: SeriesInfo) -> str:
    """Return the unit of a series' values."""
    word = vocabulary().get(info.quantity)
    return word.unit if word else ""


class NewFile:
    """A file that appears under its name when it is whole, and not at all where something went wrong.

    Args:
        path: Its name.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.part = path.with_name(f".{path.name}.part")

    def open(self) -> "Self":
        """Make sure that it can be written; :class:`ExchangeError` if not."""
        try:
            self.part.unlink(missing_ok=True)
            self.part.touch(mode=_MODE)
        except OSError as exc:
            raise ExchangeError(f"{self.path}: cannot be written ({exc.strerror}); choose another place") from exc
        return self

    def keep(self) -> None:
        """Put it in its place, durably."""
        self.part.chmod(_MODE)
        with self.part.open("rb") as file:
            os.fsync(file.fileno())
        self.part.replace(self.path)
        folder = os.open(self.path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def drop(self) -> None:
        """Leave nothing of it."""
        self.part.unlink(missing_ok=True)
