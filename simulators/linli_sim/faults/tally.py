"""What became of every number: stored, taken before it could be durable, in the ledger, or lost. Pure.

The count leans on nothing that is counted: numbers come out of the device's own book and out of the store by SQL. Only
what is missing is looked up in the ledger, by the numbers of the messages it was in where they are known, else by time.
"""

from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from linli_core.instant import SECOND, Instant

_SLACK: Final = 2 * SECOND
"""How far a reading's time may lie from when its number was served: one answer, and a clock read a moment later."""
_EXAMPLES: Final = 5

SPACE: Final = "space"
CORRUPTION: Final = "corruption"
RETENTION: Final = "retention"
REFUSED: Final = "refused"


@dataclass(frozen=True, slots=True)
class Loss:
    """One line of the platform's ledger."""

    epoch: str
    first: int
    last: int
    cause: str
    observed_from: Instant | None
    observed_to: Instant | None
    readings: int | None


@dataclass
class Tally:
    """What was found.

    Attributes:
        readings: Numbers served.
        stored: Of those, in the store.
        not_durable: Served within the moment before a kill in which nothing can be durable yet.
        evicted: In the ledger, with a cause that some fault gave.
        lost: Neither stored nor in the ledger.
        doubled: Stored more than once, or rows of one series and time beyond the first.
        unexplained: Lines of the ledger that no fault explains, and messages that it calls lost though they are stored.
        examples: A few of the lost, doubled and unexplained.
    """

    readings: int = 0
    stored: int = 0
    not_durable: int = 0
    evicted: int = 0
    lost: int = 0
    doubled: int = 0
    unexplained: int = 0
    examples: list[str] = field(default_factory=list)

    @property
    def sound(self) -> bool:
        """Whether nothing was lost, doubled or left without a reason."""
        return not (self.lost or self.doubled or self.unexplained)


@dataclass(frozen=True, slots=True)
class Faulted:
    """What the faults excuse.

    Attributes:
        kills: From when to when nothing that was served could be durable before the gateway was killed.
        causes: Causes that the ledger may name.
        offsets: By how much the gateway's clock was moved, from when on; by time.
        held: Numbers that were in a message of the log, by epoch-independent message number.
    """

    kills: Sequence[tuple[Instant, Instant]]
    causes: frozenset[str]
    offsets: Sequence[tuple[Instant, int]]
    held: Mapping[int, Collection[int]]


def tally(
    served: Mapping[int, Instant], stored: Counter[int], twice: int, ledger: Iterable[Loss], faulted: Faulted
) -> Tally:
    """Return what became of every number.

    Args:
        served: When each number was served, by a clock that no fault moves.
        stored: How often the store holds each.
        twice: Rows of the store beyond the first of their series and time.
        ledger: The platform's.
        faulted: What the faults excuse.
    """
    found = Tally(readings=len(served), doubled=twice)
    lines = list(ledger)
    for number, times in stored.items():
        if number not in served:
            found.unexplained += 1
            _note(found, f"stored, never served: {number}")
        elif times > 1:
            found.doubled += times - 1
            _note(found, f"stored {times} times: {number}")
    found.stored = sum(number in stored for number in served)
    explained = _by_message(lines, faulted) | _by_time(lines, served, stored, faulted)
    for number, at in served.items():
        if number in stored:
            continue
        if any(begin <= at <= end for begin, end in faulted.kills):
            found.not_durable += 1
        elif number in explained:
            found.evicted += 1
        else:
            found.lost += 1
            _note(found, f"lost: {number}, served at {at}")
    _judge(found, lines, stored, faulted)
    return found


def _judge(found: Tally, lines: Iterable[Loss], stored: Counter[int], faulted: Faulted) -> None:
    """Note what of the ledger no fault explains, and what of it is not true."""
    for line in lines:
        if not any(line.cause == cause or line.cause.startswith(f"{cause}:") for cause in faulted.causes):
            found.unexplained += 1
            _note(found, f"in the ledger without a fault: {line}")
        for seq in _in_the_store(line, stored, faulted):
            found.unexplained += 1
            _note(found, f"in the ledger, and in the store: message {seq} of {line}")


def _in_the_store(line: Loss, stored: Counter[int], faulted: Faulted) -> list[int]:
    """Return the messages that a line calls lost though all that was in them is stored."""
    if line.cause.startswith(REFUSED):  # it came, and its line says what of it was not taken
        return []
    return [
        seq
        for seq, numbers in faulted.held.items()
        if line.first <= seq <= line.last and numbers and all(number in stored for number in numbers)
    ]


def _by_message(lines: Iterable[Loss], faulted: Faulted) -> set[int]:
    """Return the numbers that were in messages which the ledger names."""
    seqs = sorted(faulted.held)
    numbers: set[int] = set()
    for line in lines:
        for seq in seqs[bisect_left(seqs, line.first) : bisect_right(seqs, line.last)]:
            numbers.update(faulted.held[seq])
    return numbers


def _by_time(lines: Iterable[Loss], served: Mapping[int, Instant], stored: Counter[int], faulted: Faulted) -> set[int]:
    """Return missing numbers served in the span of a line, as many at most as the line says."""
    missing = [number for number in served if number not in stored]
    numbers: set[int] = set()

    def seen(number: int) -> Instant:
        return served[number] + _offset(served[number], faulted)

    for line in lines:
        if not line.observed_from or not line.observed_to or not line.readings:
            continue
        inside = (
            number
            for number in missing
            if number not in numbers and line.observed_from - _SLACK <= seen(number) <= line.observed_to + _SLACK
        )
        numbers.update(number for number, _ in zip(inside, range(line.readings), strict=False))
    return numbers


def _offset(at: Instant, faulted: Faulted) -> int:
    place = bisect_right([since for since, _ in faulted.offsets], at)
    return faulted.offsets[place - 1][1] if place else 0


def _note(found: Tally, text: str) -> None:
    if len(found.examples) < _EXAMPLES:
        found.examples.append(text)
