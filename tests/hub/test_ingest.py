"""Ingest with a real broker, store and registry: what is acknowledged is stored, once, or stands in the ledger."""

import asyncio
import json
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from linli_core.errors import RefusalReason
from linli_core.log.receiver import Receiver
from linli_core.model import Quality, Reason, quality_code
from linli_core.wire.messages import Evicted, Status
from linli_core.wire.topics import Channel
from linli_platform.ingest.admission import Sender
from linli_platform.ingest.settings import Limits
from linli_platform.registry import State
from linli_sim.waiting import eventually

if TYPE_CHECKING:
    from tests.hub.conftest import BrokerProcess, GatewayStandIn, Site

NOW = 1_764_000_000_000_000
SECOND = 1_000_000
ENERGY = {"n": "meter-1/energy_import", "u": "Wh"}
GOOD = {**ENERGY, "v": 1.5}


async def test_readings_are_stored_and_then_acknowledged(site: "Site", gateway: "GatewayStandIn") -> None:
    async with site.run() as hub:
        ack = await gateway.announce()
        assert (ack.seq, ack.ranges) == (0, ())
        await gateway.send(
            1,
            GOOD,
            {**ENERGY, "v": 2.5, "t": 1},
            {"n": "meter-1/voltage.l1", "u": "V", "q": "bad/no_communication"},
            {"n": "room-1/temperature", "u": "Cel", "v": 4, "q": "uncertain/clock_doubt", "dt": 946684800.5},
        )
        await gateway.acked(1)
        assert [row.device_time for row in hub.store.latest()] == [None, None, 946_684_800_500_000]
        latest = {row.series.name: (row.time, row.value, row.quality) for row in hub.store.latest()}
        assert latest == {
            "meter-1/energy_import": (NOW + SECOND, 2.5, 0),
            "meter-1/voltage.l1": (NOW, None, quality_code(Quality.BAD, Reason.NO_COMMUNICATION)),
            "room-1/temperature": (NOW, 4.0, quality_code(Quality.UNCERTAIN, Reason.CLOCK_DOUBT)),
        }
        assert hub.store.count() == hub.store.count_distinct() == 4
        (committed,) = hub.committed
        assert [series.name for series in committed.series][:2] == ["meter-1/energy_import"] * 2
        assert committed.values == [1.5, 2.5, None, 4.0]
        assert committed.texts == [None] * 4
        assert committed.times == [NOW, NOW + SECOND, NOW, NOW]


async def test_the_unknown_is_held_as_pending_and_its_readings_stored(site: "Site", gateway: "GatewayStandIn") -> None:
    async with site.run() as hub:
        await gateway.announce(version="1.2", backlog=7)
        await gateway.send(1, GOOD, {"n": "room-1/temperature", "u": "Cel", "v": 4})
        await gateway.acked(1)
        (row,) = hub.registry.gateways()
        assert (row.id, row.state, row.first_seen) == ("gw-a", State.PENDING, NOW)
        assert row.status is not None
        assert (row.status.version, row.status.backlog) == ("1.2", 7)
        assert [(device.id, device.state) for device in hub.registry.devices()] == [
            ("meter-1", State.PENDING),
            ("room-1", State.PENDING),
        ]
        assert hub.store.count() == 2


async def test_what_comes_twice_is_stored_once(site: "Site", gateway: "GatewayStandIn") -> None:
    async with site.run() as hub:
        await gateway.announce()
        for _ in range(3):
            await gateway.send(1, GOOD)
        await gateway.send(2, GOOD)  # the same reading under another number
        await gateway.send(3, {**GOOD, "v": 9})  # another value for the same instant
        await gateway.acked(3)
        assert hub.store.count() == 1
        assert [row.value for row in hub.store.latest()] == [1.5]
        assert hub.metric('linli_duplicates_total{stage="message"}') == 2
        assert hub.metric('linli_duplicates_total{stage="reading"}') == 1
        assert hub.metric("linli_conflicts_total") == 1
        assert sum(len(committed.times) for committed in hub.committed) == 1


async def test_each_stage_tells_what_went_through_it(site: "Site", gateway: "GatewayStandIn") -> None:
    async with site.run() as hub:
        await gateway.announce()
        await gateway.send(1, GOOD, {**GOOD, "v": 2.5, "t": 1})
        await gateway.send(1, GOOD, {**GOOD, "v": 2.5, "t": 1})
        await gateway.send(2, {**GOOD, "t": 2})
        await gateway.acked(2)
        assert hub.metric('linli_stage_runs_total{stage="decode"}') == 3
        assert hub.metric('linli_stage_rows_total{stage="decode"}') == 5
        assert hub.metric('linli_stage_rows_total{stage="admit"}') == 3, "one came twice"
        assert hub.metric('linli_stage_rows_total{stage="commit"}') == 3
        assert hub.metric('linli_stage_rows_total{stage="others"}') == 3, "whoever is told of a commit"
        assert hub.metric('linli_stage_waiting{stage="commit"}') == 0
        for stage in ("decode", "admit", "commit", "others"):
            assert hub.metric(f'linli_stage_seconds_total{{stage="{stage}"}}') > 0


def without(key: str) -> bytes:
    record = json.loads(_pack(GOOD))[0]
    del record[key]
    return json.dumps([record]).encode()


def _pack(*records: dict[str, Any], **base: Any) -> bytes:
    body = [dict(record) for record in records]
    body[0] = {"bn": "gw-a/", "bt": NOW / 1e6, "epoch": "e1", "seq": 1, **base, **body[0]}
    return json.dumps(body).encode()


# Messages that say which one they are: they are settled in the ledger, or the gateway would send them for ever.
POISONED = {
    "no SenML": (b'{"bn":"gw-a/","epoch":"e1","seq":1}', RefusalReason.MALFORMED),
    "broken off": (_pack(GOOD)[:-5], RefusalReason.MALFORMED),
    "a name that is a number": (_pack({**GOOD, "n": 7}), RefusalReason.WRONG_TYPE),
    "another gateway's name": (_pack(GOOD, bn="gw-b/"), RefusalReason.FOREIGN_GATEWAY),
    "oversized": (_pack(GOOD, pad="x" * 300_000), RefusalReason.TOO_LARGE),
    "too many records": (_pack(*[{**GOOD, "t": n} for n in range(60)]), RefusalReason.TOO_MANY_RECORDS),
}

# Records among good ones: these are left out and counted, the good ones stored.
RECORDS: dict[str, tuple[dict[str, Any], RefusalReason]] = {
    "a value that is a text": ({**ENERGY, "v": "1"}, RefusalReason.WRONG_TYPE),
    "not a number": ({**ENERGY, "v": float("nan")}, RefusalReason.NOT_FINITE),
    "endless": ({**ENERGY, "v": float("inf")}, RefusalReason.NOT_FINITE),
    "1970": ({**GOOD, "t": -NOW / 1e6 + 100}, RefusalReason.TIME_OUT_OF_RANGE),
    "2100": ({**GOOD, "t": 4_102_444_800 - NOW / 1e6}, RefusalReason.TIME_OUT_OF_RANGE),
    "an unknown unit": ({**GOOD, "u": "furlong"}, RefusalReason.UNKNOWN_UNIT),
    "another quantity's unit": ({**GOOD, "u": "Cel"}, RefusalReason.UNKNOWN_UNIT),
    "an unknown quantity": ({"n": "meter-1/magic", "u": "Wh", "v": 1}, RefusalReason.UNKNOWN_QUANTITY),
    "a bad name": ({"n": "meter 1/energy_import", "u": "Wh", "v": 1}, RefusalReason.BAD_NAME),
    "no value": (ENERGY, RefusalReason.NO_VALUE),
    "two values": ({**GOOD, "vs": "1"}, RefusalReason.MANY_VALUES),
    "a label that must be understood": ({**GOOD, "x_": 1}, RefusalReason.UNKNOWN_LABEL),
}


@pytest.mark.parametrize("case", POISONED)
async def test_a_poisoned_pack_is_refused_settled_and_kept(site: "Site", gateway: "GatewayStandIn", case: str) -> None:
    payload, reason = POISONED[case]
    site.limits = Limits(records=50)
    async with site.run() as hub:
        await gateway.announce()
        await gateway.publish(Channel.TELEMETRY, payload)
        await gateway.send(2, {**GOOD, "t": 5})
        await gateway.acked(2)
        assert await hub.refusals() == {("gw-a", reason): 1}
        assert hub.metric(f'linli_refused_total{{reason="{reason}"}}') == 1
        assert [(loss.first, loss.last, loss.cause) for loss in hub.registry.losses()] == [(1, 1, f"refused:{reason}")]
        (kept,) = hub.store.quarantine()
        assert payload.startswith(kept.payload)
        assert (kept.gateway, kept.seq) == ("gw-a", 1)
        assert hub.store.count() == 1
        await gateway.publish(Channel.TELEMETRY, payload)  # and it is not booked again
        await gateway.send(3, {**GOOD, "t": 6})
        await gateway.acked(3)
        assert len(hub.registry.losses()) == 1


@pytest.mark.parametrize("case", RECORDS)
async def test_a_bad_record_is_refused_and_its_neighbours_live(
    site: "Site", gateway: "GatewayStandIn", case: str
) -> None:
    record, reason = RECORDS[case]
    async with site.run() as hub:
        await gateway.announce()
        await gateway.publish(Channel.TELEMETRY, _pack(GOOD, record, {**GOOD, "t": 9}))
        await gateway.acked(1)
        assert await hub.refusals() == {("gw-a", reason): 1}
        assert hub.store.count() == 2
        (loss,) = hub.registry.losses()
        assert (loss.cause, loss.readings) == (f"refused:{reason}", 1)


@pytest.mark.parametrize(
    ("topic", "payload", "key"),
    [
        ("linli/1/00/gw-a/gossip", b"1", ("gw-a", RefusalReason.UNKNOWN_TOPIC)),
        ("linli/1/00/GW-A/telemetry", b"1", ("", RefusalReason.UNKNOWN_TOPIC)),
        ("linli/1/3f/gw-a/telemetry", b"1", ("gw-a", RefusalReason.WRONG_SHARD)),
        (None, without("seq"), ("gw-a", RefusalReason.NO_SEQUENCE)),
        (None, b"\xff\xfe", ("gw-a", RefusalReason.MALFORMED)),
        (None, b"", ("gw-a", RefusalReason.MALFORMED)),
    ],
)
async def test_what_cannot_be_settled_is_counted_and_the_connection_lives(
    site: "Site", gateway: "GatewayStandIn", topic: str | None, payload: bytes, key: tuple[str, RefusalReason]
) -> None:
    async with site.run() as hub:
        await gateway.announce()
        if topic is None:
            await gateway.publish(Channel.TELEMETRY, payload)
        else:
            await gateway.client.publish(topic, payload, qos=1)
        await gateway.send(1)
        await gateway.acked(1)
        assert await hub.refusals() == {key: 1}
        assert hub.registry.losses() == []


async def test_a_status_in_anothers_name_is_refused(site: "Site", gateway: "GatewayStandIn") -> None:
    async with site.run() as hub:
        await gateway.announce()
        await gateway.publish(Channel.STATUS, b'{"gateway":"gw-b","state":"online","epoch":"x"}')
        await gateway.publish(Channel.STATUS, b'{"gateway":7}')
        await gateway.announce()
        assert await hub.refusals() == {
            ("gw-a", RefusalReason.FOREIGN_GATEWAY): 1,
            ("gw-a", RefusalReason.MALFORMED): 1,
        }
        assert [row.id for row in hub.registry.gateways()] == ["gw-a"]


async def test_a_status_the_broker_kept_or_said_is_no_sighting(site: "Site", gateway: "GatewayStandIn") -> None:
    async with site.run() as hub:
        await gateway.announce()
        # The ack of a status may come before the registry has its row.
        await eventually(lambda: asyncio.to_thread(hub.registry.gateways), "the gateway in the registry", limit=300)
        await hub.ingest._write_counts()
        (row,) = hub.registry.gateways()
        assert (row.last_seen, row.status_at) == (NOW, NOW)
    site.now = NOW + 60 * SECOND
    async with site.run() as hub:
        await gateway.announce(state="lost", sent_at=NOW)
        while (row := hub.registry.gateways()[0]).status is None or row.status.state != "lost":
            await hub.heard.get()
        await hub.ingest._write_counts()
        assert [row.last_seen for row in hub.registry.gateways()] == [NOW]
        await gateway.send(1)
        await gateway.acked(1)
        await hub.ingest._write_counts()
        assert [row.last_seen for row in hub.registry.gateways()] == [NOW + 60 * SECOND]


def test_a_status_overtaken_by_a_newer_one_is_no_news() -> None:
    sender = Sender("gw-a", Receiver(), pending=False)
    for boot, number, state, is_news in (
        ("b1", 5, "online", True),
        ("b1", 4, "offline", False),  # kept by the broker, told after the newer one
        ("b1", 1, "lost", True),  # the last will carries the number of the connection's begin
        ("b1", 6, "online", True),
        ("b2", 1, "online", True),
        ("b1", 9, "lost", False),  # the will of the start before
        ("b2", 2, "offline", True),
        ("", 0, "lost", True),
    ):
        status = msgspec.convert({"gateway": "gw-a", "boot_id": boot, "number": number, "state": state}, Status)
        assert sender.is_news(status) is is_news


async def test_unknown_senders_are_bounded_and_the_known_live(
    site: "Site",
    gateway: "GatewayStandIn",
    stand_in: "Callable[[str], AbstractAsyncContextManager[GatewayStandIn]]",
) -> None:
    site.limits = Limits(pending_gateways=1, pending_devices=2, pending_series=3)
    async with site.run() as hub, stand_in("gw-b") as other:
        await gateway.announce()
        await other.publish(Channel.STATUS, b'{"gateway":"gw-b","state":"online","epoch":"x"}')
        await gateway.send(1, *[{**GOOD, "n": f"meter-{number}/energy_import"} for number in range(5)])
        await gateway.send(2, {"n": "meter-0/voltage", "u": "V", "v": 1}, {"n": "meter-1/voltage", "u": "V", "v": 1})
        await gateway.acked(2)
        assert await hub.refusals() == {
            ("gw-b", RefusalReason.TOO_MANY_PENDING): 1,
            ("gw-a", RefusalReason.TOO_MANY_PENDING): 4,
        }
        assert [row.id for row in hub.registry.gateways()] == ["gw-a"]
        assert len(hub.registry.devices()) == 2
        assert len(hub.store.all_series()) == 3
        hub.registry.accept("gw-a")
        await hub.ingest._write_counts()
        await other.announce()
        assert [row.id for row in hub.registry.gateways()] == ["gw-a", "gw-b"]


async def test_nothing_is_acknowledged_before_it_is_stored(site: "Site", gateway: "GatewayStandIn") -> None:
    async with site.run() as hub:
        await gateway.announce()
        hub.store.failures = 2
        await gateway.send(1)
        ack = await gateway.acked(1)
        assert ack.seq == 1
        assert hub.store.failures == 0
        assert hub.store.count() == 1
        assert hub.metric("linli_commit_failures_total") == 2
        assert hub.ingest.failing == ""


async def test_a_platform_that_ends_while_its_store_fails_acknowledges_nothing(
    site: "Site", gateway: "GatewayStandIn"
) -> None:
    async with site.run() as hub:
        await gateway.announce()
        hub.store.failures = 1_000_000
        await gateway.send(1)
        while not hub.ingest.failing:
            await asyncio.wait({asyncio.ensure_future(asyncio.to_thread(hub.store.count))})
    async with site.run() as hub:
        ack = await gateway.announce(next_seq=2)
        assert (ack.seq, ack.ranges) == (0, ())
        await gateway.send(1)
        await gateway.acked(1)
        assert hub.store.count() == 1


async def test_a_platform_that_starts_again_knows_what_it_has(site: "Site", gateway: "GatewayStandIn") -> None:
    async with site.run():
        await gateway.announce()
        await gateway.send(1)
        await gateway.send(3)
        while True:
            ack = await gateway.acked(1)
            if ack.ranges == ((3, 3),):
                break
    async with site.run() as hub:
        ack = await gateway.acked(1)  # unasked: it says at its start what it has
        assert ack.ranges == ((3, 3),)
        for seq in (1, 2, 3):
            await gateway.send(seq)
        await gateway.acked(3)
        assert hub.store.count() == hub.store.count_distinct() == 3
        assert hub.metric('linli_duplicates_total{stage="message"}') == 2


async def test_what_waits_is_committed_when_the_platform_is_told_to_stop(
    site: "Site", gateway: "GatewayStandIn"
) -> None:
    site.grouping = replace(site.grouping, readings=10**9)
    async with site.run():
        await gateway.announce()
        for seq in range(1, 4):
            await gateway.send(seq)
        await gateway.acked(3)
    async with site.run() as hub:
        assert hub.store.count() == 3


async def test_the_gateways_losses_are_booked_once_and_taken_back_when_they_come(
    site: "Site", gateway: "GatewayStandIn"
) -> None:
    evicted = Evicted(2, 4, "space", observed_from=NOW, observed_to=NOW + SECOND, readings=30)
    async with site.run() as hub:
        await gateway.announce(next_seq=6)
        await gateway.send(1)
        await gateway.acked(1)
        await gateway.announce(next_seq=6, evicted=(evicted,))
        await gateway.announce(next_seq=6, evicted=(evicted,))
        (loss,) = hub.registry.losses()
        assert (loss.gateway, loss.epoch, loss.first, loss.last, loss.cause) == ("gw-a", "e1", 2, 4, "space")
        assert (loss.observed_from, loss.observed_to, loss.readings) == (NOW, NOW + SECOND, 30)
        await gateway.send(5)
        await gateway.acked(5)  # the ledger's messages are accounted for
        await gateway.send(3)  # it was on the way all the time
        await gateway.send(6)
        await gateway.acked(6)
    async with site.run() as hub:
        assert [(loss.first, loss.last) for loss in hub.registry.losses()] == [(4, 4), (2, 2)]
        assert hub.store.count() == 4


async def test_what_a_gateway_gave_up_is_not_acknowledged_before_the_ledger_has_it(
    site: "Site", gateway: "GatewayStandIn"
) -> None:
    """A gateway forgets what an ack covers: a crash before the commit would leave it in nobody's books."""
    begun: SimpleQueue[None] = SimpleQueue()
    turns: SimpleQueue[None] = SimpleQueue()
    async with site.run() as hub:
        record = hub.registry.record

        def in_turn(*what: Any) -> None:
            begun.put(None)
            turns.get()
            record(*what)

        async def told_anew() -> int:
            """Let the connection stand anew, at which every gateway is told what there is of it."""
            hub.ingest._on_connected()
            while (ack := await gateway.acks.get()).number != gateway.statuses:
                pass
            return ack.seq

        async def waits() -> bool:
            return bool(hub.ingest._intake.pending.statuses)

        await gateway.announce(next_seq=6)
        await gateway.send(1)
        await gateway.acked(1)
        hub.registry.record = in_turn  # type: ignore[assignment, method-assign]
        try:
            await gateway.say(6, evicted=(Evicted(2, 3, "space"),))
            await asyncio.to_thread(begun.get)
            assert await told_anew() == 1, "the first is not written"
            await gateway.say(6, evicted=(Evicted(2, 4, "space"),))
            await eventually(waits, "the second status is taken in", limit=300)
            turns.put(None)
            await asyncio.to_thread(begun.get)
            assert await told_anew() == 3, "the first is written, and the second is not"
        finally:
            turns.put(None)
            turns.put(None)
        await gateway.acked(4)
        assert sorted((loss.first, loss.last) for loss in hub.registry.losses()) == [(2, 3), (4, 4)]


async def test_a_broker_that_is_gone_and_back_gets_the_acks_again(
    site: "Site", broker: "BrokerProcess", stand_in: "Callable[[str], AbstractAsyncContextManager[GatewayStandIn]]"
) -> None:
    async with site.run() as hub:
        async with stand_in("gw-a") as gateway:
            await gateway.announce()
            await gateway.send(1)
            await gateway.acked(1)
        await asyncio.to_thread(broker.stop)
        await asyncio.to_thread(broker.start)
        async with stand_in("gw-a") as gateway:
            assert (await gateway.acked(1)).seq == 1
            await gateway.send(2)
            await gateway.acked(2)
        assert hub.store.count() == 2


def _event(seq: int, **more: Any) -> bytes:
    body = {
        "specversion": "1.0",
        "id": "event-1",
        "source": "linli/gw-a",
        "type": "linli.device.silent",
        "time": "2025-11-24T16:00:00Z",
        "subject": "meter-1",
        "datacontenttype": "application/json",
        "data": {"since": 5},
        "epoch": "e1",
        "seq": seq,
        **more,
    }
    return json.dumps(body).encode()


async def test_events_are_stored_once_and_told(site: "Site", gateway: "GatewayStandIn") -> None:
    async with site.run() as hub:
        await gateway.announce()
        for seq in (1, 1, 2):  # once more as it was, once under another number
            await gateway.publish(Channel.EVENT, _event(seq))
        await gateway.acked(2)
        (event,) = hub.store.events(0, 2**60)
        assert (event.gateway, event.id, event.time) == ("gw-a", "event-1", NOW)
        assert (event.type, event.subject, json.loads(event.body)) == ("linli.device.silent", "meter-1", {"since": 5})
        assert [told.events for told in hub.committed] == [(event,)]


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        ({"source": "linli/gw-b"}, RefusalReason.FOREIGN_GATEWAY),
        ({"time": "1970-01-01T00:00:09Z"}, RefusalReason.TIME_OUT_OF_RANGE),
        ({"time": "yesterday"}, RefusalReason.MALFORMED),
        ({"id": 7}, RefusalReason.MALFORMED),
    ],
)
async def test_a_bad_event_is_refused_and_settled(
    site: "Site", gateway: "GatewayStandIn", more: dict[str, Any], reason: RefusalReason
) -> None:
    async with site.run() as hub:
        await gateway.announce()
        await gateway.publish(Channel.EVENT, _event(1, **more))
        await gateway.acked(1)
        assert await hub.refusals() == {("gw-a", reason): 1}
        assert [(loss.first, loss.cause) for loss in hub.registry.losses()] == [(1, f"refused:{reason}")]
        assert hub.store.events(0, 2**60) == []
