"""A disk that fills up, fails, slows down or loses what was not synced, and a clock that jumps, for one process.

The work is done by ``preload.c``, loaded before the C library: no root, no mount, and the process under test is the one
that is installed.
"""

import errno
import mmap
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Final

from linli_sim.compiled import compiled

_CONTROL: Final = struct.Struct("=iiq")
_RECORD: Final = struct.Struct("=iiQqqq")
_WRITE: Final = 1

DISK_FULL: Final = errno.ENOSPC
READ_ONLY: Final = errno.EROFS
BROKEN: Final = errno.EIO


@dataclass(frozen=True, slots=True)
class Overwritten:
    """What one write took away: enough to take the write back."""

    path: Path
    inode: int
    offset: int
    old: bytes
    size: int


class Preload:
    """What one process is to live with.

    Attributes:
        environment: What to start it with.
    """

    def __init__(self, folder: Path, control: Path) -> None:
        """Prepare; nothing fails yet.

        Args:
            folder: Files below it are concerned; it is there.
            control: Base of the names of two files that are made.

        Raises:
            NotBuilt: There is no C compiler.
        """
        source = (files("linli_sim.faults") / "preload.c").read_bytes()
        library = compiled(
            "faults.so", source, ("-shared", "-fPIC", "-x", "none", "-ldl", "-lpthread"), "apt-get install gcc"
        )
        self._folder = folder.resolve()
        self._undo = control.with_suffix(".undo")
        control.write_bytes(bytes(_CONTROL.size))
        with control.open("r+b") as file:
            self._control = mmap.mmap(file.fileno(), _CONTROL.size)
        self._error = self._pause = self._offset = 0
        self.environment: Mapping[str, str] = {
            "LD_PRELOAD": str(library),
            "LINLI_FAULT_FOLDER": str(self._folder),
            "LINLI_FAULT_CONTROL": str(control),
            "LINLI_FAULT_UNDO": str(self._undo),
        }

    def disk(self, error: int = 0, pause: int = 0) -> None:
        """Let every write fail with an ``errno``, or take so many microseconds longer; without arguments: heal."""
        self._error, self._pause = error, pause
        self._tell()

    def clock(self, offset: int = 0) -> None:
        """Move the wall clock by microseconds."""
        self._offset = offset
        self._tell()

    def _tell(self) -> None:
        self._control[:] = _CONTROL.pack(self._error, self._pause, self._offset)

    def begin(self) -> None:
        """Forget what was written before; call it before each start of the process."""
        self._undo.unlink(missing_ok=True)

    def cut_power(self, kept: float) -> int:
        """Take back what the process had not synced; call it once the process is killed.

        Args:
            kept: Share of the unsynced writes that reached the disk all the same, the oldest ones, 0 to 1.

        Returns:
            How many writes were taken back.
        """
        unsynced = list(_unsynced(self._undo))
        taken_back = unsynced[round(kept * len(unsynced)) :]
        for write in reversed(taken_back):
            # A file that was replaced or deleted since is left alone: what names it now is another.
            if not write.path.exists() or write.path.stat().st_ino != write.inode:
                continue
            with write.path.open("r+b") as file:
                file.seek(write.offset)
                file.write(write.old)
                file.truncate(write.size)
        return len(taken_back)


def _unsynced(undo: Path) -> Iterator[Overwritten]:
    """Yield the writes after the last sync of their file, oldest first."""
    data = undo.read_bytes() if undo.exists() else b""
    writes: list[Overwritten | None] = []
    open_writes: dict[int, list[int]] = {}
    place = 0
    while place + _RECORD.size <= len(data):
        kind, path_length, inode, offset, length, size = _RECORD.unpack_from(data, place)
        place += _RECORD.size
        path = Path(data[place : place + path_length].decode())
        old = data[place + path_length : place + path_length + length]
        place += path_length + length
        if kind == _WRITE:
            open_writes.setdefault(inode, []).append(len(writes))
            writes.append(Overwritten(path, inode, offset, old, size))
        else:
            for number in open_writes.pop(inode, ()):
                writes[number] = None
    return (write for write in writes if write is not None)
