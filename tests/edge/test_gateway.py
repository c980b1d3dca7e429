"""A whole gateway with a real log and no broker: it reads, logs, stops in order, and says how it fares."""

import asyncio
import json
import os
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Protocol

import pytest

from linli_core.errors import LinkTimeout, LogError
from linli_edge.config.gateway import GatewayConfig, parse_config
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
    """Return how many readings the log holds, and its events."""
    async with Outbox.open(config.data / "outbox.db", config.outbox, wall_clock) as outbox:
        stats = outbox.stats()
        messages = await outbox.read(list(range(1, stats.next_seq)))
        return stats.readings, [json.loads(message.body) for message in messages if message.kind == "event"]


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
