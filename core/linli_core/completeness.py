"""How complete a point's day is: what should have come, and what came. Pure arithmetic.

What should have come follows from the gateway's plan as it was at each moment. Where the plan says nothing (a device
that talks unasked, a point of which only changes are sent, a gateway of before plans) nothing is expected, and nothing
is missing: unknown is ``None``, never 0.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from linli_core.instant import Instant

Step = tuple[Instant, int | None]
"""From when on a point is read how often, in microseconds; ``None``: nobody can say, or not at all."""


@dataclass(frozen=True, slots=True)
class Completeness:
    """One day of one point.

    Attributes:
        expected: Readings that should have come; ``None`` where the interval was not known on any part of the day.
        received: Readings that came, BAD ones (what could not be read) included.
        good: Those of them that are GOOD.
        late: Those of them that came long after they were made: after an outage.
    """

    expected: int | None
    received: int
    good: int
    late: int

    @property
    def missing(self) -> int | None:
        """Readings that should have come and did not."""
        return None if self.expected is None else max(0, self.expected - self.received)

    @property
    def fulfilled(self) -> int | None:
        """Good readings as far as they should have come; ``None`` where that is unknown, or none was due.

        Of several days or points the share is the sum of these by that of what was expected. Where none was due there
        is no share: nought of nought would be said as 0 %.
        """
        return min(self.good, self.expected) if self.expected else None

    @property
    def share(self) -> float | None:
        """Good readings of those that should have come, 0 to 1; ``None`` where that is unknown."""
        return min(1.0, self.good / self.expected) if self.expected else None


def add_step(steps: list[Step], since: Instant, interval: int | None) -> None:
    """Put a step at the end of a history; one that says what holds anyway changes nothing.

    Steps come in order of time: what held anyway is not kept, so what lies before can no longer be changed. Of two of
    one instant the later one counts.
    """
    if steps and steps[-1][0] == since:
        steps.pop()
    if not steps or steps[-1][1] != interval:
        steps.append((since, interval))


def expected(steps: Sequence[Step], start: Instant, end: Instant) -> int | None:
    """Return how many readings of a point should have been made with ``start <= time < end``.

    A part of an interval does not count: nothing is called missing that may not have been due.
    """
    known = False
    whole = 0.0
    for place, (since, interval) in enumerate(steps):
        until = steps[place + 1][0] if place + 1 < len(steps) else end
        length = min(until, end) - max(since, start)
        if interval is None or length <= 0:
            continue
        known = True
        whole += length / interval
    # A third and two thirds of it are a whole one, though floats may not say so.
    return int(whole + 1e-9) if known else None
