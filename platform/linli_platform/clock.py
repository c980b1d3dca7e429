"""The platform's one reading of the wall clock; everything else takes a :data:`Clock` or ``now``."""

import time
from collections.abc import Callable

from linli_core.instant import Instant

Clock = Callable[[], Instant]
"""Returns the present instant (µs, UTC)."""


def wall_clock() -> Instant:
    """Return the present instant by the machine's clock."""
    return time.time_ns() // 1000
