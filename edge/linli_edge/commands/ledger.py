"""Which commands have run: a file that is on the disk before anything begins, so that no restart runs one twice.

One JSON line for each id. An id is let go when its command expired a week before the newest did: its command would be
refused as expired. The newest command tells the time here, not the clock alone: a clock that runs a year ahead at one
start would have every id forgotten, and once it is set right again, what was sent before would run a second time.

A write that has begun and not ended is noted too: whoever starts after a power cut finds it, and says that what the
device did is not known. A record that begins and never ends would leave it to whoever reads it to notice.
"""

import os
from pathlib import Path
from threading import Lock
from typing import Any, Final

import msgspec

from linli_core.errors import LogError
from linli_core.instant import DAY, Instant
from linli_edge.durable_file import write_durably

KEPT: Final = 7 * DAY
"""How long an id is remembered beyond its command's end."""

MOST: Final = 20_000
"""Ids in the file at most; whoever sends more in a week is refused until the oldest may go."""


class Entry(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is noted of one id; the last line of an id counts.

    Attributes:
        id: The command's.
        expires_at: When it expires.
        begun: What is on record of its write, while that has begun and not ended.
    """

    id: str
    expires_at: Instant
    begun: dict[str, Any] | None = None


_decoder: Final = msgspec.json.Decoder(Entry)


class Ledger:
    """The ids of commands that were taken up."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen: dict[str, Instant] = {}
        self._begun: dict[str, dict[str, Any]] = {}
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
                self._begun.pop(entry.id, None)
                if entry.begun is not None:
                    self._begun[entry.id] = entry.begun
            self._forget(min(now, max(self._seen.values(), default=now)))
            lines = [_line(Entry(name, until, self._begun.get(name))) for name, until in self._seen.items()]
            write_durably(self._path, b"".join(lines))
        except OSError as exc:
            raise LogError(f"{self._path}: the ledger of commands cannot be kept ({exc.strerror})") from exc

    def __contains__(self, name: str) -> bool:
        return name in self._seen

    @property
    def begun(self) -> dict[str, dict[str, Any]]:
        """What is on record of writes that have begun and not ended, by their ids."""
        return dict(self._begun)

    def begin(self, name: str, expires_at: Instant, about: dict[str, Any]) -> None:
        """Note that a write begins; return once it is on the disk.

        Raises:
            LogError: It cannot be noted: the write must not begin.
        """
        with self._taking:
            self._note(Entry(name, expires_at, about))
            self._seen[name] = expires_at
            self._begun[name] = about

    def end(self, name: str) -> None:
        """Note that a write has ended, and that this is on record.

        Raises:
            LogError: It cannot be noted: the next start will say once more that its end is not known.
        """
        with self._taking:
            if self._begun.pop(name, None) is not None:
                self._note(Entry(name, self._seen[name]))

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
            self._note(Entry(name, expires_at))
            self._seen[name] = expires_at

    def _note(self, entry: Entry) -> None:
        try:
            with self._path.open("ab") as file:
                # On a line of its own, whatever a power cut left of the one before.
                file.write(b"\n" + _line(entry))
                file.flush()
                os.fsync(file.fileno())
        except OSError as exc:
            raise LogError(f"{self._path}: the ledger of commands cannot be kept ({exc.strerror})") from exc

    def _forget(self, now: Instant) -> None:
        # One that has no end yet is kept until it has been told.
        self._seen = {name: until for name, until in self._seen.items() if until + KEPT > now or name in self._begun}


def _line(entry: Entry) -> bytes:
    return msgspec.json.encode(entry) + b"\n"
