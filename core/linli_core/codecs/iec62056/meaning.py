"""From data sets to readings: OBIS codes, reduced ones included; whatever is none stays visible as its text."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Final

import msgspec

from linli_core.codecs.iec62056.dataset import DataSet, says_nothing, split_value
from linli_core.instant import MINUTE, Instant, from_datetime
from linli_core.model import Kind, Reading, Reason
from linli_core.obis import Booking, Meaning, Obis, meaning_of, parse, unit_of
from linli_core.vocabulary import vocabulary

_TIME: Final = (0, 9, 1)
_DATE: Final = (0, 9, 2)
_CLOCK: Final = (1, 0, 0)
_METER_TIME: Final = Meaning(("meter_time",))


class Ways(msgspec.Struct, frozen=True):
    """What a maker's meters leave out or say in their own way.

    Attributes:
        codes: Identifier as it is sent → the code it stands for.
        units: Identifier as it is sent → unit of the numbers that are sent without one.
    """

    codes: Mapping[str, Obis] = MappingProxyType({})
    units: Mapping[str, str] = MappingProxyType({})


USUAL: Final = Ways()


class Interpreter:
    """Turns one device's data sets into readings.

    Attributes:
        device: Id of the device the points belong to.
        unmapped: Data sets without a quantity of their own, since it was made.
    """

    def __init__(self, device: str, *, utc_offset: int = 0, ways: Ways = USUAL) -> None:
        """Store the device's id, how many minutes its clock is east of UTC, and its maker's ways."""
        self.device = device
        self.unmapped = 0
        self._utc_offset = utc_offset
        self._ways = ways

    def readings(self, datasets: Sequence[DataSet], observed_at: Instant) -> list[Reading]:
        """Return a reading for each data set that carries a value, in order."""
        booking = Booking(self.device, observed_at)
        codes = [self._ways.codes.get(dataset.identifier) or code_of(dataset) for dataset in datasets]
        clock = clock_of(datasets, codes)
        device_time = from_datetime(clock) - self._utc_offset * MINUTE if clock is not None else None
        told = False
        for dataset, code in zip(datasets, codes, strict=True):
            if (
                code is not None
                and _is_clock(code)
                and (clock is not None or _is_unset(dataset) or _is_no_date(dataset, code))
            ):
                # Date and time stand in two data sets in most meters: together they are one reading.
                if not told and clock is not None:
                    booking.text(_METER_TIME, clock.replace(tzinfo=None).isoformat(), device_time=device_time)
                elif not told:
                    booking.missing(_METER_TIME, Reason.NOT_IMPLEMENTED)
                told = True
                continue
            self._book(booking, dataset, code, device_time)
        self.unmapped += booking.raw
        return booking.readings

    def _book(self, booking: Booking, dataset: DataSet, code: Obis | None, device_time: Instant | None) -> None:
        meaning = meaning_of(code) if code is not None else None
        if code is None or meaning is None:
            booking.text(None, dataset.raw, device_time=device_time)
            return
        if code.is_clock:
            # A clock that is right was told before; this one says no moment there is.
            booking.missing(meaning, Reason.NOT_IMPLEMENTED)
            return
        # Only what is of now has the clock's time; a stored value is of its own date.
        stamp = None if meaning.storage is not None else device_time
        value = dataset.values[0] if dataset.values else ""
        number, unit_text = split_value(value)
        unit = unit_of(unit_text) if unit_text else ""
        word = vocabulary()[meaning.quantities[0]]
        is_number = bool(word.unit) or word.kind is not Kind.STATE
        if not is_number:
            booking.text(meaning, value.strip(), device_time=stamp)
        elif says_nothing(value):
            booking.missing(meaning, Reason.NOT_IMPLEMENTED, device_time=stamp)
        elif number is None or unit is None:
            booking.text(None, dataset.raw, device_time=stamp)
        else:
            own = self._ways.units.get(dataset.identifier, "")
            booking.meant(meaning, number, unit or own, dataset.raw, device_time=stamp)
            if len(dataset.values) > 1:
                # What else stands beside it (a demand's time, the register before) is kept as it is.
                booking.text(None, dataset.raw, device_time=stamp)


def code_of(dataset: DataSet) -> Obis | None:
    """Return a data set's OBIS code; ``None`` if its identifier is none."""
    try:
        return parse(dataset.identifier)
    except ValueError:
        return None


def _is_clock(code: Obis) -> bool:
    return code.is_clock or (code.a in {None, 0, 1} and (code.c, code.d, code.e) in {_TIME, _DATE})


def _is_unset(dataset: DataSet) -> bool:
    """Tell whether a date or time is that of a clock that was never set: zeros, or no digits at all."""
    return not any(set(_digits(value)) - {"0"} for value in dataset.values)


def _is_no_date(dataset: DataSet, code: Obis) -> bool:
    """Tell whether a date is of no day there is: 2000-01-00."""
    digits = _digits(dataset.values[0]) if dataset.values else ""
    date = digits[1:] if len(digits) == 7 else digits
    return (code.c, code.d, code.e) == _DATE and len(date) == 6 and _moment(f"{date}000000") is None


def identity_of(datasets: Sequence[DataSet]) -> str:
    """Return the number by which a meter is known: ``C.1.0``, ``0.0.0``; empty if it sends none."""
    for wanted in ((96, 1, 0), (96, 1, 1), (0, 0, 0), (42, 0, 0)):
        for dataset in datasets:
            code = code_of(dataset)
            if code is None or (code.c, code.d, code.e) != wanted or code.channel or code.a not in {None, 0, 1}:
                continue
            if text := dataset.values[0].strip():
                return text
    return ""


def clock_of(datasets: Sequence[DataSet], codes: Sequence[Obis | None]) -> datetime | None:
    """Return the meter's own date and time; ``None`` if it sends none that is one. Zone: the meter's, taken as UTC."""
    found: dict[tuple[int, int, int], str] = {}
    for dataset, code in zip(datasets, codes, strict=True):
        if code is not None and dataset.values and code.a in {None, 0, 1}:
            found.setdefault((code.c, code.d, code.e), dataset.values[0])
    if whole := found.get(_CLOCK):
        return _moment(_digits(whole))
    date, time = _digits(found.get(_DATE, "")), _digits(found.get(_TIME, ""))
    # A leading digit for season or day of week stands before the date in some meters.
    date = date[1:] if len(date) == 7 else date
    time = time[1:] if len(time) == 7 else time
    return _moment(date + time) if len(date) == 6 and len(time) == 6 else None


def _digits(text: str) -> str:
    return "".join(character for character in text if character.isascii() and character.isdigit())


def _moment(digits: str) -> datetime | None:
    digits = digits[1:] if len(digits) == 13 else digits
    digits = digits + "00" if len(digits) == 10 else digits
    if len(digits) != 12:
        return None
    year, month, day, hour, minute, second = (int(digits[at : at + 2]) for at in range(0, 12, 2))
    try:
        return datetime(2000 + year, month, day, hour, minute, second, tzinfo=UTC)
    except ValueError:
        return None
