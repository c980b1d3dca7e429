"""Alarms raised on purpose while something else goes on, and the time each takes to the platform's live feed."""

import asyncio
import json
import math
import time
import urllib.request
from typing import Any, Final

from linli_core.wire.messages import Status, encode_message
from linli_core.wire.topics import Channel, topic
from linli_platform.ingest.mqtt import Decoder, Publish, connect, publish, subscribe
from linli_sim.bench import CannotRun
from linli_sim.bench.installation import Installation

EPOCH: Final = "bench"
_MOST_PACKET: Final = 256 * 1024
_MOST_LINE: Final = 64 * 1024 * 1024
_ROOMS: Final = 400
_FEWEST: Final = 20

RULE: Final = """
[[rules]]
id = "storm.warm"
category = "food"
priority = "high"
quantity = "air_temperature"
unit = "Cel"
condition = { kind = "limit", high = 8.0, hysteresis = 1.0 }
title = { zh = "冷库温度过高", en = "Cold room too warm" }
consequence = { zh = "食品变质。", en = "Food spoils." }
response = { zh = "关好库门。", en = "Shut the door." }
"""
"""A rule without a delay: what is measured is the platform's own time."""


class Connection:
    """An MQTT connection that publishes at QoS 1 and hears what it subscribed."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._decoder = Decoder(_MOST_PACKET)
        self._packet = 0

    async def open(self, port: int, filters: list[str]) -> None:
        """Connect to the broker on a loopback port, and subscribe."""
        self.reader, self.writer = await asyncio.open_connection("127.0.0.1", port)
        self.writer.write(connect(self._name, keep_alive=0, clean=True))
        if filters:
            self.writer.write(subscribe(1, filters, 0))

    def publish(self, where: str, payload: bytes, *, retain: bool = False) -> None:
        """Publish at QoS 1; drain the writer now and then."""
        self._packet = self._packet % 65_535 + 1
        self.writer.write(publish(where, payload, packet_id=self._packet, retain=retain))

    async def messages(self) -> list[Publish]:
        """Return what came next; raise :class:`CannotRun` if the broker hung up."""
        data = await self.reader.read(65_536)
        if not data:
            raise CannotRun(f"the broker closed the connection of {self._name}")
        packets, answers = self._decoder.receive(data)
        if answers:
            self.writer.write(answers)
        return [packet for packet in packets if isinstance(packet, Publish)]


class Alarms:
    """A gateway whose cold rooms get warm one after the other, and the platform's live feed.

    Attributes:
        sent: Readings published.
        latencies: Seconds from publishing to the live feed.
    """

    def __init__(self, community: Installation, every: float) -> None:
        """Store where, and how many seconds there are from one room to the next."""
        self._community = community
        self._every = every
        self._published: dict[str, float] = {}
        self.sent = 0
        self.latencies: list[float] = []
        self._heard = asyncio.Event()

    async def first(self) -> None:
        """Wait until the first alarm came through: everything is warm."""
        async with asyncio.timeout(60):
            await self._heard.wait()
        self.latencies.clear()

    @property
    def p99_ms(self) -> float:
        """The latency that one in a hundred exceeds."""
        if len(self.latencies) < _FEWEST:
            raise CannotRun(f"the figure is void: only {len(self.latencies)} alarms were measured")
        return sorted(self.latencies)[max(0, round(len(self.latencies) * 0.99) - 1)] * 1000

    @property
    def median_ms(self) -> float:
        """The latency that every other one exceeds."""
        return sorted(self.latencies)[len(self.latencies) // 2] * 1000 if self.latencies else math.nan

    async def settled(self) -> None:
        """Wait for the alarms that are still under way."""
        async with asyncio.timeout(60):
            while self._published:
                self._heard.clear()
                await self._heard.wait()

    async def raise_all(self) -> None:
        """Publish until cancelled."""
        connection = Connection("gw-kitchen")
        await connection.open(self._community.broker_port, [])
        status = Status("gw-kitchen", "online", EPOCH, 1, 1, boot_id="storm", number=1)
        connection.publish(topic("gw-kitchen", Channel.STATUS), encode_message(status), retain=True)
        where = topic("gw-kitchen", Channel.TELEMETRY)
        # The rooms are known, and cold, before the first gets warm.
        rooms = [{"n": f"room-{room}/air_temperature", "u": "Cel", "v": 2} for room in range(_ROOMS)]
        head = {"bn": "gw-kitchen/", "bt": round(time.time() - 60, 3), "epoch": EPOCH, "seq": 1}
        connection.publish(where, json.dumps([head | rooms[0], *rooms[1:]]).encode())
        self.sent += _ROOMS
        for seq in range(2, 1_000_000):
            record = {
                "bn": "gw-kitchen/",
                "bt": round(time.time(), 3),
                "epoch": EPOCH,
                "seq": seq,
                "n": f"room-{seq % _ROOMS}/air_temperature",
                "u": "Cel",
                "v": 20 if seq // _ROOMS % 2 == 0 else 2,
            }
            if record["v"] == 20:
                self._published[f"gw-kitchen/room-{seq % _ROOMS}/air_temperature"] = time.monotonic()
            connection.publish(where, json.dumps([record]).encode())
            self.sent += 1
            await connection.writer.drain()
            await asyncio.sleep(self._every)

    async def listen(self) -> None:
        """Take the time of each alarm until cancelled."""
        host, _, port = self._community.url.removeprefix("http://").partition(":")
        reader, writer = await asyncio.open_connection(host, int(port), limit=_MOST_LINE)
        writer.write(f"GET /api/v1/live HTTP/1.1\r\nHost: {host}:{port}\r\nConnection: close\r\n\r\n".encode())
        event = ""
        while line := (await reader.readline()).decode():
            if line.startswith("event: "):
                event = line[7:].strip()
            elif line.startswith("data: ") and event == "alarm":
                alarm = json.loads(line[6:])
                if alarm["state"] == "unacknowledged":
                    self._take(alarm["subject"])
            elif line.startswith("data: ") and event == "resync":
                # Messages were dropped, as two hundred gateways were told of at once: look for oneself, as a page does.
                for alarm in await asyncio.to_thread(self._active):
                    self._take(alarm["subject"])

    def _take(self, subject: str) -> None:
        at = self._published.pop(subject, None)
        if at is not None:
            self.latencies.append(time.monotonic() - at)
            self._heard.set()

    def _active(self) -> list[dict[str, Any]]:
        url = f"{self._community.url}/api/v1/alarms?active=true&limit=500"
        with urllib.request.urlopen(url, timeout=30) as answer:  # noqa: S310 - our own
            found: list[dict[str, Any]] = json.loads(answer.read())
        return found
