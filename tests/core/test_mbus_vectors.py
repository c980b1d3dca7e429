"""Every recorded frame: whole, byte by byte, in chunks, in noise, cut, and with every byte flipped."""

import random
from pathlib import Path

import pytest

from linli_core.codec import NEED_DATA
from linli_core.codecs.mbus import (
    Frame,
    FrameReader,
    LongFrame,
    Telegram,
    decode_frame,
    decode_telegram,
)
from linli_core.codecs.mbus.vif import Measurand
from linli_core.errors import ChecksumError, DeviceError, ProtocolError
from linli_sim.vectors import Outcome
from linli_sim.vectors.judging import tally
from linli_sim.vectors.mbus_recordings import Recording, load
from linli_sim.vectors.protocols import judge_of

pytestmark = pytest.mark.vectors


@pytest.fixture(scope="module")
def recorded(vectors: Path) -> list[Recording]:
    found = load(vectors / "mbus")
    assert found, "the folder of M-Bus vectors is empty"
    return found


@pytest.fixture(scope="module")
def valid(recorded: list[Recording]) -> list[Recording]:
    return [vector for vector in recorded if vector.kind == "valid"]


def drain(reader: FrameReader) -> tuple[list[Frame], list[ProtocolError]]:
    frames: list[Frame] = []
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


def telegram_of(vector: Recording) -> Telegram:
    return decode_telegram(decode_frame(vector.frame))


def test_every_recording_is_judged_and_none_is_wrong(vectors: Path) -> None:
    found = tally("mbus", judge_of("mbus"), vectors / "mbus")
    assert {stem: verdict for stem, verdict in found.verdicts.items() if verdict.outcome is Outcome.WRONG} == {}
    assert found.sound


def test_only_these_records_have_no_value(valid: list[Recording]) -> None:
    missing = {
        (vector.name, record.header.measurand)
        for vector in valid
        for record in telegram_of(vector).records
        if record.value is None
    }
    assert missing == {
        ("test-frames__ACW_Itron-BM-plus-m", Measurand.DATE),
        ("test-frames__itron_bm_+m", Measurand.DATE),
        ("test-frames__REL-Relay-Padpuls2", Measurand.DATE_TIME),
        # Digits above 9 during an error: docs/protocols.md.
        ("test-frames__abb_f95", Measurand.POWER),
        ("test-frames__abb_f95", Measurand.VOLUME_FLOW),
    }


def test_whole_byte_by_byte_and_in_chunks(recorded: list[Recording]) -> None:
    dice = random.Random(1)
    for vector in recorded:
        whole = decode_frame(vector.frame)
        reader = FrameReader()
        for position in range(len(vector.frame)):
            assert reader.next_event() is NEED_DATA, f"{vector.name}: an event after {position} bytes"
            reader.receive(vector.frame[position : position + 1])
        assert drain(reader) == ([whole], [])
        for _ in range(5):
            reader = FrameReader()
            rest = vector.frame
            found: list[Frame] = []
            while rest:
                size = dice.randint(1, 40)
                reader.receive(rest[:size])
                rest = rest[size:]
                found += drain(reader)[0]
            assert found == [whole]
        assert len(reader) == reader.skipped == 0


def test_trailing_bytes_and_noise_before(recorded: list[Recording]) -> None:
    dice = random.Random(2)
    for vector in recorded:
        whole = decode_frame(vector.frame)
        for _ in range(5):
            noise = bytes(dice.randrange(256) for _ in range(dice.randint(1, 30)))
            reader = FrameReader()
            reader.receive(noise + vector.frame + noise)
            reader.end()
            frames, _errors = drain(reader)
            assert whole in frames, f"{vector.name} behind {noise.hex()}"
        with pytest.raises(ProtocolError, match="follow the end of the frame"):
            decode_frame(vector.frame + b"\x00")
        reader = FrameReader()
        reader.receive(vector.frame * 2)
        assert drain(reader) == ([whole, whole], [])


def test_every_truncated_prefix_is_an_error_and_the_stream_goes_on(recorded: list[Recording]) -> None:
    for vector in recorded:
        whole = decode_frame(vector.frame)
        for size in range(len(vector.frame)):
            with pytest.raises(ProtocolError):
                decode_frame(vector.frame[:size])
        for size in range(1, len(vector.frame), 7):
            reader = FrameReader()
            reader.receive(vector.frame[:size])
            reader.end()
            frames, errors = drain(reader)
            assert not [frame for frame in frames if isinstance(frame, LongFrame)]
            assert errors[0].kind == "truncated"
            reader.receive(vector.frame)
            assert whole in drain(reader)[0]


def test_no_flipped_byte_yields_a_value(recorded: list[Recording]) -> None:
    dice = random.Random(3)
    for vector in recorded:
        for position in range(len(vector.frame)):
            for flip in {0x01, 0x80, 0xFF, dice.randint(1, 255)}:
                damaged = bytearray(vector.frame)
                damaged[position] ^= flip
                reader = FrameReader()
                reader.receive(bytes(damaged))
                reader.end()
                frames, errors = drain(reader)
                assert not [frame for frame in frames if isinstance(frame, LongFrame)], f"{vector.name} {position}"
                assert errors, f"{vector.name}: byte {position}"
                if 4 <= position < len(damaged) - 1:
                    assert isinstance(errors[0], ChecksumError)


def decode_data(frame: LongFrame, data: bytes) -> tuple[Telegram | None, str]:
    try:
        return decode_telegram(LongFrame(frame.control, frame.address, frame.ci, data)), ""
    except (ProtocolError, DeviceError) as exc:
        return None, exc.kind


def long_frame(vector: Recording) -> LongFrame:
    frame = decode_frame(vector.frame)
    assert isinstance(frame, LongFrame)
    return frame


def test_cut_records_behind_a_right_checksum_are_refused_or_whole(valid: list[Recording]) -> None:
    """A meter may end its telegram anywhere: what decodes is a prefix of the records, never something else."""
    for vector in valid:
        frame, records = long_frame(vector), telegram_of(vector).records
        for size in range(len(frame.data)):
            telegram, kind = decode_data(frame, frame.data[:size])
            if telegram is None:
                assert kind == "truncated", vector.name
                continue
            plain = [
                record for record in telegram.records if record.header.measurand is not Measurand.MANUFACTURER_DATA
            ]
            assert plain == list(records[: len(plain)]), vector.name


def test_flipped_data_behind_a_right_checksum_give_named_errors_only(valid: list[Recording]) -> None:
    dice = random.Random(4)
    kinds: set[str] = set()
    for vector in valid:
        frame = long_frame(vector)
        for position in range(len(frame.data)):
            data = bytearray(frame.data)
            data[position] ^= dice.randint(1, 255)
            kinds.add(decode_data(frame, bytes(data))[1])
    # A configuration word with one byte changed may say that the data are encrypted.
    assert kinds <= {"", "truncated", "malformed", "unsupported", "too_many_dife", "too_many_vife", "encrypted"}
