"""How much of its backlog each gateway may have under way: told with every ack, so that an alarm waits behind little.

Pure; ``now`` is steady seconds. After an outage every gateway brings what it kept. The broker hands it all on in order
of arrival, and a new alarm stands at the end of it: so the backlogs of all together are kept to what is worked off in a
moment, shared evenly among those that are sending. Whoever is behind with a big one gets no more than the others.

How much that is, the commits tell: a fast machine works thousands of messages off in a moment, a small one dozens.

All come back in one moment, and nobody has sent yet: so each begins with little, and is given twice as much with each
ack until it has its share.
"""

from collections.abc import Iterable
from typing import Final

_ACTIVE_S: Final = 10.0
"""A gateway that sent within so many seconds takes part in the sharing."""

_FIRST: Final = 2
"""Messages a gateway begins with."""

_UNLIMITED: Final = 512
"""A share from which on a gateway is left to its own bound."""

_MOMENT_S: Final = 0.25
"""What is under way is worked off in about so many seconds: an alarm takes twice that at most."""

_LEAST: Final = 64
_MOST: Final = 4_000
"""Between these: one slow commit says little, and what is under way stays in memory."""

_BUSY: Final = 0.5
"""Commits that take a smaller part of the time than this tell how much came, not how much can be worked off."""

_MEMORY_S: Final = 4.0
"""How long a commit counts."""


class Pressure:
    """Shares out what may be under way.

    Args:
        under_way: Messages of all backlogs together, until commits have told how many are worked off.
    """

    def __init__(self, under_way: int) -> None:
        self._under_way = under_way
        self._heard: dict[str, float] = {}
        self._granted: dict[str, int] = {}
        self._stopped = False
        self._rate = under_way / _MOMENT_S
        self._done_at = 0.0

    @property
    def under_way(self) -> int:
        """Messages of all backlogs together that may be under way now."""
        return self._under_way

    def worked_off(self, messages: int, seconds: float, now: float) -> None:
        """Take note of a commit.

        Args:
            messages: How many it held.
            seconds: How long it took.
            now: When it was done.
        """
        since, self._done_at = now - self._done_at, now
        if not messages or seconds < _BUSY * since:
            return
        rate = messages / since
        weight = min(1.0, since / _MEMORY_S)
        self._rate += weight * (rate - self._rate)
        self._under_way = round(min(max(self._rate * _MOMENT_S, _LEAST), _MOST))

    def heard(self, gateways: Iterable[str], now: float) -> None:
        """Take note of who sends."""
        for gateway in gateways:
            self._heard.pop(gateway, None)
            self._heard[gateway] = now

    def stop(self) -> bool:
        """The store does not take what comes: no backlog at all for the present; tell whether that is new."""
        was, self._stopped = self._stopped, True
        return not was

    def go_on(self) -> bool:
        """The store takes what comes again; tell whether that is new."""
        was, self._stopped = self._stopped, False
        return was

    def window(self, gateway: str, now: float) -> int | None:
        """Return what to tell a gateway with its next ack; ``None``: as much as it likes."""
        if self._stopped:
            return 0
        self._forget(now)
        if gateway not in self._heard:
            # Told though it sends nothing, as all are when the broker is back: that is no round trip of its own.
            return _FIRST
        granted = self._granted.get(gateway, _FIRST)
        self._granted[gateway] = min(2 * granted, _UNLIMITED)
        share = min(granted, self._under_way // max(1, len(self._heard)))
        return None if share >= _UNLIMITED else max(1, share)

    def _forget(self, now: float) -> None:
        """Forget who fell silent; they are all in order of when they were heard."""
        while self._heard:
            name, at = next(iter(self._heard.items()))
            if now - at < _ACTIVE_S:
                return
            del self._heard[name]
            self._granted.pop(name, None)
