"""Devices that said why they fall silent: a node on a battery near its end saves it. Their silence is no surprise."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import numpy as np

from linli_core.instant import MINUTE, Instant
from linli_core.model import Quality, Reason, quality_code
from linli_platform.ingest import Columns
from linli_platform.store import LatestRow, SeriesInfo

SAVING_POWER: Final = quality_code(Quality.BAD, Reason.SAVING_POWER)
BACK_AFTER: Final = 10 * MINUTE
"""A device that is back hands over what it kept, the oldest first: until then its silence is not over."""
_FOR_EVER: Final = 2**62


@dataclass(frozen=True, slots=True)
class _Said:
    subject: str
    since: Instant
    until: Instant = _FOR_EVER


class LastWords:
    """The devices whose points say that they save power, as the newest readings have it."""

    def __init__(self) -> None:
        self._points: dict[int, _Said] = {}

    def recall(self, rows: Iterable[LatestRow], now: Instant) -> None:
        """Take in the newest reading of each series, after a start."""
        for row in rows:
            self._note(row.series, row.quality, row.time, now)

    def observe(self, columns: Columns, now: Instant) -> bool:
        """Take in what a commit brought; tell whether other devices save power than before it."""
        found = columns.quality == SAVING_POWER
        if self._points:
            found |= np.isin(columns.series, list(self._points))
        rows = np.flatnonzero(found)
        if not len(rows):
            return False
        before = self._subjects()
        for row in rows[np.argsort(columns.time[rows], kind="stable")].tolist():
            series = columns.info(int(columns.series[row]))
            self._note(series, int(columns.quality[row]), int(columns.time[row]), now)
        return before != self._subjects()

    def _subjects(self) -> set[str]:
        return {said.subject for said in self._points.values()}

    def _note(self, series: SeriesInfo, quality: int, time: Instant, now: Instant) -> None:
        said = self._points.get(series.id)
        if quality == SAVING_POWER:
            since = time if said is None else said.since
            self._points[series.id] = _Said(f"{series.gateway}/{series.device}", since)
        elif said is not None and time >= said.since and said.until == _FOR_EVER:
            self._points[series.id] = _Said(said.subject, said.since, now + BACK_AFTER)

    def forget(self, now: Instant) -> bool:
        """Let go of devices that are back; tell whether there were any."""
        over = [number for number, said in self._points.items() if said.until <= now]
        for number in over:
            del self._points[number]
        return bool(over)

    def since(self, subject: str, now: Instant) -> Instant | None:
        """Return since when a device, or the one that a point is of, saves power; ``None`` where it does not."""
        times = [
            said.since
            for said in self._points.values()
            if said.until > now and (subject == said.subject or subject.startswith(f"{said.subject}/"))
        ]
        return min(times, default=None)
