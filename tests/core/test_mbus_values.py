import struct
from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linli_core.codecs.mbus import MeterTime, values
from linli_core.codecs.mbus.encode import encode_number, encode_text, encode_time
from linli_core.codecs.mbus.header import Identity, decode_identity, encode_manufacturer, medium_name
from linli_core.instant import from_rfc3339

DATES = st.dates(date(1981, 1, 1), date(2080, 12, 31)).map(lambda day: (day.year, day.month, day.day))
CLOCKS = st.tuples(st.integers(0, 23), st.integers(0, 59), st.integers(0, 59))


@given(st.sampled_from(sorted(values.INTEGER_SIZE)), st.data())
def test_integers(coding: int, data: st.DataObject) -> None:
    size = values.INTEGER_SIZE[coding]
    limit = 1 << (8 * size - 1)
    number = data.draw(st.integers(-limit + 1, limit - 1))
    assert values.decode_integer(encode_number(coding, number)) == number
    lowest = values.decode_integer(encode_number(coding, -limit))
    assert lowest == (-128 if size == 1 else None)
    with pytest.raises(ValueError, match="does not fit"):
        encode_number(coding, limit)


@given(st.sampled_from(sorted(values.BCD_SIZE)), st.data())
def test_bcd(coding: int, data: st.DataObject) -> None:
    digits = 2 * values.BCD_SIZE[coding]
    number = data.draw(st.integers(-(10 ** (digits - 1)) + 1, 10**digits - 1))
    assert values.decode_bcd(encode_number(coding, number)) == number
    with pytest.raises(ValueError, match="does not fit"):
        encode_number(coding, 10**digits)
    with pytest.raises(ValueError, match="does not fit"):
        encode_number(coding, -(10 ** (digits - 1)))


@pytest.mark.parametrize("data", ["FFFFFFFF", "0000000A", "000000A0", "B0000000", "F000000E"])
def test_bcd_with_a_digit_that_is_none_has_no_value(data: str) -> None:
    assert values.decode_bcd(bytes.fromhex(data)[::-1]) is None


def test_bcd_with_a_minus_sign() -> None:
    assert values.decode_bcd(bytes.fromhex("F0001234")[::-1]) == -1234


@given(st.floats(width=32, allow_nan=False, allow_infinity=False))
def test_a_real_is_the_shortest_decimal_that_means_it(number: float) -> None:
    data = struct.pack("<f", number)
    value = values.decode_real(data)
    assert value is not None
    assert struct.pack("<f", float(value)) == struct.pack("<f", number or 0.0)
    assert not value.is_signed() or value  # no minus before nothing
    assert len(value.as_tuple().digits) <= 9


@pytest.mark.parametrize("number", [float("nan"), float("inf"), float("-inf")])
def test_a_real_that_is_no_number_has_no_value(number: float) -> None:
    assert values.decode_real(struct.pack("<f", number)) is None


def test_a_real_reads_as_people_wrote_it() -> None:
    assert values.decode_real(encode_number(values.REAL, Decimal("231.6"))) == Decimal("231.6")


@given(DATES, CLOCKS, st.booleans())
def test_dates_and_times(day: tuple[int, int, int], clock: tuple[int, int, int], summer: bool) -> None:
    minute = (clock[0], clock[1], 0)
    for time, coding in (
        (MeterTime(day), 2),
        (MeterTime(time=clock), 3),
        (MeterTime(day, minute, summer, seconds=False), 4),
        (MeterTime(day, clock, summer), 6),
    ):
        found, data = encode_time(time)
        assert found == coding
        assert values.decode_time(data) == time


@pytest.mark.parametrize(
    "data",
    [
        "0000",  # day 0
        "FFFF",
        "DE12",  # 30 February
        "8000 0101",  # type F, invalid
        "3C00 2101",  # minute 60
        "0018 2101",  # hour 24
        "0080 002101 00",  # type I, invalid
        "3B3B18",  # type J, hour 24
        "01",
        "0102030405",
    ],
)
def test_what_is_no_date_has_no_value(data: str) -> None:
    assert values.decode_time(bytes.fromhex(data)) is None


def test_years_with_and_without_a_century() -> None:
    assert values.decode_date(0x21, 0x01) == (2001, 1, 1)
    assert values.decode_date(0x01, 0xA1) == (2080, 1, 1)
    assert values.decode_date(0x21, 0xA1) == (1981, 1, 1)
    # A recorded meter sends 2 in 2026: no meter that counts today is in another century.
    assert values.decode_date(0x41, 0x31, century=2) == (2026, 1, 1)
    assert values.decode_date(0x41, 0x31, century=1) == (2026, 1, 1)


def test_a_meters_time_becomes_an_instant() -> None:
    time = MeterTime((2026, 11, 23), (12, 30, 0), seconds=False)
    assert str(time) == "2026-11-23T12:30:00"
    assert time.instant() == from_rfc3339("2026-11-23T12:30:00Z")
    assert time.instant(8 * 60) == from_rfc3339("2026-11-23T12:30:00+08:00")
    summer = MeterTime((2026, 7, 1), (12, 30, 0), summer=True)
    assert summer.instant(60) == from_rfc3339("2026-07-01T12:30:00+02:00")
    assert MeterTime((2026, 7, 1)).instant() == from_rfc3339("2026-07-01T00:00:00Z")
    assert str(MeterTime((2026, 7, 1))) == "2026-07-01"
    assert MeterTime(time=(12, 30, 1)).instant() is None
    assert str(MeterTime(time=(12, 30, 1))) == "12:30:01"


@given(st.text(st.characters(max_codepoint=255), max_size=191))
def test_texts(text: str) -> None:
    data = encode_text(text)
    assert values.variable_size(data[0]) == len(data) - 1
    assert values.decode_variable(data[0], data[1:]) == text


def test_a_text_that_is_too_long() -> None:
    with pytest.raises(ValueError, match="192 characters"):
        encode_text("x" * 192)


@pytest.mark.parametrize(
    ("length", "data", "value"),
    [
        (0xC2, "3412", 1234),
        (0xD2, "3412", -1234),
        (0xC1, "A0", None),
        (0xC0, "", None),
        (0xE3, "010203", b"\x03\x02\x01"),
        (0xF0, "00" * 15 + "01", b"\x01" + bytes(15)),
        (0x02, "4241", "AB"),
    ],
)
def test_values_of_variable_length(length: int, data: str, value: object) -> None:
    assert values.variable_size(length) == len(data) // 2
    assert values.decode_variable(length, bytes.fromhex(data)) == value


def test_reserved_lengths() -> None:
    reserved = [length for length in range(256) if values.variable_size(length) is None]
    assert reserved == [*range(0xCA, 0xD0), *range(0xDA, 0xE0), *range(0xF7, 0x100)]
    assert values.variable_size(0xF5) == 48
    assert values.variable_size(0xF6) == 64


@given(
    st.from_regex(r"[0-9A-F]{8}", fullmatch=True),
    st.text(st.characters(min_codepoint=64, max_codepoint=95), min_size=3, max_size=3),
    st.integers(0, 255),
    st.integers(0, 255),
)
def test_identities(number: str, manufacturer: str, version: int, medium: int) -> None:
    identity = Identity(number, manufacturer, version, medium)
    assert decode_identity(identity.encode()) == identity


def test_a_manufacturer_is_three_letters() -> None:
    assert encode_manufacturer("KAM") == bytes.fromhex("2D2C")
    for wrong in ("KA", "KAMS", "kam"):
        with pytest.raises(ValueError, match="three capital letters"):
            encode_manufacturer(wrong)


def test_an_identity_reads_well() -> None:
    assert str(Identity("11490378", "ACW", 14, 0x16)) == "11490378 ACW version 14 (cold water)"
    assert str(Identity("12345678", "", 0, 0x07)) == "12345678 version 0 (water)"
    assert medium_name(0x2A) == "reserved (2A)"
