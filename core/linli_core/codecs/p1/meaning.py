"""From P1 telegrams to readings: codes of the electricity meter, and the meters on its M-Bus channels."""

import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Final

from linli_core.codecs.iec62056.dataset import DataSet, says_nothing, split_value
from linli_core.codecs.iec62056.meaning import code_of
from linli_core.codecs.p1.frame import Telegram
from linli_core.instant import MINUTE, Instant, from_datetime
from linli_core.model import Kind, Reading, Reason
from linli_core.obis import Booking, Meaning, Obis, meaning_of, parse, unit_of
from linli_core.vocabulary import vocabulary

CENTRAL_EUROPE: Final = 60
"""Minutes the standard time of the countries with P1 is east of UTC; summer time is an hour more, and says so."""

_STAMP: Final = re.compile(r"(\d{12})([SW]?)", re.ASCII)
_LONG_STAMP: Final = re.compile(r"(\d\d)-(\d\d)-(\d\d) (\d\d):(\d\d):(\d\d)", re.ASCII)
_SHORT_STAMP: Final = re.compile(r"\d{10}", re.ASCII)
_HEX: Final = re.compile(r"(?:[0-9A-Fa-f]{2})+", re.ASCII)

_TYPE: Final = (24, 1, 0)
_IDENTITIES: Final = frozenset({(96, 1, 0), (96, 1, 1)})
_READINGS: Final = frozenset({(24, 2, 1), (24, 2, 2), (24, 2, 3), (24, 3, 0)})
_VALVE: Final = (24, 4, 0)
_FAILURES: Final = (99, 97, 0)
_PEAKS: Final = (98, 1, 0)

_BY_TYPE: Final = {
    2: ("energy_import",),
    3: ("gas_volume",),
    4: ("heat_energy", "heat_volume"),
    6: ("hot_water_volume",),
    7: ("water_volume",),
    8: ("heat_cost_units",),
    10: ("cooling_energy",),
    11: ("cooling_energy",),
    12: ("heat_energy", "heat_volume"),
    13: ("heat_energy", "heat_volume"),
    21: ("hot_water_volume",),
    22: ("water_volume",),
}
"""Device type of a channel (EN 13757-3, medium) → what its reading may be, by unit."""

_WITHOUT_TYPE: Final = ("gas_volume",)
"""Version 2 and some meters leave the type out; m³ on a channel without one is gas (water names its type)."""

_TEXTS: Final = frozenset({"text_message", "serial_number", "meter_model"})
_NO_DATE: Final = "632525252525"
"""Date that Fluvius' meters send where there is no reading."""


class Interpreter:
    """Turns one port's telegrams into readings.

    Attributes:
        device: Id of the device the points belong to.
        unmapped: Data sets without a quantity of their own, since it was made.
        empty_slots: Channels with no meter on them, in the last telegram.
    """

    def __init__(self, device: str, *, utc_offset: int = CENTRAL_EUROPE) -> None:
        """Store the device's id and how many minutes standard time is east of UTC."""
        self.device = device
        self.unmapped = 0
        self.empty_slots = 0
        self._utc_offset = utc_offset

    def readings(self, telegram: Telegram, observed_at: Instant) -> list[Reading]:
        """Return a reading for each data set that carries a value, in order; a list, one for each of its entries."""
        booking = Booking(self.device, observed_at)
        slots = _Slots(telegram.datasets)
        self.empty_slots = len(slots.empty)
        clock = self._clock(telegram.datasets)
        for dataset in newest_first(telegram.datasets):
            code = code_of(dataset)
            if code is None:
                booking.text(None, dataset.raw, device_time=clock)
            elif code.a == 0 and code.channel in slots.empty:
                continue
            else:
                self._book(booking, dataset, code, slots, clock)
        self.unmapped += booking.raw
        return _numbered(booking.readings)

    def _clock(self, datasets: Sequence[DataSet]) -> Instant | None:
        for dataset in datasets:
            code = code_of(dataset)
            if code is not None and code.is_clock and dataset.values:
                return self.instant(dataset.values[0])
        return None

    def instant(self, text: str) -> Instant | None:
        """Return the instant of a stamp ``YYMMDDhhmmss[S|W]``; ``None`` if there is no such moment."""
        found = moment_of(text)
        if found is None:
            return None
        moment, summer = found
        return from_datetime(moment) - (self._utc_offset + 60 * summer) * MINUTE

    def _book(self, booking: Booking, dataset: DataSet, code: Obis, slots: "_Slots", clock: Instant | None) -> None:
        groups = (code.c, code.d, code.e)
        if groups in _READINGS and code.a == 0:
            self._book_channel(booking, dataset, slots.meaning(code))
        elif groups == _FAILURES:
            self._book_failures(booking, dataset)
        elif groups == _PEAKS:
            self._book_peaks(booking, dataset)
        elif code.is_clock:
            self._book_clock(booking, dataset, code)
        else:
            meaning = slots.valve(code) if groups == _VALVE else meaning_of(code)
            self._book_plain(booking, dataset, meaning, clock)

    def _book_plain(self, booking: Booking, dataset: DataSet, meaning: Meaning | None, clock: Instant | None) -> None:
        stamp = next((instant for value in dataset.values if (instant := self.instant(value)) is not None), None)
        values = [value for value in dataset.values if moment_of(value) is None and _NO_DATE not in value]
        value = values[-1] if values else ""
        if meaning is None:
            booking.text(None, dataset.raw, device_time=stamp or clock)
            return
        word = vocabulary()[meaning.quantities[0]]
        if not word.unit and word.kind is Kind.STATE:
            text = hex_text(value) if meaning.quantities[0] in _TEXTS else value.strip()
            if text or meaning.quantities[0] == "text_message":
                booking.text(meaning, text, device_time=stamp or clock)
            return
        number, unit_text = split_value(value)
        unit = unit_of(unit_text) if unit_text else ""
        if says_nothing(value):
            booking.missing(meaning, Reason.NOT_IMPLEMENTED, device_time=clock)
        elif number is None or unit is None:
            booking.text(None, dataset.raw, device_time=clock)
        else:
            booking.meant(meaning, number, unit, dataset.raw, device_time=stamp or clock)

    def _book_clock(self, booking: Booking, dataset: DataSet, code: Obis) -> None:
        meaning = meaning_of(code)
        assert meaning is not None
        found = moment_of(dataset.values[0]) if dataset.values else None
        if found is None:
            booking.missing(meaning, Reason.NOT_IMPLEMENTED)
        else:
            booking.text(
                meaning, found[0].replace(tzinfo=None).isoformat(), device_time=self.instant(dataset.values[0])
            )

    def _book_channel(self, booking: Booking, dataset: DataSet, meaning: Meaning) -> None:
        """Book the reading of a meter on a channel: stamp and value, or version 3's stamp, settings and value."""
        stamp = self.instant(dataset.values[0])
        numbers = [split_value(value) for value in dataset.values[1:]]
        number, unit_text = numbers[-1] if numbers else (None, "")
        if not unit_text:
            unit_text = next((value for value in dataset.values[1:-1] if unit_of(value) is not None), "")
        unit = unit_of(unit_text) if unit_text else ""
        if number is None or _NO_DATE in dataset.values[0]:
            booking.missing(meaning, Reason.NOT_IMPLEMENTED, device_time=stamp)
            return
        if unit is None:
            # There is a unit, and nobody knows it: of what the number is, nothing says.
            booking.text(None, dataset.raw, device_time=stamp)
            return
        if not unit:
            # Fluvius leaves out the unit together with the asterisk; what kind of meter it is says which it is.
            unit = vocabulary()[meaning.quantities[0]].unit
            unit = "" if unit == "Wh" else unit
        booking.meant(meaning, number, unit, dataset.raw, device_time=stamp)

    def _book_failures(self, booking: Booking, dataset: DataSet) -> None:
        """Book the log of long power failures: count, code, and an end and a duration for each; the newest is 1."""
        entries = []
        for end, duration in zip(dataset.values[2::2], dataset.values[3::2], strict=False):
            number, unit = split_value(duration)
            if number is not None and unit == "s":
                entries.append((self.instant(end), number))
        entries.sort(key=lambda entry: -(entry[0] or 0))
        for place, (instant, number) in enumerate(entries, 1):
            meaning = Meaning(("power_failure_duration",), storage=place)
            booking.meant(meaning, number, "s", dataset.raw, device_time=instant)
        if not entries and len(dataset.values) > 2:
            booking.text(None, dataset.raw)

    def _book_peaks(self, booking: Booking, dataset: DataSet) -> None:
        """Book Belgium's peaks of past months: count, two codes, then month, moment and demand; the newest is 1."""
        triples = list(zip(dataset.values[3::3], dataset.values[4::3], dataset.values[5::3], strict=False))
        peaks = [(month, self.instant(moment), split_value(value)) for month, moment, value in triples]
        if not peaks or any(number is None or unit_of(unit) is None for _, _, (number, unit) in peaks):
            booking.text(None, dataset.raw)
            return
        for place, (_, instant, (number, unit)) in enumerate(sorted(peaks, key=lambda peak: peak[0], reverse=True), 1):
            meaning = Meaning(("demand_import_maximum",), storage=place)
            if instant is None:
                booking.missing(meaning, Reason.NOT_IMPLEMENTED)
            else:
                booking.meant(meaning, number, unit_of(unit) or "", dataset.raw, device_time=instant)


class _Slots:
    """The M-Bus channels of one telegram: what is on each, and on which there is nothing."""

    def __init__(self, datasets: Sequence[DataSet]) -> None:
        self._types: dict[int, int] = {}
        named: set[int] = set()
        seen: dict[int, list[DataSet]] = {}
        for dataset in datasets:
            code = code_of(dataset)
            if code is None or code.a != 0 or code.channel is None:
                continue
            groups, value = (code.c, code.d, code.e), dataset.values[0].strip() if dataset.values else ""
            if groups == _TYPE and value.isdecimal():
                self._types[code.channel] = int(value)
            elif groups in _IDENTITIES:
                seen.setdefault(code.channel, [])
                if value:
                    named.add(code.channel)
            elif groups in _READINGS:
                seen.setdefault(code.channel, []).append(dataset)
        self.empty = {
            channel for channel, readings in seen.items() if channel not in named and all(map(_says_nothing, readings))
        }

    def meaning(self, code: Obis) -> Meaning:
        kind = self._types.get(code.channel or 0)
        return Meaning(
            _BY_TYPE.get(kind, ("obis_record",)) if kind is not None else _WITHOUT_TYPE, channel=code.channel
        )

    def valve(self, code: Obis) -> Meaning:
        """Return whose valve it is."""
        kind = self._types.get(code.channel or 0, 3)
        names = {3: "gas_valve_state", 6: "water_valve_state", 7: "water_valve_state"}
        return Meaning((names.get(kind, "relay_state"),), channel=code.channel)


def _says_nothing(dataset: DataSet) -> bool:
    """Tell whether a channel's reading is what a slot without a meter sends: no value, or 0 without a unit."""
    number, unit = split_value(dataset.values[-1])
    stamp = dataset.values[0]
    return number is None or (number == 0 and not unit and (stamp.startswith("700101") or _NO_DATE in stamp))


def newest_first(datasets: Sequence[DataSet]) -> list[DataSet]:
    """Return data sets with those of one identifier that have stamps of their own sorted, the newest first."""
    places: dict[str, list[int]] = {}
    for place, dataset in enumerate(datasets):
        places.setdefault(dataset.identifier, []).append(place)
    ordered = list(datasets)
    for same in places.values():
        if len(same) > 1 and all(_moment_in(datasets[place]) is not None for place in same):
            newest = sorted((datasets[place] for place in same), key=lambda item: str(_moment_in(item)), reverse=True)
            for place, dataset in zip(same, newest, strict=True):
                ordered[place] = dataset
    return ordered


def _moment_in(dataset: DataSet) -> datetime | None:
    found = [moment for value in dataset.values if (moment := moment_of(value)) is not None]
    return found[0][0] if found else None


def _numbered(readings: list[Reading]) -> list[Reading]:
    """Return readings with those of a list (alike but for their time, the newest first) stored as 1, 2, 3 and so on."""
    numbered = []
    for reading in readings:
        point = reading.point
        if point.occurrence is not None and reading.device_time is not None and point.quantity.endswith("_volume"):
            point = replace(point, occurrence=None, storage=point.occurrence - 1)
            numbered.append(
                Reading(point, reading.value, reading.observed_at, reading.quality, reading.reason, reading.device_time)
            )
        else:
            numbered.append(reading)
    return numbered


def moment_of(text: str) -> tuple[datetime, bool] | None:
    """Return a stamp's date and time, taken as UTC, and whether it is summer time; ``None`` if it is no stamp."""
    if match := _LONG_STAMP.fullmatch(text):
        digits, season = "".join(match.groups()), ""
    elif match := _STAMP.fullmatch(text):
        digits, season = match[1], match[2]
    elif _SHORT_STAMP.fullmatch(text):
        # Version 2 has no seconds.
        digits, season = text + "00", ""
    else:
        return None
    year, month, day, hour, minute, second = (int(digits[at : at + 2]) for at in range(0, 12, 2))
    try:
        return datetime(2000 + year, month, day, hour, minute, second, tzinfo=UTC), season == "S"
    except ValueError:
        return None


def hex_text(value: str) -> str:
    """Return the text that hexadecimal digits spell, or the value as it is where they spell none."""
    value = value.strip()
    if len(value) < 8 or _HEX.fullmatch(value) is None:
        return value
    text = bytes.fromhex(value)
    return text.decode("ascii").strip() if all(0x20 <= byte < 0x7F for byte in text) else value


def identity_of(telegram: Telegram) -> str:
    """Return the electricity meter's number; where it sends none, the identification line."""
    for wanted in ("0-0:96.1.1", "0-0:96.1.0", "0-0:42.0.0", "1-0:0.0.0"):
        code = parse(wanted)
        for dataset in telegram.datasets:
            found = code_of(dataset)
            if found is not None and replace(found, f=code.f) == code and (text := hex_text(dataset.values[0])):
                return text
    return telegram.identification
