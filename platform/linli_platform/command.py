"""``linli-platform command``: have a gateway write one value into a device, and wait for its reply."""

import argparse
import asyncio
import getpass
import os
import time
import uuid
from typing import Final

import aiomqtt

from linli_core.errors import LinkError, LinkTimeout, Refused
from linli_core.instant import SECOND
from linli_core.wire.command import Argument, Command, Reply, decode_reply, encode_command, value_of
from linli_core.wire.topics import Channel, topic
from linli_platform.config import Settings, broker_address
from linli_platform.ingest.connection import BrokerAddress

FAILED: Final = 1
_GRACE: Final = 5.0
"""Seconds beyond a command's end in which its reply may still be under way."""


def add_arguments(command: argparse.ArgumentParser) -> None:
    """Add the arguments of ``linli-platform command``."""
    command.add_argument("gateway", metavar="GATEWAY")
    command.add_argument("point", metavar="POINT", help="such as cold-room-1/temperature_setpoint")
    command.add_argument("value", metavar="VALUE", help="a number, true, false, on, off, or a text")
    command.add_argument("--by", default="", metavar="NAME", help="who asks, for the record (default: the user)")
    command.add_argument("--wait", type=float, default=60.0, metavar="S", help="seconds until it is too late to begin")
    command.add_argument("--confirm", action="store_true", help="do not ask: confirm at once (for scripts)")
    command.add_argument("--mqtt", metavar="HOST:PORT", help="the broker (default 127.0.0.1:1883)")


def run(args: argparse.Namespace, settings: Settings) -> int:
    """Send the command, have it confirmed where the gateway asks for that, and return the exit status."""
    reply = asyncio.run(_carry_out(args, broker_address(settings.mqtt)))
    told = "  ".join(f"{key}={value}" for key, value in reply.result.items() if key != "code")
    print(f"{'ok' if reply.ok else 'NOT DONE'}  {args.point}  {told}  {reply.error}".rstrip())  # noqa: T201
    return 0 if reply.ok else FAILED


async def _carry_out(args: argparse.Namespace, address: BrokerAddress) -> Reply:
    by = args.by or getpass.getuser()
    client = aiomqtt.Client(
        address.host,
        address.port,
        # A name of its own: under the platform's the broker would throw the platform out.
        identifier=f"{address.client_id}-command-{os.getpid()}",
        username=address.username or None,
        password=address.password or None,
        tls_context=address.tls,
    )
    try:
        async with client:
            await client.subscribe(topic(args.gateway, Channel.REPLY, "+"), qos=1)
            reply = await _said(client, args, "write", {"point": args.point, "value": value_of(args.value)}, by)
            if reply.result.get("state") != "to_be_confirmed":
                return reply
            if not args.confirm and not await asyncio.to_thread(_sure, args):
                return Reply(ok=False, result={"state": "refused"}, error="not confirmed: nothing was written")
            return await _said(client, args, "confirm", {"code": str(reply.result["code"])}, by)
    except aiomqtt.MqttError as exc:
        raise LinkError(
            f"broker {address.host}:{address.port}: {exc}; "
            "check that it runs, and --mqtt or the settings (--config) that name it"
        ) from exc


async def _said(
    client: aiomqtt.Client, args: argparse.Namespace, name: str, values: dict[str, Argument], by: str
) -> Reply:
    """Send one command and return its reply."""
    number = uuid.uuid4().hex
    expires_at = time.time_ns() // 1000 + round(args.wait * SECOND)
    payload = encode_command(Command(name, values, expires_at, by))
    await client.publish(topic(args.gateway, Channel.COMMAND, number), payload, qos=1)
    wanted = topic(args.gateway, Channel.REPLY, number)
    try:
        async with asyncio.timeout(args.wait + _GRACE):
            async for message in client.messages:
                if message.topic.value == wanted and isinstance(message.payload, bytes):
                    return decode_reply(message.payload)
    except TimeoutError as exc:
        raise LinkTimeout(
            f"gateway {args.gateway} did not reply within {args.wait + _GRACE:g} s: is it connected, and are commands "
            "enabled in its configuration? What it did, if anything, is among its events"
        ) from exc
    except Refused as exc:
        raise LinkError(f"gateway {args.gateway}: {exc}") from exc
    raise LinkError("the broker closed the connection before the reply came")


def _sure(args: argparse.Namespace) -> bool:
    try:
        said = input(f"Write {args.value} to {args.point} of {args.gateway}? It acts at once. Type yes to go on: ")
    except EOFError:
        return False
    return said.strip().lower() == "yes"
