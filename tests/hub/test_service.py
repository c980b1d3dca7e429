"""``linli-platform serve`` as a process: ready, fed, asked, killed, told to stop."""

import asyncio
import json
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from linli_platform.store.duckdb import DuckDBStore

if TYPE_CHECKING:
    from tests.hub.conftest import BrokerProcess, GatewayStandIn

COMMAND = str(Path(sys.executable).parent / "linli-platform")


@dataclass
class PlatformProcess:
    """``linli-platform serve`` on a data folder, started as often as a test needs it."""

    data: Path
    port: int
    broker_port: int
    processes: list[subprocess.Popen[str]] = field(default_factory=list)
    url: str = ""

    def start(self, *more: str) -> subprocess.Popen[str]:
        """Start it and return once it says that it is ready."""
        process = self.spawn(*more)
        assert process.stdout is not None
        line = process.stdout.readline()
        if not line.startswith("linli-platform: ready on "):
            process.kill()
            pytest.fail(f"the platform did not start: {line}{process.communicate()[1]}")
        self.url = line.rpartition(" ")[2].strip()
        return process

    def spawn(self, *more: str) -> subprocess.Popen[str]:
        arguments = ["--data", str(self.data), "--mqtt", f"127.0.0.1:{self.broker_port}"]
        if "--listen" not in more:
            arguments += ["--listen", f"127.0.0.1:{self.port}"]
        process = subprocess.Popen(
            [COMMAND, "serve", *arguments, *more], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        self.processes.append(process)
        return process

    def get(self, path: str) -> str:
        with urllib.request.urlopen(f"{self.url}{path}") as answer:
            text: str = answer.read().decode()
        return text

    def end(self) -> None:
        for process in self.processes:
            process.kill()
            process.communicate()


@pytest.fixture
def platform(tmp_path: Path, broker: "BrokerProcess", free_port: Callable[[], int]) -> Iterator[PlatformProcess]:
    process = PlatformProcess(tmp_path / "platform", free_port(), broker.port)
    try:
        yield process
    finally:
        process.end()


def record(seq: int) -> dict[str, Any]:
    return {"n": "meter-1/energy_import", "u": "Wh", "v": float(seq), "t": seq}


async def test_a_platform_is_fed_and_asked_and_told_to_stop(
    platform: PlatformProcess, gateway: "GatewayStandIn"
) -> None:
    process = await asyncio.to_thread(platform.start)
    assert platform.url == f"http://127.0.0.1:{platform.port}"
    await gateway.announce()
    await gateway.send(1, record(1), record(2))
    await gateway.acked(1)
    metrics = await asyncio.to_thread(platform.get, "/metrics")
    assert "linli_readings_stored_total 2.0" in metrics
    assert "linli_broker_connected 1.0" in metrics
    health = json.loads(await asyncio.to_thread(platform.get, "/api/v1/health"))
    assert {part["state"] for part in health["parts"].values()} == {"ok"}
    process.send_signal(signal.SIGTERM)
    _, errors = await asyncio.to_thread(process.communicate)
    assert process.returncode == 0
    assert "Traceback" not in errors
    assert not (platform.data / "store.duckdb.wal").exists()
    with DuckDBStore(platform.data / "store.duckdb") as store:
        assert store.count() == 2


async def test_a_platform_that_is_killed_loses_and_doubles_nothing(
    platform: PlatformProcess, gateway: "GatewayStandIn"
) -> None:
    """The stand-in sends as a gateway does: what is not acknowledged, again."""
    sent, acked = 0, 0
    for life in range(4):
        process = await asyncio.to_thread(platform.start)
        ack = await gateway.announce(next_seq=sent + 1, boot_id=f"boot-{life}")
        assert acked <= ack.seq <= sent
        for seq in range(acked + 1, sent + 31):  # from the last ack heard, so some come twice
            await gateway.send(seq, record(seq))
        sent += 30
        acked = (await gateway.acked(acked + 1)).seq
        process.kill()
        await asyncio.to_thread(process.communicate)
    process = await asyncio.to_thread(platform.start)
    ack = await gateway.announce(next_seq=sent + 1, boot_id="boot-last")
    for seq in range(ack.seq + 1, sent + 1):
        await gateway.send(seq, record(seq))
    if ack.seq < sent:
        await gateway.acked(sent)
    process.send_signal(signal.SIGTERM)
    await asyncio.to_thread(process.communicate)
    with DuckDBStore(platform.data / "store.duckdb") as store:
        (series,) = store.all_series()
        assert [row.value for row in store.read(series.id, 0, 2**60)] == [float(seq) for seq in range(1, sent + 1)]
        assert store.count() == store.count_distinct() == sent


def refused(process: subprocess.Popen[str]) -> str:
    _, errors = process.communicate()
    assert process.returncode == 2
    assert "Traceback" not in errors
    return errors


def test_beyond_loopback_it_wants_a_token(platform: PlatformProcess) -> None:
    said = refused(platform.spawn("--listen", f"0.0.0.0:{platform.port}"))
    assert "can be reached from other machines" in said
    assert "api.token_file" in said


def test_a_port_that_is_taken_and_a_folder_in_use_are_said(
    platform: PlatformProcess, free_port: Callable[[], int]
) -> None:
    platform.start()
    assert "Address already in use; stop what listens there, or choose another --listen" in refused(platform.spawn())
    other = platform.spawn("--listen", f"127.0.0.1:{free_port()}")
    assert "is another linli-platform running on this data folder?" in refused(other)


def test_without_a_broker_it_serves_and_says_so(platform: PlatformProcess, broker: "BrokerProcess") -> None:
    broker.stop()
    platform.start()
    parts = json.loads(platform.get("/api/v1/health"))["parts"]
    assert parts["broker"]["state"] == "down"
    assert f"127.0.0.1:{broker.port}" in parts["broker"]["detail"]
