import pytest
from hypothesis import given
from hypothesis import strategies as st

from linli_core.codec import NEED_DATA
from linli_core.codecs.mbus import Ack, Frame, FrameReader, LongFrame, ShortFrame, decode_frame
from linli_core.codecs.mbus.frame import BUFFER, LONGEST, encode_frame
from linli_core.errors import ChecksumError, ProtocolError

BYTE = st.integers(0, 255)
LONG_FRAMES = st.builds(LongFrame, BYTE, BYTE, BYTE, st.binary(max_size=252))
FRAMES = st.one_of(st.just(Ack()), st.builds(ShortFrame, BYTE, BYTE), LONG_FRAMES)


def read_all(reader: FrameReader) -> list[Frame]:
    frames: list[Frame] = []
    while (frame := reader.next_event()) is not NEED_DATA:
        frames.append(frame)
    return frames


@given(FRAMES)
def test_a_frame_comes_back_as_it_was_sent(frame: Frame) -> None:
    data = encode_frame(frame)
    assert decode_frame(data) == frame
    assert len(data) <= LONGEST


@given(st.lists(FRAMES, max_size=6), st.lists(st.integers(1, 60), min_size=1))
def test_a_stream_comes_back_in_any_chunks(frames: list[Frame], sizes: list[int]) -> None:
    data = b"".join(map(encode_frame, frames))
    reader = FrameReader()
    found: list[Frame] = []
    turn = 0
    while data:
        size = sizes[turn % len(sizes)]
        turn += 1
        reader.receive(data[:size])
        data = data[size:]
        found += read_all(reader)
    assert found == frames
    assert reader.skipped == 0


@given(st.binary(max_size=400), st.integers(1, 50))
def test_noise_gives_named_errors_and_always_ends(noise: bytes, size: int) -> None:
    reader = FrameReader()
    for start in range(0, len(noise), size):
        reader.receive(noise[start : start + size])
    reader.end()
    events = 0
    while events <= len(noise):
        events += 1
        try:
            if reader.next_event() is NEED_DATA:
                break
        except ProtocolError:
            continue
    assert events <= len(noise) + 1
    assert len(reader) == 0


@given(LONG_FRAMES, st.binary(max_size=20).filter(lambda noise: not set(noise) & {0x10, 0x68, 0xE5}))
def test_bytes_that_start_nothing_are_skipped_and_counted(frame: LongFrame, noise: bytes) -> None:
    reader = FrameReader()
    reader.receive(noise + encode_frame(frame))
    assert reader.next_event() == frame
    assert reader.skipped == len(noise)


def test_a_false_start_costs_one_byte_not_the_frame_behind_it() -> None:
    frame = LongFrame(0x08, 1, 0x78, b"\x0c\x13\x00\x00\x00\x00")
    # The noise claims 255 bytes; the frame lies within them.
    reader = FrameReader()
    reader.receive(b"\x68\xff\xff\x68" + encode_frame(frame))
    assert reader.next_event() is NEED_DATA
    reader.end()
    with pytest.raises(ProtocolError, match="the frame ends after 19 of 261 bytes"):
        reader.next_event()
    events: list[object] = []
    while not events or events[-1] != frame:
        try:
            events.append(reader.next_event())
        except ProtocolError as exc:
            events.append(exc.kind)
    assert reader.next_event() is NEED_DATA


@pytest.mark.parametrize(
    ("data", "text", "kind"),
    [
        ("", "there are no bytes", "truncated"),
        ("00", "no frame starts with 00 (byte 0)", "malformed"),
        ("10 5B", "the frame ends after 2 of 5 bytes", "truncated"),
        ("10 5B 01 5D 16", "the checksum is 5D, the bytes give 5C (byte 3)", "checksum"),
        ("10 5B 01 5C 17", "found 17 where the stop byte 16 belongs (byte 4)", "malformed"),
        ("68", "the frame ends after 1 of 9 bytes", "truncated"),
        ("68 02", "a length of 2 leaves no room for C, A and CI (byte 1)", "malformed"),
        ("68 03 04", "the two lengths 03 and 04 differ (byte 2)", "malformed"),
        ("68 03 03 67", "found 67 where the second 68 belongs (byte 3)", "malformed"),
        ("68 03 03 68 08 01 70 78 16", "the checksum is 78, the bytes give 79 (byte 7)", "checksum"),
        ("68 03 03 68 08 01 70 79 00", "found 00 where the stop byte 16 belongs (byte 8)", "malformed"),
        ("E5 E5", "1 bytes follow the end of the frame (byte 1)", "trailing_bytes"),
    ],
)
def test_each_error_says_what_was_found_and_where(data: str, text: str, kind: str) -> None:
    with pytest.raises(ProtocolError) as caught:
        decode_frame(bytes.fromhex(data))
    assert str(caught.value) == text
    assert caught.value.kind == kind
    assert isinstance(caught.value, ChecksumError) == (kind == "checksum")


def test_a_contradiction_is_seen_before_the_claimed_length_has_arrived() -> None:
    reader = FrameReader()
    reader.receive(b"\x68\xff\xfe")
    with pytest.raises(ProtocolError, match="differ"):
        reader.next_event()


def test_the_buffer_is_bounded_and_what_it_drops_is_counted() -> None:
    reader = FrameReader()
    reader.receive(b"\x00" * (BUFFER + 100))
    assert len(reader) == BUFFER
    assert reader.skipped == 100
    reader.clear()
    assert len(reader) == 0
    assert reader.skipped == BUFFER + 100


def test_more_data_than_a_frame_holds_are_not_encoded() -> None:
    with pytest.raises(ValueError, match="253 bytes of data do not fit"):
        encode_frame(LongFrame(0, 0, 0, bytes(253)))
