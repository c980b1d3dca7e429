"""From notifications to readings."""

from collections.abc import Sequence
from typing import Final

from linli_core.codecs.dlms.apdu import DataNotification, EventNotification
from linli_core.codecs.dlms.axdr import OCTETS, STRUCTURE, Item, encode_data
from linli_core.codecs.dlms.clock import SIZE, CosemTime, decode_time
from linli_core.codecs.dlms.layout import Layout
from linli_core.codecs.dlms.values import Value, is_filled, is_missing, values_of
from linli_core.instant import Instant
from linli_core.model import Kind, Reading, Reason
from linli_core.obis import Booking, Meaning, meaning_of
from linli_core.vocabulary import vocabulary

Notification = DataNotification | EventNotification

_IDENTITIES: Final = ((96, 1, 0), (96, 1, 1), (0, 0, 5), (0, 0, 0), (42, 0, 0))


class Interpreter:
    """Turns one device's notifications into readings.

    Attributes:
        device: Id of the device the points belong to.
        unmapped: Values without a quantity of their own, since it was made.
    """

    def __init__(self, device: str, *, layout: Layout | None = None, utc_offset: int = 0) -> None:
        """Store the device's id, what its maker's lists leave out, and its clock's minutes east of UTC."""
        self.device = device
        self.unmapped = 0
        self._layout = layout
        self._utc_offset = utc_offset

    def readings(self, notification: Notification, observed_at: Instant) -> list[Reading]:
        """Return a reading for each value, in order."""
        if isinstance(notification, EventNotification):
            values: Sequence[Value] = (Value(notification.attribute.code, notification.body),)
        else:
            values = values_of(notification.body, self._layout)
        clock = clock_of(notification, values)
        device_time = clock.instant(self._utc_offset) if clock is not None else None
        booking = Booking(self.device, observed_at)
        for value in values:
            self._book(booking, value, device_time)
        self.unmapped += booking.raw
        return booking.readings

    def _book(self, booking: Booking, value: Value, device_time: Instant | None) -> None:
        meaning = meaning_of(value.code) if value.code is not None else None
        raw = raw_text(value)
        if meaning is None:
            booking.text(None, raw, device_time=device_time)
            return
        stamp = None if meaning.storage is not None else device_time
        word = vocabulary()[meaning.quantities[0]]
        if meaning.quantities[0] == "meter_time":
            self._book_clock(booking, meaning, value)
        elif is_missing(value.item):
            booking.missing(meaning, Reason.NOT_IMPLEMENTED, device_time=stamp)
        elif not word.unit and word.kind is Kind.STATE:
            booking.text(meaning, shown_value(value.item), device_time=stamp)
        elif value.number is None or value.unit is None:
            booking.text(None, raw, device_time=stamp)
        else:
            # A power factor has no unit; a register of which nothing says the unit stays what was sent.
            unit = value.unit or ("/" if value.described and meaning.quantities[0] == "power_factor" else "")
            booking.meant(meaning, value.number, unit, raw, device_time=stamp, filled=is_filled(value.item))

    def _book_clock(self, booking: Booking, meaning: Meaning, value: Value) -> None:
        time = value.time
        if time is None or not str(time):
            booking.missing(meaning, Reason.NOT_IMPLEMENTED)
        else:
            booking.text(meaning, str(time), device_time=time.instant(self._utc_offset))


def clock_of(notification: Notification, values: Sequence[Value]) -> CosemTime | None:
    """Return the meter's time: of the notification's head, else the clock among its values."""
    if notification.time is not None:
        return notification.time
    for value in values:
        code = value.code
        if code is not None and code.is_clock and value.time is not None:
            return value.time
    return _first_time(notification.body)


def _first_time(body: Item) -> CosemTime | None:
    """Return the time that a flat list of codes begins with, as Austria's do."""
    if body.tag != STRUCTURE or not body.items:
        return None
    first = body.items[0]
    if first.tag == OCTETS and isinstance(first.value, bytes) and len(first.value) == SIZE:
        return decode_time(first.value)
    return first.value if isinstance(first.value, CosemTime) else None


def identity_of(values: Sequence[Value]) -> str:
    """Return the number by which a meter is known; empty if it sends none."""
    for wanted in _IDENTITIES:
        for value in values:
            code = value.code
            if code is None or code.a not in {0, 1} or (code.c, code.d, code.e) != wanted:
                continue
            if text := shown_value(value.item):
                return text
    return ""


def shown_value(item: Item) -> str:
    """Return an element for people: octets as the text they are, else as hexadecimal digits."""
    value = item.value
    if isinstance(value, bytes):
        if value and all(0x20 <= byte < 0x7F for byte in value):
            return value.decode("ascii").strip()
        return value.hex().upper()
    if isinstance(value, bool):
        return "1" if value else "0"
    if isinstance(value, tuple):
        return encode_data(item).hex().upper()
    return "" if value is None else str(value).strip()


def raw_text(value: Value) -> str:
    """Return a value as it was sent: its code, if it has one, and the element in hexadecimal."""
    code = str(value.code) if value.code is not None else ""
    return f"{code}({raw_hex(value.item)})"


def raw_hex(item: Item) -> str:
    """Return an element's bytes in hexadecimal."""
    if isinstance(item.value, CosemTime) or item.value is None or not isinstance(item.value, tuple):
        return f"{item.tag:02X}:{shown_value(item)}"
    return encode_data(item).hex().upper()
