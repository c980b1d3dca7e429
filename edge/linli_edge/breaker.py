r"""When to leave a silent device alone and when to ask it again: a breaker for each device, an allowance for a line.

::

    CLOSED --failures in a row--> OPEN --probe answered--> ON PROBATION --answers in a row--> CLOSED
                                   ^  \--probe failed: wait twice as long          |
                                   \---------------- one failure ----------------/

A device on probation that fails goes straight back, and its wait goes on doubling: one that answers every probe and
nothing else costs no more than a dead one. A device that has never answered is on probation from the start: one
failure is enough. And whoever answers now and then, but loses more than its share of the line in between, is left
alone like a silent one. Pure: every moment is an argument.
"""

from dataclasses import dataclass
from typing import Final

from linli_core.instant import Instant

PROBATION: Final = 3
"""Answers in a row before a device that was silent is trusted like any other."""


@dataclass(frozen=True, slots=True)
class BreakerSettings:
    """When a device counts as silent and how it is probed; times in microseconds.

    Attributes:
        failures: Failed polls in a row before a device is left alone.
        probe_first: Wait before the first probe.
        probe_last: Longest wait between probes.
        silent_share: Share of the line that all silent devices together may cost.
        unit_share: Share of the line that the failed polls of one answering device may cost, taken over a minute.
    """

    failures: int = 2
    probe_first: int = 5_000_000
    probe_last: int = 60_000_000
    silent_share: float = 0.04
    unit_share: float = 0.1


_MINUTE: Final = 60_000_000
_LEAST_LOST: Final = 3
"""Failed polls that a device may always lose, however long they take."""


class Allowance:
    """Line time for probes: a debt that is repaid at a fixed share of elapsed time.

    A probe may start when there is no debt; nothing is saved up, so probes never come in bursts.
    """

    def __init__(self, share: float) -> None:
        self._share = share
        self._free_at: Instant | None = None

    def free_at(self) -> Instant | None:
        """Return from when on a probe may start; ``None`` for at once."""
        return self._free_at

    def spend(self, now: Instant, cost: int) -> None:
        """Book a probe, or the failure that made a device silent, that ended now and took ``cost`` microseconds."""
        # The probe's own time counts as elapsed: cost / share is from its start to the next one's.
        free_at = now + round(cost * (1 / self._share - 1))
        self._free_at = free_at if self._free_at is None else max(self._free_at, free_at)

    def forget(self) -> None:
        """Drop the debt: the clock it was measured by has been set back."""
        self._free_at = None


class Breaker:
    """What is known of one device's silence."""

    __slots__ = ("_failures", "_heard", "_lost", "_lost_at", "_probation", "_settings", "silent_since", "wait")

    def __init__(self, settings: BreakerSettings) -> None:
        self._settings = settings
        self._failures = 0
        self._probation = 0
        self._heard = False
        self._lost = 0.0
        self._lost_at: Instant | None = None
        self.silent_since: Instant | None = None
        self.wait = settings.probe_first

    @property
    def silent(self) -> bool:
        """Whether the device is left alone but for probes."""
        return self.silent_since is not None

    @property
    def distrusted(self) -> bool:
        """Whether what the device's failures cost comes out of the line's allowance."""
        return self.silent_since is not None or self._probation > 0

    @property
    def trusted(self) -> bool:
        """Whether the device answered lately, so that one lost answer is worth asking again at once."""
        return self._heard and not self._failures and not self.distrusted

    def answered(self) -> Instant | None:
        """Note an answer; return since when the device had been silent if it is back now."""
        self._failures = 0
        self._heard = True
        if self.silent_since is not None:
            since, self.silent_since = self.silent_since, None
            self._probation = PROBATION
            return since
        if self._probation:
            self._probation -= 1
            if not self._probation:
                self.wait = self._settings.probe_first
        return None

    def failed(self, now: Instant, cost: int = 0) -> bool:
        """Note a failure that took ``cost`` microseconds; return whether the device has just become silent."""
        self._failures += 1
        lost = self._lose(now, cost)
        if self.silent_since is not None:
            self.wait = min(self.wait * 2, self._settings.probe_last)
            return False
        if self._probation:
            self.wait = min(self.wait * 2, self._settings.probe_last)
        elif self._heard and self._failures < self._settings.failures and not lost:
            return False
        self._probation = 0
        self.silent_since = now
        return True

    def _lose(self, now: Instant, cost: int) -> bool:
        """Book what a failure cost; return whether that is more than the device may lose."""
        share = self._settings.unit_share
        if self._lost_at is not None:
            self._lost = max(0.0, self._lost - max(0, now - self._lost_at) * share)
        self._lost_at = now
        self._lost += cost
        return self._lost > max(share * _MINUTE, _LEAST_LOST * cost)

    def moved(self, by: int) -> None:
        """The clock was set, by microseconds: that is no time for which a device was silent."""
        if self.silent_since is not None:
            self.silent_since += by
        if self._lost_at is not None:
            self._lost_at += by

    def hurry(self) -> None:
        """Start the waits anew: the line was down, and its return may have brought the device back."""
        self.wait = self._settings.probe_first
