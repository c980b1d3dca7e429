"""The driver against simulated meters: over a socket, and against scripts where the order of bytes matters."""

import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from decimal import Decimal

import pytest

from linli_core.codecs.mbus import Identity, LongFrame
from linli_core.codecs.mbus.encode import encode_answer
from linli_core.codecs.mbus.frame import encode_frame
from linli_core.codecs.mbus.request import Secondary
from linli_core.codecs.mbus.vif import Measurand
from linli_core.errors import ChecksumError, DeviceError, LinkClosed, LinkTimeout, ProtocolError
from linli_core.instant import DAY, SECOND, from_rfc3339
from linli_core.model import Quality, Reading, Reason
from linli_edge.driver import Counting, PlannedPoll, load
from linli_edge.drivers.mbus import SPEC
from linli_edge.drivers.mbus.bus import Bus
from linli_edge.drivers.mbus.driver import MbusDriver
from linli_edge.drivers.mbus.settings import Address, DeviceSettings, LinkSettings
from linli_edge.transport.memory import MemoryTransport
from linli_edge.transport.settings import TcpSettings
from linli_sim.jumping_loop import on_jumping_loop
from linli_sim.mbus import slave
from linli_sim.mbus_meters import SimulatedMeter, make_meters, record
from linli_sim.mbus_server import MbusServer
from linli_sim.mbus_slave import BusSegment, Slave

NOW = from_rfc3339("2026-11-23T04:00:00Z")
TIMEOUT = SECOND // 20


class Community:
    """Simulated meters on one bus, and the clock they share with the gateway."""

    def __init__(self, count: int) -> None:
        self.now = NOW
        self.meters = make_meters(count, seed=7, since=NOW - DAY)
        self.slaves = [slave(meter, self.clock) for meter in self.meters]
        self.server = MbusServer(BusSegment(self.slaves))

    def clock(self) -> int:
        return self.now

    @asynccontextmanager
    async def driver(self, *addresses: Address, retries: int = 1) -> AsyncIterator[MbusDriver]:
        async with self.server.listen() as port:
            settings = link(*addresses, port=port, retries=retries)
            opened: AbstractAsyncContextManager[MbusDriver] = SPEC.open(settings, self.clock)  # type: ignore[assignment]
            async with opened as driver:
                yield driver


def link(*addresses: Address, port: int = 1, retries: int = 1, telegrams: int | None = None) -> LinkSettings:
    devices = tuple(
        DeviceSettings(
            f"meter-{number}",
            address,
            SECOND,
            address if isinstance(address, Secondary) else None,
            telegrams,
            0,
        )
        for number, address in enumerate(addresses, start=1)
    )
    return LinkSettings(TcpSettings("127.0.0.1", port), TIMEOUT, retries, devices)


def values(readings: Sequence[Reading]) -> dict[str, object]:
    return {reading.point.local_name: reading.value for reading in readings}


def number(readings: Sequence[Reading], name: str) -> Decimal:
    value = values(readings)[name]
    assert isinstance(value, Decimal)
    return value


@on_jumping_loop
async def test_every_kind_of_meter_is_read_by_its_primary_address() -> None:
    community = Community(3)
    async with community.driver(1, 2, 3) as driver:
        water, heat, power = [await driver.poll(planned) for planned in driver.plan]
    assert {"water_volume", "water_flow", "water_volume.s1"} <= set(values(water))
    assert {"flow_temperature", "return_temperature", "temperature_difference"} <= set(values(heat))
    # The electricity meter's two telegrams are one poll.
    assert {"energy_import.t1", "energy_import.t2", "voltage.l1", "voltage.l3", "current.l2"} <= set(values(power))
    assert number(power, "energy_import") == number(power, "energy_import.t1") + number(power, "energy_import.t2")
    assert all(reading.quality is Quality.GOOD and reading.observed_at == NOW for reading in water + heat + power)
    assert {reading.device_time for reading in water if reading.point.storage is None} == {NOW}
    assert {reading.device_time for reading in water if reading.point.storage is not None} == {None}


@on_jumping_loop
async def test_counters_rise_and_each_poll_is_a_new_readout() -> None:
    community = Community(3)
    async with community.driver(1, 3) as driver:
        before = [await driver.poll(planned) for planned in driver.plan]
        community.now += DAY
        after = [await driver.poll(planned) for planned in driver.plan]
    assert number(after[0], "water_volume") > number(before[0], "water_volume")
    assert number(after[1], "energy_import") > number(before[1], "energy_import")
    assert [meter.readouts for meter in community.slaves] == [2, 0, 2]
    assert [meter.repeats for meter in community.slaves] == [0, 0, 0]


@on_jumping_loop
async def test_meters_are_selected_by_their_identity() -> None:
    community = Community(4)
    first, second = (meter.identity for meter in (community.meters[1], community.meters[2]))
    exact = Secondary(second.number, second.manufacturer, second.version, second.medium)
    async with community.driver(Secondary(first.number), exact) as driver:
        heat, power = [await driver.poll(planned) for planned in driver.plan]
        again = await driver.poll(driver.plan[0])
    assert "flow_temperature" in values(heat)
    assert "voltage.l1" in values(power)
    assert values(again) == values(heat)
    assert [meter.selected for meter in community.slaves] == [False, True, False, False]


@on_jumping_loop
async def test_a_selection_that_several_meters_answer_is_no_meter() -> None:
    community = Community(4)
    async with community.driver(Secondary("1FFFFFFF"), retries=0) as driver:
        with pytest.raises(ProtocolError):
            await driver.poll(driver.plan[0])
    assert community.server.bus.collisions


@on_jumping_loop
async def test_a_silent_meter_takes_no_other_with_it() -> None:
    community = Community(2)
    community.slaves[0].silent = True
    async with community.driver(1, 2, 77) as driver:
        with pytest.raises(LinkTimeout, match=r"no answer within 0\.05 s"):
            await driver.poll(driver.plan[0])
        assert await driver.poll(driver.plan[1])
        with pytest.raises(LinkTimeout):
            await driver.poll(driver.plan[2])
        community.slaves[0].silent = False
        assert await driver.poll(driver.plan[0])


@on_jumping_loop
async def test_the_plan_learns_the_points_from_the_first_telegram() -> None:
    community = Community(1)
    async with community.driver(1) as driver:
        assert driver.plan == [PlannedPoll("meter-1", "meter-1", SECOND)]
        readings = await driver.poll(driver.plan[0])
        assert driver.plan[0].points == tuple(reading.point for reading in readings)


@on_jumping_loop
async def test_a_swapped_meter_is_noticed(caplog: pytest.LogCaptureFixture) -> None:
    community = Community(2)
    async with community.driver(1) as driver:
        await driver.poll(driver.plan[0])
        old, new = community.meters
        replacement = SimulatedMeter(old.kind, old.address, new.identity, old.model)
        community.slaves[0] = slave(replacement, community.clock)
        with caplog.at_level(logging.WARNING):
            await driver.poll(driver.plan[0])
            await driver.poll(driver.plan[0])
    assert [message.getMessage() for message in caplog.records] == [
        f"meter-1: meter {new.identity} answers where {old.identity} did: it was swapped"
    ]


@on_jumping_loop
async def test_a_closed_line_is_told_as_such() -> None:
    transport = MemoryTransport()
    driver = MbusDriver(link(1), Bus(transport, TIMEOUT / SECOND), lambda: NOW)
    transport.end()
    with pytest.raises(LinkClosed, match="closed the line"):
        await driver.poll(driver.plan[0])


METER = Identity("12345678", "LNL", 1, 0x02)
ACK = b"\xe5"


def energy(address: int, wh: int, *, more: bool = False) -> bytes:
    records = [record(Measurand.ENERGY, "Wh", 0, wh)]
    return encode_frame(encode_answer(METER, records, address=address, more_follow=more))


def scripted(settings: LinkSettings, *answers: Sequence[bytes]) -> tuple[MbusDriver, MemoryTransport]:
    transport = MemoryTransport(answers)
    return MbusDriver(settings, Bus(transport, TIMEOUT / SECOND), lambda: NOW), transport


@on_jumping_loop
async def test_a_late_answer_is_never_taken_for_the_next_meters() -> None:
    # Both "meters" have one identity and no way to be told apart but the moment: the late one must be thrown away.
    driver, transport = scripted(link(1, 2, retries=0), [ACK], [], [ACK], [energy(2, 222)])
    with pytest.raises(LinkTimeout):
        await driver.poll(driver.plan[0])
    transport.feed(energy(2, 111))
    readings = await driver.poll(driver.plan[1])
    assert values(readings) == {"energy_import": Decimal(222)}
    assert driver.bus.skipped == len(energy(2, 111))


@on_jumping_loop
async def test_what_comes_without_being_asked_is_thrown_away() -> None:
    driver, transport = scripted(link(1), [ACK], [energy(1, 1)], [energy(1, 2)])
    await driver.poll(driver.plan[0])
    transport.feed(energy(1, 111))
    assert values(await driver.poll(driver.plan[0])) == {"energy_import": Decimal(2)}


@on_jumping_loop
async def test_a_meter_that_acknowledges_instead_of_answering() -> None:
    driver, _ = scripted(link(1, retries=0), [ACK], [ACK])
    with pytest.raises(ProtocolError, match="acknowledges, but sends no data"):
        await driver.poll(driver.plan[0])


@on_jumping_loop
async def test_noise_instead_of_an_answer() -> None:
    driver, _ = scripted(link(1, retries=0), [ACK], [b"\x00\xff"])
    with pytest.raises(ProtocolError, match="2 bytes came, but no frame"):
        await driver.poll(driver.plan[0])


@on_jumping_loop
async def test_a_babbling_device_is_cut_off() -> None:
    driver, transport = scripted(link(1, retries=0), [ACK], [b"\x00" * 250] * 10)
    with pytest.raises(ProtocolError, match="1250 bytes came, but no frame"):
        await driver.poll(driver.plan[0])
    assert await transport.read() == b"\x00" * 250


@on_jumping_loop
async def test_after_a_failure_the_meter_is_reset_so_that_the_frame_count_bits_agree() -> None:
    driver, transport = scripted(link(1, retries=0), [ACK], [energy(1, 1)], [], [ACK], [energy(1, 2)])
    await driver.poll(driver.plan[0])
    with pytest.raises(LinkTimeout):
        await driver.poll(driver.plan[0])
    await driver.poll(driver.plan[0])
    assert [data.hex() for data in transport.written] == [
        "1040014116",
        "107b017c16",
        "105b015c16",
        "1040014116",
        "107b017c16",
    ]


@on_jumping_loop
async def test_a_meter_that_says_more_and_begins_again_has_one_telegram() -> None:
    driver, transport = scripted(link(1), [ACK], [energy(1, 5, more=True)], [energy(1, 5, more=True)])
    assert values(await driver.poll(driver.plan[0])) == {"energy_import": Decimal(5)}
    assert len(transport.written) == 3


@on_jumping_loop
async def test_a_set_number_of_telegrams_is_read_each_from_the_start() -> None:
    pages = [[ACK], [energy(1, 5)], [energy(1, 6)]]
    driver, transport = scripted(link(1, telegrams=2), *pages, *pages)
    for _ in range(2):
        assert values(await driver.poll(driver.plan[0])) == {
            "energy_import": Decimal(5),
            "energy_import.x2": Decimal(6),
        }
    assert [data.hex() for data in transport.written[:3]] == ["1040014116", "107b017c16", "105b015c16"]
    assert transport.written[:3] == transport.written[3:]


@on_jumping_loop
async def test_points_of_telegrams_that_did_not_come_are_bad() -> None:
    first = energy(1, 5, more=True)
    second = encode_frame(encode_answer(METER, [record(Measurand.POWER, "W", 0, 7)], address=1))
    driver, _ = scripted(link(1, retries=0), [ACK], [first], [second], [first], [])
    await driver.poll(driver.plan[0])
    energy_reading, power_reading = await driver.poll(driver.plan[0])
    assert (energy_reading.value, energy_reading.quality) == (Decimal(5), Quality.GOOD)
    assert power_reading.value is None
    assert (power_reading.quality, power_reading.reason) == (Quality.BAD, Reason.NO_COMMUNICATION)


@on_jumping_loop
async def test_a_meter_without_end_is_cut_after_32_telegrams() -> None:
    pages = [[energy(1, wh, more=True)] for wh in range(40)]
    driver, transport = scripted(link(1), [ACK], *pages)
    assert len(await driver.poll(driver.plan[0])) == 32
    assert len(transport.written) == 33


@on_jumping_loop
async def test_a_meters_refusal_is_its_own_error() -> None:
    driver, _ = scripted(link(1), [ACK], [bytes.fromhex("68040468080170088116")])
    with pytest.raises(DeviceError, match="application busy"):
        await driver.poll(driver.plan[0])


def test_the_driver_is_found_by_its_name() -> None:
    assert load("mbus", "links[0]") is SPEC
    assert SPEC.plan is not None
    assert SPEC.plan(link(1, 2)) == [
        PlannedPoll("meter-1", "meter-1", SECOND),
        PlannedPoll("meter-2", "meter-2", SECOND),
    ]


@on_jumping_loop
async def test_several_conversations_with_the_same_slave_agree_on_the_frame_count() -> None:
    """A meter's own side: the same bit repeats, the other goes on, a reset begins again."""
    pages = [b"one", b"two"]
    meter = Slave(1, METER, lambda: pages)
    bus = BusSegment([meter])
    reset, high, low = bytes.fromhex("1040014116"), bytes.fromhex("107b017c16"), bytes.fromhex("105b015c16")
    assert bus.receive(high) == [b"one"]
    assert bus.receive(high) == [b"one"]
    assert bus.receive(low) == [b"two"]
    assert bus.receive(reset) == [ACK]
    assert bus.receive(low) == [b"one"]
    assert bus.receive(high) == [b"two"]
    assert bus.receive(low) == [b"one"]
    assert (meter.readouts, meter.repeats) == (3, 1)


@on_jumping_loop
async def test_what_becomes_of_each_request_is_counted_on_its_meter() -> None:
    damaged = bytearray(energy(1, 5))
    damaged[20] ^= 1
    busy = encode_frame(LongFrame(8, 2, 0x70, b"\x08"))
    settings = link(1, 2, 3, retries=0)
    driver, transport = scripted(
        settings,
        [b"\xe5"], [energy(1, 10)],  # a good readout
        [bytes(damaged)],  # a damaged one
        [b"\xe5"], [busy],  # a refusal
        [],  # silence: the reset is not acknowledged
    )  # fmt: skip
    one, two, three = driver.plan
    await driver.poll(one)
    for planned, error in ((one, ChecksumError), (two, DeviceError), (three, LinkTimeout)):
        with pytest.raises(error):
            await driver.poll(planned)
    transport.feed(b"\xe5")
    with pytest.raises(LinkTimeout):
        await driver.poll(two)
    assert isinstance(driver, Counting)
    counted = {
        name: {key: count for key, count in each.as_dict().items() if count} for name, each in driver.counters().items()
    }
    assert counted == {
        "meter-1": {"requests": 3, "answers": 2, "checksum": 1},
        "meter-2": {"requests": 3, "answers": 2, "refused": 1, "timeouts": 1},
        "meter-3": {"requests": 1, "timeouts": 1, "late": 1},
    }
    assert driver.counters()["meter-1"].median is not None


@on_jumping_loop
async def test_another_meters_answer_is_foreign_and_the_one_asked_silent() -> None:
    driver, _ = scripted(link(1, retries=0), [b"\xe5"], [energy(7, 10)])
    with pytest.raises(ProtocolError, match="the meter at address 7 answered"):
        await driver.poll(driver.plan[0])
    counters = driver.counters()["meter-1"]
    assert (counters.requests, counters.answers, counters.timeouts, counters.foreign) == (2, 1, 1, 1)
