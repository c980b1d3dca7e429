"""Bytes to values: against an encoder that was written apart (the simulator's), for every type and order."""

import math
import struct
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from linli_core.model import Quality, Reading, Reason
from linli_edge.drivers.modbus.decode import BlockDecoder, decimals
from linli_edge.drivers.modbus.registers import DataType, MappedPoint, RegisterTable, WordOrder
from linli_sim.modbus_values import words_of

NOW = 1_790_000_000_000_000


def entry(kind: DataType, address: int = 0, **more: Any) -> MappedPoint:
    table = more.pop("table", RegisterTable.HOLDING)
    count = more.pop("count", kind.registers or 1)
    return MappedPoint("test", more.pop("quantity", "voltage"), table, address, count, kind, **more)


def decode(*entries: MappedPoint, words: list[int]) -> list[Reading]:
    first = min(item.address for item in entries)
    decoder = BlockDecoder(first, [(item, item.of("meter")) for item in entries])
    return decoder.decode(b"".join(word.to_bytes(2, "big") for word in words), NOW)


def value_of(item: MappedPoint, words: list[int]) -> Any:
    (reading,) = decode(item, words=words)
    return reading.value if reading.quality is Quality.GOOD else reading.reason


INTEGERS = [kind for kind in DataType if kind.kind == "int"]
ORDERS = st.sampled_from(WordOrder)


@settings(deadline=None)
@given(st.sampled_from(INTEGERS), ORDERS, st.data())
def test_every_integer_comes_back_in_every_order(kind: DataType, order: WordOrder, data: st.DataObject) -> None:
    span = 16 * kind.registers
    lowest, highest = (-(1 << span - 1), (1 << span - 1) - 1) if kind.signed else (0, (1 << span) - 1)
    number = data.draw(st.integers(lowest, highest))
    item = entry(kind, order=order)
    assert value_of(item, words_of(item, float(number)) if span < 64 else _exact_words(item, number)) == number


def _exact_words(item: MappedPoint, number: int) -> list[int]:
    """Registers of a 64-bit number, which no float holds exactly."""
    data = number.to_bytes(8, "big", signed=item.kind.signed)
    words = [data[place : place + 2] for place in range(0, 8, 2)]
    if item.order in {WordOrder.CDAB, WordOrder.DCBA}:
        words.reverse()
    if item.order in {WordOrder.BADC, WordOrder.DCBA}:
        words = [word[::-1] for word in words]
    return [int.from_bytes(word, "big") for word in words]


@settings(deadline=None)
@given(st.floats(width=32, allow_nan=False, allow_infinity=False), ORDERS)
def test_every_float32_comes_back_as_the_same_float32(number: float, order: WordOrder) -> None:
    item = entry(DataType.FLOAT32, order=order)
    value = value_of(item, words_of(item, number))
    assert struct.pack(">f", value) == struct.pack(">f", number + 0.0)


@settings(deadline=None)
@example(149, 5)
@given(st.integers(-9_999_999, 9_999_999), st.integers(0, 9))
def test_a_decimal_of_seven_digits_survives_float32(digits: int, places: int) -> None:
    number = digits / 10**places
    item = entry(DataType.FLOAT32)
    assert value_of(item, words_of(item, number)) == number


@settings(deadline=None)
@given(st.floats(allow_nan=False, allow_infinity=False), ORDERS)
def test_every_float64_comes_back(number: float, order: WordOrder) -> None:
    item = entry(DataType.FLOAT64, order=order)
    assert value_of(item, words_of(item, number)) == number


@pytest.mark.parametrize(
    ("order", "words"),
    [
        (WordOrder.ABCD, [0x4366, 0x8000]),
        (WordOrder.CDAB, [0x8000, 0x4366]),
        (WordOrder.BADC, [0x6643, 0x0080]),
        (WordOrder.DCBA, [0x0080, 0x6643]),
    ],
)
def test_the_four_orders_by_hand(order: WordOrder, words: list[int]) -> None:
    # 0x43668000 is the float32 of 230.5.
    assert value_of(entry(DataType.FLOAT32, order=order), words) == 230.5


@settings(deadline=None)
@given(st.sampled_from([DataType.BCD16, DataType.BCD32, DataType.BCD64]), ORDERS, st.data())
def test_every_bcd_number_comes_back(kind: DataType, order: WordOrder, data: st.DataObject) -> None:
    number = data.draw(st.integers(0, 10 ** (4 * kind.registers) - 1))
    item = entry(kind, order=order)
    words = [int(text, 16) for text in _cut(f"{number:0{4 * kind.registers}d}")]
    if order in {WordOrder.CDAB, WordOrder.DCBA}:
        words.reverse()
    if order in {WordOrder.BADC, WordOrder.DCBA}:
        words = [int.from_bytes(word.to_bytes(2, "big"), "little") for word in words]
    assert value_of(item, words) == number


def _cut(digits: str) -> list[str]:
    return [digits[place : place + 4] for place in range(0, len(digits), 4)]


def test_a_nibble_that_is_no_digit_is_no_number() -> None:
    assert value_of(entry(DataType.BCD16), [0x12A4]) is Reason.MALFORMED_ANSWER


@settings(deadline=None)
@given(st.integers(0, (1 << 64) - 1), st.integers(1, 6))
def test_a_scaled_counter_keeps_its_digits(raw: int, places: int) -> None:
    item = entry(DataType.UINT64, factor=Fraction(1, 10**places))
    value = value_of(item, _exact_words(item, raw))
    assert Decimal(str(value)) == Decimal(raw).scaleb(-places)


@pytest.mark.parametrize(
    ("raw", "factor", "offset", "expected"),
    [
        (2314, Fraction(1, 10), Fraction(0), 231.4),
        (12345678, Fraction(10), Fraction(0), 123456780),
        (250, Fraction(1, 10), Fraction(-40), -15.0),
        (3, Fraction(25, 100), Fraction(0), 0.75),
        (68, Fraction(5, 9), Fraction(-160, 9), 20.0),
        (7, Fraction(1), Fraction(0), 7),
    ],
)
def test_scale_and_offset(raw: int, factor: Fraction, offset: Fraction, expected: float) -> None:
    value = value_of(entry(DataType.UINT32, factor=factor, offset=offset), [raw >> 16, raw & 0xFFFF])
    assert value == expected
    assert type(value) is type(expected)


def test_a_factor_is_applied_to_the_decimal_the_meter_meant() -> None:
    item = entry(DataType.FLOAT32, factor=Fraction(1000))
    assert value_of(item, words_of(entry(DataType.FLOAT32), 12345.678)) == 12345678.0
    assert value_of(item, words_of(entry(DataType.FLOAT32), 0.1)) == 100.0


@settings(deadline=None)
@given(st.integers(-(10**12), 10**12), st.integers(-8, 8))
def test_decimals_says_where_a_number_ends(digits: int, places: int) -> None:
    number = Fraction(digits) / Fraction(10) ** places
    found = decimals(number)
    assert found is not None
    if digits:
        assert (number * Fraction(10) ** found).denominator == 1
        assert (number * Fraction(10) ** (found - 1)).denominator != 1
    assert decimals(Fraction(1, 3)) is None


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("kind", [DataType.FLOAT32, DataType.FLOAT64])
def test_nan_and_infinity_are_no_numbers(number: float, kind: DataType) -> None:
    data = struct.pack(">" + kind.code, number)
    words = [int.from_bytes(data[place : place + 2], "big") for place in range(0, len(data), 2)]
    assert value_of(entry(kind), words) is Reason.NOT_A_NUMBER
    assert value_of(entry(kind, nan_is_absent=True), words) is Reason.NOT_IMPLEMENTED


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        (DataType.INT16, 0x8000),
        (DataType.UINT16, 0xFFFF),
        (DataType.INT32, 0x8000_0000),
        (DataType.UINT32, 0xFFFF_FFFF),
        (DataType.INT64, 0x8000_0000_0000_0000),
    ],
)
def test_a_code_for_not_implemented_is_missing_and_not_a_number(kind: DataType, code: int) -> None:
    words = [code >> shift & 0xFFFF for shift in range(16 * kind.registers - 16, -1, -16)]
    (reading,) = decode(entry(kind, absent=frozenset({code})), words=words)
    assert (reading.value, reading.quality, reading.reason) == (None, Quality.BAD, Reason.NOT_IMPLEMENTED)
    assert value_of(entry(kind, absent=frozenset({code})), [0] * kind.registers) == 0


def test_bit_fields_of_one_register() -> None:
    fields = [
        entry(DataType.UINT16, bits=(0, 0), quantity="door_open"),
        entry(DataType.UINT16, bits=(1, 1), quantity="defrost_active"),
        entry(DataType.UINT16, bits=(4, 7), quantity="voltage"),
        entry(DataType.UINT16, bits=(4, 7), quantity="current", states={9: "nine", 1: "one"}),
        entry(DataType.UINT16, quantity="frequency"),
    ]
    assert [reading.value for reading in decode(*fields, words=[0x0091])] == [True, False, 9, "nine", 0x91]


def test_a_state_that_nobody_declared_is_bad() -> None:
    item = entry(DataType.UINT16, states={0: False, 1: True})
    assert value_of(item, [1]) is True
    assert value_of(item, [7]) is Reason.OUT_OF_RANGE


@pytest.mark.parametrize(
    ("words", "order", "expected"),
    [
        ([0x5344, 0x4D36, 0x3330, 0x0000], WordOrder.ABCD, "SDM630"),
        ([0x4453, 0x364D, 0x3033, 0x2020], WordOrder.BADC, "SDM630"),
        ([0xE982, 0xBBE9, 0x878C, 0x2020], WordOrder.ABCD, "邻里"),
        ([0x4BE4, 0x0000, 0x0000, 0x0000], WordOrder.ABCD, "Kä"),
        ([0, 0, 0, 0], WordOrder.ABCD, Reason.NOT_IMPLEMENTED),
        ([0xFFFF] * 4, WordOrder.ABCD, Reason.NOT_IMPLEMENTED),
    ],
)
def test_texts(words: list[int], order: WordOrder, expected: object) -> None:
    assert value_of(entry(DataType.STRING, count=4, order=order), words) == expected


def test_coils_are_packed_from_the_lowest_bit_up() -> None:
    # Modbus Application Protocol V1.1b3, §6.1: the example's CD 6B 05 are outputs 20 to 38.
    points = [entry(DataType.BIT, 19 + place, table=RegisterTable.COIL, channel=place) for place in range(19)]
    decoder = BlockDecoder(19, [(item, item.of("meter")) for item in points])
    values = [reading.value for reading in decoder.decode(bytes.fromhex("CD6B05"), NOW)]
    assert values == [int(bit) == 1 for bit in "1011001111010110101"]


def test_values_of_several_orders_in_one_block() -> None:
    items = [entry(DataType.FLOAT32, 2 * place, order=order, channel=place) for place, order in enumerate(WordOrder)]
    words = [word for item in items for word in words_of(item, 50.25)]
    readings = sorted(decode(*items, words=words), key=lambda reading: reading.point.channel or 0)
    assert [reading.value for reading in readings] == [50.25] * 4
