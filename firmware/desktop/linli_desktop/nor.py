"""NOR flash as a block device that can be cut at any byte, and whose blocks wear out.

As on the real thing, writing only clears bits, erasing sets all of a block, and what a power cut interrupts is half
done.
"""

from array import array

SIZE = 4096
ERASE = 256
"""What erasing a block counts for, in bytes written."""


_BLANK = b"\xff" * 256


def _opened(path, blocks):
    """Return a file that holds so many blocks, new or of an earlier life."""
    try:
        return open(path, "r+b")
    except OSError:
        with open(path, "wb") as file:
            for _ in range(blocks * SIZE // len(_BLANK)):
                file.write(_BLANK)
        return open(path, "r+b")


class PowerCut(BaseException):
    """The power is gone: nothing of the program goes on."""


class Nor:
    """A block device for ``vfs.VfsLfs2`` and for ``BlockFlash``.

    Args:
        blocks: How many of :data:`SIZE` bytes.
        path: File that holds them; empty: they are in memory only.
        bits: Returns n random bits, for what a cut leaves behind.

    Attributes:
        budget: Bytes that may still be written or erased before the power goes; -1: it stays.
        worn: Blocks that keep nothing.
        erased: How often each block was erased.
    """

    def __init__(self, blocks, path="", bits=None):
        self.blocks = blocks
        self.budget = -1
        self.worn = set()
        self.erased = array("I", bytes(4 * blocks))
        self._bits = bits
        self._file = _opened(path, blocks) if path else None
        self._data = None if path else bytearray(_BLANK * (SIZE // len(_BLANK) * blocks))

    def _get(self, start, buffer):
        if self._file is None:
            buffer[:] = memoryview(self._data)[start : start + len(buffer)]
        else:
            self._file.seek(start)
            self._file.readinto(buffer)

    def _put(self, start, data):
        if self._file is None:
            self._data[start : start + len(data)] = data
        else:
            self._file.seek(start)
            self._file.write(data)
            self._file.flush()

    def readblocks(self, block, buffer, offset=0):
        """Fill a buffer."""
        self._get(block * SIZE + offset, buffer)

    def writeblocks(self, block, buffer, offset=None):
        """Clear bits; without an offset the blocks are erased first."""
        if offset is None:
            for each in range(len(buffer) // SIZE):
                self._erase(block + each)
            offset = 0
        start = block * SIZE + offset
        if block in self.worn:
            return
        held = bytearray(len(buffer))
        self._get(start, held)
        if self.budget < 0 and not bytes(held).strip(b"\xff"):
            # Onto what is erased, and nobody cuts: what is written stands there.
            self._put(start, buffer)
            return
        for place, byte in enumerate(buffer):
            if self.budget == 0:
                # The byte under way: some of its bits are cleared.
                held[place] &= byte | self._bits(8)
                self._put(start, memoryview(held)[: place + 1])
                raise PowerCut
            self.budget -= self.budget > 0
            held[place] &= byte
        self._put(start, held)

    def _erase(self, block):
        start = block * SIZE
        self.erased[block] += 1
        if block in self.worn:
            return
        if 0 <= self.budget < ERASE:
            # Half erased: anything may stand there.
            held = bytearray(SIZE)
            self._get(start, held)
            for place in range(SIZE):
                held[place] |= self._bits(8)
            self.budget = 0
            self._put(start, held)
            raise PowerCut
        if self.budget > 0:
            self.budget -= ERASE
        for part in range(start, start + SIZE, len(_BLANK)):
            self._put(part, _BLANK)

    def ioctl(self, operation, argument):
        """Answer what a block device is asked."""
        if operation == 4:
            return self.blocks
        if operation == 5:
            return SIZE
        if operation == 6:
            self._erase(argument)
        return 0
