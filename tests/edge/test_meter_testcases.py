"""Walks the cases of the drivers for DL/T 645 and CJ/T 188: a case is data, adding one adds no code."""

import json
import tomllib
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

import linli_edge.drivers
from linli_core.errors import ConfigError, LinliError
from linli_core.instant import from_rfc3339, to_rfc3339
from linli_core.model import Reading, quality_label
from linli_edge.driver import Driver, DriverSpec
from linli_edge.drivers import cjt188, dlt645
from linli_edge.transport.memory import MemoryTransport
from linli_sim.jumping_loop import on_jumping_loop

DRIVERS = Path(linli_edge.drivers.__file__).parent
SPECS: dict[str, DriverSpec] = {"dlt645": dlt645.SPEC, "cjt188": cjt188.SPEC}
CASES = sorted(path for name in SPECS for path in (DRIVERS / name / "testcases").iterdir() if path.is_dir())
NOW = from_rfc3339("2026-11-25T08:00:00Z")
KEYS = {
    "dlt645": ("timeout", "retries", "clock", "address", "profile", "edition", "read", "interval", "identity", "relay"),
    "cjt188": ("timeout", "retries", "clock", "address", "profile", "type", "order", "read", "interval", "valve"),
}


def script(path: Path) -> tuple[list[bytes], list[list[bytes]]]:
    """Return what the gateway says, and what comes back after each of it."""
    said: list[bytes] = []
    answers: list[list[bytes]] = []
    for line in path.read_text(encoding="utf-8").splitlines():
        direction, _, text = line.partition(" ")
        if direction == ">":
            said.append(bytes.fromhex(text))
            answers.append([])
        elif direction == "<":
            answers[-1].append(bytes.fromhex(text))
        else:
            assert not direction or direction.startswith("#"), line
    return said, answers


def shown(reading: Reading) -> dict[str, object]:
    item: dict[str, object] = {"point": reading.point.name, "value": reading.value}
    if isinstance(reading.value, Decimal):
        item["value"] = format(reading.value, "f")
    if quality_label(reading.quality, reading.reason) != "good":
        item["quality"] = quality_label(reading.quality, reading.reason)
    if reading.device_time is not None:
        item["device_time"] = to_rfc3339(reading.device_time)
    assert reading.observed_at == NOW
    return item


async def poll_all(driver: Driver) -> list[dict[str, object]]:
    return [shown(reading) for planned in driver.plan for reading in await driver.poll(planned)]


def guest_of(case: Path) -> Callable[[Any], Driver]:
    spec = SPECS[case.parent.parent.name]
    link = tomllib.loads((case / "config.toml").read_text(encoding="utf-8"))["links"][0]
    settings = spec.parse(link, "links[0]")
    make = spec.guest
    assert make is not None
    return lambda transport: make(settings, transport, lambda: NOW)


@pytest.mark.parametrize("case", CASES, ids=lambda path: f"{path.parent.parent.name}-{path.name}")
@on_jumping_loop
async def test_case(case: Path) -> None:
    wire = case / "wire.hex"
    said, answers = script(wire) if wire.exists() else ([], [])
    transport = MemoryTransport(answers)
    error = case / "error.txt"
    if not error.exists():
        expected = json.loads((case / "expected.json").read_text(encoding="utf-8"))
        assert await poll_all(guest_of(case)(transport)) == expected
    else:
        with pytest.raises(LinliError) as caught:
            await poll_all(guest_of(case)(transport))
        assert f"{caught.value}\n" == error.read_text(encoding="utf-8")
        assert isinstance(caught.value, ConfigError) != wire.exists()
    assert transport.written == said


@pytest.mark.parametrize("name", SPECS)
def test_a_folder_holds_good_and_bad_cases_and_every_profile_is_used_in_one(name: str) -> None:
    kinds = {(case / "error.txt").exists() for case in CASES if case.parent.parent.name == name}
    assert kinds == {True, False}
    shelf = SPECS[name].profiles
    assert shelf is not None
    for profile in shelf.names():
        assert shelf.cases(profile), f"no case uses {profile}"


@pytest.mark.parametrize("name", SPECS)
def test_the_sample_is_a_valid_link_and_the_readme_names_every_key(name: str) -> None:
    sample = (DRIVERS / name / "sample.toml").read_text(encoding="utf-8")
    readme = (DRIVERS / name / "README.md").read_text(encoding="utf-8")
    (link,) = tomllib.loads(sample)["links"]
    settings = SPECS[name].parse(link, "links[0]")
    assert [device.device for device in settings.devices] == [table["id"] for table in link["devices"]]
    for key in KEYS[name]:
        assert f"`{key}`" in readme or f"`devices.{key}`" in readme
        assert f"{key} = " in sample
