"""Pulse loggers: cases as data, counts that survive a restart, a new preset, lines in any pieces."""

import asyncio
import json
import tomllib
from decimal import Decimal
from pathlib import Path

import pytest

import linli_edge.drivers.pulse
from linli_core.errors import LinliError
from linli_core.instant import Instant, from_rfc3339
from linli_core.model import Quality, Reading, quality_label
from linli_edge.drivers.pulse import SPEC
from linli_edge.drivers.pulse.driver import PulseDriver
from linli_edge.drivers.pulse.settings import parse
from linli_edge.transport.memory import MemoryTransport
from linli_sim.jumping_loop import on_jumping_loop

FOLDER = Path(linli_edge.drivers.pulse.__file__).parent
CASES = sorted(path for path in (FOLDER / "testcases").iterdir() if path.is_dir())
NOW = from_rfc3339("2026-11-23T04:00:00Z")


def clock() -> Instant:
    return NOW


async def heard(table: dict[str, object], *chunks: bytes) -> tuple[PulseDriver, list[Reading]]:
    transport = MemoryTransport()
    transport.feed(*chunks)
    transport.end()
    driver = PulseDriver(parse(table, "links[0]"), transport, clock)
    async with asyncio.timeout(10):
        await driver.listen()
        return driver, [reading for planned in driver.plan for reading in await driver.poll(planned)]


def shown(reading: Reading) -> dict[str, object]:
    value = format(reading.value, "f") if isinstance(reading.value, Decimal) else reading.value
    return {"point": reading.point.name, "value": value, "quality": quality_label(reading.quality, reading.reason)}


@pytest.mark.parametrize("case", CASES, ids=lambda path: path.name)
@on_jumping_loop
async def test_case(case: Path, tmp_path: Path) -> None:
    (link,) = tomllib.loads((case / "config.toml").read_text(encoding="utf-8"))["links"]
    if "state" in link:
        link["state"] = str(tmp_path / "state.json")
    wire = (case / "wire.txt").read_bytes() if (case / "wire.txt").exists() else b""
    if (case / "error.txt").exists():
        with pytest.raises(LinliError) as caught:
            await heard(link, wire)
        assert f"{caught.value}\n" == (case / "error.txt").read_text(encoding="utf-8")
        return
    _, readings = await heard(link, wire)
    assert [shown(reading) for reading in readings] == json.loads((case / "expected.json").read_text(encoding="utf-8"))


def test_the_sample_is_a_valid_link_and_the_page_names_its_keys() -> None:
    text, readme = ((FOLDER / name).read_text(encoding="utf-8") for name in ("sample.toml", "README.md"))
    (link,) = tomllib.loads(text)["links"]
    assert [entry.device for entry in SPEC.parse(link, "links[0]").inputs.values()] == ["water-101", "power-101"]
    for key in ("input", "quantity", "pulse", "preset", "wrap", "debounce", "fastest", "interval", "patience"):
        assert f"{key} = " in text
        assert f"`devices.{key}`" in readme


def table(tmp_path: Path, **device: object) -> dict[str, object]:
    return {
        "host": "h",
        "port": 1,
        "state": str(tmp_path / "state.json"),
        "devices": [{"id": "m", "input": "1", "pulse": "10 l", "preset": "5 m3", **device}],
    }


@pytest.mark.parametrize("size", [1, 4, 100])
@on_jumping_loop
async def test_lines_in_any_pieces(tmp_path: Path, size: int) -> None:
    data = b"1=10\r\nnoise\r\n1: 15\n2=3\n" + b"x" * 300 + b"\n1 20\n1=20\n1=2"
    _, readings = await heard(table(tmp_path), *(data[at : at + size] for at in range(0, len(data), size)))
    assert readings[0].value == Decimal("5.10")


@on_jumping_loop
async def test_counts_go_on_after_a_restart_and_begin_anew_with_a_preset(tmp_path: Path) -> None:
    await heard(table(tmp_path), b"1=10\n")
    _, readings = await heard(table(tmp_path), b"1=30\n1=30\n")
    assert readings[0].value == Decimal("5.20")
    # While the gateway was off the logger went on, and its count was lost once.
    _, readings = await heard(table(tmp_path), b"1=4\n")
    assert readings == []  # a lost digit looks the same: the next line tells
    _, readings = await heard(table(tmp_path), b"1=5\n")
    assert (readings[0].value, readings[0].quality) == (Decimal("5.24"), Quality.UNCERTAIN)
    _, readings = await heard(table(tmp_path, preset="7.5 m3"), b"1=6\n1=6\n")
    assert (readings[0].value, readings[0].quality) == (Decimal("7.52"), Quality.GOOD)


@on_jumping_loop
async def test_pulses_one_by_one(tmp_path: Path) -> None:
    given = table(tmp_path, debounce="30 ms") | {"reports": "pulses"}
    _, readings = await heard(given, b"1\n1\n1\n")
    # All came in one moment: a bouncing contact.
    assert readings[0].value == Decimal("5.01")
    _, readings = await heard(given, b"1\n")
    assert readings[0].value == Decimal("5.02")


@on_jumping_loop
async def test_what_cannot_be_is_refused_and_counted(tmp_path: Path) -> None:
    driver, readings = await heard(table(tmp_path, wrap="16 bit"), b"1=70000\n1=10\n1=70000\nhello\n")
    assert readings[0].value == Decimal("5.00")
    assert (driver.counters()["m"].malformed, driver.unknown) == (2, 1)


@on_jumping_loop
async def test_a_line_with_noise_in_its_count_is_none(tmp_path: Path) -> None:
    driver, readings = await heard(table(tmp_path), b"1=12345\n1=12?45\n1=12346\n1=12346\n")
    assert driver.unknown == 1
    assert [(reading.value, reading.quality) for reading in readings][-1] == (1, Quality.GOOD)
