"""MQTT topics: ``linli/1/{shard}/{gateway}/…``.

Topics carry identity only; which community or building a thing belongs to lives in the registry, so moving it
changes no topic and no stored series. The shard spreads gateways over workers on any broker without shared
subscriptions, which break per-device order.
"""

import zlib
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from linli_core.errors import RefusalReason, Refused
from linli_core.model import is_id

ROOT: Final = "linli/1"
SHARDS: Final = 64


class Channel(StrEnum):
    """What a gateway's topic carries; the last part of the topic."""

    TELEMETRY = "telemetry"
    EVENT = "event"
    STATUS = "status"
    ACK = "ack"
    TWIN_DESIRED = "twin/desired"
    TWIN_REPORTED = "twin/reported"


def shard_of(gateway: str) -> str:
    """Return the two hex digits of a gateway's shard: ``crc32(gateway) % 64``."""
    return f"{zlib.crc32(gateway.encode()) % SHARDS:02x}"


def topic(gateway: str, channel: Channel) -> str:
    """Return the topic of one of a gateway's channels."""
    return f"{ROOT}/{shard_of(gateway)}/{gateway}/{channel}"


def subscription(shard: str = "+") -> str:
    """Return the filter a platform worker subscribes for one shard, or for all."""
    return f"{ROOT}/{shard}/+/#"


@dataclass(frozen=True, slots=True)
class Address:
    """A topic, taken apart."""

    gateway: str
    channel: Channel


_CHANNELS: Final = {channel.value: channel for channel in Channel}


def parse_topic(text: str) -> Address:
    """Return gateway and channel of a topic; raise :class:`Refused` if it is none of ours or the shard is wrong."""
    parts = text.split("/", 4)
    if len(parts) != 5 or f"{parts[0]}/{parts[1]}" != ROOT or (channel := _CHANNELS.get(parts[4])) is None:
        raise Refused(RefusalReason.UNKNOWN_TOPIC, f"{text[:200]!r} is no topic of {ROOT}")
    gateway = parts[3]
    if not is_id(gateway):
        raise Refused(RefusalReason.UNKNOWN_TOPIC, f"{gateway[:80]!r} is no gateway id")
    if parts[2] != shard_of(gateway):
        raise Refused(RefusalReason.WRONG_SHARD, f"shard {parts[2]!r} of {gateway!r} should be {shard_of(gateway)!r}")
    return Address(gateway, channel)
