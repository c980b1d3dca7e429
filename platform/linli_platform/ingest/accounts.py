"""The platform's book of each gateway's readings, and both books held against each other."""

from collections import deque
from collections.abc import Iterable, Mapping
from typing import Final

import msgspec

from linli_core.errors import LogError
from linli_core.log.account import Balance, Book, Missing, copied, day_of, enter, hold
from linli_core.wire.messages import Account, Ack
from linli_platform.ingest.batch import Booked
from linli_platform.registry import Loss
from linli_platform.registry.ledger import REFUSED

MARK: Final = "account:"
"""Begins the names under which books stand among the marks: written in the same transaction as what they count."""

_RECENT: Final = 4_096
"""Messages that are remembered one by one, at most: a gateway says what it has logged every half minute, and what its
book holds is forgotten here."""

_UNSAID: Final = 256
"""The same before it has said anything of its book. It says it before it sends: who has none, has none tomorrow."""

_decoder: Final = msgspec.msgpack.Decoder(dict[int, list[int]])


class GatewayBook:
    """One gateway's readings: what it says it logged, and what came of it here."""

    def __init__(self) -> None:
        self._book: Book = {}
        self._recent: deque[Booked] = deque(maxlen=_UNSAID)
        self._said: Account | None = None
        self._blind = 0
        self._forgotten = 0

    @property
    def remembered(self) -> int:
        """How many messages are remembered one by one."""
        return len(self._recent)

    def said(self, account: Account, *, is_news: bool = False) -> None:
        """Take what the gateway says of itself.

        Args:
            account: Its book.
            is_news: It is how it fares now, also where it says less than before: an older copy of its card is back.
        """
        if is_news or self._said is None or account.through >= self._said.through or not account.days:
            self._said = account
            if account.through < self._forgotten:  # another log, or an older state of it
                self._blind = max(self._blind, self._forgotten)
            entries, self._recent = self._recent, deque(maxlen=_RECENT)
            for entry in entries:
                self._remember(entry)

    def with_entries(self, booked: Iterable[Booked]) -> bytes:
        """Return the book as it will be after a commit, to be written in it."""
        book = copied(self._book)
        for entry in booked:
            enter(book, entry.day, (entry.accepted, entry.refused, 1, entry.unreadable))
        return msgspec.msgpack.encode(book)

    def enter(self, booked: Booked) -> None:
        """Enter a message that is committed."""
        enter(self._book, booked.day, (booked.accepted, booked.refused, 1, booked.unreadable))
        self._remember(booked)

    def _remember(self, booked: Booked) -> None:
        """Remember a message until the gateway's book holds it."""
        if self._said is not None and booked.seq <= self._said.through:
            self._forgotten = max(self._forgotten, booked.seq)
            return
        if len(self._recent) == self._recent.maxlen:
            self._blind = max(self._blind, self._recent[0].seq)
        self._recent.append(booked)

    def restore(self, stored: bytes, newest: int) -> None:
        """Take in what was written; :class:`LogError` if it is no book.

        Args:
            stored: The book.
            newest: The newest message in it: which of them came after the gateway's last word is not written.
        """
        self._blind = newest
        try:
            self._book = _decoder.decode(stored)
        except msgspec.MsgspecError as exc:
            raise LogError(f"the stored book cannot be read: {exc}") from exc

    def balances(
        self, ack: Ack, losses: Iterable[Loss], day: int | None = None, *, has_strays: bool = False
    ) -> list[Balance]:
        """Return both books side by side: each day, the newest first, and all days together at the end.

        Args:
            ack: What is settled.
            losses: The ledger of this gateway.
            day: Only this one.
            has_strays: Messages are here of another log, which the gateway's book knows nothing of.
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
        lines = [loss for loss in losses if loss.first <= said.through]
        found = hold(
            theirs,
            ours,
            [_missing(loss) for loss in lines if not loss.cause.startswith(REFUSED)],
            _under_way(ack, said.through),
            refusals=[_missing(loss) for loss in lines if loss.cause.startswith(REFUSED)],
            behind=said.through < self._blind or said.unbooked > 0 or has_strays,
        )
        return [balance for balance in found if day is None or balance.day == day]


def _missing(loss: Loss) -> Missing:
    cause, first, last = loss.cause.removeprefix(REFUSED), loss.observed_from, loss.observed_to
    if first is None or last is None:
        return Missing(cause, readings=loss.readings)
    return Missing(cause, day_of(first), day_of(last), loss.readings)


def _under_way(ack: Ack, through: int) -> int:
    """Return how many messages up to a number are neither settled nor in the ledger."""
    settled = min(ack.seq, through)
    for first, last in ack.ranges:
        settled += max(0, min(last, through) - first + 1)
    return through - settled


def stored_books(marks: Mapping[str, bytes]) -> dict[str, bytes]:
    """Return the books among marks, by gateway."""
    return {name.removeprefix(MARK): body for name, body in marks.items() if name.startswith(MARK)}
