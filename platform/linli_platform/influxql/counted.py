"""``counted``: what a register shows, gone on with where its meter was exchanged, set back or in doubt.

Theory of operation. A register's value says what was used only as long as it is the same meter's, and no reading is
doubted. So a series is followed reading by reading (:func:`course`): it rises by what each reading rises, by nothing
where one falls, and over an exchange by what the old meter still counted and the new one has counted since, as far as
anybody wrote down what they showed. Readings in doubt are left out.

Of a thousand meters a few were exchanged. :meth:`Registers.steps` has the store take all of them together, by what
stood at the end of each window, and looks at readings only of meters, and in windows, of which something was told, or
that show less than they showed before. What stands at the end of any other window is what was counted until then.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, pairwise
from typing import Final, TypeAlias

import msgspec
import numpy as np
from numpy.typing import NDArray

from linli_core.instant import DAY, SECOND, Instant, from_rfc3339
from linli_core.model import DOUBTED, Quality, quality_code
from linli_platform.store import EventRow, Store
from linli_platform.store.query import Measure, Scan, Steps, Windows
from linli_platform.store.rollup import SWAPPED, swapped_at

COUNTED: Final = "counted"
"""The field."""

TOLD: Final = "linli.register."
"""Begins the types of events about a register."""

_BY_GATEWAY: Final = "identity"
"""By what the gateway noticed that a meter is another: it says who it is."""

_UNIT_JUMP: Final = f"{TOLD}unit_jump"
"""Of this alone it is not told when it is over: the next that is told of the register says so."""

_AT_ONCE: Final = 60 * SECOND
"""The reading by which a gateway sees that a meter is another was made so long before it says so."""
_APART: Final = DAY
"""Whoever exchanged a meter may be wrong by so much about when that was."""
_MOST: Final = 50_000
"""Events that are looked at, of exchanges and of all else, the newest first."""
_EVER: Final = 2**62
_BAD: Final = quality_code(Quality.BAD)
_DOUBTED: Final = np.array(sorted(DOUBTED), np.uint8)

Numbers: TypeAlias = NDArray[np.float64]
Instants: TypeAlias = NDArray[np.int64]


class _Data(msgspec.Struct):
    """What events tell, as far as it matters here."""

    point: str = ""
    after_at: str = ""
    noticed_by: str = ""
    final: dict[str, float] = {}
    start: dict[str, float] = {}


_decoder: Final = msgspec.json.Decoder(_Data)


@dataclass(frozen=True, slots=True)
class Exchange:
    """A meter that was exchanged for another.

    Attributes:
        at: From when on it is another.
        final: What the old one showed last; ``None`` where nobody knows.
        start: What the new one showed first.
    """

    at: Instant
    final: float | None = None
    start: float | None = None

    def across(self, before: float, after: float) -> float | None:
        """Return what was used between two readings, of which one is to be the old meter's and the other the new one's.

        ``None`` if what was written down tells that they are not.
        """
        used = 0.0
        if self.final is not None:
            if abs(before - self.final) >= abs(after - self.final):
                return None
            used += max(0.0, self.final - before)
        if self.start is not None:
            if abs(after - self.start) >= abs(before - self.start):
                return None
            used += max(0.0, after - self.start)
        return used


@dataclass(frozen=True, slots=True)
class History:
    """What was told of a register.

    Attributes:
        exchanges: Of its meter, the earliest first.
        spans: Between which instants, both included, its readings are to be looked at one by one.
    """

    exchanges: tuple[Exchange, ...] = ()
    spans: tuple[tuple[Instant, Instant], ...] = ()

    def __bool__(self) -> bool:
        """Tell whether anything was told."""
        return bool(self.exchanges or self.spans)

    def within(self, windows: Windows) -> "History":
        """Return what of it matters to some windows."""
        begin, end = int(windows.edges[0]), int(windows.edges[-1])
        exchanges = (each for each in self.exchanges if begin - _APART <= each.at < end + _APART)
        return History(tuple(exchanges), tuple(span for span in self.spans if span[0] < end and span[1] >= begin))


_NOTHING: Final = History()


def course(times: Instants, values: Numbers, exchanges: Iterable[Exchange]) -> Numbers:
    """Return what a register has counted at each reading, beginning with what it shows at the first.

    Args:
        times: Of the readings, in order.
        values: What it shows; all can be trusted.
        exchanges: Of its meter.
    """
    if not len(values):
        return values
    rises = np.maximum(np.diff(values, prepend=values[:1]), 0.0)
    across: dict[int, float] = {}
    for exchange in exchanges:
        if (place := _place(times, values, exchange)) is not None:
            used = exchange.across(float(values[place - 1]), float(values[place])) or 0.0
            # A person told of it, and the gateway saw that the meter is another: who knows more is believed.
            across[place] = max(across.get(place, 0.0), used)
    for place, used in across.items():
        rises[place] = used
    return np.asarray(values[0] + np.cumsum(rises), np.float64)


def _place(times: Instants, values: Numbers, exchange: Exchange) -> int | None:
    """Return the first reading of the new meter; ``None`` if not both meters have any."""
    place = int(np.searchsorted(times, exchange.at))
    if exchange.final is not None and exchange.start is not None:
        # Both ends are known: the readings tell better than a watch which of them is whose.
        first = max(1, int(np.searchsorted(times, exchange.at - _APART)))
        last = min(len(times) - 1, int(np.searchsorted(times, exchange.at + _APART)))
        before, after = values[first - 1 : last], values[first : last + 1]
        old = np.abs(before - exchange.final) < np.abs(after - exchange.final)
        fits = np.flatnonzero(old & (np.abs(after - exchange.start) < np.abs(before - exchange.start)))
        if len(fits):
            apart = np.abs(before - exchange.final)[fits] + np.abs(after - exchange.start)[fits]
            return first + int(fits[np.argmin(apart)])
    return place if 0 < place < len(times) else None


def trusted(scan: Scan) -> NDArray[np.bool_]:
    """Tell which readings say what a register counted: usable numbers that nobody doubts."""
    return np.asarray(~np.isnan(scan.value) & (scan.quality < _BAD) & ~np.isin(scan.quality, _DOUBTED), np.bool_)


@dataclass(frozen=True, slots=True)
class _Marks:
    """What registers showed, by group, then by time.

    Attributes:
        group, window: Of each.
        time: When; of what stood at the end of a window its end will do, for nothing else of it is there.
        value: What it showed.
    """

    group: NDArray[np.int32]
    window: NDArray[np.int32]
    time: Instants
    value: Numbers

    @classmethod
    def of(cls, parts: Sequence["_Marks"]) -> "_Marks":
        """Return all of them in order."""
        group = np.concatenate([part.group for part in parts])
        window = np.concatenate([part.window for part in parts])
        time = np.concatenate([part.time for part in parts])
        value = np.concatenate([part.value for part in parts])
        return cls(group, window, time, value).take(np.lexsort((time, window, group)))

    def beside(self, others: "_Marks") -> "_Marks":
        """Return these and those of other groups, which are few."""
        at = np.searchsorted(self.group, others.group)
        return _Marks(
            np.insert(self.group, at, others.group),
            np.insert(self.window, at, others.window),
            np.insert(self.time, at, others.time),
            np.insert(self.value, at, others.value),
        )

    def take(self, rows: "NDArray[np.intp] | NDArray[np.bool_] | slice") -> "_Marks":
        """Return some of them."""
        return _Marks(self.group[rows], self.window[rows], self.time[rows], self.value[rows])


class Registers:
    """What is known of registers beside their readings, as it is when it is first asked for.

    Args:
        store: Open.
        gateways: Whose registers are asked for; ``None`` for all. What others tell may not use up what is looked at.
    """

    def __init__(self, store: Store, gateways: Collection[str] | None = None) -> None:
        self._store = store
        self._gateways = gateways
        self._made: dict[int, History] | None = None

    def of(self, series: int) -> History:
        """Return what was told of a register."""
        if self._made is None:
            self._made = _histories(self._store, self._gateways)
        return self._made.get(series, _NOTHING)

    def steps(self, groups: Mapping[int, int], windows: Windows, most: int) -> Steps:
        """Return what each register has counted at the end of each window that holds any reading to be trusted.

        Args:
            groups: Group by series: each series has its own.
            windows: Windows.
            most: Readings that may be looked at.

        Raises:
            TooManyReadings: There are more.
        """
        whole = self._store.steps(groups, windows, frozenset({Measure.LAST}))
        told = {group: self.of(series).within(windows) for series, group in groups.items() if self.of(series)}
        marks = _Marks(whole.group, whole.window, windows.edges[whole.window + 1] - 1, whole.measures[Measure.LAST])
        looked = _doubtful(marks, windows, told)
        exchanged = [group for group, history in told.items() if history.exchanges]
        touched = np.isin(marks.group, [*exchanged, *np.unique(marks.group[looked]).tolist()])
        if not touched.any():
            return whole
        read = self._read(marks.take(looked), groups, windows, most)
        followed = _followed(_Marks.of([marks.take(touched & ~looked), *read]), told)
        # Of what is touched nothing may be left that can be trusted.
        found = marks.take(~touched).beside(_Marks.of([marks.take(slice(0)), *followed]))
        return Steps(found.group, found.window, {Measure.LAST: found.value}, whole.rollup)

    def _read(self, wanted: _Marks, groups: Mapping[int, int], windows: Windows, most: int) -> Iterator[_Marks]:
        """Yield the readings of some windows that can be trusted, those of one stretch at a time."""
        series_of = {group: series for series, group in groups.items()}
        keys = _keys(wanted, windows)
        for part in _stretches(wanted):
            ids = np.array(sorted(series_of[group] for group in np.unique(part.group).tolist()), np.int64)
            begin, end = int(windows.edges[part.window.min()]), int(windows.edges[part.window.max() + 1])
            scan = self._store.scan(ids.tolist(), begin, end, texts=False, limit=most)
            most -= len(scan)
            kept = trusted(scan)
            of = np.array([groups[series] for series in ids.tolist()], np.int32)
            time = scan.time[kept]
            window = np.searchsorted(windows.edges, time, "right").astype(np.int32) - 1
            marks = _Marks(of[np.searchsorted(ids, scan.series[kept])], window, time, scan.value[kept])
            # Between two windows of a stretch there are others, of which what stood at their end is known already.
            yield marks.take(np.isin(_keys(marks, windows), keys))


def _stretches(wanted: _Marks) -> Iterator[_Marks]:
    """Yield marks by days; those of days that follow each other together if they are of the same registers."""
    days = wanted.time // DAY
    together: list[int] = []
    members: list[int] = []
    for day in np.unique(days).tolist():
        of_day = np.unique(wanted.group[days == day]).tolist()
        if together and (day > together[-1] + 1 or of_day != members):
            yield wanted.take(np.isin(days, together))
            together = []
        together.append(day)
        members = of_day
    if together:
        yield wanted.take(np.isin(days, together))


def _histories(store: Store, gateways: Collection[str] | None) -> dict[int, History]:
    """Return what was told of each register of which anything was, by its series."""
    # Of a register that is doubted again and again much is told: no exchange is forgotten for that.
    sorts = [store.events(-_EVER, _EVER, gateways=gateways, types=[sort], limit=_MOST) for sort in (SWAPPED, TOLD)]
    members: dict[tuple[str, str], list[tuple[EventRow, _Data]]] = {}
    for event in sorted(chain.from_iterable(map(reversed, sorts)), key=lambda event: event.time):
        members.setdefault((event.gateway, event.subject), []).append((event, _data(event)))
    doubted = {row.series.id for row in store.latest() if row.quality in DOUBTED}
    found: dict[int, History] = {}
    for info in store.all_series():
        own = members.get((info.gateway, info.device), [])
        if own or info.id in doubted:
            history = _history(info.name.partition("/")[2], own)
            # Since when it is in doubt is told when that is over.
            spans = ((-_EVER, _EVER),) if info.id in doubted else history.spans
            found[info.id] = History(history.exchanges, spans)
    return found


def _history(name: str, events: Sequence[tuple[EventRow, _Data]]) -> History:
    """Return what was told of one register, by its name within the device; the events are in their order."""
    exchanges: list[Exchange] = []
    spans: list[tuple[Instant, Instant]] = []
    jumped: Instant | None = None
    for event, data in events:
        if event.type == SWAPPED:
            # It may be recorded days later.
            end = swapped_at(event.time, event.body)
            begin = end - (_AT_ONCE if data.noticed_by == _BY_GATEWAY else 0)
            exchanges.append(Exchange(begin, data.final.get(name), data.start.get(name)))
            if None in {exchanges[-1].final, exchanges[-1].start}:
                # Which reading is the new one's first is all that is known, and that is not to be the last of a
                # window: all until then would be lost. What it showed before it said who it is may be doubted.
                begin, end = begin - _APART, end + _APART
        elif data.point == name:
            begin, end = _instant(data.after_at, event.time), event.time
        else:
            continue
        spans.append((begin if jumped is None else min(jumped, begin), end))
        jumped = begin if event.type == _UNIT_JUMP else None
    if jumped is not None:
        spans.append((jumped, _EVER))
    exchanges.sort(key=lambda exchange: exchange.at)
    return History(tuple(exchanges), tuple(spans))


def _data(event: EventRow) -> _Data:
    try:
        return _decoder.decode(event.body)
    except (ValueError, msgspec.MsgspecError):
        return _Data()


def _instant(text: str, otherwise: Instant) -> Instant:
    try:
        return from_rfc3339(text) if text else otherwise
    except ValueError:
        return otherwise


def _doubtful(marks: _Marks, windows: Windows, told: Mapping[int, History]) -> NDArray[np.bool_]:
    """Tell of which windows the readings have to be looked at: something was told of them, or less is shown after."""
    falls = np.flatnonzero((np.diff(marks.group) == 0) & (np.diff(marks.value) < 0))
    looked = np.zeros(len(marks.group), np.bool_)
    looked[falls] = looked[falls + 1] = True
    for group, history in told.items():
        begin, end = np.searchsorted(marks.group, [group, group + 1]).tolist()
        own = marks.window[begin:end]
        for first, last in history.spans:
            looked[begin:end] |= (windows.edges[own] <= last) & (windows.edges[own + 1] > first)
    return looked


def _followed(marks: _Marks, told: Mapping[int, History]) -> Iterator[_Marks]:
    """Yield of each register what it has counted at the end of each window."""
    begins = np.flatnonzero(np.diff(marks.group, prepend=-1) != 0).tolist()
    for begin, end in pairwise([*begins, len(marks.group)]):
        own = marks.take(slice(begin, end))
        counted = course(own.time, own.value, told.get(int(own.group[0]), _NOTHING).exchanges)
        last = np.diff(own.window, append=-1) != 0
        yield _Marks(own.group, own.window, own.time, counted).take(last)


def _keys(marks: _Marks, windows: Windows) -> NDArray[np.int64]:
    """Return a number for each group and window."""
    return marks.group.astype(np.int64) * len(windows.edges) + marks.window
