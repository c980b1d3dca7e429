"""Bytes to records, as they were sent."""

import json
import re
from decimal import Decimal
from io import BytesIO
from typing import Any, Final

import cbor2
import msgspec

from linli_core.errors import RefusalReason, Refused
from linli_core.wire.senml.pack import CBOR_LABELS, MAX_BYTES, MAX_RECORDS, MAX_SEQ, VERSIONS, Pack, Record, shown


def decode(payload: bytes) -> Pack:
    """Return a pack as it was sent.

    Raises:
        Refused: It is no pack at all: malformed, too large, too deep, of another version.
    """
    if len(payload) > MAX_BYTES:
        raise Refused(RefusalReason.TOO_LARGE, f"{len(payload)} bytes; a pack has {MAX_BYTES} at most")
    if not payload:
        raise Refused(RefusalReason.MALFORMED, "an empty payload")
    # Before anything is built: a mebibyte of "{}," would become 350,000 objects. Twice, for braces within texts.
    if payload.count(b"{") > 2 * MAX_RECORDS and payload.lstrip()[:1] == b"[":
        raise Refused(RefusalReason.TOO_MANY_RECORDS, f"far more records than the {MAX_RECORDS} a pack has at most")
    records = _load_json(payload) if payload.lstrip()[:1] in (b"[", b"{") else load_cbor(payload)
    if not records:
        raise Refused(RefusalReason.MALFORMED, "a pack without a record")
    if len(records) > MAX_RECORDS:
        raise Refused(RefusalReason.TOO_MANY_RECORDS, f"{len(records)} records; a pack has {MAX_RECORDS} at most")
    for index, record in enumerate(records):
        version = record.get("bver", 10)
        if isinstance(version, bool) or not isinstance(version, int) or version not in VERSIONS:
            raise Refused(
                RefusalReason.VERSION,
                f"SenML version {shown(version)}; known: {', '.join(map(str, sorted(VERSIONS)))}",
                where=f"record[{index}].bver",
            )
    epoch, seq = _place(records[0])
    return Pack(epoch, seq, tuple(records))


def _place(first: Record) -> tuple[str | None, int | None]:
    epoch, seq = first.get("epoch"), first.get("seq")
    if not isinstance(epoch, str) or not epoch or isinstance(seq, bool) or not isinstance(seq, int):
        return None, None
    return (epoch, seq) if 1 <= seq <= MAX_SEQ else (None, None)


# Decimal: a register's digits as they were sent.
_json_records: Final = msgspec.json.Decoder(list[dict[str, Any]], float_hook=Decimal)


def _load_json(payload: bytes) -> list[dict[str, object]]:
    try:
        return _json_records.decode(payload)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, ArithmeticError) as exc:
        found = _load_lenient(payload)
        if found is None:
            raise Refused(RefusalReason.MALFORMED, f"no JSON array of objects: {exc}") from exc
        return found


def _load_lenient(payload: bytes) -> list[dict[str, Any]] | None:
    """Return what some writers call JSON (``NaN``, ``Infinity``), so that one such value costs its record only."""
    try:
        found = json.loads(payload, parse_float=Decimal)
    except (ValueError, RecursionError, ArithmeticError):
        return None
    sound = isinstance(found, list) and all(isinstance(record, dict) for record in found)
    return found if sound else None


def load_cbor(payload: bytes) -> list[dict[str, object]]:
    """Return the records of a CBOR pack with their labels' names; raise :class:`Refused` if it is none."""
    stream = BytesIO(payload)
    try:
        found = cbor2.CBORDecoder(stream, tag_hook=_refuse_tag, semantic_decoders=_FORBIDDEN).decode()
    except (cbor2.CBORDecodeError, ValueError, TypeError, RecursionError, OverflowError, MemoryError) as exc:
        raise Refused(RefusalReason.MALFORMED, f"neither JSON nor CBOR: {exc}") from exc
    if stream.tell() != len(payload) and stream.read(1):
        raise Refused(RefusalReason.MALFORMED, "bytes after the end of the CBOR pack")
    if not isinstance(found, list) or not all(isinstance(record, dict) for record in found):
        raise Refused(RefusalReason.MALFORMED, "a pack is an array of maps")
    records = []
    for index, record in enumerate(found):
        named: dict[str, object] = {}
        for label, value in record.items():
            name = CBOR_LABELS.get(label, str(label)) if isinstance(label, int) else label
            if not isinstance(name, str):
                raise Refused(
                    RefusalReason.MALFORMED, "a label that is neither number nor text", where=f"record[{index}]"
                )
            named[name] = value
        records.append(named)
    return records


def _refuse_tag(*_: object) -> object:
    raise ValueError("a tag where SenML has none")


# Decimal fractions (tag 4) are numbers of SenML (RFC 8428 §6). The other tags the library would follow are not: some
# cost far more than their bytes (a bigfloat's exponent, a shared reference to itself), none is a SenML value.
_FORBIDDEN: Final = dict.fromkeys(
    (0, 1, 2, 3, 5, 25, 28, 29, 30, 35, 36, 37, 52, 54, 100, 256, 258, 260, 261, 1004, 43000, 55799), _refuse_tag
)


_EPOCH: Final = re.compile(rb'"epoch"\s*:\s*"([^"\\]{1,128})"')
_SEQ: Final = re.compile(rb'"seq"\s*:\s*(\d{1,18})(?!\d)')


def parse_sequence(payload: bytes) -> tuple[str, int] | None:
    """Return epoch and number of a message that is about to be refused, as far as they can be found in it.

    Without them the gateway would offer the message for ever; with them it is booked as refused and done with.
    """
    head = payload[:MAX_BYTES]
    epoch, seq = _EPOCH.search(head), _SEQ.search(head)
    if epoch and seq and int(seq[1]):
        return epoch[1].decode(errors="replace"), int(seq[1])
    try:
        place = _place(load_cbor(head)[0])
    except (Refused, IndexError):
        return None
    return (place[0], place[1]) if place[0] is not None and place[1] is not None else None
