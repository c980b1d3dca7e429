"""What the wire contract asks of a broker, asked of both engines in both versions of MQTT."""

import asyncio
import sys
from collections.abc import Callable

import aiomqtt
import pytest
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from linli_core.wire.topics import Channel, subscription, topic
from linli_sim.processes import Program

Client = Callable[..., aiomqtt.Client]

TELEMETRY = topic("gw-1", Channel.TELEMETRY)
STATUS = topic("gw-1", Channel.STATUS)

# A gateway that says online, leaves a last will, and never closes its connection.
DOOMED = f"""
import sys
import paho.mqtt.client as paho
version = {{"3.1.1": paho.MQTTv311, "5": paho.MQTTv5}}[sys.argv[2]]
client = paho.Client(paho.CallbackAPIVersion.VERSION2, client_id="doomed", protocol=version)
client.will_set("{STATUS}", b"lost", qos=1, retain=True)
client.on_connect = lambda *_: client.publish("{STATUS}", b"online", qos=1, retain=True)
client.connect("127.0.0.1", int(sys.argv[1]))
client.loop_forever()
"""


async def following(client: aiomqtt.Client) -> aiomqtt.Message:
    return await anext(aiter(client.messages))


async def test_a_retained_message_waits_for_whoever_comes_later(client: Client) -> None:
    async with client("gateway") as gateway:
        await gateway.publish(STATUS, b"first", qos=1, retain=True)
        await gateway.publish(STATUS, b"second", qos=1, retain=True)
    async with client("platform") as platform:
        await platform.subscribe(subscription(), qos=1)
        message = await following(platform)
    assert (message.topic.value, message.payload, message.retain) == (STATUS, b"second", True)


async def test_the_last_will_of_a_killed_client_is_told_and_retained(
    client: Client, version: str, port: int, port5: int
) -> None:
    async with client("platform") as platform:
        await platform.subscribe(subscription(), qos=1)
        at = str(port5 if version == "5" else port)
        doomed = await asyncio.create_subprocess_exec(sys.executable, "-c", DOOMED, at, version)
        assert (await following(platform)).payload == b"online"
        doomed.kill()
        await doomed.wait()
        assert (await following(platform)).payload == b"lost"
    async with client("later") as later:
        await later.subscribe(STATUS, qos=1)
        assert (await following(later)).payload == b"lost"


async def test_qos_1_arrives_in_order_at_two_subscribers(client: Client) -> None:
    sent = [str(number).encode() for number in range(500)]
    async with client("platform-1") as one, client("platform-2") as two, client("gateway") as gateway:
        await one.subscribe(subscription(), qos=1)
        await two.subscribe(TELEMETRY, qos=1)
        for payload in sent:
            await gateway.publish(TELEMETRY, payload, qos=1)
        for subscriber in (one, two):
            assert [(await following(subscriber)).payload for _ in sent] == sent


async def test_a_large_payload_arrives_whole(client: Client) -> None:
    async with client("platform") as platform, client("gateway") as gateway:
        await platform.subscribe(subscription(), qos=1)
        for size in (200_000, 1_048_576):
            await gateway.publish(TELEMETRY, b"\xa5" * size, qos=1)
            assert (await following(platform)).payload == b"\xa5" * size


async def test_a_payload_beyond_the_limit_cuts_its_sender_off_and_nobody_else(client: Client) -> None:
    async with client("platform") as platform, client("gateway") as gateway:
        await platform.subscribe(subscription(), qos=1)
        with pytest.raises(aiomqtt.MqttError):
            async with client("flooding", timeout=2) as flooding:
                await flooding.publish(TELEMETRY, bytes(2_000_000), qos=1)
        await gateway.publish(TELEMETRY, b"small", qos=1)
        assert (await following(platform)).payload == b"small"


async def test_a_session_keeps_messages_for_a_client_that_was_away(client: Client, version: str) -> None:
    options: dict[str, object] = {"clean_session": False}
    if version == "5":
        properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
        properties.SessionExpiryInterval = 3600
        options = {"clean_start": False, "properties": properties}
    async with client("platform", **options) as platform:
        await platform.subscribe(subscription(), qos=1)
    async with client("gateway") as gateway:
        await gateway.publish(TELEMETRY, b"while away", qos=1)
    async with client("platform", **options) as platform:
        assert (await following(platform)).payload == b"while away"


async def test_a_gateway_that_connects_twice_keeps_the_newer_connection(client: Client) -> None:
    async with client("platform") as platform:
        await platform.subscribe(subscription(), qos=1)
        async with client("gateway") as newer_than:
            await newer_than.publish(TELEMETRY, b"older", qos=1)
            async with client("gateway") as newer:
                await newer.publish(TELEMETRY, b"newer", qos=1)
                assert [(await following(platform)).payload for _ in range(2)] == [b"older", b"newer"]
                with pytest.raises(aiomqtt.MqttError):
                    await following(newer_than)


@pytest.mark.parametrize("version", ["3.1.1"], indirect=True)
async def test_clients_come_back_after_the_broker_was_killed(client: Client, broker: Program) -> None:
    async with client("gateway") as gateway:
        await gateway.publish(STATUS, b"before", qos=1, retain=True)
        await broker.kill()
        with pytest.raises(aiomqtt.MqttError):
            await following(gateway)
    await broker.start()
    async with client("platform") as platform, client("gateway") as gateway:
        await platform.subscribe(TELEMETRY, qos=1)
        await gateway.publish(TELEMETRY, b"after", qos=1)
        assert (await following(platform)).payload == b"after"


@pytest.mark.parametrize("version", ["3.1.1"], indirect=True)
async def test_only_mosquitto_remembers_over_an_orderly_restart(client: Client, broker: Program, engine: str) -> None:
    async with client("gateway") as gateway:
        await gateway.publish(STATUS, b"retained", qos=1, retain=True)
    assert await broker.stop() == 0
    await broker.start()
    async with client("platform") as platform, client("gateway") as gateway:
        await platform.subscribe(subscription(), qos=1)
        await gateway.publish(TELEMETRY, b"live", qos=1)
        first = (await following(platform)).payload
    assert first == {"mosquitto": b"retained", "embedded": b"live"}[engine]
