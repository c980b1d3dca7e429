"""How much of its backlog a gateway has under way: as much as the line carries with an alarm on time.

What is handed to the network is sent in its order, and an alarm stands at the end of it. On a fast line 448 messages
are gone at once; on a mobile one they are half a minute. How fast the line is tells the time from offering a message to
its ack: what it takes longer than the quickest one, it waited behind others of ours.
"""

from typing import Final

from linli_core.instant import Instant

FIRST: Final = 8
"""Messages a connection begins with; they double with each round trip until the line is full."""

_STEP: Final = 4
"""Once the line was full: by which part of itself the allowance grows each round trip, as more may fit."""


class Pace:
    """Keeps what the backlog adds to the way of a new message within bounds.

    Args:
        delay: Microseconds that a new message may wait behind the backlog.
        most: Messages under way at most, however fast the line.
    """

    def __init__(self, delay: int, most: int) -> None:
        self._delay = delay
        self._most = max(1, most)
        self.begin()

    @property
    def allowed(self) -> int:
        """How many messages of the backlog may be under way; at least one."""
        return self._allowed

    def begin(self) -> None:
        """A new connection: nothing is known of the line."""
        self._allowed = min(FIRST, self._most)
        self._quickest: int | None = None
        self._cut_at: Instant | None = None
        self._doubling = True
        self._credit = 0.0

    def arrived(self, count: int, offered_at: Instant, now: Instant, *, full: bool) -> None:
        """An ack covers messages of the backlog.

        Args:
            count: How many.
            offered_at: When the last of them was offered.
            now: The present.
            full: As many were under way as are allowed: only then does their time say that more would fit.
        """
        took = max(1, now - offered_at)
        before_cut = self._cut_at is not None and offered_at < self._cut_at
        # With one alone under way nothing waits for us: however long that takes, it is the line, or the platform.
        alone = self._allowed == 1 and not before_cut
        self._quickest = took if alone or self._quickest is None else min(self._quickest, took)
        waited = took - self._quickest
        if waited > self._delay:
            if not before_cut:  # what was offered before tells of the time before
                self._allowed = max(1, self._allowed * (self._quickest + self._delay) // took)
                self._cut_at, self._doubling, self._credit = now, False, 0
        elif full:
            self._doubling &= waited <= self._delay // 2
            self._credit += count if self._doubling else count / _STEP
            more = int(self._credit)
            self._credit -= more
            self._allowed = min(self._most, self._allowed + more)

    def overdue(self, now: Instant) -> None:
        """No ack came for messages of the backlog: they, or the ack, are lost, or all is far too slow."""
        self._allowed = max(min(self._allowed, FIRST), self._allowed // 2)
        self._cut_at, self._doubling, self._credit = now, False, 0
