"""Walks ``drivers/wmbus/testcases``: a case is data, adding one adds no code."""

import json
import tomllib
from decimal import Decimal
from pathlib import Path

import pytest

import linli_edge.drivers.wmbus
from linli_core.errors import ConfigError, LinliError
from linli_core.instant import from_rfc3339, to_rfc3339
from linli_core.model import Reading, quality_label
from linli_edge.drivers.wmbus.driver import WmbusDriver
from linli_edge.drivers.wmbus.settings import parse

FOLDER = Path(linli_edge.drivers.wmbus.__file__).parent / "testcases"
CASES = sorted(path for path in FOLDER.iterdir() if path.is_dir())
NOW = from_rfc3339("2026-11-25T08:00:00Z")


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


async def collected(case: Path) -> list[dict[str, object]]:
    (link,) = tomllib.loads((case / "config.toml").read_text(encoding="utf-8"))["links"]
    settings = parse(link, "links[0]")
    settings.memory.first_wait = 0
    driver = WmbusDriver(settings, lambda: NOW)
    lines = case / "lines.txt"
    for line in lines.read_text(encoding="utf-8").splitlines() if lines.exists() else ():
        driver.hearing.hear(line, NOW)
    return [shown(reading) for planned in driver.plan for reading in await driver.poll(planned)]


@pytest.mark.parametrize("case", CASES, ids=lambda path: path.name)
async def test_case(case: Path) -> None:
    error = case / "error.txt"
    if not error.exists():
        assert await collected(case) == json.loads((case / "expected.json").read_text(encoding="utf-8"))
        return
    with pytest.raises(LinliError) as caught:
        await collected(case)
    assert f"{caught.value}\n" == error.read_text(encoding="utf-8")
    assert isinstance(caught.value, ConfigError) != (case / "lines.txt").exists()


def test_the_folder_holds_good_and_bad_cases() -> None:
    assert {(case / "error.txt").exists() for case in CASES} == {True, False}


def test_the_sample_is_a_valid_link() -> None:
    (link,) = tomllib.loads((FOLDER.parent / "sample.toml").read_text(encoding="utf-8"))["links"]
    devices = parse(link, "links[0]").devices
    assert [device.device for device in devices] == ["water-101", "heat-101", "allocator-101-kitchen"]


def test_the_readme_names_every_key() -> None:
    readme = (FOLDER.parent / "README.md").read_text(encoding="utf-8")
    sample = (FOLDER.parent / "sample.toml").read_text(encoding="utf-8")
    for key in (
        *("transport", "host", "port", "topic", "field", "username", "password_file", "tls", "ca", "path", "keys_file"),
        *("clock", "meter", "key", "plain", "interval", "max_age", "profile", "meters"),
    ):
        assert f"`{key}`" in readme or f"`devices.{key}`" in readme
        assert f"{key} = " in sample
