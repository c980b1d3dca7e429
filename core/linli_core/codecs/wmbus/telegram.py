"""A radio meter's whole telegram: link layers, protection, header, records (EN 13757-4, EN 13757-7, OMS vol. 2)."""

from collections.abc import Callable
from typing import Final

import msgspec

from linli_core.ciphers import Ciphers
from linli_core.codecs.mbus.compact_profile import expand_profiles
from linli_core.codecs.mbus.header import UNCOUNTED_MODES, Identity
from linli_core.codecs.mbus.makers import read_codes
from linli_core.codecs.mbus.record import FILLER, Record, parse_records
from linli_core.codecs.mbus.telegram import Telegram as Application
from linli_core.codecs.mbus.telegram import application_error
from linli_core.codecs.wmbus import prios
from linli_core.codecs.wmbus.compact import Formats, expand
from linli_core.codecs.wmbus.frame import Checksums, LinkFrame, decode_frame
from linli_core.codecs.wmbus.layers import (
    MANUFACTURER_CI,
    Authentication,
    ExtendedLink,
    Transport,
    WirelessCi,
    read_authentication,
    read_extended_link,
    read_transport,
)
from linli_core.codecs.wmbus.layout import Layout, Where
from linli_core.codecs.wmbus.private import Sender, find_layout, raw, read_part, read_parts
from linli_core.codecs.wmbus.security import BLOCK, CBC_MODE, KeyFault, Protected, open_payload, open_records
from linli_core.errors import ProtocolError

KeyOf = Callable[[Identity], bytes | None]
"""Gives the key of a meter, ``None`` where there is none."""

_HEADERS: Final = (WirelessCi.LONG_HEADER, WirelessCi.SHORT_HEADER)
_ELL: Final = (WirelessCi.ELL_SHORT, WirelessCi.ELL_SESSION, WirelessCi.ELL_ADDRESS, WirelessCi.ELL_BOTH)


class Telegram(msgspec.Struct, frozen=True):
    """What a meter sent by radio.

    Attributes:
        frame: The link layer.
        identity: The meter's own identity: of the long header where there is one, else of who sends.
        application: Header and records, as a wired meter's answer has them.
        link, authentication, header: The layers that were there.
        plain: The application data in plain, from behind the header on.
        opened: The meter's key opened it, or proved it.
        compact: It was a compact frame.
        layout: Id of the private layout by which some of it was read; empty for none.
        private: All it says is the manufacturer's own, and no layout of it is known.
        unproved: Bytes in plain behind what the meter's key opened, fillers aside: anybody may have put them there.
        cipher: The first block that the meter's key opened in mode 5, as it was sent; empty in the other protections.
    """

    frame: LinkFrame
    identity: Identity
    application: Application
    link: ExtendedLink | None = None
    authentication: Authentication | None = None
    header: Transport | None = None
    plain: bytes = b""
    opened: bool = False
    compact: bool = False
    layout: str = ""
    private: bool = False
    unproved: int = 0
    cipher: bytes = b""

    @property
    def access_number(self) -> int | None:
        """Counts the meter's telegrams, modulo 256."""
        if self.header is not None:
            return self.header.access_number
        return self.link.access_number if self.link is not None else None

    @property
    def records(self) -> tuple[Record, ...]:
        """The records, in the order sent."""
        return self.application.records


class _Reading:
    """A telegram on its way through the layers."""

    def __init__(self, frame: LinkFrame, ciphers: Ciphers, key_of: KeyOf, *, proved: bool) -> None:
        self.frame = frame
        self.proved = proved
        self.unproved = 0
        self.cipher = b""
        self.ciphers = ciphers
        self.key_of = key_of
        self.ci, self.data, self.at = frame.ci, frame.data, 11
        self.own_order = prios.has_own_order(frame)
        self.identity = prios.own_identity(frame) if self.own_order else frame.sender
        self.link: ExtendedLink | None = None
        self.layer: Authentication | None = None
        self.header: Transport | None = None
        self.opened = False

    def pass_links(self) -> None:
        """Go through extended link layer and authentication layer, each at most once."""
        if self.ci in _ELL:
            self.link, size = read_extended_link(self.ci, self.data, self.at)
            self._behind(size)
            if self.link.session:
                self._open_link(self.link)
            self._next_ci()
        if self.ci == WirelessCi.AFL:
            self.layer, size = read_authentication(self.data, self.at)
            self._behind(size)
            self._next_ci()

    def pass_header(self) -> None:
        """Go through the transport header and open what is behind it."""
        if self.ci not in _HEADERS:
            return
        message = bytes((self.ci,)) + self.data
        self.header, size = read_transport(self.ci, self.data, self.at)
        self._behind(size)
        if self.header.identity is not None:
            self.identity = self.header.identity
        if self.own_order:
            self._open_summed(self.header)
            return
        address = self.header.address or self.frame.header
        sealed = Protected(self.header, address, self.data, message, self.layer)
        self.data, opened = open_records(self.ciphers, self.key_of(self.identity), sealed, self.at)
        if opened and self.header.mode == CBC_MODE:
            # A message of mode 7 is proved as a whole by its code, one of the link layer's by its checksum.
            size = self.header.blocks * BLOCK
            self.cipher = sealed.data[:BLOCK]
            self.unproved = len(self.data[size:].strip(bytes((FILLER,))))
            self.data = self.data[:size] if self.proved else self.data
        self.opened = self.opened or opened

    def sender(self) -> Sender:
        """Return whose telegram it is: the meter's own identity first."""
        own, radio = self.identity, self.frame.sender
        identities = (own,) if own == radio or self.own_order else (own, radio)
        return Sender(self.frame.header, identities, self.key_of(own))

    def _open_link(self, link: ExtendedLink) -> None:
        key = self.key_of(self.identity)
        self.data = open_payload(self.ciphers, key, link, self.frame.header, self.data)
        self.opened = bool(key is not None and link.encryption)

    def _open_summed(self, header: Transport) -> None:
        head = self.frame.header + bytes((self.frame.ci,)) + self.frame.data[:3]
        plain = prios.open_summed(head, header.configuration, self.data)
        if plain is None:
            raise KeyFault("no key gives the sum in the header: the meter has a key of its own, or bytes were changed")
        self.data = plain

    def _behind(self, size: int) -> None:
        self.data = self.data[size:]
        self.at += size

    def _next_ci(self) -> None:
        if not self.data:
            raise ProtocolError("the telegram ends where a CI field should be", kind="truncated", offset=self.at)
        self.ci = self.data[0]
        self._behind(1)


def no_keys(_: Identity) -> bytes | None:
    """Return the key of a meter where there are none."""
    return None


def identify(frame: LinkFrame) -> Identity:
    """Return whose telegram a frame is, as far as it tells in plain: the long header's identity, else the sender's."""
    _, header = _outline(frame)
    if header is not None and header.identity is not None:
        return header.identity
    return prios.own_identity(frame) if prios.has_own_order(frame) else frame.sender


def protection(frame: LinkFrame) -> str:
    """Return how a frame says that its data are protected: ``mode 5``, ``AES-CTR``; empty for plain."""
    link, header = _outline(frame)
    if link is not None and link.encryption:
        return "AES-CTR"
    if header is None or not header.mode or prios.has_own_order(frame):
        return ""
    if not header.blocks and header.mode not in UNCOUNTED_MODES:
        return ""
    return f"mode {header.mode}"


def _outline(frame: LinkFrame) -> tuple[ExtendedLink | None, Transport | None]:
    """Return the layers of a frame that can be read without a key; ``None`` for those that are not there or broken."""
    ci, data = frame.ci, frame.data
    link: ExtendedLink | None = None
    try:
        if ci in _ELL:
            link, size = read_extended_link(ci, data, 11)
            if link.session:
                return link, None
            ci, data = data[size], data[size + 1 :]
        if ci == WirelessCi.AFL:
            _, size = read_authentication(data, 11)
            ci, data = data[size], data[size + 1 :]
        return link, read_transport(ci, data, 11)[0] if ci in _HEADERS else None
    except (ProtocolError, IndexError):
        return link, None


def decode_telegram(
    data: bytes,
    ciphers: Ciphers,
    key_of: KeyOf = no_keys,
    formats: Formats | None = None,
    checksums: Checksums | None = None,
) -> Telegram:
    """Return what one telegram says, from its L field on.

    Args:
        data: All bytes of the telegram.
        ciphers: AES.
        key_of: Gives the key of a meter.
        formats: The formats of full frames heard; those of this one are added.
        checksums: What the receiver hands on; ``None`` to tell by the length.

    Raises:
        ChecksumError: A block's checksum, or that of a compact frame.
        KeyFault: Encrypted without a key, or with another (kind ``key``).
        DeviceError: The meter reports an error.
        ProtocolError: Kinds ``truncated``, ``malformed``, ``unsupported``, ``format``, ``too_long``,
            ``too_many_dife``, ``too_many_vife``.
    """
    return read_telegram(decode_frame(data, checksums), ciphers, key_of, formats)


def read_telegram(
    frame: LinkFrame,
    ciphers: Ciphers,
    key_of: KeyOf = no_keys,
    formats: Formats | None = None,
    *,
    proved: bool = False,
) -> Telegram:
    """Return what is in a frame; see :func:`decode_telegram`.

    ``proved`` leaves out what stands in plain behind the part that the meter's key opened.
    """
    formats = Formats() if formats is None else formats
    reading = _Reading(frame, ciphers, key_of, proved=proved)
    reading.pass_links()
    reading.pass_header()
    ci, data = reading.ci, reading.data
    compact = ci == WirelessCi.COMPACT
    if compact:
        data = expand(data, formats)
    records, more, layout = _read(reading, ci, data)
    if reading.opened or reading.key_of(reading.identity) is None:
        # What a meter with a key did not prove might be somebody else's, made to give compact frames another meaning.
        _learn(formats, layout, records)
    header = reading.header
    identity = reading.identity
    if layout is not None and layout.file.media:
        identity = msgspec.structs.replace(identity, medium=layout.file.medium(identity.medium))
    application = Application(
        0,
        frame.control,
        ci,
        identity,
        header.access_number if header else reading.link.access_number if reading.link else None,
        header.status if header else None,
        header.configuration if header else 0,
        tuple(read_codes(reading.identity.manufacturer, expand_profiles(records))),
        more,
    )
    return Telegram(
        frame,
        reading.identity,
        application,
        reading.link,
        reading.layer,
        header,
        data,
        reading.opened or bool(layout and layout.file.scheme and reading.key_of(reading.identity)),
        compact,
        layout.id if layout else "",
        layout is None and ci in MANUFACTURER_CI,
        reading.unproved,
        reading.cipher,
    )


def _learn(formats: Formats, layout: Layout | None, records: list[Record]) -> None:
    if layout is None or layout.file.match.where in (Where.TAIL, Where.RECORD):
        formats.learn(records)


def _read(reading: _Reading, ci: int, data: bytes) -> tuple[list[Record], bool, Layout | None]:
    """Return the records of the application data, whether more follow, and the private layout that was used."""
    sender = reading.sender()
    if ci in MANUFACTURER_CI:
        layout = find_layout(sender, Where.PAYLOAD, data, ci)
        if layout is None:
            return [raw(data)], False, None
        return read_part(reading.ciphers, sender, layout, ci, data), False, layout
    if ci == WirelessCi.ERROR:
        raise application_error(data)
    if ci not in (*_HEADERS, WirelessCi.NO_HEADER, WirelessCi.COMPACT):
        raise ProtocolError(f"CI field {ci:02X} is not supported", kind="unsupported", offset=reading.at - 1)
    layout = find_layout(sender, Where.PLAIN, data, ci)
    if layout is not None:
        return read_part(reading.ciphers, sender, layout, ci, data), False, layout
    records, more = parse_records(data)
    records, layout = read_parts(reading.ciphers, sender, ci, records)
    return records, more, layout
