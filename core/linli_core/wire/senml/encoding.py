"""Readings to bytes."""

import math
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Final

import cbor2
import msgspec

from linli_core.instant import SECOND, Instant
from linli_core.model import Quality, Reading, Reason, quality_label
from linli_core.vocabulary import vocabulary
from linli_core.wire.senml.decoding import load_cbor
from linli_core.wire.senml.pack import CBOR_NUMBERS, OUR_VERSION, Number

_json: Final = msgspec.json.Encoder(decimal_format="number")
_units: dict[str, str] = {}


def _unit(quantity: str) -> str:
    """Return a quantity's unit; empty for one the vocabulary lacks (the platform will refuse it by name)."""
    unit = _units.get(quantity)
    if unit is None:
        known = vocabulary().get(quantity)
        unit = _units[quantity] = known.unit if known else ""
    return unit


def _records(gateway: str, readings: Sequence[Reading]) -> list[dict[str, object]]:
    if not readings:
        raise ValueError("a pack holds at least one reading")
    # A whole number of seconds as base keeps every relative time short and exact.
    base = min(reading.observed_at for reading in readings) // SECOND
    records = [_record(reading, base * SECOND) for reading in readings]
    records[0] = {"bver": OUR_VERSION, "bn": f"{gateway}/", "bt": base, **records[0]}
    return records


def _record(reading: Reading, base: Instant) -> dict[str, object]:
    point = reading.point
    record: dict[str, object] = {"n": point.name}
    if unit := _unit(point.quantity):
        record["u"] = unit
    quality, reason, value = reading.quality, reading.reason, reading.value
    if value is None:
        quality = Quality.BAD
    elif isinstance(value, bool):
        record["vb"] = value
    elif isinstance(value, str):
        record["vs"] = value
    elif _is_finite(value):
        record["v"] = value
    else:  # SenML has no way to say it
        quality, reason = Quality.BAD, reason or Reason.NOT_A_NUMBER
    if offset := reading.observed_at - base:
        record["t"] = offset / SECOND
    if quality:
        record["q"] = quality_label(quality, reason)
    if reading.device_time is not None:
        record["dt"] = reading.device_time / SECOND
    return record


def _is_finite(value: Number) -> bool:
    if isinstance(value, float):
        return math.isfinite(value)
    return not isinstance(value, Decimal) or value.is_finite()


def encode(gateway: str, readings: Sequence[Reading]) -> bytes:
    """Return readings (at least one) as a JSON pack without ``epoch`` and ``seq``: the log stamps it when sent."""
    return _json.encode(_records(gateway, readings))


def encode_cbor(gateway: str, readings: Sequence[Reading]) -> bytes:
    """Return readings (at least one) as a CBOR pack without ``epoch`` and ``seq``."""
    return dump_cbor(_records(gateway, readings))


def dump_cbor(records: Iterable[Mapping[str, object]]) -> bytes:
    """Return records as a CBOR pack, the labels as their numbers."""
    return cbor2.dumps(
        [{CBOR_NUMBERS.get(label, label): value for label, value in record.items()} for record in records]
    )


def stamp(body: bytes, epoch: str, seq: int) -> bytes:
    """Return a pack of ours with its place in the log."""
    if body[:2] == b"[{":
        return b'[{"epoch":"%b","seq":%d,%b' % (epoch.encode(), seq, body[2:])
    first, *others = load_cbor(body)
    return dump_cbor([{"epoch": epoch, "seq": seq, **first}, *others])
