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
    """A last word: when it was said, and until when it counts."""

    since: Instant
    until: Instant = _FOR_EVER


class LastWords:
    """The devices that said that they save power, and nothing since: by gateway and device."""

    def __init__(self) -> None:
        self._said: dict[str, _Said] = {}
        self._subjects: dict[int, str] = {}

    def recall(self, rows: Iterable[LatestRow], now: Instant) -> None:
        """Take in the newest reading of each series, after a start."""
        for row in sorted(rows, key=lambda row: row.time):
            self._note(self._subject(row.series), row.quality, row.time, now)

    def observe(self, columns: Columns, now: Instant) -> bool:
        """Take in what a commit brought; tell whether other devices save power than before it."""
        found = columns.quality == SAVING_POWER
        if self._said:
            # Whatever else such a device says is a word after its last: a point of it may be gone for good.
            known, info = self._subjects, columns.info
            came = np.unique(columns.series).tolist()
            theirs = [each for each in came if (known.get(each) or self._subject(info(each))) in self._said]
            found |= np.isin(columns.series, theirs)
        rows = np.flatnonzero(found)
        before = set(self._said)
        for row in rows[np.argsort(columns.time[rows], kind="stable")].tolist():
            subject = self._subject(columns.info(int(columns.series[row])))
            self._note(subject, int(columns.quality[row]), int(columns.time[row]), now)
        return before != set(self._said)

    def _subject(self, series: SeriesInfo) -> str:
        if (known := self._subjects.get(series.id)) is None:
            known = self._subjects[series.id] = f"{series.gateway}/{series.device}"
        return known

    def _note(self, subject: str, quality: int, time: Instant, now: Instant) -> None:
        said = self._said.get(subject)
        if quality == SAVING_POWER:
            self._said[subject] = _Said(time if said is None else min(said.since, time))
        elif said is not None and time > said.since and said.until == _FOR_EVER:
            self._said[subject] = _Said(said.since, now + BACK_AFTER)

    def forget(self, now: Instant) -> bool:
        """Let go of devices that are back; tell whether there were any."""
        over = [subject for subject, said in self._said.items() if said.until <= now]
        for subject in over:
            del self._said[subject]
        return bool(over)

    def since(self, subject: str, now: Instant) -> Instant | None:
        """Return since when a device, or the one that a point is of, saves power; ``None`` where it does not."""
        said = self._said.get("/".join(subject.split("/")[:2]))
        return said.since if said is not None and said.until > now else None
