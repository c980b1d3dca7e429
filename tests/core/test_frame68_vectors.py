"""Every recorded frame of DL/T 645 and CJ/T 188: by its judge, byte by byte, in noise, cut, and with bytes flipped."""

import json
import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from linli_core.codec import NEED_DATA
from linli_core.codecs import cjt188, dlt645
from linli_core.codecs.explain import Part, covers
from linli_core.codecs.frame68 import FrameReader
from linli_core.errors import ChecksumError, ProtocolError
from linli_sim.vectors import Outcome
from linli_sim.vectors.judging import tally
from linli_sim.vectors.protocols import judge_of

pytestmark = pytest.mark.vectors


@dataclass(frozen=True)
class Protocol:
    name: str
    reader: Callable[[], FrameReader[Any]]
    decode: Callable[[bytes], Any]
    explain: Callable[[bytes], list[Part]]


PROTOCOLS = [
    Protocol("dlt645", dlt645.FrameReader, dlt645.decode_frame, dlt645.explain),
    Protocol("cjt188", cjt188.FrameReader, cjt188.decode_frame, cjt188.explain),
]


@pytest.fixture(params=PROTOCOLS, ids=lambda protocol: protocol.name)
def protocol(request: pytest.FixtureRequest) -> Protocol:
    found: Protocol = request.param
    return found


@pytest.fixture
def recorded(protocol: Protocol, vectors: Path) -> dict[str, bytes]:
    """The sound frames, without the FE before them."""
    found = {}
    for path in sorted((vectors / protocol.name).glob("*.json")):
        document = json.loads(path.read_text(encoding="utf-8"))
        if document["kind"] != "malformed":
            found[path.stem] = bytes.fromhex(document["input"]["data"]).lstrip(b"\xfe")
    assert found
    return found


def drain(reader: FrameReader[Any]) -> tuple[list[Any], list[ProtocolError]]:
    frames: list[Any] = []
    errors: list[ProtocolError] = []
    while True:
        try:
            frame = reader.next_event()
        except ProtocolError as exc:
            errors.append(exc)
            continue
        if frame is NEED_DATA:
            return frames, errors
        frames.append(frame)


def test_every_recording_agrees_or_is_refused_as_expected(protocol: Protocol, vectors: Path) -> None:
    found = tally(protocol.name, judge_of(protocol.name), vectors / protocol.name)
    assert {verdict.outcome for verdict in found.verdicts.values()} == {Outcome.AGREE, Outcome.REFUSED_AS_EXPECTED}, [
        (stem, verdict) for stem, verdict in found.verdicts.items() if verdict.outcome is Outcome.WRONG
    ]


def test_byte_by_byte_with_trailing_bytes_and_in_noise(protocol: Protocol, recorded: dict[str, bytes]) -> None:
    dice = random.Random(1)
    for name, data in recorded.items():
        whole = protocol.decode(data)
        reader = protocol.reader()
        for place in range(len(data)):
            assert reader.next_event() is NEED_DATA, f"{name}: an event after {place} bytes"
            reader.receive(data[place : place + 1])
        assert drain(reader) == ([whole], [])
        assert len(reader) == reader.skipped == 0
        noise = bytes(dice.randrange(256) for _ in range(30))
        reader.receive(noise + data + noise)
        reader.end()
        assert whole in drain(reader)[0], name
        with pytest.raises(ProtocolError, match="follow the end of the frame"):
            protocol.decode(data + b"\x00")
        assert covers(protocol.explain(noise + data + noise), noise + data + noise)


def test_cut_at_every_length_it_is_an_error_and_the_stream_goes_on(
    protocol: Protocol, recorded: dict[str, bytes]
) -> None:
    for data in recorded.values():
        whole = protocol.decode(data)
        for size in range(len(data)):
            with pytest.raises(ProtocolError):
                protocol.decode(data[:size])
            assert covers(protocol.explain(data[:size]), data[:size])
            reader = protocol.reader()
            reader.receive(data[:size])
            reader.end()
            frames, errors = drain(reader)
            assert not frames
            assert not size or errors[0].kind == "truncated"
            reader.receive(data)
            assert whole in drain(reader)[0]


def test_no_flipped_byte_yields_a_frame(protocol: Protocol, recorded: dict[str, bytes]) -> None:
    dice = random.Random(3)
    for name, data in recorded.items():
        for place in range(len(data)):
            for flip in {0x01, 0x80, 0xFF, dice.randint(1, 255)}:
                damaged = bytearray(data)
                damaged[place] ^= flip
                reader = protocol.reader()
                reader.receive(bytes(damaged))
                reader.end()
                frames, errors = drain(reader)
                assert not frames, f"{name}: byte {place}"
                with pytest.raises(ProtocolError):
                    protocol.decode(bytes(damaged))
                assert errors or place == 0
                if 11 <= place < len(data) - 1 and errors:
                    assert isinstance(errors[0], ChecksumError)
