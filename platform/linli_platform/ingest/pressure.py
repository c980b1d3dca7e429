"""How much of its backlog each gateway may have under way: told with every ack, so that an alarm waits behind little.

Pure; ``now`` is steady seconds. After an outage every gateway brings what it kept. The broker hands it all on in order
of arrival, and a new alarm stands at the end of it: so the backlogs of all together are kept to what is worked off in a
moment, shared evenly among those that are sending. Whoever is behind with a big one gets no more than the others.
"""

from collections.abc import Iterable
from typing import Final

_ACTIVE_S: Final = 10.0
"""A gateway that sent within so many seconds takes part in the sharing."""

_UNLIMITED: Final = 512
"""A share from which on a gateway is left to its own bound."""


class Pressure:
    """Shares out what may be under way.

    Args:
        under_way: Messages of all backlogs together.
    """

    def __init__(self, under_way: int) -> None:
        self._under_way = under_way
        self._heard: dict[str, float] = {}
        self._stopped = False

    def heard(self, gateways: Iterable[str], now: float) -> None:
        """Take note of who sends."""
        self._heard.update(dict.fromkeys(gateways, now))

    def stop(self) -> bool:
        """The store does not take what comes: no backlog at all for the present; tell whether that is new."""
        was, self._stopped = self._stopped, True
        return not was

    def go_on(self) -> bool:
        """The store takes what comes again; tell whether that is new."""
        was, self._stopped = self._stopped, False
        return was

    def window(self, now: float) -> int | None:
        """Return what to tell a gateway; ``None``: as much as it likes."""
        if self._stopped:
            return 0
        self._heard = {name: at for name, at in self._heard.items() if now - at < _ACTIVE_S}
        share = self._under_way // max(1, len(self._heard))
        return None if share >= _UNLIMITED else max(1, share)
