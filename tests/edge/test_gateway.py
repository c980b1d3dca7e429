"""A whole gateway with a real log and no broker: it reads, logs, stops in order, and says how it fares."""

import argparse
import asyncio
import json
import os
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Protocol

import pytest

from linli_core.errors import ConfigError, DeviceError, LinkTimeout, LogError
from linli_core.model import Value
from linli_core.wire.plan import PLAN
from linli_edge.commands import Allowed, CommandSettings
from linli_edge.commands.write import run as run_write
from linli_edge.config.gateway import GatewayConfig, parse_config
from linli_edge.config.left_out import LeftOut
from linli_edge.gateway import Gateway, plausible, run
from linli_edge.outbox import Outbox
from linli_edge.timekeeping import wall_clock

TABLE: dict[str, object] = {
    "id": "bus-1",
    "driver": "bench",
    "devices": [{"id": "meter-1", "interval": "10 ms"}, {"id": "meter-2", "interval": "10 ms"}],
}


class Bench(Protocol):
    values: dict[str, float]
    errors: dict[str, Exception]
    quantity: str
    polls: int
    polled: asyncio.Event
    held: dict[str, Value]
    write_error: Exception | None


@pytest.fixture
def config(tmp_path: Path, bench_driver: Bench, free_port: Callable[[], int]) -> GatewayConfig:  # noqa: ARG001
    return parse_config(
        {
            "gateway": {"id": "gw-1", "data": "var"},
            "uplink": {"host": "127.0.0.1", "port": free_port()},
            "links": [TABLE],
        },
        tmp_path,
    )


async def polled(bench: Bench, count: int) -> None:
    while bench.polls < count:
        bench.polled.clear()
        await bench.polled.wait()


async def logged(config: GatewayConfig) -> tuple[int, list[dict[str, object]]]:
    """Return how many readings the log holds, and its events but the plan."""
    async with Outbox.open(config.data / "outbox.db", config.outbox, wall_clock) as outbox:
        stats = outbox.stats()
        messages = await outbox.read(list(range(1, stats.next_seq)))
        events = [json.loads(message.body) for message in messages if message.kind == "event"]
        return stats.readings, [event for event in events if event["type"] != PLAN]


async def test_what_is_read_is_logged_when_it_stops(config: GatewayConfig, bench_driver: Bench) -> None:
    gateway = Gateway(config)
    stop = asyncio.Event()
    task = asyncio.create_task(gateway.run(stop), name="gateway")
    await polled(bench_driver, 20)
    health = gateway.health()
    assert [(link.id, link.state, link.devices) for link in health.links] == [("bus-1", "up", 2)]
    stop.set()
    await task
    counters = gateway.health().counters
    assert counters["polled"] >= 19
    readings, events = await logged(config)
    assert readings == counters["polled"] == counters["good"] == counters["logged"]
    assert events == []


async def test_a_silent_device_is_an_event_in_the_log(config: GatewayConfig, bench_driver: Bench) -> None:
    bench_driver.errors["meter-2"] = LinkTimeout("silent")
    stop = asyncio.Event()
    task = asyncio.create_task(Gateway(config).run(stop), name="gateway")
    await polled(bench_driver, 20)
    stop.set()
    await task
    _, events = await logged(config)
    assert [(event["type"], event["subject"]) for event in events] == [("linli.device.silent", "meter-2")]


async def test_a_signal_stops_it_in_order(config: GatewayConfig, bench_driver: Bench) -> None:
    task = asyncio.create_task(run(config), name="gateway")
    await polled(bench_driver, 2)
    os.kill(os.getpid(), signal.SIGTERM)
    await task
    readings, _ = await logged(config)
    assert readings >= 1


async def test_a_log_in_use_is_told(config: GatewayConfig) -> None:
    async with Outbox.open(config.data / "outbox.db", config.outbox, wall_clock):
        with pytest.raises(LogError, match="no other gateway uses it"):
            await Gateway(config).run(asyncio.Event())


def test_bounds_come_from_the_vocabulary() -> None:
    assert plausible("no_such_quantity") == (None, None)
    low, high = plausible("energy_import")
    assert low is None or low <= 0
    assert high is None or high > 1e6


async def test_registers_are_judged_remembered_and_told_of(config: GatewayConfig, bench_driver: Bench) -> None:
    bench_driver.quantity = "energy_import"
    config = replace(
        config, links=tuple(replace(link, config=link.spec.parse(TABLE, "links[0]")) for link in config.links)
    )

    async def run_once(value: float) -> None:
        bench_driver.values.update({"meter-1": value, "meter-2": 1.0})
        polls = bench_driver.polls
        stop = asyncio.Event()
        task = asyncio.create_task(Gateway(config).run(stop), name="gateway")
        await polled(bench_driver, polls + 6)
        stop.set()
        await task

    await run_once(5e6)
    await run_once(0.0)
    await run_once(5e6 + 1)
    _, events = await logged(config)
    (dip,) = [event for event in events if event["type"] == "linli.register.zero_dip"]
    assert dip["subject"] == "meter-1"
    assert isinstance(dip["data"], dict)
    assert (dip["data"]["before"], dip["data"]["after"], dip["data"]["unit"]) == (5e6, 0.0, "Wh")


def test_what_the_links_are_to_read_is_what_billing_misses(
    tmp_path: Path, bench_driver: Bench, free_port: Callable[[], int]
) -> None:
    bench_driver.quantity = "energy_import"
    registers = parse_config(
        {
            "gateway": {"id": "gw-1", "data": "var"},
            "uplink": {"host": "127.0.0.1", "port": free_port()},
            "links": [
                TABLE,
                {
                    "id": "bus-2",
                    "driver": "modbus",
                    "host": "127.0.0.1",
                    "devices": [{"id": "pv-1", "unit": 1, "sunspec": {}}],
                },
            ],
        },
        tmp_path,
    ).registers
    assert [point.name for point in registers.expected] == ["meter-1/energy_import", "meter-2/energy_import"]
    assert registers.unknown == {"pv-1"}


async def test_a_person_at_the_gateway_writes_through_it(
    config: GatewayConfig, bench_driver: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    allow = (Allowed("meter-1", frozenset({"supply_closed"})), Allowed("meter-2", frozenset({"limit"}), confirm=False))
    config = replace(config, commands=CommandSettings(enabled=True, allow=allow))
    stop = asyncio.Event()
    task = asyncio.create_task(Gateway(config).run(stop), name="gateway")
    await polled(bench_driver, 2)

    async def write(point: str, value: str, *, confirm: bool = False) -> int:
        args = argparse.Namespace(point=point, value=value, by="li", wait=60.0, confirm=confirm)
        return await asyncio.to_thread(run_write, config, args, "en")

    assert await write("meter-2/limit", "12.5") == 0
    assert await write("meter-1/supply_closed", "off", confirm=True) == 0
    assert await write("meter-1/limit", "1") == 1
    assert bench_driver.held == {"meter-2/limit": 12.5, "meter-1/supply_closed": False}
    bench_driver.write_error = DeviceError("exception 2", code=2)
    assert await write("meter-2/limit", "13") == 1
    told = capsys.readouterr().out.splitlines()
    assert told[0] == "meter-2/limit: was not known, is now 12.5 (read back from the device)."
    assert "NOT as asked for" in told[3]
    stop.set()
    await task
    _, events = await logged(config)
    steps = [(str(event["type"]).removeprefix("linli.command."), event["subject"]) for event in events]
    assert steps == [
        ("begun", "meter-2/limit"),
        ("done", "meter-2/limit"),
        ("asked", "meter-1/supply_closed"),
        ("begun", "meter-1/supply_closed"),
        ("done", "meter-1/supply_closed"),
        ("refused", "meter-1/limit"),
        ("begun", "meter-2/limit"),
        ("failed", "meter-2/limit"),
    ]
    assert not (config.data / "commands.sock").exists()


async def test_without_the_switch_nothing_is_there_to_command(config: GatewayConfig, bench_driver: Bench) -> None:
    stop = asyncio.Event()
    task = asyncio.create_task(Gateway(config).run(stop), name="gateway")
    await polled(bench_driver, 2)
    assert not (config.data / "commands.sock").exists()
    assert not (config.data / "commands.jsonl").exists()
    stop.set()
    await task


async def test_a_device_that_the_configuration_says_wrongly_is_named_and_the_others_are_read(
    config: GatewayConfig, bench_driver: Bench
) -> None:
    mistake = ConfigError("links[0].devices[2].unit", "found 999", "write 1 to 247")
    wrong = LeftOut("bus-1", "bench", ("meter-3",), whole=False, mistakes=(mistake,))
    gone = LeftOut("bus-2", "bacnet", ("pump-1", "pump-2"), whole=True, mistakes=(mistake,))
    gateway = Gateway(replace(config, left_out=(wrong, gone)))
    stop = asyncio.Event()
    task = asyncio.create_task(gateway.run(stop), name="gateway")
    await polled(bench_driver, 20)
    links = [(link.id, link.state, link.devices, link.left_out, link.error) for link in gateway.health().links]
    assert links == [
        ("bus-1", "degraded", 3, ("meter-3",), str(mistake)),
        ("bus-2", "down", 2, ("pump-1", "pump-2"), str(mistake)),
    ]
    stop.set()
    await task
    readings, events = await logged(config)
    assert readings >= 19
    assert [(event["type"], event["subject"], event["data"]) for event in events] == [
        ("linli.device.left-out", device, {"link": link, "error": str(mistake)})
        for link, device in (("bus-1", "meter-3"), ("bus-2", "pump-1"), ("bus-2", "pump-2"))
    ]
