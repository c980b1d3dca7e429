"""Which readings may move an alarm at once, told before they are committed: somebody waits for what comes of them.

Commits wait for company, and an alarm is judged after its reading is on disk. So a reading that has just crossed a
limit does not wait, while all the others do. A mistake here costs a little time or one commit more, never an alarm.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from linli_core.alarm import Bound, Change, Pattern, StateIs
from linli_platform.ingest import Columns

_OF_STATES: Final = (Change, Pattern, StateIs)
_ROOM: Final = 64
_EMPTY: Final = {"low": -np.inf, "high": np.inf, "last": np.nan}


class Haste:
    """Knows of each series where an alarm may begin or end, and on which side its newest reading lay."""

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """Forget every series, as their rules may be others."""
        # By series id: whether any reading can matter; the limits; whether states are watched; what was read last.
        self._matters = np.zeros(_ROOM, np.bool_)
        self._low = np.full(_ROOM, _EMPTY["low"])
        self._high = np.full(_ROOM, _EMPTY["high"])
        self._of_states = np.zeros(_ROOM, np.bool_)
        self._last = np.full(_ROOM, _EMPTY["last"])

    def meet(self, series: int, bound: Bound) -> None:
        """Take in which rules watch a series."""
        while series >= len(self._matters):
            self._widen()
        ranges = [level.calm_range for level in bound.levels]
        edges = [(low, high) for low, high in ranges if low < high]
        self._low[series] = max((low for low, _ in edges), default=_EMPTY["low"])
        self._high[series] = min((high for _, high in edges), default=_EMPTY["high"])
        self._of_states[series] = any(isinstance(level.rule.condition, _OF_STATES) for level in bound.levels)
        self._matters[series] = bool(edges) or self._of_states[series]

    def remember(self, columns: Columns) -> None:
        """Take in what was committed."""
        rows = np.flatnonzero(self._matters[columns.series] & ~np.isnan(columns.value))
        self._last[columns.series[rows]] = columns.value[rows]  # of several of one series the last one stays

    def presses(self, series: NDArray[np.int32], values: NDArray[np.float64]) -> bool:
        """Tell whether readings that are not committed yet may move an alarm at once.

        That is a number on the other side of a limit than the last one, or another state than the last. A series that
        is new, texts, and what rests on means or on silence can wait for the commit's usual moment.
        """
        met = series < len(self._matters)
        series, values = series[met], values[met]
        rows = np.flatnonzero(self._matters[series] & ~np.isnan(values))
        if not len(rows):
            return False
        series, values = series[rows], values[rows]
        last = self._last[series]
        is_beyond = (values < self._low[series]) | (values > self._high[series])
        was_beyond = (last < self._low[series]) | (last > self._high[series])
        return bool(((is_beyond != was_beyond) | (self._of_states[series] & (values != last))).any())

    def _widen(self) -> None:
        for name in ("_matters", "_low", "_high", "_of_states", "_last"):
            column = getattr(self, name)
            more = np.full(len(column), _EMPTY.get(name[1:], 0), column.dtype)
            setattr(self, name, np.concatenate((column, more)))
