"""The shell around the gateway's time: asks machine and platform, makes the steps, writes what is remembered."""

import logging
import secrets
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Final

import msgspec

from linli_core.instant import MINUTE, SECOND, Instant, to_rfc3339
from linli_core.wire.messages import ClockState
from linli_edge.clock.discipline import ClockMemory, Discipline, Step
from linli_edge.clock.eras import corrected, era_of, mark
from linli_edge.clock.sources import battery_clock, boot_id, since_boot
from linli_edge.durable_file import write_durably
from linli_edge.outbox import Message, StoredMessage
from linli_edge.timekeeping import SYSTEM, Timekeeper, wall_clock
from linli_edge.uplink.clock_state import kernel_clock_state

LOOK_EVERY: Final = 2 * SECOND
WRITE_EVERY: Final = 10 * MINUTE
"""How far back a gateway without any clock may begin after a power cut."""
WRITE_IN_DOUBT: Final = MINUTE
"""The same while the time is provisional: then the time it has is all that keeps two starts apart."""
_PATIENCE: Final = MINUTE
"""How long messages wait for a time once the platform answers and gives none that can be used."""

_log: Final = logging.getLogger(__name__)


def _synchronised() -> bool:
    return kernel_clock_state().state == "trusted"


class MarkedLog:
    """The gateway's log, as those see it who stamp what they append by the gateway's time."""

    def __init__(self, append: Callable[[Message], int], era: Callable[[], str]) -> None:
        self._append = append
        self._era = era

    def append(self, message: Message) -> int:
        """Take a message, marked with the present era; raise ``OutboxFull`` or ``MessageTooLarge``."""
        if (era := self._era()) and not message.own_times:
            message = msgspec.structs.replace(message, body=mark(message.kind, message.body, era))
        return self._append(message)


class ClockKeeper:
    """Keeps one gateway's time.

    Attributes:
        before_step: Called before the time steps: what is stamped and not yet in the log must go there now.
        after_step: Called after, with the microseconds of the step and the first instant that it moves.
    """

    def __init__(
        self,
        path: Path,
        *,
        wall: Callable[[], Instant] = wall_clock,
        steady: Callable[[], int] = since_boot,
        boot: Callable[[], str] = boot_id,
        synchronised: Callable[[], bool] = _synchronised,
        rtc: Callable[[], Instant | None] = battery_clock,
    ) -> None:
        """Take up the time where it was left; :meth:`look` asks the machine for it.

        Args:
            path: Where it is remembered: ``clock.json``.
            wall: The system's clock, which may jump.
            steady: The steady clock.
            boot: Returns what names this boot of the machine.
            synchronised: Whether the kernel says that NTP keeps the system's clock.
            rtc: The battery-backed clock, if there is one.
        """
        self._path = path
        self._wall = wall
        self._steady = steady
        self._synchronised = synchronised
        self._rtc = rtc
        self.before_step: Callable[[], None] = _nothing
        self.after_step: Callable[[int, Instant], None] = _nothing_moves
        self._discipline = Discipline(_read(path), boot(), steady(), wall(), partial(secrets.token_hex, 8))
        self._saved_at: int | None = None
        self._waiting_since: int | None = None
        self._told: tuple[str, str] = ("", "")

    @property
    def time(self) -> Timekeeper:
        """The gateway's time, for everybody in it."""
        return Timekeeper(self.now, self._steady, SYSTEM.wait)

    def now(self) -> Instant:
        """Return the gateway's time."""
        return self._discipline.now(self._steady())

    @property
    def provisional(self) -> bool:
        """Whether stamps are provisional: nobody has told the time since the machine's boot."""
        return bool(self._discipline.era)

    @property
    def undecided(self) -> bool:
        """Whether it is still waited for somebody who tells the time."""
        return self._discipline.undecided

    def state(self) -> ClockState:
        """Return how far the time can be trusted, for the status."""
        return self._discipline.state(self._steady())

    def log(self, append: Callable[[Message], int]) -> MarkedLog:
        """Return a log whose messages are marked while the time is provisional."""
        return MarkedLog(append, lambda: self._discipline.era)

    async def run(self) -> None:
        """Look now and then, for ever."""
        while True:
            await SYSTEM.wait(LOOK_EVERY)
            self.look()

    def look(self) -> None:
        """Ask the machine what time it is, make the step that follows, and write down what changed."""
        steady = self._steady()
        self._make(self._discipline.system(steady, self._wall(), synchronised=self._synchronised(), rtc=self._rtc()))
        if self._saved_at is None or steady - self._saved_at >= (WRITE_IN_DOUBT if self.provisional else WRITE_EVERY):
            self.remember()
        self._tell()

    def heard(self, sent_at: Instant | None, round_trip: int) -> None:
        """Take in that the platform answered, with its time where it says it."""
        if sent_at is not None:
            self._make(self._discipline.platform(self._steady(), sent_at, round_trip))
        elif self._discipline.undecided:
            self._give_up("the platform does not say what time it is")
        self._tell()

    def ready(self) -> bool:
        """Tell whether what is in the log may leave: the stamps of every message are right, or as right as can be."""
        if not self._discipline.undecided:
            self._waiting_since = None
            return True
        steady = self._steady()
        self._waiting_since = self._waiting_since or steady
        if steady - self._waiting_since < _PATIENCE:
            return False
        self._give_up("the platform's time cannot be used: it lies in the past, or takes too long to come")
        return True

    def outgoing(self, message: StoredMessage) -> StoredMessage:
        """Return a message as it leaves: its times put right if it was stamped provisionally."""
        era = era_of(message.kind, message.body)
        if not era:
            return message
        correction = self._discipline.correction(era)
        assert correction is not None, "nothing leaves before it is known what its times are"
        return msgspec.structs.replace(message, body=corrected(message.kind, message.body, correction))

    def remember(self) -> None:
        """Write what is to be remembered; a disk that refuses is told, and tried again."""
        steady = self._steady()
        try:
            write_durably(self._path, msgspec.json.encode(self._discipline.memory(steady)))
        except OSError as exc:
            _log.error(
                "%s cannot be written (%s): after a reboot the time begins where it was known last", self._path, exc
            )
            return
        self._saved_at = steady

    def _make(self, step: Step | None) -> None:
        if step is None:
            return
        began = self._discipline.began
        self.before_step()
        self._discipline.take(step, self._steady())
        # On the disk before anything leaves: a message that goes twice must go with the same times.
        self.remember()
        _log.warning("the time is taken from %s: a step of %+.3f s", step.source, step.by / SECOND)
        self.after_step(step.by, began)

    def _give_up(self, why: str) -> None:
        _log.warning("%s: what was stamped without a clock leaves as it is, marked as doubtful", why)
        self._discipline.give_up()
        self.remember()

    def _tell(self) -> None:
        state = self.state()
        if (state.state, state.source) == self._told:
            return
        self._told = (state.state, state.source)
        since = to_rfc3339(state.since or 0)
        if state.state == "doubtful":
            _log.warning("the clock is not trusted since %s, source: %s", since, state.source)
        else:
            _log.info("the clock is trusted since %s, source: %s", since, state.source)


def _nothing() -> None:
    """Nothing waits."""


def _nothing_moves(by: int, began: Instant) -> None:
    """Nobody keeps times."""


def _read(path: Path) -> ClockMemory:
    try:
        return msgspec.json.decode(path.read_bytes(), type=ClockMemory)
    except FileNotFoundError:
        return ClockMemory()
    except (OSError, msgspec.MsgspecError) as exc:
        _log.warning("%s cannot be read (%s): the time begins at the system's clock", path, exc)
        return ClockMemory()
