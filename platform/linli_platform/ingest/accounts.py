"""The platform's book of each gateway's readings, and both books held against each other."""

from collections import deque
from collections.abc import Iterable, Mapping
from typing import Final

import msgspec

from linli_core.errors import LogError
from linli_core.log.account import EARLIER, Balance, Book, balance, copied, day_of, days_in, enter, total
from linli_core.wire.messages import Account, Ack
from linli_platform.ingest.batch import Booked
from linli_platform.registry import Loss
from linli_platform.registry.ledger import REFUSED

MARK: Final = "account:"
"""Begins the names under which books stand among the marks: written in the same transaction as what they count."""

_RECENT: Final = 4_096
"""Messages that are remembered one by one: a gateway says what it has logged every half minute."""

_GATEWAY: Final = 5
_PLATFORM: Final = 4

_decoder: Final = msgspec.msgpack.Decoder(dict[int, list[int]])


class GatewayBook:
    """One gateway's readings: what it says it logged, and what came of it here."""

    def __init__(self) -> None:
        self._book: Book = {}
        self._recent: deque[Booked] = deque(maxlen=_RECENT)
        self._said: Account | None = None

    def said(self, account: Account) -> None:
        """Take what the gateway says of itself."""
        if self._said is None or account.through >= self._said.through or not account.days:
            self._said = account

    def with_entries(self, booked: Iterable[Booked]) -> bytes:
        """Return the book as it will be after a commit, to be written in it."""
        book = copied(self._book)
        for entry in booked:
            enter(book, entry.day, (entry.accepted, entry.refused, 1, entry.unreadable))
        return msgspec.msgpack.encode(book)

    def enter(self, booked: Booked) -> None:
        """Enter a message that is committed."""
        enter(self._book, booked.day, (booked.accepted, booked.refused, 1, booked.unreadable))
        self._recent.append(booked)

    def restore(self, stored: bytes) -> None:
        """Take in what was written; :class:`LogError` if it is no book."""
        try:
            self._book = _decoder.decode(stored)
        except msgspec.MsgspecError as exc:
            raise LogError(f"the stored book cannot be read: {exc}") from exc

    def balances(self, ack: Ack, losses: Iterable[Loss], day: int | None = None) -> list[Balance]:
        """Return both books side by side: each day, the newest first, and all days together at the end.

        Args:
            ack: What is settled.
            losses: The ledger of this gateway.
            day: Only this one.
        """
        said = self._said
        if said is None:
            return []
        ours = copied(self._book)
        for entry in self._recent:
            # What came after the gateway said this is in no line of its book yet.
            if entry.seq > said.through:
                enter(ours, entry.day, (-entry.accepted, -entry.refused, -1, -entry.unreadable))
        theirs = {each: list(line) for each, line in said.days.items()}
        gone = _evicted(losses, said.through)
        for each in [each for each in gone if each not in theirs]:
            gone[EARLIER] = _sum(gone.get(EARLIER, 0), gone.pop(each))
        waiting = _under_way(ack, said.through)
        found = [
            balance(
                each,
                theirs.get(each, [0] * _GATEWAY),
                ours.get(each, [0] * _PLATFORM),
                gone.get(each, 0),
                min(waiting, max(0, theirs.get(each, [0] * _GATEWAY)[4] - ours.get(each, [0] * _PLATFORM)[2])),
            )
            for each in days_in(theirs, ours, gone)
            if day is None or each == day
        ]
        if day is None:
            whole = None if None in gone.values() else sum(each or 0 for each in gone.values())
            found.append(balance(None, total(theirs, _GATEWAY), total(ours, _PLATFORM), whole, waiting))
        return found


def _sum(one: int | None, other: int | None) -> int | None:
    return None if one is None or other is None else one + other


def _evicted(losses: Iterable[Loss], through: int) -> dict[int, int | None]:
    """Return by day what left a gateway's log; ``None`` where the ledger does not know how much."""
    found: dict[int, int | None] = {}
    for loss in losses:
        if loss.cause.startswith(REFUSED) or loss.first > through:
            continue
        day = EARLIER if loss.observed_from is None else day_of(loss.observed_from)
        found[day] = _sum(found.get(day, 0), loss.readings)
    return found


def _under_way(ack: Ack, through: int) -> int:
    """Return how many messages up to a number are neither settled nor in the ledger."""
    settled = min(ack.seq, through)
    for first, last in ack.ranges:
        settled += max(0, min(last, through) - first + 1)
    return through - settled


def stored_books(marks: Mapping[str, bytes]) -> dict[str, bytes]:
    """Return the books among marks, by gateway."""
    return {name.removeprefix(MARK): body for name, body in marks.items() if name.startswith(MARK)}
