"""The fastest way through a telemetry message: what is like one that came before is not parsed again.

A gateway says the same things of the same points minute after minute; only the numbers change. The bytes between the
numbers are a *layout*. It is learnt from a message that :class:`~linli_platform.ingest.columns.ColumnDecoder` took:
each of its numbers is replaced by one that occurs nowhere else, and where these turn up says what each one is. From
then on a message whose bytes between the numbers are those, to the byte, means the same, and its numbers are all that
is looked at; they are parsed by the JSON parser, so that what is no JSON number is refused as ever.

What is not like anything known costs a comparison. A gateway that never says the same twice is soon left alone.
"""

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from linli_core.instant import SECOND, Instant
from linli_core.wire import senml
from linli_platform.ingest.columns import EARLIEST, Columns

_NUMBER: Final = re.compile(rb':(?<!r":)([-0-9][-+.0-9eE]*)')
"""A number in a canonical pack: preceded by its label's colon, without a space. The version (``bver``) is no number
that changes: it is part of the layout."""

_PROBE: Final = 300_000_000
"""Numbers put in to find out what each is begin here: absolute times as well as sound values (RFC 8428 §4.5.3)."""

_PLACES: Final = frozenset({"bt", "seq", "v", "t", "dt"})
_SIMILAR: Final = 4
"""Layouts remembered of one gateway that begin with the same point and are equally long."""

_PATIENCE: Final = 16
"""Messages in a row that are like none known, after which a gateway is left alone for a while."""

_LONGEST_REST: Final = 4_096
_MOST_BYTES: Final = 32 * 1024 * 1024
"""What all layouts may hold together; beyond it they are learnt anew."""

_ROW_BYTES: Final = 200
"""About what one record of a layout holds in memory beside its bytes."""

_NONE: Final[Mapping[int, Instant]] = {}

_floats: Final = msgspec.json.Decoder(list[float]).decode
_records: Final = msgspec.json.Decoder(list[dict[str, Any]]).decode


class Layout:
    """What a message with these bytes between its numbers means.

    Attributes:
        gateway, epoch: Whose it is, and of which log.
        names: The points.
        quality: The quality code of each.
        is_good: Whether all are GOOD.
        texts: Text values by row.
        series: Ids of the points' series, once they are known.
    """

    def __init__(self, frame: bytes, gateway: str, columns: Columns, places: Sequence[tuple[int, str]]) -> None:
        self.gateway = gateway
        self.epoch = columns.epoch
        self.names = tuple(columns.names)
        self.quality = tuple(columns.quality)
        self.is_good = not any(columns.quality)
        self.texts = dict(columns.texts)
        self.series: NDArray[np.int32] | None = None
        self.frame = frame
        labels = [label for _, label in places]
        self._seq = labels.index("seq")
        self._base = labels.index("bt")
        values = [number for number, label in enumerate(labels) if label == "v"]
        times = [number for number, label in enumerate(labels) if label == "t"]
        self._stamps = tuple((number, row) for number, (row, label) in enumerate(places) if label == "dt")
        self._moments = tuple(number for number, label in enumerate(labels) if label in {"bt", "t", "dt"})
        # Most packs: one moment, a number for each record, and nothing behind them.
        first = len(labels) - len(columns.names)
        self._plain = first if values == list(range(first, len(labels))) and not times else None
        self._numbers = np.array(values, np.int64)
        self._rows = np.array([places[number][0] for number in values], np.int64)
        self._times = np.array(times, np.int64)
        self._timed = np.array([places[number][0] for number in times], np.int64)
        # Where there is no number: missing, text, or true and false, which are part of the layout.
        self._others = np.array(columns.values, np.float64)

    def read(self, payload: bytes, numbers: Sequence[bytes]) -> "Likeness | None":
        """Return what a message says if it is of this layout and its numbers can be judged here; else ``None``."""
        if self.frame % tuple(numbers) != payload:
            return None
        try:
            found = _floats(b"[%b]" % b",".join(numbers))
        except msgspec.MsgspecError:
            return None
        place = numbers[self._seq]
        # One that is not finite makes the sum so; so may sound ones, and those the full decoders judge.
        if not place.isdigit() or not math.isfinite(sum(found)):
            return None
        seq = int(place)
        if not 1 <= seq <= senml.MAX_SEQ or not all(
            -senml.FARTHEST < found[number] < senml.FARTHEST for number in self._moments
        ):
            return None
        times = self._instants(found)
        if (times if isinstance(times, int) else min(times)) < EARLIEST:
            return None
        stamps = {row: round(found[number] * SECOND) for number, row in self._stamps} if self._stamps else _NONE
        return Likeness(self, seq, times, self._values(found), stamps)

    def _instants(self, found: list[float]) -> Instant | list[Instant]:
        base = found[self._base]
        if not len(self._times):
            return round(base * SECOND)
        offsets = np.zeros(len(self.names))
        offsets[self._timed] = np.array(found)[self._times]
        times: list[Instant] = np.rint((base + offsets) * SECOND).astype(np.int64).tolist()
        return times

    def _values(self, found: list[float]) -> list[float]:
        if self._plain is not None:
            return found[self._plain :]
        values = self._others.copy()
        values[self._rows] = np.array(found)[self._numbers]
        numbers: list[float] = values.tolist()
        return numbers


class Likeness(msgspec.Struct, gc=False):
    """A message of a known layout; ``times`` is one instant where all its readings share it."""

    layout: Layout
    seq: int
    times: Instant | list[Instant]
    values: list[float]
    device_times: Mapping[int, Instant]


class _Gateway:
    """The layouts of one gateway, and how often they were of use."""

    def __init__(self) -> None:
        self.layouts: dict[tuple[int, bytes], list[Layout]] = {}
        self.misses = 0
        self.rest = 0
        self._rested = _PATIENCE

    def hit(self) -> None:
        self.misses = 0
        self._rested = _PATIENCE

    def miss(self) -> None:
        self.misses += 1
        if self.misses >= _PATIENCE:
            self.misses = 0
            self.rest = self._rested = min(2 * self._rested, _LONGEST_REST)


class Layouts:
    """Remembers what messages looked like.

    Attributes:
        held_bytes: About what they hold in memory.
    """

    def __init__(self) -> None:
        self.held_bytes = 0
        self._gateways: dict[str, _Gateway] = {}

    def read(self, payload: bytes, gateway: str) -> Likeness | None:
        """Return what a message says if it is like one that was learnt."""
        known = self._gateways.get(gateway)
        if known is None:
            return None
        if known.rest:
            known.rest -= 1
            return None
        numbers = _NUMBER.findall(payload)
        for layout in known.layouts.get(_key(payload, len(numbers)), ()):
            found = layout.read(payload, numbers)
            if found is not None:
                known.hit()
                return found
        return None

    def learn(self, payload: bytes, gateway: str, columns: Columns) -> None:
        """Remember a message that is like none known, and what it was found to say.

        Args:
            payload: The message.
            gateway: Whose it is.
            columns: What :class:`~linli_platform.ingest.columns.ColumnDecoder` made of it.
        """
        known = self._gateways.setdefault(gateway, _Gateway())
        if known.rest:
            return
        known.miss()
        layout = _learnt(payload, gateway, columns)
        if layout is None:
            return
        size = len(layout.frame) + _ROW_BYTES * len(layout.names)
        if self.held_bytes + size > _MOST_BYTES:
            self._gateways.clear()
            self.held_bytes = 0
            known = self._gateways[gateway] = _Gateway()
        similar = known.layouts.setdefault(_key(payload, len(_NUMBER.findall(payload))), [])
        self.held_bytes += size
        similar.insert(0, layout)
        for old in similar[_SIMILAR:]:
            self.held_bytes -= len(old.frame) + _ROW_BYTES * len(old.names)
        del similar[_SIMILAR:]


def _key(payload: bytes, numbers: int) -> tuple[int, bytes]:
    """Return what narrows the search: how many numbers there are, and the first point."""
    begin = payload.find(b'"n":"') + 5
    return numbers, payload[begin : payload.find(b'"', begin)]


def _learnt(payload: bytes, gateway: str, columns: Columns) -> Layout | None:
    """Return a message's layout; ``None`` if it cannot be told for sure what each of its numbers is."""
    parts = _NUMBER.split(payload)
    frame = b":%b".join(part.replace(b"%", b"%%") for part in parts[::2])
    count = len(parts) // 2
    try:
        told = _records(payload)
        probed = _records(frame % tuple(b"%d" % (_PROBE + number) for number in range(count)))
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None
    places = [
        (row, label)
        for row, record in enumerate(probed)
        for label, value in record.items()
        if label in _PLACES and isinstance(value, int | float)
    ]
    found = [probed[row][label] for row, label in places]
    # Each number stands where it is found, none is part of a text, and none was overlooked.
    if found != [_PROBE + number for number in range(count)] or _texts(told) != _texts(probed):
        return None
    labels = [label for _, label in places]
    if labels.count("bt") != 1 or labels.count("seq") != 1 or len(told) != len(columns.names):
        return None
    return Layout(frame, gateway, columns, places)


def _texts(records: Sequence[Mapping[str, object]]) -> list[dict[str, object]]:
    """Return records with every number that changes told by its label alone."""
    return [{label: None if label in _PLACES else value for label, value in record.items()} for record in records]
