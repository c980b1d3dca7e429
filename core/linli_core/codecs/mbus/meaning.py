"""From records to readings: the vocabulary's quantity and unit, and where in the meter the value stands.

What the standard's modifiers make of a value (a limit, a rate, a date of something…) is another quantity than the
plain one and is never booked under its name. Every record becomes a reading: what has no quantity of its own is an
:data:`UNMAPPED` with the bytes in hexadecimal.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from decimal import Context, Decimal
from typing import Final

import msgspec

from linli_core.codecs.mbus.header import Identity
from linli_core.codecs.mbus.quantities import (
    BARE,
    CONVERSIONS,
    ELECTRIC,
    UNMAPPED,
    manufacturer_phase,
    quantity_of,
)
from linli_core.codecs.mbus.quirks import MEANT, Quirk, QuirksOf, no_quirks
from linli_core.codecs.mbus.record import Function, Header, Record
from linli_core.codecs.mbus.telegram import Telegram
from linli_core.codecs.mbus.values import MeterTime
from linli_core.codecs.mbus.vif import Measurand, Modifier
from linli_core.instant import Instant
from linli_core.model import Kind, Phase, Point, Quality, Reading, Reason, Statistic, Value
from linli_core.vocabulary import vocabulary

PRECISION: Final = 28
"""Digits of a converted value where the division does not come out even (m3/h to m3/s)."""

_CONTEXT: Final = Context(prec=PRECISION)
_STATISTICS: Final = {
    Function.MAXIMUM: Statistic.MAXIMUM,
    Function.MINIMUM: Statistic.MINIMUM,
    Function.DURING_ERROR: Statistic.DURING_ERROR,
}
_PLANS_KEPT: Final = 4096
_FILLED: Final = 4
"""Bytes of an integer, at least, that are likelier filled with FF than a register at -1."""


@dataclass(frozen=True, slots=True)
class Explained:
    """A record and the reading it became.

    Attributes:
        unit: The reading's unit; empty for texts and dates.
    """

    record: Record
    reading: Reading
    unit: str


@dataclass(frozen=True, slots=True)
class _Plan:
    """What becomes of all records with one header, from one kind of meter."""

    point: Point
    unit: str
    quality: Quality
    reason: Reason | None
    convert: Callable[[Decimal], Decimal] | None
    raw: bool
    is_register: bool = False


class Interpreter:
    """Turns one device's telegrams into readings.

    Attributes:
        device: Id of the device the points belong to.
        unmapped: Records without a quantity of their own, since it was made.
    """

    def __init__(self, device: str, *, utc_offset: int = 0, quirks: QuirksOf = no_quirks) -> None:
        """Store the device's id, how many minutes its clock is east of UTC, and what its make means by its records."""
        self.device = device
        self.unmapped = 0
        self._utc_offset = utc_offset
        self._quirks = quirks
        self._plans: dict[tuple[Header, Identity | None], _Plan] = {}
        self._again: dict[tuple[str, int], Point] = {}

    def readings(self, telegrams: Telegram | Sequence[Telegram], observed_at: Instant) -> list[Reading]:
        """Return a reading for each record of one readout, in order; the mere mark that more follow is none.

        Args:
            telegrams: One telegram, or those of one readout.
            observed_at: When the answer came, by the gateway's clock.
        """
        return [
            reading
            for record, reading, _ in self._read(_sequence(telegrams), observed_at)
            if record.data or record.header.measurand is not Measurand.MANUFACTURER_DATA
        ]

    def explain(self, telegrams: Telegram | Sequence[Telegram], observed_at: Instant) -> list[Explained]:
        """Return the readings of one readout, each with its record and its unit."""
        return [
            Explained(record, reading, unit) for record, reading, unit in self._read(_sequence(telegrams), observed_at)
        ]

    def _read(self, telegrams: Sequence[Telegram], observed_at: Instant) -> Iterator[tuple[Record, Reading, str]]:
        device_time = clock_of(telegrams, self._utc_offset)
        seen: dict[str, int] = {}
        for telegram in telegrams:
            identity = telegram.identity
            failed = telegram.has_failed
            for record in telegram.records:
                header = record.header
                plan = self._plans.get((header, identity)) or self._plan(header, identity)
                point = plan.point
                count = seen[point.name] = seen.get(point.name, 0) + 1
                if count > 1:
                    point = self._again.get((point.name, count)) or self._repeated(point, count)
                # Only what is of now has the clock's time; a stored value is of its own date.
                stamp = None if header.storage else device_time
                reading = self._reading(plan, point, record, observed_at, stamp)
                if failed and reading.quality is Quality.GOOD and not plan.raw:
                    reading = msgspec.structs.replace(reading, quality=Quality.UNCERTAIN, reason=Reason.DEVICE_FAILURE)
                yield record, reading, plan.unit

    def _reading(
        self, plan: _Plan, point: Point, record: Record, observed_at: Instant, device_time: Instant | None
    ) -> Reading:
        value: Value
        if plan.raw:
            self.unmapped += 1
            return Reading(point, raw_text(record), observed_at, device_time=device_time)
        if record.value is None:
            return Reading(point, None, observed_at, Quality.BAD, _why(record.header), device_time)
        if plan.unit and not isinstance(record.value, Decimal):
            # A text or binary data under a measured quantity: hexadecimal digits could pass for its number.
            return Reading(point, None, observed_at, Quality.BAD, Reason.NOT_A_NUMBER, device_time)
        if isinstance(record.value, Decimal):
            value = plan.convert(record.value) if plan.convert else record.value
            if plan.is_register and record.value < 0 and _is_filled(record):
                # EN 13757-3 has another mark for "no value" (80 00 …), and -1 may be; but a register is seldom there.
                return Reading(point, value, observed_at, Quality.UNCERTAIN, Reason.NOT_IMPLEMENTED, device_time)
        elif isinstance(record.value, MeterTime):
            value = str(record.value)
        elif isinstance(record.value, bytes):
            value = record.value.hex().upper()
        else:
            value = record.value
        return Reading(point, value, observed_at, plan.quality, plan.reason, device_time)

    def _plan(self, header: Header, identity: Identity | None) -> _Plan:
        if len(self._plans) >= _PLANS_KEPT:
            self._plans.clear()
        quirks = self._quirks(identity) if identity is not None else ()
        quirk = next((quirk for quirk in quirks if quirk.fits(header)), None)
        if quirk is not None:
            plan = _quirky_plan(self.device, header, quirk)
        elif identity is not None:
            plan = _plan(self.device, header, identity.medium, identity.manufacturer)
        else:
            plan = _plan(self.device, header, -1, "")
        self._plans[header, identity] = plan
        return plan

    def _repeated(self, point: Point, count: int) -> Point:
        if len(self._again) >= _PLANS_KEPT:
            self._again.clear()
        again = self._again[point.name, count] = replace(point, occurrence=count)
        return again


def clock_of(telegrams: Iterable[Telegram], utc_offset: int = 0) -> Instant | None:
    """Return the time of a meter's own clock, if one of the telegrams holds it and it is valid."""
    for telegram in telegrams:
        for record in telegram.records:
            header = record.header
            if (
                header.measurand is Measurand.DATE_TIME
                and isinstance(record.value, MeterTime)
                and not (header.storage or header.tariff or header.subunit or header.function or header.modifiers)
            ):
                return record.value.instant(utc_offset)
    return None


def _is_filled(record: Record) -> bool:
    return len(record.data) >= _FILLED and not record.data.strip(b"\xff")


def raw_text(record: Record) -> str:
    """Return a record as it was sent: DIF and VIF, a hyphen, the data, in hexadecimal."""
    length = b"" if record.length < 0 else bytes((record.length,))
    return f"{(record.header.dib + record.header.vib).hex().upper()}-{(length + record.data).hex().upper()}"


def _sequence(telegrams: Telegram | Sequence[Telegram]) -> Sequence[Telegram]:
    return (telegrams,) if isinstance(telegrams, Telegram) else telegrams


def _plan(device: str, header: Header, medium: int, maker: str) -> _Plan:
    phase = header.phase or manufacturer_phase(maker, header)
    name = quantity_of(header, medium)
    quality, reason = Quality.GOOD, None
    if Modifier.MANUFACTURER in header.modifiers and not phase:
        # The manufacturer's VIFE may make another quantity of it (export, reactive…), unless its phases are known.
        quality, reason = Quality.UNCERTAIN, Reason.CONFIGURATION
    if header.subunit and name in ELECTRIC and Modifier.FORWARD not in header.modifiers:
        # Makers send reactive and apparent values so, told apart by the sub-unit alone.
        quality, reason = Quality.UNCERTAIN, Reason.CONFIGURATION
    convert = None
    unit = ""
    if name is not None:
        unit = vocabulary()[name].unit
        if header.unit not in (unit, BARE):
            convert = _converter(*CONVERSIONS[header.unit, unit])
    point = Point(
        device,
        name or UNMAPPED,
        phase=Phase(phase) if phase else None,
        channel=header.subunit or None,
        tariff=header.tariff or None,
        storage=header.storage or None,
        statistic=_STATISTICS.get(header.function),
    )
    return _Plan(point, unit if name else "", quality, reason, convert, name is None, _is_register(name))


def _quirky_plan(device: str, header: Header, quirk: Quirk) -> _Plan:
    """Return what becomes of a record by what its maker means; raw where its unit cannot be that quantity's."""
    quality, reason = (Quality.GOOD, None) if quirk.certain else (Quality.UNCERTAIN, Reason.CONFIGURATION)
    name: str | None = quirk.quantity or None
    unit = vocabulary()[name].unit if name else ""
    numerator, denominator = 1, 1
    if name and header.unit not in (unit, BARE):
        found = CONVERSIONS.get((header.unit, unit)) or MEANT.get((header.unit, unit))
        if found is None:
            name, unit = None, ""
        else:
            numerator, denominator = found
    numerator *= 10 ** max(quirk.exponent, 0)
    denominator *= 10 ** max(-quirk.exponent, 0)
    phase = quirk.phase or header.phase
    point = Point(
        device,
        name or UNMAPPED,
        phase=Phase(phase) if phase else None,
        channel=header.subunit or None if name is None or quirk.subunit is None or quirk.keeps_channel else None,
        tariff=header.tariff or None if name is None or quirk.tariff is None else None,
        storage=header.storage or None,
        statistic=_STATISTICS.get(header.function),
    )
    convert = _converter(numerator, denominator) if (numerator, denominator) != (1, 1) else None
    return _Plan(point, unit, quality, reason, convert, name is None, _is_register(name))


def _is_register(name: str | None) -> bool:
    return name is not None and vocabulary()[name].kind is Kind.COUNTER


def _converter(numerator: int, denominator: int) -> Callable[[Decimal], Decimal]:
    def convert(value: Decimal) -> Decimal:
        product = _CONTEXT.multiply(value, Decimal(numerator)) if numerator != 1 else value
        return _CONTEXT.divide(product, Decimal(denominator)) if denominator != 1 else product

    return convert


def _why(header: Header) -> Reason:
    """Return why a record has no value."""
    if header.error in ("data overflow", "data underflow"):
        return Reason.OUT_OF_RANGE
    if header.error == "data error":
        return Reason.DEVICE_FAILURE
    if header.error or header.coding in (0x0, 0x8):
        return Reason.NOT_IMPLEMENTED
    return Reason.NOT_A_NUMBER
