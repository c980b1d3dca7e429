"""Recorded telegrams replayed as a receiver's lines: all of them, as recorded, and none a driver cannot take."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.edge.radio import WATER, Air, link, named, volume

from linli_core.codecs.mbus import LongFrame
from linli_core.codecs.mbus.frame import encode_frame
from linli_core.codecs.wmbus.encode import Meter, encode_plain
from linli_core.codecs.wmbus.frame import Checksums, add_checksums
from linli_sim.radio_replay import RecordedAir, load
from linli_sim.wmbus import Receiver


@pytest.fixture
def recordings(tmp_path: Path) -> Path:
    def write(name: str, kind: str, data: bytes) -> None:
        document = {"kind": kind, "key": None, "input": {"data": data.hex()}}
        (tmp_path / f"{name}.json").write_text(json.dumps(document))

    write("b", "valid", encode_plain(Meter(WATER, 2), volume(1001)))
    write("a", "valid", encode_plain(Meter(WATER, 1), volume(1000)))
    write("c", "records", volume(5))
    write("d", "valid", encode_frame(LongFrame(8, 1, 0x72, b"")))
    write("e", "valid", encode_plain(Meter(WATER, 3), volume(1002)) + encode_plain(Meter(WATER, 4), volume(1003)))
    write("f", "valid", add_checksums(encode_plain(Meter(WATER, 5), volume(1004)), Checksums.A))
    return tmp_path


async def test_a_round_is_every_telegram_once_in_the_order_of_their_names(recordings: Path) -> None:
    telegrams = load(recordings)
    assert [each.name for each in telegrams] == ["a", "b", "e", "e", "f"]
    assert {(each.number, each.protection, each.key) for each in telegrams} == {("12345678", "", "")}
    air = Air(link())
    for line in RecordedAir(telegrams).round(0):
        air.send(bytes.fromhex(line), 60)
    assert air.totals == {"read": 5}
    assert str(named(await air.collect())["water_volume"]) == "1.004"


async def test_whoever_listens_gets_the_lines(recordings: Path) -> None:
    receiver = Receiver(RecordedAir(load(recordings)), 3600)
    async with receiver.listen() as port, asyncio.TaskGroup() as tasks:
        hearing = tasks.create_task(receiver.hear())
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        lines = [await reader.readline() for _ in range(5)]
        assert [bytes.fromhex(line.decode()) for line in lines] == list(_sent(recordings))
        writer.close()
        hearing.cancel()


@pytest.mark.vectors
def test_every_recorded_telegram_of_a_radio_meter_is_replayed(vectors: Path) -> None:
    folder = vectors / "wmbus"
    telegrams = load(folder)
    wanted = set()
    for path in folder.glob("*.json"):
        document = json.loads(path.read_text())
        wired = document["input"]["data"].startswith("68") and document["input"]["data"][6:8] == "68"
        if document["kind"].startswith("valid") and not wired:
            wanted.add(path.stem)
    assert {each.name for each in telegrams} == wanted
    assert wanted
    air = Air(link())
    for line in RecordedAir(telegrams).round(0):
        air.send(bytes.fromhex(line), 60)
    heard = sum(meter.count for meter in air.settings.memory.heard.values())
    assert heard == len(telegrams) > len(wanted)


def _sent(folder: Path) -> Iterator[bytes]:
    return (telegram.data for telegram in load(folder))
