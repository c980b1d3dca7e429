"""What meters send that is no value: missing and BAD, or raw; never a number, never an exception."""

import json
from typing import Any, Final

import pytest

from linli_core.codecs.dlms import Item
from linli_edge.config.table import ConfigErrors
from linli_edge.decode import dialect_of, line
from linli_edge.driver import load
from linli_edge.telegrams.keys import NO_KEYS
from linli_sim.dlms_push import described, hdlc, push
from linli_sim.fuzz.checksums import block_check, p1


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
        ("00000080", "2c", None, "bad/not_a_number"),  # a sign before nothing, or 800000.00: the standard has no sign
        ("01000080", "2c", 800000.01, "good"),
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


WATER: Final = "901f01785634122c785634122c000000000000000000"


def mbus(records: str, meter: str = "78563412") -> bytes:
    """An answer of a water meter: a long header, then the records."""
    body = bytes.fromhex(f"080172{meter}2423010701000000{records}")
    size = bytes((len(body),))
    return b"\x68" + size + size + b"\x68" + body + bytes((sum(body) % 256, 0x16))


def p1_telegram(lines: bytes) -> bytes:
    """A telegram with a right checksum."""
    return p1(b"/XXX5MTR\r\n\r\n" + lines + b"\r\n!")


def readout(lines: bytes) -> bytes:
    """A readout with a right block check."""
    return b"/XXX5MTR\r\n" + block_check(b"\x02" + lines + b"\r\n!\r\n\x03")


def pushed(code: str, item: Item) -> bytes:
    """A notification with one value, in Wh where it is a number."""
    if isinstance(item.value, bytes):
        name = Item(9, bytes(int(part) for part in code.replace("-", ".").replace(":", ".").split(".")) + b"\xff")
        return hdlc(push(Item(1, (Item(2, (name, item)),))))
    return hdlc(push(Item(1, (described(code, item, 0, 30),))))


GBK: Final = "你好".encode("gbk")

SENT: Final = [
    # no clock: 2000-01-00, zeros, all bits
    ("mbus", mbus("046d00002000"), "meter_time", None, "bad/not_a_number"),
    ("mbus", mbus("046dffffffff"), "meter_time", None, "bad/not_a_number"),
    ("mbus", mbus("026c0000"), "meter_date", None, "bad/not_a_number"),
    ("p1", p1_telegram(b"0-0:1.0.0(000100000000W)"), "meter_time", None, "bad/not_implemented"),
    ("iec62056-21", readout(b"0.9.2(00-01-00)"), "meter_time", None, "bad/not_implemented"),
    ("iec62056-21", readout(b"0.9.1(12:00:00)\r\n0.9.2(000100)"), "meter_time", None, "bad/not_implemented"),
    ("dlms", pushed("0-0:1.0.0", Item(9, bytes.fromhex("07d00100ff000000ff800000"))), "meter_time", None, "bad"),
    # registers filled with F
    ("mbus", mbus("0c13ffffffff"), "water_volume", None, "bad/not_a_number"),
    ("mbus", mbus("0413ffffffff"), "water_volume", -0.001, "uncertain/not_implemented"),
    ("mbus", mbus("0613ffffffffffff"), "water_volume", -0.001, "uncertain/not_implemented"),
    ("mbus", mbus("0413feffffff"), "water_volume", -0.002, "good"),  # flowed back: a number like any other
    ("mbus", mbus("025affff"), "flow_temperature", -0.1, "good"),
    ("mbus", mbus("041300000080"), "water_volume", None, "bad/not_a_number"),
    ("mbus", mbus("05130000c07f"), "water_volume", None, "bad/not_a_number"),
    ("p1", p1_telegram(b"1-0:1.8.1(FFFFFF.FFF*kWh)"), "energy_import", None, "bad/not_implemented"),
    ("iec62056-21", readout(b"1.8.0(FFFFFF.FF*kWh)"), "energy_import", None, "bad/not_implemented"),
    ("dlms", pushed("1-0:1.8.0", Item(6, 0xFFFFFFFF)), "energy_import", None, "bad/not_implemented"),
    ("dlms", pushed("1-0:1.8.0", Item(5, -1)), "energy_import", -1, "uncertain/not_implemented"),
    ("dlms", pushed("1-0:1.8.0", Item(20, -1)), "energy_import", -1, "uncertain/not_implemented"),
    ("dlms", pushed("1-0:1.8.0", Item(5, -2)), "energy_import", -2, "good"),
    # a minus before nothing
    ("mbus", mbus("0c13000000f0"), "water_volume", 0, "good"),
    ("mbus", mbus("051300000080"), "water_volume", 0, "good"),
    ("p1", p1_telegram(b"1-0:1.8.1(-000000.000*kWh)"), "energy_import", 0, "good"),
    ("iec62056-21", readout(b"1.8.0(-000000.00*kWh)"), "energy_import", 0, "good"),
    # GBK, where a text stands and where a number should
    ("dlt645", dlt645("0400040b", GBK.ljust(10)[::-1].hex()), "nameplate", "你好", "good"),
    ("dlt645", dlt645("00010000", GBK.hex()), "energy_import", None, "bad/not_a_number"),
    ("mbus", mbus(f"0d1304{GBK.hex()}"), "water_volume", None, "bad/not_a_number"),
    ("p1", p1_telegram(b"0-0:96.13.0(" + GBK.hex().encode() + b")"), "text_message", GBK.hex(), "good"),
    ("p1", p1_telegram(b"1-0:1.8.1(" + GBK + b"*kWh)"), "obis_record", "1-0:1.8.1(ÄãºÃ*kWh)", "good"),
    ("iec62056-21", readout(b"1.8.0(" + GBK + b"*kWh)"), "obis_record", "1.8.0(ÄãºÃ*kWh)", "good"),
    ("dlms", pushed("0-0:96.1.0", Item(9, GBK)), "serial_number", "C4E3BAC3", "good"),
    # a body of another length than its kind has
    ("cjt188", cjt188("78563412", "00"), "cjt188_record", None, ""),
]


@pytest.mark.parametrize(("protocol", "frame", "quantity", "value", "quality"), SENT)
def test_what_is_no_value_is_none(protocol: str, frame: bytes, quantity: str, value: object, quality: str) -> None:
    found = [reading for reading in decoded(protocol, frame)["readings"] if reading["quantity"] == quantity]
    assert len(found) == 1
    if quality == "bad":
        assert found[0]["quality"].startswith("bad/")
    elif quality:
        assert found[0]["quality"] == quality
    if quality:
        assert found[0]["value"] == value
    assert str(found[0]["value"]) not in {"-0", "-0.0"}


ANSWERS: Final = {
    "dlt645": (dlt645("00010000", "78563412"), dlt645("00010000", "11111111")),
    "cjt188": (cjt188("78563412", "00000000000000"), cjt188("11111111", "00000000000000")),
    "mbus": (mbus("0c1378563412"), mbus("0c1311111111", "11111111")),
    "p1": (p1_telegram(b"1-0:1.8.1(000001.000*kWh)"), p1_telegram(b"1-0:1.8.1(000002.000*kWh)")),
    "iec62056-21": (readout(b"1.8.0(000001.00*kWh)"), readout(b"1.8.0(000002.00*kWh)")),
    "dlms": (pushed("1-0:1.8.0", Item(6, 1)), pushed("1-0:1.8.0", Item(6, 2))),
}


def registers(protocol: str, wire: bytes) -> list[object]:
    """The registers in some bytes, each told once."""
    outcomes = [json.loads(line(outcome)) for outcome in dialect_of(protocol, "test").decode(wire, NO_KEYS)]
    readings = [reading for outcome in outcomes for reading in outcome.get("readings", ())]
    wanted = ("energy_import", "water_volume")
    return list(dict.fromkeys(reading["value"] for reading in readings if reading["quantity"] in wanted))


@pytest.mark.parametrize("protocol", ANSWERS)
def test_two_meters_at_once_give_the_value_of_one_or_none(protocol: str) -> None:
    one, two = ANSWERS[protocol]
    told = {*registers(protocol, one), *registers(protocol, two)}
    assert len(told) == 2
    for shift in range(len(one)):
        # The line is low where either meter pulls it low; the second begins a while later.
        over = bytes(first & second for first, second in zip(one[shift:], two, strict=False))
        assert {*registers(protocol, one[:shift] + over + two[len(over) :])} <= told
        # And where the stronger one drowns the other out.
        assert {*registers(protocol, one[:shift] + two)} <= told


@pytest.mark.parametrize(
    ("protocol", "places"), [("dlt645", [9]), ("cjt188", [10]), ("mbus", [1, 2]), ("dlms", [2])], ids=str
)
def test_a_telegram_that_lies_about_its_length_gives_nothing(protocol: str, places: list[int]) -> None:
    frame, _ = ANSWERS[protocol]
    for size in range(256):
        lying = bytearray(frame)
        for place in places:
            lying[place] = size
        if protocol in {"dlt645", "cjt188"}:
            lying[-2] = sum(lying[:-2]) % 256  # the sum is right for the lie
        if size != frame[places[0]]:
            assert registers(protocol, bytes(lying)) == []


@pytest.mark.parametrize("driver", ["dlms", "p1", "wmbus"])
@pytest.mark.parametrize("key", ["", "00" * 15, "00" * 17, "0" * 31, "你好"])
def test_a_key_of_wrong_length_is_a_mistake_of_the_configuration(driver: str, key: str) -> None:
    device = {"id": "m", "key": key} | ({"meter": "12345678"} if driver == "wmbus" else {})
    with pytest.raises(ConfigErrors) as caught:
        load(driver, "links[0].driver").parse({"host": "h", "port": 1, "devices": [device]}, "links[0]")
    assert "links[0].devices[0].key: " in str(caught.value)
    assert key not in str(caught.value) or not key, "a key is told to nobody"
