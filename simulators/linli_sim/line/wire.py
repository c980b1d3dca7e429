"""The wire itself: who says what when, and what becomes of bytes that are said at the same time. Pure; time is given.

Everything said is cut into bursts, each of which arrives when its last character is over. What two say at once is
damaged for everyone: every byte that overlaps with another's comes out as both of them ANDed, for a wire that one pulls
to 0 is 0.
"""

import heapq
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from linli_sim.line.timing import LineTiming

KEPT: Final = 4096
"""How many transmissions the record goes back."""


@dataclass(slots=True)
class Said:
    """One transmission.

    Attributes:
        source: Who: ``head`` and its number, ``station`` and its key, or ``noise``.
        start: When its first character began.
        data: What arrived of it; changed where another spoke at the same time.
        character: Seconds of one character.
    """

    source: tuple[str, int]
    start: float
    data: bytearray
    character: float

    @property
    def end(self) -> float:
        """When its last character is over."""
        return self.start + len(self.data) * self.character


@dataclass(frozen=True, slots=True)
class Arrival:
    """Bytes that everyone on the wire has heard by now; ``last`` where the transmission ends with them."""

    at: float
    source: tuple[str, int]
    data: bytes
    last: bool


class Wire:
    """One pair of copper.

    Attributes:
        timing: Its speed.
        record: What was said, the oldest first.
        busy: Seconds during which somebody spoke.
        collisions: How many transmissions met another.
    """

    def __init__(self, timing: LineTiming) -> None:
        self.timing = timing
        self.record: deque[Said] = deque(maxlen=KEPT)
        self.busy = 0.0
        self.collisions = 0
        self._going: list[Said] = []
        self._due: list[tuple[float, int, Said, int, int]] = []
        self._serial = 0

    def say(self, source: tuple[str, int], data: bytes, at: float) -> float:
        """Put bytes on the wire from an instant on, or behind what the same source is still saying; return the end."""
        start = max([at, *(said.end for said in self._going if said.source == source)])
        said = Said(source, start, bytearray(data), self.timing.character)
        for other in self._going:
            if other.source != source and other.end > said.start and said.end > other.start:
                self.collisions += 1
                _collide(other, said)
        self._going.append(said)
        self.record.append(said)
        self.busy += said.end - said.start
        for first in range(0, len(data), self.timing.burst):
            end = min(first + self.timing.burst, len(data))
            self._serial += 1
            heapq.heappush(self._due, (start + end * said.character, self._serial, said, first, end))
        return said.end

    @property
    def next_at(self) -> float | None:
        """When the next bytes arrive; ``None`` while nobody speaks."""
        return self._due[0][0] if self._due else None

    def arrived(self, now: float) -> Iterator[Arrival]:
        """Yield what has arrived up to now."""
        while self._due and self._due[0][0] <= now:
            at, _, said, first, end = heapq.heappop(self._due)
            last = end == len(said.data)
            yield Arrival(at, said.source, bytes(said.data[first:end]), last)
            if last:
                self._going.remove(said)


def _collide(one: Said, two: Said) -> None:
    """Damage the bytes of two transmissions that overlap in time."""
    shift = round((two.start - one.start) / one.character)
    for place in range(max(0, -shift), len(two.data)):
        other = place + shift
        if other >= len(one.data):
            return
        both = one.data[other] & two.data[place]
        one.data[other] = two.data[place] = both
