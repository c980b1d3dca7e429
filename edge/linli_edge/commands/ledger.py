"""Which commands have run: a file that is on the disk before anything begins, so that no restart runs one twice.

One JSON line for each id. An id is let go when its command expired a week before the newest did: its command would be
refused as expired. The newest command tells the time here, not the clock alone: a clock that runs a year ahead at one
start would have every id forgotten, and once it is set right again, what was sent before would run a second time.
"""

import os
from pathlib import Path
from threading import Lock
from typing import Final

import msgspec

from linli_core.errors import LogError
from linli_core.instant import DAY, Instant
from linli_edge.durable_file import write_durably

KEPT: Final = 7 * DAY
"""How long an id is remembered beyond its command's end."""

MOST: Final = 20_000
"""Ids in the file at most; whoever sends more in a week is refused until the oldest may go."""


class Entry(msgspec.Struct, frozen=True):
    """One id, and when its command expires."""

    id: str
    expires_at: Instant


_decoder: Final = msgspec.json.Decoder(Entry)


class Ledger:
    """The ids of commands that were taken up."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen: dict[str, Instant] = {}
        self._taking = Lock()

    def load(self, now: Instant) -> None:
        """Read the file, and write it anew without what need not be remembered.

        Raises:
            LogError: It cannot be read or written: then no command may run.
        """
        try:
            lines = self._path.read_bytes().splitlines() if self._path.exists() else []
            for line in lines:
                try:
                    entry = _decoder.decode(line)
                except (msgspec.MsgspecError, UnicodeDecodeError):
                    continue  # the last line of a power cut: that command had not begun
                self._seen[entry.id] = entry.expires_at
            self._forget(min(now, max(self._seen.values(), default=now)))
            write_durably(self._path, b"".join(_line(name, until) for name, until in self._seen.items()))
        except OSError as exc:
            raise LogError(f"{self._path}: the ledger of commands cannot be kept ({exc.strerror})") from exc

    def __contains__(self, name: str) -> bool:
        return name in self._seen

    def take_up(self, name: str, expires_at: Instant) -> None:
        """Note an id; return once it is on the disk.

        Raises:
            LogError: It cannot be noted: the command must not begin.
        """
        with self._taking:
            if len(self._seen) >= MOST:
                # No command expires more than a day ahead, so it is later than this now.
                self._forget(expires_at - DAY)
            if len(self._seen) >= MOST:
                raise LogError(f"{self._path}: {MOST} commands within a week; no more are taken")
            try:
                with self._path.open("ab") as file:
                    # On a line of its own, whatever a power cut left of the one before.
                    file.write(b"\n" + _line(name, expires_at))
                    file.flush()
                    os.fsync(file.fileno())
            except OSError as exc:
                raise LogError(f"{self._path}: the ledger of commands cannot be kept ({exc.strerror})") from exc
            self._seen[name] = expires_at

    def _forget(self, now: Instant) -> None:
        self._seen = {name: until for name, until in self._seen.items() if until + KEPT > now}


def _line(name: str, expires_at: Instant) -> bytes:
    return msgspec.json.encode(Entry(name, expires_at)) + b"\n"
