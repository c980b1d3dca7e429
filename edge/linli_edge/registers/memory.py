"""What is known of registers, over a restart: one small file, written seldom, for the card's sake.

Once an hour, at each billing boundary, and when a meter was exchanged.
"""

import logging
from pathlib import Path
from typing import Final

import msgspec

from linli_core.instant import HOUR, Instant
from linli_edge.durable_file import write_durably
from linli_edge.registers.book import Memory

WRITE_EVERY: Final = HOUR
"""An hour-old baseline judges as well as a new one: a register has risen by what an hour allows."""

_log = logging.getLogger(__name__)


class MemoryFile:
    """The file ``registers.json`` in the gateway's data folder."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._written_at: Instant | None = None

    def read(self) -> Memory:
        """Return what is remembered; nothing if there is no file, or none that can be read."""
        try:
            return msgspec.json.decode(self._path.read_bytes(), type=Memory)
        except FileNotFoundError:
            return Memory()
        except (OSError, msgspec.MsgspecError) as exc:
            _log.warning("%s cannot be read (%s): every register begins anew", self._path, exc)
            return Memory()

    def is_due(self, now: Instant) -> bool:
        """Tell whether it is time to write."""
        return self._written_at is None or not 0 <= now - self._written_at < WRITE_EVERY

    def write(self, memory: Memory, now: Instant) -> None:
        """Write, whole or not at all; a disk that refuses is told and tried again later."""
        self._written_at = now
        try:
            write_durably(self._path, msgspec.json.encode(memory))
        except OSError as exc:
            _log.warning("%s cannot be written: %s", self._path, exc)
