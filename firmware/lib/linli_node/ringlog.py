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
from array import array

from micropython import const

from linli_node import forget
from linli_node.errors import FlashError
from linli_node.records import HEAD, Scan, frame

_MAGIC = const(b"LNL1")
_BLOCK_HEAD = const(24)
_RECORD = const(1)
_ACKED = const(2)


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

    def __init__(self, flash, random32, memory=None):
        """Store.

        Args:
            flash: Where it is kept.
            random32: Returns 32 random bits.
            memory: Outlasts deep sleep; where it is given, an acknowledgement is noted there and not on flash, which
                takes a board on a battery as long as all else. After a power cut that of the last block's head stands,
                and what follows is sent once more: the gateway knows it.
        """
        self._flash = flash
        self._memory = memory
        self._random32 = random32
        self.epoch = ""
        self.next_seq = 1
        self.acked = 0
        self.evicted = 0
        self.damaged = 0
        self.worn = 0
        self._last = 0
        # Of each block its generation, 0 where it is none of this log, and the number before its first record: two
        # arrays hold a full ring in half a kilobyte. What follows the newest block in the ring is the oldest.
        self._generations = array("I", bytes(4 * flash.blocks))
        self._befores = array("I", bytes(4 * flash.blocks))
        self._newest = -1
        self._offset = 0
        # The record written last, as it goes out, until it is acknowledged: it need not be looked for on the flash. On
        # a battery only: on mains that takes no time to speak of, and memory all the time.
        self._fresh = None

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
        from linli_node.ring_search import search  # noqa: PLC0415 - needed once in a start

        found = search(self._flash, self._generations, self._befores, self._memory)
        forget("linli_node.ring_search")
        if found is None:
            self.epoch = "{:08x}".format(self._random32())
            self._offset = self._flash.size
            return
        self.epoch, self._newest, self._offset, self._last, self.next_seq, self.acked, damaged = found
        self.damaged += damaged

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
        if self._memory is not None:
            self._fresh = seq, self._last + 1, payload
        self._last = seq
        self.next_seq = seq + 1
        return seq

    def ack(self, seq):
        """Note what the gateway has; less than before is an order to send again. Tell whether anything changed."""
        if seq == self.acked or not 0 <= seq < self.next_seq:
            return False
        self.acked = seq
        if self._fresh is not None and seq >= self._fresh[0]:
            self._fresh = None
        if self._memory is None or not self._memory.set(struct.pack("<II", int(self.epoch, 16), seq)):
            try:
                self._write(_ACKED, seq, b"")
            except FlashError:
                # Sent once more after the next start: the gateway knows it.
                return True
        return True

    def pending(self, after=0):
        """Yield ``(seq, since, payload)`` of what is not acknowledged, oldest first, beyond ``after``.

        ``since`` is the number after the record before it: the receiver that has all below it misses nothing.
        """
        floor, fresh = max(self.acked, after), self._fresh
        if fresh is not None and fresh[1] <= floor + 1 <= fresh[0]:
            yield fresh
            return
        block, before = self._following(self._newest), 0
        while block >= 0:
            following = self._after(block)
            if following >= 0 and self._befores[following] <= floor:
                # All of it is acknowledged.
                block, before = following, self._befores[following]
                continue
            # What stood before the oldest block is gone: nobody need wait for it.
            for kind, number, payload in Scan(self._flash, block, _BLOCK_HEAD):
                if kind != _RECORD or number <= before:
                    continue
                if number > floor:
                    yield number, before + 1, payload
                before = number
            # The ring may have gone on meanwhile.
            block = self._after(block)
            before = self._befores[block] if block >= 0 else 0

    def _after(self, block):
        """Return the block that was begun after one; -1 after the newest."""
        return self._following(block) if block != self._newest else -1

    def _following(self, block):
        """Return the next block of the log in the ring, the oldest after the newest; -1 where there is none."""
        count = self._flash.blocks
        for step in range(1, count + 1):
            if self._generations[(block + step) % count]:
                return (block + step) % count
        return -1

    def _write(self, kind, number, payload):
        record = frame(kind, number, payload)
        for _ in range(self._flash.blocks + 1):
            if self._offset + len(record) > self._flash.size:
                self._advance()
            try:
                self._flash.write(self._newest, self._offset, record)
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
        block = self._newest
        generation = self._generations[block] + 1 if block >= 0 else 1
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
            self._generations[block], self._befores[block] = generation, self._last
            self._newest, self._offset = block, _BLOCK_HEAD
            return
        raise FlashError("no block of the log can be begun")

    def _forget(self, block):
        if not self._generations[block]:
            return
        following = self._after(block)
        end = self._befores[following] if following >= 0 else self._last
        self.evicted += max(0, end - max(self._befores[block], self.acked))
        self._generations[block] = 0
