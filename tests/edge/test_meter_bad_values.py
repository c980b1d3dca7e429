"""What meters send that is no value: missing and BAD, or raw; never a number, never an exception."""

import json
from typing import Any

import pytest

from linli_edge.decode import dialect_of, line
from linli_edge.telegrams.keys import NO_KEYS


def decoded(protocol: str, frame: bytes) -> dict[str, Any]:
    (outcome,) = dialect_of(protocol, "test").decode(frame, NO_KEYS)
    told: dict[str, Any] = json.loads(line(outcome))
    return told


def dlt645(identifier: str, data: str) -> bytes:
    """An answer of DL/T 645-2007: each byte of the data plus 33H, low byte first; the sum of all before it."""
    body = bytes((byte + 0x33) % 256 for byte in bytes.fromhex(identifier)[::-1] + bytes.fromhex(data))
    frame = b"\x68\x01\0\0\0\0\0\x68\x91" + bytes((len(body),)) + body
    return frame + bytes((sum(frame) % 256, 0x16))


def cjt188(volume: str, clock: str, unit: str = "2c") -> bytes:
    """An answer of a cold water meter: two volumes with units, a clock, a state."""
    body = bytes.fromhex(f"901f01{volume}{unit}{volume}{unit}{clock}0000")
    frame = b"\x68\x10" + bytes.fromhex("44332211003378") + b"\x81" + bytes((len(body),)) + body
    return frame + bytes((sum(frame) % 256, 0x16))


@pytest.mark.parametrize(
    ("identifier", "data", "quantity", "value", "quality"),
    [
        ("04000101", "00000100", "meter_date", None, "bad/not_a_number"),  # 2000-01-00
        ("04000102", "616125", "meter_time", None, "bad/not_a_number"),  # 25:61:61
        ("00010000", "ffffffff", "energy_import", None, "bad/not_implemented"),
        ("00010000", "1a000000", "energy_import", None, "bad/not_a_number"),
        ("02030000", "000080", "active_power", 0, "good"),  # a sign before nothing
        ("02030000", "345692", "active_power", -12563.4, "good"),
        ("00010000", "0100", "dlt645_record", "00010000-0001", "good"),  # too short for an energy
        ("00010000", "010000000000", "dlt645_record", "00010000-000000000001", "good"),
    ],
)
def test_an_electricity_meter(identifier: str, data: str, quantity: str, value: object, quality: str) -> None:
    (reading,) = decoded("dlt645", dlt645(identifier, data))["readings"]
    assert (reading["quantity"], reading["value"], reading["quality"]) == (quantity, value, quality)
    assert str(reading["value"]) != "-0"


@pytest.mark.parametrize(
    ("volume", "unit", "value", "quality"),
    [
        ("78563412", "2c", 123456.78, "good"),
        ("ffffffff", "2c", None, "bad/not_implemented"),
        ("7856341a", "2c", None, "bad/not_a_number"),
        ("78563412", "77", None, "bad/configuration"),  # a unit that is none
    ],
)
@pytest.mark.parametrize("clock", ["00000000010020", "ffffffffffffff", "00000000000000"])
def test_a_water_meter(volume: str, unit: str, value: object, quality: str, clock: str) -> None:
    readings = decoded("cjt188", cjt188(volume, clock, unit))["readings"]
    volumes = [reading for reading in readings if reading["quantity"] == "water_volume"]
    assert [(reading["value"], reading["quality"]) for reading in volumes] == [(value, quality)] * 2
    (time,) = [reading for reading in readings if reading["quantity"] == "meter_time"]
    assert time["value"] is None
    assert time["quality"].startswith("bad/")


def test_a_state_filled_with_ff_closes_no_valve_and_empties_no_battery() -> None:
    body = bytes.fromhex("901f01785634122c000000002c00000000000000ffff")
    frame = b"\x68\x10" + bytes.fromhex("44332211003378") + b"\x81" + bytes((len(body),)) + body
    readings = decoded("cjt188", frame + bytes((sum(frame) % 256, 0x16)))["readings"]
    states = {reading["quantity"]: (reading["value"], reading["quality"]) for reading in readings}
    assert states["water_valve_state"] == states["battery_low"] == (None, "bad/not_implemented")
