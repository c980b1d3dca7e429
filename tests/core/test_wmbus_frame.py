"""The radio link layer: checksums in both formats, lengths, who sends."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linli_core.codecs.mbus.header import Identity
from linli_core.codecs.wmbus.crc import crc16, crc_bytes
from linli_core.codecs.wmbus.encode import encode_frame
from linli_core.codecs.wmbus.frame import (
    Checksums,
    add_checksums,
    decode_frame,
    encode_sender,
    on_air_a,
    split,
    strip_checksums,
)
from linli_core.errors import ChecksumError, ProtocolError

SENDER = encode_sender(Identity("12345678", "LIN", 0x01, 0x07))
contents = st.binary(min_size=1, max_size=240).map(lambda data: b"\x78" + data)


def test_the_checksum_is_that_of_the_standard() -> None:
    assert crc16(b"123456789") == 0xC2B7
    assert crc_bytes(bytes.fromhex("01FD1F01")).hex() == "cc22"


@pytest.mark.parametrize("checksums", [Checksums.NONE, Checksums.A, Checksums.B])
@given(content=contents)
def test_a_telegram_survives_its_checksums(checksums: Checksums, content: bytes) -> None:
    bare = encode_frame(SENDER, content)
    sent = add_checksums(bare, checksums)
    assert strip_checksums(sent, checksums) == (bare, checksums)
    assert decode_frame(sent, checksums).data == content[1:]


@given(content=contents)
def test_format_a_is_told_by_its_length_and_b_by_its_checksum(content: bytes) -> None:
    bare = encode_frame(SENDER, content)
    assert strip_checksums(add_checksums(bare, Checksums.A)) == (bare, Checksums.A)
    assert strip_checksums(add_checksums(bare, Checksums.B)) == (bare, Checksums.B)
    assert len(add_checksums(bare, Checksums.A)) == on_air_a(bare[0])


@pytest.mark.parametrize("size", [1, 5, 20, 21, 100, 130])
def test_the_last_checksum_left_on_is_taken_off(size: int) -> None:
    bare = encode_frame(SENDER, b"\x78" + bytes(range(1, size + 1)))
    sent = add_checksums(bare, Checksums.A)
    left = bytes((bare[0] + 2,)) + bare[1:] + sent[-2:]
    assert strip_checksums(left) == (bare, Checksums.LAST)


@pytest.mark.parametrize("checksums", [Checksums.A, Checksums.B])
@pytest.mark.parametrize("size", [1, 40, 180])
def test_no_byte_of_a_telegram_with_checksums_may_differ(checksums: Checksums, size: int) -> None:
    sent = add_checksums(encode_frame(SENDER, b"\x78" + bytes(size)), checksums)
    for place in range(len(sent)):
        for mask in (0x01, 0xFF):
            flipped = bytearray(sent)
            flipped[place] ^= mask
            with pytest.raises(ProtocolError):
                decode_frame(bytes(flipped), checksums)


@pytest.mark.parametrize("checksums", [None, Checksums.NONE, Checksums.A, Checksums.B, Checksums.LAST])
def test_every_cut_is_refused_by_name(checksums: Checksums | None) -> None:
    whole = add_checksums(encode_frame(SENDER, b"\x78" + bytes(30)), checksums or Checksums.NONE)
    for size in range(len(whole)):
        with pytest.raises(ProtocolError):
            decode_frame(whole[:size], checksums)


def test_a_wrong_checksum_says_which_block() -> None:
    sent = bytearray(add_checksums(encode_frame(SENDER, b"\x78" + bytes(30)), Checksums.A))
    sent[15] ^= 1
    with pytest.raises(ChecksumError, match="the bytes 12 to 27 give") as caught:
        decode_frame(bytes(sent))
    assert caught.value.offset == 28


def test_the_sender_stands_manufacturer_first() -> None:
    frame = decode_frame(encode_frame(SENDER, b"\x78\x01"))
    assert (frame.sender, frame.control, frame.ci) == (Identity("12345678", "LIN", 0x01, 0x07), 0x44, 0x78)


@given(st.binary(max_size=400), st.sampled_from([None, *Checksums]))
def test_any_bytes_give_a_frame_or_a_named_error(data: bytes, checksums: Checksums | None) -> None:
    with suppress(ProtocolError):
        decode_frame(data, checksums)


def test_telegrams_one_after_the_other_are_taken_apart() -> None:
    first, second = encode_frame(SENDER, b"\x78\x01"), encode_frame(SENDER, b"\x78\x02\x03")
    assert split(first + second) == [first, second]
    with pytest.raises(ProtocolError, match="more than there are"):
        split(first + second[:-1])
    with pytest.raises(ProtocolError, match="more than 16 telegrams"):
        split(first * 17)
