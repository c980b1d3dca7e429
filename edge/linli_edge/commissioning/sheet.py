"""The hand-over sheet: which gateway, which devices, what each point read and what its display showed. Pure data.

Numbers are texts: what was signed must come back digit by digit.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta, timezone
from typing import Any, Final

import msgspec

from linli_core.instant import SECOND, Instant
from linli_core.model import Reading, quality_label
from linli_core.vocabulary import vocabulary
from linli_edge.commissioning.compare import Shown, Verdict, compare

FORMAT: Final = "linli-hand-over/1"

UNIT_NAMES: Final = {"Cel": "°C", "/100": "%", "m3": "m³", "m3/h": "m³/h", "/": "", "ug/m3": "µg/m³"}
"""How units are written for people, where the registry's name is not."""


class PointLine(msgspec.Struct, frozen=True):
    """One point: what it is called, what was read, what was shown, and the verdict (see :class:`Verdict`)."""

    name: str
    zh: str
    en: str
    value: str
    unit: str
    quality: str
    displayed: str
    allowed: str
    verdict: str


class DeviceSheet(msgspec.Struct, frozen=True):
    """One device: its link, how it is reached there, and its points; ``error`` where nothing could be read."""

    id: str
    link: str
    place: str
    keys: dict[str, str]
    points: list[PointLine]
    error: str = ""

    @property
    def is_well(self) -> bool:
        """Whether every point was read, and none disagrees with its display."""
        wrong = {Verdict.DIFFERS.value, Verdict.UNREAD.value}
        return not self.error and bool(self.points) and all(point.verdict not in wrong for point in self.points)


class Sheet(msgspec.Struct, frozen=True):
    """A gateway's hand-over.

    Attributes:
        format: :data:`FORMAT`.
        gateway: Its id.
        version: Linli's version.
        made_at: When, as microseconds since 1970.
        utc_offset: Minutes by which the gateway's local time is ahead of UTC.
        by: Who did it; empty: not said.
        config_sha256: Of the configuration's file.
        devices: The devices.
    """

    format: str
    gateway: str
    version: str
    made_at: int
    utc_offset: int
    by: str
    config_sha256: str
    devices: list[DeviceSheet]

    @property
    def counts(self) -> dict[str, int]:
        """How many points have each verdict."""
        verdicts = [point.verdict for device in self.devices for point in device.points]
        return {verdict.value: verdicts.count(verdict.value) for verdict in Verdict}

    @property
    def is_well(self) -> bool:
        """Whether the gateway may be handed over as it is."""
        return bool(self.devices) and all(device.is_well for device in self.devices)

    @property
    def minute(self) -> str:
        """When it was made, for names of files: ``20260102-0304``."""
        return _local(self.made_at, self.utc_offset).strftime("%Y%m%d-%H%M")

    @property
    def time(self) -> str:
        """When it was made, for people."""
        return stamp(self.made_at, self.utc_offset)


def stamp(at: Instant, utc_offset: int) -> str:
    """Return an instant for people, in local time with its distance from UTC: ``2026-01-02 03:04 +08:00``."""
    return _local(at, utc_offset).isoformat(" ", "minutes").replace("+", " +")


def _local(at: Instant, utc_offset: int) -> datetime:
    return datetime.fromtimestamp(at // SECOND, timezone(timedelta(minutes=utc_offset)))


def point_lines(readings: Sequence[Reading], shown: Mapping[str, Shown]) -> list[PointLine]:
    """Return the lines of a device's points."""
    lines = []
    for reading in readings:
        quantity = vocabulary().get(reading.point.quantity)
        titles = quantity.titles if quantity is not None else {"zh": "", "en": ""}
        compared = compare(reading, shown.get(reading.point.name), readings)
        lines.append(
            PointLine(
                reading.point.local_name,
                titles["zh"],
                titles["en"],
                compared.value,
                UNIT_NAMES.get(compared.unit, compared.unit),
                quality_label(reading.quality, reading.reason),
                compared.displayed,
                compared.allowed,
                compared.verdict.value,
            )
        )
    return lines


def as_data(sheet: Sheet) -> dict[str, Any]:
    """Return a sheet as what is signed: plain data."""
    data: dict[str, Any] = msgspec.to_builtins(sheet)
    return data
