"""From records to readings: the vocabulary's quantity and unit, and where in the meter the value stands.

Every record becomes a reading: what fits no layout is an :data:`UNMAPPED` with the bytes in hexadecimal.
"""

from collections.abc import Sequence
from decimal import Decimal
from typing import Final

from linli_core.codecs.bcd import is_blank
from linli_core.codecs.cjt188 import control
from linli_core.codecs.cjt188.answer import Answer, raw_text
from linli_core.codecs.cjt188.control import HEAT_AND_COLD, VOLUMES, is_gas, is_heat, is_water
from linli_core.codecs.cjt188.layout import STANDARD, STATUS_SIZE, Dialect, Field, Part, Record, layout
from linli_core.codecs.mbus.values import MeterTime
from linli_core.instant import MINUTE, Instant
from linli_core.model import Point, Quality, Reading, Reason, Value
from linli_core.vocabulary import vocabulary

UNMAPPED: Final = "cjt188_record"
"""Quantity of bytes that fit no layout: identifier and bytes as text."""

HISTORY_STORAGE: Final = 100
"""Storage number of a month of the history: 100 + how many months ago. The last settlement day is 1."""

CLOCK_TOLERANCE: Final = 10 * MINUTE
"""How far a meter's clock may be from the gateway's before its time is UNCERTAIN."""

BATTERY_BIT: Final = 0x04
VALVE_MASK: Final = 0x03

_QUANTITIES: Final = {
    Part.POWER: "heat_power",
    Part.FLOW: "heat_flow",
    Part.SUPPLY: "flow_temperature",
    Part.RETURN: "return_temperature",
    Part.HOURS: "operating_time",
    Part.CLOCK: "meter_time",
    Part.STATUS: "state_word",
    Part.PRICE: "unit_price",
    Part.STEP: "price_step_volume",
    Part.SETTLEMENT_DAY: "settlement_day",
    Part.READING_DAY: "reading_day",
    Part.PURCHASE_NUMBER: "purchase_number",
    Part.PURCHASED: "purchase_amount",
    Part.PURCHASED_TOTAL: "purchase_total",
    Part.BALANCE: "purchase_balance",
}


class Interpreter:
    """Turns one device's records into readings.

    Attributes:
        device: Id of the device the points belong to.
        unmapped: Answers that fitted no layout, since it was made.
    """

    def __init__(self, device: str, *, dialect: Dialect = STANDARD, utc_offset: int = 8 * 60) -> None:
        """Store the device's id, its maker's dialect and how many minutes its clock is east of UTC."""
        self.device = device
        self.unmapped = 0
        self._dialect = dialect
        self._utc_offset = utc_offset

    def readings(self, answer: Answer, records: Sequence[Record], observed_at: Instant) -> list[Reading]:
        """Return the readings of one answer, in order; its clock is the device time of what is of now."""
        clock = next((record.value for record in records if isinstance(record.value, MeterTime)), None)
        device_time = clock.instant(self._utc_offset) if clock is not None else None
        found: list[Reading] = []
        for record in records:
            if record.field is None:
                self.unmapped += 1
                point = Point(self.device, UNMAPPED)
                found.append(Reading(point, raw_text(answer, record.data), observed_at, device_time=device_time))
                continue
            point = self._point(answer.meter_type, answer.identifier, record.field)
            stamp = None if point.storage is not None else device_time
            found.append(self._reading(answer.meter_type, point, record, observed_at, stamp))
            if record.field.part is Part.STATUS:
                found += self._of_status(answer.meter_type, record.data, observed_at, device_time)
        return found

    def points(self, meter_type: int, identifier: int, size: int) -> tuple[Point, ...]:
        """Return the points that an answer of so many bytes yields."""
        found: list[Point] = []
        for item in layout(meter_type, identifier, bytes(size), self._dialect):
            found.append(self._point(meter_type, identifier, item))
            if item.part is Part.STATUS:
                found += [reading.point for reading in self._of_status(meter_type, bytes(STATUS_SIZE), 0, None)]
        return tuple(found)

    def _point(self, meter_type: int, identifier: int | None, item: Field) -> Point:
        storage = 1 if item.settled else None
        quantity = _QUANTITIES.get(item.part) or _counted(meter_type, item)
        if quantity == "heat_power" and meter_type == control.COLD:
            quantity = "cooling_power"
        if item.part is Part.AMOUNT and identifier is not None:
            storage = HISTORY_STORAGE + identifier - control.HISTORY + 1
        return Point(self.device, quantity, channel=item.channel, storage=storage)

    def _reading(
        self, meter_type: int, point: Point, record: Record, observed_at: Instant, device_time: Instant | None
    ) -> Reading:
        value, quality, reason = _value(point.quantity, record)
        if quality is Quality.GOOD and point.quantity == "meter_time" and device_time is not None:
            late = abs(observed_at - device_time) > CLOCK_TOLERANCE
            if late or record.odd:
                quality, reason = Quality.UNCERTAIN, Reason.CLOCK_DOUBT
        assert record.field is not None, "what has no field has no point of its own"
        if quality is Quality.GOOD and record.field.part is Part.ENERGY and meter_type == HEAT_AND_COLD:
            # Which of the two energies is which differs by maker; the standard's order holds for one of them only.
            quality, reason = Quality.UNCERTAIN, Reason.CONFIGURATION
        return Reading(point, value, observed_at, quality, reason, device_time)

    def _of_status(
        self, meter_type: int, data: bytes, observed_at: Instant, device_time: Instant | None
    ) -> list[Reading]:
        """Return what the first status byte says; the second one is the maker's own. Filled with FF it says nothing."""
        status, blank = data[0], is_blank(data)
        found: list[Reading] = []
        valve = "water_valve_state" if is_water(meter_type) else "gas_valve_state" if is_gas(meter_type) else ""
        if valve and self._dialect.valve:
            point = Point(self.device, valve)
            word = self._dialect.valve.get(status & VALVE_MASK)
            if blank:
                found.append(Reading(point, None, observed_at, Quality.BAD, Reason.NOT_IMPLEMENTED, device_time))
            elif word is None:
                found.append(Reading(point, None, observed_at, Quality.BAD, Reason.NOT_A_NUMBER, device_time))
            else:
                found.append(Reading(point, word, observed_at, device_time=device_time))
        if self._dialect.battery:
            point = Point(self.device, "battery_low")
            word = "low" if status & BATTERY_BIT else "ok"
            if blank:
                found.append(Reading(point, None, observed_at, Quality.BAD, Reason.NOT_IMPLEMENTED, device_time))
            else:
                found.append(Reading(point, word, observed_at, device_time=device_time))
        return found


def _counted(meter_type: int, item: Field) -> str:
    """Return the quantity of an energy, a volume, or what of the two a history holds."""
    if is_heat(meter_type):
        if item.part is Part.VOLUME:
            return "heat_volume"
        return "cooling_energy" if meter_type == control.COLD else "heat_energy"
    if is_gas(meter_type):
        return "gas_volume"
    return VOLUMES.get(meter_type, "water_volume")


def _value(quantity: str, record: Record) -> tuple[Value, Quality, Reason | None]:
    """Return a record's value in the vocabulary's unit, and how far it can be trusted."""
    value = record.value
    if value is None:
        blank = is_blank(record.data) or is_blank(record.data[:-1]) or not any(record.data)
        return None, Quality.BAD, Reason.NOT_IMPLEMENTED if blank else Reason.NOT_A_NUMBER
    if isinstance(value, Decimal):
        if record.unit is None or (record.unit.name and record.unit.name not in vocabulary().units_of(quantity)):
            # The number is there, but nobody can say of what: it is in the raw bytes, not under this name.
            return None, Quality.BAD, Reason.CONFIGURATION
        if record.unit.name:
            value = vocabulary().convert(quantity, value * record.unit.factor, record.unit.name)
        return value, Quality.GOOD, None
    return str(value), Quality.GOOD, None
