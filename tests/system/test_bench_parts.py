"""What the benchmarks stand on: the flood is what gateways send, the gateway's configuration is a sound one."""

import os
import tomllib
from pathlib import Path

import numpy as np
import pytest

from linli_core.model import Point, Reading, Reason, missing
from linli_core.wire.topics import Channel, topic
from linli_edge.config.gateway import load_config, parse_config
from linli_platform.ingest.columns import ColumnDecoder
from linli_platform.ingest.mqtt import Decoder, Publish
from linli_sim.bench import CannotRun, bus, edge, flood, process, store
from linli_sim.modbus import entries_of


@pytest.mark.parametrize("records", [5, 100])
def test_a_flood_is_packs_of_the_canonical_form_and_names_no_reading_twice(records: int) -> None:
    gateways = ["gw-0", "gw-1"]
    packets, _ = Decoder(1 << 20).receive(b"".join(flood.publishes(gateways, 30, records)))
    messages = [packet for packet in packets if isinstance(packet, Publish)]
    assert [message.topic.decode() for message in messages[:2]] == [topic(name, Channel.STATUS) for name in gateways]
    decoder = ColumnDecoder()
    seen: set[tuple[str, str, int]] = set()
    numbers = dict.fromkeys(gateways, 0)
    for message, gateway in zip(messages[2:], gateways * 30, strict=True):
        assert message.topic.decode() == topic(gateway, Channel.TELEMETRY)
        columns = decoder.decode(message.payload, gateway)
        assert columns is not None
        assert len(columns.names) == records
        numbers[gateway] += 1
        assert columns.seq == numbers[gateway]
        seen.update((gateway, name, at) for name, at in zip(columns.names, columns.times, strict=True))
    assert len(seen) == 2 * 30 * records


def test_the_gateway_under_test_reads_a_thousand_points(tmp_path: Path) -> None:
    path = tmp_path / "gateway.toml"
    path.write_text(edge._config(1883, 5020, "1 s"), encoding="utf-8")
    config = load_config(path)
    assert len(config.links) == edge._LINKS
    assert 1_000 <= edge._METERS * len(entries_of(edge._PROFILE)) < 1_050


def test_the_stores_readings_are_as_many_as_announced_and_each_once() -> None:
    ids = np.arange(1, store._METERS * len(store._POINTS) + 1, dtype=np.int32)
    batch = next(store._batches(ids))
    assert len(batch) == len(ids) * store._MOMENTS_IN_COMMIT
    assert store._MOMENTS % store._MOMENTS_IN_COMMIT == 0
    assert len(set(zip(batch.series.tolist(), batch.time.tolist(), strict=True))) == len(batch)


def test_a_process_is_looked_at_and_one_that_is_gone_is_told() -> None:
    assert process.cpu_seconds(os.getpid()) > 0
    assert process.peak_rss_bytes(os.getpid()) > 1_000_000
    with pytest.raises(CannotRun, match="process 4194305 cannot be looked at"):
        process.cpu_seconds(4_194_305)  # above the most a Linux kernel gives


def test_the_line_under_test_has_as_many_points_as_it_says() -> None:
    text = bus.line_config('driver = "modbus"\nhost = "127.0.0.1"', range(1, 31), 40, "1 s", "retries = 1")
    (link,) = parse_config(tomllib.loads(text), Path()).links
    assert link.spec.plan is not None
    polls = link.spec.plan(link.config)
    assert [len(planned.points) for planned in polls] == [40] * 30
    assert len(bus.unit(40).tables["holding"]) == 80


def test_only_a_whole_poll_counts_as_one() -> None:
    tally = bus.Tally(2)
    one, other = Point("unit-1", "energy_import", tariff=1), Point("unit-1", "energy_import", tariff=2)
    tally.take([Reading(one, 1.0, 5), Reading(other, 1.0, 6)])
    tally.take([Reading(one, 1.0, 7), missing(other, 7, Reason.NO_COMMUNICATION)])
    tally.take([missing(one, 8, Reason.NO_COMMUNICATION), missing(other, 8, Reason.NO_COMMUNICATION)])
    assert tally.observed["unit-1"] == [6]
    assert len(tally.whole["unit-1"]) == tally.partial == 1
