"""A wired telegram told byte by byte: all of it, in order, and nothing of value behind a wrong checksum."""

import random
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linli_core.codecs.explain import Part, covers
from linli_core.codecs.mbus import Identity
from linli_core.codecs.mbus.encode import encode_answer
from linli_core.codecs.mbus.explain import explain
from linli_core.codecs.mbus.frame import LongFrame, ShortFrame, encode_frame
from linli_core.codecs.mbus.request import Secondary, request_data, reset, select
from linli_sim.vectors.mbus_recordings import load

METER = Identity("10010001", "LNW", 1, 0x16)
RECORDS = [
    bytes.fromhex(text) for text in ("0C1356341200", "426C7F2C", "0C13FFFFFFFF", "02FD48E803", "8C10135634 1200")
]
TELEGRAM = encode_frame(encode_answer(METER, RECORDS, address=1, access_number=7, status=0x14))


def told(data: bytes) -> list[tuple[str, str, str]]:
    parts = explain(data)
    assert covers(parts, data)
    return [(part.name, part.meaning, part.wrong) for part in parts]


def meanings(data: bytes) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for name, meaning, _ in told(data):
        found.setdefault(name, []).append(meaning)
    return found


def answer(ci: int, data: str, control: int = 0x08) -> bytes:
    return encode_frame(LongFrame(control, 5, ci, bytes.fromhex(data)))


def test_an_answer() -> None:
    said = meanings(TELEGRAM)
    assert said["identification number"] == ["10010001"]
    assert said["manufacturer"] == ["LNW"]
    assert said["medium"] == ["cold water"]
    assert said["access number"] == ["7"]
    assert said["status"] == ["power low, temporary error"]
    assert said["record"] == [
        "volume: 123.456 m3",
        "date, storage 1: 2019-12-31",
        "volume: no value: the digits mean none",
        "voltage: 100.0 V",
        "volume, tariff 1: 123.456 m3",
    ]
    assert said["VIFE"] == ["voltage, 10^-1 V"]
    assert said["checksum"] == ["right"]


def test_each_part_stands_where_it_says() -> None:
    parts = explain(b"\x00" + TELEGRAM)
    assert parts[0] == Part(0, b"\x00", "bytes of no frame")
    value = next(part for part in parts if part.name == "value")
    assert (value.offset, value.data, value.depth) == (22, bytes.fromhex("56341200"), 1)


def test_a_wrong_checksum_is_told_and_nothing_else() -> None:
    for place in range(4, len(TELEGRAM) - 1):
        damaged = bytearray(TELEGRAM)
        damaged[place] ^= 0x04
        parts = explain(bytes(damaged))
        assert covers(parts, bytes(damaged))
        assert [part.name for part in parts if part.wrong][-1] == "checksum"
        text = " ".join(part.meaning for part in parts)
        for said in ("123.4", "2019", "10010001", "LNW", "100.0", "primary address", "RSP_UD"):
            assert said not in text, (place, text)


def test_a_cut_frame_says_where_it_ends() -> None:
    for size in range(1, len(TELEGRAM)):
        parts = explain(TELEGRAM[:size])
        assert covers(parts, TELEGRAM[:size])
        want = len(TELEGRAM) if size > 1 else 9
        assert parts[-1].wrong == f"the frame ends after {size} of {want} bytes" or (
            # The frame's own end is missing, and what is there of its last record is no record.
            parts[-1].name == "rest of the records"
        ), size
        assert "123.4" not in " ".join(part.meaning for part in parts)


def test_a_whole_frame_within_a_damaged_one_is_found() -> None:
    assert [name for name, _, _ in told(b"\x68\x40\x40\x68" + TELEGRAM)][:2] == ["bytes of no frame", "start"]
    assert told(b"\xe5" + encode_frame(reset(1)))[0] == ("acknowledgement", "understood, nothing to say", "")


@pytest.mark.parametrize(
    ("data", "name", "meaning"),
    [
        (encode_frame(reset(0)), "C field", "SND_NKE, reset the link"),
        (encode_frame(reset(0)), "A field", "address 0, as delivered"),
        (encode_frame(request_data(254, frame_count=True)), "C field", "REQ_UD2, request data, FCB 1"),
        (encode_frame(request_data(254, frame_count=False)), "A field", "every meter answers"),
        (encode_frame(ShortFrame(0x5A, 255)), "A field", "every meter, none answers"),
        (encode_frame(ShortFrame(0x77, 251)), "A field", "reserved"),
        (encode_frame(select(Secondary("1FFFFFFF"))), "identification number", "1FFFFFFF, F is any digit"),
        (encode_frame(select(Secondary("1FFFFFFF"))), "manufacturer", "any"),
        (encode_frame(select(Secondary("1FFFFFFF", "LNW", 1, 7))), "medium", "water"),
        (
            answer(0x72, "", 0x38),
            "C field",
            "RSP_UD, answer with data, ACD: alarm data wait, DFC: the meter takes no more data",
        ),
        (answer(0x70, "08"), "error code", "application busy"),
        (answer(0x71, "81"), "alarm state", "81, the maker's bits"),
        (answer(0x7A, "01020000 0C1300000000"), "status", "application error"),
        (answer(0x7A, "01E30512"), "status", "abnormal condition, maker's bits 111"),
        (answer(0x7A, "01E30512"), "signature", "1205, a signature or the way of encryption"),
        (answer(0x78, "1F0102"), "DIF", "more telegrams follow"),
        (answer(0x78, "0F0102"), "manufacturer data", "the maker's own layout"),
        (answer(0x78, "2F2F"), "filler", "means nothing"),
        (answer(0x78, "0D7803 414243"), "value", "CBA"),
        (answer(0x78, "0D78E2 0102"), "LVAR", "binary, 2 bytes"),
        (answer(0x78, "0D13D2 0102"), "record", "volume: -0.201 m3"),
        (answer(0x78, "027C037465501000"), "unit", "Pet"),
        (answer(0x78, "0493 15 00000000"), "record", "volume: no value: no data available"),
        (answer(0x78, "02FF017B 1234"), "record", "manufacturer specific: 4731"),
        (answer(0x73, "78563412 0A 00 E9 7E 01000000 02000000"), "status", "BCD counters, present"),
        (answer(0x73, "78563412 0A 00 E9 7E 01000000 35010000"), "counter 2", "0.135 m3"),
        (answer(0x73, "7856"), "rest", ""),
        (answer(0x51, "0C1300000000", 0x53), "record", "volume: 0.000 m3"),
        (answer(0xBB, "", 0x53), "CI field", "switch to 2400 baud"),
        (answer(0x79, "0102"), "data", ""),
    ],
)
def test_what_parts_say(data: bytes, name: str, meaning: str) -> None:
    assert meaning in meanings(data).get(name, [""])


def test_records_that_cannot_be_told_apart_are_one_part() -> None:
    assert told(answer(0x78, "0C13 5634"))[-3] == (
        "rest of the records",
        "",
        "a record wants 2 bytes more than there are",
    )
    assert told(answer(0x78, "7F"))[-3] == ("DIF", "", "has no place in an answer")
    wrong = told(answer(0x73, "78563412 0A 00 E9 BE 01000000 02000000"))[-3]
    assert wrong[2].endswith("high byte first")


@given(st.binary(max_size=300))
def test_any_bytes_are_told_whole(data: bytes) -> None:
    assert covers(explain(data), data)


@given(st.binary(max_size=120))
def test_any_records_are_told_whole(data: bytes) -> None:
    frame = answer(0x78, data.hex())
    assert covers(explain(frame), frame)


@pytest.mark.vectors
def test_recorded_frames_whole_cut_and_damaged(vectors: Path) -> None:
    dice = random.Random(5)
    for recorded in load(vectors / "mbus"):
        data = recorded.frame
        assert covers(explain(data), data)
        for size in range(0, len(data), 3):
            assert covers(explain(data[:size]), data[:size])
        for place in range(0, len(data), 2):
            damaged = bytearray(data)
            damaged[place] ^= dice.randint(1, 255)
            assert covers(explain(bytes(damaged)), bytes(damaged))
