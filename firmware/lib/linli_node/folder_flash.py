"""Blocks of records as files, for boards without a partition of their own: one of the two kinds of flash."""

import os

from micropython import const

from linli_node.errors import FlashError

_BLANK = const(b"\xff")


class FolderFlash:
    """Files in a folder of the board's file system, one a block: for boards without a partition of their own.

    littlefs spreads the wear, and a file that is closed is whole after a power cut.
    """

    def __init__(self, folder, blocks, size=4096):
        self._folder = folder
        self.blocks = blocks
        self.size = size
        try:
            os.mkdir(folder)
        except OSError:
            if os.stat(folder)[0] & 0x4000 == 0:
                raise

    def _path(self, block):
        return self._folder + "/" + str(block)

    def begun(self):
        """Return the blocks that there are files of."""
        return [int(name) for name in os.listdir(self._folder) if name.isdigit() and int(name) < self.blocks]

    def filled(self, block):
        """Return how long a block's file is."""
        try:
            return os.stat(self._path(block))[6]
        except OSError:
            return 0

    def read(self, block, offset, count):
        """Return bytes of a block; where nothing was written it is all ones."""
        try:
            with open(self._path(block), "rb") as file:
                file.seek(offset)
                data = file.read(count)
        except OSError:
            data = b""
        return bytearray(data + _BLANK * (count - len(data)))

    def write(self, block, offset, data):
        """Write bytes at the block's end."""
        held = self.filled(block)
        with open(self._path(block), "ab") as file:
            if held < offset:
                file.write(_BLANK * (offset - held))
            file.write(data)
        if self.read(block, offset, len(data)) != data:
            raise FlashError(self._path(block) + " holds something else than was written")

    def erase(self, block):
        """Throw a block's file away."""
        try:
            os.remove(self._path(block))
        except OSError:
            return
