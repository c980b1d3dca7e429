"""Thirty like meters are three lines, for every driver; what is wrong is told where it was written."""

from pathlib import Path
from typing import Any

import pytest

from linli_core.errors import ConfigError
from linli_edge.config.gateway import parse_config
from linli_edge.config.like_devices import MOST, expand

FIRST = {"each": "1-3, 41", "id": "meter-{n}", "unit": "{n}", "profile": "eastron-sdm630"}


def parse(*devices: dict[str, Any], driver: str = "modbus", **link: Any) -> Any:
    raw = {
        "gateway": {"id": "gw", "data": "var"},
        "uplink": {"host": "127.0.0.1"},
        "links": [{"id": "bus", "driver": driver, "host": "192.0.2.1", "devices": list(devices), **link}],
    }
    return parse_config(raw, Path("/nowhere"))


def told(*devices: dict[str, Any], **more: Any) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        parse(*devices, **more)
    return str(caught.value).splitlines()


def test_one_table_makes_many_devices() -> None:
    config = parse(FIRST)
    assert [(device.device, device.unit) for device in config.links[0].config.devices] == [
        ("meter-1", 1),
        ("meter-2", 2),
        ("meter-3", 3),
        ("meter-41", 41),
    ]
    assert config.registers.devices == {"meter-1", "meter-2", "meter-3", "meter-41"}


def test_one_of_them_may_differ() -> None:
    other = {**FIRST, "profile": "acrel-dtsd1352"}
    config = parse(other, {"id": "meter-2", "override": True, "ct": 40, "timeout": "2 s"})
    timeouts = {device.device: device.quirks.timeout for device in config.links[0].config.devices}
    assert timeouts == {"meter-1": 1_000_000, "meter-2": 2_000_000, "meter-3": 1_000_000, "meter-41": 1_000_000}


def test_it_holds_for_another_driver_and_inside_texts() -> None:
    config = parse({"each": "7-8", "id": "water-{n}", "address": "1000000{n}"}, driver="mbus", port=10001)
    assert [device.device for device in config.links[0].config.devices] == ["water-7", "water-8"]
    assert [device.address.number for device in config.links[0].config.devices] == ["10000007", "10000008"]


def test_a_mistake_in_a_table_is_told_where_it_was_written() -> None:
    lines = told({"id": "first", "unit": 9, "profile": "eastron-sdm120"}, {**FIRST, "each": "255-256"})
    assert len(lines) == 1
    assert lines[0].startswith("links[0].devices[1].unit: for n = 256: found 256")


def test_two_devices_that_take_one_unit_are_told() -> None:
    lines = told(FIRST, {"id": "another", "unit": 2, "profile": "eastron-sdm120"})
    assert len(lines) == 1
    assert lines[0].startswith("links[0].devices[1].unit: ")


@pytest.mark.parametrize(
    ("table", "text"),
    [
        (
            {**FIRST, "each": "3-1"},
            'links[0].devices[0].each: "3-1" is no number and no range; write numbers and ranges',
        ),
        ({**FIRST, "each": "a"}, 'links[0].devices[0].each: "a" is no number and no range'),
        ({**FIRST, "each": 30}, "links[0].devices[0].each: found 30"),
        ({**FIRST, "each": "1-3, 2"}, "links[0].devices[0].each: 2 stands there twice; name each number once"),
        ({**FIRST, "each": "1-999999999"}, f"links[0].devices[0].each: more than {MOST} devices; write several tables"),
        ({"id": "x", "override": True}, "links[0].devices[0].id: no device above is called 'x'"),
        ({"id": "x", "override": "yes"}, "links[0].devices[0].override: found 'yes'; write true"),
    ],
)
def test_what_makes_no_sense_is_told(table: dict[str, Any], text: str) -> None:
    assert any(line.startswith(text) for line in told(table))


def test_a_configuration_without_it_stays_as_it_is() -> None:
    raw: dict[str, object] = {"links": [{"devices": [{"id": "a"}, "no table"]}, "no table"], "other": 1}
    assert expand(raw)[0] == raw
    assert expand({"links": 7})[0] == {"links": 7}
