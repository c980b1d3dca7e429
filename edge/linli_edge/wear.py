"""How much the gateway writes to its card, and how long the card lasts at that rate."""

from collections import deque
from pathlib import Path
from typing import Final

from linli_core.instant import DAY, HOUR, MINUTE
from linli_core.wire.messages import DiskState

LEAST: Final = 10 * MINUTE
"""For as long a start is watched before anything is said: it writes more than the days that follow."""

_WINDOW: Final = DAY
_EVERY: Final = HOUR
_CENTURY: Final = 36_525


class Wear:
    """Watches a count of bytes written. Pure; times are microseconds of a steady clock.

    Args:
        endurance: Bytes that the card can take in its life, as its maker says.
    """

    def __init__(self, endurance: int) -> None:
        self._endurance = endurance
        self._samples: deque[tuple[int, int]] = deque()

    def watch(self, written: int | None, now: int) -> DiskState | None:
        """Take a count and return what it comes to over the last day; ``None`` while nothing can be said."""
        if written is None:
            return None
        samples = self._samples
        if samples and written < samples[-1][1]:
            samples.clear()  # the count began anew
        if not samples or now - samples[-1][0] >= _EVERY:
            samples.append((now, written))
        while len(samples) > 1 and now - samples[1][0] >= _WINDOW:
            samples.popleft()
        began, before = samples[0]
        if now - began < LEAST:
            return None
        per_day = round((written - before) * DAY / (now - began))
        return DiskState(per_day, min(_CENTURY, self._endurance // per_day) if per_day else _CENTURY)


def bytes_written(process: Path = Path("/proc/self/io")) -> int | None:
    """Return the bytes this process has had written to disks so far, by the kernel's count; ``None``: it says nothing.

    The gateway is the only one that writes much on its machine: its own count is the card's, near enough.
    """
    try:
        lines = process.read_text(encoding="ascii").splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("write_bytes:"))
    except (OSError, ValueError, IndexError, StopIteration):
        return None
