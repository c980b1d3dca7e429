"""From records to readings: names, units, qualities, times."""

import json
from decimal import Decimal
from pathlib import Path

import pytest

from linli_core.codecs.mbus import Identity, Interpreter, LongFrame, Telegram, decode_frame, decode_telegram
from linli_core.codecs.mbus.encode import encode_answer
from linli_core.codecs.mbus.quantities import (
    BACKWARD,
    BARE,
    BY_DOMAIN,
    CONVERSIONS,
    DOMAINS,
    GENERIC,
    UNMAPPED,
    Domain,
)
from linli_core.codecs.mbus.vif import FIRST_EXTENSION, PRIMARY, SECOND_EXTENSION
from linli_core.errors import ProtocolError
from linli_core.instant import from_rfc3339
from linli_core.model import Quality, Reason, parse_point, quality_label
from linli_core.vocabulary import vocabulary
from linli_sim.vectors.mbus_expectations import expected_quantity, expected_readings
from linli_sim.vectors.mbus_recordings import load

NOW = from_rfc3339("2026-11-23T04:00:00Z")
MEDIA = {"electricity": 0x02, "gas": 0x03, "heat": 0x04, "water": 0x07, "warm water": 0x06, "cooling": 0x0A, "other": 0}


def telegram(*records: str, medium: str = "electricity", maker: str = "LNL") -> Telegram:
    data = [bytes.fromhex(record) for record in records]
    return decode_telegram(encode_answer(Identity("12345678", maker, 1, MEDIA[medium]), data, address=1))


def names(*records: str, medium: str = "electricity", maker: str = "LNL") -> list[str]:
    readings = Interpreter("m").readings(telegram(*records, medium=medium, maker=maker), NOW)
    return [reading.point.local_name for reading in readings]


def test_every_quantity_is_the_vocabularys_and_its_unit_can_be_reached() -> None:
    words = vocabulary()
    quantities = (
        {(measurand, name) for measurand, by_domain in BY_DOMAIN.items() for name in by_domain.values()}
        | set(GENERIC.items())
        | {(measurand, name) for (measurand, _), name in BACKWARD.items()}
    )
    assert UNMAPPED in words
    for measurand, name in quantities:
        assert name in words, name
        units = {
            vif.unit
            for table in (PRIMARY, FIRST_EXTENSION, SECOND_EXTENSION)
            for vif in table.values()
            if vif.measurand is measurand
        }
        for unit in units - {BARE, words[name].unit, "month", "year"}:
            assert (unit, words[name].unit) in CONVERSIONS, f"{name}: {unit}"


def test_conversions_agree_with_the_vocabulary() -> None:
    words = vocabulary()
    quantities = {"Wh": "energy_import", "J": "energy_import", "J/h": "active_power", "bar": "pressure"}
    for (unit, wanted), (numerator, denominator) in CONVERSIONS.items():
        name = quantities.get(unit)
        if name is not None and words[name].unit == wanted:
            assert words.convert(name, Decimal(3600), unit) == Decimal(3600) * numerator / denominator


def test_what_is_metered_decides_the_quantity() -> None:
    found = {
        medium: names("0C1300000000", "0C0600000000", "042B00000000", "043B00000000", medium=medium) for medium in MEDIA
    }
    assert found == {
        "electricity": [UNMAPPED, "energy_import", "active_power", f"{UNMAPPED}.x2"],
        "gas": ["gas_volume", UNMAPPED, f"{UNMAPPED}.x2", "gas_flow"],
        "heat": ["heat_volume", "heat_energy", "heat_power", "heat_flow"],
        "water": ["water_volume", UNMAPPED, f"{UNMAPPED}.x2", "water_flow"],
        "warm water": ["hot_water_volume", UNMAPPED, f"{UNMAPPED}.x2", "water_flow"],
        "cooling": ["heat_volume", "cooling_energy", "cooling_power", "heat_flow"],
        "other": [UNMAPPED, f"{UNMAPPED}.x2", f"{UNMAPPED}.x3", f"{UNMAPPED}.x4"],
    }


def test_place_in_the_meter_is_in_the_name() -> None:
    assert names(
        "8C801003 00000000", "8C4003 00000000", "CC0303 00000000", "1C2B 00000000", "2C2B 00000000", "3C2B 00000000"
    ) == [
        "energy_import.t4",
        "energy_import.c1",
        "energy_import.s7",
        "active_power.max",
        "active_power.min",
        "active_power.err",
    ]


def test_records_that_are_alike_are_told_apart_by_their_order() -> None:
    assert names("0C0300000000", "0C0300000000", "8C10030000 0000", "0C0300000000") == [
        "energy_import",
        "energy_import.x2",
        "energy_import.t1",
        "energy_import.x3",
    ]


def test_phases_by_the_standard() -> None:
    assert names("02FDC8FC01 0909", "02FDC8FC04 0909", "02FDC8FC05 0909") == ["voltage.l1", "voltage.n", "voltage.l12"]


def test_phases_by_manufacturers_whose_telegrams_show_them() -> None:
    records = ("02FDC8FF01 0909", "02FDC8FF04 0909", "02FDC8FF09 0909", "8240FDC8FF01 0909")
    readings = Interpreter("m").readings(telegram(*records, maker="IME"), NOW)
    assert [(reading.point.local_name, reading.quality) for reading in readings] == [
        ("voltage.l1", Quality.GOOD),
        ("voltage.l12", Quality.GOOD),
        ("voltage", Quality.UNCERTAIN),
        ("voltage.c1", Quality.UNCERTAIN),
    ]


@pytest.mark.vectors
def test_phases_of_recorded_telegrams(vectors: Path) -> None:
    """The wireless recordings hold some wired telegrams whose source states the phases."""
    fields = {
        "voltage_l1_n_v": "voltage.l1",
        "voltage_l2_n_v": "voltage.l2",
        "voltage_l3_n_v": "voltage.l3",
        "voltage_l1_l2_v": "voltage.l12",
        "voltage_l2_l3_v": "voltage.l23",
        "voltage_l3_l1_v": "voltage.l31",
        "voltage_at_phase_1_v": "voltage.l1",
        "voltage_l1_v": "voltage.l1",
        "current_l1_a": "current.l1",
        "current_l3_a": "current.l3",
        "current_at_phase_2_a": "current.l2",
        "current_in_neutral_a": "current.n",
    }
    compared = 0
    for path in sorted((vectors / "wmbus").glob("*.json")):
        document = json.loads(path.read_text(encoding="utf-8"))
        data = (
            bytes.fromhex(document["input"]["data"]) if document.get("driver") in ("iem3000", "nemo", "eltako") else b""
        )
        if data[:1] + data[3:4] != b"\x68\x68":
            continue
        readings = Interpreter("m").readings(decode_telegram(decode_frame(data)), NOW)
        found = {reading.point.local_name: reading for reading in readings}
        for field, name in fields.items():
            if field in document["expected"]:
                compared += 1
                assert found[name].quality is Quality.GOOD
                assert float(str(found[name].value)) == pytest.approx(document["expected"][field], abs=1e-6, rel=1e-6)
    assert compared > 20


def test_a_manufacturers_vife_makes_a_reading_uncertain() -> None:
    (plain, odd) = Interpreter("m").readings(telegram("0C0300000000", "0C83FF0900000000"), NOW)
    assert quality_label(plain.quality, plain.reason) == "good"
    assert quality_label(odd.quality, odd.reason) == "uncertain/configuration"
    assert odd.point.local_name == "energy_import.x2"


@pytest.mark.parametrize("vife", ["20", "28", "40", "4A", "50", "69", "6D", "7E", "19", "3D", "39", "FC10"])
def test_what_is_not_the_thing_itself_is_not_booked_as_it(vife: str) -> None:
    assert names(f"0493{vife}01010101", medium="water") == [UNMAPPED]


def test_forward_and_uncorrected_stay_what_they_are() -> None:
    assert names("04933B00000000", "04933A00000000", medium="gas") == ["gas_volume", "gas_volume.x2"]
    assert names("04933E00000000", medium="water") == ["water_volume"]


def test_gas_at_base_conditions_is_a_register_of_its_own() -> None:
    assert names("04933A00000000", "04933E00000000", medium="gas") == ["gas_volume", "gas_volume_converted"]
    assert names("04BB3E00000000", medium="gas") == [UNMAPPED]  # a flow has no such name


@pytest.mark.parametrize("record", ["0D0306313030303030", "0D03E21000"])
def test_text_and_binary_data_are_no_number_of_a_register(record: str) -> None:
    # "000001" and the binary 0010, which stands for 16 and looks like 10.
    (reading,) = Interpreter("m").readings(telegram(record), NOW)
    assert (reading.value, quality_label(reading.quality, reading.reason)) == (None, "bad/not_a_number")


def test_backward_is_another_quantity_or_none() -> None:
    assert names("04833C00000000") == ["energy_export"]
    assert names("04933C00000000", medium="water") == [UNMAPPED]


def test_units_become_the_vocabularys() -> None:
    readings = Interpreter("m").readings(
        telegram("0E0EFFFFFFFF0000", "040F01000000", "042E01000000", "043E24000000", "026A0F00", medium="heat"), NOW
    )
    assert [reading.value for reading in readings] == [
        None,
        Decimal(10_000_000) / 3600,
        Decimal(1000),
        Decimal("0.01"),
        Decimal(150_000),
    ]


def test_missing_values_say_why() -> None:
    records = ("0C03FFFFFFFF", "052B0000C07F", "0003", "0C831500000000", "0C831600000000", "0C831800000000", "426C0000")
    readings = Interpreter("m").readings(telegram(*records), NOW)
    assert all(reading.value is None and reading.quality is Quality.BAD for reading in readings)
    assert [reading.reason for reading in readings] == [
        Reason.NOT_A_NUMBER,
        Reason.NOT_A_NUMBER,
        Reason.NOT_IMPLEMENTED,
        Reason.NOT_IMPLEMENTED,
        Reason.OUT_OF_RANGE,
        Reason.DEVICE_FAILURE,
        Reason.NOT_A_NUMBER,
    ]


def test_unmapped_records_keep_their_bytes_and_are_counted() -> None:
    interpreter = Interpreter("m")
    readings = interpreter.readings(telegram("01FD7C2A", "0D7C0257500341 4243", "0F0102"), NOW)
    assert [reading.value for reading in readings] == ["01FD7C-2A", "0D7C025750-03414243", "0F-0102"]
    assert [reading.point.local_name for reading in readings] == [UNMAPPED, f"{UNMAPPED}.x2", f"{UNMAPPED}.x3"]
    assert interpreter.unmapped == 3


def test_the_mark_that_more_follow_is_no_reading() -> None:
    assert names("0C0300000000", "1F") == ["energy_import"]


def test_texts_dates_and_binary_values() -> None:
    records = ("0DFD0E03414243", "0DFD0EE2 0102", "426C812B", "046D1E0C812B", "0DFC0348522500C10 5".replace(" ", ""))
    readings = Interpreter("m").readings(telegram(*records), NOW)
    assert [reading.value for reading in readings] == ["CBA", "0201", "2020-11-01", "2020-11-01T12:30:00", Decimal(5)]


def test_the_meters_own_clock() -> None:
    clock, energy, stored = "046D1E0C812B", "0C0300000000", "4C0300000000"
    readings = Interpreter("m", utc_offset=480).readings(telegram(clock, energy, stored), NOW)
    stamp = from_rfc3339("2020-11-01T12:30:00+08:00")
    assert [reading.device_time for reading in readings] == [stamp, stamp, None]
    assert {reading.observed_at for reading in readings} == {NOW}


@pytest.mark.parametrize("clock", ["046D9E0C812B", "446D1E0C812B", "84106D1E0C812B", "04ED7E1E0C812B", "426C812B"])
def test_a_clock_that_is_not_the_present_one_is_none(clock: str) -> None:
    readings = Interpreter("m").readings(telegram(clock, "0C0300000000"), NOW)
    assert readings[-1].device_time is None


def test_the_clock_may_stand_in_another_telegram_of_the_readout() -> None:
    readings = Interpreter("m").readings([telegram("0C0300000000"), telegram("046D1E0C812B")], NOW)
    assert readings[0].device_time == from_rfc3339("2020-11-01T12:30:00Z")


def test_a_telegram_without_an_identity() -> None:
    found = decode_telegram(LongFrame(0x08, 1, 0x78, bytes.fromhex("0C0300000000025B1500")))
    readings = Interpreter("m").readings(found, NOW)
    assert [reading.point.local_name for reading in readings] == [UNMAPPED, "flow_temperature"]


def test_media_that_decide_nothing_are_other() -> None:
    assert set(DOMAINS.values()) == set(Domain) - {Domain.OTHER}


@pytest.mark.vectors
def test_recorded_frames_have_libmbus_values_under_names_of_the_vocabulary(vectors: Path) -> None:
    words = vocabulary()
    compared = 0
    for vector in load(vectors / "mbus"):
        if vector.kind != "valid":
            continue
        found = decode_telegram(decode_frame(vector.frame))
        interpreter = Interpreter("m")
        explained = interpreter.explain(found, NOW)
        assert len({item.reading.point.name for item in explained}) == len(explained), "two readings of one point"
        for item, record in zip(explained, vector.records, strict=True):
            point = item.reading.point
            assert parse_point(point.name) == point
            assert point.quantity in words
            if not item.record.header.modifiers and record.quantity is not None:
                wanted = expected_quantity(record, vector.slave["Medium"]) or UNMAPPED
                assert point.quantity == wanted, f"{vector.name}: {record}"
        mapped = [item.reading for item in explained if item.reading.point.quantity != UNMAPPED]
        for reading, expected in zip(mapped, expected_readings(vector), strict=True):
            compared += 1
            if isinstance(expected.value, Decimal) and not expected.exact:
                assert isinstance(reading.value, Decimal)
                assert abs(reading.value - expected.value) <= abs(expected.value) / 1_000_000, vector.name
            else:
                assert reading.value == expected.value, f"{vector.name} {expected}"
            assert (reading.quality is Quality.BAD) == (expected.value is None)
    assert compared > 250


def test_the_tables_behind_fb_reach_the_vocabulary_exactly() -> None:
    found = Interpreter("m").readings(
        telegram("04FB05 39300000", "04FB36 0A000000", "04FB20 E8030000", "04FB0D 01000000", maker="LNL"), NOW
    )
    values = {reading.point.local_name: reading.value for reading in found}
    assert values["apparent_energy"] == Decimal(123450)
    assert values["apparent_power"] == Decimal(1000)
    # Volume, and calories of which the standard does not say which they are, are no electricity meter's: kept raw.
    assert [name for name in values if name.startswith(UNMAPPED)] == [UNMAPPED, f"{UNMAPPED}.x2"]
    (gas,) = Interpreter("m").readings(telegram("04FB20 E8030000", medium="gas"), NOW)
    assert (gas.point.quantity, gas.value) == ("gas_volume", Decimal("28.316846592"))


def test_an_average_is_never_booked_as_the_value_itself() -> None:
    assert names("04AB12 E8030000", "04AB1D E8030000") == [UNMAPPED, "active_power"]


@pytest.mark.parametrize(
    ("status", "quality"),
    [
        (0x00, "good"),
        (0x01, "good"),  # busy
        (0x02, "uncertain/device_failure"),  # an application error
        (0x03, "good"),  # an abnormal condition: a leak is one
        (0x04, "good"),  # a low battery
        (0x08, "uncertain/device_failure"),  # a permanent error
        (0x10, "good"),  # a temporary error
        (0xE0, "good"),  # the manufacturer's own
    ],
)
def test_values_of_a_meter_that_has_failed_are_uncertain(status: int, quality: str) -> None:
    identity = Identity("12345678", "LIN", 1, 7)
    header = identity.encode() + bytes((1, status, 0, 0))
    frame = LongFrame(0x08, 1, 0x72, header + bytes.fromhex("041301000000") + bytes.fromhex("0413FFFFFFFF"))
    readings = Interpreter("m").readings(decode_telegram(frame), NOW)
    assert quality_label(readings[0].quality, readings[0].reason) == quality


@pytest.mark.parametrize(("mode", "blocks", "size"), [(2, 2, 16), (3, 3, 24), (5, 1, 16), (7, 2, 32)])
def test_what_is_encrypted_on_the_wire_is_refused_in_every_mode(mode: int, blocks: int, size: int) -> None:
    header = (
        Identity("12345678", "LIN", 1, 7).encode() + bytes((1, 0)) + (mode << 8 | blocks << 4).to_bytes(2, "little")
    )
    records = bytes.fromhex("041301000000") * 8
    with pytest.raises(ProtocolError, match=f"{size} bytes are encrypted \\(mode {mode}\\)") as caught:
        decode_telegram(LongFrame(0x08, 1, 0x72, header + records))
    assert caught.value.kind == "encrypted"


@pytest.mark.parametrize("mode", [8, 9, 10, 13])
def test_what_is_encrypted_on_the_wire_without_a_count_of_blocks_is_refused_too(mode: int) -> None:
    header = Identity("12345678", "LIN", 1, 7).encode() + bytes((1, 0)) + (mode << 8).to_bytes(2, "little")
    with pytest.raises(ProtocolError, match=f"12 bytes are encrypted \\(mode {mode}\\)") as caught:
        decode_telegram(LongFrame(0x08, 1, 0x72, header + bytes.fromhex("041301000000") * 2))
    assert caught.value.kind == "encrypted"
