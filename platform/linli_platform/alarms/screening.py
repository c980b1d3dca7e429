"""Which of a commit's readings must be judged one by one: of a healthy site nearly none.

A reading within its limits says no more than that it came, and of several in a row the last says it for all. Of the
points of one poll, which share their time, the first says for the silence of their device all there is to say, and of
several polls that only put the next look off the last does. All are found on whole columns; what is left goes to the
engine in order of arrival. What comes out is what judging every reading would have given.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from linli_core.alarm import AlarmChange, Bound, Engine, Run
from linli_core.alarm.absence import AbsenceWatch
from linli_core.alarm.inlet import Inlet
from linli_core.alarm.watch import LevelWatch
from linli_core.instant import Instant
from linli_core.model import Quality, Value, quality_from_code
from linli_platform.alarms.haste import Haste
from linli_platform.ingest import Columns
from linli_platform.store import SeriesInfo

QUALITY: Final = tuple(quality_from_code(code)[0] if code < 192 else Quality.BAD for code in range(256))
"""The quality of each code."""

_BAD: Final = np.array([quality is Quality.BAD for quality in QUALITY])
_ROOM: Final = 64
_NO_ONE: Final = 0
"""The group of series whose silence no rule watches."""


class Screening:
    """Judges commits with an engine.

    Args:
        engine: Where what is left is judged.
        bind: Resolves the rules that watch a series.

    Attributes:
        haste: Tells which readings are waited for.
    """

    def __init__(self, engine: Engine, bind: Callable[[SeriesInfo], Bound]) -> None:
        self._engine = engine
        self._bind = bind
        self.haste = Haste()
        self.forget()

    def forget(self) -> None:
        """Resolve the rules of every series anew."""
        self.haste.forget()
        self._levels: dict[int, tuple[LevelWatch | Inlet, ...]] = {}
        self._groups: dict[tuple[AbsenceWatch, ...], int] = {(): _NO_ONE}
        self._listeners: list[tuple[AbsenceWatch, ...]] = [()]
        # By series id: what lies between is within every limit; which rules watch its silence.
        self._known = np.zeros(_ROOM, np.bool_)
        self._limited = np.zeros(_ROOM, np.bool_)
        self._low = np.zeros(_ROOM, np.float64)
        self._high = np.zeros(_ROOM, np.float64)
        self._group = np.zeros(_ROOM, np.int32)

    def observe(self, columns: Columns, now: Instant) -> list[AlarmChange]:
        """Judge the readings of a commit; return the changes they settle, in order of arrival."""
        if not len(columns.series):
            return []
        self._meet(columns)
        self.haste.remember(columns)
        single = np.zeros(len(columns.series), np.bool_)
        limited = np.flatnonzero(self._limited[columns.series])
        if len(limited):
            single[self._restless(columns, limited, now)] = True
        signs, left = self._signs(columns, now)
        rows = np.flatnonzero(single | signs)
        return self._engine.observe_all(
            [
                Bound(self._levels[series] if of_level else (), left[group] if of_sign else ())
                for series, group, of_level, of_sign in zip(
                    columns.series[rows].tolist(),
                    self._group[columns.series[rows]].tolist(),
                    single[rows].tolist(),
                    signs[rows].tolist(),
                    strict=True,
                )
            ],
            *self.values(columns, rows),
            now,
        )

    def put_off(self, columns: Columns, now: Instant) -> tuple[NDArray[np.intp], list[Bound]]:
        """Settle the silences that a stretch of readings only puts off.

        Args:
            columns: The readings, in order of time, and none later than ``now``.
            now: The time of learning.

        Returns:
            The rows that may settle something, with who is to be told of each: one by one, while time passes.
        """
        self._meet(columns)
        signs, left = self._signs(columns, now, came_in_time=True)
        rows = np.flatnonzero(signs)
        return rows, [Bound((), left[group]) for group in self._group[columns.series[rows]].tolist()]

    def values(self, columns: Columns, rows: NDArray[np.intp]) -> tuple[list[Value], list[Quality], list[Instant]]:
        """Return of some rows what was read, its quality and when."""
        return (
            self._values(columns, rows),
            [QUALITY[code] for code in columns.quality[rows].tolist()],
            columns.time[rows].tolist(),
        )

    def _meet(self, columns: Columns) -> None:
        """Resolve the rules of series that were not heard of yet."""
        highest = int(columns.series.max())
        if highest >= len(self._known):
            for name in ("_known", "_limited", "_low", "_high", "_group"):
                column = getattr(self, name)
                wider = np.zeros(max(highest + 1, 2 * len(column)), column.dtype)
                wider[: len(column)] = column
                setattr(self, name, wider)
        known = self._known[columns.series]
        if known.all():
            return
        for series in dict.fromkeys(columns.series[~known].tolist()):
            bound = self._bind(columns.info(series))
            ranges = [level.calm_range for level in bound.levels]
            self._levels[series] = bound.levels
            self._limited[series] = bool(ranges)
            self._low[series] = max((low for low, _ in ranges), default=0.0)
            self._high[series] = min((high for _, high in ranges), default=0.0)
            self._group[series] = self._grouped(bound.absences)
            self._known[series] = True
            self.haste.meet(series, bound)

    def _restless(self, columns: Columns, limited: NDArray[np.intp], now: Instant) -> NDArray[np.intp]:
        """Settle of each series what comes before the first reading that may move something; return the other rows."""
        order = np.argsort(columns.series[limited], kind="stable")
        rows = limited[order]
        series, time, values = columns.series[rows], columns.time[rows], columns.value[rows]
        again = series[1:] == series[:-1]
        within = (columns.quality[rows] == 0) & np.isfinite(values)
        within &= (values >= self._low[series]) & (values <= self._high[series])
        within[1:] &= ~again | (time[1:] > time[:-1])
        begins = np.flatnonzero(np.concatenate(([True], ~again)))
        ends = np.concatenate((begins[1:], [len(rows)]))
        places = np.arange(len(rows))
        stops = np.minimum(np.minimum.reduceat(np.where(within, len(rows), places), begins), ends)
        counts = ends - begins
        gaps = np.zeros(len(rows), np.int64)
        gaps[1:][again] = np.diff(time)[again]
        gaps[places >= np.repeat(stops, counts)] = 0
        settle, levels, listed = self._engine.settle, self._levels, self._listed
        settled = [
            stop
            if stop > begin
            and settle(
                levels[number], Run(value, first, last, stop - begin, gap, partial(listed, time, begin, stop)), now
            )
            else begin
            for number, begin, stop, value, first, last, gap in zip(
                series[begins].tolist(),
                begins.tolist(),
                stops.tolist(),
                values[stops - 1].tolist(),
                time[begins].tolist(),
                time[stops - 1].tolist(),
                np.maximum.reduceat(gaps, begins).tolist(),
                strict=True,
            )
        ]
        found: NDArray[np.intp] = rows[places >= np.repeat(np.array(settled, np.intp), counts)]
        return found

    def _grouped(self, absences: tuple[AbsenceWatch, ...]) -> int:
        """Return the number of the series whose silence these watch."""
        number = self._groups.setdefault(absences, len(self._listeners))
        if number == len(self._listeners):
            self._listeners.append(absences)
        return number

    def _signs(
        self, columns: Columns, now: Instant, *, came_in_time: bool = False
    ) -> tuple[NDArray[np.bool_], dict[int, tuple[AbsenceWatch, ...]]]:
        """Settle the silences that are only put off.

        Returns:
            Which rows say something of a silence that is not settled so, and by group who is to be told of them.
        """
        group, time = self._group[columns.series], columns.time
        missing = np.isnan(columns.value)
        if columns.texts:
            missing[list(columns.texts)] = False
        unusable = missing | _BAD[columns.quality]
        # What the row before has not said already.
        signs = np.ones(len(group), np.bool_)
        signs[1:] = (group[1:] != group[:-1]) | (time[1:] != time[:-1]) | (unusable[1:] != unusable[:-1])
        signs &= group != _NO_ONE
        rows = np.flatnonzero(signs)
        rows = rows[np.argsort(group[rows], kind="stable")]
        runs = {int(group[run[0]]): run for run in np.split(rows, np.flatnonzero(np.diff(group[rows])) + 1) if len(run)}
        heard_by: dict[AbsenceWatch, list[NDArray[np.intp]]] = {}
        for number, run in runs.items():
            for watch in self._listeners[number]:
                heard_by.setdefault(watch, []).append(run)
        restless = {
            watch
            for watch, parts in heard_by.items()
            if (times := self._times(watch, parts, time, unusable, once=came_in_time))
            and not self._engine.hear(watch, times, now, came_in_time=came_in_time)
        }
        left = {
            number: tuple(watch for watch in self._listeners[number] if watch in restless)
            for number in (runs if restless else ())
        }
        left = {number: watches for number, watches in left.items() if watches}
        return signs & np.isin(group, list(left)), left

    @staticmethod
    def _times(
        watch: AbsenceWatch,
        parts: list[NDArray[np.intp]],
        time: NDArray[np.int64],
        unusable: NDArray[np.bool_],
        *,
        once: bool,
    ) -> list[Instant]:
        """Return the times of the signs of life that a watch hears, each once if they are in order."""
        rows = parts[0] if len(parts) == 1 else np.sort(np.concatenate(parts))
        if not watch.bad_counts:
            rows = rows[~unusable[rows]]
        heard = time[rows]
        if once and len(heard) > 1:
            heard = heard[np.concatenate(([True], heard[1:] != heard[:-1]))]
        times: list[Instant] = heard.tolist()
        return times

    @staticmethod
    def _listed(time: NDArray[np.int64], begin: int, stop: int) -> list[Instant]:
        times: list[Instant] = time[begin:stop].tolist()
        return times

    @staticmethod
    def _values(columns: Columns, rows: NDArray[Any]) -> list[Value]:
        values: list[Value] = columns.value[rows].tolist()
        for place in np.flatnonzero(np.isnan(columns.value[rows])).tolist():
            values[place] = columns.texts.get(int(rows[place]))
        return values
