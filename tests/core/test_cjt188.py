"""CJ/T 188: frames, and answers whose values are worked by hand from the formats."""

import contextlib
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linli_core.codec import NEED_DATA
from linli_core.codecs.cjt188 import (
    Dialect,
    Frame,
    FrameReader,
    Interpreter,
    Order,
    control,
    decode_answer,
    decode_frame,
    decode_records,
    encode,
    encode_frame,
    explain,
    request,
)
from linli_core.codecs.cjt188.answer import Answer
from linli_core.codecs.cjt188.control import IDENTIFIERS, UNITS, decode_identifier
from linli_core.codecs.cjt188.frame import LONGEST, decode_address, encode_address
from linli_core.codecs.explain import covers
from linli_core.codecs.mbus.values import MeterTime
from linli_core.errors import DeviceError, ProtocolError
from linli_core.instant import from_rfc3339, to_rfc3339
from linli_core.model import quality_label
from linli_core.units import is_unit

NOW = from_rfc3339("2026-11-25T08:00:00Z")
METER = "78330011223344"
ADDRESSES = st.binary(min_size=7, max_size=7).map(decode_address)
FRAMES = st.builds(Frame, st.integers(0, 255), ADDRESSES, st.integers(0, 255), st.binary(max_size=LONGEST))
CLOCK = "00 00 16 25 11 26 20"
"""2026-11-25T16:00:00, which is NOW in Beijing."""


def told(meter_type: int, identifier: int, data: str, dialect: Dialect | None = None) -> dict[str, object]:
    answer = Answer(meter_type, METER, 0x81, identifier, Order.HIGH_FIRST, 0, bytes.fromhex(data))
    dialect = dialect or Dialect()
    found: dict[str, object] = {}
    for reading in Interpreter("m", dialect=dialect).readings(answer, decode_records(answer, dialect), NOW):
        label = quality_label(reading.quality, reading.reason)
        value = format(reading.value, "f") if isinstance(reading.value, Decimal) else reading.value
        found[reading.point.local_name] = value if label == "good" else label if value is None else f"{value} {label}"
    return found


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


@given(st.lists(FRAMES, max_size=4), st.lists(st.integers(1, 60), min_size=1), st.integers(0, 11))
def test_a_stream_comes_back_in_any_chunks(frames: list[Frame], sizes: list[int], preamble: int) -> None:
    data = b"".join(encode_frame(frame, preamble=preamble) for frame in frames)
    assert [decode_frame(encode_frame(frame, preamble=preamble)) for frame in frames] == frames
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


@given(FRAMES, st.data())
def test_cut_at_every_length_and_with_a_byte_changed_no_frame_comes_out(frame: Frame, data: st.DataObject) -> None:
    whole = encode_frame(frame)
    place = data.draw(st.integers(0, len(whole) - 1))
    change = data.draw(st.integers(1, 255))
    for damaged in (whole[:place], whole[:place] + bytes((whole[place] ^ change,)) + whole[place + 1 :]):
        with pytest.raises(ProtocolError):
            decode_frame(damaged)


@given(FRAMES, st.binary(max_size=40))
def test_a_frame_behind_noise_and_a_concentrators_text_is_found(frame: Frame, noise: bytes) -> None:
    # "concentrator 3: h" ends with 68, a false start.
    reader = FrameReader()
    reader.receive(b"concentrator 3: h" + noise + encode_frame(frame))
    reader.end()
    assert frame in read_all(reader)[0]


def test_an_address_with_hexadecimal_digits_is_kept() -> None:
    assert decode_address(bytes.fromhex("FFFFF130156920")) == "20691530F1FFFF"
    assert encode_address("20691530F1FFFF").hex().upper() == "FFFFF130156920"
    with pytest.raises(ValueError, match="an address is fourteen digits, not '12'"):
        encode_address("12")


def test_both_orders_of_every_identifier_are_recognised() -> None:
    for identifier in IDENTIFIERS:
        for order in Order:
            assert decode_identifier(order.pack(identifier)) == (identifier, order)
    assert decode_identifier(b"\x12\x34") == (0x1234, None)


def test_every_unit_is_known() -> None:
    assert all(is_unit(unit.name) for unit in UNITS.values())


@pytest.mark.parametrize(
    ("meter_type", "quantity"),
    [
        (0x10, "water_volume"),
        (0x11, "hot_water_volume"),
        (0x12, "drinking_water_volume"),
        (0x13, "reclaimed_water_volume"),
        (0x14, "water_volume"),
        (0x30, "gas_volume"),
    ],
)
def test_a_volume_is_of_what_the_meter_meters(meter_type: int, quantity: str) -> None:
    found = told(meter_type, 0x901F, f"21436500 2C 11000000 2C {CLOCK} 0000")
    valve = "gas_valve_state" if meter_type == 0x30 else "water_valve_state"
    assert found == {
        quantity: "6543.21",
        f"{quantity}.s1": "0.11",
        "meter_time": "2026-11-25T16:00:00",
        "state_word": "0000",
        valve: "open",
        "battery_low": "ok",
    }


@pytest.mark.parametrize(
    "data", ["21436500 11000000", "21436500 2C 11000000", "21436500 11000000 2C"], ids=["none", "first", "second"]
)
def test_unit_bytes_that_are_left_out_are_noticed_by_the_length(data: str) -> None:
    found = told(0x10, 0x901F, f"{data} {CLOCK} 0000")
    assert (found["water_volume"], found["water_volume.s1"]) == ("6543.21", "0.11")
    assert found["meter_time"] == "2026-11-25T16:00:00"


def test_one_unit_byte_that_may_be_either_is_kept_raw() -> None:
    found = told(0x10, 0x901F, f"21436500 2C110000 2C {CLOCK} 0000")
    assert list(found) == ["cjt188_record"]


def test_a_unit_that_is_another_or_unknown_never_yields_a_value() -> None:
    found = told(0x10, 0x901F, f"21436500 05 11000000 77 {CLOCK} 0000")
    assert (found["water_volume"], found["water_volume.s1"]) == ("bad/configuration", "bad/configuration")
    assert told(0x10, 0x901F, f"21436500 29 11000000 2C {CLOCK} 0000")["water_volume"] == "6.54321"


def test_gas_with_three_decimals_is_what_its_profile_says() -> None:
    found = told(0x30, 0x901F, f"21436500 2C 11000000 2C {CLOCK} 0000", Dialect(volume_decimals=3))
    assert found["gas_volume"] == "654.321"


@pytest.mark.parametrize(
    ("clock", "expected"),
    [
        (CLOCK, "2026-11-25T16:00:00"),
        ("00 00 16 25 11 25 20", "2025-11-25T16:00:00 uncertain/clock_doubt"),
        ("00 00 00 00 00 00 00", "bad/not_implemented"),
        ("FF FF FF FF FF FF FF", "bad/not_implemented"),
        ("00 00 00 00 01 00 20", "bad/not_a_number"),
        ("20 26 11 25 16 00 00", "2026-11-25T16:00:00 uncertain/clock_doubt"),
        ("0A 00 16 25 11 26 20", "bad/not_a_number"),
    ],
)
def test_a_clock_is_flagged_and_the_volume_kept(clock: str, expected: str) -> None:
    found = told(0x10, 0x901F, f"21436500 2C 11000000 2C {clock} 0000")
    assert found["meter_time"] == expected
    assert found["water_volume"] == "6543.21"


def test_a_clock_with_its_year_first_is_sound_where_the_profile_says_so() -> None:
    found = told(0x10, 0x901F, "21436500 2C 11000000 2C 20 26 11 25 16 00 00 0000", Dialect(year_first=True))
    assert found["meter_time"] == "2026-11-25T16:00:00"


def test_the_clock_is_the_device_time_of_what_is_of_now() -> None:
    answer = Answer(
        0x10, METER, 0x81, 0x901F, None, 0, bytes.fromhex(f"21436500 2C 11000000 2C {CLOCK.replace('16', '15')} 0000")
    )
    times = {
        reading.point.local_name: reading.device_time and to_rfc3339(reading.device_time)
        for reading in Interpreter("m").readings(answer, decode_records(answer), NOW)
    }
    assert times["water_volume"] == "2026-11-25T07:00:00Z"
    assert times["water_volume.s1"] is None


@pytest.mark.parametrize(
    ("status", "valve", "battery"),
    [
        ("0000", "open", "ok"),
        ("0100", "closed", "ok"),
        ("0300", "abnormal", "ok"),
        ("0504", "closed", "low"),
        ("0200", "bad/not_a_number", "ok"),
        ("00FF", "open", "ok"),
    ],
)
def test_the_first_status_byte_says_valve_and_battery(status: str, valve: str, battery: str) -> None:
    found = told(0x10, 0x901F, f"21436500 2C 11000000 2C {CLOCK} {status}")
    assert (found["water_valve_state"], found["battery_low"], found["state_word"]) == (valve, battery, status)


def test_a_meter_without_valve_is_not_said_to_have_an_open_one() -> None:
    found = told(0x10, 0x901F, f"21436500 2C 11000000 2C {CLOCK} 0000", Dialect(valve={}, battery=False))
    assert "water_valve_state" not in found
    assert "battery_low" not in found


HEAT = f"11000000 05 22000000 08 34120000 17 12340000 35 00100000 2C 125000 505000 281000 {CLOCK} 0000"


def test_heat_meters_have_ten_fields() -> None:
    assert told(0x20, 0x901F, HEAT) == {
        "heat_energy.s1": "110.00",
        "heat_energy": "220000.00",
        "heat_power": "12340.00",
        "heat_flow": "0.00009477777777777777777777777778",
        "heat_volume": "10.00",
        "flow_temperature": "50.12",
        "return_temperature": "50.50",
        "operating_time": "3700800",
        "meter_time": "2026-11-25T16:00:00",
        "state_word": "0000",
        "battery_low": "ok",
    }


def test_cold_is_cold_and_who_sends_the_present_energy_first_says_so() -> None:
    assert told(0x21, 0x901F, HEAT)["cooling_energy.s1"] == "110.00"
    assert told(0x21, 0x901F, HEAT)["cooling_power"] == "12340.00"
    assert told(0x20, 0x901F, HEAT, Dialect(energy_first="current"))["heat_energy"] == "110.00"
    assert told(0x22, 0x901F, HEAT)["heat_energy"] == "220000.00 uncertain/configuration"


@pytest.mark.parametrize(
    ("meter_type", "identifier", "data", "expected"),
    [
        (0x10, 0xD120, "21436500 2C", {"water_volume.s101": "6543.21"}),
        (0x10, 0xD12B, "21436500", {"water_volume.s112": "6543.21"}),
        (0x20, 0xD121, "21436500 05", {"heat_energy.s102": "6543210.00"}),
        (0x10, 0xD12C, "21436500", {"cjt188_record": "D12C-21436500"}),
        (0x10, 0x8103, "25", {"settlement_day": "25"}),
        (0x10, 0x8104, "28", {"reading_day": "28"}),
        (
            0x10,
            0x8102,
            "500100 180000 500200 320000 500300",
            {
                "unit_price.c1": "1.50",
                "price_step_volume.c1": "18",
                "unit_price.c2": "2.50",
                "price_step_volume.c2": "32",
                "unit_price.c3": "3.50",
            },
        ),
        (
            0x10,
            0x8105,
            "07 00100000 00200000 00050000 0000",
            {
                "purchase_number": "7",
                "purchase_amount": "10.00",
                "purchase_total": "20.00",
                "purchase_balance": "5.00",
                "state_word": "0000",
                "water_valve_state": "open",
                "battery_low": "ok",
            },
        ),
        (0x10, 0xA017, "0100", {"state_word": "0100", "water_valve_state": "closed", "battery_low": "ok"}),
        (0x40, 0x901F, "0102", {"cjt188_record": "901F-0102"}),
        (0x10, 0x901F, "0102", {"cjt188_record": "901F-0102"}),
    ],
)
def test_the_other_identifiers(meter_type: int, identifier: int, data: str, expected: dict[str, object]) -> None:
    assert told(meter_type, identifier, data) == expected


def test_ff_throughout_is_missing_and_never_zero() -> None:
    found = told(0x10, 0x901F, f"FFFFFFFF 2C FFFFFFFF FF {CLOCK} 0000")
    assert (found["water_volume"], found["water_volume.s1"]) == ("bad/not_implemented", "bad/not_implemented")
    assert told(0x10, 0x901F, f"0A000000 2C FFFFFFFF FF {CLOCK} 0000")["water_volume"] == "bad/not_a_number"


def test_refusals_and_requests_are_named() -> None:
    asked = request.read(0x10, METER, serial=7)
    with pytest.raises(DeviceError) as caught:
        decode_answer(encode.refusal(asked, 0x10, METER, b"\x12\x34"))
    assert str(caught.value) == f"meter {METER} refuses to read data: status 1234"
    assert caught.value.code == 0x1234
    with pytest.raises(ProtocolError, match="a request to read data, not an answer"):
        decode_answer(asked)
    with pytest.raises(ProtocolError, match="2 bytes of data hold no identifier"):
        decode_answer(Frame(0x10, METER, 0x81, b"\x90\x1f"))


def test_a_makers_own_control_code_is_kept_raw() -> None:
    answer = decode_answer(Frame(0x10, METER, 0xAA, bytes.fromhex("A0170001FF")))
    (reading,) = Interpreter("m").readings(answer, decode_records(answer), NOW)
    assert (reading.point.local_name, reading.value) == ("cjt188_record", "CAA-A0170001FF")


def test_requests() -> None:
    asked = encode_frame(request.read(0x10, METER, order=Order.LOW_FIRST), preamble=4)
    assert asked.hex().upper() == "FEFEFEFE68104433221100337801031F90008016"
    assert request.read(0x10, METER, order=Order.LOW_FIRST, serial=3).data == b"\x1f\x90\x03"
    assert request.read_address() == Frame(0xAA, "AA" * 7, 0x03, b"\x81\x0a\x00")
    assert request.work_valve(0x10, METER, 0x99, serial=1) == Frame(0x10, METER, 0x04, b"\xa0\x17\x01\x99")
    with pytest.raises(ValueError, match="a valve is worked at one meter"):
        request.work_valve(0x10, "AA" * 7, 0x99)


def test_what_a_simulated_meter_sends_is_what_is_read() -> None:
    body = encode.amount(Decimal("123.45"), 0x2C) + encode.amount(None, 0x2C)
    body += encode.clock(MeterTime((2026, 11, 25), (16, 0, 0))) + bytes(2)
    frame = encode.answer(request.read(0x10, METER, serial=9), 0x10, METER, control.READING, body)
    answer = decode_answer(frame)
    assert answer.serial == 9
    found = {r.point.local_name: r.value for r in Interpreter("m").readings(answer, decode_records(answer), NOW)}
    assert found["water_volume"] == Decimal("123.45")
    assert found["water_volume.s1"] is None
    assert found["meter_time"] == "2026-11-25T16:00:00"
    assert encode.clock(None) == bytes(7)
    points = Interpreter("m").points(0x10, control.READING, len(body))
    assert [point.local_name for point in points] == list(found)


@given(st.integers(0, 255), st.integers(0, 255), st.binary(max_size=60))
def test_any_frame_is_an_answer_or_a_named_error_and_explained_whole(kind: int, code: int, data: bytes) -> None:
    frame = Frame(kind, METER, code, data)
    telegram = b"\xfe" + encode_frame(frame) + data
    assert covers(explain(telegram), telegram)
    assert covers(explain(data), data)
    with contextlib.suppress(ProtocolError, DeviceError):
        answer = decode_answer(frame)
        records = decode_records(answer)
        assert b"".join(record.data for record in records) == answer.data
        assert len(Interpreter("m").readings(answer, records, NOW)) >= len(records)


@given(st.sampled_from([0x10, 0x20, 0x30]), st.sampled_from(sorted(IDENTIFIERS)), st.binary(max_size=50))
def test_any_data_behind_a_right_checksum_give_readings(kind: int, identifier: int, data: bytes) -> None:
    answer = Answer(kind, METER, 0x81, identifier, None, 0, data)
    records = decode_records(answer)
    assert b"".join(record.data for record in records) == data
    Interpreter("m").readings(answer, records, NOW)
