"""How records stand in a block: framed, each with its checksum, one after the other.

::

    length u16 | kind u8 | 0x5A | number u32 | crc32 u32 of all of it but itself | payload     (little-endian)

A record that a power cut tore, or a bit that flipped, costs that record: what follows is found again.
"""

import binascii
import struct

from micropython import const

HEAD = 12
PAGE = 256
_MARK = const(0x5A)
_WINDOW = const(512)
_FORM = const("<HBBII")
_ERASED = const(b"\xff")


def frame(kind, number, payload):
    """Return a record."""
    head = struct.pack("<HBBI", len(payload), kind, _MARK, number)
    return head + struct.pack("<I", binascii.crc32(payload, binascii.crc32(head))) + payload


class Scan:
    """A walk over the records of one block; iterate it, then ask.

    Attributes:
        end: Where the next record may be written, once the walk is over; the block's size if nowhere.
        damaged: How many runs of bytes were no record.
        torn: Whether the last of them was followed by no record: it was being written when the power went.
    """

    def __init__(self, flash, block, start):
        self._flash = flash
        self._block = block
        self._start = start
        self.end = start
        self.damaged = 0
        self.torn = False
        self._window = b""
        self._from = 0
        self._filled = flash.filled(block)

    def _bytes(self, offset, count):
        """Return bytes of the block, through a window: one read for many records."""
        start = offset - self._from
        if start < 0 or start + count > len(self._window):
            length = min(max(count, _WINDOW), self._flash.size - offset)
            self._window = self._flash.read(self._block, offset, length)
            self._from, start = offset, 0
        return self._window[start : start + count]

    def _record(self, offset):
        """Return kind, number and payload at an offset; ``None`` where no whole record begins."""
        size = self._flash.size
        if offset + HEAD > size:
            return None
        head = self._bytes(offset, HEAD)
        length, kind, mark, number, crc = struct.unpack(_FORM, head)
        if mark != _MARK or offset + HEAD + length > size:
            return None
        payload = bytes(self._bytes(offset + HEAD, length))
        if binascii.crc32(payload, binascii.crc32(head[:8])) != crc:
            return None
        return kind, number, payload

    def _blank(self, offset):
        """Tell whether everything from an offset on is erased."""
        while offset < min(self._filled, self._flash.size):
            count = min(_WINDOW, self._flash.size - offset)
            # Byte by byte it would take a board longer than all the rest of its start.
            if bytes(self._bytes(offset, count)).strip(_ERASED):
                return False
            offset += count
        return True

    def __iter__(self):
        """Yield kind, number and payload of each whole record."""
        offset, lost = self._start, False
        size = self._flash.size
        while offset + HEAD <= size:
            found = self._record(offset)
            if found is not None:
                lost = self.torn = False
                yield found
                offset += HEAD + len(found[2])
                self.end = offset
                continue
            if self._blank(offset):
                break
            if not lost:
                self.damaged += 1
            lost = self.torn = True
            offset += 1
        if self.torn:
            # What the cut touched is not written to again: the next record begins on a page of its own.
            while self.end < size and not self._blank(self.end):
                self.end += PAGE - self.end % PAGE
            self.end = min(self.end, size)
