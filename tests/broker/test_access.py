"""TLS and access rules against a real Mosquitto: whoever shows a certificate speaks under its own name only."""

import os
import shutil
import signal
import ssl
import subprocess
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import aiomqtt
import pytest

from linli_core.wire.topics import Channel, subscription, topic
from linli_sim.processes import Program, command

CONFIG = """
engine = "mosquitto"
data = "data"

[[listeners]]
address = "0.0.0.0:{port}"
tls = {{ ca = "ca.pem", certificate = "broker.pem", key = "broker.key" }}

[access]
gateways = [{gateways}]
"""

Connect = Callable[[str], aiomqtt.Client]


def openssl(folder: Path, *arguments: str) -> None:
    subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A CA, and certificates signed by it, named as their files."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed (Debian: apt-get install openssl)")
    folder = tmp_path_factory.mktemp("pki")
    key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
    openssl(folder, "req", "-x509", *key, "-days", "2", "-subj", "/CN=ca", "-keyout", "ca.key", "-out", "ca.pem")
    (folder / "names").write_text("subjectAltName=IP:127.0.0.1\n")
    for name in ("broker", "linli-platform", "gw-1", "gw-2", "gw-late"):
        openssl(folder, "req", "-new", *key, "-subj", f"/CN={name}", "-keyout", f"{name}.key", "-out", f"{name}.csr")
        openssl(
            folder, "x509", "-req", "-in", f"{name}.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial",
            "-days", "2", "-extfile", "names", "-out", f"{name}.pem",
        )  # fmt: skip
    return folder


def configure(pki: Path, port: int, *gateways: str) -> None:
    names = ", ".join(f'"{name}"' for name in gateways)
    (pki / "broker.toml").write_text(CONFIG.format(port=port, gateways=names))


@pytest.fixture
async def secured(pki: Path, port: int, tmp_path: Path, mosquitto_program: str) -> AsyncIterator[Program]:
    assert mosquitto_program
    configure(pki, port, "gw-1", "gw-2")
    data = ("--data", str(tmp_path / "broker"))
    argv = [command("linli-broker"), "serve", "--config", str(pki / "broker.toml"), *data]
    async with Program("linli-broker", argv, tmp_path / "broker.log", r"ready on .* with TLS \(mosquitto\)") as program:
        yield program


@pytest.fixture
def connect(secured: Program, pki: Path, port: int) -> Connect:
    assert secured.running

    def make(name: str) -> aiomqtt.Client:
        context = ssl.create_default_context(cafile=str(pki / "ca.pem"))
        context.load_cert_chain(pki / f"{name}.pem", pki / f"{name}.key")
        return aiomqtt.Client("127.0.0.1", port, identifier=name, tls_context=context)

    return make


async def test_a_gateway_writes_under_its_own_name_only(connect: Connect) -> None:
    mine, other = topic("gw-1", Channel.TELEMETRY), topic("gw-2", Channel.TELEMETRY)
    async with connect("linli-platform") as platform, connect("gw-1") as gateway:
        await platform.subscribe(subscription(), qos=1)
        for at in (other, topic("gw-1", Channel.ACK), "linli/1/00/gw-1/telemetry", "elsewhere"):
            await gateway.publish(at, b"forged", qos=1)
        await gateway.publish(mine, b"true", qos=1)
        message = await anext(aiter(platform.messages))
    # Everything forged was sent before: had any of it passed, it would be here first.
    assert (message.topic.value, message.payload) == (mine, b"true")


async def test_a_gateway_reads_what_the_platform_tells_it_and_nothing_else(connect: Connect) -> None:
    ack = topic("gw-1", Channel.ACK)
    async with connect("linli-platform") as platform, connect("gw-1") as gateway, connect("gw-2") as other:
        await gateway.subscribe("#", qos=1)
        await other.publish(topic("gw-2", Channel.TELEMETRY), b"private", qos=1)
        await platform.publish(topic("gw-2", Channel.ACK), b"not yours", qos=1)
        await platform.publish(ack, b"yours", qos=1)
        message = await anext(aiter(gateway.messages))
    assert (message.topic.value, message.payload) == (ack, b"yours")


async def test_nobody_connects_without_a_certificate_of_our_ca(secured: Program, pki: Path, port: int) -> None:
    assert secured.running
    context = ssl.create_default_context(cafile=str(pki / "ca.pem"))
    with pytest.raises(aiomqtt.MqttError):
        async with aiomqtt.Client("127.0.0.1", port, identifier="nobody", tls_context=context, timeout=2):
            pass
    with pytest.raises(aiomqtt.MqttError):
        async with aiomqtt.Client("127.0.0.1", port, identifier="plain", timeout=2):
            pass


async def test_a_gateway_enrolled_while_the_broker_runs_may_speak_after_a_hangup_signal(
    connect: Connect, secured: Program, pki: Path, port: int
) -> None:
    mine = topic("gw-late", Channel.TELEMETRY)
    async with connect("linli-platform") as platform, connect("gw-late") as gateway:
        await platform.subscribe(subscription(), qos=1)
        await gateway.publish(mine, b"too early", qos=1)
        configure(pki, port, "gw-1", "gw-2", "gw-late")
        os.kill(secured.pid, signal.SIGHUP)
        while not len(platform.messages):
            await gateway.publish(mine, b"enrolled", qos=1)
        assert (await anext(aiter(platform.messages))).payload == b"enrolled"


async def test_a_retired_gateway_is_not_heard_any_more(
    connect: Connect, secured: Program, pki: Path, port: int
) -> None:
    mine, late = topic("gw-1", Channel.TELEMETRY), topic("gw-late", Channel.TELEMETRY)
    async with connect("linli-platform") as platform, connect("gw-1") as gateway, connect("gw-late") as other:
        await platform.subscribe(subscription(), qos=1)
        configure(pki, port, "gw-2", "gw-late")
        os.kill(secured.pid, signal.SIGHUP)
        # One file holds both changes: once the newcomer is heard, the retired one is not.
        while not len(platform.messages):
            await other.publish(late, b"enrolled", qos=1)
        await gateway.publish(mine, b"retired", qos=1)
        await other.publish(late, b"last", qos=1)
        heard = []
        async for message in platform.messages:
            heard.append(message.payload)
            if message.payload == b"last":
                break
    assert b"enrolled" in heard
    assert b"retired" not in heard
