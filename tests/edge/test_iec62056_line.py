"""IEC 62056-21 over a pseudo-terminal: the change of speed, damage, programming mode, two meters."""

from decimal import Decimal

import pytest

from linli_core.errors import DeviceError, LinkTimeout, ProtocolError
from linli_core.instant import Instant, from_rfc3339
from linli_edge.drivers.iec62056.driver import Iec62056Driver, open_link
from linli_edge.drivers.iec62056.settings import LinkSettings, parse
from linli_sim.iec62056 import Iec62056Meter
from linli_sim.jumping_loop import on_jumping_loop
from linli_sim.shared_pty import SharedPty
from linli_sim.smart_meter import SmartMeter

NOW = from_rfc3339("2026-11-23T04:00:00Z")
METER = SmartMeter("35071964")


def clock() -> Instant:
    return NOW


def settings(path: str, **device: object) -> LinkSettings:
    table = {
        "transport": "serial",
        "path": path,
        "timeout": "300 ms",
        "devices": [{"id": "m", **device}],
    }
    return parse(table, "links[0]")


async def poll(driver: Iec62056Driver) -> dict[str, object]:
    return {item.point.local_name: item.value for item in await driver.poll(driver.plan[0])}


@pytest.mark.parametrize(("speed", "baud"), [("0", 300), ("3", 2400), ("5", 9600)])
@on_jumping_loop
async def test_readout_at_the_speed_the_meter_proposes(speed: str, baud: int) -> None:
    meter = Iec62056Meter(METER, speed, clock)
    async with SharedPty([meter.speaker]) as line, open_link(settings(line.path), clock) as driver:
        for _ in range(2):
            found = await poll(driver)
            assert found["energy_import"] == METER.energy(NOW)
            assert found["serial_number"] == METER.number
            assert meter.agreed == baud
        # The second round began again at 300 baud.
        assert [at for at, _ in line.heard] == [300, 300, 300, 300]
        assert meter.speaker.missed == 0


@on_jumping_loop
async def test_registers_are_read_at_the_new_speed_and_the_line_goes_back() -> None:
    meter = Iec62056Meter(METER, "5", clock, password="12345678")
    async with SharedPty([meter.speaker]) as line:
        wanted = settings(line.path, registers=["1.8.0", "9.9.9", "32.7.0"], password="12345678")
        async with open_link(wanted, clock) as driver:
            found = await poll(driver)
            assert found == {"energy_import": METER.energy(NOW), "voltage.l1": Decimal("230.0"), "obis_record": None}
            counters = driver.counters()["m"]
            assert (counters.refused, counters.answers, counters.timeouts) == (1, 4, 0)
        assert [at for at, _ in line.heard] == [300, 300, 9600, 9600, 9600, 9600, 9600]
        assert meter.speaker.baud == 300


@on_jumping_loop
async def test_a_damaged_readout_is_begun_anew() -> None:
    meter = Iec62056Meter(METER, "5", clock)
    async with SharedPty([meter.speaker]) as line, open_link(settings(line.path), clock) as driver:
        meter.damage = 1
        assert (await poll(driver))["energy_import"] == METER.energy(NOW)
        assert driver.counters()["m"].checksum == 1
        meter.damage = 2
        with pytest.raises(ProtocolError, match="checksum"):
            await poll(driver)


@pytest.mark.parametrize(
    ("device", "words"), [({"password": "0"}, "refuses the password"), ({}, "refuses every register: 1.8.0: ER03")]
)
@on_jumping_loop
async def test_a_wrong_password_is_a_refusal_not_a_silence(device: dict[str, object], words: str) -> None:
    meter = Iec62056Meter(METER, "5", clock, password="12345678")
    async with SharedPty([meter.speaker]) as line:
        async with open_link(settings(line.path, registers=["1.8.0"], **device), clock) as driver:
            with pytest.raises(DeviceError, match=words):
                await poll(driver)
        assert meter.speaker.baud == 300


@on_jumping_loop
async def test_two_meters_on_one_line_and_one_that_is_gone() -> None:
    meters = [Iec62056Meter(SmartMeter(number), "5", clock) for number in ("11111111", "22222222")]
    async with SharedPty([meter.speaker for meter in meters]) as line:
        devices = [{"id": f"m{number}", "address": number * 8} for number in "123"]
        table = {"transport": "serial", "path": line.path, "timeout": "100 ms", "retries": 0, "devices": devices}
        async with open_link(parse(table, "links[0]"), clock) as driver:
            one, two, gone = driver.plan
            for planned, number in ((one, "11111111"), (two, "22222222")):
                found = {item.point.quantity: item.value for item in await driver.poll(planned)}
                assert found["serial_number"] == number
            with pytest.raises(LinkTimeout):
                await driver.poll(gone)
            assert driver.counters()["m3"].timeouts == 1
