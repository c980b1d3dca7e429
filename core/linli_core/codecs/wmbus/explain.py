"""A radio telegram told byte by byte: link layer, checksums, each layer, records (:mod:`linli_core.codecs.explain`).

Behind a wrong checksum the parts keep their names, but no value is told. What is encrypted is one part: with the key it
says what stands in it.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from linli_core.ciphers import Ciphers
from linli_core.codecs.explain import Part
from linli_core.codecs.mbus.explain_records import UNTOLD, explain_records, problem
from linli_core.codecs.mbus.header import decode_manufacturer, medium_name
from linli_core.codecs.mbus.record import Record
from linli_core.codecs.mbus.vif import Measurand
from linli_core.codecs.wmbus import prios
from linli_core.codecs.wmbus.frame import CONTROLS, Checksums, blocks_of, decode_frame, strip_checksums
from linli_core.codecs.wmbus.layers import MANUFACTURER_CI, WirelessCi, read_authentication, read_extended_link
from linli_core.codecs.wmbus.telegram import KeyOf, Telegram, no_keys, read_telegram
from linli_core.errors import LinliError, ProtocolError

LINK: Final = "EN 13757-4"
TRANSPORT: Final = "EN 13757-7"
OMS: Final = "OMS vol. 2"

_CI: Final = {
    0x70: "application error",
    0x72: "long header",
    0x78: "no header",
    0x79: "compact frame",
    0x7A: "short header",
    0x8C: "extended link layer",
    0x8D: "extended link layer, session",
    0x8E: "extended link layer, receiver's address",
    0x8F: "extended link layer, receiver's address, session",
    0x90: "authentication and fragmentation",
}


def explain(data: bytes, ciphers: Ciphers, key_of: KeyOf = no_keys) -> list[Part]:
    """Return the parts of some bytes: one telegram, from its L field on."""
    if not data:
        return []
    try:
        bare, checksums = strip_checksums(data)
    except ProtocolError as exc:
        return _damaged(data, exc)
    telegram: Telegram | None = None
    wrong = ""
    try:
        telegram = read_telegram(decode_frame(bare, Checksums.NONE), ciphers, key_of)
    except ProtocolError as exc:
        wrong = problem(exc)
    except LinliError as exc:
        wrong = str(exc)
    parts = list(_Telling(bare, telegram, wrong).parts())
    if checksums is Checksums.NONE:
        return parts
    parts[0] = replace(parts[0], meaning=f"{data[0]} bytes follow")
    return _with_checksums(parts, data, checksums)


def _damaged(data: bytes, error: ProtocolError) -> list[Part]:
    """Return the parts of bytes that are no sound telegram: names without what they would say."""
    if len(data) < 11:
        return [Part(0, data, "rest", "", LINK, 0, problem(error))]
    places = (("L field", 0, 1), ("C field", 1, 2), ("manufacturer", 2, 4), ("identification number", 4, 8))
    parts = [Part(start, data[start:end], name, UNTOLD, LINK) for name, start, end in places]
    parts += [Part(8, data[8:9], "version", UNTOLD, LINK), Part(9, data[9:10], "medium", UNTOLD, LINK)]
    parts.append(Part(10, data[10:], "rest", UNTOLD, LINK, 0, problem(error)))
    return parts


class _Telling:
    """Goes through a bare telegram from its start, one part after the other."""

    def __init__(self, data: bytes, telegram: Telegram | None, wrong: str) -> None:
        self._data = data
        self._telegram = telegram
        self._wrong = wrong
        self._at = 0

    def parts(self) -> Iterator[Part]:
        """Yield the parts, all bytes in order."""
        data = self._data
        yield self._part(1, "L field", f"{data[0]} bytes follow", LINK)
        yield self._part(1, "C field", CONTROLS.get(data[1], f"{data[1]:02X}"), LINK)
        yield self._part(2, "manufacturer", decode_manufacturer(data[2:4]), LINK)
        frame = decode_frame(data, Checksums.NONE)
        if prios.has_own_order(frame):
            own = prios.own_identity(frame)
            yield self._part(1, "version", str(own.version), "Diehl: version and medium first")
            yield self._part(1, "medium", own.medium_name, "Diehl: version and medium first")
            yield self._part(4, "identification number", own.number, "Diehl: version and medium first")
        else:
            yield self._part(4, "identification number", frame.sender.number, LINK)
            yield self._part(1, "version", str(frame.sender.version), LINK)
            yield self._part(1, "medium", frame.sender.medium_name, LINK)
        try:
            yield from self._layers()
        except (ProtocolError, IndexError) as exc:
            if self._at < len(data):
                said = problem(exc) if isinstance(exc, ProtocolError) else "the telegram ends here"
                yield self._part(len(data) - self._at, "rest", "", "", self._wrong or said)

    def _layers(self) -> Iterator[Part]:
        ci = self._data[self._at]
        yield self._ci(ci)
        if ci in (0x8C, 0x8D, 0x8E, 0x8F):
            yield from self._extended_link(ci)
            if self._telegram is None and self._session(ci):
                yield from self._sealed("encrypted data", "")
                return
            if self._session(ci) and self._telegram is not None and self._telegram.opened:
                yield from self._sealed("encrypted data", _inside(self._telegram))
                return
            ci = self._data[self._at]
            yield self._ci(ci)
        if ci == WirelessCi.AFL:
            yield from self._authentication()
            ci = self._data[self._at]
            yield self._ci(ci)
        if ci in (0x72, 0x7A):
            yield from self._header(ci)
        yield from self._content(ci)

    def _content(self, ci: int) -> Iterator[Part]:
        telegram, rest = self._telegram, self._data[self._at :]
        if not rest:
            return
        if telegram is None:
            yield from self._sealed("data", "")
        elif telegram.opened and telegram.header is not None and telegram.header.blocks:
            size = min(16 * telegram.header.blocks, len(rest))
            yield self._part(size, "encrypted data", _inside(telegram), TRANSPORT)
            if len(rest) > size:
                yield from explain_records(rest[size:], self._at)
        elif telegram.compact:
            yield self._part(2, "signature", f"{int.from_bytes(rest[:2], 'little'):04X}", OMS)
            yield self._part(2, "checksum of the full frame", f"{int.from_bytes(rest[2:4], 'little'):04X}", OMS)
            yield self._part(len(rest) - 4, "values without headers", _inside(telegram), OMS)
        elif ci in MANUFACTURER_CI or telegram.plain != rest:
            name = f"layout {telegram.layout}" if telegram.layout else "the maker's own layout"
            yield self._part(len(rest), "manufacturer data", f"{name}; {_inside(telegram)}".removesuffix("; "), "")
        else:
            yield from explain_records(rest, self._at)

    def _extended_link(self, ci: int) -> Iterator[Part]:
        link, _ = read_extended_link(ci, self._data[self._at :], self._at)
        yield self._part(1, "communication control", f"{link.communication:08b}", LINK)
        yield self._part(1, "access number", str(link.access_number), LINK)
        if ci in (WirelessCi.ELL_ADDRESS, WirelessCi.ELL_BOTH):
            yield self._part(8, "receiver's address", "", LINK)
        if link.session:
            how = "AES-CTR" if link.encryption == 1 else "not encrypted" if not link.encryption else "unknown"
            yield self._part(4, "session number", how, LINK)
            yield self._part(2, "payload's checksum", "", LINK)

    def _authentication(self) -> Iterator[Part]:
        layer, size = read_authentication(self._data[self._at :], self._at)
        yield self._part(1, "length", f"{size - 1} bytes", OMS)
        yield self._part(2, "fragmentation control", "", OMS)
        if layer.control >= 0:
            yield self._part(1, "message control", f"{layer.control:02X}", OMS)
        if layer.key_information:
            yield self._part(2, "key information", "", OMS)
        if layer.counter:
            yield self._part(4, "message counter", str(int.from_bytes(layer.counter, "little")), OMS)
        if layer.mac:
            opened = self._telegram is not None and self._telegram.opened
            yield self._part(len(layer.mac), "authentication code", "right" if opened else "", OMS)
        if layer.length:
            yield self._part(2, "message length", str(int.from_bytes(layer.length, "little")), OMS)

    def _header(self, ci: int) -> Iterator[Part]:
        data = self._data[self._at :]
        if ci == WirelessCi.LONG_HEADER and len(data) >= 8:
            yield self._part(4, "identification number", data[3::-1].hex().upper(), TRANSPORT)
            yield self._part(2, "manufacturer", decode_manufacturer(data[4:6]), TRANSPORT)
            yield self._part(1, "version", str(data[6]), TRANSPORT)
            yield self._part(1, "medium", medium_name(data[7]), TRANSPORT)
            data = data[8:]
        if len(data) < 4:
            raise ProtocolError("the header ends here", kind="truncated")
        yield self._part(1, "access number", str(data[0]), TRANSPORT)
        yield self._part(1, "status", f"{data[1]:08b}", TRANSPORT)
        word = int.from_bytes(data[2:4], "little")
        mode, blocks = word >> 8 & 0x1F, word >> 4 & 0x0F
        text = f"security mode {mode}, {blocks} blocks encrypted" if mode else "not encrypted"
        yield self._part(2, "configuration", text, TRANSPORT)
        if mode == 7 and len(data) > 4:
            yield self._part(1, "configuration extension", f"{data[4]:02X}", TRANSPORT)

    def _sealed(self, name: str, meaning: str) -> Iterator[Part]:
        rest = len(self._data) - self._at
        if rest:
            yield self._part(rest, name, meaning, "", "" if self._telegram is not None else self._wrong)

    def _session(self, ci: int) -> bool:
        return ci in (WirelessCi.ELL_SESSION, WirelessCi.ELL_BOTH)

    def _ci(self, ci: int) -> Part:
        text = "the maker's own" if ci in MANUFACTURER_CI else _CI.get(ci, "")
        return self._part(1, "CI field", text, TRANSPORT if text else "", "" if text else self._wrong)

    def _part(self, size: int, name: str, meaning: str, clause: str, wrong: str = "") -> Part:
        part = Part(self._at, self._data[self._at : self._at + size], name, meaning, clause, 0, wrong)
        self._at += size
        return part


def _inside(telegram: Telegram) -> str:
    """Return what the records of a telegram say, one after the other."""
    return "; ".join(text for record in telegram.records if (text := _said(record)))


def _said(record: Record) -> str:
    header = record.header
    if header.measurand is Measurand.MANUFACTURER_DATA:
        return ""
    name = header.measurand.value.replace("_", " ")
    place = f", storage {header.storage}" if header.storage else ""
    value = record.value.hex().upper() if isinstance(record.value, bytes) else record.value
    unit = "" if header.unit == "1" or value is None else f" {header.unit}"
    return f"{name}{place}: {'no value' if value is None else value}{unit}"


def _with_checksums(parts: list[Part], data: bytes, checksums: Checksums) -> list[Part]:
    """Return the parts of a bare telegram where they stand in the one with checksums, and those between them."""
    blocks = blocks_of(data, checksums)
    found: list[Part] = []
    for number, part in enumerate(parts):
        pieces = list(_pieces(blocks, part.offset, part.offset + len(part.data)))
        (start, _, _), (last, size, _) = pieces[0], pieces[-1]
        if number + 1 < len(parts) and parts[number + 1].depth > part.depth:
            found.append(replace(part, offset=start, data=data[start : last + size]))
            continue
        for piece, (offset, size, checksum_at) in enumerate(pieces):
            content = data[offset : offset + size]
            meaning = "continued" if piece else part.meaning
            found.append(replace(part, offset=offset, data=content, meaning=meaning))
            if checksum_at is not None:
                sent = data[checksum_at : checksum_at + 2]
                found.append(Part(checksum_at, sent, "block checksum", "right", LINK, part.depth))
    return found


def _pieces(blocks: list[tuple[int, int]], start: int, end: int) -> Iterator[tuple[int, int, int | None]]:
    """Yield where the bytes of a bare telegram from one place to another stand: offset, size, checksum behind it."""
    bare = 0
    for block_start, block_end in blocks:
        size = block_end - block_start
        first, last = max(start, bare), min(end, bare + size)
        if first < last:
            at = block_start + first - bare
            yield at, last - first, block_end if last == bare + size else None
        bare += size
