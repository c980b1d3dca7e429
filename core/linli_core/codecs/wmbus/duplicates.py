"""Telegrams heard twice: a repeater sends on what it hears, and two receivers hear the same meter.

A telegram is told by the meter and its access number, which counts telegrams and comes round after 256: what comes
again within seconds is the same, minutes later it is another. Meters without an access number are told by all bytes.
"""

from collections import OrderedDict
from typing import Final

from linli_core.codecs.wmbus.telegram import Telegram
from linli_core.instant import SECOND, Instant

WINDOW: Final = 10 * SECOND
"""Repeaters send on within five seconds or so; no meter sends 256 telegrams in ten."""

KEPT: Final = 4096


class Duplicates:
    """Remembers the telegrams of the last seconds.

    Attributes:
        seen: Telegrams that were duplicates, since it was made.
    """

    def __init__(self, window: int = WINDOW) -> None:
        self.seen = 0
        self._window = window
        self._heard: OrderedDict[tuple[bytes, int | bytes], Instant] = OrderedDict()

    def is_duplicate(self, telegram: Telegram, now: Instant) -> bool:
        """Tell whether a telegram was heard within the window; the first one counts, not the last."""
        self._forget(now)
        key = _key(telegram)
        if key in self._heard:
            self.seen += 1
            return True
        self._heard[key] = now
        if len(self._heard) > KEPT:
            self._heard.popitem(last=False)
        return False

    def withdraw(self, telegram: Telegram) -> None:
        """Forget a telegram that was no meter's: a replay must not hide the one whose number it bears."""
        self._heard.pop(_key(telegram), None)

    def _forget(self, now: Instant) -> None:
        while self._heard:
            key, at = next(iter(self._heard.items()))
            # A clock that was set back makes what is remembered lie ahead: forget that too.
            if 0 <= now - at < self._window:
                break
            del self._heard[key]


def _key(telegram: Telegram) -> tuple[bytes, int | bytes]:
    number = telegram.access_number
    return telegram.identity.encode(), telegram.frame.data if number is None else number
