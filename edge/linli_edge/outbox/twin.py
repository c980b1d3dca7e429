"""A copy of the log's totals in a file of its own, written at each start.

The totals stand on one page of the log. Where that page is damaged, and no older copy of it is found, only this tells
which log it was: without it the messages that read would become another log, and those that do not read would be lost
unnamed. It is as old as the start; what has come since is on the pages of the messages.
"""

import logging
import sqlite3
import zlib
from pathlib import Path
from typing import Final

import msgspec

from linli_edge.durable_file import write_durably
from linli_edge.outbox.head import Head, head_of

_log = logging.getLogger(__name__)
_encode: Final = msgspec.msgpack.Encoder().encode
_CHECK: Final = 4


def keep_twin(log: Path, head: Head) -> None:
    """Write down what the log is; where the disk refuses, an older copy stays."""
    encoded = _encode(head)
    try:
        write_durably(_twin(log), zlib.crc32(encoded).to_bytes(_CHECK) + encoded)
    except OSError as exc:
        _log.warning("%s: no copy of the totals could be written (%s)", log, exc)


def twin_head(log: Path) -> Head | None:
    """Return the totals as they were at the last start; ``None`` where there is no sound copy."""
    try:
        content = _twin(log).read_bytes()
        return head_of((1, content[_CHECK:], int.from_bytes(content[:_CHECK])))
    except (OSError, sqlite3.DatabaseError):
        return None


def _twin(log: Path) -> Path:
    return log.with_name(f"{log.name}.twin")
