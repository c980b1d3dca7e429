"""MQTT topics: ``linli/1/{shard}/{gateway}/…``.

Topics carry identity only; which community or building a thing belongs to lives in the registry, so moving it
changes no topic and no stored series. The shard spreads gateways over workers on any broker without shared
subscriptions, which break per-device order.
"""

import zlib
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Self

from linli_core.errors import RefusalReason, Refused
from linli_core.model import is_id

ROOT: Final = "linli/1"
SHARDS: Final = 64


class Channel(StrEnum):
    """What a gateway's topic carries; the last part of the topic, before the id of a command or a reply."""

    TELEMETRY = "telemetry"
    EVENT = "event"
    STATUS = "status"
    ACK = "ack"
    TWIN_DESIRED = "twin/desired"
    TWIN_REPORTED = "twin/reported"
    COMMAND = "command"
    REPLY = "reply"


NUMBERED: Final = frozenset({Channel.COMMAND, Channel.REPLY})
"""Channels whose topics end with an id: ``command/{id}``."""


def shard_of(gateway: str) -> str:
    """Return the two hex digits of a gateway's shard: ``crc32(gateway) % 64``."""
    return f"{zlib.crc32(gateway.encode()) % SHARDS:02x}"


def topic(gateway: str, channel: Channel, command: str = "") -> str:
    """Return the topic of one of a gateway's channels; ``command`` is a command's id, or ``+`` to subscribe to all."""
    if (channel in NUMBERED) != bool(command):
        raise ValueError(f"{channel} {'needs an' if channel in NUMBERED else 'has no'} id of a command")
    own = f"{ROOT}/{shard_of(gateway)}/{gateway}/{channel}"
    return f"{own}/{command}" if command else own


def subscription(shard: str = "+") -> str:
    """Return the filter a platform worker subscribes for one shard, or for all."""
    return f"{ROOT}/{shard}/+/#"


@dataclass(frozen=True, slots=True)
class ShardSet:
    """One worker's share of the shards: those that leave ``number - 1`` when divided by ``of``.

    Attributes:
        number: Which of the workers, from 1.
        of: How many workers there are; more than one of each number must not be.
    """

    number: int = 1
    of: int = 1

    def __post_init__(self) -> None:
        if not 1 <= self.number <= self.of <= SHARDS:
            raise ValueError(f"{self}: {SHARDS} shards go to 1 to {SHARDS} workers, numbered from 1")

    def __str__(self) -> str:
        return f"{self.number}/{self.of}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the set that ``3/8`` means, the third of eight; ``ValueError`` if none."""
        number, separator, of = text.partition("/")
        if not separator or not all(part.isascii() and part.isdigit() and len(part) <= 2 for part in (number, of)):
            raise ValueError(f"{text[:20]!r} is no share such as 3/8")
        return cls(int(number), int(of))

    @property
    def is_whole(self) -> bool:
        """Whether one worker has them all."""
        return self.of == 1

    def holds(self, gateway: str) -> bool:
        """Tell whether a gateway's shard is in the set."""
        return int(shard_of(gateway), 16) % self.of == self.number - 1

    def subscriptions(self) -> list[str]:
        """Return the filters a worker of the set subscribes."""
        if self.is_whole:
            return [subscription()]
        return [subscription(f"{shard:02x}") for shard in range(self.number - 1, SHARDS, self.of)]


EVERY_SHARD: Final = ShardSet()


@dataclass(frozen=True, slots=True)
class Address:
    """A topic, taken apart; ``command`` is the id of a command or reply, empty elsewhere."""

    gateway: str
    channel: Channel
    command: str = ""


_CHANNELS: Final = {channel.value: channel for channel in Channel if channel not in NUMBERED}


def _channel(text: str) -> tuple[Channel | None, str]:
    """Return the channel that the end of a topic names, and a command's id."""
    if (channel := _CHANNELS.get(text)) is not None:
        return channel, ""
    name, _, command = text.partition("/")
    numbered = next((channel for channel in NUMBERED if channel.value == name), None)
    return (numbered, command) if is_id(command) else (None, "")


def parse_topic(text: str) -> Address:
    """Return gateway and channel of a topic; raise :class:`Refused` if it is none of ours or the shard is wrong."""
    parts = text.split("/", 4)
    channel, command = _channel(parts[4]) if len(parts) == 5 else (None, "")
    if channel is None or f"{parts[0]}/{parts[1]}" != ROOT:
        raise Refused(RefusalReason.UNKNOWN_TOPIC, f"{text[:200]!r} is no topic of {ROOT}")
    gateway = parts[3]
    if not is_id(gateway):
        raise Refused(RefusalReason.UNKNOWN_TOPIC, f"{gateway[:80]!r} is no gateway id")
    if parts[2] != shard_of(gateway):
        raise Refused(RefusalReason.WRONG_SHARD, f"shard {parts[2]!r} of {gateway!r} should be {shard_of(gateway)!r}")
    return Address(gateway, channel, command)
