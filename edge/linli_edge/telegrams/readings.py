"""Readings as JSON objects, for the protocols whose values carry OBIS codes."""

from collections.abc import Iterable
from decimal import Decimal
from typing import Any

import msgspec

from linli_core.instant import to_rfc3339
from linli_core.model import Reading, quality_label
from linli_core.vocabulary import vocabulary


def reading_objects(readings: Iterable[Reading]) -> list[dict[str, Any]]:
    """Return readings as objects: quantity, value with exactly its digits, unit, quality, and where it stands."""
    return [_object(reading) for reading in readings]


def _object(reading: Reading) -> dict[str, Any]:
    point, value = reading.point, reading.value
    word = vocabulary().get(point.quantity)
    shown: dict[str, Any] = {
        "quantity": point.quantity,
        "value": msgspec.Raw(format(value, "f").encode()) if isinstance(value, Decimal) else value,
        "unit": word.unit if word is not None else "",
        "quality": quality_label(reading.quality, reading.reason),
    }
    if reading.device_time is not None:
        shown["observed_at"] = to_rfc3339(reading.device_time)
    qualifiers = {
        "channel": point.channel,
        "storage": point.storage,
        "tariff": point.tariff,
        "occurrence": point.occurrence,
        "phase": point.phase and point.phase.value,
        "statistic": point.statistic and point.statistic.value,
    }
    return shown | {name: item for name, item in qualifiers.items() if item is not None}
