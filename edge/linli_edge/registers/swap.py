"""A meter that was exchanged, as an operation: handed to the gateway through a file, recorded once, in the log.

The file is written beside the log and renamed into place, so that a gateway sees a whole one or none, running or at its
next start. Its name is the event's id: a swap that is handed over twice is one event.
"""

import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from linli_core.errors import ConfigError
from linli_core.instant import Instant, to_rfc3339
from linli_edge.durable_file import write_durably

FOLDER: Final = "swaps"
_SUFFIX: Final = ".json"
_ID: Final = re.compile(r"[0-9a-f]{32}")
_MOST_BYTES: Final = 64 * 1024


class Swap(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A meter that was exchanged.

    Attributes:
        device: Its id, which the new meter takes over.
        at: When.
        by: Who says so.
        old_final, new_start: What the old one showed last and the new one first, by the name within the device and in
            the vocabulary's unit.
        old_serial, new_serial: As printed on them; empty where nobody looked.
    """

    device: str
    at: Instant
    by: str
    old_final: dict[str, float] = {}
    new_start: dict[str, float] = {}
    old_serial: str = ""
    new_serial: str = ""

    def described(self, last_read: Mapping[str, float]) -> dict[str, object]:
        """Return the event's data.

        Args:
            last_read: What the gateway itself read last of the old one.
        """
        return {
            "noticed_by": "operator",
            "by": self.by,
            "swapped_at": to_rfc3339(self.at),  # the event's own time is when it was recorded, perhaps days later
            "old_serial": self.old_serial,
            "new_serial": self.new_serial,
            "final": self.old_final,
            "start": self.new_start,
            "last_read": dict(last_read),
        }


@dataclass(frozen=True, slots=True)
class HandedOver:
    """A swap that waits in the folder."""

    id: str
    path: Path
    swap: Swap


def hand_over(data: Path, swap: Swap) -> Path:
    """Put a swap where the gateway finds it; return the file, which goes away once it is recorded.

    Raises:
        ConfigError: The folder cannot be written.
    """
    folder = data / FOLDER
    path = folder / f"{secrets.token_hex(16)}{_SUFFIX}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_durably(path, msgspec.json.encode(swap))
    except OSError as exc:
        remedy = "run this as the user the gateway runs as (sudo -u linli …)"
        raise ConfigError(str(folder), f"cannot be written ({exc.strerror})", remedy) from exc
    return path


def waiting(data: Path) -> tuple[list[HandedOver], list[str]]:
    """Return the swaps that wait, oldest first, and what is wrong with files that are none (they are set aside)."""
    folder = data / FOLDER
    found: list[HandedOver] = []
    wrong: list[str] = []
    if not folder.is_dir():
        return found, wrong
    for path in sorted(folder.glob(f"*{_SUFFIX}"), key=lambda path: path.stat().st_mtime_ns):
        try:
            found.append(HandedOver(path.stem, path, _read(path)))
        except (ValueError, msgspec.MsgspecError) as exc:
            path.rename(path.with_suffix(".refused"))
            wrong.append(f"{path}: {exc}; set aside")
    return found, wrong


def _read(path: Path) -> Swap:
    if not _ID.fullmatch(path.stem) or path.stat().st_size > _MOST_BYTES:
        raise ValueError("no swap of ours")
    return msgspec.json.decode(path.read_bytes(), type=Swap)
