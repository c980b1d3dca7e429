"""Line protocol in a file: most of it the fast way, the rest by the parser that says what is wrong with which line."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Final

import numpy as np
from numpy.typing import NDArray

from linli_core.errors import RefusalReason, Refused
from linli_core.instant import DAY, Instant
from linli_core.model import is_id
from linli_core.vocabulary import vocabulary
from linli_core.wire.line_protocol import LIMITS, LinePoint, Precision, parse
from linli_platform.exchange.canonical_lines import Canonical, read
from linli_platform.exchange.portions import Place, Portion, Rows
from linli_platform.ingest.line_mapping import LineMapper, Mapped, Rules
from linli_platform.ingest.settings import Limits
from linli_platform.store import Store

BLOCK: Final = 8 * 1024 * 1024
"""Bytes that are read at once: what is made of them still fits the processor's cache by half."""

_KNOWN: Final = 1_000_000
"""Heads that are remembered; a file of more names a new point with each line."""
_FAR: Final = 2**62
"""µs: further away than anything, and the sum of two fits 64 bits."""
_EARLIEST: Final = Limits().earliest
_ESCAPES: Final = re.compile(rb"\\.", re.DOTALL)


@dataclass(frozen=True, slots=True)
class LineSource:
    """A file of line protocol.

    Attributes:
        path: The file.
        store: Where the series are.
        precision: Of the timestamps.
        rules: How lines are understood; ``writes_as`` is the gateway of lines that name none, and may be empty.
        now: Lines without a timestamp are of now; what lies more than a day ahead of it is refused.
    """

    path: Path
    store: Store
    precision: Precision
    rules: Rules
    now: Instant

    @property
    def size(self) -> int:
        """Bytes of the file."""
        return self.path.stat().st_size

    def portions(self, start: Place) -> Iterator[Portion]:
        """Return what stands from a place on, a block at a time."""
        reader = _Reader(self)
        with self.path.open("rb") as file:
            file.seek(start.at)
            place = start
            while block := _block(file):
                portion = reader.portion(block, place)
                place = portion.until
                yield portion


def _block(file: IO[bytes]) -> bytes:
    """Return the next whole lines; a text that goes on over several of them is not cut."""
    block = file.read(BLOCK)
    if not block:
        return b""
    block += file.readline()
    if b'"' in block:
        more = b"next"
        taken = 0
        while more and taken < LIMITS.line and _ESCAPES.sub(b"", block).count(b'"') % 2:
            more = file.readline()
            taken += len(more)
            block += more
    return block if block.endswith(b"\n") else block + b"\n"


@dataclass(frozen=True, slots=True)
class _Slow:
    """Readings that the parser made, and from which line each is, from 0."""

    portion: Portion
    lines: NDArray[np.int64]


class _Reader:
    """Reads blocks; heads that come again are looked up once."""

    def __init__(self, source: LineSource) -> None:
        self._source = source
        self._size = source.size
        self._numbers: dict[bytes, int | None] = {}
        self._mappers: dict[str, LineMapper] = {}
        self._latest = source.now + DAY

    def portion(self, block: bytes, place: Place) -> Portion:
        """Return the readings of whole lines that begin at a place."""
        # The last line may have come without an end.
        until = Place(min(place.at + len(block), self._size), place.line + block.count(b"\n"))
        fast = read(block, self._number)
        if fast is None:
            return replace(self._slowly(block, None, place.line).portion, until=until)
        times = self._times(fast)
        sound = (times >= _EARLIEST) & (times <= self._latest)
        whole = Portion(fast.ids, times, fast.values, fast.quality, until=until)
        if sound.all() and not len(fast.others):
            return whole
        others = np.sort(np.concatenate((fast.others, fast.lines[~sound])))
        slow = self._slowly(block, others, place.line)
        kept = replace(
            whole, series=fast.ids[sound], times=times[sound], values=fast.values[sound], quality=fast.quality[sound]
        )
        return _merged(kept, fast.lines[sound], slow)

    def _times(self, fast: Canonical) -> NDArray[np.int64]:
        unit = self._source.precision
        if unit is Precision.NANOSECOND:
            return fast.stamps // 1_000
        length = unit.instant(1)
        # What would not fit 64 bits is out of range, whichever way.
        return np.clip(fast.stamps, -_FAR // length, _FAR // length) * length

    def _number(self, head: bytes) -> int | None:
        """Return the series of a head whose field ``value`` is the reading itself."""
        if head in self._numbers:
            return self._numbers[head]
        number = None
        parsed = parse(head + b" value=0 0")
        if len(parsed.points) == 1 and parsed.points[0].measurement in vocabulary():
            (point,) = parsed.points
            mapped = self._mapped(self._gateway(point), [point], -_FAR, _FAR)
            if mapped.names:
                number = self._series(self._gateway(point), mapped.names[0])
        if len(self._numbers) >= _KNOWN:
            self._numbers.clear()
        self._numbers[head] = number
        return number

    def _gateway(self, point: LinePoint) -> str:
        return point.tags.get("gateway", self._source.rules.writes_as)

    def _series(self, gateway: str, name: str) -> int:
        return self._source.store.series(gateway, name).id

    def _mapped(self, gateway: str, points: list[LinePoint], earliest: Instant, latest: Instant) -> Mapped:
        if not is_id(gateway):
            said = f"gateway {gateway[:80]!r} is no id" if gateway else "no tag gateway; --gateway names one for all"
            refused = [
                (point.number, Refused(RefusalReason.BAD_NAME, said, where=f"line {point.number}")) for point in points
            ]
            return Mapped(refused=refused)
        mapper = self._mappers.get(gateway)
        if mapper is None:
            mapper = self._mappers[gateway] = LineMapper(replace(self._source.rules, writes_as=gateway))
        return mapper.map(points, self._source.now, earliest, latest)

    def _slowly(self, block: bytes, chosen: NDArray[np.int64] | None, before: int) -> _Slow:
        """Return what the parser makes of all lines of a block, or of some."""
        numbers: list[int] | range = range(block.count(b"\n"))
        if chosen is not None:
            numbers = chosen.tolist()
            lines = block.split(b"\n")
            block = b"\n".join([lines[number] for number in numbers])
        parsed = parse(block, self._source.precision)
        by_gateway: dict[str, list[LinePoint]] = {}
        for point in parsed.points:
            by_gateway.setdefault(self._gateway(point), []).append(point)
        rows = Rows()
        found: list[tuple[int, int, int, float, str | None, int]] = []
        left_out = [(line.number, line.refused) for line in parsed.bad]
        for gateway, points in by_gateway.items():
            mapped = self._mapped(gateway, points, _EARLIEST, self._latest)
            left_out += mapped.refused
            columns = zip(mapped.lines, mapped.names, mapped.times, mapped.values, mapped.quality, strict=True)
            found += [
                (line, self._series(gateway, name), time, value, mapped.texts.get(row), quality)
                for row, (line, name, time, value, quality) in enumerate(columns)
            ]
        found.sort(key=lambda each: each[0])
        for _, series, time, value, text, quality in found:
            rows.add(series, time, value, text, quality)
        for number, refused in sorted(left_out, key=lambda each: each[0]):
            line = before + numbers[number - 1] + 1
            what = str(refused).partition(": ")[2]
            rows.refuse(line, Refused(refused.reason, what, where=f"line {line}"))
        rows.unnamed += parsed.unnamed
        at = np.array([numbers[line - 1] for line, *_ in found], np.int64)
        return _Slow(rows.take(Place()), at)


def _merged(kept: Portion, lines: NDArray[np.int64], slow: _Slow) -> Portion:
    """Return readings of both ways, in the order of their lines."""
    other = slow.portion
    order = np.argsort(np.concatenate((lines, slow.lines)), kind="stable")
    place = np.empty(len(order), np.int64)
    place[order] = np.arange(len(order))
    return Portion(
        np.concatenate((kept.series, other.series))[order],
        np.concatenate((kept.times, other.times))[order],
        np.concatenate((kept.values, other.values))[order],
        np.concatenate((kept.quality, other.quality))[order],
        {int(place[len(kept) + row]): text for row, text in other.texts.items()},
        other.refused,
        other.unnamed,
        kept.until,
    )
