"""Telegrams played back to us, where nothing that the meter's key protects counts messages (security mode 5, sessions).

Told by what cannot be changed without the key: a cipher's first bytes. Not by the whole telegram, for its status, its
tail in plain and how much of it is said to be encrypted can be changed by anybody.

A meter whose values stand still sends the same again, too: when its access number comes round, 256 telegrams later. So
in mode 5 what was heard before is a replay only if the number would have come round faster than the meter ever counts,
or if it has another number than it had. A meter whose numbers leap about (some make them up) is taken at its word:
losing what it says would be worse. A recording played at just the moment when its number is due cannot be told; mode 7
can.
"""

from typing import Final

from linli_core.instant import SECOND, Instant

SEAL: Final = 8
"""Bytes of a cipher that tell it."""

KEPT: Final = 1024
"""Telegrams of one meter that are known again: four hours of one that sends every quarter of a minute, in 9 kB."""

_ENTRY: Final = SEAL + 1
_ROUND: Final = 256
_SHORTEST: Final = 2 * SECOND
"""No meter sends more often for long: its battery is to last for years."""

_MARGIN: Final = 2
_LEARNED: Final = 8
"""Steps that a meter's pace is known after."""

_ORDERLY: Final = 8
_RECENT: Final = 128


class ReplayGuard:
    """What one meter's key opened lately, and how fast the meter counts."""

    def __init__(self) -> None:
        self._ring = bytearray()
        self._next = 0
        self._session = b""
        self._number = 0
        self._at: Instant | None = None
        self._pace = 0
        self._steps = 0
        self._heard = 0
        self._leaps = 0

    def is_replayed_cipher(self, seal: bytes, number: int, now: Instant) -> bool:
        """Tell whether a telegram of mode 5 was sent before; remember it if not.

        Args:
            seal: The cipher's first bytes.
            number: The access number, which the start value is made of.
            now: When it came.
        """
        known = self._numbers(seal)
        if known and number not in known:
            # The same cipher under another start value opens to something that the meter never said.
            return True
        steps = (number - self._number) % _ROUND
        # A clock that was set back tells nothing of how long it was.
        elapsed = now - self._at if self._at is not None and now >= self._at else None
        leap = elapsed is not None and _MARGIN * elapsed < _SHORTEST * steps
        if known and elapsed is not None and self._orderly() and (leap or self._too_fast(steps, elapsed)):
            return True
        if elapsed is not None:
            self._learn(steps, elapsed, leap=leap)
        self._number, self._at = number, now
        if not known:
            self._remember(seal, number)
        return False

    def is_replayed_session(self, seal: bytes, session: bytes) -> bool:
        """Tell whether a telegram with a session number was sent before; remember it if not.

        Session numbers go on with the time (EN 13757-4, extended link layer). One that never changes tells nothing.
        """
        known = bool(self._numbers(seal))
        if known and session != self._session:
            return True
        self._session = session
        if not known:
            self._remember(seal, 0)
        return False

    def _numbers(self, seal: bytes) -> set[int]:
        """Return the access numbers that a cipher was heard with."""
        found: set[int] = set()
        at = self._ring.find(seal)
        while at >= 0:
            if at % _ENTRY == 0:
                found.add(self._ring[at + SEAL])
            at = self._ring.find(seal, at + 1)
        return found

    def _remember(self, seal: bytes, number: int) -> None:
        at = self._next * _ENTRY
        self._ring[at : at + _ENTRY] = seal + bytes((number,))
        self._next = (self._next + 1) % KEPT

    def _orderly(self) -> bool:
        return self._leaps * _ORDERLY <= self._heard

    def _too_fast(self, steps: int, elapsed: int) -> bool:
        return self._steps >= _LEARNED and _MARGIN * elapsed < self._pace * steps

    def _learn(self, steps: int, elapsed: int, *, leap: bool) -> None:
        self._heard += 1
        self._leaps += leap
        if self._heard >= _RECENT:
            self._heard, self._leaps = self._heard // 2, self._leaps // 2
        if steps and not leap:
            pace = max(elapsed // steps, _SHORTEST)
            self._pace = min(self._pace, pace) if self._steps else pace
            self._steps += 1
