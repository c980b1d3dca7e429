"""DLMS/COSEM push: frames, wrappers, ciphering, replays, data, lists of many makers; cut, flipped, lying."""

import json
import struct
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linli_core.codec import NEED_DATA
from linli_core.codecs.dlms import (
    DataNotification,
    EventNotification,
    Framing,
    HdlcFrame,
    HdlcReader,
    Interpreter,
    Item,
    Keys,
    Opener,
    PushReader,
    Received,
    ReplayGuard,
    WrapperReader,
    decode_apdu,
    decode_data,
    decode_hdlc,
    decode_whole,
    decode_wrapper,
    identity_of,
    values_of,
)
from linli_core.codecs.dlms.axdr import DEEPEST, INTEGERS, encode_data
from linli_core.codecs.dlms.buffer import CLOCK, Column, rows_of
from linli_core.codecs.dlms.ciphering import parse_sealed, seal
from linli_core.codecs.dlms.clock import decode_time, encode_time
from linli_core.codecs.dlms.explain import explain
from linli_core.codecs.dlms.hdlc import Address, Assembler
from linli_core.codecs.dlms.layout import layouts
from linli_core.codecs.explain import covers
from linli_core.errors import ChecksumError, ProtocolError
from linli_core.model import Quality, Reading
from linli_core.obis import parse
from linli_edge.ciphers import AES
from linli_sim.dlms_push import CLIENT, SERVER, blocks, code, described, hdlc, push, wrapped

KEYS = Keys(bytes(range(16)), bytes(range(16, 32)))
TITLE = b"LNL\x00\x00\x00\x00\x01"


ROWS = Item(
    1,
    (
        Item(2, (code("0-0:96.1.0"), Item(0x09, b"LNL00000001"))),
        described("1-0:1.8.0", Item(6, 1234567), -1, 30),
        described("1-0:1.8.1", Item(6, 0xFFFFFFFF), 0, 30),
        described("1-0:32.7.0", Item(0x12, 2301), -1, 35),
        described("1-0:31.7.0", Item(0x10, -13), -1, 33),
        described("1-0:13.7.0", Item(0x10, 985), -3, 255),
        described("1-0:99.9.9", Item(0x11, 5), 0, 30),
        described("1-0:2.8.0", Item(6, 5), 0, 99),
        Item(2, (code("1-0:2.7.0"), Item(0))),
        Item(2, (code("0-0:1.0.0"), Item(0x09, encode_time(datetime(2026, 3, 1, 12, 0, 5, tzinfo=UTC), -120, 0)))),
    ),
)


PLAIN = push(ROWS)


def outcomes(reader: PushReader | HdlcReader | WrapperReader) -> Iterator[Any]:
    while True:
        try:
            event = reader.next_event()
        except ProtocolError as exc:
            yield exc
            continue
        if event is NEED_DATA:
            return
        yield event


def reader_of(framing: Framing, keys: Keys | None = KEYS, guard: ReplayGuard | None = None) -> PushReader:
    return PushReader(framing, Opener(keys, AES, guard))


def read(apdu: bytes, layout: str | None = None, offset: int = 0) -> dict[str, Reading]:
    found = decode_apdu(apdu)
    assert isinstance(found, DataNotification | EventNotification)
    interpreter = Interpreter("m", layout=layouts()[layout] if layout else None, utc_offset=offset)
    return {item.point.local_name: item for item in interpreter.readings(found, 7)}


# --- streams


@pytest.mark.parametrize("size", [1, 5, 10_000])
@pytest.mark.parametrize("segment", [20, 1000])
def test_hdlc_stream_in_chunks_with_noise(size: int, segment: int) -> None:
    stream = (
        b"\x7e\x00\xff" + hdlc(PLAIN, segment=segment) + b"\x7e\xa0" + hdlc(PLAIN, seal(PLAIN, TITLE, 1, KEYS, AES))
    )
    reader = reader_of(Framing.HDLC)
    found: list[Any] = []
    for at in range(0, len(stream), size):
        reader.receive(stream[at : at + size])
        found += outcomes(reader)
    reader.end()
    found += outcomes(reader)
    assert [item.plain for item in found if isinstance(item, Received)] == [PLAIN] * 3
    assert [item.title for item in found if isinstance(item, Received)] == [b"", b"", TITLE]


@pytest.mark.parametrize("size", [1, 5, 10_000])
def test_wrapper_stream_in_chunks(size: int) -> None:
    stream = wrapped(PLAIN, seal(PLAIN, TITLE, 1, KEYS, AES), PLAIN)
    reader = reader_of(Framing.WRAPPER)
    found: list[Any] = []
    for at in range(0, len(stream), size):
        reader.receive(stream[at : at + size])
        found += outcomes(reader)
    assert [item.plain for item in found] == [PLAIN] * 3
    assert reader.skipped == 0


def test_hdlc_cut_and_flipped() -> None:
    data = hdlc(PLAIN)
    for at in range(len(data)):
        with pytest.raises(ProtocolError):
            decode_hdlc(data[:at])
        for mask in (0x01, 0x08, 0x80, 0xFF):
            damaged = data[:at] + bytes((data[at] ^ mask,)) + data[at + 1 :]
            with pytest.raises(ProtocolError):
                decode_hdlc(damaged)
            assert covers(explain(damaged, lambda _: KEYS, AES), damaged)
        assert covers(explain(data[:at], lambda _: KEYS, AES), data[:at])


def test_a_flag_inside_is_no_end() -> None:
    apdu = push(Item(9, b"\x7e\x7e\x7d" * 20))
    reader = reader_of(Framing.HDLC)
    reader.receive(hdlc(apdu, apdu))
    assert [item.plain for item in outcomes(reader)] == [apdu, apdu]


def test_stuffed_frames() -> None:
    apdu = push(Item(9, b"\x7e\x7d\x03"))
    plain = hdlc(apdu)
    stuffed = plain[:1] + plain[1:-1].replace(b"\x7d", b"\x7d\x5d").replace(b"\x7e", b"\x7d\x5e") + plain[-1:]
    reader = PushReader(Framing.HDLC, Opener(None, AES), stuffed=True)
    reader.receive(stuffed + stuffed)
    assert [item.plain for item in outcomes(reader)] == [apdu, apdu]


def test_a_lost_segment_gives_no_message() -> None:
    def frame(number: int, part: bytes, *, more: bool) -> HdlcFrame:
        return HdlcFrame(CLIENT, SERVER, number << 1, part, more)

    assembler = Assembler()
    assert assembler.push(frame(0, b"ab", more=True)) is None
    with pytest.raises(ProtocolError, match="segment") as caught:
        assembler.push(frame(2, b"ef", more=False))
    assert caught.value.kind == "segment_lost"
    assert assembler.push(frame(0, b"ab", more=True)) is None
    assert assembler.push(frame(1, b"cd", more=False)) == b"abcd"
    assert assembler.lost == 1


def test_endless_segments_are_bounded() -> None:
    assembler = Assembler()
    with pytest.raises(ProtocolError, match="more than") as caught:  # noqa: PT012 - which of them it is does not matter
        for number in range(100):
            assembler.push(HdlcFrame(CLIENT, SERVER, (number & 7) << 1, bytes(1000), segmented=True))
    assert caught.value.kind == "too_long"


def test_two_meters_whose_segments_mix() -> None:
    other = Address(1, 18, 2)
    assembler = Assembler()
    assembler.push(HdlcFrame(CLIENT, SERVER, 0x13, b"ab", segmented=True))
    with pytest.raises(ProtocolError):
        assembler.push(HdlcFrame(CLIENT, other, 0x13, b"cd", segmented=False))


@given(st.binary(max_size=300))
def test_any_bytes(data: bytes) -> None:
    for reader in (
        reader_of(Framing.HDLC),
        reader_of(Framing.WRAPPER),
        PushReader(Framing.HDLC, Opener(None, AES), stuffed=True),
    ):
        reader.receive(data)
        reader.end()
        list(outcomes(reader))
        assert len(reader) == 0
    assert covers(explain(data, lambda _: None, AES), data)


@given(st.binary(max_size=120))
def test_any_content_in_a_right_frame(content: bytes) -> None:
    for stream, framing in ((hdlc(content), Framing.HDLC), (wrapped(content or b"\0"), Framing.WRAPPER)):
        reader = reader_of(framing)
        reader.receive(stream)
        for item in outcomes(reader):
            if isinstance(item, Received):
                Interpreter("m").readings(item.notification, 0)
        assert covers(explain(stream, lambda _: KEYS, AES), stream)


@given(st.binary(max_size=120))
def test_any_apdu(data: bytes) -> None:
    for tag in (b"\x0f\0\0\0\0\0", b"\xc2\0", b"\xc4\1", b"\xc0", b"\x61", b"\xe0", b"\xd8", b"\x0f\0\0\0\0\0\2\4"):
        try:
            found = decode_apdu(tag + data)
        except ProtocolError:
            continue
        if isinstance(found, DataNotification | EventNotification):
            for layout in (None, *layouts().values()):
                Interpreter("m", layout=layout).readings(found, 0)


# --- ciphering


def test_wrong_key_replay_and_a_state_handed_over() -> None:
    reader = reader_of(Framing.WRAPPER)
    reader.receive(wrapped(seal(PLAIN, TITLE, 5, Keys(bytes(16), KEYS.authentication), AES)))
    (error,) = outcomes(reader)
    assert error.kind == "decryption"
    reader.receive(wrapped(*(seal(PLAIN, TITLE, counter, KEYS, AES) for counter in (5, 5, 4, 6))))
    found = list(outcomes(reader))
    assert [isinstance(item, Received) for item in found] == [True, False, False, True]
    assert [item.kind for item in found[1:3]] == ["replayed", "replayed"]
    assert "counter 5 of 4C4E4C0000000001 is not above 5" in str(found[1])
    later = reader_of(Framing.WRAPPER, guard=ReplayGuard(reader.opener.guard.counters))
    later.receive(wrapped(seal(PLAIN, TITLE, 6, KEYS, AES)))
    (error,) = outcomes(later)
    assert error.kind == "replayed"


def test_kept_counters_that_make_no_sense_are_passed_over() -> None:
    guard = ReplayGuard({TITLE: 7})
    guard.restore({TITLE.hex(): 5, "no title": 9, "00": 3})
    assert guard.kept() == {TITLE.hex(): 7, "00": 3}


def test_a_forged_counter_does_not_count() -> None:
    reader = reader_of(Framing.WRAPPER)
    forged = bytearray(seal(PLAIN, TITLE, 5, KEYS, AES))
    at = forged.index(b"\x30\0\0\0\5")
    forged[at + 1] = 0xFF
    reader.receive(wrapped(bytes(forged), seal(PLAIN, TITLE, 6, KEYS, AES)))
    first, second = outcomes(reader)
    assert first.kind == "decryption"
    assert isinstance(second, Received)


def test_what_neither_tag_nor_cipher_protects_is_refused_where_there_is_a_key() -> None:
    body = encode_data(Item(2, ()))
    content = bytes((0x00,)) + b"\xff" * 4 + b"\x0f\0\0\0\1\0" + body
    forged = b"\xdb\x08" + b"LNL\0\0\0\0\1" + bytes((len(content),)) + content
    opener = Opener(Keys(KEYS.encryption), AES)
    with pytest.raises(ProtocolError) as caught:
        opener.open(forged, 1)
    assert caught.value.kind == "not_authenticated"
    assert opener.guard.counters == {}  # else all that the meter sends from now on would be replays


@pytest.mark.parametrize(
    ("keys", "sealed_with", "kind"),
    [
        (None, KEYS, "no_key"),
        (Keys(KEYS.encryption), KEYS, "no_key"),
        (KEYS, Keys(KEYS.encryption), "not_authenticated"),
        (Keys(bytes(16)), Keys(KEYS.encryption), "decryption"),
    ],
)
def test_refusals(keys: Keys | None, sealed_with: Keys, kind: str) -> None:
    reader = reader_of(Framing.WRAPPER, keys)
    reader.receive(wrapped(seal(PLAIN, TITLE, 1, sealed_with, AES)))
    (error,) = outcomes(reader)
    assert error.kind == kind


def test_encrypted_only_as_in_austria() -> None:
    reader = reader_of(Framing.HDLC, Keys(KEYS.encryption))
    data = bytearray(seal(PLAIN, TITLE, 1, Keys(KEYS.encryption), AES))
    data[data.index(b"\x20\0\0\0\1")] = 0x21
    reader.receive(hdlc(bytes(data), bytes(data)))
    first, second = outcomes(reader)
    assert first.plain == PLAIN
    assert second.kind == "replayed"


def test_ciphered_cut_and_flipped_gives_nothing() -> None:
    data = seal(PLAIN, TITLE, 9, KEYS, AES)
    for at in range(len(data)):
        for damaged in (data[:at], data[:at] + bytes((data[at] ^ 0x04,)) + data[at + 1 :]):
            reader = reader_of(Framing.WRAPPER)
            reader.receive(wrapped(damaged or b"\0"))
            assert not any(isinstance(item, Received) for item in outcomes(reader))
            assert covers(explain(damaged, lambda _: KEYS, AES), damaged)


@pytest.mark.parametrize(("control", "kind"), [(0x32, "unsupported"), (0xB0, "unsupported")])
def test_other_suites_and_compression(control: int, kind: str) -> None:
    data = bytearray(seal(PLAIN, TITLE, 9, KEYS, AES))
    data[data.index(b"\x30\0\0\0\t")] = control
    reader = reader_of(Framing.WRAPPER)
    reader.receive(wrapped(bytes(data)))
    (error,) = outcomes(reader)
    assert error.kind == kind


def test_a_ciphered_length_that_lies() -> None:
    data = seal(PLAIN, TITLE, 9, KEYS, AES)
    assert parse_sealed(data[:-1]) is None
    with pytest.raises(ProtocolError, match="cannot be"):
        parse_sealed(b"\xdb\x08" + TITLE + b"\x84\xff\xff\xff\xff" + data)


# --- blocks


def test_general_block_transfer() -> None:
    sealed = seal(PLAIN, TITLE, 3, KEYS, AES)
    reader = reader_of(Framing.HDLC)
    reader.receive(hdlc(*blocks(sealed)))
    assert [item.plain for item in outcomes(reader)] == [PLAIN]


def test_a_lost_block_gives_no_message() -> None:
    parts = blocks(PLAIN)
    reader = reader_of(Framing.HDLC)
    reader.receive(hdlc(parts[0], *parts[2:], *parts))
    found = list(outcomes(reader))
    assert {item.kind for item in found if isinstance(item, ProtocolError)} == {"block_lost"}
    assert [item.plain for item in found if isinstance(item, Received)] == [PLAIN]


# --- data


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        ("", "truncated"),
        ("02", "truncated"),
        ("01FF00", "malformed"),
        ("0184FFFFFFFF00", "lying_length"),
        ("0205000000", "lying_length"),
        ("0984FFFFFFFF", "truncated"),
        ("0904AABB", "truncated"),
        ("0600", "truncated"),
        ("0480", "malformed"),
        ("13", "unsupported"),
        ("0101" * (DEEPEST + 2) + "00", "too_deep"),
        ("0184" + "00005000" + "00" * 0x5000, "too_many"),
        ("0000", "trailing_bytes"),
    ],
)
def test_data_that_lie(data: str, kind: str) -> None:
    with pytest.raises(ProtocolError) as caught:
        decode_whole(bytes.fromhex(data))
    assert caught.value.kind == kind


@given(st.binary(max_size=200))
def test_data_of_any_bytes(data: bytes) -> None:
    try:
        item = decode_data(data)
    except ProtocolError:
        return
    assert item.size <= len(data)


scalars = st.one_of(
    st.just(Item(0)),
    st.binary(max_size=20).map(lambda value: Item(9, value)),
    st.text(st.characters(codec="latin-1"), max_size=20).map(lambda value: Item(0x0A, value)),
    st.booleans().map(lambda value: Item(3, value)),
    st.sampled_from(sorted(INTEGERS)).flatmap(
        lambda tag: st.integers(
            -(1 << 8 * INTEGERS[tag][0] - 1) if INTEGERS[tag][1] else 0,
            (1 << 8 * INTEGERS[tag][0] - (1 if INTEGERS[tag][1] else 0)) - 1,
        ).map(lambda value: Item(tag, value))
    ),
)
items = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=5).map(lambda made: Item(2, tuple(made))), max_leaves=20
)


def bare(item: Item) -> Item:
    value = tuple(map(bare, item.value)) if isinstance(item.value, tuple) else item.value
    return Item(item.tag, value, 0, 1)


@given(items)
def test_data_there_and_back(item: Item) -> None:
    data = encode_data(item)
    found = decode_whole(data)
    assert bare(found) == bare(item)
    assert found.size == len(data)
    notification = push(item)
    assert covers(explain(notification, lambda _: None, AES), notification)


@given(st.floats(width=32))
def test_reals(number: float) -> None:
    value = decode_whole(b"\x17" + struct.pack(">f", number)).value
    if number - number != 0:
        assert value is None
    else:
        assert isinstance(value, Decimal)
        assert struct.pack(">f", float(value)) == struct.pack(">f", number or 0.0)
        assert not value.is_signed() or value


@pytest.mark.parametrize(
    ("data", "text", "instant"),
    [
        ("07E4011502100000FF000000", "2020-01-21T16:00:00", 1579622400_000000),
        ("07E4011502100000FFFF8800", "2020-01-21T16:00:00", 1579615200_000000),  # -120: UTC+2
        ("07E40119060D091EFF800000", "2020-01-25T13:09:30", 1579954170_000000),  # no deviation: the offset given
        ("07E40719060D091EFF800080", "2020-07-25T13:09:30", 1595675370_000000),  # summer time
        ("07E40119060D091EFF800001", "2020-01-25T13:09:30", None),  # the meter says that its clock is wrong
        ("07D00100060D091EFF800000", "", None),  # the clock of 2000-01-00
        ("FFFF0119060D091EFF800000", "", None),
        ("07E4011906FF091EFF800000", "", None),
        ("000000000000000000000000", "", None),
    ],
)
def test_times(data: str, text: str, instant: int | None) -> None:
    time = decode_time(bytes.fromhex(data))
    assert (str(time), time.instant(60)) == (text, instant)


# --- lists


def test_readings() -> None:
    found = read(PLAIN, offset=60)
    values = {name: item.value for name, item in found.items()}
    assert values == {
        "serial_number": "LNL00000001",
        "energy_import": Decimal("123456.7"),
        "energy_import.t1": None,
        "voltage.l1": Decimal("230.1"),
        "current.l1": Decimal("-1.3"),
        "power_factor": Decimal("0.985"),
        "obis_record": "1-0:99.9.9(11:5)",
        "obis_record.x2": "1-0:2.8.0(06:5)",
        "active_power_export": None,
        "meter_time": "2026-03-01T12:00:05",
    }
    assert found["energy_import.t1"].quality is Quality.BAD
    assert {item.device_time for item in found.values()} == {1772359205_000000}  # UTC+2
    notification = decode_apdu(PLAIN)
    assert isinstance(notification, DataNotification)
    assert identity_of(values_of(notification.body)) == "LNL00000001"


def test_a_flat_list_as_in_austria() -> None:
    body = Item(
        2,
        (
            Item(9, encode_time(datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC), -60)),
            code("1-0:1.8.0"),
            Item(6, 42),
            Item(2, (Item(0x0F, 0), Item(0x16, 30))),
            code("1-0:1.7.0"),
            Item(6, 7),
            Item(2, (Item(0x0F, 1), Item(0x16, 27))),
        ),
    )
    found = read(push(body))
    assert (found["energy_import"].value, found["active_power_import"].value) == (42, 70)
    assert found["energy_import"].device_time == 1767319445_000000


def test_kamstrup_behind_transformers_counts_milliamperes() -> None:
    body = Item(2, (Item(0x0A, "Kamstrup_V0001"), code("1-1:31.7.0"), Item(6, 1234), code("1-1:1.8.0"), Item(6, 5)))
    plain, transformed = read(push(body)), read(push(body), "kamstrup-ct")
    assert (plain["current.l1"].value, plain["energy_import"].value) == (Decimal("12.34"), 50)
    assert (transformed["current.l1"].value, transformed["energy_import"].value) == (Decimal("1.234"), 50)


@pytest.mark.parametrize("count", [1, 9, 13, 14, 18])
def test_kaifa_lists_by_position(count: int) -> None:
    codes = layouts()["kaifa"].positions[count]
    body = Item(
        2,
        tuple(
            Item(0x0A, "KFM_001")
            if (code.c, code.d) == (0, 2)
            else Item(9, encode_time(datetime(2026, 1, 2, tzinfo=UTC)))
            if code.c == 1 and code.d == 0
            else Item(9, f"text{place}".encode())
            if code.c == 96
            else Item(6, 1000 + place)
            for place, code in enumerate(codes)
        ),
    )
    found = read(push(body), "kaifa" if count == 1 else None)
    if count == 1:
        assert found["active_power_import"].value == 1000
        # Nothing in the list says whose it is: without the layout its number stays what it is.
        assert read(push(body))["obis_record"].value == "(06:1000)"
        return
    assert found["active_power_import"].value == 1003
    assert found["serial_number"].value == "text1"
    assert found["current.l1"].value == Decimal("1.007")
    assert found["voltage.l1"].value == Decimal(1000 + (10 if count in {13, 18} else 8)).scaleb(-1)
    if count in {14, 18}:
        assert found["reactive_energy_export"].value == 1000 + count - 1


def test_an_event_notification() -> None:
    data = b"\xc2\x00" + (3).to_bytes(2) + bytes((1, 0, 1, 8, 0, 255)) + b"\x02" + encode_data(Item(6, 12))
    found = decode_apdu(data)
    assert isinstance(found, EventNotification)
    # A register's raw number without scaler and unit is no quantity.
    assert read(data)["obis_record"].value == "1-0:1.8.0(06:12)"
    assert covers(explain(data, lambda _: None, AES), data)


def test_what_is_no_notification_is_refused() -> None:
    reader = reader_of(Framing.WRAPPER)
    reader.receive(wrapped(b"\xc4\x01\xc1\x00\x11\x05", b"\x99\x00"))
    assert [error.kind for error in outcomes(reader)] == ["unsupported", "unsupported"]


# --- buffers


def test_a_buffer_with_null_data() -> None:
    columns = (Column(CLOCK, parse("0-0:1.0.0")), Column(3, parse("1-0:1.8.0")))
    clock = Item(9, encode_time(datetime(2026, 1, 2, tzinfo=UTC), 0))
    buffer = Item(1, (Item(2, (clock, Item(6, 5))), Item(2, (Item(0), Item(0))), Item(2, (Item(0), Item(6, 7)))))
    rows = rows_of(buffer, columns, 900)
    first = 1767312000_000000
    assert [row.instant for row in rows] == [first, first + 900_000000, first + 1800_000000]
    assert [item.value for row in rows for item in row.items if item is not None] == [5, 5, 7]
    unknown = rows_of(Item(1, (Item(2, (Item(0), Item(0))),)), columns, 900)
    assert (unknown[0].instant, unknown[0].items) == (None, (None,))
    with pytest.raises(ProtocolError, match="structure of 2"):
        rows_of(Item(1, (Item(2, (clock,)),)), columns, 900)
    with pytest.raises(ProtocolError, match="array"):
        rows_of(clock, columns, 900)


# --- recordings


@pytest.mark.vectors
def test_recorded_frames_cut_and_flipped(vectors: Path) -> None:
    keys = Keys(b"MYDUMMYGLOBALKEY", b"MYDUMMYGLOBALKEY")
    for path in sorted((vectors / "dlms").glob("*.json")):
        document = json.loads(path.read_text())
        if "data" not in document["input"]:
            continue
        data = bytes.fromhex(document["input"]["data"])
        assert covers(explain(data, lambda _: keys, AES), data), path.stem
        if data[:1] == b"\x7e" and not document["input"].get("octet_stuffing"):
            for at in range(len(data)):
                for damaged in (data[:at], data[:at] + bytes((data[at] ^ 0xFF,)) + data[at + 1 :]):
                    with pytest.raises(ProtocolError):
                        decode_hdlc(damaged)
        if path.stem.startswith("dc21_udp"):
            for at in range(len(data)):
                damaged = data[:at] + bytes((data[at] ^ 0x20,)) + data[at + 1 :]
                with pytest.raises(ProtocolError):  # noqa: PT012 - the frame or what is in it
                    Opener(keys, AES).open(decode_wrapper(damaged).apdu, 1)
                    if 2 <= at < 6:
                        raise ProtocolError("the ports are protected by nothing")


def test_checksum_errors_are_named() -> None:
    data = bytearray(hdlc(PLAIN))
    data[-2] ^= 1
    with pytest.raises(ChecksumError, match="FCS"):
        decode_hdlc(bytes(data))
