"""What a board says of a configuration that is not for it, which is what the gateway says, and what is there twice."""

import itertools
import json
from typing import Any

import pytest

from linli_core.errors import ConfigError
from linli_edge.nodes.configuration import firmware, written
from linli_edge.nodes.pins import unfit, used_pins
from linli_edge.nodes.waking import NAMES, deaf, waking_pins

GATEWAY = {"host": "10.0.0.2"}
LINE = {"kind": "pzem004t", "uart": 1, "tx": 4, "rx": 5}


def _whole(*sensors: dict[str, Any], **more: Any) -> dict[str, Any]:
    fields = firmware("linli_app.sensors.fields")
    given = {"node": "n-1", "gateway": GATEWAY, "sensors": list(sensors), **more}
    found: dict[str, Any] = firmware("linli_node.config").load(
        json.dumps(given).encode(), fields.FIELDS, fields.ACTIONS
    )
    return found


def _configurations() -> Any:
    for pin, power in itertools.product(range(49), ("battery", "mains")):
        for more in ({"kind": "reed"}, {"kind": "reed", "driven": True}, {"kind": "pir", "active": "high"}):
            yield _whole({"pin": pin, **more}, power=power)
        yield _whole({"kind": "pulse", "pin": pin}, {"kind": "button", "pin": 1}, power=power)
        yield _whole({"kind": "leak_rope", "pin": pin, "power": 3}, power=power, battery_pin=2)
        yield _whole({"kind": "sht4x", "sda": pin, "scl": 7}, power=power, battery_pin=pin)
        yield _whole({**LINE, "uart": pin % 3, "tx": pin}, actions=[{"kind": "light", "pin": pin, "when": "voltage"}])
    doors = [{"kind": "reed", "pin": pin} for pin in (1, 2)]
    leaks = [{"kind": "float", "pin": pin} for pin in (5, 6)]
    yield _whole(*doors, *leaks, power="battery")
    yield _whole(*doors, leaks[0], power="battery")


def test_a_board_says_of_pins_what_the_gateway_says() -> None:
    fitting, told = firmware("linli_app.fitting"), 0
    for config, kind in itertools.product(_configurations(), (*NAMES, "desktop")):
        ours = sorted(why for _, why, _ in fitting.misfits(config, kind))
        pins = used_pins(config)
        amiss = unfit(pins, kind)
        # Of a pin that is not there, or taken, nobody is told as well that it does not wake.
        places = {problem.values["where"].rpartition(".")[0] for problem in amiss}
        asleep = [each for each in deaf(waking_pins(config), kind) if each.values["where"] not in places]
        assert ours == sorted(problem.why for problem in [*amiss, *asleep]), (config, kind)
        told += len(ours)
    assert told > 1000


def test_each_is_told_in_both_languages_with_where_and_what_to_take() -> None:
    fitting = firmware("linli_app.fitting")
    found = fitting.misfits(_whole({"kind": "leak_switch", "pin": 7}, power="battery"), "esp32c3")
    where = "sensors[0].pin: pin 7 does not wake this board from its sleep"
    assert fitting.told(found) == [f'{where}; take one of GPIO0-5, or a charger: "power": "mains"']
    assert fitting.told(found, "zh") == [
        'sensors[0].pin: 引脚 7 不能唤醒休眠的这块板；请改接 GPIO0-5，或改用电源供电："power": "mains"'
    ]
    # Whoever asks the chip itself knows more: an S3 whose memory has eight lines has no pins 33 to 37.
    chip = fitting.misfits(_whole({"kind": "reed", "pin": 35}), "esp32s3", lambda pin: pin != 35)
    assert fitting.told(chip) == ["sensors[0].pin: this board has no pin 35; take one of GPIO0-18, GPIO21, GPIO33-48"]
    wrong = [(config, kind) for config in _configurations() for kind in NAMES]
    for why in {why for config, kind in wrong for _, why, _ in fitting.misfits(config, kind)}:
        values = ("7", "GPIO1")
        english, chinese = (fitting.told([("x", why, values)], lang)[0] for lang in ("en", "zh"))
        assert english.isascii()
        assert not chinese.isascii()


SHT = {"kind": "sht4x", "sda": 6, "scl": 7}
ADS = {"kind": "ads1115", "sda": 6, "scl": 7, "quantity": "water_level", "at_20ma": 5}
PROBE = {"kind": "ds18b20", "pin": 4}


@pytest.mark.parametrize(
    ("sensors", "told"),
    [
        (({"kind": "reed", "pin": 4}, {"kind": "reed", "pin": 5}), "sensors[1]: door_open is read twice"),
        ((SHT, {"kind": "ds18b20", "pin": 4}), "sensors[1]: temperature is read twice"),
        ((SHT, {**SHT, "channel": 2}), "sensors[1]: asks the same device as sensors[0]"),
        ((SHT, {**SHT, "kind": "sht3x", "channel": 2}), "sensors[1]: asks the same device as sensors[0]"),
        ((ADS, {**ADS, "channel": 2}), "sensors[1]: asks the same device as sensors[0]"),
        ((PROBE, {**PROBE, "channel": 2, "rom": "28ff641e0f160390"}), "sensors[1]: asks the same device as sensors[0]"),
        (
            ({**PROBE, "rom": "28FF641E0F160390"}, {**PROBE, "channel": 2, "rom": "28ff641e0f160390"}),
            "sensors[1]: asks the same device as sensors[0]",
        ),
        ((LINE, {**LINE, "channel": 2, "address": 7}), "sensors[1]: asks the same device as sensors[0]"),
        (({"kind": "reed", "pin": 4}, {"kind": "leak_switch", "pin": 4}), "sensors[1].pin: pin 4 is at sensors[0].pin"),
        ((PROBE, {"kind": "reed", "pin": 4}), "sensors[1].pin: pin 4 is at sensors[0].pin already"),
        (({**SHT, "scl": 6},), "sensors[0].scl: pin 6 is at sensors[0].sda already"),
        ((SHT, {**SHT, "sda": 7, "scl": 6, "channel": 2}), "sensors[1].sda: pin 7 is at sensors[0].scl already"),
    ],
)  # fmt: skip
def test_what_stands_in_a_configuration_twice_is_told(sensors: Any, told: str) -> None:
    with pytest.raises(ConfigError, match="this is wrong:") as refused:
        written({"gateway": GATEWAY, "sensors": list(sensors)}, "n-1", "n-1.toml")
    assert told in str(refused.value)


def test_several_may_share_a_bus_and_no_more() -> None:
    sensors = [
        SHT,
        {**SHT, "address": 0x45, "channel": 2},
        {**ADS, "input": 0},
        {**ADS, "input": 1, "channel": 2},
        {**PROBE, "rom": "28ff641e0f160390", "channel": 3},
        {**PROBE, "rom": "28ff641e0f160391", "channel": 4},
        {**LINE, "tx": 8, "rx": 9, "address": 1},
        {**LINE, "tx": 8, "rx": 9, "address": 2, "channel": 2},
    ]
    assert written({"gateway": GATEWAY, "sensors": sensors}, "n-1", "n-1.toml").points
    light = {"kind": "light", "pin": 9, "when": "temperature"}
    with pytest.raises(ConfigError, match=r"actions\[0\]\.pin: pin 9 is at sensors\[6\]\.rx already"):
        written({"gateway": GATEWAY, "sensors": sensors, "actions": [light]}, "n-1", "n-1.toml")
    with pytest.raises(ConfigError, match=r"sensors\[0\]\.sda: pin 6 is at battery_pin already"):
        written({"gateway": GATEWAY, "sensors": sensors, "battery_pin": 6}, "n-1", "n-1.toml")
