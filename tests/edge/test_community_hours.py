"""The demo's community without waiting for it: its own devices, drivers and packs."""

from collections import defaultdict
from pathlib import Path

from linli_core.instant import DAY, SECOND
from linli_core.model import Quality
from linli_core.wire import senml
from linli_sim.community import GATEWAYS, Community
from linli_sim.community_hours import played

START = 20_000 * DAY


def test_every_device_is_read_at_its_interval_by_stamps_of_its_own() -> None:
    sent = played(START, 20)
    assert [one.at for one in sent] == sorted(one.at for one in sent)
    stamps: dict[str, set[int]] = defaultdict(set)
    readings = 0
    for one in sent:
        records, refused = senml.resolve(senml.decode(one.payload), one.at)
        assert not refused
        assert one.readings == len(records)
        readings += len(records)
        for record in records:
            assert record.quality is Quality.GOOD
            assert START <= record.time <= one.at
            gateway, device, _point = record.name.split("/")
            stamps[f"{gateway}/{device}"].add(record.time)
    devices = Community(Path("/nowhere")).devices
    assert set(stamps) == {f"{gateway}/{device.id}" for gateway in GATEWAYS for device in devices[gateway]}
    # One request a second; an SDM630 takes three.
    assert len(stamps["gw-electric/cold-room-1"]) == 20
    assert len(stamps["gw-electric/meter-main"]) == 60
    assert len(stamps["gw-heat/water-1"]) == 4
    assert readings > 8 * sum(len(times) for times in stamps.values())
    # No grid: a poll is late by its own while, and still within a tenth of a second.
    lateness = [time % SECOND for time in stamps["gw-electric/cold-room-1"]]
    assert len(set(lateness)) == 20
    assert max(lateness) < SECOND // 10


def test_the_same_seed_says_the_same() -> None:
    once, again, other = (played(START, 3, seed) for seed in (1, 1, 2))
    assert [one.payload for one in once] == [one.payload for one in again] != [one.payload for one in other]
