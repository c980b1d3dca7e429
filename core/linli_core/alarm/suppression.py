"""What is kept from people's eyes for a while: by whom, why and until when. Its own axis: an alarm's state lives on.

After ISA-18.2 / IEC 62682: **shelved** by a person for a while, **out of service** with the thing it is about,
**suppressed by design** where the design says that it tells nothing: during maintenance, or because what it hangs on
is silent itself. Nothing is hidden without a reason, a name and an end; pure.
"""

from collections.abc import Iterable, Mapping
from typing import Final

import msgspec

from linli_core.alarm.states import Suppression
from linli_core.instant import DAY, Instant

LONGEST_SHELF: Final = 7 * DAY
"""An alarm that must be quiet for longer is one whose rule, or whose thing, is to be mended."""

LONGEST: Final = 400 * DAY


class Hiding(msgspec.Struct, frozen=True):
    """One reason for which alarms are hidden.

    Attributes:
        id: Its number; 0 for what the design itself says.
        kind: Which of the three.
        rule: Id of the rule, empty for any.
        subject: What is meant and all below it: ``gateway``, ``gateway/device`` or ``gateway/device/point``.
        reason: Why, in a person's words.
        actor: Who said so; empty for the design.
        starts_at: From when on.
        until: Until when; it ends by itself.
        ended_at: When a person ended it earlier.
        ended_by: Who.
    """

    id: int
    kind: Suppression
    rule: str
    subject: str
    reason: str
    actor: str
    starts_at: Instant
    until: Instant
    ended_at: Instant | None = None
    ended_by: str = ""

    def is_active(self, now: Instant) -> bool:
        """Tell whether it hides anything now."""
        return self.starts_at <= now < self.end

    @property
    def end(self) -> Instant:
        """When it is over."""
        return self.until if self.ended_at is None else min(self.until, self.ended_at)

    def hides(self, rule: str, subject: str) -> bool:
        """Tell whether it is about an alarm."""
        return self.rule in ("", rule) and (subject == self.subject or subject.startswith(f"{self.subject}/"))


class Hidings:
    """What hides what, looked up by subject: thousands of alarms are held against hundreds of reasons."""

    def __init__(self, hidings: Iterable[Hiding]) -> None:
        self._by_subject: dict[str, list[Hiding]] = {}
        for hiding in hidings:
            self._by_subject.setdefault(hiding.subject, []).append(hiding)

    def of(self, rule: str, subject: str, now: Instant) -> Hiding | None:
        """Return what hides an alarm now; of several the one that lasts longest."""
        found = [
            hiding
            for place in (subject, *parents(subject))
            for hiding in self._by_subject.get(place, ())
            if hiding.is_active(now) and hiding.hides(rule, subject)
        ]
        return max(found, key=lambda hiding: hiding.end, default=None)

    def next_turn(self, now: Instant) -> Instant | None:
        """Return when the next of them begins or ends after an instant."""
        turns = [
            turn
            for hidings in self._by_subject.values()
            for hiding in hidings
            for turn in (hiding.starts_at, hiding.end)
            if turn > now and hiding.starts_at < hiding.end
        ]
        return min(turns, default=None)


def parents(subject: str) -> list[str]:
    """Return what a subject hangs on, the nearest first: of ``gw/dev/voltage`` these are ``gw/dev`` and ``gw``."""
    places = subject.split("/")
    return ["/".join(places[:count]) for count in range(min(len(places) - 1, 2), 0, -1)]


def by_design(rule: str, subject: str, silences: Mapping[str, tuple[str, Instant]]) -> Hiding | None:
    """Return what hides an alarm about silence: that of the gateway or device it hangs on is told already.

    Args:
        rule: The alarm's rule.
        subject: Its subject.
        silences: By subject, the rule and the beginning of each silence that stands.
    """
    for place in parents(subject):
        standing = silences.get(place)
        if standing is not None and standing[0] != rule:
            by, since = standing
            return Hiding(0, Suppression.SUPPRESSED_BY_DESIGN, rule, subject, f"{by}: {place}", "", since, 2**62)
    return None
