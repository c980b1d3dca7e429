from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linli_core.codecs.mbus import Identity, LongFrame, MeterTime, Record, decode_telegram, fixed, values
from linli_core.codecs.mbus.encode import (
    encode_answer,
    encode_dib,
    encode_number,
    encode_text,
    encode_text_unit,
    encode_time,
    encode_vib,
)
from linli_core.codecs.mbus.record import Function, parse_records
from linli_core.codecs.mbus.vif import (
    DATES,
    FIRST_EXTENSION,
    NUMBERS,
    PRIMARY,
    RECORD_ERRORS,
    SECOND_EXTENSION,
    Measurand,
    Modifier,
    Vif,
)
from linli_core.errors import DeviceError, ProtocolError

METER = Identity("12345678", "LNL", 1, 0x07)
SCALED = sorted(
    {
        vif
        for table in (PRIMARY, FIRST_EXTENSION, SECOND_EXTENSION)
        for vif in table.values()
        if vif.multiplier == 1 and vif.measurand not in NUMBERS | DATES and vif.measurand is not Measurand.ANY
    },
    key=str,
)


def one(data: str | bytes) -> Record:
    (record,), more = parse_records(bytes.fromhex(data) if isinstance(data, str) else data)
    assert not more
    return record


@given(
    st.sampled_from(SCALED),
    st.sampled_from([*values.INTEGER_SIZE, *values.BCD_SIZE]),
    st.integers(-9, 99),
    st.sampled_from(Function),
    st.integers(0, (1 << 41) - 1),
    st.integers(0, (1 << 20) - 1),
    st.integers(0, (1 << 10) - 1),
)
def test_a_number_comes_back_exactly(
    vif: Vif, coding: int, raw: int, function: Function, storage: int, tariff: int, subunit: int
) -> None:
    dib = encode_dib(coding, function=function, storage=storage, tariff=tariff, subunit=subunit)
    vib = encode_vib(vif.measurand, vif.unit, vif.exponent)
    record = one(dib + vib + encode_number(coding, raw))
    header = record.header
    assert (header.function, header.storage, header.tariff, header.subunit) == (function, storage, tariff, subunit)
    assert (header.dib, header.vib, header.measurand, header.unit) == (dib, vib, vif.measurand, vif.unit)
    assert record.value == Decimal(raw).scaleb(vif.exponent)


@given(st.integers(0, 9_999_999_999), st.integers(0, 7), st.integers(0, 3))
def test_scales_and_offsets_add_up(raw: int, factor: int, offset: int) -> None:
    vib = encode_vib(Measurand.VOLUME, "m3", -3, bytes((0x70 | factor, 0x78 | offset)))
    record = one(encode_dib(0xE) + vib + encode_number(0xE, raw))
    assert record.value == Decimal(raw).scaleb(factor - 9) + Decimal(1).scaleb(offset - 3)
    thousandfold = one(encode_dib(0xE) + encode_vib(Measurand.VOLUME, "m3", -3, b"\x7d") + encode_number(0xE, raw))
    assert thousandfold.value == Decimal(raw)


@given(st.dates().filter(lambda day: 1981 <= day.year <= 2080))
def test_dates_come_back(day: object) -> None:
    year, month, number = map(int, str(day).split("-"))
    coding, data = encode_time(MeterTime((year, month, number)))
    assert str(one(encode_dib(coding, storage=1) + encode_vib(Measurand.DATE) + data).value) == str(day)


@given(st.text(st.characters(max_codepoint=255), max_size=100), st.text(st.characters(max_codepoint=255), max_size=20))
def test_texts_and_plain_text_units_come_back(text: str, unit: str) -> None:
    record = one(encode_dib(values.VARIABLE) + encode_text_unit(unit) + encode_text(text))
    assert (record.value, record.header.unit, record.header.measurand) == (text, unit, Measurand.TEXT_UNIT)
    scaled = one(encode_dib(0x2) + encode_text_unit(unit, b"\x74") + b"\x22\x15")
    assert (scaled.value, scaled.header.unit) == (Decimal("54.10"), unit)


@given(st.binary(max_size=252))
def test_any_bytes_give_records_or_a_named_error(data: bytes) -> None:
    try:
        records, _ = parse_records(data)
    except ProtocolError as exc:
        kind = exc.kind
        records = []
    else:
        kind = ""
    assert kind in ("", "truncated", "malformed", "unsupported", "too_many_dife", "too_many_vife")
    assert sum(len(record.header.dib + record.header.vib + record.data) for record in records) <= len(data) + len(
        records
    )


@pytest.mark.parametrize(
    ("data", "measurand", "unit", "value"),
    [
        ("0C13 27048502", Measurand.VOLUME, "m3", Decimal("2850.427")),
        ("0222 8A00", Measurand.ON_TIME, "s", Decimal(496800)),
        ("02FD74 0A00", Measurand.BATTERY_REMAINING, "s", Decimal(864000)),
        ("04FB08 C3040000", Measurand.ENERGY, "J", Decimal(121_900_000_000)),
        ("01FB1A C8", Measurand.HUMIDITY, "%RH", Decimal("-5.6")),
        ("02FDC8FC01 0909", Measurand.VOLTAGE, "V", Decimal("231.3")),
        ("05FD49 9A996743", Measurand.VOLTAGE, "V", Decimal("231.6")),
        ("02FD17 FFFF", Measurand.ERROR_FLAGS, "1", Decimal(65535)),
        ("0F", Measurand.MANUFACTURER_DATA, "1", b""),
        ("0F0102", Measurand.MANUFACTURER_DATA, "1", b"\x01\x02"),
        ("2F2F 0C13 27048502 2F", Measurand.VOLUME, "m3", Decimal("2850.427")),
        ("0DFD0B E3 010203", Measurand.PARAMETER_SET, "1", b"\x03\x02\x01"),
        ("0D13 C4 27048502", Measurand.VOLUME, "m3", Decimal("2850.427")),
        ("0D13 D4 27048502", Measurand.VOLUME, "m3", Decimal("-2850.427")),
        ("01FD7C 01", Measurand.UNKNOWN, "1", Decimal(1)),
        ("01FDFD85 01 01", Measurand.UNKNOWN, "1", Decimal(1)),
        ("017D 01", Measurand.UNKNOWN, "1", Decimal(1)),
        ("016F 01", Measurand.UNKNOWN, "1", Decimal(1)),
        ("00 13", Measurand.VOLUME, "m3", None),
        ("08 13", Measurand.VOLUME, "m3", None),
        ("0C13 FFFFFFFF", Measurand.VOLUME, "m3", None),
        ("0413 00000080", Measurand.VOLUME, "m3", None),
        ("052B 0000C07F", Measurand.POWER, "W", None),
    ],
)
def test_records(data: str, measurand: Measurand, unit: str, value: object) -> None:
    record = one(data.replace(" ", ""))
    assert (record.header.measurand, record.header.unit, record.value) == (measurand, unit, value)


@pytest.mark.parametrize("code", sorted(RECORD_ERRORS))
def test_a_record_in_error_has_no_value_and_says_why(code: int) -> None:
    record = one(bytes((0x0C, 0x93, code)) + bytes.fromhex("27048502"))
    assert record.value is None
    assert record.header.error == RECORD_ERRORS[code]
    assert one(bytes((0x0D, 0x93, code)) + b"\x01A").value is None


@pytest.mark.parametrize(
    ("vib", "modifiers", "phase"),
    [
        ("933B", (Modifier.FORWARD,), ""),
        ("933C", (Modifier.BACKWARD,), ""),
        ("933A", (Modifier.UNCORRECTED,), ""),
        ("933E", (Modifier.BASE_CONDITIONS,), ""),
        ("93FC02", (), "l2"),
        ("93FC82FC03", (Modifier.UNKNOWN,), "l2"),
        ("93FC10", (Modifier.ABSOLUTE,), ""),
        ("9328", (Modifier.RATE,), ""),
        ("93FF3C", (Modifier.MANUFACTURER,), ""),
        ("FFE113", (Modifier.MANUFACTURER,), ""),
        ("9319", (Modifier.UNKNOWN,), ""),
        ("9300", (), ""),
        ("9348", (Modifier.LIMIT,), ""),
        ("EC7E", (Modifier.FUTURE,), ""),
        ("931F", (Modifier.COMPACT_PROFILE,), ""),
    ],
)
def test_what_further_vife_say(vib: str, modifiers: tuple[Modifier, ...], phase: str) -> None:
    header = one("01" + vib + "00").header
    assert (header.modifiers, header.phase) == (modifiers, phase)


@pytest.mark.parametrize("vife", ["39", "6A", "4B"])
def test_a_date_of_something_is_a_date(vife: str) -> None:
    record = one(f"0493{vife} 2B0F791A".replace(" ", ""))
    assert record.value == MeterTime((2011, 10, 25), (15, 43, 0), seconds=False)


@pytest.mark.parametrize(
    ("data", "text", "kind"),
    [
        ("0C", "the data end within a record's header (byte 0)", "truncated"),
        ("8C", "the data end within a record's header (byte 0)", "truncated"),
        ("0CFD", "the data end within a record's header (byte 0)", "truncated"),
        ("0C13 0000", "a record wants 2 bytes more than there are (byte 2)", "truncated"),
        ("0D7C 05 41", "the data end within a record's header (byte 0)", "truncated"),
        ("0D13", "the data end within a record's header (byte 0)", "truncated"),
        ("0D13 CB00", "a variable length of CB is reserved (byte 2)", "malformed"),
        ("3F", "DIF 3F has no place in an answer (byte 0)", "unsupported"),
        ("0C13 00000000 7F", "DIF 7F has no place in an answer (byte 6)", "unsupported"),
        ("8C" + "80" * 10 + "00 13 00000000", "11 DIFE, 10 are allowed", "too_many_dife"),
        ("0C93" + "80" * 10 + "00 00000000", "11 VIFE, 10 are allowed", "too_many_vife"),
    ],
)
def test_each_error_says_what_was_found_and_where(data: str, text: str, kind: str) -> None:
    with pytest.raises(ProtocolError) as caught:
        parse_records(bytes.fromhex(data.replace(" ", "")))
    assert str(caught.value) == text
    assert caught.value.kind == kind


def test_ten_dife_and_ten_vife_are_allowed() -> None:
    record = one("8C" + "80" * 9 + "00" + "93" + "80" * 9 + "00" + "27048502")
    assert record.value == Decimal("2850.427")


def test_a_telegram_comes_back() -> None:
    volume = encode_dib(0xC) + encode_vib(Measurand.VOLUME, "m3", -3) + encode_number(0xC, 2850427)
    frame = encode_answer(METER, [volume], address=7, access_number=300, status=4, manufacturer_data=b"\x01")
    telegram = decode_telegram(frame)
    assert (telegram.identity, telegram.address, telegram.access_number, telegram.status) == (METER, 7, 44, 4)
    assert [record.value for record in telegram.records] == [Decimal("2850.427"), b"\x01"]
    assert not telegram.more_follow
    assert decode_telegram(encode_answer(METER, [volume], address=7, more_follow=True)).more_follow


@pytest.mark.parametrize(
    ("control", "ci", "data", "text", "kind"),
    [
        (0x08, 0x72, "00", "the header ends after 1 of 12 bytes", "truncated"),
        (0x08, 0x7A, "00", "the header ends after 1 of 4 bytes", "truncated"),
        (0x08, 0x73, "00", "a fixed structure has 16 bytes, not 1", "truncated"),
        (0x08, 0x71, "0000", "an alarm is one byte, not 2", "malformed"),
        (0x08, 0x76, "", "CI field 76 is not supported", "unsupported"),
        (0x53, 0x51, "", "C field 53 with CI 51 is a master's request, not an answer", "unsupported"),
        (0x00, 0x72, "", "C field 00 with CI 72 is a master's request, not an answer", "unsupported"),
    ],
)
def test_telegrams_that_are_refused(control: int, ci: int, data: str, text: str, kind: str) -> None:
    with pytest.raises(ProtocolError) as caught:
        decode_telegram(LongFrame(control, 1, ci, bytes.fromhex(data)))
    assert (str(caught.value), caught.value.kind) == (text, kind)


def test_encrypted_records_are_refused_and_a_mere_signature_is_not() -> None:
    plain = bytes.fromhex("0C1327048502") * 3
    for ci, header in ((0x7A, "2A00"), (0x72, METER.encode().hex() + "2A00")):
        head = bytes.fromhex(header)
        with pytest.raises(ProtocolError, match=r"16 bytes are encrypted \(mode 5\)") as caught:
            decode_telegram(LongFrame(0x08, 1, ci, head + bytes.fromhex("1005") + plain))
        assert caught.value.kind == "encrypted"
        for signature, data in (("2005", plain), ("0005", plain), ("B627", plain), ("1005", b"\x2f\x2f" + plain)):
            telegram = decode_telegram(LongFrame(0x08, 1, ci, head + bytes.fromhex(signature) + data))
            assert len(telegram.records) == 3


def test_headers_without_an_identity() -> None:
    short = decode_telegram(LongFrame(0x08, 1, 0x7A, bytes.fromhex("2A100000") + bytes.fromhex("0C1327048502")))
    assert (short.identity, short.access_number, short.status) == (None, 0x2A, 0x10)
    assert short.records[0].value == Decimal("2850.427")
    none = decode_telegram(LongFrame(0x28, 1, 0x78, bytes.fromhex("0C1327048502")))
    assert (none.identity, none.access_number, none.status, none.control) == (None, None, None, 0x28)
    assert decode_telegram(LongFrame(0x08, 1, 0x71, b"\x07")).alarm == 7


@pytest.mark.parametrize(("data", "code"), [(b"", 0), (b"\x08", 8), (b"\x63", 0x63)])
def test_a_meter_that_reports_an_error(data: bytes, code: int) -> None:
    with pytest.raises(DeviceError) as caught:
        decode_telegram(LongFrame(0x08, 1, 0x70, data))
    assert caught.value.code == code
    assert caught.value.kind == "device_error"


def fixed_structure(status: int, first: int, second: int, one_: bytes, other: bytes) -> LongFrame:
    head = bytes.fromhex("78563412") + bytes((10, status, first, second))
    return LongFrame(0x08, 5, 0x73, head + one_ + other)


def test_the_fixed_structure() -> None:
    telegram = decode_telegram(fixed_structure(0x00, 0xE9, 0x7E, bytes.fromhex("01000000"), bytes.fromhex("35010000")))
    assert telegram.identity == Identity("12345678", "", 0, 0x07)
    assert [(record.value, record.header.unit, record.header.storage) for record in telegram.records] == [
        (Decimal("0.001"), "m3", 0),
        (Decimal("0.135"), "m3", 1),
    ]
    binary = decode_telegram(fixed_structure(0x03, 0x05, 0x40, b"\xff\xff\xff\xff", bytes(4)))
    assert binary.records[0].value == Decimal(4_294_967_295_000)
    assert binary.records[0].header.storage == 1
    assert binary.records[1].header.measurand is Measurand.UNKNOWN
    missing = decode_telegram(fixed_structure(0x00, 0xE9, 0x7E, bytes.fromhex("0000000A"), bytes(4)))
    assert missing.records[0].value is None
    assert missing.records[1].value == 0


def test_every_unit_code_of_the_fixed_structure() -> None:
    assert fixed.UNITS[0x02] == Vif(Measurand.ENERGY, "Wh", 0)
    assert fixed.UNITS[0x0A] == Vif(Measurand.ENERGY, "Wh", 8)
    assert fixed.UNITS[0x2C] == Vif(Measurand.VOLUME, "m3", 0)
    assert fixed.UNITS[0x32] == Vif(Measurand.VOLUME_FLOW, "m3/h", -3)
    assert sorted(set(range(64)) - set(fixed.UNITS)) == [0x00, 0x01, 0x3A, 0x3B, 0x3C, 0x3D, 0x3E]


def test_a_fixed_structure_with_the_high_byte_first_is_refused() -> None:
    with pytest.raises(ProtocolError, match="high byte first"):
        decode_telegram(fixed_structure(0x00, 0xA9, 0xA9, bytes(4), bytes(4)))
    unknown = decode_telegram(fixed_structure(0x00, 0x69, 0xA9, bytes(4), bytes(4)))
    assert unknown.identity is not None
    assert unknown.identity.medium == 0x0F


def test_what_cannot_be_encoded() -> None:
    with pytest.raises(ValueError, match="no VIF means"):
        encode_vib(Measurand.VOLUME, "m3", 9)
    with pytest.raises(ValueError, match="ten DIFE"):
        encode_dib(0xC, storage=1 << 41)
    with pytest.raises(ValueError, match="holds no number"):
        encode_number(values.VARIABLE, 1)


@pytest.mark.parametrize("vib", ["FD13", "FB13", "FD1E", "FD1F", "7C011F", "FC011F3B", "FFFF13", "84FC13", "84FF13"])
def test_a_code_that_looks_like_a_compact_profile_is_none(vib: str) -> None:
    # Three bytes that would be a whole profile: spacing control, spacing, one element.
    record = bytes.fromhex(f"0D{vib}03010005")
    frame = LongFrame(0x08, 1, 0x78, record)
    (found,) = decode_telegram(frame).records
    assert found.header.vib.hex().upper() == vib
