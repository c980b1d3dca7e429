"""CJ/T 188 for the commands that look at recorded telegrams."""

from collections.abc import Iterator
from typing import Any, Final

from linli_core.codecs.cjt188 import Frame, Interpreter, decode_answer, decode_records, explain
from linli_core.codecs.cjt188.answer import function_name
from linli_core.codecs.cjt188.control import FUNCTIONS, decode_identifier, type_name
from linli_core.codecs.cjt188.frame import SHAPE
from linli_core.codecs.explain import Part
from linli_core.codecs.frame68 import split
from linli_core.errors import DeviceError, ProtocolError
from linli_edge.drivers.dlt645.dialect import reading_object
from linli_edge.telegrams.dialect import Certainty, Dialect, Outcome, Recognised
from linli_edge.telegrams.keys import Keys

_CONTROL: Final = 9


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
    """Tell whether some bytes are CJ/T 188; see :class:`linli_edge.telegrams.dialect.Dialect`."""
    if any(piece.frame is not None for piece in split(SHAPE, data)):
        return Recognised(Certainty.CHECKED, "68, a meter type, seven bytes of address; the checksum is right")
    start = data.find(0x68)
    control = data[start + _CONTROL : start + _CONTROL + 1] if start >= 0 else b""
    if control and control[0] & 0x1F in FUNCTIONS and data[start + 7 : start + 8] != b"\x68":
        return Recognised(Certainty.SHAPED, "68, a meter type, seven bytes of address, a control code")
    return None


def _object(frame: Frame) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "protocol": "cjt188",
        "address": frame.address,
        "type": f"{frame.meter_type:02X}",
        "medium": type_name(frame.meter_type),
        "function": function_name(frame),
    }
    if not frame.is_reply:
        identifier, _ = decode_identifier(frame.data[:2])
        return shown | {"request": True} | ({"identifier": f"{identifier:04X}"} if len(frame.data) > 2 else {})
    answer = decode_answer(frame)
    if answer.identifier is not None:
        shown["identifier"] = f"{answer.identifier:04X}"
    readings = Interpreter("meter").readings(answer, decode_records(answer), 0)
    shown["readings"] = [reading_object(reading) for reading in readings]
    return shown


def _explain(data: bytes, _keys: Keys) -> list[Part]:
    return explain(data)


DIALECT: Final = Dialect("CJ/T 188", decode, _explain, recognise)
