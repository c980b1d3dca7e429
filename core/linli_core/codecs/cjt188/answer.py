"""A meter's answer: what was asked, and what stands in it."""

from typing import Final

import msgspec

from linli_core.codecs.cjt188 import control
from linli_core.codecs.cjt188.control import Order, decode_identifier
from linli_core.codecs.cjt188.frame import Frame
from linli_core.errors import DeviceError, ProtocolError

_IDENTIFIER: Final = 2
_HEAD: Final = 3
"""Identifier and serial number."""


class Answer(msgspec.Struct, frozen=True):
    """What a meter has answered.

    Attributes:
        meter_type: What is metered.
        address: Whose answer it is.
        control: The control code.
        identifier: Of the data; ``None`` where the control code is the maker's own: then all of it is.
        order: In which order the identifier was sent; ``None`` for one that is unknown.
        serial: Number of the frame (SER); ``None`` where there is none.
        data: What stands behind both.
    """

    meter_type: int
    address: str
    control: int
    identifier: int | None
    order: Order | None
    serial: int | None
    data: bytes


def decode_answer(frame: Frame) -> Answer:
    """Return what a frame answers.

    Raises:
        ProtocolError: It is a request (kind ``unsupported``), or ends too early (``truncated``).
        DeviceError: The meter refuses; ``code`` is its status, high byte first.
    """
    if not frame.is_reply:
        raise ProtocolError(f"a request to {function_name(frame)}, not an answer", kind="unsupported")
    if frame.is_refusal:
        raise refusal(frame)
    data = frame.data
    if frame.is_makers:
        return Answer(frame.meter_type, frame.address, frame.control, None, None, None, data)
    if len(data) < _HEAD:
        raise ProtocolError(f"{len(data)} bytes of data hold no identifier and serial number", kind="truncated")
    identifier, order = decode_identifier(data[:_IDENTIFIER])
    return Answer(frame.meter_type, frame.address, frame.control, identifier, order, data[_IDENTIFIER], data[_HEAD:])


def function_name(frame: Frame) -> str:
    """Return what a frame asks for, or answers, in words."""
    if frame.is_makers:
        return f"do what the maker's code {frame.control:02X} means"
    return control.FUNCTIONS.get(frame.function) or f"reserved ({frame.function:02X})"


def refusal(frame: Frame) -> DeviceError:
    """Return what a meter's refusal means: serial number and status are all it says."""
    status = frame.data[1:3]
    told = f"status {status.hex().upper()}" if status else "no status"
    text = f"meter {frame.address} refuses to {function_name(frame)}: {told}"
    return DeviceError(text, code=int.from_bytes(status, "big"), kind="refused")


def raw_text(answer: Answer, data: bytes) -> str:
    """Return data as sent: identifier (or ``C`` and the maker's code), a hyphen, the bytes, in hexadecimal."""
    name = f"C{answer.control:02X}" if answer.identifier is None else f"{answer.identifier:04X}"
    return f"{name}-{data.hex().upper()}"
