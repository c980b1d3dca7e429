"""``linli-sim replay wmbus``: recorded telegrams of real radio meters, as a receiver's lines; read in place."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from linli_core.codecs.wmbus import decode_frame, identify, protection
from linli_core.codecs.wmbus.frame import split
from linli_core.errors import ProtocolError
from linli_core.instant import Instant

_TELEGRAMS: Final = frozenset({"valid", "valid_encrypted", "valid_with_crc"})
_WIRED: Final = b"\x68"


@dataclass(frozen=True)
class RecordedTelegram:
    """One recording.

    Attributes:
        name: The file's stem.
        number: The meter's own.
        protection: How its data are protected; empty for plain.
        key: The meter's key in hexadecimal; empty if none is given.
        data: The telegram as recorded, with or without its checksums.
    """

    name: str
    number: str
    protection: str
    key: str
    data: bytes


class RecordedAir:
    """What a receiver heard once, and hears again each round, in the order of the recordings' names."""

    def __init__(self, telegrams: Sequence[RecordedTelegram]) -> None:
        self._telegrams = telegrams

    def round(self, _now: Instant) -> Iterator[str]:
        """Yield the lines of one round: every telegram once, as it was recorded, whatever time it is now."""
        for telegram in self._telegrams:
            yield telegram.data.hex().upper()


def load(folder: Path) -> list[RecordedTelegram]:
    """Return the telegrams in a folder of recordings; of one that holds several each is one.

    Left out is what is no radio telegram: lone records, checksums to compute, frames of wired meters, and what must be
    refused.
    """
    return [telegram for path in sorted(folder.glob("*.json")) for telegram in _telegrams(path)]


def _telegrams(path: Path) -> Iterator[RecordedTelegram]:
    document = json.loads(path.read_text(encoding="utf-8"))
    data = bytes.fromhex(document["input"]["data"])
    if document["kind"] not in _TELEGRAMS or (data[:1] == _WIRED and data[3:4] == _WIRED):
        return
    for part in _parts(data):
        frame = decode_frame(part)
        number, key = identify(frame).number, document.get("key") or ""
        yield RecordedTelegram(path.stem, number, protection(frame), key, part)


def _parts(data: bytes) -> list[bytes]:
    """Return the telegrams in a recording: one, with its checksums or without, or several without them."""
    try:
        decode_frame(data)
    except ProtocolError:
        return split(data)
    return [data]
