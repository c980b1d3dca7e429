"""What a reader sends: sign on, option select, commands of programming mode (IEC 62056-21)."""

import re
from typing import Final

from linli_core.codecs.iec62056.frame import (
    ACK,
    EOT,
    ETX,
    NAK,
    SOH,
    STX,
    Ack,
    Acknowledgement,
    Command,
    DataMessage,
    Frame,
    Identification,
    Nak,
    SignOn,
    checksum,
)

READOUT: Final = "0"
PROGRAMMING: Final = "1"

WAKE_UP: Final = bytes(65)
"""Characters of NUL that wake meters running on a battery: 2.1 to 2.3 s at 300 baud."""

_ADDRESS: Final = re.compile(r"[0-9A-Za-z ]{0,32}", re.ASCII)
_PRINTABLE: Final = re.compile(r"[\x20-\x7e]{0,128}")


def is_address(text: str) -> bool:
    """Tell whether a text may be a meter's address."""
    return _ADDRESS.fullmatch(text) is not None


def encode_frame(frame: Frame) -> bytes:
    """Return the bytes of a message; ``ValueError`` for one whose text cannot stand in it."""
    if isinstance(frame, Command):
        body = frame.name.encode("ascii") + (bytes((STX,)) + frame.data if frame.data else b"") + bytes((ETX,))
        return bytes((SOH,)) + body + bytes((checksum(body),))
    if isinstance(frame, DataMessage):
        body = frame.data + (b"!\r\n" if frame.readout else b"") + bytes((ETX if frame.complete else EOT,))
        return bytes((STX,)) + body + bytes((checksum(body),))
    if isinstance(frame, Ack | Nak):
        return bytes((ACK if isinstance(frame, Ack) else NAK,))
    return _encode_line(frame)


def _encode_line(frame: SignOn | Identification | Acknowledgement) -> bytes:
    match frame:
        case SignOn(address):
            if not is_address(address):
                raise ValueError(f"{address!r} is no address: letters, digits and blanks, 32 at most")
            text = f"/?{address}!"
        case Identification(maker, speed, rest, modes):
            text = f"/{maker}{speed}{''.join(chr(92) + mode for mode in modes)}{rest}"
        case Acknowledgement(protocol, speed, mode):
            text = f"{chr(ACK)}{protocol}{speed}{mode}"
    return f"{text}\r\n".encode("ascii")


def read_register(identifier: str, *, formatted: bool = False, argument: str = "") -> Command:
    """Return the command that reads one register (R1) or, formatted, a profile (R5)."""
    if _PRINTABLE.fullmatch(identifier) is None or set("()") & set(identifier + argument):
        raise ValueError(f"{identifier!r} is no identifier")
    return Command("R5" if formatted else "R1", f"{identifier}({argument})".encode("ascii"))


def password(text: str) -> Command:
    """Return the command that gives a password in clear (P1)."""
    if _PRINTABLE.fullmatch(text) is None or set("()") & set(text):
        raise ValueError("a password is printable characters without brackets")
    return Command("P1", f"({text})".encode("ascii"))


BREAK: Final = Command("B0")
"""Ends programming mode: the meter goes back to 300 baud at once instead of after a timeout."""
