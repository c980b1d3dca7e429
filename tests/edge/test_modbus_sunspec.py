"""SunSpec: the models against another implementation's definitions, the walk, and a layout that changes."""

import asyncio
import json
import struct
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from fractions import Fraction
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linli_core.errors import ConfigError, DeviceError, ProtocolError
from linli_core.model import Phase, Quality, Reading, Reason
from linli_core.vocabulary import vocabulary
from linli_edge.drivers.modbus import SPEC
from linli_edge.drivers.modbus.driver import ModbusDriver
from linli_edge.drivers.modbus.plan import Limits, blocks_of
from linli_edge.drivers.modbus.registers import RegisterTable
from linli_edge.drivers.modbus.sunspec import walk
from linli_edge.drivers.modbus.sunspec_models import MODELS, entries
from linli_sim.jumping_loop import on_jumping_loop
from linli_sim.modbus_registers import Denied, Unit
from linli_sim.modbus_server import ModbusServer

NOW = 1_790_000_000_000_000
UNITS = {"VAh": "kVAh", "Pct": "/", "PF": "/", "C": "Cel"}
FLOATS = {111, 112, 113}
NOT_INT, NOT_UINT = 0x8000, 0xFFFF


def definition(model: int) -> dict[int, dict[str, Any]]:
    """The points of a model by their offset, as pysunspec2 carries them."""
    text = (files("sunspec2") / "models" / "json" / f"model_{model}.json").read_text(encoding="utf-8")
    found, offset = {}, 0
    for point in json.loads(text)["group"]["points"]:
        found[offset] = point
        offset += point["size"]
    return found


def offset_of(points: dict[int, dict[str, Any]], name: str) -> int:
    return next(offset for offset, point in points.items() if point["name"] == name)


@pytest.mark.parametrize("model", sorted(MODELS))
def test_each_place_is_where_and_what_the_definition_says(model: int) -> None:
    points = definition(model)
    length, places = MODELS[model]
    assert length == sum(point["size"] for point in points.values()) - 2
    words = vocabulary()
    for place in places:
        point = points[place.offset]
        kinds = {"int16": "int16", "uint16": "uint16", "enum16": "uint16", "acc32": "uint32", "float32": "float32"}
        assert place.kind.label == kinds[point["type"]], point["name"]
        assert place.counter == (point["type"] == "acc32" or (place.quantity == "energy_export" and model in FLOATS))
        if "sf" in point:
            assert place.scale == offset_of(points, point["sf"]), point["name"]
        else:
            assert place.scale == 0
        legs = {Phase.L1: "A", Phase.L2: "B", Phase.L3: "C", Phase.L12: "AB", Phase.L23: "BC", Phase.L31: "CA"}
        name = point["name"].replace("Ph", "ph")
        suffix = name.rpartition("ph")[2] if "ph" in name and name.rpartition("ph")[2] in legs.values() else ""
        assert suffix == (legs[place.phase] if place.phase else ""), point["name"]
        quantity = words[place.quantity]
        if unit := point.get("units"):
            wanted = {"Pct": Fraction(1, 100), "VAh": Fraction(1, 1000)}.get(unit, Fraction(1))
            assert place.unit == wanted, point["name"]
            assert quantity.unit == UNITS.get(unit, unit), point["name"]


def test_no_two_places_of_a_model_are_one_point() -> None:
    for model in MODELS:
        names = [entry.of("d").name for entry in entries(model, 0, RegisterTable.HOLDING, "t")]
        assert len(set(names)) == len(names)


@pytest.mark.parametrize("model", sorted(MODELS))
def test_a_whole_model_is_one_request(model: int) -> None:
    held = entries(model, 40_069, RegisterTable.HOLDING, "t")
    assert len(blocks_of([(entry, entry.of("d")) for entry in held], Limits())) == 1


def common(serial: str, maker: str = "Acme") -> list[int]:
    fields = ((maker, 16), ("X-1", 16), ("", 8), ("1.2", 8), (serial, 16))
    texts = b"".join(text.encode().ljust(2 * size, b"\0") for text, size in fields)
    return [1, 66, *struct.unpack(f">{len(texts) // 2}H", texts), 1, 0x8000]


def integers(model: int, values: dict[int, int]) -> list[int]:
    """A model of integers: what is not given is "not implemented"."""
    points = definition(model)
    length = MODELS[model][0]
    words = [model, length]
    for offset in range(2, length + 2):
        kind = points[offset]["type"] if offset in points else "acc32"
        absent = {"int16": NOT_INT, "sunssf": NOT_INT, "uint16": NOT_UINT, "enum16": NOT_UINT}.get(kind, 0)
        words.append(values.get(offset, absent))
    return words


INVERTER = {
    14: 5023, 15: 0xFFFF,  # 502.3 W
    2: 411, 6: 0xFFFE,  # 4.11 A
    10: 2304, 13: 0xFFFF,  # 230.4 V
    22: 0xFC2F, 23: 0xFFFF,  # -977 × 0.1 %
    24: 0x0001, 25: 0x86A0, 26: 2,  # 100,000 × 100 Wh
    38: 4,
}  # fmt: skip
METER = {18: 0x10000 - 1234, 22: 0, 46: 0, 47: 987, 54: 3, 55: 0, 56: 12, 71: 3}


def device_with(*models: list[int], base: int = 40_000) -> Unit:
    unit = Unit()
    put_chain(unit, *models, base=base)
    return unit


def put_chain(unit: Unit, *models: list[int], base: int = 40_000) -> None:
    unit.tables["holding"].clear()
    unit.put("holding", base, [0x5375, 0x6E53, *(word for model in models for word in model), 0xFFFF, 0])


@asynccontextmanager
async def opened(unit: Unit, quirks: Mapping[str, Any] | None = None, **sunspec: Any) -> AsyncIterator[ModbusDriver]:
    device = {"id": "pv", "unit": 1, "sunspec": sunspec, **(quirks or {})}
    async with ModbusServer({1: unit}).listen() as port:
        table = {"id": "roof", "driver": "modbus", "host": "127.0.0.1", "port": port, "devices": [device]}
        async with SPEC.open(SPEC.parse(table, "links[0]"), lambda: NOW) as driver:
            assert isinstance(driver, ModbusDriver)
            yield driver


async def poll(driver: ModbusDriver) -> dict[str, Any]:
    return shown(await driver.poll(driver.plan[0]))


def shown(readings: list[Reading]) -> dict[str, Any]:
    return {
        reading.point.local_name: reading.value if reading.value is not None else reading.reason for reading in readings
    }


@pytest.mark.parametrize("base", [40_000, 50_000, 0])
@on_jumping_loop
async def test_an_inverter_is_found_and_read_in_the_vocabularys_units(base: int) -> None:
    unit = device_with(common("sn-1"), integers(103, INVERTER), base=base)
    async with opened(unit) as driver:
        assert driver.plan[0].points == ()
        found = await poll(driver)
        before = unit.requests
        assert await poll(driver) == found
        assert unit.requests == before + 1  # the serial number, the model's head and its points in one
    assert {name: value for name, value in found.items() if not isinstance(value, Reason)} == {
        "active_power": 502.3,
        "current": 4.11,
        "voltage.l1": 230.4,
        "power_factor": -0.977,
        "energy_export": 10_000_000,
        "inverter_state": "mppt",
    }
    assert {value for value in found.values() if isinstance(value, Reason)} == {Reason.NOT_IMPLEMENTED}
    assert len(found) == len(MODELS[103][1])


@on_jumping_loop
async def test_a_device_that_gives_few_registers_at_a_time_is_looked_through_in_pieces() -> None:
    unit = device_with(common("sn-1"), integers(203, METER))
    unit.most = 30
    async with opened(unit, {"max_registers": 30, "even_counts": True}) as driver:
        found = await poll(driver)
        assert (found["active_power"], found["energy_import"]) == (-1234, 987_000)
        # Head, points and scale factors come in several answers now; a changed layout is still noticed.
        put_chain(unit, common("sn-1"), [120, 26, *[0] * 26], integers(203, METER))
        assert await poll(driver) == found


@on_jumping_loop
async def test_the_meter_behind_an_inverter_is_another_device_of_the_same_unit() -> None:
    unit = device_with(common("sn-1"), integers(103, INVERTER), common("sn-2"), integers(203, METER))
    async with opened(unit, kind="meter") as driver:
        found = await poll(driver)
    assert found["active_power"] == -1234
    assert found["energy_import"] == 987_000
    assert found["apparent_energy_export"] == 12
    assert found["current"] is Reason.NOT_IMPLEMENTED


@on_jumping_loop
async def test_floats_are_read_and_nan_is_missing() -> None:
    nan = struct.unpack(">2H", struct.pack(">f", float("nan")))
    words = [213, 124, *(nan * 61), *struct.unpack(">2H", struct.pack(">f", 0.97)), *nan]
    words[2 + 26 : 2 + 28] = struct.unpack(">2H", struct.pack(">f", -480.25))
    words = words[:126]
    async with opened(device_with(common("m"), words)) as driver:
        found = await poll(driver)
    assert found["active_power"] == -480.25
    assert found["voltage.l1"] is Reason.NOT_IMPLEMENTED


@on_jumping_loop
async def test_a_chain_that_has_grown_is_looked_through_again_within_the_same_poll() -> None:
    inverter, meter = integers(103, INVERTER), integers(203, METER)
    unit = device_with(common("sn-1"), inverter, common("sn-2"), meter)
    async with opened(unit, kind="meter") as driver:
        first = await poll(driver)
        put_chain(unit, common("sn-1"), inverter, [120, 26, *[0] * 26], common("sn-2"), meter)
        assert await poll(driver) == first
        # It shrinks again: where the meter stood is nothing now.
        put_chain(unit, common("sn-2"), meter)
        assert await poll(driver) == first


@on_jumping_loop
async def test_a_meter_put_before_the_one_we_read_does_not_take_its_place() -> None:
    ours, other = integers(203, METER), integers(203, {18: 1, 22: 0})
    unit = device_with(common("sn-1"), ours)
    async with opened(unit) as driver:
        first = await poll(driver)
        put_chain(unit, common("sn-0"), other, common("sn-1"), ours)
        assert await poll(driver) == first
        put_chain(unit, common("sn-0"), other)
        with pytest.raises(DeviceError, match='"sn-1" was expected') as caught:
            await poll(driver)
        assert caught.value.kind == "wrong_device"


class Moody(Unit):
    """A unit that is busy whenever it is asked for some of its registers."""

    busy: range = range(0)

    def _read(self, table: str, address: int, count: int) -> bytes:
        if any(place in self.busy for place in range(address, address + count)):
            raise Denied(6)
        return super()._read(table, address, count)


@pytest.mark.parametrize(
    "guard",
    [range(40_052, 40_068), range(40_070, 40_072)],
    ids=["the serial number", "the model's head"],
)
@on_jumping_loop
async def test_without_its_guards_nothing_that_was_read_is_believed(guard: range) -> None:
    """Another meter may stand there by now: which, nobody could look in this poll."""
    unit = Moody()
    put_chain(unit, common("sn-1"), integers(203, METER))
    async with opened(unit, {"max_registers": 30}) as driver:
        first = await poll(driver)
        assert first["active_power"] == -1234
        unit.busy = guard
        readings = await driver.poll(driver.plan[0])
        assert readings
        assert {reading.quality for reading in readings} == {Quality.BAD}
        assert shown(readings)["energy_import"] is Reason.REFUSED_BY_DEVICE
        unit.busy = range(0)
        assert await poll(driver) == first


@pytest.mark.parametrize(
    ("models", "kind", "text"),
    [
        ([common("a"), [120, 26, *[0] * 26]], "no_such_model", r"no inverter or meter number 1 \(models: 1, 120\)"),
        ([common("a"), [103, 10, *[0] * 10]], "short_model", "model 103 has 10 registers, 50 are its least"),
    ],
)
@on_jumping_loop
async def test_a_device_without_what_is_wanted_says_what_it_has(models: Any, kind: str, text: str) -> None:
    async with opened(device_with(*models)) as driver:
        with pytest.raises(DeviceError, match=text) as caught:
            await poll(driver)
        assert caught.value.kind == kind


@on_jumping_loop
async def test_a_device_that_is_no_sunspec_device_is_told_so() -> None:
    unit = Unit()
    unit.put("holding", 0, [1, 2, 3])
    async with opened(unit) as driver:
        with pytest.raises(DeviceError, match="no marker at 40000, 50000, 0"):
            await poll(driver)


@on_jumping_loop
async def test_a_chain_without_an_end_is_malformed() -> None:
    unit = Unit()
    unit.put("holding", 0, [0x5375, 0x6E53, *[120, 0] * 400])
    async with opened(unit) as driver:
        with pytest.raises(ProtocolError, match="has no end"):
            await poll(driver)


@given(st.lists(st.integers(0, 0xFFFF), max_size=300))
def test_whatever_stands_behind_the_marker_the_walk_ends_by_name(words: list[int]) -> None:
    unit = Unit()
    unit.put("holding", 0, [0x5375, 0x6E53, *words])

    async def read(address: int, count: int) -> bytes:
        try:
            return unit._read("holding", address, count)[1:]
        except Denied as exc:
            raise DeviceError("refused", code=exc.code) from exc

    try:
        found = asyncio.run(walk(read))
    except (DeviceError, ProtocolError):
        return
    assert all(model.address + 2 + model.length <= 302 for device in found for model in device.models)


@pytest.mark.vectors
@on_jumping_loop
async def test_the_recorded_scan_is_walked(vectors: Path) -> None:
    recorded = json.loads((vectors / "modbus" / "sunspec_tcp_scan.json").read_text(encoding="utf-8"))
    unit = Unit()
    for asked, answered in zip(recorded["input"]["requests"], recorded["input"]["responses"], strict=False):
        address, data = int(asked[16:20], 16), bytes.fromhex(answered)[9:]
        unit.put("holding", address, struct.unpack(f">{len(data) // 2}H", data))
    expected = recorded["expected"]
    first, second = expected["models"]
    # The recording holds no register of the second model but its head.
    end = 40_000 + 2 + 2 + first["length"] + 2 + second["length"]
    unit.put("holding", end - second["length"] - 2, [second["id"], second["length"]])
    unit.put("holding", end, [0xFFFF, 0])

    async def read(address: int, count: int) -> bytes:
        return unit._read("holding", address, count)[1:]

    (device,) = await walk(read)
    assert [(model.id, model.length) for model in device.models] == [(1, 66), (second["id"], second["length"])]
    assert (device.maker, device.model, device.version, device.serial) == (
        first["manufacturer"],
        first["model"],
        first["version"],
        first["serial"],
    )


def test_a_profile_beside_sunspec_is_refused() -> None:
    device = {"id": "pv", "unit": 1, "sunspec": {"kind": "roof"}, "profile": "eastron-sdm630"}
    with pytest.raises(ConfigError) as caught:
        SPEC.parse({"id": "r", "driver": "modbus", "host": "h", "devices": [device]}, "links[0]")
    assert "links[0].devices[0].profile: beside sunspec" in str(caught.value)
    assert "links[0].devices[0].sunspec.kind" in str(caught.value)
