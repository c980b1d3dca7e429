"""The registers of one gateway: which points are registers, what each is judged by, what there is to tell of them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from functools import partial
from typing import Final

import msgspec

from linli_core.instant import SECOND, Instant, to_rfc3339
from linli_core.model import Kind, Point, Quality, Reading, Reason, parse_point
from linli_core.vocabulary import Vocabulary
from linli_edge.registers.billing import BillingMemory, BillingSettings, BillingWatch, Closed
from linli_edge.registers.swap import Swap
from linli_edge.registers.watch import FASTEST, FASTEST_OF, UNKNOWN, Baseline, RegisterWatch, Told

NET: Final = frozenset({"energy_combined", "reactive_energy_combined_1", "reactive_energy_combined_2"})
"""Registers that may fall: differences of two directions."""

SERIAL: Final = "serial_number"
"""Quantity by which a meter says who it is."""

CHUNK: Final = 200
"""Registers in one billing event."""

RegisterEvent = tuple[str, str, dict[str, object]]
"""Type, subject and data of an event for the log."""


class Memory(msgspec.Struct):
    """What is remembered over a restart."""

    baselines: dict[str, Baseline] = {}
    serials: dict[str, str] = {}
    billing: BillingMemory = msgspec.field(default_factory=BillingMemory)


@dataclass(frozen=True, slots=True)
class RegisterSettings:
    """What the configuration says of registers.

    Attributes:
        devices: Ids of the devices there are.
        expected: Points that the links are to read; those among them that are registers are missed at boundaries.
        unknown: Devices whose points only their answers tell.
        moduli: By point name, at which values a register begins again at zero, in the vocabulary's unit.
        billing: Boundaries; ``None`` for none.
    """

    devices: frozenset[str] = frozenset()
    expected: tuple[Point, ...] = ()
    unknown: frozenset[str] = frozenset()
    moduli: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    billing: BillingSettings | None = None


class RegisterBook:
    """Judges readings of registers, and says what becomes of them. Pure: time is an argument.

    Attributes:
        provisional: Nobody knows what time it is yet: no billing boundary is opened or closed meanwhile.
    """

    def __init__(self, settings: RegisterSettings, words: Vocabulary, memory: Memory | None = None) -> None:
        memory = memory or Memory()
        self._settings = settings
        self._words = words
        self._moduli = settings.moduli
        self._watches: dict[str, RegisterWatch | None] = {}
        self._serials = {name: serial for name, serial in memory.serials.items() if self._is_ours(name)}
        self._billing = BillingWatch(settings.billing, memory.billing) if settings.billing else None
        self._waiting: list[RegisterEvent] = []
        self.provisional = False
        for name, baseline in memory.baselines.items():
            if self._is_ours(name.partition("/")[0]):
                self._watch(parse_point(name), baseline)
        self._expect()

    def _expect(self) -> None:
        """Say what is to be missed at a boundary."""
        if self._billing is None:
            return
        settings = self._settings
        self._billing.keep_only(settings.devices)
        names = [point.name for point in settings.expected if self._watched(point) is not None]
        whole = {point.device for point in settings.expected} - settings.unknown
        self._billing.forget_others(names, whole)
        self._billing.expect(names)
        self._billing.expect_devices(sorted(settings.unknown))

    def memory(self) -> Memory:
        """Return what is to be remembered."""
        return Memory(
            {name: watch.baseline for name, watch in self._watches.items() if watch and watch.baseline is not None},
            dict(self._serials),
            self._billing.memory() if self._billing else BillingMemory(),
        )

    @property
    def closed(self) -> Instant | None:
        """The newest billing boundary that is closed."""
        return self._billing.closed if self._billing else None

    def follower(self, point: Point) -> Callable[[Reading], Reading] | None:
        """Return what takes the readings of a point, each to be given on as it returns it; ``None``: nothing."""
        if self._billing is not None:
            self._billing.heard(point.device)
        if point.quantity == SERIAL:
            return self._identify
        watch = self._watched(point)
        return None if watch is None else partial(self._judge, watch)

    def _watched(self, point: Point) -> RegisterWatch | None:
        """Return what judges a point; ``None`` for one that is no register."""
        if point.name not in self._watches:
            self._watch(point, None)
        return self._watches[point.name]

    def _judge(self, watch: RegisterWatch, reading: Reading) -> Reading:
        """Return a register's reading with the quality it deserves; the value stays."""
        value = reading.value
        if reading.quality is not Quality.GOOD:
            self._missed(reading.point, reading.reason, reading.observed_at)
            return reading
        if not isinstance(value, int | float | Decimal) or isinstance(value, bool):
            return reading
        number = float(value)
        reason, told = watch.judge(number, reading.observed_at)
        if told is not None:
            self._waiting.append(_event(reading.point, told, self._unit(reading.point)))
        if reason is None:
            if self._billing is not None and not self.provisional:
                self._billing.take(reading.point.name, number, reading.observed_at)
            return reading
        self._missed(reading.point, reason, reading.observed_at)
        return Reading(reading.point, value, reading.observed_at, Quality.UNCERTAIN, reason, reading.device_time)

    def _missed(self, point: Point, reason: Reason | None, at: Instant) -> None:
        if self._billing is not None and reason is not None:
            self._billing.missed(point.name, reason, at)

    def _identify(self, reading: Reading) -> Reading:
        """Take what a meter says of who it is: another serial number means another meter."""
        device, serial = reading.point.device, str(reading.value)
        if reading.quality is not Quality.GOOD:
            return reading
        if reading.point.occurrence is not None or not serial.strip("0 "):
            # A meter that starts up shows zeros everywhere, and is none the less itself.
            return reading
        before = self._serials.get(device)
        self._serials[device] = serial
        if before in {None, serial}:
            return reading
        data: dict[str, object] = {
            "old_serial": before,
            "new_serial": serial,
            "noticed_by": "identity",
            "final": self._finals(device),
        }
        self._waiting.append(("linli.device.swapped", device, data))
        for watch in self._of(device).values():
            watch.forget()
        return reading

    def swap(self, swap: Swap, now: Instant) -> dict[str, object]:
        """Enter a meter that was exchanged: its registers begin anew at what the new one showed.

        Returns:
            The event's data.
        """
        described = swap.described(self._finals(swap.device))
        if swap.new_serial:
            self._serials[swap.device] = swap.new_serial
        for name, watch in self._of(swap.device).items():
            start = swap.new_start.get(name.partition("/")[2])
            if start is None:
                watch.forget()
            else:
                # It has counted since then; a clock that ran ahead when it was entered gives no future.
                watch.begin_at(start, min(swap.at, now))
        return described

    def moved(self, by: int, began: Instant) -> None:
        """The gateway's time made a step, and is known: what was noted since ``began`` was at another time."""
        self.provisional = False
        for watch in self._watches.values():
            if watch is not None:
                watch.moved(by, began)

    def take_events(self, now: Instant) -> list[RegisterEvent]:
        """Return what there is to tell since the last call."""
        waiting, self._waiting = self._waiting, []
        if self._billing is not None and not self.provisional:
            for closed in self._billing.due(now):
                waiting += self._billed(closed)
        return waiting

    def _is_ours(self, device: str) -> bool:
        return not self._settings.devices or device in self._settings.devices

    def _watch(self, point: Point, baseline: Baseline | None) -> None:
        fastest = FASTEST_OF.get(point.quantity, FASTEST.get(self._unit(point)))
        quantity = self._words.get(point.quantity)
        watch = None
        plain = point.storage is None and point.statistic is None and point.quantity not in NET
        if quantity is not None and quantity.kind is Kind.COUNTER and fastest is not None and plain:
            moduli = self._moduli.get(point.name, ())
            watch = RegisterWatch(fastest, moduli, baseline, unknown=UNKNOWN.get(self._unit(point)))
        self._watches[point.name] = watch

    def _unit(self, point: Point) -> str:
        quantity = self._words.get(point.quantity)
        return (quantity.unit or "") if quantity is not None else ""

    def _of(self, device: str) -> dict[str, RegisterWatch]:
        prefix = f"{device}/"
        return {name: watch for name, watch in self._watches.items() if watch and name.startswith(prefix)}

    def _finals(self, device: str) -> dict[str, float]:
        """Return what a device's registers showed last, by the name within the device."""
        return {
            name.partition("/")[2]: watch.baseline.value
            for name, watch in self._of(device).items()
            if watch.baseline is not None
        }

    def _billed(self, closed: Closed) -> list[RegisterEvent]:
        assert self._settings.billing is not None
        exact = self._settings.billing.exact
        events: list[RegisterEvent] = []
        registers: list[dict[str, object]] = []
        for name, stood in closed.stood.items():
            if stood is None:
                reason = closed.why.get(name)
                missed: dict[str, object] = {"n": name, "mark": "missing"}
                registers.append(missed | {"why": reason.label} if reason else missed)
                continue
            apart = stood.at - closed.boundary
            mark: dict[str, object] = {"mark": "exact"} if apart <= exact else {"mark": "late"}
            registers.append({"n": name, "v": stood.value, **mark, "late_s": round(apart / SECOND, 3)})
        for start in range(0, len(registers), CHUNK):
            data: dict[str, object] = {
                "boundary": to_rfc3339(closed.boundary),
                "every_s": self._settings.billing.every // SECOND,
                "registers": registers[start : start + CHUNK],
            }
            if closed.before and not start:
                data["boundaries_not_told"] = closed.before
            events.append(("linli.billing", "", data))
        return events


def _event(point: Point, told: Told, unit: str) -> RegisterEvent:
    data: dict[str, object] = {
        "point": point.local_name,
        "unit": unit,
        "before": told.before,
        "before_at": to_rfc3339(told.before_at),
        "after": told.after,
        "after_at": to_rfc3339(told.after_at),
        "certain_at": to_rfc3339(told.at),
    }
    more = {"factor": told.factor, "modulus": told.modulus, "assumed": told.assumed or None}
    data |= {key: value for key, value in more.items() if value is not None}
    return f"linli.register.{told.kind}", point.device, data
