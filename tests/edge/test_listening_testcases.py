"""Walks the cases of the drivers that listen (P1, DLMS): what arrives, and the readings of one poll or the error."""

import asyncio
import json
import tomllib
from collections.abc import Awaitable, Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

import linli_edge.drivers.dlms
import linli_edge.drivers.p1
from linli_core.errors import ConfigError, LinliError
from linli_core.instant import HOUR, SECOND, Instant, from_rfc3339, to_rfc3339
from linli_core.model import Reading, quality_label
from linli_edge.drivers.dlms.driver import DlmsDriver
from linli_edge.drivers.dlms.entrance import Entrance
from linli_edge.drivers.p1.driver import P1Driver
from linli_edge.transport.memory import MemoryTransport
from linli_sim.jumping_loop import on_jumping_loop

FOLDERS = {name: Path(module.__file__ or "").parent for name, module in (
    ("p1", linli_edge.drivers.p1), ("dlms", linli_edge.drivers.dlms)
)}  # fmt: skip
CASES = sorted(path for folder in FOLDERS.values() for path in (folder / "testcases").iterdir() if path.is_dir())
NOW = from_rfc3339("2026-11-23T04:00:00Z")


class Time:
    def __init__(self) -> None:
        self.now: Instant = NOW

    def __call__(self) -> Instant:
        return self.now


def chunks(path: Path) -> list[bytes]:
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    return [bytes.fromhex(line) for line in lines if line and not line.startswith("#")]


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


def opened(
    name: str, settings: Any, transport: MemoryTransport, time: Time
) -> tuple[Any, Callable[[], Awaitable[None]]]:
    if name == "p1":
        port = P1Driver(settings, transport, time)
        return port, port.listen
    driver = DlmsDriver(settings, time)
    entrance = Entrance(driver.new_stream)
    entrance.on_line(transport)
    return driver, entrance.listen


async def readings_of(case: Path) -> list[dict[str, object]]:
    name = case.parent.parent.name
    module = getattr(linli_edge.drivers, name)
    settings = module.SPEC.parse(
        tomllib.loads((case / "config.toml").read_text(encoding="utf-8"))["links"][0], "links[0]"
    )
    transport, time = MemoryTransport(), Time()
    transport.feed(*chunks(case / "wire.hex"))
    transport.end()
    driver, listen = opened(name, settings, transport, time)
    async with asyncio.timeout(10):
        await listen()
        if not any(waiting for waiting in driver.inbox._waiting.values()):
            time.now += HOUR
            driver.inbox._news.set()
            driver._settings.known.setdefault(driver.plan[0].device, "")
        return [shown(reading) for planned in driver.plan for reading in await driver.poll(planned)]


@pytest.mark.parametrize("case", CASES, ids=lambda path: f"{path.parent.parent.name}-{path.name}")
@on_jumping_loop
async def test_case(case: Path) -> None:
    error = case / "error.txt"
    if not error.exists():
        assert await readings_of(case) == json.loads((case / "expected.json").read_text(encoding="utf-8"))
        return
    with pytest.raises(LinliError) as caught:
        await readings_of(case)
    assert f"{caught.value}\n" == error.read_text(encoding="utf-8")
    assert isinstance(caught.value, ConfigError) != (case / "wire.hex").exists()


@pytest.mark.parametrize("name", FOLDERS)
def test_the_folder_holds_good_and_bad_cases(name: str) -> None:
    assert {(case / "error.txt").exists() for case in CASES if case.parent.parent.name == name} == {True, False}


@pytest.mark.parametrize("name", FOLDERS)
def test_the_sample_is_a_valid_link_and_names_every_key(name: str) -> None:
    text = (FOLDERS[name] / "sample.toml").read_text(encoding="utf-8")
    readme = (FOLDERS[name] / "README.md").read_text(encoding="utf-8")
    (link,) = tomllib.loads(text)["links"]
    settings = getattr(linli_edge.drivers, name).SPEC.parse(link, "links[0]")
    assert settings.state is None
    for key in ("interval", "patience", "identity", "authentication_key", "clock", "state"):
        assert f"{key} = " in text
        assert key in readme


def test_an_interval_longer_than_the_patience_is_no_silence() -> None:
    table = {"host": "h", "port": 1, "devices": [{"id": "m", "interval": "1 h"}]}
    assert linli_edge.drivers.p1.SPEC.parse(table, "links[0]").patience == 3600 * SECOND
    assert linli_edge.drivers.dlms.SPEC.parse(table, "links[0]").devices[0].patience == 3 * 3600 * SECOND
