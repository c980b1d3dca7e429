"""The peer of the gateway's figures: ThingsBoard IoT Gateway 3.8.5 in an environment of its own, on the same meters.

It needs a platform that answers its question for the session's limits, or it sends nothing; a subscriber on the same
broker does that here, grants it everything, and counts what arrives. Nothing of it is part of Linli: it is installed
when it is first measured, into the cache folder.
"""

import asyncio
import json
import os
import shutil
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import aiomqtt

from linli_edge.drivers.modbus.registers import DataType, MappedPoint
from linli_sim.bench import CannotRun
from linli_sim.bench.process import cpu_seconds
from linli_sim.compiled import cache_folder
from linli_sim.processes import Program, command, free_port

VERSION: Final = "3.8.5"
_REQUIREMENTS: Final = (f"thingsboard-gateway=={VERSION}", "pymodbus==3.9.2", "pyserial", "pyserial-asyncio")
"""The last three it would otherwise fetch with pip when it starts."""

_INSTALL_LIMIT: Final = 600.0
_FIRST_LIMIT: Final = 90.0
_WARM_UP: Final = 5.0
_QUESTIONS: Final = "v1/devices/me/rpc/request/+"
_TELEMETRY: Final = "v1/gateway/telemetry"
_LIMITS: Final = json.dumps(
    {"maxPayloadSize": 1_000_000, "maxInflightMessages": 10_000, "rateLimits": {}, "gatewayRateLimits": {}}
)
_UNLIMITED: Final = dict.fromkeys(
    (
        *("rateLimits", "dpRateLimits", "messagesRateLimits"),
        *("deviceMessagesRateLimits", "deviceRateLimits", "deviceDpRateLimits"),
    ),
    "0:0,",
)


async def installed() -> Path:
    """Return the peer's Python, installed once.

    Raises:
        CannotRun: It cannot be installed; the text holds what pip said last.
    """
    folder = cache_folder() / f"thingsboard-gateway-{VERSION}"
    python, stamp = folder / "bin" / "python", folder / "installed"
    if stamp.exists():
        return python
    shutil.rmtree(folder, ignore_errors=True)
    log = folder.with_suffix(".log")
    for argv in (
        [sys.executable, "-m", "venv", str(folder)],
        [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *_REQUIREMENTS],
    ):
        program = Program("thingsboard-gateway", argv, log)
        await program.start()
        try:
            async with asyncio.timeout(_INSTALL_LIMIT):
                code = await program.wait()
        except TimeoutError as exc:
            await program.kill()
            raise CannotRun(f"ThingsBoard gateway {VERSION}: {' '.join(argv)} took too long") from exc
        if code:
            raise CannotRun(f"ThingsBoard gateway {VERSION} cannot be installed:\n{program.tail()}")
    stamp.touch()
    return python


def configuration(port: int, broker: int, units: Sequence[int], entries: Sequence[MappedPoint], period: int) -> Any:
    """Return its configuration files, by name: the same points of the same meters, each ``period`` milliseconds."""
    series = [
        {
            "tag": entry.of("meter").local_name, "type": "32float", "functionCode": entry.table.function,
            "objectsCount": 2, "address": entry.address,
        }
        for entry in entries
        if entry.kind is DataType.FLOAT32
    ]  # fmt: skip
    slaves = [
        {
            "host": "127.0.0.1", "port": port, "type": "tcp", "method": "socket", "unitId": unit,
            "deviceName": f"meter-{unit}", "deviceType": "default", "timeout": 5, "byteOrder": "BIG",
            "wordOrder": "BIG", "retries": 1, "retryOnEmpty": False, "retryOnInvalid": False, "pollPeriod": period,
            "connectAttemptTimeMs": 1000, "connectAttemptCount": 5, "waitAfterFailedAttemptsMs": 3000,
            "attributes": [], "timeseries": series, "attributeUpdates": [], "rpc": [],
        }
        for unit in units
    ]  # fmt: skip
    gateway = {
        "thingsboard": {
            "host": "127.0.0.1", "port": broker, "remoteShell": False, "remoteConfiguration": False,
            "statistics": {"enable": False}, "deviceFiltering": {"enable": False}, "maxPayloadSizeBytes": 65_536,
            "minPackSendDelayMS": 50, "minPackSizeToSend": 500, "checkConnectorsConfigurationInSeconds": 3600,
            "handleDeviceRenaming": False, "qos": 1, "reportStrategy": {"type": "ON_RECEIVED"},
            "security": {"type": "accessToken", "accessToken": "bench"},
            "checkingDeviceActivity": {"checkDeviceInactivity": False}, **_UNLIMITED,
        },
        "storage": {"type": "memory", "read_records_count": 1000, "max_records_count": 100_000},
        "grpc": {"enabled": False},
        "connectors": [{"type": "modbus", "name": "meters", "configuration": "modbus.json"}],
    }  # fmt: skip
    return {
        "tb_gateway.json": gateway,
        "modbus.json": {"master": {"slaves": slaves}},
        "logs.json": {"version": 1, "disable_existing_loggers": False, "loggers": {}, "root": {"level": "WARNING"}},
    }


@dataclass
class Platform:
    """What a platform would have been told: points that arrived."""

    points: int = 0

    async def run(self, broker: int, ready: asyncio.Event) -> None:
        """Answer the question for limits, and count, until cancelled."""
        async with aiomqtt.Client("127.0.0.1", broker, identifier="platform", max_inflight_messages=1000) as client:
            await client.subscribe(_QUESTIONS, qos=1)
            await client.subscribe(_TELEMETRY, qos=1)
            ready.set()
            async for message in client.messages:
                topic, payload = str(message.topic), message.payload
                if topic == _TELEMETRY and isinstance(payload, bytes):
                    self.points += points_in(json.loads(payload))
                elif topic != _TELEMETRY:
                    await client.publish(topic.replace("/request/", "/response/"), _LIMITS, qos=1)


def points_in(telemetry: Any) -> int:
    """Return how many values a telemetry message holds: by device, a list of records with their values by name."""
    return sum(len(record.get("values", record)) for records in telemetry.values() for record in records)


async def points_per_cpu_second(
    port: int, units: Sequence[int], entries: Sequence[MappedPoint], folder: Path, *, period: int, window: float
) -> float:
    """Return the points it delivers in a window, per second of its CPU time.

    Args:
        port: The meters' Modbus TCP port.
        units: Their unit ids.
        entries: The register map of each.
        folder: An empty folder.
        period: Milliseconds from poll to poll.
        window: Seconds.
    """
    python = await installed()
    config = folder / "config"
    config.mkdir(parents=True)
    async with _platform(folder) as (broker, platform):
        for name, content in configuration(port, broker, units, entries, period).items():
            (config / name).write_text(json.dumps(content), encoding="utf-8")
        # It writes into the folder it is started in, and looks for its configuration where it is told.
        start = (
            f"import os, sys; os.chdir({str(folder)!r}); sys.argv = ['tb']; from thingsboard_gateway import tb_gateway"
        )
        argv = ["env", f"TB_GW_CONFIG_DIR={config}{os.sep}", str(python), "-c", f"{start}; tb_gateway.main()"]
        async with Program("thingsboard-gateway", argv, folder / "thingsboard.log") as peer:
            await _first(platform, peer)
            await asyncio.sleep(_WARM_UP)
            cpu, points = cpu_seconds(peer.pid), platform.points
            await asyncio.sleep(window)
            used, points = cpu_seconds(peer.pid) - cpu, platform.points - points
    if not points:
        raise CannotRun(f"ThingsBoard gateway {VERSION} delivered nothing in {window:g} s")
    return points / used


@asynccontextmanager
async def _platform(folder: Path) -> AsyncIterator[tuple[int, Platform]]:
    port = free_port()
    argv = [command("linli-broker"), "serve", "--listen", f"127.0.0.1:{port}", "--data", str(folder / "broker")]
    async with Program("broker", argv, folder / "broker.log", r"ready on"):
        platform, ready = Platform(), asyncio.Event()
        counting = asyncio.create_task(platform.run(port, ready), name="platform")
        await ready.wait()
        try:
            yield port, platform
        finally:
            counting.cancel()
            await asyncio.wait([counting])


async def _first(platform: Platform, peer: Program) -> None:
    try:
        async with asyncio.timeout(_FIRST_LIMIT):
            while not platform.points:
                if not peer.running:
                    raise CannotRun(f"ThingsBoard gateway {VERSION} ended:\n{peer.tail()}")
                await asyncio.sleep(0.1)
    except TimeoutError as exc:
        said = f"delivered nothing in {_FIRST_LIMIT:g} s:\n{peer.tail()}"
        raise CannotRun(f"ThingsBoard gateway {VERSION} {said}") from exc
