"""What cannot be stored is set aside whole, holds nobody up, and is tried again when somebody says so."""

from __future__ import annotations

import asyncio
import json
import threading
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy.exc import OperationalError

from linli_core.errors import RefusalReason, Refused
from linli_core.log.receiver import Receiver
from linli_core.wire.messages import Evicted
from linli_core.wire.topics import Channel
from linli_platform.store import StoreError
from linli_sim.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.hub.conftest import GatewayStandIn, Hub, Site

    from linli_platform.ingest.batch import Pending
    from linli_platform.store import Appended, Batch

ENERGY = {"n": "meter-1/energy_import", "u": "Wh"}
POISON = 666.0


async def test_a_batch_that_the_store_refuses_is_taken_apart_and_only_the_poison_set_aside(
    site: Site, gateway: GatewayStandIn
) -> None:
    async with site.run() as hub:
        hub.store.poison = POISON
        await gateway.announce()
        for seq in range(1, 8):
            await gateway.send(seq, {**ENERGY, "v": POISON if seq == 4 else seq, "t": seq, "dt": seq})
        await gateway.acked(7)
        assert hub.store.count() == 6
        (kept,) = hub.store.quarantine()
        assert (kept.gateway, kept.epoch, kept.seq, kept.reason) == ("gw-a", "e1", 4, "refused:not_storable")
        assert json.loads(kept.payload)[0]["v"] == POISON
        (loss,) = hub.registry.losses("gw-a")
        assert (loss.first, loss.last, loss.cause, loss.readings) == (4, 4, "refused:not_storable", 1)
        assert (await hub.refusals())["gw-a", RefusalReason.NOT_STORABLE] == 1
        assert not hub.ingest.failing
        # What comes after it is stored as ever, and listeners heard of everything that was.
        await gateway.send(8, {**ENERGY, "v": 8, "t": 8})
        await gateway.acked(8)
        assert sorted(value for committed in hub.committed for value in committed.values if value is not None) == [
            *(1.0, 2.0, 3.0, 5.0, 6.0, 7.0, 8.0)
        ]
        hub.store.poison = None
        done = await hub.ingest.replay(kept)
        assert (done.readings, done.known, done.refused) == (1, 0, ())
        assert hub.store.count() == hub.store.count_distinct() == 8
        assert hub.store.quarantine() == []
        assert hub.registry.losses("gw-a") == []
        # What the device's clock said stayed with its reading, taken apart and replayed.
        told = [row.device_time for row in hub.store.read(1, 0, 2**62)]
        assert told == [*(seq * 1_000_000 for seq in range(1, 8)), None]


async def test_a_store_that_is_away_condemns_no_message(site: Site, gateway: GatewayStandIn) -> None:
    async with site.run(failures=4) as hub:

        def away() -> None:
            if hub.store.failures:
                hub.store.failures -= 1
                raise StoreError("no space left on device")

        hub.store.probe = away  # type: ignore[method-assign]
        await gateway.announce()
        await gateway.send(1, {**ENERGY, "v": 1.0, "t": 1})
        await gateway.acked(1)
        assert hub.store.quarantine() == []
        assert hub.store.count() == 1


async def test_a_registry_that_fails_while_a_batch_is_taken_apart_condemns_nothing(
    site: Site, gateway: GatewayStandIn
) -> None:
    failures = [OperationalError("INSERT", {}, Exception("database is locked"))]
    is_apart = threading.Event()
    async with site.run() as hub:
        hub.store.poison = POISON
        take_apart, write = hub.ingest._commit_apart, hub.ingest._write

        async def taken_apart(pending: Pending, marks: dict[str, bytes]) -> bool:
            is_apart.set()
            return await take_apart(pending, marks)

        def written(pending: Pending, batch: Batch, marks: dict[str, bytes]) -> Appended:
            if failures and is_apart.is_set() and pending.messages:
                raise failures.pop()
            return write(pending, batch, marks)

        hub.ingest._commit_apart = taken_apart  # type: ignore[method-assign]
        hub.ingest._write = written  # type: ignore[method-assign]
        await gateway.announce()
        await gateway.send(1, {**ENERGY, "v": POISON, "t": 1})
        await gateway.send(2, {**ENERGY, "v": 2.0, "t": 2})
        await gateway.acked(2)
        assert not failures
        assert [item.seq for item in hub.store.quarantine()] == [1]
        assert hub.store.count() == 1


async def test_a_restart_after_the_poison_goes_on_where_it_was(site: Site, gateway: GatewayStandIn) -> None:
    async with site.run() as hub:
        hub.store.poison = POISON
        await gateway.announce()
        await gateway.send(1, {**ENERGY, "v": POISON, "t": 1})
        await gateway.send(2, {**ENERGY, "v": 2.0, "t": 2})
        await gateway.acked(2)
    async with site.run() as hub:
        assert hub.store.count() == 1
        assert [item.seq for item in hub.store.quarantine()] == [1]
        await gateway.send(1, {**ENERGY, "v": POISON, "t": 1})  # a late copy from the broker
        await gateway.send(3, {**ENERGY, "v": 3.0, "t": 3})
        await gateway.acked(3)
        assert hub.store.count() == 2


async def test_marks_of_a_batch_taken_apart_know_nothing_of_what_the_ledger_does_not_hold_yet(
    site: Site, gateway: GatewayStandIn
) -> None:
    # A crash between would leave messages that count as accounted for, and stand in no ledger.
    heard, unwritten = threading.Event(), []
    async with site.run() as hub:
        hub.store.poison = POISON
        probe, append = hub.store.probe, hub.store.append

        def slow_probe() -> None:
            heard.wait()
            probe()

        def watched(batch: Batch, marks: Mapping[str, bytes], **more: Any) -> Appended:
            done = append(batch, marks, **more)
            if "gw-a" in marks:
                receiver = Receiver.restore(marks["gw-a"])
                receiver.reconcile(hub.registry.booked().get("gw-a", ()))
                unwritten.append((receiver.ack().seq, receiver.ack().ranges))
            return done

        hub.store.probe = slow_probe  # type: ignore[method-assign]
        hub.store.append = watched  # type: ignore[method-assign]
        await gateway.announce()
        for seq in (1, 2, 3):
            await gateway.send(seq, {**ENERGY, "v": POISON if seq == 2 else seq, "t": seq})

        async def failing() -> bool:
            return bool(hub.ingest.failing)

        await eventually(failing, "the store refuses the batch", limit=300)
        gone = Evicted(4, 5, "space")
        async with asyncio.TaskGroup() as group:
            told = group.create_task(gateway.announce(6, evicted=(gone,)))

            async def waits() -> bool:
                return not hub.ingest._intake.is_empty

            await eventually(waits, "the status is taken in", limit=300)
            heard.set()
        assert told.result().seq <= 5
        await gateway.acked(5)
        assert [(loss.first, loss.last) for loss in hub.registry.losses("gw-a") if loss.cause == "space"] == [(4, 5)]
    before = [(seq, ranges) for seq, ranges in unwritten[:-1] if seq > 3 or ranges]
    assert not before, unwritten


async def test_a_batch_without_messages_is_not_taken_apart_for_ever(
    site: Site, gateway: GatewayStandIn, caplog: pytest.LogCaptureFixture
) -> None:
    # Each time it would be the same batch again, one call deeper.
    async with site.run(failures=3) as hub:
        await gateway.announce()

        async def written() -> bool:
            return bool(hub.store.marks())

        await eventually(written, "the status is committed", limit=300)
    assert "one by one" not in caplog.text


async def quarantined(hub: Hub, gateway: GatewayStandIn, *records: dict[str, object]) -> None:
    await gateway.announce()
    await gateway.send(1, *records)
    await gateway.acked(1)

    async def kept() -> bool:
        return bool(hub.store.quarantine())

    await eventually(kept, "the message is in the quarantine", limit=300)


async def test_what_is_still_refused_stays_and_its_sound_records_change_nothing(
    site: Site, gateway: GatewayStandIn
) -> None:
    async with site.run() as hub:
        await quarantined(hub, gateway, {**ENERGY, "v": 1.0}, {"n": "meter-1/energy_import", "u": "furlong", "v": 2.0})
        (item,) = hub.store.quarantine()
        done = await hub.ingest.replay(item)
        assert (done.readings, done.known) == (0, 1)
        assert "furlong" in done.refused[0]
        assert hub.store.quarantine() == [item]
        assert len(hub.registry.losses("gw-a")) == 1
        assert hub.store.count() == 1


async def test_what_was_too_early_for_the_clock_is_taken_when_its_time_has_come(
    site: Site, gateway: GatewayStandIn
) -> None:
    async with site.run() as hub:
        await quarantined(hub, gateway, {**ENERGY, "v": 1.0, "t": 3 * 86_400.0})
        (item,) = hub.store.quarantine()
        with pytest.raises(Refused, match=r"record\[0\]: 2025-11-27T16:00:00Z: meter-1/energy_import"):
            await hub.ingest.replay(item)
        assert hub.store.quarantine() == [item]
        site.now += 3 * 86_400_000_000
        done = await hub.ingest.replay(item)
        assert (done.readings, done.refused) == (1, ())
        assert hub.store.quarantine() == []
        assert hub.registry.losses("gw-a") == []


async def test_an_event_is_tried_again_too(site: Site, gateway: GatewayStandIn) -> None:
    event = {
        "specversion": "1.0",
        "id": "x",
        "source": "linli/gw-a",
        "type": "linli.link.down",
        "time": "2125-01-01T00:00:00Z",
        "data": {},
        "epoch": "e1",
        "seq": 1,
    }
    async with site.run() as hub:
        await gateway.announce()
        await gateway.publish(Channel.EVENT, json.dumps(event).encode())
        await gateway.acked(1)
        (item,) = hub.store.quarantine()
        with pytest.raises(Refused):
            await hub.ingest.replay(item)
        site.now = 4_891_363_200_000_000  # 2125
        done = await hub.ingest.replay(item)
        assert done.events == 1
        assert [row.id for row in hub.store.events(0, 2**62)] == ["x"]
