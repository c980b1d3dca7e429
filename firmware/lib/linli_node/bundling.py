"""The bundle of a slot: a copy of its modules in one file, which a board that sleeps deeply imports them from.

Loaded once after an update or a flash, and let go. The modules stay where they are: updates compare and copy them, and
a board whose flash has no room for the bundle, or a bundle that is none, runs them from there.
"""

import binascii
import os
import struct

from micropython import const

_BUNDLE = const("/bundle")
_COPY = 512


def _modules(folder, below=""):
    """Return the names of all modules below a folder, each with its size."""
    found = []
    for entry in os.ilistdir(folder + below):
        name = below + "/" + entry[0]
        if entry[1] == 0x4000:
            found += _modules(folder, name)
        elif name.endswith(".mpy"):
            found.append((name, os.stat(folder + name)[6]))
    return found


def _index(modules, start, made_of):
    lines = ["\n/manifest " + str(made_of) + "\n"]
    for name, size in modules:
        lines.append(name + " " + str(start) + " " + str(size) + "\n")
        start += size
    return "".join(lines).encode()


def bundle(folder, feed):
    """Make the bundle of a slot, also in the place of one that is none; tell whether it was made.

    Args:
        folder: The slot, or what it is imported from: nothing is done where that is a bundle already.
        feed: Shows the watchdog that the program lives.
    """
    try:
        # It names what it is of: it is not run where the slot holds something else by then.
        made_of = _crc(folder + "/manifest")
    except OSError:
        return False
    modules, whole = _modules(folder), False
    # Offsets have as many digits as they have: the index is made until its own length does not move them any more.
    start = -1
    while True:
        index = _index(modules, max(start, 0), made_of)
        if start == 16 + len(index):
            break
        start = 16 + len(index)
    try:
        with open(folder + _BUNDLE + ".new", "wb") as written:
            head = b"%08x%08x" % (len(index), binascii.crc32(index)) + index
            written.write(head)
            crc = binascii.crc32(head)
            for name, size in modules:
                feed()
                copied, crc = _copied(folder + name, written, crc)
                whole = copied == size
                if not whole:
                    # What follows would stand elsewhere than the index has it.
                    break
            written.write(struct.pack("<I", crc))
        if whole:
            os.rename(folder + _BUNDLE + ".new", folder + _BUNDLE)
            return True
    except OSError:
        pass
    _remove(folder + _BUNDLE + ".new")
    return False


def _crc(path):
    with open(path, "rb") as file:
        return binascii.crc32(file.read())


def _copied(path, written, crc):
    """Copy a file into one that is being written; return how many bytes it had, and the crc32 of all until its end."""
    buffer, total = bytearray(_COPY), 0
    with open(path, "rb") as read:
        while True:
            count = read.readinto(buffer)
            if not count:
                return total, crc
            written.write(memoryview(buffer)[:count])
            crc = binascii.crc32(memoryview(buffer)[:count], crc)
            total += count


def _remove(path):
    try:
        os.remove(path)
    except OSError:
        return
