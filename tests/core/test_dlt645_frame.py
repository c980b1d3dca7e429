import pytest
from hypothesis import given
from hypothesis import strategies as st

from linli_core.codec import NEED_DATA
from linli_core.codecs.dlt645 import Frame, FrameReader, decode_frame, encode_frame
from linli_core.codecs.dlt645.frame import ANY, LONGEST, decode_address, encode_address, matches
from linli_core.codecs.frame68 import BUFFER
from linli_core.errors import ChecksumError, ProtocolError

ADDRESSES = st.binary(min_size=6, max_size=6).map(decode_address)
FRAMES = st.builds(Frame, ADDRESSES, st.integers(0, 255), st.binary(max_size=LONGEST))


def read_all(reader: FrameReader) -> tuple[list[Frame], list[ProtocolError]]:
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


@given(FRAMES, st.integers(0, 11))
def test_a_frame_comes_back_as_it_was_sent_behind_any_preamble(frame: Frame, preamble: int) -> None:
    assert decode_frame(encode_frame(frame, preamble=preamble)) == frame


@given(st.lists(FRAMES, max_size=5), st.lists(st.integers(1, 60), min_size=1), st.integers(0, 11))
def test_a_stream_comes_back_in_any_chunks(frames: list[Frame], sizes: list[int], preamble: int) -> None:
    data = b"".join(encode_frame(frame, preamble=preamble) for frame in frames)
    reader = FrameReader()
    found: list[Frame] = []
    turn = 0
    while data:
        size = sizes[turn % len(sizes)]
        turn += 1
        reader.receive(data[:size])
        data = data[size:]
        found += read_all(reader)[0]
    assert found == frames
    assert reader.skipped == preamble * len(frames)


@given(st.binary(max_size=400), st.integers(1, 50))
def test_noise_gives_named_errors_and_always_ends(noise: bytes, size: int) -> None:
    reader = FrameReader()
    for start in range(0, len(noise), size):
        reader.receive(noise[start : start + size])
    reader.end()
    frames, errors = read_all(reader)
    assert len(frames) + len(errors) <= len(noise)
    assert len(reader) == 0


@given(FRAMES, st.binary(max_size=30))
def test_a_false_start_costs_one_byte_not_the_frame_behind_it(frame: Frame, noise: bytes) -> None:
    reader = FrameReader()
    reader.receive(b"\x68" + noise + b"\x68" + encode_frame(frame))
    reader.end()
    assert frame in read_all(reader)[0]


@given(FRAMES, st.data())
def test_cut_at_every_length_and_with_a_byte_changed_no_frame_comes_out(frame: Frame, data: st.DataObject) -> None:
    whole = encode_frame(frame)
    place = data.draw(st.integers(0, len(whole) - 1))
    change = data.draw(st.integers(1, 255))
    for damaged in (whole[:place], whole[:place] + bytes((whole[place] ^ change,)) + whole[place + 1 :]):
        with pytest.raises(ProtocolError):
            decode_frame(damaged)


@pytest.mark.parametrize(
    ("data", "text", "kind"),
    [
        ("", "there are no bytes", "truncated"),
        ("FE FE", "there are no bytes", "truncated"),
        ("00", "no frame starts with 00 (byte 0)", "malformed"),
        ("68", "the frame ends after 1 of 12 bytes", "truncated"),
        ("68 01 00 00 00 00 00 69", "found 69 where the second 68 belongs (byte 7)", "malformed"),
        ("68 01 00 00 00 00 00 68 11 C9", "a length of 201; 200 is the longest (byte 9)", "malformed"),
        ("68 01 00 00 00 00 00 68 11 04 33 33", "the frame ends after 12 of 16 bytes", "truncated"),
        (
            "68 61 01 00 00 00 00 68 11 04 33 33 34 33 15 16",
            "the checksum is 15, the bytes give 14 (byte 14)",
            "checksum",
        ),
        (
            "68 61 01 00 00 00 00 68 11 04 33 33 34 33 14 17",
            "found 17 where the stop byte 16 belongs (byte 15)",
            "malformed",
        ),
        (
            "FE 68 61 01 00 00 00 00 68 11 04 33 33 34 33 14 16 00",
            "1 bytes follow the end of the frame (byte 17)",
            "trailing_bytes",
        ),
    ],
)
def test_each_error_says_what_was_found_and_where(data: str, text: str, kind: str) -> None:
    with pytest.raises(ProtocolError) as caught:
        decode_frame(bytes.fromhex(data))
    assert str(caught.value) == text
    assert caught.value.kind == kind
    assert isinstance(caught.value, ChecksumError) == (kind == "checksum")


def test_the_buffer_is_bounded_and_what_it_drops_is_counted() -> None:
    reader = FrameReader()
    reader.receive(b"\x00" * (BUFFER + 100))
    assert len(reader) == BUFFER
    assert reader.skipped == 100
    reader.clear()
    assert len(reader) == 0
    assert reader.skipped == BUFFER + 100


def test_addresses_are_printed_high_digit_first_and_keep_hexadecimal_digits() -> None:
    assert encode_address("112233445566") == bytes.fromhex("665544332211")
    assert decode_address(bytes.fromhex("665544332FFA")) == "FA2F33445566"
    with pytest.raises(ValueError, match="an address is twelve digits, not '123'"):
        encode_address("123")


@pytest.mark.parametrize(
    ("wanted", "fits"),
    [(ANY, True), ("AAAAAAAA0001", True), ("000000010001", True), ("AAAAAAAA0002", False), ("0000000100AA", True)],
)
def test_a_wildcard_stands_for_any_byte(wanted: str, *, fits: bool) -> None:
    assert matches(wanted, "000000010001") is fits


def test_more_data_than_a_frame_holds_are_not_encoded() -> None:
    with pytest.raises(ValueError, match="201 bytes of data do not fit"):
        encode_frame(Frame("000000000001", 0x91, bytes(201)))
