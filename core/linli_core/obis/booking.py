"""From codes and values to readings: the vocabulary's quantity and unit; whatever has none is kept as its text."""

from dataclasses import replace
from decimal import Decimal
from typing import Final

from linli_core.instant import Instant
from linli_core.model import Kind, Point, Quality, Reading, Reason, Value
from linli_core.obis.identifier import Obis
from linli_core.obis.table import Meaning, meaning_of
from linli_core.units import UnitError
from linli_core.vocabulary import vocabulary

RAW: Final = "obis_record"
"""Quantity of a value that is no other: what the meter sent, as text."""


class Booking:
    """The readings of one telegram.

    Attributes:
        readings: In the order booked.
        raw: How many of them have no quantity of their own.
    """

    def __init__(self, device: str, observed_at: Instant) -> None:
        self.readings: list[Reading] = []
        self.raw = 0
        self._device = device
        self._observed_at = observed_at
        self._seen: dict[str, int] = {}

    def number(
        self, code: Obis, value: Decimal | None, unit: str, raw: str, *, device_time: Instant | None = None
    ) -> None:
        """Book a number.

        Args:
            code: What it is.
            value: The register's digits; ``None`` where the meter says that it has no value.
            unit: Linli's name of its unit; empty where the meter gives none.
            raw: The value as it was sent, for when it has no quantity.
            device_time: The meter's stamp.
        """
        meaning = meaning_of(code)
        if meaning is None:
            self.text(None, raw, device_time=device_time)
            return
        self.meant(meaning, value, unit, raw, device_time=device_time)

    def meant(
        self,
        meaning: Meaning,
        value: Decimal | None,
        unit: str,
        raw: str,
        *,
        device_time: Instant | None = None,
        filled: bool = False,
    ) -> None:
        """Book a number whose meaning is known; one whose unit measures something else is kept as text.

        ``filled`` says that all its bits are set: a register is likelier without a value than at minus one.
        """
        words = vocabulary()
        for name in meaning.quantities:
            if value is None:
                self._add(self.point(meaning, name), None, device_time)
                return
            own = words[name].unit
            if unit or not own or own == "count":
                if not own:
                    # A state or a bare number: a switch position, a tariff.
                    self._add(self.point(meaning, name), value, device_time)
                    return
                try:
                    converted = words.convert(name, value, unit or own)
                except UnitError:
                    continue
                reason = Reason.NOT_IMPLEMENTED if filled and words[name].kind is Kind.COUNTER else None
                self._add(self.point(meaning, name), converted, device_time, reason)
                return
        self.text(None, raw, device_time=device_time)

    def text(self, meaning: Meaning | None, text: str, *, device_time: Instant | None = None) -> None:
        """Book a text: of a state that is one, or (without a meaning) as what was sent."""
        if meaning is None:
            self.raw += 1
            self._add(Point(self._device, RAW), text, device_time)
        else:
            self._add(self.point(meaning, meaning.quantities[0]), text, device_time)

    def missing(self, meaning: Meaning, reason: Reason, *, device_time: Instant | None = None) -> None:
        """Book that there is no value, and why."""
        self._add(self.point(meaning, meaning.quantities[0]), None, device_time, reason)

    def point(self, meaning: Meaning, quantity: str) -> Point:
        """Return the point of a meaning."""
        return Point(
            self._device,
            quantity,
            phase=meaning.phase,
            channel=meaning.channel,
            tariff=meaning.tariff,
            storage=meaning.storage,
        )

    def _add(self, point: Point, value: Value, device_time: Instant | None, reason: Reason | None = None) -> None:
        count = self._seen[point.name] = self._seen.get(point.name, 0) + 1
        if count > 1:
            point = replace(point, occurrence=count)
        if value is None:
            reason = reason or Reason.NOT_IMPLEMENTED
            reading = Reading(point, None, self._observed_at, Quality.BAD, reason, device_time)
        elif reason is not None:
            reading = Reading(point, value, self._observed_at, Quality.UNCERTAIN, reason, device_time)
        else:
            reading = Reading(point, value, self._observed_at, device_time=device_time)
        self.readings.append(reading)
