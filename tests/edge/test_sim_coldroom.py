"""The cold room: an open door is an excursion, a defrost is not, and the controller shows what the model holds."""

import pytest

from linli_core.instant import SECOND
from linli_edge.drivers.modbus import SPEC
from linli_sim.coldroom import SimulatedColdRoom, set_door
from linli_sim.coldroom_model import ColdRoom
from linli_sim.jumping_loop import on_jumping_loop
from linli_sim.modbus_server import ModbusServer

NOW = 1_790_000_000 * SECOND
LIMIT = 8.0


@pytest.mark.parametrize("seed", range(6))
def test_a_closed_room_stays_cold_for_a_day_and_defrosts_without_an_excursion(seed: int) -> None:
    room = ColdRoom(seed)
    running = defrosts = 0
    for _ in range(4 * 1440):
        was = room.defrosting
        room.step(15.0)
        running += room.compressor
        defrosts += room.defrosting and not was
        assert 0.5 < room.measured_air < LIMIT - 1
        assert not (room.compressor and room.defrosting)
    assert 0.1 < running / (4 * 1440) < 0.6
    assert defrosts == 4


@pytest.mark.parametrize("seed", range(6))
def test_an_open_door_is_an_excursion_that_ends_soon_after_it_closes(seed: int) -> None:
    """At the demo's twenty simulated seconds for each real one."""
    room = SimulatedColdRoom(seed, NOW, door_open_at=5.0, door_for=10.0)
    above = [tenth for tenth in range(300) if _at(room, tenth) > LIMIT]
    assert 50 + 40 <= above[0] <= 50 + 80
    assert 150 <= above[-1] <= 150 + 80
    assert above == list(range(above[0], above[-1] + 1)) or len(above) > 0.95 * (above[-1] - above[0])
    assert room.room.measured_air < 6


def _at(room: SimulatedColdRoom, tenth: int) -> float:
    room.update(NOW + tenth * SECOND // 10)
    return room.room.measured_air


def test_it_does_not_matter_how_often_the_room_is_asked() -> None:
    often = SimulatedColdRoom(3, NOW, door_open_at=2.0, door_for=5.0)
    seldom = SimulatedColdRoom(3, NOW, door_open_at=2.0, door_for=5.0)
    for tenth in range(1, 201):
        often.update(NOW + tenth * SECOND // 10)
    seldom.update(NOW + 20 * SECOND)
    assert often.unit.tables == seldom.unit.tables


def test_energy_is_the_integral_of_power() -> None:
    room = ColdRoom(1)
    start, used = room.energy, 0.0
    for _ in range(5000):
        room.step(1.0)
        used += room.power / 3600.0
    assert room.energy - start == pytest.approx(used)


@on_jumping_loop
async def test_every_register_of_the_profile_and_the_door_on_the_wire() -> None:
    now = NOW
    room = SimulatedColdRoom(1, now)
    async with ModbusServer({1: room.unit}, before=lambda _: room.update(now)).listen() as port:
        device = {"id": "cold-room-1", "unit": 1, "profile": "linli-coldroom"}
        config = SPEC.parse(
            {"id": "bus", "driver": "modbus", "host": "127.0.0.1", "port": port, "devices": [device]}, ""
        )
        async with SPEC.open(config, lambda: now) as driver:

            async def shown() -> dict[str, object]:
                return {reading.point.quantity: reading.value for reading in await driver.poll(driver.plan[0])}

            before = await shown()
            assert before["air_temperature"] == round(room.room.measured_air, 1)
            assert before["evaporator_temperature"] == round(room.room.evaporator, 1)
            assert before["temperature_setpoint"] == 3.0
            assert before["active_power"] == room.room.power
            assert before["energy_import"] == round(room.room.energy)
            assert (before["door_open"], before["defrost_active"]) == (False, False)
            assert before["compressor_running"] is room.room.compressor
            await set_door("127.0.0.1", port, is_open=True)
            now += 10 * SECOND
            after = await shown()
            assert after["door_open"] is True
            assert room.room.measured_air > LIMIT
            await set_door("127.0.0.1", port, is_open=False)
            now += 10 * SECOND
            assert (await shown())["door_open"] is False
            assert room.room.measured_air < LIMIT


def test_a_hand_on_the_door_overrules_the_script() -> None:
    room = SimulatedColdRoom(1, NOW, door_open_at=1.0, door_for=60.0)
    room.update(NOW + 2 * SECOND)
    assert room.room.door_open
    assert room.unit.answer(bytes.fromhex("0500000000")) == bytes.fromhex("0500000000")
    room.update(NOW + 4 * SECOND)
    assert not room.room.door_open
