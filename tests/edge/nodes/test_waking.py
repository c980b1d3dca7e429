"""Which pins wake which board, before anything is written to one."""

from typing import Any

import pytest

from linli_core.catalogue import Language
from linli_edge.nodes.configuration import written
from linli_edge.nodes.pins import kinds_for
from linli_edge.nodes.refused import Refused
from linli_edge.nodes.waking import NAMES, deaf


def _pins(*sensors: dict[str, Any], power: str = "battery") -> Any:
    config = {"gateway": {"host": "10.0.0.2"}, "power": power, "sensors": list(sensors)}
    return written(config, "n-1", "n-1.toml").waking


def _told(pins: Any, kind: str, lang: Language = "en") -> list[str]:
    return [problem.told(lang) for problem in deaf(pins, kind)]


def sensor(kind: str, pin: int, **more: Any) -> dict[str, Any]:
    return {"kind": kind, "pin": pin, **more}


@pytest.mark.parametrize("pin", [0, 5])
def test_the_c3_is_woken_by_its_first_six_pins(pin: int) -> None:
    assert deaf(_pins(sensor("leak_switch", pin)), "esp32c3") == []


def test_another_pin_is_told_with_those_that_do() -> None:
    pins = _pins(sensor("leak_switch", 6), {"kind": "ds18b20", "pin": 7}, sensor("button", 10))
    assert _told(pins, "esp32c3") == [
        f"n-1: sensors[{place}] ({kind}): pin {pin} does not wake an ESP32-C3 from its sleep. Take one of GPIO0 to"
        ' GPIO5, or give it a charger: power = "mains"'
        for place, kind, pin in ((0, "leak_switch", 6), (2, "button", 10))
    ]
    assert _told(pins, "esp32c3", "zh")[0] == (
        "n-1: sensors[0]（leak_switch）：引脚 6 不能唤醒休眠的 ESP32-C3。"
        '请改接 GPIO0–GPIO5，或改用电源：power = "mains"'
    )
    assert deaf(pins, "esp32s3") == deaf(pins, "rp2") == []
    assert len(_told(_pins(sensor("leak_switch", 22)), "esp32s3")) == 1
    assert deaf(_pins(sensor("leak_switch", 21)), "esp32s3") == []


def test_a_node_with_a_charger_is_awake_for_every_pin() -> None:
    pins = _pins(sensor("leak_switch", 40), sensor("reed", 41), sensor("pulse", 42), power="mains")
    assert (pins, kinds_for(waking=pins)) == ((), ["esp32c3", "esp32s3", "rp2"])


@pytest.mark.parametrize(
    ("table", "why"),
    [
        # A door's contact opens; a tilt's does too: their level at rest is low, and asleep the chip's resistor is down.
        (sensor("reed", 4), ["opening"]),
        (sensor("tilt", 4), ["opening"]),
        (sensor("reed", 4, active="low"), []),
        (sensor("reed", 4, driven=True), []),
        (sensor("button", 4, active="high"), ["opening"]),
        # A detector of motion drives its output.
        (sensor("pir", 4, active="high"), []),
        (sensor("pulse", 4), ["pulse"]),
        (sensor("pulse", 4, driven=True), []),
        (sensor("pulse", 6), ["pin", "pulse"]),
    ],
)
def test_what_opens_wakes_a_c3_only_with_a_resistor_of_its_own(table: dict[str, Any], why: list[str]) -> None:
    pins = _pins(table)
    assert [problem.why for problem in deaf(pins, "esp32c3")] == why
    assert deaf(pins, "esp32s3") == []


def test_an_s3_is_woken_by_several_of_one_level_and_one_of_the_other() -> None:
    doors = [sensor("reed", pin, channel=pin) for pin in (1, 2, 3)]
    leaks = [sensor("leak_switch", pin, channel=pin) for pin in (4, 5)]
    for few in (doors, leaks, [*doors, leaks[0]], [doors[0], *leaks]):
        assert deaf(_pins(*few), "esp32s3") == []
    (told,) = _told(_pins(*doors, *leaks), "esp32s3")
    assert "several of both: GPIO1, GPIO2, GPIO3 and GPIO4, GPIO5." in told


def test_all_that_is_wrong_is_told_at_once_in_both_languages() -> None:
    pins = _pins(sensor("reed", 4), sensor("pulse", 9))
    trouble = Refused("door.toml", NAMES["esp32c3"], deaf(pins, "esp32c3"))
    words: dict[Language, str] = {"en": "not for an ESP32-C3 on a battery", "zh": "不能用于电池供电的 ESP32-C3"}
    for lang, first in words.items():
        lines = trouble.told(lang).splitlines()
        assert len(lines) == 4
        assert first in lines[0]
        assert all("{" not in line for line in lines)
    assert kinds_for(waking=pins) == ["esp32s3", "rp2"]
