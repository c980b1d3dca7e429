"""Walks ``drivers/iec62056/testcases``: a case is data, adding one adds no code."""

import json
import tomllib
from decimal import Decimal
from pathlib import Path

import pytest

import linli_edge.drivers.iec62056
from linli_core.errors import ConfigError, LinliError
from linli_core.instant import from_rfc3339, to_rfc3339
from linli_core.model import Reading, quality_label
from linli_edge.drivers.iec62056.driver import on_line
from linli_edge.drivers.iec62056.settings import LinkSettings, parse
from linli_edge.transport.memory import MemoryTransport
from linli_sim.jumping_loop import on_jumping_loop

FOLDER = Path(linli_edge.drivers.iec62056.__file__).parent / "testcases"
CASES = sorted(path for path in FOLDER.iterdir() if path.is_dir())
NOW = from_rfc3339("2026-11-23T04:00:00Z")


def script(path: Path) -> tuple[list[bytes], list[list[bytes]]]:
    """Return what the gateway says, and what comes back after each of it."""
    said: list[bytes] = []
    answers: list[list[bytes]] = []
    for line in path.read_text(encoding="utf-8").splitlines():
        direction, _, text = line.partition(" ")
        data = text.encode("ascii").decode("unicode_escape").encode("latin-1")
        if direction == ">":
            said.append(data)
            answers.append([])
        elif direction == "<":
            answers[-1].append(data)
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


async def poll_all(settings: LinkSettings, transport: MemoryTransport) -> list[dict[str, object]]:
    driver = on_line(settings, transport, lambda: NOW)
    return [shown(reading) for planned in driver.plan for reading in await driver.poll(planned)]


@pytest.mark.parametrize("case", CASES, ids=lambda path: path.name)
@on_jumping_loop
async def test_case(case: Path) -> None:
    link = tomllib.loads((case / "config.toml").read_text(encoding="utf-8"))["links"][0]
    wire = case / "wire.txt"
    said, answers = script(wire) if wire.exists() else ([], [])
    transport = MemoryTransport(answers)
    error = case / "error.txt"
    if not error.exists():
        expected = json.loads((case / "expected.json").read_text(encoding="utf-8"))
        assert await poll_all(parse(link, "links[0]"), transport) == expected
    else:
        with pytest.raises(LinliError) as caught:
            await poll_all(parse(link, "links[0]"), transport)
        assert f"{caught.value}\n" == error.read_text(encoding="utf-8")
        assert isinstance(caught.value, ConfigError) != wire.exists()
    assert transport.written == said


def test_the_folder_holds_good_and_bad_cases() -> None:
    assert {(case / "error.txt").exists() for case in CASES} == {True, False}


def test_the_sample_is_a_valid_link() -> None:
    sample = (FOLDER.parent / "sample.toml").read_text(encoding="utf-8")
    readme = (FOLDER.parent / "README.md").read_text(encoding="utf-8")
    (link,) = tomllib.loads(sample)["links"]
    assert [device.device for device in parse(link, "links[0]").devices] == ["power-101"]
    for key in ("timeout", "retries", "clock", "address", "interval", "identity", "registers", "password", "wake_up"):
        assert f"{key} = " in sample
        assert f"`{key}`" in readme or f"devices.{key}`" in readme
