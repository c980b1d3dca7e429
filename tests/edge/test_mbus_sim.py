"""The simulated and the replayed meters, each through the driver and over a socket."""

import argparse
import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from linli_core.codecs.mbus import LongFrame, decode_frame, decode_telegram
from linli_core.codecs.mbus.frame import encode_frame
from linli_core.codecs.mbus.quantities import UNMAPPED
from linli_core.codecs.mbus.request import Secondary, select
from linli_core.instant import DAY, HOUR, MINUTE, from_rfc3339
from linli_core.model import Reading
from linli_edge.drivers.mbus import SPEC
from linli_edge.drivers.mbus.meter_profile import quirks_of
from linli_sim import mbus, replay
from linli_sim.jumping_loop import on_jumping_loop
from linli_sim.mbus_meters import Consumption, SimulatedMeter, make_meters
from linli_sim.mbus_server import CONNECTIONS, MbusServer
from linli_sim.mbus_slave import BusSegment, Slave
from linli_sim.vectors.mbus_expectations import expected_readings
from linli_sim.vectors.mbus_recordings import Recording, load

NOW = from_rfc3339("2026-11-23T04:00:00Z")


def link(port: int, devices: Sequence[dict[str, object]]) -> Any:
    table = {
        "id": "bus",
        "driver": "mbus",
        "host": "127.0.0.1",
        "port": port,
        "timeout": "200 ms",
        "devices": list(devices),
    }
    return SPEC.parse(table, "links[0]")


async def poll_each(port: int, devices: Sequence[dict[str, object]]) -> list[list[Reading]]:
    async with SPEC.open(link(port, devices), lambda: NOW) as driver:
        return [await driver.poll(planned) for planned in driver.plan]


class Command:
    """A sub-command of linli-sim running in this loop."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self.capsys = capsys
        self.port = 0
        self.addresses: dict[str, Any] = {}

    @contextlib.asynccontextmanager
    async def running(self, module: Any, *words: str) -> AsyncIterator["Command"]:
        parser = argparse.ArgumentParser()
        module.add_arguments(parser.add_subparsers())
        task = asyncio.create_task(module.run(parser.parse_args(words)))
        try:
            text = ""
            while text.count("\n") < 2:
                assert not task.done(), task
                await asyncio.wait([task], timeout=0.01)
                text += self.capsys.readouterr().out
            ready, addresses = text.splitlines()
            assert ready.startswith("ready on 127.0.0.1:")
            self.port = int(ready.rpartition(":")[2])
            self.addresses = json.loads(addresses)
            yield self
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task


@on_jumping_loop
async def test_the_mbus_command_serves_as_many_meters_as_asked(capsys: pytest.CaptureFixture[str]) -> None:
    async with Command(capsys).running(mbus, "mbus", "--port", "0", "--meters", "7", "--seed", "3") as command:
        assert list(command.addresses) == [str(address) for address in range(1, 8)]
        devices = [
            {"id": f"by-address-{address}", "address": int(address), "identity": meter["id"]}
            for address, meter in command.addresses.items()
        ] + [{"id": f"by-identity-{address}", "address": meter["id"]} for address, meter in command.addresses.items()]
        readings = await poll_each(command.port, devices)
    assert all(len(found) >= 6 for found in readings)
    names = [{reading.point.local_name for reading in found} for found in readings]
    assert names[:7] == names[7:]


@pytest.mark.parametrize("count", ["0", "251", "x"])
def test_there_are_addresses_for_1_to_250_meters(count: str, capsys: pytest.CaptureFixture[str]) -> None:
    parser = argparse.ArgumentParser()
    mbus.add_arguments(parser.add_subparsers())  # type: ignore[arg-type]
    with pytest.raises(SystemExit):
        parser.parse_args(["mbus", "--meters", count])
    assert "--meters" in capsys.readouterr().err


def test_the_same_seed_gives_the_same_meters_and_another_seed_others() -> None:
    def frames(seed: int) -> list[LongFrame]:
        return [frame for meter in make_meters(6, seed, NOW - DAY) for frame in meter.frames(NOW, 0)]

    assert frames(1) == frames(1)
    assert frames(1) != frames(2)


@pytest.mark.parametrize("shift", [-1.2, 0.0, 0.7])
def test_a_counter_is_the_integral_of_its_rate(shift: float) -> None:
    use = Consumption(mean=100.0, start=5.0, since=NOW - 3 * DAY - 7 * MINUTE, shift=shift)
    assert use.total(use.since) == 5.0
    step = 5 * MINUTE
    total = 5.0
    for start in range(use.since, NOW, step):
        middle = use.rate(start + step // 2)
        assert use.total(start + step) >= use.total(start)
        total += middle * step / HOUR
    assert use.total(NOW) == pytest.approx(total, rel=1e-3)
    assert use.total(use.since + DAY) - 5.0 == pytest.approx(2400.0, rel=1e-6)


def values(meter: SimulatedMeter, now: int) -> list[Decimal]:
    frames = meter.frames(now, 0)
    records = [record for frame in frames for record in decode_telegram(frame).records]
    return [record.value for record in records if isinstance(record.value, Decimal)]


def test_simulated_counters_never_go_back_over_a_month() -> None:
    for meter in make_meters(3, 5, NOW):
        counters = [values(meter, NOW + hours * HOUR)[0] for hours in range(0, 24 * 40, 5)]
        assert counters == sorted(counters)
        assert counters[-1] > counters[0]


@on_jumping_loop
async def test_more_connections_than_a_converter_takes_are_closed() -> None:
    server = MbusServer(BusSegment([Slave(1, None, lambda: [b"page"])]))
    async with server.listen() as port, contextlib.AsyncExitStack() as stack:
        for _ in range(CONNECTIONS):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            stack.callback(writer.close)
            writer.write(bytes.fromhex("105B015C16"))
            assert await reader.readexactly(4) == b"page"
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        stack.callback(writer.close)
        assert await reader.read() == b""
    assert server.connections == CONNECTIONS


def test_a_slave_keeps_silent_where_nobody_means_it() -> None:
    slave = Slave(5, None, lambda: [b"page"])
    bus = BusSegment([slave])
    assert bus.receive(bytes.fromhex("105B066116")) == []
    assert bus.receive(bytes.fromhex("105BFF5A16")) == []
    assert bus.receive(encode_frame(select(Secondary("FFFFFFFF")))) == []
    assert bus.receive(bytes.fromhex("68040468080170088116")) == []
    assert bus.receive(bytes.fromhex("105BFE5916")) == [b"page"]
    assert bus.receive(bytes.fromhex("6803036853FF50A216")) == []
    assert bus.receive(bytes.fromhex("68030368530550A816")) == [b"\xe5"]


@pytest.fixture(scope="module")
def recorded(vectors: Path) -> list[Recording]:
    return load(vectors / "mbus")


@pytest.mark.vectors
def test_replayed_meters_keep_their_bytes_and_where_they_can_their_address(recorded: list[Recording]) -> None:
    meters = replay.replayed(recorded)
    assert len(meters) == sum(vector.kind == "valid" for vector in recorded)
    assert len({meter.address for meter in meters}) == len(meters)
    assert meters == replay.replayed(recorded)
    for meter in meters:
        assert 1 <= meter.address <= 250
        served, original = encode_frame(meter.frame), meter.vector.frame
        changed = [place for place in range(len(original)) if served[place] != original[place]]
        assert set(changed) <= {5, len(original) - 2}
        assert meter.moved == bool(changed)
        assert isinstance(decode_frame(served), LongFrame)
    assert 0 < sum(meter.moved for meter in meters) < len(meters)


@pytest.mark.vectors
@on_jumping_loop
async def test_replayed_meters_read_through_the_driver_give_the_expected_values(
    vectors: Path, recorded: list[Recording], capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("replay", "mbus", "--vectors", str(vectors / "mbus"), "--port", "0")
    async with Command(capsys).running(replay, *words) as command:
        devices = [{"id": f"meter-{address}", "address": int(address)} for address in command.addresses]
        polled = await poll_each(command.port, devices)
        name, vector = next(item for item in ((v.name, v) for v in recorded) if "kamstrup" in item[0])
        (selected,) = await poll_each(command.port, [{"id": "meter-x", "address": vector.slave["Id"]}])
    by_name = {vector.name: vector for vector in recorded}
    for readings, name in zip(polled, command.addresses.values(), strict=True):
        mapped = [reading for reading in readings if reading.point.quantity != UNMAPPED]
        for reading, expected in zip(mapped, expected_readings(by_name[name], quirks_of), strict=True):
            assert reading.point.local_name == expected.name
            if expected.exact:
                assert reading.value == expected.value, name
            else:
                assert isinstance(reading.value, Decimal)
                assert isinstance(expected.value, Decimal)
                assert abs(reading.value - expected.value) <= abs(expected.value) / 1_000_000, name
    assert [reading.value for reading in selected if reading.point.quantity != UNMAPPED] == [
        expected.value for expected in expected_readings(vector, quirks_of)
    ]


def test_nothing_to_replay_is_said(tmp_path: Path) -> None:
    parser = argparse.ArgumentParser()
    replay.add_arguments(parser.add_subparsers())  # type: ignore[arg-type]
    for folder in (tmp_path, tmp_path / "absent"):
        args = parser.parse_args(["replay", "mbus", "--vectors", str(folder)])
        with pytest.raises(replay.NothingToReplay, match="no recorded M-Bus answers"):
            asyncio.run(replay.run(args))
