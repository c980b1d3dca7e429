"""Every recorded radio telegram: cut at every length, and with every byte flipped."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from linli_core.codecs.wmbus import Telegram, decode_telegram
from linli_core.codecs.wmbus.layers import EXTENDED_MODE, WirelessCi
from linli_core.errors import LinliError
from linli_edge.ciphers import AES

pytestmark = pytest.mark.vectors


@dataclass
class Recording:
    name: str
    data: bytes
    key: bytes | None

    def decode(self, data: bytes) -> Telegram | None:
        """Return the telegram, ``None`` if it is refused by name; any other error is the test's."""
        try:
            return decode_telegram(data, AES, lambda _: self.key)
        except LinliError:
            return None


@pytest.fixture(scope="module")
def recordings(vectors: Path) -> list[Recording]:
    return list(_recordings(vectors / "wmbus"))


def _recordings(folder: Path) -> Iterator[Recording]:
    for path in sorted(folder.glob("*.json")):
        document = json.loads(path.read_text(encoding="utf-8"))
        data = bytes.fromhex(document["input"]["data"])
        if document["kind"] not in {"checksum", "records"} and data[3] != 0x68 and len(data) == data[0] + 1:
            yield Recording(path.stem, data, bytes.fromhex(document["key"]) if document.get("key") else None)


def values(telegram: Telegram) -> list[object]:
    return [record.value for record in telegram.records if not isinstance(record.value, bytes)]


def test_there_are_recordings(recordings: list[Recording]) -> None:
    assert len(recordings) > 150


def test_every_cut_is_refused(recordings: list[Recording]) -> None:
    for recording in recordings:
        for size in range(len(recording.data)):
            assert recording.decode(recording.data[:size]) is None, f"{recording.name} cut to {size}"


def test_a_cut_whose_length_lies_for_it_raises_only_named_errors(recordings: list[Recording]) -> None:
    for recording in recordings:
        for size in range(1, len(recording.data)):
            recording.decode(bytes((size - 1,)) + recording.data[1:size])


def test_flipped_bytes_raise_only_named_errors_and_what_is_proved_gives_no_other_value(
    recordings: list[Recording],
) -> None:
    proved = 0
    for recording in recordings:
        whole = recording.decode(recording.data)
        # A session's payload has a checksum, and a message of mode 7 that the key opens a code of its own.
        at = None
        if whole is not None and whole.link is not None and whole.link.session:
            at = 19 if whole.link.ci == WirelessCi.ELL_SESSION else 27
        elif whole is not None and whole.opened and whole.header is not None and whole.header.mode == EXTENDED_MODE:
            at = 13
        for place in range(len(recording.data)):
            changed = bytearray(recording.data)
            changed[place] ^= 0x5A
            telegram = recording.decode(bytes(changed))
            if at is not None and place >= at and telegram is not None and whole is not None:
                assert values(telegram) == values(whole), f"{recording.name}, byte {place}"
        proved += at is not None
    assert proved >= 15
