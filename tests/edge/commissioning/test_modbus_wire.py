"""Frames found in whatever came: whole, byte by byte, damaged, between noise."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linli_core.errors import ConfigError
from linli_edge.commissioning.modbus_wire import Wire, device_id, printable, read_pdu
from linli_sim.modbus_frames import rtu

RTU = Wire("rtu")
ANSWER = rtu(5, b"\x03\x04\x01\x02\x03\x04")
EXCEPTION = rtu(5, b"\x83\x02")
DEVICE_ID = b"\x2b\x0e\x01\x01\x00\x00\x03\x00\x04Acme\x01\x02M1\x02\x03v.2"


def test_a_request_is_what_the_standard_says() -> None:
    assert RTU.encode(1, read_pdu(3, 0, 1)).hex() == "010300000001840a"
    assert Wire("tcp").encode(1, read_pdu(3, 0, 1), 7).hex() == "000700000006010300000001"


def test_an_unknown_framing_cannot_be_searched() -> None:
    with pytest.raises(ConfigError, match="cannot be searched"):
        Wire("morse")


class TestAscii:
    wire = Wire("ascii")
    # The LRC is the two's complement of the bytes' sum: 05 + 03 + 02 + 01 + 02 = 0D, so F3.
    answer = b":0503020102F3\r\n"

    def test_a_request_is_what_the_standard_says(self) -> None:
        assert self.wire.encode(1, read_pdu(3, 0, 1)) == b":010300000001FB\r\n"

    def test_an_answer_between_noise(self) -> None:
        parsed = self.wire.parse(b"\x00:05" + self.answer + b"xy")
        assert [(frame.unit, frame.pdu.hex()) for frame in parsed.answers] == [(5, "03020102")]
        assert parsed.rest == (b"\x00:05", b"xy")

    def test_every_prefix_and_every_flipped_byte_is_no_frame(self) -> None:
        for length in range(len(self.answer)):
            assert self.wire.parse(self.answer[:length]).frames == ()
        for place in range(len(self.answer)):
            damaged = self.answer[:place] + bytes((self.answer[place] ^ 1,)) + self.answer[place + 1 :]
            assert self.wire.parse(damaged).frames == ()

    def test_a_request_is_told_from_an_answer(self) -> None:
        assert self.wire.parse(self.wire.encode(4, read_pdu(3, 16, 2))).frames[0].request


@pytest.mark.parametrize("frame", [ANSWER, EXCEPTION, rtu(9, b"\x11\x02\x0a\xff"), rtu(7, DEVICE_ID)])
class TestOneFrame:
    def test_whole_and_with_trailing_bytes(self, frame: bytes) -> None:
        for trailing in (b"", b"\x00", b"\xff\x00\x12"):
            parsed = RTU.parse(frame + trailing)
            assert [(found.unit, found.pdu) for found in parsed.answers] == [(frame[0], frame[1:-2])]
            assert parsed.rest == ((trailing,) if trailing else ())

    def test_every_prefix_is_no_frame(self, frame: bytes) -> None:
        for length in range(len(frame)):
            assert RTU.parse(frame[:length]).frames == ()

    def test_every_flipped_byte_is_no_frame_of_the_same_content(self, frame: bytes) -> None:
        for place in range(len(frame)):
            damaged = frame[:place] + bytes((frame[place] ^ 0x5A,)) + frame[place + 1 :]
            assert all(found.end - found.start < len(frame) for found in RTU.parse(damaged).frames)

    def test_an_echo_is_taken_off(self, frame: bytes) -> None:
        request = RTU.encode(frame[0], read_pdu(3, 0, 2))
        parsed = RTU.parse(request + frame, request)
        assert parsed.echoed
        assert len(parsed.frames) == 1
        assert parsed.rest == ()


@given(st.binary(max_size=12), st.binary(max_size=12))
def test_noise_around_a_frame_hides_nothing(before: bytes, behind: bytes) -> None:
    parsed = RTU.parse(before + ANSWER + behind)
    covered = sum(frame.end - frame.start for frame in parsed.frames) + sum(map(len, parsed.rest))
    assert covered == len(before + ANSWER + behind)
    # Noise may by chance be a frame that swallows ours; then that one has a right checksum itself.
    assert parsed.frames


@given(st.binary(max_size=300))
def test_any_bytes_are_sorted_without_loss(data: bytes) -> None:
    for framing in ("rtu", "ascii", "tcp"):
        parsed = Wire(framing).parse(data)
        assert sum(frame.end - frame.start for frame in parsed.frames) + sum(map(len, parsed.rest)) == len(data)


def test_a_request_is_told_from_an_answer() -> None:
    request = RTU.parse(RTU.encode(4, read_pdu(3, 16, 2))).frames
    assert [(frame.unit, frame.request) for frame in request] == [(4, True)]


def test_tcp_answers_carry_their_transaction() -> None:
    data = bytes.fromhex("000700000005050302010200")
    parsed = Wire("tcp").parse(data)
    assert [(frame.transaction, frame.unit, frame.pdu.hex()) for frame in parsed.frames] == [(7, 5, "03020102")]
    assert parsed.rest == (b"\x00",)


def test_a_device_says_who_it_is() -> None:
    assert device_id(DEVICE_ID) == {"maker": "Acme", "model": "M1", "version": "v.2"}
    for length in range(len(DEVICE_ID)):
        assert set(device_id(DEVICE_ID[:length])) < {"maker", "model", "version"}


def test_a_devices_text_cannot_disturb_a_terminal() -> None:
    assert printable(b"\x1b[31mred\x07\n x\x00hidden") == "[31mred x"
