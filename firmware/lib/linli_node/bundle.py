"""All modules of a slot in one file, to import them from: of the loader, like :mod:`linli_node.slots`.

A board that sleeps deeply begins anew at each wake, and looks for thirty modules in three folders: a third of a second.
So its program puts a copy of all of them into one file (:mod:`linli_node.bundling`), from which they are imported.
"""

import binascii
import io
import os

import vfs
from micropython import const

_BUNDLE = const("/bundle")
_RUNNING = const("/run")
_WHOLE = const(0x2144DF1C)
"""The crc32 of anything that ends with its own."""
_MISSING = const(2)  # ENOENT
_FOLDER = const(0x4000)
_FILE = const(0x8000)


class Bundle:
    """The modules of one slot in one file, as a file system to import from.

    ::

        length of the index, its crc32 (both as eight hex digits) | index | modules | crc32 of all before, u32
        index: a line feed, then a line for what it was made of: /manifest CRC32
            then for each module a line: /linli_app/start.mpy OFFSET LENGTH

    Args:
        folder: The slot.

    Raises:
        OSError: There is none.
    """

    def __init__(self, folder):
        self._folder = folder
        self._file = open(folder + _BUNDLE, "rb")  # noqa: SIM115 - as long as the program runs
        self._index = b""

    def open_index(self, woke):
        """Read where its modules are; tell whether it is a bundle, and of what is in the slot.

        Args:
            woke: Whether the board comes out of deep sleep. All of it is read only where it does not: a program that
                ended is started again by a reset, and so is one that was put into the slot by a program that does not
                know of bundles, and has left that of the program before beside it.
        """
        try:
            whole = woke or self._crc(self._file) == _WHOLE
            self._file.seek(0)
            head = self._file.read(16)
            self._index = self._file.read(int(head[:8], 16))
            return whole and int(head[8:], 16) == binascii.crc32(self._index) and (woke or self._is_of_slot())
        except (OSError, ValueError):
            return False

    def _is_of_slot(self):
        with open(self._folder + "/manifest", "rb") as manifest:
            return self._line("/manifest") == [self._crc(manifest)]

    def discard(self):
        """Remove what is none: out of sleep it would not be looked at so closely, and run."""
        self._file.close()
        try:
            os.remove(self._folder + _BUNDLE)
        except OSError:
            return

    @staticmethod
    def _crc(file):
        found, buffer = 0, bytearray(512)
        while True:
            count = file.readinto(buffer)
            if not count:
                return found
            found = binascii.crc32(memoryview(buffer)[:count], found)

    def mount(self, _readonly, _mkfs):
        """Begin."""

    def umount(self):
        """End."""

    def _line(self, path):
        """Return offset and length of a module; nothing of what is no module."""
        begin = self._index.find(b"\n" + path.encode() + b" ")
        if begin < 0:
            return ()
        end = self._index.find(b"\n", begin + 1)
        return [int(number) for number in self._index[begin:end].split()[1:]]

    def stat(self, path):
        """Tell what is there."""
        kind = _FILE
        if path[-4:] != ".mpy":
            kind, path = _FOLDER, path + "/__init__.mpy"
        if not self._line(path):
            raise OSError(_MISSING)
        return (kind, 0, 0, 0, 0, 0, 0, 0, 0, 0)

    def open(self, path, _mode):
        """Return a module."""
        found = self._line(path)
        if not found:
            raise OSError(_MISSING)
        self._file.seek(found[0])
        return io.BytesIO(self._file.read(found[1]))


def path(folder, woke):
    """Return what to import the program of a slot from: its bundle where it has one, else its folder."""
    try:
        found = Bundle(folder)
    except OSError:
        # Its files are there all the same.
        return folder
    if not found.open_index(woke):
        found.discard()
        return folder
    vfs.mount(found, _RUNNING)
    return _RUNNING
