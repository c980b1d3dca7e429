"""NOR flash as a block device that can be cut at any byte, and whose blocks wear out.

As on the real thing, writing only clears bits, erasing sets all of a block, and what a power cut interrupts is half
done.
"""

SIZE = 4096
ERASE = 256
"""What erasing a block counts for, in bytes written."""


class PowerCut(BaseException):
    """The power is gone: nothing of the program goes on."""


class Life:
    """The flash as one life of a program sees it: after a power cut nothing of that life reaches it any more.

    Without it, files that the cut left open would be closed, and written, when their objects are collected.
    """

    def __init__(self, nor):
        self._nor = nor
        self._over = False

    def end(self):
        """The power is gone."""
        self._over = True

    def readblocks(self, block, buffer, offset=0):
        """Fill a buffer."""
        return 0 if self._over else self._nor.readblocks(block, buffer, offset)

    def writeblocks(self, block, buffer, offset=None):
        """Clear bits."""
        return 0 if self._over else self._nor.writeblocks(block, buffer, offset)

    def ioctl(self, operation, argument):
        """Answer what a block device is asked."""
        return 0 if self._over else self._nor.ioctl(operation, argument)


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
        self.erased = [0] * blocks
        self._bits = bits
        self._path = path
        self._data = bytearray(b"\xff" * (SIZE * blocks))
        if path:
            try:
                with open(path, "rb") as file:
                    file.readinto(self._data)
            except OSError:
                with open(path, "wb") as file:
                    file.write(self._data)

    def _keep(self, start, end):
        if self._path:
            with open(self._path, "r+b") as file:
                file.seek(start)
                file.write(memoryview(self._data)[start:end])

    def readblocks(self, block, buffer, offset=0):
        """Fill a buffer."""
        start = block * SIZE + offset
        buffer[:] = memoryview(self._data)[start : start + len(buffer)]

    def writeblocks(self, block, buffer, offset=None):
        """Clear bits; without an offset the blocks are erased first."""
        if offset is None:
            for each in range(len(buffer) // SIZE):
                self._erase(block + each)
            offset = 0
        start = block * SIZE + offset
        if block in self.worn:
            return
        for place, byte in enumerate(buffer):
            if self.budget == 0:
                # The byte under way: some of its bits are cleared.
                self._data[start + place] &= byte | self._bits(8)
                self._keep(start, start + place + 1)
                raise PowerCut
            self.budget -= self.budget > 0
            self._data[start + place] &= byte
        self._keep(start, start + len(buffer))

    def _erase(self, block):
        start, end = block * SIZE, block * SIZE + SIZE
        self.erased[block] += 1
        if block in self.worn:
            return
        if 0 <= self.budget < ERASE:
            # Half erased: anything may stand there.
            for place in range(start, end):
                self._data[place] |= self._bits(8)
            self.budget = 0
            self._keep(start, end)
            raise PowerCut
        if self.budget > 0:
            self.budget -= ERASE
        self._data[start:end] = b"\xff" * SIZE
        self._keep(start, end)

    def ioctl(self, operation, argument):
        """Answer what a block device is asked."""
        if operation == 4:
            return self.blocks
        if operation == 5:
            return SIZE
        if operation == 6:
            self._erase(argument)
        return 0
