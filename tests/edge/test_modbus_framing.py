"""Frames: the recorded ones, byte by byte, cut short, in noise, and too late."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from linli_core.codec import NEED_DATA
from linli_core.errors import DeviceError, ProtocolError
from linli_edge.drivers.modbus.decode import BlockDecoder
from linli_edge.drivers.modbus.framing import NOTHING, Framing, Request, RtuFraming, TcpFraming, data_of
from linli_edge.drivers.modbus.overheard import Overheard
from linli_edge.drivers.modbus.registers import DataType, MappedPoint, RegisterTable
from linli_sim.modbus_frames import Incoming, RtuFrames, TcpFrames, crc, rtu

ROOT = Path(__file__).parents[2]
VECTORS = Path(os.environ.get("LINLI_VECTORS", ROOT / "../shared/vectors")) / "modbus"


def answers(framing: Framing, *chunks: bytes) -> Iterator[bytes]:
    for chunk in chunks:
        framing.receive(chunk)
        while (pdu := framing.next_answer()) is not NEED_DATA:
            yield pdu


def single(data: bytes) -> list[bytes]:
    return [data[place : place + 1] for place in range(len(data))]


def vectors(*kinds: str) -> list[Any]:
    if not VECTORS.is_dir():
        reason = f"no recorded frames in {VECTORS}: set LINLI_VECTORS"
        return [pytest.param({}, marks=pytest.mark.skip(reason=reason), id="absent")]
    found = []
    for path in sorted(VECTORS.glob("pymodbus_framer__*.json")):
        vector = json.loads(path.read_text(encoding="utf-8"))
        if vector["kind"] in kinds:
            found.append(pytest.param(vector, id=vector["id"]))
    return found


def framing_for(vector: dict[str, Any]) -> tuple[Framing, Request]:
    """A framing that has just asked what the vector answers, under the vector's transaction id."""
    expected = vector["expected"]
    count = len(expected.get("registers", [0]))
    request = Request(expected["unit"], expected["function"], 0, count)
    if expected["framing"] == "rtu":
        serial = RtuFraming()
        serial.encode(request)
        return serial, request
    # 0 comes after 65535 in neither stack, so 0 can only be checked as a stray.
    tcp = TcpFraming(iter([expected["transaction_id"] or 0xFFFF]))
    tcp.encode(request)
    return tcp, request


@pytest.mark.vectors
@pytest.mark.parametrize("vector", vectors("response", "error_reply"))
def test_recorded_answers_whole_and_byte_by_byte(vector: dict[str, Any]) -> None:
    data, expected = bytes.fromhex(vector["input"]["data"]), vector["expected"]
    usable = expected["framing"] == "rtu" or expected["transaction_id"] != 0
    for chunks in ([data], single(data), [data + b"\x00\x01\x02"]):
        framing, request = framing_for(vector)
        found = list(answers(framing, *chunks))[:1]
        if not usable:
            assert found == []
        elif "exception_code" in expected:
            with pytest.raises(DeviceError) as caught:
                data_of(request, found[0])
            assert caught.value.code == expected["exception_code"]
        else:
            words = b"".join(word.to_bytes(2, "big") for word in expected["registers"])
            assert data_of(request, found[0]) == words


@pytest.mark.vectors
@pytest.mark.parametrize("vector", vectors("response", "error_reply"))
def test_recorded_answers_cut_short_or_with_a_flipped_byte_give_nothing(vector: dict[str, Any]) -> None:
    data = bytes.fromhex(vector["input"]["data"])
    for length in range(len(data)):
        framing, _ = framing_for(vector)
        assert list(answers(framing, data[:length])) == []
    if vector["expected"]["framing"] == "rtu":
        for place in range(len(data)):
            framing, _ = framing_for(vector)
            flipped = bytearray(data)
            flipped[place] ^= 0xFF
            assert list(answers(framing, bytes(flipped))) == []


@pytest.mark.vectors
@pytest.mark.parametrize("vector", vectors("request"))
def test_recorded_requests_are_what_both_stacks_write_and_read(vector: dict[str, Any]) -> None:
    expected, data = vector["expected"], bytes.fromhex(vector["input"]["data"])
    if "start_address" not in expected or expected["function"] not in {1, 2, 3, 4}:
        pytest.skip(f"{vector['id']}: not one of the four read requests")
    request = Request(expected["unit"], expected["function"], expected["start_address"], expected["quantity"])
    if expected["framing"] == "rtu":
        assert RtuFraming().encode(request) == data
        assert RtuFrames().receive(data) == [Incoming(0, expected["unit"], data[1:-2])]
    else:
        assert TcpFraming().encode(request)[2:] == data[2:]
        assert TcpFrames().receive(data) == [Incoming(expected["transaction_id"], expected["unit"], data[7:])]


@pytest.mark.vectors
def test_the_recorded_sunspec_common_block() -> None:
    path = VECTORS / "sunspec_rtu_read_common_response.json"
    if not path.exists():
        pytest.skip(f"no recorded frames in {VECTORS}: set LINLI_VECTORS")
    vector = json.loads(path.read_text(encoding="utf-8"))
    expected, frame = vector["expected"], bytes.fromhex(vector["input"]["data"])
    request = Request(expected["unit"], expected["function"], 40_000, expected["byte_count"] // 2)
    fields = {"marker": (0, 2), "manufacturer": (4, 16), "model": (20, 16), "options": (36, 8), "version": (44, 8)}
    fields["serial"] = (52, 16)
    entries = [
        MappedPoint(name, name, RegisterTable.HOLDING, 40_000 + first, count, DataType.STRING)
        for name, (first, count) in fields.items()
    ]
    decoder = BlockDecoder(40_000, [(entry, entry.of("inverter")) for entry in entries])
    for chunks in ([frame], single(frame)):
        framing = RtuFraming()
        framing.encode(request)
        (pdu,) = answers(framing, *chunks)
        texts = {reading.point.quantity: reading.value for reading in decoder.decode(data_of(request, pdu), 0)}
        assert texts == {name: expected[name] for name in fields}


@pytest.mark.vectors
def test_the_recorded_sunspec_scan() -> None:
    """Its recorder wrote every transaction id as 0: the answers are checked under the ids we ask with."""
    path = VECTORS / "sunspec_tcp_scan.json"
    if not path.exists():
        pytest.skip(f"no recorded frames in {VECTORS}: set LINLI_VECTORS")
    recorded = json.loads(path.read_text(encoding="utf-8"))["input"]
    framing = TcpFraming()
    for asked, answered in zip(recorded["requests"], recorded["responses"], strict=False):
        wanted, answer = bytes.fromhex(asked), bytes.fromhex(answered)
        request = Request(wanted[6], wanted[7], int.from_bytes(wanted[8:10], "big"), int.from_bytes(wanted[10:], "big"))
        frame = framing.encode(request)
        assert frame[2:] == wanted[2:]
        (pdu,) = answers(framing, *single(frame[:2] + answer[2:]))
        assert data_of(request, pdu) == answer[9:]
        assert list(answers(framing, answer)) == []


REQUEST = Request(17, 3, 107, 3)
ANSWER = bytes.fromhex("0306022B00000064")  # Modbus Application Protocol V1.1b3, §6.3, the example


@settings(deadline=None)
@given(st.binary(max_size=300), st.binary(max_size=40))
def test_noise_around_an_rtu_answer_does_not_hide_it(before: bytes, behind: bytes) -> None:
    framing = RtuFraming()
    framing.encode(REQUEST)
    assert ANSWER in list(answers(framing, before + rtu(17, ANSWER) + behind))


def test_a_false_start_that_claims_a_long_frame_does_not_block() -> None:
    framing = RtuFraming()
    framing.encode(Request(17, 3, 0, 125))
    answer = bytes((3, 250)) + bytes(250)
    assert list(answers(framing, bytes((17, 3, 250, 1, 2, 3)), rtu(17, answer))) == [answer]
    assert framing.overheard() == Overheard((), noise=1)


def test_the_answer_of_another_unit_or_length_is_no_answer() -> None:
    framing = RtuFraming()
    framing.encode(REQUEST)
    other = rtu(18, ANSWER)
    shorter = rtu(17, bytes.fromhex("0304022B0000"))
    assert list(answers(framing, other, shorter, rtu(17, ANSWER))) == [ANSWER]


def test_rtu_noise_does_not_pile_up() -> None:
    framing = RtuFraming()
    framing.encode(REQUEST)
    assert list(answers(framing, *[b"\x55" * 4096] * 64)) == []
    assert len(framing._buffer) <= 2 * 260


def test_a_late_answer_is_known_by_its_transaction_id() -> None:
    framing, server = TcpFraming(), TcpFrames()
    (first,) = server.receive(framing.encode(REQUEST))
    (second,) = server.receive(framing.encode(REQUEST))
    late = server.answer(first, bytes.fromhex("0306111111111111"))
    assert list(answers(framing, late + server.answer(second, ANSWER))) == [ANSWER]
    assert framing.overheard() == Overheard(((REQUEST.unit, bytes.fromhex("0306111111111111")),))
    assert framing.overheard() is NOTHING


def test_a_frame_of_another_unit_under_our_transaction_id_is_skipped() -> None:
    framing, server = TcpFraming(), TcpFrames()
    (asked,) = server.receive(framing.encode(REQUEST))
    foreign = server.answer(Incoming(asked.transaction, 18, asked.pdu), ANSWER)
    assert list(answers(framing, foreign)) == []


def test_transaction_ids_go_round_without_zero() -> None:
    framing = TcpFraming()
    ids = [int.from_bytes(framing.encode(REQUEST)[:2], "big") for _ in range(65_537)]
    assert ids[0] == 1
    assert ids[65_534:] == [65_535, 1, 2]


@pytest.mark.parametrize(
    "garbage",
    [b"GET / HTTP/1.1\r\n", bytes(64), bytes.fromhex("00010000FFFF1103"), b"\x00\x01\x00\x00\x00\x01\x11\x03"],
)
def test_bytes_that_are_no_mbap_header_put_the_stream_out_of_step(garbage: bytes) -> None:
    framing = TcpFraming()
    framing.encode(REQUEST)
    framing.receive(garbage)
    with pytest.raises(ProtocolError) as caught:
        framing.next_answer()
    assert caught.value.kind == "out_of_step"


@settings(deadline=None)
@given(st.binary(max_size=600))
def test_arbitrary_bytes_never_raise_anything_else(data: bytes) -> None:
    for framing in (TcpFraming(), RtuFraming()):
        framing.encode(REQUEST)
        try:
            for pdu in answers(framing, data):
                data_of(REQUEST, pdu)
        except (ProtocolError, DeviceError):
            pass


@pytest.mark.parametrize(
    ("code", "kind"),
    [(2, "illegal_address"), (6, "busy"), (11, "gateway_target_silent"), (99, "unknown_exception")],
)
def test_an_exception_is_a_device_that_says_no(code: int, kind: str) -> None:
    with pytest.raises(DeviceError) as caught:
        data_of(REQUEST, bytes((0x83, code)))
    assert (caught.value.kind, caught.value.code) == (kind, code)


def test_the_text_of_an_exception_says_what_was_asked() -> None:
    with pytest.raises(
        DeviceError, match=r"^unit 17, function 3, 3 from address 107: exception 2 \(illegal address\)$"
    ):
        data_of(REQUEST, bytes.fromhex("8302"))


@pytest.mark.parametrize(
    ("pdu", "kind"),
    [
        ("0404022B0000", "wrong_function"),
        ("", "wrong_function"),
        ("03", "wrong_function"),
        ("0304022B0000", "wrong_length"),
        ("0306022B0000", "wrong_length"),
        ("0306022B0000006400", "wrong_length"),
        ("8401", "wrong_function"),
    ],
)
def test_an_answer_to_something_else_is_refused(pdu: str, kind: str) -> None:
    with pytest.raises(ProtocolError) as caught:
        data_of(REQUEST, bytes.fromhex(pdu))
    assert caught.value.kind == kind


def test_the_two_stacks_agree_on_the_checksum() -> None:
    # Modbus over Serial Line V1.02, §6.2.2, the example: 02 07 gives 41 12 on the wire.
    assert crc(bytes.fromhex("0207")).to_bytes(2, "little") == bytes.fromhex("4112")
    assert rtu(17, REQUEST.pdu) == RtuFraming().encode(REQUEST)
