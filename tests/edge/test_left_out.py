"""A configuration that is wrong in part: the rest is read, what is wrong is named, and nothing is guessed."""

import tomllib
from pathlib import Path

import pytest

from linli_core.errors import ConfigError
from linli_edge.config.gateway import GatewayConfig, load_config, parse_config
from linli_edge.config.table import ConfigErrors

HEAD = """
[gateway]
id = "gw-1"
data = "var"
utc_offset = "+08:00"
[uplink]
host = "127.0.0.1"
"""


def modbus(link: str, *devices: str) -> str:
    lines = [f'[[links]]\nid = "{link}"\ndriver = "modbus"\nhost = "127.0.0.1"\n']
    lines += [f"[[links.devices]]\n{device}\n" for device in devices]
    return "".join(lines)


def meter(number: int, profile: str = "eastron-sdm120", unit: int = 0) -> str:
    return f'id = "meter-{number}"\nunit = {unit or number}\nprofile = "{profile}"'


def started(text: str) -> GatewayConfig:
    return parse_config(tomllib.loads(HEAD + text), Path("/nowhere"), leave_out=True)


def read(config: GatewayConfig) -> dict[str, list[str]]:
    return {
        link.id: sorted({planned.device for planned in link.spec.plan(link.config)})
        for link in config.links
        if link.spec.plan is not None
    }


def left_out(config: GatewayConfig) -> list[tuple[str, tuple[str, ...], bool, list[str]]]:
    return [
        (each.link, each.devices, each.whole, [mistake.where for mistake in each.mistakes]) for each in config.left_out
    ]


def test_a_right_configuration_leaves_nothing_out() -> None:
    assert started(modbus("a", meter(1))).left_out == ()


def test_a_wrong_device_costs_the_others_nothing() -> None:
    point = 'quantity = "water_level"\nunit = "furlong"\naddress = 1\ntype = "uint16"'
    level = f'id = "level"\nunit = 9\n[[links.devices.points]]\n{point}'
    config = started(modbus("a", meter(1), meter(2, "eastron-sdm1200"), meter(3), level))
    assert read(config) == {"a": ["meter-1", "meter-3"]}
    assert left_out(config) == [
        ("a", ("meter-2",), False, ["links[0].devices[1].profile"]),
        ("a", ("level",), False, ["links[0].devices[3].points[0].unit"]),
    ]
    assert 'did you mean "eastron-sdm120"' in config.left_out[0].error


def test_a_wrong_profile_takes_out_the_devices_that_have_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.toml").write_text('[profile]\nname = "mine"\n', encoding="utf-8")
    profile = str(tmp_path / "mine.toml")
    config = started(modbus("a", meter(1, profile), meter(2), meter(3, profile)))
    assert read(config) == {"a": ["meter-2"]}
    assert [each.devices for each in config.left_out] == [("meter-1",), ("meter-3",)]
    assert all("mine.toml" in each.error for each in config.left_out)


def test_of_two_devices_on_one_unit_neither_is_read() -> None:
    # Which of them is meant nobody knows: a reading under the wrong name is a wrong bill.
    config = started(modbus("a", meter(1), meter(2), meter(3, unit=1)))
    assert read(config) == {"a": ["meter-2"]}
    assert [each.devices for each in config.left_out] == [("meter-1",), ("meter-3",)]


def test_a_mistake_that_shows_only_when_another_is_gone() -> None:
    config = started(modbus("a", meter(1), meter(2, "no-such"), meter(3, unit=1), meter(4)))
    assert read(config) == {"a": ["meter-4"]}
    places = ["links[0].devices[2].unit", "links[0].devices[1].profile", "links[0].devices[2].unit"]
    assert [where for *_, wheres in left_out(config) for where in wheres] == places


def test_a_wrong_link_is_left_out_whole() -> None:
    wrong = modbus("a", meter(1), meter(2)).replace('"127.0.0.1"', '"127.0.0.1"\nport = 70000')
    config = started(wrong + modbus("b", meter(3)))
    assert read(config) == {"b": ["meter-3"]}
    assert left_out(config) == [("a", ("meter-1", "meter-2"), True, ["links[0].port"])]


def test_a_driver_that_is_not_there_takes_its_link_out() -> None:
    config = started(modbus("a", meter(1)).replace('"modbus"', '"bacnet"') + modbus("b", meter(3)))
    assert read(config) == {"b": ["meter-3"]}
    assert left_out(config) == [("a", ("meter-1",), True, ["links[0].driver"])]


def test_on_a_shared_line_too_and_places_are_those_of_the_file() -> None:
    config = started("""
[[links]]
id = "line"
driver = "shared_bus"
transport = "serial"
path = "/dev/ttyS0"
[[links.protocols]]
driver = "cjt188"
[[links.protocols.devices]]
id = "water-1"
profile = "no-such"
address = "00000012345678"
[[links.protocols]]
driver = "modbus"
[[links.protocols.devices]]
id = "meter-1"
unit = 1
profile = "eastron-sdm120"
[[links.protocols.devices]]
id = "meter-2"
unit = 999
profile = "eastron-sdm120"
""")
    assert [guest.spec.name for guest in config.links[0].config.guests] == ["modbus"]
    assert read(config) == {"line": ["meter-1"]}
    assert left_out(config) == [
        ("line", ("water-1",), False, ["links[0].protocols[0].devices[0].profile"]),
        ("line", ("meter-2",), False, ["links[0].protocols[1].devices[1].unit"]),
    ]


def test_one_of_many_like_devices() -> None:
    many = 'each = "240-250"\nid = "meter-{n}"\nunit = "{n}"\nprofile = "eastron-sdm120"'
    rtu = modbus("a", many).replace('host = "127.0.0.1"', 'transport = "serial"\npath = "/dev/ttyS0"')
    config = started(rtu)
    assert len(read(config)["a"]) == 8
    assert [each.devices[0] for each in config.left_out] == ["meter-248", "meter-249", "meter-250"]
    assert config.left_out[0].error.startswith("links[0].devices[0].unit: for n = 248: ")


@pytest.mark.parametrize(
    "text",
    [
        modbus("a", meter(1, "no-such")),
        modbus("a", meter(1)) + '[[report]]\ndevice = "meter-9"\n',
        modbus("a", meter(1), meter(2, "no-such")).replace('"a"', '"A!"'),
    ],
    ids=["nothing is left", "not of a device", "not of a device, beside one that is"],
)
def test_what_is_no_devices_mistake_stops_it_as_ever(text: str) -> None:
    raw = tomllib.loads(HEAD + text)
    with pytest.raises(ConfigErrors) as lenient:
        parse_config(raw, Path("/nowhere"), leave_out=True)
    with pytest.raises(ConfigErrors) as strict:
        parse_config(raw, Path("/nowhere"))
    assert {str(error) for error in lenient.value.errors} <= {str(error) for error in strict.value.errors}


def test_all_but_run_refuse_it(tmp_path: Path) -> None:
    path = tmp_path / "gateway.toml"
    path.write_text(HEAD + modbus("a", meter(1), meter(2, "no-such")), encoding="utf-8")
    with pytest.raises(ConfigError, match=r"links\[0\]\.devices\[1\]\.profile"):
        load_config(path)
    assert [each.devices for each in load_config(path, leave_out=True).left_out] == [("meter-2",)]
