"""IEC 62056-21: messages in any chunks, data sets as meters in the field write them, readings."""

import json
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from linli_core.codec import NEED_DATA
from linli_core.codecs.explain import covers
from linli_core.codecs.iec62056 import (
    Ack,
    Acknowledgement,
    Command,
    DataMessage,
    DataSet,
    Frame,
    FrameReader,
    Identification,
    Interpreter,
    Nak,
    SignOn,
    decode_frame,
    parse_data,
)
from linli_core.codecs.iec62056.dataset import LONGEST_BLOCK, MOST_SETS, MOST_VALUES, split_value
from linli_core.codecs.iec62056.explain import explain
from linli_core.codecs.iec62056.meaning import identity_of
from linli_core.codecs.iec62056.request import BREAK, encode_frame, password, read_register
from linli_core.errors import ChecksumError, ProtocolError
from linli_core.model import Quality, Reason

READOUT = (
    b"F.F(00000000)\r\n0.0.0(00339226)\r\n0.9.1(143022)\r\n0.9.2(211109)\r\n1.8.0(0012345.678*kWh)\r\n"
    b"1.8.1(0000345.678*kWh)\r\n1.8.1*01(0000300.000*kWh)(21-11-01 00:00)\r\n32.7(229.9*V)\r\n"
    b"1.6.1(01.230*kW)(2111091430)\r\n2.8.0()\r\n0.2.0(V1.5)\r\nX.Y(strange)\r\n"
)
MESSAGES: list[tuple[bytes, Frame]] = [
    (b"/?!\r\n", SignOn()),
    (b"/?00339226!\r\n", SignOn("00339226")),
    (b"/ISk5MT174-0001\r\n", Identification("ISk", "5", "MT174-0001")),
    (b"/LGZ4\\2ZMF100AC.M26\r\n", Identification("LGZ", "4", "ZMF100AC.M26", "2")),
    (b"\x06050\r\n", Acknowledgement("0", "5", "0")),
    (b"\x06", Ack()),
    (b"\x15", Nak()),
    (encode_frame(DataMessage(READOUT, readout=True)), DataMessage(READOUT, readout=True)),
    (encode_frame(DataMessage(b"(123)", complete=False)), DataMessage(b"(123)", complete=False)),
    (encode_frame(read_register("1.8.0")), Command("R1", b"1.8.0()")),
    (encode_frame(read_register("P.01", formatted=True, argument="2111090000;")), Command("R5", b"P.01(2111090000;)")),
    (encode_frame(password("12345678")), Command("P1", b"(12345678)")),
    (b"\x01B0\x03q", BREAK),
]
WHOLE = [data for data, _ in MESSAGES]


@pytest.mark.parametrize(("data", "frame"), MESSAGES)
def test_message_whole_and_back(data: bytes, frame: Frame) -> None:
    assert decode_frame(data) == frame
    assert encode_frame(frame) == data
    assert covers(explain(data), data)
    assert not any(part.wrong for part in explain(data))


@pytest.mark.parametrize(("data", "frame"), MESSAGES)
@pytest.mark.parametrize("size", [1, 3, 1000])
def test_message_in_chunks(data: bytes, frame: Frame, size: int) -> None:
    reader = FrameReader(from_meter=data[:1] != b"\x06" or len(data) == 1)
    found = []
    for at in range(0, len(data), size):
        reader.receive(data[at : at + size])
        while (event := reader.next_event()) is not NEED_DATA:
            found.append(event)
    assert found == [frame]
    assert (reader.skipped, len(reader)) == (0, 0)


@pytest.mark.parametrize("data", WHOLE)
def test_cut_anywhere(data: bytes) -> None:
    for size in range(len(data)):
        with pytest.raises(ProtocolError):
            decode_frame(data[:size] if data[:1] != b"\x06" or size != 1 else b"")
        assert covers(explain(data[:size]), data[:size])


@pytest.mark.parametrize("data", [data for data in WHOLE if data[:1] in {b"\x01", b"\x02"}])
def test_every_byte_flipped(data: bytes) -> None:
    for at in range(len(data)):
        for mask in (0x01, 0x02, 0x08, 0x40, 0x80, 0xFF):
            damaged = data[:at] + bytes((data[at] ^ mask,)) + data[at + 1 :]
            with pytest.raises(ProtocolError):
                decode_frame(damaged)
            assert covers(explain(damaged), damaged)


def test_trailing_bytes() -> None:
    with pytest.raises(ProtocolError, match="1 bytes follow") as caught:
        decode_frame(b"/?!\r\n\0")
    assert caught.value.kind == "trailing_bytes"


def test_reader_goes_on_one_byte_behind_a_false_start() -> None:
    good = encode_frame(DataMessage(READOUT, readout=True))
    bad = bytearray(good)
    bad[20] ^= 1
    reader = FrameReader()
    reader.receive(b"\0\xff/gar?\r\n" + bytes(bad) + good)
    frames, errors = collected(reader)
    assert frames == [DataMessage(READOUT, readout=True)]
    assert any(isinstance(error, ChecksumError) for error in errors)


def test_a_line_that_falls_silent() -> None:
    reader = FrameReader()
    reader.receive(b"/ISk5MT1")
    assert reader.next_event() is NEED_DATA
    reader.end()
    with pytest.raises(ProtocolError, match="ends after 8 bytes"):
        reader.next_event()


def test_parity_bits_are_checked_and_taken_off() -> None:
    def with_parity(data: bytes) -> bytes:
        return bytes(byte | (byte.bit_count() & 1) << 7 for byte in data)

    good = encode_frame(DataMessage(READOUT, readout=True))
    reader = FrameReader(parity=True)
    reader.receive(with_parity(good))
    assert reader.next_event() == DataMessage(READOUT, readout=True)
    damaged = bytearray(with_parity(good))
    damaged[30] ^= 0x80
    reader.receive(bytes(damaged))
    frames, errors = collected(reader)
    assert frames == []
    assert errors


def test_the_buffer_is_bounded() -> None:
    reader = FrameReader()
    reader.receive(b"\x02" + b"a" * (LONGEST_BLOCK + 5000))
    assert len(reader) <= LONGEST_BLOCK + 1024
    reader.clear()
    reader.receive(b"\x02" + b"a" * (LONGEST_BLOCK + 1))
    with pytest.raises(ProtocolError, match="no end within"):
        reader.next_event()


@given(st.binary(max_size=300))
@example(b"\x06")
@example(b"\x01P")
def test_any_bytes_give_messages_or_named_errors(data: bytes) -> None:
    reader = FrameReader()
    reader.receive(data)
    reader.end()
    frames, _ = collected(reader)
    assert len(reader) == 0
    for frame in frames:
        if isinstance(frame, DataMessage | Command):
            try:
                Interpreter("m").readings(parse_data(frame.data), 0)
            except ProtocolError:
                continue
    assert covers(explain(data), data)


@given(st.text(st.characters(codec="latin-1"), max_size=200))
def test_any_text_gives_data_sets_or_named_errors(text: str) -> None:
    try:
        datasets = parse_data(text.encode("latin-1"))
    except ProtocolError:
        return
    Interpreter("m").readings(datasets, 0)


@pytest.mark.parametrize(
    ("block", "sets"),
    [
        (b"3.1.0(100)", [("3.1.0", ("100",))]),
        (b"12(12*kWh)13(13*kWh)\r\n14(1)", [("12", ("12*kWh",)), ("13", ("13*kWh",)), ("14", ("1",))]),
        (b"0-1:24.3.0(090212160000)(m3)\r\n(00001.001)\r\n", [("0-1:24.3.0", ("090212160000", "m3", "00001.001"))]),
        (b"(0001)", [("", ("0001",))]),
        (b"1.8.0 (1)\n 2.8.0(2)", [("1.8.0", ("1",)), ("2.8.0", ("2",))]),
        (b"0.0.0(1)1.8.0(026.545kWh)2.8.0(0)", [("0.0.0", ("1",)), ("1.8.0", ("026.545kWh",)), ("2.8.0", ("0",))]),
        (b"", []),
    ],
)  # fmt: skip
def test_data_sets(block: bytes, sets: list[tuple[str, tuple[str, ...]]]) -> None:
    assert [(item.identifier, item.values) for item in parse_data(block)] == sets


@pytest.mark.parametrize("block", [b"1.8.0", b"1.8.0(1", b"1.8.0)1(", b"1.8.0((1))", b"1.8.0(1)x", b"\0(1)\0"])
def test_what_is_no_data_set(block: bytes) -> None:
    with pytest.raises(ProtocolError):
        parse_data(block)


@pytest.mark.parametrize(
    ("block", "kind"),
    [
        (b"a" * 49 + b"(1)", "too_long"),
        (b"1(" + b"1" * 2305 + b")", "too_long"),
        (b"1" + b"(1)" * (MOST_VALUES + 1), "too_many"),
        (b"1(1)" * (MOST_SETS + 1), "too_many"),
        (b" " * (LONGEST_BLOCK + 1), "too_long"),
    ],
)
def test_limits(block: bytes, kind: str) -> None:
    with pytest.raises(ProtocolError) as caught:
        parse_data(block)
    assert caught.value.kind == kind


@pytest.mark.parametrize(
    ("text", "number", "unit"),
    [
        ("0012345.678*kWh", Decimal("12345.678"), "kWh"),
        ("-01.5*kW", Decimal("-1.5"), "kW"),
        ("0032826.545kWh", Decimal("32826.545"), "kWh"),
        ("00000.000", Decimal("0.000"), ""),
        ("210222161900W", None, ""),
        ("2102221619W", None, ""),
        ("210222161900*W", Decimal(210222161900), "W"),
        ("V1.5", None, ""),
        ("", None, ""),
        ("1" * 40, None, ""),
        ("21-11-01", None, ""),
    ],
)
def test_values(text: str, number: Decimal | None, unit: str) -> None:
    assert split_value(text) == (number, unit)


def test_readings() -> None:
    interpreter = Interpreter("m", utc_offset=60)
    found = {item.point.local_name: item for item in interpreter.readings(parse_data(READOUT), 7)}
    assert {name: item.value for name, item in found.items()} == {
        "error_flags": "00000000",
        "serial_number": "00339226",
        "meter_time": "2021-11-09T14:30:22",
        "energy_import": Decimal("12345678.000"),
        "energy_import.t1": Decimal("345678.000"),
        "energy_import.t1.s1": Decimal("300000.000"),
        "obis_record": "1.8.1*01(0000300.000*kWh)(21-11-01 00:00)",
        "voltage.l1": Decimal("229.9"),
        "demand_import_maximum.t1": Decimal("1230.000"),
        "obis_record.x2": "1.6.1(01.230*kW)(2111091430)",
        "energy_export": None,
        "firmware_version": "V1.5",
        "obis_record.x3": "X.Y(strange)",
    }
    assert interpreter.unmapped == 3
    assert (found["energy_export"].quality, found["energy_export"].reason) == (Quality.BAD, Reason.NOT_IMPLEMENTED)
    assert found["energy_import"].device_time == 1636464622_000000  # 2021-11-09T14:30:22+01:00
    assert found["energy_import.t1.s1"].device_time is None
    assert identity_of(parse_data(READOUT)) == "00339226"


@pytest.mark.parametrize(
    "clock", [b"0.9.1(250000)0.9.2(211109)", b"0.9.1(143022)0.9.2(000000)", b"0.9.1()0.9.2()", b""]
)
def test_a_clock_that_is_none(clock: bytes) -> None:
    readings = Interpreter("m").readings(parse_data(clock + b"1.8.0(1*kWh)"), 7)
    assert readings[-1].value == 1000
    assert readings[-1].device_time is None


@pytest.mark.parametrize(
    "block", [b"1.8.0(12345)", b"1.8.0(1*kvarh)", b"1.8.0(12*xyz)", b"1.8.0(1*mWh)", b"1.8.0(FF12*kWh)"]
)
def test_a_register_that_is_none_stays_visible(block: bytes) -> None:
    (reading,) = Interpreter("m").readings(parse_data(block), 7)
    assert (reading.point.quantity, reading.value) == ("obis_record", block.decode())


def test_a_clock_of_nothing_is_missing() -> None:
    clock, energy = Interpreter("m").readings(parse_data(b"0-0:1.0.0(000000000000)1.8.0(1*kWh)"), 7)
    assert (clock.value, clock.quality) == (None, Quality.BAD)
    assert (energy.value, energy.device_time) == (1000, None)


@pytest.mark.parametrize(
    "value", ["FFFFFFFF", "FFFFFF.FF", "ffffff.ff*kWh", "------", "------.---*kWh", "******", "*kWh", "", " ", "????"]
)
def test_filled_registers_are_missing(value: str) -> None:
    (reading,) = Interpreter("m").readings([DataSet("1.8.0", (value,))], 7)
    assert (reading.value, reading.quality, reading.reason) == (None, Quality.BAD, Reason.NOT_IMPLEMENTED)


def test_a_clock_that_was_never_set_is_missing_once() -> None:
    clock, energy = Interpreter("m").readings(parse_data(b"0.9.1(000000)0.9.2(000000)1.8.0(1*kWh)"), 7)
    assert (clock.point.quantity, clock.value, clock.quality) == ("meter_time", None, Quality.BAD)
    assert (energy.value, energy.device_time) == (1000, None)


@pytest.mark.parametrize("address", ["ä", "123!", "1" * 33])
def test_no_address(address: str) -> None:
    with pytest.raises(ValueError, match="no address"):
        encode_frame(SignOn(address))


@pytest.mark.parametrize("text", ["(", "\n", "a)b"])
def test_no_register_and_no_password(text: str) -> None:
    with pytest.raises(ValueError, match="identifier"):
        read_register(text)
    with pytest.raises(ValueError, match="password"):
        password(text)


def collected(reader: FrameReader) -> tuple[list[Frame], list[ProtocolError]]:
    frames: list[Frame] = []
    errors: list[ProtocolError] = []
    for event in events(reader):
        (errors if isinstance(event, ProtocolError) else frames).append(event)  # type: ignore[arg-type]
    return frames, errors


def events(reader: FrameReader) -> Iterator[Frame | ProtocolError]:
    while True:
        try:
            event = reader.next_event()
        except ProtocolError as exc:
            yield exc
            continue
        if event is NEED_DATA:
            return
        yield event


@pytest.mark.vectors
def test_recordings_cut_and_flipped(vectors: Path) -> None:
    for path in sorted((vectors / "iec62056-21").glob("*ok.json")):
        data = bytes.fromhex(json.loads(path.read_text())["input"]["data"])
        decode_frame(data)
        for at in range(len(data)):
            for damaged in (data[:at], data[:at] + bytes((data[at] ^ 0xFF,)) + data[at + 1 :]):
                with pytest.raises(ProtocolError):
                    decode_frame(damaged)
