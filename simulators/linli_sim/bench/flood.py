"""A generator of telemetry that costs little itself: packs made beforehand, sent at QoS 1 as fast as they are taken."""

import asyncio
import time
from collections.abc import Iterator, Sequence
from typing import Final

from linli_core.wire.messages import Status, encode_message
from linli_core.wire.topics import Channel, topic
from linli_platform.ingest.mqtt import connect, publish
from linli_sim.bench import CannotRun

_IN_FLIGHT: Final = 90
"""Below what Mosquitto holds in flight for one client without queueing."""

_EPOCH: Final = "bench"
_METERS: Final = 20
_POINTS: Final = (
    ("active_power", "W", 1_200.0),
    ("energy_import", "Wh", 4_310_000.0),
    ("voltage", "V", 225.0),
    ("current", "A", 5.2),
    ("frequency", "Hz", 49.9),
)
_CONNACK: Final = b"\x20\x02\x00\x00"
_PUBACK_BYTES: Final = 4


def packs(gateway: str, count: int, records: int) -> Iterator[bytes]:
    """Yield a gateway's packs, each of one moment, a second apart; the newest is of now.

    Args:
        gateway: The sender.
        count: How many packs.
        records: Readings in each; a multiple of 5, at most 100.
    """
    start = int(time.time()) - count
    for number in range(count):
        yield pack(gateway, _EPOCH, number + 1, start + number, records)


def pack(gateway: str, epoch: str, seq: int, moment: int, records: int) -> bytes:
    """Return one pack of a gateway: the next meters' points, all of one moment.

    Args:
        gateway: The sender.
        epoch: Its log.
        seq: The message's number in it.
        moment: When it was read, seconds since 1970.
        records: Readings; a multiple of 5, at most 100.
    """
    meters = records // len(_POINTS)
    number = seq - 1
    first = number % (_METERS // meters) * meters
    body = ",".join(
        f'{{"n":"meter-{meter}/{name}","u":"{unit}","v":{value + (number * 7 + meter) % 97 / 10:.1f}}}'
        for meter in range(first, first + meters)
        for name, unit, value in _POINTS
    )
    head = f'[{{"bn":"{gateway}/","bt":{moment},"epoch":"{epoch}","seq":{seq},'
    return f"{head}{body[1:]}]".encode()


def publishes(gateways: Sequence[str], count: int, records: int) -> list[bytes]:
    """Return PUBLISH packets: each gateway's status, then ``count`` packs of each gateway in turn."""
    messages: list[tuple[str, bytes]] = []
    for gateway in gateways:
        status = Status(gateway, "online", epoch=_EPOCH, next_seq=count + 1, boot_id="bench", number=1)
        messages.append((topic(gateway, Channel.STATUS), encode_message(status)))
    topics = [topic(gateway, Channel.TELEMETRY) for gateway in gateways]
    for turn in zip(*(packs(gateway, count, records) for gateway in gateways), strict=True):
        messages += zip(topics, turn, strict=True)
    return [
        publish(name, payload, packet_id=number % 65_535 + 1, retain=False)
        for number, (name, payload) in enumerate(messages)
    ]


async def send(port: int, packets: Sequence[bytes]) -> None:
    """Send PUBLISH packets to the broker on a loopback port; return when it has taken every one.

    Raises:
        CannotRun: The broker refused the connection or closed it.
    """
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(connect("linli-bench", keep_alive=0, clean=True))
        if await reader.readexactly(len(_CONNACK)) != _CONNACK:
            raise CannotRun("the broker refused the generator's connection")
        sent = taken = 0
        while taken < len(packets) * _PUBACK_BYTES:
            until = min(taken // _PUBACK_BYTES + _IN_FLIGHT, len(packets))
            if until > sent:
                writer.write(b"".join(packets[sent:until]))
                sent = until
            answers = await reader.read(65_536)
            if not answers:
                raise CannotRun(f"the broker closed the connection after {taken // _PUBACK_BYTES} messages")
            taken += len(answers)
    except asyncio.IncompleteReadError as exc:
        raise CannotRun("the broker closed the generator's connection at once") from exc
    finally:
        writer.close()
