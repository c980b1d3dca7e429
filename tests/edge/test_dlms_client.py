"""DLMS meters that are asked, through the optional package: cases as data, refusals, swaps, senseless answers."""

import json
import tomllib
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

import linli_edge.drivers.dlms_client
from linli_core.codecs.dlms import Item
from linli_core.codecs.dlms.apdu import Attribute
from linli_core.errors import ConfigError, DeviceError, LinkError, LinliError, ProtocolError
from linli_core.instant import from_rfc3339, to_rfc3339
from linli_core.model import Reading, quality_label
from linli_core.obis import parse as code
from linli_edge.drivers.dlms_client import settings
from linli_edge.drivers.dlms_client.driver import DlmsClientDriver
from linli_edge.drivers.dlms_client.settings import parse
from linli_sim.dlms_server import DlmsServer
from linli_sim.jumping_loop import on_jumping_loop

pytest.importorskip("dlms_cosem", reason="the extra dlms is not installed")

FOLDER = Path(linli_edge.drivers.dlms_client.__file__).parent
CASES = sorted(path for path in (FOLDER / "testcases").iterdir() if path.is_dir())
NOW = from_rfc3339("2026-11-23T04:00:00Z")


def holding(objects: list[dict[str, Any]]) -> dict[Attribute, Item]:
    held: dict[Attribute, Item] = {}
    for entry in objects:
        value = bytes.fromhex(entry["octets"]) if "octets" in entry else entry["value"]
        held[Attribute(entry["class"], code(entry["code"]), 2)] = Item(entry["type"], value)
        if "scaler" in entry:
            scaler = (Item(0x0F, entry["scaler"]), Item(0x16, entry["unit"]))
            held[Attribute(entry["class"], code(entry["code"]), 3)] = Item(2, scaler)
    return held


def shown(reading: Reading) -> dict[str, object]:
    value = format(reading.value, "f") if isinstance(reading.value, Decimal) else reading.value
    item: dict[str, object] = {"point": reading.point.name, "value": value}
    if quality_label(reading.quality, reading.reason) != "good":
        item["quality"] = quality_label(reading.quality, reading.reason)
    if reading.device_time is not None:
        item["device_time"] = to_rfc3339(reading.device_time)
    return item


async def poll(link: dict[str, Any], server: DlmsServer | None) -> list[dict[str, object]]:
    if server is None:
        parse(link, "links[0]")
        return []
    async with server.listen() as port:
        for device in link["devices"]:
            device |= {"host": "127.0.0.1", "port": port}
        driver = DlmsClientDriver(parse(link, "links[0]"), lambda: NOW)
        return [shown(reading) for planned in driver.plan for reading in await driver.poll(planned)]


async def outcome(case: Path) -> list[dict[str, object]]:
    (link,) = tomllib.loads((case / "config.toml").read_text(encoding="utf-8"))["links"]
    held = case / "meter.json"
    if not held.exists():
        return await poll(link, None)
    meter = json.loads(held.read_text(encoding="utf-8"))
    return await poll(link, DlmsServer(holding(meter["objects"]), meter.get("password", "")))


@pytest.mark.parametrize("case", CASES, ids=lambda path: path.name)
@on_jumping_loop
async def test_case(case: Path) -> None:
    error = case / "error.txt"
    if not error.exists():
        assert await outcome(case) == json.loads((case / "expected.json").read_text(encoding="utf-8"))
        return
    with pytest.raises(LinliError) as caught:
        await outcome(case)
    assert f"{caught.value}\n" == error.read_text(encoding="utf-8")
    assert isinstance(caught.value, ConfigError) != (case / "meter.json").exists()


OBJECTS = [
    {"class": 1, "code": "0-0:96.1.0", "type": 9, "octets": b"LNL1".hex()},
    {"class": 3, "code": "1-0:1.8.0", "type": 6, "value": 1234, "scaler": 1, "unit": 30},
]


def link(**device: object) -> dict[str, Any]:
    return {"timeout": "300 ms", "devices": [{"id": "m", "host": "h", "read_clock": False, **device}]}


@on_jumping_loop
async def test_scalers_are_read_once_and_anew_after_a_swap() -> None:
    server = DlmsServer(holding(OBJECTS))
    async with server.listen() as port:
        driver = DlmsClientDriver(parse(link(host="127.0.0.1", port=port), "links[0]"), lambda: NOW)
        (planned,) = driver.plan
        counts = []
        for number in (b"LNL1", b"LNL1", b"LNL2", b"LNL2"):
            server.objects = holding([OBJECTS[0] | {"octets": number.hex()}, OBJECTS[1]])
            server.requests.clear()
            assert [item.value for item in await driver.poll(planned)][-1] == 12340
            counts.append(sum(request[0] == 0xC0 for request in server.requests))
        assert counts == [3, 2, 3, 2]
        assert driver.swaps == 1


SENSELESS = [
    b"",
    b"\xc4\x01\xc1\x00\x06\x00",
    b"\xc4\x01\xc1\x01\x03",
    b"\xff\xff",
    b"\xd8\x01\x01",
    b"\x61\x00",
    bytes(40),
]


@pytest.mark.parametrize("said", SENSELESS, ids=bytes.hex)
@pytest.mark.parametrize("at", [0, 1])
@on_jumping_loop
async def test_answers_that_make_no_sense_are_named_errors(said: bytes, at: int) -> None:
    server = DlmsServer(holding(OBJECTS), sayings=[None] * at + [said])
    with pytest.raises((LinkError, ProtocolError, DeviceError)):
        await poll(link(identity="LNL1"), server)


@pytest.mark.parametrize("said", SENSELESS, ids=bytes.hex)
@on_jumping_loop
async def test_a_senseless_value_is_never_a_value(said: bytes) -> None:
    # Association, number and scaler are right.
    server = DlmsServer(holding(OBJECTS), sayings=[None, None, None, said])
    try:
        found = await poll(link(), server)
    except (LinkError, ProtocolError):
        return
    assert found[-1] == {"point": "m/energy_import", "value": None, "quality": "bad/refused_by_device"}


@on_jumping_loop
async def test_another_port_that_answers_is_not_taken() -> None:
    with pytest.raises(ProtocolError, match="wPort 7 answered"):
        await poll(link(), DlmsServer(holding(OBJECTS), source=7))


@on_jumping_loop
async def test_nobody_there() -> None:
    driver = DlmsClientDriver(parse(link(host="127.0.0.1", port=1), "links[0]"), lambda: NOW)
    with pytest.raises(LinkError, match="no connection"):
        await driver.poll(driver.plan[0])
    assert driver.counters()["m"].timeouts == 1


def test_without_the_package_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "PACKAGE", "no_such_package")
    with pytest.raises(ConfigError) as caught:
        parse(link(), "links[0]")
    assert str(caught.value) == (
        "links[0].driver: the package dlms-cosem is not installed; try: pip install 'linli[dlms]'"
    )


def test_the_sample_is_a_valid_link() -> None:
    (sample,) = tomllib.loads((FOLDER / "sample.toml").read_text(encoding="utf-8"))["links"]
    assert [device.device for device in parse(sample, "links[0]").devices] == ["power-201", "power-202"]
