"""Devices that answer and give nothing: every poll refused, or not one value in what comes back. Pure.

Such a device is not silent, so no breaker leaves it alone; and where only its answers tell which points it has, there
is no BAD reading either. It must not look healthy for that.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from linli_core.instant import Instant
from linli_core.model import Quality, Reading, Reason

IN_A_ROW: Final = 2
"""Polls without a value before it is told: a device that is busy once has not stopped giving."""

_NOTHING_NEW: Final = frozenset({Reason.STALE, Reason.WAITING_FOR_INITIAL_DATA})
"""Of a device that is listened to, and has said nothing: how long it may is the listener's business."""


@dataclass(frozen=True, slots=True)
class DeviceFruitless:
    """A device answers and gives no value; ``error`` says what it answered last."""

    device: str
    since: Instant
    error: str


@dataclass(frozen=True, slots=True)
class DeviceFruitful:
    """A device that gave none gives values again."""

    device: str
    since: Instant


def complaint(readings: Sequence[Reading]) -> str:
    """Return what to say of a poll's readings where not one of them has a value; empty where one has."""
    if not readings or any(reading.quality is not Quality.BAD for reading in readings):
        return ""
    reasons = {reading.reason for reading in readings}
    if reasons <= _NOTHING_NEW:
        return ""
    told = ", ".join(sorted(reason.label for reason in reasons if reason is not None))
    return f"it answers, but gives no value for any of {len(readings)} points: {told}"


class Fruitless:
    """The devices of one link that give nothing."""

    def __init__(self) -> None:
        # By device, and by its polls: how many brought nothing, one after the other.
        self._polls: dict[str, dict[str, int]] = {}
        self._since: dict[str, Instant] = {}

    @property
    def devices(self) -> tuple[str, ...]:
        """Ids of those that give nothing."""
        return tuple(sorted(self._since))

    def answered(self, device: str, key: str, now: Instant, error: str) -> DeviceFruitless | DeviceFruitful | None:
        """Take note of a poll that was answered; return what that changes.

        Args:
            device: Whose poll it was.
            key: Which.
            now: When.
            error: Why it brought no value; empty if it did.
        """
        polls = self._polls.setdefault(device, {})
        polls[key] = polls.get(key, 0) + 1 if error else 0
        if not all(polls.values()):
            since = self._since.pop(device, None)
            return None if since is None else DeviceFruitful(device, since)
        if device in self._since or max(polls.values()) < IN_A_ROW:
            return None
        self._since[device] = now
        return DeviceFruitless(device, now, error)

    def silent(self, device: str) -> None:
        """A device has fallen silent: that is told in place of this."""
        self._polls.pop(device, None)
        self._since.pop(device, None)

    def forget(self) -> None:
        """Begin anew: the link has another plan."""
        self._polls.clear()
        self._since.clear()

    def moved(self, by: int) -> None:
        """The clock was set, by microseconds."""
        self._since = {device: since + by for device, since in self._since.items()}
