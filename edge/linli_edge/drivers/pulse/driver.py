"""The policy of one pulse logger: take its lines, keep the counts, hand over the registers at each poll."""

import logging
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Final

from linli_core.errors import ProtocolError
from linli_core.model import Point, Quality, Reading, Reason
from linli_core.pulses import PulseCounter, PulseState
from linli_edge.driver import Clock, PlannedPoll, UnitCounters
from linli_edge.drivers.pulse.settings import InputSettings, LinkSettings
from linli_edge.listening import Inbox, listening
from linli_edge.saved_state import SavedState
from linli_edge.transport import Transport

_LOG: Final = logging.getLogger(__name__)

LONGEST_LINE: Final = 256
_PRESET_DIGITS: Final = 9


class PulseDriver:
    """One logger; :func:`open_link` makes it.

    Attributes:
        inbox: What came since the last poll.
        unknown: Lines that named no input of the configuration, or none at all.
    """

    def __init__(self, settings: LinkSettings, transport: Transport, clock: Clock) -> None:
        self.inbox = Inbox({entry.device: entry.patience for entry in settings.inputs.values()}, clock)
        self.unknown = 0
        self._settings = settings
        self._transport = transport
        self._clock = clock
        self._rest = b""
        self._state = SavedState(settings.state)
        saved = self._state.load()
        self._counters = {
            name: PulseCounter(entry.scale, _restored(entry, saved)) for name, entry in settings.inputs.items()
        }

    @property
    def plan(self) -> Sequence[PlannedPoll]:
        """One poll for each meter."""
        return plan(self._settings)

    async def poll(self, planned: PlannedPoll) -> list[Reading]:
        """Return a meter's register as of the last line; see :class:`linli_edge.driver.Driver`."""
        readings = self.inbox.take(planned.device)
        if self._settings.reports == "pulses":
            self.save()
        return readings

    def counters(self) -> Mapping[str, UnitCounters]:
        """Return what came of the lines of each meter."""
        return self.inbox.counters

    async def listen(self) -> None:
        """Read lines until the line ends."""
        while data := await self._transport.read():
            lines = (self._rest + data).replace(b"\r", b"\n").split(b"\n")
            self._rest = lines.pop()
            if len(self._rest) > LONGEST_LINE:
                self.unknown += 1
                self._rest = b""
            for line in lines:
                if line:
                    self._take(line[:LONGEST_LINE].decode("latin-1").strip())
            # A logger keeps its count, so little is lost with the last lines; of pulses each poll saves.
            if self._settings.reports == "counts":
                self.save()

    def _take(self, line: str) -> None:
        match = self._settings.pattern.search(line) if self._settings.reports == "counts" else None
        if self._settings.reports == "pulses":
            match = self._settings.pattern.fullmatch(line)
        entry = self._settings.inputs.get(match["input"]) if match is not None else None
        if match is None or entry is None:
            self.unknown += 1
            _LOG.info("a line that names no input: %r", line)
            return
        counter, now = self._counters[entry.name], self._clock()
        resets = counter.state.resets
        try:
            if self._settings.reports == "counts":
                booked = counter.count(int(match["count"]), now) is not None
                # What is booked is the count before this one, as of when that came.
                now = counter.state.seen
            else:
                booked = counter.pulse(now)
        except ProtocolError as exc:
            self.inbox.refuse(entry.device, exc)
            _LOG.warning("%s: %s", entry.device, exc)
            return
        if not booked:
            return
        if counter.state.resets > resets:
            _LOG.warning("%s: the logger lost its count; pulses may be missing", entry.device)
        quality = (Quality.UNCERTAIN, Reason.REGISTER_RESET) if counter.doubtful else (Quality.GOOD, None)
        self.inbox.put(
            entry.device,
            [
                Reading(Point(entry.device, entry.quantity), counter.register, now, *quality),
                Reading(Point(entry.device, "pulse_count"), counter.state.pulses, now, *quality),
            ],
        )

    def save(self) -> None:
        """Keep the counts."""
        kept: dict[str, int] = {}
        for name, counter in self._counters.items():
            state, entry = counter.state, self._settings.inputs[name]
            kept |= {
                f"{entry.device}.preset": _preset(entry),
                f"{entry.device}.pulses": state.pulses,
                f"{entry.device}.last": state.last,
                f"{entry.device}.seen": state.seen,
                f"{entry.device}.resets": state.resets,
                f"{entry.device}.held": state.held,
                f"{entry.device}.held_at": state.held_at,
            }
        self._state.save(kept)


def _preset(entry: InputSettings) -> int:
    return int(entry.scale.preset.scaleb(_PRESET_DIGITS))


def _restored(entry: InputSettings, saved: Mapping[str, int]) -> PulseState:
    """Return the state of an input; a new preset was read off the meter's face, and counting begins anew with it."""
    found = {name: saved.get(f"{entry.device}.{name}") for name in ("preset", "pulses", "last", "seen", "resets")}
    pulses, last, seen, resets = (found[name] for name in ("pulses", "last", "seen", "resets"))
    if pulses is None or last is None or seen is None or resets is None:
        return PulseState()
    if found["preset"] != _preset(entry):
        _LOG.warning("%s: a new preset: counting begins anew with it", entry.device)
        return PulseState(0, last, seen, 0)
    held, held_at = saved.get(f"{entry.device}.held", -1), saved.get(f"{entry.device}.held_at", 0)
    return PulseState(pulses, last, seen, resets, held, held_at)


def plan(settings: LinkSettings) -> Sequence[PlannedPoll]:
    """Return the polls of a link."""
    return [
        PlannedPoll(
            entry.device,
            entry.device,
            entry.interval,
            (Point(entry.device, entry.quantity), Point(entry.device, "pulse_count")),
            cost=0,
            heard=True,
        )
        for entry in settings.inputs.values()
    ]


@asynccontextmanager
async def open_link(settings: LinkSettings, clock: Clock) -> AsyncIterator[PulseDriver]:
    """Open the line and yield the driver, which listens; raise ``LinkError`` where there is no line."""
    async with settings.transport.open() as transport:
        driver = PulseDriver(settings, transport, clock)
        try:
            async with listening(driver.listen, driver.inbox, "pulse"):
                yield driver
        finally:
            driver.save()
