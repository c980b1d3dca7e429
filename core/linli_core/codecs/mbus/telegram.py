"""A meter's whole answer: header, records, errors (EN 13757-3)."""

from enum import IntEnum
from typing import Final

import msgspec

from linli_core.codecs.mbus import fixed
from linli_core.codecs.mbus.compact_profile import expand_profiles
from linli_core.codecs.mbus.frame import Ack, Frame, LongFrame, ShortFrame
from linli_core.codecs.mbus.header import UNCOUNTED_MODES, Identity, Status, decode_identity
from linli_core.codecs.mbus.makers import read_codes
from linli_core.codecs.mbus.record import FILLER, Record, parse_records
from linli_core.errors import DeviceError, ProtocolError

DIRECTION: Final = 0x40
"""Bit of the C field: set by the master, clear in a meter's answer (EN 13757-2)."""

ANSWER: Final = 0x08
"""Low four bits of the C field of an answer with data (RSP_UD)."""


_BLOCKS: Final = {2: 8, 3: 8, 4: 16, 5: 16, 6: 16, 7: 16}
"""Security mode → bytes of a block, where the configuration word counts blocks: DES (2, 3), AES."""


class Ci(IntEnum):
    """Control information fields a meter sends."""

    ERROR = 0x70
    ALARM = 0x71
    LONG_HEADER = 0x72
    FIXED = 0x73
    NO_HEADER = 0x78
    SHORT_HEADER = 0x7A


APPLICATION_ERRORS: Final = {
    0: "unspecified error",
    1: "unimplemented CI field",
    2: "buffer too long",
    3: "too many records",
    4: "premature end of record",
    5: "more than 10 DIFE",
    6: "more than 10 VIFE",
    7: "reserved",
    8: "application busy",
    9: "too many readouts",
}


class Telegram(msgspec.Struct, frozen=True):
    """What a meter answered.

    Attributes:
        address: Primary address in the link layer.
        control: The C field; bit 5 says that an alarm waits, bit 4 that the meter cannot take more data now.
        ci: The CI field.
        identity: ``None`` where the header has none (CI 78, 7A).
        access_number: Counts the meter's answers, modulo 256; ``None`` without a header.
        status: The status byte; ``None`` without a header.
        signature: The signature or configuration word; 0 in nearly all wired meters.
        records: In the order sent.
        more_follow: The meter has more telegrams for this readout.
        alarm: The alarm byte of CI 71.
    """

    address: int
    control: int
    ci: int
    identity: Identity | None = None
    access_number: int | None = None
    status: int | None = None
    signature: int = 0
    records: tuple[Record, ...] = ()
    more_follow: bool = False
    alarm: int | None = None

    @property
    def has_failed(self) -> bool:
        """Whether the meter says that its values are not to be trusted: it has failed for good, or its program has.

        A temporary error, an abnormal condition (a leak, an attempt to tamper) and a low battery say nothing against
        the values. The status of the fixed structure has other bits.
        """
        if self.status is None or self.ci == Ci.FIXED:
            return False
        return bool(self.status & Status.PERMANENT_ERROR) or self.status & 0x03 == Status.APPLICATION_ERROR


def decode_telegram(frame: Frame) -> Telegram:
    """Return what a frame of a meter says.

    Raises:
        DeviceError: The meter reports that it could not answer (CI 70); the code is the standard's.
        ProtocolError: The frame is no answer, or its data are not what its CI field says. Kinds: ``unsupported``
            (a request, an unknown CI field), ``truncated``, ``malformed``, ``encrypted``,
            ``too_many_dife``, ``too_many_vife``.
    """
    if isinstance(frame, Ack | ShortFrame):
        raise ProtocolError(f"{_name(frame)} carries no data", kind="unsupported")
    if frame.control & DIRECTION or frame.control & 0x0F != ANSWER:
        raise ProtocolError(
            f"C field {frame.control:02X} with CI {frame.ci:02X} is a master's request, not an answer",
            kind="unsupported",
        )
    match frame.ci:
        case Ci.LONG_HEADER:
            return _long_header(frame)
        case Ci.SHORT_HEADER:
            return _short_header(frame)
        case Ci.NO_HEADER:
            records, more = parse_records(frame.data)
            return Telegram(
                frame.address, frame.control, frame.ci, records=tuple(expand_profiles(records)), more_follow=more
            )
        case Ci.FIXED:
            return _fixed(frame)
        case Ci.ERROR:
            raise application_error(frame.data)
        case Ci.ALARM:
            if len(frame.data) != 1:
                raise ProtocolError(f"an alarm is one byte, not {len(frame.data)}")
            return Telegram(frame.address, frame.control, frame.ci, alarm=frame.data[0])
        case _:
            raise ProtocolError(f"CI field {frame.ci:02X} is not supported", kind="unsupported")


def identity_of(frame: LongFrame) -> Identity | None:
    """Return who sent a frame without reading its records; ``None`` where the header does not tell."""
    if frame.ci == Ci.LONG_HEADER and len(frame.data) >= 12:
        return decode_identity(frame.data)
    return None


def application_error(data: bytes) -> DeviceError:
    """Return what a meter reports in the data of CI 70; without data it is unspecified."""
    code = data[0] if data else 0
    text = APPLICATION_ERRORS.get(code, "reserved")
    return DeviceError(f"the meter reports: {text} (code {code})", code=code)


def _name(frame: Ack | ShortFrame) -> str:
    return "an acknowledgement" if isinstance(frame, Ack) else f"short frame {frame.control:02X}"


def _records(data: bytes, signature: int) -> tuple[tuple[Record, ...], bool]:
    """Return the records behind a header, and whether more telegrams follow; refuse what is encrypted.

    In the wireless meters' configuration word the bits 8 to 12 are the mode and 4 to 7 the blocks encrypted. Wired
    meters send 0, or a signature that only looks like one: a mode with a number of blocks that can be is taken for what
    it says, since records made of a cipher could pass for values. So is a mode that counts none.
    """
    mode, blocks = signature >> 8 & 0x1F, signature >> 4 & 0x0F
    size = len(data) if mode in UNCOUNTED_MODES else _BLOCKS.get(mode, 0) * blocks
    if 0 < size <= len(data) and data[:2] != bytes((FILLER, FILLER)):
        raise ProtocolError(f"{size} bytes are encrypted (mode {mode})", kind="encrypted")
    records, more = parse_records(data)
    return tuple(expand_profiles(records)), more


def _long_header(frame: LongFrame) -> Telegram:
    data = frame.data
    if len(data) < 12:
        raise ProtocolError(f"the header ends after {len(data)} of 12 bytes", kind="truncated")
    signature = int.from_bytes(data[10:12], "little")
    records, more = _records(data[12:], signature)
    identity = decode_identity(data)
    return Telegram(
        frame.address,
        frame.control,
        frame.ci,
        identity,
        data[8],
        data[9],
        signature,
        tuple(read_codes(identity.manufacturer, records)),
        more,
    )


def _short_header(frame: LongFrame) -> Telegram:
    data = frame.data
    if len(data) < 4:
        raise ProtocolError(f"the header ends after {len(data)} of 4 bytes", kind="truncated")
    signature = int.from_bytes(data[2:4], "little")
    records, more = _records(data[4:], signature)
    return Telegram(frame.address, frame.control, frame.ci, None, data[0], data[1], signature, records, more)


def _fixed(frame: LongFrame) -> Telegram:
    data = frame.data
    if len(data) != fixed.SIZE:
        raise ProtocolError(f"a fixed structure has {fixed.SIZE} bytes, not {len(data)}", kind="truncated")
    identity, records = fixed.decode_fixed(data)
    return Telegram(frame.address, frame.control, frame.ci, identity, data[4], data[5], 0, records)
