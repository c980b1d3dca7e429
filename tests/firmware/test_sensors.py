"""Sensors on simulated buses: what they are asked, what they answer, garbage, silence, a short."""

from pathlib import Path
from typing import Any

import pytest

from linli_core.codecs import crc
from linli_edge.nodes.configuration import written
from linli_sim.nodes.vm import Machine

I2C = {"sda": 6, "scl": 7}
MODBUS = crc.table_of(0xA001)


def _sht_crc(word: bytes) -> int:
    value = 0xFF
    for byte in word:
        value ^= byte
        for _ in range(8):
            value = (value << 1 ^ 0x31) & 0xFF if value & 0x80 else value << 1
    return value


def _words(*words: int) -> str:
    return "".join(f"{word:04x}{_sht_crc(word.to_bytes(2, 'big')):02x}" for word in words)


def _dallas(raw: int) -> str:
    data = (raw & 0xFFFF).to_bytes(2, "little") + bytes.fromhex("4b467fff0c10")
    value = 0
    for byte in data:
        value ^= byte
        for _ in range(8):
            value = value >> 1 ^ (0x8C if value & 1 else 0)
    return (data + bytes([value])).hex()


def _modbus(text: str) -> str:
    data = bytes.fromhex(text)
    return (data + crc.remainder(data, MODBUS, 0xFFFF).to_bytes(2, "little")).hex()


def _ds(answer: str | None, presence: str = "01") -> list[list[Any]]:
    return [
        ["reset", presence],
        ["w:cc", ""],
        ["w:44", ""],
        ["reset", presence],
        ["w:cc", ""],
        ["w:be", ""],
        ["r:9", answer],
    ]


def _pzem(answer: str | None) -> list[list[Any]]:
    return [["w:" + _modbus("f80400000 00a".replace(" ", "")), ""], ["r:25", answer]]


def _scd(*answers: list[Any], ready: int = 0x8006) -> list[list[Any]]:
    return [["w62:21b1", ""], ["w62:e4b8", ""], ["r62:3", _words(ready)], *answers]


# The worked example of the datasheet BST-BMP280-DS001: 25.08 degrees, and 100653.27 Pa by its arithmetic in floats;
# that in whole numbers comes two hundredths of a pascal lower. Humidity: dig_H1 … H6 of one part.
BME_LOW = "706b4367" + "18fc" + "7d8e" + "43d6" + "d00b" + "270b" + "8c00" + "f9ff" + "8c3c" + "f8c6" + "7017" + "004b"
BME = [
    ["m76:d0:1", "60"],
    ["m76:88:26", BME_LOW],
    ["m76:e1:7", "6a01001227031e"],
    ["w76:f201", ""],
    ["w76:f425", ""],
]

CASES: dict[str, tuple[str, dict[str, Any], list[list[Any]], Any]] = {
    "ds18b20": ("ds18b20", {"pin": 4}, _ds(_dallas(401)), [["temperature", "Cel", [250625, 4]]]),
    "ds18b20 below zero": ("ds18b20", {"pin": 4}, _ds(_dallas(-162)), [["temperature", "Cel", [-101250, 4]]]),
    "ds18b20 at power-on": ("ds18b20", {"pin": 4}, _ds(_dallas(0x0550)), "device_failure"),
    "ds18b20 garbage": ("ds18b20", {"pin": 4}, _ds("ff" * 9), "malformed_answer"),
    "ds18b20 bus short to ground": ("ds18b20", {"pin": 4}, _ds("00" * 9), "malformed_answer"),
    "ds18b20 nobody": ("ds18b20", {"pin": 4}, [["reset", "00"]], "no_communication"),
    "ds18b20 too hot": ("ds18b20", {"pin": 4}, _ds(_dallas(126 * 16)), "out_of_range"),
    "ds18b20 one of several": (
        "ds18b20",
        {"pin": 4, "rom": "28ff641e0f160390", "quantity": "product_temperature"},
        [
            ["reset", "01"], ["w:5528ff641e0f160390", ""], ["w:44", ""],
            ["reset", "01"], ["w:5528ff641e0f160390", ""], ["w:be", ""], ["r:9", _dallas(0)],
        ],
        [["product_temperature", "Cel", [0, 4]]],
    ),
    "sht3x": (
        "sht3x", I2C, [["w44:2400", ""], ["r44:6", _words(0x6666, 0x8000)]],
        [["temperature", "Cel", [2500, 2]], ["relative_humidity", "%RH", [5000, 2]]],
    ),
    "sht3x damaged": ("sht3x", I2C, [["w44:2400", ""], ["r44:6", "666600800000"]], "malformed_answer"),
    "sht3x whose clock is shorted to ground": ("sht3x", I2C, [["w44:2400", "low"]], "no_communication"),
    "sht3x nobody": ("sht3x", {**I2C, "address": 0x45}, [["w45:2400", None]], "no_communication"),
    "sht4x": (
        "sht4x", I2C, [["w44:fd", ""], ["r44:6", _words(0x6666, 0xFFFF)]],
        [["temperature", "Cel", [2500, 2]], ["relative_humidity", "%RH", [10000, 2]]],
    ),
    "scd4x": (
        "scd4x", I2C, _scd(["w62:ec05", ""], ["r62:9", _words(0x01F4, 0x6667, 0x5EB9)]),
        [["co2", "ppm", 500], ["temperature", "Cel", [2500, 2]], ["relative_humidity", "%RH", [3700, 2]]],
    ),
    "scd4x says nothing new": (
        "scd4x", I2C, _scd(*[["w62:e4b8", ""], ["r62:3", _words(0x8000)]] * 2, ready=0x8000),
        "waiting_for_initial_data",
    ),
    "scd4x without a bus": ("scd4x", I2C, [["w62:21b1", None], ["w62:e4b8", None]], "no_communication"),
    # The node has started anew, and the sensor has not: it measures on, and takes no order to begin.
    "scd4x that measures already": (
        "scd4x", I2C, [["w62:21b1", None], *_scd(["w62:ec05", ""], ["r62:9", _words(0x01F4, 0x6667, 0x5EB9)])[1:]],
        [["co2", "ppm", 500], ["temperature", "Cel", [2500, 2]], ["relative_humidity", "%RH", [3700, 2]]],
    ),
    "scd4x before its first measurement": (
        "scd4x", I2C, _scd(["w62:ec05", ""], ["r62:9", _words(0, 0x6667, 0x5EB9)]), "out_of_range",
    ),
    "scd4x bus short to ground": ("scd4x", I2C, [*_scd()[:-1], ["r62:3", "00" * 3]], "malformed_answer"),
    "bme280": (
        "bme280", I2C, [*BME, ["m76:f7:8", "655ac07eed008000"]],
        [["temperature", "Cel", [2508, 2]], ["air_pressure", "Pa", [10065325, 2]], None],
    ),
    "bme280 before it measured": ("bme280", I2C, [*BME, ["m76:f7:8", "8000008000008000"]], "waiting_for_initial_data"),
    "bme280 bus short to ground": ("bme280", I2C, [*BME, ["m76:f7:8", "00" * 8]], "malformed_answer"),
    "bme280 colder than it can measure": ("bme280", I2C, [*BME, ["m76:f7:8", "655ac01000008000"]], "out_of_range"),
    "bme280 with more pressure than there is": (
        "bme280", I2C, [*BME, ["m76:f7:8", "000ac07eed008000"]], "out_of_range",
    ),
    "bme280 without a calibration": (
        "bme280", I2C,
        [BME[0], ["m76:88:26", BME_LOW[:12] + "0000" + BME_LOW[16:]], *BME[2:], ["m76:f7:8", "655ac07eed008000"]],
        "device_failure",
    ),
    "bme280 that is another chip": ("bme280", I2C, [["m76:d0:1", "58"]], "device_failure"),
    "ads1115 at 12 mA": (
        "ads1115", {**I2C, "quantity": "water_level", "at_20ma": 5}, [["w48:01c583", ""], ["m48:00:2", "4b00"]],
        [["water_level", "m", [2500, 3]]],
    ),
    **{
        f"ads1115 at {raw * 62_500 // 50_000} µA of NE 43": (
            "ads1115", {**I2C, "quantity": "water_level", "at_20ma": 5, "shunt_ohm": 50},
            [["w48:01c583", ""], ["m48:00:2", f"{raw & 0xFFFF:04x}"]], expected,
        )
        for raw, expected in (
            (-1, "device_failure"), (2880, "device_failure"), (2881, [["water_level", "m", [-125, 3]]]),
            (16_799, [["water_level", "m", [5312, 3]]]), (16_800, "device_failure"),
        )
    },
    "ads1115 bus short to ground": (
        "ads1115", {**I2C, "quantity": "water_level", "at_20ma": 5}, [["w48:01c583", ""], ["m48:00:2", "0000"]],
        "device_failure",
    ),
    "ads1115 with a broken wire": (
        "ads1115", {**I2C, "quantity": "water_level", "at_20ma": 5}, [["w48:01c583", ""], ["m48:00:2", "0000"]],
        "device_failure",
    ),
    "ads1115 with a short": (
        "ads1115", {**I2C, "quantity": "water_level", "at_20ma": 5, "input": 3},
        [["w48:01f583", ""], ["m48:00:2", "7fff"]], "device_failure",
    ),
    "pzem004t": (
        "pzem004t", {"tx": 1, "rx": 2},
        _pzem(_modbus("f80414" + "08fd" + "04d20001" + "0bb80000" + "00640000" + "01f4" + "0062" + "0000")),
        [
            ["voltage", "V", [2301, 1]], ["current", "A", [66770, 3]], ["active_power", "W", [3000, 1]],
            ["energy_import", "Wh", 100], ["frequency", "Hz", [500, 1]], ["power_factor", "/", [98, 2]],
        ],
    ),
    "pzem004t asked by its address": (
        "pzem004t", {"tx": 1, "rx": 2, "address": 7},
        [["w:" + _modbus("07040000000a"), ""], ["r:25", _modbus("070414" + "08fd" + "00" * 18)]],
        [["voltage", "V", [2301, 1]], *[None] * 5],
    ),
    "pzem004t with the answer of another": (
        "pzem004t", {"tx": 1, "rx": 2, "address": 7},
        [["w:" + _modbus("07040000000a"), ""], ["r:25", _modbus("080414" + "08fd" + "00" * 18)]], "malformed_answer",
    ),
    "pzem004t that another refuses": (
        "pzem004t", {"tx": 1, "rx": 2, "address": 7},
        [["w:" + _modbus("07040000000a"), ""], ["r:25", _modbus("088402")]], "malformed_answer",
    ),
    "pzem004t silent": ("pzem004t", {"tx": 1, "rx": 2}, _pzem(""), "no_communication"),
    "pzem004t refusing": ("pzem004t", {"tx": 1, "rx": 2}, _pzem(_modbus("f88402")), "refused_by_device"),
    "pzem004t damaged": ("pzem004t", {"tx": 1, "rx": 2}, _pzem("f80414" + "00" * 22), "malformed_answer"),
}  # fmt: skip


def _work(machine: Machine, part: str, cases: list[Any]) -> list[Any]:
    found = machine.check("sensors", {part: cases})
    assert isinstance(found, dict)
    results: list[Any] = found[part]
    return results


def test_every_sensor_asks_as_its_datasheet_says_and_understands_the_answer(unix_port: Machine) -> None:
    cases = [{"kind": kind, "table": table, "bus": bus} for kind, table, bus, _ in CASES.values()]
    for (name, (_, _, _, expected)), result in zip(CASES.items(), _work(unix_port, "sensor", cases), strict=True):
        assert result["wrong"] == [], name
        (found,) = result["found"]
        if isinstance(expected, list):
            for record, wanted in zip(found, expected, strict=True):
                assert wanted is None or record == wanted, name
        else:
            assert found == expected, name


def test_a_humidity_of_a_bme280_lies_where_it_must(unix_port: Machine) -> None:
    humid = [
        {"kind": "bme280", "table": I2C, "bus": [*BME, ["m76:f7:8", f"655ac07eed00{raw:04x}"]]}
        for raw in (0, 0x6000, 0x7000, 0x8000, 0xFFFF)
    ]
    values = [result["found"][0][2][2][0] for result in _work(unix_port, "sensor", humid)]
    assert values == sorted(values)
    assert values[0] == 0
    assert values[-1] == 10000
    assert 3000 < values[2] < 8000


@pytest.mark.parametrize("kind", ["ds18b20", "sht3x", "sht4x", "scd4x", "pzem004t"])
def test_no_sensor_makes_a_value_of_a_damaged_answer(unix_port: Machine, kind: str) -> None:
    sound = next(
        (table, bus) for each, table, bus, expected in CASES.values() if each == kind and isinstance(expected, list)
    )
    table, bus = sound
    data = bytes.fromhex(bus[-1][1])
    cases = []
    for place in range(len(data)):
        for bit in (0x01, 0x80):
            changed = bytearray(data)
            changed[place] ^= bit
            cases.append({"kind": kind, "table": table, "bus": [*bus[:-1], [bus[-1][0], changed.hex()]]})
    cases += [
        {"kind": kind, "table": table, "bus": [*bus[:-1], [bus[-1][0], data[:length].hex()]]}
        for length in range(len(data))
        if kind == "pzem004t"
    ]
    for result in _work(unix_port, "sensor", cases):
        assert isinstance(result["found"][0], str)


def test_a_contact_is_debounced_and_motion_is_held(unix_port: Machine) -> None:
    door = {"kind": "reed", "table": {"pin": 4}, "levels": [0, 1, 0, 1, 1, 1], "counts": [0, 10, 20, 30, 60, 90]}
    pir = {
        "kind": "pir", "table": {"pin": 4, "active": "high", "hold_s": 5, "debounce_ms": 0},
        "levels": [0, 1, 0, 0, 0], "counts": [0, 10, 20, 5009, 5010],
    }  # fmt: skip
    assert _work(unix_port, "contact", [door, pir]) == [
        [[False, False], [False, False], [False, False], [False, False], [False, False], [True, True]],
        [[False, False], [True, True], [False, True], [False, True], [True, False]],
    ]


def test_a_leak_rope_is_fed_only_while_it_is_measured(unix_port: Machine) -> None:
    rope = {"kind": "leak_rope", "table": {"pin": 3, "power": 5}}
    dry, wet, broken = _work(unix_port, "sensor", [{**rope, "levels": [level]} for level in (40000, 200, 65000)])
    assert dry["found"] == [[["water_leak", "", False]]]
    assert wet["found"] == [[["water_leak", "", True]]]
    assert broken["found"] == ["device_failure"]
    assert dry["set"] == wet["set"] == broken["set"] == [1, 0]


def test_a_valve_shuts_by_itself_and_a_buzzer_ends_after_its_longest_time(unix_port: Machine) -> None:
    valve = {"table": {"pin": 8, "when": "water_leak"}, "values": [[False, 0], [True, 1], [None, 2], [False, 3]]}
    cold = {
        "table": {"pin": 8, "when": "temperature", "above": 8, "hysteresis": 1, "longest_s": 2},
        "values": [[[85, 1], 0], [[85, 1], 1999], [[85, 1], 2000], [[69, 1], 3000], [[9, 0], 3001]],
    }
    first, second = _work(unix_port, "action", [valve, cold])
    assert first == {"on": [False, True, True, False], "set": [0, 1, 0]}
    assert second["on"] == [True, True, False, False, True]


def test_the_light_of_a_call_blinks_until_it_is_confirmed_and_then_is_steady_for_a_while(unix_port: Machine) -> None:
    follows = {"pin": 8, "when": "emergency_button"}
    called = [[True, 0], [None, 499], [None, 500], [None, 1_000], [False, 1_100], ["confirm", 1_100]]
    after = [[None, 1_700], [None, 301_099], [None, 301_100], [True, 302_000], [None, 302_500]]
    light = {"kind": "light", "calls": True, "table": follows, "values": [*called, *after]}
    lamp = {**light, "calls": False}
    buzzer = {**light, "kind": "buzzer"}
    first, second, third = _work(unix_port, "action", [light, lamp, buzzer])
    assert first["on"] == [True, True, True, True, False, True, True, True, False, True, True]
    assert first["set"] == [0, 1, 1, 1, 0, 1, 0, 1, 0, 1, 1, 0]
    # Nothing else blinks, or goes on after what it follows has ended.
    assert second == third == {"on": [True] * 4 + [False] * 5 + [True] * 2, "set": [0, 1, 0, 1]}


def test_what_a_gateway_says_a_sensor_measures_is_what_the_sensor_says(tmp_path: Path, unix_port: Machine) -> None:
    pins = {"pin": 1, "power": 2, "sda": 3, "scl": 4, "tx": 5, "rx": 6, "quantity": "water_level", "at_20ma": 1}
    kinds = {
        "leak_rope": ["pin", "power"], "sht3x": ["sda", "scl"], "sht4x": ["sda", "scl"], "bme280": ["sda", "scl"],
        "scd4x": ["sda", "scl"], "pzem004t": ["tx", "rx"], "ads1115": ["sda", "scl", "quantity", "at_20ma"],
        "reed": ["pin"], "button": ["pin"], "ds18b20": ["pin"],
    }  # fmt: skip
    tables = {kind: {field: pins[field] for field in fields} for kind, fields in kinds.items()}
    on_board = _work(unix_port, "quantities", [{"kind": kind, "table": table} for kind, table in tables.items()])
    gateway = {"host": "10.0.0.2"}
    for (kind, table), quantities in zip(tables.items(), on_board, strict=True):
        told = written({"gateway": gateway, "sensors": [{"kind": kind, **table}]}, "n-1", str(tmp_path))
        assert list(told.points) == quantities
