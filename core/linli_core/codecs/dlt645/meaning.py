"""From records to readings: the vocabulary's quantity and unit, and where in the meter the value stands.

Every record becomes a reading: what has no quantity of its own is an :data:`UNMAPPED` with the bytes in hexadecimal.
"""

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Final

from linli_core.codecs.bcd import is_blank
from linli_core.codecs.dlt645.answer import Record, raw_text
from linli_core.codecs.dlt645.control import Edition
from linli_core.codecs.dlt645.item import Coding, Item
from linli_core.codecs.mbus.values import MeterTime
from linli_core.instant import MINUTE, Instant
from linli_core.model import Point, Quality, Reading, Reason, Value
from linli_core.vocabulary import vocabulary

UNMAPPED: Final = "dlt645_record"
"""Quantity of a record that is no other: its identifier and its bytes as text."""

STATE_BITS: Final[dict[int, tuple[tuple[int, str, int | None, str, str], ...]]] = {
    1: ((2, "battery_low", 1, "ok", "low"), (3, "battery_low", 2, "ok", "low")),
    3: ((4, "relay_state", None, "closed", "open"),),
}
"""State word of 2007 → bit, quantity, channel, what 0 and 1 say (annex C, running state words).

Channel 1 is the clock's battery, 2 the one for reading out without supply.
"""

CLOCK_TOLERANCE: Final = 10 * MINUTE
"""How far a meter's clock may be from the gateway's before its time is UNCERTAIN; its other values stay as they are."""

_CLOCKS: Final = ("meter_date", "meter_time")
_KEPT: Final = 4096


class Interpreter:
    """Turns one device's records into readings.

    Attributes:
        device: Id of the device the points belong to.
        unmapped: Records without a quantity of their own, since it was made.
    """

    def __init__(self, device: str, *, utc_offset: int = 8 * 60) -> None:
        """Store the device's id and how many minutes its clock is east of UTC; as delivered it shows Beijing's time."""
        self.device = device
        self.unmapped = 0
        self._utc_offset = utc_offset
        self._points: dict[Item, Point] = {}

    def point(self, item: Item) -> Point:
        """Return the point of a value."""
        point = self._points.get(item)
        if point is None:
            if len(self._points) >= _KEPT:
                self._points.clear()
            point = self._points[item] = Point(
                self.device,
                item.quantity,
                phase=item.phase,
                channel=item.channel,
                tariff=item.tariff,
                storage=item.storage,
                statistic=item.statistic,
            )
        return point

    def points(self, item: Item) -> tuple[Point, ...]:
        """Return the points that a value yields: its own, and those of the bits of a state word."""
        bits = _bits(item)
        more = (Point(self.device, quantity, channel=channel) for _, quantity, channel, _, _ in bits)
        return (self.point(item), *more)

    def readings(
        self, edition: Edition, records: Sequence[Record], observed_at: Instant, device_time: Instant | None = None
    ) -> list[Reading]:
        """Return the readings of the records, in order.

        Args:
            edition: The standard the meter speaks.
            records: Of one answer or of several.
            observed_at: When the answer came, by the gateway's clock.
            device_time: The same by the meter's own clock, where it is known.
        """
        found: list[Reading] = []
        seen = 0
        for record in records:
            if record.item is None:
                self.unmapped += 1
                seen += 1
                point = Point(self.device, UNMAPPED)
                point = replace(point, occurrence=seen) if seen > 1 else point
                found.append(Reading(point, raw_text(edition, record), observed_at, device_time=device_time))
                continue
            found.append(self._reading(record, record.item, observed_at, device_time))
            found += self._of_bits(record, record.item, observed_at, device_time)
        return found

    def _reading(self, record: Record, item: Item, observed_at: Instant, device_time: Instant | None) -> Reading:
        point = self.point(item)
        if record.time is not None:
            device_time = record.time.instant(self._utc_offset)
        elif item.storage is not None:
            # Only what is of now has the clock's time; a stored value is of its own date.
            device_time = None
        if record.value is None:
            return Reading(point, None, observed_at, Quality.BAD, why_missing(record), device_time)
        of_now = item.quantity in _CLOCKS and item.storage is None and item.statistic is None
        if of_now and device_time is not None and abs(observed_at - device_time) > CLOCK_TOLERANCE:
            value = value_of(record)
            return Reading(point, value, observed_at, Quality.UNCERTAIN, Reason.CLOCK_DOUBT, device_time)
        return Reading(point, value_of(record), observed_at, device_time=device_time)

    def _of_bits(self, record: Record, item: Item, observed_at: Instant, device_time: Instant | None) -> list[Reading]:
        found: list[Reading] = []
        word = int.from_bytes(record.data, "little")
        blank = is_blank(record.data)
        for bit, quantity, channel, off, on in _bits(item):
            point = Point(self.device, quantity, channel=channel)
            if blank:
                found.append(Reading(point, None, observed_at, Quality.BAD, Reason.NOT_IMPLEMENTED, device_time))
            else:
                found.append(Reading(point, on if word >> bit & 1 else off, observed_at, device_time=device_time))
        return found


def value_of(record: Record) -> Value:
    """Return a record's value in the vocabulary's unit."""
    value, item = record.value, record.item
    if isinstance(value, MeterTime):
        return str(value)
    if isinstance(value, Decimal) and item is not None and item.unit:
        return vocabulary().convert(item.quantity, value, item.unit)
    return value


def why_missing(record: Record) -> Reason:
    """Return why a record has no value: the meter has none, or what it sent is none."""
    return Reason.NOT_IMPLEMENTED if is_blank(record.data) else Reason.NOT_A_NUMBER


def clock_of(records: Sequence[Record], utc_offset: int = 8 * 60) -> Instant | None:
    """Return the time of a meter's own clock, if its records hold date and time and both are valid."""
    date: MeterTime | None = None
    time: MeterTime | None = None
    for record in records:
        item, value = record.item, record.value
        if item is None or item.storage is not None or not isinstance(value, MeterTime):
            continue
        if item.format.coding is Coding.DATE_AND_TIME:
            return value.instant(utc_offset)
        if item.format.coding is Coding.DATE_AND_WEEKDAY:
            date = value
        elif item.format.coding is Coding.TIME:
            time = value
    if date is None or time is None:
        return None
    return MeterTime(date.date, time.time).instant(utc_offset)


def _bits(item: Item) -> tuple[tuple[int, str, int | None, str, str], ...]:
    if item.edition is not Edition.E2007 or item.quantity != "state_word" or item.channel is None:
        return ()
    return STATE_BITS.get(item.channel, ())
