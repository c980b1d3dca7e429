"""The gateway's time and how far it can be trusted. Pure: every reading of a clock is an argument.

Theory of operation
    * The gateway's time is **a steady clock plus an offset**. The steady clock runs from the machine's boot and is
      never set; nobody but this module changes the offset. The system's clock may jump: nothing is stamped by it.
    * **Until the time is trusted** stamps are provisional: they go on from the last time known (or from the system's
      clock where that is later). They are in the right order and the right distance from each other, and what is wrong
      with them is one number. Such a stretch is an :class:`Era`; its messages are marked with its name, and leave the
      gateway when that number is known (:mod:`linli_edge.clock.eras`).
    * **Trust** comes from NTP as the kernel tells, else a battery-backed clock (RTC), else the platform's time; in
      this order. It survives a restart of the program, for the steady clock goes on; a reboot loses it.
    * A source that contradicts a time that is trusted is **not believed at once**: it must say the same for a while.
      Small differences are slewed, so that the time never runs backwards; a large one, once believed, is a step.
    * An era whose machine was rebooted before trust came is put right before the one after it, as if the machine had
      been off for no time at all, and is marked as doubtful: how long it was off, nobody knows.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import msgspec

from linli_core.instant import DAY, HOUR, MINUTE, SECOND, Instant
from linli_core.wire.messages import ClockState

RANKS: Final = {"ntp": 0, "rtc": 1, "platform": 2}
"""Sources of time, the best first."""

LARGE: Final = SECOND
"""Differences up to this are slewed; larger ones are steps, but for :data:`BACK`."""

BACK: Final = MINUTE
"""A trusted time that is ahead by up to this is slewed, too: the time runs backwards for nobody."""

SLEW: Final = 10
"""Microseconds in which one is made up for."""

CONFIRM: Final = {"ntp": MINUTE, "rtc": MINUTE, "platform": 10 * MINUTE}
"""How long a source must contradict a trusted time, always by as much, before it is believed."""

HOLDOVER: Final = HOUR
"""A source not heard of for so long has no precedence any more."""

TRUST_LASTS: Final = 7 * DAY
"""How long a time is trusted that no source confirms: a crystal of 50 ppm is off by half a minute then."""

ROUND_TRIP: Final = 10 * SECOND
"""Slowest answer of the platform that the time is taken from: it is right to half of that."""

ERAS: Final = 256
"""How many eras are remembered: as many reboots without a network."""


class Era(msgspec.Struct):
    """A stretch of provisional time.

    Attributes:
        began: Its first instant, provisional.
        ended: Its latest instant known, provisional.
        delta: Microseconds to be added to its stamps; ``None`` as long as nobody knows.
        doubt: Its stamps stay doubtful even so.
    """

    began: Instant
    ended: Instant
    delta: int | None = None
    doubt: bool = False


class ClockMemory(msgspec.Struct):
    """What is remembered of the time over restarts.

    Attributes:
        boot: The boot of the machine that ``offset`` belongs to.
        offset: From the steady clock to the gateway's time.
        source: What the time was taken from; empty: it is provisional.
        agreed: When a source confirmed it last, by the steady clock.
        last: The latest time known; after a reboot it goes on from there.
        era: The present era, while the time is provisional.
        eras: By name, oldest first.
    """

    boot: str = ""
    offset: int = 0
    source: str = ""
    agreed: int = 0
    last: Instant = 0
    era: str = ""
    eras: dict[str, Era] = {}


@dataclass(frozen=True, slots=True)
class Correction:
    """How the stamps of an era are put right: what is not before ``began`` moves by ``delta``."""

    began: Instant
    delta: int
    doubt: bool


@dataclass(frozen=True, slots=True)
class Step:
    """A change of the gateway's time that is to be made.

    Attributes:
        source: Who says so.
        offset: From the steady clock to the new time.
        by: Microseconds by which the time changes.
    """

    source: str
    offset: int
    by: int


@dataclass(slots=True)
class _Suspect:
    source: str
    offset: int
    since: int


class Discipline:
    """The time of one gateway. Every ``steady`` is of the same clock and never less than the one before."""

    def __init__(self, memory: ClockMemory, boot: str, steady: int, wall: Instant, name: Callable[[], str]) -> None:
        """Take up the time where it was left.

        Args:
            memory: What is remembered.
            boot: Names this boot of the machine.
            steady: The steady clock.
            wall: The system's clock.
            name: Returns a name for a new era.
        """
        self._boot = boot
        self._eras = {name: msgspec.structs.replace(era) for name, era in memory.eras.items()}
        self._last = memory.last
        self._suspect: _Suspect | None = None
        self._slew_from = steady
        self._slew = 0
        self._source = ""
        self._era = ""
        self._agreed = memory.agreed
        if boot and memory.boot == boot:
            self._offset = memory.offset
            self._source = memory.source
            self._era = memory.era
        else:
            self._offset = max(wall, memory.last) - steady
        self._floor = memory.last
        if not self._source and not self._era:
            self._begin_era(steady, name())
        self._since = self.now(steady)

    def now(self, steady: int) -> Instant:
        """Return the gateway's time."""
        return steady + self._offset + self._slewed(steady)

    @property
    def era(self) -> str:
        """Name of the present era; empty while the time is, or has been, trusted."""
        return self._era

    @property
    def began(self) -> Instant:
        """First instant of the present stretch of time: of the era; 0 where the time is, or has been, trusted."""
        return self._eras[self._era].began if self._era else 0

    @property
    def undecided(self) -> bool:
        """Whether there are eras of which nobody knows yet how they are to be corrected."""
        return any(era.delta is None for era in self._eras.values())

    def state(self, steady: int) -> ClockState:
        """Return how far the time can be trusted."""
        fresh = bool(self._source) and steady - self._agreed <= TRUST_LASTS
        since = self._since if fresh or not self._source else self.now(self._agreed + TRUST_LASTS)
        return ClockState("trusted" if fresh else "doubtful", self._source or "none", since)

    def correction(self, era: str) -> Correction | None:
        """Return how an era's messages are corrected; ``None`` as long as nobody knows."""
        known = self._eras.get(era)
        if known is None:
            return Correction(0, 0, doubt=True)
        return None if known.delta is None else Correction(known.began, known.delta, known.doubt)

    def system(self, steady: int, wall: Instant, *, synchronised: bool, rtc: Instant | None) -> Step | None:
        """Hear what the machine says; return the step that follows, to be made by :meth:`take`.

        Args:
            steady: The steady clock.
            wall: The system's clock at the same moment.
            synchronised: Whether the kernel says that it is disciplined by NTP.
            rtc: The battery-backed clock that the system's was set by at boot; ``None`` where there is none.
        """
        if synchronised:
            return self._hear("ntp", wall - steady, 0, steady)
        if rtc is not None and abs(rtc - wall) <= 2 * SECOND and wall >= self._floor:
            return self._hear("rtc", wall - steady, SECOND, steady)
        return None

    def platform(self, steady: int, sent_at: Instant, round_trip: int) -> Step | None:
        """Hear the platform's time, said within the last ``round_trip`` microseconds; return the step that follows."""
        if not 0 <= round_trip <= ROUND_TRIP or (not self._source and sent_at + round_trip < self._floor):
            return None
        return self._hear("platform", sent_at + round_trip // 2 - steady, round_trip // 2, steady)

    def take(self, step: Step, steady: int) -> None:
        """Make a step. What is stamped afterwards is of the new time."""
        self._slew = 0
        self._offset = step.offset
        self._suspect = None
        self._settle(step.by)
        self._era = ""
        self._trust(step.source, steady)
        self._since = self.now(steady)
        # The latest time known may have been a wrong one.
        self._last = self._floor = self.now(steady)

    def give_up(self) -> None:
        """Nobody can tell the time: what is stamped provisionally goes as it is, marked as doubtful."""
        for era in self._eras.values():
            if era.delta is None:
                era.delta, era.doubt = 0, True

    def memory(self, steady: int) -> ClockMemory:
        """Return what is to be remembered."""
        self._last = max(self._last, self.now(steady))
        if self._era:
            self._eras[self._era].ended = self.now(steady)
        offset = self._offset + self._slewed(steady)
        return ClockMemory(
            self._boot,
            offset,
            self._source,
            self._agreed,
            self._last,
            self._era,
            {name: msgspec.structs.replace(era) for name, era in self._eras.items()},
        )

    def _begin_era(self, steady: int, name: str) -> None:
        self._era = name
        self._eras[name] = Era(self.now(steady), self.now(steady))
        while len(self._eras) > ERAS:
            del self._eras[next(iter(self._eras))]

    def _settle(self, delta: int) -> None:
        """Decide how eras are corrected: the present one by ``delta``, each before to end where the next begins."""
        following: Instant | None = None
        for name, era in reversed(self._eras.items()):
            if era.delta is None:
                era.delta = delta if name == self._era or following is None else following - 1 - era.ended
                era.doubt = name != self._era
            following = era.began + era.delta

    def _hear(self, source: str, offset: int, tolerance: int, steady: int) -> Step | None:
        mine = self._offset + self._slewed(steady)
        apart = offset - mine
        step = Step(source, offset, apart)
        if not self._source:
            return step
        rank = RANKS[source] - RANKS[self._source]
        if rank > 0 and steady - self._agreed <= HOLDOVER:
            return None
        if abs(apart) <= LARGE + tolerance or (rank < 0 and -BACK <= apart < 0):
            if abs(apart) > tolerance:
                self._offset, self._slew, self._slew_from = mine, apart, steady
            self._suspect = None
            self._trust(source, steady)
            return None
        return step if rank < 0 or self._confirmed(source, offset, tolerance, steady) else None

    def _confirmed(self, source: str, offset: int, tolerance: int, steady: int) -> bool:
        """Tell whether a source has contradicted the time for long, always by as much."""
        suspect = self._suspect
        if suspect is None or suspect.source != source or abs(suspect.offset - offset) > LARGE + tolerance:
            self._suspect = _Suspect(source, offset, steady)
            return False
        return steady - suspect.since >= CONFIRM[source]

    def _trust(self, source: str, steady: int) -> None:
        if self._source and steady - self._agreed > TRUST_LASTS:
            self._since = self.now(steady)
        self._source = source
        self._agreed = steady

    def _slewed(self, steady: int) -> int:
        """Return how much of the present slew is done: slowly enough that the time never stands still."""
        done = (steady - self._slew_from) // SLEW
        return min(done, self._slew) if self._slew >= 0 else max(-done, self._slew)
