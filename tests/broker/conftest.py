"""A real ``linli-broker serve`` with either engine, and clients of it."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import aiomqtt
import pytest

from linli_broker import embedded, mosquitto
from linli_sim.processes import Program, command

READY = r"^linli-broker: ready on 127\.0\.0\.1:\d+"


def need(engine: str) -> None:
    """Skip, with a notice, where an engine is not installed."""
    if engine == "mosquitto" and mosquitto.find() is None:
        pytest.skip("Mosquitto is not installed (Debian: apt-get install mosquitto)")
    if engine == "embedded" and not embedded.is_installed():
        pytest.skip("the embedded broker is not installed (pip install 'linli[broker]')")


@pytest.fixture
def mosquitto_program() -> str:
    """The path of Mosquitto; skips where it is not installed."""
    need("mosquitto")
    return mosquitto.find() or ""


@pytest.fixture(params=["embedded", "mosquitto"])
def engine(request: pytest.FixtureRequest) -> str:
    """Each engine that is installed."""
    name: str = request.param
    need(name)
    return name


@pytest.fixture
def port(free_port: Callable[[], int]) -> int:
    """Where the broker speaks MQTT 3.1.1."""
    return free_port()


@pytest.fixture
def port5(free_port: Callable[[], int]) -> int:
    """Where the broker speaks MQTT 5."""
    return free_port()


@pytest.fixture
async def broker(engine: str, port: int, port5: int, tmp_path: Path) -> AsyncIterator[Program]:
    """A broker that is ready; stopped at the end if the test has not done it."""
    addresses = ("--listen", f"127.0.0.1:{port}", "--listen-v5", f"127.0.0.1:{port5}")
    argv = [command("linli-broker"), "serve", "--engine", engine, "--data", str(tmp_path / "broker"), *addresses]
    async with Program("linli-broker", argv, tmp_path / "broker.log", READY) as program:
        yield program


@pytest.fixture(params=["3.1.1", "5"])
def version(request: pytest.FixtureRequest) -> str:
    """Each version of MQTT."""
    name: str = request.param
    return name


@pytest.fixture
def client(broker: Program, version: str, port: int, port5: int) -> Callable[..., aiomqtt.Client]:
    """Makes clients of the broker that are not connected yet."""
    assert broker.running
    protocol = {"3.1.1": aiomqtt.ProtocolVersion.V311, "5": aiomqtt.ProtocolVersion.V5}[version]

    def make(identifier: str, **options: Any) -> aiomqtt.Client:
        at = port5 if version == "5" else port
        return aiomqtt.Client("127.0.0.1", at, identifier=identifier, protocol=protocol, **options)

    return make
