"""The second door: lines go the way of every message, to the store, the book, the ledger and the quarantine."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import pytest
from tests.hub.conftest import NOW, Site

from linli_core.errors import RefusalReason, Refused
from linli_core.wire.line_protocol import Precision
from linli_platform.ingest.accounts import stored_books
from linli_platform.ingest.door import DoorClosed, NotItsGateway, Writer, Written
from linli_platform.ingest.line_mapping import FieldMap, Rules
from linli_platform.ingest.settings import Grouping, Limits
from linli_platform.registry import Device, State
from linli_sim.waiting import eventually

if TYPE_CHECKING:
    from tests.hub.conftest import GatewayStandIn, Hub

POISON = 666.0


@pytest.fixture
def alone(tmp_path: Path, deaf_port: int) -> Site:
    """A platform to which no broker answers: this door needs none."""
    return Site(tmp_path, deaf_port)


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait for a busy disk as long as it takes: a real writer comes again after ten seconds, a test does not."""
    monkeypatch.setattr("linli_platform.ingest.worker._ANSWER_S", 300)


async def until(condition: Callable[[], bool]) -> None:
    async def ask() -> bool:
        return condition()

    await eventually(ask, "what the test waits for", limit=300)


async def write(hub: Hub, *lines: str, name: str = "telegraf", rules: Rules | None = None) -> Written:
    writer = Writer(name, rules or Rules("telegraf-1"))
    return await hub.ingest.write_lines(writer, "\n".join(lines).encode(), Precision.MICROSECOND)


def energy(number: int, value: float | None = None, device: str = "m1") -> str:
    return f"energy_import,device={device} value={number if value is None else value} {NOW + number}"


async def test_what_is_answered_is_on_disk_and_listeners_heard_of_it(alone: Site) -> None:
    async with alone.run() as hub:
        written = await write(hub, *(energy(number) for number in range(10)))
        assert (written.readings, written.refused, written.unnamed) == (10, [], 0)
        assert hub.store.count() == 10
        assert [value for committed in hub.committed for value in committed.values] == [*map(float, range(10))]
        assert [gateway.id for gateway in hub.registry.gateways()] == ["telegraf-1"]
        assert [device.id for device in hub.registry.devices("telegraf-1")] == ["m1"]
        assert hub.metric("linli_readings_stored_total") == 10


async def test_the_same_again_changes_nothing_and_a_restart_goes_on_counting(alone: Site) -> None:
    async with alone.run() as hub:
        await write(hub, energy(1), energy(2))
        await write(hub, energy(1), energy(2), energy(3))
        assert hub.store.count() == hub.store.count_distinct() == 3
    async with alone.run() as hub:
        await write(hub, energy(3), energy(4), "nonsense")
        assert hub.store.count() == 4
        assert [(loss.epoch, loss.first) for loss in hub.registry.losses("telegraf-1")] == [("line-protocol", 3)]
        (book,) = stored_books(hub.store.marks()).values()
        assert list(msgspec.msgpack.decode(book, type=dict[int, list[int]]).values()) == [[7, 1, 3, 0]]


async def test_a_bad_line_is_in_ledger_and_quarantine_and_the_good_ones_are_kept(alone: Site) -> None:
    async with alone.run() as hub:
        lines = [energy(number) for number in range(10_000)]
        lines[6_789] = "energy_import,device=m1 value=oops"
        lines[9_000] = f"cpu,host=pi usage=1 {NOW}"
        written = await write(hub, *lines)
        assert written.readings == 9_998
        assert [(line, refused.reason) for line, refused in written.refused] == [
            (6_790, RefusalReason.MALFORMED),
            (9_001, RefusalReason.UNKNOWN_QUANTITY),
        ]
        (loss,) = hub.registry.losses("telegraf-1")
        assert (loss.first, loss.cause, loss.readings) == (2, "refused:malformed", 2)
        (kept,) = hub.store.quarantine()
        assert kept.payload.splitlines()[1:] == [lines[6_789].encode(), lines[9_000].encode()]
        assert await hub.refusals() == {
            ("telegraf-1", RefusalReason.MALFORMED): 1,
            ("telegraf-1", RefusalReason.UNKNOWN_QUANTITY): 1,
        }


async def test_lines_set_aside_are_replayed_by_todays_rules(alone: Site) -> None:
    line = f"modbus,name=m1 kwh=1.5 {NOW}"
    async with alone.run() as hub:
        await write(hub, line)
        (kept,) = hub.store.quarantine()
        with pytest.raises(Refused, match="no token 'telegraf' writes as 'telegraf-1' any more"):
            await hub.ingest.replay(kept)
        rules = Rules("telegraf-1", (FieldMap("modbus", "kwh", "energy_import", "kWh", device_tag="name"),))
        hub.ingest._replaying._writers = {"telegraf": rules}
        done = await hub.ingest.replay(kept)
        assert (done.readings, done.refused) == (1, ())
        assert hub.store.quarantine() == []
        assert hub.registry.losses("telegraf-1") == []
        assert [(row.series.name, row.value) for row in hub.store.latest()] == [("m1/energy_import", 1_500.0)]


async def test_a_store_that_is_away_shuts_the_door_and_nothing_taken_is_lost(
    alone: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("linli_platform.ingest.worker._ANSWER_S", 0.05)
    async with alone.run() as hub:
        hub.store.failures = 1_000_000
        with pytest.raises(DoorClosed, match="not on disk within"):
            await write(hub, energy(1))
        await until(lambda: bool(hub.ingest.failing))
        with pytest.raises(DoorClosed, match="the store takes nothing at present"):
            await write(hub, energy(2))
        hub.store.failures = 0
        monkeypatch.setattr("linli_platform.ingest.worker._ANSWER_S", 300)
        await until(lambda: bool(not hub.ingest.failing and hub.store.count() == 1))
        assert (await write(hub, energy(1), energy(2))).readings == 2
        assert hub.store.count() == hub.store.count_distinct() == 2


async def test_what_waits_is_bounded(alone: Site) -> None:
    alone.grouping = Grouping(queued_readings=5_000)
    async with alone.run() as hub:
        hub.store.failures = 1
        first = asyncio.create_task(write(hub, *(energy(number) for number in range(5_000))))
        await until(lambda: bool(hub.ingest._intake.pending.weight() >= 5_000 or first.done()))
        if not first.done():
            with pytest.raises(DoorClosed, match=r"too much waits|takes nothing"):
                await write(hub, energy(1))
        assert (await first).readings == 5_000


async def test_a_part_that_the_store_cannot_take_is_set_aside_and_said_so(alone: Site) -> None:
    async with alone.run() as hub:
        hub.store.poison = POISON
        good, bad = await asyncio.gather(write(hub, energy(1)), write(hub, energy(2, POISON)))
        assert good.readings == 1
        assert bad.readings == 0
        assert [(line, refused.reason) for line, refused in bad.refused] == [(1, RefusalReason.NOT_STORABLE)]
        (kept,) = hub.store.quarantine()
        assert kept.payload.splitlines()[1:] == [energy(2, POISON).encode()]
        hub.store.poison = None
        hub.ingest._replaying._writers = {"telegraf": Rules("telegraf-1")}
        assert (await hub.ingest.replay(kept)).readings == 1


async def test_devices_beyond_the_bound_are_refused_by_line(alone: Site) -> None:
    alone.limits = Limits(pending_devices=2)
    async with alone.run() as hub:
        written = await write(hub, *(energy(1, device=f"m{number}") for number in range(4)))
        assert written.readings == 2
        assert [line for line, _ in written.refused] == [3, 4]
        assert {refused.reason for _, refused in written.refused} == {RefusalReason.TOO_MANY_PENDING}
        assert hub.store.count() == 2


async def test_a_gateway_of_its_own_is_nobodys_to_write_as(site: Site, gateway: GatewayStandIn) -> None:
    async with site.run() as hub:
        await gateway.announce()
        with pytest.raises(NotItsGateway, match="gateway gw-a sends its own readings over MQTT"):
            await write(hub, energy(1), rules=Rules("gw-a"))
        # And both doors go on side by side.
        await gateway.send(1)
        await write(hub, energy(1))
        await gateway.acked(1)
        assert hub.store.count() == 2


async def test_nothing_to_say_is_no_message(alone: Site) -> None:
    async with alone.run() as hub:
        assert await write(hub, "", "# nothing", "") == Written()
        assert hub.store.marks() == {}


async def test_devices_are_declared_before_their_readings_as_far_as_there_is_room(alone: Site) -> None:
    alone.limits = Limits(pending_devices=2, pending_series=3)
    writer = Writer("grafana", Rules("telegraf-1"))
    asked: list[list[str]] = []

    def declare(devices: Sequence[str]) -> None:
        asked.append([*devices])
        hub.registry.hold("telegraf-1", devices, NOW)
        hub.registry.declare((), (), [Device("telegraf-1", each, State.ACTIVE) for each in devices])

    async with alone.run() as hub:
        await hub.ingest.let_in(writer, ["m0", "m1", "m2", "m3"], declare)
        written = await write(hub, *(energy(1, device=f"m{number}") for number in range(4)))
        # None of them waits for a person; what is beyond the bound of series is not put into the registry either.
        assert [line for line, _ in written.refused] == [4]
        assert [(each.id, each.state) for each in hub.registry.devices("telegraf-1")] == [
            (f"m{number}", State.ACTIVE) for number in range(3)
        ]
        await hub.ingest.let_in(writer, ["m0", "m3"], declare)
        assert asked == [["m0", "m1", "m2"]]


async def test_no_device_is_declared_under_a_gateway_of_its_own(site: Site, gateway: GatewayStandIn) -> None:
    async with site.run() as hub:
        await gateway.announce()
        with pytest.raises(NotItsGateway, match="gw-a sends its own readings over MQTT"):
            await hub.ingest.let_in(Writer("grafana", Rules("gw-a")), ["m1"], lambda _: pytest.fail("declared"))
