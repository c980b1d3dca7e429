"""A message of DLMS/COSEM told byte by byte: frame or wrapper, LLC, APDU, data."""

from collections.abc import Callable
from typing import Final

from linli_core.ciphers import Ciphers
from linli_core.codecs.dlms.apdu import DataNotification, EventNotification, decode_apdu
from linli_core.codecs.dlms.axdr import ARRAY, ENUM, OCTETS, STRUCTURE, Item
from linli_core.codecs.dlms.ciphering import (
    AUTHENTICATED,
    ENCRYPTED,
    GENERAL_DED,
    GENERAL_GLO,
    TAG,
    TITLE,
    Keys,
    Sealed,
    open_sealed,
    parse_sealed,
)
from linli_core.codecs.dlms.clock import SIZE, decode_time
from linli_core.codecs.dlms.hdlc import (
    FLAG,
    LLC_COMMAND,
    LLC_RESPONSE,
    HdlcFrame,
    crc16,
    decode_hdlc,
    encode_address,
)
from linli_core.codecs.dlms.meaning import shown_value
from linli_core.codecs.dlms.values import UNITS, code_of
from linli_core.codecs.dlms.wrapper import HEAD, decode_wrapper
from linli_core.codecs.explain import Part
from linli_core.errors import ProtocolError
from linli_core.obis import meaning_of

HDLC: Final = "IEC 62056-46"
WRAPPER: Final = "IEC 62056-47"
APDUS: Final = "IEC 62056-5-3"
DATA: Final = "IEC 62056-6-2"
_CODES: Final = "IEC 62056-6-1"

KeysOf = Callable[[bytes], Keys | None]
"""The keys of a system title."""


def explain(data: bytes, keys: KeysOf, ciphers: Ciphers) -> list[Part]:
    """Return the parts of a message; they cover all its bytes, whatever they are."""
    teller = _Teller(data, keys, ciphers)
    if not data:
        return []
    try:
        if data[0] == FLAG:
            teller.hdlc()
        elif data[:2] == b"\0\1":
            teller.wrapper()
        else:
            teller.content(0, len(data))
    except ProtocolError as exc:
        return [Part(0, data, "bytes", "no message that is whole and right", wrong=str(exc))]
    return teller.parts


class _Teller:
    def __init__(self, data: bytes, keys: KeysOf, ciphers: Ciphers) -> None:
        self.data = data
        self.parts: list[Part] = []
        self._keys = keys
        self._ciphers = ciphers

    def add(self, start: int, end: int, name: str, meaning: str, clause: str, depth: int = 0, wrong: str = "") -> None:
        if end > start:
            self.parts.append(Part(start, self.data[start:end], name, meaning, clause, depth, wrong))

    def hdlc(self) -> None:
        frame = decode_hdlc(self.data)
        end = len(self.data)
        self.add(0, 1, "flag", "start", HDLC)
        segment = ", a segment: more follow" if frame.segmented else ""
        self.add(1, 3, "frame format", f"type 3, {end - 2} bytes{segment}", HDLC)
        at = 3
        for name, address in (("destination", frame.destination), ("source", frame.source)):
            physical = f", physical {address.physical}" if address.physical is not None else ""
            size = len(encode_address(address))
            self.add(at, at + size, name, f"{address.logical}{physical}", HDLC)
            at += size
        self.add(at, at + 1, "control", _control(frame), HDLC)
        at += 1
        if at + 2 <= end - 3:  # a header check of its own, if only before an empty information field
            self.add(at, at + 2, "HCS", f"{crc16(self.data[1:at]):04X}, as the bytes give", HDLC)
            if frame.segmented:
                self.add(at + 2, end - 3, "segment", f"{len(frame.information)} bytes of a message", HDLC)
            else:
                self.content(at + 2, end - 3)
        self.add(end - 3, end - 1, "FCS", f"{crc16(self.data[1 : end - 3]):04X}, as the bytes give", HDLC)
        self.add(end - 1, end, "flag", "end", HDLC)

    def wrapper(self) -> None:
        wrapped = decode_wrapper(self.data)
        self.add(0, 2, "version", "1", WRAPPER)
        self.add(2, 4, "source", f"wPort {wrapped.source}", WRAPPER)
        self.add(4, 6, "destination", f"wPort {wrapped.destination}", WRAPPER)
        self.add(6, 8, "length", f"{len(wrapped.apdu)} bytes", WRAPPER)
        self.content(HEAD, len(self.data))

    def content(self, start: int, end: int) -> None:
        """Tell what a frame carries; what is neither APDU nor data is one part that says so."""
        if self.data[start : start + 3] in {LLC_COMMAND, LLC_RESPONSE}:
            direction = "to the meter" if self.data[start + 1] == LLC_COMMAND[1] else "from the meter"
            self.add(start, start + 3, "LLC", direction, HDLC)
            start += 3
        before = len(self.parts)
        try:
            self._apdu(start, end)
        except ProtocolError as exc:
            del self.parts[before:]
            self.add(start, end, "content", "no APDU that is known here", APDUS, wrong=str(exc))

    def _apdu(self, start: int, end: int) -> None:
        apdu = self.data[start:end]
        if apdu[:1] in {bytes((GENERAL_GLO,)), bytes((GENERAL_DED,))}:
            self._ciphered(start, end)
            return
        found = decode_apdu(apdu)
        if isinstance(found, DataNotification):
            self.add(start, start + 1, "APDU", "data-notification", APDUS)
            self.add(start + 1, start + 5, "invoke id", f"{found.invoke:08X}", APDUS)
            self._time(start + 5, start + found.body.offset)
            self.item(found.body, start, 0)
        elif isinstance(found, EventNotification):
            self.add(start, start + 1, "APDU", "event-notification", APDUS)
            body = start + found.body.offset
            self._time(start + 1, body - 9)
            code = found.attribute.code
            self.add(body - 9, body - 7, "class", str(found.attribute.interface), DATA)
            self.add(body - 7, body - 1, "code", str(code), _CODES)
            self.add(body - 1, body, "attribute", str(found.attribute.attribute), DATA)
            self.item(found.body, start, 0)
        else:
            self.add(start, start + 1, "APDU", type(found).__name__, APDUS)
            self.add(start + 1, end, "fields", _fields(found), APDUS)

    def _time(self, start: int, end: int) -> None:
        data = self.data[start:end]
        time = decode_time(data[-SIZE:]) if len(data) > SIZE else None
        self.add(start, end, "date-time", str(time) or "not specified" if time is not None else "none", APDUS)

    def _ciphered(self, start: int, end: int) -> None:
        sealed = parse_sealed(self.data[start:end])
        if sealed is None or sealed.size != end - start:
            raise ProtocolError("the length of the ciphered content is wrong", kind="truncated")
        body = end - len(sealed.data)
        self.add(start, start + 1, "APDU", "general-glo-ciphering", APDUS)
        self.add(start + 1, start + 2, "length", f"{TITLE} bytes", APDUS)
        self.add(start + 2, start + 2 + TITLE, "system title", sealed.title.hex().upper(), APDUS)
        self.add(start + 2 + TITLE, body - 5, "length", f"{len(sealed.data) + 5} bytes", APDUS)
        modes = [
            name for bit, name in ((AUTHENTICATED, "authenticated"), (ENCRYPTED, "encrypted")) if sealed.control & bit
        ]
        self.add(body - 5, body - 4, "security control", " and ".join(modes) or "plain", APDUS)
        self.add(body - 4, body, "invocation counter", str(sealed.counter), APDUS)
        tag = TAG if sealed.authenticated and len(sealed.data) >= TAG else 0
        meaning, wrong = self._opened(sealed)
        self.add(body, end - tag, "cipher text", meaning, APDUS, wrong=wrong)
        self.add(end - tag, end, "tag", "authenticates what stands before it", APDUS)

    def _opened(self, sealed: Sealed) -> tuple[str, str]:
        keys = self._keys(sealed.title)
        if keys is None:
            return "encrypted; give --key and --auth-key to see what it says", ""
        try:
            plain = open_sealed(sealed, keys, self._ciphers)
        except ProtocolError as exc:
            return "cannot be deciphered", str(exc)
        return f"deciphers to {plain.hex().upper()}", ""

    def item(self, item: Item, base: int, depth: int) -> None:
        start = base + item.offset
        end = start + item.size
        if item.tag not in {ARRAY, STRUCTURE} or not item.items:
            self.add(start, end, item.name, _told(item), DATA, depth)
            return
        first = base + item.items[0].offset
        self.add(start, end, item.name, f"{len(item.items)} elements", DATA, depth)
        self.add(start, first, "head", f"{item.name} of {len(item.items)}", DATA, depth + 1)
        for inner in item.items:
            self.item(inner, base, depth + 1)


def _told(item: Item) -> str:
    code = code_of(item)
    if code is not None:
        meaning = meaning_of(code)
        return f"{code} {meaning.quantities[0]}" if meaning is not None else f"{code}"
    if item.tag == OCTETS and isinstance(item.value, bytes) and len(item.value) == SIZE:
        return str(decode_time(item.value)) or shown_value(item)
    if item.tag == ENUM and isinstance(item.value, int):
        unit = UNITS.get(item.value)
        return f"{item.value} (as a unit: {unit})" if unit else str(item.value)
    return shown_value(item) or "nothing"


def _control(frame: HdlcFrame) -> str:
    numbers = [
        f"{name} {number}"
        for name, number in (("N(S)", frame.send_sequence), ("N(R)", frame.receive_sequence))
        if number is not None
    ]
    return ", ".join([frame.kind, *numbers, *(["final"] if frame.final else [])])


def _fields(found: object) -> str:
    return str(found).partition("(")[2].rstrip(")")
