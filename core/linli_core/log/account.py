"""Books of readings, by the day of their messages: a gateway's and the platform's, made to be held against each other.

A message belongs to the UTC day of its oldest reading; both sides see that in it. Each side counts in the transaction
that makes a message durable, so that its book and its log never disagree, whatever dies in between.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from linli_core.instant import DAY, Instant

KEPT: Final = 8
"""Days kept apart; what is older is one line."""

GATEWAY: Final = 5
"""Numbers in a line of a gateway's book: readings polled, filtered, refused by the log and logged, and messages."""

PLATFORM: Final = 4
"""Numbers in a line of the platform's: readings accepted and refused, messages, and messages nobody can read."""

EARLIER: Final = -1
"""The day under which what is older is added up."""

Book = dict[int, list[int]]
"""By day, how many of each thing."""


def day_of(observed: Instant) -> int:
    """Return the UTC day of an instant, in days since 1970."""
    return observed // DAY


def enter(book: Book, day: int, counts: Sequence[int]) -> None:
    """Add counts to a day; the oldest day gives way to ``EARLIER`` when there are too many."""
    line = book.setdefault(day, [0] * len(counts))
    for place, count in enumerate(counts):
        line[place] += count
    while len(book) - (EARLIER in book) > KEPT:
        oldest = min(each for each in book if each != EARLIER)
        enter(book, EARLIER, book.pop(oldest))


def copied(book: Mapping[int, Sequence[int]]) -> Book:
    """Return an independent copy."""
    return {day: list(line) for day, line in book.items()}


def total(book: Mapping[int, Sequence[int]], width: int) -> list[int]:
    """Return the sum of all days."""
    return [sum(line[place] for line in book.values()) for place in range(width)]


@dataclass(frozen=True, slots=True)
class Missing:
    """A line of the ledger: messages that left the gateway's log and did not come.

    Attributes:
        cause: ``space``, ``corruption``, ``retention``, ``log_replaced``…
        first, last: The days of their readings; ``None`` where nobody knows.
        readings: How many; ``None`` where nobody knows.
    """

    cause: str
    first: int | None = None
    last: int | None = None
    readings: int | None = None


@dataclass(frozen=True, slots=True)
class Balance:
    """One day of one gateway, both books side by side; all but ``messages_under_way`` are readings.

    Attributes:
        day: Days since 1970, ``EARLIER`` for all before the days kept apart, ``None`` for all together.
        polled: What came from the lines.
        filtered: Left out by report by exception.
        refused_by_log: Not taken by the gateway's own log (the disk refused for too long).
        logged: Made durable on the gateway.
        accepted: Taken by the platform's store: stored, or known already by series and time.
        refused: Refused by the platform, each with its line in the ledger.
        reasons: The same by the ledger's reason, as far as it knows the day and the number; less what a replay took.
        evicted: Left the gateway's log before the platform had them, as its ledger says.
        causes: The same by the ledger's cause.
        uncounted: Those of them of which the ledger says no number: as many as are missing.
        under_way: On the gateway, or between the two.
        messages_under_way: In so many messages.
        later: Here already, and not in the gateway's book: they were logged after what it said last, or damage took
            that part of its book.
        unexplained: What no line accounts for: a mistake of ours, if it is not 0.
    """

    day: int | None
    polled: int
    filtered: int
    refused_by_log: int
    logged: int
    accepted: int
    refused: int
    reasons: Mapping[str, int]
    evicted: int
    causes: Mapping[str, int]
    uncounted: int
    under_way: int
    messages_under_way: int
    later: int
    unexplained: int


def hold(
    gateway: Book,
    platform: Book,
    ledger: Iterable[Missing],
    waiting: int,
    *,
    refusals: Iterable[Missing] = (),
    behind: bool = False,
) -> list[Balance]:
    """Hold both books against each other: each day, the newest first, and all days together at the end.

    Args:
        gateway: Polled, filtered, refused, logged, messages.
        platform: Accepted, refused, messages, messages that could not be read at all.
        ledger: What left the gateway's log and did not come.
        waiting: Messages that are neither settled nor in the ledger.
        refusals: What came and could not be taken, with the reason for its cause.
        behind: Messages are here that the gateway's book does not hold, nobody knows how many.
    """
    gateway, platform, oldest = _alike(gateway, platform)
    gone = _Gone(ledger, oldest)
    reasons: dict[int | None, dict[str, int]] = {}
    for line in refusals:
        for place in {None if line.first is None else _kept(line.first, oldest), None}:
            _add(reasons.setdefault(place, {}), line.cause, line.readings or 0)
    unreadable = total(platform, PLATFORM)[3]
    days = days_in(gateway, platform, gone.days())
    found = []
    for day in days:
        polled, filtered, refused_by_log, logged, sent = gateway.get(day, [0] * GATEWAY)
        accepted, refused, came, _ = platform.get(day, [0] * PLATFORM)
        messages = min(waiting, max(0, sent - came))
        causes = gone.take(day, logged - accepted - refused, is_last=day == days[-1])
        rest = logged - accepted - refused - sum(causes.values())
        # What is still to come explains readings that are missing, never some that are too many.
        under_way = max(0, rest) if messages else 0
        rest -= under_way
        if unreadable and rest > 0:
            refused, rest = refused + rest, 0
        uncounted = 0
        if rest > 0 and (cause := gone.uncounted(day)) is not None:
            _add(causes, cause, rest)
            uncounted, rest = rest, 0
        later = max(0, -rest) if behind else 0
        found.append(
            Balance(
                day,
                polled,
                filtered,
                refused_by_log,
                logged,
                accepted,
                refused,
                reasons.get(day, {}),
                sum(causes.values()),
                causes,
                uncounted,
                under_way,
                messages,
                later,
                rest + later,
            )
        )
    return [*found, _together(found, waiting, reasons.get(None, {}))]


class _Gone:
    """What the ledger says, taken line by line for the days where readings are missing."""

    def __init__(self, ledger: Iterable[Missing], oldest: int) -> None:
        self._counted: list[Missing] = []
        self._uncounted: list[Missing] = []
        for line in ledger:
            if line.first is None or line.last is None:
                days = replace(line, first=None, last=None)
            else:
                days = replace(line, first=_kept(line.first, oldest), last=_kept(line.last, oldest))
            (self._uncounted if line.readings is None else self._counted).append(days)
        # Lines that can mean one day only come first; a day takes of the others what is missing there.
        self._counted.sort(key=lambda line: (line.first is None, line.first != line.last))

    def days(self) -> set[int]:
        """Return the days of the lines that are of one day."""
        return {line.first for line in self._counted if line.first is not None and line.first == line.last}

    def take(self, day: int, missing: int, *, is_last: bool) -> dict[str, int]:
        """Return by cause what is missing on a day. What a line says beyond that is told all the same, at its end."""
        causes: dict[str, int] = {}
        rest: list[Missing] = []
        for line in self._counted:
            readings = line.readings or 0
            covers = line.first is None or line.last is None or line.first <= day <= line.last
            # Days come newest first: whatever a line has left on its oldest day has no other.
            ends = is_last if line.first is None else covers and (day == line.first or is_last)
            count = readings if ends else max(0, min(readings, missing)) if covers else 0
            if count:
                _add(causes, line.cause, count)
                missing -= count
            if not ends:
                rest.append(replace(line, readings=readings - count))
        self._counted = rest
        return causes

    def uncounted(self, day: int) -> str | None:
        """Return the cause of a line that may be of this day and says no number."""
        for line in self._uncounted:
            if line.first is None or line.last is None or line.first <= day <= line.last:
                return line.cause
        return None


def _kept(day: int, oldest: int) -> int:
    return day if day >= oldest else EARLIER


def _alike(gateway: Book, platform: Book) -> tuple[Book, Book, int]:
    """Return both books with the same days kept apart, and the oldest of these: either may have given up more."""
    cuts = [min((day for day in book if day != EARLIER), default=0) for book in (gateway, platform) if EARLIER in book]
    oldest = max(cuts, default=0)

    def cut(book: Book, width: int) -> Book:
        new: Book = {}
        for day, line in book.items():
            into = new.setdefault(_kept(day, oldest), [0] * width)
            for place, count in enumerate(line):
                into[place] += count
        return new

    return cut(gateway, GATEWAY), cut(platform, PLATFORM), oldest


def _add(sums: dict[str, int], name: str, count: int) -> None:
    sums[name] = sums.get(name, 0) + count


def _together(days: list[Balance], waiting: int, reasons: Mapping[str, int]) -> Balance:
    causes: dict[str, int] = {}
    for day in days:
        for cause, count in day.causes.items():
            _add(causes, cause, count)

    def whole(name: str) -> int:
        return sum(getattr(day, name) for day in days)

    return Balance(
        None,
        whole("polled"),
        whole("filtered"),
        whole("refused_by_log"),
        whole("logged"),
        whole("accepted"),
        whole("refused"),
        reasons,
        whole("evicted"),
        causes,
        whole("uncounted"),
        whole("under_way"),
        waiting,
        whole("later"),
        whole("unexplained"),
    )


def days_in(*books: Iterable[int]) -> list[int]:
    """Return every day of several books, the newest first and ``EARLIER`` last."""
    return sorted({day for book in books for day in book}, reverse=True)
