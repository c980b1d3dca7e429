"""``alarm.flood10000_*``: ten thousand alarms in one moment, until the last is in the record, and the API meanwhile.

Broker and platform are real processes. Every point of ten gateways is known and within its limit; then all are beyond.
"""

import asyncio
import json
import sqlite3
import time
from contextlib import closing
from typing import Final, NamedTuple

from linli_core.wire.messages import Status, encode_message
from linli_core.wire.topics import Channel, topic
from linli_sim.bench import CannotRun, bench
from linli_sim.bench.installation import Installation, installation
from linli_sim.bench.live import EPOCH, RULE, Connection

_GATEWAYS: Final = 10
_POINTS: Final = 1_000
_LIMIT_S: Final = 120.0
_ASK_EVERY_S: Final = 0.02
_RAISED: Final = "SELECT count(*) FROM alarm_change WHERE event = 'raise'"


class _Flood(NamedTuple):
    """What was seen of it: seconds until all was written, and how long each answer of the API took."""

    seconds: float
    answers: list[float]


_kept: list[_Flood] = []
"""This run's, for both figures."""


@bench("alarm.flood10000_s", unit="s", target=10)
async def flood10000_s() -> float:
    """From the first of 10,000 readings beyond a limit, in one moment, to the last alarm of them in the record."""
    return (await _flood()).seconds


@bench("alarm.flood10000.api_p99_ms", unit="ms", target=1_000)
async def flood10000_api_p99_ms() -> float:
    """The newest hundred alarms by the API meanwhile: all answers but one in a hundred."""
    answers = sorted((await _flood()).answers)
    return answers[max(0, round(len(answers) * 0.99) - 1)] * 1_000


async def _flood() -> _Flood:
    if not _kept:
        _kept.append(await _run())
    return _kept[0]


async def _run() -> _Flood:
    async with installation({"storm.toml": RULE}) as community:
        gateways = [_Gateway(f"gw-{number}") for number in range(_GATEWAYS)]
        for gateway in gateways:
            await gateway.open(community)
            await gateway.say(1, 2.5)
        await community.until_stored(_GATEWAYS * _POINTS, limit=_LIMIT_S, every=0.2)
        answers: list[float] = []
        asking = asyncio.create_task(_ask(community, answers), name="asking")
        begun = time.monotonic()
        for gateway in gateways:
            await gateway.say(2, 99.0)
        while (raised := await _raised(community)) < _GATEWAYS * _POINTS:
            if time.monotonic() > begun + _LIMIT_S:
                raise CannotRun(f"{raised} of {_GATEWAYS * _POINTS} alarms were raised within {_LIMIT_S:g} s")
            await asyncio.sleep(0.05)
        seconds = time.monotonic() - begun
        asking.cancel()
        if raised != _GATEWAYS * _POINTS or not answers:
            raise CannotRun(f"the figure is void: {raised} alarms of {_GATEWAYS * _POINTS}, {len(answers)} answers")
        return _Flood(seconds, answers)


class _Gateway:
    """A thousand points whose readings come in one message."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._connection = Connection(name)

    async def open(self, community: Installation) -> None:
        """Connect, and say that it is there."""
        await self._connection.open(community.broker_port, [])
        status = Status(self._name, "online", EPOCH, 1, 1, boot_id="flood", number=1)
        self._connection.publish(topic(self._name, Channel.STATUS), encode_message(status), retain=True)

    async def say(self, seq: int, value: float) -> None:
        """Publish a value of every point."""
        head = {"bn": f"{self._name}/", "bt": round(time.time(), 3), "epoch": EPOCH, "seq": seq}
        records = [
            {"n": f"d-{point // 10}/air_temperature.c{point % 10 + 1}", "u": "Cel", "v": value}
            for point in range(_POINTS)
        ]
        records[0] = head | records[0]
        payload = json.dumps(records, separators=(",", ":")).encode()
        self._connection.publish(topic(self._name, Channel.TELEMETRY), payload)
        await self._connection.writer.drain()


async def _ask(community: Installation, answers: list[float]) -> None:
    """Ask for the newest alarms until cancelled, as a page does."""
    while True:
        begun = time.monotonic()
        await community.get("/api/v1/alarms?limit=100")
        answers.append(time.monotonic() - begun)
        await asyncio.sleep(_ASK_EVERY_S)


async def _raised(community: Installation) -> int:
    """Count in the record itself: asking the platform would be part of its load."""

    def count() -> int:
        path = community.folder / "platform" / "registry.sqlite"
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as record:
            (found,) = record.execute(_RAISED).fetchone()
            return int(found)

    return await asyncio.to_thread(count)
