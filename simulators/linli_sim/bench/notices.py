"""``alarm.latency_*``: from a reading's publishing to the notice of its alarm at an HTTP receiver.

Broker and platform are real processes; the notice goes through routes, queue and Apprise like any other. Ten gateways
bring 10,000 readings a second meanwhile, of 10,000 points that the rule watches each.
"""

import asyncio
import json
import re
import sys
import time
from pathlib import Path
from typing import Final

from linli_core.wire.messages import Status, encode_message
from linli_core.wire.topics import Channel, topic
from linli_sim.bench import CannotRun, bench
from linli_sim.bench.installation import Installation, installation
from linli_sim.bench.live import EPOCH, RULE, Alarms, Connection

_GATEWAYS: Final = 10
_POINTS: Final = 1_000
_WARM_S: Final = 5.0
_ALARMS: Final = 80
_ALARM_EVERY_S: Final = 0.25
_LIMIT_S: Final = 120.0
_ROOM: Final = re.compile(rb"room-(\d+)")
_LENGTH: Final = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)

# The pace lets each alarm go by itself: what is measured is the way of one notice, not how many are gathered.
_ROUTES: Final = """
[[targets]]
id = "receiver"
url_file = "{folder}/receiver.url"
burst = 100
every = "1 s"
[[routes]]
id = "all"
to = ["receiver"]
resolved = false
"""

_kept: list[list[float]] = []
"""The latencies of this run, for both figures."""


@bench("alarm.latency_p50_ms", unit="ms", target=20)
async def latency_p50_ms() -> float:
    """From a reading's publishing to its notice handed over, half of them, at 10,000 readings a second."""
    latencies = sorted(await _latencies())
    return latencies[len(latencies) // 2] * 1_000


@bench("alarm.latency_p99_ms", unit="ms", target=100)
async def latency_p99_ms() -> float:
    """As above, all but one in a hundred."""
    latencies = sorted(await _latencies())
    return latencies[max(0, round(len(latencies) * 0.99) - 1)] * 1_000


async def _latencies() -> list[float]:
    if not _kept:
        _kept.append(await _run())
    return _kept[0]


async def _run() -> list[float]:
    receiver = _Receiver()
    server = await asyncio.start_server(receiver.answer, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]

    def prepare(folder: Path) -> None:
        (folder / "receiver.url").write_text(f"json://127.0.0.1:{port}/\n", encoding="utf-8")
        (folder / "notify.toml").write_text(_ROUTES.replace("{folder}", str(folder)), encoding="utf-8")

    settings = '[notify]\nfile = "{folder}/notify.toml"\n'
    async with server, installation({"storm.toml": RULE}, settings=settings, prepare=prepare) as community:
        alarms = _Noticed(community, _ALARM_EVERY_S)
        receiver.alarms = alarms
        async with asyncio.TaskGroup() as group:
            loads = [group.create_task(_load(community, number), name=f"load-{number}") for number in range(_GATEWAYS)]
            await asyncio.sleep(_WARM_S)  # every point is known, and judged without a look at the rule
            before, begun = await community.stored(), time.monotonic()
            raising = group.create_task(alarms.raise_all(), name="alarms")
            try:
                async with asyncio.timeout(_LIMIT_S):
                    await alarms.first()
                    await alarms.enough(_ALARMS)
            except TimeoutError:
                found = f"{len(alarms.latencies)} of {_ALARMS} notices came within {_LIMIT_S:g} s"
                raise CannotRun(f"{found}; the platform's log ends:\n{community.platform.tail()}") from None
            rate = (await community.stored() - before) / (time.monotonic() - begun)
            raising.cancel()
            for load in loads:
                load.cancel()
        if rate < 0.8 * _GATEWAYS * _POINTS:
            raise CannotRun(f"the figure is void: only {rate:,.0f} readings/s were stored meanwhile")
        print(f"  {len(alarms.latencies)} notices at {rate:,.0f} readings/s", file=sys.stderr)  # noqa: T201
        return alarms.latencies


class _Noticed(Alarms):
    """Cold rooms that get warm, timed by the notices of them."""

    def notice(self, room: int) -> None:
        """Take the time of a room's notice."""
        self._take(f"gw-kitchen/room-{room}/air_temperature")

    async def enough(self, count: int) -> None:
        """Wait for so many notices."""
        while len(self.latencies) < count:
            self._heard.clear()
            await self._heard.wait()


class _Receiver:
    """Answers what is posted, and tells whose alarms it was about."""

    def __init__(self) -> None:
        self.alarms: _Noticed | None = None

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one request, then close."""
        head = await reader.readuntil(b"\r\n\r\n")
        length = _LENGTH.search(head)
        body = await reader.readexactly(int(length[1]) if length else 0)
        for room in set(_ROOM.findall(body)):
            if self.alarms is not None:
                self.alarms.notice(int(room))
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        await writer.drain()
        writer.close()


async def _load(community: Installation, number: int) -> None:
    """Bring a thousand readings a second until cancelled."""
    name = f"gw-load-{number}"
    connection = Connection(name)
    await connection.open(community.broker_port, [])
    status = Status(name, "online", EPOCH, 1, 1, boot_id="load", number=1)
    connection.publish(topic(name, Channel.STATUS), encode_message(status), retain=True)
    where = topic(name, Channel.TELEMETRY)
    # Ten points a device: more than 500 devices of a gateway that nobody accepted are refused.
    names = [f"d-{point // 10}/air_temperature.c{point % 10 + 1}" for point in range(_POINTS)]
    rest = ",".join(_written({"n": point, "u": "Cel", "v": 2.5}) for point in names[1:])
    await asyncio.sleep(number / _GATEWAYS)
    begun = time.monotonic()
    for seq in range(1, 1_000_000):
        head = {"bn": f"{name}/", "bt": round(time.time(), 3), "epoch": EPOCH, "seq": seq}
        first = _written(head | {"n": names[0], "u": "Cel", "v": 2.5})
        connection.publish(where, f"[{first},{rest}]".encode())
        await connection.writer.drain()
        await asyncio.sleep(max(0.0, begun + seq - time.monotonic()))


def _written(record: dict[str, object]) -> str:
    """Return a record as gateways write it: its unit beside each value, and no spaces."""
    return json.dumps(record, separators=(",", ":"))
