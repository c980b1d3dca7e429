"""The log's totals: what it is called, what it holds, and what it held under other names."""

import secrets
import sqlite3
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Final, Self

import msgspec

from linli_core.errors import LogError
from linli_core.log.intervals import Range
from linli_core.wire.messages import Carried

CARRIED: Final = 32
"""Former epochs remembered: the newest, and the one by which the platform knows the log."""


class Head(msgspec.Struct):
    """The log's totals, one small row written with every transaction."""

    epoch: str
    next_seq: int = 1
    began_at: int = 1
    bytes: int = 0
    readings: int = 0
    messages: int = 0
    evicted_messages: int = 0
    evicted_readings: int = 0
    acked: list[Range] = []
    carried: list[Carried] = []
    gateway: str = ""
    book: dict[int, list[int]] = {}
    unbooked: int = 0
    version: int = 0
    heard: str = ""

    def of(self, gateway: str, path: Path) -> Self:
        """Return the totals of a gateway's own log: an unnamed one becomes its.

        Raises:
            LogError: It is another gateway's, whose readings would be stored as this one's.
        """
        if gateway and self.gateway and self.gateway != gateway:
            raise LogError(
                f"{path}: the log is of gateway {self.gateway}, this is {gateway}; put the card back, or move the file "
                "away: what it holds is not sent then"
            )
        return msgspec.structs.replace(self, gateway=gateway or self.gateway)

    def carrying(self, last: int) -> list[Carried]:
        """Return the former epochs of a log that goes on under another name after message ``last``.

        However often it starts while nobody answers, the epoch that the platform answered to stays: without it this
        would be another log there, and all that has left this one since would be named as lost.
        """
        carried = [*self.carried, Carried(self.epoch, last)]
        while len(carried) > CARRIED:
            del carried[1 if carried[0].epoch == self.heard else 0]
        return carried


_decode: Final = msgspec.msgpack.Decoder(Head).decode


def head_of(row: Sequence[object]) -> Head:
    """Return the totals of a row of ``log``: its number, the totals, and from version 3 on their checksum.

    Raises:
        sqlite3.DatabaseError: They are not what was written.
    """
    head, *crc = row[1:] or (None,)
    if not isinstance(head, bytes) or crc not in ([], [None], [zlib.crc32(head)]):
        raise sqlite3.DatabaseError("the log's head does not match its checksum")
    try:
        return _decode(head)
    except msgspec.MsgspecError as exc:
        raise sqlite3.DatabaseError(f"the log's head cannot be read: {exc}") from exc


def new_epoch() -> str:
    """Return the name of a new log; random, so that no two logs ever share one."""
    return secrets.token_hex(8)
