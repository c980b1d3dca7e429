"""How often somebody is told: a few messages at once, then one in a while. What waits goes together; nothing is lost.

The generic cell rate algorithm: one instant per target says when its next message would be due if they came evenly.
"""

from dataclasses import dataclass

from linli_core.instant import MINUTE, SECOND, Instant


@dataclass(frozen=True, slots=True)
class Pace:
    """A pace.

    Attributes:
        burst: So many messages may follow each other at once, the last of them only for what is urgent.
        every: Afterwards there is one in this time.
    """

    burst: int
    every: Instant

    def allows(self, due: Instant, now: Instant, *, urgent: bool) -> bool:
        """Tell whether a message may go now, by the instant kept of the target."""
        longest = now + self.burst * self.every
        # Later than any message could have made it: the clock was set back, and must not silence a target until then.
        due = due if due <= longest else now
        return now >= due - (self.burst - 1 if urgent else self.burst - 2) * self.every

    def spent(self, due: Instant, now: Instant) -> Instant:
        """Return the instant to keep after a message."""
        return (max(due, now) if due <= now + self.burst * self.every else now) + self.every


def back_off(attempts: int) -> Instant:
    """Return how long to wait after so many failed attempts: 5 s, doubling, 5 minutes at most."""
    return min((5 * SECOND) << min(attempts - 1, 10), 5 * MINUTE)
