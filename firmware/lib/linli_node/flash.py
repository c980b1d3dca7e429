"""Where records are kept: numbered blocks that are erased as a whole and written in order. Two kinds, one shape.

``blocks`` and ``size`` say how many and how large; ``read``, ``write`` and ``erase`` do what they say; ``begun`` names
the blocks that may hold something, and ``filled`` how far one may be: a start need not look beyond. What was written
is read back: a worn block answers with something else, and is told as :class:`FlashError`. A board has one of the two,
and loads that: this one, or :class:`linli_node.folder_flash.FolderFlash`.
"""

from micropython import const

from linli_node.errors import FlashError

_ERASE = const(6)  # ioctl of a block device: erase one block (MicroPython's os.AbstractBlockDev)
_BLOCKS = const(4)
_SIZE = const(5)
_BLANK = const(b"\xff")


class BlockFlash:
    """Part of a raw block device: a partition of its own.

    Args:
        device: Has ``readblocks``, ``writeblocks`` and ``ioctl`` with an offset (the extended interface).
        first, blocks: Which of its blocks; ``blocks`` of 0 takes all from ``first`` on.
        page: What the device writes at once; the rest of a page is written as erased, which changes nothing.
    """

    def __init__(self, device, first=0, blocks=0, page=1):
        self._device = device
        self._first = first
        self._page = page
        self.blocks = blocks or device.ioctl(_BLOCKS, 0) - first
        self.size = device.ioctl(_SIZE, 0)

    def begun(self):
        """Return all blocks: each must be looked at."""
        return range(self.blocks)

    def filled(self, _block):
        """Return where a block ends: all of it must be looked at."""
        return self.size

    def read(self, block, offset, count):
        """Return bytes of a block."""
        data = bytearray(count)
        self._device.readblocks(self._first + block, data, offset)
        return data

    def write(self, block, offset, data):
        """Write bytes where the block is erased."""
        page = self._page
        start = offset - offset % page
        end = offset + len(data)
        end += -end % page
        padded = data
        if page > 1:
            padded = bytearray(_BLANK * (end - start))
            padded[offset - start : offset - start + len(data)] = data
        self._device.writeblocks(self._first + block, padded, start)
        if self.read(block, offset, len(data)) != data:
            raise FlashError("block " + str(block) + " is worn: it holds something else than was written")

    def erase(self, block):
        """Make a block all ones."""
        self._device.ioctl(_ERASE, self._first + block)
