"""Messages that were stamped before anybody knew the time: marked in the log, corrected on their way out.

A body is written to the log once and never changed. While the time is provisional it begins with the name of its era,
``[{"era":"…",`` or ``{"era":"…",``; when it is sent, the mark goes and its times move by the era's correction. An era's
correction is decided once and is on the disk before the first message of it leaves, so a message that is sent again is
the same, to the bit: the platform stores it under the corrected time, and under no other.
"""

import re
from decimal import Decimal
from typing import Any, Final

import msgspec

from linli_core.instant import DAY, SECOND, from_rfc3339, to_rfc3339
from linli_core.model import Quality, Reason, quality_label
from linli_edge.clock.discipline import Correction
from linli_edge.outbox.message import Kind

_PACK: Final = re.compile(rb'\[\{"era":"([0-9a-f]{1,32})",')
_EVENT: Final = re.compile(rb'\{"era":"([0-9a-f]{1,32})",')
_GOOD: Final = quality_label(Quality.GOOD)
_DOUBTFUL: Final = quality_label(Quality.UNCERTAIN, Reason.CLOCK_DOUBT)

_records: Final = msgspec.json.Decoder(list[dict[str, Any]], float_hook=Decimal)
_event: Final = msgspec.json.Decoder(dict[str, Any], float_hook=Decimal)
_encoder: Final = msgspec.json.Encoder(decimal_format="number")


def mark(kind: Kind, body: bytes, era: str) -> bytes:
    """Return a body with the name of the era it is stamped in; ``era`` may be empty."""
    if not era:
        return body
    if kind == "telemetry":
        return b'[{"era":"%b",%b' % (era.encode(), body[2:])
    return b'{"era":"%b",%b' % (era.encode(), body[1:])


def era_of(kind: Kind, body: bytes) -> str:
    """Return the era of a body; empty where its stamps are right."""
    found = (_PACK if kind == "telemetry" else _EVENT).match(body)
    return found[1].decode() if found else ""


def corrected(kind: Kind, body: bytes, correction: Correction) -> bytes:
    """Return a marked body without its mark and with its times put right."""
    if kind == "telemetry":
        return _pack(body, correction)
    return _told(body, correction)


def _pack(body: bytes, correction: Correction) -> bytes:
    records = _records.decode(body)
    first = records[0]
    del first["era"]
    base = Decimal(first["bt"])
    booked = _day(base, records)
    began, delta = Decimal(correction.began) / SECOND, Decimal(correction.delta) / SECOND
    for record in records:
        if base + record.get("t", 0) >= began:
            record["t"] = record.get("t", 0) + delta % 1
        else:
            # What a device had kept from before is of a time that was known.
            record["t"] = record.get("t", 0) - (delta - delta % 1)
        if record["t"] == 0:
            del record["t"]
        if correction.doubt and record.get("q", _GOOD) == _GOOD:
            record["q"] = _DOUBTFUL
    first["bt"] = int(base + delta - delta % 1)
    if booked != _day(first["bt"], records):
        # The log's book was written with the message; the platform's must name the same day.
        first["day"] = booked
    return _encoder.encode(records)


def _day(base: Decimal | int, records: list[dict[str, Any]]) -> int:
    """Return the day of a pack's oldest reading, in days since 1970: its book's."""
    return int((base + min(record.get("t", 0) for record in records)) // (DAY // SECOND))


def _told(body: bytes, correction: Correction) -> bytes:
    envelope = _event.decode(body)
    del envelope["era"]
    envelope["time"] = _moved_text(envelope["time"], correction)
    data = envelope.get("data", {})
    for name, value in data.items():
        if isinstance(value, str) and name.endswith("_at"):
            data[name] = _moved_text(value, correction)
        elif name == "since" and isinstance(value, int | Decimal) and value * SECOND >= correction.began:
            data[name] = value + Decimal(correction.delta) / SECOND
    if correction.doubt:
        data["clock_doubt"] = True
        envelope["data"] = data
    return _encoder.encode(envelope)


def _moved_text(text: str, correction: Correction) -> str:
    try:
        at = from_rfc3339(text)
    except ValueError:
        return text
    return to_rfc3339(at + correction.delta) if at >= correction.began else text
