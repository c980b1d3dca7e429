"""Books of readings, by the day of their messages: a gateway's and the platform's, made to be held against each other.

A message belongs to the UTC day of its oldest reading; both sides see that in it. Each side counts in the transaction
that makes a message durable, so that its book and its log never disagree, whatever dies in between.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from linli_core.instant import DAY, Instant

KEPT: Final = 8
"""Days kept apart; what is older is one line."""

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
        evicted: Left the gateway's log before the platform had them, as its ledger says.
        under_way: On the gateway, or between the two.
        messages_under_way: In so many messages.
        unexplained: What no line accounts for: a mistake of ours, if it is not 0.
    """

    day: int | None
    polled: int
    filtered: int
    refused_by_log: int
    logged: int
    accepted: int
    refused: int
    evicted: int
    under_way: int
    messages_under_way: int
    unexplained: int


def balance(
    day: int | None,
    gateway: Sequence[int],
    platform: Sequence[int],
    evicted: int | None,
    messages_under_way: int,
) -> Balance:
    """Hold a day's lines of both books against each other.

    Args:
        day: Which.
        gateway: Polled, filtered, refused, logged, messages.
        platform: Accepted, refused, messages, messages that could not be read at all.
        evicted: Readings that the ledger says left the gateway's log; ``None``: so many as are missing, for a damaged
            log does not know how many there were.
        messages_under_way: Messages that are neither settled nor evicted.
    """
    polled, filtered, refused_by_log, logged, _ = gateway
    accepted, refused, _, unreadable = platform
    difference = logged - accepted - refused - (evicted or 0)
    if unreadable and difference > 0:
        refused, difference = refused + difference, 0
    if evicted is None:
        evicted, difference = (difference, 0) if difference > 0 and not messages_under_way else (0, difference)
    # What is still to come explains readings that are missing, never some that are too many.
    under_way = max(0, difference) if messages_under_way else 0
    return Balance(
        day,
        polled,
        filtered,
        refused_by_log,
        logged,
        accepted,
        refused,
        evicted,
        under_way,
        messages_under_way,
        difference - under_way,
    )


def days_in(*books: Iterable[int]) -> list[int]:
    """Return every day of several books, the newest first and ``EARLIER`` last."""
    return sorted({day for book in books for day in book}, reverse=True)
