"""The node's log: a ring of flash blocks, written in order, so that each is erased as often as every other.

A record is durable when :meth:`RingLog.append` returns, and stays until the gateway has acknowledged it, or until the
ring comes round: then the oldest go, and are counted. A power cut at any byte costs at most the record that was being
written, and its number is never used again: it might have been whole, and sent.

Each block begins with::

    "LNL1" | generation u32 | epoch u32 | last u32 | acked u32 | crc32 u32 of all before

``last`` is the number of the newest record before the block, ``acked`` what was acknowledged when it was begun. So a
start reads the heads and the newest block only.
"""

import binascii
import struct

from linli_node.errors import FlashError
from linli_node.records import HEAD, Scan, frame

_MAGIC = b"LNL1"
_BLOCK_HEAD = 24
_RECORD = 1
_ACKED = 2


class RingLog:
    """The log on one flash.

    Attributes:
        epoch: Eight hex digits, random: names this log. A flash that was wiped is another log.
        next_seq: Number of the next record.
        acked: The gateway has everything up to this one.
        evicted: Records not acknowledged that the ring has overwritten since the start.
        damaged: Places that were no record when the log was opened.
        worn: Blocks that do not hold what is written.
    """

    def __init__(self, flash, random32):
        """Store; ``random32`` returns 32 random bits."""
        self._flash = flash
        self._random32 = random32
        self.epoch = ""
        self.next_seq = 1
        self.acked = 0
        self.evicted = 0
        self.damaged = 0
        self.worn = 0
        self._last = 0
        self._blocks = []
        self._offset = 0

    @property
    def backlog(self):
        """How many numbers are not acknowledged."""
        return max(0, self._last - self.acked)

    @property
    def largest(self):
        """Longest payload that a record may have."""
        return min(0xFFFF, self._flash.size - _BLOCK_HEAD - HEAD)

    def open(self):
        """Find out where the log stands; an empty flash begins one."""
        found = []
        for block in range(self._flash.blocks):
            head = self._head(block)
            if head is not None:
                found.append((head[0], block, head[1], head[2], head[3]))
        found.sort()
        if not found:
            self.epoch = "{:08x}".format(self._random32())
            self._blocks = []
            self._offset = self._flash.size
            return
        epoch = found[-1][2]
        self.epoch = "{:08x}".format(epoch)
        self._blocks = [(generation, block, last) for generation, block, name, last, _ in found if name == epoch]
        _, _, _, self._last, self.acked = found[-1]
        scan = Scan(self._flash, found[-1][1], _BLOCK_HEAD)
        for kind, number, _ in scan:
            if kind == _RECORD:
                self._last = max(self._last, number)
            elif kind == _ACKED:
                self.acked = number
        self._offset = scan.end
        self.damaged += scan.damaged
        self.next_seq = self._last + 1
        if scan.torn:
            # It may have been a record of this number that was whole once, and sent.
            self.next_seq += 1

    def append(self, payload):
        """Write a record and return its number.

        Raises:
            FlashError: No block holds it; the record is not in the log.
            ValueError: It is longer than :attr:`largest`.
        """
        if len(payload) > self.largest:
            raise ValueError("a record of " + str(len(payload)) + " bytes; " + str(self.largest) + " at most")
        seq = self.next_seq
        self._write(_RECORD, seq, payload)
        self._last = seq
        self.next_seq = seq + 1
        return seq

    def ack(self, seq):
        """Note what the gateway has; less than before is an order to send again. Tell whether anything changed."""
        if seq == self.acked or not 0 <= seq < self.next_seq:
            return False
        self.acked = seq
        self._write(_ACKED, seq, b"")
        return True

    def pending(self, after=0):
        """Yield ``(seq, since, payload)`` of what is not acknowledged, oldest first, beyond ``after``.

        ``since`` is the number after the record before it: the receiver that has all below it misses nothing.
        """
        floor = max(self.acked, after)
        blocks = list(self._blocks)
        for place in range(len(blocks)):
            _, block, last = blocks[place]
            if place + 1 < len(blocks) and blocks[place + 1][2] <= floor:
                continue  # all of it is acknowledged
            # What stood before the oldest block is gone: nobody need wait for it.
            before = last if place else 0
            for kind, number, payload in Scan(self._flash, block, _BLOCK_HEAD):
                if kind != _RECORD or number <= before:
                    continue
                if number > floor:
                    yield number, before + 1, payload
                before = number

    def _head(self, block):
        head = bytes(self._flash.read(block, 0, _BLOCK_HEAD))
        if head[:4] != _MAGIC or struct.unpack("<I", head[20:])[0] != binascii.crc32(head[:20]):
            return None
        return struct.unpack("<IIII", head[4:20])

    def _write(self, kind, number, payload):
        record = frame(kind, number, payload)
        for _ in range(self._flash.blocks + 1):
            if self._offset + len(record) > self._flash.size:
                self._advance()
            try:
                self._flash.write(self._blocks[-1][1], self._offset, record)
            except (FlashError, OSError):
                # Never again into this block until it is erased.
                self._offset = self._flash.size
                self.worn += 1
                continue
            self._offset += len(record)
            return
        raise FlashError("no block of the log holds what is written to it")

    def _advance(self):
        """Begin the next block that works; what is in it is the oldest, and goes."""
        generation = self._blocks[-1][0] + 1 if self._blocks else 1
        block = self._blocks[-1][1] if self._blocks else -1
        for _ in range(self._flash.blocks):
            block = (block + 1) % self._flash.blocks
            self._forget(block)
            head = _MAGIC + struct.pack("<IIII", generation, int(self.epoch, 16), self._last, self.acked)
            try:
                self._flash.erase(block)
                self._flash.write(block, 0, head + struct.pack("<I", binascii.crc32(head)))
            except (FlashError, OSError):
                self.worn += 1
                continue
            self._blocks.append((generation, block, self._last))
            self._offset = _BLOCK_HEAD
            return
        raise FlashError("no block of the log can be begun")

    def _forget(self, block):
        for place in range(len(self._blocks)):
            if self._blocks[place][1] != block:
                continue
            first = self._blocks[place][2]
            end = self._blocks[place + 1][2] if place + 1 < len(self._blocks) else self._last
            self.evicted += max(0, end - max(first, self.acked))
            del self._blocks[place]
            return
