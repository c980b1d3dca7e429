"""Device profiles: complete, within what the protocol allows, and told apart from code."""

import tomllib
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

from linli_core.errors import ConfigError
from linli_core.vocabulary import vocabulary
from linli_edge.drivers.modbus import SPEC, device_profile
from linli_edge.drivers.modbus.plan import Limits, blocks_of

NAMES = device_profile.SHELF.names()
FOLDER = Path(str(files("linli_edge.drivers.modbus"))) / "profiles"

MINIMAL = """
make = "Acme"
model = "One"
manual = "Acme One, manual"
verified = "Nothing."
points = [{ quantity = "voltage", unit = "V", type = "uint16", address = 0 }]

[title]
zh = "一号表"
en = "One"
"""


def test_the_meters_that_ship() -> None:
    assert len(NAMES) >= 40
    wanted = {
        "acrel-dtsd1352",
        "eastron-sdm120",
        "eastron-sdm630",
        "generic-temperature-humidity",
        "linli-coldroom",
        "schneider-iem3155",
    }
    assert wanted <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_a_profile_says_what_it_is_and_what_was_verified(name: str) -> None:
    profile = device_profile.SHELF.load(name, "test")
    assert profile.make
    assert profile.model
    assert profile.manual
    assert profile.verified.endswith(".")
    assert set(profile.title) == {"zh", "en"}
    assert any("\u4e00" <= character <= "\u9fff" for character in profile.title["zh"])


@pytest.mark.parametrize("name", NAMES)
def test_a_profile_is_planned_within_its_own_limits(name: str) -> None:
    profile = device_profile.SHELF.load(name, "test")
    quirks = profile.quirks
    entries = [(entry.resolved({}, None), entry.resolved({}, None).of("meter")) for entry in profile.entries]
    blocks = blocks_of(entries, Limits(quirks.max_registers, 2000, quirks.max_gap))
    assert all(block.count <= quirks.max_registers for block in blocks)
    assert len(blocks) <= 6
    assert len({point.name for _, point in entries}) == len(entries)


@pytest.mark.parametrize("name", NAMES)
def test_what_a_profile_measures_is_in_the_vocabulary(name: str) -> None:
    for entry in device_profile.SHELF.load(name, "test").entries:
        assert entry.mapped.quantity in vocabulary()
        assert entry.mapped.factor != 0


@pytest.mark.parametrize(
    ("name", "point", "address", "function"),
    [
        # Hexadecimal in Eastron's table, numbered from 1 in Schneider's, in hexadecimal words in Acrel's.
        ("eastron-sdm630", "active_power", 0x34, 4),
        ("eastron-sdm630", "energy_import", 0x48, 4),
        ("eastron-sdm630", "energy_import.l3", 0x15E, 4),
        ("eastron-sdm120", "frequency", 0x46, 4),
        ("schneider-iem3155", "current.l1", 2999, 3),
        ("schneider-iem3155", "energy_import", 3203, 3),
        ("acrel-dtsd1352", "energy_import", 0x0A, 3),
        ("acrel-dtsd1352", "current.l3", 0x66, 3),
    ],
)
def test_addresses_as_they_go_over_the_wire(name: str, point: str, address: int, function: int) -> None:
    entries = {
        entry.mapped.of("meter").local_name: entry.mapped for entry in device_profile.SHELF.load(name, "test").entries
    }
    assert (entries[point].address, entries[point].table.function) == (address, function)


def test_a_profile_of_ones_own_is_named_by_its_path(tmp_path: Path) -> None:
    path = tmp_path / "acme-one.toml"
    path.write_text(MINIMAL, encoding="utf-8")
    table = {"host": "192.0.2.1", "devices": [{"id": "meter-1", "unit": 1, "profile": str(path)}]}
    (device,) = SPEC.parse(table, "links[0]").devices
    assert [point.quantity for point in device.points] == ["voltage"]


def mistakes(change: str, to: str, **more: Any) -> str:
    with pytest.raises(ConfigError) as caught:
        device_profile.parse("acme-one", tomllib.loads(MINIMAL.replace(change, to)) | more, "profile acme-one")
    return str(caught.value)


@pytest.mark.parametrize(
    ("change", "to", "text"),
    [
        ("make =", "mark =", 'profile acme-one.mark: unknown key; did you mean "make"?'),
        ("zh =", "cn =", "profile acme-one.title.zh: missing; "),
        (
            'unit = "V"',
            'unit = "V", phase = "a"',
            'profile acme-one.points[0].phase: found "a"; ',
        ),
        (
            'unit = "V", ',
            "",
            'profile acme-one.points[0].unit: missing; write the unit of the scaled value, such as "V"',
        ),
        ('type = "uint16", ', "", "profile acme-one.points[0].type: missing; choose one of bit, int16, uint16, int32"),
        (
            "address = 0",
            "address = 0, scale = 0",
            "profile acme-one.points[0].scale: found 0; write what one raw unit is worth",
        ),
        ("address = 0", "adress = 0", 'profile acme-one.points[0].adress: unknown key; did you mean "address"?'),
        ("address = 0", "address = 65536", "profile acme-one.points[0].address: found 65536; "),
        (
            "address = 0",
            'address = 0, ratios = ["tc"]',
            'profile acme-one.points[0].ratios: no ratio is called "tc"; known: pt, ct',
        ),
        (
            "address = 0",
            "address = 0, bit = 3, bits = [1, 2]",
            "profile acme-one.points[0].bits: both bit and bits are given; keep one of them",
        ),
        (
            "address = 0",
            'address = 0, states = { off = "x" }',
            "profile acme-one.points[0].states.off: the key is no number; write the raw number on the left",
        ),
        (
            '"uint16"',
            '"string", length = 4, order = "CDAB"',
            "profile acme-one.points[0].order: CDAB for a string; choose ABCD, or BADC",
        ),
        (
            '"uint16"',
            '"bit"',
            "profile acme-one.points[0].type: bit in table holding; a coil or a discrete input is a bit",
        ),
    ],
)
def test_a_mistake_names_the_place_and_the_remedy(change: str, to: str, text: str) -> None:
    assert any(line.startswith(text) for line in mistakes(change, to).splitlines()), mistakes(change, to)


def test_a_mistake_in_a_profile_is_told_once_for_all_its_devices(tmp_path: Path) -> None:
    path = tmp_path / "acme-one.toml"
    path.write_text(MINIMAL.replace("voltage", "voltag"), encoding="utf-8")
    devices = [{"id": f"meter-{unit}", "unit": unit, "profile": str(path)} for unit in (1, 2)]
    with pytest.raises(ConfigError) as caught:
        SPEC.parse({"host": "192.0.2.1", "devices": devices}, "links[0]")
    assert str(caught.value) == (f'{path}.points[0].quantity: no quantity is called "voltag"; did you mean "voltage"?')


def test_a_devices_own_point_replaces_the_profiles() -> None:
    own = {"quantity": "voltage", "unit": "V", "type": "uint16", "address": 900}
    device = {"id": "meter-1", "unit": 1, "profile": "eastron-sdm120", "points": [own], "order": "CDAB"}
    (parsed,) = SPEC.parse({"host": "192.0.2.1", "devices": [device]}, "links[0]").devices
    points = {point.quantity: point for point in parsed.points}
    assert points["voltage"].address == 900
    assert points["current"].order == "CDAB"
    assert points["voltage"].order == "ABCD"
