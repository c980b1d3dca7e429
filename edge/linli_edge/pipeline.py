"""From a poll's readings to messages in the outbox: plausibility, report by exception, packs, events.

Nothing here waits, so a link never does: a poll's readings are taken in one call, and the outbox takes a message
without waiting for the disk. Only the pack's company is waited for, ``pack_interval`` at most.
"""

import asyncio
import logging
import math
import sys
import uuid
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, fields
from decimal import Decimal
from typing import Final, Protocol

from linli_core.instant import SECOND
from linli_core.model import Point, Quality, Reading, Reason, missing, parse_point
from linli_core.wire.event import Event, encode
from linli_edge.eviction import EvictionRule, priority_of
from linli_edge.fruitless import DeviceFruitful, DeviceFruitless
from linli_edge.link import DeviceLeftOut, LinkDown, LinkOverloaded, LinkRelieved, LinkUp, Report
from linli_edge.outbox import Message, MessageTooLarge, OutboxFull
from linli_edge.outbox.message import NORMAL, URGENT
from linli_edge.registers.book import RegisterBook
from linli_edge.report_by_exception import Reported, ReportRule, rule_for
from linli_edge.scheduler import DeviceBack, DeviceSilent
from linli_edge.timekeeping import Timekeeper

_LOG: Final = logging.getLogger(__name__)

UNTOLD: Final = 10_000
"""Events about registers that wait for a log that is full; the oldest go first."""

Bounds = tuple[float | None, float | None]
"""Lowest and highest plausible value of a quantity, both included."""


class Log(Protocol):
    """Where messages go: the outbox."""

    def append(self, message: Message) -> int:
        """Take a message; raise ``OutboxFull`` or ``MessageTooLarge``."""
        ...


@dataclass(frozen=True, slots=True)
class PackSettings:
    """How readings become packs.

    Attributes:
        interval: Microseconds a reading waits for others to share its pack.
        records: Readings in a pack at most.
        bytes: Size of a pack at most; a larger one is halved. Stays below what the outbox takes.
    """

    interval: int = SECOND // 2
    records: int = 100
    bytes: int = 96 * 1024


@dataclass(slots=True)
class Counters:
    """Running totals of this start.

    Attributes:
        polled: Readings that came from links, BAD ones included.
        good, uncertain, bad: The same by quality, after the plausibility check.
        implausible: Readings outside their quantity's bounds, among the uncertain.
        filtered: Readings that report by exception left out.
        logged: Readings the outbox has taken.
        refused: Readings the outbox did not take.
        packs: Messages with readings.
        events: Messages with an event.
    """

    polled: int = 0
    good: int = 0
    uncertain: int = 0
    bad: int = 0
    implausible: int = 0
    filtered: int = 0
    logged: int = 0
    refused: int = 0
    packs: int = 0
    events: int = 0

    def as_dict(self) -> dict[str, int]:
        """Return them by name, as the status carries them."""
        return {field.name: getattr(self, field.name) for field in fields(self)}


_OF_DEVICES: Final = {
    DeviceSilent: "silent",
    DeviceBack: "back",
    DeviceFruitless: "fruitless",
    DeviceFruitful: "fruitful",
}
"""The words are part of event types: never renamed."""


class _Watch:
    """What is known of one point: its bounds, its course, and what was last sent of it where that matters."""

    __slots__ = ("follow", "high", "low", "priority", "reported")

    def __init__(
        self,
        bounds: Bounds,
        rule: ReportRule | None,
        follow: Callable[[Reading], Reading] | None = None,
        priority: int = NORMAL,
    ) -> None:
        low, high = bounds
        self.low = -sys.float_info.max if low is None else low
        self.high = sys.float_info.max if high is None else high
        self.reported = Reported(rule) if rule is not None else None
        self.follow = follow
        self.priority = priority


class Pipeline:
    """The way of a gateway's readings into its log.

    Attributes:
        counters: Running totals.
    """

    def __init__(
        self,
        gateway: str,
        log: Log,
        *,
        encode_pack: Callable[[str, Sequence[Reading]], bytes],
        bounds: Callable[[str], Bounds],
        time: Timekeeper,
        packs: PackSettings | None = None,
        rules: Sequence[ReportRule] = (),
        eviction: Sequence[EvictionRule] = (),
        registers: RegisterBook | None = None,
    ) -> None:
        """Store.

        Args:
            gateway: Its id.
            log: Where messages go.
            encode_pack: Returns the body of a message with readings.
            bounds: Returns what is plausible for a quantity.
            time: Moves the packs.
            packs: How large and how late packs may be.
            rules: Report by exception; the first that holds for a point counts.
            eviction: What leaves a full log first; each priority has packs of its own.
            registers: Judges cumulative registers.
        """
        self.counters = Counters()
        self._gateway = gateway
        self._log = log
        self._encode = encode_pack
        self._bounds = bounds
        self._time = time
        self._packs = packs or PackSettings()
        self._rules = rules
        self._eviction = eviction
        self._registers = registers
        self._watches: dict[str, _Watch] = {}
        self._waiting: dict[int, list[Reading]] = {}
        self._booked = 0, 0
        self._untold: list[tuple[str, str, dict[str, object]]] = []
        self._news = asyncio.Event()
        self._full = False

    async def run(self) -> None:
        """Send what waits for company once it has waited long enough, for ever."""
        while True:
            await self._news.wait()
            await self._time.wait(self._packs.interval)
            self.flush()

    def take(self, readings: list[Reading]) -> None:
        """Take the readings of one poll."""
        for priority, admitted in self._sorted(self._admitted(readings)):
            waiting = self._waiting.setdefault(priority, [])
            waiting += admitted
            while len(waiting) >= self._packs.records:
                self._send(waiting[: self._packs.records], priority)
                del waiting[: self._packs.records]
        if any(self._waiting.values()):
            self._news.set()
        self.tell_of_registers()

    def relay(self, readings: list[Reading], label: bytes) -> bool:
        """Send readings that others have stamped and kept, as one message of their own; tell whether the log took it.

        Args:
            readings: What one message of theirs holds.
            label: Fields for the first record, each followed by a comma: where it came from.
        """
        admitted = self._admitted(readings)
        priority = min((self._watches[reading.point.name].priority for reading in admitted), default=NORMAL)
        taken = not admitted or self._send(admitted, priority, label)
        self.tell_of_registers()
        return taken

    def tell_of_registers(self) -> bool:
        """Send what has become of registers, after the readings that show it; tell whether the log took it all."""
        if self._registers is None:
            return True
        events = [*self._untold, *self._registers.take_events(self._time.clock())]
        self._untold = []
        for place, (name, subject, data) in enumerate(events):
            if not self.tell(name, subject, data):
                # A boundary that nobody hears of is a bill by guesswork: it waits for the log.
                self._untold = events[place:][-UNTOLD:]
                return False
        return True

    def report(self, link: str, report: Report) -> None:
        """Send a link's report as an event, with the readings before it."""
        name, subject, data = _described(link, report)
        self.tell(name, subject, data)

    def tell(self, name: str, subject: str, data: dict[str, object], number: str = "") -> bool:
        """Send an event, with the readings before it; tell whether the log took it.

        Args:
            name: Its type.
            subject: What it is about.
            data: What there is to say.
            number: Its id, where it may be told twice and must count once.
        """
        self.flush()
        now = self._time.clock()
        event = Event(number or uuid.uuid4().hex, name, f"linli/{self._gateway}", now, subject, data)
        taken = self._append(Message("event", encode(event), URGENT, now, now))
        self.counters.events += taken
        return taken

    def reports_by_exception(self, point: str) -> bool:
        """Tell whether only changes of a point are sent."""
        return rule_for(parse_point(point), self._rules) is not None

    def flush(self) -> None:
        """Send what waits."""
        self._news.clear()
        waiting, self._waiting = self._waiting, {}
        for priority, readings in sorted(waiting.items()):
            if readings:
                self._send(readings, priority)

    def _sorted(self, readings: list[Reading]) -> Iterable[tuple[int, list[Reading]]]:
        """Return readings by the priority that is declared of their points."""
        if not self._eviction:
            return ((NORMAL, readings),)
        found: dict[int, list[Reading]] = {}
        for reading in readings:
            found.setdefault(self._watches[reading.point.name].priority, []).append(reading)
        return found.items()

    def _admitted(self, readings: list[Reading]) -> list[Reading]:
        """Return the readings worth sending, each with the quality it deserves."""
        watches = self._watches
        counters = self.counters
        admitted: list[Reading] = []
        good = 0
        for reading in readings:
            point, value = reading.point, reading.value
            watch = watches.get(point.name)
            if watch is None:
                watch = self._watch(point)
            # NaN is within no bounds, and infinity beyond them all; a Decimal that is no number must not be compared.
            if isinstance(value, float | int):
                plausible = watch.low <= value <= watch.high
            elif isinstance(value, Decimal):
                plausible = value.is_finite() and watch.low <= value <= watch.high
            else:
                plausible = value is not None
            plain = reading if plausible else self._doubted(reading)
            if watch.follow is not None:
                plain = watch.follow(plain)
            if plain.quality is Quality.GOOD:
                good += 1
            elif plain.quality is Quality.BAD:
                counters.bad += 1
            else:
                counters.uncertain += 1
            if watch.reported is None or watch.reported.worth_sending(plain):
                admitted.append(plain)
        counters.polled += len(readings)
        counters.good += good
        counters.filtered += len(readings) - len(admitted)
        return admitted

    def _doubted(self, reading: Reading) -> Reading:
        """Return a reading that is missing, no number or implausible as what it is: kept, and marked."""
        point, value = reading.point, reading.value
        if value is None:
            # A driver that says nothing is missing and brings no value is not believed.
            return (
                reading
                if reading.quality is Quality.BAD
                else missing(point, reading.observed_at, Reason.DEVICE_FAILURE)
            )
        if isinstance(value, int | float | Decimal) and not _finite(value):
            return missing(point, reading.observed_at, Reason.NOT_A_NUMBER)
        self.counters.implausible += 1
        if reading.quality is not Quality.GOOD:
            return reading
        return Reading(point, value, reading.observed_at, Quality.UNCERTAIN, Reason.OUT_OF_RANGE, reading.device_time)

    def _watch(self, point: Point) -> _Watch:
        follow = self._registers.follower(point) if self._registers is not None else None
        watch = _Watch(
            self._bounds(point.quantity),
            rule_for(point, self._rules),
            follow,
            priority_of(point, self._eviction),
        )
        self._watches[point.name] = watch
        return watch

    def _send(self, readings: list[Reading], priority: int, label: bytes = b"") -> bool:
        body = self._encode(self._gateway, readings)
        if len(body) > self._packs.bytes and len(readings) > 1:
            half = len(readings) // 2
            first = self._send(readings[:half], priority, label)
            return self._send(readings[half:], priority, label) and first
        if label:
            body = b"[{%b%b" % (label, body[2:])
        times = [reading.observed_at for reading in readings]
        counters = self.counters
        filtered, refused = (
            now - then for now, then in zip((counters.filtered, counters.refused), self._booked, strict=True)
        )
        message = Message(
            "telemetry",
            body,
            priority,
            observed_from=min(times),
            observed_to=max(times),
            readings=len(readings),
            polled=len(readings) + filtered + refused,
            filtered=filtered,
            refused=refused,
            own_times=bool(label),
        )
        taken = self._append(message)
        if taken:
            counters.packs += 1
            counters.logged += len(readings)
            self._booked = counters.filtered, counters.refused
        else:
            counters.refused += len(readings)
        return taken

    def _append(self, message: Message) -> bool:
        try:
            self._log.append(message)
        except (OutboxFull, MessageTooLarge) as exc:
            if not self._full:
                _LOG.error("the outbox takes no more messages, readings are lost: %s", exc)
            self._full = True
            return False
        if self._full:
            _LOG.warning("the outbox takes messages again; %d readings were lost", self.counters.refused)
        self._full = False
        return True


def _finite(value: float | Decimal) -> bool:
    return value.is_finite() if isinstance(value, Decimal) else math.isfinite(value)


def _described(link: str, report: Report) -> tuple[str, str, dict[str, object]]:
    """Return an event's type, subject and data."""
    if isinstance(report, LinkDown):
        return "linli.link.down", link, {"error": report.error, "bug": report.bug}
    if isinstance(report, LinkUp):
        return "linli.link.up", link, {"downtime": report.downtime / SECOND}
    if isinstance(report, LinkOverloaded | LinkRelieved):
        kind = "overloaded" if isinstance(report, LinkOverloaded) else "relieved"
        return f"linli.link.{kind}", link, {"planned": round(report.planned, 3)}
    if isinstance(report, DeviceLeftOut):
        return "linli.device.left-out", report.device, {"link": link, "error": report.error}
    data: dict[str, object] = {"link": link, "since": report.since / SECOND}
    if isinstance(report, DeviceSilent | DeviceFruitless):
        data["error"] = report.error
    return f"linli.device.{_OF_DEVICES[type(report)]}", report.device, data
