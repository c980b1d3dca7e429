"""What a backup says of itself, and what it is called."""

import re
from dataclasses import dataclass
from typing import Final

import msgspec

from linli_core.instant import SECOND, Instant, from_rfc3339, to_rfc3339
from linli_platform.backup.errors import Damaged, Newer

FORMAT: Final = 1
NAME: Final = "manifest.json"
"""The last file in the archive: what is missing from a truncated one is this."""


class File(msgspec.Struct, frozen=True):
    """One file of the archive."""

    size: int
    sha256: str


class Manifest(msgspec.Struct, frozen=True):
    """The list of an archive's files, and what they hold.

    Attributes:
        format: Of the archive.
        installation: Whose it is.
        created_at: The instant of the snapshot (RFC 3339).
        version: Of the program that made it.
        readings, series, events, gateways: What the store held; gateways are those with marks.
        first, last: Observation times of the oldest and the newest reading, as instants (µs).
        files: By name in the archive.
        device_times: Of how many readings the store held the device's own time.
    """

    format: int
    installation: str
    created_at: str
    version: str
    readings: int
    series: int
    events: int
    gateways: int
    first: Instant | None
    last: Instant | None
    files: dict[str, File]
    device_times: int = 0


class _Format(msgspec.Struct, frozen=True):
    format: int


def encode(manifest: Manifest) -> bytes:
    """Return a manifest as JSON."""
    return msgspec.json.format(msgspec.json.encode(manifest), indent=2)


def decode(data: bytes, where: str) -> Manifest:
    """Return a manifest; ``where`` names the backup in errors."""
    try:
        found = msgspec.json.decode(data, type=_Format).format
        if found > FORMAT:
            raise Newer(where, f"made in format {found}, this program knows {FORMAT}", "install the newer linli")
        return msgspec.json.decode(data, type=Manifest)
    except (msgspec.MsgspecError, UnicodeDecodeError) as exc:
        raise Damaged(where, f"its manifest cannot be read ({exc})", "use another backup") from exc


_STORED: Final = re.compile(
    r"linli-(?P<installation>[0-9a-f]{32})-(?P<date>\d{4})(?P<month>\d\d)(?P<day>\d\d)"
    r"T(?P<hour>\d\d)(?P<minute>\d\d)(?P<second>\d\d)Z\.tar\.age",
    re.ASCII,
)


@dataclass(frozen=True, slots=True, order=True)
class BackupName:
    """A backup's name, taken apart; in order of time.

    Attributes:
        taken_at: The instant of its snapshot, to the second.
        installation: Whose it is.
    """

    taken_at: Instant
    installation: str

    def __str__(self) -> str:
        """Return the name as the target knows it."""
        moment = re.sub(r"[-:]", "", to_rfc3339(self.taken_at // SECOND * SECOND).partition(".")[0].removesuffix("Z"))
        return f"linli-{self.installation}-{moment}Z.tar.age"


def parse_name(name: str) -> BackupName | None:
    """Return a name taken apart; ``None`` if it is no backup's."""
    part = _STORED.fullmatch(name)
    if part is None:
        return None
    try:
        moment = from_rfc3339(f"{part[2]}-{part[3]}-{part[4]}T{part[5]}:{part[6]}:{part[7]}Z")
    except ValueError:
        return None
    return BackupName(moment, part["installation"])
