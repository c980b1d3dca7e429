"""DL/T 645 for the commands that look at recorded telegrams."""

from collections.abc import Iterator
from decimal import Decimal
from typing import Any, Final

import msgspec

from linli_core.codecs.dlt645 import Frame, Interpreter, decode_answer, decode_records, explain
from linli_core.codecs.dlt645.answer import decode_request
from linli_core.codecs.dlt645.control import edition_of, function_name
from linli_core.codecs.dlt645.dictionary import show
from linli_core.codecs.dlt645.frame import SHAPE
from linli_core.codecs.explain import Part
from linli_core.codecs.frame68 import split
from linli_core.errors import DeviceError, ProtocolError
from linli_core.instant import to_rfc3339
from linli_core.model import Reading, quality_label
from linli_core.vocabulary import vocabulary
from linli_edge.telegrams.dialect import Certainty, Dialect, Outcome, Recognised
from linli_edge.telegrams.keys import Keys

_HEAD: Final = SHAPE.second_start or 0


def decode(data: bytes, _keys: Keys) -> Iterator[Outcome]:
    """Yield each telegram in some bytes, or what is wrong with it."""
    found = False
    for piece in split(SHAPE, data):
        if piece.frame is not None:
            found = True
            try:
                yield _object(piece.frame)
            except (ProtocolError, DeviceError) as exc:
                yield exc
        elif piece.wrong and (0x68 in piece.data or not found):
            found = True
            yield ProtocolError(piece.wrong, kind="checksum" if "checksum" in piece.wrong else "malformed")
    if not found:
        yield ProtocolError("there is no telegram: none starts with 68", kind="malformed")


def recognise(data: bytes) -> Recognised | None:
    """Tell whether some bytes are DL/T 645; see :class:`linli_edge.telegrams.dialect.Dialect`."""
    pieces = split(SHAPE, data)
    if any(piece.frame is not None for piece in pieces):
        return Recognised(Certainty.CHECKED, "68, six bytes of address, 68; the checksum is right")
    start = data.find(0x68)
    if start >= 0 and data[start + _HEAD : start + _HEAD + 1] == b"\x68" and data[start + 3 : start + 4] != b"\x68":
        return Recognised(Certainty.SHAPED, "68, six bytes of address, 68")
    return None


def _object(frame: Frame) -> dict[str, Any]:
    edition = edition_of(frame)
    shown: dict[str, Any] = {"protocol": "dlt645", "address": frame.address, "function": function_name(frame)}
    if edition is not None:
        shown["edition"] = edition.value
    if not frame.is_reply:
        asked = decode_request(frame)
        shown["request"] = True
        if asked is not None:
            shown["identifier"] = show(asked[0], asked[1])
        return shown
    answer = decode_answer(frame)
    if answer.own_address is not None:
        shown["own_address"] = answer.own_address
    if answer.identifier is None or answer.edition is None:
        return shown
    shown["identifier"] = show(answer.edition, answer.identifier)
    if answer.more_follow or answer.sequence is not None:
        # A piece alone may begin or end within a value.
        return shown | {
            "more_follow": answer.more_follow,
            "piece": answer.sequence or 0,
            "raw": answer.data.hex().upper(),
        }
    records = decode_records(answer.edition, answer.identifier, answer.data)
    shown["readings"] = [
        reading_object(reading) for reading in Interpreter("meter").readings(answer.edition, records, 0)
    ]
    return shown


def reading_object(reading: Reading) -> dict[str, Any]:
    """Return a reading as JSON shows it: a number with exactly its digits."""
    point, value = reading.point, reading.value
    shown: dict[str, Any] = {
        "quantity": point.quantity,
        "value": msgspec.Raw(format(value, "f").encode()) if isinstance(value, Decimal) else value,
        "unit": vocabulary()[point.quantity].unit,
        "quality": quality_label(reading.quality, reading.reason),
    }
    places = {
        "phase": point.phase and point.phase.value,
        "channel": point.channel,
        "tariff": point.tariff,
        "storage": point.storage,
        "statistic": point.statistic and point.statistic.value,
    }
    shown |= {name: place for name, place in places.items() if place is not None}
    if reading.device_time is not None:
        shown["observed_at"] = to_rfc3339(reading.device_time)
    return shown


def _explain(data: bytes, _keys: Keys) -> list[Part]:
    return explain(data)


DIALECT: Final = Dialect("DL/T 645", decode, _explain, recognise)
