"""Control codes and what a meter says when it refuses, of both editions.

The function codes of 2007 are those of its chapter 7 (application layer), its error byte is that of annex C; those of
1997 stand in its description of each request. The two editions use other codes for one thing, so a reply tells which
edition a meter speaks.
"""

from enum import StrEnum
from typing import Final

from linli_core.codecs.dlt645.frame import Frame
from linli_core.errors import DeviceError


class Edition(StrEnum):
    """Which of the two standards a meter follows."""

    E2007 = "2007"
    E1997 = "1997"

    @property
    def document(self) -> str:
        """The standard's number."""
        return f"DL/T 645-{self.value}"

    @property
    def identifier_size(self) -> int:
        """Bytes of a data identifier."""
        return 4 if self is Edition.E2007 else 2


BROADCAST_TIME: Final = 0x08

SECURITY_2007: Final = 0x03
READ_2007: Final = 0x11
READ_ON_2007: Final = 0x12
READ_ADDRESS_2007: Final = 0x13
WRITE_2007: Final = 0x14
WRITE_ADDRESS_2007: Final = 0x15
FREEZE_2007: Final = 0x16
BAUD_RATE_2007: Final = 0x17
PASSWORD_2007: Final = 0x18
CLEAR_DEMAND_2007: Final = 0x19
CLEAR_METER_2007: Final = 0x1A
CLEAR_EVENTS_2007: Final = 0x1B
RELAY_2007: Final = 0x1C

READ_1997: Final = 0x01
READ_ON_1997: Final = 0x02
READ_AGAIN_1997: Final = 0x03
WRITE_1997: Final = 0x04

FUNCTIONS: Final[dict[Edition, dict[int, str]]] = {
    Edition.E2007: {
        SECURITY_2007: "security authentication",
        BROADCAST_TIME: "broadcast time",
        READ_2007: "read data",
        READ_ON_2007: "read what follows",
        READ_ADDRESS_2007: "read address",
        WRITE_2007: "write data",
        WRITE_ADDRESS_2007: "write address",
        FREEZE_2007: "freeze",
        BAUD_RATE_2007: "change baud rate",
        PASSWORD_2007: "change password",
        CLEAR_DEMAND_2007: "clear maximum demand",
        CLEAR_METER_2007: "clear meter",
        CLEAR_EVENTS_2007: "clear events",
        RELAY_2007: "relay control",
    },
    Edition.E1997: {
        READ_1997: "read data",
        READ_ON_1997: "read what follows",
        READ_AGAIN_1997: "read again",
        WRITE_1997: "write data",
        BROADCAST_TIME: "broadcast time",
        0x0A: "write address",
        0x0C: "change baud rate",
        0x0F: "change password",
        0x10: "clear maximum demand",
    },
}
"""Function code → what it asks for."""

ERRORS: Final[dict[Edition, tuple[tuple[str, str], ...]]] = {
    Edition.E2007: (
        ("other_error", "another error"),
        ("no_such_data", "no such data"),
        ("not_authorized", "wrong password or no authority"),
        ("baud_rate_fixed", "the baud rate cannot be changed"),
        ("too_many_year_zones", "too many year zones"),
        ("too_many_day_slots", "too many day slots"),
        ("too_many_tariffs", "too many tariffs"),
    ),
    Edition.E1997: (
        ("illegal_data", "illegal data"),
        ("no_such_data", "wrong data identifier"),
        ("not_authorized", "wrong password"),
        ("reserved", "a reserved error"),
        ("too_many_year_zones", "too many year zones"),
        ("too_many_day_slots", "too many day slots"),
        ("too_many_tariffs", "too many tariffs"),
    ),
}
"""What each bit of the error byte says, from bit 0 on: our code, and the standard's words."""

NO_SUCH_DATA: Final = 0x02
"""The bit that says: this meter has no such data."""


def edition_of(frame: Frame) -> Edition | None:
    """Return the edition whose function a frame has; ``None`` where both have it, or neither."""
    found = [edition for edition, names in FUNCTIONS.items() if frame.function in names]
    if frame.function == READ_AGAIN_1997:
        # 2007 has given the code to its security functions; nobody reads again any more.
        return Edition.E2007
    return found[0] if len(found) == 1 else None


def function_name(frame: Frame) -> str:
    """Return what a frame asks for, or answers, in words."""
    for names in FUNCTIONS.values():
        if name := names.get(frame.function):
            return name
    return f"reserved ({frame.function:02X})"


def error_text(edition: Edition, byte: int) -> str:
    """Return what an error byte says: ``no such data``; several where several bits are set."""
    words = [text for place, (_, text) in enumerate(ERRORS[edition]) if byte >> place & 1]
    return ", ".join(words) or "an error without a name"


def refusal(frame: Frame) -> DeviceError:
    """Return what a meter's refusal means; its ``code`` is the error byte, its ``kind`` the lowest bit's."""
    edition = edition_of(frame) or Edition.E2007
    byte = frame.data[0] if frame.data else 0
    kind = next((code for place, (code, _) in enumerate(ERRORS[edition]) if byte >> place & 1), "device_error")
    text = f"meter {frame.address} refuses to {function_name(frame)}: {error_text(edition, byte)} (code {byte:02X})"
    return DeviceError(text, code=byte, kind=kind)
