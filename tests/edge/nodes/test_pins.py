"""Which pins a board has, and for what, before anything is written to one."""

from typing import Any

import pytest

from linli_core.catalogue import Language
from linli_edge.nodes.configuration import Written, written
from linli_edge.nodes.pins import kinds_for, least_unfit, refuse, unfit
from linli_edge.nodes.refused import Refused


def _config(*sensors: dict[str, Any], **more: Any) -> Written:
    config = {"gateway": {"host": "10.0.0.2"}, "sensors": list(sensors) or [{"kind": "reed", "pin": 4}], **more}
    return written(config, "n-1", "n-1.toml")


def _why(config: Written, kind: str) -> list[str]:
    return [f"{problem.why} {problem.values['where'].partition(': ')[2]}" for problem in unfit(config.pins, kind)]


@pytest.mark.parametrize(
    ("kind", "taken"),
    [
        ("esp32c3", {"flash": {*range(11, 18)}, "usb": {18, 19}, "absent": {*range(22, 49)}}),
        ("esp32s3", {"absent": {22, 23, 24, 25}, "flash": {*range(26, 33)}, "usb": {19, 20}}),
        ("rp2", {"radio": {23, 24, 25, 29}, "absent": {*range(30, 49)}}),
    ],
)
def test_each_pin_of_a_board_is_free_or_it_is_told_whose_it_is(kind: str, taken: dict[str, set[int]]) -> None:
    found: dict[str, set[int]] = {}
    for pin in range(49):
        for problem in unfit(_config({"kind": "reed", "pin": pin}).pins, kind):
            found.setdefault(problem.why, set()).add(pin)
    assert found == taken


@pytest.mark.parametrize(
    ("kind", "measuring"), [("esp32c3", range(5)), ("esp32s3", range(1, 11)), ("rp2", range(26, 29))]
)
def test_what_measures_a_voltage_goes_to_a_converter_that_the_radio_leaves_alone(kind: str, measuring: range) -> None:
    ropes, batteries = [], []
    for pin in range(49):
        other = 8 if pin == 7 else 7
        if not unfit(_config({"kind": "leak_rope", "pin": pin, "power": other}).pins, kind):
            ropes.append(pin)
        if not unfit(_config({"kind": "reed", "pin": other}, battery_pin=pin).pins, kind):
            batteries.append(pin)
    assert ropes == batteries == list(measuring)


def test_every_pin_of_every_part_is_looked_at() -> None:
    config = _config(
        {"kind": "leak_rope", "pin": 40, "power": 41},
        {"kind": "sht4x", "sda": 42, "scl": 43},
        {"kind": "pzem004t", "tx": 44, "rx": 45},
        battery_pin=46,
        actions=[{"kind": "relay", "pin": 47, "when": "water_leak"}],
    )
    fields = ("[0].pin", "[0].power", "[1].sda", "[1].scl", "[2].tx", "[2].rx")
    parts = ["battery_pin", *(f"sensors{field}" for field in fields), "actions[0].pin"]
    assert _why(config, "esp32c3") == [f"absent {part}" for part in parts]
    assert _why(config, "esp32s3") == ["converter battery_pin", "converter sensors[0].pin"]
    # What is not known is not refused.
    assert _why(config, "esp32") == _why(config, "desktop") == []


def test_a_serial_line_has_its_pins_on_a_pico_and_any_on_an_esp32() -> None:
    def line(uart: int, tx: int, rx: int) -> Written:
        return _config({"kind": "pzem004t", "uart": uart, "tx": tx, "rx": rx})

    assert kinds_for(line(1, 4, 5).pins) == ["esp32c3", "esp32s3", "rp2"]
    assert _why(line(1, 0, 1), "rp2") == ["line_pin sensors[0].tx", "line_pin sensors[0].rx"]
    assert _why(line(0, 12, 17), "rp2") == []
    assert _why(line(2, 4, 5), "rp2") == _why(line(2, 4, 5), "esp32c3") == ["line sensors[0].tx"]
    assert _why(line(2, 4, 5), "esp32s3") == []


def test_a_board_is_refused_with_all_that_is_wrong_and_what_is_right() -> None:
    config = _config({"kind": "reed", "pin": 30}, {"kind": "leak_rope", "pin": 5, "power": 18}, power="battery")
    words: dict[Language, list[str]] = {
        "en": [
            (
                "n-1.toml: this configuration is not for this board (ESP32-C3): it has not these pins, or cannot use"
                " them so:"
            ),
            "  n-1: sensors[0].pin (reed): the ESP32-C3 has no pin 30. Take one of GPIO0–10, GPIO20–21",
            (
                "  n-1: sensors[1].pin (leak_rope): pin 5 of the ESP32-C3 measures no voltage, or none while the radio"
                " is on. Take one of GPIO0–4"
            ),
            (
                "  n-1: sensors[1].power (leak_rope): pin 18 of the ESP32-C3 is its USB cable's. Take one of GPIO0–10,"
                " GPIO20–21"
            ),
        ],
        "zh": [
            "n-1.toml: 此配置不能用于 ESP32-C3：它没有以下引脚，或不能这样使用：",
            "  n-1: sensors[0].pin（reed）：ESP32-C3 没有引脚 30。请改接 GPIO0–10, GPIO20–21",
            "  n-1: sensors[1].pin（leak_rope）：ESP32-C3 的引脚 5 不能测电压，或无线开启时不能测。请改接 GPIO0–4",
            "  n-1: sensors[1].power（leak_rope）：ESP32-C3 的引脚 18 属于其 USB 口。请改接 GPIO0–10, GPIO20–21",
        ],
    }
    with pytest.raises(Refused) as caught:
        refuse("n-1.toml", config.pins, config.waking, "esp32c3")
    for lang, lines in words.items():
        assert caught.value.told(lang).splitlines() == lines


def test_what_no_board_has_is_told_of_the_board_that_comes_nearest() -> None:
    config = _config({"kind": "reed", "pin": 23}, {"kind": "float", "pin": 40})
    assert kinds_for(config.pins) == []
    assert least_unfit(config.pins) == "esp32s3"
