"""The live feed: joined readings, bounded queues, counted drops."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from linli_core.instant import SECOND
from linli_platform.api import LiveFeed
from linli_platform.api.live import MOST
from linli_platform.ingest import Committed
from linli_platform.store import LATE, SeriesInfo
from linli_platform.web.show import shown

if TYPE_CHECKING:
    from tests.hub.api.conftest import Clock

DOOMSDAY = 1e6
"""Until then no heartbeat comes in the place of what is waited for."""

ROOM = SeriesInfo(7, "gw", "room", "room/air_temperature", "air_temperature")


def committed(*values: float | None, start: int = 0) -> Committed:
    count = len(values)
    times = [start + n * SECOND for n in range(count)]
    return Committed(
        [ROOM] * count, times, list(values), [None] * count, [0 if v is not None else 129 for v in values], 0
    )


def events(data: bytes) -> list[tuple[str, Any]]:
    blocks = [block.split("\n") for block in data.decode().split("\n\n") if block.startswith("event:")]
    return [(lines[0].removeprefix("event: "), json.loads(lines[1].removeprefix("data: "))) for lines in blocks]


async def test_readings_are_joined_and_only_the_newest_is_sent(clock: Clock) -> None:
    feed = LiveFeed(shown, clock, join=0.001)
    client = feed.join("en")
    assert client is not None
    feed.on_committed(committed(1.0, 2.0, 3.0))
    feed.on_committed(committed(9.0))
    ((event, data),) = events(await client.next(DOOMSDAY))
    assert event == "readings"
    (reading,) = data["readings"]
    assert (reading["series"], reading["point"]) == (7, "gw/room/air_temperature")
    assert (reading["value"], reading["shown"], reading["time"]) == (3.0, "3.0", "1970-01-01T00:00:02Z")


async def test_a_missing_value_is_null_and_a_dash(clock: Clock) -> None:
    feed = LiveFeed(shown, clock, join=0.001)
    client = feed.join("zh")
    assert client is not None
    feed.on_committed(committed(None))
    (reading,) = events(await client.next(DOOMSDAY))[0][1]["readings"]
    assert (reading["value"], reading["shown"], reading["quality"]) == (None, "–", "bad/no_communication")


async def test_of_many_points_each_is_told_in_its_turn(clock: Clock) -> None:
    feed = LiveFeed(shown, clock, join=0.001)
    client = feed.join("en")
    assert client is not None
    count = 2 * MOST + 1
    infos = [SeriesInfo(n, "gw", "room", f"room/air_temperature.{n}", "air_temperature") for n in range(1, count + 1)]
    feed.on_committed(Committed(infos, [0] * count, [1.0] * count, [None] * count, [0] * count, 0))
    feed.on_committed(Committed(infos[-1:], [1], [2.0], [None], [0], 1))
    told: list[tuple[int, float]] = []
    while len(told) < count:
        for _, data in events(await client.next(DOOMSDAY)):
            assert len(data["readings"]) <= MOST
            told += [(reading["series"], reading["value"]) for reading in data["readings"]]
    assert told == [(info.id, 1.0) for info in infos[:-1]] + [(count, 2.0)]


async def test_what_came_late_is_history(clock: Clock) -> None:
    feed = LiveFeed(shown, clock, join=0.001)
    client = feed.join("en")
    assert client is not None
    times = [0, LATE, LATE + 1, 2 * LATE]
    feed.on_committed(Committed([ROOM] * 2, times[:2], [1.0, 2.0], [None] * 2, [0] * 2, 2 * LATE))
    assert feed._newest == {}
    feed.on_committed(Committed([ROOM] * 4, times, [1.0, 2.0, 3.0, 4.0], [None] * 4, [0] * 4, 2 * LATE))
    ((_, data),) = events(await client.next(DOOMSDAY))
    assert [reading["value"] for reading in data["readings"]] == [4.0]


async def test_nobody_listening_costs_nothing(clock: Clock) -> None:
    feed = LiveFeed(shown, clock)
    feed.on_committed(committed(1.0))
    assert feed.clients == 0
    assert feed._newest == {}


async def test_a_slow_client_loses_the_oldest_and_is_told_to_fetch_afresh(clock: Clock) -> None:
    feed = LiveFeed(shown, clock, queue=3)
    client = feed.join("en")
    assert client is not None
    for number in range(5):
        feed.on_gateway(f"gw-{number}")
    assert (feed.dropped, client.dropped) == (3, 3)
    heard = events(await client.next(DOOMSDAY))
    assert [name for name, _ in heard] == ["resync", "gateway", "gateway"]
    assert heard[0][1]["time"].endswith("Z")


async def test_silence_is_kept_alive_by_heartbeats(clock: Clock) -> None:
    client = LiveFeed(shown, clock).join("en")
    assert client is not None
    assert (await client.next(0.0)).startswith(b":")


async def test_a_stream_begins_with_a_resync_and_leaves_when_it_ends(clock: Clock) -> None:
    feed = LiveFeed(shown, clock)
    client = feed.join("en")
    assert client is not None
    stream = feed.stream(client)
    first = await anext(stream)
    assert first.startswith(b"retry: ")
    assert events(first)[0][0] == "resync"
    feed.on_gateway("gw")
    assert events(await anext(stream)) == [("gateway", {"id": "gw"})]
    await stream.aclose()
    assert feed.clients == 0


async def test_there_is_a_most_of_clients(clock: Clock) -> None:
    feed = LiveFeed(shown, clock, limit=1)
    assert feed.join("en") is not None
    assert feed.join("en") is None
