"""A recorded M-Bus telegram as JSON objects, for ``linli-edge decode mbus``."""

from collections.abc import Iterator
from decimal import Decimal
from typing import Any, Final

import msgspec

from linli_core.codec import NEED_DATA
from linli_core.codecs.mbus import (
    Explained,
    Frame,
    FrameReader,
    Interpreter,
    LongFrame,
    MeterTime,
    Telegram,
    decode_telegram,
)
from linli_core.codecs.mbus.quantities import UNMAPPED
from linli_core.errors import ChecksumError, DeviceError, ProtocolError
from linli_core.instant import to_rfc3339
from linli_core.model import quality_label
from linli_edge.drivers.mbus.meter_profile import profile_for, quirks_of
from linli_edge.telegrams.keys import Keys

_CHUNK: Final = 4096
_DEVICE: Final = "meter"


def decode(data: bytes, _keys: Keys) -> Iterator[dict[str, Any] | ProtocolError | DeviceError]:
    """Yield each telegram in some bytes, or what is wrong with it.

    Bytes around a telegram (an acknowledgement, the request, noise) are passed over. Where there is no telegram, the
    first thing that is wrong is what the person wants to know.
    """
    frames, errors = split(data)
    telegrams = [frame for frame in frames if isinstance(frame, LongFrame)]
    damaged = [error for error in errors if isinstance(error, ChecksumError)] if telegrams else errors[:1]
    if not telegrams and not errors:
        damaged = [_nothing(frames)]
    for frame in telegrams:
        try:
            yield _object(decode_telegram(frame))
        except (ProtocolError, DeviceError) as exc:
            yield exc
    yield from damaged


def split(data: bytes) -> tuple[list[Frame], list[ProtocolError]]:
    """Return the frames in some bytes, and what is wrong with what looked like one."""
    reader = FrameReader()
    frames: list[Frame] = []
    errors: list[ProtocolError] = []
    for start in range(0, len(data), _CHUNK):
        reader.receive(data[start : start + _CHUNK])
        if start + _CHUNK >= len(data):
            reader.end()
        while True:
            try:
                frame = reader.next_event()
            except ProtocolError as exc:
                errors.append(exc)
                continue
            if frame is NEED_DATA:
                break
            frames.append(frame)
    return frames, errors


def _nothing(frames: list[Frame]) -> ProtocolError:
    if frames:
        return ProtocolError("an acknowledgement or a request carries no data", kind="unsupported")
    return ProtocolError("there is no telegram: none starts with 68", kind="malformed")


def _object(telegram: Telegram) -> dict[str, Any]:
    identity = telegram.identity
    shown: dict[str, Any] = {
        "protocol": "mbus",
        "address": identity.number if identity else str(telegram.address),
        "primary_address": telegram.address,
    }
    if identity is not None:
        if identity.manufacturer:
            shown["manufacturer"] = identity.manufacturer
            shown["version"] = identity.version
        shown["medium"] = identity.medium_name
        if (profile := profile_for(identity)) is not None:
            shown["profile"] = profile.name
    shown |= given(access_number=telegram.access_number, status=telegram.status, alarm=telegram.alarm)
    if telegram.more_follow:
        shown["more_follow"] = True
    shown["readings"] = [
        reading_object(explained) for explained in Interpreter(_DEVICE, quirks=quirks_of).explain(telegram, 0)
    ]
    return shown


def reading_object(explained: Explained) -> dict[str, Any]:
    """Return a record and its reading as an object for JSON; radio telegrams have the same."""
    record, reading = explained.record, explained.reading
    header, point = record.header, reading.point
    shown: dict[str, Any] = {"quantity": point.quantity}
    if point.quantity == UNMAPPED:
        # Its reading is the bytes; a person wants to see what they say as well.
        shown["measurand"] = header.measurand.value
        shown["value"] = _value(record.value)
        shown["unit"] = header.unit
    else:
        shown["value"] = _value(reading.value)
        shown["unit"] = explained.unit
    shown["quality"] = quality_label(reading.quality, reading.reason)
    if reading.device_time is not None:
        shown["observed_at"] = to_rfc3339(reading.device_time)
    shown |= given(
        channel=point.channel,
        storage=point.storage,
        tariff=point.tariff,
        occurrence=point.occurrence,
        phase=point.phase and point.phase.value,
        statistic=point.statistic and point.statistic.value,
    )
    if header.modifiers:
        shown["modifiers"] = [modifier.value for modifier in header.modifiers]
    if header.error:
        shown["error"] = header.error
    shown["raw_vif"] = header.vib.hex().upper()
    if record.value is None:
        shown["raw_data"] = record.data.hex().upper()
    return shown


def given(**items: object) -> dict[str, object]:
    """Return the items that are not ``None``."""
    return {name: item for name, item in items.items() if item is not None}


def _value(value: object) -> object:
    """Return a value for JSON: a number with exactly its digits, without an exponent."""
    if isinstance(value, Decimal):
        return msgspec.Raw(format(value, "f").encode())
    if isinstance(value, bytes):
        return value.hex().upper()
    return str(value) if isinstance(value, MeterTime) else value
