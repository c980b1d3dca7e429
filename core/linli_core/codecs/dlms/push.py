"""From bytes to notifications: frames or wrappers, segments, blocks, ciphering, replay; incremental."""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Final

import msgspec

from linli_core.ciphers import Ciphers
from linli_core.codec import NEED_DATA, NeedData
from linli_core.codecs.dlms.apdu import Block, DataNotification, EventNotification, decode_apdu
from linli_core.codecs.dlms.ciphering import GENERAL_DED, GENERAL_GLO, Keys, ReplayGuard, open_sealed, parse_sealed
from linli_core.codecs.dlms.hdlc import Assembler, HdlcReader
from linli_core.codecs.dlms.wrapper import WrapperReader
from linli_core.errors import ProtocolError

LARGEST_APDU: Final = 64 * 1024


class Framing(StrEnum):
    """How messages stand in the stream."""

    HDLC = "hdlc"
    WRAPPER = "wrapper"


class Received(msgspec.Struct, frozen=True):
    """A notification and who sent it.

    Attributes:
        notification: What it says.
        title: The sender's system title; empty where the message was not ciphered.
        source: HDLC address or wPort of the sender.
        plain: The notification's bytes, deciphered.
        authenticated: A tag proved that nothing of it was changed. A cipher alone does not: who flips a bit of the
            ciphered text flips it in the value.
    """

    notification: DataNotification | EventNotification
    title: bytes
    source: int
    plain: bytes
    authenticated: bool = False


class Opener:
    """Makes notifications of APDUs: puts blocks together, deciphers, refuses replays.

    Attributes:
        guard: Knows the counters.
    """

    def __init__(
        self,
        keys: Keys | None,
        ciphers: Ciphers,
        guard: ReplayGuard | None = None,
        by_title: Mapping[bytes, Keys] = MappingProxyType({}),
    ) -> None:
        """Store the keys of all senders but those named by their system title, which have their own."""
        self.guard = guard or ReplayGuard()
        self._keys = keys
        self._by_title = by_title
        self._ciphers = ciphers
        self._blocks: dict[int, tuple[int, bytes]] = {}

    def open(self, apdu: bytes, source: int) -> Received | None:
        """Return the notification an APDU is; ``None`` while blocks of it are missing.

        Raises:
            ProtocolError: It is none. Kinds: ``no_key``, ``decryption``, ``replayed``, ``block_lost``, ``unsupported``
                (an APDU that is no notification), and those of :func:`linli_core.codecs.dlms.apdu.decode_apdu`.
        """
        if not apdu:
            raise ProtocolError("there are no bytes", kind="truncated")
        title, authenticated = b"", False
        if apdu[0] in {GENERAL_GLO, GENERAL_DED}:
            title, apdu, authenticated = self._decipher(apdu)
        decoded = decode_apdu(apdu)
        if isinstance(decoded, Block):
            whole = self._joined(decoded, source)
            return self.open(whole, source) if whole is not None else None
        if not isinstance(decoded, DataNotification | EventNotification):
            raise ProtocolError(f"APDU {apdu[0]:02X} is no notification", kind="unsupported", offset=0)
        return Received(decoded, title, source, apdu, authenticated)

    def _decipher(self, apdu: bytes) -> tuple[bytes, bytes, bool]:
        sealed = parse_sealed(apdu)
        if sealed is None:
            raise ProtocolError(f"the ciphered APDU ends after {len(apdu)} bytes", kind="truncated")
        if sealed.size != len(apdu):
            raise ProtocolError(f"{len(apdu) - sealed.size} bytes follow the APDU", kind="trailing_bytes")
        keys = self._by_title.get(sealed.title, self._keys)
        if keys is None:
            raise ProtocolError(f"the message of {sealed.title.hex().upper()} is ciphered: no key", kind="no_key")
        plain = open_sealed(sealed, keys, self._ciphers)
        if not sealed.authenticated:
            # No tag says that the key is right: only what has the syntax of an APDU to the last byte is believed.
            try:
                decode_apdu(plain)
            except ProtocolError as exc:
                raise ProtocolError(f"what was decrypted is no APDU: {exc}", kind="decryption") from exc
        self.guard.check(sealed)
        self.guard.accept(sealed)
        return sealed.title, plain, sealed.authenticated

    def _joined(self, block: Block, source: int) -> bytes | None:
        expected, parts = self._blocks.pop(source, (1, b""))
        if block.number == 1:
            expected, parts = 1, b""
        if block.number != expected:
            raise ProtocolError(f"block {block.number} came where {expected} was due", kind="block_lost")
        parts += block.data
        if len(parts) > LARGEST_APDU:
            raise ProtocolError(f"more than {LARGEST_APDU} bytes in one APDU", kind="too_long")
        if block.last:
            if parts[:1] == b"\xe0":
                raise ProtocolError("blocks within blocks", kind="too_deep")
            return parts
        if len(self._blocks) > 64:
            self._blocks.clear()
        self._blocks[source] = expected + 1, parts
        return None


class PushReader:
    """Finds notifications in a stream of bytes, in chunks of any size."""

    def __init__(self, framing: Framing, opener: Opener, *, stuffed: bool = False) -> None:
        """Store how messages stand in the stream and who opens them."""
        self.opener = opener
        self._frames: HdlcReader | WrapperReader
        self._frames = HdlcReader(stuffed=stuffed) if framing is Framing.HDLC else WrapperReader()
        self._assembler = Assembler()

    def __len__(self) -> int:
        return len(self._frames)

    @property
    def skipped(self) -> int:
        """Bytes that belonged to no frame, since the reader was made."""
        return self._frames.skipped

    def receive(self, data: bytes, /) -> None:
        """Take bytes off the wire."""
        self._frames.receive(data)

    def end(self) -> None:
        """Say that the line fell silent."""
        self._frames.end()

    def clear(self) -> None:
        """Forget all bytes received."""
        self._frames.clear()

    def next_event(self) -> Received | NeedData:
        """Return the next notification, or ``NEED_DATA``; raise ``ProtocolError`` and go on: call again."""
        while True:
            frames = self._frames
            if isinstance(frames, HdlcReader):
                frame = frames.next_event()
                if frame is NEED_DATA:
                    return NEED_DATA
                apdu, source = self._assembler.push(frame), frame.source.logical
            else:
                wrapped = frames.next_event()
                if wrapped is NEED_DATA:
                    return NEED_DATA
                apdu, source = wrapped.apdu, wrapped.source
            if apdu is not None and (received := self.opener.open(apdu, source)) is not None:
                return received
