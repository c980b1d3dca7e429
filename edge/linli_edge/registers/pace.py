"""How fast a register has been seen to rise: its own pace, far below what physics allows. Pure.

It is measured over windows of a quarter of an hour at least, since a register moves in steps. It decides nothing but
whether a rise to ten, a hundred, a thousand times of what stood there can have been one.
"""

from typing import Final

import msgspec

from linli_core.instant import DAY, HOUR, MINUTE, Instant

WINDOW: Final = 15 * MINUTE
KNOWN_AFTER: Final = DAY
"""Time that a register must have been watched before it is believed to be slow."""

_ABOVE: Final = 4.0
"""How many times faster than ever before it may rise."""
_SLOW: Final = 0.1
"""Part of the pace of an unknown register that is allowed to each that is known, however slow it was."""
_MOST_COUNTED: Final = HOUR
"""Of a window that a gateway slept through."""


class Pace(msgspec.Struct):
    """What is remembered of a register's pace.

    Attributes:
        since, value: When the present window began, and what stood there.
        fastest: Most that it rose in a microsecond, over a window.
        watched: Microseconds that it has been watched.
    """

    since: Instant
    value: float
    fastest: float = 0.0
    watched: int = 0

    def is_due(self, at: Instant) -> bool:
        """Tell whether a window is over, or a clock was set back."""
        return not 0 <= at - self.since < WINDOW

    def learn(self, value: float, at: Instant, believed: float) -> None:
        """Take a value that fitted, at the end of a window; one raises the pace to what was ``believed`` at most."""
        window = at - self.since
        if window > 0:
            self.fastest = max(self.fastest, min((value - self.value) / window, believed))
            self.watched += min(window, _MOST_COUNTED)
        self.since, self.value = at, value


def usual(pace: Pace | None, unknown: float) -> float:
    """Return what a register may be believed to rise in a microsecond.

    Args:
        pace: What has been seen of it.
        unknown: What is believed of one that nobody has watched.
    """
    if pace is None:
        return unknown
    return max(_ABOVE * pace.fastest, unknown * (_SLOW if pace.watched >= KNOWN_AFTER else 1.0))
