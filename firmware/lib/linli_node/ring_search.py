"""Where a ring log stands on its flash: found out at a start, and let go after it (:mod:`linli_node.ringlog`)."""

import binascii
import struct

from micropython import const

from linli_node.records import Scan

_MAGIC = const(b"LNL1")
_BLOCK_HEAD = const(24)
_RECORD = const(1)
_ACKED = const(2)


def search(flash, generations, befores, memory):
    """Fill in what is known of each block; return where the log stands, ``None`` where there is none.

    That is: the log's name, the newest block, where that ends, the newest record's number, the next one, what is
    acknowledged (``memory`` may know more of it than the flash), and how many places of the newest block are damaged.
    """
    newest, head = _heads(flash, generations, befores)
    if newest < 0:
        return None
    _, epoch, last, acked = head
    scan = Scan(flash, newest, _BLOCK_HEAD)
    for kind, number, _ in scan:
        if kind == _RECORD:
            last = max(last, number)
        elif kind == _ACKED:
            acked = number
    noted = bytes(memory.get()) if memory is not None else b""
    if len(noted) == 8 and noted[:4] == struct.pack("<I", epoch):
        seq = struct.unpack("<I", noted[4:])[0]
        if acked < seq <= last:
            acked = seq
    # What was torn may have been a record of the next number that was whole once, and sent.
    following = last + 2 if scan.torn else last + 1
    return "{:08x}".format(epoch), newest, scan.end, last, following, acked, scan.damaged


def _heads(flash, generations, befores):
    count, newest, best = flash.blocks, -1, None
    for block in range(count):
        generations[block] = 0
    for block in sorted(flash.begun()):
        head = bytes(flash.read(block, 0, _BLOCK_HEAD))
        if head[:4] != _MAGIC or struct.unpack("<I", head[20:])[0] != binascii.crc32(head[:20]):
            continue
        head = struct.unpack("<IIII", head[4:20])
        if best is None or head[0] >= best[0]:
            best, newest = head, block
        generations[block], befores[block] = head[0], head[2]
    for step in range(1, count if best is not None else 0):
        # One that could not be erased when its turn came is older than its place in the ring, and so are the blocks
        # that an earlier log has left behind.
        block = (newest - step) % count
        if not best[0] - step <= generations[block] < best[0]:
            generations[block] = 0
    return newest, best
